package simulate

import (
	"math"
	"testing"
	"time"

	"serin/internal/plan"
)

// TestLikeness: two loads of a user are on the same side of the quantile as often
// as drawn ones are, and an arm's share above it varies as that of users does.
func TestLikeness(t *testing.T) {
	const part, q, n = 0.64, 0.75, 200_000
	m := &model{metric: &plan.Metric{Q: q}}
	m.stick(part)
	rng := newRand(1, 1)
	above := func(own float64) float64 {
		if own*math.Sqrt(part)+rng.NormFloat64()*math.Sqrt(1-part) > quantile(q) {
			return 1
		}
		return 0
	}
	var both float64
	for range n {
		own := rng.NormFloat64()
		both += above(own) * above(own)
	}
	p := 1 - q
	if got := (both/n - p*p) / (p * (1 - p)); math.Abs(got-m.likeness) > 0.01 {
		t.Errorf("drawn loads are alike by %.3f, reckoned %.3f", got, m.likeness)
	}
	if got := m.slowness * density(quantile(q)); math.Abs(got*got-m.likeness*p*(1-p)) > 1e-9 {
		t.Errorf("a mean of one standard deviation moves the share above by %g", got)
	}
	none := &model{metric: &plan.Metric{Q: q}}
	none.stick(0)
	if none.likeness != 0 || none.slowness != 0 {
		t.Errorf("independent loads are alike: %+v", none)
	}
}

// TestMeansOfArms: at every stage the arms differ by chance as two samples of so
// many users do, and all users together are what they were.
func TestMeansOfArms(t *testing.T) {
	w := &world{users: 1000, cycle: newCycle(defaultStart, time.UTC, DefaultTraffic(), week)}
	w.traffic = DefaultTraffic()
	var squares [2]float64
	const runs = 4000
	for i := range runs {
		s := newSite(w, Effect{}, newRand(2, i))
		for stage, share := range []float64{0.1, 0.5} {
			s.enter(stage, share)
			n := [2]float64{float64(s.users[fresh]), float64(s.users[old])}
			if all := n[fresh]*s.means[fresh] + n[old]*s.means[old]; math.Abs(all) > 1e-9 {
				t.Fatalf("all users together differ by %g", all)
			}
			d := (s.means[fresh] - s.means[old]) / math.Sqrt(1/n[fresh]+1/n[old])
			squares[stage] += d * d / runs
		}
	}
	for stage, v := range squares {
		if math.Abs(v-1) > 0.1 {
			t.Errorf("stage %d: the variance of the difference is %.3f times that of two samples", stage, v)
		}
	}
}

// TestStickyUsers: users who are always slow make a regression of latency harder
// to catch, and a healthy feature is not rolled back for them.
func TestStickyUsers(t *testing.T) {
	p := readPlan(t, one("errors < 1000", "lcp > +20% vs control over 1h"))
	caught := func(sticky string) (healthy, worse float64) {
		o := Options{Traffic: flat(t, "sticky="+sticky), Runs: 60, GridRuns: 60, Seed: 4}
		r := simulated(t, p, o)
		for _, c := range r.Grid {
			if c.Effect.Latency == 1.2 {
				worse = c.Caught.P
			}
		}
		return r.FalseRollback.P, worse
	}
	_, independent := caught("0")
	healthy, sticky := caught("0.64")
	if healthy > 0.05 || sticky >= independent || independent < 0.5 {
		t.Errorf("healthy rolled back %.2f; +20 %% caught %.2f of independent loads, %.2f of sticky users", healthy, independent, sticky)
	}
}
