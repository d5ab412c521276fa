package evidence

import (
	"fmt"
	"testing"
	"time"

	"serin/internal/telemetry"
)

// TestBands: the band is there once there is enough, surrounds the canary,
// and is narrower with more data.
func TestBands(t *testing.T) {
	g := newRig(t, nil)
	width := func(metric string) (float64, bool) {
		t.Helper()
		now := g.clock.Now()
		points, err := g.e.Series("demo-1", metric, t0, now, 1)
		if err != nil || len(points) != 1 {
			t.Fatal(points, err)
		}
		p := points[0]
		if p.Low == nil || p.High == nil {
			return 0, false
		}
		if p.Canary == nil || *p.Low > *p.Canary || *p.High < *p.Canary {
			t.Errorf("%s: %v..%v does not hold %v", metric, *p.Low, *p.High, *p.Canary)
		}
		return *p.High - *p.Low, true
	}
	g.clock.Advance(time.Minute)
	for _, metric := range []string{"lcp", "errors", "error_rate", "memory", "satisfaction"} {
		if w, ok := width(metric); ok {
			t.Errorf("%s: a band %v wide of nothing", metric, w)
		}
	}
	send := func(n int) {
		for i := range n {
			user := fmt.Sprintf("u%d", i)
			g.send(g.page(user, 1000+float64(i%100)))
			if i%4 == 0 {
				g.send(g.failure(user, "error"))
			}
		}
		g.clock.Advance(10 * time.Minute)
	}
	send(200)
	small := map[string]float64{}
	for _, metric := range []string{"lcp", "errors", "error_rate"} {
		w, ok := width(metric)
		if !ok || w <= 0 {
			t.Errorf("%s: no band", metric)
		}
		small[metric] = w
	}
	send(2000)
	for _, metric := range []string{"lcp", "error_rate"} {
		if w, _ := width(metric); w >= small[metric] {
			t.Errorf("%s: %v wide, with less data %v", metric, w, small[metric])
		}
	}
	even, _ := width("error_rate")
	for range 300 { // of control, so that the canary stays what it is
		g.send(g.failure(g.userOf(telemetry.Old, 0), "error"))
	}
	if w, _ := width("error_rate"); w <= even {
		t.Errorf("error_rate: %v wide, though one user has bursts; %v without", w, even)
	}
	points, err := g.e.Series("demo-1", "errors", t0.Add(-24*time.Hour), t0, 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range points {
		if p.Low != nil || p.High != nil {
			t.Errorf("a band before the attempt: %+v", p)
		}
	}
}

func BenchmarkSeriesBands(b *testing.B) {
	g := newRig(b, nil)
	for i := range 300 {
		g.send(g.failure(g.userOf(telemetry.New, i%50), "error"), g.failure(g.userOf(telemetry.Old, i%50), "error"))
		g.clock.Advance(4 * time.Minute)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.e.Series("demo-1", "errors", t0, g.clock.Now(), 168); err != nil {
			b.Fatal(err)
		}
	}
}
