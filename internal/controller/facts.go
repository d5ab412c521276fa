package controller

import (
	"context"
	"fmt"
	"strings"
	"time"

	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// Facts are what lint is told of this server for a plan in a project: where notices can
// go, which sources are set up, who owns the flag, and what telemetry brought
// before now. A rollout of the plan itself is no stranger to its flag.
func (c *Controller) Facts(_ context.Context, project string, p *plan.Plan) plan.ServerFacts {
	facts := c.factsUntil(project, p, c.o.Clock.Now())
	if name, _ := splitID(facts.FlagOwner); name == p.Name {
		facts.FlagOwner = ""
	}
	facts.Baseline = c.baselineFacts(project, p, "")
	return facts
}

// factsUntil is Facts with any owner of the flag and the baseline's end.
func (c *Controller) factsUntil(project string, p *plan.Plan, until time.Time) plan.ServerFacts {
	facts := c.o.Evidence.Facts(project, p, until)
	facts.Channels = c.courier.reach()
	if c.o.OnCall != nil {
		facts.OnCall = c.o.OnCall
	}
	if c.o.Sources != nil {
		facts.Configured = c.o.Sources(flag.ProjectOf(project))
	}
	facts.FlagOwner = c.flags.owner(p.Flag.Key)
	return facts
}

// facts are what lint is told for a rollout: the baseline ends where its own
// traffic began, and a rollout that is over holds no flag.
func (c *Controller) facts(w *worker) plan.ServerFacts {
	s, until := w.view.Load().State, c.o.Clock.Now()
	if !s.StartedAt.IsZero() {
		until = s.StartedAt
	}
	facts := c.factsUntil(w.view.Load().Project, w.inForce.Load(), until)
	if facts.FlagOwner == w.id || s.Status == rollout.Done || s.Status == rollout.Cancelled {
		facts.FlagOwner = ""
	}
	facts.Baseline = c.baselineFacts(w.view.Load().Project, w.inForce.Load(), w.id)
	return facts
}

// claim refuses to start a rollout whose plan has errors on this server: its
// flag is another rollout's, a channel leads nowhere, a guard has no source.
// Nor does one start whose flag somebody switched off: nobody would get new.
func (c *Controller) claim(w *worker) error {
	if key := w.inForce.Load().Flag.Key; c.flags.off(key) {
		return &rollout.Refusal{Kind: rollout.Barred, Why: fmt.Sprintf("flag %s is switched off, so that nobody would get the new variant: "+
			"set its state to ENABLED (serin flag get %s > flag.json, then serin flag set %s --file flag.json)", key, key, key)}
	}
	facts := c.facts(w)
	var errors []string
	for _, found := range plan.Lint(w.inForce.Load(), &facts) {
		if found.Severity == plan.Error {
			errors = append(errors, fmt.Sprintf("line %d: %s: %s: %s", found.Line, found.Code, found.What, found.Fix))
		}
	}
	if len(errors) == 0 {
		return nil
	}
	return &rollout.Refusal{Kind: rollout.Barred, Why: "the plan cannot start on this server: " + strings.Join(errors, "; ")}
}
