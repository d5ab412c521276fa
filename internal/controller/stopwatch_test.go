package controller

import (
	"testing"
	"time"
)

// TestStopwatchInRealTime: a fast clock is divided out, and a step of the wall
// clock does not count within one process.
func TestStopwatchInRealTime(t *testing.T) {
	begin := time.Date(2025, 3, 3, 9, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		s    *stopwatch
		now  time.Time
		mono time.Duration
		rate float64
		want time.Duration
	}{
		"real":            {&stopwatch{began: time.Hour}, begin, time.Hour + 3*time.Second, 1, 3 * time.Second},
		"fast":            {&stopwatch{began: time.Hour}, begin, time.Hour + 72*time.Second, 720, 100 * time.Millisecond},
		"stepped":         {&stopwatch{began: time.Hour}, begin.Add(-30 * time.Hour), time.Hour + time.Second, 1, time.Second},
		"another process": {&stopwatch{wall: begin, began: 5}, begin.Add(2 * time.Minute), 5, 1, 2 * time.Minute},
		"wall clock back": {&stopwatch{wall: begin}, begin.Add(-time.Minute), 0, 1, 1},
		"no time at all":  {&stopwatch{began: time.Hour}, begin, time.Hour, 1, 1},
	} {
		if got := tt.s.passed(tt.now, tt.mono, tt.rate); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
