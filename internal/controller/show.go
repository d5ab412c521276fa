package controller

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// show rebuilds the view from state, plan, verdicts and the input last looked
// at, and tells live pages when the version or the waiting list changed.
func (w *worker) show(in rollout.Input) {
	s, p := w.state, w.plan
	w.inForce.Store(p)
	if w.unread != nil {
		w.showUnreadable(in.Wall)
		return
	}
	v := View{
		ID: w.id, Project: w.project(), Plan: p.Name, Title: p.Title, Flag: p.Flag.Key, State: s, Version: s.Version,
		Exposure: percent(s.Exposure), Stages: stages(p, s), Waiting: rollout.Waits(p, s, in),
		Proceed: w.last.proceed, Rollback: w.last.rollback, Reduce: w.last.reduce, Checks: w.last.checks,
		Data: in.Data, Metrics: map[string]MetricView{}, At: in.Wall,
	}
	if in.Data.Quiet {
		v.Note = "quiet"
	}
	v.Checklist, v.Tasks = w.checklist(in), w.cleanup(in)
	if s.Status == rollout.Preflight {
		v.Before = texts(p.Stages[0].Before, s.Completed, s)
	}
	if s.Status == rollout.Running || s.Status == rollout.Paused || s.Status == rollout.Reduced {
		v.Confirm = texts(p.Stages[s.Stage].Confirm, s.Confirmed, s)
		if s.Stage+1 < len(p.Stages) {
			v.Before = texts(p.Stages[s.Stage+1].Before, s.Completed, s)
		}
		at, _, every := rollout.NextCheck(p, s, in.Wall)
		v.NextCheck = at
		if every > 0 {
			v.CheckEvery = every.String()
		}
	}
	for _, c := range rollout.Open(p, s, in) {
		v.Actions = append(v.Actions, Action{Verb: c.Verb, Open: c.Open, Missing: c.Missing, CLI: cli(w.id, c.Verb, s)})
	}
	v.Ways = waysBack(p, s, v.Actions)
	v.Deploy = deployView(p, s, w.c.courier.Hooked(p.Flag.Env))
	v.Users = w.last.users
	v.Charts = w.charts(v)
	for name, m := range p.Metrics {
		v.Metrics[name] = MetricView{Title: m.Title, Unit: m.Unit, UpGood: m.UpGood}
	}
	old := w.view.Swap(&v)
	if old == nil || s.Pos == 0 {
		return
	}
	if old.State.Pos != s.Pos {
		w.c.o.Moved(w.id)
	}
	if old.Version != v.Version || !sameWaiting(old.Waiting, v.Waiting) || old.State.Pos != v.State.Pos || in.Wall.Sub(w.shown) >= w.refresh() {
		w.shown = in.Wall
		w.c.o.Feed.Send("rollout", map[string]any{"id": w.id, "version": v.Version})
		w.points(v)
	}
}

// refresh is how often a page is told to look again although nothing was
// decided: at most once in two real seconds.
func (w *worker) refresh() time.Duration {
	return max(Tick, time.Duration(2*float64(time.Second)*w.c.o.Clock.Rate()))
}

// points sends the newest value of each chart.
func (w *worker) points(v View) {
	for _, c := range v.Charts {
		if c.Now != nil || c.Ref != nil {
			w.c.o.Feed.Send("point", map[string]any{"id": w.id, "chart": c.Metric, "t": v.At.Unix(), "a": c.Now, "c": c.Ref})
		}
	}
}

func percent(p flag.Percent) float64 { return float64(p) / 1000 }

func sameWaiting(a, b []rollout.Waiting) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Kind != b[i].Kind {
			return false
		}
	}
	return true
}

// stages is the stage rail.
func stages(p *plan.Plan, s rollout.State) []StageView {
	out := make([]StageView, len(p.Stages))
	for i, st := range p.Stages {
		out[i] = StageView{Name: st.Name, Traffic: percent(st.Traffic), Bake: st.Bake, State: "next", Approve: st.Approve, Owner: st.Owner}
		switch {
		case s.Attempt == 0:
		case i < s.Stage || s.Status == rollout.Cleanup || s.Status == rollout.Done:
			out[i].State, out[i].Baked = "done", st.Bake
		case i == s.Stage:
			out[i].State, out[i].Baked, out[i].Began = "current", s.Bake, s.StageAt
		}
		for _, o := range s.Overridden {
			if o == i {
				out[i].Overridden = true
			}
		}
	}
	return out
}

// cli is the command that does the same in a terminal.
func cli(id string, verb rollout.Verb, s rollout.State) string {
	if verb == rollout.Deploy {
		return "serin deployed --release VERSION"
	}
	line := fmt.Sprintf("serin rollout %s %s", verb, id)
	switch verb {
	case rollout.Promote:
		line += ` --reason "..."`
	case rollout.Revise:
		line += " --plan FILE"
	case rollout.Reduce:
		line += " --to 1%"
	case rollout.Restart:
		line += ` --cause "..."`
	case rollout.Complete, rollout.Reopen, rollout.Confirm:
		line += " ITEM"
	case rollout.Approve:
		if s.Status == rollout.RolledBack {
			line += " --item restart"
		}
	case rollout.Revert:
		if s.Revert != nil {
			line += " --done"
		}
	}
	if !verb.Urgent() && verb != rollout.Cancel && verb != rollout.Complete && verb != rollout.Reopen {
		line += " --version " + strconv.FormatInt(s.Version, 10)
	}
	return line
}

// chartCount is how many charts the rollout page draws.
const chartCount = 4

// charts picks the metrics to draw: those that the plan's rules name and that
// users are measured by, rules that stand worst first, each once.
func (w *worker) charts(v View) []ChartView {
	type pick struct {
		v     judge.Verdict
		order int
	}
	var picks []pick
	seen := map[string]bool{}
	for _, list := range [][]judge.Verdict{v.Proceed, v.Checks, v.Rollback} {
		for _, d := range list {
			m := w.plan.Metrics[d.Metric]
			if m == nil || !m.User || seen[d.Metric] || drawn[d.Metric] == 0 {
				continue
			}
			seen[d.Metric] = true
			picks = append(picks, pick{d, drawn[d.Metric]})
		}
	}
	for name, order := range drawn {
		if m := w.plan.Metrics[name]; m != nil && !seen[name] {
			picks = append(picks, pick{judge.Verdict{Metric: name, Unit: m.Unit, Limit: math.NaN()}, 100 + order})
		}
	}
	sort.SliceStable(picks, func(i, j int) bool { return picks[i].order < picks[j].order })
	out := []ChartView{}
	for _, p := range picks[:min(chartCount, len(picks))] {
		m := w.plan.Metrics[p.v.Metric]
		c := ChartView{Metric: m.Name, Title: m.Title, Unit: m.Unit, Now: p.v.Canary, Ref: p.v.Control}
		if p.v.Ref == plan.None && !math.IsNaN(p.v.Limit) {
			limit := p.v.Limit
			c.Limit = &limit
		}
		out = append(out, c)
	}
	return out
}

// drawn are the metrics that make a telling chart, in order.
var drawn = map[string]int{"error_rate": 1, "lcp": 2, "api_p95": 3, "db_p95": 4, "errors": 5, "inp": 6, "p1": 7}

// chartSpan is how far back a page may ask.
const chartSpan = 90 * 24 * time.Hour

// maxPoints is the most points of a series.
const maxPoints = 600

// Series is a metric over time for both arms, with the stage changes in it.
func (c *Controller) Series(ctx context.Context, id, metric string, from, to time.Time, points int) (Series, error) {
	w, err := c.find(id)
	if err != nil {
		return Series{}, err
	}
	v := w.view.Load()
	m, ok := v.Metrics[metric]
	if !ok {
		return Series{}, &rollout.Refusal{Kind: rollout.Missing, Why: fmt.Sprintf("plan %s has no metric %q", v.Plan, metric)}
	}
	if to.Sub(from) > chartSpan {
		from = to.Add(-chartSpan)
	}
	if points <= 0 || points > maxPoints {
		points = maxPoints
	}
	out := Series{Metric: metric, Unit: m.Unit}
	found, err := c.o.Evidence.Series(v.ID, metric, from, to, points)
	if err != nil {
		return Series{}, fmt.Errorf("read %s of %s: %w", metric, v.ID, err)
	}
	for _, p := range found {
		out.T = append(out.T, p.T.Unix())
		out.Canary = append(out.Canary, p.Canary)
		out.Control = append(out.Control, p.Control)
		out.Low = append(out.Low, p.Low)
		out.High = append(out.High, p.High)
	}
	for _, ch := range v.Charts {
		if ch.Metric == metric {
			out.Limit = ch.Limit
		}
	}
	events, err := c.o.Store.Journal(ctx, v.ID, 0, 0)
	if err != nil {
		return Series{}, fmt.Errorf("read journal of %s: %w", v.ID, err)
	}
	exposure := flag.Percent(0)
	for _, e := range events {
		if e.Exposure != exposure {
			exposure = e.Exposure
			if !e.At.Before(from) {
				out.Marks = append(out.Marks, Mark{T: e.At.Unix(), Text: exposure.String()})
			}
		}
	}
	return out, nil
}

// Timeline is a rollout's journal in words, newest first: without baked and
// without checks that changed nothing.
func (c *Controller) Timeline(ctx context.Context, id string, limit int) ([]Entry, error) {
	w, err := c.find(id)
	if err != nil {
		return nil, err
	}
	v := w.view.Load()
	events, err := c.o.Store.Journal(ctx, v.ID, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("read journal of %s: %w", v.ID, err)
	}
	var out []Entry
	var red []string
	for _, e := range events {
		if e.Type == rollout.Baked {
			continue
		}
		if e.Type == rollout.Checked {
			same := slices.Equal(e.Red, red)
			red = e.Red
			if same {
				continue
			}
		}
		title, text := rollout.Title(w.inForce.Load(), e)
		out = append(out, Entry{Event: e, Title: title, Text: text})
	}
	slices.Reverse(out)
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out, nil
}
