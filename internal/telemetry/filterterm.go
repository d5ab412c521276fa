package telemetry

import (
	"strconv"
	"strings"
	"time"
)

// pattern is a text with wildcards, compiled.
type pattern struct {
	raw   string   // as to be written again, without quotes
	parts []string // literal pieces between stars; one piece = no star
	exact bool     // compare with case
}

var escapeStars = strings.NewReplacer(`\`, `\\`, `*`, `\*`)

// newPattern compiles raw, in which \* and \\ are literal; other stars are
// wildcards if wild is set.
func newPattern(raw string, wild, exact bool) pattern {
	p := pattern{exact: exact}
	var piece strings.Builder
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '\\' && i+1 < len(raw) && (raw[i+1] == '*' || raw[i+1] == '\\'):
			i++
			piece.WriteByte(raw[i])
		case c == '*' && wild:
			p.parts = append(p.parts, piece.String())
			piece.Reset()
		default:
			piece.WriteByte(c)
		}
	}
	p.parts = append(p.parts, piece.String())
	escaped := make([]string, len(p.parts))
	for i, part := range p.parts {
		escaped[i] = escapeStars.Replace(part)
	}
	p.raw = strings.Join(escaped, "*")
	if !exact {
		for i := range p.parts {
			p.parts[i] = strings.ToLower(p.parts[i])
		}
	}
	return p
}

func (p *pattern) match(s string) bool {
	if len(p.parts) == 1 {
		if p.exact {
			return s == p.parts[0]
		}
		return strings.EqualFold(s, p.parts[0]) || strings.ToLower(s) == p.parts[0]
	}
	if !p.exact {
		s = strings.ToLower(s)
	}
	first, last := p.parts[0], p.parts[len(p.parts)-1]
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range p.parts[1 : len(p.parts)-1] {
		at := strings.Index(s, part)
		if at < 0 {
			return false
		}
		s = s[at+len(part):]
	}
	return true
}

// textTerm is key:value, key:[a, b].
type textTerm struct {
	key    string
	values []pattern
	list   bool
}

func (t *textTerm) match(r Record, _ time.Time) bool {
	s, ok := r.Field(t.key)
	if !ok {
		return false
	}
	for i := range t.values {
		if t.values[i].match(s) {
			return true
		}
	}
	return false
}

func (t *textTerm) write(b *strings.Builder, _ bool) {
	b.WriteString(quoteKey(t.key))
	b.WriteByte(':')
	if !t.list {
		b.WriteString(quoteValue(t.values[0].raw))
		return
	}
	b.WriteByte('[')
	for i := range t.values {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quoteValue(t.values[i].raw))
	}
	b.WriteByte(']')
}

// numberTerm is key:>=5 and its like.
type numberTerm struct {
	key   string
	op    string // = != < <= > >=
	value float64
}

func compare[T float64 | int64](op string, a, b T) bool {
	switch op {
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	case ">=":
		return a >= b
	case "!=":
		return a != b
	}
	return a == b
}

func (t *numberTerm) match(r Record, _ time.Time) bool {
	v, ok := r.Number(t.key)
	return ok && compare(t.op, v, t.value)
}

func (t *numberTerm) write(b *strings.Builder, _ bool) {
	b.WriteString(quoteKey(t.key))
	b.WriteByte(':')
	if t.op != "=" {
		b.WriteString(t.op)
	}
	b.WriteString(strconv.FormatFloat(t.value, 'f', -1, 64))
}

// dateTerm compares a date with an instant, or with an age when ago is set.
type dateTerm struct {
	key  string
	op   string // "" = the same UTC day
	at   time.Time
	ago  time.Duration
	text string // as written, for relative dates
}

const day = 24 * time.Hour

func (t *dateTerm) match(r Record, now time.Time) bool {
	v, ok := r.Instant(t.key)
	if !ok {
		return false
	}
	if t.text != "" {
		return compare(t.op, v.UnixNano(), now.Add(-t.ago).UnixNano())
	}
	if t.op == "=" || t.op == "!=" {
		return v.Truncate(day).Equal(t.at.Truncate(day)) == (t.op == "=")
	}
	return compare(t.op, v.UnixNano(), t.at.UnixNano())
}

func (t *dateTerm) write(b *strings.Builder, _ bool) {
	b.WriteString(t.key)
	b.WriteByte(':')
	if t.text != "" {
		b.WriteString(t.text)
		return
	}
	if t.op != "=" {
		b.WriteString(t.op)
	}
	b.WriteString(t.at.Format(time.RFC3339Nano))
}

// hasTerm is has:key.
type hasTerm struct{ key string }

func (t *hasTerm) match(r Record, _ time.Time) bool {
	if s, ok := r.Field(t.key); ok {
		return s != ""
	}
	_, ok := r.Number(t.key)
	return ok
}

func (t *hasTerm) write(b *strings.Builder, _ bool) { b.WriteString("has:" + quoteKey(t.key)) }

// isTerm is is:status, for issues.
type isTerm struct{ status string }

func (t *isTerm) match(r Record, _ time.Time) bool { _, ok := r.Field("is:" + t.status); return ok }

func (t *isTerm) write(b *strings.Builder, _ bool) { b.WriteString("is:" + t.status) }

// wordTerm is free text: contained in title or message, without case.
type wordTerm struct{ text, lower string }

func (t *wordTerm) match(r Record, _ time.Time) bool {
	for _, key := range [...]string{"title", "message"} {
		if s, ok := r.Field(key); ok && strings.Contains(strings.ToLower(s), t.lower) {
			return true
		}
	}
	return false
}

func (t *wordTerm) write(b *strings.Builder, _ bool) { b.WriteString(quote(t.text)) }

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// quoteValue quotes a raw pattern where it could not be read back bare. In a
// raw pattern the backslashes of stars are kept, so only quotes are escaped.
func quoteValue(raw string) string {
	plain := raw != "" && !strings.ContainsAny(raw, " \t\r\n()[]{},\"\\<>=!+") && raw[0] != '-'
	if plain {
		return raw
	}
	return `"` + strings.ReplaceAll(raw, `"`, `\"`) + `"`
}

func quoteKey(key string) string {
	name, isTag := strings.CutPrefix(key, "tags[")
	if isTag {
		name = strings.TrimSuffix(name, "]")
		if plainKey(name) {
			return key
		}
		return "tags[" + quote(name) + "]"
	}
	if plainKey(key) {
		return key
	}
	return quote(key)
}

func plainKey(s string) bool {
	for i := 0; i < len(s); i++ {
		if !keyByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func keyByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '-'
}
