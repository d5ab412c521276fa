package judge

import (
	"math"

	"serin/internal/plan"
	"serin/internal/stats"
)

// What is here compares shares: bad outcomes of trials, such as requests that
// failed. The tests are those of odds on closed blocks, whatever the share is:
// given how many of a block's trials were bad, who had them does not depend on how
// many trials either arm had in it, so that an arm which comes at other hours is
// not blamed for them (docs/statistics.md, "Shares").

// rare is the share of bad outcomes up to which a proof is told to need bad
// outcomes, and not trials.
const rare = 0.05

// compareRatio tests a share, deflated by the design effect of users whose trials
// are alike.
func (l *look) compareRatio(m *plan.Metric, t Tests) *comparison {
	c := &comparison{starts: begun(t, t.Blocks), what: "trials", none: noBlock, approx: t.Phi > 1 || t.Anonymous}
	var bad, all int64
	for _, b := range t.Blocks {
		c.units += b.New + b.Old
		bad, all = bad+b.BadOld, all+b.Old
	}
	c.sample = func(start int) Sample { return c.loads(t.Blocks, start, true) }
	c.harm = func(x float64) (stats.Best, string) {
		per := t.Ledger.OddsPerStart(x, predicted(t.Blocks, x, m.UpGood), c.starts, t.phi)
		return stats.BestStart(per, l.place.Planned), ""
	}
	c.safe = func(x float64) (float64, string) {
		return t.Ledger.ShareSafe(x, predicted(t.Blocks, x, m.UpGood), c.starts-1, x, t.phi(c.starts-1)), ""
	}
	since := map[int]*shareSince{}
	stage := func(start int) int {
		if start < 0 {
			return c.starts - 1
		}
		return start
	}
	of := func(start int) *shareSince {
		start = stage(start)
		if since[start] == nil {
			since[start] = newShareSince(stats.BlocksFrom(t.Blocks, start), m.UpGood)
		}
		return since[start]
	}
	c.sinceStart = func(start int) (float64, bool) { return of(start).estimate() }
	c.interval = func(start int, alpha float64) (low, high float64, ok bool) {
		return of(start).interval(alpha, t.phi(stage(start)))
	}
	c.need = func(margin, alpha float64) (have, want int64) { return c.needTrials(t, margin, alpha, m.UpGood) }
	if !m.UpGood && float64(bad) <= rare*float64(all) {
		c.needs = "bad outcomes"
		c.need = func(margin, alpha float64) (have, want int64) {
			have, want = needUsers(of(-1).strata, margin, alpha)
			return have, int64(math.Ceil(float64(want) * max(t.Phi, 1)))
		}
	}
	return c
}

// needTrials is how many trials the stage has and how many a proof of "not worse
// than by margin" takes if nothing is wrong.
func (c *comparison) needTrials(t Tests, margin, alpha float64, upGood bool) (have, want int64) {
	s := c.loads(t.Blocks, -1, true)
	if s.OfNew == 0 || s.OfOld == 0 {
		return 0, 0
	}
	q := float64(s.Old) / float64(s.OfOld)
	share := float64(s.OfNew) / float64(s.OfNew+s.OfOld)
	null, ok := psi(q, margin, upGood)
	if !ok {
		return 0, 0
	}
	return s.OfNew + s.OfOld, proofLoads(stats.OddsBound(share, q, q, null, alpha), t.Phi)
}

// shareSince is how the arms' shares compare since a start. Compared is the rarer
// of the two outcomes, which says most; what the metric counts may be the other.
type shareSince struct {
	strata []stats.Stratum // of the rarer outcome
	// other is set when that is not what the metric counts; q is its share in
	// control.
	other bool
	q     float64
	// known are the intervals that were asked for, by level.
	known map[float64]ratioRange
}

// ratioRange is an interval of a ratio; ok is false where the data say nothing.
type ratioRange struct {
	low, high float64
	ok        bool
}

func newShareSince(blocks []stats.Block, upGood bool) *shareSince {
	var bad, all int64
	for _, b := range blocks {
		bad, all = bad+b.BadOld, all+b.Old
	}
	s := &shareSince{known: map[float64]ratioRange{}}
	good := 2*bad > all
	if good {
		bad = all - bad
	}
	s.other = good != upGood
	s.q = float64(bad) / float64(max(all, 1))
	s.strata = stats.BlockStrata(blocks, good)
	return s
}

// told turns a ratio of the rarer outcome into that of what the metric counts.
func (s *shareSince) told(ratio float64) float64 {
	if !s.other {
		return ratio
	}
	return max(0, (1-ratio*s.q)/(1-s.q))
}

func (s *shareSince) estimate() (float64, bool) {
	ratio, ok := stats.Estimate(s.strata)
	return s.told(ratio), ok
}

func (s *shareSince) interval(alpha, phi float64) (low, high float64, ok bool) {
	known, found := s.known[alpha]
	if !found {
		i, ok := stats.RatioIntervalDeflated(s.strata, alpha, phi)
		known = ratioRange{s.told(i.Low), s.told(i.High), ok}
		if s.other {
			known.low, known.high = known.high, known.low
		}
		s.known[alpha] = known
	}
	return known.low, known.high, known.ok
}

// predicted sets the null of every block to "worse by x" at the control's level
// in the blocks before it, which is fixed before the block begins. Where none of
// control was bad yet it is the limit of rare outcomes, 1+x.
func predicted(blocks []stats.Block, x float64, upGood bool) []stats.Block {
	out := make([]stats.Block, 0, len(blocks))
	var bad, all int64
	for _, b := range blocks {
		null, ok := psi(float64(bad)/float64(max(all, 1)), x, upGood)
		if bad == 0 && !upGood {
			null, ok = 1+x, true
		}
		if ok {
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
