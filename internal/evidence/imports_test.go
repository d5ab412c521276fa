package evidence

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/baseline"
	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
)

// past makes hours of a metric, the newest one ending at end.
func past(end time.Time, n int, of func(hour int) (value, count float64)) []baseline.Hour {
	out := make([]baseline.Hour, n)
	last := end.Unix()/3600 - 1
	for i := range out {
		h := &out[i]
		h.Hour = last - int64(n-1-i)
		h.Value, h.Count = of(h.Begin().Hour())
	}
	return out
}

// healthy are the hours that rig.live has at a factor of 1.
func healthy(hour int) (value, count float64) {
	n := 40 + 40*(hour%12)/12
	return math.Round(0.2 * float64(n)), float64(n)
}

func fast(int) (value, count float64) { return 2400, 60 }

func (g *rig) bring(source string, hours map[string][]baseline.Hour, replace bool) ([]baseline.Imported, error) {
	g.t.Helper()
	return g.e.Import(context.Background(), "1", g.target.Plan, "demo-1", source, hours, replace)
}

// TestImportedBaseline takes a rollout to everybody on a server that has
// measured nothing: a week that was imported is compared with, harm is found,
// and what is as before is not.
func TestImportedBaseline(t *testing.T) {
	for _, c := range []struct {
		name   string
		worse  float64
		errors judge.Status
	}{{"errors three times as many", 3, judge.Met}, {"as before", 1, judge.NotMet}} {
		t.Run(c.name, func(t *testing.T) {
			g := newRig(t, baselinePlan(plan.Baseline))
			p := g.target.Plan
			g.clock.Advance(time.Hour - time.Duration(g.clock.Now().UnixNano()%int64(time.Hour)))
			now := g.clock.Now()
			before := g.view().(*view).History("errors")
			if len(before.Before) != 0 {
				t.Fatalf("%d hours before any was measured or imported", len(before.Before))
			}
			if _, err := g.bring("export", map[string][]baseline.Hour{"errors": past(now, 7*24, healthy), "lcp": past(now, 7*24, fast)}, false); err != nil {
				t.Fatal(err)
			}
			g.target.Split, g.target.StageAt, g.target.AttemptAt, g.target.RolloutAt = p.Split(flag.Everyone), now, now, now
			g.target.Intervals = []Interval{{Attempt: 1, Odds: 1e9, From: now}}
			g.watch()
			for range 6 {
				g.live(c.worse, 2000)
			}
			g.clock.Advance(16 * time.Minute)
			g.send(g.page("u1", 2000))
			g.restart()
			at := judge.Place{Planned: 1, Exposure: 1, StageBegan: now, AttemptBegan: now, RolloutBegan: now, EvidenceBegan: now, Levels: judge.Levels(p, p, 0, 0.01)}
			guards, _ := judge.Judge(p, p.Rollback, judge.Guard, at, g.view(), nil, g.clock.Now())
			if guards[0].Status != c.errors {
				t.Errorf("errors: %s, want %s: %s", guards[0].Status, c.errors, guards[0].Why)
			}
			if guards[1].Status != judge.NotMet {
				t.Errorf("lcp did not change: %s: %s", guards[1].Status, guards[1].Why)
			}
			for _, v := range guards {
				if !strings.Contains(v.Why, "7 d of it imported") {
					t.Errorf("%s does not say that its baseline was imported: %s", v.Rule, v.Why)
				}
			}
		})
	}
}

// TestImportKeepsWhatWasMeasured: measured hours stand, imported ones fill the
// rest, and each import says what it did.
func TestImportKeepsWhatWasMeasured(t *testing.T) {
	g := newRig(t, baselinePlan(plan.Baseline))
	g.target.StageAt, g.target.AttemptAt, g.target.RolloutAt = time.Time{}, time.Time{}, time.Time{}
	g.target.Split, g.target.Active, g.target.Intervals = g.target.Plan.Split(0), false, nil
	g.watch()
	g.clock.Advance(time.Hour - time.Duration(g.clock.Now().UnixNano()%int64(time.Hour)))
	for range 3 {
		g.live(1, 2000)
	}
	g.clock.Advance(20 * time.Minute)
	end := g.clock.Now().Truncate(time.Hour)
	extent := func() baseline.Extent {
		for _, e := range g.e.Baseline("1", g.target.Plan, "demo-1") {
			if e.Metric == "errors" {
				return e
			}
		}
		t.Fatal("errors are compared with the baseline, and not told of")
		return baseline.Extent{}
	}
	want := baseline.Extent{Metric: "errors", Title: g.target.Plan.Metrics["errors"].Title, Rules: []string{"errors > +50% vs baseline over 2h"}, Want: 168, Measured: 3}
	if d := cmp.Diff(want, extent()); d != "" {
		t.Errorf("before (-want +got)\n%s", d)
	}
	measured := g.view().(judge.Historian).History("errors").Before

	done, err := g.bring("old monitoring", map[string][]baseline.Hour{"errors": past(end, 24, healthy)}, false)
	if err != nil {
		t.Fatal(err)
	}
	if done[0].New != 24 || done[0].Replaced != 0 || done[0].Measured != 3 || done[0].Baseline.Imported != 21 {
		t.Errorf("the first import: %+v", done[0])
	}
	all := g.view().(judge.Historian).History("errors").Before
	if d := cmp.Diff(measured, all[21:]); d != "" || len(all) != 24 || all[20].Source != "old monitoring" {
		t.Errorf("%d hours; what was measured changed (-before +after)\n%s", len(all), d)
	}
	if w := all[0].Window; w.Users != int64(done0(healthy(all[0].Begin.Hour()))) || w.Active == 0 || !w.Known {
		t.Errorf("an imported hour reads %+v", w)
	}

	if _, err := g.bring("another", map[string][]baseline.Hour{"errors": past(end, 30, healthy)}, false); !errors.Is(err, baseline.ErrRefused) || !strings.Contains(err.Error(), `"old monitoring"`) {
		t.Errorf("hours of another source: %v", err)
	}
	if got := extent(); got.Imported != 21 {
		t.Errorf("a refused import left %d hours, want 21", got.Imported)
	}
	done, err = g.bring("old monitoring", map[string][]baseline.Hour{"errors": past(end, 30, healthy)}, false)
	if err != nil || done[0].New != 6 || done[0].Replaced != 24 {
		t.Errorf("the same source again: %+v, %v", done, err)
	}
	done, err = g.bring("another", map[string][]baseline.Hour{"errors": past(end, 30, healthy)}, true)
	if err != nil || done[0].Replaced != 30 {
		t.Errorf("replacing another source: %+v, %v", done, err)
	}
	g.restart()
	want.Imported, want.Sources = 27, []string{"another"}
	if d := cmp.Diff(want, extent()); d != "" {
		t.Errorf("after a restart (-want +got)\n%s", d)
	}

	other := *g.target.Plan
	other.Metrics = map[string]*plan.Metric{}
	for name, m := range g.target.Plan.Metrics {
		copied := *m
		other.Metrics[name] = &copied
	}
	other.Metrics["errors"].Where, other.Hash = "level:fatal", "other"
	for _, e := range g.e.Baseline("1", &other, "demo-1", "errors") {
		if e.Imported != 0 {
			t.Errorf("%d hours of another definition of errors are used", e.Imported)
		}
	}
	if _, err := g.bring(" ", map[string][]baseline.Hour{"errors": past(end, 1, healthy)}, false); !errors.Is(err, baseline.ErrRefused) {
		t.Errorf("an import without a source: %v", err)
	}
}

func done0(value, _ float64) float64 { return value }

// TestImportForgets: hours that no baseline reaches any more are dropped with
// the next import.
func TestImportForgets(t *testing.T) {
	g := newRig(t, baselinePlan(plan.Baseline))
	end := g.clock.Now().Truncate(time.Hour)
	if _, err := g.bring("a", map[string][]baseline.Hour{"lcp": past(end, 10, fast)}, false); err != nil {
		t.Fatal(err)
	}
	g.clock.Advance(baseline.Reach)
	end = g.clock.Now().Truncate(time.Hour)
	if _, err := g.bring("b", map[string][]baseline.Hour{"lcp": past(end, 5, fast)}, false); err != nil {
		t.Fatal(err)
	}
	g.e.mu.Lock()
	defer g.e.mu.Unlock()
	if got := g.e.importedOf(g.target.Plan.Name, g.target.Plan.Metrics["lcp"]); len(got.Hours) != 5 || !cmp.Equal(got.Sources, []string{"b"}) {
		t.Errorf("%d hours of %v are kept, want 5 of b", len(got.Hours), got.Sources)
	}
}

// TestImportedWindows: what each kind of metric reads of an imported hour.
func TestImportedWindows(t *testing.T) {
	h := importedHour{Value: 0.25, Count: 400}
	for _, c := range []struct {
		kind plan.Kind
		want judge.Window
	}{
		{plan.Users, judge.Window{Known: true, Active: 400}},
		{plan.Average, judge.Window{Known: true, Count: 400, Sum: 100}},
		{plan.Ratio, judge.Window{Known: true, Count: 100, Sum: 400}},
		{plan.Computed, judge.Window{Known: true, Count: 100, Sum: 400}},
		{plan.Gauge, judge.Window{Known: true, Count: 1, Sum: 0.25}},
	} {
		if d := cmp.Diff(c.want, h.window(&plan.Metric{Kind: c.kind})); d != "" {
			t.Errorf("%s (-want +got)\n%s", c.kind, d)
		}
	}
	w := importedHour{Value: 2100, Count: 400}.window(&plan.Metric{Kind: plan.Quantile})
	if q, ok := w.Sketch.Quantile(0.75); !ok || math.Abs(q/2100-1) > 0.01 || w.Sketch.Count() != 400 {
		t.Errorf("a quantile reads %v of %d", q, w.Sketch.Count())
	}
}
