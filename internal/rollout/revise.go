package rollout

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"serin/internal/judge"
	"serin/internal/plan"
)

// revise puts a new plan in force. The decision itself still rests on the
// old one; the next is given the new.
func (d *decision) revise(c *Command) *Refusal {
	if c.PlanHash == "" {
		return refuse(Missing, "name the plan to revise to")
	}
	looser, diff := c.Looser, plan.Diff{}
	if c.Plan != nil {
		if found := plan.Revise(d.p, c.Plan, Reached(d.s)); len(found) > 0 {
			return refuse(Barred, "this rollout cannot take the plan: %s", found)
		}
		diff = plan.Compare(d.p, c.Plan)
		looser = looser || diff.Looser
	}
	if looser && !may(d.p, c, "approve") && !marked(d.s.Approved, itemRevise, &d.s) {
		return refuse(Forbidden, "a looser plan needs an approval too (%s): ask for it first%s", whoMay(d.p, "approve"), acting(c))
	}
	e := d.by(c, Revised)
	e.PlanHash, e.Looser, e.Extra = c.PlanHash, looser, revision(diff)
	for _, b := range d.s.Blind {
		if c.Plan == nil || hasRule(c.Plan.Rollback, b.Rule) || hasRule(c.Plan.Reduce, b.Rule) {
			e.Keep = append(e.Keep, b.Rule)
		}
	}
	if c.Plan != nil && d.s.Attempt > 0 {
		e.Fresh = judge.Revised(d.p, c.Plan)
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

// Reached is the index of the furthest stage of s's attempt, -1 before the
// start: what plan.Revise takes as past.
func Reached(s State) int {
	if s.Attempt == 0 {
		return -1
	}
	return s.Reached
}

// maxChanges is how many changes of a revision the journal keeps.
const maxChanges = 100

// Revision is what a revised event keeps of its differences to the plan before.
type Revision struct {
	Changes []plan.Change `json:"changes"`
	More    int           `json:"more,omitempty"` // how many are left out
}

// RevisionOf returns what a revised event changed; of any other event, and of
// one that does not say, nothing.
func RevisionOf(e Event) Revision {
	var r Revision
	if e.Type != Revised || json.Unmarshal(e.Extra, &r) != nil {
		return Revision{}
	}
	return r
}

func revision(d plan.Diff) json.RawMessage {
	r := Revision{Changes: d.Changes[:min(len(d.Changes), maxChanges)]}
	r.More = len(d.Changes) - len(r.Changes)
	if len(r.Changes) == 0 {
		return nil
	}
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and numbers alone
	}
	return text
}

// maxTold is how many changes a title's text lists.
const maxTold = 12

// told puts a revision into words, a line for each change.
func (r Revision) told(reason string) string {
	var lines []string
	if reason != "" {
		lines = append(lines, reason)
	}
	for _, c := range r.Changes[:min(len(r.Changes), maxTold)] {
		lines = append(lines, c.String())
	}
	if more := len(r.Changes) - maxTold + r.More; more > 0 && len(r.Changes) > maxTold {
		lines = append(lines, fmt.Sprintf("and %d more changes", more))
	}
	return strings.Join(lines, "\n")
}

// RevisionApproved reports whether somebody has approved a looser revision of
// a rollout in state s, by: approve revise.
func RevisionApproved(s State) bool { return marked(s.Approved, itemRevise, &s) }
