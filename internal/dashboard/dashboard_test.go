package dashboard_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/clock"
	"serin/internal/dashboard"
	"serin/internal/evidence"
	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/panel"
	"serin/internal/plan"
	"serin/internal/store"
	"serin/internal/store/memory"
	"serin/internal/telemetry"
)

const text = `serin: 1
plan: shop
timezone: UTC
flag: { key: f }
stages: [{ stage: half, traffic: 50%, bake: 24h, proceed: [errors < 5] }, { stage: full, traffic: 100%, bake: 24h }]
dashboard:
  targets: { 15m: [errors = 0], 1h: [lcp < 2.5s] }
  panels:
    - { title: Errors, query: "tags.feature:x level:[error, fatal]", compare: 7d }
    - { title: By part, query: "feature:x", by: part }
    - { title: Open, query: "is:unresolved feature:x" }
    - { title: Counted, metric: errors }
`

var monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// rig is a dashboard over real evidence; a rollout of the plan begins when it is told to.
type rig struct {
	*testing.T
	clock    *clock.Manual
	evidence *evidence.Engine
	d        *dashboard.Dashboard
	plan     *plan.Plan
	start    atomic.Int64 // when the rollout began, Unix ns; 0 = not yet
	n        int
}

func newRig(t *testing.T) *rig {
	p, err := plan.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, clock: clock.NewManual(monday), plan: p}
	db := memory.New()
	r.evidence = evidence.New(evidence.Options{Store: db, Clock: r.clock})
	r.d = dashboard.New(dashboard.Options{Evidence: r.evidence, Clock: r.clock,
		Plans: func(context.Context) ([]dashboard.Plan, error) { return []dashboard.Plan{{Project: "1", Plan: p}}, nil },
		Rollouts: func() []dashboard.Rollout {
			if r.start.Load() == 0 {
				return nil
			}
			return []dashboard.Rollout{r.rollout()}
		},
		Find: func(id string) (dashboard.Rollout, error) {
			if id != "shop-1" {
				return dashboard.Rollout{}, store.ErrNotFound
			}
			return r.rollout(), nil
		},
		Metric: func(id, metric string, both bool, from, to time.Time, points int) ([]dashboard.MetricPoint, error) {
			read := r.evidence.Reading
			if both {
				read = r.evidence.Series
			}
			found, err := read(id, metric, from, to, points)
			var out []dashboard.MetricPoint
			for _, p := range found {
				out = append(out, dashboard.MetricPoint{T: p.T, Value: p.Both()})
			}
			return out, err
		},
		Issues: func(ctx context.Context, project string, f telemetry.Filter) ([]store.Issue, error) {
			found, err := db.Issues(ctx, store.IssueQuery{})
			return slices.DeleteFunc(found, func(i store.Issue) bool {
				return i.Project != project || !f.MatchRecord(evidence.IssueRecord{Issue: &i, Now: r.clock.Now()}, r.clock.Now())
			}), err
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	go func() { _ = r.evidence.Run(ctx); done <- struct{}{} }()
	go func() { _ = r.d.Run(ctx); done <- struct{}{} }()
	t.Cleanup(func() { cancel(); <-done; <-done })
	r.await(func() bool { _, err := r.evidence.ReadPanel(r.key(0), monday, monday, 1); return err == nil })
	return r
}

// began is when the rollout began.
func (r *rig) began() time.Time {
	if ns := r.start.Load(); ns != 0 {
		return time.Unix(0, ns).UTC()
	}
	return time.Time{}
}

func (r *rig) rollout() dashboard.Rollout {
	began := r.began()
	return dashboard.Rollout{Rollout: "shop-1", Project: "1", Plan: r.plan, Judge: judge.Judge, Began: !began.IsZero(),
		Place: judge.Place{Planned: 2, Exposure: .5, ControlShare: .5, StageBegan: began, AttemptBegan: began, RolloutBegan: began, EvidenceBegan: began}}
}

func (r *rig) key(n int) string {
	p, err := panel.Of("1", "f", r.plan.Dashboard.Panels[n])
	if err != nil {
		r.Fatal(err)
	}
	return p.Key
}

// await lets the loops catch up, a minute of their clock at a time.
func (r *rig) await(done func() bool) {
	r.Helper()
	for i := range 10_000 {
		if done() {
			return
		}
		if i%100 == 99 {
			r.clock.Advance(time.Second)
		}
		time.Sleep(100 * time.Microsecond)
	}
	r.Fatal("it never came")
}

func (r *rig) begin() {
	began := r.clock.Now()
	err := r.evidence.Watch(evidence.Target{Rollout: "shop-1", Project: "1", Plan: r.plan, Split: r.plan.Split(flag.Everyone / 2), Attempt: 1, Active: true,
		Intervals: []evidence.Interval{{Attempt: 1, Odds: 1, From: began}}, StageAt: began, AttemptAt: began, RolloutAt: began})
	if err != nil {
		r.Fatal(err)
	}
	r.start.Store(began.UnixNano())
	r.d.Changed()
}

func (r *rig) send(parts ...string) {
	r.Helper()
	var events []telemetry.Event
	for _, part := range parts {
		r.n++
		events = append(events, telemetry.Event{Kind: telemetry.KindError, Project: "1", ID: fmt.Sprint("e", r.n), Received: r.clock.Now(), Time: r.clock.Now(), Level: "error",
			Title: "Boom", User: fmt.Sprint("u", r.n), Environment: "production", Tags: map[string]string{"feature": "x", "part": part}})
	}
	if err := r.evidence.Accept(r.Context(), events); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) view(back, compare time.Duration) dashboard.View {
	r.Helper()
	v, err := r.d.View(r.Context(), "shop-1", dashboard.Range{Back: back, Compare: compare})
	if err != nil {
		r.Fatal(err)
	}
	return v
}

// TestPanelsCountBeforeTheRollout compares the first day of a rollout with the
// same hours a week before, when only the plan was known.
func TestPanelsCountBeforeTheRollout(t *testing.T) {
	r := newRig(t)
	r.clock.Advance(12 * time.Hour)
	r.send("table", "table", "menu")
	r.clock.Advance(7 * 24 * time.Hour)
	r.begin()
	r.clock.Advance(time.Hour)
	r.send("table", "grid", "grid", "grid")
	v := r.view(6*time.Hour, 7*24*time.Hour)
	if len(v.Panels) != 4 {
		t.Fatalf("%d panels", len(v.Panels))
	}
	errors, parts, open, metric := v.Panels[0], v.Panels[1], v.Panels[2], v.Panels[3]
	if errors.Now.N != 4 || errors.Was == nil || errors.Was.N != 3 || errors.Shape != dashboard.Line || len(errors.T) != len(errors.Before) {
		t.Errorf("errors: now %+v, was %+v, %d steps against %d", errors.Now, errors.Was, len(errors.T), len(errors.Before))
	}
	if want := "events with tags[feature]:x level:[error, fatal]"; errors.Read != want || len(errors.Notes) != 1 {
		t.Errorf("read as %q with notes %v", errors.Read, errors.Notes)
	}
	var rows []string
	for _, g := range parts.Groups {
		rows = append(rows, fmt.Sprintf("%s %d was %d", g.Name, g.N, g.Was.N))
	}
	if diff := cmp.Diff([]string{"grid 3 was 0", "table 1 was 2", "menu 0 was 1"}, rows); diff != "" {
		t.Error(diff)
	}
	if open.Shape != dashboard.List || open.Now.N != 1 || len(open.Issues) != 1 || open.Issues[0].Events != 7 {
		t.Errorf("issues: %+v", open)
	}
	if metric.Now.N != 4 || metric.Was != nil && metric.Was.N != 0 || !strings.Contains(metric.Read, "both arms") {
		t.Errorf("metric: now %+v, was %v, read as %q", metric.Now, metric.Was, metric.Read)
	}
	if early := r.view(6*time.Hour, 8*24*time.Hour).Panels[1]; early.Was != nil {
		t.Errorf("compared with a time before the plan was known: %+v", early.Was)
	}
}

// TestTargetsAreReadAtTheirCadence reads a rule when it is due, and not between.
func TestTargetsAreReadAtTheirCadence(t *testing.T) {
	r := newRig(t)
	if v := r.view(0, 0); len(v.Targets) != 2 || v.Targets[0].Verdict != nil {
		t.Fatalf("before the start: %+v", v.Targets)
	}
	r.begin()
	r.await(func() bool { return r.view(0, 0).Targets[0].Verdict != nil })
	first := r.view(0, 0).Targets
	if first[0].Rule != "errors = 0" || first[0].Next.Sub(first[0].At) != 15*time.Minute || first[1].Next.Sub(first[1].At) != time.Hour {
		t.Errorf("read %+v", first)
	}
	r.clock.Advance(10 * time.Minute)
	r.send("table")
	if again := r.view(0, 0).Targets[0]; !again.At.Equal(first[0].At) {
		t.Errorf("read at %v, 10 minutes after %v", again.At, first[0].At)
	}
	r.clock.Advance(5 * time.Minute)
	r.await(func() bool { return !r.view(0, 0).Targets[0].At.Equal(first[0].At) })
	now := r.view(0, 0).Targets
	if now[0].Verdict.Status != judge.NotMet || now[0].Verdict.Value == nil || *now[0].Verdict.Value != 1 {
		t.Errorf("after an error: %+v", now[0].Verdict)
	}
	if !now[1].At.Equal(first[1].At) {
		t.Errorf("the hourly one was read at %v too", now[1].At)
	}
}

func TestUnknownRollout(t *testing.T) {
	if _, err := newRig(t).d.View(t.Context(), "nobody-1", dashboard.Range{}); err == nil {
		t.Error("a rollout that is not there has a dashboard")
	}
}
