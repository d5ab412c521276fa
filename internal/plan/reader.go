package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"serin/internal/flag"
)

// reader walks the YAML tree of one file and collects its problems.
type reader struct {
	file     string
	lines    []string
	problems Problems
	plan     *Plan
}

// at adds a problem at a place, which is moved into the file if need be.
func (r *reader) at(line, column int, level Level, f *finding) {
	line = min(max(line, 1), len(r.lines))
	excerpt := r.lines[line-1]
	column = min(max(column, 1), len(excerpt)+1)
	r.problems = append(r.problems, Problem{
		File: r.file, Line: line, Column: column, Severity: level,
		Code: f.code, What: f.what, Fix: f.fix, Excerpt: excerpt,
	})
}

// fail adds an error at a node.
func (r *reader) fail(n *yaml.Node, code, what, fix string) {
	r.at(n.Line, n.Column, Error, &finding{code, what, fix})
}

// text returns a scalar's text: any that is not empty and not typed.
func (r *reader) text(n *yaml.Node, what string) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		r.fail(n, "E03", what+": "+kindName(n)+" where a text belongs", "write one text")
	case isNothing(n) || n.Value == "":
		r.fail(n, "E03", what+" has no value", "write one, or delete the key")
	case plain(n) && (wholeForm.MatchString(n.Value) || n.Value == "true" || n.Value == "false"):
		r.fail(n, "E03", fmt.Sprintf("%s %q is no text", what, n.Value), "quote it: "+strconv.Quote(n.Value))
	default:
		return n.Value, true
	}
	return "", false
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a text"
}

// list returns the nodes of a list.
func (r *reader) list(n *yaml.Node, what string) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "E03", what+": "+kindName(n)+" where a list belongs", "write [a, b], or one line with - for each")
		return nil
	}
	return n.Content
}

// texts returns a list of texts; single allows one text in place of a list.
func (r *reader) texts(n *yaml.Node, what string, single bool) []string {
	if single && n.Kind == yaml.ScalarNode {
		if t, ok := r.text(n, what); ok {
			return []string{t}
		}
		return nil
	}
	var all []string
	for _, c := range r.list(n, what) {
		if t, ok := r.text(c, what); ok {
			all = append(all, t)
		}
	}
	if single && n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		r.fail(n, "E03", what+" is an empty list", "name one, or delete the key")
	}
	return all
}

// object is one mapping of the file.
type object struct {
	r      *reader
	node   *yaml.Node
	where  string // for people: "judge"
	path   string // of its keys in Plan.Positions: "judge."
	fields map[string]*yaml.Node
	keys   []*yaml.Node // in order
}

// hints are what old or guessed keys are called here.
var hints = map[string]string{
	"confidence": "false_rollback: 1%", "timezones": "timezone", "tz": "timezone", "percentage": "traffic",
	"weight": "traffic", "duration": "bake", "name": "stage", "metric": "metrics", "significance": "false_rollback: 1%",
}

// object reads a mapping whose keys are known; nil when it is none. Without
// known keys any are allowed.
func (r *reader) object(n *yaml.Node, where, path string, known ...string) *object {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "E03", where+": "+kindName(n)+" where KEY: VALUE belongs", "write { key: value }")
		return nil
	}
	o := &object{r: r, node: n, where: where, path: path, fields: map[string]*yaml.Node{}}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || o.fields[key.Value] != nil {
			continue // reported by check
		}
		if len(known) > 0 && !contains(known, key.Value) {
			r.unknownKey(key, where, known)
			continue
		}
		o.fields[key.Value] = value
		o.keys = append(o.keys, key)
		r.plan.Positions[path+key.Value] = Position{key.Line, key.Column}
	}
	return o
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}

func (r *reader) unknownKey(key *yaml.Node, where string, known []string) {
	what := fmt.Sprintf("unknown key %q", key.Value)
	if where != "" {
		what += " in " + where
	}
	hint := hints[key.Value]
	word, _, _ := strings.Cut(hint, ":")
	if near := suggest(key.Value, known); near != "" {
		hint = near
	} else if !contains(known, word) {
		hint = ""
	}
	if hint == "" {
		r.fail(key, "E02", what, "one of "+strings.Join(known, ", "))
		return
	}
	r.fail(key, "E02", what, "use "+hint)
}

// get returns the value node of a key; an empty one is reported and not given.
func (o *object) get(key string) *yaml.Node {
	if o == nil || o.fields[key] == nil {
		return nil
	}
	n := o.fields[key]
	if isNothing(n) {
		o.r.fail(n, "E03", key+" has no value", "write one, or delete the key")
		return nil
	}
	return n
}

// need reports a required key that is missing.
func (o *object) need(keys ...string) {
	if o == nil {
		return
	}
	for _, k := range keys {
		if o.fields[k] == nil {
			what := fmt.Sprintf("key %q is missing", k)
			if o.where != "" {
				what += " in " + o.where
			}
			o.r.fail(o.node, "E02", what, "add "+k+": ...")
		}
	}
}

func (o *object) text(key string, to *string) {
	if n := o.get(key); n != nil {
		if t, ok := o.r.text(n, key); ok {
			*to = t
		}
	}
}

func (o *object) name(key string, to *string) {
	if n := o.get(key); n != nil {
		if t, ok := o.r.text(n, key); ok && o.r.isName(n, key, t) {
			*to = t
		}
	}
}

func (r *reader) isName(n *yaml.Node, what, text string) bool {
	if nameForm.MatchString(text) {
		return true
	}
	r.fail(n, "E03", fmt.Sprintf("%s %q is no name", what, text), "use small letters, digits and -, a letter first")
	return false
}

func (o *object) texts(key string, to *[]string) {
	if n := o.get(key); n != nil {
		*to = o.r.texts(n, key, false)
	}
}

func (o *object) oneOrMore(key string, to *[]string) {
	if n := o.get(key); n != nil {
		*to = o.r.texts(n, key, true)
	}
}

func (o *object) duration(key string, to *time.Duration) {
	n := o.get(key)
	if n == nil {
		return
	}
	d, err := parseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		fix := "write a whole number and one of s m h d w, as in 15m"
		if n.Kind == yaml.ScalarNode && wholeForm.MatchString(n.Value) && plain(n) {
			fix = "write " + strings.TrimLeft(n.Value, "+-") + "h (s m h d w)"
		}
		o.r.fail(n, "E03", fmt.Sprintf("%s %q", key, n.Value), fix)
		return
	}
	*to = d
}

func (o *object) percent(key string, to *flag.Percent) {
	n := o.get(key)
	if n == nil {
		return
	}
	p, err := parsePercent(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		o.r.fail(n, "E03", fmt.Sprintf("%s %q", key, n.Value), percentFix(n.Value))
		return
	}
	*to = p
}

// percentFix says how a text that is no percentage should be written.
func percentFix(text string) string {
	number := strings.TrimSpace(strings.TrimSuffix(text, "%"))
	f, err := strconv.ParseFloat(number, 64)
	switch {
	case err != nil:
		return "write 10%"
	case f > 100:
		return "at most 100%"
	case f < 0:
		return "at least 0%"
	}
	if right := number + "%"; percentForm.MatchString(right) && right != text {
		return "write " + right
	}
	return "write at most three digits after the point, as in 12.5%"
}

// ratio reads a percentage as 0..1.
func (o *object) ratio(key string, to *float64) {
	p := flag.Percent(-1)
	if o.percent(key, &p); p >= 0 {
		*to = float64(p) / float64(flag.Everyone)
	}
}

func (o *object) integer(key string, least int, to *int) {
	n := o.get(key)
	if n == nil {
		return
	}
	v, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || !plain(n) || err != nil || v < least {
		o.r.fail(n, "E03", fmt.Sprintf("%s %q", key, n.Value), fmt.Sprintf("write a whole number, at least %d", least))
		return
	}
	*to = v
}

func (o *object) boolean(key string, to *bool) {
	n := o.get(key)
	if n == nil {
		return
	}
	if n.Kind != yaml.ScalarNode || !plain(n) || n.Value != "true" && n.Value != "false" {
		o.r.fail(n, "E03", fmt.Sprintf("%s %q", key, n.Value), "write true or false")
		return
	}
	*to = n.Value == "true"
}

func (o *object) clock(key string, to **Clock) {
	n := o.get(key)
	if n == nil {
		return
	}
	c, err := parseClock(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		o.r.fail(n, "E03", fmt.Sprintf("%s %q", key, n.Value), `write "09:00" or "09:00-13:00"`)
		return
	}
	*to = c
}

// date reads a date in the plan's zone; whole tells that it had no time of day.
func (o *object) date(key string, to *time.Time) (whole bool) {
	n := o.get(key)
	if n == nil {
		return false
	}
	t, whole, err := parseDate(n.Value, o.r.plan.Location)
	if n.Kind != yaml.ScalarNode || err != nil {
		o.r.fail(n, "E03", fmt.Sprintf("%s %q", key, n.Value), `write a date that exists, "2025-02-19" or "2025-02-19 09:00"`)
		return false
	}
	*to = t
	return whole
}

// word reads one of a few words.
func (o *object) word(key string, to *string, words ...string) {
	n := o.get(key)
	if n == nil {
		return
	}
	if n.Kind != yaml.ScalarNode || !contains(words, n.Value) {
		o.r.fail(n, "E03", fmt.Sprintf("%s %q", key, n.Value), "one of "+strings.Join(words, ", "))
		return
	}
	*to = n.Value
}
