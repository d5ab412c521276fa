package judge

import (
	"fmt"
	"slices"

	"serin/internal/plan"
)

// How the budget for false rollbacks is divided (section "Budget" of
// docs/statistics.md): an attempt starts with firstShare of it, and what its
// r-th revision adds or changes has revisedShare/2^r together.
const (
	firstShare   = 0.9
	revisedShare = 0.1
)

// Levels divides the budget for false rollbacks of one attempt, at most alpha,
// among the metrics that rules which act compare with control. begun is the
// plan under which the attempt began, now the one in force after revisions
// changes of plan since (0 = none; then both are the same).
//
// A metric whose acting rules are as they were keeps the level of the begin,
// also when a revision takes others away: a level that rose later would be
// spent twice. The levels of all plans an attempt may go through sum to at
// most alpha. again are the metrics whose comparisons a revision let begin empty:
// what they were tested on before is spent, also where a later revision gives them
// their first rules back.
func Levels(begun, now *plan.Plan, revisions int, alpha float64, again ...string) map[string]float64 {
	first, present := shares(begun), shares(now)
	out := make(map[string]float64, len(present))
	late := alpha * revisedShare
	for range revisions {
		late /= 2
	}
	for name, share := range present {
		if was, ok := first[name]; ok && acting(begun, name) == acting(now, name) && !slices.Contains(again, name) {
			out[name] = alpha * firstShare * was
		} else {
			out[name] = late * share
		}
	}
	return out
}

// shares are the metrics' shares of the budget: a metric's weight over the sum
// of the weights of all metrics that rules which act compare with control.
// Rules on the same metric share it.
func shares(p *plan.Plan) map[string]float64 {
	out := map[string]float64{}
	var sum float64
	for _, r := range compared(p) {
		if m := p.Metrics[r.Metric]; m != nil && out[r.Metric] == 0 {
			out[r.Metric] = weightOf(m)
			sum += weightOf(m)
		}
	}
	for name := range out {
		out[name] /= sum
	}
	return out
}

// Revised lists the metrics whose tests a revision adds or changes, by name: they
// begin empty with it. A rule that somebody writes with the counts before his eyes
// must not be tested on them.
func Revised(was, now *plan.Plan) []string {
	var out []string
	present := shares(was)
	for metric := range shares(now) {
		if _, ok := present[metric]; !ok || acting(was, metric) != acting(now, metric) {
			out = append(out, metric)
		}
	}
	slices.Sort(out)
	return out
}

// compared are the rules that act and compare with control.
func compared(p *plan.Plan) []*plan.Rule {
	var out []*plan.Rule
	for _, rules := range [][]*plan.Rule{p.Rollback, p.Reduce} {
		for _, r := range rules {
			if r.Ref == plan.Control || r.Ref == plan.Reference {
				out = append(out, r)
			}
		}
	}
	return out
}

// acts reports whether a rule that acts compares a metric with control. Alerts and
// what opens incidents move no traffic: on other metrics each has false_rollback as
// its own chance of a false alarm in an attempt.
func acts(p *plan.Plan, metric string) bool {
	return slices.ContainsFunc(compared(p), func(r *plan.Rule) bool { return r.Metric == metric })
}

// acting is what makes a metric's acting rules the same in two plans: what they
// say, the margin they are tested at, and how the metric and its parts are counted.
func acting(p *plan.Plan, metric string) string {
	text := fmt.Sprintln(p.Judge.Margin)
	for _, r := range compared(p) {
		if r.Metric == metric {
			text += fmt.Sprintln(r.Op, r.Value, r.Ref, r.Over, r.For)
		}
	}
	m := p.Metrics[metric]
	if m == nil {
		return text
	}
	for _, part := range []*plan.Metric{m, p.Metrics[m.Of], p.Metrics[m.Per]} {
		if part != nil {
			text += fmt.Sprintln(part.Kind, part.Of, part.Per, part.Field, part.Q, part.Where)
		}
	}
	return text
}

func weightOf(m *plan.Metric) float64 {
	if m.Weight > 0 {
		return m.Weight
	}
	return 1
}

// level is the budget of a metric.
func (p Place) level(metric string) float64 { return p.Levels[metric] }
