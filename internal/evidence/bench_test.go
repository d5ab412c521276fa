package evidence

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"serin/internal/clock"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/store/memory"
	"serin/internal/telemetry"
)

// BenchmarkAdd is one page load with four vitals through every series.
func BenchmarkAdd(b *testing.B) {
	g := newRig(b, nil)
	g.stop()
	g.stop = func() {}
	out := &batch{now: t0, touched: map[string]bool{}}
	ev := g.page("u1", 1200)
	ev.Received, ev.SpanID = t0, ""
	ev.Measurements = map[string]float64{"lcp": 1200, "fcp": 800, "cls": 0.05, "ttfb": 200}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		ev.ID, ev.User = fmt.Sprint("p", i), fmt.Sprint("u", i%1000)
		g.e.accept(out, &ev)
		if i%1000 == 0 {
			if err := g.e.collect(out); err != nil {
				b.Fatal(err)
			}
			*out = batch{now: t0, touched: map[string]bool{}}
		}
	}
}

// BenchmarkView reads what a plan with 40 rules over three days asks for.
func BenchmarkView(b *testing.B) {
	g := newRig(b, nil)
	for range 72 * 6 {
		for u := range 6 {
			g.send(g.page(fmt.Sprint("u", u), 1500+float64(u)))
		}
		g.clock.Advance(10 * time.Minute)
	}
	g.send(g.failure(g.userOf(telemetry.New, 0), "error"))
	now := g.clock.Now()
	metrics := []string{"errors", "p1", "lcp", "error_rate", "http_5xx", "fcp", "adoption", "api_p95", "complaints", "logins"}
	b.ReportAllocs()
	for b.Loop() {
		v := g.view()
		for _, m := range metrics {
			for _, d := range []time.Duration{time.Hour, 24 * time.Hour, 71 * time.Hour, 72 * time.Hour} {
				v.Window(m, judge.Exposed, now.Add(-d), now)
				v.Window(m, judge.AssignedOld, now.Add(-d), now)
			}
			v.Tests(m)
		}
		v.Data()
	}
}

// busySite is 72 hours of 200,000 page loads a day by 2,000 users, with an
// error in every hundredth, under a plan with 40 rules.
func busySite(b *testing.B) (*rig, []*plan.Rule) {
	p, problems := plan.Parse([]byte(busyPlan))
	if p == nil {
		b.Fatal(problems)
	}
	g := &rig{t: b, clock: clock.NewManual(t0.Add(-72 * time.Hour)), store: memory.New()}
	began := g.clock.Now()
	g.target = Target{Rollout: "demo-1", Plan: p, Split: p.Split(50_000), Attempt: 1, Active: true,
		Intervals: []Interval{{Attempt: 1, Odds: 1, From: began}}, StageAt: began, AttemptAt: began, RolloutAt: began}
	g.start()
	g.stop()
	g.stop = func() {}
	loads := 0
	for minute := range 72 * 60 {
		out := &batch{now: began.Add(time.Duration(minute+1) * time.Minute), touched: map[string]bool{}}
		for range 139 {
			loads++
			ev := g.page(fmt.Sprint("u", loads*7919%2000), 900+float64(loads%1500))
			ev.SpanID, ev.Received = "", out.now.Add(-time.Duration(loads*431%60_000)*time.Millisecond)
			ev.Measurements = map[string]float64{"lcp": 900 + float64(loads*31%1500), "fcp": 500 + float64(loads*17%900), "ttfb": 90 + float64(loads%200)}
			g.e.accept(out, &ev)
			if loads%100 == 0 {
				fail := g.failure(ev.User, "error")
				fail.Received = ev.Received
				g.e.accept(out, &fail)
			}
		}
		if err := g.e.collect(out); err != nil {
			b.Fatal(err)
		}
		for _, r := range g.e.rollouts {
			r.age(out)
		}
	}
	g.clock.Advance(72 * time.Hour)
	return g, append(append(p.Rollback, p.Reduce...), p.Stages[0].Proceed...)
}

// busyPlan has 40 rules: 4 that roll back, 1 that reduces, 35 that let on.
const busyPlan = `serin: 1
plan: busy
timezone: UTC
flag: { key: f }
stages:
  - stage: half
    traffic: 50%
    bake: 72h
    proceed: [errors < 20000 over 72h, errors < 9000 over 24h, errors < 900 over 1h, p1 = 0 over 1h, p1 = 0 over 24h, p2 < 5 over 24h,
      lcp < 2.5s over 1h, lcp < 2.5s over 24h, lcp < 2.5s over 72h, lcp <= +5% vs control, fcp < 2s over 1h, fcp < 2s over 24h, fcp <= +10% vs control,
      ttfb < 1s over 1h, ttfb < 1s over 24h, ttfb <= +10% vs control, inp < 900ms over 24h, cls < 0.2 over 24h,
      error_rate < 5% over 1h, error_rate < 5% over 24h, error_rate < 5% over 72h, error_rate <= +10% vs control, errors <= +10% vs control,
      api_p95 < 500ms over 1h, api_p95 < 500ms over 24h, http_5xx < 100 over 1h, http_5xx < 1000 over 24h, complaints < 5 over 24h, complaints < 9 over 72h,
      logins > 97% over 24h, crash_free > 99% over 24h, adoption > 10% over 24h, requests > 10 over 1h, requests > 10 over 24h, p2 < 90 over 72h]
  - { stage: full, traffic: 100%, bake: 1h }
reduce: [ error_rate > 20% over 1h ]
rollback: [ p1 > 5 over 1h, errors > +30% vs control over 1h, error_rate > +30% vs control over 6h, lcp > +30% vs control over 1h ]
actions: { reduce: { traffic: 10% } }
`

// BenchmarkViewBusy is one look: all 40 rules judged on fresh evidence.
func BenchmarkViewBusy(b *testing.B) {
	g, rules := busySite(b)
	if len(rules) != 40 {
		b.Fatalf("%d rules, want 40", len(rules))
	}
	place := judge.Place{Planned: 2, Exposure: 0.5, ControlShare: 0.5, StageBegan: g.target.StageAt, AttemptBegan: g.target.AttemptAt,
		RolloutBegan: g.target.RolloutAt, EvidenceBegan: g.target.AttemptAt, Levels: judge.Levels(g.target.Plan, g.target.Plan, 0, 0.01)}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	b.ReportAllocs()
	defer func() { b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "site-MB") }()
	var before, after syscall.Rusage
	defer func() {
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano())/1e6/float64(b.N), "cpu-ms")
	}()
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		v := g.view()
		verdicts, _ := judge.Judge(g.target.Plan, rules, judge.Gate, place, v, nil, g.clock.Now())
		if len(verdicts) != len(rules) || v.Data().NoData {
			b.Fatal("no verdicts")
		}
	}
}
