package evidence

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"serin/internal/alert"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/store"
)

// The keys of what other systems tell of their alerts: alertGauge and the name
// of an alert, how many of it fire; heardKey, when anything was told at all.
// Nobody can push them.
const (
	alertGauge = reservedMark + "alert "
	heardKey   = reservedMark + "alerts"
)

// outsideAge is how long the last word of other systems' alerts counts, and
// heardEvery how often it is stored.
const (
	outsideAge = 24 * time.Hour
	heardEvery = time.Minute
)

// AlertsHeard makes durable how many of other systems' alerts fire, all or
// none. Metrics with the source alertmanager read it. told names the projects
// that something was told of now. The errors are Accept's.
func (e *Engine) AlertsHeard(ctx context.Context, counts []alert.Count, told ...string) error {
	now := e.clock.Now()
	var values []store.KeyValue
	e.mu.Lock()
	for _, c := range counts {
		key, text := valueKey(c.Project, alertGauge+c.Name), countText(c)
		if e.values[key].Text != text {
			values = append(values, store.KeyValue{Key: key, Value: store.Value{Text: text, At: now}})
		}
	}
	for _, project := range told {
		key := valueKey(project, heardKey)
		if at := e.values[key].At; now.Sub(at) >= heardEvery {
			values = append(values, store.KeyValue{Key: key, Value: store.Value{Text: "heard", At: now}})
		}
	}
	e.mu.Unlock()
	if len(values) == 0 {
		return nil
	}
	return e.putValues(ctx, values)
}

// countText is a count as it is stored: 3 {"checkout-1"=2}.
func countText(c alert.Count) string {
	text := strconv.Itoa(c.All)
	for i, rollout := range slices.Sorted(maps.Keys(c.ByRollout)) {
		text += []string{noteMark, ","}[min(i, 1)] + strconv.Quote(rollout) + "=" + strconv.Itoa(c.ByRollout[rollout])
	}
	if len(c.ByRollout) > 0 {
		text += "}"
	}
	return text
}

// firingFor is how many alerts of a stored count concern a rollout: those that
// name none, and those that name it or its plan.
func firingFor(text, rollout, planName string) float64 {
	number, rest, _ := strings.Cut(text, noteMark)
	all, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0
	}
	for rest != "" && rest != "}" {
		name, err := strconv.QuotedPrefix(rest)
		if err != nil {
			break
		}
		var n string
		n, rest, _ = strings.Cut(strings.TrimPrefix(rest[len(name):], "="), ",")
		named, _ := strconv.Unquote(name)
		count, _ := strconv.Atoi(strings.TrimSuffix(n, "}"))
		if named != rollout && named != planName {
			all -= float64(count)
		}
	}
	return all
}

// outside is the value of a metric of other systems' alerts: none of a name
// fires until one was told of.
func (v *view) outside(m *plan.Metric) judge.Window {
	t := v.r.target
	heard, ok := v.e.values[valueKey(t.Project, heardKey)]
	if !ok {
		return judge.Window{}
	}
	told := v.e.values[valueKey(t.Project, alertGauge+m.Of)]
	return judge.Window{Value: firingFor(told.Text, t.Rollout, t.Plan.Name), Known: true, Count: 1, Last: heard.At}
}

// outsideSource is the state of the systems that tell of their alerts.
func (e *Engine) outsideSource(project string, m *plan.Metric, now time.Time) judge.Source {
	s := judge.Source{Name: m.Source, State: judge.Delivering}
	switch heard, ok := e.values[valueKey(project, heardKey)]; {
	case !ok:
		s.State, s.Error = judge.NeverDelivered, "no alert was ever told: set the address of serin as a receiver in Alertmanager"
	case now.Sub(heard.At) > outsideAge:
		s.State, s.Since, s.Error = judge.Failing, heard.At.Add(outsideAge), "nothing was told for a day: an alert that always fires, such as Watchdog, tells that the way is open"
	}
	return s
}
