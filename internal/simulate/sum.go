package simulate

import (
	"math"
	"slices"
	"time"

	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/stats"
)

// tallyOf counts the outcomes for which f holds.
func tallyOf(outcomes []outcome, f func(o *outcome) bool) int {
	n := 0
	for i := range outcomes {
		if f(&outcomes[i]) {
			n++
		}
	}
	return n
}

// sum adds the outcomes of healthy runs up.
func (w *world) sum(o Options, outcomes []outcome) Result {
	of := func(f func(o *outcome) bool) Share { return share(tallyOf(outcomes, f), len(outcomes)) }
	smooth := func(o *outcome) bool { return o.finished && !o.stuckAnywhere() }
	out := Result{
		Plan: w.plan.Name, Runs: len(outcomes), Seed: o.Seed, Start: w.cycle.start, Traffic: o.Traffic,
		FalseRollback: of(func(o *outcome) bool { return o.rolledBack }),
		FalseReduce:   of(func(o *outcome) bool { return o.reduced }),
		Budget:        w.plan.Judge.FalseRollback,
		Stuck:         of((*outcome).stuckAnywhere),
		Asked:         of(func(o *outcome) bool { return o.any(func(s *stageOutcome) bool { return s.asked }) }),
		Finished:      of(smooth),
		Assumed:       append([]string{}, w.assumed...),
	}
	slices.Sort(out.Assumed)
	var took []time.Duration
	for i := range outcomes {
		if smooth(&outcomes[i]) {
			took = append(took, outcomes[i].took)
		}
	}
	out.Finish = times(took)
	if end := w.plan.EarliestEnd(w.cycle.start); !end.IsZero() {
		out.Earliest = end.Sub(w.cycle.start).Hours()
	}
	out.Guards = w.sumGuards(outcomes)
	for i := range w.plan.Stages {
		out.Stages = append(out.Stages, w.sumStage(i, outcomes))
	}
	return out
}

// any reports whether f holds of a stage.
func (o *outcome) any(f func(s *stageOutcome) bool) bool {
	for i := range o.stages {
		if f(&o.stages[i]) {
			return true
		}
	}
	return false
}

func (w *world) sumGuards(outcomes []outcome) []GuardResult {
	out := []GuardResult{}
	reached := make([]int, len(w.plan.Stages))
	for i := range reached {
		reached[i] = tallyOf(outcomes, func(o *outcome) bool { return o.stages[i].reached })
	}
	add := func(list string, rules []*plan.Rule, lowered func(o *outcome) bool) {
		for _, r := range rules {
			g := GuardResult{List: list, Rule: r.Text, Fixed: r.Ref == plan.None}
			acts := func(o *outcome) bool { return lowered(o) && o.rule == r.Text }
			g.Acts = share(tallyOf(outcomes, acts), len(outcomes))
			for i := range reached {
				g.ByStage = append(g.ByStage, share(tallyOf(outcomes, func(o *outcome) bool { return acts(o) && o.stage == i }), reached[i]))
			}
			out = append(out, g)
		}
	}
	add("rollback", w.plan.Rollback, func(o *outcome) bool { return o.rolledBack })
	add("reduce", w.plan.Reduce, func(o *outcome) bool { return o.reduced })
	return out
}

func (w *world) sumStage(i int, outcomes []outcome) StageResult {
	st := &w.plan.Stages[i]
	exposure := w.plan.Exposure(i)
	count := func(f func(s *stageOutcome) bool) int {
		return tallyOf(outcomes, func(o *outcome) bool { return f(&o.stages[i]) })
	}
	reached := count(func(s *stageOutcome) bool { return s.reached })
	baked := count(func(s *stageOutcome) bool { return s.baked })
	out := StageResult{
		Stage: st.Name, Traffic: float64(exposure) * 100 / float64(flag.Everyone),
		Users:    w.users * int64(exposure) / int64(flag.Everyone),
		Reached:  share(reached, len(outcomes)),
		Asked:    share(count(func(s *stageOutcome) bool { return s.asked }), baked),
		Stuck:    share(count(func(s *stageOutcome) bool { return s.stuck }), baked),
		Provable: provable(w.affected(st.Bake), float64(exposure)/float64(flag.Everyone), w.plan.Judge.FalseProceed),
		Proceed:  []CriterionResult{}, Checks: []CheckResult{},
	}
	var waited []time.Duration
	for k := range outcomes {
		if s := &outcomes[k].stages[i]; s.left && !s.stuck {
			waited = append(waited, s.waited)
		}
	}
	out.Waited = times(waited)
	for _, r := range st.Proceed {
		in := func(list func(s *stageOutcome) []string) Share {
			return share(count(func(s *stageOutcome) bool { return slices.Contains(list(s), r.Text) }), baked)
		}
		out.Proceed = append(out.Proceed, CriterionResult{
			Rule:    r.Text,
			NotMet:  in(func(s *stageOutcome) []string { return s.notMet }),
			Unknown: in(func(s *stageOutcome) []string { return s.unknown }),
			Stuck:   in(func(s *stageOutcome) []string { return s.keeps }),
		})
	}
	out.Checks = sumChecks(st, i, reached, outcomes)
	return out
}

// affected is how many users err in a time: each counts once, however often.
func (w *world) affected(d time.Duration) float64 {
	users := float64(w.users)
	return users * -math.Expm1(-w.streams[0].perDay*d.Hours()/24/users)
}

// mostProvable is the factor beyond which a proof says nothing.
const mostProvable = 10

// provable is within which factor n affected users of both arms prove a rate
// that has not changed to be, at a share of the new arm: the margin of which they
// are overBound times the least number that any test needs (stats.SafeBound). 0 =
// no control, NothingProvable = not even within mostProvable.
func provable(n, s, alpha float64) float64 {
	const overBound = 1.1 // docs/statistics.md, "Verdicts": measured 1.05 to 1.2
	if s > 1-minControl || s <= 0 {
		return 0
	}
	enough := func(factor float64) bool { return n >= overBound*stats.SafeBound(s, factor-1, alpha) }
	if !enough(mostProvable) {
		return NothingProvable
	}
	low, high := 1.0, float64(mostProvable)
	for range 60 {
		if mid := (low + high) / 2; enough(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// sumChecks counts the red checks of a stage by rule.
func sumChecks(st *plan.Stage, stage, reached int, outcomes []outcome) []CheckResult {
	out := []CheckResult{}
	at := map[string]int{}
	for _, c := range st.Checks {
		for _, r := range c.Expect {
			if _, known := at[r.Text]; !known {
				at[r.Text] = len(out)
				out = append(out, CheckResult{Rule: r.Text})
			}
		}
	}
	runs := make([]int, len(out))
	for k := range outcomes {
		red := map[int]bool{}
		for _, rule := range outcomes[k].stages[stage].red {
			out[at[rule]].Times++
			red[at[rule]] = true
		}
		for i := range red {
			runs[i]++
		}
	}
	for i := range out {
		out[i].Red = share(runs[i], reached)
		out[i].Times /= float64(max(1, reached))
	}
	return out
}
