package judge

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"serin/internal/plan"
	"serin/internal/stats"
)

// What is here writes a comparison for a tired person, in one sentence: how the
// arms compare and since when, the limit, what that rests on by arm, the evidence
// as the odds of a bet, and how much more data is needed.

// stands says how canary and control compare: "errors are +212% against
// control over 24h (95% interval +80% … +420%)".
func (v *Verdict) stands(c *comparison, r *plan.Rule, ratio float64, ok bool, text string) string {
	if !ok {
		return fmt.Sprintf("%s: nothing on either side %s", r.Metric, text)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s against %s %s", r.Metric, is(r.Metric), change(ratio-1), cmp.Or(c.against, "control"), text)
	var notes []string
	if v.Canary != nil && v.Control != nil && v.Unit != "" {
		notes = append(notes, fmt.Sprintf("%s, control %s", Format(*v.Canary, v.Unit), Format(*v.Control, v.Unit)))
	}
	if i := v.range95(); i != "" {
		notes = append(notes, i)
	}
	if len(notes) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(notes, "; "))
	}
	return b.String()
}

// range95 writes the interval, "" without one.
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
	return fmt.Sprintf("95%% interval %s … %s", change(low), change(high))
}

// rests notes what a comparison rests on since a start, -1 = in the stage, and
// says it: "12 users affected on new, 40 on control".
func (v *Verdict) rests(c *comparison, start int) string {
	if c.sample == nil {
		return fmt.Sprintf("%s %s", number(float64(c.units)), c.what)
	}
	s := c.sample(start)
	v.Sample = &s
	if s.OfNew+s.OfOld > 0 {
		return fmt.Sprintf("%s of %s %s on new, %s of %s on control", number(float64(s.New)), number(float64(s.OfNew)), s.What, number(float64(s.Old)), number(float64(s.OfOld)))
	}
	return fmt.Sprintf("%s %s on new, %s on control", number(float64(s.New)), s.What, number(float64(s.Old)))
}

// mostOdds is where odds are no longer written out; what lies below a number by
// no more than rounding is that number.
const (
	mostOdds = 1e6
	rounding = 1e-6
)

// odds writes an e-value as what a bet of 1 has become.
func odds(logE float64) string {
	switch e := math.Exp(logE); {
	case e < 1-rounding:
		return "less than 1 to 1"
	case e > mostOdds:
		return "over " + number(mostOdds) + " to 1"
	case e < 10:
		return number(math.Floor(e*10+rounding)/10) + " to 1"
	default:
		return number(math.Floor(e+rounding)) + " to 1"
	}
}

// mostProof is the largest limit of ln E that is written as odds.
const mostProof = 100

// Proof writes how far a comparison's evidence is, short: "4.9 of 112 to 1"; "" for
// a verdict that needs none.
func (v *Verdict) Proof() string {
	if v.LogE == nil || v.LogLimit == nil || math.IsNaN(*v.LogE) || !(*v.LogLimit < mostProof) {
		return ""
	}
	return fmt.Sprintf("%s of %s to 1", strings.TrimSuffix(odds(*v.LogE), " to 1"), number(math.Ceil(math.Exp(*v.LogLimit)-1e-9)))
}

// evidence writes ln E and what it must reach, as the odds of a bet against the
// null hypothesis.
func evidence(logE, alpha float64) string {
	return fmt.Sprintf("evidence %s, needed %s to 1", odds(logE), number(math.Ceil(1/alpha-1e-9)))
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

// pace predicts when a guard will know, if what it sees goes on: evidence grows
// with the data. "" where nothing is to be expected.
func (l *look) pace(g stats.Guard, since time.Time) string {
	const clear = 1 // ln E from which on it grows more than it wavers
	if g.HarmShown() || !(g.SinceStart >= 1+g.X) || g.Null.LogE < clear || since.IsZero() {
		return ""
	}
	left := float64(l.now.Sub(since)) * (stats.LogLimit(g.Level, 1)/g.Null.LogE - 1)
	if left > float64(maxWait) {
		return ""
	}
	return fmt.Sprintf("; if it goes on like this about %s more", roughly(max(time.Minute, time.Duration(left))))
}

// wait predicts how much more a proof takes, for a canary that is as good as its
// control: "; about 4,650 users affected are needed if nothing is wrong, 19 so
// far, about 6h more at the present rate".
func (l *look) wait(c *comparison, margin, alpha float64) string {
	if c.need == nil {
		return ""
	}
	have, want := c.need(margin, alpha)
	if want <= 0 || have >= want {
		return ""
	}
	return fmt.Sprintf("; about %s %s are needed if nothing is wrong, %s so far%s", number(round3(float64(want))), cmp.Or(c.needs, c.what), number(float64(have)),
		more(have, want, l.now.Sub(l.place.StageBegan), 0))
}

// round3 keeps three digits of a predicted number.
func round3(v float64) float64 {
	if v < 1000 {
		return v
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-2)
	return math.Round(v/unit) * unit
}
