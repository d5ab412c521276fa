package evidence

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// ErrName: a value may not be pushed under this name.
var ErrName = errors.New("use another name")

// sourcePrefix begins the keys of values that say a source has delivered.
const sourcePrefix = "source:"

// pushAge is how old a pushed value may be, where its metric sets no limit.
const pushAge = 24 * time.Hour

// Push makes a value of a project durable under key; it replaces an older one. The errors
// are Accept's, and ErrName for a key that is the server's own.
func (e *Engine) Push(ctx context.Context, project, key, text string) error {
	if strings.HasPrefix(key, reservedMark) {
		return fmt.Errorf("value %q: names that begin with %s are the server's own: %w", key, reservedMark, ErrName)
	}
	return e.putValue(ctx, store.KeyValue{Key: valueKey(project, key), Value: store.Value{Text: text, At: e.clock.Now()}})
}

// ConfirmOpen notes a person's word that a project's channel of a source
// (feedback, survey, usage) is open and was empty so far. The errors are Accept's.
func (e *Engine) ConfirmOpen(ctx context.Context, project, source string) error {
	return e.putValue(ctx, store.KeyValue{Key: valueKey(project, sourcePrefix+source), Value: store.Value{Text: "confirmed", At: e.clock.Now()}})
}

func (e *Engine) putValue(ctx context.Context, kv store.KeyValue) error {
	return e.putValues(ctx, []store.KeyValue{kv})
}

// putValues makes values durable, all or none.
func (e *Engine) putValues(ctx context.Context, values []store.KeyValue) error {
	r := &request{values: values, done: make(chan error, 1)}
	if err := e.queue.push(r, e.limits, shareRest); err != nil {
		return err
	}
	return wait(ctx, r)
}

// Value returns what was last pushed under a key for a project, and when.
func (e *Engine) Value(project, key string) (text string, at time.Time, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	v, ok := e.values[valueKey(project, key)]
	return v.Text, v.At, ok
}

// setValue keeps a value and, where a gauge reads it, its history.
func (e *Engine) setValue(b *batch, kv store.KeyValue) {
	e.values[kv.Key] = kv.Value
	b.Values = append(b.Values, kv)
	if strings.HasPrefix(kv.Key, importPrefix) {
		e.hours.made++ // histories that were told are told anew
	}
	v, ok := number(kv.Text)
	if !ok {
		return
	}
	project, key := cutValueKey(kv.Key)
	if !strings.HasPrefix(key, reservedMark) || fetchedKey(key) {
		e.hours.gauge(project, key, v, toMS(kv.At))
	}
	for _, r := range e.rollouts {
		if sameProject(r.target.Project, project) {
			if strings.HasPrefix(key, alertGauge) {
				v = firingFor(kv.Text, r.target.Rollout, r.target.Plan.Name)
			}
			r.keep(b, key, v)
		}
	}
}

func valueText(ev *telemetry.Event) string {
	if ev.Message != "" {
		return ev.Message
	}
	return strconv.FormatFloat(ev.Value, 'f', -1, 64)
}

// sizeUnits are the units that pushed numbers may carry.
var sizeUnits = []struct {
	suffix string
	factor float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1},
	{"%", 0.01}, {"ms", 1}, {"s", 1e3}, {"", 1},
}

// number reads a pushed value such as 412kB in its metric's unit.
func number(text string) (float64, bool) {
	text, _, _ = strings.Cut(text, noteMark)
	text = strings.TrimSpace(text)
	for _, u := range sizeUnits {
		rest, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		if v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64); err == nil {
			return v * u.factor, true
		}
	}
	return 0, false
}

// delivered notes the first delivery of a source.
func (e *Engine) delivered(b *batch, ev *telemetry.Event) {
	name := ""
	switch ev.Kind {
	case telemetry.KindFeedback:
		name = "feedback"
	case telemetry.KindSurvey:
		name = "survey"
	case telemetry.KindAction:
		name = "usage"
	default:
		return
	}
	key := valueKey(ev.Project, sourcePrefix+name)
	if v, ok := e.values[key]; !ok || v.Text != "delivered" {
		e.setValue(b, store.KeyValue{Key: key, Value: store.Value{Text: "delivered", At: ev.Received}})
	}
}

// source is the state of the source of a plan's metric in a project at now.
func (e *Engine) source(p *plan.Plan, project string, m *plan.Metric, now time.Time) judge.Source {
	s := judge.Source{Name: m.Source, State: judge.Delivering}
	switch m.Source {
	case "feedback", "survey", "usage":
		if _, ok := e.values[valueKey(project, sourcePrefix+m.Source)]; !ok {
			s.State = judge.NeverDelivered
		}
	case "prometheus", "probe":
		return e.fetched(p, project, m, now)
	case "alertmanager":
		return e.outsideSource(project, m, now)
	case "push":
		v, ok := e.values[valueKey(project, m.Of)]
		limit := pushAge
		if m.Over > 0 {
			limit = m.Over
		}
		switch {
		case !ok:
			s.State = judge.NeverDelivered
		case m.Kind != plan.Age && now.Sub(v.At) > limit:
			s.State, s.Since, s.Error = judge.Failing, v.At.Add(limit), "the last value is too old"
		}
	default:
		if m.Kind == plan.Gauge {
			v, ok := e.values[valueKey(project, m.Of)]
			switch {
			case !ok:
				s.State = judge.NeverDelivered
			case e.streamed(project, m.Of) && now.Sub(v.At) > streamAge:
				s.State, s.Since, s.Error = judge.Failing, v.At.Add(streamAge), "the processes send no more of it"
			}
		}
	}
	return s
}
