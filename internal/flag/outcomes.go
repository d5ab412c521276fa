package flag

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// Outcomes returns the variants that a flag can serve, in ascending order. It
// follows "if" and "fractional", as Split.Targeting writes them, whatever
// their conditions ask but a plain true or false; a bucket without weight serves nobody. ok is false
// where the rule holds anything else, for which every variant is possible. A
// disabled flag serves its default, and so does a rule that says nothing;
// without a default that is "", the code's own.
func (d Definition) Outcomes() (variants []string, ok bool) {
	found := map[string]bool{}
	rule := bytes.TrimSpace(d.Targeting)
	if d.State == "DISABLED" || len(rule) == 0 || bytes.Equal(rule, []byte("{}")) {
		return []string{d.DefaultVariant}, true
	}
	if !d.outcomes(rule, found) {
		return nil, false
	}
	return slices.Sorted(maps.Keys(found)), true
}

func (d Definition) outcomes(rule json.RawMessage, found map[string]bool) bool {
	var variant *string
	if json.Unmarshal(rule, &variant) == nil {
		name := d.DefaultVariant // null
		if variant != nil {
			name = *variant
		}
		found[name] = true
		return true
	}
	var truth bool
	if json.Unmarshal(rule, &truth) == nil { // names of boolean variants
		found[map[bool]string{true: "true", false: "false"}[truth]] = true
		return true
	}
	var op map[string]json.RawMessage
	if json.Unmarshal(rule, &op) != nil || len(op) != 1 {
		return false
	}
	var args []json.RawMessage
	switch {
	case json.Unmarshal(op["if"], &args) == nil:
		return d.branches(args, found)
	case json.Unmarshal(op["fractional"], &args) == nil:
		return d.buckets(args, found)
	}
	return false
}

// branches takes condition, result, condition, result ..., else.
func (d Definition) branches(args []json.RawMessage, found map[string]bool) bool {
	for i := 1; i < len(args); i += 2 {
		var always bool
		known := json.Unmarshal(args[i-1], &always) == nil
		if known && !always {
			continue // "if": [false, ...] is how a split gives everybody the old variant
		}
		if !d.outcomes(args[i], found) {
			return false
		}
		if known {
			return true
		}
	}
	if len(args)%2 == 0 {
		found[d.DefaultVariant] = true
		return true
	}
	return d.outcomes(args[len(args)-1], found)
}

// buckets takes an optional seed and [variant, weight] pairs.
func (d Definition) buckets(args []json.RawMessage, found map[string]bool) bool {
	n := 0
	for i, arg := range args {
		var pair []json.RawMessage
		if json.Unmarshal(arg, &pair) != nil {
			if i > 0 {
				return false
			}
			continue // the seed
		}
		weight := 1.0
		if len(pair) > 1 && json.Unmarshal(pair[1], &weight) != nil || len(pair) == 0 {
			return false
		}
		if weight > 0 && !d.outcomes(pair[0], found) {
			return false
		}
		n++
	}
	return n > 0
}
