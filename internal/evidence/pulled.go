package evidence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/store"
)

// The keys of values that the server fetches itself: a query's digest or a
// probe's name follows. Nobody can push them.
const (
	queryPrefix = reservedMark + "query "
	probePrefix = reservedMark + "probe "
)

// noteMark begins what stands behind a fetched number: the labels of its
// series, or why a probe was bad. A "}" ends it.
const noteMark = " {"

// windowMark stands in a query for the span of the rules on its metric.
const windowMark = "$window"

// shortestWindow is what $window stands for where no rule has a span of its own.
const shortestWindow = 5 * time.Minute

// Pull is a query that rollouts need an answer to.
type Pull struct {
	Project string
	Key     string // of the answer, for Fetched
	Query   string // PromQL, $window filled in
	// LowIsWorse: of several series the lowest counts.
	LowIsWorse bool
	Metrics    []string // who asks, "checkout-1 pool", in order
}

// Fetched is an answer of a source, or why there is none.
type Fetched struct {
	Project string
	Key     string
	Number  float64
	Note    string // the labels of the series, or why a probe was bad; "" = none
	Age     time.Duration
	Err     error
}

// ProbeKey is the key of a probe's answers.
func ProbeKey(name string) string { return probePrefix + name }

// Pulls are the queries of all watched rollouts, those of a rollout that has
// not begun among them: they are the baseline to come. Equal ones are one.
func (e *Engine) Pulls() []Pull {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := map[string]*Pull{}
	for id, r := range e.rollouts {
		for _, d := range r.defs {
			for _, q := range queriesOf(r.target.Plan, d.m) {
				at := valueKey(r.target.Project, q.key)
				p := found[at]
				if p == nil {
					p = &Pull{Project: flag.ProjectOf(r.target.Project), Key: q.key, Query: q.text, LowIsWorse: d.m.UpGood}
					found[at] = p
				}
				p.Metrics = append(p.Metrics, id+" "+d.m.Name)
			}
		}
	}
	out := make([]Pull, 0, len(found))
	for _, at := range slices.Sorted(maps.Keys(found)) {
		slices.Sort(found[at].Metrics)
		out = append(out, *found[at])
	}
	return out
}

// Projects are those with a watched rollout, and the first.
func (e *Engine) Projects() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := map[string]bool{flag.FirstProject: true}
	for _, r := range e.rollouts {
		found[flag.ProjectOf(r.target.Project)] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// Fetched makes answers durable, all or none, and notes why there are none.
// The errors are Accept's.
func (e *Engine) Fetched(ctx context.Context, answers []Fetched) error {
	var values []store.KeyValue
	now := e.clock.Now()
	e.mu.Lock()
	if e.pullErrors == nil {
		e.pullErrors = map[string]string{}
	}
	for _, a := range answers {
		key := valueKey(a.Project, a.Key)
		if a.Err != nil {
			e.pullErrors[key] = a.Err.Error()
			continue
		}
		delete(e.pullErrors, key)
		text := strconv.FormatFloat(a.Number, 'g', -1, 64)
		if a.Note != "" {
			text += noteMark + strings.TrimSuffix(strings.TrimPrefix(a.Note, "{"), "}") + "}"
		}
		values = append(values, store.KeyValue{Key: key, Value: store.Value{Text: text, At: now.Add(-a.Age)}})
	}
	e.mu.Unlock()
	if len(values) == 0 {
		return nil
	}
	return e.putValues(ctx, values)
}

// pulledQuery is one query of a metric and whose it is.
type pulledQuery struct {
	group judge.Group
	key   string
	text  string
}

// queriesOf are the queries of a metric whose source is Prometheus: one, or
// one for each group of users. Others have none.
func queriesOf(p *plan.Plan, m *plan.Metric) []pulledQuery {
	if m.Kind != plan.Gauge || m.Source != "prometheus" {
		return nil
	}
	query := func(g judge.Group, text string) pulledQuery {
		if strings.Contains(text, windowMark) {
			text = strings.ReplaceAll(text, windowMark, windowOf(p, m))
		}
		digest := sha256.Sum256([]byte(strconv.FormatBool(m.UpGood) + text))
		return pulledQuery{g, queryPrefix + hex.EncodeToString(digest[:8]), text}
	}
	if len(m.Queries) > 0 {
		return []pulledQuery{query(judge.AssignedNew, m.Queries["new"]), query(judge.AssignedOld, m.Queries["old"])}
	}
	if m.Query != "" {
		return []pulledQuery{query(judge.Exposed, m.Query)}
	}
	return []pulledQuery{query(judge.Exposed, m.Of)}
}

// windowOf is what $window stands for in a metric's query: the longest span
// that a rule on it gives as a length of time, else the metric's own, as PromQL
// writes it.
func windowOf(p *plan.Plan, m *plan.Metric) string {
	longest := m.Over
	for _, r := range rulesOf(p) {
		if r.Metric == m.Name {
			longest = max(longest, r.Over.Dur)
		}
	}
	if longest <= 0 {
		longest = shortestWindow
	}
	return strconv.FormatInt(int64(longest/time.Second), 10) + "s"
}

// gaugeKey is where the value of a gauge is kept, for a group of users.
func gaugeKey(p *plan.Plan, m *plan.Metric, g judge.Group) string {
	if m.Source == "probe" {
		return ProbeKey(m.Of)
	}
	if m.Source == "alertmanager" {
		return alertGauge + m.Of
	}
	found := queriesOf(p, m)
	if len(found) == 0 {
		return m.Of
	}
	for _, q := range found {
		if q.group == g {
			return q.key
		}
	}
	return found[0].key
}

// fetchedKey reports whether a key is of a value that the server fetches.
func fetchedKey(key string) bool {
	return strings.HasPrefix(key, queryPrefix) || strings.HasPrefix(key, probePrefix)
}

// keep adds a value to the series of the gauges that read it. A probe's value
// is also one more probe of the uptime.
func (r *rollout) keep(b *batch, key string, v float64) {
	x := &adder{r: r, b: b, at: toMS(b.now)}
	for _, d := range r.defs {
		m := d.m
		switch {
		case m.Kind == plan.Computed && m.Name == "uptime" && strings.HasPrefix(key, probePrefix):
			x.put(m.Name+allSuffix, int(judge.Exposed), sample{at: x.at, n: 1})
			if v > 0 {
				x.put(m.Name, int(judge.Exposed), sample{at: x.at, n: 1})
			}
		case m.Kind != plan.Gauge:
		case gaugeKey(r.target.Plan, m, judge.Exposed) == key:
			x.put(m.Name, int(judge.Exposed), sample{at: x.at, n: 1, value: v, measured: true})
		case len(m.Queries) > 0 && gaugeKey(r.target.Plan, m, judge.AssignedOld) == key:
			x.put(m.Name, int(judge.AssignedOld), sample{at: x.at, n: 1, value: v, measured: true})
		}
	}
}

// fetched is the state of a source that the server asks itself: of a query,
// of both groups' queries, or for the uptime of the project's probes. It fails
// when the last good answer is older than grace.
func (e *Engine) fetched(p *plan.Plan, project string, m *plan.Metric, now time.Time) judge.Source {
	s := judge.Source{Name: m.Source, State: judge.Delivering}
	var keys []string
	if m.Kind == plan.Computed {
		if newest := e.newestProbe(project); newest != "" {
			keys = []string{newest}
		}
	} else if m.Kind == plan.Gauge {
		keys = []string{gaugeKey(p, m, judge.Exposed)}
		if len(m.Queries) > 0 {
			keys = append(keys, gaugeKey(p, m, judge.AssignedOld))
		}
	}
	for _, key := range keys {
		v, ok := e.values[valueKey(project, key)]
		why := e.pullErrors[valueKey(project, key)]
		switch {
		case !ok:
			if why == "" {
				why = "it has not been asked: is it in sources of the server's configuration?"
			}
			return judge.Source{Name: m.Source, State: judge.NeverDelivered, Error: why}
		case now.Sub(v.At) > p.Judge.NoData.Grace:
			s.State, s.Since, s.Error = judge.Failing, v.At, why
		}
	}
	if len(keys) == 0 {
		s.State, s.Error = judge.NeverDelivered, fmt.Sprintf("no %s is configured: add one to sources in the server's configuration", m.Source)
	}
	return s
}

// newestProbe is the key of the project's probe that answered last, "" = none.
func (e *Engine) newestProbe(project string) (newest string) {
	var at time.Time
	for stored, v := range e.values {
		of, key := cutValueKey(stored)
		if strings.HasPrefix(key, probePrefix) && sameProject(of, project) && (newest == "" || v.At.After(at)) {
			newest, at = key, v.At
		}
	}
	return newest
}

// note is what stands behind a fetched number, with its brackets, "" = nothing.
func note(text string) string {
	if i := strings.Index(text, noteMark); i >= 0 {
		return text[i+1:]
	}
	return ""
}
