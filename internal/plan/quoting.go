package plan

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

var (
	wholeForm     = regexp.MustCompile(`^[-+]?[0-9]+$`)
	plainTime     = regexp.MustCompile(`^([0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([ tT].*)?|[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?(-[0-9]{1,2}:[0-9]{2})?)$`)
	ambiguousWord = regexp.MustCompile(`^(?i:on|off|yes|no|true|false)$`)
)

// plain reports whether a scalar is written without quotes.
func plain(n *yaml.Node) bool {
	return n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

// isNothing reports whether n is an empty value, null or ~.
func isNothing(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && plain(n) && (n.Value == "" || n.Value == "~" || n.Value == "null")
}

// check walks the whole tree for what no plan may hold: anchors, aliases,
// tags, merge keys, duplicate keys and bare words that YAML readers disagree on.
func (r *reader) check(n, parent *yaml.Node, flow bool, name string) {
	flow = flow || n.Style&yaml.FlowStyle != 0
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.fail(n, "E01", "anchors and aliases are not allowed", "write the value out, or use a set of criteria or like")
		if n.Kind == yaml.AliasNode {
			return
		}
	case n.Style&yaml.TaggedStyle != 0:
		r.fail(n, "E01", "tag "+n.Tag+" is not allowed", "leave it out")
	}
	switch n.Kind {
	case yaml.ScalarNode:
		r.quotes(n, parent, flow)
	case yaml.SequenceNode:
		for _, c := range n.Content {
			r.check(c, n, flow, name)
		}
	case yaml.MappingNode:
		r.keys(n, flow, name)
	}
}

// keys checks a mapping's keys and values.
func (r *reader) keys(n *yaml.Node, flow bool, name string) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			r.fail(key, "E01", "a key that is no text", "write KEY: VALUE")
			continue
		}
		if key.Value == "stage" && value.Kind == yaml.ScalarNode {
			name = value.Value
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			continue
		}
		if key.Value == "<<" && plain(key) {
			r.fail(key, "E01", "merge key << is not allowed", "write the keys out, or use like")
		}
		if seen[key.Value] {
			what := fmt.Sprintf("key %q twice", key.Value)
			if name != "" {
				what += fmt.Sprintf(" in %q", name)
			}
			r.fail(key, "E01", what, "delete one")
		}
		seen[key.Value] = true
		r.check(key, n, flow, "")
		inner := key.Value
		if value.Kind == yaml.SequenceNode {
			inner = name
		}
		r.check(value, n, flow, inner)
	}
}

// quotes is the quoting rule, E19.
func (r *reader) quotes(n, parent *yaml.Node, flow bool) {
	if !plain(n) {
		return
	}
	v := n.Value
	quoted := strconv.Quote(v)
	switch {
	case ambiguousWord.MatchString(v) && v != "true" && v != "false":
		r.fail(n, "E19", v, "quote a word that YAML readers disagree about: "+quoted)
	case plainTime.MatchString(v):
		r.fail(n, "E19", v, "quote dates and clock times: "+quoted)
	case flow && strings.Contains(v, ":"):
		if parent != nil && parent.Kind == yaml.SequenceNode && len(parent.Content) == 1 {
			v, quoted = "["+v+"]", "["+quoted+"]"
		}
		r.fail(n, "E19", v, "quote what has a colon: "+quoted)
	}
}
