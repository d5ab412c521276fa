package plan

import "time"

// WallTime is the moment at which clocks in loc show a minute of a day
// (minutes past 1440 are on the next). A time that daylight saving skips is
// the next valid minute, of a doubled one it is the first.
func WallTime(loc *time.Location, year int, month time.Month, dayOfMonth, minute int) time.Time {
	return wallTime(loc, year, month, dayOfMonth, minute)
}

// ParseWindow reads a weekly window such as "mon-fri 08:00-18:00" or
// "daily 00:00-24:00".
func ParseWindow(text string) (Window, error) { return parseWindow(text) }
