package judge

import (
	"fmt"
	"maps"
	"math"
	"strings"
	"time"

	"serin/internal/plan"
)

// Use says what a rule is for. It changes when a rule counts as known.
type Use uint8

// The uses.
const (
	// Gate rules say what must hold: proceed, checks, targets, verified facts.
	Gate Use = iota
	// Guard rules say when to act: rollback, reduce, alerts, incidents. Met
	// means act.
	Guard
)

// Held says since when rules have held in every evaluation, by use and rule
// text. Callers keep what Judge returns and hand it to the next call. One map
// serves all rules of a rollout; entries of rules not asked about stay.
type Held map[string]time.Time

func heldKey(use Use, text string) string {
	if use == Guard {
		return "guard " + text
	}
	return text
}

// gapKey is where Held keeps since when a rule that held has been unknown.
func gapKey(key string) string { return "? " + key }

// staleValue is how long a pushed value counts as current.
const staleValue = 24 * time.Hour

// minControl is the share allocated to control from which on it serves as
// the reference.
const minControl = 0.05

// Judge answers every rule, in their order. It reads nothing but its
// arguments and changes none of them. held may be nil.
func Judge(p *plan.Plan, rules []*plan.Rule, use Use, place Place, ev Evidence, held Held, now time.Time) ([]Verdict, Held) {
	l := &look{plan: p, use: use, place: place, ev: ev, data: ev.Data(), now: now}
	next := maps.Clone(held)
	if next == nil {
		next = Held{}
	}
	out := make([]Verdict, len(rules))
	for i, r := range rules {
		out[i] = l.hold(r, l.rule(r), next)
	}
	return out, next
}

// Worst sums a list up: not met outranks unknown outranks met. Dry rules
// decide nothing. An empty list is met.
func Worst(verdicts []Verdict) Status {
	worst := Met
	for _, v := range verdicts {
		switch {
		case v.Dry:
		case v.Status == NotMet:
			return NotMet
		case v.Status == Unknown:
			worst = Unknown
		}
	}
	return worst
}

// look is one evaluation of a list of rules.
type look struct {
	plan  *plan.Plan
	use   Use
	place Place
	ev    Evidence
	data  Data
	now   time.Time
}

// rule judges one rule at this instant, without its "for".
func (l *look) rule(r *plan.Rule) Verdict {
	m := l.plan.Metrics[r.Metric]
	v := Verdict{Rule: r.Text, Metric: r.Metric, Limit: r.Value, Ref: r.Ref, At: l.now}
	if r.Metric == "traffic" {
		v.Unit = "%"
		v.decide(r.Op.Compare(l.place.Exposure, r.Value), l.place.Exposure)
		v.Why = fmt.Sprintf("traffic is %s, %s", Format(l.place.Exposure, "%"), l.limit(r, "%"))
		return v
	}
	if m == nil {
		return v.unknown(CauseNoSource, fmt.Sprintf("%s is not a metric of this plan", r.Metric))
	}
	v.Unit, v.Dry = m.Unit, m.Dry
	if done, ok := l.source(&v, r, m); ok {
		return done
	}
	switch r.Ref {
	case plan.None:
		return l.fixed(v, r, m)
	case plan.Expected:
		return l.expected(v, r, m)
	}
	return l.compare(v, r, m)
}

// decide sets a known status and the value.
func (v *Verdict) decide(holds bool, value float64) {
	v.Value = finite(value)
	v.Status = NotMet
	if holds {
		v.Status = Met
	}
}

// unknown returns the verdict as unknown for a reason.
func (v Verdict) unknown(c Cause, why string) Verdict {
	v.Status, v.Cause, v.Why = Unknown, c, why
	return v
}

// finite returns a pointer to x, nil for what JSON cannot hold.
func finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// telemetry reports whether the metric is measured on telemetry.
func telemetryMetric(m *plan.Metric) bool { return m.Source == "" || m.Source == "telemetry" }

// source answers rules whose source cannot speak, and default rules that do
// not apply. ok is false when the rule is to be judged.
func (l *look) source(v *Verdict, r *plan.Rule, m *plan.Metric) (Verdict, bool) {
	src := l.ev.Source(r.Metric)
	name := src.Name
	if name == "" {
		name = m.Source
	}
	tele := telemetryMetric(m)
	if tele && l.data.NoData {
		if m.Kind == plan.Age || (r.Ref == plan.None && counts(m)) {
			return Verdict{}, false // silence is what an age measures; a count may already be broken
		}
		return v.unknown(CauseNoData, l.silence()), true
	}
	switch {
	case src.State == NeverDelivered && r.Default && (!tele || !l.data.Last.IsZero()):
		return l.inapplicable(*v, r), true
	case src.State == NeverDelivered && !tele && src.Error != "":
		return v.unknown(CauseNoSource, fmt.Sprintf("nothing has ever arrived from %s: %s", name, src.Error)), true
	case src.State == NeverDelivered && !tele:
		return v.unknown(CauseNoSource, fmt.Sprintf(
			"nothing has ever arrived from %s; send a first value, or confirm that the channel is open and empty", name)), true
	case src.State == Failing && !tele:
		why := fmt.Sprintf("%s has been silent", name)
		if !src.Since.IsZero() {
			why += fmt.Sprintf(" for %s", duration(l.now.Sub(src.Since)))
		}
		if src.Error != "" {
			why += ": " + src.Error
		}
		return v.unknown(CauseBlind, why), true
	}
	return Verdict{}, false
}

// inapplicable answers a default rule on a metric that never had data.
func (l *look) inapplicable(v Verdict, r *plan.Rule) Verdict {
	v.Status = Met
	if l.use == Guard {
		v.Status = NotMet
	}
	v.Why = fmt.Sprintf("does not apply: no data for %s ever", r.Metric)
	return v
}

func (l *look) silence() string {
	why := "no data"
	if !l.data.Since.IsZero() {
		why += fmt.Sprintf(" for %s", duration(l.now.Sub(l.data.Since)))
	}
	if !l.data.Last.IsZero() {
		why += fmt.Sprintf(", the last event came %s ago", duration(l.now.Sub(l.data.Last)))
	}
	return why
}

// span returns when a rule's window begins, its length if fixed (else 0), and
// how to say it. ok is false before the rollout has begun.
func (l *look) span(r *plan.Rule) (from time.Time, length time.Duration, text string, ok bool) {
	if r.Over.Dur > 0 {
		return l.fresh(l.now.Add(-r.Over.Dur)), r.Over.Dur, "over " + duration(r.Over.Dur), true
	}
	switch r.Over.Name {
	case "attempt":
		from, text = l.fresh(l.place.AttemptBegan), "in this attempt"
	case "rollout":
		from, text = l.place.RolloutBegan, "in this rollout"
	default:
		from, text = l.fresh(l.place.StageBegan), "in this stage"
	}
	return from, 0, text, !from.IsZero()
}

// fresh cuts the begin of a window to where evidence begins to count.
func (l *look) fresh(from time.Time) time.Time {
	if began := l.place.EvidenceBegan; !from.IsZero() && from.Before(began) {
		return began
	}
	return from
}

// notBegun is the reason of a rule over a stage that has not begun.
const notBegun = "the rollout has not started"

// hold applies the rule's "for": it is met only after it has held in every
// evaluation of that length. Unknown stops the count; if it lasts longer than
// no_data.grace the count starts again.
func (l *look) hold(r *plan.Rule, v Verdict, held Held) Verdict {
	key := heldKey(l.use, r.Text)
	gap := gapKey(key)
	since, counting := held[key]
	switch v.Status {
	case NotMet:
		delete(held, key)
		delete(held, gap)
		return v
	case Unknown:
		if !counting {
			return v
		}
		began, known := held[gap]
		if !known {
			held[gap], began = l.now, l.now
		}
		if l.now.Sub(began) > l.plan.Judge.NoData.Grace {
			delete(held, key)
			delete(held, gap)
		}
		return v
	}
	if began, paused := held[gap]; paused {
		delete(held, gap)
		lost := l.now.Sub(began)
		since = since.Add(lost)
		counting = counting && lost <= l.plan.Judge.NoData.Grace
	}
	if !counting || since.After(l.now) {
		since = l.now
	}
	held[key] = since
	v.Since = since
	if have := l.now.Sub(since); have < r.For {
		return l.waiting(v, have, r.For)
	}
	return v
}

// waiting is a rule that holds, but not yet for long enough.
func (l *look) waiting(v Verdict, have, want time.Duration) Verdict {
	v.Why = fmt.Sprintf("%s; this has held for %s of %s", strings.TrimSuffix(v.Why, "."), duration(have), duration(want))
	v.Status = NotMet
	if l.use == Gate {
		v.Status, v.Cause = Unknown, CauseEvidence
	}
	return v
}
