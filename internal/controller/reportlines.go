package controller

import (
	"cmp"
	"fmt"
)

// Lines are a report in a few lines of plain text, for a message: the verdict,
// its numbers, and each criterion that was not met or not known.
func (r Report) Lines() []string {
	out := []string{r.Headline}
	if facts := r.facts(); !r.Started.IsZero() {
		out = append(out, facts[len(facts)-1])
	}
	if n := r.Success; n.Met+n.NotMet+n.Unknown > 0 {
		out = append(out, fmt.Sprintf("Success criteria: %d met, %d not met, %d unknown.", n.Met, n.NotMet, n.Unknown))
	}
	for _, rule := range r.Success.Rules {
		if rule.Word != "met" && rule.Verdict != nil {
			out = append(out, fmt.Sprintf("%s: %s, limit %s, %s.", rule.Title, cmp.Or(rule.Value, none), rule.Limit, rule.Word))
		}
	}
	if n := r.Numbers; n.Rollbacks+n.Overrides+len(r.Accepted) > 0 {
		out = append(out, fmt.Sprintf("%s, %s, %d accepted without proof.", counted(n.Rollbacks, "rollback"), counted(n.Overrides, "override"), len(r.Accepted)))
	}
	for i, line := range out {
		out[i] = plainLine(line)
	}
	return out
}
