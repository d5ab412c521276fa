package alert

import (
	"fmt"
	"slices"

	"serin/internal/plan"
)

// Also is a second condition of a stand-alone rule, over the same window and
// the same labels.
type Also struct {
	Join  string  `json:"join"`            // and, or
	Query string  `json:"query,omitempty"` // as of the rule
	Of    string  `json:"of,omitempty"`
	Value string  `json:"value,omitempty"`
	Op    plan.Op `json:"op,omitempty"`
	Limit float64 `json:"limit"`
}

// secondMark ends the id of a rule's second condition; no rule's id has it.
const secondMark = "~2"

// Second is the second condition as a rule of its own, which is counted and
// not told of; ok is false for a rule with one condition.
func (r Rule) Second() (second Rule, ok bool) {
	if r.Also == nil {
		return Rule{}, false
	}
	a := r.Also
	return Rule{ID: r.ID + secondMark, Project: r.Project, Environment: r.Environment, By: r.By, Over: r.Over,
		Query: a.Query, Of: a.Of, Value: a.Value, Op: a.Op, Limit: a.Limit}.WithDefaults(), true
}

// checkAlso says what is wrong with the second condition.
func (r Rule) checkAlso() error {
	second, ok := r.Second()
	if !ok {
		return nil
	}
	switch {
	case r.Also.Join != "and" && r.Also.Join != "or":
		return fmt.Errorf("%w: also: join %q: use and or or", ErrInvalid, r.Also.Join)
	case r.Resolve != nil || r.Critical != nil:
		return fmt.Errorf("%w: also: a rule of two conditions has no resolve and no critical limit: make two rules", ErrInvalid)
	}
	second.ID = r.ID
	if _, err := second.Complete(); err != nil {
		return fmt.Errorf("also: %w", err)
	}
	return nil
}

// Joined answers a rule of two conditions from the readings of both: for each
// set of labels of either, whether both hold or one of them does. Without
// data, what holds by too little having arrived does not.
func (r Rule) Joined(first, second []Reading, noData bool) []Reading {
	other, ok := r.Second()
	if !ok {
		return first
	}
	byKey := map[string][2]Reading{}
	for i, list := range [][]Reading{first, second} {
		for _, read := range list {
			pair := byKey[read.Labels.Key()]
			pair[i] = read
			byKey[read.Labels.Key()] = pair
		}
	}
	if len(r.By) == 0 && len(byKey) == 0 {
		byKey[""] = [2]Reading{}
	}
	out := make([]Reading, 0, len(byKey))
	for key, pair := range byKey {
		labels, _ := ParseKey(key)
		a, b := r.Holds(pair[0]) && !(noData && r.below()), other.Holds(pair[1]) && !(noData && other.below())
		holds := a && b
		if r.Also.Join == "or" {
			holds = a || b
		}
		out = append(out, Reading{Labels: labels, Value: pair[0].Value, Known: pair[0].Known, Holds: &holds, Why: joinedWhy(r.Also.Join, pair)})
	}
	return out
}

// below reports whether the rule holds where there is too little.
func (r Rule) below() bool { return slices.Contains([]plan.Op{plan.LT, plan.LE}, r.Op) }

func joinedWhy(join string, pair [2]Reading) string {
	switch {
	case pair[0].Why == "":
		return pair[1].Why
	case pair[1].Why == "":
		return pair[0].Why
	}
	return pair[0].Why + "; " + join + " " + pair[1].Why
}
