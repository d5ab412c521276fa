package simulate

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Percent writes a share for people: "0%", "0.35%", "12%", "100%". What is not
// quite nothing or all does not look like it.
func Percent(p float64) string {
	x := p * 100
	switch {
	case x <= 0:
		return "0%"
	case x >= 100:
		return "100%"
	case x < 0.01:
		return "<0.01%"
	case x < 1:
		return trim(x, 2) + "%"
	case x < 10 || x > 99:
		return trim(math.Min(x, 99.9), 1) + "%"
	}
	return trim(x, 0) + "%"
}

func trim(x float64, digits int) string { return strconv.FormatFloat(x, 'f', digits, 64) }

// String writes the share with its standard error: "1.2% ±0.2". Where it never
// or always happened the error is what 95 % of such counts stay within, three
// over their number (Hanley and Lippman-Hand, JAMA 249, 1983).
func (s Share) String() string {
	switch {
	case s.Of == 0:
		return "-"
	case s.Count == 0:
		return "0% (<" + Percent(math.Min(1, 3/float64(s.Of))) + ")"
	case s.Count == s.Of:
		return "100%"
	}
	text := Percent(s.P)
	if e := s.SE * 100; e < 1 {
		return fmt.Sprintf("%s ±%s", text, trim(math.Max(e, 0.01), 2))
	}
	return fmt.Sprintf("%s ±%s", text, trim(s.SE*100, 0))
}

// Short writes the share alone, "-" of nothing.
func (s Share) Short() string {
	if s.Of == 0 {
		return "-"
	}
	return Percent(s.P)
}

// Factor writes a factor, "×1.5", or why there is none.
func Factor(f float64) string {
	if why := noFactor[f]; why != "" {
		return why
	}
	return "×" + trimZeros(f)
}

// Change writes a factor as a change, "+12%", or why there is none.
func Change(f float64) string {
	if why := noFactor[f]; why != "" {
		return why
	}
	return fmt.Sprintf("%+.0f%%", 100*(f-1))
}

// noFactor says why there is no smallest regression.
var noFactor = map[float64]string{NoneCaught: "none of those played", HealthyToo: "none: healthy is caught too", TooFew: "too few runs"}

// Provable writes a StageResult.Provable.
func Provable(factor float64) string {
	switch {
	case factor == 0:
		return "no control"
	case factor < 0:
		return "nothing"
	case factor > 3:
		return Factor(factor)
	}
	return Change(factor)
}

// Hours writes a time for people: "0h", "45m", "9h", "8d 15h"; "-" for a
// negative one.
func Hours(h float64) string {
	d := time.Duration(math.Round(h*60)) * time.Minute
	days := d / (24 * time.Hour)
	switch rest := d % (24 * time.Hour); {
	case d < 0:
		return "-"
	case days > 0 && rest/time.Hour > 0:
		return fmt.Sprintf("%dd %dh", days, rest/time.Hour)
	case days > 0:
		return fmt.Sprintf("%dd", days)
	case d < time.Hour && d > 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	}
}

// Thousands writes a whole number with a comma between thousands.
func Thousands(v float64) string {
	text := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func trimZeros(x float64) string { return strconv.FormatFloat(x, 'g', 3, 64) }
