package hub

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestAwaitFirstAnswer(t *testing.T) {
	h := New()
	var f, g int
	h.Await("f", 7, func() { f++ })
	stop := h.Await("g", 7, func() { g++ })
	h.Served(ruleset(t, 6), "f") // still the old ruleset
	h.Served(ruleset(t, 7), "other")
	if f != 0 {
		t.Fatalf("called %d times before an answer with the new ruleset", f)
	}
	h.ServedAll(ruleset(t, 8), func(key string) bool { return key == "f" })
	h.Served(ruleset(t, 8), "f")
	stop()
	stop()
	h.Served(ruleset(t, 8), "g")
	if f != 1 || g != 0 {
		t.Errorf("f was called %d times, g %d; want 1 and 0", f, g)
	}
	if h.awaited.Load() != nil {
		t.Error("the hub still awaits something")
	}
}

func TestAwaitIsCalledOnce(t *testing.T) {
	h, rs := New(), ruleset(t, 1)
	var calls atomic.Int64
	h.Await("f", 1, func() { calls.Add(1) })
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 100 {
				h.Served(rs, "f")
			}
		})
	}
	group.Wait()
	if calls.Load() != 1 {
		t.Errorf("called %d times", calls.Load())
	}
}

// BenchmarkServed is what an evaluation costs more while nothing is awaited,
// and while another flag is.
func BenchmarkServed(b *testing.B) {
	h, rs := New(), ruleset(b, 1)
	run := func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.Served(rs, "f")
		}
	}
	b.Run("idle", run)
	h.Await("g", 1, func() {})
	b.Run("other awaited", run)
}
