package judge

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Format writes a metric's value for people: "412 ms", "2.21 s", "3.5 min"
// (unit "ms"), "0.056%" (unit "%", of a share 0..1), "1.2 MB" (unit "B"),
// "20,000" (no unit). Other units follow the number.
func Format(value float64, unit string) string {
	if math.IsNaN(value) {
		return "none"
	}
	if math.IsInf(value, 0) {
		return map[bool]string{true: "∞", false: "-∞"}[value > 0]
	}
	switch unit {
	case "":
		return number(value)
	case "%":
		return number(value*100) + "%"
	case "ms":
		return scaled(value, []scale{{1, "ms"}, {1e3, "s"}, {120e3, "min"}, {7200e3, "h"}, {48 * 3600e3, "d"}},
			[]float64{1, 1e3, 60e3, 3600e3, 24 * 3600e3})
	case "B":
		return scaled(value, []scale{{1, "B"}, {1e3, "kB"}, {1e6, "MB"}, {1e9, "GB"}, {1e12, "TB"}},
			[]float64{1, 1e3, 1e6, 1e9, 1e12})
	}
	if strings.HasPrefix(unit, "%") {
		return number(value*100) + unit
	}
	return number(value) + " " + unit
}

// scale is a unit and the value from which on it is used.
type scale struct {
	from float64
	name string
}

func scaled(value float64, scales []scale, size []float64) string {
	at := 0
	for i, s := range scales {
		if math.Abs(value) >= s.from*0.9995 {
			at = i
		}
	}
	return number(value/size[at]) + " " + scales[at].name
}

// number writes three significant digits, whole numbers in full, thousands
// with commas.
func number(v float64) string {
	if v == 0 {
		return "0"
	}
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return commas(strconv.FormatInt(int64(v), 10))
	}
	if math.Abs(v) >= 1e15 || math.Abs(v) < 1e-6 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	text := strconv.FormatFloat(v, 'f', max(0, digits), 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	whole, fraction, found := strings.Cut(text, ".")
	if !found {
		return commas(whole)
	}
	return commas(whole) + "." + fraction
}

func commas(whole string) string {
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	return sign + whole
}

// change writes a relative change: 0.5 is "+50%".
func change(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+∞"
	case v > -0.0005 && v < 0.0005:
		return "+0%"
	}
	text := strconv.FormatFloat(v*100, 'f', 0, 64)
	if math.Abs(v) < 0.1 {
		text = strings.TrimSuffix(strconv.FormatFloat(v*100, 'f', 1, 64), ".0")
	}
	if v > 0 {
		return "+" + commas(text) + "%"
	}
	return commas(text) + "%"
}

// duration writes a length of time in its two largest units: "6h", "1h30m".
func duration(d time.Duration) string {
	if d < 0 {
		return "-" + duration(-d)
	}
	if d < time.Minute {
		return strconv.Itoa(int(d.Round(time.Second)/time.Second)) + "s"
	}
	d = d.Round(time.Minute)
	hours, minutes := int(d/time.Hour), int(d/time.Minute)%60
	part := func(n int, unit string) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n) + unit
	}
	if hours >= 48 {
		return part(hours/24, "d") + part(hours%24, "h")
	}
	return part(hours, "h") + part(minutes, "m")
}

// roughly writes a predicted length of time: what is far off is not known to the
// minute.
func roughly(d time.Duration) string {
	switch {
	case d >= 10*24*time.Hour:
		d = d.Round(24 * time.Hour)
	case d >= 10*time.Hour:
		d = d.Round(time.Hour)
	case d >= time.Hour:
		d = d.Round(10 * time.Minute)
	}
	return duration(d)
}

// is returns "are" for metrics that are named in the plural, else "is".
func is(metric string) string {
	if strings.HasSuffix(metric, "s") && metric != "cls" && !strings.HasSuffix(metric, "ss") {
		return "are"
	}
	return "is"
}
