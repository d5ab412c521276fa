package evidence

import (
	"fmt"
	"testing"
	"time"

	"serin/internal/backtest"
	"serin/internal/clock"
	"serin/internal/plan"
	"serin/internal/store/memory"
	"serin/internal/telemetry"
)

// nineDays compares a count, a share and a quantile, in gates and in rules that
// act, with windows from an hour to the whole stage.
const nineDays = `serin: 1
plan: nine
timezone: UTC
flag: { key: f }
calendar: { raise: ["daily 00:00-24:00"] }
stages:
  - { stage: half, traffic: 50%, bake: 215h, proceed: [errors < 2000000 over 24h, lcp < 9s over 24h, lcp <= +50% vs control, errors <= +50% vs control] }
  - { stage: full, traffic: 100%, bake: 1h, proceed: [p1 = 0] }
rollback: [p1 > 5 over 1h, errors > +30% vs control over 1h, error_rate > +30% vs control over 6h, lcp > +30% vs control over 1h]
`

// BenchmarkBacktest runs a plan over nine recorded days, with a look each minute:
// 20,000 loads a day, and ten times that.
func BenchmarkBacktest(b *testing.B) {
	for _, views := range []int{14, 139} {
		b.Run(fmt.Sprintf("%d loads a day", views*24*60), func(b *testing.B) {
			const span = 9 * 24 * time.Hour
			p, err := plan.Parse([]byte(nineDays))
			if err != nil {
				b.Fatal(err)
			}
			g := &rig{t: b, clock: clock.NewManual(t0.Add(-span)), store: memory.New()}
			began := g.clock.Now()
			g.target = Target{Rollout: "demo-1", Plan: p, Split: p.Split(50_000), Attempt: 1, Active: true,
				Intervals: []Interval{{Attempt: 1, Odds: 1, From: began}}, StageAt: began, AttemptAt: began, RolloutAt: began}
			g.start()
			g.record(span, views, 2000)
			g.stop()
			g.stop = func() {}
			b.ReportAllocs()
			for b.Loop() {
				x, err := g.e.Replay(b.Context(), g.target)
				if err != nil {
					b.Fatal(err)
				}
				r, err := backtest.Run(p, backtest.Options{From: began.Truncate(time.Minute), To: began.Add(span).Truncate(time.Minute), Missing: func(string) string { return "" }}, x)
				if err != nil {
					b.Fatal(err)
				}
				if r.Status == "rolled_back" || r.Every != time.Minute {
					b.Fatal(r.Why, r.Every, r.Events)
				}
			}
		})
	}
}

// record lets so many loads a minute come from users in turn; every hundredth
// errs.
func (g *rig) record(span time.Duration, views, users int) {
	loads := 0
	for range int(span / time.Minute) {
		var events []telemetry.Event
		for range views {
			loads++
			load := g.page(fmt.Sprint("u", loads*7919%users), 900+float64(loads%1500))
			load.SpanID = ""
			if events = append(events, load); loads%100 == 0 {
				events = append(events, g.failure(load.User, "error"))
			}
		}
		g.send(events...)
		g.clock.Advance(time.Minute)
	}
}
