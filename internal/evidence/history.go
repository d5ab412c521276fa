package evidence

import (
	"math"
	"sort"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/stats"
)

// History implements judge.Historian. An hour is told once it can no longer
// change, a quarter of an hour after its end. The hours before the start are
// the rollout's own, from its creation on, or those of the whole environment,
// where the plan compares what these count: a built-in metric, of everybody.
// The longer of the two is taken. Hours that neither has are taken from what
// was imported for the plan.
func (v *view) History(metric string) judge.History {
	v.e.mu.Lock()
	defer v.e.mu.Unlock()
	return v.historyOf(metric)
}

// historyOf is History; the caller holds Engine.mu.
func (v *view) historyOf(metric string) judge.History {
	var out judge.History
	d, t := v.r.byName[metric], &v.r.target
	if d == nil {
		return out
	}
	closed := (toMS(v.now) - youngMS) / hourMS // hours before this are told
	start := closed
	if !t.RolloutAt.IsZero() {
		start = min(start, toMS(t.RolloutAt)/hourMS)
	}
	first := start - int64(t.Plan.Judge.Baseline/time.Hour)
	after := closed
	if !t.AttemptAt.IsZero() {
		after = (toMS(t.AttemptAt) + hourMS - 1) / hourMS
	}
	key := historyKey{first, start, after, closed, v.e.hours.made}
	if have, ok := v.r.histories[metric]; ok && have.key == key {
		return have.history
	}
	out = v.history(d, key)
	if v.r.histories == nil {
		v.r.histories = map[string]toldHistory{}
	}
	v.r.histories[metric] = toldHistory{key, out}
	return out
}

// historyKey are the hours of a history: of the baseline those in [first,
// start), of the attempt those in [after, closed).
// made counts the hours of the environments.
type historyKey struct{ first, start, after, closed, made int64 }

// toldHistory is a history as it was told: an hour passes before it changes.
type toldHistory struct {
	key     historyKey
	history judge.History
}

// history reads the hours. The caller holds Engine.mu.
func (v *view) history(d *definition, k historyKey) (out judge.History) {
	out = v.measuredHours(d, k)
	out.Before = v.fill(d.m, out.Before, k.first, k.start)
	return out
}

// measuredHours reads what this server measured. The caller holds Engine.mu.
func (v *view) measuredHours(d *definition, k historyKey) (out judge.History) {
	first, start, after, closed := k.first, k.start, k.after, k.closed
	if !d.m.User {
		out.Before = v.e.hours.gauges(v.r.target.Project, gaugeKey(v.r.target.Plan, d.m, judge.Exposed), d.m, first, start)
		out.After = v.e.hours.gauges(v.r.target.Project, gaugeKey(v.r.target.Plan, d.m, judge.Exposed), d.m, after, closed)
		return out
	}
	out.Before = v.r.hoursOf(d, judge.AssignedOld, first, start)
	if all := v.e.hours.of(v.r, d.m, first, start); len(all) > len(out.Before) {
		out.Before = all
	}
	out.After = v.r.hoursOf(d, judge.AssignedNew, after, closed)
	return out
}

// hourNumber is the hour's beginning.
func hourNumber(h int64) time.Time { return fromMS(h * hourMS) }

// hoursOf reads a metric of a group by the hour, of hours in [first, end) in
// which somebody of the group was active.
func (r *rollout) hoursOf(d *definition, g judge.Group, first, end int64) []judge.Hour {
	active := r.peek(seriesActive, int(g))
	if active == nil {
		return nil
	}
	top, bottom := d.m.Name, ""
	switch d.m.Kind {
	case plan.Ratio, plan.Computed:
		if top, bottom = r.parts(d); bottom == "" {
			return nil
		}
	case plan.Count, plan.Users:
		if d.m.Of == "issues" {
			return nil
		}
		top = r.requests(top)
	}
	var out []judge.Hour
	i := sort.Search(len(active.hours), func(i int) bool { return active.hours[i].index >= first })
	for _, a := range active.hours[i:] {
		if a.index >= end {
			break
		}
		w := r.peek(top, int(g)).hourly(a.index)
		if bottom != "" {
			per := r.peek(bottom, int(g)).hourly(a.index)
			if top == crashSeries {
				w.Count = max(per.Count-w.Count, 0)
			}
			w = judge.Window{Count: w.Count, Sum: float64(per.Count)}
		}
		w.Active, w.Known = a.distinct(), true
		out = append(out, judge.Hour{Begin: hourNumber(a.index), Window: w})
	}
	return out
}

// hourly reads one whole hour that is over. Its sketch is shared.
func (s *series) hourly(index int64) judge.Window {
	if s == nil {
		return judge.Window{}
	}
	i := sort.Search(len(s.hours), func(i int) bool { return s.hours[i].index >= index })
	if i == len(s.hours) || s.hours[i].index != index {
		return judge.Window{}
	}
	h := s.hours[i]
	w := judge.Window{Count: h.count, Sum: h.sum, Users: h.distinct()}
	if h.sketch != nil {
		w.Sketch = h.sketch // an hour that is told no longer changes
	}
	return w
}

// distinct counts the users of an hour that is over.
func (h *hour) distinct() int64 {
	more := map[uint64]struct{}{}
	for _, c := range h.cells {
		for _, u := range c.users {
			i := sort.Search(len(h.users), func(i int) bool { return h.users[i] >= u.hash })
			if i == len(h.users) || h.users[i] != u.hash {
				more[u.hash] = struct{}{}
			}
		}
	}
	return int64(len(h.users) + len(more))
}

// of reads a metric of everybody in a plan's environment; nothing where the
// plan compares something else: an audience, pages, a definition of its own.
func (h *hours) of(r *rollout, m *plan.Metric, first, end int64) []judge.Hour {
	p := r.target.Plan
	own := !m.BuiltIn || !everybody(p) ||
		(m.Name == "p1" || m.Name == "p2") && p.Positions["severity"].Line > 0
	if own {
		return nil
	}
	if m.Kind == plan.Ratio {
		if a, b := p.Metrics[m.Of], p.Metrics[m.Per]; a == nil || b == nil || !a.BuiltIn || !b.BuiltIn {
			return nil
		}
	}
	var out []judge.Hour
	for number := max(first, end-keptHours, 0); number < end; number++ {
		if w, ok := h.window(number, m, r); ok {
			out = append(out, judge.Hour{Begin: hourNumber(number), Window: w})
		}
	}
	return out
}

// everybody reports whether a plan is about all users of its environment, on
// all pages.
func everybody(p *plan.Plan) bool {
	return len(p.Flag.Audience.Terms) == 0 && len(p.Scope.Pages) == 0 && p.Scope.Spans == ""
}

// window adds the plan's environment and the unnamed one, of the project.
func (h *hours) window(number int64, m *plan.Metric, r *rollout) (judge.Window, bool) {
	var w judge.Window
	var users, active distinct
	project, env := r.target.Project, r.target.Plan.Environment
	names := []string{regionOf(project, env), regionOf(project, "")}
	if env == "" {
		names = names[:1]
	}
	for _, name := range names {
		ring := h.rings[name]
		if ring == nil || ring[number%keptHours] == nil || ring[number%keptHours].Hour != number {
			continue
		}
		at := ring[number%keptHours]
		active = active.merge(at.Users)
		top := m.Name
		switch m.Kind {
		case plan.Quantile, plan.Average:
			top = h.same[top]
		case plan.Ratio:
			top = m.Of
			if per := at.Metrics[r.requests(m.Per)]; per != nil {
				w.Sum += float64(per.N)
			}
		default:
			top = r.requests(top)
		}
		x := at.Metrics[top]
		if x == nil {
			continue
		}
		w.Count, users = w.Count+x.N, users.merge(x.Users)
		if m.Kind != plan.Ratio {
			w.Sum += x.Sum
		}
		if x.sketch != nil {
			if w.Sketch == nil {
				w.Sketch = new(stats.Sketch)
			}
			w.Sketch.Merge(x.sketch)
		}
	}
	w.Users, w.Active = int64(math.Round(users.estimate())), int64(math.Round(active.estimate()))
	return w, w.Active > 0
}

// gauges reads a pushed number by the hour; one stands until the next.
func (h *hours) gauges(project, key string, m *plan.Metric, first, end int64) []judge.Hour {
	ring := h.rings[regionOf(project, "")]
	if ring == nil || m.Kind != plan.Gauge {
		return nil
	}
	var out []judge.Hour
	last, known := 0.0, false
	for number := max(end-keptHours, 0); number < end; number++ {
		w := judge.Window{Count: 1, Sum: last, Known: true}
		if at := ring[number%keptHours]; at != nil && at.Hour == number && at.Gauges[key] != nil {
			g := at.Gauges[key]
			w.Count, w.Sum, last, known = g.N, g.Sum, g.Last, true
		}
		if known && number >= first {
			out = append(out, judge.Hour{Begin: hourNumber(number), Window: w})
		}
	}
	return out
}
