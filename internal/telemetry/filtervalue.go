package telemetry

import (
	"strconv"
	"strings"
	"time"
)

// This room of the filter parser reads what follows "key:": operators, lists,
// spans, dates and quantities. Its neighbour filterparse.go reads the rest.

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
	switch {
	case key == "url" && strings.HasPrefix(value, "/"):
		key = "url.path"
	case key == "issue" && !issueID.MatchString(value) && !strings.Contains(value, "*"):
		key = "tags[feature]" // no short id of an issue
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
