package backtest

import (
	"maps"
	"slices"

	"serin/internal/plan"
)

// Unrecorded says why a metric of the plan that is tried cannot be answered from
// what was recorded under another plan; "" = it can.
func Unrecorded(tried, recorded *plan.Plan, metric string) string {
	m := tried.Metrics[metric]
	if m == nil {
		return "it is no metric of the plan"
	}
	was := recorded.Metrics[metric]
	switch {
	case m.Of == "issues":
		return "which issues were open at a time is not kept"
	case m.Kind == plan.Average:
		return "means by user are not kept by time"
	case outside(m.Source), m.Kind == plan.Gauge, m.Kind == plan.Slope, m.Kind == plan.Age:
		return "values from outside are not kept by time"
	case was == nil:
		return "the rollout's plan does not count it"
	case was.Kind != m.Kind || was.Of != m.Of || was.Per != m.Per || was.Field != m.Field || was.Where != m.Where || was.Q != m.Q:
		return "the rollout's plan counts it in another way"
	}
	for _, part := range []string{m.Of, m.Per} {
		if m.Kind == plan.Ratio && part != "" {
			if why := Unrecorded(tried, recorded, part); why != "" {
				return part + ": " + why
			}
		}
	}
	return ""
}

// outside reports whether a source delivers values, not events of users, which
// are counted minute by minute.
func outside(source string) bool {
	switch source {
	case "", "telemetry", "feedback", "survey", "usage":
		return false
	}
	return true
}

// Elsewhere says how the users and pages that a plan is about differ from those
// of the plan under which was recorded; "" = they do not.
func Elsewhere(tried, recorded *plan.Plan) string {
	a, b := tried.Scope, recorded.Scope
	switch {
	case tried.Flag.Key != recorded.Flag.Key:
		return "its flag is " + tried.Flag.Key + ", what was recorded is of " + recorded.Flag.Key
	case tried.Environment != recorded.Environment:
		return "it is for another environment"
	case !slices.Equal(a.Pages, b.Pages) || a.Spans != b.Spans || !maps.Equal(a.Tags, b.Tags):
		return "its scope is another"
	case tried.Flag.Audience.Text != recorded.Flag.Audience.Text:
		return "its audience is another"
	}
	return ""
}
