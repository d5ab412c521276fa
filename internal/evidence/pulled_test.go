package evidence

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/judge"
	"serin/internal/plan"
)

// pulledPlan has the metrics of an application that a Prometheus watches.
func pulledPlan(p *plan.Plan) {
	p.Judge.Baseline = 48 * time.Hour
	p.Metrics["pool"] = &plan.Metric{Name: "pool", Kind: plan.Gauge, Of: "max by (tenant) (used / size)", Source: "prometheus", Unit: "%"}
	p.Metrics["memory"] = &plan.Metric{Name: "memory", Kind: plan.Gauge, Of: "m", Query: "max_over_time(rss[$window])", Source: "prometheus", Unit: "B"}
	p.Metrics["memory_trend"].Source = "prometheus"
	p.Metrics["by_arm"] = &plan.Metric{Name: "by_arm", Kind: plan.Gauge, Source: "prometheus", Queries: map[string]string{"new": "n", "old": "o"}, User: true}
	p.Rollback = append(p.Rollback, &plan.Rule{Text: "memory > 1GB over 30m", Metric: "memory", Op: plan.GT, Value: 1e9, Over: plan.Span{Dur: 30 * time.Minute}})
}

func (g *rig) key(query string) string {
	g.t.Helper()
	for _, p := range g.e.Pulls() {
		if p.Query == query {
			return p.Key
		}
	}
	g.t.Fatalf("nobody asks %q: %+v", query, g.e.Pulls())
	return ""
}

func (g *rig) fetched(answers ...Fetched) {
	g.t.Helper()
	for i := range answers {
		answers[i].Project = "1"
	}
	if err := g.e.Fetched(context.Background(), answers); err != nil {
		g.t.Fatal(err)
	}
}

func TestPulls(t *testing.T) {
	g := newRig(t, pulledPlan)
	var got []string
	for _, p := range g.e.Pulls() {
		for _, m := range p.Metrics {
			got = append(got, m+": "+p.Query)
		}
	}
	slices.Sort(got)
	want := []string{"demo-1 by_arm: n", "demo-1 by_arm: o", "demo-1 memory: max_over_time(rss[1800s])", "demo-1 pool: max by (tenant) (used / size)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestFetched: an answer is the gauge's value with its series named, silence
// beyond grace makes the source fail, and a restart changes neither.
func TestFetched(t *testing.T) {
	g := newRig(t, pulledPlan)
	pool := g.key("max by (tenant) (used / size)")
	g.fetched(Fetched{Key: pool, Err: errors.New("connection refused")})
	if s := g.view().Source("pool"); s.State != judge.NeverDelivered || s.Error != "connection refused" {
		t.Errorf("before the first answer: %+v", s)
	}
	g.fetched(Fetched{Key: pool, Number: 0.92, Note: `{tenant="a"}`}, Fetched{Key: g.key("n"), Number: 3}, Fetched{Key: g.key("o"), Number: 2})
	for range 2 {
		w := g.window("pool", judge.Exposed, time.Hour)
		if !w.Known || w.Value != 0.92 || w.Series != `{tenant="a"}` || !w.Last.Equal(g.clock.Now()) {
			t.Errorf("pool: %+v", w)
		}
		if n, o := g.window("by_arm", judge.Exposed, time.Hour).Value, g.window("by_arm", judge.AssignedOld, time.Hour).Value; n != 3 || o != 2 {
			t.Errorf("by arm: %v and %v, want 3 and 2", n, o)
		}
		if s := g.view().Source("pool"); s.State != judge.Delivering {
			t.Errorf("delivering: %+v", s)
		}
		g.restart()
	}
	last := g.clock.Now()
	g.clock.Advance(10 * time.Minute)
	g.fetched(Fetched{Key: pool, Err: errors.New("the query found no series")})
	if s := g.view().Source("pool"); s.State != judge.Delivering {
		t.Errorf("within grace: %+v", s)
	}
	g.clock.Advance(time.Second)
	if s := g.view().Source("pool"); s.State != judge.Failing || !s.Since.Equal(last) || s.Error != "the query found no series" {
		t.Errorf("beyond grace: %+v", s)
	}
	g.fetched(Fetched{Key: pool, Number: 0.4})
	if s := g.view().Source("pool"); s.State != judge.Delivering || s.Error != "" {
		t.Errorf("mended: %+v", s)
	}
}

// TestFetchedTrend: the slope of a fetched gauge, and its hours as a baseline.
func TestFetchedTrend(t *testing.T) {
	g := newRig(t, pulledPlan)
	key := g.key("max_over_time(rss[1800s])")
	const bytes = 1e9
	for i := range 6 * 12 {
		g.fetched(Fetched{Key: key, Number: bytes * (1 + 0.02*float64(i)/12)}) // 2 % of the first value an hour
		g.clock.Advance(5 * time.Minute)
	}
	w := g.window("memory_trend", judge.Exposed, 6*time.Hour)
	if mean := 1 + 0.02*71/12/2; !w.Known || math.Abs(w.Value-0.02/mean) > 1e-4 {
		t.Errorf("memory_trend: %+v, want about %v", w, 0.02/mean)
	}
	v := g.view().(interface{ History(string) judge.History })
	after := v.History("memory").After
	if len(after) < 4 || after[0].Window.Count != 12 || after[0].Window.Sum < 12*bytes {
		t.Errorf("hours of the attempt: %+v", after)
	}
}

func TestUptime(t *testing.T) {
	g := newRig(t, nil)
	for i := range 1000 {
		a := Fetched{Key: ProbeKey("site"), Number: 1}
		if i == 500 {
			a = Fetched{Key: ProbeKey("site"), Note: "it answers 500"}
		}
		g.fetched(a)
		g.clock.Advance(2 * time.Second)
	}
	w := g.window("uptime", judge.Exposed, time.Hour)
	if !w.Known || w.Value != 0.999 || w.Sum != 1000 {
		t.Errorf("uptime: %+v, want 999 of 1000", w)
	}
	if s := g.view().Source("uptime"); s.State != judge.Delivering {
		t.Errorf("source: %+v", s)
	}
	g.clock.Advance(11 * time.Minute)
	if s := g.view().Source("uptime"); s.State != judge.Failing {
		t.Errorf("nobody probes: %+v", s)
	}
}

// TestFetchedKeysAreTheServersOwn: nobody can push in a source's place.
func TestFetchedKeysAreTheServersOwn(t *testing.T) {
	g := newRig(t, pulledPlan)
	if err := g.e.Push(context.Background(), "1", ProbeKey("site"), "1"); !errors.Is(err, ErrName) {
		t.Errorf("push of a probe: %v", err)
	}
}
