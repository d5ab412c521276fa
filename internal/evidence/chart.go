package evidence

import (
	"fmt"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/store"
)

// Point is one step of a chart. Nil means nothing was measured.
type Point struct {
	T               time.Time // end of the step
	Canary, Control *float64  // in the metric's unit
	N               int64     // events of both
	// Low and High are an always-valid 95 % interval of the canary, see band.
	Low, High *float64
}

// Both is the sum of both arms, for counts; nil where neither has a value.
func (p Point) Both() *float64 {
	switch {
	case p.Control == nil:
		return p.Canary
	case p.Canary == nil:
		return p.Control
	}
	sum := *p.Canary + *p.Control
	return &sum
}

// chartShare is the least part of a chart that one of its points looks back
// over: rates of few events would jump between nothing and everything.
const chartShare = 24

// Series returns metric over (from, to] in at most points steps (at least a
// minute each), each over the time up to it that is a 24th of the whole, or
// its step where that is longer, by assigned arm; where nobody was assigned, the exposed group
// stands for the canary. Late events are included at their own time. The
// error wraps store.ErrNotFound for a rollout or metric that is not known.
func (e *Engine) Series(rollout, metric string, from, to time.Time, points int) ([]Point, error) {
	return e.chart(rollout, metric, from, to, points, func(v *view, d *definition, p *Point, back time.Duration) {
		canary := judge.AssignedNew
		if v.r.peek(seriesActive, int(judge.AssignedNew)) == nil && v.r.peek(seriesActive, int(judge.AssignedOld)) == nil || !d.m.User {
			canary = judge.Exposed
		}
		var n int64
		var w judge.Window
		p.Canary, p.N, w = v.point(d, canary, p.T.Add(-back), p.T)
		if d.m.User {
			p.Control, n, _ = v.point(d, judge.AssignedOld, p.T.Add(-back), p.T)
			p.N += n
		}
		if p.Canary != nil && canary == judge.AssignedNew {
			p.Low, p.High = v.band(d, w, p.T.Add(-back), p.T)
		}
	})
}

// Reading returns metric over (from, to] in at most points steps as fixed limits
// read it, of exposed users; nil steps are gaps. Errors are as of Series.
func (e *Engine) Reading(rollout, metric string, from, to time.Time, points int) ([]Point, error) {
	return e.chart(rollout, metric, from, to, points, func(v *view, d *definition, p *Point, back time.Duration) {
		p.Canary, p.N, _ = v.point(d, judge.Exposed, p.T.Add(-back), p.T)
	})
}

// chart fills in one point after another; back is how far each looks back.
func (e *Engine) chart(rollout, metric string, from, to time.Time, points int, fill func(v *view, d *definition, p *Point, back time.Duration)) ([]Point, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.rollouts[rollout]
	if r == nil {
		return nil, fmt.Errorf("evidence of %s: %w", rollout, store.ErrNotFound)
	}
	d := r.byName[metric]
	if d == nil {
		return nil, fmt.Errorf("metric %s of %s: %w", metric, rollout, store.ErrNotFound)
	}
	if points <= 0 || !to.After(from) {
		return nil, nil
	}
	step := max(to.Sub(from)/time.Duration(points), time.Minute)
	back := max(step, to.Sub(from)/chartShare)
	v := &view{e: e, r: r, now: e.clock.Now(), windows: map[windowKey]judge.Window{}}
	var out []Point
	for at := from; at.Before(to) && len(out) < points; at = at.Add(step) {
		p := Point{T: at.Add(step)}
		fill(v, d, &p, back)
		out = append(out, p)
	}
	return out, nil
}

// point is one value, and the window it was read from. Counts are known to be zero where the pipeline lived.
func (v *view) point(d *definition, g judge.Group, from, to time.Time) (*float64, int64, judge.Window) {
	w := v.measure(windowKey{d.m.Name, g, toMS(from), toMS(to)}, from, to)
	if (d.m.Kind == plan.Gauge) && v.r.peek(d.m.Name, int(g)) != nil {
		w = v.r.peek(d.m.Name, int(g)).window(toMS(from), toMS(to))
		if w.Known {
			w.Value = w.Sum / float64(w.Count)
		}
	}
	late := v.r.peek(d.m.Name+lateSuffix, int(g)).window(toMS(from), toMS(to))
	if late.Known {
		w = v.withLate(d, w, late)
	}
	counts := d.m.Kind == plan.Count || d.m.Kind == plan.Users
	if !w.Known && !(counts && v.r.covered(toMS(from), toMS(to), toMS(v.now)) > 0) {
		return nil, 0, w
	}
	return &w.Value, w.Count, w
}

// withLate adds late events to a window of a chart.
func (v *view) withLate(d *definition, w, late judge.Window) judge.Window {
	w.Count, w.Sum, w.Known = w.Count+late.Count, w.Sum+late.Sum, true
	switch d.m.Kind {
	case plan.Count:
		w.Value = float64(w.Count)
	case plan.Average:
		w.Value = w.Sum / float64(w.Count)
	case plan.Quantile:
		s := w.Sketch.Clone()
		s.Merge(late.Sketch)
		w.Sketch = s
		w.Value, w.Known = s.Quantile(d.m.Q)
	}
	return w
}
