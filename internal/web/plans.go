package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"serin/internal/backtest"
	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/simulate"
	"serin/internal/store"
)

// Plans is what the pages about plan files show and change. Unknown plans and
// versions answer an error for which errors.Is(err, store.ErrNotFound) holds.
type Plans interface {
	Plans(ctx context.Context) ([]controller.PlanSummary, error)
	// Plan returns a version, 0 for the latest.
	Plan(ctx context.Context, name string, number int) (controller.PlanText, error)
	ComparePlans(ctx context.Context, name string, from, to int) (controller.PlanDiff, error)
	CompareDraft(ctx context.Context, name string, from int, draft []byte) (controller.PlanDiff, error)
	// Create makes the next rollout of a plan; Revise gives one a new plan.
	// plan.Problems or a *rollout.Refusal say why not.
	Create(ctx context.Context, project string, source []byte, by, via string) (controller.Result, error)
	Revise(ctx context.Context, id string, source []byte, c rollout.Command) (controller.Result, error)
	// Baseline and ImportBaseline are about what rules compare with where no
	// control is left; the name may be a rollout's id.
	Baseline(ctx context.Context, plan string) (controller.BaselineReport, error)
	// Backtest runs a plan over what was recorded of a rollout; a
	// *rollout.Refusal says why it cannot.
	Backtest(ctx context.Context, q controller.BacktestOf) (backtest.Result, error)
	// Traffic is what was measured of the plan's audience; a *rollout.Refusal
	// says that it is too little.
	Traffic(ctx context.Context, plan string) (simulate.Figures, error)
	ImportBaseline(ctx context.Context, i controller.BaselineImport) (controller.BaselineImported, error)
}

// plansBody is the list of plans.
type plansBody struct {
	Rows  []planRow
	Error string
	CLI   []string
}

type planRow struct {
	Name, Title, Flag, URL string
	Version, Versions      string
	Lint                   pill
	At                     stamp
	Rollouts               []rolloutLink
	More                   int // rollouts that are not listed
}

// rolloutLink is a rollout of a plan.
type rolloutLink struct {
	ID, URL string
	Pill    pill
	Version string // of the plan; "" = not known
}

// planBody is one version of a plan.
type planBody struct {
	Name, Title, Flag string
	Version           int
	Latest            bool
	Pill              pill
	Stats             []planStat
	Lint              []finding
	LintSum           string
	LintSkipped       string
	Lines             []sourceLine
	Calendar          *calendarView
	Shown             string
	Versions          []versionRow
	Rollouts          []rolloutLink
	Create            createForm
	Simulation        *simulationView
	Backtest          *backtestView // nil = no rollout of it had traffic
	Baseline          *baselineLink // nil = no rule needs one
	DiffURL, DraftURL string        // DiffURL: to the version before; "" = there is none
	Error             string        // why the rollout was not created
	CLI               []string
}

type planStat struct{ Label, Value, Note string }

type versionRow struct {
	Number          int
	URL, DiffURL    string
	At              stamp
	Current, Latest bool
	Rollouts        []string
}

// createForm makes a rollout of the version shown.
type createForm struct {
	URL, CSRF string
	Version   int
	Next      string // "checkout-3"
	Missing   []string
}

// sourceLine is a line of a plan's text, highlighted, with what lint says of it.
type sourceLine struct {
	N     int
	Mark  string // class of the worst finding: fail, warn; "" = none
	Parts []part
	Notes []finding
}

// mostRollouts is how many rollouts of a plan the list names.
const mostRollouts = 3

func (s *server) plans(w http.ResponseWriter, r *http.Request) {
	found, err := s.Rollouts.Plans(r.Context())
	b := plansBody{CLI: []string{"serin plan list", "serin plan put plan.yaml"}}
	if err != nil {
		s.Logger.Error("read plans", "error", err)
		b.Error = "The plans could not be read. Rollouts go on by theirs."
	}
	for _, p := range found {
		row := planRow{Name: p.Name, Title: p.Title, Flag: p.Flag, URL: planURL(p.Name, 0), Version: strconv.Itoa(p.Number),
			Versions: plural(int64(p.Versions), "version"), Lint: checkPill(p.Check, p.Flag != ""), At: at(p.At, s.Now())}
		row.Rollouts = rolloutLinks(p.Rollouts[:min(len(p.Rollouts), mostRollouts)])
		row.More = len(p.Rollouts) - len(row.Rollouts)
		b.Rows = append(b.Rows, row)
	}
	s.render(w, r, http.StatusOK, "plans", page{Title: "Plans", Section: "plans", Body: b})
}

// planURL is the page of a version, 0 for the latest.
func planURL(name string, version int) string {
	u := "/plans/" + url.PathEscape(name)
	if version > 0 {
		u += "?version=" + strconv.Itoa(version)
	}
	return u
}

// diffURL is the comparison of two versions.
func diffURL(name string, from, to int) string {
	return fmt.Sprintf("/plans/%s/diff?from=%d&to=%d", url.PathEscape(name), from, to)
}

// checkPill is a lint result as one pill.
func checkPill(c controller.PlanCheck, readable bool) pill {
	switch {
	case !readable:
		return pill{"fail", "fail", "Cannot be read"}
	case c.Errors > 0:
		return pill{"fail", "fail", plural(int64(c.Errors), "error")}
	case c.Warnings > 0:
		return pill{"warn", "warn", plural(int64(c.Warnings), "warning")}
	}
	return pill{"pass", "pass", "Valid"}
}

func rolloutLinks(list []controller.PlanRollout) []rolloutLink {
	out := make([]rolloutLink, 0, len(list))
	for _, r := range list {
		l := rolloutLink{ID: r.ID, URL: "/rollouts/" + url.PathEscape(r.ID), Pill: pillOf(controller.View{State: rollout.State{Status: r.Status}})}
		if r.Status == rollout.Running {
			l.Pill = pill{"info", "play", "At " + percent(r.Exposure)}
		}
		if r.Version > 0 {
			l.Version = strconv.Itoa(r.Version)
		}
		out = append(out, l)
	}
	return out
}

// plan is the page of a version of a plan.
func (s *server) plan(w http.ResponseWriter, r *http.Request) {
	number := 0
	if text := r.URL.Query().Get("version"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			s.missing(w, r)
			return
		}
		number = n
	}
	s.showPlan(w, r, http.StatusOK, number, "")
}

func (s *server) showPlan(w http.ResponseWriter, r *http.Request, status, number int, problem string) {
	p, err := s.Rollouts.Plan(r.Context(), r.PathValue("plan"), number)
	if err != nil {
		s.planFailed(w, r, err)
		return
	}
	b := s.planPage(r, p)
	b.Error = problem
	s.render(w, r, status, "planfile", page{Title: p.Name + ", plan", Section: "plans", Crumb: p.Name, Body: b})
}

// planPage is what the page of a version shows to who asks.
func (s *server) planPage(r *http.Request, p controller.PlanText) planBody {
	b := planBodyOf(p, s.Now())
	b.Simulation, b.Backtest = simulationOf(p, nil), backtestOf(p, nil)
	if r.Method == http.MethodGet && r.URL.Query().Get("measured") != "" {
		s.measured(r, b.Simulation, p.Name)
	}
	b.Baseline = s.baselineOf(r, p.Name)
	b.Create.CSRF = s.Sessions.CSRF(visitOf(r.Context()).Cookie)
	if !visitOf(r.Context()).Person.can("operate", "approve") {
		b.Create.Missing = append(b.Create.Missing, "your token may only read; ask for one with the scope “operate”")
	}
	return b
}

// planFailed answers for a plan that could not be shown.
func (s *server) planFailed(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, store.ErrNotFound) {
		s.problem(w, r, http.StatusNotFound, "There is no such plan",
			"No plan or version of this name is stored. The list of plans has them all.")
		return
	}
	s.fail(w, r, err)
}

func planBodyOf(p controller.PlanText, now time.Time) planBody {
	b := planBody{Name: p.Name, Title: p.Title, Flag: p.Flag, Version: p.Number, Latest: p.Latest, Pill: checkPill(p.Check, p.Flag != ""),
		Shown: p.Shown, Rollouts: rolloutLinks(p.Rollouts), DraftURL: fmt.Sprintf("/plans/%s/diff?from=%d&to=draft", url.PathEscape(p.Name), p.Number)}
	plain, found := planLines(p.Source, p.Check.Problems)
	b.Lines = sourceLines(plain, found)
	b.LintSum, b.LintSkipped = lintSum(found), strings.Join(p.Check.Skipped, ", ")
	b.Lint = errorsFirst(found)
	if p.Calendar != nil {
		b.Calendar = calendarOf(*p.Calendar, now)
		b.Stats = planStats(*p.Calendar)
	}
	for i, v := range p.Versions {
		row := versionRow{Number: v.Number, URL: planURL(p.Name, v.Number), At: at(v.At, now), Current: v.Number == p.Number, Latest: i == 0}
		if i+1 < len(p.Versions) {
			row.DiffURL = diffURL(p.Name, p.Versions[i+1].Number, v.Number)
		}
		for _, of := range p.Rollouts {
			if of.Version == v.Number {
				row.Rollouts = append(row.Rollouts, of.ID)
			}
		}
		if row.Current {
			b.DiffURL = row.DiffURL
		}
		b.Versions = append(b.Versions, row)
	}
	b.Create = createOf(p)
	b.CLI = []string{fmt.Sprintf("serin plan show %s --version %d", p.Name, p.Number), fmt.Sprintf("serin plan show %s --version %d | serin rollout create -", p.Name, p.Number)}
	return b
}

// createOf is the form that makes the next rollout, with what bars it.
func createOf(p controller.PlanText) createForm {
	f := createForm{URL: "/plans/" + url.PathEscape(p.Name) + "/rollouts", Version: p.Number}
	n := 0
	for _, r := range p.Rollouts {
		n = max(n, number(r.ID))
		if !store.Over(r.Status) {
			f.Missing = append(f.Missing, fmt.Sprintf("%s is not over: finish or cancel it, or revise it in flight", r.ID))
		}
	}
	f.Next = fmt.Sprintf("%s-%d", p.Name, n+1)
	if p.Check.Errors > 0 {
		f.Missing = append(f.Missing, "lint finds "+plural(int64(p.Check.Errors), "error"))
	}
	return f
}

// errorsFirst sorts findings: errors before warnings, each by line.
func errorsFirst(found []finding) []finding {
	out := slices.Clone(found)
	slices.SortStableFunc(out, func(a, b finding) int { return b2i(a.Class != "fail") - b2i(b.Class != "fail") })
	return out
}

// planStats are the figures of a plan's calendar.
func planStats(c controller.Calendar) []planStat {
	var first, last float64
	var begin, end time.Time
	stages, checks, waits := 0, 0, time.Duration(0)
	for _, e := range c.Events {
		checks += e.Checks
		if e.Kind != plan.StageStart {
			continue
		}
		if stages++; stages == 1 {
			first, begin = e.Traffic, e.At
		} else {
			waits += e.Wait
		}
		last = e.Traffic
	}
	end = c.End
	out := []planStat{{"Stages", strconv.Itoa(stages), percent(first) + " to " + percent(last)}}
	if begin.IsZero() || end.IsZero() {
		out = append(out, planStat{"Finishes when healthy", dash, "a window never opens"})
	} else {
		out = append(out, planStat{"Finishes when healthy", days24(end.Sub(begin)), "from the first raise"})
	}
	note := "none"
	if waits > 0 {
		note = "for calendar and clock"
	}
	return append(out, planStat{"Waits between stages", days24(waits), note}, planStat{"Checks", count(int64(checks)), "if it finishes when healthy"})
}

// days24 writes a long time in days and hours: "8d 15h".
func days24(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 3*day {
		return duration(d)
	}
	if h := d % day / time.Hour; h > 0 {
		return fmt.Sprintf("%dd %dh", d/day, h)
	}
	return fmt.Sprintf("%dd", d/day)
}

// sourceLines highlights a plan's text and puts findings at their lines.
func sourceLines(plain []planLine, found []finding) []sourceLine {
	out := make([]sourceLine, len(plain))
	for i, l := range plain {
		out[i] = sourceLine{N: l.N, Mark: l.Mark, Parts: highlight(l.Text)}
	}
	for _, f := range found {
		if f.Line >= 1 && f.Line <= len(out) {
			out[f.Line-1].Notes = append(out[f.Line-1].Notes, f)
		}
	}
	return out
}
