package evidence

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/plan"
	"serin/internal/stats"
	"serin/internal/telemetry"
)

// TestFreshComparisons: what a revision adds or changes counts from the revision on
// alone, users who had counted before anew; everything else goes on as it was. A
// restart finds the same.
func TestFreshComparisons(t *testing.T) {
	g := newRig(t, func(p *plan.Plan) {
		p.Rollback = append(p.Rollback, &plan.Rule{Text: "p1", Metric: "p1", Op: plan.GT, Value: 0.3, Ref: plan.Control, Over: plan.Span{Dur: time.Hour}, Given: true})
	})
	n0, n1, o0 := g.userOf(telemetry.New, 0), g.userOf(telemetry.New, 1), g.userOf(telemetry.Old, 0)
	g.send(g.failure(n0, "fatal"), g.failure(o0, "fatal"), g.page(n0, 1000), g.page(o0, 1000))
	g.clock.Advance(10 * time.Minute)
	revised := *g.target.Plan
	revised.Hash = "revised"
	g.target.Plan = &revised
	g.target.Intervals = append(g.target.Intervals, Interval{Attempt: 1, Odds: 1, From: g.clock.Now(), Fresh: []string{"errors", "error_rate"}})
	g.watch()
	g.send(g.failure(n0, "fatal"), g.failure(n1, "fatal"), g.page(n1, 1000))
	g.clock.Advance(10 * time.Minute)
	check := func(when string) {
		t.Helper()
		got := g.view().Tests("errors")
		if d := cmp.Diff([]stats.UserCell{{Interval: 1, Last: -1, New: 2}}, got.Cells); d != "" || got.EventsNew != 2 || got.EventsOld != 0 {
			t.Errorf("%s: %d and %d events, %s", when, got.EventsNew, got.EventsOld, d)
		}
		same := []stats.UserCell{{Interval: 0, Last: -1, New: 1, Old: 1}, {Interval: 1, Last: -1, New: 1}}
		if d := cmp.Diff(same, g.view().Tests("p1").Cells); d != "" {
			t.Errorf("%s: what was not revised:\n%s", when, d)
		}
		for _, b := range g.view().Tests("error_rate").Blocks {
			if b.Interval != 1 || b.Old != 0 || b.New != 1 {
				t.Errorf("%s: block %+v", when, b)
			}
		}
		if n := len(g.view().Tests("error_rate").Blocks); n == 0 {
			t.Errorf("%s: no block", when)
		}
	}
	check("revised")
	g.restart()
	check("restarted")
}
