package alerting

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"serin/internal/alert"
	"serin/internal/judge"
	"serin/internal/plan"
)

// MaxBacktest is how far back a test may look.
const MaxBacktest = 30 * 24 * time.Hour

// Trial changes a rule for a back-test; nil fields leave it as it is.
type Trial struct {
	Limit        *float64       `json:"limit,omitempty"`
	Over         *time.Duration `json:"over,omitempty"`
	For          *time.Duration `json:"for,omitempty"`
	ResolveAfter *time.Duration `json:"resolve_after,omitempty"`
}

// Backtest says what a rule, as it is or as a trial would make it, would have
// done with what was counted in the last span, looked at each full minute as
// the timer does. Errors wrap store.ErrNotFound and alert.ErrInvalid.
func (e *Engine) Backtest(ctx context.Context, id string, span time.Duration, t Trial) (*alert.Backtest, error) {
	e.mu.Lock()
	w, err := e.find(id)
	if err != nil {
		e.mu.Unlock()
		return nil, err
	}
	tried := *w
	e.mu.Unlock()
	if span < time.Minute || span > MaxBacktest {
		return nil, fmt.Errorf("%w: a back-test of %s: between 1m and 30d", alert.ErrInvalid, span)
	}
	if _, err := e.reader(&tried); err != nil {
		return nil, err
	}
	if err := tried.try(t); err != nil {
		return nil, err
	}
	end := e.o.Clock.Now().Truncate(time.Minute)
	test := alert.NewBacktest(tried.rule)
	read, err := e.reader(&tried)
	if err != nil {
		return nil, err
	}
	for at := end.Add(-span); !at.After(end); at = at.Add(Tick) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		ev, err := read(at)
		if err != nil {
			return nil, err
		}
		test.Look(ev, at)
	}
	return test, nil
}

// try applies a trial to a copy of a rule.
func (w *watched) try(t Trial) error {
	for _, f := range []struct{ to, from *time.Duration }{{&w.rule.Over, t.Over}, {&w.rule.For, t.For}, {&w.rule.ResolveAfter, t.ResolveAfter}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if t.Limit != nil {
		w.rule.Limit = *t.Limit
	}
	if w.rollout == nil {
		rule, err := w.rule.Complete()
		w.rule = rule
		return err
	}
	if w.rule.For < 0 || w.rule.ResolveAfter < 0 || t.Over != nil && (*t.Over < alert.MinOver || *t.Over > alert.MaxOver) {
		return fmt.Errorf("%w: a duration of the trial is out of range", alert.ErrInvalid)
	}
	return nil
}

// past reads what a rule's value was at a time.
func (e *Engine) past(w *watched, at time.Time) (alert.Evidence, error) {
	if now := e.o.Clock.Now(); at.After(now) || now.Sub(at) > MaxBacktest {
		return alert.Evidence{}, fmt.Errorf("%w: at %s: take a time of the last 30 days", alert.ErrInvalid, at.UTC().Format(time.RFC3339))
	}
	read, err := e.reader(w)
	if err != nil {
		return alert.Evidence{}, err
	}
	return read(at)
}

// reader reads a rule's values at times in the past. Whether there was data
// then is not stored, so that is not told.
func (e *Engine) reader(w *watched) (func(at time.Time) (alert.Evidence, error), error) {
	if w.rule.Outside != "" {
		return nil, fmt.Errorf("%w %s: not available: it is told by %s, which alone knows what was then", alert.ErrInvalid, w.rule.ID, w.rule.Outside)
	}
	if w.rollout == nil {
		return func(at time.Time) (alert.Evidence, error) {
			list, err := e.readings(w.rule, at, false)
			return alert.Evidence{Readings: list}, err
		}, nil
	}
	m := w.rollout.Plan.Metrics[w.asked.Metric]
	switch {
	case m == nil || w.rule.Over <= 0 || w.asked.Ref != plan.None:
		return nil, fmt.Errorf("%w %s: not available for %q: only rules with a limit and a window of their own, such as errors > 5 over 10m, are answered from stored counts; simulate the plan instead",
			alert.ErrInvalid, w.rule.ID, w.asked.Text)
	case m.Kind != plan.Count && m.Kind != plan.Users && m.Kind != plan.Quantile && m.Kind != plan.Average && m.Kind != plan.Ratio, m.Of == "issues":
		return nil, fmt.Errorf("%w %s: not available for %s: no counts by the minute are kept of it", alert.ErrInvalid, w.rule.ID, m.Name)
	}
	ev, err := e.o.Evidence.View(w.rollout.Rollout)
	if err != nil {
		return nil, err
	}
	return func(at time.Time) (alert.Evidence, error) {
		r := alert.Reading{}
		r.Value, r.Known = pastValue(m, ev.Window(m.Name, judge.Exposed, at.Add(-w.rule.Over), at))
		r.Why = fmt.Sprintf("%s was %s over %s, limit %s", m.Name, judge.Format(r.Value, m.Unit), plan.FormatDuration(w.rule.Over), judge.Format(w.rule.Limit, m.Unit))
		return alert.Evidence{Readings: []alert.Reading{r}}, nil
	}, nil
}

// pastValue is a window's value.
func pastValue(m *plan.Metric, w judge.Window) (float64, bool) {
	switch m.Kind {
	case plan.Count:
		return float64(w.Count), true
	case plan.Users:
		return float64(w.Users), true
	case plan.Quantile:
		return w.Sketch.Quantile(m.Q)
	case plan.Average:
		return w.Sum / float64(max(w.Count, 1)), w.Count > 0
	}
	return w.Value, w.Known
}

// ParseTrial reads a trial as people write it; "" leaves a field as it is.
// Errors wrap alert.ErrInvalid.
func ParseTrial(limit, over, held, calm string) (t Trial, err error) {
	if limit != "" {
		v, err := strconv.ParseFloat(limit, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return t, fmt.Errorf("%w: limit %q: write a number", alert.ErrInvalid, limit)
		}
		t.Limit = &v
	}
	for _, f := range []struct {
		text string
		to   **time.Duration
	}{{over, &t.Over}, {held, &t.For}, {calm, &t.ResolveAfter}} {
		if f.text == "" {
			continue
		}
		d, err := time.ParseDuration(f.text)
		if err != nil {
			return t, fmt.Errorf("%w: %q: write a duration such as 30m", alert.ErrInvalid, f.text)
		}
		*f.to = &d
	}
	return t, nil
}
