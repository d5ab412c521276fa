package simulate

import (
	"strings"
	"testing"
	"time"
)

// TestAgainstTheBaseline: at 100 % without control, rules against the baseline are
// answered from its hours. A healthy feature is rarely rolled back by them, much
// more errors and slower pages nearly always; and a gate that refers to it is not
// unknown for want of hours.
func TestAgainstTheBaseline(t *testing.T) {
	text := strings.NewReplacer("traffic: 50%", "traffic: 100%").Replace(one("lcp <= +10% vs reference", "errors > +100% vs baseline over 6h, lcp > +20% vs baseline over 6h"))
	p := readPlan(t, text)
	traffic := flat(t)
	traffic.ViewsPerDay, traffic.Users = 500_000, 20_000
	r := simulated(t, p, Options{Traffic: traffic, Runs: 60, GridRuns: 30, Seed: 3})
	if r.FalseRollback.P > 0.1 {
		t.Errorf("a healthy feature is rolled back in %s", r.FalseRollback)
	}
	if c := r.Stages[0].Proceed[0]; c.Unknown.P > 0.5 || c.NotMet.P > 0.1 {
		t.Errorf("the gate is unknown in %s, not met in %s", c.Unknown, c.NotMet)
	}
	caught := map[string]float64{}
	for _, c := range r.Grid {
		caught[c.Name] = c.Caught.P
	}
	if caught["errors ×5"] < 0.9 || caught["latency +30%"] < 0.9 || caught["latency +5%"] > 0.1 {
		t.Errorf("caught %+v", caught)
	}
}

// TestNearAfterRaise: what is near its limit against the baseline is told by the
// share that was new when it happened.
func TestNearAfterRaise(t *testing.T) {
	o := Options{Traffic: flat(t, "errors_per_view=10%")}
	p := readPlan(t, strings.Replace(one("errors < 100000", "errors > +50% vs baseline over 1h"), "stages:", "stages:\n  - { stage: before, traffic: 5%, bake: 24h, proceed: [errors < 1], checks: [] }", 1))
	if err := o.fill(p); err != nil {
		t.Fatal(err)
	}
	w, err := o.world(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		effect Effect
		near   bool
	}{{Effect{}, false}, {Effect{Errors: 1.6}, true}} {
		r := &run{world: w, site: newSite(w, tt.effect, newRand(1, 1))}
		r.site.enter(0, 0.05)
		r.site.until(24 * time.Hour)
		r.site.enter(1, 0.5)
		r.site.until(25 * time.Hour)
		if got := r.nearBaseline(p.Rollback[0], w.models["errors"], r.site.made); got != tt.near {
			t.Errorf("%s: near %t, want %t", tt.effect, got, tt.near)
		}
	}
}

// TestGaugeAgainstTheBaseline: a system metric that nobody gave a figure for is as
// it was, which a rule against the baseline can tell.
func TestGaugeAgainstTheBaseline(t *testing.T) {
	text := strings.Replace(one("memory <= +10% vs baseline", "memory > +50% vs baseline over 1h"), "stages:", "metrics: { memory: { gauge: resident, source: prometheus, unit: bytes } }\nstages:", 1)
	r := simulated(t, readPlan(t, text), Options{Traffic: flat(t), Runs: 10, Seed: 1})
	if c := r.Stages[0].Proceed[0]; c.Unknown.P > 0 || c.NotMet.P > 0 || r.Finished.P < 1 || r.FalseRollback.P > 0 {
		t.Errorf("unknown in %s, not met in %s; finished %s, rolled back %s", c.Unknown, c.NotMet, r.Finished, r.FalseRollback)
	}
}
