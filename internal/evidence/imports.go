package evidence

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"serin/internal/baseline"
	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/stats"
	"serin/internal/store"
)

// Hours that were imported for a metric of a plan fill those hours of its
// baseline that were not measured. They are kept beside what was measured,
// under a key of their own, and never in its place.

// importPrefix begins the keys of imported hours: then the plan's name, a
// space and the metric's.
const importPrefix = "~import "

// imported are the hours imported for one metric of one plan, as stored (JSON).
type imported struct {
	As      string         `json:"as"` // baseline.Definition of the metric
	Sources []string       `json:"sources"`
	Hours   []importedHour `json:"hours"` // ascending
}

// importedHour is a baseline.Hour and the index of its source.
type importedHour struct {
	Hour   int64   `json:"h"`
	Value  float64 `json:"v"`
	Count  float64 `json:"n,omitempty"`
	Source int     `json:"s"`
}

// maxSource bounds the name of a source.
const maxSource = 200

// Import keeps hours of the past for the baseline of a project's plan. An hour that the same
// source brought before is replaced; one of another source only when replace is
// set, else the whole import is refused with baseline.ErrRefused. id is the plan's
// newest rollout, "" = none: what it measured is told apart. The other errors
// are Accept's.
func (e *Engine) Import(ctx context.Context, project string, p *plan.Plan, id, source string, hours map[string][]baseline.Hour, replace bool) ([]baseline.Imported, error) {
	if source = strings.TrimSpace(source); source == "" || len(source) > maxSource {
		return nil, fmt.Errorf("say where the hours come from, in 1 to %d bytes: %w", maxSource, baseline.ErrRefused)
	}
	e.importing.Lock()
	defer e.importing.Unlock()
	var out []baseline.Imported
	var values []store.KeyValue
	now := e.clock.Now()
	e.mu.Lock()
	if !e.loaded || e.broken { // what is stored is not in memory
		e.mu.Unlock()
		return nil, ErrUnavailable
	}
	look, err := e.lookAt(project, id, p, now)
	for _, name := range slices.Sorted(maps.Keys(hours)) {
		if err != nil {
			break
		}
		m := p.Metrics[name]
		if m == nil {
			err = fmt.Errorf("%s is no metric of plan %s: %w", name, p.Name, baseline.ErrRefused)
			break
		}
		have := e.importedOf(p.Name, m)
		done := baseline.Imported{Metric: name, From: hours[name][0].Begin(), To: hours[name][len(hours[name])-1].Begin().Add(time.Hour)}
		done.New, done.Replaced, err = have.put(source, hours[name], replace)
		have.forget(now)
		done.Measured = measuredAmong(look.historyOf(name).Before, hours[name])
		out = append(out, done)
		text, bad := json.Marshal(have)
		err = errors.Join(err, bad)
		values = append(values, store.KeyValue{Key: importKey(p.Name, name), Value: store.Value{Text: string(text), At: now}})
	}
	e.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := e.putValues(ctx, values); err != nil {
		return nil, err
	}
	for i, x := range e.Baseline(project, p, id, slices.Sorted(maps.Keys(hours))...) {
		out[i].Baseline = x
	}
	return out, nil
}

// Baseline tells how much of the baseline of a project's plan there is, for the metrics that
// its rules compare with it or, where names are given, for these, by name.
// id is the rollout whose baseline it is, "" = one that would start now.
func (e *Engine) Baseline(project string, p *plan.Plan, id string, names ...string) []baseline.Extent {
	rules := onBaseline(p)
	if names == nil {
		names = slices.Sorted(maps.Keys(rules))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	look, err := e.lookAt(project, id, p, e.clock.Now())
	if err != nil {
		return nil // a filter of the plan cannot be read: nothing of it was ever counted
	}
	out := make([]baseline.Extent, 0, len(names))
	for _, name := range names {
		m := p.Metrics[name]
		if m == nil {
			continue
		}
		x := baseline.Extent{Metric: name, Title: m.Title, Rules: rules[name], Want: int(p.Judge.Baseline / time.Hour)}
		sources := map[string]bool{}
		for _, h := range look.historyOf(name).Before {
			if h.Source == "" {
				x.Measured++
				continue
			}
			x.Imported++
			sources[h.Source] = true
		}
		x.Sources = slices.Sorted(maps.Keys(sources))
		out = append(out, x)
	}
	return out
}

// onBaseline are the texts of the rules that compare with the baseline, or
// may, by metric.
func onBaseline(p *plan.Plan) map[string][]string {
	out := map[string][]string{}
	for _, r := range p.BaselineRules() {
		if !slices.Contains(out[r.Metric], r.Text) {
			out[r.Metric] = append(out[r.Metric], r.Text)
		}
	}
	return out
}

// lookAt is a view of the rollout id, or of one of the plan that would start
// now. The caller holds mu.
func (e *Engine) lookAt(project, id string, p *plan.Plan, now time.Time) (*view, error) {
	r := e.rollouts[id]
	if r == nil || r.target.Plan.Hash != p.Hash {
		defs, err := compile(p)
		if err != nil {
			return nil, err
		}
		r = &rollout{defs: defs, byName: map[string]*definition{}, target: Target{Project: flag.ProjectOf(project), Plan: p}}
		for _, d := range defs {
			r.byName[d.m.Name] = d
		}
	}
	return &view{e: e, r: r, now: now}, nil
}

// put adds hours of a source, or says which it may not replace.
func (i *imported) put(source string, hours []baseline.Hour, replace bool) (added, replaced int, err error) {
	at := slices.Index(i.Sources, source)
	if at < 0 {
		i.Sources = append(i.Sources, source)
		at = len(i.Sources) - 1
	}
	for _, h := range hours {
		n, found := slices.BinarySearchFunc(i.Hours, h.Hour, func(a importedHour, hour int64) int { return cmp.Compare(a.Hour, hour) })
		row := importedHour{Hour: h.Hour, Value: h.Value, Count: h.Count, Source: at}
		switch {
		case !found:
			i.Hours = slices.Insert(i.Hours, n, row)
			added++
		case i.Hours[n].Source != at && !replace:
			return 0, 0, fmt.Errorf("the hour from %s was imported from %q already: import under that name, or say that others may be replaced: %w",
				h.Begin().Format("2006-01-02 15:04Z"), i.Sources[i.Hours[n].Source], baseline.ErrRefused)
		default:
			i.Hours[n] = row
			replaced++
		}
	}
	return added, replaced, nil
}

// forget drops the hours that no baseline reaches any more, and the sources
// that have none left.
func (i *imported) forget(now time.Time) {
	oldest := now.Add(-baseline.Reach).Unix() / 3600
	i.Hours = slices.DeleteFunc(i.Hours, func(h importedHour) bool { return h.Hour < oldest })
	kept := &imported{As: i.As}
	for _, h := range i.Hours {
		name := i.Sources[h.Source]
		if h.Source = slices.Index(kept.Sources, name); h.Source < 0 {
			h.Source = len(kept.Sources)
			kept.Sources = append(kept.Sources, name)
		}
		kept.Hours = append(kept.Hours, h)
	}
	*i = *kept
}

func importKey(plan, metric string) string { return importPrefix + plan + " " + metric }

// importedOf reads what was imported for a metric; nothing where that was for
// another definition of it, or cannot be read. The caller holds mu.
func (e *Engine) importedOf(plan string, m *plan.Metric) *imported {
	as := baseline.Definition(m)
	out := &imported{As: as}
	v, ok := e.values[importKey(plan, m.Name)]
	if !ok {
		return out
	}
	var stored imported
	err := json.Unmarshal([]byte(v.Text), &stored)
	if err == nil && !stored.valid() {
		err = errCell
	}
	if err != nil {
		e.log.Warn("imported hours cannot be read: they are left out", "plan", plan, "metric", m.Name, "error", err)
		return out
	}
	if stored.As != as {
		return out
	}
	return &stored
}

// valid reports whether stored hours are ascending and of named sources.
func (i *imported) valid() bool {
	for n, h := range i.Hours {
		if h.Source < 0 || h.Source >= len(i.Sources) || n > 0 && h.Hour <= i.Hours[n-1].Hour ||
			!(h.Value >= 0) || math.IsInf(h.Value, 0) || !(h.Count >= 0) || h.Count > math.MaxInt32 {
			return false
		}
	}
	return true
}

// fill puts imported hours in [first, end) where none was measured. The caller
// holds Engine.mu.
func (v *view) fill(m *plan.Metric, before []judge.Hour, first, end int64) []judge.Hour {
	have := v.e.importedOf(v.r.target.Plan.Name, m)
	if len(have.Hours) == 0 {
		return before
	}
	var out []judge.Hour
	next := 0
	take := func(until int64) { // imported hours before until
		for ; next < len(have.Hours) && have.Hours[next].Hour < until; next++ {
			if h := have.Hours[next]; h.Hour >= first && h.Hour < end {
				out = append(out, judge.Hour{Begin: hourNumber(h.Hour), Window: h.window(m), Source: have.Sources[h.Source]})
			}
		}
	}
	for _, b := range before {
		number := b.Begin.Unix() / 3600
		take(number)
		if next < len(have.Hours) && have.Hours[next].Hour == number {
			if !reads(m, b.Window) {
				take(number + 1)
				continue
			}
			next++
		}
		out = append(out, b)
	}
	take(end)
	return out
}

// reads reports whether a measured hour says something of the metric. One in
// which users were active and no page was loaded says nothing of page loads.
func reads(m *plan.Metric, w judge.Window) bool {
	switch m.Kind {
	case plan.Count, plan.Users:
		return w.Active > 0
	}
	return w.Count > 0 || w.Sum > 0
}

// window is an imported hour as the judge reads one. A quantile becomes a
// distribution of one value: its quantiles are all that value.
func (h importedHour) window(m *plan.Metric) judge.Window {
	n := int64(math.Round(h.Count))
	w := judge.Window{Known: true}
	switch m.Kind {
	case plan.Count, plan.Users:
		w.Count, w.Active = int64(math.Round(h.Value)), n
		w.Users = w.Count
	case plan.Quantile:
		w.Count, w.Sketch = n, new(stats.Sketch)
		w.Sketch.AddN(h.Value, max(n, 1))
	case plan.Average:
		w.Count, w.Sum = n, h.Value*float64(n)
	case plan.Ratio, plan.Computed:
		w.Count, w.Sum = int64(math.Round(h.Value*h.Count)), float64(n)
	default:
		w.Count, w.Sum = 1, h.Value
	}
	return w
}

// measuredAmong counts those of the sent hours that were measured.
func measuredAmong(before []judge.Hour, sent []baseline.Hour) (n int) {
	measured := map[int64]bool{}
	for _, h := range before {
		if h.Source == "" {
			measured[h.Begin.Unix()/3600] = true
		}
	}
	for _, h := range sent {
		if measured[h.Hour] {
			n++
		}
	}
	return n
}
