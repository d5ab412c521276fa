package scan

import "bytes"

// script is the scanner of JavaScript and TypeScript (ECMA-262, 12 "Lexical
// grammar"; JSX: facebook.github.io/jsx). Whether "/" begins a regular
// expression and "<" an element is told by the token before it, as in
// ECMA-262's goal symbols, without a parser.
type script struct {
	lexer
	jsx    bool
	frames []frame
	parens []bool // for each open bracket: it follows if, for, while or with
	value  bool   // the last token ends a value: "/" divides, "<" compares
	last   string // the last word, while nothing follows it
}

// mode is what the innermost open construct is.
type mode int

const (
	inCode     mode = iota // up to an unmatched "}"
	inTemplate             // up to "`"
	inTag                  // between "<" and ">"
	inChildren             // between tags
)

type frame struct {
	mode    mode
	braces  int  // open in inCode
	closing bool // inTag: "</"
}

func typescript(src []byte) []segment { return scriptSegments(src, false) }
func javascript(src []byte) []segment { return scriptSegments(src, true) }

func scriptSegments(src []byte, jsx bool) []segment {
	s := &script{lexer: lexer{src: src, end: len(src)}, jsx: jsx}
	s.run(false)
	return s.segments
}

// run scans up to the end or, for an expression within other text, up to the
// "}" that closes it, which it leaves.
func (s *script) run(expression bool) {
	s.frames = []frame{{mode: inCode}}
	if s.at("#!") && s.pos == 0 {
		s.take(s.line(), Comment)
	}
	for s.pos < s.end {
		top := &s.frames[len(s.frames)-1]
		switch top.mode {
		case inTemplate:
			s.template(s.pos)
		case inTag:
			s.tag(top)
		case inChildren:
			s.children()
		default:
			if s.src[s.pos] == '}' && top.braces == 0 && len(s.frames) == 1 && expression {
				return
			}
			s.code(top)
		}
	}
}

func (s *script) push(m mode) { s.frames = append(s.frames, frame{mode: m}) }
func (s *script) pop() {
	if len(s.frames) > 1 {
		s.frames = s.frames[:len(s.frames)-1]
	}
}

// beforeExpression are words after which a value begins.
var beforeExpression = map[string]bool{"return": true, "typeof": true, "case": true, "in": true, "of": true, "do": true, "else": true,
	"new": true, "delete": true, "void": true, "throw": true, "await": true, "yield": true, "instanceof": true, "default": true, "extends": true}

func (s *script) code(top *frame) {
	c := s.src[s.pos]
	switch {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		s.take(s.pos+1, Code)
		return
	case s.slashComment():
		return
	case c == '"' || c == '\'':
		s.take(s.quoted(s.pos+1, string(c), true, false), String)
		s.value = true
	case c == '`':
		s.push(inTemplate)
		s.template(s.pos + 1)
	case c == '/' && !s.value && s.regex() > 0:
		s.take(s.regex(), String)
		s.value = true
	case c == '<' && s.jsx && !s.value && s.element():
		s.take(s.pos+1, Code)
		s.push(inTag)
	case wordByte(c):
		to := s.word()
		s.last = string(s.src[s.pos:to])
		s.value = !beforeExpression[s.last] || s.pos > 0 && s.src[s.pos-1] == '.'
		s.take(to, Code)
		return
	default:
		s.punctuation(c, top)
	}
	s.last = ""
}

func (s *script) punctuation(c byte, top *frame) {
	s.take(s.pos+1, Code)
	switch c {
	case '(':
		s.parens = append(s.parens, s.last == "if" || s.last == "for" || s.last == "while" || s.last == "with")
		s.value = false
	case ')':
		s.value = true
		if n := len(s.parens); n > 0 {
			s.value = !s.parens[n-1]
			s.parens = s.parens[:n-1]
		}
	case '{':
		top.braces++
		s.value = false
	case '}':
		if top.braces > 0 {
			top.braces--
		} else {
			s.pop()
		}
		s.value = false
	case ']':
		s.value = true
	case '+', '-':
		if s.peek(0) == c || s.peek(-2) == c {
			return // x++ and x-- leave what they stand at
		}
		s.value = false
	case '!': // x! of TypeScript leaves the value one
	default:
		s.value = false
	}
}

// regex is where the regular expression ends that begins at pos; 0 for none.
func (s *script) regex() int {
	class := false
	for i := s.pos + 1; i < s.end; i++ {
		switch c := s.src[i]; {
		case c == '\n':
			return 0
		case c == '\\':
			i++
		case c == '[':
			class = true
		case c == ']':
			class = false
		case c == '/' && !class:
			for i++; i < s.end && wordByte(s.src[i]); i++ {
			}
			return i
		}
	}
	return 0
}

// element tells an element from the type parameters of an arrow function:
// <T,>(x) and <T extends U>(x) are those, and <T>(x) where no </T> follows.
func (s *script) element() bool {
	rest := s.src[s.pos+1 : s.end]
	n := 0
	for n < len(rest) && (wordByte(rest[n]) || rest[n] == '.' || rest[n] == '-' || rest[n] == ':') {
		n++
	}
	if n == 0 {
		return len(rest) > 0 && rest[0] == '>'
	}
	name, next := rest[:n], bytes.TrimLeft(rest[n:], " \t\r\n")
	switch {
	case bytes.HasPrefix(next, []byte(",")), bytes.HasPrefix(next, []byte("extends ")):
		return false
	case bytes.HasPrefix(next, []byte(">(")):
		return bytes.Contains(next, append([]byte("</"), name...))
	}
	return rest[0] < '0' || rest[0] > '9'
}

// template takes text up to what is interpolated or the end, looked for from
// byte `from` on.
func (s *script) template(from int) {
	for i := from; i < s.end; i++ {
		switch {
		case s.src[i] == '\\':
			i++
		case s.src[i] == '`':
			s.take(i+1, String)
			s.pop()
			s.value = true
			return
		case s.src[i] == '$' && i+1 < s.end && s.src[i+1] == '{':
			s.take(i, String)
			s.take(i+2, Code)
			s.push(inCode)
			s.value = false
			return
		}
	}
	s.take(s.end, String)
}

// tag takes one token of a JSX tag.
func (s *script) tag(top *frame) {
	switch c := s.src[s.pos]; {
	case c == '/' && s.peek(-1) == '<':
		top.closing = true
		s.take(s.pos+1, Code)
	case s.at("/>"):
		s.take(s.pos+2, Code)
		s.closed()
	case s.slashComment():
	case c == '>' && top.closing:
		s.take(s.pos+1, Code)
		s.pop() // its children
		s.closed()
	case c == '>':
		s.take(s.pos+1, Code)
		top.mode = inChildren
	case c == '"' || c == '\'':
		s.take(s.quoted(s.pos+1, string(c), false, true), String)
	case c == '{':
		s.take(s.pos+1, Code)
		s.push(inCode)
		s.value = false
	default:
		s.take(max(s.word(), s.pos+1), Code)
	}
}

// closed ends an element.
func (s *script) closed() {
	s.pop()
	s.value = true
}

// children takes text, or goes into a tag or an expression.
func (s *script) children() {
	switch s.src[s.pos] {
	case '<':
		s.take(s.pos+1, Code)
		s.push(inTag)
	case '{':
		s.take(s.pos+1, Code)
		s.push(inCode)
		s.value = false
	default:
		i := bytes.IndexAny(s.src[s.pos:s.end], "<{")
		if i < 0 {
			i = s.end - s.pos
		}
		s.take(s.pos+i, String)
	}
}
