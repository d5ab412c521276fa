package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// PlanCheck is what lint says of a plan on this server.
type PlanCheck struct {
	OK       bool           `json:"ok" doc:"no errors; warnings do not stop a start"`
	Errors   int            `json:"errors"`
	Warnings int            `json:"warnings"`
	Problems []plan.Problem `json:"problems" doc:"by line"`
	Skipped  []string       `json:"skipped,omitempty" doc:"codes that were not looked at, for want of figures"`
}

// PlanSummary is a stored plan in one line.
type PlanSummary struct {
	store.PlanVersion
	Title    string        `json:"title"`
	Flag     string        `json:"flag,omitempty"` // "" = the plan cannot be read
	Stages   int           `json:"stages"`
	Check    PlanCheck     `json:"check"`
	Versions int           `json:"versions"`
	Rollouts []PlanRollout `json:"rollouts"` // newest first
}

// PlanRollout is a rollout of a plan and which version it goes by.
type PlanRollout struct {
	ID       string         `json:"id"`
	Status   rollout.Status `json:"status"`
	Exposure float64        `json:"exposure"`          // percent of the audience on new
	Version  int            `json:"version,omitempty"` // of the plan; 0 = it is not known
}

// PlanText is one version of a plan in full.
type PlanText struct {
	store.PlanVersion
	Title  string `json:"title"`
	Flag   string `json:"flag,omitempty"` // "" = it cannot be read: Check says why
	Latest bool   `json:"latest"`
	Source string `json:"source" doc:"the plan file"`
	// Shown is the plan with every default filled in, its timeline and the
	// runbook; "" where it cannot be read.
	Shown    string              `json:"shown,omitempty"`
	Check    PlanCheck           `json:"check"`
	Calendar *Calendar           `json:"calendar,omitempty"` // as if it were started now, or at its start
	Versions []store.PlanVersion `json:"versions"`           // highest number first
	Rollouts []PlanRollout       `json:"rollouts"`           // newest first
}

// PlanStored is what storing a plan came to.
type PlanStored struct {
	store.PlanVersion
	New   bool      `json:"new"` // false: this text is a version already, and is the latest now
	Check PlanCheck `json:"check"`
}

// CheckPlan lints a plan file with what this server knows of a project. A file that is no
// plan is no error: Problems says why.
func (c *Controller) CheckPlan(ctx context.Context, project string, source []byte) (PlanCheck, error) {
	_, check, err := c.readPlan(ctx, project, source)
	return check, err
}

// readPlan parses and lints; the plan is nil where it cannot be read.
func (c *Controller) readPlan(ctx context.Context, project string, source []byte) (*plan.Plan, PlanCheck, error) {
	p, err := plan.Parse(source)
	var found plan.Problems
	switch {
	case errors.As(err, &found):
		return nil, checked(found, plan.Skipped()), nil
	case err != nil:
		return nil, PlanCheck{}, err
	}
	facts := c.Facts(ctx, project, p)
	return p, checked(plan.Lint(p, &facts), unknown(facts)), nil
}

// unknown are the codes that these facts cannot tell.
func unknown(facts plan.ServerFacts) (codes []string) {
	if facts.Events == 0 {
		codes = append(codes, "W15")
	}
	if len(facts.PerHour) == 0 {
		codes = append(codes, "W06 counts", "W12 chances")
	}
	return codes
}

func checked(found plan.Problems, skipped []string) PlanCheck {
	n := found.Errors()
	return PlanCheck{OK: n == 0, Errors: n, Warnings: len(found) - n, Problems: append([]plan.Problem{}, found...), Skipped: skipped}
}

// PutPlan stores a version of a plan in a project ("" = the first) without starting anything. plan.Problems
// refuses one that has errors whatever the server; what only this server
// misses is told and stops a start.
func (c *Controller) PutPlan(ctx context.Context, project string, source []byte, by, via string) (PlanStored, error) {
	project = flag.ProjectOf(project)
	p, check, err := c.readPlan(ctx, project, source)
	if err != nil {
		return PlanStored{}, err
	}
	if p == nil {
		return PlanStored{}, plan.Problems(check.Problems)
	}
	if err := c.fits(project, p); err != nil {
		return PlanStored{}, err
	}
	if err := c.owns(ctx, project, p.Name); err != nil {
		return PlanStored{}, err
	}
	before, err := c.o.Store.PlanVersions(ctx, p.Name)
	if err != nil {
		return PlanStored{}, err
	}
	now := c.o.Clock.Now()
	audit := store.AuditEntry{At: now, Who: by, Via: via, Verb: "put", Target: "plan " + p.Name}
	number, err := c.o.Store.PutPlan(ctx, project, p.Name, source, now, audit)
	if err != nil {
		return PlanStored{}, fmt.Errorf("store plan %s: %w", p.Name, err)
	}
	out := PlanStored{PlanVersion: store.PlanVersion{Project: project, Name: p.Name, Hash: p.Hash, Number: number, At: now.UTC()}, New: true, Check: check}
	if i := slices.IndexFunc(before, func(v store.PlanVersion) bool { return v.Hash == p.Hash }); i >= 0 {
		out.PlanVersion, out.New = before[i], false
	}
	c.o.PlansChanged()
	return out, nil
}

// Plans lists every stored plan, the one whose latest version is newest first.
func (c *Controller) Plans(ctx context.Context) ([]PlanSummary, error) {
	names, err := c.o.Store.PlanNames(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]PlanSummary, 0, len(names))
	for _, v := range names {
		s, err := c.planSummary(ctx, v)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b PlanSummary) int { return b.At.Compare(a.At) })
	return out, nil
}

func (c *Controller) planSummary(ctx context.Context, v store.PlanVersion) (PlanSummary, error) {
	out := PlanSummary{PlanVersion: v}
	source, err := c.o.Store.PlanSource(ctx, v.Hash)
	if err != nil {
		return out, fmt.Errorf("plan %s: %w", v.Name, err)
	}
	versions, err := c.o.Store.PlanVersions(ctx, v.Name)
	if err != nil {
		return out, err
	}
	p, check, err := c.readPlan(ctx, v.Project, source)
	if err != nil {
		return out, err
	}
	if p != nil {
		out.Title, out.Flag, out.Stages = p.Title, p.Flag.Key, len(p.Stages)
	}
	out.Check, out.Versions, out.Rollouts = check, len(versions), c.rolloutsOf(v.Name, versions)
	return out, nil
}

// rolloutsOf lists a plan's rollouts, newest first.
func (c *Controller) rolloutsOf(name string, versions []store.PlanVersion) []PlanRollout {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := []PlanRollout{}
	for _, id := range slices.Backward(c.order) {
		if of, _ := splitID(id); of != name {
			continue
		}
		v := c.workers[id].view.Load()
		r := PlanRollout{ID: id, Status: v.State.Status, Exposure: v.Exposure}
		for _, of := range versions {
			if of.Hash == v.State.PlanHash {
				r.Version = of.Number
			}
		}
		out = append(out, r)
	}
	return out
}

// PlanVersions lists every version of a plan, highest number first.
func (c *Controller) PlanVersions(ctx context.Context, name string) ([]store.PlanVersion, error) {
	versions, err := c.o.Store.PlanVersions(ctx, name)
	if err == nil && len(versions) == 0 {
		err = fmt.Errorf("plan %q: %w", name, store.ErrNotFound)
	}
	return versions, err
}

// Plan returns a version of a plan, 0 for the latest.
func (c *Controller) Plan(ctx context.Context, name string, number int) (PlanText, error) {
	v, versions, err := c.planVersion(ctx, name, number)
	if err != nil {
		return PlanText{}, err
	}
	source, err := c.o.Store.PlanSource(ctx, v.Hash)
	if err != nil {
		return PlanText{}, fmt.Errorf("plan %s, version %d: %w", name, v.Number, err)
	}
	latest, err := c.latestPlan(ctx, name)
	if err != nil {
		return PlanText{}, err
	}
	p, check, err := c.readPlan(ctx, v.Project, source)
	if err != nil {
		return PlanText{}, err
	}
	out := PlanText{PlanVersion: v, Latest: v.Number == latest.Number, Source: string(source), Check: check, Versions: versions, Rollouts: c.rolloutsOf(name, versions)}
	if p != nil {
		cal := c.planCalendar(p, c.o.Clock.Now())
		cal.Problems, cal.Skipped = check.Problems, check.Skipped
		out.Title, out.Flag, out.Shown, out.Calendar = p.Title, p.Flag.Key, string(plan.Show(p)), &cal
	}
	return out, nil
}

// planVersion finds a version by its number, 0 for the latest, among all of
// the plan.
func (c *Controller) planVersion(ctx context.Context, name string, number int) (store.PlanVersion, []store.PlanVersion, error) {
	versions, err := c.PlanVersions(ctx, name)
	if err != nil {
		return store.PlanVersion{}, nil, err
	}
	if number == 0 {
		v, err := c.latestPlan(ctx, name)
		return v, versions, err
	}
	for _, v := range versions {
		if v.Number == number {
			return v, versions, nil
		}
	}
	return store.PlanVersion{}, nil, fmt.Errorf("plan %q, version %d: %w", name, number, store.ErrNotFound)
}

// latestPlan is the version that was stored last, which need not have the
// highest number: a plan may go back to an earlier text.
func (c *Controller) latestPlan(ctx context.Context, name string) (store.PlanVersion, error) {
	names, err := c.o.Store.PlanNames(ctx)
	if err != nil {
		return store.PlanVersion{}, err
	}
	for _, v := range names {
		if v.Name == name {
			return v, nil
		}
	}
	return store.PlanVersion{}, fmt.Errorf("plan %q: %w", name, store.ErrNotFound)
}

// planCalendar is what comes if a rollout of the plan is started now.
func (c *Controller) planCalendar(p *plan.Plan, now time.Time) Calendar {
	cal := forecast(p, rollout.State{Status: rollout.Preflight}, now)
	cal.Timezone, cal.Raise = p.Timezone, windows(p)
	return cal
}

// onDuty are the people of a stage's owners, "on-call (@ann)", as the plan has them.
func onDuty(p *plan.Plan, owners []string) []string {
	var out []string
	for _, name := range owners {
		text := name
		for _, r := range p.Roles {
			if r.Name == name && strings.TrimSpace(r.Who) != "" {
				text += " (" + r.Who + ")"
			}
		}
		out = append(out, text)
	}
	return out
}
