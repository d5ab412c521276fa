package web

import (
	"math"
	"strconv"
	"strings"

	"serin/internal/judge"
)

// The sizes of the small graphics, in their own units.
const (
	sparkWidth, sparkHeight = 104.0, 28.0
	sparkPoints             = 40
	ciWidth                 = 178.0
	ciPad                   = 10.0
)

// spark is two small lines as SVG paths; empty paths are no data.
type spark struct {
	Canary, Control string
}

// sparkOf scales both arms together and draws them; gaps stay gaps.
func sparkOf(canary, control []*float64) spark {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, col := range [][]*float64{canary, control} {
		for _, v := range col {
			if v != nil && !math.IsNaN(*v) && !math.IsInf(*v, 0) {
				lo, hi = min(lo, *v), max(hi, *v)
			}
		}
	}
	if lo > hi {
		return spark{}
	}
	if hi == lo {
		hi = lo + 1
	}
	return spark{Canary: sparkPath(canary, lo, hi), Control: sparkPath(control, lo, hi)}
}

func sparkPath(col []*float64, lo, hi float64) string {
	var b strings.Builder
	pen := false
	for i, v := range col {
		if v == nil || math.IsNaN(*v) || math.IsInf(*v, 0) {
			pen = false
			continue
		}
		x := sparkWidth * float64(i) / float64(max(len(col)-1, 1))
		y := 3 + (sparkHeight-6)*(1-(*v-lo)/(hi-lo))
		b.WriteByte("ML"[b2i(pen)])
		b.WriteString(coord(x))
		b.WriteByte(' ')
		b.WriteString(coord(y))
		if !pen && (i+1 == len(col) || col[i+1] == nil) {
			b.WriteString("h.01") // a lone point
		}
		pen = true
	}
	return b.String()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func coord(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// interval is a gate's small forest plot: where the value and its interval
// lie between the reference and the limit. The zero interval is not drawn.
type interval struct {
	Draw          bool
	Zero, Limit   string // x of the lines; "" = none
	Low, High, At string
	HasRange      bool
	Class         string // "", "bad", "na"
	Label         string
}

// intervalOf places a verdict's numbers on one axis with a margin.
func intervalOf(v judge.Verdict, unit string) interval {
	if v.Value == nil || !finite(*v.Value) || !finite(v.Limit) {
		return interval{}
	}
	marks := []float64{*v.Value, v.Limit}
	zero := 0.0 // the reference: no change, the control's value, or nothing at all
	if v.Ref == "" && v.Control != nil && finite(*v.Control) {
		zero = *v.Control
	}
	marks = append(marks, zero)
	hasRange := v.Low != nil && v.High != nil && finite(*v.Low) && finite(*v.High)
	lo, hi := marks[0], marks[0]
	for _, m := range marks {
		lo, hi = min(lo, m), max(hi, m)
	}
	// An interval much wider than value and limit must not squeeze them.
	if span := hi - lo; hasRange {
		lo, hi = min(lo, max(*v.Low, lo-span)), max(hi, min(*v.High, hi+span))
	}
	if hi == lo {
		hi = lo + 1
	}
	x := func(m float64) string {
		return coord(ciPad + (ciWidth-2*ciPad)*min(max((m-lo)/(hi-lo), -.06), 1.06))
	}
	out := interval{Draw: true, Limit: x(v.Limit), Zero: x(zero), At: x(*v.Value), HasRange: hasRange}
	if hasRange {
		out.Low, out.High = x(*v.Low), x(*v.High)
	}
	switch v.Status {
	case judge.Unknown:
		out.Class = "na"
	case judge.NotMet:
		out.Class = "bad"
	}
	out.Label = "Value " + ruleValue(*v.Value, v, unit) + ", limit " + ruleValue(v.Limit, v, unit)
	if hasRange {
		out.Label += ", interval " + ruleValue(*v.Low, v, unit) + " to " + ruleValue(*v.High, v, unit)
	}
	return out
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// ruleValue writes a number of a verdict: a relative change for rules with a
// reference, else in the metric's unit.
func ruleValue(n float64, v judge.Verdict, unit string) string {
	if v.Ref != "" {
		return relative(n)
	}
	return value(n, unit)
}

// trip says how near a rollback rule is to being met, 0..1.
func trip(v judge.Verdict) float64 {
	if v.Status == judge.Met {
		return 1
	}
	if v.LogE != nil && v.LogLimit != nil && *v.LogLimit > 0 && finite(*v.LogE) {
		return min(max(*v.LogE / *v.LogLimit, 0), .99)
	}
	if v.Value == nil || !finite(*v.Value) || !finite(v.Limit) {
		return 0
	}
	val, limit := *v.Value, v.Limit
	if strings.Contains(v.Rule, " < ") || strings.Contains(v.Rule, " <= ") {
		if v.Ref != "" { // a fall: both are negative
			val, limit = -val, -limit
		} else if val > 0 {
			return min(max(limit/val, 0), .99)
		}
	}
	if limit <= 0 {
		return 0
	}
	return min(max(val/limit, 0), .99)
}
