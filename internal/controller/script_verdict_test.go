package controller_test

import (
	"strconv"
	"strings"

	"serin/internal/controller"
	"serin/internal/judge"
)

// ruled checks the newest verdict of a rule.
func (x *run) ruled(v controller.View, rule string, facets []string) {
	for _, list := range [][]judge.Verdict{v.Rollback, v.Reduce, v.Proceed, v.Checks} {
		for _, verdict := range list {
			if verdict.Rule == rule {
				x.facets(verdict, facets)
				return
			}
		}
	}
	x.Errorf("there is no verdict of %q", rule)
}

// lastVerdict checks the verdict of the last event that was decided by one.
func (x *run) lastVerdict(facets []string) {
	journal := x.journal()
	for i := len(journal) - 1; i >= 0; i-- {
		if v := journal[i].Verdict; v != nil {
			x.facets(*v, facets)
			return
		}
	}
	x.Errorf("no event carries a verdict")
}

// facets checks a verdict by words: met, not-met, unknown, dry, harm, proved;
// control, baseline (the reference); value A..B, logE A..B and limit X in the
// metric's own unit, which is ms for times, and a share for "vs".
func (x *run) facets(v judge.Verdict, words []string) {
	problem := func(what string) {
		x.Errorf("%s is not %s: %s, value %v, %s", v.Rule, what, v.Status, number(v.Value), v.Why)
	}
	for i := 0; i < len(words); i++ {
		ok, facet := true, words[i]
		switch w := words[i]; w {
		case "met", "not-met", "unknown":
			ok = v.Status == map[string]judge.Status{"met": judge.Met, "not-met": judge.NotMet, "unknown": judge.Unknown}[w]
		case "dry":
			ok = v.Dry
		case "harm":
			ok = v.Harm
		case "no-harm":
			ok = !v.Harm
		case "proved":
			ok = v.LogE != nil && v.LogLimit != nil && *v.LogE >= *v.LogLimit
		case "control", "baseline":
			ok = string(v.Ref) == w
		case "value":
			i++
			ok = x.within(v.Value, words, i)
		case "logE":
			i++
			ok = x.within(v.LogE, words, i)
		case "limit":
			i++
			ok = x.within(&v.Limit, words, i)
		default:
			x.bad("a verdict is not %q", w)
		}
		if !ok {
			problem(facet)
		}
	}
	if len(words) == 0 {
		x.bad("say what the verdict is")
	}
}

func number(f *float64) any {
	if f == nil {
		return "none"
	}
	return *f
}

// within reads "5" or "0.3..0.9".
func (x *run) within(got *float64, words []string, i int) bool {
	if i >= len(words) {
		x.bad("a number is missing")
	}
	a, b, ranged := strings.Cut(words[i], "..")
	if !ranged {
		b = a
	}
	low, err := strconv.ParseFloat(a, 64)
	x.must(err)
	high, err := strconv.ParseFloat(b, 64)
	x.must(err)
	return got != nil && *got >= low && *got <= high
}
