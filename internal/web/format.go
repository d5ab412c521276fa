package web

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"serin/internal/judge"
)

// dash stands where there is no value.
const dash = "—"

// duration writes d as people say it: "48h", "3h 12m", "45m", "20s", "0m".
func duration(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < 0:
		return "-" + duration(-d)
	case d >= 14*24*time.Hour:
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	case d >= time.Hour:
		h, m := int(d/time.Hour), int(d%time.Hour/time.Minute)
		if m == 0 {
			return fmt.Sprintf("%dh", h)
		}
		return fmt.Sprintf("%dh %02dm", h, m)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", int(d/time.Minute))
	case d > 0:
		return fmt.Sprintf("%ds", int(d/time.Second))
	}
	return "0m"
}

// ago says how long before now t was.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	switch {
	case d < 5*time.Second:
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", int(d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d/time.Hour))
	}
	return fmt.Sprintf("%dd ago", int(d/(24*time.Hour)))
}

// percent writes p (0..100) with as few digits as it needs: "25%", "24.9%".
func percent(p float64) string {
	if math.IsNaN(p) || math.IsInf(p, 0) {
		return dash
	}
	digits := 0
	if p != math.Trunc(p) {
		digits = 1
		if math.Abs(p) < 1 {
			digits = 2
		}
	}
	return strconv.FormatFloat(p, 'f', digits, 64) + "%"
}

// count writes n with separators of thousands: "143,902".
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// plural writes "1 user", "2 users".
func plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + one + "s"
}

// optional writes a value that may be missing.
func optional(v *float64, unit string) string {
	if v == nil || math.IsNaN(*v) || math.IsInf(*v, 0) {
		return dash
	}
	return value(*v, unit)
}

// relative writes a relative change: 0.018 is "+1.8%", 0.5 is "+50%".
func relative(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return dash
	}
	digits := 1
	if math.Abs(v) >= .0995 {
		digits = 0
	}
	text := strings.TrimSuffix(strconv.FormatFloat(v*100, 'f', digits, 64), ".0") + "%"
	switch {
	case text == "0%" || text == "-0%":
		return "0%"
	case v > 0:
		return "+" + text
	}
	return text
}

// stamp is a time as pages show it; Text is empty for the zero time.
type stamp struct{ ISO, UTC, Text string }

// at makes a stamp: the clock within 24 hours of now, else weekday and hour,
// else the day. Times are shown in UTC.
func at(t, now time.Time) stamp {
	if t.IsZero() {
		return stamp{}
	}
	t = t.UTC()
	layout := "2 Jan 2006"
	switch d := now.Sub(t).Abs(); {
	case d < 24*time.Hour:
		layout = "15:04"
	case d < 6*24*time.Hour:
		layout = "Mon 15:04"
	case d < 300*24*time.Hour:
		layout = "2 Jan 15:04"
	}
	return stamp{ISO: t.Format(time.RFC3339), UTC: t.Format("Mon 2 Jan 2006, 15:04:05 UTC"), Text: t.Format(layout)}
}

// clip shortens s to at most n runes, for labels only.
func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// upper raises the first letter of a sentence.
func upper(s string) string {
	if s == "" {
		return s
	}
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// value writes v, given in a metric's stored unit (ms for durations, bytes
// for sizes, 0..1 for shares), in the words of every page.
func value(v float64, unit string) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return dash
	}
	return judge.Format(v, unit)
}
