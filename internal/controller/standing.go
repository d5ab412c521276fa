package controller

import (
	"context"
	"fmt"

	"serin/internal/plan"
)

// Standings lists every rollout whose plan can be read and where it stands,
// oldest first, for what reads its rules without moving traffic.
func (c *Controller) Standings() []AlertPlan {
	c.mu.Lock()
	workers := make([]*worker, 0, len(c.order))
	for _, id := range c.order {
		workers = append(workers, c.workers[id])
	}
	c.mu.Unlock()
	out := make([]AlertPlan, 0, len(workers))
	for _, w := range workers {
		if p := w.inForce.Load(); p != nil {
			v := w.view.Load()
			out = append(out, c.alertPlan(w.id, v.Project, p, v.State))
		}
	}
	return out
}

// Standing is that of one rollout, by its id or its plan's name. The error is
// store.ErrNotFound, or a *rollout.Refusal where its plan cannot be read.
func (c *Controller) Standing(id string) (AlertPlan, error) {
	w, err := c.find(id)
	if err != nil {
		return AlertPlan{}, err
	}
	p := w.inForce.Load()
	if p == nil {
		return AlertPlan{}, w.readable("")
	}
	v := w.view.Load()
	return c.alertPlan(w.id, v.Project, p, v.State), nil
}

// ProjectPlan is a plan and the project that it belongs to.
type ProjectPlan struct {
	Project string
	Plan    *plan.Plan // shared, nobody changes it
}

// LatestPlans are the newest versions of all stored plans. One that cannot be
// read is left out: its page says why. known holds what an earlier call read,
// by hash, and is brought up to date.
func (c *Controller) LatestPlans(ctx context.Context, known map[string]*plan.Plan) ([]ProjectPlan, error) {
	names, err := c.o.Store.PlanNames(ctx)
	if err != nil {
		return nil, fmt.Errorf("list plans: %w", err)
	}
	var out []ProjectPlan
	latest := map[string]bool{}
	for _, v := range names {
		latest[v.Hash] = true
		p, seen := known[v.Hash]
		if !seen {
			source, err := c.o.Store.PlanSource(ctx, v.Hash)
			if err != nil {
				return nil, fmt.Errorf("read plan %s: %w", v.Name, err)
			}
			p, _ = plan.Parse(source) // nil where it is no plan any more
			known[v.Hash] = p
		}
		if p != nil {
			out = append(out, ProjectPlan{v.Project, p})
		}
	}
	for hash := range known {
		if !latest[hash] {
			delete(known, hash)
		}
	}
	return out, nil
}
