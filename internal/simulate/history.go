package simulate

import (
	"math"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/stats"
)

// What is here gives the judge the hours behind comparisons with the baseline:
// those before the start are drawn once a run and metric, from the same figures,
// those after are read from what was made.

var _ judge.Historian = evidence{}

// past is a metric by the hour.
type past struct {
	history judge.History
	next    time.Duration // begin of the first hour that is not in After
}

// settles is how long after its end an hour is told, as in the engine.
const settles = 15 * time.Minute

// steadyHours is how many hours are kept of what never changes.
const steadyHours = 24

// week is what traffic repeats by.
const week = 7 * 24 * time.Hour

// onBaseline reports whether a comparison is with the baseline, as things stand.
func (s *site) onBaseline(rule *plan.Rule) bool {
	return rule.Ref == plan.Baseline || rule.Ref == plan.Reference && s.intervals[len(s.intervals)-1].share > 1-minControl
}

// History implements judge.Historian.
func (e evidence) History(metric string) judge.History {
	s := e.s
	m := s.models[metric]
	if m == nil || m.kind == absent {
		return judge.History{}
	}
	if s.pasts == nil {
		s.pasts = map[*model]*past{}
	}
	p := s.pasts[m]
	if p == nil {
		p = &past{next: s.cycle.start.Add(time.Hour - 1).Truncate(time.Hour).Sub(s.cycle.start)}
		p.history.Before = s.before(m)
		s.pasts[m] = p
	}
	for ; p.next+time.Hour+settles <= e.now; p.next += time.Hour {
		w := judge.Window{Active: s.active(fresh, p.next, p.next+time.Hour), Covered: time.Hour}
		s.fill(&w, m, fresh, p.next, p.next+time.Hour)
		if m.kind == steady && len(p.history.After) == steadyHours {
			p.history.After = p.history.After[1:]
		}
		p.history.After = append(p.history.After, judge.Hour{Begin: s.cycle.start.Add(p.next), Window: hourly(w, m)})
	}
	return p.history
}

// hourly is a window as an hour holds it: counts by their events, as users who
// err twice in an hour are few, and system metrics as one sample.
func hourly(w judge.Window, m *model) judge.Window {
	w.Users = 0
	if m.kind == steady && m.metric.Kind != plan.Quantile {
		w.Count, w.Sum = 1, w.Value
	}
	return w
}

// before draws the hours of the baseline.
func (s *site) before(m *model) (out []judge.Hour) {
	first := s.cycle.start.Truncate(time.Hour)
	hours := int(s.plan.Judge.Baseline / time.Hour)
	if m.kind == steady {
		hours = min(hours, steadyHours)
	}
	for i := -hours; i < 0; i++ {
		begin := first.Add(time.Duration(i) * time.Hour)
		at := (begin.Sub(s.cycle.start)%week + week) % week
		views := s.traffic.ViewsPerDay * s.cycle.viewsIn(at, at+time.Hour)
		w := judge.Window{Covered: time.Hour, Active: int64(math.Round(float64(s.world.users) * -math.Expm1(-views/float64(s.world.users))))}
		s.draw(&w, m, views, s.cycle.errorsIn(at, at+time.Hour))
		out = append(out, judge.Hour{Begin: begin, Window: hourly(w, m)})
	}
	return out
}

// draw makes an hour of the old variant alone.
func (s *site) draw(w *judge.Window, m *model, views, days float64) {
	w.Known = true
	switch m.kind {
	case counted:
		w.Count = poisson(s.rng, s.streams[m.stream].perDay*m.mark*days)
		w.Value = float64(w.Count)
	case volume:
		w.Count = int64(math.Round(views))
		w.Value = float64(w.Count)
	case timed:
		if n := poisson(s.rng, views); n > 0 {
			w.Sketch = new(stats.Sketch)
			w.Value = s.estimate(m, old, n, binomial(s.rng, n, m.metric.Q))
			w.Sketch.AddN(w.Value, n)
		}
	case divided:
		var of, per judge.Window
		s.draw(&of, m.of, views, days)
		s.draw(&per, m.per, views, days)
		w.Count, w.Sum = of.Count, float64(per.Count)
	default:
		s.hold(w, m)
	}
}

// baselineMayAct reports, without the judge's work, whether a rule against the
// baseline may be met: once an hour, when what is seen is anywhere near its limit.
func (r *run) baselineMayAct(rule *plan.Rule, m *model, at time.Duration) bool {
	if rule.Ref != plan.Baseline { // a reference without control holds, and never acts
		return false
	}
	hour := int64((at - settles) / time.Hour)
	if r.hours[rule] == hour {
		return false
	}
	r.hours[rule] = hour
	return r.nearBaseline(rule, m, at)
}

// nearBaseline reports whether what a rule sees is anywhere near its limit against
// the baseline: far from it, nothing can be proved.
func (r *run) nearBaseline(rule *plan.Rule, m *model, at time.Duration) bool {
	const (
		near  = 0.8           // of the limit: a proof takes more than all of it
		slots = 7 * time.Hour // the longest slot of hours, and the one under way
	)
	from := max(0, min(r.from(rule, at), at-slots))
	least := 1 + near*math.Abs(rule.Value)
	switch {
	case m.kind == steady:
		return true
	case m.metric.UpGood:
		return true
	case m.kind == counted:
		expected := r.streams[m.stream].perDay * m.mark * r.site.of(fresh, from, at, r.cycle.errorsIn)
		return float64(r.site.tracks[fresh][m.index].count(from, at)) >= least*expected
	case m.kind == timed:
		n, below := r.site.loads[fresh][m.index].window(from, at)
		return n > 0 && r.site.estimate(m, fresh, n, below) >= least*m.level
	}
	return true
}
