package standup

import (
	"cmp"
	"slices"
	"time"

	"serin/internal/plan"
	"serin/internal/stats"
)

// A kind of error spikes where it came at least minSpike times in the report's
// time, at a rate at least spikeFactor times that of before, and where chance
// alone makes so many of so few in less than one case of 1/spikeChance: of all
// events of both times, each falls into the report's with the share that it has
// of them (the conditional test of two Poisson rates, Przyborowski and
// Wilenski, Biometrika 31, 1940).
//
// A time is a slow-down where at least minTimed of each were measured and it
// is slowFactor of what it was, or more; one that took less than leastTime
// before cannot be told to be slower.
const (
	minSpike    = 5
	spikeFactor = 3
	spikeChance = 0.001
	minTimed    = 50
	slowFactor  = 1.1
	leastTime   = 0.001 // ms; what was faster than that was not really measured
)

// Span is a time (From, To].
type Span struct{ From, To time.Time }

func (s Span) length() time.Duration { return s.To.Sub(s.From) }

// before is what the report's time is compared with: the same hours of the day
// before where the stage is that old, else the stage until now, at least as
// long as the report's time. ok is false where there is neither.
func before(now Span, stage time.Time) (was Span, words string, ok bool) {
	const day = 24 * time.Hour
	same := Span{now.From.Add(-day), now.To.Add(-day)}
	switch {
	case stage.IsZero():
		return Span{}, "", false
	case now.length() <= day && !stage.After(same.From):
		return same, "the same hours of the day before", true
	case now.From.Sub(stage) >= now.length():
		return Span{stage, now.From}, "the stage until then", true
	}
	return Span{}, "", false
}

// spiked compares two counts; over is how long each was counted.
func spiked(n, was int64, now, earlier time.Duration) (factor float64, ok bool) {
	if n < minSpike || now <= 0 || earlier <= 0 {
		return 0, false
	}
	if was > 0 {
		factor = float64(n) / float64(was) * earlier.Hours() / now.Hours()
		if factor < spikeFactor {
			return factor, false
		}
	}
	share := now.Hours() / (now.Hours() + earlier.Hours())
	return factor, stats.BinomialTail(n+was, n, share) < spikeChance
}

// errorMetrics are the counts of errors in the order of the vocabulary, then
// the plan's own by name.
func errorMetrics(p *plan.Plan) (out []*plan.Metric) {
	own := []*plan.Metric{}
	for _, m := range p.Metrics {
		if !m.BuiltIn && m.Kind == plan.Count && m.Of == "events" && !m.UpGood {
			own = append(own, m)
		}
	}
	slices.SortFunc(own, func(a, b *plan.Metric) int { return cmp.Compare(a.Name, b.Name) })
	for _, name := range []string{"errors", "p1", "p2", "http_5xx", "timeouts", "db_conn_errors", "console_errors"} {
		if m := p.Metrics[name]; m != nil && (m.BuiltIn || m.Kind == plan.Count) && !slices.Contains(own, m) {
			out = append(out, m)
		}
	}
	return append(out, own...)
}

// spikes finds the kinds of errors that came more often: counts of the plan by
// span, issues by the hour.
func (f Facts) spikes(now, was Span, compared bool) (out []Spike) {
	for _, m := range errorMetrics(f.Plan) {
		n, earlier := f.Measure(m.Name, now.From, now.To), f.Measure(m.Name, was.From, was.To)
		if !compared || n.New == nil || earlier.New == nil {
			continue
		}
		s := Spike{What: m.Title, Events: int64(*n.New), Before: int64(*earlier.New), Over: was.length()}
		var ok bool
		if s.Factor, ok = spiked(s.Events, s.Before, now.length(), s.Over); ok {
			out = append(out, s)
		}
	}
	for _, i := range f.Issues {
		if s, ok := i.spike(now, f.Standing.State.StageAt); ok {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b Spike) int { return cmp.Compare(b.Events, a.Events) })
	return out
}

// spike compares the hours of the report with those before it, of all users. An
// issue that is new in the report's time is no spike: it is told as new. Times
// that are no whole hours cannot be answered so.
func (i IssueFacts) spike(now Span, stage time.Time) (Spike, bool) {
	begin, end := now.From.Truncate(time.Hour), now.To.Truncate(time.Hour)
	if !begin.Equal(now.From) || !end.Equal(now.To) || !i.Seen.Before(now.From) || len(i.Hours) == 0 {
		return Spike{}, false
	}
	s := Spike{What: i.Title, Issue: i.ID}
	last := i.Last.Truncate(time.Hour)
	for k, n := range i.Hours {
		hour := last.Add(-time.Duration(len(i.Hours)-1-k) * time.Hour)
		switch {
		case !hour.Before(begin) && hour.Before(end):
			s.Events += n
		case hour.Before(begin) && !hour.Before(stage):
			s.Before, s.Over = s.Before+n, s.Over+time.Hour
		}
	}
	var ok bool
	s.Factor, ok = spiked(s.Events, s.Before, now.length(), s.Over)
	return s, ok
}

// slow finds the quantiles of time that got worse.
func (f Facts) slow(now, was Span) (out []Slow) {
	for _, name := range plan.BuiltinNames() {
		m := f.Plan.Metrics[name]
		if m != nil && m.Kind == plan.Quantile && m.Unit == "ms" {
			out = f.appendSlow(out, m, now, was)
		}
	}
	var own []*plan.Metric
	for _, m := range f.Plan.Metrics {
		if !slices.Contains(plan.BuiltinNames(), m.Name) && m.Kind == plan.Quantile && m.Unit == "ms" {
			own = append(own, m)
		}
	}
	slices.SortFunc(own, func(a, b *plan.Metric) int { return cmp.Compare(a.Name, b.Name) })
	for _, m := range own {
		out = f.appendSlow(out, m, now, was)
	}
	return out
}

func (f Facts) appendSlow(out []Slow, m *plan.Metric, now, was Span) []Slow {
	n, earlier := f.Measure(m.Name, now.From, now.To), f.Measure(m.Name, was.From, was.To)
	if n.New == nil || earlier.New == nil || n.N < minTimed || earlier.N < minTimed || *earlier.New < leastTime || *n.New < slowFactor**earlier.New {
		return out
	}
	s := Slow{Metric: m.Name, Title: m.Title, Unit: m.Unit, Now: *n.New, Before: *earlier.New, Change: *n.New / *earlier.New - 1}
	if n.Control != nil && earlier.Control != nil && *earlier.Control > 0 {
		change := *n.Control / *earlier.Control - 1
		s.Control = &change
	}
	return append(out, s)
}
