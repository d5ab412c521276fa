package simulate

import (
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
)

// perDaySuffix ends the names of figures that are events a day.
const perDaySuffix = "_per_day"

// figureUnits are the units that a figure may carry, with what they are of the
// unit of metrics: shares, milliseconds, bytes.
var figureUnits = []struct {
	suffix string
	factor float64
}{
	{"%", 0.01},
	{"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3},
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1},
}

// Set reads one figure as people write it: a field of Traffic by its JSON name
// ("views_per_day", "errors_per_view"), a metric with _per_day for the events
// of a count ("p1_per_day"), or a metric for its level ("lcp"). Text is a
// number with or without unit: "20000", "0.05%", "2.0s". t's maps are not
// shared with other values afterwards.
func (t *Traffic) Set(name, text string) error {
	v, err := figure(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fields := map[string]*float64{
		"views_per_day": &t.ViewsPerDay, "users": &t.Users, "errors_per_view": &t.ErrorsPerView, "spread": &t.Spread, "sticky": &t.Sticky,
		"daily": &t.Daily, "errors_daily": &t.ErrorsDaily, "weekend": &t.Weekend, "errors_weekend": &t.ErrorsWeekend,
	}
	if field := fields[name]; field != nil {
		*field = v
		return nil
	}
	if metric, ok := strings.CutSuffix(name, perDaySuffix); ok {
		t.PerDay = with(t.PerDay, metric, v)
		return nil
	}
	t.Values = with(t.Values, name, v)
	return nil
}

// with returns a copy of m in which key is v.
func with(m map[string]float64, key string, v float64) map[string]float64 {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]float64{}
	}
	out[key] = v
	return out
}

func figure(text string) (float64, error) {
	number, factor := strings.TrimSpace(strings.ReplaceAll(text, ",", "")), 1.0
	for _, u := range figureUnits {
		if rest, ok := strings.CutSuffix(number, u.suffix); ok {
			if v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64); err == nil {
				number, factor = strconv.FormatFloat(v, 'g', -1, 64), u.factor
				break
			}
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is no figure: write a number, with a unit where it has one, such as 20000, 0.05%% or 2.0s", text)
	}
	return v * factor, nil
}

// Figures lists all figures as Set reads them: by name, in plain numbers of
// four digits.
func (t Traffic) Figures() map[string]string {
	out := map[string]string{}
	put := func(name string, v float64) { out[name] = strconv.FormatFloat(v, 'g', 4, 64) }
	whole := func(name string, v float64) { out[name] = strconv.FormatFloat(math.Round(v), 'f', 0, 64) }
	whole("views_per_day", t.ViewsPerDay)
	whole("users", t.Users)
	put("errors_per_view", t.ErrorsPerView)
	put("spread", t.Spread)
	put("sticky", t.Sticky)
	put("daily", t.Daily)
	put("errors_daily", t.ErrorsDaily)
	put("weekend", t.Weekend)
	put("errors_weekend", t.ErrorsWeekend)
	for name, v := range t.PerDay {
		put(name+perDaySuffix, v)
	}
	for name, v := range t.Values {
		put(name, v)
	}
	return out
}
