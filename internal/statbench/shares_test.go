package statbench

import (
	"math/rand/v2"
	"testing"

	"serin/internal/judge"
	"serin/internal/stats"
)

// trials is what both arms loaded in a slot and how much of it was bad.
type trials struct{ n, bad [2]int64 }

func (s trials) block(stage int) stats.Block {
	return stats.Block{Interval: stage, Stage: stage, BadNew: s.bad[fresh], New: s.n[fresh], BadOld: s.bad[old], Old: s.n[old]}
}

// shareCourse is a plan that compares a share.
func shareCourse(t *testing.T) *course {
	return newCourse(stagedPlan(t, "error_rate > +20% vs control over 6h"))
}

// eachSlot walks through a course, and reports whether a check is due after a slot.
func (c *course) eachSlot(visit func(at, stage int, check bool)) {
	for stage, l := range c.stages {
		for at := l.from; at < l.to; at++ {
			visit(at, stage, c.checks[at])
		}
	}
}

// shares is the evidence of a share of loads, on closed blocks.
func shares(blocks []stats.Block, ledger *stats.Ledger, phi float64) given {
	var sum [4]int64
	for _, b := range blocks[max(0, len(blocks)-6*slotsAnHour):] {
		sum[0], sum[1], sum[2], sum[3] = sum[0]+b.BadNew, sum[1]+b.BadOld, sum[2]+b.New, sum[3]+b.Old
	}
	count := func(n int64) judge.Window { return judge.Window{Count: n, Active: activeUsers} }
	return given{judge.Tests{Blocks: blocks, Ledger: ledger, Phi: phi}, map[string][3]judge.Window{
		"errors":   {judge.AssignedNew: count(sum[0]), judge.AssignedOld: count(sum[1])},
		"requests": {judge.AssignedNew: count(sum[2]), judge.AssignedOld: count(sum[3])},
	}}
}

// brokenExposures compares shares of bad loads by the odds of the split, although
// the new variant loads more often.
func brokenExposures(t *testing.T, n int) (broken, right float64) {
	const badPerDay, more = 1000, 1.3
	c := shareCourse(t)
	_, views := daily.waves()
	return pair(n, 311, func(rng *rand.Rand) (broken, right bool) {
		var real, split []stats.Block
		var sums, splitSums stats.Ledger
		c.eachSlot(func(at, stage int, check bool) {
			part := views[at%len(views)] / float64(slotsADay)
			share := c.stages[stage].share
			var s trials
			for arm, of := range [2]float64{fresh: share * more, old: 1 - share} {
				s.n[arm] = int64(large * part * of)
				s.bad[arm] = min(s.n[arm], int64(poisson(rng, badPerDay*part*of)))
			}
			real = append(real, s.block(stage))
			all := s.n[fresh] + s.n[old]
			s.n[fresh] = int64(float64(all) * share)
			s.n[old] = all - s.n[fresh]
			split = append(split, s.block(stage))
			if check {
				broken = broken || shown(c, stage, at+1, shares(split, &splitSums, 1))
				right = right || shown(c, stage, at+1, shares(real, &sums, 1))
			}
		})
		return broken, right
	})
}

// brokenHours sums the loads of a stage up, although the new variant loads at other
// hours than control, at which more goes wrong for all.
func brokenHours(t *testing.T, n int) (broken, right float64) {
	const more, day, night = 2, 0.0005, 0.002
	c := shareCourse(t)
	return pair(n, 316, func(rng *rand.Rand) (broken, right bool) {
		var blocks, stages []stats.Block
		var sums stats.Ledger
		c.eachSlot(func(at, stage int, check bool) {
			p, often := day, 1.0
			if hour := at / slotsAnHour % 24; hour >= 12 { // plans begin at nine in the morning
				p, often = night, more
			}
			share := c.stages[stage].share
			var s trials
			for arm, of := range [2]float64{fresh: share * often, old: 1 - share} {
				s.n[arm] = int64(large / float64(slotsADay) * of)
				s.bad[arm] = min(s.n[arm], int64(poisson(rng, float64(s.n[arm])*p)))
			}
			b := s.block(stage)
			blocks = append(blocks, b)
			if len(stages) <= stage {
				stages = append(stages, stats.Block{Interval: stage, Stage: stage})
			}
			sum := &stages[stage]
			sum.New, sum.Old, sum.BadNew, sum.BadOld = sum.New+b.New, sum.Old+b.Old, sum.BadNew+b.BadNew, sum.BadOld+b.BadOld
			if check {
				broken = broken || shown(c, stage, at+1, shares(stages, nil, 1))
				right = right || shown(c, stage, at+1, shares(blocks, &sums, 1))
			}
		})
		return broken, right
	})
}

// brokenEffect takes how alike the trials of a user are from the present stage alone,
// so that it is forgotten at every raise, when bursts of errors hit users.
func brokenEffect(t *testing.T, n int) (broken, right float64) {
	const users, burst, burstsADay = 2000, 8, 40
	c := shareCourse(t)
	return pair(n, 317, func(rng *rand.Rand) (broken, right bool) {
		place := make([]float64, users) // in the order in which they come to the new variant
		for u := range place {
			place[u] = rng.Float64()
		}
		var blocks []stats.Block
		var sums, again stats.Ledger
		perUser := small / users / float64(slotsADay)
		x := [2][]float64{make([]float64, users), make([]float64, users)} // of the attempt, of the stage
		was := 0
		c.eachSlot(func(at, stage int, check bool) {
			share := c.stages[stage].share
			if stage != was {
				clear(x[1])
				was = stage
			}
			var s trials
			for arm, of := range [2]float64{fresh: share, old: 1 - share} {
				s.n[arm] = int64(poisson(rng, perUser*users*of))
			}
			for range poisson(rng, float64(burstsADay)/float64(slotsADay)) {
				u, arm := rng.IntN(users), old
				if place[u] < share {
					arm = fresh
				}
				x[0][u], x[1][u] = x[0][u]+burst, x[1][u]+burst
				s.bad[arm] += burst
				s.n[arm] += burst
			}
			blocks = append(blocks, s.block(stage))
			if check {
				began := c.stages[stage].from
				broken = broken || shown(c, stage, at+1, shares(blocks, &again, clustered(x[1], perUser*float64(at+1-began))))
				right = right || shown(c, stage, at+1, shares(blocks, &sums, clustered(x[0], perUser*float64(at+1))))
			}
		})
		return broken, right
	})
}

// clustered is the design effect of users with x bad loads beside so many others.
func clustered(x []float64, others float64) float64 {
	var sumN, sumX, nn, nx, xx float64
	for _, bad := range x {
		n := others + bad
		sumN, sumX, nn, nx, xx = sumN+n, sumX+bad, nn+n*n, nx+n*bad, xx+bad*bad
	}
	return stats.LoadsPhi(sumX/sumN, xx, nx, nn, sumN)
}
