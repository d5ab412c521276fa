package auth

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestRate: a burst, then the rate, each caller for itself.
func TestRate(t *testing.T) {
	var off *Rate
	if off.Take("k", "192.0.2.1", time.Time{}) != 0 || NewRate(0) != nil {
		t.Error("no limit is a limit")
	}
	r, now := NewRate(2), time.Unix(1000, 0)
	for i := range 20 {
		if wait := r.Take("k", "192.0.2.1", now); wait != 0 {
			t.Fatalf("request %d of the burst waits %v", i, wait)
		}
	}
	if wait := r.Take("k", "192.0.2.1:99", now); wait != 500*time.Millisecond {
		t.Errorf("one too many waits %v, want 500ms", wait)
	}
	for _, other := range [][2]string{{"k", "192.0.2.2"}, {"l", "192.0.2.1"}, {"k", "2001:db8::1"}} {
		if wait := r.Take(other[0], other[1], now); wait != 0 {
			t.Errorf("%v waits for another caller", other)
		}
	}
	now = now.Add(500 * time.Millisecond)
	if r.Take("k", "192.0.2.1", now) != 0 || r.Take("k", "192.0.2.1", now) == 0 {
		t.Error("after half a second exactly one more may come")
	}
	if r.Take("k", "192.0.2.1", now.Add(-time.Hour)) == 0 {
		t.Error("a clock set back gives something away")
	}
}

// TestRateMemory: strangers' addresses do not fill the memory.
func TestRateMemory(t *testing.T) {
	r, now := NewRate(1), time.Unix(1000, 0)
	for i := range 3 * maxAddresses {
		r.Take("k", fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), now)
	}
	if len(r.buckets) > maxAddresses {
		t.Errorf("%d callers are remembered, want at most %d", len(r.buckets), maxAddresses)
	}
}

// TestRateHolds: over any time no more pass than the burst and the rate allow.
func TestRateHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(1, 50).Draw(t, "rate")
		r, begin := NewRate(rate), time.Unix(1000, 0)
		now, passed := begin, 0
		for range rapid.IntRange(1, 300).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "ms")) * time.Millisecond)
			if r.Take("k", "192.0.2.1", now) == 0 {
				passed++
			}
		}
		if most := float64(rate*rateBurst) + now.Sub(begin).Seconds()*float64(rate) + 1e-6; float64(passed) > most {
			t.Fatalf("%d passed, at most %.1f may", passed, most)
		}
	})
}
