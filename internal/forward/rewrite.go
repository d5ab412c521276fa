package forward

import (
	"bytes"
	"encoding/json"
)

// rewriteHeader replaces, in the first line of an envelope, dsn where it
// carries the key ours, and trace.public_key where it is ours. Every other
// byte stays: the line is scanned, not read and written again. What cannot be
// scanned comes back as it was.
func rewriteHeader(line []byte, ours string, to DSN) []byte {
	s := scanner{src: line}
	s.space()
	s.object(func(key string) {
		switch {
		case key == "dsn":
			s.replace(func(v string) (string, bool) {
				d, err := ParseDSN(v)
				return to.public(), err == nil && d.Key == ours
			})
		case key == "trace" && s.at('{'):
			s.object(func(key string) {
				if key == "public_key" {
					s.replace(func(v string) (string, bool) { return to.Key, v == ours })
				} else {
					s.value()
				}
			})
		default:
			s.value()
		}
	})
	if s.bad || len(s.out) == 0 {
		return line
	}
	return append(s.out, line[s.copied:]...)
}

// scanner walks through JSON and copies it but for the strings replaced.
type scanner struct {
	src    []byte
	i      int
	copied int // src[:copied] is in out
	out    []byte
	bad    bool
}

func (s *scanner) at(c byte) bool { return !s.bad && s.i < len(s.src) && s.src[s.i] == c }

func (s *scanner) space() {
	for s.i < len(s.src) && bytes.IndexByte([]byte(" \t\r\n"), s.src[s.i]) >= 0 {
		s.i++
	}
}

// take steps over c and the space after it.
func (s *scanner) take(c byte) bool {
	if !s.at(c) {
		return false
	}
	s.i++
	s.space()
	return true
}

// object calls member for each key of an object; member steps over the value.
func (s *scanner) object(member func(key string)) {
	if !s.take('{') {
		s.bad = true
		return
	}
	for !s.bad && !s.take('}') {
		key := s.text()
		s.space()
		if !s.take(':') {
			s.bad = true
			return
		}
		member(key)
		s.space()
		if !s.take(',') && !s.at('}') {
			s.bad = true
		}
	}
}

// text reads a string; one that is not decoded reads as "".
func (s *scanner) text() (v string) {
	from := s.i
	s.skipText()
	if !s.bad && json.Unmarshal(s.src[from:s.i], &v) != nil {
		return ""
	}
	return v
}

func (s *scanner) skipText() {
	if !s.at('"') {
		s.bad = true
		return
	}
	for s.i++; s.i < len(s.src); s.i++ {
		switch s.src[s.i] {
		case '\\':
			s.i++
		case '"':
			s.i++
			return
		}
	}
	s.bad = true
}

// value steps over any value without a look inside but for strings and depth.
func (s *scanner) value() {
	depth := 0
	for s.i < len(s.src) && !s.bad {
		switch s.src[s.i] {
		case '"':
			s.skipText()
			if depth == 0 {
				return
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return
			}
			if depth--; depth == 0 {
				s.i++
				return
			}
		case ',':
			if depth == 0 {
				return
			}
		}
		s.i++
	}
	s.bad = true
}

// replace steps over a value and, if it is a string that with wants replaced,
// writes the other in its place.
func (s *scanner) replace(with func(string) (string, bool)) {
	if !s.at('"') {
		s.value()
		return
	}
	from := s.i
	old := s.text()
	next, do := with(old)
	if s.bad || !do {
		return
	}
	quoted, err := json.Marshal(next)
	if err != nil {
		return
	}
	s.out = append(append(s.out, s.src[s.copied:from]...), quoted...)
	s.copied = s.i
}
