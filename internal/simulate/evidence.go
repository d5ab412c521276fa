package simulate

import (
	"cmp"
	"math"
	"slices"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/stats"
)

// evidence shows a site to the judge as of one instant. All events of the new
// variant carry the plan's tags: what fixed limits count is what was assigned
// to it.
type evidence struct {
	s   *site
	now time.Duration
}

func (e evidence) age(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return min(t.Sub(e.s.cycle.start), e.now)
}

func armOf(g judge.Group) arm {
	if g == judge.AssignedOld {
		return old
	}
	return fresh
}

// Window implements judge.Evidence.
func (e evidence) Window(metric string, group judge.Group, from, to time.Time) judge.Window {
	s, a := e.s, armOf(group)
	begin, end := e.age(from), e.age(to)
	w := judge.Window{Covered: end - begin, Active: s.active(a, begin, end), Last: to}
	if m := s.models[metric]; m != nil {
		s.fill(&w, m, a, begin, end)
		if m.kind == counted && (m.compared || m.metric.Kind == plan.Users) {
			w.Users = s.distinct(m, a, begin, end)
		}
	}
	return w
}

// fill fills in all but the users of events.
func (s *site) fill(w *judge.Window, m *model, a arm, begin, end time.Duration) {
	switch m.kind {
	case counted:
		w.Count, w.Known = s.tracks[a][m.index].count(begin, end), true
		w.Value = float64(w.Count)
	case volume:
		w.Count, w.Users, w.Known = s.countOf(m, a, begin, end), w.Active, true
		w.Value = float64(w.Count)
	case timed:
		n, below := s.loads[a][m.index].window(begin, end)
		if n > 0 {
			w.Sketch = new(stats.Sketch)
			w.Value, w.Known = s.estimate(m, a, n, below), true
			w.Sketch.AddN(w.Value, n)
		}
	case divided:
		w.Count, w.Sum = s.countOf(m.of, a, begin, end), float64(s.countOf(m.per, a, begin, end))
		if w.Sum > 0 {
			w.Value, w.Known = float64(w.Count)/w.Sum, true
		}
	case adopted:
		if all := s.present(s.world.users, begin, end); all > 0 { // each once, also those who were in both arms
			w.Value, w.Known = min(1, float64(s.active(fresh, begin, end))/all), true
		}
	case crowd:
		const lookLength = 5. / 60 // hours
		views := s.traffic.ViewsPerDay * s.cycle.busiest(begin, end) * lookLength
		w.Value, w.Known = math.Round(float64(s.users[a])*-math.Expm1(-views/float64(s.world.users))), true
		w.Count = int64(w.Value)
	case steady:
		s.hold(w, m)
	}
}

// hold fills in a metric that does not change.
func (s *site) hold(w *judge.Window, m *model) {
	w.Value, w.Known, w.Count = m.level, true, 1
	switch m.metric.Kind {
	case plan.Average:
		w.Sum = m.level
	case plan.Quantile:
		w.Sketch = new(stats.Sketch)
		w.Sketch.Add(m.level)
	case plan.Ratio:
		w.Sum = 1
	}
}

// present is how many of so many users had a page view: each comes at random.
func (s *site) present(users int64, begin, end time.Duration) float64 {
	if begin >= end {
		return 0
	}
	views := s.traffic.ViewsPerDay * s.cycle.viewsIn(begin, end)
	return float64(users) * -math.Expm1(-views/float64(s.world.users))
}

// active is how many users had a page view while they were in an arm: those in
// the new one since they came there, those of old until they left.
func (s *site) active(a arm, begin, end time.Duration) int64 {
	var n float64
	var before int64 // in the new arm
	for _, in := range s.intervals {
		moved := in.users[fresh] - before
		before = in.users[fresh]
		if a == fresh {
			n += s.present(moved, max(begin, in.from), end)
		} else {
			n += s.present(moved, begin, min(in.from, end))
		}
	}
	if a == old {
		n += s.present(s.users[old], begin, end)
	}
	return int64(math.Round(n))
}

// Tests implements judge.Evidence.
func (e evidence) Tests(metric string) judge.Tests {
	s := e.s
	var out judge.Tests
	for _, i := range s.intervals {
		odds := math.Inf(1)
		if i.share < 1 {
			odds = i.share / (1 - i.share)
		}
		out.Odds, out.Stage = append(out.Odds, odds), append(out.Stage, i.stage)
		out.Began = append(out.Began, s.cycle.start.Add(i.from))
	}
	m := s.models[metric]
	if m == nil || !m.compared {
		return out
	}
	switch m.kind {
	case timed:
		b := &s.blocks[m.index]
		out.Shifted, out.Ledger = b.closed, &b.ledger
		out.Phi = s.loadEffect(m, e.now)
	case divided:
		b := s.ratios[m]
		out.Blocks, out.Ledger = b.closed[0], &b.ledger
		out.Phi = 1 // who had a bad outcome is as random as whose trial it is
	case counted:
		s.take(m, e.now)
		out.Phi = s.bursts(m, e.now)
		for k, n := range s.tally(m).cells {
			out.Cells = append(out.Cells, stats.UserCell{Interval: k[0], Last: k[1], New: n[fresh], Old: n[old]})
		}
		slices.SortFunc(out.Cells, func(a, b stats.UserCell) int {
			return cmp.Or(cmp.Compare(a.Interval, b.Interval), cmp.Compare(a.Last, b.Last))
		})
		stage := s.intervals[len(s.intervals)-1].from
		out.EventsNew = s.tracks[fresh][m.index].count(stage, e.now)
		out.EventsOld = s.tracks[old][m.index].count(stage, e.now)
	}
	return out
}

// Source implements judge.Evidence.
func (e evidence) Source(metric string) judge.Source {
	if m := e.s.models[metric]; m == nil || m.kind == absent {
		return judge.Source{Error: "no traffic figure"}
	}
	return judge.Source{State: judge.Delivering}
}

// Pushed implements judge.Evidence.
func (e evidence) Pushed(string) (string, time.Time, bool) { return "", time.Time{}, false }

// Data implements judge.Evidence.
func (e evidence) Data() judge.Data {
	return judge.Data{Last: e.s.cycle.start.Add(e.now), Exposed: e.s.users[fresh], ControlUsers: e.s.users[old]}
}
