package judge

import (
	"fmt"
	"math"

	"serin/internal/plan"
	"serin/internal/stats"
)

// guard answers a rule that acts: met when harm is proved within the plan's
// budget, harm beyond half the limit is proved too, it is happening now, and
// since it began it is as large as the rule says.
func (l *look) guard(v Verdict, r *plan.Rule, m *plan.Metric, c *comparison, x float64, text string) Verdict {
	level := l.place.level(m.Name)
	if v.Ref == plan.Baseline || !acts(l.plan, m.Name) { // outside the attempt's budget
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
	v.between(c.intervalSince(half.Start, shownLevel))
	if okSince {
		v.Estimate = finite(since - 1)
		stands += fmt.Sprintf(", %s since it began", change(since-1))
		if i := v.range95(); i != "" {
			stands += " (" + i + ")"
		}
	}
	v.Status = NotMet
	if g.Met() {
		v.Status = Met
	}
	v.Harm = g.HarmShown() && !g.Met()
	v.Why = fmt.Sprintf("%s, %s; %s, %s", stands, l.limit(r, ""), v.rests(c, half.Start), evidence(null.LogE, level))
	if v.Harm {
		v.Why += "; harm is shown, but " + shortOf(g, r)
	}
	v.Why += l.pace(g, c.began(half.Start))
	return v
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
	if inStage, known := c.inStage(); known {
		ratio, ok, text = inStage, true, "in this stage"
		if c.values != nil {
			v.Canary, v.Control = c.values(l.place.StageBegan)
		}
		v.between(c.intervalSince(-1, shownLevel))
	}
	if ok {
		v.Value, v.Estimate = finite(ratio-1), finite(ratio-1)
	}
	stands := v.stands(c, r, ratio, ok, text)
	v.LogE, v.LogLimit = finite(safe), finite(limit)
	bound := change(c.sense * margin)
	rests := v.rests(c, -1)
	switch {
	case harm.LogE >= limit:
		v.LogE = finite(harm.LogE)
		v.Status = NotMet
		v.Why = fmt.Sprintf("%s, %s: proved worse; %s, %s", stands, l.limit(r, ""), rests, evidence(harm.LogE, alpha))
	case whySafe != "":
		return v.unknown(CauseEvidence, fmt.Sprintf("%s; %s", stands, whySafe))
	case safe >= limit:
		v.Status = Met
		v.Why = fmt.Sprintf("%s, proved not worse than %s; %s, %s", stands, bound, rests, evidence(safe, alpha))
	default:
		return v.unknown(CauseEvidence, fmt.Sprintf("%s, not yet proved to be within %s; %s, %s%s",
			stands, bound, rests, evidence(safe, alpha), l.wait(c, margin, alpha)))
	}
	return v
}

// improvement answers a gate that asks for something better than control, by
// the confidence sequence of the stage: known when all of it, or none of it,
// satisfies the rule.
func (l *look) improvement(v Verdict, r *plan.Rule, c *comparison) Verdict {
	if l.use == Guard || r.Op == plan.EQ || r.Op == plan.NE {
		return v.unknown(CauseEvidence, fmt.Sprintf("%s %s cannot be tested: it is no limit to harm", r.Op, change(r.Value)))
	}
	ratio, ok := c.inStage()
	lowest, highest, known := c.intervalSince(-1, l.plan.Judge.FalseProceed)
	if !ok || !known {
		return v.unknown(CauseEvidence, "nothing to compare yet in this stage")
	}
	if c.hidden != nil {
		if why := c.hidden(); why != "" {
			return v.unknown(CauseEvidence, why)
		}
	}
	v.between(lowest, highest, true)
	v.Value, v.Estimate = finite(ratio-1), finite(ratio-1)
	v.Why = fmt.Sprintf("%s, %s; %s", v.stands(c, r, ratio, true, "in this stage"), l.limit(r, ""), v.rests(c, -1))
	low, high := r.Op.Compare(lowest-1, r.Value), r.Op.Compare(highest-1, r.Value)
	if low != high {
		return v.unknown(CauseEvidence, v.Why+": not proved either way")
	}
	v.Status = NotMet
	if low {
		v.Status = Met
	}
	return v
}

// between sets the always-valid interval from that of a ratio.
func (v *Verdict) between(low, high float64, ok bool) {
	if ok {
		v.Low, v.High = finite(low-1), finite(high-1)
	}
}
