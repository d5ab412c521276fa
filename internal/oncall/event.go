package oncall

import (
	"slices"
	"time"

	"serin/internal/plan"
)

// Event is somebody's time in a calendar, once or again and again: the part of
// RFC 5545's VEVENT that rotas use.
type Event struct {
	Person string `json:"person"`
	// Start is local time in Timezone, "2026-03-02T09:00:00"; with Timezone ""
	// it is in the rota's (a floating time, RFC 5545 section 3.3.5).
	Start    string        `json:"start"`
	Timezone string        `json:"timezone,omitempty"`
	Length   time.Duration `json:"length"`         // of the wall clock: whole days keep their hour over daylight saving
	Freq     string        `json:"freq,omitempty"` // "daily", "weekly"; "" = once
	Every    int           `json:"every,omitempty"`
	Days     []string      `json:"days,omitempty"`  // of a weekly one: "mo" …; empty = the day of Start
	Count    int           `json:"count,omitempty"` // occurrences, left out ones included; 0 = no end by number
	Until    time.Time     `json:"until,omitzero"`  // last begin, inclusive; zero = no end by time
	Except   []time.Time   `json:"except,omitempty"`
}

// occurrence is one time of an event.
type occurrence struct {
	person   string
	from, to time.Time
}

// localForm is how Event.Start is written.
const localForm = "2006-01-02T15:04:05"

// maxLength bounds one occurrence, maxOccurrences what is gone through of a
// recurrence.
const (
	maxLength      = MaxDays * 24 * time.Hour
	maxOccurrences = 100_000
)

// byDay are RFC 5545's names of days, by time.Weekday.
var byDay = []string{"su", "mo", "tu", "we", "th", "fr", "sa"}

func (e Event) check() error {
	start, err := time.Parse(localForm, e.Start)
	switch {
	case !personForm.MatchString(e.Person):
		return bad("person %q of an event", "name somebody", e.Person)
	case err != nil || start.Year() < 1990 || start.Year() > 2200:
		return bad("start %q of an event", "write 2026-03-02T09:00:00", e.Start)
	case e.Length <= 0 || e.Length > maxLength:
		return bad("length %s of an event", "above 0, at most 366 days", e.Length)
	case e.Freq != "" && e.Freq != "daily" && e.Freq != "weekly":
		return bad("recurrence %q", "only daily and weekly ones are known", e.Freq)
	case e.Every < 0 || e.Every > 1000 || e.Count < 0 || len(e.Except) > MaxEvents:
		return bad("recurrence of %s", "interval at most 1000, count not negative, at most 1000 exceptions", e.Person)
	}
	if e.Timezone != "" {
		if _, err := time.LoadLocation(e.Timezone); err != nil {
			return bad("time zone %q of an event", "use an IANA name such as Europe/Berlin", e.Timezone)
		}
	}
	for _, d := range e.Days {
		if !slices.Contains(byDay, d) {
			return bad("day %q of an event", "use mo, tu, we, th, fr, sa or su", d)
		}
	}
	return nil
}

// between lists the occurrences that touch [from, to). loc is the rota's time zone.
func (e Event) between(from, to time.Time, loc *time.Location) (out []occurrence) {
	if e.Timezone != "" {
		if own, err := time.LoadLocation(e.Timezone); err == nil {
			loc = own
		}
	}
	start, err := time.Parse(localForm, e.Start)
	if err != nil {
		return nil
	}
	n := 0
	e.each(start, func(wall time.Time) bool {
		n++
		at := onWall(loc, wall)
		if e.Count > 0 && n > e.Count || !e.Until.IsZero() && at.After(e.Until) || !at.Before(to) || n > maxOccurrences {
			return false
		}
		end := onWall(loc, wall.Add(e.Length))
		if end.After(from) && end.After(at) && !slices.ContainsFunc(e.Except, at.Equal) {
			out = append(out, occurrence{e.Person, at, end})
		}
		return true
	})
	return out
}

// each calls f with the wall times at which an event begins, in order, until f
// says false. Weeks begin on Monday (RFC 5545 section 3.3.10, WKST).
func (e Event) each(start time.Time, f func(wall time.Time) bool) {
	every := max(e.Every, 1)
	switch {
	case e.Freq == "":
		f(start)
	case e.Freq == "daily":
		for at := start; f(at); at = at.AddDate(0, 0, every) {
		}
	default:
		monday := start.AddDate(0, 0, -(int(start.Weekday())+6)%7)
		days := e.Days
		if len(days) == 0 {
			days = []string{byDay[start.Weekday()]}
		}
		for ; ; monday = monday.AddDate(0, 0, 7*every) {
			for d := range 7 {
				at := monday.AddDate(0, 0, d)
				if slices.Contains(days, byDay[at.Weekday()]) && !at.Before(start) && !f(at) {
					return
				}
			}
		}
	}
}

// onWall is when clocks in loc show what wall shows.
func onWall(loc *time.Location, wall time.Time) time.Time {
	return plan.WallTime(loc, wall.Year(), wall.Month(), wall.Day(), 60*wall.Hour()+wall.Minute())
}
