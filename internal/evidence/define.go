package evidence

import (
	"fmt"
	"strings"

	"serin/internal/plan"
	"serin/internal/telemetry"
)

// groups is the number of groups a series has: the judge's three, and all
// known members of the audience.
const (
	groups        = 4
	groupAudience = 3
)

// Series beside the metrics. Their names cannot be metric names.
const (
	seriesActive   = ""          // any telemetry of a user
	seriesAlive    = "~alive"    // signs of life of the project
	seriesScope    = "~scope"    // events in scope
	seriesKnown    = "~known"    // of events in scope: attributed
	seriesReported = "~reported" // of the attributed: by the client's word alone
	seriesBoth     = "~both"     // of the attributed: by the client's word and by the hash
	seriesNoArm    = "~no-arm"   // of events in scope: not attributed
	seriesConflict = "~conflict" // arms that differ
	seriesSkipped  = "~skipped"  // of exposed users, not counted by fixed rules
	seriesLost     = "~lost"     // reported as lost by clients
	allSuffix      = "~all"      // denominators of computed shares
	pagesSuffix    = "~pages"    // page loads, for requests where none arrive
	lateSuffix     = "~late"     // late events, by event time: charts only
)

// definition is a metric compiled for counting.
type definition struct {
	m        *plan.Metric
	filter   telemetry.Filter
	where    string // of filter
	filterID int    // of shared, where a rollout has the definition
	// compared: a rule compares it with control or baseline, so its tests are kept.
	compared bool
	counted  bool // a count or user metric of telemetry: judged on arrival
	// shares are the compared shares of which this is a part.
	shares []*definition
}

// compile reads the metrics of a plan.
func compile(p *plan.Plan) ([]*definition, error) {
	compared := comparedMetrics(p)
	var defs []*definition
	for name, m := range p.Metrics {
		where := m.Where
		if m.Of == "issues" {
			where = "" // filters of issues are not about events
		}
		f, err := telemetry.ParseFilter(where)
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", name, err)
		}
		if m.Name != name {
			copied := *m
			copied.Name = name
			m = &copied
		}
		counted := (m.Kind == plan.Count || m.Kind == plan.Users) && m.Of != "requests" && m.Of != "sessions" && m.Of != "pages" && m.Of != "spans"
		defs = append(defs, &definition{m: m, filter: f, where: where, compared: compared[name], counted: counted || isFailure(m)})
	}
	for _, share := range defs {
		if share.m.Kind != plan.Ratio || !share.compared {
			continue
		}
		for _, part := range defs {
			if part.m.Name == share.m.Of || part.m.Name == share.m.Per {
				part.shares = append(part.shares, share)
			}
		}
	}
	return defs, nil
}

// isFailure recognises counts over frequent records that a filter makes rare.
func isFailure(m *plan.Metric) bool {
	return (m.Kind == plan.Count || m.Kind == plan.Users) && m.Where != "" && !strings.EqualFold(m.Where, "op:http.server")
}

// comparedMetrics lists the metrics that some rule compares, with the parts
// of compared ratios.
func comparedMetrics(p *plan.Plan) map[string]bool {
	out := map[string]bool{}
	for _, r := range rulesOf(p) {
		if r.Ref != plan.None && r.Ref != plan.Expected {
			out[r.Metric] = true
		}
	}
	for name := range out {
		if m := p.Metrics[name]; m != nil && m.Kind == plan.Ratio {
			out[m.Of] = true
		}
	}
	return out
}

// rulesOf are all rules of a plan, some more than once.
func rulesOf(p *plan.Plan) (out []*plan.Rule) {
	take := func(rules []*plan.Rule) {
		for _, r := range rules {
			if r != nil {
				out = append(out, r)
			}
		}
	}
	take(p.Rollback)
	take(p.Reduce)
	for _, s := range p.Stages {
		take(s.Proceed)
		for _, c := range s.Checks {
			take(c.Expect)
		}
	}
	for _, c := range p.Criteria {
		take(c.Rules)
	}
	for _, a := range p.Alerts {
		take([]*plan.Rule{a.If})
	}
	for _, t := range p.Dashboard.Targets {
		take(t.Rules)
	}
	take(p.Incident.Opens)
	take([]*plan.Rule{p.Incident.Severe})
	for _, b := range p.Incident.Tree {
		take([]*plan.Rule{b.If})
	}
	return out
}

// of reports whether events of a kind are what a metric counts.
func of(what string, k telemetry.Kind) bool {
	switch what {
	case "events":
		return k == telemetry.KindError
	case "spans":
		return k == telemetry.KindSpan || k == telemetry.KindRequest
	case "requests":
		return k == telemetry.KindRequest
	case "pages":
		return k == telemetry.KindPage
	case "sessions":
		return k == telemetry.KindSession
	case "feedback":
		return k == telemetry.KindFeedback
	case "survey":
		return k == telemetry.KindSurvey
	case "actions":
		return k == telemetry.KindAction
	}
	return false
}

// measure reports whether the metric takes e, and the value it takes.
func (d *definition) measure(e *telemetry.Event) (value float64, measured, ok bool) {
	value, measured, ok = d.value(e)
	return value, measured, ok && d.filter.Match(e, e.Received)
}

// value is measure without the filter.
func (d *definition) value(e *telemetry.Event) (value float64, measured, ok bool) {
	m := d.m
	switch m.Kind {
	case plan.Count, plan.Users:
		return 0, false, of(m.Of, e.Kind)
	case plan.Quantile, plan.Average:
		vital := m.Of == "pages" && e.Kind == telemetry.KindVital
		if !vital && !of(m.Of, e.Kind) {
			return 0, false, false
		}
		if value, ok = e.Number(m.Field); !ok || value != value {
			return 0, false, false
		}
		return value, true, true
	}
	return 0, false, false
}
