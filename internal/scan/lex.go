package scan

import (
	"bytes"
	"sort"
)

// segment is a stretch of source of one kind, [start, end) in bytes. The
// segments of a file cover it without gaps.
type segment struct {
	start, end int
	kind       Kind
}

// language divides a file into segments. It never fails: broken source gives
// segments too.
type language func(src []byte) []segment

// languages by file extension.
var languages = map[string]language{
	".ts": typescript, ".mts": typescript, ".cts": typescript, ".tsx": javascript,
	".js": javascript, ".jsx": javascript, ".mjs": javascript, ".cjs": javascript,
	".go": golang, ".java": java, ".py": python, ".rb": ruby, ".vue": vue, ".svelte": svelte,
}

// segmentAt finds the segment that holds byte i.
func segmentAt(segments []segment, i int) segment {
	return segments[sort.Search(len(segments), func(n int) bool { return segments[n].end > i })]
}

// lexer is a place in a source. Everything before pos lies in segments.
type lexer struct {
	src      []byte
	pos      int
	end      int // where to stop, at most len(src)
	segments []segment
}

// take makes the source up to byte `to` a stretch of one kind. Adjacent
// strings stay apart, adjacent code is joined.
func (l *lexer) take(to int, kind Kind) {
	to = min(to, l.end)
	if to <= l.pos {
		return
	}
	if n := len(l.segments); n > 0 && l.segments[n-1].kind == kind && kind == Code {
		l.segments[n-1].end = to
	} else {
		l.segments = append(l.segments, segment{l.pos, to, kind})
	}
	l.pos = to
}

// at tells whether the source goes on with text.
func (l *lexer) at(text string) bool {
	return bytes.HasPrefix(l.src[l.pos:l.end], []byte(text))
}

// peek is the byte n further on; 0 beyond the end.
func (l *lexer) peek(n int) byte {
	if i := l.pos + n; i >= 0 && i < l.end {
		return l.src[i]
	}
	return 0
}

// after is where the next text ends, from byte `from` on; the end if there is none.
func (l *lexer) after(from int, text string) int {
	if from < l.end {
		if i := bytes.Index(l.src[from:l.end], []byte(text)); i >= 0 {
			return from + i + len(text)
		}
	}
	return l.end
}

// line is where the line ends, before its newline.
func (l *lexer) line() int {
	if i := bytes.IndexByte(l.src[l.pos:l.end], '\n'); i >= 0 {
		return l.pos + i
	}
	return l.end
}

// word is where the identifier ends that begins at pos.
func (l *lexer) word() int {
	i := l.pos
	for i < l.end && wordByte(l.src[i]) {
		i++
	}
	return i
}

// quoted is where the string ends whose text begins at byte `from`. Without
// multiline an unclosed string ends with its line.
func (l *lexer) quoted(from int, quote string, escapes, multiline bool) int {
	for i := from; i < l.end; i++ {
		switch {
		case escapes && l.src[i] == '\\':
			i++
		case bytes.HasPrefix(l.src[i:l.end], []byte(quote)):
			return i + len(quote)
		case !multiline && l.src[i] == '\n':
			return i
		}
	}
	return l.end
}

// lineBegin tells whether pos is the first byte of a line.
func (l *lexer) lineBegin() bool { return l.pos == 0 || l.src[l.pos-1] == '\n' }

// slashComment takes a // or /* comment, if there is one. They do not nest.
func (l *lexer) slashComment() bool {
	switch {
	case l.at("//"):
		l.take(l.line(), Comment)
	case l.at("/*"):
		l.take(l.after(l.pos+2, "*/"), Comment)
	default:
		return false
	}
	return true
}

// golang follows go.dev/ref/spec, "Comments" and "String literals".
func golang(src []byte) []segment {
	l := &lexer{src: src, end: len(src)}
	for l.pos < l.end {
		switch c := src[l.pos]; {
		case l.slashComment():
		case c == '"' || c == '\'':
			l.take(l.quoted(l.pos+1, string(c), true, false), String)
		case c == '`':
			l.take(l.quoted(l.pos+1, "`", false, true), String)
		default:
			l.take(max(l.word(), l.pos+1), Code)
		}
	}
	return l.segments
}

// java follows JLS 25, 3.7 and 3.10, text blocks included.
func java(src []byte) []segment {
	l := &lexer{src: src, end: len(src)}
	for l.pos < l.end {
		switch c := src[l.pos]; {
		case l.slashComment():
		case l.at(`"""`):
			l.take(l.quoted(l.pos+3, `"""`, true, true), String)
		case c == '"' || c == '\'':
			l.take(l.quoted(l.pos+1, string(c), true, false), String)
		default:
			l.take(max(l.word(), l.pos+1), Code)
		}
	}
	return l.segments
}
