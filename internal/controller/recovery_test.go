package controller_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/clock"
	"serin/internal/controller"
	"serin/internal/evidence"
	"serin/internal/flag"
	"serin/internal/hub"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
	"serin/internal/store/memory"
	"serin/internal/store/sqlite"
)

// recoverAt is when the stored rollouts of these tests began.
var recoverAt = time.Date(2025, 3, 3, 9, 0, 0, 0, time.UTC)

// recoverPlan is the plan of the i-th stored rollout; each has a flag of its own.
func recoverPlan(tb testing.TB, i int) *plan.Plan {
	tb.Helper()
	name := fmt.Sprintf("kept%d", i)
	p, err := plan.Parse([]byte(strings.NewReplacer("plan: rig", "plan: "+name, "flag: { key: rig }", "flag: { key: "+name+" }",
		"bake: 1h", "bake: 60d").Replace(rigPlan)))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// longJournal drives the state machine through n events of a rollout that is
// started, raised, reduced, resumed and then bakes on.
func longJournal(tb testing.TB, p *plan.Plan, n int) (rollout.State, []rollout.Event) {
	tb.Helper()
	var s rollout.State
	var journal []rollout.Event
	wall, mono := recoverAt, time.Duration(0)
	step := func(cmd *rollout.Command) {
		in := rollout.Input{Wall: wall, Mono: mono, Covered: wall.Sub(s.At), Command: cmd}
		for _, r := range p.Rollback {
			in.Rollback = append(in.Rollback, judge.Verdict{Rule: r.Text, Metric: r.Metric, Status: judge.NotMet, Why: r.Metric + ": 0 over 1h, limit 5; 1,024 events", At: wall})
		}
		for _, r := range p.Stages[s.Stage].Proceed {
			in.Proceed = append(in.Proceed, judge.Verdict{Rule: r.Text, Metric: r.Metric, Status: judge.Met, Why: r.Metric + ": 0 over 24h, limit 5", At: wall})
		}
		in.Reduce, in.Checks = []judge.Verdict{}, in.Proceed
		next, events, err := rollout.Step(p, s, in)
		if err != nil {
			tb.Fatal(err)
		}
		s, journal = next, append(journal, events...)
		wall, mono = wall.Add(5*time.Minute), mono+5*time.Minute
	}
	lead := func(v rollout.Verb) *rollout.Command {
		return &rollout.Command{Verb: v, By: "lead", Role: "lead", May: p.Roles[0].May, Via: "api", Item: p.Name + "-1", Percent: 1000, Reason: "as planned"}
	}
	for _, v := range []rollout.Verb{rollout.Create, rollout.Start, rollout.Promote, rollout.Reduce, rollout.Resume} {
		step(lead(v))
	}
	for len(journal) < n {
		step(nil)
	}
	journal = journal[:n]
	return rollout.Fold(journal), journal
}

// keepRollouts stores count rollouts with n journal entries each. change may
// alter the state that is stored; nil = as it is.
func keepRollouts(tb testing.TB, s store.Store, count, n int, change func(*rollout.State)) {
	tb.Helper()
	_, journal := longJournal(tb, recoverPlan(tb, 0), n)
	for i := range count {
		p := recoverPlan(tb, i)
		for k := range journal {
			if e := &journal[k]; e.PlanHash != "" {
				e.Item, e.To, e.Flag, e.PlanHash = p.Name+"-1", p.Name, p.Flag.Key, p.Hash
			}
		}
		state := rollout.Fold(journal)
		if change != nil {
			change(&state)
		}
		def, err := flag.ParseDefinition(p.Flag.Key, []byte(`{"state":"ENABLED","variants":{"new":true,"old":false},"defaultVariant":"old"}`))
		if err != nil {
			tb.Fatal(err)
		}
		if err := s.Commit(tb.Context(), store.Commit{State: state, Events: journal, Plan: p.Source,
			Flag: &store.FlagRecord{Definition: def, Owner: state.ID, Pos: state.Pos}}); err != nil {
			tb.Fatal(err)
		}
	}
}

// startOn starts evidence and controller on a store, without running them.
func startOn(tb testing.TB, s store.Store, now time.Time, log *slog.Logger) *controller.Controller {
	tb.Helper()
	clk := clock.NewManual(now)
	engine := evidence.New(evidence.Options{Store: s, Clock: clk})
	c, err := controller.New(tb.Context(), controller.Options{Store: s, Evidence: watcher{engine, &rig{}}, Publisher: hub.New(), Feed: hub.NewFeed(0, 0),
		Clock: clk, Logger: log, Sources: func(string) map[string]bool { return map[string]bool{"prometheus": true} }})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// BenchmarkRecovery starts on 200 rollouts with 10,000 journal entries each.
// mark-ms is the least that any start must do: read the states and parse the
// plans.
func BenchmarkRecovery(b *testing.B) {
	const count, entries = 200, 10_000
	s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "serin.db"), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	keepRollouts(b, s, count, entries, nil)
	mark := recoveryMark(b, s)
	b.ReportAllocs()
	for b.Loop() {
		c := startOn(b, s, recoverAt.Add(entries*5*time.Minute), nil)
		if views, err := c.Views(b.Context()); err != nil || len(views) != count || views[0].Waiting[0].Kind == "unreadable" {
			b.Fatal(len(views), err)
		}
	}
	b.ReportMetric(float64(mark.Microseconds())/1000, "mark-ms")
}

func recoveryMark(b *testing.B, s store.Store) time.Duration {
	began := time.Now()
	states, err := s.States(b.Context())
	for _, st := range states {
		source, e := s.PlanSource(b.Context(), st.PlanHash)
		if e != nil {
			b.Fatal(e)
		}
		if _, e := plan.Parse(source); e != nil {
			b.Fatal(e)
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// TestRecoveryFoldsWhenItMust: a stored state that agrees with its journal is
// taken as it is; one of an older form, or one that disagrees, is folded anew,
// and a disagreement is logged with the rollout's name.
func TestRecoveryFoldsWhenItMust(t *testing.T) {
	want, _ := longJournal(t, recoverPlan(t, 0), 200)
	for _, tt := range []struct {
		name   string
		change func(*rollout.State)
		log    string // of an error, "" = none
	}{
		{"as it is", nil, ""},
		{"an older form", func(s *rollout.State) { s.Format, s.Runs, s.Intervals, s.BegunHash = 0, 0, nil, "" }, ""},
		{"another exposure", func(s *rollout.State) { s.Exposure = 99_000 }, "the last entry of the journal says otherwise"},
		{"another time", func(s *rollout.State) { s.At = s.At.Add(-time.Hour) }, "the last entry of the journal says otherwise"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			s := memory.New()
			keepRollouts(t, s, 1, 200, tt.change)
			c := startOn(t, s, want.At.Add(time.Minute), slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError})))
			v, err := c.View(t.Context(), "kept0")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, v.State); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
			if got := log.String(); tt.log == "" && got != "" || !strings.Contains(got, tt.log) || tt.log != "" && !strings.Contains(got, "kept0-1") {
				t.Errorf("logged %q, want %q", got, tt.log)
			}
		})
	}
}

// TestStateIsItsJournal: after a rollout with everything in it the stored
// state is the fold of the stored journal.
func TestStateIsItsJournal(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("2:30")
		r.restart()
		r.lead(rollout.Reduce, percent(1000))
		r.drive("2:50")
		r.lead(rollout.Resume)
		r.drive("4:00")
		r.send(r.p1(6)...)
		r.drive("4:10")
		stored, err := r.store.State(context.Background(), "rig-1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rollout.Fold(r.journal()), stored); diff != "" {
			t.Errorf("stored state (-fold of the journal, +stored):\n%s", diff)
		}
		if stored.Runs != 2 || len(stored.Intervals) == 0 || stored.Format != rollout.StateFormat {
			t.Errorf("runs %d, intervals %v, format %d", stored.Runs, stored.Intervals, stored.Format)
		}
	})
}
