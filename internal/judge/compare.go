package judge

import (
	"fmt"
	"math"
	"time"

	"serin/internal/plan"
	"serin/internal/stats"
)

// shownLevel is the level of the intervals in verdicts: 95 %.
const shownLevel = 0.05

// compare judges a rule with a control or a baseline.
func (l *look) compare(v Verdict, r *plan.Rule, m *plan.Metric) Verdict {
	v.Ref = r.Ref
	if r.Ref == plan.Reference {
		v.Ref = plan.Control
		if l.place.ControlShare < minControl {
			v.Ref = plan.Baseline
		}
	}
	switch {
	case v.Ref == plan.Baseline:
		return l.onBaseline(v, r, m)
	case !m.User:
		return v.unknown(CauseNoControl, fmt.Sprintf("%s is measured for the whole system and has no control group", r.Metric))
	case l.place.ControlShare <= 0:
		return v.unknown(CauseNoControl, "nobody is on control")
	case l.data.Mismatch && !l.place.MismatchAccepted:
		return v.unknown(CauseQuality, "the group sizes are not what was allocated (sample ratio mismatch); no comparison counts until this is accepted")
	}
	from, _, text, ok := l.span(r)
	if !ok {
		return v.unknown(CauseEvidence, notBegun)
	}
	c := l.comparison(r, m, from)
	if c == nil {
		return v.unknown(CauseEvidence, fmt.Sprintf("%s of kind %s cannot be compared with control yet", r.Metric, m.Kind))
	}
	v.Canary, v.Control = c.canary, c.control
	v.Events, v.Users, v.Approx = max(c.units, c.events), c.users, c.approx || l.data.Mismatch
	if c.starts == 0 || c.units == 0 {
		return v.unknown(CauseEvidence, "nothing to compare yet: "+c.none)
	}
	x, ordinary := harmful(r, m, l.use)
	switch {
	case !ordinary:
		return l.improvement(v, r, c)
	case l.use == Guard:
		return l.guard(v, r, m, c, x, text)
	}
	return l.gate(v, r, c, x, text)
}

// harmful returns by how much worse, as a ratio of at least 0, a rule speaks
// of. It is false for a rule that asks for an improvement.
func harmful(r *plan.Rule, m *plan.Metric, use Use) (x float64, ok bool) {
	upper := r.Op == plan.LE || r.Op == plan.LT
	if use == Guard {
		upper = r.Op == plan.GE || r.Op == plan.GT
	}
	lower := !upper && r.Op != plan.EQ && r.Op != plan.NE
	if m.UpGood {
		return -r.Value, lower && r.Value <= 0 && r.Value > -1
	}
	return r.Value, upper && r.Value >= 0
}

// comparison is one metric prepared for its tests.
type comparison struct {
	starts int
	units  int64  // affected users of both arms, or loads
	events int64  // of the window, where units are users
	users  int64  // distinct active users of both arms in the window
	what   string // "users affected", "loads"
	needs  string // what a proof is told to need; "" = what
	none   string // what is missing while units is 0
	sense  float64
	approx bool
	// against names what the canary is compared with; "" = control.
	against string

	canary, control *float64
	// values are those of the arms since a time; nil = none is known.
	values func(from time.Time) (canary, control *float64)

	// harm returns ln E against "worse by at most x" over all starts, safe
	// against "worse by x or more" in the current stage. A reason other than
	// "" says which data for it are missing.
	harm func(x float64) (stats.Best, string)
	safe func(x float64) (float64, string)
	// began is when a start's stage began.
	began func(start int) time.Time
	// sinceStart and inWindow estimate the ratio of the arms; false: none.
	sinceStart func(start int) (float64, bool)
	inWindow   func() (float64, bool)
	// strata are the counts of a start, stage those of the current stage;
	// nil where no confidence sequence is known.
	strata func(start int) []stats.Stratum
	stage  func() []stats.Stratum
	// interval is the confidence sequence of the ratio since a start, -1 = of
	// the stage, at a level, where no strata tell it; nil = none.
	interval func(start int, alpha float64) (low, high float64, ok bool)
	// sample is what the comparison since a start rests on, -1 = of the stage;
	// nil = the units of all.
	sample func(start int) Sample
	// hidden says why the affected users of the stage may hide a difference; "" or nil =
	// they do not.
	hidden func() string
	// need is how many units of the stage there are and how many a proof of
	// "not worse than by margin" takes if nothing is wrong; nil = not known.
	need func(margin, alpha float64) (have, want int64)
}

// intervalSince is the confidence sequence of the ratio since a start, -1 = of
// the stage.
func (c *comparison) intervalSince(start int, alpha float64) (low, high float64, ok bool) {
	switch {
	case c.strata != nil && start >= 0:
		i, ok := stats.RatioInterval(c.strata(start), alpha)
		return i.Low, i.High, ok
	case c.stage != nil && start < 0:
		i, ok := stats.RatioInterval(c.stage(), alpha)
		return i.Low, i.High, ok
	case c.interval != nil:
		return c.interval(start, alpha)
	}
	return 0, 0, false
}

// inStage estimates the ratio of the arms in the stage, false where that is not
// known.
func (c *comparison) inStage() (float64, bool) {
	if c.stage != nil {
		return stats.Estimate(c.stage())
	}
	if _, _, ok := c.intervalSince(-1, shownLevel); !ok {
		return 0, false
	}
	return c.sinceStart(c.starts - 1)
}

// worse turns a ratio of the arms into 1 + "worse by", in the metric's sense.
func (c *comparison) worse(ratio float64, ok bool) float64 {
	if !ok {
		return math.NaN()
	}
	return 1 + c.sense*(ratio-1)
}

// comparison prepares a metric's tests, nil if its kind has none.
func (l *look) comparison(r *plan.Rule, m *plan.Metric, from time.Time) *comparison {
	t := l.ev.Tests(r.Metric)
	if counts(m) { // the window is cut to the present allocation interval
		if began := l.intervalBegan(t); from.Before(began) {
			from = began
		}
	}
	canary := l.ev.Window(r.Metric, AssignedNew, from, l.now)
	control := l.ev.Window(r.Metric, AssignedOld, from, l.now)
	var c *comparison
	switch m.Kind {
	case plan.Count, plan.Users:
		c = l.compareCounts(r, m, t, canary, control)
	case plan.Quantile:
		c = l.compareQuantile(r, m, t)
	case plan.Ratio:
		c = l.compareRatio(m, t)
	case plan.Average:
		c = l.compareMean(m, t)
	default:
		return nil
	}
	c.began = func(start int) time.Time { return l.startBegan(t, start) }
	c.users = canary.Active + control.Active
	if c.units == 0 && !canary.Known && !control.Known {
		c.none = fmt.Sprintf("no %s has been measured", r.Metric)
	}
	c.sense = 1
	if m.UpGood {
		c.sense = -1
	}
	a, okA := l.value(m, canary, AssignedNew, from)
	b, okB := l.value(m, control, AssignedOld, from)
	both := func(from time.Time) (a, b float64, okA, okB bool) {
		a, okA = l.value(m, l.ev.Window(r.Metric, AssignedNew, from, l.now), AssignedNew, from)
		b, okB = l.value(m, l.ev.Window(r.Metric, AssignedOld, from, l.now), AssignedOld, from)
		return a, b, okA, okB
	}
	c.canary, c.control = told(a, okA), told(b, okB)
	c.values = func(from time.Time) (canary, control *float64) {
		a, b, okA, okB := both(from)
		return told(a, okA), told(b, okB)
	}
	if c.inWindow == nil {
		c.inWindow = func() (float64, bool) { return quotient(a, b, okA && okB) }
	}
	if c.sinceStart == nil {
		c.sinceStart = func(start int) (float64, bool) {
			a, b, okA, okB := both(l.startBegan(t, start))
			return quotient(a, b, okA && okB)
		}
	}
	return c
}

// told is a value as a verdict keeps it.
func told(x float64, ok bool) *float64 {
	if !ok {
		return nil
	}
	return finite(x)
}

func quotient(a, b float64, ok bool) (float64, bool) {
	switch {
	case !ok || (a == 0 && b == 0):
		return 0, false
	case b == 0:
		return math.Inf(1), true
	}
	return a / b, true
}

// intervalBegan is when the present allocation interval began.
func (l *look) intervalBegan(t Tests) time.Time {
	if n := len(t.Odds); n > 0 && n <= len(t.Began) {
		return t.Began[n-1]
	}
	return l.place.StageBegan
}

// startBegan is when a start's stage began; the beginning of the attempt
// where it is not known.
func (l *look) startBegan(t Tests, start int) time.Time {
	for i, s := range t.Stage {
		if s == start && i < len(t.Began) {
			return t.Began[i]
		}
	}
	if n := len(t.Stage); start > 0 && n > 0 && t.Stage[n-1] == start {
		return l.place.StageBegan
	}
	return l.place.AttemptBegan
}

// compareCounts tests affected users.
func (l *look) compareCounts(r *plan.Rule, m *plan.Metric, t Tests, canary, control Window) *comparison {
	plain := stats.Starts{Odds: t.Odds, Stage: t.Stage, Cells: t.Cells, Planned: l.place.Planned}
	tested := plain
	if m.UpGood {
		tested = mirrored(plain)
	}
	c := &comparison{starts: plain.Count(), what: "users affected", none: "no users affected", strata: plain.Strata}
	// without a user, device or session every event is a unit
	c.approx = canary.Users+control.Users == 0 && canary.Count+control.Count > 0
	current := c.starts - 1
	for _, s := range plain.Strata(0) {
		c.units += s.New + s.Old
	}
	c.events = canary.Count + control.Count
	c.sample = func(start int) Sample {
		s := Sample{What: c.what}
		list := c.stage()
		if start >= 0 {
			list = plain.Strata(start)
		}
		for _, k := range list {
			s.New, s.Old = s.New+k.New, s.Old+k.Old
		}
		return s
	}
	c.need = func(margin, alpha float64) (have, want int64) { return needUsers(c.stage(), margin, alpha) }
	c.stage = func() []stats.Stratum { return plain.Only(current) }
	c.harm = func(x float64) (stats.Best, string) { return tested.Ratio(rateRatio(x, m.UpGood)), "" }
	c.safe = func(x float64) (float64, string) {
		margin := rateRatio(x, m.UpGood) - 1
		logE := stats.RatioSafe(tested.Only(current), margin)
		if saturated, why := l.saturated(r, t, plain.Only(current)); saturated {
			companion, reason := l.companion(t, m.UpGood, margin, current)
			if reason != "" {
				return logE, why + reason
			}
			logE = min(logE, companion)
		}
		return logE, ""
	}
	c.hidden = func() string {
		if saturated, why := l.saturated(r, t, plain.Only(current)); saturated {
			return why + "counting them says too little of how often each is hit"
		}
		return ""
	}
	c.sinceStart = func(start int) (float64, bool) { return stats.Estimate(plain.Strata(start)) }
	c.inWindow = func() (float64, bool) {
		now := stats.Stratum{New: canary.Users, Old: control.Users, Odds: last(t.Odds)}
		if c.approx {
			now.New, now.Old = canary.Count, control.Count
		}
		return stats.Estimate([]stats.Stratum{now})
	}
	return c
}

func last(odds []float64) float64 {
	if len(odds) == 0 {
		return 0
	}
	return odds[len(odds)-1]
}

// rateRatio is the rate ratio that "worse by x" means: 1+x, and for a metric
// of which more is better, the old rate over the new, 1/(1-x).
func rateRatio(x float64, upGood bool) float64 {
	if upGood {
		return 1 / (1 - x)
	}
	return 1 + x
}

// mirrored exchanges the arms.
func mirrored(s stats.Starts) stats.Starts {
	out := s
	out.Odds = make([]float64, len(s.Odds))
	for i, o := range s.Odds {
		out.Odds[i] = 1 / o
	}
	out.Cells = make([]stats.UserCell, len(s.Cells))
	for i, c := range s.Cells {
		c.New, c.Old = c.Old, c.New
		out.Cells[i] = c
	}
	return out
}

// saturation is the share of control users that may be affected before
// counting users alone can hide a change in the rate of events.
const saturation = 0.10

// saturated reports whether so many control users are affected in the stage
// that the companion test on events is needed too.
func (l *look) saturated(r *plan.Rule, t Tests, stage []stats.Stratum) (bool, string) {
	var affected int64
	for _, s := range stage {
		affected += s.Old
	}
	if affected == 0 {
		return false, ""
	}
	from := l.place.StageBegan
	if from.Before(t.From) {
		from = t.From
	}
	active := l.ev.Window(r.Metric, AssignedOld, from, l.now).Active
	return float64(affected) > saturation*float64(active),
		fmt.Sprintf("%s of %s control users are affected: ", number(float64(affected)), number(float64(active)))
}

// companion is the safe side on events, deflated by their bursts.
func (l *look) companion(t Tests, upGood bool, margin float64, stage int) (float64, string) {
	s := stats.Stratum{New: t.EventsNew, Old: t.EventsOld}
	for i, k := range t.Stage {
		if k != stage || i >= len(t.Odds) {
			continue
		}
		if s.Odds != 0 && s.Odds != t.Odds[i] {
			return 0, "the split changed within the stage, events cannot be compared"
		}
		s.Odds = t.Odds[i]
	}
	if s.New == 0 && s.Old == 0 {
		return 0, "their events have not been counted"
	}
	if upGood {
		s = stats.Stratum{New: s.Old, Old: s.New, Odds: 1 / s.Odds}
	}
	return stats.RatioSafeDeflated([]stats.Stratum{s}, margin, t.Phi), ""
}
