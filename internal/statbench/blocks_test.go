package statbench

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/stats"
)

// given is evidence made by hand, for metrics that are judged on blocks, and for
// gates. Windows are the same for every span.
type given struct {
	tests   judge.Tests
	windows map[string][3]judge.Window
}

var _ judge.Evidence = given{}

func (g given) Window(metric string, group judge.Group, _, to time.Time) judge.Window {
	w := g.windows[metric][group]
	w.Known, w.Covered, w.Last = true, 24*time.Hour, to
	return w
}
func (g given) Tests(string) judge.Tests              { return g.tests }
func (given) Source(string) judge.Source              { return judge.Source{State: judge.Delivering} }
func (given) Pushed(string) (string, time.Time, bool) { return "", time.Time{}, false }
func (given) Data() judge.Data                        { return judge.Data{Last: start} }

// shown reports whether the shipped judge shows harm, or more, by the rule that
// acts.
func shown(c *course, stage, slot int, g given) bool {
	g.tests.Odds, g.tests.Stage, g.tests.Began = c.odds(stage), c.stageNumbers(stage), c.began(stage)
	verdicts, _ := judge.Judge(c.plan, c.plan.Rollback, judge.Guard, c.place(stage), g, nil, start.Add(time.Duration(slot)*slotLength))
	return verdicts[0].Harm || verdicts[0].Status == judge.Met
}

// pair runs n experiments, each of which says whether the broken and the right
// way went wrong.
func pair(n int, seed uint64, one func(rng *rand.Rand) (broken, right bool)) (broken, right float64) {
	wrong, fine := make([]bool, n), make([]bool, n)
	all(n, func(i int) { wrong[i], fine[i] = one(newRand(seed, i)) })
	return share(n, func(i int) bool { return wrong[i] }), share(n, func(i int) bool { return fine[i] })
}

// timings is the evidence of a quantile: blocks at the margin and at half the
// limit.
func timings(p *plan.Plan, margin, half []stats.Block) given {
	shifted := map[int][]stats.Block{stats.Shift(p.Judge.Margin): margin, stats.Shift(limitOf(p, "lcp") / 2): half}
	one := new(stats.Sketch)
	one.Add(2000)
	w := judge.Window{Sketch: one, Count: 1, Active: activeUsers}
	return given{judge.Tests{Shifted: shifted}, map[string][3]judge.Window{"lcp": {w, w, w}}}
}

// The edge of the null of p75: the new variant is slower by just the margin, so
// that a quarter of its loads lies above the shifted threshold as well; halfSlow
// of these lie above the threshold of half the limit (lognormal, sigma 0.5).
const (
	slow     = 0.25
	halfSlow = 0.76
)

// draw adds loads of both arms to a block, and to that at half the limit.
func draw(rng *rand.Rand, margin, half *stats.Block, loadsNew, loadsOld int, p float64) {
	bad := binomial(rng, loadsNew, p)
	worse := binomial(rng, bad, halfSlow)
	badOld := binomial(rng, loadsOld, p)
	for _, b := range []*stats.Block{margin, half} {
		b.New, b.Old, b.BadOld = b.New+int64(loadsNew), b.Old+int64(loadsOld), b.BadOld+int64(badOld)
	}
	margin.BadNew, half.BadNew = margin.BadNew+int64(bad), half.BadNew+int64(worse)
}

// brokenOpenBlock adds the block that is still open, as it stands, at every tick
// of a minute.
func brokenOpenBlock(t *testing.T, n int) (broken, right float64) {
	const ticks = int(slotLength / time.Minute)
	c := newCourse(stagedPlan(t, "lcp > +30% vs control over 1h"))
	return pair(n, 312, func(rng *rand.Rand) (broken, right bool) {
		var margin, half, openMargin, openHalf []stats.Block
		l := c.stages[0]
		for at := l.from; at < l.to; at++ {
			var m, h stats.Block
			for range ticks {
				loads := small / float64(slotsADay*ticks)
				draw(rng, &m, &h, poisson(rng, loads*l.share), poisson(rng, loads*(1-l.share)), slow)
				openMargin, openHalf = append(openMargin, m), append(openHalf, h)
			}
			margin, half = append(margin, m), append(half, h)
			if (at+1)%(3*slotsAnHour) == 0 {
				broken = broken || shown(c, 0, at+1, timings(c.plan, openMargin, openHalf))
				right = right || shown(c, 0, at+1, timings(c.plan, margin, half))
			}
		}
		return broken, right
	})
}

// brokenCut leaves a block whole in the middle of which the share is raised, and
// everybody's loads become slower.
func brokenCut(t *testing.T, n int) (broken, right float64) {
	const loads, later = 7000, 0.30
	c := newCourse(stagedPlan(t, "lcp > +30% vs control over 1h"))
	return pair(n, 313, func(rng *rand.Rand) (broken, right bool) {
		var margin, half, wholeMargin, wholeHalf []stats.Block
		for stage := 1; stage < len(c.stages); stage++ {
			var m, h [2]stats.Block
			for k, p := range []float64{slow, later} {
				in := stage - 1 + k
				m[k], h[k] = stats.Block{Interval: in, Stage: in}, stats.Block{Interval: in, Stage: in}
				newLoads := binomial(rng, loads/2, c.stages[in].share)
				draw(rng, &m[k], &h[k], newLoads, loads/2-newLoads, p)
			}
			margin, half = append(margin, m[:]...), append(half, h[:]...)
			wholeMargin, wholeHalf = append(wholeMargin, join(m)), append(wholeHalf, join(h))
			at := c.stages[stage].from + 1
			broken = broken || shown(c, stage, at, timings(c.plan, wholeMargin, wholeHalf))
			right = right || shown(c, stage, at, timings(c.plan, margin, half))
		}
		return broken, right
	})
}

// join is two blocks as one.
func join(b [2]stats.Block) stats.Block {
	out := b[1]
	out.New, out.Old = out.New+b[0].New, out.Old+b[0].Old
	out.BadNew, out.BadOld = out.BadNew+b[0].BadNew, out.BadOld+b[0].BadOld
	return out
}

// brokenSketch tests group sizes that were estimated.
func brokenSketch(_ *testing.T, n int) (broken, right float64) {
	const users, alpha = 1_000_000, 0.001
	limit := stats.SRMLimit(1, alpha)
	alarm := func(n [2]int64) bool { return stats.SRM(n[:], []float64{0.5, 0.5}) >= limit }
	return pair(n, 315, func(rng *rand.Rand) (broken, right bool) {
		var exact, estimated [2]int64
		var sketches [2]stats.Set
		for range users {
			hash := rng.Uint64()
			arm := int(hash >> 63)
			exact[arm]++
			sketches[arm].Add(rng.Uint64())
		}
		for arm := range sketches {
			estimated[arm] = sketches[arm].Count()
		}
		return alarm(estimated), alarm(exact)
	})
}

// TestHalfSlow holds the constant by which blocks at half the limit are drawn.
func TestHalfSlow(t *testing.T) {
	const sigma = 0.5
	beyond := func(z float64) float64 { return 0.5 * math.Erfc(z/math.Sqrt2) }
	z := math.Sqrt2 * math.Erfinv(2*(1-slow)-1)
	edges := stats.Edge(stats.Shift(0.15)) / stats.Edge(stats.Shift(0.05))
	if got := beyond(z+math.Log(edges)/sigma) / slow; math.Abs(got-halfSlow) > 0.01 {
		t.Errorf("got %g, the constant is %g", got, halfSlow)
	}
}
