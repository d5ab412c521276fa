package judge

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"serin/internal/plan"
	"serin/internal/stats"
)

// Shifts returns by how many sketch buckets the threshold of a quantile
// metric must be shifted for the plan's comparisons: the keys of
// Tests.Shifted, ascending, each once. It is empty for a metric that no rule
// compares.
func Shifts(p *plan.Plan, metric string) []int {
	seen := map[int]bool{}
	var out []int
	add := func(margin float64) {
		if s := stats.Shift(margin); !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	for _, r := range allRules(p) {
		if r.Metric != metric || r.Ref == plan.None || r.Ref == plan.Expected {
			continue
		}
		x, g := max(r.Value, -r.Value), p.Judge.Margin
		add(min(x, g))
		add(x / 2)
		add(x)
		add(max(x, g))
	}
	slices.Sort(out)
	return out
}

// allRules lists every rule a plan holds.
func allRules(p *plan.Plan) []*plan.Rule {
	var out []*plan.Rule
	one := func(r *plan.Rule) {
		if r != nil {
			out = append(out, r)
		}
	}
	many := func(rules []*plan.Rule) {
		for _, r := range rules {
			one(r)
		}
	}
	many(p.Rollback)
	many(p.Reduce)
	for _, c := range p.Criteria {
		many(c.Rules)
	}
	for _, s := range p.Stages {
		many(s.Proceed)
		for _, c := range s.Checks {
			many(c.Expect)
		}
	}
	for _, a := range p.Alerts {
		one(a.If)
	}
	many(p.Incident.Opens)
	one(p.Incident.Severe)
	for _, b := range p.Incident.Tree {
		one(b.If)
	}
	for _, t := range p.Dashboard.Targets {
		many(t.Rules)
	}
	for _, tasks := range [][]plan.Task{p.Preflight, p.Cleanup.Tasks} {
		for _, t := range tasks {
			if t.Verify != nil {
				one(t.Verify.Rule)
			}
		}
	}
	return out
}

// noBlock is what quantiles and proportions wait for at first.
const noBlock = "no block of loads has closed"

// begun returns the number of starts: one more than the last stage.
func begun(t Tests, blocks []stats.Block) int {
	last := -1
	for _, s := range t.Stage {
		last = max(last, s)
	}
	for _, b := range blocks {
		last = max(last, b.Stage)
	}
	return last + 1
}

// compareQuantile tests loads above the control's quantile, deflated by the
// design effect of sticky users.
func (l *look) compareQuantile(r *plan.Rule, m *plan.Metric, t Tests) *comparison {
	var loads []stats.Block // the same at every shift but for BadNew
	for _, shift := range slices.Sorted(maps.Keys(t.Shifted)) {
		loads = t.Shifted[shift]
		break
	}
	c := &comparison{starts: begun(t, loads), what: "loads", none: noBlock, approx: t.Phi > 1}
	for _, b := range loads {
		c.units += b.New + b.Old
	}
	blocks := func(x float64) ([]stats.Block, string) {
		b, ok := t.Shifted[stats.Shift(x)]
		if !ok {
			return nil, fmt.Sprintf("no blocks were counted at the margin %s", change(x))
		}
		return b, ""
	}
	c.harm = func(x float64) (stats.Best, string) {
		b, why := blocks(x)
		if m.UpGood {
			why = fmt.Sprintf("%s is a quantile of which more is better: not comparable yet", r.Metric)
		}
		if why != "" {
			return stats.Best{}, why
		}
		return stats.BestStart(t.Ledger.OddsPerStart(float64(stats.Shift(x)), b, c.starts, t.phi), l.place.Planned), ""
	}
	c.sample = func(start int) Sample { return c.loads(loads, start, false) }
	c.interval = func(start int, alpha float64) (low, high float64, ok bool) {
		since := l.since(t, start)
		a := l.ev.Window(r.Metric, AssignedNew, since, l.now).Sketch
		b := l.ev.Window(r.Metric, AssignedOld, since, l.now).Sketch
		lowA, highA, okA := stats.QuantileInterval(a, m.Q, t.Phi, alpha/2)
		lowB, highB, okB := stats.QuantileInterval(b, m.Q, t.Phi, alpha/2)
		return lowA / highB, highA / lowB, okA && okB && lowB > 0
	}
	c.need = func(margin, alpha float64) (have, want int64) {
		s := c.loads(loads, -1, false)
		usual := l.ev.Window(r.Metric, AssignedOld, l.place.StageBegan, l.now).Sketch
		threshold, ok := usual.QuantileBucket(m.Q)
		if !ok || s.New == 0 || s.Old == 0 {
			return 0, 0
		}
		above := func(shift int) float64 { return float64(usual.Above(threshold+shift)) / float64(usual.Count()) }
		share := float64(s.New) / float64(s.New+s.Old)
		bound := stats.OddsBound(share, above(stats.Shift(margin)), above(0), 1, alpha)
		return s.New + s.Old, proofLoads(bound, t.Phi)
	}
	c.safe = func(x float64) (float64, string) {
		b, why := blocks(x)
		if why != "" {
			return 0, why
		}
		return t.Ledger.OddsSafe(float64(stats.Shift(x)), b, c.starts-1, x, t.Phi), ""
	}
	return c
}

// loads sums the blocks since a start up, -1 = of the stage: how many there were,
// or how many of them were bad.
func (c *comparison) loads(blocks []stats.Block, start int, bad bool) Sample {
	s := Sample{What: "loads"}
	if bad {
		s.What = "bad"
	}
	if start < 0 {
		start = c.starts - 1
	}
	for _, b := range blocks {
		switch {
		case b.Stage < start:
		case bad:
			s.New, s.Old, s.OfNew, s.OfOld = s.New+b.BadNew, s.Old+b.BadOld, s.OfNew+b.New, s.OfOld+b.Old
		default:
			s.New, s.Old = s.New+b.New, s.Old+b.Old
		}
	}
	return s
}

// overBound and overOdds are how much more than the least possible number of
// users, or of loads, a proof takes on average, measured (docs/statistics.md,
// "Measured").
const (
	overBound = 1.3
	overOdds  = 1.5
)

// proofLoads is how many loads a proof takes, of which phi count as one.
func proofLoads(bound, phi float64) int64 {
	n := math.Ceil(overOdds * bound * max(phi, 1))
	if !(n < math.MaxInt64/2) {
		return 0
	}
	return int64(n)
}

// needUsers is how many units there are in strata and how many a proof takes.
func needUsers(strata []stats.Stratum, margin, alpha float64) (have, want int64) {
	var odds float64
	for _, s := range strata {
		if s.Odds > 0 {
			odds = s.Odds
		}
		have += s.New + s.Old
	}
	if odds <= 0 || math.IsInf(odds, 1) {
		return 0, 0
	}
	return have, int64(math.Ceil(overBound * stats.SafeBound(odds/(1+odds), margin, alpha)))
}

// since is when a start began, -1 = the stage.
func (l *look) since(t Tests, start int) time.Time {
	if start < 0 {
		return l.place.StageBegan
	}
	return l.startBegan(t, start)
}
