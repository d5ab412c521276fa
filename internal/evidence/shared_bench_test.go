package evidence

import (
	"fmt"
	"testing"

	"serin/internal/plan"
	"serin/internal/telemetry"
)

// sharedPlan is the plan of one of many rollouts with the same audience, each
// on a page of its own.
const sharedPlan = `serin: 1
plan: part-%[1]d
timezone: UTC
scope: { pages: ["/part%[1]d/**"] }
flag: { key: part%[1]d, audience: role = admin }
stages: [ { stage: half, traffic: 50%%, bake: 48h }, { stage: full, traffic: 100%%, bake: 1h } ]
rollback: [ p1 > 1000000 over 1h, errors > +3000%% vs control over 1h, error_rate > +3000%% vs control over 1h, lcp > +3000%% vs control over 1h ]
`

// watchShared watches n rollouts of sharedPlan.
func watchShared(tb testing.TB, g *rig, n int) {
	tb.Helper()
	for i := range n {
		p, problems := plan.Parse(fmt.Appendf(nil, sharedPlan, i))
		if p == nil {
			tb.Fatal(problems)
		}
		t := Target{Rollout: fmt.Sprintf("part-%d-1", i), Plan: p, Split: p.Split(50_000), Attempt: 1, Active: true,
			Intervals: []Interval{{Attempt: 1, Odds: 1, From: t0}}, StageAt: t0, AttemptAt: t0, RolloutAt: t0}
		if err := g.e.Watch(t); err != nil {
			tb.Fatal(err)
		}
	}
}

// sharedError is the n-th error of 2,000 users on 50 pages.
func sharedError(n int) telemetry.Event {
	return telemetry.Event{
		Kind: telemetry.KindError, ID: fmt.Sprint("e", n), User: fmt.Sprint("u", n%2000), Received: t0, Time: t0, Level: "error",
		Tags: map[string]string{"browser": "Firefox 128", "os": "Linux"}, Attributes: map[string]string{"user.role": "admin"},
		Flags: map[string]string{"other": "true"}, Page: fmt.Sprintf("/part%d/cart", n%50),
		Exception: &telemetry.Exception{Type: fmt.Sprint("Error", n%20), Value: "cart is undefined"},
	}
}

// BenchmarkErrorMany is one error among many rollouts with one audience, and
// its share of a commit of 500.
func BenchmarkErrorMany(b *testing.B) {
	for _, n := range []int{1, 10, 50} {
		b.Run(fmt.Sprintf("rollouts=%d", n), func(b *testing.B) {
			g := manyRollouts(b, 1, true)
			g.e.Forget("many0-1")
			watchShared(b, g, n)
			out := &batch{now: t0, touched: map[string]bool{}}
			rows := 0
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				ev := sharedError(i)
				g.e.accept(out, &ev)
				if i%500 == 0 {
					if err := g.e.collect(out); err != nil {
						b.Fatal(err)
					}
					rows = 0
					for _, c := range out.Cells {
						rows += len(c.Data)
					}
					*out = batch{now: t0, touched: map[string]bool{}}
				}
			}
			b.ReportMetric(float64(rows)/500, "cell-bytes/op")
		})
	}
}
