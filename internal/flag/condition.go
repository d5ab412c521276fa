package flag

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const conditionExample = `expected terms such as role = admin, joined by " and ": role = admin and country in [NL, BE]`

// ParseCondition reads an audience: terms `attr = value`, `attr != value`,
// `attr in [a, b]` and `attr not in [a, b]`, joined by " and ". A value with a
// space, comma or bracket stands in double quotes. An empty text is the zero
// Condition: everybody.
func ParseCondition(text string) (Condition, error) {
	tokens, err := conditionTokens(text)
	if err != nil {
		return Condition{}, fmt.Errorf("condition %q: %w; %s", text, err, conditionExample)
	}
	if len(tokens) == 0 {
		return Condition{}, nil
	}
	p := conditionParser{tokens: tokens}
	c := Condition{Text: strings.TrimSpace(text)}
	for {
		t, err := p.term()
		if err != nil {
			return Condition{}, fmt.Errorf("condition %q: %w; %s", text, err, conditionExample)
		}
		c.Terms = append(c.Terms, t)
		if p.done() {
			return c, nil
		}
		if next := p.next(); next.quoted || !strings.EqualFold(next.text, "and") {
			return Condition{}, fmt.Errorf("condition %q: %q after a term, only \"and\" may follow; %s", text, next.text, conditionExample)
		}
	}
}

type token struct {
	text   string
	quoted bool // a value in quotes is never a sign or a word of the grammar
}

func (t token) is(sign string) bool { return !t.quoted && t.text == sign }

type conditionParser struct{ tokens []token }

func (p *conditionParser) done() bool { return len(p.tokens) == 0 }

func (p *conditionParser) next() token {
	if p.done() {
		return token{}
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

func (p *conditionParser) term() (Term, error) {
	name := p.next()
	if name.text == "" || !name.quoted && strings.ContainsAny(name.text, "=![],") {
		return Term{}, errors.New("an attribute name is missing")
	}
	t := Term{Attribute: name.text}
	switch op := p.next(); {
	case op.is("="), op.is("=="):
		return p.single(t)
	case op.is("!="):
		t.Not = true
		return p.single(t)
	case op.is("not"):
		t.Not = true
		if !p.next().is("in") {
			return Term{}, fmt.Errorf("%s: \"not\" must be followed by \"in\"", t.Attribute)
		}
		return p.several(t)
	case op.is("in"):
		return p.several(t)
	default:
		return Term{}, fmt.Errorf("%s: expected =, !=, in or not in, found %q", t.Attribute, op.text)
	}
}

func (p *conditionParser) single(t Term) (Term, error) {
	v, err := p.value(t.Attribute)
	t.Values = []string{v}
	return t, err
}

func (p *conditionParser) value(attribute string) (string, error) {
	if p.done() {
		return "", fmt.Errorf("%s: a value is missing", attribute)
	}
	v := p.next()
	if !v.quoted && slices.Contains([]string{"[", "]", ",", "=", "==", "!="}, v.text) {
		return "", fmt.Errorf("%s: expected a value, found %q", attribute, v.text)
	}
	return v.text, nil
}

func (p *conditionParser) several(t Term) (Term, error) {
	if !p.next().is("[") {
		return Term{}, fmt.Errorf("%s: a list in brackets is missing", t.Attribute)
	}
	for {
		v, err := p.value(t.Attribute)
		if err != nil {
			return Term{}, err
		}
		t.Values = append(t.Values, v)
		switch end := p.next(); {
		case end.is("]"):
			return t, nil
		case !end.is(","):
			return Term{}, fmt.Errorf("%s: expected \",\" or \"]\" in the list, found %q", t.Attribute, end.text)
		}
	}
}

func conditionTokens(s string) ([]token, error) {
	var tokens []token
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		switch {
		case s == "":
			return tokens, nil
		case s[0] == '"':
			end := strings.IndexByte(s[1:], '"')
			if end < 0 {
				return nil, errors.New("a quote is not closed")
			}
			tokens = append(tokens, token{text: s[1 : end+1], quoted: true})
			s = s[end+2:]
		case strings.HasPrefix(s, "!=") || strings.HasPrefix(s, "=="):
			tokens = append(tokens, token{text: s[:2]})
			s = s[2:]
		case strings.ContainsRune("[],=", rune(s[0])):
			tokens = append(tokens, token{text: s[:1]})
			s = s[1:]
		default:
			end := strings.IndexAny(s[1:], " \t\r\n[],=!\"") + 1
			if end == 0 {
				end = len(s)
			}
			tokens = append(tokens, token{text: s[:end]})
			s = s[end:]
		}
	}
}

// Holds reports whether every term holds of the attributes that get knows.
// An absent or null attribute meets no term, neither = nor !=: who is not
// known to be in the audience is not in it. Text, booleans and numbers are
// compared with the term's text by value; of the attribute "groups", which
// may be a list, one element suffices.
func (c Condition) Holds(get func(attribute string) (value any, ok bool)) bool {
	for _, t := range c.Terms {
		v, ok := get(t.Attribute)
		if !ok || v == nil || t.matches(v) == t.Not {
			return false
		}
	}
	return true
}

func (t Term) matches(v any) bool {
	literals := t.literals()
	if t.Attribute != groupsAttribute {
		return contains(literals, v)
	}
	for _, member := range members(v) {
		if contains(literals, member) {
			return true
		}
	}
	return false
}

// literals are the term's values as rules compare them strictly: text and,
// where the text is a boolean or a number, that too.
func (t Term) literals() []any {
	out := make([]any, 0, len(t.Values))
	for _, v := range t.Values {
		out = append(out, v)
		switch f := parseFloat(v); {
		case v == "true" || v == "false":
			out = append(out, v == "true")
		case f == f && formatNumber(f) == v:
			out = append(out, f)
		}
	}
	return out
}

// members are the elements of a list, or the value itself.
func members(v any) []any {
	if l, ok := asList(v); ok {
		return l
	}
	return []any{v}
}
