package evidence

import (
	"fmt"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// view answers the judge for one instant. It reads the live series under the
// engine's lock and remembers each window that it was asked for, so that
// rules which share one pay once. For one goroutine.
type view struct {
	e       *Engine
	r       *rollout
	now     time.Time
	windows map[windowKey]judge.Window
	past    *Replay // told again, nil = of today
}

type windowKey struct {
	metric   string
	group    judge.Group
	from, to int64
}

// View returns the evidence of a rollout as of the clock's now. It belongs to
// one goroutine and is meant to be used at once: what arrives in between may
// be in the windows not yet asked for. The error wraps store.ErrNotFound for
// a rollout that is not watched, and ErrUnavailable while the evidence has to
// be read back after a failure of the store.
func (e *Engine) View(rollout string) (judge.Evidence, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.rollouts[rollout]
	if r == nil {
		return nil, fmt.Errorf("evidence of %s: %w", rollout, store.ErrNotFound)
	}
	if e.broken {
		return nil, fmt.Errorf("evidence of %s: %w", rollout, ErrUnavailable)
	}
	return &view{e: e, r: r, now: e.clock.Now(), windows: map[windowKey]judge.Window{}}, nil
}

// Window implements judge.Evidence.
func (v *view) Window(metric string, group judge.Group, from, to time.Time) judge.Window {
	v.e.mu.Lock()
	defer v.e.mu.Unlock()
	return v.window(metric, group, from, to)
}

func (v *view) window(metric string, group judge.Group, from, to time.Time) judge.Window {
	k := windowKey{metric, group, toMS(from), toMS(to)}
	if from.IsZero() {
		k.from = -1
	}
	if k.to >= toMS(v.now) {
		k.to = openEnd
	}
	if w, ok := v.windows[k]; ok {
		return w
	}
	w := v.measure(k, from, to)
	active := v.r.peek(seriesActive, int(group))
	if metric != seriesActive {
		w.Active = v.active(group, from, to)
	} else {
		w = active.window(k.from, k.to)
	}
	w.Covered = v.r.covered(k.from, k.to, toMS(v.now))
	v.windows[k] = w
	return w
}

func (v *view) active(group judge.Group, from, to time.Time) int64 {
	return v.window(seriesActive, group, from, to).Users
}

func (v *view) series(metric string, k windowKey) judge.Window {
	return v.r.peek(metric, int(k.group)).window(k.from, k.to)
}

func (v *view) measure(k windowKey, from, to time.Time) judge.Window {
	d := v.r.byName[k.metric]
	if d == nil {
		return judge.Window{}
	}
	switch m := d.m; m.Kind {
	case plan.Count, plan.Users:
		return v.counted(m, k, from, to)
	case plan.Ratio:
		return share(v.window(m.Of, k.group, from, to), v.window(m.Per, k.group, from, to), v.users(m.Of), v.users(m.Per))
	case plan.Quantile:
		w := v.series(m.Name, k)
		w.Value, w.Known = w.Sketch.Quantile(m.Q)
		return w
	case plan.Average:
		w := v.series(m.Name, k)
		if w.Known {
			w.Value = w.Sum / float64(w.Count)
		}
		return w
	case plan.Gauge:
		return v.gauge(m, k.group)
	case plan.Slope:
		return v.slope(m, k)
	case plan.Age:
		return v.age(m)
	case plan.Computed:
		return v.computed(m, k, from, to)
	}
	return judge.Window{}
}

// users reports whether a metric counts users.
func (v *view) users(metric string) bool {
	d := v.r.byName[metric]
	return d != nil && d.m.Kind == plan.Users
}

func (v *view) counted(m *plan.Metric, k windowKey, from, to time.Time) judge.Window {
	if m.Of == "issues" {
		n, last := v.e.issues.countNew(v.r.target, k.group.Arm(), from, to)
		return judge.Window{Count: n, Value: float64(n), Known: n > 0, Last: last}
	}
	w := v.series(v.r.requests(m.Name), k)
	w.Value = float64(w.Count)
	if m.Kind == plan.Users {
		w.Value = float64(w.Users)
	}
	return w
}

// share divides two windows: Count of Sum.
func share(top, bottom judge.Window, topUsers, bottomUsers bool) judge.Window {
	w := judge.Window{Count: top.Count, Sum: float64(bottom.Count), Users: bottom.Users, Last: bottom.Last}
	if topUsers {
		w.Count = top.Users
	}
	if bottomUsers {
		w.Sum = float64(bottom.Users)
	}
	if w.Sum > 0 {
		w.Value, w.Known = float64(w.Count)/w.Sum, true
	}
	return w
}

func (v *view) computed(m *plan.Metric, k windowKey, from, to time.Time) judge.Window {
	switch m.Name {
	case "logins", "uptime":
		return share(v.series(m.Name, k), v.series(m.Name+allSuffix, k), false, false)
	case "crash_free":
		all := v.series(m.Name+allSuffix, k)
		good := all
		good.Count -= min(v.series(crashSeries, k).Count, all.Count)
		return share(good, all, false, false)
	case "adoption":
		all := groupAudience
		if k.group != judge.Exposed {
			all = int(k.group)
		}
		return share(v.series(m.Name, k), v.r.peek(seriesActive, all).window(k.from, k.to), true, true)
	case "concurrent":
		s := v.r.peek(seriesActive, int(k.group))
		w := s.window(k.from, k.to)
		w.Sketch = nil
		w.Count = s.peak(k.from, k.to)
		w.Value = float64(w.Count)
		return w
	}
	return judge.Window{}
}

func (v *view) gauge(m *plan.Metric, g judge.Group) judge.Window {
	if m.Source == "alertmanager" {
		return v.outside(m)
	}
	val, ok := v.e.values[valueKey(v.r.target.Project, gaugeKey(v.r.target.Plan, m, g))]
	if !ok {
		return judge.Window{}
	}
	n, ok := number(val.Text)
	return judge.Window{Value: n, Known: ok, Count: 1, Last: val.At, Series: note(val.Text)}
}

// slope is the least-squares line through the minute means of the last Over,
// relative to their mean, an hour.
func (v *view) slope(m *plan.Metric, k windowKey) judge.Window {
	over := m.Over
	if over <= 0 {
		over = 6 * time.Hour
	}
	var n, st, sy, stt, sty float64
	var last time.Time
	from := toMS(v.now.Add(-over))
	add := func(c *cell) {
		t, y := float64(c.start()-from)/hourMS, c.sum/float64(max(c.count, 1))
		n, st, sy, stt, sty = n+1, st+t, sy+y, stt+t*t, sty+t*y
		last = fromMS(c.last)
	}
	if s := v.r.peek(m.Of, int(judge.Exposed)); s != nil {
		s.walk(from, openEnd, func(h *hour) {
			for _, c := range h.cells {
				add(c)
			}
		}, add)
	}
	spread := n*stt - st*st
	if n < 2 || spread <= 0 || sy == 0 {
		return judge.Window{Last: last}
	}
	return judge.Window{Count: int64(n), Value: (n*sty - st*sy) / spread / (sy / n), Known: true, Last: last}
}

// age is the time since the newest event in scope, or since a pushed value
// that passes the metric's filter, in milliseconds.
func (v *view) age(m *plan.Metric) judge.Window {
	at := fromMS(v.r.scopeAt)
	if m.Source == "push" {
		val, ok := v.e.values[valueKey(v.r.target.Project, m.Of)]
		d := v.r.byName[m.Name]
		if !ok || !d.filter.Match(&telemetry.Event{Tags: map[string]string{"value": val.Text}}, v.now) {
			return judge.Window{}
		}
		at = val.At
	}
	if at.IsZero() {
		return judge.Window{}
	}
	return judge.Window{Value: float64(v.now.Sub(at).Milliseconds()), Known: true, Count: 1, Last: at}
}

// Tests implements judge.Evidence.
func (v *view) Tests(metric string) judge.Tests {
	v.e.mu.Lock()
	defer v.e.mu.Unlock()
	return v.r.snapshot(metric, toMS(v.now))
}

// Source implements judge.Evidence.
func (v *view) Source(metric string) judge.Source {
	v.e.mu.Lock()
	defer v.e.mu.Unlock()
	d := v.r.byName[metric]
	if d == nil {
		return judge.Source{Error: "no such metric: " + metric}
	}
	return v.sourceOf(d)
}

// sourceOf is the state of the source of a metric. The caller holds the lock.
func (v *view) sourceOf(d *definition) judge.Source {
	m := d.m
	if m.Kind == plan.Ratio || m.Kind == plan.Slope {
		if part := v.r.byName[m.Of]; part != nil {
			m = part.m
		}
	}
	s := v.e.source(v.r.target.Plan, v.r.target.Project, m, v.now)
	if s.State == judge.Delivering && v.past != nil && !v.past.delivered(m.Source, v.now) {
		s.State = judge.NeverDelivered
	}
	// A backend has no page loads: a quantile of which nothing was ever measured,
	// by either group, has no source. A count of zero is data.
	if s.State == judge.Delivering && v.r.sketched(d.m.Name) && v.r.series[d.m.Name] == nil {
		s.State = judge.NeverDelivered
	}
	return s
}

// Pushed implements judge.Evidence.
func (v *view) Pushed(key string) (string, time.Time, bool) {
	v.e.mu.Lock()
	defer v.e.mu.Unlock()
	val, ok := v.e.values[valueKey(v.r.target.Project, key)]
	return val.Text, val.At, ok
}

// Data implements judge.Evidence.
func (v *view) Data() judge.Data {
	v.e.mu.Lock()
	defer v.e.mu.Unlock()
	return v.data()
}
