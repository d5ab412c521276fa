package scan

import (
	"bytes"
	"regexp"
)

// rubyScript is the scanner of Ruby (doc/syntax/literals.rdoc): strings with
// interpolation, % literals, heredocs, regular expressions, =begin comments
// and what follows __END__.
type rubyScript struct {
	lexer
	open     []interpolated // strings in whose #{ } the scanner is
	heredocs []interpolated // which begin with the next line
	value    bool           // the last token ends a value: "/" divides
}

func ruby(src []byte) []segment {
	r := &rubyScript{lexer: lexer{src: src, end: len(src)}}
	for r.pos < r.end {
		r.step()
	}
	return r.segments
}

var rubyClosers = map[byte]string{'(': ")", '[': "]", '{': "}", '<': ">"}

func (r *rubyScript) step() {
	c := r.src[r.pos]
	n := len(r.open) - 1
	switch {
	case r.lineBegin() && r.at("=begin"):
		to := r.after(r.pos, "\n=end")
		r.take(to, Comment)
		r.take(r.line(), Comment)
	case r.lineBegin() && r.at("__END__"):
		r.take(r.end, String)
	case c == '\n':
		r.take(r.pos+1, Code)
		r.value = false
		r.bodies()
	case c == ' ' || c == '\t' || c == '\r':
		r.take(r.pos+1, Code)
	case c == '#':
		r.take(r.line(), Comment)
	case c == '\'':
		r.text(r.quoted(r.pos+1, "'", true, true))
	case c == '"' || c == '`' || c == '/' && r.regexBegins():
		r.interpolate(r.pos+1, interpolated{quote: string(c)})
	case c == '?' && !r.value && (r.peek(1) == '"' || r.peek(1) == '\'' || r.peek(1) == '#') && !wordByte(r.peek(2)):
		r.text(r.pos + 2) // a character such as ?"
	case c == '$' && bytes.IndexByte([]byte("'\"`/;,<>"), r.peek(1)) >= 0:
		r.take(r.pos+2, Code) // a variable such as $'
		r.value = true
	case c == '%' && r.percent():
	case c == '<' && r.heredoc():
	case n >= 0 && c == '{':
		r.open[n].braces++
		r.punctuation(c)
	case n >= 0 && c == '}':
		r.take(r.pos+1, Code)
		if r.open[n].braces > 0 {
			r.open[n].braces--
			return
		}
		in := r.open[n]
		r.open = r.open[:n]
		r.interpolate(r.pos, in)
	case wordByte(c):
		to := r.word()
		switch string(r.src[r.pos:to]) {
		case "if", "unless", "while", "until", "and", "or", "not", "when", "in", "return", "then", "do", "puts":
			r.value = false
		default:
			r.value = true
		}
		r.take(to, Code)
	default:
		r.punctuation(c)
	}
}

func (r *rubyScript) punctuation(c byte) {
	r.take(r.pos+1, Code)
	r.value = c == ')' || c == ']' || c == '}'
}

// text takes a string that interpolates nothing.
func (r *rubyScript) text(to int) {
	r.take(to, String)
	r.value = true
}

// regexBegins: after a value "/" divides, but for "match /x/" written with a
// space before and none after; and a regular expression ends on its line.
func (r *rubyScript) regexBegins() bool {
	if r.value && (r.peek(-1) != ' ' || r.peek(1) == ' ' || r.peek(1) == '=') {
		return false
	}
	return bytes.IndexByte(r.src[r.pos+1:r.line()], '/') >= 0
}

// percent takes a literal such as %q(), %w[] or %(), if there is one.
func (r *rubyScript) percent() bool {
	kind, at := byte('Q'), 1
	if c := r.peek(1); bytes.IndexByte([]byte("qQwWiIrsx"), c) >= 0 && c != 0 {
		kind, at = c, 2
	} else if r.value {
		return false
	}
	opener := r.peek(at)
	closer, nests := rubyClosers[opener]
	if !nests && (opener == 0 || bytes.IndexByte([]byte("|!/^"), opener) < 0) {
		return false
	}
	in := interpolated{quote: closer, open: string(opener)}
	if !nests {
		in = interpolated{quote: string(opener)}
	}
	in.raw = bytes.IndexByte([]byte("qwis"), kind) >= 0
	r.interpolate(r.pos+at+1, in)
	return true
}

var heredocBegin = regexp.MustCompile("^<<([~-]?)(?:([A-Z_a-z]\\w*)|\"([^\"\n]+)\"|'([^'\n]+)'|`([^`\n]+)`)")

// heredoc takes the beginning of a heredoc, if there is one whose end follows.
func (r *rubyScript) heredoc() bool {
	m := heredocBegin.FindSubmatch(r.src[r.pos:min(r.end, r.pos+200)])
	if m == nil || len(m[1]) == 0 && len(m[2]) > 0 && (m[2][0] >= 'a' || r.value && r.peek(-1) != ' ') {
		return false
	}
	id := bytes.Join(m[2:], nil)
	ends := regexp.MustCompile(`(?m)^[ \t]*` + regexp.QuoteMeta(string(id)) + `\r?$`)
	begin := r.line()
	if n := len(r.heredocs); n > 0 {
		begin = r.heredocs[n-1].end
	}
	at := ends.FindIndex(r.src[min(begin, r.end):r.end])
	if at == nil {
		return false
	}
	r.heredocs = append(r.heredocs, interpolated{end: begin + at[1], raw: len(m[4]) > 0})
	r.take(r.pos+len(m[0]), Code)
	r.value = true
	return true
}

// bodies takes the text of the heredocs that began on the line before.
func (r *rubyScript) bodies() {
	if len(r.heredocs) == 0 {
		return
	}
	in := r.heredocs[0]
	r.heredocs = r.heredocs[1:]
	r.interpolate(r.pos, in)
}

// interpolate takes text up to its end or to "#{"; from is where to look from.
func (r *rubyScript) interpolate(from int, in interpolated) {
	for i := from; i < r.end; i++ {
		c := r.src[i]
		switch {
		case in.end > 0 && i >= in.end:
			r.text(in.end)
			r.bodies()
			return
		case c == '\\':
			i++
		case !in.raw && c == '#' && i+1 < r.end && r.src[i+1] == '{':
			r.take(i, String)
			r.take(i+2, Code)
			r.open = append(r.open, in)
			r.value = false
			return
		case in.end > 0:
		case in.open != "" && string(c) == in.open:
			in.depth++
		case string(c) == in.quote && in.depth > 0:
			in.depth--
		case string(c) == in.quote:
			r.text(i + 1)
			return
		}
	}
	r.text(r.end)
}
