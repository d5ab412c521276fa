package controller

import (
	"context"
	"fmt"
	"strings"

	"serin/internal/plan"
)

// OnCall are the rotas of a server as plans ask for them.
type OnCall interface {
	plan.OnCall
	// Filled says who is on call now at the address of a role, and whether any of
	// them can be reached; known is false where it is no rota of the server.
	Filled(ctx context.Context, address string) (who []string, reached, known bool)
}

// filled reports whether a role of a plan has somebody now, and who it is in
// words: of a rota of this server whoever is on call and can be reached, else
// whom the plan names.
func (c *Controller) filled(p *plan.Plan, role string) (ok bool, words string) {
	r, found := p.Role(role)
	if !found || r.Who == "" {
		return false, ""
	}
	if c.o.OnCall == nil {
		return true, r.Who
	}
	who, reached, known := c.o.OnCall.Filled(context.Background(), r.Who)
	switch {
	case !known && strings.HasPrefix(r.Who, "oncall:"):
		return false, fmt.Sprintf("%s: there is no such rota", r.Who)
	case !known:
		return true, r.Who
	case len(who) == 0:
		return false, fmt.Sprintf("%s: nobody is on call now", r.Who)
	case !reached:
		return false, fmt.Sprintf("%s: %s, whom no channel reaches", r.Who, strings.Join(who, ", "))
	}
	return true, fmt.Sprintf("%s: %s", r.Who, strings.Join(who, ", "))
}
