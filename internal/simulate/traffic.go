package simulate

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Traffic is what the audience does in a day at 100 %, whichever variant it
// sees. The zero value is no traffic; DefaultTraffic is a small site.
type Traffic struct {
	ViewsPerDay   float64 `json:"views_per_day"`   // page views, also requests and sessions
	Users         float64 `json:"users"`           // people in the audience
	ErrorsPerView float64 `json:"errors_per_view"` // a ratio, 0.0005 = 0.05 %
	// PerDay are events a day of any other count of the plan, by metric. One
	// whose events are errors (p1, p2, timeouts ...) is part of them.
	PerDay map[string]float64 `json:"per_day,omitempty"`
	// Values are the levels of all other metrics, in the metric's own unit:
	// milliseconds, 0..1, bytes.
	Values map[string]float64 `json:"values,omitempty"`
	Spread float64            `json:"spread"` // sigma of the logarithm of latencies
	// Sticky is the part of their variance that is between users, 0..1: some are
	// always slow. 0 = each load is on its own.
	Sticky float64 `json:"sticky"`
	// Daily and ErrorsDaily are how far views, and errors per view, swing over
	// the day: 0.8 is from 20 % to 180 %, highest at 14:00 of the plan's zone.
	Daily       float64 `json:"daily"`
	ErrorsDaily float64 `json:"errors_daily"`
	// Weekend and ErrorsWeekend are the factors of Saturday and Sunday. The
	// figures above are averages of a week, whatever its cycles.
	Weekend       float64 `json:"weekend"`
	ErrorsWeekend float64 `json:"errors_weekend"`
}

// DefaultTraffic is a site of 20,000 page views a day. The shape of its day is
// the one that docs/statistics.md is measured with.
func DefaultTraffic() Traffic {
	return Traffic{
		ViewsPerDay: 20000, Users: 1000, ErrorsPerView: 0.0005,
		PerDay: map[string]float64{"p1": 0.1, "p2": 1, "http_5xx": 2},
		Values: map[string]float64{
			"lcp": 2000, "fcp": 1200, "ttfb": 400, "tti": 2500, "inp": 150, "cls": 0.05,
			"api_p50": 60, "api_p95": 180, "api_p99": 400, "db_p95": 40,
		},
		Spread: 0.5, Sticky: 0.3, Daily: 0.8, ErrorsDaily: 0.3, Weekend: 1, ErrorsWeekend: 2,
	}
}

// DefaultFor is DefaultTraffic of a site with so many page views a day, whose events
// are in proportion.
func DefaultFor(views float64) Traffic {
	t := DefaultTraffic()
	k := views / t.ViewsPerDay
	t.ViewsPerDay = views
	for name := range t.PerDay {
		t.PerDay[name] *= k
	}
	return t
}

// Like lists the counts and levels that are as in other figures: "lcp=2000, p1_per_day=0.1".
func (t Traffic) Like(other Traffic) string {
	mine, theirs := Traffic{PerDay: t.PerDay, Values: t.Values}.Figures(), Traffic{PerDay: other.PerDay, Values: other.Values}.Figures()
	for name := range (Traffic{}).Figures() {
		delete(mine, name)
	}
	var same []string
	for _, name := range sorted(mine) {
		if mine[name] == theirs[name] {
			same = append(same, name+"="+mine[name])
		}
	}
	return strings.Join(same, ", ")
}

// The largest figures that are taken.
const (
	maxViews = 1e9
	maxUsers = 1e9
)

// Check returns what is wrong with the figures, nil for nothing.
func (t Traffic) Check() error {
	var found []error
	within := func(name string, v, low, high float64) {
		if !(v >= low && v <= high) {
			found = append(found, fmt.Errorf("%s %g: give a number from %g to %g", name, v, low, high))
		}
	}
	within("views_per_day", t.ViewsPerDay, 1, maxViews)
	within("users", t.Users, 1, maxUsers)
	if t.Users != math.Trunc(t.Users) {
		found = append(found, fmt.Errorf("users %g: give a whole number", t.Users))
	}
	within("errors_per_view", t.ErrorsPerView, 0, 1)
	within("spread", t.Spread, 0.01, 5)
	within("sticky", t.Sticky, 0, 0.99)
	within("daily", t.Daily, 0, 1)
	within("errors_daily", t.ErrorsDaily, 0, 1)
	within("weekend", t.Weekend, 0.001, 100)
	within("errors_weekend", t.ErrorsWeekend, 0.001, 100)
	for _, name := range sorted(t.PerDay) {
		within("per_day."+name, t.PerDay[name], 0, maxViews)
	}
	for _, name := range sorted(t.Values) {
		if v := t.Values[name]; math.IsNaN(v) || math.IsInf(v, 0) {
			found = append(found, fmt.Errorf("values.%s: give a number", name))
		}
	}
	return errors.Join(found...)
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
