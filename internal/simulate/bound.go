package simulate

import (
	"math"
	"time"

	"serin/internal/plan"
	"serin/internal/stats"
)

// least is how many standard deviations of excess a proof takes at the least.
// A mixture of likelihood ratios cannot exceed the largest of them, about
// e^(z²/2): the weakest proof, at 5 %, takes z = 2.4, and the margin to it is
// for what that approximation leaves out.
const least = 1.5

// mayProve reports whether a comparison may prove the new variant worse by
// more than x, without the judge's work: false only saves time.
func (r *run) mayProve(rule *plan.Rule, x float64, at time.Duration) bool {
	m := r.models[rule.Metric]
	if m == nil || m.kind == absent || m.kind == steady {
		return false
	}
	if r.site.onBaseline(rule) {
		return true
	}
	if last := r.site.intervals[len(r.site.intervals)-1]; last.share > 1-minControl {
		return false // the judge knows no control
	}
	switch {
	case m.metric.UpGood:
		return true
	case m.kind == timed:
		return r.site.excessLoads(m, stats.Shift(max(x, 0)))
	case m.kind == counted:
		r.site.take(m, at)
		return r.site.excessUsers(m, 1+x)
	}
	return true
}

// minControl is the judge's: less allocated to control is no reference.
const minControl = 0.05

// excessLoads reports whether the new variant has clearly more slow loads than
// its share, since the begin of any stage.
func (s *site) excessLoads(m *model, shift int) bool {
	list := s.blocks[m.index].closed[shift]
	var excess, variance float64
	for i := len(list) - 1; i >= 0; i-- {
		b := list[i]
		n, bad := float64(b.New+b.Old), float64(b.BadNew+b.BadOld)
		if b.New > 0 && b.Old > 0 && n > 1 {
			mean := bad * float64(b.New) / n
			excess += float64(b.BadNew) - mean
			variance += mean * (1 - float64(b.New)/n) * (n - bad) / (n - 1)
		}
		if (i == 0 || list[i-1].Stage != b.Stage) && excess > 0 && excess*excess >= least*least*variance {
			return true
		}
	}
	return false
}

// excessUsers reports whether more affected users than its share are the new
// variant's, for any start, under a rate ratio of theta.
func (s *site) excessUsers(m *model, theta float64) bool {
	stages := s.intervals[len(s.intervals)-1].stage
	for start := range stages + 1 {
		var excess, variance float64
		for k, n := range s.tally(m).cells {
			in := s.intervals[k[0]]
			if in.stage < start || k[1] >= start || in.share >= 1 {
				continue
			}
			p := stats.NewShare(in.share, theta)
			all := float64(n[fresh] + n[old])
			excess += float64(n[fresh]) - all*p
			variance += all * p * (1 - p)
		}
		if excess > 0 && excess >= least*math.Sqrt(variance) {
			return true
		}
	}
	return false
}
