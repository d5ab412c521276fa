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

// perStart runs a test of blocks for every start. For loads, process s is all
// blocks from stage s on.
func perStart(blocks []stats.Block, starts, planned int, test func([]stats.Block) float64) stats.Best {
	per := make([]float64, starts)
	for s := range per {
		per[s] = test(stats.BlocksFrom(blocks, s))
	}
	return stats.BestStart(per, planned)
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
		return stats.BestStart(t.Ledger.OddsPerStart(float64(stats.Shift(x)), b, c.starts, t.Phi), l.place.Planned), ""
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

// rare is the share of bad outcomes up to which a proportion is tested as a
// rate, with its exposures as trials.
const rare = 0.05

// compareRatio tests a proportion: rare ones by their rate per trial, common
// ones and those of which more is better by odds.
func (l *look) compareRatio(m *plan.Metric, t Tests) *comparison {
	c := &comparison{starts: begun(t, t.Blocks), what: "trials", none: noBlock, approx: t.Phi > 1}
	var bad, all int64
	for _, b := range t.Blocks {
		c.units += b.New + b.Old
		bad, all = bad+b.BadOld, all+b.Old
	}
	c.sample = func(start int) Sample { return c.loads(t.Blocks, start, true) }
	if !m.UpGood && float64(bad) <= rare*float64(all) {
		l.asRate(c, t)
		return c
	}
	c.interval = func(start int, alpha float64) (low, high float64, ok bool) {
		s := c.loads(t.Blocks, start, true)
		lowA, highA, okA := stats.ProportionInterval(s.New, s.OfNew, t.Phi, alpha/2)
		lowB, highB, okB := stats.ProportionInterval(s.Old, s.OfOld, t.Phi, alpha/2)
		if m.UpGood { // bad is what the metric does not count
			lowA, highA, lowB, highB = 1-highA, 1-lowA, 1-highB, 1-lowB
		}
		return lowA / highB, highA / lowB, okA && okB && lowB > 0
	}
	c.need = func(margin, alpha float64) (have, want int64) {
		s := c.loads(t.Blocks, -1, true)
		if s.OfNew == 0 || s.OfOld == 0 {
			return 0, 0
		}
		q := float64(s.Old) / float64(s.OfOld)
		share := float64(s.OfNew) / float64(s.OfNew+s.OfOld)
		null, ok := psi(q, margin, m.UpGood)
		if !ok {
			return 0, 0
		}
		return s.OfNew + s.OfOld, proofLoads(stats.OddsBound(share, q, q, null, alpha), t.Phi)
	}
	c.harm = func(x float64) (stats.Best, string) {
		per := t.Ledger.OddsPerStart(x, predicted(t.Blocks, x, m.UpGood), c.starts, t.Phi)
		return stats.BestStart(per, l.place.Planned), ""
	}
	c.safe = func(x float64) (float64, string) {
		return t.Ledger.OddsSafe(x, predicted(t.Blocks, x, m.UpGood), c.starts-1, x, t.Phi), ""
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

// asRate fills the tests of a rare proportion.
func (l *look) asRate(c *comparison, t Tests) {
	c.strata = func(start int) []stats.Stratum { return trials(stats.BlocksFrom(t.Blocks, start)) }
	c.stage = func() []stats.Stratum { return trials(stats.BlocksOf(t.Blocks, c.starts-1)) }
	c.needs = "bad outcomes"
	c.need = func(margin, alpha float64) (have, want int64) {
		have, want = needUsers(c.stage(), margin, alpha)
		return have, int64(math.Ceil(float64(want) * max(t.Phi, 1)))
	}
	c.harm = func(x float64) (stats.Best, string) {
		return perStart(t.Blocks, c.starts, l.place.Planned, func(b []stats.Block) float64 {
			return stats.RatioEDeflated(trials(b), 1+x, t.Phi)
		}), ""
	}
	c.safe = func(x float64) (float64, string) {
		return stats.RatioSafeDeflated(c.stage(), x, t.Phi), ""
	}
}

// trials sums blocks up by allocation interval: bad outcomes, with the odds
// of measured exposures.
func trials(blocks []stats.Block) []stats.Stratum {
	var out []stats.Stratum
	var seenNew, seenOld int64
	interval := -1
	for _, b := range blocks {
		if b.Interval != interval || len(out) == 0 {
			out, interval, seenNew, seenOld = append(out, stats.Stratum{}), b.Interval, 0, 0
		}
		s := &out[len(out)-1]
		s.New, s.Old = s.New+b.BadNew, s.Old+b.BadOld
		seenNew, seenOld = seenNew+b.New, seenOld+b.Old
		if seenOld > 0 {
			s.Odds = float64(seenNew) / float64(seenOld)
		}
	}
	return out
}

// predicted sets the null of every block to "worse by x" at the control's
// level in the blocks before it, which is fixed before the block begins.
// Blocks before the first control load carry nothing.
func predicted(blocks []stats.Block, x float64, upGood bool) []stats.Block {
	out := make([]stats.Block, 0, len(blocks))
	var bad, all int64
	for _, b := range blocks {
		if null, ok := psi(float64(bad)/float64(max(all, 1)), x, upGood); ok {
			b.Psi0 = null
			out = append(out, b)
		}
		bad, all = bad+b.BadOld, all+b.Old
	}
	return out
}

// psi is the odds ratio of "worse by x" at a control's level q of bad outcomes,
// false where there is none.
func psi(q, x float64, upGood bool) (float64, bool) {
	worse := q * (1 + x)
	if upGood {
		worse = 1 - (1-q)*(1-x)
	}
	if !(q > 0 && q < 1 && worse < 1) {
		return 0, false
	}
	return worse / (1 - worse) / (q / (1 - q)), true
}
