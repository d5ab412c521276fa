package evidence

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"serin/internal/clock"
	"serin/internal/store/memory"
	"serin/internal/telemetry"
)

// TestRoom: as the queue fills, by number, by memory or by age, kinds are
// refused one after the other, the dearest first.
func TestRoom(t *testing.T) {
	kinds := []telemetry.Kind{telemetry.KindSpan, telemetry.KindVital, telemetry.KindMetric, telemetry.KindPage, telemetry.KindRequest, telemetry.KindError, telemetry.KindSession, telemetry.KindFeedback, telemetry.KindLoss, telemetry.KindCheckIn}
	small := func(n int) []telemetry.Event { return make([]telemetry.Event, n) }
	large := func(n int) []telemetry.Event {
		return []telemetry.Event{{Message: strings.Repeat("x", n*10_000-eventBytes)}}
	}
	for _, tt := range []struct {
		name    string
		waiting []telemetry.Event
		limits  Limits
		wait    time.Duration
		taken   int // of kinds, from the end
	}{
		{"nothing waits", nil, Limits{Queue: 100}, 0, 10},
		{"59 of 100 events", small(59), Limits{Queue: 100}, 0, 10},
		{"60 of 100 events", small(60), Limits{Queue: 100}, 0, 8},
		{"70 of 100 events", small(70), Limits{Queue: 100}, 0, 7},
		{"80 of 100 events", small(80), Limits{Queue: 100}, 0, 5},
		{"100 of 100 events", small(100), Limits{Queue: 100}, 0, 4},
		{"125 of 100 events", small(125), Limits{Queue: 100}, 0, 0},
		{"50 of 100 parts of the memory", large(50), Limits{QueueBytes: 1_000_000}, 0, 10},
		{"75 of 100 parts of the memory", large(75), Limits{QueueBytes: 1_000_000}, 0, 7},
		{"100 of 100 parts of the memory", large(100), Limits{QueueBytes: 1_000_000}, 0, 4},
		{"125 of 100 parts of the memory", large(125), Limits{QueueBytes: 1_000_000}, 0, 0},
		{"5 of 10 seconds", small(1), Limits{Lag: 10 * time.Second}, 5 * time.Second, 10},
		{"7.5 of 10 seconds", small(1), Limits{Lag: 10 * time.Second}, 7500 * time.Millisecond, 7},
		{"11 of 10 seconds", small(1), Limits{Lag: 10 * time.Second}, 11 * time.Second, 4},
		{"a minute of 10 seconds", small(1), Limits{Lag: 10 * time.Second}, time.Minute, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i, kind := range kinds {
				synctest.Test(t, func(t *testing.T) {
					e := New(Options{Store: memory.New(), Clock: clock.NewManual(t0), Limits: tt.limits})
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if len(tt.waiting) > 0 {
						go e.Accept(ctx, tt.waiting) //nolint:errcheck // nobody commits: it waits
					}
					time.Sleep(tt.wait)
					synctest.Wait()
					offered, done := context.WithCancel(ctx)
					result := make(chan error, 1)
					go func() { result <- e.Accept(offered, []telemetry.Event{{Kind: kind}}) }()
					synctest.Wait()
					done()
					refused := errors.Is(<-result, ErrOverload)
					if want := i < len(kinds)-tt.taken; refused != want {
						t.Errorf("%s: refused %v, want %v", kind, refused, want)
					}
				})
			}
		})
	}
}
