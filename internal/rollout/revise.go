package rollout

import (
	"fmt"
	"slices"
	"strings"

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
		looser = looser || len(Looser(d.p, c.Plan)) > 0
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

// Looser lists what next guards less than old: rules that are gone, and
// gates that are weaker. A rule whose text changed counts as gone. It is empty
// for a plan that is as strict or stricter.
func Looser(old, next *plan.Plan) []string {
	var out []string
	out = lost(out, "rollback", old.Rollback, next.Rollback)
	out = lost(out, "reduce", old.Reduce, next.Reduce)
	for i := range old.Stages {
		was := &old.Stages[i]
		j := next.StageIndex(was.Name)
		if j < 0 {
			out = append(out, "stage "+was.Name+" is gone")
			continue
		}
		is := &next.Stages[j]
		out = lost(out, was.Name+": proceed", was.Proceed, is.Proceed)
		for text, loose := range map[string]bool{
			"bake is shorter":        is.Bake < was.Bake,
			"traffic is higher":      next.Exposure(j) > old.Exposure(i),
			"approve asks others":    !slices.Equal(was.Approve, is.Approve),
			"before is shorter":      !containsAll(is.Before, was.Before),
			"confirm is shorter":     !containsAll(is.Confirm, was.Confirm),
			"unknown passes":         is.Inconclusive == plan.Pass && was.Inconclusive != plan.Pass,
			"bake may end early":     is.Early != nil && was.Early == nil,
			"the window at is other": is.At == nil && was.At != nil,
		} {
			if loose {
				out = append(out, was.Name+": "+text)
			}
		}
	}
	if next.Judge.FalseProceed > old.Judge.FalseProceed || next.Judge.Margin > old.Judge.Margin || next.Judge.FalseRollback < old.Judge.FalseRollback {
		out = append(out, "judge is milder")
	}
	if old.Judge.NoData.Then == thenRollback && next.Judge.NoData.Then != thenRollback {
		out = append(out, "silence no longer rolls back")
	}
	slices.Sort(out)
	return out
}

func lost(out []string, where string, old, next []*plan.Rule) []string {
	for _, r := range old {
		if !hasRule(next, r.Text) {
			out = append(out, where+": "+strings.TrimSpace(r.Text)+" is gone")
		}
	}
	return out
}

func containsAll(list, items []string) bool {
	return !slices.ContainsFunc(items, func(s string) bool { return !slices.Contains(list, s) })
}
