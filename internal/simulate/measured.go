package simulate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/stats"
)

// Measured is what a plan's audience really did, by the hour.
type Measured struct {
	Users float64                 `json:"users"` // distinct, in all of these hours
	Hours map[string][]judge.Hour `json:"-"`     // by metric, ascending; hours in which nobody was there are left out
}

// Figures are the traffic figures that were measured.
type Figures struct {
	Traffic Traffic   `json:"traffic"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Basis   []string  `json:"basis"` // what was measured and on how much, in sentences
	Assumed []string  `json:"assumed,omitempty"`
}

// The least that figures are taken from.
const (
	leastHours  = 24 // with anybody there
	leastEvents = 50 // to tell a daily or a weekly cycle of errors
	leastLoads  = 200
	hoursOfDay  = 24
	daysOfWeek  = 7
)

// volumes are the metrics whose values or events are page views or requests, as
// good as each other: the one with the most counts.
var volumes = []string{"requests", "lcp", "fcp", "ttfb", "inp", "cls", "tti", "api_p95"}

// spreads are the metrics whose distribution the spread is taken from.
var spreads = []string{"lcp", "api_p95", "ttfb", "fcp"}

// FromMeasured takes traffic figures from hours in place of those of t, which
// stand where nothing was measured. It uses whole days, whole weeks where there
// is one, up to the newest hour, so that no time of the day or of the week counts more
// than once. The error says what is missing.
func FromMeasured(p *plan.Plan, m Measured, t Traffic) (Figures, error) {
	name := slices.MaxFunc(volumes, func(a, b string) int { return cmp.Compare(totalOf(m.Hours[a]), totalOf(m.Hours[b])) })
	hours := m.Hours[name]
	if len(hours) < leastHours || totalOf(hours) == 0 {
		return Figures{}, fmt.Errorf("traffic was measured in %d hours: it takes %d, with page views or requests of users", len(hours), leastHours)
	}
	end := hours[len(hours)-1].Begin.Add(time.Hour)
	days := int(end.Sub(hours[0].Begin) / (hoursOfDay * time.Hour))
	if days >= daysOfWeek {
		days -= days % daysOfWeek
	}
	days = max(days, 1)
	w := window{plan: p, measured: m, from: end.Add(-time.Duration(days) * hoursOfDay * time.Hour), days: float64(days)}
	f := Figures{Traffic: t, From: w.from.UTC(), To: end.UTC()}
	w.volume(&f, name)
	w.errors(&f, name)
	w.counts(&f)
	w.levels(&f)
	w.spread(&f)
	f.Assumed = append(f.Assumed, fmt.Sprintf("sticky %g: how alike the loads of one user are is not kept by the hour", f.Traffic.Sticky))
	slices.Sort(f.Assumed)
	return f, f.Traffic.Check()
}

// window is the time that figures are taken from.
type window struct {
	plan     *plan.Plan
	measured Measured
	from     time.Time
	days     float64
}

// of are the hours of a metric in the window.
func (w window) of(metric string) []judge.Hour {
	list := w.measured.Hours[metric]
	i, _ := slices.BinarySearchFunc(list, w.from, func(h judge.Hour, at time.Time) int { return h.Begin.Compare(at) })
	return list[i:]
}

func totalOf(hours []judge.Hour) (n float64) {
	for _, h := range hours {
		n += float64(h.Window.Count)
	}
	return n
}

// swing is how far counts swing over the day with their peak at peakHour: of
// n·(1 + d·cos) with cos the day's wave, the projection 2·Σ n·cos / Σ n is d.
func (w window) swing(hours []judge.Hour) float64 {
	var sum, n float64
	for _, h := range hours {
		at := h.Begin.Add(30 * time.Minute).In(w.plan.Location)
		wave := math.Cos(2 * math.Pi * (float64(at.Hour()) + float64(at.Minute())/60 - peakHour) / hoursOfDay)
		sum, n = sum+float64(h.Window.Count)*wave, n+float64(h.Window.Count)
	}
	if n == 0 {
		return 0
	}
	return 2 * sum / n
}

// weekend is a day of the weekend over a day of the week; ok is false where the
// window has no whole week.
func (w window) weekend(hours []judge.Hour) (factor float64, ok bool) {
	if int(w.days)%daysOfWeek != 0 {
		return 0, false
	}
	var ends, rest float64
	for _, h := range hours {
		switch h.Begin.In(w.plan.Location).Weekday() {
		case time.Saturday, time.Sunday:
			ends += float64(h.Window.Count)
		default:
			rest += float64(h.Window.Count)
		}
	}
	return (ends / 2) / (rest / 5), rest > 0
}

// smallest keeps a factor within what Traffic takes.
const smallest = 0.001

func (w window) volume(f *Figures, name string) {
	t, hours := &f.Traffic, w.of(name)
	t.ViewsPerDay, t.Users = max(totalOf(hours)/w.days, 1), max(math.Round(w.measured.Users), 1)
	t.Daily = min(max(w.swing(hours), 0), 1)
	f.Basis = append(f.Basis, fmt.Sprintf("%s page views a day of %s users, counted by %s over %s d", Thousands(t.ViewsPerDay), Thousands(t.Users), name, Thousands(w.days)))
	if factor, ok := w.weekend(hours); ok {
		t.Weekend = min(max(factor, smallest), 1/smallest)
	} else {
		f.Assumed = append(f.Assumed, fmt.Sprintf("weekends ×%g: no whole week was measured", t.Weekend))
	}
}

func (w window) errors(f *Figures, name string) {
	t, hours, views := &f.Traffic, w.of(anyError), w.of(name)
	n := totalOf(hours)
	t.ErrorsPerView = min(n/totalOf(views), 1)
	f.Basis = append(f.Basis, fmt.Sprintf("%s errors, %s of page views", Thousands(n), Percent(t.ErrorsPerView)))
	if n < leastEvents {
		f.Assumed = append(f.Assumed, "the cycle of errors: too few were measured")
		return
	}
	// Errors are views times errors per view, both waves: with d of views and S
	// the mean of cos over errors, S·(1 + d·q/2) = (d+q)/2 gives q.
	d, s := t.Daily, w.swing(hours)/2
	t.ErrorsDaily = min(max((2*s-d)/(1-s*d), 0), 1)
	if factor, ok := w.weekend(hours); ok {
		t.ErrorsWeekend = min(max(factor/t.Weekend, smallest), 1/smallest)
	}
}

// counts are the events a day of all other counts that the plan's rules read.
func (w window) counts(f *Figures) {
	t := &f.Traffic
	for _, name := range w.read(plan.Count) {
		if hours := w.of(name); len(hours) > 0 && name != anyError && !slices.Contains(volumes, name) {
			t.PerDay = with(t.PerDay, name, totalOf(hours)/w.days)
		}
	}
}

// levels are the quantiles and averages that the plan's rules read.
func (w window) levels(f *Figures) {
	t := &f.Traffic
	for _, name := range w.read(plan.Quantile) {
		sketch := w.sketch(name)
		v, ok := sketch.Quantile(w.plan.Metrics[name].Q)
		switch {
		case ok && sketch.Count() >= leastLoads:
			t.Values = with(t.Values, name, v)
			f.Basis = append(f.Basis, fmt.Sprintf("%s %s, of %s", name, judge.Format(v, w.plan.Metrics[name].Unit), Thousands(float64(sketch.Count()))))
		default:
			f.Assumed = append(f.Assumed, fmt.Sprintf("%s %s: fewer than %d were measured", name, judge.Format(t.Values[name], w.plan.Metrics[name].Unit), leastLoads))
		}
	}
	for _, name := range w.read(plan.Computed, plan.Average, plan.Gauge) {
		var sum, n float64
		for _, h := range w.of(name) {
			sum, n = sum+h.Window.Sum, n+float64(h.Window.Count)
		}
		if w.plan.Metrics[name].Kind == plan.Computed { // a share: Count of Sum
			sum, n = n, sum
		}
		if n > 0 {
			t.Values = with(t.Values, name, sum/n)
		}
	}
}

// read are the metrics of some kinds that the plan's rules read, by name.
func (w window) read(kinds ...plan.Kind) (out []string) {
	for _, r := range rules(w.plan) {
		if m := w.plan.Metrics[r.Metric]; m != nil && slices.Contains(kinds, m.Kind) && !slices.Contains(out, r.Metric) {
			out = append(out, r.Metric)
		}
	}
	slices.Sort(out)
	return out
}

func (w window) sketch(metric string) *stats.Sketch {
	all := new(stats.Sketch)
	for _, h := range w.of(metric) {
		if h.Window.Sketch != nil {
			all.Merge(h.Window.Sketch)
		}
	}
	return all
}

// spread is sigma of the logarithm: half the way from the 16th to the 84th of a
// hundred, where a normal distribution has one sigma to each side.
func (w window) spread(f *Figures) {
	for _, name := range spreads {
		s := w.sketch(name)
		low, ok := s.Quantile(0.1587)
		high, _ := s.Quantile(0.8413)
		if !ok || s.Count() < leastLoads || low <= 0 || high <= low {
			continue
		}
		f.Traffic.Spread = min(max(math.Log(high/low)/2, 0.01), 5)
		f.Basis = append(f.Basis, fmt.Sprintf("spread %.2f, of %s", f.Traffic.Spread, name))
		return
	}
	f.Assumed = append(f.Assumed, fmt.Sprintf("spread %.2f: too few latencies were measured", f.Traffic.Spread))
}
