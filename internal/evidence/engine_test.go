package evidence

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/clock"
	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/stats"
	"serin/internal/store"
	"serin/internal/store/memory"
	"serin/internal/telemetry"
)

var t0 = time.Date(2025, 3, 3, 9, 0, 0, 0, time.UTC)

// rig is an engine on a driven clock.
type rig struct {
	t      testing.TB
	clock  *clock.Manual
	store  Store
	e      *Engine
	target Target
	names  telemetry.Subjects
	stop   func()
	seq    int
}

func testPlan() *plan.Plan {
	p := &plan.Plan{Name: "demo", Environment: "production", Metrics: plan.Builtin()}
	p.Judge.NoData.Grace = 10 * time.Minute
	p.Judge.Margin = 0.05
	p.Flag = plan.Flag{Key: "f", By: "targetingKey", New: "new", Old: "old", Salt: "f"}
	rule := func(metric string) *plan.Rule {
		return &plan.Rule{Text: metric, Metric: metric, Op: plan.GT, Value: 0.3, Ref: plan.Control, Over: plan.Span{Dur: time.Hour}, Given: true}
	}
	p.Rollback = []*plan.Rule{rule("errors"), rule("lcp"), rule("error_rate")}
	p.Stages = []plan.Stage{{Name: "a", Traffic: 50_000}, {Name: "b", Traffic: 75_000}}
	return p
}

func newRig(t testing.TB, change func(*plan.Plan)) *rig {
	p := testPlan()
	if change != nil {
		change(p)
	}
	g := &rig{t: t, clock: clock.NewManual(t0), store: memory.New()}
	began := t0.Add(-time.Second)
	g.target = Target{Rollout: "demo-1", Plan: p, Split: p.Split(50_000), Attempt: 1, Stage: 0, Active: true,
		Intervals: []Interval{{Attempt: 1, Odds: 1, From: t0}}, StageAt: began, AttemptAt: began, RolloutAt: began}
	g.start()
	t.Cleanup(func() { g.stop() })
	return g
}

func (g *rig) start() {
	g.e = New(Options{Store: g.store, Clock: g.clock, Subjects: g.names})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := g.e.Run(ctx); err != nil {
			g.t.Error(err)
		}
	}()
	g.stop = func() { cancel(); <-done }
	g.watch()
}

func (g *rig) watch() {
	g.t.Helper()
	if err := g.e.Watch(g.target); err != nil {
		g.t.Fatal(err)
	}
}

func (g *rig) restart() { g.stop(); g.start() }

func (g *rig) send(events ...telemetry.Event) {
	g.t.Helper()
	for i := range events {
		if events[i].Received.IsZero() {
			events[i].Received = g.clock.Now()
		}
	}
	if err := g.e.Accept(context.Background(), events); err != nil {
		g.t.Fatal(err)
	}
}

func (g *rig) window(metric string, group judge.Group, d time.Duration) judge.Window {
	g.t.Helper()
	now := g.clock.Now()
	return g.view().Window(metric, group, now.Add(-d), now)
}

func (g *rig) view() judge.Evidence {
	g.t.Helper()
	v, err := g.e.View("demo-1")
	if err != nil {
		g.t.Fatal(err)
	}
	return v
}

// userOf returns the n-th user whom the split assigns to arm.
func (g *rig) userOf(arm telemetry.Arm, n int) string {
	t := telemetry.Target{Split: g.target.Split}
	for i := 0; ; i++ {
		u := fmt.Sprintf("u%d", i)
		if t.Assign(u) == arm {
			if n == 0 {
				return u
			}
			n--
		}
	}
}

func (g *rig) failure(user, level string) telemetry.Event {
	g.seq++
	return telemetry.Event{Kind: telemetry.KindError, Project: "1", ID: fmt.Sprintf("e%d", g.seq), User: user, Level: level, Message: "boom"}
}

func (g *rig) page(user string, lcp float64) telemetry.Event {
	g.seq++
	return telemetry.Event{Kind: telemetry.KindPage, Project: "1", ID: fmt.Sprintf("p%d", g.seq), User: user, Page: "/x",
		SpanID: fmt.Sprintf("s%d", g.seq), Measurements: map[string]float64{"lcp": lcp}}
}

func TestCountWindowEdges(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprintf("restarted=%v", restarted), func(t *testing.T) {
			g := newRig(t, nil)
			// Six events; the first two leave the hour before the sixth (the limit itself).
			begin := t0
			for i, m := range []int{10, 12, 30, 40, 50, 75} {
				g.clock.Advance(begin.Add(time.Duration(m) * time.Minute).Sub(g.clock.Now()))
				g.send(g.failure(g.userOf(telemetry.New, i), "fatal"))
			}
			if restarted {
				g.restart()
			}
			w := g.window("p1", judge.Exposed, time.Hour)
			if w.Count != 4 || w.Users != 4 {
				t.Errorf("last hour: got %d events of %d users, want 4 of 4", w.Count, w.Users)
			}
			if w := g.window("p1", judge.Exposed, 2*time.Hour); w.Count != 6 || w.Users != 6 {
				t.Errorf("two hours: got %d of %d, want 6 of 6", w.Count, w.Users)
			}
			// An edge within a minute, to the millisecond.
			g.clock.Advance(30 * time.Second)
			g.send(g.failure(g.userOf(telemetry.New, 9), "fatal"))
			if w := g.window("p1", judge.Exposed, 30*time.Second); w.Count != 1 {
				t.Errorf("half a minute: got %d, want 1", w.Count)
			}
			if w := g.window("p1", judge.Exposed, 30*time.Second+time.Millisecond); w.Count != 2 {
				t.Errorf("and a millisecond: got %d, want 2", w.Count)
			}
		})
	}
}

func TestGroups(t *testing.T) {
	g := newRig(t, func(p *plan.Plan) {
		p.Scope.Tags = map[string]string{"feature": "x"}
		p.Scope.Pages = []string{"/x"}
	})
	n, o := g.userOf(telemetry.New, 0), g.userOf(telemetry.Old, 0)
	tagged := g.failure("", "error")
	tagged.Tags = map[string]string{"feature": "x"}
	g.send(g.failure(n, "error"), g.failure(o, "error"), tagged)
	other := g.page(n, 900)
	other.Page = "/elsewhere"
	g.send(g.page(n, 1000), g.page(o, 1000), other)
	staging := g.failure(n, "error")
	staging.Environment = "staging"
	late := g.failure(n, "error")
	late.Late, late.Time = true, t0.Add(-15*time.Minute)
	g.send(staging, late)

	got := map[string]int64{}
	for _, m := range []string{"errors", "lcp"} {
		for _, grp := range []judge.Group{judge.Exposed, judge.AssignedNew, judge.AssignedOld} {
			got[fmt.Sprint(m, grp)] = g.window(m, grp, time.Hour).Count
		}
	}
	want := map[string]int64{"errors0": 2, "errors1": 1, "errors2": 1, "lcp0": 1, "lcp1": 1, "lcp2": 1}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := g.view().Data(); d.NotCounted != 1 || d.Exposed != 1 || d.ControlUsers != 1 {
		t.Errorf("got %+v, want one event not counted and a user in each arm", d)
	}
	points, err := g.e.Series("demo-1", "errors", t0.Add(-20*time.Minute), t0.Add(time.Minute), 21)
	if err != nil {
		t.Fatal(err)
	}
	if p := points[4]; p.Canary == nil || *p.Canary != 1 { // (8:44, 8:45] holds 8:45
		t.Errorf("the late event is not in the chart: %+v", points)
	}
}

func TestDuplicates(t *testing.T) {
	g := newRig(t, nil)
	e := g.failure(g.userOf(telemetry.New, 0), "fatal")
	g.send(e, e)
	g.send(e)
	g.restart()
	g.send(e, e, e)
	if w := g.window("p1", judge.Exposed, time.Hour); w.Count != 1 {
		t.Errorf("got %d, want 1", w.Count)
	}
	c := g.e.Counters()
	if c[countAcknowledged] != 6 || c[countCounted] != 1 || c[countDuplicate] != 5 {
		t.Errorf("counters: %v", c)
	}
}

func TestAffectedUsers(t *testing.T) {
	g := newRig(t, nil)
	n0, n1, o0 := g.userOf(telemetry.New, 0), g.userOf(telemetry.New, 1), g.userOf(telemetry.Old, 0)
	g.send(g.failure(n0, "error"), g.failure(n0, "error"), g.failure(o0, "error"))
	g.clock.Advance(time.Hour)
	g.target.Stage, g.target.StageAt, g.target.Split = 1, g.clock.Now(), g.target.Plan.Split(75_000)
	g.target.Intervals = append(g.target.Intervals, Interval{Attempt: 1, Stage: 1, Odds: 3, From: g.clock.Now()})
	g.watch()
	g.send(g.failure(n0, "error"), g.failure(n1, "error"), g.failure(n1, "error"))
	check := func() {
		t.Helper()
		got := g.view().Tests("errors")
		want := []stats.UserCell{{Interval: 0, Last: -1, New: 1, Old: 1}, {Interval: 1, Last: -1, New: 1}, {Interval: 1, Last: 0, New: 1}}
		if d := cmp.Diff(want, got.Cells); d != "" {
			t.Error(d)
		}
		if got.EventsNew != 3 || got.EventsOld != 0 || got.Phi != 5.0/3 {
			t.Errorf("stage: %d and %d events, phi %v; want 3, 0, 5/3", got.EventsNew, got.EventsOld, got.Phi)
		}
	}
	check()
	g.restart()
	check()
}

// TestBlocks: loads are cut into blocks of a minute for an hour after the shares
// changed and of five minutes then; none is lost or counted twice, and a restart
// cuts them in the same way.
func TestBlocks(t *testing.T) {
	const raise, whole = 98, 120 // minutes; a block of five is cut at 98
	g := newRig(t, nil)
	g.clock.Advance(t0.Truncate(time.Hour).Add(time.Hour).Sub(g.clock.Now()))
	g.target.StageAt, g.target.AttemptAt = g.clock.Now(), g.clock.Now()
	g.target.Intervals = []Interval{{Attempt: 1, Stage: 0, Odds: 1, From: g.clock.Now()}}
	g.watch()
	for m := range whole {
		if m == raise {
			g.target.Stage, g.target.StageAt = 1, g.clock.Now()
			g.target.Intervals = append(g.target.Intervals, Interval{Attempt: 1, Stage: 1, Odds: 3, From: g.clock.Now()})
			g.watch()
		}
		for i := range 4 {
			g.send(g.page(g.userOf(telemetry.New, i), 2000+float64(i)), g.page(g.userOf(telemetry.Old, i), 1000+float64(i)))
		}
		g.clock.Advance(time.Minute)
		before := g.view().Tests("lcp")
		if m == 12 || m == 71 || m == raise+1 {
			g.restart()
			if d := cmp.Diff(before.Shifted, g.view().Tests("lcp").Shifted); d != "" {
				t.Errorf("after a restart in minute %d: %s", m, d)
			}
		}
	}
	// the first minute has no threshold before it; 95 to 97 are a block of their own
	var want []int64
	for range 59 {
		want = append(want, 4)
	}
	for range 7 {
		want = append(want, 20)
	}
	want = append(want, 12)
	for range whole - raise {
		want = append(want, 4)
	}
	got := g.view().Tests("lcp")
	if len(got.Shifted) == 0 {
		t.Fatal("no blocks")
	}
	for shift, list := range got.Shifted {
		var loads []int64
		for _, b := range list {
			loads = append(loads, b.New)
			if b.New != b.Old || b.BadOld > b.Old/2 || shift < 50 && b.BadNew != b.New {
				t.Errorf("shift %d: block %+v", shift, b)
			}
		}
		if d := cmp.Diff(want, loads); d != "" {
			t.Errorf("shift %d: %s", shift, d)
		}
	}
	if q, ok := g.window("lcp", judge.AssignedNew, time.Hour).Sketch.Quantile(0.75); !ok || q < 1990 || q > 2040 {
		t.Errorf("p75 %v", q)
	}
}

func TestVitalsReplaceAndJoin(t *testing.T) {
	g := newRig(t, nil)
	n := g.userOf(telemetry.New, 0)
	load := g.page(n, 1000)
	vital := func(lcp float64) telemetry.Event {
		return telemetry.Event{Kind: telemetry.KindVital, Project: "1", Segment: load.SpanID, Measurements: map[string]float64{"lcp": lcp}}
	}
	g.send(vital(500)) // before its load, no user: waits
	if w := g.window("lcp", judge.AssignedNew, time.Hour); w.Count != 0 {
		t.Fatalf("counted %d before the load", w.Count)
	}
	g.send(load)
	g.send(vital(3000))
	g.restart()
	g.send(vital(4000))
	w := g.window("lcp", judge.AssignedNew, time.Hour)
	if q, _ := w.Sketch.Quantile(0.75); w.Count != 1 || q < 3950 || q > 4050 {
		t.Errorf("got %d loads at %v, want one at 4000", w.Count, q)
	}
	unknown := telemetry.Event{Kind: telemetry.KindVital, Project: "1", ID: "v1", User: n, Page: "/x", Measurements: map[string]float64{"lcp": 100}}
	g.send(unknown)
	unknown.Measurements = map[string]float64{"lcp": 200}
	g.send(unknown)
	if w := g.window("lcp", judge.AssignedNew, time.Hour); w.Count != 2 {
		t.Errorf("got %d loads, want 2", w.Count)
	}
}

func TestIssues(t *testing.T) {
	g := newRig(t, nil)
	n := g.userOf(telemetry.New, 0)
	g.send(g.failure(n, "error"), g.failure(n, "error"), g.failure(g.userOf(telemetry.Old, 0), "error"))
	if w := g.window("new_issues", judge.Exposed, time.Hour); w.Count != 1 {
		t.Errorf("new issues: got %d, want 1", w.Count)
	}
	g.restart()
	g.send(g.failure(n, "error"))
	it, err := g.store.Issue(context.Background(), "SERIN-1")
	if err != nil {
		t.Fatal(err)
	}
	if it.Events != 4 || it.Users != 2 || it.Arms["demo-1/new"].Events != 3 || it.Arms["demo-1/new"].Users != 1 {
		t.Errorf("got %+v", it)
	}
	if err := g.e.TriageIssue(context.Background(), "SERIN-1", IssueChange{Status: Resolved}); err != nil {
		t.Fatal(err)
	}
	if w := g.window("new_issues", judge.Exposed, time.Hour); w.Count != 0 {
		t.Errorf("resolved issues count as new: %d", w.Count)
	}
	if err := g.e.TriageIssue(context.Background(), "SERIN-9", IssueChange{Status: Resolved}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestSilence(t *testing.T) {
	g := newRig(t, nil)
	if d := g.view().Data(); !d.NoData {
		t.Errorf("nothing ever arrived: %+v", d)
	}
	beat := telemetry.Event{Kind: telemetry.KindCheckIn, Project: "1"}
	g.send(beat, g.page(g.userOf(telemetry.New, 0), 1))
	if d := g.view().Data(); d.NoData || d.Quiet {
		t.Errorf("alive and busy: %+v", d)
	}
	g.clock.Advance(11 * time.Minute)
	if d := g.view().Data(); !d.NoData || !d.Since.Equal(t0) {
		t.Errorf("silent: %+v", d)
	}
	g.send(beat)
	if d := g.view().Data(); d.NoData || !d.Quiet {
		t.Errorf("alive, nobody there: %+v", d)
	}
	if got := g.window("errors", judge.Exposed, time.Hour).Covered; got != 10*time.Minute {
		t.Errorf("covered %v, want 10m", got)
	}
}

func TestSilenceExpected(t *testing.T) {
	g := newRig(t, nil)
	beat := telemetry.Event{Kind: telemetry.KindCheckIn, Project: "1"}
	for range 24*4 + 2 { // a day of one load each quarter hour and more in between
		for i := range 8 {
			g.send(g.page(g.userOf(telemetry.New, i), 1))
		}
		g.clock.Advance(15 * time.Minute)
	}
	g.send(beat)
	if d := g.view().Data(); !d.NoData || d.Quiet {
		t.Errorf("improbable silence in scope: %+v", d)
	}
}

func TestAudience(t *testing.T) {
	g := newRig(t, func(p *plan.Plan) {
		p.Flag.Audience = flag.Condition{Text: "role = admin", Terms: []flag.Term{{Attribute: "role", Values: []string{"admin"}}}}
	})
	g.target.Split = g.target.Plan.Split(50_000)
	g.watch()
	n := g.userOf(telemetry.New, 0)
	g.send(g.failure(n, "error"))
	if w := g.window("errors", judge.AssignedNew, time.Hour); w.Count != 0 {
		t.Errorf("a user not known to be in the audience was attributed")
	}
	if d := g.view().Data(); d.Unattributed != 1 {
		t.Errorf("unattributed share %v, want 1", d.Unattributed)
	}
	g.e.Evaluated(context.Background(), "f", flag.Context{"targetingKey": n, "role": "user"}, flag.Evaluation{}, true)
	g.e.Evaluated(context.Background(), "f", flag.Context{"targetingKey": g.userOf(telemetry.New, 1), "role": "user"}, flag.Evaluation{}, true)
	g.e.Evaluated(context.Background(), "f", flag.Context{"targetingKey": n, "role": "admin"}, flag.Evaluation{}, true)
	g.send(g.failure(n, "error"))
	g.restart()
	g.send(g.failure(n, "error"), g.failure(g.userOf(telemetry.New, 1), "error"))
	if w := g.window("errors", judge.AssignedNew, time.Hour); w.Count != 2 || w.Users != 1 {
		t.Errorf("got %d of %d users, want 2 of 1", w.Count, w.Users)
	}
}

func TestValuesAndSources(t *testing.T) {
	g := newRig(t, nil)
	if s := g.view().Source("complaints"); s.State != judge.NeverDelivered {
		t.Errorf("feedback: %+v", s)
	}
	if s := g.view().Source("uptime"); s.State != judge.NeverDelivered || s.Error == "" {
		t.Errorf("probe: %+v", s)
	}
	if err := g.e.ConfirmOpen(context.Background(), "1", "feedback"); err != nil {
		t.Fatal(err)
	}
	if err := g.e.Push(context.Background(), "1", "bundle_size", "412kB"); err != nil {
		t.Fatal(err)
	}
	if err := g.e.Push(context.Background(), "1", "backup", "ok"); err != nil {
		t.Fatal(err)
	}
	g.restart()
	g.clock.Advance(time.Hour)
	if s := g.view().Source("complaints"); s.State != judge.Delivering {
		t.Errorf("feedback after confirmation: %+v", s)
	}
	if w := g.window("bundle_size", judge.Exposed, time.Hour); !w.Known || w.Value != 412_000 {
		t.Errorf("bundle_size: %+v", w)
	}
	if w := g.window("backup_age", judge.Exposed, time.Hour); !w.Known || w.Value != 3_600_000 {
		t.Errorf("backup_age: %+v", w)
	}
	g.clock.Advance(24 * time.Hour)
	if s := g.view().Source("bundle_size"); s.State != judge.Failing {
		t.Errorf("push older than its limit: %+v", s)
	}
}

// TestNeverMeasured: a quantile without any measurement has no source, a count
// without events has one; the first measurement is remembered over a restart.
func TestNeverMeasured(t *testing.T) {
	g := newRig(t, nil)
	user := g.userOf(telemetry.Old, 0)
	g.send(g.failure(user, "error"))
	for metric, want := range map[string]judge.SourceState{"lcp": judge.NeverDelivered, "p1": judge.Delivering, "errors": judge.Delivering} {
		if s := g.view().Source(metric); s.State != want {
			t.Errorf("%s: got %+v, want state %v", metric, s, want)
		}
	}
	g.send(g.page(user, 1800))
	for range 2 {
		if s := g.view().Source("lcp"); s.State != judge.Delivering {
			t.Errorf("lcp once measured: %+v", s)
		}
		g.restart()
	}
}

func TestSessions(t *testing.T) {
	g := newRig(t, nil)
	n := g.userOf(telemetry.New, 0)
	s := func(id, status string, count int) telemetry.Event {
		return telemetry.Event{Kind: telemetry.KindSession, Project: "1", SessionUser: n, Session: &telemetry.Session{ID: id, Status: status, Count: count}}
	}
	g.send(s("a", "ok", 1), s("a", "exited", 1), s("b", "ok", 1), s("", "exited", 8))
	g.restart()
	g.send(s("b", "unhandled", 1), s("b", "crashed", 1), s("b", "ok", 1))
	w := g.window("crash_free", judge.AssignedNew, time.Hour)
	if !w.Known || w.Value != 0.9 || w.Sum != 10 {
		t.Errorf("crash_free %+v, want 9 of 10", w)
	}
	if w := g.window("sessions", judge.AssignedNew, time.Hour); w.Count != 10 {
		t.Errorf("sessions: got %d, want 10", w.Count)
	}
}

func TestShares(t *testing.T) {
	g := newRig(t, nil)
	login := func(user string, ok bool) telemetry.Event {
		return telemetry.Event{Kind: telemetry.KindAction, Project: "1", User: user, Action: "login", OK: ok}
	}
	n0, n1, o0 := g.userOf(telemetry.New, 0), g.userOf(telemetry.New, 1), g.userOf(telemetry.Old, 0)
	g.send(login(n0, true), login(n0, false), login(n1, true), login(n1, true), login(o0, true))
	g.send(g.page(n0, 1000), g.page(o0, 1000), g.failure(n0, "error"))
	g.clock.Advance(time.Minute)
	g.restart()
	tests := []struct {
		metric string
		group  judge.Group
		value  float64
	}{
		{"logins", judge.Exposed, 0.75},
		{"logins", judge.AssignedOld, 1},
		{"adoption", judge.Exposed, 1.0 / 3},
		{"error_rate", judge.AssignedNew, 1}, // page loads stand in for requests
		{"error_rate", judge.AssignedOld, 0},
		{"concurrent", judge.Exposed, 2},
		{"affected_users", judge.Exposed, 1},
		{"telemetry_age", judge.Exposed, 60_000},
	}
	for _, tt := range tests {
		if w := g.window(tt.metric, tt.group, time.Hour); !w.Known || w.Value != tt.value {
			t.Errorf("%s of group %d: got %v (known %v), want %v", tt.metric, tt.group, w.Value, w.Known, tt.value)
		}
	}
	zero := g.view().Window("concurrent", judge.Exposed, time.Time{}, g.clock.Now())
	if zero.Value != 2 {
		t.Errorf("since ever: got %v, want 2", zero.Value)
	}
	g.clock.Advance(5 * time.Minute)
	if blocks := g.view().Tests("error_rate").Blocks; len(blocks) != 1 || blocks[0].BadNew != 1 || blocks[0].New != 1 || blocks[0].Old != 1 {
		t.Errorf("blocks %+v", blocks)
	}
}

func TestRestartedAttempt(t *testing.T) {
	g := newRig(t, nil)
	g.send(g.failure(g.userOf(telemetry.New, 0), "error"))
	g.clock.Advance(time.Hour)
	g.target.Attempt, g.target.AttemptAt, g.target.StageAt = 2, g.clock.Now(), g.clock.Now()
	g.target.Intervals = []Interval{{Attempt: 2, Odds: 1, From: g.clock.Now()}}
	g.watch()
	if c := g.view().Tests("errors").Cells; len(c) != 0 {
		t.Errorf("attempt 2 sees the users of attempt 1: %+v", c)
	}
	g.clock.Advance(time.Second)
	g.send(g.failure(g.userOf(telemetry.New, 0), "error"))
	want := []stats.UserCell{{Interval: 0, Last: -1, New: 1}}
	if d := cmp.Diff(want, g.view().Tests("errors").Cells); d != "" {
		t.Error(d)
	}
	v := g.view()
	if w := v.Window("errors", judge.Exposed, g.target.AttemptAt, g.clock.Now()); w.Count != 1 {
		t.Errorf("attempt: got %d, want 1", w.Count)
	}
	if w := v.Window("errors", judge.Exposed, t0.Add(-time.Second), g.clock.Now()); w.Count != 2 {
		t.Errorf("rollout: got %d, want 2", w.Count)
	}
}

func FuzzRows(f *testing.F) {
	c := &cell{minute: 29_000_000, sketch: new(stats.Sketch)}
	c.touch(c.start()+17, 1)
	c.see(42|1, c.start()+17)
	c.sketch.Add(1200)
	data, err := c.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add((&userRow{attempt: 1, counted: []countedIn{{0, 0, telemetry.New}}, events: 3}).encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		one := &cell{minute: 29_000_000}
		if decodeCell(one, data) == nil {
			again, err := one.encode()
			if err != nil {
				t.Fatal(err)
			}
			two := &cell{minute: 29_000_000}
			if err := decodeCell(two, again); err != nil {
				t.Fatal(err)
			}
		}
		if u, err := decodeUser(data); err == nil {
			if _, err := decodeUser(u.encode()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestMismatch(t *testing.T) {
	g := newRig(t, nil)
	visit := func(user string) telemetry.Event {
		return telemetry.Event{Kind: telemetry.KindAction, Project: "1", User: user, Action: "open"}
	}
	for i := range 60 {
		g.send(visit(fmt.Sprint("u", i)))
	}
	if g.view().Data().Mismatch {
		t.Error("a mismatch among users as they come")
	}
	for i := range 200 { // the canary's users cannot report
		g.send(visit(g.userOf(telemetry.Old, 100+i)))
	}
	for range 2 {
		if !g.view().Data().Mismatch {
			t.Error("no mismatch with 200 users of the old arm too many")
		}
		g.restart()
	}
}

func TestCountersByKind(t *testing.T) {
	g := newRig(t, nil)
	u := g.userOf(telemetry.New, 0)
	fail := g.failure(u, "error")
	g.send(fail, g.failure(u, "error"), g.page(u, 900), telemetry.Event{Kind: telemetry.KindCheckIn},
		telemetry.Event{Kind: telemetry.KindVital, ID: "v1", User: u, Measurements: map[string]float64{"lcp": 1}},
		telemetry.Event{Kind: telemetry.KindSession, ID: "s", Session: &telemetry.Session{ID: "s", Status: "ok"}},
		telemetry.Event{Kind: telemetry.KindValue, Op: "x", Value: 1})
	g.send(fail) // a duplicate is of no kind
	want := map[string]int64{"acknowledged": 8, "duplicate": 1, "counted": 7, "counted:error": 2, "counted:page": 1,
		"counted:check_in": 1, "counted:vital": 1, "counted:session": 1, "counted:value": 1}
	for range 2 {
		got := g.e.Counters()
		var sum int64
		for name, n := range got {
			if strings.HasPrefix(name, countedKind) {
				sum += n
			}
		}
		if sum != got[countCounted] {
			t.Errorf("the kinds sum up to %d, counted is %d", sum, got[countCounted])
		}
		delete(got, countRefused)
		delete(got, countNoArm)
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		g.restart()
	}
}

// TestFreshEvidence: after a resumption from reduced the tests hold only what
// came since, whoever was counted before, also after a restart.
func TestFreshEvidence(t *testing.T) {
	g := newRig(t, nil)
	n, o := g.userOf(telemetry.New, 0), g.userOf(telemetry.Old, 0)
	g.send(g.failure(n, "error"), g.failure(o, "error"), g.page(n, 900), g.page(o, 900))
	g.clock.Advance(10 * time.Minute)
	g.send(g.failure(o, "error"))
	if tests := g.view().Tests("errors"); len(tests.Cells) != 1 || tests.EventsOld != 2 {
		t.Fatalf("before: %+v", tests)
	}
	g.target.Intervals = append(g.target.Intervals, Interval{Attempt: 1, From: g.clock.Now()})
	g.target.Active = false
	g.watch()
	g.clock.Advance(10 * time.Minute)
	now := g.clock.Now()
	g.target.Attempt, g.target.Intervals = 2, []Interval{{Attempt: 2, Odds: 1, From: now}}
	g.target.Active, g.target.StageAt = true, now
	g.watch()
	if tests := g.view().Tests("errors"); len(tests.Cells)+len(g.view().Tests("error_rate").Blocks) != 0 || tests.EventsOld+tests.EventsNew != 0 {
		t.Errorf("fresh: %+v", tests)
	}
	g.send(g.failure(n, "error"), g.page(n, 900), g.page(o, 900))
	g.clock.Advance(5 * time.Minute)
	for range 2 {
		tests, blocks := g.view().Tests("errors"), g.view().Tests("error_rate").Blocks
		want := []stats.UserCell{{Interval: 0, Last: -1, New: 1}}
		if d := cmp.Diff(want, tests.Cells); d != "" || tests.EventsNew != 1 || tests.EventsOld != 0 {
			t.Errorf("since: %s %+v", d, tests)
		}
		if len(blocks) != 1 || blocks[0].Interval != 0 || blocks[0].New != 1 || blocks[0].Old != 1 {
			t.Errorf("blocks since: %+v", blocks)
		}
		if len(tests.Began) != 1 || !tests.Began[0].Equal(now) {
			t.Errorf("intervals began %v", tests.Began)
		}
		g.restart()
	}
}

// TestSharedTrace: pages from a cache carry one trace; their loads stay apart.
func TestSharedTrace(t *testing.T) {
	g := newRig(t, nil)
	n := g.userOf(telemetry.New, 0)
	first, second := g.page(n, 900), g.page(n, 1100)
	first.Trace, second.Trace = "t", "t"
	g.send(first, second)
	vital := telemetry.Event{Kind: telemetry.KindVital, Project: "1", Segment: first.SpanID, Trace: "t", Measurements: map[string]float64{"lcp": 4000}}
	g.send(vital)
	w := g.window("lcp", judge.AssignedNew, time.Hour)
	if w.Count != 2 || w.Sum != 5100 {
		t.Errorf("got %d loads of %v ms in all, want 2 of 5100", w.Count, w.Sum)
	}
	// Sealed by its span: a later value is late, also after a restart.
	g.clock.Advance(sealAfter + housekeeping)
	g.send(telemetry.Event{Kind: telemetry.KindCheckIn})
	for range 2 {
		g.restart()
		g.send(vital)
	}
	if w := g.window("lcp", judge.AssignedNew, time.Hour); w.Count != 2 || g.e.Counters()[countVitalLate] != 2 {
		t.Errorf("after sealing: %d loads, %d late", w.Count, g.e.Counters()[countVitalLate])
	}
}

// TestIssueUsersSurvive: users of issues are stored, few at once, many each minute.
func TestIssueUsersSurvive(t *testing.T) {
	g := newRig(t, nil)
	for i := range promptUsers + 50 {
		g.send(g.failure(fmt.Sprint("u", i), "error"))
	}
	g.restart()
	g.send(g.failure("u0", "error"))
	list, err := g.store.Issues(context.Background(), store.IssueQuery{})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	it := list[0]
	if n := int64(promptUsers + 50); it.Users != n || it.Events != n+1 || it.Arms["demo-1/new"].Users+it.Arms["demo-1/old"].Users != n {
		t.Errorf("got %+v", it)
	}
}
