package statbench

import (
	"fmt"
	"testing"

	"serin/internal/stats"
)

// variant is a way to break the method, with the scenario that is made to find
// it. Broken and right are the same runs, judged in both ways.
type variant struct {
	name, scenario string
	most           float64 // of runs that may go wrong
	quick          int     // runs in every test run
	runs           func(t *testing.T, n int) (broken, right float64)
}

// variants are the thirteen of the method's gate.
var variants = []variant{
	{"every event a unit", "bursts of 5, 2,000 users, 20 incidents a day", 0.01, 40, brokenEvents},
	{"stages pooled", "2 M views, weekend doubled", 0.01, 40, brokenPool},
	{"budget not divided", "20 metrics at 2 M views, each worse by the margin", 0.01, 0, brokenWeight},
	{"exposures ignored", "shares of loads, the canary loads 30 % more, 1,000 bad a day", 0.01, 40, brokenExposures},
	{"exposures summed over a stage", "shares of loads, the canary loads ×2 at night, when ×4 as many are bad", 0.01, 20, brokenHours},
	{"users' likeness forgotten at a raise", "shares of loads, 40 bursts of 8 bad ones a day, 2,000 users", 0.01, 40, brokenEffect},
	{"stages of a mean taken as independent", "1,500 users answer in ten stages, scores worse by the margin", 0.01, 300, brokenMeans},
	{"open block added at every tick", "p75, 10 %, 20 k views, 48 h", 0.01, 20, brokenOpenBlock},
	{"block not cut at a raise", "7,000 loads, slow ones 25 → 30 % for all at four raises", 0.01, 200, brokenCut},
	{"users counted once an attempt", "canary ×0.5, 20,000 users, 5 % err an hour", 0.01, 4, brokenOnce},
	{"guard without half the limit", "2 M views, limit 50 %, true 25 %", 0.05, 40, brokenHalf},
	{"proof on users alone", "98 % affected, events worse by the margin", 0.05, 20, brokenSaturation},
	{"sample ratio from sketches", "1 M users, 50/50, one look", 0.01, 4, brokenSketch},
}

// TestBroken breaks the method in thirteen ways: each must fail the gate in its
// scenario, and the right code must pass it there.
func TestBroken(t *testing.T) {
	out := &table{section: "broken", head: []string{"broken", "scenario", "runs", "broken", "right", "limit"}}
	for _, v := range variants {
		n := runs(t, v.quick)
		if n == 0 {
			out.add(v.name, v.scenario, "0", "", "", "")
			continue
		}
		broken, right := v.runs(t, n)
		limit := upTo(v.most, n)
		out.add(v.name, v.scenario, fmt.Sprint(n), percent(broken), percent(right), percent(limit))
		if broken <= limit {
			t.Errorf("%s passes the gate: %s of %d runs, at most %s may go wrong", v.name, percent(broken), n, percent(limit))
		}
		if right > limit {
			t.Errorf("%s: the right code fails: %s of %d runs, at most %s may go wrong", v.scenario, percent(right), n, percent(limit))
		}
	}
	out.publish(t)
}

// both runs the shipped judge on broken and on right evidence of the same world:
// wrong is what shows harm, or more.
func both(n int, seed uint64, c *course, tr traffic, broken func() *tested) (wrong, right float64) {
	results := cell(seed, n, c, tr, func() ([]bench, []*tally) {
		b, j := broken(), newTested(oncePerStart)
		return []bench{b, j}, []*tally{b.tally, j.tally}
	})
	at := func(k int) float64 {
		return share(n, func(i int) bool { return results[i][k].acted > 0 || results[i][k].harm > 0 })
	}
	return at(0), at(1)
}

func brokenEvents(t *testing.T, n int) (broken, right float64) {
	errors, _ := constant.waves()
	tr := traffic{wave: errors, crowd: crowd{users: 2000, burst: 5}, perDay: 20, theta: 1}
	return both(n, 301, onErrors(t), tr, func() *tested { return newTested(everyEvent) })
}

func brokenPool(t *testing.T, n int) (broken, right float64) {
	tr := site(weekend, large, crowds(large)[0], 1)
	return both(n, 302, onErrors(t), tr, func() *tested {
		j := newTested(oncePerStart)
		j.pooled = true
		return j
	})
}

func brokenOnce(t *testing.T, n int) (broken, right float64) {
	errors, _ := constant.waves()
	tr := traffic{wave: errors, crowd: crowd{users: 20_000, burst: 1}, perDay: 24 * 0.05 * 20_000, theta: 0.5}
	return both(n, 303, onErrors(t).only(12*slotsAnHour), tr, func() *tested { return newTested(oncePerAttempt) })
}

// halfless is the guard with three of its four conditions, made of the same
// parts as the judge's: harm is proved, it is happening now, and since it began
// it is as large as the rule says.
type halfless struct{ tally *tally }

func (h *halfless) see(w *world) bool {
	if !w.due() {
		return false
	}
	x := limitOf(w.plan, "errors")
	s := stats.Starts{Odds: w.odds(w.stage), Stage: w.stageNumbers(w.stage), Cells: h.tally.userCells(), Planned: len(w.stages)}
	g := stats.Guard{Null: s.Ratio(1 + min(x, w.plan.Judge.Margin)), Half: s.Ratio(1 + x/2), Level: w.levels["errors"], X: x}
	n := w.affected(w.now()-slotsAnHour, w.now())
	g.InWindow, _ = stats.Estimate([]stats.Stratum{{New: n[fresh], Old: n[old], Odds: s.Odds[w.stage]}})
	g.SinceStart, _ = stats.Estimate(s.Strata(g.Half.Start))
	g.Half.LogE = stats.LogLimit(1e-9, 1) // broken: as if it were proved
	return g.Met()
}

// brokenHalf counts rollbacks only: there is harm, and to show it is right.
func brokenHalf(t *testing.T, n int) (broken, right float64) {
	results := cell(304, n, onErrors(t), site(weekend, large, crowds(large)[0], 1.25), func() ([]bench, []*tally) {
		h, j := &halfless{&tally{}}, newTested(oncePerStart)
		return []bench{h, j}, []*tally{h.tally, j.tally}
	})
	return share(n, func(i int) bool { return results[i][0].acted > 0 }), share(n, func(i int) bool { return results[i][1].acted > 0 })
}

// brokenWeight gives each of twenty metrics the whole budget.
func brokenWeight(t *testing.T, n int) (broken, right float64) {
	const metrics = 20
	text, rules := "metrics:\n", ""
	for i := range metrics {
		text += fmt.Sprintf("  own%d: { count: events, where: \"tags[kind]:%d\" }\n", i, i)
		rules += fmt.Sprintf("own%d > +50%% vs control over 6h, ", i)
	}
	p := parsed(t, fmt.Sprintf(staged, "errors < 1000000")+text+"rollback: ["+rules[:len(rules)-2]+"]\n")
	c := newCourse(p)
	undivided := map[string]float64{}
	for name, level := range c.levels {
		undivided[name] = level * metrics
	}
	errors, _ := weekend.waves()
	tr := traffic{wave: errors, perDay: large * errorsPerView, theta: 1 + p.Judge.Margin} // the edge of the null
	wrong, fine := make([]bool, n), make([]bool, n)
	all(n, func(i int) {
		for m := range metrics {
			one, alone := *p, *c
			one.Rollback, alone.plan = p.Rollback[m:m+1], &one
			j := newTested(oncePerStart)
			b := &tested{tally: j.tally, levels: undivided}
			carry(newWorld(&alone, tr, newRand(305, i*metrics+m), j.tally), []bench{b, j})
			wrong[i], fine[i] = wrong[i] || b.harm > 0, fine[i] || j.harm > 0
		}
	})
	return share(n, func(i int) bool { return wrong[i] }), share(n, func(i int) bool { return fine[i] })
}
