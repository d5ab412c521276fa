package web

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// part is a piece of a line with its look: k a key, s a quoted text, n a
// number, c a comment, m what differs; "" = plain.
type part struct{ Class, Text string }

// token finds what a line of a plan is made of: quoted texts, comments, keys
// and quantities. The rest is plain.
var token = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'[^']*'|(?:^|\s)#.*$|[A-Za-z_][\w-]*:(?:\s|$)|[+-]?\b\d+(?:\.\d+)?(?:%|[A-Za-z]{1,3}\b)?`)

// highlight cuts a line of a plan into its parts. It is for the eye alone: the
// parser decides what a text means.
func highlight(line string) []part {
	var out []part
	add := func(class, text string) {
		if text != "" {
			out = append(out, part{class, text})
		}
	}
	at := 0
	for _, m := range token.FindAllStringIndex(line, -1) {
		text := line[m[0]:m[1]]
		add("", line[at:m[0]])
		switch c := strings.TrimSpace(text); {
		case strings.HasPrefix(c, "#"):
			add("c", text)
		case c[0] == '"' || c[0] == '\'':
			add("s", text)
		case strings.HasSuffix(c, ":"):
			colon := strings.IndexByte(text, ':')
			add("k", text[:colon])
			add("", text[colon:])
		default:
			add("n", text)
		}
		at = m[1]
	}
	add("", line[at:])
	return out
}

// differing marks what differs between two versions of a line: all but the
// words at both ends that they share.
func differing(before, after string) (a, b []part) {
	head := 0
	for head < len(before) && head < len(after) && before[head] == after[head] {
		head++
	}
	tail := 0
	for tail < len(before)-head && tail < len(after)-head && before[len(before)-1-tail] == after[len(after)-1-tail] {
		tail++
	}
	head, tail = wordStart(before, head), wordEnd(before, len(before)-tail)
	cut := func(s string) []part {
		end := max(len(s)-(len(before)-tail), head)
		var out []part
		for _, p := range []part{{"", s[:head]}, {"m", s[head:end]}, {"", s[end:]}} {
			if p.Text != "" {
				out = append(out, p)
			}
		}
		return out
	}
	return cut(before), cut(after)
}

// wordStart moves i back to the start of the word that it stands in.
func wordStart(s string, i int) int {
	for i > 0 {
		r, size := utf8.DecodeLastRuneInString(s[:i])
		if separates(r) {
			break
		}
		i -= size
	}
	return i
}

// wordEnd moves i on to the end of the word that it stands in.
func wordEnd(s string, i int) int {
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		if separates(r) {
			break
		}
		i += size
	}
	return i
}

func separates(r rune) bool { return strings.ContainsRune(" \t,[]{}()", r) }
