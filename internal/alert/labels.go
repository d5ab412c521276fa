package alert

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Label is one label of a group.
type Label struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Labels tell the groups of a rule apart; the order is that of the rule's By.
// nil is the only group of a rule that is not grouped.
type Labels []Label

// NoLabel is the value of a label that an event does not carry.
const NoLabel = "(none)"

// OtherLabel is the value of every label of the group that holds what came
// after MaxGroups were being counted.
const OtherLabel = "(other)"

// maxLabel bounds the length of a label's value.
const maxLabel = 100

// LabelsOf reads the labels of a rule from a record.
func LabelsOf(by []string, field func(key string) (string, bool)) Labels {
	if len(by) == 0 {
		return nil
	}
	out := make(Labels, len(by))
	for i, name := range by {
		value, ok := field(name)
		if !ok || value == "" {
			value = NoLabel
		}
		if len(value) > maxLabel {
			value = strings.ToValidUTF8(value[:maxLabel], "") + "…"
		}
		out[i] = Label{name, value}
	}
	return out
}

// OtherLabels are those of the group of what is too much to tell apart.
func OtherLabels(by []string) Labels {
	out := make(Labels, len(by))
	for i, name := range by {
		out[i] = Label{name, OtherLabel}
	}
	return out
}

// Key names the group in a state: "" without labels, else a JSON list.
func (l Labels) Key() string {
	if len(l) == 0 {
		return ""
	}
	flat := make([]string, 0, 2*len(l))
	for _, x := range l {
		flat = append(flat, x.Name, x.Value)
	}
	b, _ := json.Marshal(flat) // strings always can be
	return string(b)
}

// ParseKey is the inverse of Key; ok is false for what Key does not write.
func ParseKey(key string) (l Labels, ok bool) {
	if key == "" {
		return nil, true
	}
	var flat []string
	if json.Unmarshal([]byte(key), &flat) != nil || len(flat)%2 != 0 {
		return nil, false
	}
	for pair := range slices.Chunk(flat, 2) {
		l = append(l, Label{pair[0], pair[1]})
	}
	return l, true
}

// ParseLabels reads labels as people write them, "name=value" each. Errors
// wrap ErrInvalid.
func ParseLabels(list []string) (Labels, error) {
	var out Labels
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%w: label %q: write name=value", ErrInvalid, text)
		}
		out = append(out, Label{name, value})
	}
	return out, nil
}

// String writes labels for people: "environment=production, tags[component]=cart".
func (l Labels) String() string {
	parts := make([]string, len(l))
	for i, x := range l {
		parts[i] = x.Name + "=" + x.Value
	}
	return strings.Join(parts, ", ")
}

// Agree reports whether no label that both have differs.
func (l Labels) Agree(o Labels) bool {
	for _, a := range l {
		for _, b := range o {
			if a.Name == b.Name && a.Value != b.Value {
				return false
			}
		}
	}
	return true
}
