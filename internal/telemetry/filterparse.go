package telemetry

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of a search text.
const (
	maxFilterBytes = 8192
	maxFilterDepth = 32
)

// issueStatuses are the values of is:.
var issueStatuses = []string{"unresolved", "resolved", "ignored", "for_review"}

// ParseFilter compiles a search text: Sentry's grammar (terms joined by AND,
// which binds tighter than OR; brackets; ! or NOT; key:value, key:[a, b],
// key:>=5, has:key, is:status, left-over words as free text) and the loose
// forms tags.X, [a TO b], {a TO b}, long names of web vitals, url:/path,
// relative dates (-24h) and "1 day". Line breaks are blanks and lines that
// begin with # are comments. An empty text matches everything. What cannot be
// understood is a *SyntaxError, never free text.
func ParseFilter(text string) (Filter, error) {
	p := &filterParser{text: text}
	if len(text) > maxFilterBytes {
		return Filter{}, p.fail(0, "it is too long", "keep it under 8 KiB")
	}
	p.src = dropComments(text)
	p.blanks()
	if p.pos == len(p.src) {
		return Filter{}, nil
	}
	root, err := p.or(0)
	if err != nil {
		return Filter{}, err
	}
	if p.pos < len(p.src) {
		return Filter{}, p.fail(p.pos, "a bracket is closed that was not opened", "delete it or open one before")
	}
	return Filter{root: root}, nil
}

// dropComments blanks out comment lines, so that positions stay.
func dropComments(text string) string {
	if !strings.Contains(text, "#") {
		return text
	}
	lines := strings.SplitAfter(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(strings.TrimLeft(l, " \t"), "#") {
			lines[i] = strings.Repeat(" ", len(l))
		}
	}
	return strings.Join(lines, "")
}

type filterParser struct {
	text string // as given
	src  string // without comments, same positions
	pos  int
}

func (p *filterParser) fail(at int, what, do string) error {
	at = min(at, len(p.text))
	return &SyntaxError{Text: p.text, Column: utf8.RuneCountInString(p.text[:at]) + 1, What: what, Do: do}
}

func (p *filterParser) blanks() {
	for p.pos < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.pos]) >= 0 {
		p.pos++
	}
}

// keyword consumes word, in any case, if it stands alone here.
func (p *filterParser) keyword(word string) bool {
	rest, ok := cutFold(p.src[p.pos:], word)
	if !ok || rest != "" && strings.IndexByte(" \t\r\n()", rest[0]) < 0 {
		return false
	}
	p.pos += len(word)
	p.blanks()
	return true
}

func (p *filterParser) or(depth int) (node, error) {
	if depth > maxFilterDepth {
		return nil, p.fail(p.pos, "brackets are nested too deep", "keep it under 32 levels")
	}
	var alternatives some
	for {
		n, err := p.and(depth)
		if err != nil {
			return nil, err
		}
		alternatives = append(alternatives, n)
		if !p.keyword("or") {
			break
		}
	}
	if len(alternatives) == 1 {
		return alternatives[0], nil
	}
	return alternatives, nil
}

func (p *filterParser) and(depth int) (node, error) {
	var terms all
	for {
		n, err := p.unary(depth)
		if err != nil {
			return nil, err
		}
		terms = appendWord(terms, n)
		joined := p.keyword("and")
		if !joined && p.ends() {
			break
		}
	}
	if len(terms) == 1 {
		return terms[0], nil
	}
	return terms, nil
}

// appendWord joins consecutive free words to one text.
func appendWord(terms all, n node) all {
	if w, ok := n.(*wordTerm); ok && len(terms) > 0 {
		if last, ok := terms[len(terms)-1].(*wordTerm); ok {
			text := last.text + " " + w.text
			terms[len(terms)-1] = &wordTerm{text: text, lower: strings.ToLower(text)}
			return terms
		}
	}
	return append(terms, n)
}

// ends reports whether the list of AND terms is over: at the end, a closing
// bracket or the word OR.
func (p *filterParser) ends() bool {
	if p.pos == len(p.src) || p.src[p.pos] == ')' {
		return true
	}
	at := p.pos
	isOr := p.keyword("or")
	p.pos = at
	return isOr
}

func (p *filterParser) unary(depth int) (node, error) {
	negated := false
	for {
		if p.pos < len(p.src) && p.src[p.pos] == '!' {
			p.pos++
			p.blanks()
		} else if !p.keyword("not") {
			break
		}
		negated = !negated
	}
	n, err := p.primary(depth)
	if err != nil || !negated {
		return n, err
	}
	return not{n}, nil
}

func (p *filterParser) primary(depth int) (node, error) {
	if p.pos == len(p.src) {
		return nil, p.fail(p.pos, "it ends where a term is expected", "write key:value or delete the last operator")
	}
	switch p.src[p.pos] {
	case ')':
		return nil, p.fail(p.pos, "a term is missing before )", "write key:value or delete the brackets")
	case '(':
		open := p.pos
		p.pos++
		p.blanks()
		n, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		if p.pos == len(p.src) {
			return nil, p.fail(open, "the bracket is not closed", "add )")
		}
		p.pos++
		p.blanks()
		return n, nil
	}
	n, err := p.term()
	if err == nil {
		p.blanks()
	}
	return n, err
}

func (p *filterParser) term() (node, error) {
	began := p.pos
	key, quoted, err := p.key()
	if err != nil {
		return nil, err
	}
	if p.pos < len(p.src) && p.src[p.pos] == ':' && key != "" {
		p.pos++
		return p.keyed(key)
	}
	if p.pos < len(p.src) && p.src[p.pos] == '(' && key != "" && !quoted {
		return nil, p.fail(began, key+"(...) is an aggregate", "put it into the rule, not into the filter")
	}
	if quoted {
		return &wordTerm{text: key, lower: strings.ToLower(key)}, nil
	}
	for p.pos < len(p.src) && strings.IndexByte(" \t\r\n()", p.src[p.pos]) < 0 {
		p.pos++
	}
	word := p.src[began:p.pos]
	if word == "" || strings.ContainsAny(word, `:<>=[]{}"`) {
		return nil, p.fail(began, strconv.Quote(word)+" is neither key:value nor a word", `write key:value, or quote free text`)
	}
	return &wordTerm{text: word, lower: strings.ToLower(word)}, nil
}

// key reads a key: bare, quoted, or tags[name].
func (p *filterParser) key() (key string, quoted bool, err error) {
	if p.src[p.pos] == '"' {
		key, err = p.quotedText(false)
		return key, true, err
	}
	began := p.pos
	for p.pos < len(p.src) && keyByte(p.src[p.pos]) {
		p.pos++
	}
	key = p.src[began:p.pos]
	if !strings.EqualFold(key, "tags") || p.pos == len(p.src) || p.src[p.pos] != '[' {
		return key, false, nil
	}
	open := p.pos
	p.pos++
	var name string
	if p.pos < len(p.src) && p.src[p.pos] == '"' {
		if name, err = p.quotedText(false); err != nil {
			return "", false, err
		}
	} else {
		end := strings.IndexAny(p.src[p.pos:], "] \t\r\n")
		if end < 0 {
			end = len(p.src) - p.pos
		}
		name = p.src[p.pos : p.pos+end]
		p.pos += end
	}
	if p.pos == len(p.src) || p.src[p.pos] != ']' || name == "" {
		return "", false, p.fail(open, "the tag's name is not closed", "write tags[name]")
	}
	p.pos++
	return "tags[" + name + "]", false, nil
}

// quotedText reads "..." with \" and, where raw is false, \\ resolved. Raw
// text keeps the backslashes of stars for the pattern.
func (p *filterParser) quotedText(raw bool) (string, error) {
	open := p.pos
	var b strings.Builder
	for p.pos++; p.pos < len(p.src); p.pos++ {
		switch c := p.src[p.pos]; {
		case c == '"':
			p.pos++
			return b.String(), nil
		case c == '\\' && p.pos+1 < len(p.src) && (p.src[p.pos+1] == '"' || p.src[p.pos+1] == '\\'):
			p.pos++
			if raw && p.src[p.pos] == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(p.src[p.pos])
		default:
			b.WriteByte(c)
		}
	}
	return "", p.fail(open, "the quotation mark is not closed", `add "`)
}

func (p *filterParser) keyed(key string) (node, error) {
	key = canonicalKey(key)
	at := p.pos
	switch key {
	case "has":
		if p.pos == len(p.src) {
			return nil, p.fail(at, "has: needs a key", "write has:key")
		}
		name, _, err := p.key()
		if err != nil || name == "" {
			return nil, orElse(err, p.fail(at, "has: needs a key", "write has:key"))
		}
		return &hasTerm{key: canonicalKey(name)}, nil
	case "is":
		status := strings.ToLower(p.bare())
		if !slices.Contains(issueStatuses, status) {
			return nil, p.fail(at, "is:"+status+" is no status", "use is:"+strings.Join(issueStatuses, ", is:"))
		}
		return &isTerm{status: status}, nil
	}
	if p.pos < len(p.src) && (p.src[p.pos] == '[' || p.src[p.pos] == '{') {
		return p.group(key)
	}
	return p.single(key)
}

func orElse(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func (p *filterParser) bare() string {
	began := p.pos
	for p.pos < len(p.src) && strings.IndexByte(" \t\r\n()", p.src[p.pos]) < 0 {
		p.pos++
	}
	return p.src[began:p.pos]
}

// single reads [op] value.
func (p *filterParser) single(key string) (node, error) {
	at, op := p.pos, ""
	for _, o := range []string{">=", "<=", "!=", ">", "<", "="} {
		if strings.HasPrefix(p.src[p.pos:], o) {
			op, p.pos = o, p.pos+len(o)
			break
		}
	}
	var value string
	quoted := p.pos < len(p.src) && p.src[p.pos] == '"'
	if quoted {
		var err error
		if value, err = p.quotedText(true); err != nil {
			return nil, err
		}
	} else if value = p.bare(); strings.Contains(value, `"`) {
		return nil, p.fail(at, "a quotation mark inside a bare value", "quote the whole value")
	}
	if value == "" && !quoted {
		return nil, p.fail(at, "the value of "+key+" is missing", "write key:value, or has:key for any value")
	}
	return p.value(at, key, op, value)
}

// value makes the term for one operator and value, by the type of the field.
func (p *filterParser) value(at int, key, op, value string) (node, error) {
	switch typ := typeOf(key); typ {
	case dateField:
		return p.date(at, key, op, value)
	case numberField, durationField:
		if op == "" && strings.Contains(value, "*") {
			break // 5* on a number compares its text
		}
		v, err := parseQuantity(value, typ)
		if err != nil {
			return nil, p.fail(at, strconv.Quote(value)+" is no number for "+key, "write a number, with a unit if need be: 500ms, 2.5s, 1k")
		}
		if op == "" {
			op = "="
		}
		return &numberTerm{key: key, op: op, value: v}, nil
	case openField:
		if isOrder(op) {
			v, err := parseQuantity(value, numberField)
			if err != nil {
				return nil, p.fail(at, strconv.Quote(value)+" is no number", "use "+op+" with a number")
			}
			return &numberTerm{key: key, op: op, value: v}, nil
		}
	default:
		if isOrder(op) {
			return nil, p.fail(at, key+" is a text field and takes no "+op, "write "+key+":value")
		}
	}
	if key == "url" && strings.HasPrefix(value, "/") {
		key = "url.path"
	}
	t := &textTerm{key: key, values: []pattern{newPattern(value, true, exactFields[key])}}
	if op == "!=" {
		return not{t}, nil
	}
	return t, nil
}

func isOrder(op string) bool { return op != "" && op != "=" && op != "!=" }

// group reads [a, b], [a TO b] or {a TO b}.
func (p *filterParser) group(key string) (node, error) {
	open, closer := p.pos, byte(']')
	if p.src[open] == '{' {
		closer = '}'
	}
	p.pos++
	var items []string
	var to bool
	for {
		p.blanks()
		if p.pos == len(p.src) {
			return nil, p.fail(open, "bracket not closed", "add "+string(closer))
		}
		if p.src[p.pos] == closer {
			p.pos++
			break
		}
		if len(items) == 1 && p.keyword("to") {
			to = true
			continue
		}
		if len(items) > 0 && !to {
			if p.src[p.pos] != ',' {
				return nil, p.fail(p.pos, "a comma is missing in the list", "write [a, b], or [a TO b] for a range")
			}
			p.pos++
			p.blanks()
		}
		item, err := p.item(closer)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	if to || closer == '}' {
		return p.span(open, key, items, closer == ']')
	}
	return p.list(open, key, items)
}

func (p *filterParser) item(closer byte) (string, error) {
	if p.pos < len(p.src) && p.src[p.pos] == '"' {
		return p.quotedText(true)
	}
	began := p.pos
	for p.pos < len(p.src) && strings.IndexByte(" \t\r\n,()[]{}\"", p.src[p.pos]) < 0 {
		p.pos++
	}
	if p.pos == began {
		return "", p.fail(began, "a value is missing in the list", "write [a, b] and close it with "+string(closer))
	}
	return p.src[began:p.pos], nil
}

func (p *filterParser) list(at int, key string, items []string) (node, error) {
	if len(items) == 0 {
		return nil, p.fail(at, "the list is empty", "write [a, b]")
	}
	switch typ := typeOf(key); typ {
	case dateField:
		return nil, p.fail(at, key+" takes no list", "write a date")
	case numberField, durationField:
		var terms some
		for _, it := range items {
			n, err := p.value(at, key, "=", it)
			if err != nil {
				return nil, err
			}
			terms = append(terms, n)
		}
		if len(terms) == 1 {
			return terms[0], nil
		}
		return terms, nil
	}
	t := &textTerm{key: key, list: true}
	for _, it := range items {
		t.values = append(t.values, newPattern(it, false, exactFields[key]))
	}
	return t, nil
}

// span makes the terms of a range; * is an open end.
func (p *filterParser) span(at int, key string, ends []string, inclusive bool) (node, error) {
	if len(ends) != 2 {
		return nil, p.fail(at, "a range has two ends", "write [a TO b], with * for an open end")
	}
	if typeOf(key) == textField {
		return nil, p.fail(at, key+" is a text field and takes no range", "write "+key+":value or a list [a, b]")
	}
	ops := [2]string{">", "<"}
	if inclusive {
		ops = [2]string{">=", "<="}
	}
	var terms all
	for i, end := range ends {
		if end == "*" {
			continue
		}
		n, err := p.value(at, key, ops[i], end)
		if err != nil {
			return nil, err
		}
		terms = append(terms, n)
	}
	switch len(terms) {
	case 0:
		return &hasTerm{key: key}, nil
	case 1:
		return terms[0], nil
	}
	return terms, nil
}

func (p *filterParser) date(at int, key, op, value string) (node, error) {
	if t, ok := relativeDate(value); ok && op == "" {
		t.key = key
		return t, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if v, err := time.Parse(layout, value); err == nil {
			if op == "" {
				op = "="
			}
			return &dateTerm{key: key, op: op, at: v.UTC()}, nil
		}
	}
	return nil, p.fail(at, strconv.Quote(value)+" is no date", "write -24h (newer), +30d (older) or >=2025-02-19")
}

// relativeDate reads -24h, +30d and "1 day" (= -1d).
func relativeDate(value string) (*dateTerm, bool) {
	op, sign, rest := ">=", "-", value
	if s, ok := strings.CutPrefix(value, "-"); ok {
		rest = s
	} else if s, ok := strings.CutPrefix(value, "+"); ok {
		op, sign, rest = "<=", "+", s
	} else if !strings.Contains(value, " ") {
		return nil, false
	}
	ms, err := parseQuantity(strings.TrimSuffix(strings.ReplaceAll(rest, " ", ""), "ago"), durationField)
	last := byte(0)
	if rest != "" {
		last = rest[len(rest)-1]
	}
	if err != nil || ms < 0 || ms > maxRelativeMS || last >= '0' && last <= '9' {
		return nil, false
	}
	return &dateTerm{op: op, ago: time.Duration(ms) * time.Millisecond, text: sign + formatAge(ms)}, true
}

const maxRelativeMS = 100 * 366 * 86_400_000 // a century

func formatAge(ms float64) string {
	for _, u := range []struct {
		name string
		ms   int64
	}{{"w", 604_800_000}, {"d", 86_400_000}, {"h", 3_600_000}, {"m", 60_000}, {"s", 1000}} {
		if int64(ms)%u.ms == 0 {
			return strconv.FormatInt(int64(ms)/u.ms, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(ms), 10) + "ms"
}

var durationUnits = map[string]float64{
	"": 1, "ms": 1, "milliseconds": 1, "s": 1e3, "sec": 1e3, "second": 1e3, "seconds": 1e3,
	"m": 6e4, "min": 6e4, "minute": 6e4, "minutes": 6e4, "h": 3.6e6, "hr": 3.6e6, "hour": 3.6e6, "hours": 3.6e6,
	"d": 8.64e7, "day": 8.64e7, "days": 8.64e7, "w": 6.048e8, "wk": 6.048e8, "week": 6.048e8, "weeks": 6.048e8,
}

var numberUnits = map[string]float64{
	"": 1, "k": 1e3, "m": 1e6, "b": 1e9, "%": 0.01, "kb": 1e3, "mb": 1e6, "gb": 1e9,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
}

// parseQuantity reads a number with an optional unit. A bare number in a
// duration field is milliseconds.
func parseQuantity(text string, typ fieldType) (float64, error) {
	end := len(text)
	for end > 0 && strings.IndexByte("0123456789.", text[end-1]) < 0 {
		end--
	}
	units := numberUnits
	if typ == durationField {
		units = durationUnits
	}
	factor, ok := units[strings.ToLower(text[end:])]
	if !ok {
		return 0, strconv.ErrSyntax
	}
	if strings.ContainsAny(text[:end], "xXpP_iInN") {
		return 0, strconv.ErrSyntax
	}
	v, err := strconv.ParseFloat(text[:end], 64)
	return v * factor, err
}
