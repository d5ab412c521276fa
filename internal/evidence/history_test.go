package evidence

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	machine "serin/internal/rollout"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// live lets an hour pass in which users come by, and a fifth of them, times
// worse, err; each loads a page.
func (g *rig) live(worse, lcp float64) {
	g.t.Helper()
	const users = 40
	hour := g.clock.Now().Hour()
	n := users + users*(hour%12)/12
	var events []telemetry.Event
	for i := range n {
		user := fmt.Sprintf("u%d", (i*7+hour*13)%500)
		e := g.page(user, lcp*(1+0.01*float64((i*31+hour)%40)))
		e.Environment = "production"
		events = append(events, e)
		if float64((i*17+hour*5)%100) < 20*worse {
			events = append(events, g.failure(user, "error"))
		}
	}
	for at := 0; at < 60; at += 20 {
		g.send(events[len(events)*at/60 : len(events)*(at+20)/60]...)
		g.clock.Advance(20 * time.Minute)
	}
}

func baselinePlan(ref plan.Ref) func(*plan.Plan) {
	return func(p *plan.Plan) {
		p.Judge.Baseline, p.Judge.FalseRollback, p.Judge.FalseProceed = 7*24*time.Hour, 0.01, 0.05
		p.Judge.EnoughUsers = 1
		p.Rollback = []*plan.Rule{
			{Text: "errors > +50% vs " + string(ref) + " over 2h", Metric: "errors", Op: plan.GT, Value: 0.5, Ref: ref, Over: plan.Span{Dur: 2 * time.Hour}, Given: true},
			{Text: "lcp > +30% vs " + string(ref) + " over 2h", Metric: "lcp", Op: plan.GT, Value: 0.3, Ref: ref, Over: plan.Span{Dur: 2 * time.Hour}, Given: true},
		}
		p.Stages = []plan.Stage{{Name: "full", Traffic: flag.Everyone, Bake: 48 * time.Hour}}
	}
}

// TestBaselineRollback takes a rollout to everybody without holdback after a
// week of telemetry, part of it before the rollout existed: worse errors hold
// and page under `vs reference`, and roll back under `vs baseline`.
func TestBaselineRollback(t *testing.T) {
	for _, c := range []struct {
		name     string
		ref      plan.Ref
		worse    float64
		watched  bool // the rollout waits in preflight for the week
		restart  bool
		rollback bool
		asked    bool
	}{
		{name: "reference holds and pages", ref: plan.Reference, worse: 3, asked: true},
		{name: "baseline acts", ref: plan.Baseline, worse: 3, rollback: true},
		{name: "after a restart", ref: plan.Baseline, worse: 3, restart: true, rollback: true},
		{name: "its own hours", ref: plan.Baseline, worse: 3, watched: true, rollback: true},
		{name: "as before", ref: plan.Baseline, worse: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newRig(t, baselinePlan(c.ref))
			p := g.target.Plan
			target := g.target
			g.e.Forget("demo-1")
			if c.watched {
				p.Scope.Pages = []string{"/x"} // so that the environment's hours do not count
				before := target
				before.Split, before.Stage, before.Active, before.Intervals = p.Split(0), -1, false, nil
				before.StageAt, before.AttemptAt, before.RolloutAt = time.Time{}, time.Time{}, time.Time{}
				g.target = before
				g.watch()
			}
			for range 7 * 24 {
				g.live(1, 2000)
			}
			now := g.clock.Now()
			target.Split, target.StageAt, target.AttemptAt, target.RolloutAt = p.Split(flag.Everyone), now, now, now
			target.Intervals = []Interval{{Attempt: 1, Odds: 1e9, From: now}}
			g.target = target
			g.watch()
			for range 6 {
				g.live(c.worse, 2000)
			}
			g.clock.Advance(16 * time.Minute)
			g.send(g.page("u1", 2000)) // a sign of life
			if c.restart {
				g.restart()
			}
			view := g.view()
			at := judge.Place{Planned: 1, Exposure: 1, StageBegan: now, AttemptBegan: now, RolloutBegan: now, EvidenceBegan: now, Levels: judge.Levels(p, p, 0, 0.01)}
			guards, _ := judge.Judge(p, p.Rollback, judge.Guard, at, view, nil, g.clock.Now())
			for _, v := range guards {
				t.Log(v.Status, v.Why)
				if v.Ref != plan.Baseline || !v.Approx {
					t.Errorf("%s: rests on %q, approximate %v", v.Rule, v.Ref, v.Approx)
				}
			}
			if guards[1].Status != judge.NotMet {
				t.Errorf("lcp did not change, and is %s: %s", guards[1].Status, guards[1].Why)
			}
			state := machine.State{Status: machine.Running, Exposure: flag.Everyone, At: now, StageAt: now, AttemptAt: now, StartedAt: now, Pos: 1}
			next, events, err := machine.Step(p, state, machine.Input{Wall: g.clock.Now(), Mono: time.Hour, Rollback: guards, Data: view.Data()})
			if err != nil {
				t.Fatal(err)
			}
			asked := false
			for _, e := range events {
				asked = asked || e.Type == machine.Asked && e.Paged
			}
			if got := next.Status == machine.RolledBack; got != c.rollback || asked != c.asked {
				t.Errorf("rolled back %v, asked %v; want %v, %v", got, asked, c.rollback, c.asked)
			}
		})
	}
}

// TestHistory reads what the store of hours and pushed numbers holds.
func TestHistory(t *testing.T) {
	g := newRig(t, baselinePlan(plan.Baseline))
	g.target.RolloutAt = time.Time{}
	g.watch()
	if err := g.e.Push(context.Background(), "1", "bundle_size", "400kB"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		g.live(1, 1000)
	}
	g.clock.Advance(20 * time.Minute)
	if err := g.e.Push(context.Background(), "1", "bundle_size", "500kB"); err != nil {
		t.Fatal(err)
	}
	want := g.view().(judge.Historian).History("errors")
	if len(want.Before) != 3 || want.Before[0].Window.Users == 0 || want.Before[0].Window.Active < want.Before[0].Window.Users {
		t.Fatalf("hours %+v", want.Before)
	}
	size := g.view().(judge.Historian).History("bundle_size")
	if len(size.Before) != 3 || size.Before[2].Window.Sum != 400e3 {
		t.Errorf("a pushed number stands until the next: %+v", size.Before)
	}
	g.restart()
	if diff := cmp.Diff(want, g.view().(judge.Historian).History("errors")); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
}

// TestHoursReplaceAndBound: a newer vital takes the older one's place, and
// what is kept is bounded.
func TestHoursReplaceAndBound(t *testing.T) {
	h := newHours()
	e := telemetry.Event{Kind: telemetry.KindPage, User: "u", Environment: "Production", Received: t0, Measurements: map[string]float64{"lcp": 1000}}
	places := h.add(&e)
	if len(places) != 1 || !h.replace(&places[0], 3000) {
		t.Fatalf("places %+v", places)
	}
	m := h.rings["production"][toMS(t0)/hourMS%keptHours].Metrics["lcp"]
	if got, _ := m.sketch.Quantile(0.5); m.Sum != 3000 || got < 2990 || got > 3040 || m.sketch.Count() != 1 {
		t.Errorf("sum %v, median %v of %d", m.Sum, got, m.sketch.Count())
	}
	for i := range 20 {
		e.Environment = fmt.Sprint("env", i)
		h.add(&e)
		h.gauge("1", fmt.Sprint("key", i*10), 1, toMS(t0))
	}
	for i := range 100 {
		h.gauge("1", fmt.Sprint("key", i), 1, toMS(t0))
	}
	if n := len(h.rings) - 1; n > keptEnvs || len(h.rings[""][toMS(t0)/hourMS%keptHours].Gauges) != keptGauges {
		t.Errorf("%d environments", n)
	}
	e.Environment, e.Received = "production", t0.Add(keptHours*time.Hour)
	h.add(&e)
	e.Received = t0
	if h.add(&e) != nil {
		t.Error("an hour that was written over counts again")
	}
}

func TestHoursTakeRefusesRubbish(t *testing.T) {
	for _, text := range []string{"", "{}", `{"env":"x","hour":5,"users":"AA=="}`, `{"env":"x","hour":5,"metrics":{"lcp":null}}`, `{"env":"x","hour":5,"metrics":{"lcp":{"sketch":"AA=="}}}`} {
		h := newHours()
		h.take(map[string]store.Value{hourKey("x", 5): {Text: text}}, slog.New(slog.DiscardHandler))
		if len(h.rings) != 0 {
			t.Errorf("%q was taken", text)
		}
	}
}

// BenchmarkJudgeBaseline is a look at two rules on a week's baseline.
func BenchmarkJudgeBaseline(b *testing.B) {
	g := newRig(b, baselinePlan(plan.Baseline))
	for range 8 * 24 {
		g.live(1, 2000)
	}
	now := g.clock.Now()
	g.target.StageAt, g.target.AttemptAt, g.target.RolloutAt = now.Add(-24*time.Hour), now.Add(-24*time.Hour), now.Add(-24*time.Hour)
	g.watch()
	g.send(g.page("u1", 2000))
	p := g.target.Plan
	at := judge.Place{Planned: 1, Exposure: 1, StageBegan: g.target.StageAt, AttemptBegan: g.target.StageAt, RolloutBegan: g.target.StageAt}
	if v, _ := judge.Judge(p, p.Rollback, judge.Guard, at, g.view(), nil, now); v[0].Status == judge.Unknown || v[1].Status == judge.Unknown {
		b.Fatal(v[0].Why, v[1].Why)
	}
	b.ReportAllocs()
	for b.Loop() {
		judge.Judge(p, p.Rollback, judge.Guard, at, g.view(), nil, now)
	}
}
