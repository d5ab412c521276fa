package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"serin/internal/baseline"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// Baselines is what an Evidence may offer beside: hours imported from elsewhere,
// for baselines that this server has not measured yet.
type Baselines interface {
	// Import keeps hours for a project's plan; id is the plan's rollout that is
	// not over, "" = none. An error that is baseline.ErrRefused is the person's.
	Import(ctx context.Context, project string, p *plan.Plan, id, source string, hours map[string][]baseline.Hour, replace bool) ([]baseline.Imported, error)
	// Baseline tells how much there is, for the named metrics or those of the
	// plan's rules.
	Baseline(project string, p *plan.Plan, id string, names ...string) []baseline.Extent
}

// ErrNoBaselines: the evidence keeps no imported hours.
var ErrNoBaselines = errors.New("importing a baseline is not available here")

// BaselineReport is how much of a plan's baseline there is.
type BaselineReport struct {
	Plan    string            `json:"plan"`
	Rollout string            `json:"rollout,omitempty" doc:"the rollout whose baseline it is; none: one that would start now"`
	Metrics []baseline.Extent `json:"metrics" doc:"the metrics that rules compare with the baseline, or may"`
}

// Short reports whether hours of any metric are missing, and Imported whether
// any were imported.
func (r BaselineReport) Short() bool { return slices.ContainsFunc(r.Metrics, baseline.Extent.Short) }

// Imported reports whether any hours in use were imported.
func (r BaselineReport) Imported() bool {
	return slices.ContainsFunc(r.Metrics, func(e baseline.Extent) bool { return e.Imported > 0 })
}

// BaselineImport asks to import a file for a plan.
type BaselineImport struct {
	Plan    string
	Source  string // where it comes from, in the person's words; the same name replaces
	File    baseline.File
	Replace bool // hours of other sources too
	By, Via string
	Address string
}

// BaselineImported is what an import came to.
type BaselineImported struct {
	Plan    string              `json:"plan"`
	Source  string              `json:"source"`
	Skipped int                 `json:"skipped" doc:"values of the file that are no number, such as NaN and null: left out"`
	Metrics []baseline.Imported `json:"metrics"`
}

// Baseline tells how much of a plan's baseline there is; name may be a
// rollout's id too.
func (c *Controller) Baseline(ctx context.Context, name string) (BaselineReport, error) {
	keeper, ok := c.o.Evidence.(Baselines)
	if !ok {
		return BaselineReport{}, ErrNoBaselines
	}
	s, err := c.subject(ctx, name)
	if err != nil {
		return BaselineReport{}, err
	}
	return BaselineReport{Plan: s.plan.Name, Rollout: s.rollout, Metrics: keeper.Baseline(s.project, s.plan, s.rollout)}, nil
}

// ImportBaseline keeps the hours of a file for a plan's baseline, and audits
// it. baseline.Problems say what is wrong with the file; then nothing is kept.
func (c *Controller) ImportBaseline(ctx context.Context, i BaselineImport) (BaselineImported, error) {
	keeper, ok := c.o.Evidence.(Baselines)
	if !ok {
		return BaselineImported{}, ErrNoBaselines
	}
	s, err := c.subject(ctx, i.Plan)
	if err != nil {
		return BaselineImported{}, err
	}
	points, skipped, err := baseline.Read(i.File)
	if err != nil {
		return BaselineImported{}, err
	}
	now := c.o.Clock.Now()
	hours, err := baseline.Gather(s.plan, points, now)
	if err != nil {
		return BaselineImported{}, err
	}
	if len(hours) == 0 {
		return BaselineImported{}, baseline.Problems{{Why: "nobody was there in any hour of the file: there is nothing to import"}}
	}
	out := BaselineImported{Plan: s.plan.Name, Source: strings.TrimSpace(i.Source), Skipped: skipped}
	if out.Metrics, err = keeper.Import(ctx, s.project, s.plan, s.rollout, i.Source, hours, i.Replace); err != nil {
		return BaselineImported{}, err
	}
	after, err := json.Marshal(out)
	if err != nil {
		return out, fmt.Errorf("audit the import: %w", err)
	}
	entry := store.AuditEntry{At: now, Who: i.By, Via: i.Via, Address: i.Address, Verb: "import baseline", Target: "plan " + s.plan.Name, After: after}
	if err := c.o.Store.PutAudit(ctx, entry); err != nil {
		return out, fmt.Errorf("audit the import: %w", err)
	}
	return out, nil
}

// subject is whose baseline is meant.
type subject struct {
	project string
	plan    *plan.Plan
	rollout string // "" = none is under way
}

// subject finds a plan by its name or a rollout's id: as in force in its newest
// rollout that is not over, else its latest version.
func (c *Controller) subject(ctx context.Context, name string) (subject, error) {
	if w, err := c.find(name); err == nil {
		v := w.view.Load()
		if p := w.inForce.Load(); p != nil && v.State.Status != rollout.Done && v.State.Status != rollout.Cancelled {
			return subject{v.Project, p, w.id}, nil
		}
		name, _ = splitID(w.id)
	}
	latest, err := c.latestPlan(ctx, name)
	if err != nil {
		return subject{}, err
	}
	source, err := c.o.Store.PlanSource(ctx, latest.Hash)
	if err != nil {
		return subject{}, fmt.Errorf("plan %s: %w", name, err)
	}
	p, err := plan.Parse(source)
	if err != nil {
		return subject{}, err
	}
	return subject{project: latest.Project, plan: p}, nil
}

// baselineFacts are what lint is told of a plan's baseline.
func (c *Controller) baselineFacts(project string, p *plan.Plan, id string) map[string]plan.BaselineHours {
	keeper, ok := c.o.Evidence.(Baselines)
	if !ok {
		return nil
	}
	out := map[string]plan.BaselineHours{}
	for _, x := range keeper.Baseline(project, p, id) {
		out[x.Metric] = plan.BaselineHours{Want: x.Want, Measured: x.Measured, Imported: x.Imported, Text: x.Text(), Short: x.Short()}
	}
	return out
}
