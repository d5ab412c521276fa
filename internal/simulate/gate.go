package simulate

import (
	"math"
	"slices"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// somebody is whoever does what people do in a run.
const somebody = "somebody"

// look judges everything at a gate, lets the state machine decide, and does
// what it asks people for.
func (r *run) look() {
	stage := r.state.Stage
	first := r.bakeEnd < 0 && r.baked() >= r.stage().Bake
	in := rollout.Input{
		Rollback: r.guarding(r.plan.Rollback),
		Reduce:   r.guarding(r.plan.Reduce),
		Proceed:  r.judge(r.stage().Proceed, judge.Gate, r.now),
	}
	r.looked, r.opens = r.now, r.openings()
	if first {
		r.bakeEnd = r.now
		r.out.stages[stage].measure(in.Proceed)
	}
	r.step(in)
	for r.state.Status == rollout.Running && r.state.Stage == stage && r.people(in) {
	}
}

// guarding judges the rules that act. One that cannot be met, nor show harm, is
// left unknown, which changes nothing.
func (r *run) guarding(list []*plan.Rule) []judge.Verdict {
	out := make([]judge.Verdict, len(list))
	for i, rule := range list {
		if versus(rule) && r.mayProve(rule, min(rule.Value, r.plan.Judge.Margin), r.now) || !versus(rule) && r.mayBeMet(rule, r.now) {
			out[i] = r.judge(list[i:i+1], judge.Guard, r.now)[0]
		}
	}
	return out
}

// people does one thing that the gate asks for, and reports whether there was
// one. They are there while the calendar lets traffic rise.
func (r *run) people(in rollout.Input) bool {
	open, _, _ := r.plan.RaiseOpen(r.wall())
	in.Wall, in.Mono, in.Covered = r.wall(), r.now, r.now
	for _, w := range rollout.Waits(r.plan, r.state, in) {
		switch {
		case !open:
			return false
		case w.Kind == "confirm":
			return r.command(in, rollout.Command{Verb: rollout.Confirm, Item: r.unmarked(r.state.Confirmed, r.stage().Confirm)})
		case w.Kind == "checklist":
			return r.command(in, rollout.Command{Verb: rollout.Complete, Item: r.unmarked(r.state.Completed, r.plan.Stages[r.state.Stage+1].Before)})
		case w.Kind == "approval":
			return r.command(in, rollout.Command{Verb: rollout.Approve, Role: r.approver()})
		case r.bakeEnd < 0:
			return false // the early end of bake: nobody is asked yet
		case w.Kind == "decision" && r.now-r.bakeEnd >= r.plan.Judge.Overrun:
			return r.command(in, rollout.Command{Verb: rollout.Accept, Reason: "simulated"})
		case (w.Kind == "criteria" || w.Kind == "evidence") && len(r.stuckAt(in)) > 0:
			rules := r.stuckAt(in)
			r.out.stages[r.state.Stage].stick(rules)
			if !r.healthy && !r.usedTo(rules) {
				r.over, r.out.kept = true, true // what is wrong has been found
				return false
			}
			r.marks(in)
			r.over = !r.command(in, rollout.Command{Verb: rollout.Promote, Role: r.approver(), Reason: "simulated"})
			return false
		case w.Kind == "criteria" || w.Kind == "evidence" || w.Kind == "decision":
			return false // approvals are given when the criteria are met
		}
	}
	return false
}

// usedTo reports whether all of these criteria keep a healthy feature there as a
// rule.
func (r *run) usedTo(rules []string) bool {
	return r.usual != nil && !slices.ContainsFunc(rules, func(rule string) bool { return !r.usual[r.state.Stage][rule] })
}

// approver is a role that the next stage asks for, "" for none.
func (r *run) approver() string {
	if next := r.state.Stage + 1; next < len(r.plan.Stages) && len(r.plan.Stages[next].Approve) > 0 {
		return r.plan.Stages[next].Approve[0]
	}
	return ""
}

// marks confirms and ticks what the gate asks for: no override passes these.
func (r *run) marks(in rollout.Input) {
	for item := "x"; item != ""; {
		if item = r.unmarked(r.state.Confirmed, r.stage().Confirm); item != "" && !r.command(in, rollout.Command{Verb: rollout.Confirm, Item: item}) {
			return
		}
	}
	if r.state.Stage+1 >= len(r.plan.Stages) {
		return
	}
	for item := "x"; item != ""; {
		if item = r.unmarked(r.state.Completed, r.plan.Stages[r.state.Stage+1].Before); item != "" && !r.command(in, rollout.Command{Verb: rollout.Complete, Item: item}) {
			return
		}
	}
}

// command does what a person does; false if the machine refused.
func (r *run) command(in rollout.Input, c rollout.Command) bool {
	pos := r.state.Pos
	c.By = somebody
	in.Command = &c
	r.step(in)
	return r.state.Pos > pos
}

// unmarked is the first item without a mark of this attempt and stage.
func (r *run) unmarked(marks []rollout.Mark, items []string) string {
	for _, item := range items {
		if !slices.ContainsFunc(marks, func(m rollout.Mark) bool {
			return m.Item == item && m.Stage == r.state.Stage && m.Attempt == r.state.Attempt
		}) {
			return item
		}
	}
	return ""
}

// stuckAt lists the criteria that will not let the stage go, or that have not
// for a week after the overrun.
func (r *run) stuckAt(in rollout.Input) []string {
	late := r.now-r.bakeEnd >= r.plan.Judge.Overrun+stuckAfter
	var out []string
	for i := range in.Proceed {
		v := &in.Proceed[i]
		keeps := v.Status == judge.NotMet || v.Status == judge.Unknown && r.stage().Inconclusive == plan.Hold
		if !v.Dry && (late && keeps || r.hopeless(r.stage().Proceed[i], v)) {
			out = append(out, v.Rule)
		}
	}
	if late && len(out) == 0 {
		out = append(out, "harm is shown by a rule that acts")
	}
	return out
}

// hopeless reports whether a verdict that keeps the stage cannot change: a
// count that is past its limit since the stage or the attempt began, or what
// has no source.
func (r *run) hopeless(rule *plan.Rule, v *judge.Verdict) bool {
	m := r.models[rule.Metric]
	switch {
	case v.Status == judge.Met || m == nil:
		return false
	case v.Status == judge.Unknown:
		return r.stage().Inconclusive == plan.Hold && (m.kind == absent || v.Cause == judge.CauseNoControl || v.Cause == judge.CauseNoSource)
	}
	upper := rule.Op == plan.LT || rule.Op == plan.LE || rule.Op == plan.EQ
	return m.kind == steady || rule.Ref == plan.None && m.kind == counted && upper && rule.Over.Dur == 0
}

// note keeps what an event tells of the run.
func (r *run) note(e *rollout.Event) {
	switch e.Type {
	case rollout.Asked:
		if e.N > 0 {
			r.out.stages[e.Stage].asked = true
		}
	case rollout.RolledBackEvent, rollout.ReducedEvent:
		r.out.rule, r.out.stage, r.out.at = e.Rule, e.Stage, r.now
		r.out.rolledBack, r.out.reduced = e.Type == rollout.RolledBackEvent, e.Type == rollout.ReducedEvent
	case rollout.Advanced:
		from := e.Stage - 1
		if e.Kind == string(rollout.Cleanup) {
			from = e.Stage
		}
		r.out.stages[from].left, r.out.stages[from].waited = true, max(0, r.now-r.bakeEnd)
	}
}

// end closes the books.
func (r *run) end() {
	r.out.took = r.now
	r.out.exposed = r.site.active(fresh, 0, r.now)
	r.out.harmed = r.harmed()
	switch r.state.Status {
	case rollout.Cleanup, rollout.Done:
		r.out.finished = true
	case rollout.Running:
		r.out.stages[r.state.Stage].stuck = true // the time is over
	}
}

// harmed is how many users met what is wrong: with more errors those of the
// affected who would not have been otherwise, with slow pages everybody who
// was exposed.
func (r *run) harmed() int64 {
	switch e := r.site.effect; {
	case r.healthy:
		return 0
	case e.latency() > 1:
		return r.out.exposed
	default:
		m := r.models[anyError]
		affected := r.site.distinct(m, fresh, 0, r.now)
		return min(r.out.exposed, int64(math.Round(float64(affected)*(1-1/e.errors()))))
	}
}
