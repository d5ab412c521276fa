package alerting

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"serin/internal/alert"
	"serin/internal/flag"
	"serin/internal/notify"
)

// MaxOutsideRules bounds the names of alerts that are taken from other systems.
const MaxOutsideRules = 1000

// ErrOutsideFull is the answer to an alert of a name beyond MaxOutsideRules.
var ErrOutsideFull = errors.New("too many names of alerts from outside: delete those that are no longer used")

// Outside is what another system says of one alert.
type Outside struct {
	Name string // which kind of alert: the alertname
	alert.Told
}

// From is who tells of alerts.
type From struct {
	System  string          // alert.Alertmanager or alert.Sentry
	Project string          // whose alerts they are
	Notify  []alert.Channel // who is told of them
}

// Hear takes over what another system says of its alerts: each name is a rule,
// each set of labels a group of it. When it returns nil all of it is durable.
// The same words again change nothing. Errors wrap alert.ErrTooMany,
// ErrOutsideFull or ErrStore; some of what was said may be stored then.
func (e *Engine) Hear(ctx context.Context, from From, said []Outside) error {
	from.Project = flag.ProjectOf(from.Project)
	byName := map[string][]alert.Told{}
	for _, o := range said {
		t := o.Told
		t.Rollout = e.rolloutOf(from.Project, t.Labels)
		byName[o.Name] = append(byName[o.Name], t)
	}
	var errs []error
	e.mu.Lock()
	now := e.o.Clock.Now()
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		if err := e.hear(ctx, from, name, byName[name], now); err != nil {
			errs = append(errs, fmt.Errorf("alert %q: %w", name, err))
		}
	}
	e.mu.Unlock()
	e.tell(ctx)
	return errors.Join(append(errs, e.count(ctx, from.Project))...)
}

// hear takes over what is said of the alerts of one name. The caller holds mu.
func (e *Engine) hear(ctx context.Context, from From, name string, said []alert.Told, now time.Time) error {
	w, err := e.outsideRule(from, name)
	if err != nil {
		return err
	}
	heard, err := alert.Hear(w.state, said, now)
	if err != nil {
		return err
	}
	w.by = "arrival"
	next, changes := alert.Step(w.rule, heard, alert.Heard(heard, now), now)
	if !e.commit(ctx, w, next, changes, now, nil) {
		return ErrStore
	}
	e.rules[w.rule.ID] = w
	e.counts = append(e.counts, alert.CountOf(w.rule, w.state, now))
	return nil
}

// count hands the counts of the last looks on. told names the project that
// something was told of. It is called without mu.
func (e *Engine) count(ctx context.Context, told ...string) error {
	e.mu.Lock()
	counts := e.counts
	e.counts = nil
	e.mu.Unlock()
	if e.o.Heard == nil || len(counts)+len(told) == 0 {
		return nil
	}
	if err := e.o.Heard(ctx, counts, told...); err != nil {
		return fmt.Errorf("count alerts from outside: %w", err)
	}
	return nil
}

// outsideRule finds or makes the rule of a name. The caller holds mu.
func (e *Engine) outsideRule(from From, name string) (*watched, error) {
	id := fmt.Sprintf("%s.%s.%s", from.System, from.Project, slug(name))
	if w := e.rules[id]; w != nil && w.rule.Name != name { // another name that is written alike
		id += "-" + notify.Digest(name)[:8]
	}
	if w := e.rules[id]; w != nil {
		changed := *w
		changed.rule.Notify = joined(w.rule.Notify, from.Notify)
		return &changed, nil
	}
	n := 0
	for _, w := range e.rules {
		if w.rule.Outside != "" {
			n++
		}
	}
	if n >= MaxOutsideRules {
		return nil, ErrOutsideFull
	}
	rule := alert.Rule{ID: id, Name: name, Project: from.Project, Outside: from.System, Notify: from.Notify}
	return &watched{rule: rule.WithDefaults()}, nil
}

// maxReceivers bounds the channels of one rule.
const maxReceivers = 20

// joined adds the channels of more that are not in list.
func joined(list, more []alert.Channel) []alert.Channel {
	out := slices.Clone(list)
	for _, c := range more {
		if len(out) < maxReceivers && !slices.ContainsFunc(out, func(o alert.Channel) bool { return o.Name == c.Name }) {
			out = append(out, c)
		}
	}
	return out
}

// rolloutOf is the rollout that an alert's label names, by its id or by its
// plan, if it is one of the project that is under way; "" = none.
func (e *Engine) rolloutOf(project string, labels alert.Labels) string {
	for _, l := range labels {
		if l.Name != alert.RolloutLabel {
			continue
		}
		for _, r := range e.o.Under(l.Value) {
			if flag.ProjectOf(r.Project) == project {
				return r.ID
			}
		}
	}
	return ""
}

// Named is a rollout that is under way.
type Named struct{ ID, Project string }
