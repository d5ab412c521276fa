package baseline

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"serin/internal/plan"
)

// Reach is how far back an import may go. No baseline needs more: the longest
// is that of a rollout that began weeks ago.
const Reach = 60 * 24 * time.Hour

// Hour is a metric in one hour of the clock (UTC).
type Hour struct {
	Hour  int64   // Unix hours
	Value float64 // as the package comment says, by the metric's kind
	Count float64 // the sample behind it; 0 of system metrics
}

// Begin is when the hour begins.
func (h Hour) Begin() time.Time { return time.Unix(h.Hour*3600, 0).UTC() }

// Gather makes hours of points, by metric, each list ascending. now is the
// newest time that can have been measured. Several values of an hour become
// one where that is sound: the mean of a system metric, the mean by sample of
// an average or a share. Everything else that is not plain is refused, and
// with it the file; the error is Problems.
func Gather(p *plan.Plan, points []Point, now time.Time) (map[string][]Hour, error) {
	g := gathering{plan: p, now: now, sums: map[string]map[int64]*sum{}, told: map[string]bool{}}
	for i := range points {
		g.take(&points[i])
	}
	if g.bad != nil {
		return nil, g.bad
	}
	out := make(map[string][]Hour, len(g.sums))
	for name, hours := range g.sums {
		for number, s := range hours {
			out[name] = append(out[name], s.hour(number))
		}
		slices.SortFunc(out[name], func(a, b Hour) int { return int(a.Hour - b.Hour) })
	}
	return out, nil
}

type gathering struct {
	plan *plan.Plan
	now  time.Time
	sums map[string]map[int64]*sum
	told map[string]bool // metrics of which one problem is enough
	bad  Problems
}

// sum adds up the values of one hour.
type sum struct {
	where  string // of the first
	begin  time.Time
	value  float64
	weight float64
	size   float64
}

func (s *sum) hour(number int64) Hour {
	return Hour{Hour: number, Value: s.value / s.weight, Count: s.size}
}

// take adds a point to its hour.
func (g *gathering) take(p *Point) {
	m := g.plan.Metrics[p.Metric]
	if why := importable(p.Metric, m); why != "" {
		if !g.told[p.Metric] {
			g.bad.add(p.Where, "%s", why)
		}
		g.told[p.Metric] = true
		return
	}
	if why := g.timed(p, m); why != "" {
		g.bad.add(p.Where, "%s", why)
		return
	}
	if why := sound(p, m); why != "" {
		g.bad.add(p.Where, "%s", why)
		return
	}
	if m.User && p.Count == 0 {
		return // nobody was there: an hour without a sample says nothing
	}
	number := p.Begin.Unix() / 3600
	hours := g.sums[p.Metric]
	if hours == nil {
		hours = map[int64]*sum{}
		g.sums[p.Metric] = hours
	}
	s := hours[number]
	if s == nil {
		s = &sum{where: p.Where, begin: p.Begin}
		hours[number] = s
	} else if m.User && !pooled(m.Kind) {
		g.bad.add(p.Where, "%s has a value for the hour from %s already (%s): give one value an hour", p.Metric, clock(p.Begin.Truncate(time.Hour)), s.where)
		return
	}
	weight := 1.0
	if m.User {
		weight = p.Count
	}
	s.value, s.weight, s.size = s.value+p.Value*weight, s.weight+weight, s.size+p.Count
}

// pooled reports whether values of parts of an hour make that of the hour:
// the mean by sample. Distinct users and quantiles cannot be put together.
func pooled(k plan.Kind) bool {
	return k == plan.Average || k == plan.Ratio || k == plan.Computed
}

// importable says why a metric has no baseline that could be imported, or "".
func importable(name string, m *plan.Metric) string {
	if m == nil {
		return fmt.Sprintf("%s is no metric of the plan: name one of it", name)
	}
	switch {
	case m.Of == "issues" || m.Kind == plan.Slope || m.Kind == plan.Age || m.Name == "adoption" || m.Name == "concurrent":
		return fmt.Sprintf("%s is never compared with a baseline: take it out", name)
	case !m.User && m.Kind != plan.Gauge:
		return fmt.Sprintf("%s is never compared with a baseline by the hour: take it out", name)
	}
	return ""
}

// timed says what is wrong with a point's time, or "".
func (g *gathering) timed(p *Point, m *plan.Metric) string {
	end := p.Begin.Truncate(time.Hour).Add(time.Hour)
	switch {
	case p.Begin.After(g.now):
		return fmt.Sprintf("%s lies in the future", clock(p.Begin))
	case end.After(g.now):
		return fmt.Sprintf("the hour from %s is not over yet: end the import before it", clock(end.Add(-time.Hour)))
	case p.Begin.Before(g.now.Add(-Reach)):
		return fmt.Sprintf("%s is more than %.0f days ago: no baseline reaches so far, begin the import later", clock(p.Begin), Reach.Hours()/24)
	case m.User && !pooled(m.Kind) && !p.Begin.Equal(p.Begin.Truncate(time.Hour)):
		return fmt.Sprintf("%s is no whole hour in UTC: values of %s are of hours that begin at :00 UTC", clock(p.Begin), p.Metric)
	}
	return ""
}

// sound says what is wrong with a point's value or sample, or "".
func sound(p *Point, m *plan.Metric) string {
	switch {
	case unreal(p.Value) || p.Value < 0:
		return fmt.Sprintf("value %g of %s: write a number of 0 or more", p.Value, p.Metric)
	case m.User && !p.Sized:
		return fmt.Sprintf("%s needs a count: %s", p.Metric, sampleOfKind(m.Kind))
	case unreal(p.Count) || p.Count < 0 || p.Count > math.MaxInt32:
		return fmt.Sprintf("count %g of %s: write a number of 0 or more", p.Count, p.Metric)
	case (m.Kind == plan.Ratio || m.Kind == plan.Computed) && p.Value > 1:
		return fmt.Sprintf("value %g of %s: shares are 0 to 1; percents take --scale 0.01", p.Value, p.Metric)
	case (m.Kind == plan.Count || m.Kind == plan.Users) && p.Value > p.Count:
		return fmt.Sprintf("%g users of %g active ones: a value of %s counts users, not events, and count all active users", p.Value, p.Count, p.Metric)
	}
	return ""
}

func sampleOfKind(k plan.Kind) string {
	switch k {
	case plan.Count, plan.Users:
		return "how many users were active in the hour"
	case plan.Ratio, plan.Computed:
		return "what the value is a share of, such as the sessions of the hour"
	}
	return "how many values the hour's is of"
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }

// Definition says what a metric measures. Hours that were imported for one
// definition are not compared under another.
func Definition(m *plan.Metric) string {
	return strings.Join([]string{string(m.Kind), m.Of, m.Per, m.Field, fmt.Sprint(m.Q), m.Where, m.Unit}, "|")
}
