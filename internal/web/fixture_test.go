package web

import (
	"cmp"
	"context"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"serin/internal/controller"
	"serin/internal/judge"
	"serin/internal/notify"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// fixed is the time of all fixtures.
var fixed = time.Date(2025, 2, 21, 12, 12, 0, 0, time.UTC)

func num(v float64) *float64 { return &v }

// fakeRollouts serves fixtures and records commands.
type fakeRollouts struct {
	on        fakePlans
	mu        sync.Mutex // guards commands
	commands  []rollout.Command
	views     []controller.View
	err       error // answer of every read
	refuse    error // answer of Do
	empty     bool  // no series, timeline and notices
	entries   []controller.Entry
	source    string
	runbook   controller.Runbook
	emergency controller.Emergency
	calendar  controller.Calendar
	unread    error // answer of Runbook and Calendar
	audited   []store.AuditEntry
	asked     controller.AuditQuery // the last
	why       controller.Explanation
	noWhy     error  // answer of ExplainAt
	moment    string // that ExplainAt was last asked for
	report    controller.Report
}

func (f *fakeRollouts) ExplainAt(_ context.Context, _, at string) (controller.Explanation, error) {
	f.moment = at
	return f.why, cmp.Or(f.noWhy, f.err)
}

func (f *fakeRollouts) Report(context.Context, string) (controller.Report, error) {
	return f.report, cmp.Or(f.unread, f.err)
}

func (f *fakeRollouts) Runbook(context.Context, string) (controller.Runbook, error) {
	return f.runbook, cmp.Or(f.unread, f.err)
}

func (f *fakeRollouts) Emergency(context.Context, string) (controller.Emergency, error) {
	return f.emergency, cmp.Or(f.unread, f.err)
}

func (f *fakeRollouts) Calendar(context.Context, string) (controller.Calendar, error) {
	return f.calendar, cmp.Or(f.unread, f.err)
}

func (f *fakeRollouts) Audit(_ context.Context, q controller.AuditQuery) ([]store.AuditEntry, error) {
	f.asked = q
	return f.audited[:min(len(f.audited), q.Limit)], f.err
}

func (f *fakeRollouts) TargetProject(_ context.Context, target string) string {
	for _, v := range f.views {
		if target == "rollout "+v.ID {
			return cmp.Or(v.Project, "1")
		}
	}
	return ""
}

func (f *fakeRollouts) Views(context.Context) ([]controller.View, error) { return f.views, f.err }

func (f *fakeRollouts) View(_ context.Context, id string) (controller.View, error) {
	if f.err != nil {
		return controller.View{}, f.err
	}
	for _, v := range f.views {
		if v.ID == id {
			return v, nil
		}
	}
	return controller.View{}, store.ErrNotFound
}

func (f *fakeRollouts) Timeline(context.Context, string, int) ([]controller.Entry, error) {
	return f.entries, f.err
}

func (f *fakeRollouts) Notices(context.Context, string, int) ([]store.Outgoing, error) {
	if f.empty {
		return nil, f.err
	}
	n := notify.Notice{ID: "a/1/b", Channel: "engineering", Title: "Rollback rule met on checkout", At: fixed.Add(-20 * time.Minute)}
	return []store.Outgoing{{Notice: n, Delivered: fixed}, {Notice: n, Tries: 2, Error: "connection refused"}, {Notice: n, Dead: true, Error: "410 gone"}}, f.err
}

func (f *fakeRollouts) PlanSource(context.Context, string) ([]byte, error) {
	return []byte(f.source), f.err
}

func (f *fakeRollouts) Do(_ context.Context, id string, c rollout.Command) (controller.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commands = append(f.commands, c)
	return controller.Result{}, f.refuse
}

// Series draws a wave with a gap, another for each metric.
func (f *fakeRollouts) Series(_ context.Context, id, metric string, from, to time.Time, points int) (controller.Series, error) {
	out := controller.Series{Metric: metric}
	if f.empty || f.err != nil {
		return out, f.err
	}
	shape := map[string][4]float64{"error_rate": {.00052, .00004, .001, .00014}, "lcp": {2170, 40, 2500, 70}, "api_p95": {402, 20, 500, 18}, "db_p95": {167, 9, 200, 7}}[metric]
	if shape[0] == 0 {
		shape = [4]float64{10, 3, 20, 1}
	}
	out.Limit = num(shape[2])
	n := min(points, 288)
	seed := uint32(len(id)*77 + len(metric)*991)
	rnd := func() float64 { seed = seed*1664525 + 1013904223; return float64(seed>>8)/float64(1<<24) - .5 }
	drift := 0.0
	for i := range n {
		x := float64(i) / float64(n)
		t := from.Add(time.Duration(float64(to.Sub(from)) * x))
		out.T = append(out.T, t.Unix())
		if x > .3 && x < .34 {
			out.Canary, out.Control = append(out.Canary, nil), append(out.Control, nil)
			out.Low, out.High = append(out.Low, nil), append(out.High, nil)
			continue
		}
		drift = drift*.9 + rnd()*.5
		base := shape[0] + shape[1]*math.Sin(x*6)
		a, c := base+shape[1]*(.4+drift*.8), base+shape[1]*rnd()*.6
		band := shape[3] * (2.1 / math.Sqrt(1+x*9))
		out.Canary, out.Control = append(out.Canary, num(a)), append(out.Control, num(c))
		out.Low, out.High = append(out.Low, num(max(0, a-band))), append(out.High, num(a+band))
	}
	out.Marks = []controller.Mark{{T: fixed.Add(-3*time.Hour - 12*time.Minute).Unix(), Text: "25%"}}
	return out, nil
}

// fakeSessions knows one cookie, one token and one CSRF token.
type fakeSessions struct{ person Person }

const (
	goodCookie   = "cookie-of-a-person"
	goodToken    = "token-of-a-person"
	goodPassword = "correct horse battery"
	goodCSRF     = "csrf-of-a-session"
)

func (f *fakeSessions) Session(_ context.Context, cookie string) (Person, error) {
	if cookie != goodCookie {
		return Person{}, store.ErrNotFound
	}
	return f.person, nil
}

func (f *fakeSessions) SignIn(_ context.Context, token string) (string, Person, error) {
	if token != goodToken {
		return "", Person{}, ErrBadToken
	}
	return goodCookie, f.person, nil
}

func (f *fakeSessions) SignInPassword(_ context.Context, name, password string) (string, Person, error) {
	switch {
	case name == "locked":
		return "", Person{}, &SlowDownError{After: 90 * time.Second}
	case password != goodPassword:
		return "", Person{}, ErrBadToken
	}
	return goodCookie, f.person, nil
}

func (f *fakeSessions) SignOut(context.Context, string) error { return nil }
func (f *fakeSessions) CSRF(string) string                    { return goodCSRF }
func (f *fakeSessions) CheckCSRF(cookie, token string) bool {
	return cookie == goodCookie && token == goodCSRF
}

func onCall() *fakeSessions {
	return &fakeSessions{Person{Name: "on-call", Role: "on-call", May: []string{"start", "approve", "promote", "override", "resume", "restart"}, Scopes: []string{"read", "approve"}}}
}

// every offers all verbs; those listed are barred.
func every(id string, version string, barred map[rollout.Verb][]string) []controller.Action {
	var out []controller.Action
	for _, v := range []rollout.Verb{rollout.Start, rollout.Approve, rollout.Accept, rollout.Confirm, rollout.Complete, rollout.Reopen, rollout.Promote,
		rollout.Pause, rollout.Resume, rollout.Reduce, rollout.Rollback, rollout.Restart, rollout.Cancel, rollout.Finish} {
		missing := barred[v]
		cli := "serin rollout " + string(v) + " " + id
		if !v.Lowers() {
			cli += " --version " + version
		}
		out = append(out, controller.Action{Verb: v, Open: len(missing) == 0, Missing: missing, CLI: cli})
	}
	return out
}

// full is a rollout in the middle of its life with something in every part.
func full() controller.View {
	day := 24 * time.Hour
	stage := func(pct float64, state string, bake, baked time.Duration) controller.StageView {
		return controller.StageView{Name: percent(pct), Traffic: pct, State: state, Bake: bake, Baked: baked}
	}
	stages := []controller.StageView{stage(10, "done", 2*day, 2*day), stage(25, "current", day, 3*time.Hour+12*time.Minute), stage(50, "next", day, 0), stage(75, "next", day, 0), stage(100, "next", 3*day, 0)}
	stages[1].Began = fixed.Add(-3*time.Hour - 12*time.Minute)
	stages[2].Approve = []string{"team-lead"}
	no := false
	v := controller.View{
		ID: "admin-workbench-1", Plan: "admin-workbench", Title: "New admin dashboard in place of the executive tab", Flag: "adminWorkBench", Version: 1480, Exposure: 25,
		State: rollout.State{ID: "admin-workbench-1", Plan: "admin-workbench", Revision: 7, Status: rollout.Running, Stage: 1, Reached: 1, Attempt: 1, Exposure: 25000,
			Checks: 12, StartedAt: fixed.Add(-51 * time.Hour), StageAt: stages[1].Began, At: fixed.Add(-22 * time.Minute), Pos: 1490, Version: 1480},
		Stages: stages,
		Waiting: []rollout.Waiting{{Kind: "criteria", Detail: "new_issues = 0", Text: "criteria new_issues = 0"}, {Kind: "checklist", Detail: "Review the last 24h", Text: "checklist Review the last 24h"},
			{Kind: "approval", Detail: "team-lead", Text: "approval team-lead"}},
		Data:  judge.Data{Unattributed: .07, NotCounted: 12},
		Users: controller.Users{NewSeen: 52, OldSeen: 156, Measured: 24.9}, NextCheck: fixed.Add(402 * time.Second), CheckEvery: "15m0s", At: fixed,
		Before:    []controller.ItemView{{ID: "Review the last 24h", Do: "Review the last 24h", By: "on-call"}, {ID: "Stand-up all clear", Do: "Stand-up all clear", By: "team-lead", Done: true, Who: "team-lead", When: fixed.Add(-3 * time.Hour)}},
		Confirm:   []controller.ItemView{{ID: "No user complained", Do: "No user complained", Holds: &no}},
		Checklist: []controller.ItemView{{ID: "backup", Do: "Backups are confirmed", By: "devops", Done: true, Who: "devops"}},
		Tasks:     []controller.ItemView{{ID: "rm", Do: "Remove the old tab"}, {ID: "env", Do: "Remove the variable"}},
		Metrics: map[string]controller.MetricView{"error_rate": {Title: "Error rate", Unit: "%"}, "lcp": {Title: "LCP p75", Unit: "ms"}, "api_p95": {Title: "API latency p95", Unit: "ms"},
			"db_p95": {Title: "Database p95", Unit: "ms"}, "new_issues": {Title: "New error patterns"}, "errors": {Title: "Errors, total"}, "p1": {Title: "P1 errors"}, "satisfaction": {Title: "Satisfaction"}, "memory": {Title: "Memory", Unit: "%"}},
		Charts: []controller.ChartView{{Metric: "error_rate", Title: "Error rate", Unit: "%", Limit: num(.001), Now: num(.00056), Ref: num(.00052)}, {Metric: "lcp", Title: "LCP p75", Unit: "ms", Limit: num(2500), Now: num(2210), Ref: num(2170)},
			{Metric: "api_p95", Title: "API latency p95", Unit: "ms", Limit: num(500), Now: num(412), Ref: num(402)}, {Metric: "db_p95", Title: "Database p95", Unit: "ms", Limit: num(200), Now: num(188), Ref: num(167)}},
	}
	v.Actions = every(v.ID, "1480", map[rollout.Verb][]string{rollout.Promote: {"bake 3h 12m/24h", "criteria new_issues = 0"}, rollout.Approve: nil})
	v.Proceed = []judge.Verdict{
		{Rule: "errors < 2 over 24h", Metric: "errors", Status: judge.Met, Value: num(1), Limit: 2, Canary: num(1), Control: num(0), Low: num(.2), High: num(1.9), Events: 22418, Why: "1 of at most 2", At: fixed.Add(-6 * time.Minute)},
		{Rule: "new_issues = 0", Metric: "new_issues", Status: judge.NotMet, Value: num(1), Limit: 0, Users: 1, Why: "1 new error pattern on canary only", At: fixed.Add(-6 * time.Minute)},
		{Rule: "db_p95 < 200 ms", Metric: "db_p95", Status: judge.Met, Value: num(188), Limit: 200, Canary: num(188), Control: num(167), Low: num(181), High: num(194), Events: 143902, Why: "188 ms", At: fixed.Add(-12 * time.Minute)},
		{Rule: "error_rate < 0.1%", Metric: "error_rate", Status: judge.Met, Value: num(.00056), Limit: .001, Canary: num(.00056), Control: num(.00052), Low: num(.0004), High: num(.0007), Events: 18204, At: fixed.Add(-6 * time.Minute)},
		{Rule: "lcp <= +5% vs reference", Metric: "lcp", Status: judge.Met, Ref: plan.Reference, Value: num(.018), Limit: .05, Canary: num(2210), Control: num(2170), Low: num(-.004), High: num(.041), Events: 4906, At: fixed.Add(-12 * time.Minute)},
		{Rule: "satisfaction > 4.5", Metric: "satisfaction", Status: judge.Unknown, Cause: judge.CauseEvidence, Value: num(4.6), Limit: 4.5, Low: num(4.1), High: num(4.9), Users: 23, Why: "Needs data: 23 of 50 answers", At: fixed.Add(-3 * time.Hour)},
		{Rule: "api_p95 < 500 ms", Metric: "api_p95", Status: judge.Met, Value: num(412), Limit: 500, Canary: num(412), Control: num(402), Low: num(404), High: num(421), Events: 61380, At: fixed.Add(-12 * time.Minute)},
	}
	v.Rollback = []judge.Verdict{
		{Rule: "p1 > 5 over 1h", Metric: "p1", Status: judge.NotMet, Value: num(0), Limit: 5},
		{Rule: "lcp > +30% vs control over 1h", Metric: "lcp", Ref: plan.Control, Status: judge.NotMet, Value: num(.018), Limit: .3, LogE: num(.3), LogLimit: num(6.2)},
		{Rule: "memory > 90%", Metric: "memory", Status: judge.NotMet, Value: num(.61), Limit: .9},
		{Rule: "errors > +50% vs control over 1h", Metric: "errors", Ref: plan.Control, Status: judge.Unknown, Cause: judge.CauseEvidence, Limit: .5, Why: "too few events", Dry: true},
	}
	v.Checks = []judge.Verdict{
		{Rule: "errors <= 0% vs control", Metric: "errors", Ref: plan.Control, Status: judge.Met, Value: num(0), Limit: 0, At: fixed},
		{Rule: "lcp < 2500 ms", Metric: "lcp", Status: judge.Met, Value: num(2210), Limit: 2500, At: fixed},
		{Rule: "memory < 80%", Metric: "memory", Status: judge.Met, Value: num(.61), Limit: .8, At: fixed},
	}
	return v
}

// with returns the full view under another name and state.
func with(id string, status rollout.Status, exposure float64, waiting ...rollout.Waiting) controller.View {
	v := full()
	v.ID, v.Plan, v.Flag = id, id[:strings.LastIndexByte(id, '-')], strings.ReplaceAll(id, "-", "_")
	v.State.ID, v.State.Status, v.Exposure, v.Waiting = id, status, exposure, waiting
	v.State.LoweredAt, v.State.Reason = fixed.Add(-40*time.Minute), "p1 > 5 over 1h: 7 errors"
	v.Actions = every(id, "1480", nil)
	return v
}

// fleet is one rollout of each kind.
func fleet() []controller.View {
	fresh := with("mobile-nav-1", rollout.Preflight, 0)
	fresh.State.Attempt, fresh.State.Stage, fresh.Users, fresh.Proceed, fresh.Rollback, fresh.Checks = 0, 0, controller.Users{}, nil, nil, nil
	fresh.Checklist = append(fresh.Checklist, controller.ItemView{ID: "oncall", Do: "On-call is named", By: "team-lead"})
	fresh.NextCheck = time.Time{}
	for i := range fresh.Stages {
		fresh.Stages[i].State, fresh.Stages[i].Baked = "next", 0
	}
	healthy := with("checkout-v3-2", rollout.Running, 25, rollout.Waiting{Kind: "bake", Detail: "3h/24h", Text: "bake 3h/24h"})
	healthy.Data = judge.Data{}
	clean := with("billing-pdf-1", rollout.Cleanup, 100)
	return []controller.View{full(), healthy, fresh,
		with("inbox-threads-3", rollout.Running, 25, rollout.Waiting{Kind: "approval", Detail: "team-lead", Text: "approval team-lead"}),
		with("search-ranker-1", rollout.RolledBack, 0), with("profile-card-1", rollout.Paused, 25), with("feed-ads-1", rollout.Reduced, 5), clean,
		with("old-one-1", rollout.Done, 100), with("dropped-1", rollout.Cancelled, 0)}
}

func timeline() []controller.Entry {
	e := func(pos int64, t rollout.Type, by, via, title, text string, age time.Duration) controller.Entry {
		return controller.Entry{Event: rollout.Event{Pos: pos, Type: t, By: by, Via: via, At: fixed.Add(-age)}, Title: title, Text: text}
	}
	return []controller.Entry{
		e(1490, rollout.Checked, "", "", "Check 12: 1 rule not met", "new_issues = 0", 22*time.Minute),
		e(1480, rollout.Advanced, "", "plan", "Promoted 10% → 25% by the plan", "bake 48h/48h, 10 of 10 proceed rules met", 3*time.Hour+12*time.Minute),
		e(1479, rollout.Approved, "team-lead", "slack", "team-lead approved 25%", "", 3*time.Hour+20*time.Minute),
		e(1302, rollout.Completed, "on-call", "web", "on-call completed “review the last 24h”", "", 4*time.Hour),
		e(12, rollout.Started, "on-call", "cli", "Started at 10%", "checklist 9 of 9", 51*time.Hour),
		e(1, rollout.Created, "ci-bot", "api", "Created from plan revision 7", "", 70*time.Hour),
	}
}

// newWeb returns the handler over fixtures.
func newWeb(t testing.TB, f *fakeRollouts) *server {
	t.Helper()
	return newWebFor(t, f, onCall())
}

func newWebFor(t testing.TB, f *fakeRollouts, who *fakeSessions) *server {
	t.Helper()
	if f.entries == nil && !f.empty {
		f.entries = timeline()
	}
	if f.source == "" {
		f.source = "rollout: admin-workbench\nstages:\n  - traffic: 10%\n    bake: 48h\n"
	}
	static, err := newStaticFiles()
	if err != nil {
		t.Fatal(err)
	}
	pages, err := newTemplates()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Rollouts: f, Sessions: who, Now: func() time.Time { return fixed }, Version: "v0.1.0",
		Connect: ConnectInfo{URL: "http://localhost:8750", DSN: "http://5f2c91d0@localhost:8750/1", FlagKey: "sfk_3d0e", Project: "acme-admin"}}
	return newServer(o, static, pages)
}
