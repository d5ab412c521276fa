package scan

import (
	"bytes"
	"regexp"
	"strings"
)

// markup is the scanner of single-file components: Vue (vuejs.org/api/sfc-spec)
// and Svelte. Scripts and what is interpolated are JavaScript, tag and
// attribute names are code, text is a string.
type markup struct {
	lexer
	vue bool
}

func vue(src []byte) []segment    { return markupSegments(src, true) }
func svelte(src []byte) []segment { return markupSegments(src, false) }

func markupSegments(src []byte, vue bool) []segment {
	m := &markup{lexer: lexer{src: src, end: len(src)}, vue: vue}
	for m.pos < m.end {
		switch {
		case m.at("<!--"):
			m.take(m.after(m.pos+4, "-->"), Comment)
		case m.at("</") || m.at("<") && wordByte(m.peek(1)):
			m.tag()
		case m.opens():
			m.expression()
		default:
			m.text()
		}
	}
	return m.segments
}

// opens tells whether an expression begins.
func (m *markup) opens() bool { return m.vue && m.at("{{") || !m.vue && m.at("{") }

func (m *markup) text() {
	stop := "<{"
	i := bytes.IndexAny(m.src[m.pos+1:m.end], stop)
	if i < 0 {
		i = m.end
	}
	m.take(m.pos+1+i, String)
}

// expression takes {{ }} of Vue or { } of Svelte, with its sigil (# / : @).
func (m *markup) expression() {
	m.take(m.pos+1, Code)
	if m.vue {
		m.take(m.pos+1, Code)
	} else if c := m.peek(0); c == '#' || c == ':' || c == '@' || c == '/' && m.peek(1) != '*' && m.peek(1) != '/' {
		m.take(m.pos+1, Code)
	}
	m.script(m.end, false, true)
	for n := 0; m.at("}") && (n == 0 || m.vue && n == 1); n++ {
		m.take(m.pos+1, Code)
	}
}

// script scans JavaScript up to byte `to`, or to the "}" that closes an expression.
func (m *markup) script(to int, jsx, expression bool) {
	s := &script{lexer: lexer{src: m.src, pos: m.pos, end: to, segments: m.segments}, jsx: jsx}
	s.run(expression)
	m.pos, m.segments = s.pos, s.segments
}

var sectionLang = regexp.MustCompile(`\blang\s*=\s*["']?[jt]sx`)

// tag takes a tag and, of script and style, what stands in it.
func (m *markup) tag() {
	begin := m.pos
	m.take(m.pos+1, Code)
	name := strings.ToLower(string(m.src[m.pos:m.word()]))
	m.take(m.word(), Code)
	attribute := ""
	for m.pos < m.end && m.src[m.pos] != '>' {
		switch c := m.src[m.pos]; {
		case c == '"' || c == '\'':
			m.attribute(attribute, c)
		case !m.vue && c == '{':
			m.expression()
		case c == '=' || c == ' ' || c == '\n' || c == '\t' || c == '\r':
			m.take(m.pos+1, Code)
		default:
			from := m.pos
			i := bytes.IndexAny(m.src[m.pos+1:m.end], "= \n\t\r>\"'{")
			if i < 0 {
				i = m.end
			}
			m.take(m.pos+1+i, Code)
			attribute = string(m.src[from:m.pos])
		}
	}
	head := m.src[begin:m.pos]
	m.take(m.pos+1, Code)
	if closed := bytes.HasSuffix(head, []byte("/")); !closed && (name == "script" || name == "style") {
		m.section(name, sectionLang.Match(head))
	}
}

// attribute takes a quoted value: code in a directive of Vue, with
// expressions in Svelte.
func (m *markup) attribute(name string, quote byte) {
	end := m.after(m.pos+1, string(quote))
	switch {
	case m.vue && name != "" && (strings.HasPrefix(name, "v-") || strings.IndexByte(":@#", name[0]) >= 0):
		m.take(m.pos+1, Code)
		m.script(max(m.pos, end-1), false, false)
		m.take(end, Code)
	case !m.vue:
		m.take(m.pos+1, String)
		for m.pos < m.end && m.src[m.pos] != quote {
			if m.at("{") {
				m.expression()
				continue
			}
			i := bytes.IndexAny(m.src[m.pos:m.end], "{"+string(quote))
			if i < 0 {
				i = m.end - m.pos
			}
			m.take(m.pos+i, String)
		}
		m.take(m.pos+1, String)
	default:
		m.take(end, String)
	}
}

// section takes the text of script or style up to its end tag.
func (m *markup) section(name string, jsx bool) {
	end := m.end
	if at := regexp.MustCompile(`(?i)</` + name + `\b`).FindIndex(m.src[m.pos:m.end]); at != nil {
		end = m.pos + at[0]
	}
	if name == "script" {
		m.script(end, jsx, false)
		return
	}
	for m.pos < end {
		at := bytes.Index(m.src[m.pos:end], []byte("/*"))
		if at < 0 {
			break
		}
		m.take(m.pos+at, String)
		m.take(min(end, m.after(m.pos+2, "*/")), Comment)
	}
	m.take(end, String)
}
