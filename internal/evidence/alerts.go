package evidence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"serin/internal/alert"
	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// alertPrefix begins the key under which the cells of a stand-alone alert rule
// are stored and the name by which its arrivals are told. No rollout's id has
// a colon.
const alertPrefix = "alert:"

// KeptAlertCounts is how long the minute counts of stand-alone alert rules
// stay: a back-test reaches no further back.
const KeptAlertCounts = 30 * 24 * time.Hour

// AlertKey is where the counts of a stand-alone rule are stored, and what
// OnArrival calls it. A rule that counts something else has another one.
func AlertKey(r alert.Rule) string {
	sum := sha256.Sum256([]byte(r.CountsOf()))
	return alertPrefix + r.ID + ":" + hex.EncodeToString(sum[:4])
}

// alertCounts is what the engine holds for one stand-alone rule. Engine.mu
// guards it.
type alertCounts struct {
	rule   alert.Rule
	key    string
	def    *definition
	series map[string]*series // by alert.Labels.Key
	dirty  []dirtyCell
}

// WatchAlert starts or updates counting for a stand-alone rule; what was
// counted for the same question is read from the store. The error is the
// store's, or names a query that cannot be read.
func (e *Engine) WatchAlert(ctx context.Context, r alert.Rule) error {
	r.Project = flag.ProjectOf(r.Project)
	e.commit.Lock()
	defer e.commit.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.ready(ctx); err != nil {
		return fmt.Errorf("watch alert %s: %w", r.ID, err)
	}
	if old := e.alerts[r.ID]; old != nil && old.key == AlertKey(r) {
		old.rule = r
		return nil
	}
	a, err := e.loadAlert(ctx, r)
	if err != nil {
		return fmt.Errorf("watch alert %s: %w", r.ID, err)
	}
	e.alerts[r.ID] = a
	return nil
}

// ForgetAlert stops counting for a rule; what is stored stays.
func (e *Engine) ForgetAlert(id string) {
	e.commit.Lock()
	defer e.commit.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.alerts, id)
}

// loadAlert reads the counts of a rule. The caller holds commit and mu.
func (e *Engine) loadAlert(ctx context.Context, r alert.Rule) (*alertCounts, error) {
	f, err := telemetry.ParseFilter(r.Query)
	if err != nil {
		return nil, err
	}
	a := &alertCounts{rule: r, key: AlertKey(r), def: &definition{m: r.Metric(), filter: f}, series: map[string]*series{}}
	now := e.clock.Now()
	since := toMS(now.Add(-KeptAlertCounts)) / minuteMS
	err = e.store.LoadCells(ctx, a.key, since, func(c store.Cell) error {
		in := &cell{minute: c.Minute}
		if err := decodeCell(in, c.Data); err != nil {
			return fmt.Errorf("cell of minute %d: %w", c.Minute, err)
		}
		a.seriesOf(c.Metric).load(in, toMS(now))
		return nil
	})
	return a, err
}

func (a *alertCounts) seriesOf(group string) *series {
	s := a.series[group]
	if s == nil {
		s = &series{sketched: a.def.m.Kind == plan.Quantile}
		a.series[group] = s
	}
	return s
}

// alertAdd counts an event for every stand-alone rule that asks for it. Late
// events are for charts only.
func (e *Engine) alertAdd(b *batch, ev *telemetry.Event) {
	if ev.Late || ev.Kind == telemetry.KindVital {
		return
	}
	for _, a := range e.alerts {
		if a.rule.Project != flag.ProjectOf(ev.Project) || a.rule.Environment != "" && a.rule.Environment != ev.Environment {
			continue
		}
		value, measured, ok := a.def.measure(ev)
		if !ok {
			continue
		}
		user := ev.User
		if user == "" {
			user = ev.SessionUser
		}
		now := toMS(b.now)
		s := sample{at: min(max(toMS(ev.Received), now-youngMS/2), now), n: ev.Times(), value: value, measured: measured, user: b.userHash(user)}
		group := a.group(ev)
		c := a.seriesOf(group).add(0, 0, s)
		a.dirty = append(a.dirty, dirtyCell{metric: group, cell: c})
		b.touched[a.key] = true
	}
}

// group finds the group of an event; beyond the bound all are one.
func (a *alertCounts) group(ev *telemetry.Event) string {
	key := alert.LabelsOf(a.rule.By, ev.Field).Key()
	if a.series[key] != nil || len(a.series) < alert.MaxGroups-1 {
		return key
	}
	return alert.OtherLabels(a.rule.By).Key()
}

// collectAlerts moves changed cells into the batch.
func (e *Engine) collectAlerts(b *batch) error {
	for id, a := range e.alerts {
		for _, d := range a.dirty {
			if !d.cell.dirty {
				continue
			}
			data, err := d.cell.encode()
			if err != nil {
				return fmt.Errorf("counts of alert %s: %w", id, err)
			}
			d.cell.dirty = false
			b.Cells = append(b.Cells, store.Cell{Rollout: a.key, Metric: d.metric, Minute: d.cell.minute, Data: data})
		}
		a.dirty = a.dirty[:0]
	}
	return nil
}

// ageAlerts frees what is too old to change, and groups with nothing left.
func (e *Engine) ageAlerts(now int64) {
	oldest := (now - KeptAlertCounts.Milliseconds()) / hourMS
	for _, a := range e.alerts {
		for key, s := range a.series {
			s.age(now)
			s.hours = slices.DeleteFunc(s.hours, func(h *hour) bool { return h.index < oldest })
			if len(s.hours) == 0 {
				delete(a.series, key)
			}
		}
	}
}

// AlertReadings are the values of a stand-alone rule over (to-over, to] of
// arrival time, of each group that had an event then. Rates are by the minute.
// The error wraps store.ErrNotFound for a rule that is not watched.
func (e *Engine) AlertReadings(r alert.Rule, to time.Time) ([]alert.Reading, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.alerts[r.ID]
	switch {
	case a == nil:
		return nil, fmt.Errorf("counts of alert %s: %w", r.ID, store.ErrNotFound)
	case e.broken:
		return nil, fmt.Errorf("counts of alert %s: %w", r.ID, ErrUnavailable)
	}
	from, end := toMS(to.Add(-r.Over)), toMS(to)
	if end >= toMS(e.clock.Now()) {
		end = openEnd
	}
	var out []alert.Reading
	for key, s := range a.series {
		w := s.window(from, end)
		if !w.Known {
			continue
		}
		labels, ok := alert.ParseKey(key)
		if !ok {
			continue
		}
		read := alert.Reading{Labels: labels}
		read.Value, read.Known = alertValue(r, a.def.m, w)
		read.Why = alertWhy(r, read, w)
		out = append(out, read)
	}
	return out, nil
}

// alertValue is a window's value in the rule's words.
func alertValue(r alert.Rule, m *plan.Metric, w judge.Window) (float64, bool) {
	switch m.Kind {
	case plan.Users:
		return float64(w.Users), true
	case plan.Quantile:
		return w.Sketch.Quantile(m.Q)
	case plan.Average:
		return w.Sum / float64(w.Count), w.Count > 0
	}
	if r.Rate() {
		return float64(w.Count) / r.Over.Minutes(), true
	}
	return float64(w.Count), true
}

// alertWhy says what the value rests on.
func alertWhy(r alert.Rule, read alert.Reading, w judge.Window) string {
	text := fmt.Sprintf("%s is %s over %s, limit %s; %s events", r.Value, judge.Format(read.Value, r.Unit), plan.FormatDuration(r.Over),
		judge.Format(r.Limit, r.Unit), judge.Format(float64(w.Count), ""))
	if len(read.Labels) > 0 {
		text += " of " + read.Labels.String()
	}
	return text
}

// AlertSilence is since when nothing has arrived of a project whose telemetry
// stopped for longer than two blocks; zero = it flows. After a start that is
// what the engine has heard since.
func (e *Engine) AlertSilence(project string) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	now, heard := toMS(e.clock.Now()), e.heard[flag.ProjectOf(project)]
	if heard == 0 {
		heard = e.began
	}
	if now-heard <= 2*blockMS {
		return time.Time{}
	}
	return fromMS(heard)
}
