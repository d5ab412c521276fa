package sourcemap

import (
	"errors"
	"fmt"
	"strings"
)

// maxLine bounds lines and columns.
const maxLine = 1 << 30

// start is where a map's code and lists begin within the whole.
type start struct {
	line, column, sources, names int32
}

// decode reads the mappings of ECMA-426 section 9: lines parted by ";",
// segments by ",", each of 1, 4 or 5 numbers that are added to those before.
func (m *Map) decode(text string, at start) error {
	var fields [5]int64
	s := segment{line: at.line}
	sum := [5]int64{0, 0, 0, 0, 0} // column, source, line, column, name
	lines := int64(strings.Count(text, ";"))
	if int64(at.line)+lines > maxLine {
		return errors.New("too many lines")
	}
	for i, line := range strings.Split(text, ";") {
		s.line, sum[0] = at.line+int32(i), 0
		if i == 0 {
			sum[0] = int64(at.column)
		}
		for len(line) > 0 {
			var word string
			word, line, _ = strings.Cut(line, ",")
			n, err := numbers(word, &fields)
			if err != nil {
				return fmt.Errorf("line %d: %w", i+1, err)
			}
			if n == 0 {
				continue
			}
			if err := m.segment(s, n, &fields, &sum, at); err != nil {
				return fmt.Errorf("line %d: segment %q: %w", i+1, word, err)
			}
		}
	}
	return nil
}

// segment adds the numbers of one segment to the sums and keeps what results.
func (m *Map) segment(s segment, n int, fields, sum *[5]int64, at start) error {
	for i := range n {
		if sum[i] += fields[i]; sum[i] < 0 || sum[i] > maxLine {
			return errors.New("a number is out of range")
		}
	}
	s.column, s.source, s.name = int32(sum[0]), -1, -1
	if n >= 4 {
		s.source, s.fromLine, s.fromColumn = at.sources+int32(sum[1]), int32(sum[2]), int32(sum[3])
		if int(s.source) >= len(m.sources) {
			return fmt.Errorf("there is no source %d", sum[1])
		}
	}
	if n == 5 {
		if s.name = at.names + int32(sum[4]); int(s.name) >= len(m.names) {
			return fmt.Errorf("there is no name %d", sum[4])
		}
	}
	if len(m.segments) >= maxSegments {
		return fmt.Errorf("more than %d segments", maxSegments)
	}
	m.segments = append(m.segments, s)
	return nil
}

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// values maps a base64 digit to its value, 0xff = none.
var values = func() (v [256]byte) {
	for i := range v {
		v[i] = 0xff
	}
	for i := range digits {
		v[digits[i]] = byte(i)
	}
	return v
}()

// numbers reads the base64 VLQ numbers of a segment: six bits a digit, the
// highest says that more follow, the lowest bit of the whole is the sign.
func numbers(word string, out *[5]int64) (n int, err error) {
	for i := 0; i < len(word); n++ {
		if n == len(out) {
			return 0, fmt.Errorf("segment %q has more than five numbers", word)
		}
		var v, shift int64
		for more := true; more; i++ {
			if i == len(word) || shift > 30 {
				return 0, fmt.Errorf("segment %q ends in a number or has too large a one", word)
			}
			d := values[word[i]]
			if d == 0xff {
				return 0, fmt.Errorf("segment %q: %q is no digit", word, word[i])
			}
			v |= int64(d&31) << shift
			shift += 5
			more = d&32 != 0
		}
		out[n] = v >> 1
		if v&1 != 0 {
			out[n] = -out[n]
		}
	}
	if n != 0 && n != 1 && n != 4 && n != 5 {
		return 0, fmt.Errorf("segment %q has %d numbers, not 1, 4 or 5", word, n)
	}
	return n, nil
}
