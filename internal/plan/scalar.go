package plan

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"serin/internal/flag"
)

var (
	durationForm = regexp.MustCompile(`^([0-9]+)(s|m|h|d|w)$`)
	percentForm  = regexp.MustCompile(`^(100|[0-9]{1,2}(?:\.[0-9]{1,3})?)%$`)
	clockForm    = regexp.MustCompile(`^([01][0-9]|2[0-3]):([0-5][0-9])(?:-([01][0-9]|2[0-4]):([0-5][0-9]))?$`)
	dateForm     = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}( ([01][0-9]|2[0-3]):[0-5][0-9])?$`)
	windowForm   = regexp.MustCompile(`^(daily|(mon|tue|wed|thu|fri|sat|sun)(?:-(mon|tue|wed|thu|fri|sat|sun))?) ([0-2][0-9]):([0-5][0-9])-([0-2][0-9]):([0-5][0-9])$`)
	nameForm     = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	metricForm   = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

const (
	minutesPerDay = 24 * 60
	// clockWidth is how long a clock time without an end is open, in minutes.
	clockWidth = 4 * 60
)

var errForm = errors.New("malformed")

// durationUnits are the units of a duration, the longest first.
var durationUnits = []struct {
	name string
	d    time.Duration
}{{"w", 7 * day}, {"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}

// parseDuration reads "15m": a whole number and one of s m h d w.
func parseDuration(text string) (time.Duration, error) {
	m := durationForm.FindStringSubmatch(text)
	if m == nil {
		return 0, errForm
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, errForm
	}
	for _, u := range durationUnits {
		if u.name == m[2] && n <= int64(math.MaxInt64/u.d) {
			return time.Duration(n) * u.d, nil
		}
	}
	return 0, errForm
}

// ParseDuration reads a duration as plans write it: 15m, 24h, 14d.
func ParseDuration(text string) (time.Duration, error) { return parseDuration(text) }

// FormatDuration writes d as a plan does, in whole seconds and the longest
// unit of s m h d that divides it: 48h stays 48h and 15m is 15m, 14 days 14d.
func FormatDuration(d time.Duration) string {
	for _, u := range durationUnits[1:] {
		if d%u.d == 0 && d != 0 && (u.name != "d" || d > 72*time.Hour) {
			return strconv.FormatInt(int64(d/u.d), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// parsePercent reads "10%", to a thousandth of a percent, 0 to 100.
func parsePercent(text string) (flag.Percent, error) {
	m := percentForm.FindStringSubmatch(text)
	if m == nil {
		return 0, errForm
	}
	whole, fraction, _ := strings.Cut(m[1], ".")
	n, err := strconv.Atoi(whole + (fraction + "000")[:3])
	return flag.Percent(n), err
}

// formatPercent writes a share as plans do: "12.5%".
func formatPercent(p flag.Percent) string { return p.String() }

// parseClock reads "09:00" (open for four hours) or "09:00-13:00". An end that
// is not after the begin is one on the next day.
func parseClock(text string) (*Clock, error) {
	m := clockForm.FindStringSubmatch(text)
	if m == nil {
		return nil, errForm
	}
	c := &Clock{Text: text, Begin: minuteOfDay(m[1], m[2])}
	c.End = c.Begin + clockWidth
	if m[3] == "" {
		return c, nil
	}
	if c.End = minuteOfDay(m[3], m[4]); c.End > minutesPerDay {
		return nil, errForm
	}
	if c.End <= c.Begin {
		c.End += minutesPerDay
	}
	return c, nil
}

func minuteOfDay(hour, minute string) int {
	h, _ := strconv.Atoi(hour)
	m, _ := strconv.Atoi(minute)
	return 60*h + m
}

// weekdays are the day names of a calendar window, by time.Weekday.
var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// parseWindow reads "mon-fri 08:00-18:00".
func parseWindow(text string) (Window, error) {
	m := windowForm.FindStringSubmatch(text)
	if m == nil {
		return Window{}, errForm
	}
	w := Window{Text: text, Begin: minuteOfDay(m[4], m[5]), End: minuteOfDay(m[6], m[7])}
	if w.End <= w.Begin || w.End > minutesPerDay {
		return Window{}, fmt.Errorf("the end is not after the begin: %w", errForm)
	}
	if m[1] == "daily" {
		w.Days = [7]bool{true, true, true, true, true, true, true}
		return w, nil
	}
	from, to := dayNumber(m[2]), dayNumber(m[2])
	if m[3] != "" {
		to = dayNumber(m[3])
	}
	for d := from; ; d = (d + 1) % 7 {
		w.Days[d] = true
		if d == to {
			return w, nil
		}
	}
}

func dayNumber(name string) int {
	for i, d := range weekdays {
		if d == name {
			return i
		}
	}
	return 0
}

// parseDate reads "2025-02-19" or "2025-02-19 09:00" in loc; whole tells that
// it had no time of day.
func parseDate(text string, loc *time.Location) (t time.Time, whole bool, err error) {
	if !dateForm.MatchString(text) {
		return time.Time{}, false, errForm
	}
	layout := "2006-01-02 15:04"
	if whole = len(text) == len("2006-01-02"); whole {
		layout = "2006-01-02"
	}
	wall, err := time.Parse(layout, text)
	if err != nil {
		return time.Time{}, false, errForm
	}
	return wallTime(loc, wall.Year(), wall.Month(), wall.Day(), 60*wall.Hour()+wall.Minute()), whole, nil
}

// wallTime is the moment at which clocks in loc show a minute of a day
// (minutes past 1440 are on the next). A time that daylight saving skips is the
// next valid minute, of a doubled one it is the first.
func wallTime(loc *time.Location, year int, month time.Month, dayOfMonth, minute int) time.Time {
	guess := time.Date(year, month, dayOfMonth, 0, minute, 0, 0, loc)
	asUTC := time.Date(year, month, dayOfMonth, 0, minute, 0, 0, time.UTC)
	begin, end := guess.ZoneBounds()
	sides := []time.Time{guess}
	if !begin.IsZero() {
		sides = append(sides, begin.Add(-time.Second))
	}
	if !end.IsZero() {
		sides = append(sides, end)
	}
	var first time.Time
	for _, s := range sides {
		_, offset := s.In(loc).Zone()
		t := asUTC.Add(-time.Duration(offset) * time.Second).In(loc)
		if _, shown := t.Zone(); shown == offset && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if !first.IsZero() {
		return first
	}
	for _, change := range []time.Time{begin, end} { // skipped: the change itself
		if change.IsZero() {
			continue
		}
		_, before := change.Add(-time.Second).In(loc).Zone()
		_, after := change.In(loc).Zone()
		wall := change.Unix()
		if wall+int64(before) <= asUTC.Unix() && asUTC.Unix() < wall+int64(after) {
			return change.In(loc)
		}
	}
	return guess
}
