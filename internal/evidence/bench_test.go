package evidence

import (
	"fmt"
	"testing"
	"time"

	"serin/internal/judge"
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
