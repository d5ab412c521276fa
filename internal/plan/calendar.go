package plan

import (
	"slices"
	"time"
)

// searchDays is how far ahead an opening is looked for: a window on one
// weekday that daylight saving cuts short comes again within it.
const searchDays = 15

// daySpan is the time of a window of minutes on the day of t, moved by days. A
// window that daylight saving skips is one minute long.
func daySpan(loc *time.Location, t time.Time, days, begin, end int) (from, to time.Time) {
	local := t.In(loc)
	from = wallTime(loc, local.Year(), local.Month(), local.Day()+days, begin)
	to = wallTime(loc, local.Year(), local.Month(), local.Day()+days, end)
	if !to.After(from) {
		to = from.Add(time.Minute)
	}
	return from, to
}

// Open reports whether t lies in the window of its day in loc, or in what the
// day before's window has left over.
func (c Clock) Open(t time.Time, loc *time.Location) bool {
	for _, days := range []int{-1, 0} {
		from, to := daySpan(loc, t, days, c.Begin, c.End)
		if !t.Before(from) && t.Before(to) {
			return true
		}
	}
	return false
}

// Next returns the first moment from t on at which the window is open.
func (c Clock) Next(t time.Time, loc *time.Location) time.Time {
	if c.Open(t, loc) {
		return t
	}
	for days := range searchDays {
		if from, _ := daySpan(loc, t, days, c.Begin, c.End); !from.Before(t) {
			return from
		}
	}
	return t
}

// next returns the first moment from t on at which the weekly window is open.
func (w Window) next(t time.Time, loc *time.Location) (time.Time, bool) {
	for days := range searchDays {
		from, to := daySpan(loc, t, days, w.Begin, w.End)
		local := t.In(loc)
		weekday := time.Date(local.Year(), local.Month(), local.Day()+days, 12, 0, 0, 0, time.UTC).Weekday()
		switch {
		case !w.Days[weekday] || !t.Before(to):
		case t.Before(from):
			return from, true
		default:
			return t, true
		}
	}
	return time.Time{}, false
}

// RaiseOpen reports whether calendar and freezes let traffic rise at t; if
// not, next is when they will, and why names what stands in the way. A zero
// next means never.
func (p *Plan) RaiseOpen(t time.Time) (ok bool, next time.Time, why string) {
	for _, f := range p.Calendar.Freeze {
		if !t.Before(f.From) && t.Before(f.To) {
			return false, p.NextRaise(t), "freeze: " + f.Why
		}
	}
	if next = p.NextRaise(t); next.Equal(t) {
		return true, t, ""
	}
	return false, next, "calendar"
}

// NextRaise returns the first moment from t on at which calendar and freezes
// let traffic rise; zero if there is none.
func (p *Plan) NextRaise(t time.Time) time.Time {
	for range 2*len(p.Calendar.Freeze) + 2 {
		open := p.nextWindow(t)
		if open.IsZero() {
			return open
		}
		thawed := p.thaw(open)
		if thawed.Equal(open) {
			return open
		}
		t = thawed
	}
	return time.Time{}
}

func (p *Plan) nextWindow(t time.Time) (first time.Time) {
	for _, w := range p.Calendar.Raise {
		if from, ok := w.next(t, p.Location); ok && (first.IsZero() || from.Before(first)) {
			first = from
		}
	}
	return first
}

// thaw returns t, or the end of the freezes that hold it.
func (p *Plan) thaw(t time.Time) time.Time {
	freezes := slices.Clone(p.Calendar.Freeze)
	slices.SortFunc(freezes, func(a, b Freeze) int { return a.From.Compare(b.From) })
	for _, f := range freezes {
		if !t.Before(f.From) && t.Before(f.To) {
			t = f.To
		}
	}
	return t
}

// StageWindow reports whether stage i may be entered at t as far as calendar,
// freezes and the stage's `at` go, and if not, when. A zero next means never.
func (p *Plan) StageWindow(i int, t time.Time) (open bool, next time.Time) {
	if i < 0 || i >= len(p.Stages) {
		return true, t
	}
	next = p.NextEntry(p.Stages[i].At, t)
	return next.Equal(t), next
}

// NextEntry returns the first moment from t on that lies in a clock window
// (nil: any time), in the calendar and in no freeze; zero if there is none
// within a year of tries. It serves a stage's `at` and the `at` of `early`.
func (p *Plan) NextEntry(at *Clock, t time.Time) time.Time {
	const tries = 2 * 366
	for range tries {
		raise := p.NextRaise(t)
		if raise.IsZero() || at == nil {
			return raise
		}
		if t = at.Next(raise, p.Location); t.Equal(raise) {
			return t
		}
	}
	return time.Time{}
}

// CheckAt returns the check entry that is in force at an age of a stage, and
// how often it looks. ok is false when the stage has none for that age.
func (p *Plan) CheckAt(stage int, age time.Duration) (entry int, every time.Duration, ok bool) {
	if stage < 0 || stage >= len(p.Stages) || age < 0 {
		return 0, 0, false
	}
	var end time.Duration
	for i, c := range p.Stages[stage].Checks {
		if end += c.For; c.For == 0 || age < end {
			return i, c.Every, true
		}
	}
	return 0, 0, false
}
