package scan

import (
	"bytes"
	"strings"
)

// python follows the reference, 2.5 "Literals" and 2.5.5 "f-strings" (which
// nest since 3.12). What stands in the braces of an f-string is code.
func python(src []byte) []segment {
	l := &lexer{src: src, end: len(src)}
	var open []interpolated
	for l.pos < l.end {
		c := src[l.pos]
		n := len(open) - 1
		switch {
		case c == '#':
			l.take(l.line(), Comment)
		case c == '"' || c == '\'':
			open = l.pythonString(l.pos, "", open)
		case n >= 0 && c == '{':
			open[n].braces++
			l.take(l.pos+1, Code)
		case n >= 0 && c == '}' && open[n].braces > 0:
			open[n].braces--
			l.take(l.pos+1, Code)
		case n >= 0 && c == '}':
			l.take(l.pos+1, Code)
			in := open[n]
			open = l.formatted(l.pos, in, open[:n])
		case wordByte(c):
			to := l.word()
			prefix := strings.ToLower(string(src[l.pos:min(to, l.pos+3)]))
			if to < l.end && to-l.pos <= 2 && (src[to] == '"' || src[to] == '\'') && strings.Trim(prefix[:to-l.pos], "rbuft") == "" {
				open = l.pythonString(to, prefix[:to-l.pos], open)
			} else {
				l.take(to, Code)
			}
		default:
			l.take(l.pos+1, Code)
		}
	}
	return l.segments
}

// interpolated is a string in whose braces the scanner is.
type interpolated struct {
	quote  string // what ends it
	open   string // what nests in it: "(" of %Q(); "" = nothing
	depth  int
	braces int  // open ones, of the code
	end    int  // where a heredoc ends; 0 = at the quote
	raw    bool // Ruby: nothing is interpolated; Python: a backslash means itself
}

// pythonString takes a string whose quote is at byte `at`, after its prefix.
func (l *lexer) pythonString(at int, prefix string, open []interpolated) []interpolated {
	quote := string(l.src[at])
	if triple := strings.Repeat(quote, 3); bytes.HasPrefix(l.src[at:l.end], []byte(triple)) {
		quote = triple
	}
	if !strings.ContainsAny(prefix, "ft") {
		l.take(l.quoted(at+len(quote), quote, true, len(quote) == 3), String) // a backslash keeps the quote in raw strings too
		return open
	}
	return l.formatted(at+len(quote), interpolated{quote: quote, raw: strings.Contains(prefix, "r")}, open)
}

// formatted takes the text of an f-string up to its end or to what is
// interpolated; from is where to look from.
func (l *lexer) formatted(from int, in interpolated, open []interpolated) []interpolated {
	for i := from; i < l.end; i++ {
		switch {
		case !in.raw && bytes.HasPrefix(l.src[i:l.end], []byte(`\N{`)):
			i = l.after(i, "}") - 1 // a character by its name
		case l.src[i] == '\\' && i+1 < l.end && l.src[i+1] != '{': // which a backslash does not escape
			i++
		case bytes.HasPrefix(l.src[i:l.end], []byte(in.quote)):
			l.take(i+len(in.quote), String)
			return open
		case len(in.quote) == 1 && l.src[i] == '\n':
			l.take(i, String)
			return open
		case bytes.HasPrefix(l.src[i:l.end], []byte("{{")):
			i++
		case l.src[i] == '{':
			l.take(i, String)
			l.take(i+1, Code)
			return append(open, in)
		}
	}
	l.take(l.end, String)
	return open
}
