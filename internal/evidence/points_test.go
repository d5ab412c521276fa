package evidence

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/telemetry"
)

// point is a histogram's point of the new arm: n values up to 100 ms, m up to 500.
func (g *rig) point(resource, series uint64, start time.Time, n, m int64) telemetry.Event {
	return telemetry.Event{
		Kind: telemetry.KindMetric, Project: "1", Source: "otlp", Op: telemetry.MetricRequests, Status: 500,
		Attributes: map[string]string{"service.name": "shop"}, Flags: map[string]string{g.target.Split.Flag: g.target.Split.New},
		Metric: &telemetry.Metric{Resource: resource, Series: series, Start: start, Cumulative: true, Buckets: []telemetry.Bucket{{Lower: 0, Upper: 100, N: n}, {Lower: 100, Upper: 500, N: m}}},
	}
}

func TestHistogramsCountOnce(t *testing.T) {
	g := newRig(t, nil)
	requests := func(want int64) {
		t.Helper()
		if got := g.window("requests", judge.Exposed, time.Hour).Count; got != want {
			t.Errorf("%d requests, want %d", got, want)
		}
	}
	old := t0.Add(-time.Hour)
	g.send(g.point(1, 1, old, 1000, 1000)) // ran before this server: counting begins here
	requests(0)
	g.clock.Advance(time.Minute)
	g.send(g.point(1, 1, old, 1010, 1000), g.point(1, 1, old, 1010, 1000)) // the second is a retry
	requests(10)
	g.send(g.point(1, 2, old, 3, 0)) // a new series of a process that was heard before
	requests(13)
	g.send(g.point(1, 1, old, 4, 0)) // the count fell
	requests(17)
	g.send(g.point(2, 3, g.clock.Now(), 5, 5)) // a process that began under our eyes
	requests(27)
	if got := g.window("http_5xx", judge.Exposed, time.Hour).Count; got != 27 {
		t.Errorf("%d answers of 5xx, want 27", got)
	}
	if got := g.window("requests", judge.AssignedNew, time.Hour).Count; got != 0 {
		t.Errorf("%d requests of assigned users: a series has none", got)
	}
	g.restart()
	requests(27)
	g.send(g.point(2, 3, t0.Add(-time.Hour), 50, 50)) // what came before is not known any more
	requests(27)
	g.clock.Advance(time.Minute)
	g.send(g.point(2, 3, t0.Add(-time.Hour), 51, 50))
	requests(28)
	g.send(telemetry.Event{Kind: telemetry.KindRequest, Project: "1", Source: "otlp", ID: "s", Op: "http.server", User: "u", Attributes: map[string]string{"service.name": "shop"}})
	before := g.window("requests", judge.Exposed, time.Hour).Count
	g.send(g.point(2, 3, t0.Add(-time.Hour), 90, 50)) // the same requests came as spans
	requests(before)
	c := g.e.Counters()
	want := map[string]int64{countPointBegin: 2, countPointReset: 1, countPointTwice: 1}
	if diff := cmp.Diff(want, map[string]int64{countPointBegin: c[countPointBegin], countPointReset: c[countPointReset], countPointTwice: c[countPointTwice]}); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestHistogramQuantilesAreInterpolated(t *testing.T) {
	g := newRig(t, nil)
	e := g.point(1, 1, time.Time{}, 0, 1_000_000)
	e.Metric.Cumulative = false
	g.send(e)
	w := g.window("api_p50", judge.Exposed, time.Hour)
	if got, ok := w.Sketch.Quantile(0.5); !ok || w.Count != 1_000_000 || math.Abs(got-300) > 20 {
		t.Errorf("p50 of a million between 100 and 500 ms: %v of %d", got, w.Count)
	}
}

// TestDifference: however counts grow and buckets merge, what is added is what
// came since.
func TestDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var before, now []telemetry.Bucket
		var want int64
		for i := range rapid.IntRange(1, 12).Draw(t, "buckets") {
			lower, upper := math.Exp2(float64(i)), math.Exp2(float64(i+1))
			n, more := rapid.Int64Range(0, 9).Draw(t, "n"), rapid.Int64Range(0, 9).Draw(t, "more")
			want += more
			before = append(before, telemetry.Bucket{Lower: lower, Upper: upper, N: n})
			if i%2 == 1 && rapid.Bool().Draw(t, "merge") { // a coarser scale
				last := &now[len(now)-1]
				last.Upper, last.N = upper, last.N+n+more
				continue
			}
			now = append(now, telemetry.Bucket{Lower: lower, Upper: upper, N: n + more})
		}
		added, ok := difference(now, before)
		var got int64
		for _, b := range added {
			got += b.N
		}
		if !ok || got != want {
			t.Fatalf("added %d, %v, want %d", got, ok, want)
		}
	})
}

func TestSpreadIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := telemetry.Bucket{Lower: 100, Upper: 500, N: rapid.Int64Range(0, 1<<40).Draw(t, "n")}
		var n int64
		spread(b, func(value float64, count int64) {
			if n += count; value <= b.Lower || value >= b.Upper || count < 1 {
				t.Fatalf("%d of %v", count, value)
			}
		})
		if n != b.N {
			t.Fatalf("%d of %d", n, b.N)
		}
	})
}

func TestGaugesOfProcesses(t *testing.T) {
	g := newRig(t, nil)
	gauge := func(op, name string, resource, series uint64, value float64) telemetry.Event {
		return telemetry.Event{Kind: telemetry.KindMetric, Project: "1", Source: "otlp", Op: op, Metric: &telemetry.Metric{Name: name, Resource: resource, Series: series, Value: value}}
	}
	memory := &plan.Metric{Name: "memory", Kind: plan.Gauge, Of: valueMemory, Source: "telemetry"}
	source := func() judge.SourceState {
		return g.e.source(g.target.Plan, "1", memory, g.clock.Now()).State
	}
	if source() != judge.NeverDelivered {
		t.Error("memory was never delivered")
	}
	g.send(
		gauge(telemetry.MetricMemory, "go.memory.used", 1, 1, 7e6), gauge(telemetry.MetricMemory, valueMemory, 1, 1, 9e6),
		gauge(telemetry.MetricMemory, "go.memory.used", 1, 1, 7e6), gauge(telemetry.MetricMemory, "go.memory.used", 2, 2, 8e6),
		gauge(telemetry.MetricPoolUsed, poolName, 1, 5, 8), gauge(telemetry.MetricPoolMax, poolName, 1, 5, 10),
		gauge(telemetry.MetricPoolUsed, poolName, 2, 6, 9), // its limit is not told
		gauge(telemetry.MetricGauge, "nobody.reads.it", 1, 1, 3),
	)
	for key, want := range map[string]string{valueMemory: "9000000", valuePool: "0.8", "nobody.reads.it": ""} {
		if got, _, _ := g.e.Value("1", key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if source() != judge.Delivering {
		t.Error("memory is delivered")
	}
	g.clock.Advance(streamAge + time.Minute)
	if source() != judge.Failing {
		t.Error("memory is silent")
	}
}

const poolName = "db.client.connection.count"
