package standup

import (
	"fmt"
	"time"

	"serin/internal/plan"
)

// Slot is one time at which a report is due.
type Slot struct {
	ID   string    // unique: the same slot has the same, whatever the time zone of the server
	Day  string    // of Due in the plan's zone, such as 2025-02-21
	Due  time.Time // UTC
	From time.Time // when the one before was due: the report is of (From, Due]
	// Missed are earlier slots since the last report that was made.
	Missed int
}

// maxMissed bounds how many missed slots are counted: a server that was off
// for years need not walk through them.
const maxMissed = 1000

// Slots tells when a report of a rollout is due.
type Slots struct {
	Rollout string
	Report  plan.Report
	Zone    *time.Location
	Began   time.Time // of the rollout: nothing is due before it
}

// Last is the newest slot that is due at now, with the number of slots that
// were missed since the report of the slot last was made (zero = none ever
// was); ok is false where none is due yet.
func (s Slots) Last(now, last time.Time) (Slot, bool) {
	due := s.at(now)
	if due.IsZero() || !due.After(s.Began) || s.Began.IsZero() {
		return Slot{}, false
	}
	out := Slot{Due: due.UTC(), From: s.at(due.Add(-1)).UTC(), Day: due.In(s.Zone).Format(time.DateOnly)}
	out.ID = s.id(due)
	for at := out.From; at.After(s.Began) && at.After(last) && out.Missed < maxMissed; at = s.at(at.Add(-1)) {
		out.Missed++
	}
	return out, true
}

// Next is when a report is due after now.
func (s Slots) Next(now time.Time) time.Time {
	if s.Report.Daily != nil {
		local := now.In(s.Zone)
		for days := range 3 {
			if at := s.daily(local.AddDate(0, 0, days)); at.After(now) && at.After(s.Began) {
				return at.UTC()
			}
		}
	}
	at := s.at(now)
	if at.IsZero() {
		return s.anchor().Add(s.every()).UTC()
	}
	return at.Add(s.every()).UTC()
}

// id names a slot. A daily report has one a day: a plan whose hour is moved
// does not report twice on that day.
func (s Slots) id(due time.Time) string {
	if s.Report.Daily != nil {
		return fmt.Sprintf("%s/%s/%s", s.Rollout, s.Report.Name, due.In(s.Zone).Format(time.DateOnly))
	}
	return fmt.Sprintf("%s/%s/%s", s.Rollout, s.Report.Name, due.UTC().Format("2006-01-02T15:04Z"))
}

// at is the newest time at or before t at which the report is due; zero = none.
func (s Slots) at(t time.Time) time.Time {
	if s.Report.Daily != nil {
		local := t.In(s.Zone)
		for days := range 3 {
			if at := s.daily(local.AddDate(0, 0, -days)); !at.After(t) {
				return at
			}
		}
		return time.Time{}
	}
	anchor := s.anchor()
	if t.Before(anchor) {
		return time.Time{}
	}
	return anchor.Add(t.Sub(anchor).Truncate(s.every()))
}

// daily is when a day's report is due: an hour that daylight saving skips is
// the next valid minute, of a doubled one it is the first.
func (s Slots) daily(day time.Time) time.Time {
	return plan.WallTime(s.Zone, day.Year(), day.Month(), day.Day(), s.Report.Daily.Begin)
}

// anchor is from when on `every` is counted: midnight, in the plan's zone, of
// the day on which the rollout began. From there on it is a constant time,
// whatever clocks on walls do, so that hourly is once each hour.
func (s Slots) anchor() time.Time {
	local := s.Began.In(s.Zone)
	return plan.WallTime(s.Zone, local.Year(), local.Month(), local.Day(), 0)
}

func (s Slots) every() time.Duration { return max(s.Report.Every, time.Minute) }
