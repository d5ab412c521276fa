package evidence

import (
	"math"
	"testing"
	"time"

	"serin/internal/plan"
	"serin/internal/simulate"
)

// TestTraffic counts three days and takes the figures of a simulation from
// them: of everybody in the environment for a plan that has no rollout yet, and
// of the audience of one that waits in preflight.
func TestTraffic(t *testing.T) {
	var views, errors float64 // of a day, as live sends them
	for hour := range 24 {
		n := 40 + 40*(hour%12)/12
		views += float64(n)
		for i := range n {
			if (i*17+hour*5)%100 < 20 {
				errors++
			}
		}
	}
	for name, own := range map[string]bool{"everybody": false, "the audience": true} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, baselinePlan(plan.Baseline))
			p, id := g.target.Plan, ""
			p.Location = time.UTC
			g.e.Forget("demo-1")
			if own {
				id = g.target.Rollout
				p.Scope.Pages = []string{"/x"}
				g.target.Split, g.target.Stage, g.target.Active, g.target.Intervals = p.Split(0), -1, false, nil
				g.target.StageAt, g.target.AttemptAt, g.target.RolloutAt = time.Time{}, time.Time{}, time.Time{}
				g.watch()
			}
			m, err := g.e.Traffic("1", p, id)
			if err != nil || len(m.Hours["lcp"]) > 0 {
				t.Fatalf("before anything arrived: %v, %d hours", err, len(m.Hours["lcp"]))
			}
			if f, err := simulate.FromMeasured(p, m, simulate.DefaultTraffic()); err == nil {
				t.Errorf("figures of nothing: %+v", f)
			}
			for range 3*24 + 1 {
				g.live(1, 2000)
			}
			g.clock.Advance(16 * time.Minute)
			g.send(g.page("u1", 2000))
			if m, err = g.e.Traffic("1", p, id); err != nil {
				t.Fatal(err)
			}
			f, err := simulate.FromMeasured(p, m, simulate.DefaultTraffic())
			if err != nil {
				t.Fatal(err)
			}
			got := f.Traffic
			if math.Abs(got.ViewsPerDay-views) > views/50 || math.Abs(got.ErrorsPerView-errors/views) > errors/views/50 {
				t.Errorf("%g views a day with %g errors each, want %g and %g", got.ViewsPerDay, got.ErrorsPerView, views, errors/views)
			}
			if math.Abs(got.Users-500) > 25 {
				t.Errorf("%g users, want 500 within the estimate's error", got.Users)
			}
			if lcp := got.Values["lcp"]; lcp < 2000 || lcp > 2900 {
				t.Errorf("lcp %g, want the third quarter of 2000 to 2780", lcp)
			}
		})
	}
}
