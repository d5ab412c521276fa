package evidence

import (
	"math"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/stats"
)

// bandLevel is the level of the bands of charts: 95 % intervals.
const bandLevel = 0.05

// band is the always-valid interval of the canary at one point of a chart,
// from the window of that point alone: the chance that it ever misses what the
// canary does in that window is at most 5 %, however often one looks. Of
// counts it is that of the ratio to control, in units of the canary; means
// and what is not counted by the event have none (nil).
func (v *view) band(d *definition, canary judge.Window, from, to time.Time) (low, high *float64) {
	var lo, hi float64
	var ok bool
	switch d.m.Kind {
	case plan.Count, plan.Users:
		if d.m.Of == "issues" {
			return nil, nil
		}
		lo, hi, ok = v.countBand(d, canary, from, to)
	case plan.Quantile:
		lo, hi, ok = stats.QuantileInterval(canary.Sketch, d.m.Q, loadEffect(&v.r.testOf(d.m.Name).clusters), bandLevel)
	case plan.Ratio:
		if v.users(d.m.Of) || v.users(d.m.Per) || canary.Sum != math.Trunc(canary.Sum) {
			return nil, nil
		}
		n := int64(canary.Sum)
		lo, hi, ok = stats.ProportionInterval(min(canary.Count, n), n, loadEffect(&v.r.testOf(d.m.Name).clusters), bandLevel)
	}
	if !ok || math.IsNaN(lo) || math.IsInf(hi, 0) || math.IsNaN(hi) {
		return nil, nil
	}
	return &lo, &hi
}

// countBand turns the interval of the ratio of affected users into counts.
func (v *view) countBand(d *definition, canary judge.Window, from, to time.Time) (low, high float64, ok bool) {
	strata := v.strata(d, from, to)
	i, ok := stats.RatioInterval(strata, bandLevel)
	if !ok || math.IsInf(i.High, 1) {
		return 0, 0, false
	}
	var users, expected float64 // expected: the canary's share at ratio 1
	for _, s := range strata {
		users += float64(s.New)
		expected += float64(s.Old) * s.Odds
	}
	if users == 0 {
		return 0, i.High * expected, true
	}
	each := canary.Value / users / i.Theta
	return each * users * i.Low, each * users * i.High, i.Theta > 0
}

// strata counts the affected users of a window by allocation interval; those
// in which one arm has no share are left out. It is nil for a window that
// reaches before the attempt.
func (v *view) strata(d *definition, from, to time.Time) []stats.Stratum {
	intervals := v.r.target.Intervals
	if len(intervals) == 0 || from.Before(intervals[0].From.Truncate(time.Minute)) {
		return nil
	}
	var out []stats.Stratum
	for i, interval := range intervals {
		begin, end := interval.From, to
		if i+1 < len(intervals) && intervals[i+1].From.Before(end) {
			end = intervals[i+1].From
		}
		if begin.Before(from) {
			begin = from
		}
		if !end.After(begin) || !(interval.Odds > 0) || interval.Odds > 1e6 {
			continue
		}
		count := func(g judge.Group) int64 {
			w := v.r.peek(v.r.requests(d.m.Name), int(g)).window(toMS(begin), toMS(end))
			if w.Users == 0 {
				return w.Count
			}
			return w.Users
		}
		out = append(out, stats.Stratum{New: count(judge.AssignedNew), Old: count(judge.AssignedOld), Odds: interval.Odds})
	}
	return out
}
