package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/judge"
	"serin/internal/rollout"
	"serin/internal/store"
)

// How much a page shows.
const (
	timelineLimit = 12
	journalLimit  = 500
	noticeLimit   = 50
	tableRows     = 12
	seriesPoints  = 144
)

// ranges are the spans of the charts, in the order of the buttons.
var ranges = []struct {
	Key  string
	Span time.Duration
}{{"1h", time.Hour}, {"6h", 6 * time.Hour}, {"24h", 24 * time.Hour}, {"7d", 7 * 24 * time.Hour}, {"stage", 0}}

// rolloutBody is everything the rollout page shows.
type rolloutBody struct {
	View                    controller.View
	Project                 string // its name, where who asks is in more than one; else ""
	Tab                     string // see tabs
	Tabs                    []tab
	Pill                    pill
	Bar                     []action
	Dock                    []action
	Dialogs                 []action
	Rail                    []stop
	RailNow                 string
	RailNext                string
	Sentence                sentence
	Quality                 []string
	Ranges                  []option
	Charts                  []chart
	Table                   []tableRow
	Ring                    ring
	Next                    nextCheck
	Checklist               []checkGroup
	ItemsDone               int
	ItemsAll                int
	Gates                   []gate
	GateSum                 string
	Proceed                 []criterion
	Holding                 int
	NextStage               string
	Trips                   []meter
	TripSum                 string
	TripClass               string
	Timeline                []entry
	Notices                 []noticeRow
	CLI                     []string
	ProceedCLI, RollbackCLI string // of the two panels
	Done, DoneText          string // what was just done, and what came of it
	Burning                 []link // incidents for which raises wait; without URL where there are no pages about them
	OpenIncident            string // where one is opened; "" = it cannot be here
	PlanText                []planLine
	Lint                    []finding
	LintSum                 string
	LintSkipped             string
	Calendar                *calendarView
	Runbook                 *runbookView
	Panels                  *panelsView
	Deploy                  *deployCard // nil = the plan names no build variable
	List                    *checklistView
	Clean                   *cleanupView
	Explain                 *explainView
	Report                  *reportView
	PlanError               string
	Baseline                *baselineLink // nil = whole and measured, or no rule needs one
}

// stop is a dot of the rail.
type stop struct {
	Class, Icon, Name, Short string
	Lines                    []string
	State                    string // for screen readers
	Fill                     string // width of the segment after the dot, 0..100; "" = none
}

type chart struct {
	Metric, Title, Unit, URL string
	Canary, Control          string
	Label                    string
}

type tableRow struct {
	At                                   stamp
	Metric, Canary, Control, Band, Limit string
}

type ring struct {
	Percent, Dash, Measured string
	New, Old                string
	Split, SplitClass       string
}

type nextCheck struct {
	At    stamp
	Until int64 // Unix milliseconds; 0 = none
	Every string
	N     int
}

type checkGroup struct {
	Title string
	Items []checkItem
}

type checkItem struct {
	Class, Icon, Text, Note, Right string
	URL, Dialog, Item              string // of the button
	Button                         string
	ID                             string
}

type gate struct {
	ID, Name                string
	Pill                    pill
	OK                      bool
	Canary, Control, Change string
	CI                      interval
	Text                    string // where there is no interval
	Rule, Sample, Age, Why  string
	Aria                    string
}

type criterion struct {
	Class, Icon, Text, Note, Value, Word string
	Mono                                 bool
}

type meter struct {
	Text, Class, Width, Value, Why string
	Dry                            bool
}

// entry is a row of timeline and journal.
type entry struct {
	Pos                      int64
	Class, Icon, Title, Text string
	Who, Via, Did            string
	At                       stamp
}

type noticeRow struct {
	Title, Channel, State, Class string
	At                           stamp
}

// view reads the rollout of the request's path. A plan's name, or any other
// spelling, is redirected to the id. On false the answer is written.
func (s *server) view(w http.ResponseWriter, r *http.Request) (controller.View, bool) {
	id := r.PathValue("id")
	v, err := s.Rollouts.View(r.Context(), id)
	if errors.Is(err, store.ErrNotFound) {
		v, err = s.latest(r.Context(), id)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		s.missing(w, r)
		return v, false
	case err != nil:
		s.fail(w, r, err)
		return v, false
	}
	if v.ID != id && r.Method == http.MethodGet {
		rest := strings.TrimPrefix(r.URL.EscapedPath(), "/rollouts/"+url.PathEscape(id))
		u := url.URL{Path: "/rollouts/" + v.ID, RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, u.EscapedPath()+rest+query(u.RawQuery), http.StatusFound)
		return v, false
	}
	return v, true
}

func query(raw string) string {
	if raw == "" {
		return ""
	}
	return "?" + raw
}

// latest finds the newest rollout of a plan.
func (s *server) latest(ctx context.Context, plan string) (controller.View, error) {
	all, err := s.Rollouts.Views(ctx)
	if err != nil {
		return controller.View{}, err
	}
	found, ok := controller.View{}, false
	for _, v := range all {
		if v.Plan == plan && (!ok || number(v.ID) > number(found.ID)) {
			found, ok = v, true
		}
	}
	if !ok {
		return found, store.ErrNotFound
	}
	return found, nil
}

// number is n of "<plan>-<n>", 0 if there is none.
func number(id string) int {
	n := 0
	for _, c := range id[strings.LastIndexByte(id, '-')+1:] {
		if c < '0' || c > '9' || n > 1e8 {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}

func (s *server) rollout(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	now := s.Now()
	b := s.frame(v, visitOf(r.Context()), "overview", r)
	span := r.URL.Query().Get("range")
	from := s.charts(&b, v, span, now)
	b.Table = s.table(r.Context(), v, from, now)
	b.Rail, b.RailNow, b.RailNext = rail(v, now)
	b.Sentence, b.Quality = sentenceOf(v, now), quality(v)
	b.Ring, b.Next = ringOf(v), nextOf(v, now)
	b.Deploy = deployOf(v, now)
	b.Checklist, b.ItemsDone, b.ItemsAll = checklist(v, now)
	b.Gates, b.GateSum = gates(v, now)
	if !store.Over(v.State.Status) {
		b.Baseline = s.baselineOf(r, v.ID)
	}
	b.Proceed, b.Holding = criteria(v)
	b.NextStage = nextStage(v)
	b.Trips, b.TripSum, b.TripClass = trips(v)
	list, err := s.Rollouts.Timeline(r.Context(), v.ID, timelineLimit)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	b.Timeline = entries(list, now)
	b.Notices = s.notices(r.Context(), v.ID, 5, now)
	b.ProceedCLI, b.RollbackCLI = cliOf(v, rollout.Approve, rollout.Promote), cliOf(v, rollout.Rollback)
	b.CLI = []string{"serin rollout get " + v.ID, "serin rollout journal " + v.ID}
	s.render(w, r, http.StatusOK, "rollout", page{Title: v.Plan + ", " + stageName(v), Crumb: v.ID, Charts: true, Dock: len(b.Dock) > 0, Live: true, Body: b})
}

// tab is a page of a rollout in the row that all of them have.
type tab struct {
	Name, URL string
	Current   bool
}

// tabs are the pages of a rollout. They are all there in every state.
var tabs = []struct{ key, name, path string }{
	{"overview", "Overview", ""}, {"checklist", "Checklist", "/checklist"}, {"panels", "Panels", "/panels"}, {"runbook", "Runbook", "/runbook"}, {"plan", "Plan", "/plan"},
	{"reviews", "Reviews", "/reviews"}, {"journal", "Journal", "/journal"}, {"cleanup", "Clean-up", "/cleanup"}, {"report", "Report", "/report"},
}

func tabsOf(v controller.View, current string) []tab {
	out := make([]tab, len(tabs))
	for i, t := range tabs {
		out[i] = tab{Name: t.name, URL: "/rollouts/" + v.ID + t.path, Current: t.key == current}
	}
	return out
}

// cliOf is the command line of the first of verbs that is open now.
func cliOf(v controller.View, verbs ...rollout.Verb) string {
	for _, verb := range verbs {
		if a := find(v.Actions, verb); a != nil && a.Open {
			return a.CLI
		}
	}
	return ""
}

// frame fills in what all pages of a rollout share.
func (s *server) frame(v controller.View, who visit, current string, r *http.Request) rolloutBody {
	b := rolloutBody{View: v, Tab: current, Tabs: tabsOf(v, current), Pill: pillOf(v), Bar: s.bar(v, who), Dialogs: s.dialogs(v, who), Project: s.projectNames(r)[v.Project]}
	for i := range b.Dialogs {
		if a := &b.Dialogs[i]; a.ofItem() {
			a.Back = backTo(current)
		}
	}
	for _, a := range b.Bar {
		if a.Verb != rollout.Promote || len(b.Bar) < 4 {
			switch a.Class { // a phone's dock has whole buttons only
			case "danger":
				a.Class = "solid-danger"
			case "ghost":
				a.Class = ""
			}
			b.Dock = append(b.Dock, a)
		}
	}
	b.Burning = s.burning(v.State.Incidents)
	if s.Options.Incidents != nil && len(b.Burning) == 0 && !store.Over(v.State.Status) && by(r).Can(auth.Operate) {
		b.OpenIncident = "/incidents/new?rollout=" + url.QueryEscape(v.ID)
	}
	if l := looks[rollout.Verb(r.URL.Query().Get("done"))]; l.label != "" {
		b.Done, b.DoneText = l.label, "The rollout stands at "+percent(v.Exposure)+" now."
		if (action{Verb: rollout.Verb(r.URL.Query().Get("done"))}).ofItem() {
			b.DoneText = "It is in the journal with your name."
		}
	}
	return b
}

func (s *server) planText(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	b := s.frame(v, visitOf(r.Context()), "plan", r)
	if r.URL.Query().Get("done") == string(rollout.Revise) {
		b.Done, b.DoneText = "Revise", "The text below is in force now; the stage under way began again."
	}
	src, err := s.Rollouts.PlanSource(r.Context(), v.ID)
	if err != nil {
		s.Logger.Error("read plan", "rollout", v.ID, "error", err)
		b.PlanError = "The plan’s text could not be read. The rollout itself goes on by it."
	} else {
		cal, err := s.Rollouts.Calendar(r.Context(), v.ID)
		var refused *rollout.Refusal
		if err != nil && !errors.As(err, &refused) {
			s.fail(w, r, err)
			return
		}
		b.PlanText, b.Lint = planLines(string(src), cal.Problems)
		b.LintSum, b.LintSkipped = lintSum(b.Lint), strings.Join(cal.Skipped, ", ")
		if refused != nil {
			b.PlanError = upper(refused.Why) + "."
		} else {
			b.Calendar = calendarOf(cal, s.Now())
		}
	}
	b.CLI = []string{"serin rollout plan " + v.ID + " | serin show -", "serin rollout calendar " + v.ID}
	s.render(w, r, http.StatusOK, "plan", page{Title: v.Plan + ", plan", Crumb: v.ID, Dock: len(b.Dock) > 0, Body: b})
}

func (s *server) journal(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	b := s.frame(v, visitOf(r.Context()), "journal", r)
	list, err := s.Rollouts.Timeline(r.Context(), v.ID, journalLimit)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	now := s.Now()
	b.Timeline, b.Notices = entries(list, now), s.notices(r.Context(), v.ID, noticeLimit, now)
	b.CLI = []string{"serin rollout journal " + v.ID}
	s.render(w, r, http.StatusOK, "journal", page{Title: v.Plan + ", journal", Crumb: v.ID, Dock: len(b.Dock) > 0, Live: true, Body: b})
}

// orElse is a, or b where a is empty.
func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// metricName is a metric as people call it.
func metricName(v controller.View, d judge.Verdict) string {
	if m, ok := v.Metrics[d.Metric]; ok && m.Title != "" {
		return m.Title
	}
	return orElse(d.Metric, d.Rule)
}

// unitOf is a verdict's unit: its own, else its metric's.
func unitOf(v controller.View, d judge.Verdict) string {
	if m, ok := v.Metrics[d.Metric]; ok && m.Unit != "" {
		return m.Unit
	}
	return d.Unit
}
