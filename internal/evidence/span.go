package evidence

import (
	"cmp"
	"fmt"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/store"
)

// Span is a metric over a time, as reports tell it, in the metric's unit. Nil
// was not measured.
type Span struct {
	New     *float64 // of exposed users, as fixed limits read it
	Control *float64 // of users assigned to the old variant; nil for a metric without users
	N       int64    // events behind New
	Silent  string   // why nothing can be told, where nothing was ever delivered; "" = it was
}

// atNow is how old the end of a span may be for a metric that is only known as
// it stands now: an age, a trend.
const atNow = 5 * time.Minute

// Span reads metric over (from, to]; both should be whole minutes, the step of
// what is kept. Late events are included at their own time. What is known
// only as of now, such as an age, is not measured for an earlier span, nor is a
// pushed value that came after it. The error wraps store.ErrNotFound for a
// rollout or metric that is not known, and ErrUnavailable while the evidence has
// to be read back after a failure of the store.
func (e *Engine) Span(rollout, metric string, from, to time.Time) (Span, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.rollouts[rollout]
	switch {
	case r == nil:
		return Span{}, fmt.Errorf("evidence of %s: %w", rollout, store.ErrNotFound)
	case r.byName[metric] == nil:
		return Span{}, fmt.Errorf("metric %s of %s: %w", metric, rollout, store.ErrNotFound)
	case e.broken:
		return Span{}, fmt.Errorf("evidence of %s: %w", rollout, ErrUnavailable)
	}
	d, v := r.byName[metric], &view{e: e, r: r, now: e.clock.Now(), windows: map[windowKey]judge.Window{}}
	out := Span{Silent: v.silent(d)}
	if out.Silent != "" {
		return out, nil
	}
	out.New, out.N = v.over(d, judge.Exposed, from, to)
	if d.m.User {
		out.Control, _ = v.over(d, judge.AssignedOld, from, to)
	}
	return out, nil
}

// over is a metric of a group over a span.
func (v *view) over(d *definition, g judge.Group, from, to time.Time) (*float64, int64) {
	if (d.m.Kind == plan.Age || d.m.Kind == plan.Slope) && v.now.Sub(to) > atNow {
		return nil, 0
	}
	value, n, w := v.point(d, g, from, to)
	if d.m.Kind == plan.Gauge && w.Last.After(to) {
		return nil, 0
	}
	return value, n
}

// silent says why a metric has no value where none was ever delivered.
func (v *view) silent(d *definition) string {
	src := v.sourceOf(d)
	telemetry := d.m.Source == "" || d.m.Source == "telemetry"
	switch {
	case src.State != judge.NeverDelivered:
		return ""
	case telemetry && v.data().Last.IsZero():
		return "no telemetry of this rollout has ever arrived"
	case telemetry:
		return "nothing of it was ever measured"
	}
	why := "nothing has ever arrived from " + cmp.Or(src.Name, d.m.Source)
	if src.Error != "" {
		why += ": " + src.Error
	}
	return why
}
