package telemetry

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
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
	f, _, err := parseFilter(text, dropComments(text))
	return f, err
}

// parseFilter compiles src, which is text with blanks in place of what is no
// part of the search; errors tell of text. The parser holds what it met.
func parseFilter(text, src string) (Filter, *filterParser, error) {
	p := &filterParser{text: text, src: src}
	if len(text) > maxFilterBytes {
		return Filter{}, p, p.fail(0, "it is too long", "keep it under 8 KiB")
	}
	p.blanks()
	if p.pos == len(p.src) {
		return Filter{}, p, nil
	}
	root, err := p.or(0)
	if err != nil {
		return Filter{}, p, err
	}
	if p.pos < len(p.src) {
		return Filter{}, p, p.fail(p.pos, "a bracket is closed that was not opened", "delete it or open one before")
	}
	return Filter{root: root}, p, nil
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

	keys  []foundKey    // of the terms, in order
	notes []Translation // loose forms that were read
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
	if list, ok := n.(all); ok && list.limits() {
		return append(terms, list...) // a range
	}
	return append(terms, n)
}

// limits reports whether all terms are limits of numbers or dates.
func (n all) limits() bool {
	for _, t := range n {
		switch t.(type) {
		case *numberTerm, *dateTerm:
		default:
			return false
		}
	}
	return true
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
		n, err := p.keyed(key)
		if err == nil {
			p.met(began, key, n)
		}
		return n, err
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

// met notes the key of a term that was read, and whether it was a loose form:
// another name of the field, a range, an age in words.
func (p *filterParser) met(began int, written string, n node) {
	key := canonicalKey(written)
	if t, ok := n.(*textTerm); ok {
		key = t.key
	}
	if h, ok := n.(*hasTerm); ok {
		key = h.key
	}
	p.keys = append(p.keys, foundKey{key, began})
	var b strings.Builder
	n.write(&b, false)
	said, canonical := p.src[began:p.pos], b.String()
	_, number := n.(*numberTerm)
	if number && key == written && !strings.ContainsAny(said, "[{") {
		return // 500ms and 500 are the same
	}
	if _, date := n.(*dateTerm); date && key == written && plainAge.MatchString(said) {
		return // -7d and -1w are the same
	}
	if written == "url" {
		return // the canonical name says only what is compared
	}
	if strings.ReplaceAll(said, `"`, "") != strings.ReplaceAll(canonical, `"`, "") {
		p.notes = append(p.notes, Translation{Column: utf8.RuneCountInString(p.text[:began]) + 1, From: said, To: canonical})
	}
}

// plainAge is a date term in its own form.
var plainAge = regexp.MustCompile(`:[+-][0-9]+[smhdw]$`)

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
