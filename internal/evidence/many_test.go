package evidence

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"serin/internal/clock"
	"serin/internal/plan"
	"serin/internal/store/memory"
)

// manyPlan is the plan of one of many rollouts.
const manyPlan = `serin: 1
plan: many
timezone: UTC
flag: { key: many }
scope: { pages: [/here] }
stages:
  - { stage: half, traffic: 50%, bake: 72h, proceed: [p1 = 0, errors < 50 over 1h, lcp < 2.5s, error_rate <= +10% vs control] }
  - { stage: full, traffic: 100%, bake: 1h }
rollback: [p1 > 5 over 1h, errors > +30% vs control over 1h, lcp > +30% vs control over 1h]
`

// manyRollouts watches n rollouts of different flags; with scoped each has
// pages of its own.
func manyRollouts(tb testing.TB, n int, scoped bool) *rig {
	tb.Helper()
	g := &rig{t: tb, clock: clock.NewManual(t0), store: memory.New()}
	for i := range n {
		name, scope := fmt.Sprintf("many%d", i), fmt.Sprintf("scope: { pages: [/page%d, \"/area%d/*\"] }", i, i)
		if !scoped {
			scope = ""
		}
		p, err := plan.Parse([]byte(strings.NewReplacer("plan: many", "plan: "+name, "key: many", "key: "+name, "scope: { pages: [/here] }", scope).Replace(manyPlan)))
		if err != nil {
			tb.Fatal(err)
		}
		g.target = Target{Rollout: name + "-1", Plan: p, Split: p.Split(50_000), Attempt: 1, Active: true,
			Intervals: []Interval{{Attempt: 1, Odds: 1, From: t0}}, StageAt: t0, AttemptAt: t0, RolloutAt: t0}
		if i == 0 {
			g.start()
			g.stop()
			g.stop = func() {}
		} else if err := g.e.Watch(g.target); err != nil {
			tb.Fatal(err)
		}
	}
	return g
}

// BenchmarkAddMany is one page load among many rollouts, and its share of the
// batch that makes 1,000 of them durable.
func BenchmarkAddMany(b *testing.B) {
	for _, scoped := range []bool{true, false} {
		for _, n := range []int{1, 50, 200} {
			b.Run(fmt.Sprintf("scoped=%t/rollouts=%d", scoped, n), func(b *testing.B) {
				g := manyRollouts(b, n, scoped)
				out := &batch{now: t0, touched: map[string]bool{}}
				ev := g.page("u1", 1200)
				ev.Received, ev.SpanID, ev.Flags = t0, "", nil
				ev.Measurements = map[string]float64{"lcp": 1200, "fcp": 800, "cls": 0.05, "ttfb": 200}
				b.ReportAllocs()
				i, cells := 0, 0
				for b.Loop() {
					i++
					ev.ID, ev.User, ev.Page = fmt.Sprint("p", i), fmt.Sprint("u", i%1000), fmt.Sprintf("/page%d", i%n)
					g.e.accept(out, &ev)
					if i%1000 == 0 {
						if err := g.e.collect(out); err != nil {
							b.Fatal(err)
						}
						cells = len(out.Cells)
						*out = batch{now: out.now.Add(time.Second), touched: map[string]bool{}}
					}
				}
				b.ReportMetric(float64(cells), "cells/batch")
			})
		}
	}
}
