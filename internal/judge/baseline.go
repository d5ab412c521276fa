package judge

import (
	"fmt"
	"math"
	"time"

	"serin/internal/baseline"
	"serin/internal/plan"
	"serin/internal/stats"
)

// onBaseline judges a rule against the hours before the start.
func (l *look) onBaseline(v Verdict, r *plan.Rule, m *plan.Metric) Verdict {
	v.Approx = true
	cause, prefix := CauseEvidence, ""
	if r.Ref == plan.Reference && m.User {
		cause = CauseNoControl
		prefix = fmt.Sprintf("only %s of the audience is on control, at least 5%% is needed; ", Format(l.place.ControlShare, "%"))
	}
	source, ok := l.ev.(Historian)
	if !ok {
		return v.unknown(cause, prefix+"no hours are kept to compare with a baseline")
	}
	h := source.History(r.Metric)
	have := l.extent(h)
	if !m.User {
		return l.plain(v, r, m, h, have)
	}
	u, lacks := baselineOf(m, h.Before, h.After)
	if lacks != "" {
		return v.unknown(cause, prefix+have+": "+lacks)
	}
	from, _, text, ok := l.span(r)
	if !ok {
		return v.unknown(CauseEvidence, notBegun)
	}
	c := l.compareBaseline(m, u, h, from)
	c.against = "the " + have + " (approximate)"
	if c.units == 0 {
		return v.unknown(CauseEvidence, prefix+"nothing to compare with the "+have+" yet: "+c.none)
	}
	v.Canary, v.Control, v.Events, v.Users = c.canary, c.control, c.units, c.users
	x, ordinary := harmful(r, m, l.use)
	switch {
	case !ordinary:
		return l.improvement(v, r, c)
	case l.use == Guard:
		return l.guard(v, r, m, c, x, text)
	}
	return l.gate(v, r, c, x, text)
}

// extent says how much of the baseline there is and how much of that was
// imported: "baseline of 7d", or "baseline, 1.5 of 7 d, 1 d of it imported".
func (l *look) extent(h History) string {
	want := l.plan.Judge.Baseline
	x := baseline.Extent{Want: int(want / time.Hour)}
	for _, hour := range h.Before {
		if hour.Source == "" {
			x.Measured++
		} else {
			x.Imported++
		}
	}
	text := "baseline of " + duration(want)
	if x.Short() {
		return "baseline, " + x.Text()
	}
	if x.Imported > 0 {
		text += ", " + baseline.Days(x.Imported) + " d of it imported"
	}
	return text
}

// compareBaseline prepares the tests of hours against the baseline.
func (l *look) compareBaseline(m *plan.Metric, u *usual, h History, from time.Time) *comparison {
	t := l.ev.Tests(m.Name)
	after := slots(h.After, u.length)
	c := &comparison{starts: begun(t, nil), what: "hours", none: "no whole hour with enough in it has passed", sense: 1, approx: true}
	if m.UpGood {
		c.sense = -1
	}
	limit := func(x float64) float64 { return math.Log1p(c.sense * x) }
	first := defaultFirst
	if len(l.plan.Stages) > 0 && l.plan.Stages[0].Bake > 0 {
		first = l.plan.Stages[0].Bake
	}
	rho := stats.NormalRho(u.stats.Info(first.Hours()/float64(u.length)), l.plan.Judge.FalseProceed)
	of := func(from time.Time) stats.Drift { return u.stats.Against(u.since(after, from, time.Time{})) }
	test := func(d stats.Drift, x float64, worse bool) float64 {
		if worse == (c.sense > 0) {
			return d.Above(limit(x), rho)
		}
		return d.Below(limit(x), rho)
	}
	c.units = int64(len(u.since(after, l.startBegan(t, 0), time.Time{})) * u.length)
	c.starts = max(c.starts, 1)
	c.harm = func(x float64) (stats.Best, string) {
		per := make([]float64, c.starts)
		for s := range per {
			per[s] = test(of(l.startBegan(t, s)), x, true)
		}
		return stats.BestStart(per, l.place.Planned), ""
	}
	c.safe = func(x float64) (float64, string) { return test(of(l.place.StageBegan), x, false), "" }
	ratio := func(d stats.Drift) (float64, bool) { return math.Exp(d.D), d.V > 0 }
	c.began = func(start int) time.Time { return l.startBegan(t, start) }
	c.sinceStart = func(start int) (float64, bool) { return ratio(of(c.began(start))) }
	// The window, and at least the newest slot: hours end before now.
	if n := len(after); n > 0 {
		if began := after[n-1].end.Add(-time.Duration(u.length) * time.Hour); began.Before(from) {
			from = began
		}
		c.users = after[n-1].w.Active
	}
	c.inWindow = func() (float64, bool) { return ratio(of(from)) }
	c.interval = func(start int, alpha float64) (low, high float64, ok bool) {
		began := l.place.StageBegan
		if start >= 0 {
			began = l.startBegan(t, start)
		}
		low, high, ok = of(began).Interval(rho, alpha)
		return math.Exp(low), math.Exp(high), ok
	}
	return c
}

// plain compares a system metric: the mean of its hours in the window, or the
// value that stands, with the mean of the same hours before the start.
func (l *look) plain(v Verdict, r *plan.Rule, m *plan.Metric, h History, have string) Verdict {
	if len(h.Before) < leastHours {
		return v.unknown(CauseEvidence, have+": at least 1d of it is needed")
	}
	u := &usual{m: m, length: 1, period: hoursOfDay}
	if h.Before[len(h.Before)-1].Begin.Sub(h.Before[0].Begin) >= (twoWeeks-1)*time.Hour {
		u.period = hoursOfWeek
	}
	means, all := map[int64]*level{}, &level{}
	for _, s := range slots(h.Before, 1) {
		if value, ok := u.value(s.w); ok {
			if means[s.index%u.period] == nil {
				means[s.index%u.period] = &level{}
			}
			for _, at := range [2]*level{means[s.index%u.period], all} {
				at.sum, at.n = at.sum+value, at.n+1
			}
		}
	}
	from, _, text, begun := l.span(r)
	var now, then level
	for _, s := range slots(h.After, 1) {
		value, ok := u.value(s.w)
		if at := means[s.index%u.period]; begun && ok && at != nil && !s.end.Add(-time.Hour).Before(from) {
			now.sum, now.n, then.sum, then.n = now.sum+value, now.n+1, then.sum+at.sum/at.n, then.n+1
		}
	}
	if now.n == 0 { // what stands, against all hours
		w := l.ev.Window(r.Metric, Exposed, from, l.now)
		if !w.Known || all.n == 0 {
			return v.unknown(CauseEvidence, fmt.Sprintf("no %s to compare with the %s", r.Metric, have))
		}
		now, then, text = level{sum: w.Value, n: 1}, *all, "now"
	}
	value, usual := now.sum/now.n, then.sum/then.n
	if !(usual > 0) {
		return v.unknown(CauseEvidence, fmt.Sprintf("%s was 0 in the %s", r.Metric, have))
	}
	relative := value/usual - 1
	v.Canary, v.Control = finite(value), finite(usual)
	v.decide(r.Op.Compare(relative, r.Value), relative)
	v.Why = fmt.Sprintf("%s %s %s %s, %s in the same hours of the %s (%s), %s", r.Metric, is(r.Metric),
		Format(value, m.Unit), text, Format(usual, m.Unit), have, change(relative), l.limit(r, ""))
	return v
}
