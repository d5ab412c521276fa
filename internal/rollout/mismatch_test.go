package rollout

import (
	"testing"
	"time"
)

// TestMismatchAccepted: who accepts a sample ratio mismatch lets comparisons count
// to the end of the run, through raises, and not beyond.
func TestMismatchAccepted(t *testing.T) {
	at := time.Date(2025, 2, 19, 9, 0, 0, 0, time.UTC)
	var s State
	for i, step := range []struct {
		e    Event
		want bool
	}{
		{Event{Type: Created, Item: "demo-1"}, false},
		{Event{Type: Started, Attempt: 1, Exposure: 10_000}, false},
		{Event{Type: Accepted, Item: "telemetry loss by arm", Attempt: 1}, false},
		{Event{Type: Accepted, Item: "srm", Attempt: 1}, true},
		{Event{Type: Advanced, Attempt: 1, Stage: 1, Exposure: 25_000}, true},
		{Event{Type: RolledBackEvent, Attempt: 1, Stage: 1}, true},
		{Event{Type: Restarted, Attempt: 2, Exposure: 10_000}, false},
	} {
		step.e.At = at.Add(time.Duration(i) * time.Hour)
		s = Apply(s, step.e)
		if got := s.MismatchAccepted(); got != step.want {
			t.Errorf("after %s: %v, want %v", step.e.Type, got, step.want)
		}
	}
}
