package controller

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"serin/internal/plan"
	"serin/internal/rollout"
)

// Actor is who sends a command.
type Actor struct {
	Name  string
	Role  string // the plan role of the person or token; "" = none
	As    string // the role asked for; "" = Role
	Admin bool   // may act in any role; every use is journalled with the name
	// Handles are the names that plans know the person by: a role with who
	// "@team-lead" is theirs who have the handle team-lead.
	Handles []string
	Project string // where something new belongs; "" = the first
}

// holds reports whether a role of the plan is the actor's.
func (a Actor) holds(r plan.Role) bool {
	handle, person := strings.CutPrefix(r.Who, "@")
	return a.Role == r.Name || person && slices.Contains(a.Handles, handle)
}

// Authorize fills in the role that the actor acts in and what it may do in
// the rollout's plan. The state machine decides whether that is enough.
func (c *Controller) Authorize(_ context.Context, id string, a Actor, cmd *rollout.Command) error {
	w, err := c.find(id)
	if err != nil {
		return err
	}
	p, s := w.inForce.Load(), w.view.Load().State
	cmd.By = a.Name
	cmd.Role = a.Role
	if a.As != "" && a.As != a.Role {
		if r, ok := p.Role(a.As); !a.Admin && (!ok || !a.holds(r)) {
			return &rollout.Refusal{Kind: rollout.Forbidden, Why: fmt.Sprintf("%s has no role %s: ask an admin for it", a.Name, a.As)}
		}
		cmd.Role = a.As
	}
	if cmd.Role == "" {
		cmd.Role = roleFor(p, s, cmd, a.holds)
	}
	if cmd.Role == "" && a.Admin {
		cmd.Role = roleFor(p, s, cmd, func(plan.Role) bool { return true })
	}
	if r, ok := p.Role(cmd.Role); ok {
		cmd.May = r.May
	} else if cmd.Role != "" && len(p.Roles) > 0 && a.As != "" {
		return &rollout.Refusal{Kind: rollout.Missing, Why: fmt.Sprintf("plan %s has no role %q: its roles are %s", p.Name, cmd.Role, roleNames(p))}
	}
	return nil
}

// roleFor is the role, of those that may be taken, that somebody who names
// none acts in: the one that the next approval or the item asks for, else the
// one that may do the verb and the most besides.
func roleFor(p *plan.Plan, s rollout.State, cmd *rollout.Command, may func(plan.Role) bool) string {
	var asked []string
	switch cmd.Verb {
	case rollout.Approve, rollout.Promote:
		asked = approvers(p, s)
	case rollout.Revert:
		asked = []string{p.Actions.Revert.By}
	case rollout.Complete, rollout.Reopen:
		for _, t := range slices.Concat(p.Preflight, p.Cleanup.Tasks) {
			if t.ID == cmd.Item {
				asked = []string{t.By}
			}
		}
	}
	for _, name := range asked {
		if r, ok := p.Role(name); ok && may(r) {
			return name
		}
	}
	name, most := "", 0
	for _, r := range p.Roles {
		if may(r) && slices.Contains(r.May, right(cmd.Verb)) && len(r.May) > most {
			name, most = r.Name, len(r.May)
		}
	}
	return name
}

// approvers are the roles whose approval is asked for next.
func approvers(p *plan.Plan, s rollout.State) []string {
	next := s.Stage + 1
	if s.Status == rollout.Preflight {
		next = 0
	}
	if s.Status == rollout.RolledBack || next >= len(p.Stages) {
		return nil
	}
	return p.Stages[next].Approve
}

// right is the word of roles.may that a verb needs.
func right(v rollout.Verb) string {
	switch v {
	case rollout.Cancel, rollout.Finish:
		return "start"
	case rollout.Confirm:
		return "approve"
	case rollout.Promote:
		return "override"
	}
	return string(v)
}

func roleNames(p *plan.Plan) string {
	names := make([]string, len(p.Roles))
	for i, r := range p.Roles {
		names[i] = r.Name
	}
	return strings.Join(names, ", ")
}

// ParseRange reads how far back a chart looks, such as 6h or 7d.
func ParseRange(text string) (time.Duration, error) {
	if n := len(text); n > 1 {
		count, err := strconv.Atoi(text[:n-1])
		unit := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[text[n-1]]
		if err == nil && count > 0 && unit > 0 && count <= int(chartSpan/unit) {
			return time.Duration(count) * unit, nil
		}
	}
	return 0, fmt.Errorf("range %q: write a number and m, h, d or w, at most 90d, such as 24h", text)
}
