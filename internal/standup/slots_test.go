package standup

import (
	"testing"
	"time"

	"serin/internal/plan"
)

// TestSlots: once a day at the plan's hour over both changes of the clock, once
// an hour through them, and what was missed is counted.
func TestSlots(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Date(2025, 3, 28, 10, 0, 0, 0, zone)
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	daily := func(minute int, began time.Time) Slots {
		return Slots{Rollout: "a-1", Report: plan.Report{Name: "stand-up", Daily: &plan.Clock{Begin: minute, End: minute + 1}}, Zone: zone, Began: began}
	}
	hourly := Slots{Rollout: "a-1", Report: plan.Report{Name: "review", Every: time.Hour}, Zone: zone, Began: began}
	for name, tt := range map[string]struct {
		s             Slots
		now, last     string
		due, id, next string
		length        time.Duration
		missed        int
		none          bool
	}{
		"none before the first": {s: daily(540, began), now: "2025-03-28T23:00:00Z", none: true, next: "2025-03-29T08:00:00Z"},
		"short day":             {s: daily(540, began), now: "2025-03-30T07:00:00Z", last: "2025-03-29T08:00:00Z", due: "2025-03-30T07:00:00Z", id: "a-1/stand-up/2025-03-30", next: "2025-03-31T07:00:00Z", length: 23 * time.Hour},
		"skipped hour":          {s: daily(150, began), now: "2025-03-30T12:00:00Z", last: "2025-03-29T01:30:00Z", due: "2025-03-30T01:00:00Z", id: "a-1/stand-up/2025-03-30", next: "2025-03-31T00:30:00Z", length: 23*time.Hour + 30*time.Minute},
		"doubled hour, once":    {s: daily(150, began), now: "2025-10-26T01:45:00Z", last: "2025-10-26T00:30:00Z", due: "2025-10-26T00:30:00Z", id: "a-1/stand-up/2025-10-26", next: "2025-10-27T01:30:00Z", length: 24 * time.Hour},
		"three days off":        {s: daily(540, began), now: "2025-04-02T10:00:00Z", last: "2025-03-29T08:00:00Z", due: "2025-04-02T07:00:00Z", id: "a-1/stand-up/2025-04-02", next: "2025-04-03T07:00:00Z", length: 24 * time.Hour, missed: 3},
		"hour over the change":  {s: hourly, now: "2025-03-30T01:10:00Z", last: "2025-03-30T00:00:00Z", due: "2025-03-30T01:00:00Z", id: "a-1/review/2025-03-30T01:00Z", next: "2025-03-30T02:00:00Z", length: time.Hour},
		"hours missed":          {s: hourly, now: "2025-03-29T12:00:30Z", last: "2025-03-29T08:00:00Z", due: "2025-03-29T12:00:00Z", id: "a-1/review/2025-03-29T12:00Z", next: "2025-03-29T13:00:00Z", length: time.Hour, missed: 3},
	} {
		t.Run(name, func(t *testing.T) {
			var last time.Time
			if tt.last != "" {
				last = at(tt.last)
			}
			got, ok := tt.s.Last(at(tt.now), last)
			if ok == tt.none {
				t.Fatalf("due: %v, %+v", ok, got)
			}
			if next := tt.s.Next(at(tt.now)); !next.Equal(at(tt.next)) {
				t.Errorf("next %s, want %s", next, tt.next)
			}
			if tt.none {
				return
			}
			if !got.Due.Equal(at(tt.due)) || got.ID != tt.id || got.Due.Sub(got.From) != tt.length || got.Missed != tt.missed {
				t.Errorf("got %+v (%s long), want due %s %s %s, %d missed", got, got.Due.Sub(got.From), tt.due, tt.id, tt.length, tt.missed)
			}
		})
	}
}
