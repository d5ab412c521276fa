package rollout

import (
	"fmt"
	"slices"

	"serin/internal/plan"
)

// revise puts a new plan in force. The decision itself still rests on the
// old one; the next is given the new.
func (d *decision) revise(c *Command) *Refusal {
	if c.PlanHash == "" {
		return refuse(Missing, "name the plan to revise to")
	}
	looser := c.Looser
	if c.Plan != nil {
		if err := Revisable(d.p, c.Plan, d.s); err != nil {
			return refuse(Barred, "%s", err)
		}
		looser = looser || plan.Compare(d.p, c.Plan).Looser
	}
	if looser && !may(d.p, c, "approve") && !marked(d.s.Approved, itemRevise, &d.s) {
		return refuse(Forbidden, "a looser plan needs an approval too (%s): ask for it first%s", whoMay(d.p, "approve"), acting(c))
	}
	e := d.by(c, Revised)
	e.PlanHash, e.Looser = c.PlanHash, looser
	for _, b := range d.s.Blind {
		if c.Plan == nil || hasRule(c.Plan.Rollback, b.Rule) || hasRule(c.Plan.Reduce, b.Rule) {
			e.Keep = append(e.Keep, b.Rule)
		}
	}
	d.emit(e)
	if d.s.Status == Preflight && c.Plan != nil {
		d.p = c.Plan
		d.asWritten(d.p.Preflight)
	}
	return nil
}

func hasRule(rules []*plan.Rule, text string) bool {
	return slices.ContainsFunc(rules, func(r *plan.Rule) bool { return r.Text == text })
}

// Revisable says why next cannot replace old in a rollout in state s, or nil.
// Flag key, salt and hashed attribute are fixed for the rollout's life, so that the
// same users stay in; stages up to the current one are past, and the current
// one keeps its traffic, since only a gate may raise it (lint E17).
func Revisable(old, next *plan.Plan, s State) error {
	switch {
	case old.Name != next.Name:
		return fmt.Errorf("the plan is called %q, not %q: put its name back", old.Name, next.Name)
	case old.Flag.Key != next.Flag.Key || old.Flag.Salt != next.Flag.Salt || old.Flag.By != next.Flag.By:
		return fmt.Errorf("flag key, salt and by are fixed for the rollout's life: put them back")
	}
	if s.Attempt == 0 {
		return nil
	}
	if len(next.Stages) <= s.Reached {
		return fmt.Errorf("stage %q is past: put line %d back", old.Stages[s.Reached].Name, old.Stages[s.Reached].Line)
	}
	for i := 0; i <= s.Reached; i++ {
		was, is := old.Stages[i], next.Stages[i]
		if was.Name != is.Name || old.Exposure(i) != next.Exposure(i) {
			return fmt.Errorf("stage %q is past: put line %d back", was.Name, is.Line)
		}
	}
	return nil
}
