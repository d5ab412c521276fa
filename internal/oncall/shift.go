package oncall

import (
	"slices"
	"time"

	"serin/internal/plan"
)

// searchSpan is how far ahead the next hand-over is looked for.
const searchSpan = 400 * 24 * time.Hour

// On lists who is on duty at an instant, sorted; empty = nobody.
func (r Rota) On(at time.Time) []string {
	return r.on(at, r.location(), r.calendars(at, at.Add(time.Nanosecond)))
}

// on is On with the calendars already read.
func (r Rota) on(at time.Time, loc *time.Location, calendars [][]occurrence) []string {
	for _, o := range slices.Backward(r.Overrides) {
		if !at.Before(o.From) && at.Before(o.To) {
			return []string{o.Person}
		}
	}
	for i, l := range slices.Backward(r.Layers) {
		if !l.open(at, loc) {
			continue
		}
		var found []string
		if len(l.Events) > 0 {
			for _, o := range calendars[i] {
				if !at.Before(o.from) && at.Before(o.to) {
					found = append(found, o.person)
				}
			}
		} else if n, ok := l.turn(at, loc); ok {
			found = []string{l.People[n%len(l.People)]}
		}
		if len(found) > 0 {
			slices.Sort(found)
			return slices.Compact(found)
		}
	}
	return nil
}

// calendars are the occurrences of each calendar layer that touch [from, to).
func (r Rota) calendars(from, to time.Time) [][]occurrence {
	out := make([][]occurrence, len(r.Layers))
	for i, l := range r.Layers {
		for _, e := range l.Events {
			out[i] = append(out[i], e.between(from, to, r.location())...)
		}
	}
	return out
}

// begins is when turn n of a layer begins; turns count from 0.
func (l Layer) begins(n int, loc *time.Location) time.Time {
	first, _ := time.Parse(time.DateOnly, l.Starts)
	if i := slices.Index(weekdays, l.Weekday); i >= 0 {
		first = first.AddDate(0, 0, (i-int(first.Weekday())+7)%7)
	}
	minute := 0
	if m := clockForm.FindStringSubmatch(l.Clock); m != nil {
		clock, _ := time.Parse("15:04", m[0])
		minute = 60*clock.Hour() + clock.Minute()
	}
	return plan.WallTime(loc, first.Year(), first.Month(), first.Day()+n*l.length(), minute)
}

// turn is the number of the turn at an instant; false = before the first.
func (l Layer) turn(at time.Time, loc *time.Location) (int, bool) {
	n := int(at.Sub(l.begins(0, loc)).Hours()) / (24 * l.length())
	for n = max(n-1, 0); !l.begins(n+1, loc).After(at); n++ {
	}
	return n, !at.Before(l.begins(0, loc))
}

// open reports whether an instant lies in the layer's hours.
func (l Layer) open(at time.Time, loc *time.Location) bool {
	if len(l.Hours) == 0 {
		return true
	}
	local := at.In(loc)
	for _, h := range l.Hours {
		from, to, ok := l.window(h, local, loc)
		if ok && !at.Before(from) && at.Before(to) {
			return true
		}
	}
	return false
}

// window is the time of a weekly window on the day of local; false = it has none that day.
func (l Layer) window(text string, local time.Time, loc *time.Location) (from, to time.Time, ok bool) {
	w, err := plan.ParseWindow(text)
	if err != nil || !w.Days[local.Weekday()] {
		return from, to, false
	}
	from = plan.WallTime(loc, local.Year(), local.Month(), local.Day(), w.Begin)
	to = plan.WallTime(loc, local.Year(), local.Month(), local.Day(), w.End)
	return from, to, true
}

// edges are the instants within (from, to) at which a layer may change.
func (l Layer) edges(from, to time.Time, loc *time.Location, calendar []occurrence) (out []time.Time) {
	for _, o := range calendar {
		out = append(out, o.from, o.to)
	}
	if len(l.Events) == 0 {
		n, _ := l.turn(from, loc)
		for at := l.begins(n, loc); at.Before(to); n, at = n+1, l.begins(n+1, loc) {
			out = append(out, at)
		}
	}
	if len(l.Hours) == 0 {
		return out
	}
	noon := from.In(loc)
	for day := time.Date(noon.Year(), noon.Month(), noon.Day(), 12, 0, 0, 0, loc); day.Before(to.Add(24 * time.Hour)); day = day.AddDate(0, 0, 1) {
		for _, h := range l.Hours {
			if begin, end, ok := l.window(h, day, loc); ok {
				out = append(out, begin, end)
			}
		}
	}
	return out
}

// Shifts takes [from, to) apart into times with the same people on duty, in
// order and without holes; times without anybody are shifts too. It is empty
// where to is not after from.
func (r Rota) Shifts(from, to time.Time) []Shift {
	if !to.After(from) {
		return nil
	}
	loc, calendars := r.location(), r.calendars(from, to)
	edges := []time.Time{from}
	for i, l := range r.Layers {
		edges = append(edges, l.edges(from, to, loc, calendars[i])...)
	}
	for _, o := range r.Overrides {
		edges = append(edges, o.From, o.To)
	}
	edges = slices.DeleteFunc(edges, func(t time.Time) bool { return t.Before(from) || !t.Before(to) })
	slices.SortFunc(edges, time.Time.Compare)
	edges = slices.CompactFunc(edges, time.Time.Equal)
	var out []Shift
	for i, at := range edges {
		end := to
		if i+1 < len(edges) {
			end = edges[i+1]
		}
		people := r.on(at, loc, calendars)
		if n := len(out) - 1; n >= 0 && slices.Equal(out[n].People, people) {
			out[n].To = end
			continue
		}
		out = append(out, Shift{From: at, To: end, People: people})
	}
	return out
}

// Gaps are the shifts of [from, to) without anybody.
func (r Rota) Gaps(from, to time.Time) []Shift {
	return slices.DeleteFunc(r.Shifts(from, to), func(s Shift) bool { return len(s.People) > 0 })
}

// Next is the first hand-over after at: when others are on duty, or nobody
// is, and who; false = none within 400 days.
func (r Rota) Next(at time.Time) (Shift, bool) {
	for span := 15 * 24 * time.Hour; ; span = searchSpan {
		if list := r.Shifts(at, at.Add(span)); len(list) > 1 {
			return list[1], true
		}
		if span == searchSpan {
			return Shift{}, false
		}
	}
}
