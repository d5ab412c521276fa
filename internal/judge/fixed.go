package judge

import (
	"fmt"
	"strings"
	"time"

	"serin/internal/plan"
)

// counts reports whether a metric only grows as events arrive.
func counts(m *plan.Metric) bool { return m.Kind == plan.Count || m.Kind == plan.Users }

// fixed judges a rule with a limit of its own.
func (l *look) fixed(v Verdict, r *plan.Rule, m *plan.Metric) Verdict {
	from, length, text, ok := l.span(r)
	if !ok && !instant(m) {
		return v.unknown(CauseEvidence, notBegun)
	}
	w := l.ev.Window(r.Metric, Exposed, from, l.now)
	v.Events, v.Users = sample(m, w), w.Active
	switch m.Kind {
	case plan.Count, plan.Users:
		return l.fixedCount(v, r, m, w, length, text)
	case plan.Gauge, plan.Slope, plan.Age:
		return l.gauge(v, r, m, w)
	}
	value, ok := l.value(m, w, Exposed, from)
	if !ok {
		return v.unknown(CauseEvidence, fmt.Sprintf("no %s was measured %s", r.Metric, text))
	}
	v.Canary = finite(value)
	if missing := l.missing(m, w, length); missing != "" {
		v.Value = finite(value)
		return v.unknown(CauseEvidence, fmt.Sprintf("%s %s %s %s, %s, but needs data: %s",
			r.Metric, is(r.Metric), Format(value, m.Unit), text, l.limit(r, m.Unit), missing))
	}
	v.decide(r.Op.Compare(value, r.Value), value)
	v.Why = fmt.Sprintf("%s %s %s %s, %s%s", r.Metric, is(r.Metric), Format(value, m.Unit), text, l.limit(r, m.Unit), among(m, w))
	return v
}

// among says what a value rests on: ", 12 of 340 users affected", ", 9,900 values
// of 340 users". "" where nobody is counted.
func among(m *plan.Metric, w Window) string {
	if !m.User || w.Active <= 0 {
		return ""
	}
	users := number(float64(w.Active)) + " users"
	switch n := sample(m, w); {
	case m.Kind == plan.Count && w.Users > 0:
		return fmt.Sprintf(", %s of %s affected", number(float64(w.Users)), users)
	case m.Kind == plan.Count, m.Kind == plan.Users, n <= 0:
		return ", " + users
	case m.Kind == plan.Ratio:
		return fmt.Sprintf(", %s %s of %s", number(float64(n)), strings.ReplaceAll(m.Per, "_", " "), users)
	default:
		return fmt.Sprintf(", %s values of %s", number(float64(n)), users)
	}
}

// fixedCount judges a count. More events can only raise it, so a count that
// is past its limit is known at once, whichever way the rule points. One that
// is not needs data: for a gate enough of it, for a guard that points
// upwards only that data flow.
func (l *look) fixedCount(v Verdict, r *plan.Rule, m *plan.Metric, w Window, length time.Duration, text string) Verdict {
	n := w.Count
	if m.Kind == plan.Users {
		n = w.Users
	}
	value := float64(n)
	holds := r.Op.Compare(value, r.Value)
	past := value > r.Value || (value == r.Value && (r.Op == plan.LT || r.Op == plan.GE))
	v.Canary, v.Value = &value, &value
	v.Why = fmt.Sprintf("%s %s %s %s, %s", r.Metric, is(r.Metric), Format(value, m.Unit), text, l.limit(r, m.Unit))
	if !past {
		if l.data.NoData && telemetryMetric(m) {
			return v.unknown(CauseNoData, v.Why+", but "+l.silence())
		}
		if l.use == Gate || holds {
			if missing := l.missing(m, w, length); missing != "" {
				return v.unknown(CauseEvidence, v.Why+", but needs data: "+missing)
			}
		}
	}
	v.decide(holds, value)
	v.Why += among(m, w)
	return v
}

// instant reports whether a metric is read as it stands: a checklist asks for
// it before any stage has begun.
func instant(m *plan.Metric) bool {
	return m.Kind == plan.Gauge || m.Kind == plan.Slope || m.Kind == plan.Age
}

// gauge judges the newest sample of something that is not made of events.
func (l *look) gauge(v Verdict, r *plan.Rule, m *plan.Metric, w Window) Verdict {
	if !w.Known {
		return v.unknown(CauseEvidence, fmt.Sprintf("no %s has been measured yet", r.Metric))
	}
	stale := l.plan.Judge.NoData.Grace
	if m.Source == "push" || m.Source == "alertmanager" {
		stale = staleValue
	}
	if age := l.now.Sub(w.Last); m.Kind != plan.Age && age > stale {
		return v.unknown(CauseBlind, fmt.Sprintf("the last %s is %s old, at most %s counts", r.Metric, duration(age), duration(stale)))
	}
	v.Canary = finite(w.Value)
	v.decide(r.Op.Compare(w.Value, r.Value), w.Value)
	of := ""
	if w.Series != "" {
		of = " " + w.Series
	}
	v.Why = fmt.Sprintf("%s%s %s %s, %s", r.Metric, of, is(r.Metric), Format(w.Value, m.Unit), l.limit(r, m.Unit))
	return v
}

// value computes the metric from a window, false if there is nothing in it.
func (l *look) value(m *plan.Metric, w Window, g Group, from time.Time) (float64, bool) {
	switch m.Kind {
	case plan.Count:
		return float64(w.Count), true
	case plan.Users:
		return float64(w.Users), true
	case plan.Quantile:
		return w.Sketch.Quantile(m.Q)
	case plan.Average:
		if w.Count <= 0 {
			return 0, false
		}
		return w.Sum / float64(w.Count), true
	case plan.Ratio:
		return l.ratio(m, w, g, from)
	}
	return w.Value, w.Known
}

// ratio divides the two metrics a ratio is made of; one whose parts are not
// in the plan is taken as the evidence computed it.
func (l *look) ratio(m *plan.Metric, w Window, g Group, from time.Time) (float64, bool) {
	of, per := l.plan.Metrics[m.Of], l.plan.Metrics[m.Per]
	if of == nil || per == nil || !counts(of) || !counts(per) {
		return w.Value, w.Known
	}
	top, _ := l.value(of, l.ev.Window(m.Of, g, from, l.now), g, from)
	below, _ := l.value(per, l.ev.Window(m.Per, g, from, l.now), g, from)
	if below <= 0 {
		return 0, false
	}
	return top / below, true
}

// missing says what a value still lacks of judge.enough, "" for nothing. A
// system metric has no users; for it something must have been measured.
func (l *look) missing(m *plan.Metric, w Window, length time.Duration) string {
	enough := l.plan.Judge
	needed := enough.EnoughFor
	if length > 0 {
		needed = min(needed, length)
	}
	if !m.User && !counts(m) && m.Name != "adoption" && m.Name != "concurrent" {
		return ""
	}
	if w.Active < int64(enough.EnoughUsers) {
		return fmt.Sprintf("%d of %d users%s", w.Active, enough.EnoughUsers, more(w.Active, int64(enough.EnoughUsers), w.Covered, length))
	}
	if w.Covered < needed {
		return fmt.Sprintf("%s of %s of covered time", duration(w.Covered), duration(needed))
	}
	return ""
}

// maxWait is the longest wait that is worth a prediction.
const maxWait = 60 * 24 * time.Hour

// more predicts at the present rate how long a growing count still takes, ""
// where it cannot be said: nothing counted, or a window that only moves on.
func more(have, want int64, in, length time.Duration) string {
	if have <= 0 || in < time.Minute || have >= want || (length > 0 && in >= length) {
		return ""
	}
	left := float64(in) * float64(want-have) / float64(have)
	if left > float64(maxWait) {
		return ", more than 60d at the present rate"
	}
	return fmt.Sprintf(", about %s more at the present rate", roughly(time.Duration(left)))
}

// sample is the number of events, loads or answers in a window.
func sample(m *plan.Metric, w Window) int64 {
	if m.Kind == plan.Ratio {
		return int64(w.Sum) // what the share is of
	}
	if w.Count == 0 {
		return w.Sketch.Count()
	}
	return w.Count
}

// expected judges adoption and concurrent users against the plan's own
// numbers: a plain relative difference.
func (l *look) expected(v Verdict, r *plan.Rule, m *plan.Metric) Verdict {
	from, length, text, ok := l.span(r)
	if !ok {
		return v.unknown(CauseEvidence, notBegun)
	}
	want := l.place.Exposure
	if r.Metric == "concurrent" {
		want *= float64(l.plan.Capacity.Concurrent)
	}
	if want <= 0 {
		return v.unknown(CauseEvidence, fmt.Sprintf("nothing is expected of %s: no traffic, or capacity.concurrent_at_100 is not given", r.Metric))
	}
	w := l.ev.Window(r.Metric, Exposed, from, l.now)
	v.Events, v.Users = sample(m, w), w.Active
	value, ok := l.value(m, w, Exposed, from)
	if !ok {
		return v.unknown(CauseEvidence, fmt.Sprintf("no %s was measured %s", r.Metric, text))
	}
	relative := value/want - 1
	v.Canary, v.Control = finite(value), &want
	v.Why = fmt.Sprintf("%s %s %s %s, expected %s (%s), %s", r.Metric, is(r.Metric),
		Format(value, m.Unit), text, Format(want, m.Unit), change(relative), l.limit(r, m.Unit))
	if missing := l.missing(m, w, length); missing != "" {
		v.Value = finite(relative)
		return v.unknown(CauseEvidence, v.Why+", but needs data: "+missing)
	}
	v.decide(r.Op.Compare(relative, r.Value), relative)
	return v
}

// limit writes a rule's limit: "limit 5", and for a gate that asks for more
// of something "needed >= 98%".
func (l *look) limit(r *plan.Rule, unit string) string {
	text := Format(r.Value, unit)
	if r.Ref != plan.None {
		text = change(r.Value)
	}
	switch {
	case r.Op == plan.NE:
		return "must not be " + text
	case l.use == Gate && (r.Op == plan.GE || r.Op == plan.GT):
		return "needed " + string(r.Op) + " " + text
	}
	return "limit " + text
}
