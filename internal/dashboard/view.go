package dashboard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"serin/internal/panel"
	"serin/internal/plan"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// View is a rollout's dashboard over a time.
type View struct {
	Rollout string        `json:"rollout"`
	From    time.Time     `json:"from"`
	To      time.Time     `json:"to"`
	Compare time.Duration `json:"compare" doc:"how much earlier the compared time is, in nanoseconds; 0 = none, but a panel may name its own"`
	Targets []Target      `json:"targets"`
	Panels  []PanelView   `json:"panels"`
}

// PanelView is one panel and what it found.
type PanelView struct {
	Title  string `json:"title"`
	Query  string `json:"query,omitempty" doc:"as the plan has it"`
	Metric string `json:"metric,omitempty"`
	By     string `json:"by,omitempty"`
	// Read says what the panel is read as; Notes what was translated on the way.
	Read  string                  `json:"read"`
	Notes []telemetry.Translation `json:"notes,omitempty"`
	Unit  string                  `json:"unit,omitempty"`
	Shape Shape                   `json:"shape"`

	Now     panel.Value   `json:"now"`
	Was     *panel.Value  `json:"was,omitempty" doc:"in the compared time; left out where it was not counted throughout"`
	Earlier time.Duration `json:"earlier,omitempty" doc:"how much earlier that was, in nanoseconds"`
	T       []int64       `json:"t,omitempty" doc:"ends of the steps, Unix seconds"`
	Values  []*float64    `json:"values,omitempty"`
	Before  []*float64    `json:"before,omitempty" doc:"of the compared time, step by step"`
	Limit   *float64      `json:"limit,omitempty" doc:"of a target on the same metric"`
	Groups  []GroupView   `json:"groups,omitempty"`
	Issues  []IssueRow    `json:"issues,omitempty"`
	Since   time.Time     `json:"since,omitzero" doc:"when counting began"`
	Last    time.Time     `json:"last,omitzero" doc:"when a record was last found"`
	Problem string        `json:"problem,omitempty" doc:"why there is no answer"`
}

// Shape is how a panel is drawn.
type Shape string

// The shapes.
const (
	Line   Shape = "line"
	Bars   Shape = "groups" // counts by group
	Shares Shape = "shares" // counts by group, and their share of all
	List   Shape = "issues"
)

// GroupView is a group now and before.
type GroupView struct {
	panel.Group
	Was *panel.Value `json:"was,omitempty"`
}

// IssueRow is an issue that a panel found.
type IssueRow struct {
	ID     string    `json:"id"`
	Title  string    `json:"title"`
	Events int64     `json:"events"`
	Users  int64     `json:"users"`
	First  time.Time `json:"first_seen"`
}

// The bounds of a view.
const (
	points    = 72
	maxIssues = 10
	maxGroups = 10
)

// Range is the span that a page or a command asks for.
type Range struct {
	Back    time.Duration // 0 = since the rollout began
	Compare time.Duration // 0 = as each panel says
}

// View answers for one rollout, by id or its plan's name; the error is Find's.
func (d *Dashboard) View(ctx context.Context, id string, r Range) (View, error) {
	found, err := d.o.Find(id)
	if err != nil {
		return View{}, err
	}
	now := d.o.Clock.Now()
	out := View{Rollout: found.Rollout, To: now, Compare: r.Compare, Panels: []PanelView{}}
	switch began := found.Place.RolloutBegan; {
	case r.Back > 0:
		out.From = now.Add(-min(r.Back, panel.Kept))
	case began.IsZero():
		out.From = now.Add(-24 * time.Hour)
	default:
		out.From = began
	}
	out.Targets = d.targetsOf(found, now, r.Compare)
	for _, p := range found.Plan.Dashboard.Panels {
		out.Panels = append(out.Panels, d.panel(ctx, found, p, out))
	}
	return out, nil
}

// panel answers one panel.
func (d *Dashboard) panel(ctx context.Context, r Rollout, p plan.Panel, v View) PanelView {
	out := PanelView{Title: p.Title, Query: p.Query, Metric: p.Metric, By: p.By, Shape: Line, Earlier: v.Compare}
	if p.Metric != "" {
		if p.Compare > 0 {
			out.Earlier = p.Compare
		}
		d.metric(r, &out, v)
		return out
	}
	q, err := panel.Of(r.Project, r.Plan.Flag.Key, p)
	if err != nil {
		out.Problem = err.Error()
		return out
	}
	out.Read, out.Notes = q.Query.Words(), q.Query.Notes
	if !q.Counted() {
		d.list(ctx, r, q, &out)
		return out
	}
	if q.Query.Earlier > 0 {
		out.Earlier = q.Query.Earlier
	}
	d.count(r, q, &out, v)
	return out
}

// count answers a panel from counts.
func (d *Dashboard) count(r Rollout, q panel.Panel, out *PanelView, v View) {
	from, to := v.From, v.To
	if began := r.Place.StageBegan; q.Query.Against == telemetry.CompareStage && !began.IsZero() && began.Before(to) {
		from, out.Earlier = began, to.Sub(began)
		out.Read += ", since the stage began against as long before"
	}
	now, err := d.o.Evidence.ReadPanel(q.Key, from, to, points)
	switch {
	case errors.Is(err, store.ErrNotFound):
		out.Problem = fmt.Sprintf("it is not counted yet: a server counts %d panels, and new ones within a minute", panel.Max)
		return
	case err != nil:
		out.Problem = err.Error()
		return
	}
	out.Now, out.Since, out.Last = now.Total, now.Since, now.Last
	out.Unit, out.Limit = unitOf(q.Query), limitOf(r.Plan, q.Query)
	for _, p := range now.Points {
		out.T, out.Values = append(out.T, p.T.Unix()), append(out.Values, p.Value)
	}
	var before panel.Span
	if out.Earlier > 0 {
		before, err = d.o.Evidence.ReadPanel(q.Key, from.Add(-out.Earlier), to.Add(-out.Earlier), points)
		if err == nil && !before.Since.After(from.Add(-out.Earlier)) {
			out.Was = &before.Total
		}
		out.Before = make([]*float64, len(out.T)) // the step under way has none yet
		for i := range min(len(before.Points), len(out.T)) {
			out.Before[i] = before.Points[i].Value
		}
	}
	if len(q.Query.By) > 0 {
		out.Shape, out.Groups = Bars, groups(now, before, out.Was != nil)
		if _, shared := q.Query.Base(); shared {
			out.Shape = Shares
		}
	}
}

// groups joins the groups of now and before, most first. Those that were there
// before alone come last: what went away is news too.
func groups(now, before panel.Span, counted bool) []GroupView {
	was := map[string]panel.Value{}
	for _, g := range before.Groups {
		was[g.Name] = g.Value
	}
	var out []GroupView
	add := func(g panel.Group) {
		if len(out) == maxGroups {
			return
		}
		v := GroupView{Group: g}
		if w, ok := was[g.Name]; ok && counted {
			v.Was = &w
		} else if counted {
			v.Was = &panel.Value{}
		}
		out = append(out, v)
	}
	for _, g := range now.Groups {
		add(g)
		delete(was, g.Name)
	}
	for _, g := range before.Groups {
		if _, gone := was[g.Name]; gone {
			add(panel.Group{Name: g.Name})
		}
	}
	return out
}

// list answers a panel of issues.
func (d *Dashboard) list(ctx context.Context, r Rollout, q panel.Panel, out *PanelView) {
	out.Shape, out.Earlier = List, 0
	found, err := d.o.Issues(ctx, r.Project, q.Query.Filter)
	if err != nil {
		out.Problem = err.Error()
		return
	}
	out.Now.N = int64(len(found))
	for _, i := range found[:min(len(found), maxIssues)] {
		out.Issues = append(out.Issues, IssueRow{ID: i.ID, Title: i.Title, Events: i.Events, Users: i.Users, First: i.FirstSeen})
	}
}

// unitOf is the unit of a panel's values.
func unitOf(q telemetry.Query) string {
	if q.Aggregate.Measures() && q.Aggregate.Field != "measurements.cls" && q.Aggregate.Field != "score" {
		return "ms"
	}
	return ""
}

// limitOf is the limit that a target sets for the quantile which a panel shows.
func limitOf(p *plan.Plan, q telemetry.Query) *float64 {
	share, ok := q.Aggregate.Quantile()
	if !ok {
		return nil
	}
	for _, t := range p.Dashboard.Targets {
		for _, rule := range t.Rules {
			m := p.Metrics[rule.Metric]
			if m != nil && rule.Ref == plan.None && m.Kind == plan.Quantile && m.Q == share && m.Field == q.Aggregate.Field {
				return &rule.Value
			}
		}
	}
	return nil
}
