package judge

import (
	"math"
	"time"

	"serin/internal/plan"
	"serin/internal/stats"
)

// Historian is what an Evidence may offer beside: the hours behind comparisons
// with the baseline. Rules on the baseline are unknown without it.
type Historian interface {
	// History returns the hours of a metric. Of a user metric those before
	// the start are of everybody the plan could have compared, those after of
	// users assigned new.
	History(metric string) History
}

// History is a metric by the hour. The zero value is no history.
type History struct {
	// Before are the whole hours of judge.baseline before the rollout's
	// start in which telemetry arrived, ascending; before a start, up to now.
	Before []Hour
	// After are the whole hours since evidence counts, ascending.
	After []Hour
}

// Hour is what a metric did in one hour of the clock (UTC). Of a metric of
// kind Ratio, Count is of Sum; of a gauge, Sum is over Count samples.
type Hour struct {
	Begin  time.Time
	Window Window
	Source string // where an imported hour comes from; "" = it was measured
}

// The least that a comparison with the baseline rests on.
const (
	leastHours    = 24             // of the baseline
	leastExpected = 4.0            // events in a slot, so that its logarithm means something
	twoWeeks      = 14 * 24        // hours from which on weekdays are told apart
	defaultFirst  = 24 * time.Hour // the first stage's length where the plan has none
	hoursOfDay    = 24             // slots repeat by the day,
	hoursOfWeek   = 7 * hoursOfDay // or by the week
)

// slotLengths are the lengths of slots in hours: the first in which enough
// events happen is taken. Each divides a day.
var slotLengths = [...]int{1, 2, 3, 4, 6}

// slot is a run of hours, whole by the clock.
type slot struct {
	index int64 // Unix hours over the slot's length
	end   time.Time
	w     Window
}

// slots gathers hours into slots of a length in hours; runs with an hour
// missing are left out.
func slots(hours []Hour, length int) []slot {
	var out []slot
	have := 0
	for _, h := range hours {
		index := h.Begin.Unix() / 3600 / int64(length)
		if n := len(out); n == 0 || out[n-1].index != index {
			if n > 0 && have < length {
				out = out[:n-1]
			}
			out, have = append(out, slot{index: index}), 0
		}
		s := &out[len(out)-1]
		s.w, s.end, have = added(s.w, h.Window), h.Begin.Add(time.Hour), have+1
	}
	if len(out) > 0 && have < length {
		out = out[:len(out)-1]
	}
	return out
}

// added adds two windows; neither's sketch is changed.
func added(a, b Window) Window {
	a.Count, a.Sum, a.Users, a.Active = a.Count+b.Count, a.Sum+b.Sum, a.Users+b.Users, a.Active+b.Active
	a.Known = a.Known || b.Known
	switch {
	case a.Sketch == nil:
		a.Sketch = b.Sketch
	case b.Sketch != nil:
		a.Sketch = a.Sketch.Clone()
		a.Sketch.Merge(b.Sketch)
	}
	return a
}

// usual is a baseline prepared: what is usual at each time of day or week.
type usual struct {
	m      *plan.Metric
	length int // of slots, in hours
	period int64
	mean   map[int64]*level // by slot of the period
	stats  stats.Usual
}

// level is what is usual in one slot of the period.
type level struct{ sum, size, n float64 }

// tallied reports whether a metric's hours are outcomes of so many: those affected
// of the active users, bad requests of all.
func tallied(m *plan.Metric) bool {
	return counts(m) || m.Kind == plan.Ratio || m.Kind == plan.Computed
}

// expect returns the usual value: of outcomes the rate of one.
func (u *usual) expect(l *level) float64 {
	if tallied(u.m) {
		return l.sum / l.size
	}
	return l.sum / l.n
}

// baselineOf prepares the hours before the start for comparisons with those after.
// A reason other than "" says what they lack.
func baselineOf(m *plan.Metric, before, after []Hour) (*usual, string) {
	if len(before) < leastHours {
		return nil, "at least 1d of it is needed"
	}
	u := &usual{m: m, length: 1}
	if tallied(m) {
		if u.length = u.slotLength(before, after); u.length == 0 {
			return nil, "too few events in it to tell hours apart"
		}
	}
	all := slots(before, u.length)
	span := hoursOfDay
	if before[len(before)-1].Begin.Sub(before[0].Begin) >= (twoWeeks-1)*time.Hour {
		span = hoursOfWeek
	}
	u.period, u.mean = int64(span/u.length), map[int64]*level{}
	for _, s := range all {
		value, size, ok := u.read(s.w)
		if !ok {
			continue
		}
		l := u.mean[s.index%u.period]
		if l == nil {
			l = &level{}
			u.mean[s.index%u.period] = l
		}
		l.sum, l.size, l.n = l.sum+value, l.size+size, l.n+1
	}
	var y []float64
	means := map[int64]bool{}
	for _, s := range all {
		if d, ok := u.deviation(s); ok {
			y, means[s.index%u.period] = append(y, d.Y), true
		}
	}
	var ok bool
	if u.stats, ok = stats.NewUsual(y, len(means)); !ok || len(y)*u.length < leastHours {
		return nil, "too few of its hours have data"
	}
	return u, ""
}

// slotLength is the shortest length of slots in which enough is expected on average,
// before the start and of what the canary has of it since; 0 where none is long
// enough. It depends on how many could be affected, not on who was.
func (u *usual) slotLength(before, after []Hour) int {
	n, size := u.perHour(before)
	if _, since := u.perHour(after); since > 0 && since < size {
		n *= since / size
	}
	for _, length := range slotLengths {
		if n*float64(length) >= leastExpected {
			return length
		}
	}
	return 0
}

// perHour is the mean of hours: outcomes, and of how many.
func (u *usual) perHour(hours []Hour) (n, size float64) {
	for _, h := range hours {
		value, of, _ := u.read(h.Window)
		n, size = n+value/float64(len(hours)), size+of/float64(len(hours))
	}
	return n, size
}

// affected is the users of a count, or its events where no user is known.
func affected(w Window) int64 {
	if w.Users == 0 {
		return w.Count
	}
	return w.Users
}

// read is the statistic of a slot and the size of the sample behind it; of outcomes
// their number and of how many: none at all is as good a number as any.
func (u *usual) read(w Window) (value, size float64, ok bool) {
	switch u.m.Kind {
	case plan.Count, plan.Users:
		return float64(affected(w)), float64(w.Active), w.Active > 0
	case plan.Ratio, plan.Computed:
		return float64(w.Count), w.Sum, w.Sum > 0
	case plan.Quantile:
		value, ok = w.Sketch.Quantile(u.m.Q)
		size = float64(w.Sketch.Count())
	case plan.Average, plan.Gauge:
		size = float64(w.Count)
		value = w.Sum / size
		ok = w.Count > 0
	}
	return value, size, ok && value > 0 && !math.IsInf(value, 0)
}

// value is the metric's value in a slot.
func (u *usual) value(w Window) (float64, bool) {
	value, size, ok := u.read(w)
	if tallied(u.m) && !counts(u.m) {
		value /= size
	}
	return value, ok
}

// deviation compares a slot with what is usual at its time. It is false where
// nothing is known of that time, or too little can be expected in the slot.
func (u *usual) deviation(s slot) (stats.Deviation, bool) {
	l := u.mean[s.index%u.period]
	value, size, ok := u.read(s.w)
	if l == nil || !ok || !(size > 0) {
		return stats.Deviation{}, false
	}
	d := stats.Deviation{Noise: max(1, l.size/l.n/size)}
	if tallied(u.m) {
		// the half makes the mean of the logarithm of a Poisson number that of its
		// mean, to the second order
		want := u.expect(l) * size
		d.Y = math.Log((value + 0.5) / want)
		return d, want >= leastExpected
	}
	d.Y = math.Log(value / u.expect(l))
	return d, true
}

// since returns the deviations of slots that began at or after a time, up to
// another (zero: no limit).
func (u *usual) since(all []slot, from, to time.Time) []stats.Deviation {
	var out []stats.Deviation
	for _, s := range all {
		began := s.end.Add(-time.Duration(u.length) * time.Hour)
		if began.Before(from) || !to.IsZero() && s.end.After(to) {
			continue
		}
		if d, ok := u.deviation(s); ok {
			out = append(out, d)
		}
	}
	return out
}
