package judge

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"serin/internal/plan"
	"serin/internal/stats"
)

// guard answers a rule that acts: met when harm is proved within the plan's
// budget, harm beyond half the limit is proved too, it is happening now, and
// since it began it is as large as the rule says.
func (l *look) guard(v Verdict, r *plan.Rule, m *plan.Metric, c *comparison, x float64, text string) Verdict {
	level := l.place.level(m.Name)
	if v.Ref == plan.Baseline { // outside the attempt's budget
		level = l.plan.Judge.FalseRollback
	}
	null, why := c.harm(min(x, l.plan.Judge.Margin))
	half, whyHalf := c.harm(x / 2)
	if why == "" {
		why = whyHalf
	}
	if why != "" {
		return v.unknown(CauseEvidence, why)
	}
	if !(level > 0) {
		return v.unknown(CauseEvidence, "no budget for false rollbacks is left (judge.false_rollback)")
	}
	now, okNow := c.inWindow()
	since, okSince := c.sinceStart(half.Start)
	g := stats.Guard{
		Null: null, Half: half, Level: level, X: x,
		InWindow: c.worse(now, okNow), SinceStart: c.worse(since, okSince),
	}
	v.LogE, v.LogLimit = finite(null.LogE), finite(stats.LogLimit(level, 1))
	if okNow {
		v.Value = finite(now - 1)
	}
	stands := v.stands(c, r, now, okNow, text)
	switch {
	case c.strata != nil:
		v.interval(c.strata(half.Start))
	case c.interval != nil:
		v.between(c.interval(half.Start))
	}
	if okSince {
		stands += fmt.Sprintf(", %s since it began%s", change(since-1), v.range95())
	}
	v.Status = NotMet
	if g.Met() {
		v.Status = Met
	}
	v.Harm = g.HarmShown() && !g.Met()
	v.Why = fmt.Sprintf("%s, %s; %s %s, %s", stands, l.limit(r, ""), number(float64(c.units)), c.what, evidence(null.LogE, level))
	if v.Harm {
		v.Why += "; harm is shown, but " + shortOf(g, r)
	}
	return v
}

// shortOf names the first condition by which shown harm stays below a rule.
func shortOf(g stats.Guard, r *plan.Rule) string {
	switch {
	case !g.HalfShown():
		return fmt.Sprintf("not yet that it exceeds half of the limit %s", change(r.Value))
	case !(g.InWindow >= 1+g.X):
		return "in the window it is below the limit"
	}
	return "since it began it is below the limit on average"
}

// gate answers a rule that must hold: not met when harm beyond it is proved,
// met when it is proved that things are not worse than it, or than the margin.
func (l *look) gate(v Verdict, r *plan.Rule, c *comparison, x float64, text string) Verdict {
	margin := max(x, l.plan.Judge.Margin)
	alpha := l.plan.Judge.FalseProceed
	harm, whyHarm := c.harm(x)
	safe, whySafe := c.safe(margin)
	if whyHarm != "" {
		return v.unknown(CauseEvidence, whyHarm)
	}
	limit := math.Log(1 / alpha)
	ratio, ok := c.inWindow()
	if c.stage != nil {
		ratio, ok = stats.Estimate(c.stage())
		v.interval(c.stage())
		text = "in this stage"
	} else if c.interval != nil {
		v.between(c.interval(-1))
	}
	if ok {
		v.Value = finite(ratio - 1)
	}
	stands := v.stands(c, r, ratio, ok, text)
	v.LogE, v.LogLimit = finite(safe), finite(limit)
	bound := change(c.sense * margin)
	switch {
	case harm.LogE >= limit:
		v.LogE = finite(harm.LogE)
		v.Status = NotMet
		v.Why = fmt.Sprintf("%s, %s: proved worse; %s %s, %s", stands, l.limit(r, ""), number(float64(c.units)), c.what, evidence(harm.LogE, alpha))
	case whySafe != "":
		return v.unknown(CauseEvidence, fmt.Sprintf("%s; %s", stands, whySafe))
	case safe >= limit:
		v.Status = Met
		v.Why = fmt.Sprintf("%s, proved not worse than %s; %s %s, %s", stands, bound, number(float64(c.units)), c.what, evidence(safe, alpha))
	default:
		return v.unknown(CauseEvidence, fmt.Sprintf("%s, not yet proved to be within %s; %s %s, %s%s",
			stands, bound, number(float64(c.units)), c.what, evidence(safe, alpha), l.wait(c, margin, alpha)))
	}
	return v
}

// overBound is how much more than the least possible number of users a proof
// takes on average, measured.
const overBound = 1.3

// wait predicts how many affected users a proof takes and how long, for a
// canary that is as good as its control.
func (l *look) wait(c *comparison, margin, alpha float64) string {
	if c.stage == nil {
		return ""
	}
	var have int64
	var odds float64
	for _, s := range c.stage() {
		if s.Odds > 0 {
			odds = s.Odds
		}
		have += s.New + s.Old
	}
	if odds <= 0 {
		return ""
	}
	want := int64(math.Ceil(overBound * stats.SafeBound(odds/(1+odds), margin, alpha)))
	if have >= want {
		return ""
	}
	return fmt.Sprintf("; about %s of %s needed if nothing is wrong%s", number(float64(have)), number(float64(want)),
		more(have, want, l.now.Sub(l.place.StageBegan), 0))
}

// improvement answers a gate that asks for something better than control, by
// the confidence sequence of the stage: known when all of it, or none of it,
// satisfies the rule.
func (l *look) improvement(v Verdict, r *plan.Rule, c *comparison) Verdict {
	if c.stage == nil || l.use == Guard || r.Op == plan.EQ || r.Op == plan.NE {
		return v.unknown(CauseEvidence, fmt.Sprintf("%s %s cannot be tested: it is no limit to harm", r.Op, change(r.Value)))
	}
	i, ok := stats.RatioInterval(c.stage(), l.plan.Judge.FalseProceed)
	if !ok {
		return v.unknown(CauseEvidence, "nothing to compare yet in this stage")
	}
	v.Value, v.Low, v.High = finite(i.Theta-1), finite(i.Low-1), finite(i.High-1)
	v.Why = fmt.Sprintf("%s, %s", v.stands(c, r, i.Theta, true, "in this stage"), l.limit(r, ""))
	low, high := r.Op.Compare(i.Low-1, r.Value), r.Op.Compare(i.High-1, r.Value)
	if low != high {
		return v.unknown(CauseEvidence, v.Why+": not proved either way")
	}
	v.Status = NotMet
	if low {
		v.Status = Met
	}
	return v
}

// interval sets the always-valid interval from the counts behind a value.
func (v *Verdict) interval(strata []stats.Stratum) {
	if i, ok := stats.RatioInterval(strata, shownLevel); ok {
		v.Low, v.High = finite(i.Low-1), finite(i.High-1)
	}
}

// between sets the always-valid interval from that of a ratio.
func (v *Verdict) between(low, high float64, ok bool) {
	if ok {
		v.Low, v.High = finite(low-1), finite(high-1)
	}
}

// stands says how canary and control compare: "errors are +212% against
// control over 24h (95% interval +80% … +420%)".
func (v *Verdict) stands(c *comparison, r *plan.Rule, ratio float64, ok bool, text string) string {
	if !ok {
		return fmt.Sprintf("%s: nothing on either side %s", r.Metric, text)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s against %s %s", r.Metric, is(r.Metric), change(ratio-1), cmp.Or(c.against, "control"), text)
	if v.Canary != nil && v.Control != nil && v.Unit != "" {
		fmt.Fprintf(&b, " (%s, control %s)", Format(*v.Canary, v.Unit), Format(*v.Control, v.Unit))
	}
	b.WriteString(v.range95())
	return b.String()
}

// range95 writes the interval in brackets, "" without one.
func (v *Verdict) range95() string {
	if v.Low == nil && v.High == nil {
		return ""
	}
	low, high := -1.0, math.Inf(1)
	if v.Low != nil {
		low = *v.Low
	}
	if v.High != nil {
		high = *v.High
	}
	return fmt.Sprintf(" (95%% interval %s … %s)", change(low), change(high))
}

// evidence writes ln E and what it must reach.
func evidence(logE, alpha float64) string {
	return fmt.Sprintf("evidence e^%.1f of e^%.1f needed", logE, math.Log(1/alpha))
}
