package plan

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// metricKinds are the keys of which a metric has exactly one.
var metricKinds = []string{"count", "users", "ratio", "p50", "p75", "p90", "p95", "p99", "avg", "gauge", "slope", "age"}

// counted are what count and users can be of.
var counted = []string{"events", "issues", "spans", "pages", "requests", "sessions", "feedback", "survey", "actions"}

var metricSources = []string{"telemetry", "feedback", "survey", "usage", "prometheus", "probe", "push", "alertmanager"}

// unitNames translates a plan's units to a Metric's.
var unitNames = map[string]string{"count": "", "number": "", "%": "%", "ms": "ms", "s": "s", "bytes": "B"}

// metrics reads the plan's own metrics over the built-in ones.
func (r *reader) metrics(n *yaml.Node) {
	if n == nil {
		return
	}
	o := r.object(n, "metrics", "metrics.")
	written := map[string]*object{}
	for _, key := range o.names() {
		if !metricForm.MatchString(key.Value) || key.Value == traffic.Name {
			r.fail(key, "E03", fmt.Sprintf("metric %q", key.Value), "use small letters, digits and _, a letter first; traffic is taken")
			continue
		}
		if v := o.get(key.Value); v != nil {
			if f := r.metric(key, v); f != nil {
				written[key.Value] = f
			}
		}
	}
	for _, key := range o.names() {
		if f := written[key.Value]; f != nil {
			r.metricLinks(f, r.plan.Metrics[key.Value])
		}
	}
}

// metric reads one metric; its links to others are checked when all are read.
func (r *reader) metric(key, n *yaml.Node) *object {
	known := append(append([]string{}, metricKinds...), "where", "source", "query", "unit", "good", "over", "weight", "dry", "scope")
	o := r.object(n, "metric "+key.Value, "metrics."+key.Value+".", known...)
	if o == nil {
		return nil
	}
	m := &Metric{Name: key.Value, Title: key.Value, Source: "telemetry", Weight: 1, Line: key.Line}
	builtin := r.plan.Metrics[key.Value]
	if builtin != nil && builtin.BuiltIn {
		m.Title, m.UpGood = builtin.Title, builtin.UpGood
	}
	kinds := 0
	for _, k := range metricKinds {
		if v := o.get(k); v != nil {
			kinds++
			r.metricKind(o, m, k, v)
		}
	}
	switch {
	case kinds > 1:
		r.fail(n, "E03", fmt.Sprintf("metric %q has %d definitions", m.Name, kinds), "give one of "+strings.Join(metricKinds, ", "))
		return nil
	case kinds == 0 && o.fields["query"] == nil && builtin != nil && builtin.BuiltIn:
		copied := *builtin // only its where, weight or mark is changed
		m, copied.Line = &copied, key.Line
		copied.BuiltIn = false
	case kinds == 0 && o.fields["query"] == nil:
		r.fail(n, "E03", fmt.Sprintf("metric %q has no definition", m.Name), "give one of "+strings.Join(metricKinds, ", "))
		return nil
	case kinds == 0:
		m.Kind, m.Source = Gauge, "prometheus"
	}
	r.metricRest(o, m)
	r.plan.Metrics[m.Name] = m
	return o
}

// metricKind reads the one key that says how the metric is computed.
func (r *reader) metricKind(o *object, m *Metric, k string, v *yaml.Node) {
	if k == "ratio" {
		m.Kind, m.Unit = Ratio, "%"
		if pair := r.texts(v, "ratio", false); len(pair) == 2 {
			m.Of, m.Per = pair[0], pair[1]
		} else if v.Kind == yaml.SequenceNode {
			r.fail(v, "E03", "ratio of "+strconv.Itoa(len(v.Content)), "name two metrics: ratio: [errors, requests]")
		}
		return
	}
	text, ok := r.text(v, k)
	if !ok {
		return
	}
	switch m.Kind = Kind(k); m.Kind {
	case Count, Users:
		m.Of = text
		if !contains(counted, text) {
			r.missing(v, k, text, "data", counted)
		}
		switch text {
		case "feedback", "survey":
			m.Source = text
		case "actions":
			m.Source = "usage"
		}
	case Gauge, Slope, Age:
		m.Of = text
		if m.Kind == Slope {
			m.Unit = "%"
		} else if m.Kind == Age {
			m.Unit = "ms"
		}
	case Average:
		m.field(text)
	default:
		q, _ := strconv.Atoi(strings.TrimPrefix(k, "p"))
		m.Kind, m.Q = Quantile, float64(q)/100
		m.field(text)
	}
}

// field sets the field of a quantile or an average, what it is of, and its unit.
func (m *Metric) field(name string) {
	m.Field, m.Of, m.Unit = name, "events", ""
	switch {
	case strings.HasPrefix(name, "measurements."):
		m.Of, m.Unit = "pages", "ms"
		if name == "measurements.cls" {
			m.Unit = ""
		}
	case name == "duration":
		m.Of, m.Unit = "spans", "ms"
	case name == "score":
		m.Of, m.Source = "survey", "survey"
	}
}

// metricRest reads the keys that any metric may have.
func (r *reader) metricRest(o *object, m *Metric) {
	if v := o.get("where"); v != nil {
		if text, ok := r.filter(v, "where"); ok {
			m.Where = text
		}
	}
	if v := o.get("query"); v != nil {
		r.query(v, m)
	}
	o.word("source", &m.Source, metricSources...)
	unit, good, scope := "", "", ""
	o.word("unit", &unit, "count", "%", "ms", "s", "bytes", "number")
	if unit != "" {
		m.Unit = unitNames[unit]
	}
	if o.word("good", &good, "up", "down"); good != "" {
		m.UpGood = good == "up"
	}
	o.duration("over", &m.Over)
	if v := o.get("weight"); v != nil {
		w, err := strconv.ParseFloat(v.Value, 64)
		if v.Kind != yaml.ScalarNode || !plain(v) || err != nil || !(w > 0) || math.IsInf(w, 0) {
			r.fail(v, "E03", fmt.Sprintf("weight %q", v.Value), "write a number above 0")
		} else {
			m.Weight = w
		}
	}
	o.boolean("dry", &m.Dry)
	if o.word("scope", &scope, "plan", "all"); scope != "" {
		m.All = scope == "all"
	}
	if m.Kind == Quantile || m.Kind == Average || m.Kind == Count || m.Kind == Users {
		if m.Of == "spans" && strings.Contains(m.Where, whereRequest) {
			m.Of = "requests"
		}
	}
	m.User = m.byUser()
}

// byUser reports whether the metric can be told for each group of users.
func (m *Metric) byUser() bool {
	switch {
	case m.Kind == Computed:
		return m.Name != "uptime"
	case len(m.Queries) > 0:
		return true
	case m.Source == "prometheus" || m.Source == "probe" || m.Source == "push" || m.Source == "alertmanager":
		return false
	}
	return m.Kind != Gauge && m.Kind != Slope && m.Kind != Age
}

func (r *reader) query(v *yaml.Node, m *Metric) {
	m.Source = "prometheus"
	if v.Kind == yaml.ScalarNode {
		if text, ok := r.text(v, "query"); ok {
			m.Query = text
		}
		return
	}
	o := r.object(v, "query", "metrics."+m.Name+".query.", "new", "old")
	o.need("new", "old")
	var fresh, old string
	o.text("new", &fresh)
	o.text("old", &old)
	m.Queries = map[string]string{"new": fresh, "old": old}
}

// metricLinks checks what needs all metrics: ratios and slopes.
func (r *reader) metricLinks(o *object, m *Metric) {
	check := func(key, name string) {
		switch other := r.plan.Metrics[name]; {
		case name == "":
		case other == nil:
			f := unknownMetric(name, r.plan.Metrics)
			r.fail(o.get(key), f.code, f.what, f.fix)
		case name == m.Name, other.Kind == Ratio && m.Kind == Ratio, other.Kind == Slope:
			r.fail(o.get(key), "E05", fmt.Sprintf("%s %q of %q", key, name, m.Name), "use a metric that is not derived itself")
		}
	}
	if o.fields["ratio"] != nil {
		check("ratio", m.Of)
		check("ratio", m.Per)
		a, b := r.plan.Metrics[m.Of], r.plan.Metrics[m.Per]
		m.User = a != nil && b != nil && a.User && b.User
		if a != nil && m.Source == "telemetry" && a.Source != "telemetry" {
			m.Source = a.Source
		}
	}
	if o.fields["slope"] != nil {
		check("slope", m.Of)
		if m.Over == 0 {
			r.fail(o.node, "E03", fmt.Sprintf("slope of %q", m.Of), "say over what: over: 6h")
		}
		if a := r.plan.Metrics[m.Of]; a != nil && o.fields["source"] == nil {
			m.Source = a.Source
		}
	}
}

// builtinLinks gives the built-in slope the source of what it is the slope of.
func (p *Plan) builtinLinks() {
	for _, m := range p.Metrics {
		if a := p.Metrics[m.Of]; m.BuiltIn && m.Kind == Slope && a != nil {
			m.Source = a.Source
		}
	}
}
