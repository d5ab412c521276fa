package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// Create makes the next rollout of a plan in a project ("" = the first), in
// preflight. The plan must be without lint errors; plan.Problems says what is
// wrong with it. Whether there is such a project is the caller's to know.
func (c *Controller) Create(ctx context.Context, project string, source []byte, by, via string) (Result, error) {
	p, err := plan.Parse(source)
	if err != nil {
		return Result{}, err
	}
	project = flag.ProjectOf(project)
	if err := c.fits(project, p); err != nil {
		return Result{}, err
	}
	c.create.Lock()
	defer c.create.Unlock()
	if err := c.owns(ctx, project, p.Name); err != nil {
		return Result{}, err
	}
	id, err := c.nextID(p)
	if err != nil {
		return Result{}, err
	}
	ctx = context.WithoutCancel(ctx) // half a rollout would be worse than an answer nobody waits for
	now := c.o.Clock.Now()
	audit := store.AuditEntry{At: now, Who: by, Via: via, Verb: "create", Target: "plan " + p.Name}
	if _, err := c.o.Store.PutPlan(ctx, project, p.Name, source, now, audit); err != nil {
		return Result{}, fmt.Errorf("store plan %s: %w", p.Name, err)
	}
	w := c.newWorker(rollout.State{ID: id, Project: project, Plan: p.Name}, p)
	res, err := w.step(ctx, &rollout.Command{Verb: rollout.Create, Item: id, By: by, Via: via, PlanHash: p.Hash, Project: project})
	if w.state.Pos == 0 {
		return Result{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.workers[id] = w
	c.order = append(c.order, id)
	if c.run != nil {
		c.start(w)
	}
	c.o.PlansChanged()
	return res, err
}

// fits refuses a plan with lint errors, and one that does not go with its flag.
func (c *Controller) fits(project string, p *plan.Plan) error {
	if found := plan.Problems(plan.Lint(p, nil)); found.Errors() > 0 {
		return found
	}
	return c.flags.fits(project, p)
}

// nextID is the id of a plan's next rollout. It refuses while the last one is
// not over. A command names a rollout or a plan, so no plan bears the id of a
// rollout, and a number that would make an id of a plan's name is left out.
func (c *Controller) nextID(p *plan.Plan) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run == nil {
		return "", ErrStopped
	}
	if c.workers[p.Name] != nil {
		return "", &rollout.Refusal{Kind: rollout.Barred, Why: fmt.Sprintf(
			"a plan cannot be called %s: that is a rollout of another plan, and a command could mean either: choose another name", p.Name)}
	}
	n := 0
	for _, id := range c.order {
		name, k := splitID(id)
		if name != p.Name {
			continue
		}
		n = max(n, k)
		if s := c.workers[id].view.Load().State.Status; !store.Over(s) {
			return "", &rollout.Refusal{Kind: rollout.Barred, Why: fmt.Sprintf(
				"rollout %s of plan %s is still %s: finish or cancel it, or revise it in flight", id, p.Name, s)}
		}
	}
	id := fmt.Sprintf("%s-%d", p.Name, n+1)
	for ; c.named(id); n++ {
		id = fmt.Sprintf("%s-%d", p.Name, n+2)
	}
	return id, nil
}

// named reports whether a rollout's plan is called name; c.mu is held.
func (c *Controller) named(name string) bool {
	return slices.ContainsFunc(c.order, func(id string) bool {
		n, _ := splitID(id)
		return n == name
	})
}

// Revise gives a rollout a new version of its plan. plan.Problems says what is
// wrong with it; with it as a revision (E17), together with a *rollout.Refusal.
func (c *Controller) Revise(ctx context.Context, id string, source []byte, cmd rollout.Command) (Result, error) {
	w, err := c.find(id)
	if err != nil {
		return Result{}, err
	}
	if err := w.readable(rollout.Revise); err != nil {
		return Result{}, err
	}
	p, err := plan.Parse(source)
	if err != nil {
		return Result{}, err
	}
	if err := c.fits(w.view.Load().Project, p); err != nil {
		return Result{}, err
	}
	if found := plan.Revise(w.inForce.Load(), p, rollout.Reached(w.view.Load().State)); len(found) > 0 {
		// Should the state move on meanwhile, the decision says the same.
		return Result{}, errors.Join(&rollout.Refusal{Kind: rollout.Barred, Why: id + " cannot take the plan: what is past or fixed must stay as it was"}, found)
	}
	cmd.Verb, cmd.PlanHash = rollout.Revise, p.Hash
	res, err := w.ask(ctx, request{cmd: &cmd, plan: p})
	c.o.PlansChanged()
	return res, err
}

// splitID cuts "<plan>-<n>".
func splitID(id string) (name string, n int) {
	i := strings.LastIndexByte(id, '-')
	if i < 0 {
		return id, 0
	}
	n, err := strconv.Atoi(id[i+1:])
	if err != nil {
		return id, 0
	}
	return id[:i], n
}
