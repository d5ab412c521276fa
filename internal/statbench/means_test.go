package statbench

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"serin/internal/judge"
	"serin/internal/stats"
)

// tenStages raises by five points a day, from 30 to 75 %.
func tenStages(t *testing.T, rollback string) *course {
	var b strings.Builder
	b.WriteString("serin: 1\nplan: ten\ntimezone: UTC\nflag: { key: ten, holdback: 25% }\ncalendar: { raise: [\"daily 00:00-24:00\"] }\nstages:\n")
	for k := range 10 {
		traffic := 30 + 5*k
		if k == 9 {
			traffic = 100 // the holdback leaves 75
		}
		fmt.Fprintf(&b, "  - { stage: s%d, traffic: %d%%, bake: 24h, checks: [{ every: 6h, expect: [errors < 1000000] }] }\n", k, traffic)
	}
	return newCourse(parsed(t, b.String()+"rollback: ["+rollback+"]\n"))
}

// answers are a user's values in each stage.
type answers struct {
	place, own float64
	n          []int64
	sum        []float64
}

// brokenMeans takes the stages of a mean as independent, although the same users
// answer in all of them. Scores are worse by just the margin.
func brokenMeans(t *testing.T, n int) (broken, right float64) {
	const users, mean, spread, noise, often = 1500, 4.0, 0.8, 0.3, 0.3
	c := tenStages(t, "satisfaction < -10% vs control over 24h")
	margin := 1 - c.plan.Judge.Margin
	return pair(n, 318, func(rng *rand.Rand) (broken, right bool) {
		all := make([]answers, users)
		for u := range all {
			all[u] = answers{rng.Float64(), mean + spread*rng.NormFloat64(), make([]int64, len(c.stages)), make([]float64, len(c.stages))}
		}
		c.eachSlot(func(at, stage int, check bool) {
			if !check {
				return
			}
			for u := range all {
				if rng.Float64() < often {
					value := all[u].own + noise*rng.NormFloat64()
					if all[u].place < c.stages[stage].share {
						value *= margin
					}
					all[u].n[stage], all[u].sum[stage] = all[u].n[stage]+1, all[u].sum[stage]+value
				}
			}
			strata := c.means(all, stage)
			right = right || shown(c, stage, at+1, scores(strata))
			for i := range strata {
				strata[i].With = nil
			}
			broken = broken || shown(c, stage, at+1, scores(strata))
		})
		return broken, right
	})
}

// means are the strata of users' answers up to a stage, as evidence makes them.
func (c *course) means(all []answers, last int) []stats.MeanStratum {
	out := make([]stats.MeanStratum, last+1)
	for k := range out {
		out[k] = stats.MeanStratum{Interval: k, Stage: k, With: make([]stats.MeanPair, k)}
		for b := range k {
			out[k].With[b].Interval = b
		}
		for u := range all {
			a, isNew := &all[u], all[u].place < c.stages[k].share
			if a.n[k] == 0 {
				continue
			}
			m := &out[k].Old
			if isNew {
				m = &out[k].New
			}
			m.AddUser(a.n[k], a.sum[k], 1)
			for b := range k {
				if a.n[b] == 0 || a.place < c.stages[b].share != isNew {
					continue
				}
				j := &out[k].With[b].Old
				if isNew {
					j = &out[k].With[b].New
				}
				j.AddUser(a.n[b], a.sum[b], a.n[k], a.sum[k], 1)
			}
		}
	}
	return out
}

// scores is the evidence of a mean.
func scores(strata []stats.MeanStratum) given {
	last := strata[len(strata)-1]
	w := func(m stats.Moments) judge.Window {
		return judge.Window{Count: int64(m.N), Sum: m.X, Active: activeUsers}
	}
	return given{judge.Tests{Means: strata}, map[string][3]judge.Window{
		"satisfaction": {judge.AssignedNew: w(last.New), judge.AssignedOld: w(last.Old)},
	}}
}
