package judge

import (
	"fmt"
	"math"
	"testing"
	"time"

	"serin/internal/plan"
	"serin/internal/stats"
)

// TestShareSince: whichever outcome is the rarer, and whichever the metric counts, the
// estimate is the ratio of the metric's values, inside its interval, and a greater
// design effect makes that wider.
func TestShareSince(t *testing.T) {
	for _, upGood := range []bool{false, true} {
		for _, bad := range [][2]int64{{30, 20}, {20, 30}, {400, 500}, {800, 900}, {980, 990}, {5, 5}} {
			t.Run(fmt.Sprintf("%v, up is good %v", bad, upGood), func(t *testing.T) {
				blocks := []stats.Block{
					{New: 1000, BadNew: bad[0], Old: 1000, BadOld: bad[1]},
					{New: 1000, BadNew: bad[0], Old: 1000, BadOld: bad[1]},
				}
				want := float64(bad[0]) / float64(bad[1])
				if upGood {
					want = float64(1000-bad[0]) / float64(1000-bad[1])
				}
				s := newShareSince(blocks, upGood)
				got, ok := s.estimate()
				low, high, okI := s.interval(0.05, 1)
				if !ok || !okI || math.Abs(got-want) > 1e-9 || low > got || high < got {
					t.Errorf("got %g in %g … %g, want %g", got, low, high, want)
				}
				wider := newShareSince(blocks, upGood)
				if l, h, _ := wider.interval(0.05, 3); l > low || h < high || h-l <= high-low {
					t.Errorf("with a design effect of 3 it is %g … %g, without %g … %g", l, h, low, high)
				}
			})
		}
	}
	if _, ok := newShareSince(nil, false).estimate(); ok {
		t.Error("nothing has an estimate")
	}
}

// TestShareOfOtherHours: a canary that loads at other hours than control, at which
// more goes wrong for all, is as good as control, in the words too.
func TestShareOfOtherHours(t *testing.T) {
	var blocks []stats.Block
	for range 100 {
		blocks = append(blocks,
			stats.Block{New: 100, BadNew: 1, Old: 900, BadOld: 9},  // by day, 1 %
			stats.Block{New: 200, BadNew: 8, Old: 900, BadOld: 36}) // by night, 4 %
	}
	ev := &fake{windows: map[string][3]Window{}, tests: map[string]Tests{"error_rate": {Odds: []float64{1. / 9}, Stage: []int{0}, Blocks: blocks}}}
	v, _ := Judge(testPlan(), []*plan.Rule{versus("error_rate", plan.LE, 0.5), versus("error_rate", plan.LE, 0.05)}, Gate, place(), ev, nil, start.Add(24*time.Hour))
	if v[0].Status != Met || v[1].Status == NotMet || v[1].Estimate == nil || math.Abs(*v[1].Estimate) > 0.005 {
		t.Errorf("%s %s\n%s %s", v[0].Status, v[0].Why, v[1].Status, v[1].Why)
	}
}

// TestOneBurst: many independent bad outcomes before a raise do not make a burst of one
// user after it into many.
func TestOneBurst(t *testing.T) {
	var blocks []stats.Block
	for range 100 {
		blocks = append(blocks, stats.Block{New: 2000, BadNew: 4, Old: 18000, BadOld: 36})
	}
	blocks = append(blocks, stats.Block{Interval: 1, Stage: 1, New: 10000, BadNew: 120, Old: 10000, BadOld: 20})
	tests := Tests{Odds: []float64{1. / 9, 1}, Stage: []int{0, 1}, Blocks: blocks, Phi: 3.4}
	rule := over(versus("error_rate", plan.GT, 0.2), time.Hour)
	harm := func() bool {
		ev := &fake{windows: map[string][3]Window{}, tests: map[string]Tests{"error_rate": tests}}
		v, _ := Judge(testPlan(), []*plan.Rule{rule}, Guard, place(), ev, nil, start.Add(24*time.Hour))
		return v[0].Harm || v[0].Status == Met
	}
	if !harm() {
		t.Error("a hundred users of the canary are no harm")
	}
	tests.PhiSince = []float64{3.4, 67}
	if harm() {
		t.Error("one user with a hundred is harm")
	}
}
