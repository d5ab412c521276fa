package web

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"serin/internal/controller"
	"serin/internal/rollout"
	"serin/internal/simulate"
)

// How much a page simulates: its reader waits for it.
const (
	pageRuns     = 400
	pageGridRuns = 100
	pageLimit    = 2 * time.Minute
)

// simulationView is the simulation of a plan: the form of its traffic figures,
// and once it was sent what came of it.
type simulationView struct {
	URL     string
	Version int
	Fields  []figureField
	More    string // other figures, one a line
	Runs    string
	Seed    string
	Grid    bool // regressions are played too
	Error   string
	Result  *simulationResult
	// Measured is where the form has what the server measured; Basis says what
	// that rests on, once it is filled in.
	Measured string
	Basis    []string
	CLI      string
}

// figureField is one traffic figure in the form.
type figureField struct{ Name, Label, Value string }

// simulationResult is a result in words.
type simulationResult struct {
	Lead   string
	Stats  []planStat
	Stages []string
	Guards []guardRow
	Gates  []gateRow
	Keeps  []keepRow
	Red    []keepRow
	Grid   []cellRow
	Least  []leastRow
	Advice []adviceRow
	Played string // the regression that the advice was played with
	Assume []string
}

// cellRow is what became of a regression.
type cellRow struct {
	Name, Caught, Kept, After, Exposed, Harmed string
	ByStage                                    []string
}

type leastRow struct{ Stage, Errors, Latency string }

type adviceRow struct{ Change, Caught, First, Exposed, False, Asked, Finish string }

type guardRow struct {
	Rule, Kind, Acts string
	ByStage          []string
}

type gateRow struct{ Stage, Traffic, Users, Reached, Asks, Stuck, Waits, Proves string }

type keepRow struct{ Stage, Rule, NotMet, Unknown, Stuck string }

// figures are the fields of the form.
var figures = []figureField{
	{"views_per_day", "Page views a day", "20,000"},
	{"users", "Users in the audience", "1,000"},
	{"errors_per_view", "Errors per page view", "0.05%"},
	{"p1_per_day", "P1 errors a day", "0.1"},
	{"p2_per_day", "P2 errors a day", "1"},
	{"lcp", "Page load (LCP) p75", "2.0s"},
	{"api_p95", "API p95", "180ms"},
}

// simulationOf is the form with the figures sent, or the defaults.
func simulationOf(p controller.PlanText, form url.Values) *simulationView {
	v := &simulationView{URL: "/plans/" + url.PathEscape(p.Name) + "/simulate", Version: p.Number, Runs: simulate.Thousands(pageRuns), Measured: "/plans/" + url.PathEscape(p.Name) + "?measured=1#simulation",
		More: form.Get("more"), Seed: strings.TrimSpace(form.Get("seed")), Grid: form.Get("grid") != "", CLI: fmt.Sprintf("serin plan show %s --version %d | serin simulate -", p.Name, p.Number)}
	if v.Seed == "" {
		v.Seed = "1"
	}
	for _, f := range figures {
		if form.Has(f.Name) {
			f.Value = strings.TrimSpace(form.Get(f.Name))
		}
		v.Fields = append(v.Fields, f)
	}
	return v
}

// measured fills in the form what the server measured of a plan's audience.
func (s *server) measured(r *http.Request, v *simulationView, name string) {
	f, err := s.Rollouts.Traffic(r.Context(), name)
	var no *rollout.Refusal
	switch {
	case errors.As(err, &no):
		v.Error = upper(no.Why) + "."
		return
	case err != nil:
		s.Logger.Error("read measured traffic", "plan", name, "error", err)
		v.Error = "What was measured could not be read: the log of the server says why."
		return
	}
	texts := f.Traffic.Figures()
	for i, field := range v.Fields {
		v.Fields[i].Value = texts[field.Name]
		delete(texts, field.Name)
	}
	more := []string{}
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		more = append(more, key+"="+texts[key])
	}
	v.More, v.CLI = strings.Join(more, "\n"), v.CLI+" --measured"
	span := fmt.Sprintf("%s to %s UTC", f.From.UTC().Format("2 Jan 15:04"), f.To.UTC().Format("2 Jan 15:04"))
	v.Basis = append([]string{span}, f.Basis...)
	for _, text := range f.Assumed {
		v.Basis = append(v.Basis, "assumed: "+text)
	}
}

// simulate plays a plan with the figures of the form, and shows it on its page.
func (s *server) simulate(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.problem(w, r, http.StatusBadRequest, "The form could not be read", "Open the page again and repeat the action.")
		return
	}
	if !s.checkCSRF(w, r) {
		return
	}
	number, _ := strconv.Atoi(r.PostForm.Get("version")) // none is the latest
	p, err := s.Rollouts.Plan(r.Context(), r.PathValue("plan"), number)
	if err != nil {
		s.planFailed(w, r, err)
		return
	}
	view := simulationOf(p, r.PostForm)
	status := http.StatusOK
	ctx, cancel := context.WithTimeout(r.Context(), pageLimit)
	defer cancel()
	view.CLI = view.inTerminal(view.CLI)
	if r.Header.Get("Accept") == streamType {
		s.playing(ctx, w, view, p.Source)
		return
	}
	if result, err := s.played.get(ctx, view, p.Source, nil); err != nil {
		view.Error, status = err.Error(), http.StatusUnprocessableEntity
	} else {
		view.Result = resultOf(result)
	}
	b := s.planPage(r, p)
	b.Simulation = view
	s.render(w, r, status, "planfile", page{Title: p.Name + ", simulation", Section: "plans", Crumb: p.Name, Body: b})
}

// traffic reads the figures of the form over others.
func (v *simulationView) traffic(t simulate.Traffic) (simulate.Traffic, error) {
	for _, f := range v.Fields {
		if f.Value == "" {
			continue
		}
		if err := t.Set(f.Name, f.Value); err != nil {
			return t, err
		}
	}
	for line := range strings.Lines(v.More) {
		name, text, ok := strings.Cut(strings.TrimSpace(line), "=")
		if name == "" {
			continue
		}
		if !ok {
			return t, fmt.Errorf("%q: write METRIC=VALUE, one a line", strings.TrimSpace(line))
		}
		if err := t.Set(strings.TrimSpace(name), text); err != nil {
			return t, err
		}
	}
	return t, nil
}

// inTerminal is the command that plays the same.
func (v *simulationView) inTerminal(base string) string {
	line := base
	for _, f := range v.Fields {
		if f.Value != "" {
			line += " --figure " + f.Name + "=" + strings.ReplaceAll(f.Value, ",", "")
		}
	}
	for more := range strings.Lines(v.More) {
		if more = strings.TrimSpace(more); more != "" && !strings.ContainsAny(more, " '\"$`\\;&|<>()") {
			line += " --figure " + more
		}
	}
	grid := 0
	if v.Grid {
		grid = pageGridRuns
	}
	if seed, err := v.seed(); err == nil && seed != 1 {
		line += fmt.Sprintf(" --seed %d", seed)
	}
	return fmt.Sprintf("%s --runs %d --grid-runs %d", line, pageRuns, grid)
}

// resultOf puts a result in words.
func resultOf(r simulate.Result) *simulationResult {
	out := &simulationResult{
		Lead: fmt.Sprintf("%s healthy runs at %s page views a day of %s users, seed %d.",
			simulate.Thousands(float64(r.Runs)), simulate.Thousands(r.Traffic.ViewsPerDay), simulate.Thousands(r.Traffic.Users), r.Seed),
		Stats: []planStat{
			{"False rollback, whole plan", r.FalseRollback.String(), "tests may use " + simulate.Percent(r.Budget)},
			{"Stuck at a criterion", r.Stuck.String(), "somebody has to override"},
			{"A person is asked", r.Asked.String(), "a criterion is unknown"},
			finishStat(r),
		},
		Assume: r.Assumed,
	}
	for _, g := range r.Guards {
		row := guardRow{Rule: g.Rule, Kind: "test", Acts: g.Acts.String()}
		if g.Fixed {
			row.Kind = "fixed limit"
		}
		if g.List == "reduce" {
			row.Kind += ", reduces"
		}
		for _, s := range g.ByStage {
			row.ByStage = append(row.ByStage, simulate.Percent(s.P))
		}
		out.Guards = append(out.Guards, row)
	}
	for _, s := range r.Stages {
		out.stage(s)
	}
	out.grid(r)
	return out
}

// grid adds what became of regressions.
func (out *simulationResult) grid(r simulate.Result) {
	for _, c := range r.Grid {
		row := cellRow{Name: c.Name, Caught: c.Caught.String(), Kept: simulate.Percent(c.Kept.P), After: dash, Exposed: dash, Harmed: dash}
		if c.Caught.Count > 0 {
			row.After = simulate.Hours(c.Hours.P50) + " (" + simulate.Hours(c.Hours.P95) + ")"
			row.Exposed, row.Harmed = usersOf(c.Exposed), usersOf(c.Harmed)
		}
		for _, s := range c.ByStage {
			row.ByStage = append(row.ByStage, s.Short())
		}
		out.Grid = append(out.Grid, row)
	}
	for _, s := range r.Smallest {
		out.Least = append(out.Least, leastRow{orElse(s.Stage, "whole plan"), simulate.Factor(s.Errors), simulate.Change(s.Latency)})
	}
	for i, s := range r.Suggestions {
		if i == 0 {
			out.Played = s.Effect
			out.Advice = append(out.Advice, adviceOf("as it is", s.Before))
		}
		out.Advice = append(out.Advice, adviceOf(s.Change, s.After))
	}
}

func usersOf(s simulate.Spread) string {
	return simulate.Thousands(s.P50) + " (" + simulate.Thousands(s.P95) + ")"
}

func adviceOf(change string, o simulate.Outlook) adviceRow {
	row := adviceRow{change, o.Caught.String(), o.First.String(), dash, o.FalseRollback.String(), o.Asked.String(), dash}
	if o.Caught.Count > 0 {
		row.Exposed = simulate.Thousands(o.Exposed)
	}
	if o.FinishHours > 0 {
		row.Finish = simulate.Hours(o.FinishHours)
	}
	return row
}

func finishStat(r simulate.Result) planStat {
	if r.Finished.Count == 0 {
		return planStat{"Finishes when healthy", dash, "no run came through"}
	}
	return planStat{"Finishes when healthy", simulate.Hours(r.Finish.P50), fmt.Sprintf("9 of 10 by %s; %s of runs come through", simulate.Hours(r.Finish.P90), simulate.Percent(r.Finished.P))}
}

// stage adds what happened at one stage.
func (out *simulationResult) stage(s simulate.StageResult) {
	out.Stages = append(out.Stages, s.Stage)
	out.Gates = append(out.Gates, gateRow{s.Stage, percent(s.Traffic), simulate.Thousands(float64(s.Users)), simulate.Percent(s.Reached.P),
		s.Asked.String(), s.Stuck.String(), simulate.Hours(s.Waited.P50), simulate.Provable(s.Provable)})
	for _, c := range s.Proceed {
		if c.NotMet.Count+c.Unknown.Count+c.Stuck.Count > 0 {
			out.Keeps = append(out.Keeps, keepRow{s.Stage, c.Rule, c.NotMet.String(), c.Unknown.String(), c.Stuck.String()})
		}
	}
	for _, c := range s.Checks {
		if c.Red.Count > 0 {
			out.Red = append(out.Red, keepRow{Stage: s.Stage, Rule: c.Rule, NotMet: c.Red.String(), Stuck: strconv.FormatFloat(c.Times, 'f', 1, 64)})
		}
	}
}
