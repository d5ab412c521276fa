package simulate

import (
	"strings"
	"testing"
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
