package controller_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"serin/internal/clock"
	"serin/internal/controller"
	"serin/internal/evidence"
	"serin/internal/hub"
	"serin/internal/rollout"
	"serin/internal/store/sqlite"
	"serin/internal/telemetry"
)

// activeSite is a whole service with many rollouts under way, on a clock that
// is set by hand.
type activeSite struct {
	*testing.B
	clk    *countingClock
	looks  int64
	engine *evidence.Engine
	c      *controller.Controller
	n      int
	loads  int
}

// countingClock counts how often a wait for the next tick began: each
// rollout's next one does when it has looked.
type countingClock struct {
	*clock.Manual
	waits atomic.Int64
}

func (c *countingClock) After(d time.Duration) (<-chan time.Time, func()) {
	ready, stop := c.Manual.After(d)
	if d == controller.Tick {
		c.waits.Add(1)
	}
	return ready, stop
}

// newActiveSite starts n rollouts, each on a flag of its own; with scoped each
// has a page of its own.
func newActiveSite(b *testing.B, n int, scoped bool) *activeSite {
	b.Helper()
	s := &activeSite{B: b, clk: &countingClock{Manual: clock.NewManual(recoverAt)}, n: n}
	kept, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "serin.db"), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.engine = evidence.New(evidence.Options{Store: kept, Clock: s.clk.Manual})
	if s.c, err = controller.New(ctx, controller.Options{Store: kept, Evidence: watcher{s.engine, &rig{}}, Publisher: hub.New(),
		Feed: hub.NewFeed(0, 0), Clock: s.clk}); err != nil {
		b.Fatal(err)
	}
	s.engine.OnArrival(s.c.Arrived)
	s.c.Courier().Use("slack", &receiver{})
	done := make(chan error, 2)
	go func() { done <- s.engine.Run(ctx) }()
	go func() { done <- s.c.Run(ctx) }()
	<-s.c.Running()
	b.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				b.Error(err)
			}
		}
		if err := kept.Close(); err != nil {
			b.Error(err)
		}
	})
	for i := range n {
		name, scope := fmt.Sprintf("many%d", i), ""
		if scoped {
			scope = fmt.Sprintf("scope: { pages: [/page%d] }\n", i)
		}
		source := strings.NewReplacer("plan: rig", "plan: "+name, "flag: { key: rig }\n", "flag: { key: "+name+" }\n"+scope, "bake: 2h", "bake: 60d").Replace(rigPlan)
		if _, err := s.c.Create(ctx, "", []byte(source), "lead", "api"); err != nil {
			b.Fatal(err)
		}
		if _, err := s.c.Do(ctx, name, rollout.Command{Verb: rollout.Start, By: "lead", Role: "lead", May: []string{"start"}, Via: "api"}); err != nil {
			b.Fatal(err)
		}
	}
	s.await()
	return s
}

// minute sends loads page loads, lets a minute pass and waits until every
// rollout has looked.
func (s *activeSite) minute(loads int) {
	s.Helper()
	s.send(loads)
	s.clk.Advance(time.Minute)
	s.await()
}

// await waits until every rollout has looked once more.
func (s *activeSite) await() {
	s.Helper()
	s.looks += int64(s.n)
	for began := time.Now(); s.clk.waits.Load() < s.looks; time.Sleep(200 * time.Microsecond) {
		if time.Since(began) > time.Minute {
			s.Fatal("some rollout has not looked for a minute")
		}
	}
}

func (s *activeSite) send(loads int) {
	s.Helper()
	now := s.clk.Now()
	events := make([]telemetry.Event, loads)
	for i := range events {
		s.loads++
		events[i] = telemetry.Event{Kind: telemetry.KindPage, Project: "1", ID: fmt.Sprint("e", s.loads), User: user(s.loads * 7919 % 2000),
			Environment: "production", Page: fmt.Sprintf("/page%d", s.loads%s.n), Time: now, Received: now,
			Measurements: map[string]float64{"lcp": 900 + float64(s.loads*31%1500)}}
	}
	if err := s.engine.Accept(s.Context(), events); err != nil {
		s.Fatal(err)
	}
}

// processorTime is what the process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkActive is a minute of a server with rollouts under way: its page
// loads, and one look at every rollout, with SQLite and all that is decided.
// look-ms is the processor time of a minute without page loads.
func BenchmarkActive(b *testing.B) {
	const loads = 600
	for _, scoped := range []bool{true, false} {
		for _, n := range []int{1, 50, 200} {
			b.Run(fmt.Sprintf("scoped=%t/rollouts=%d", scoped, n), func(b *testing.B) {
				s := newActiveSite(b, n, scoped)
				for range 10 {
					s.minute(loads)
				}
				cpu := processorTime(b)
				for range 5 {
					s.minute(0)
				}
				idle := (processorTime(b) - cpu) / 5
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				cpu = processorTime(b)
				for b.Loop() {
					s.minute(loads)
				}
				busy := (processorTime(b) - cpu) / time.Duration(b.N)
				b.ReportMetric(float64(idle.Microseconds())/1000, "look-ms")
				b.ReportMetric(float64(busy.Microseconds())/1000, "cpu-ms")
				b.ReportMetric(float64((busy-idle).Microseconds())/loads, "event-µs")
				b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "heap-MB")
			})
		}
	}
}
