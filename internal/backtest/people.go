package backtest

import (
	"fmt"
	"slices"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// give does one thing that the gate has waited for long enough, as people are
// assumed to, and reports whether there was one.
func (r *run) give(in rollout.Input, now time.Time) bool {
	if r.o.People < 0 {
		return false
	}
	st := &r.plan.Stages[r.state.Stage]
	clear := true // nothing is missing but what people give
	for _, w := range rollout.Waits(r.plan, r.state, in) {
		var c rollout.Command
		switch w.Kind {
		case "confirm":
			c = rollout.Command{Verb: rollout.Confirm, Item: r.unmarked(r.state.Confirmed, st.Confirm)}
		case "checklist":
			if r.state.Stage+1 >= len(r.plan.Stages) {
				continue
			}
			c = rollout.Command{Verb: rollout.Complete, Item: r.unmarked(r.state.Completed, r.plan.Stages[r.state.Stage+1].Before)}
		case "approval":
			if !clear {
				continue // people approve when they see that it is well
			}
			c = rollout.Command{Verb: rollout.Approve}
			if next := r.state.Stage + 1; next < len(r.plan.Stages) && len(r.plan.Stages[next].Approve) > 0 {
				c.Role = r.plan.Stages[next].Approve[0]
			}
		case "decision":
			c = rollout.Command{Verb: rollout.Accept, Reason: "assumed"}
		default:
			clear = false
			continue
		}
		if r.asked[w.Text].IsZero() {
			r.asked[w.Text] = now
		}
		if now.Sub(r.asked[w.Text]) < r.o.People {
			continue
		}
		c.By = people
		pos := r.state.Pos
		if r.step(in, &c) == nil && r.state.Pos > pos {
			return true
		}
	}
	return false
}

// unmarked is the first item without a mark of this attempt and stage.
func (r *run) unmarked(marks []rollout.Mark, items []string) string {
	for _, item := range items {
		if !slices.ContainsFunc(marks, func(m rollout.Mark) bool {
			return m.Item == item && m.Attempt == r.state.Attempt && m.Stage == r.state.Stage
		}) {
			return item
		}
	}
	return ""
}

// ended reports whether what was recorded afterwards is no longer what would
// have happened, or there is nothing left to decide.
func (r *run) ended() bool { return r.state.Status != rollout.Running }

// result sums up.
func (r *run) result() Result {
	out := &r.out
	out.Status, out.Exposure, out.Ended = r.state.Status, percent(r.state.Exposure), out.To
	if i := r.state.Stage; i >= 0 && i < len(r.plan.Stages) {
		out.Stage = r.plan.Stages[i].Name
	}
	if r.ev != nil {
		out.Exposed = r.ev.Data().Exposed
	}
	switch r.state.Status {
	case rollout.Running:
		out.Why = "the recorded time ends"
		for _, w := range rollout.Waits(r.plan, r.state, r.last) {
			out.Waiting = append(out.Waiting, w.Text)
		}
		for _, v := range r.last.Proceed {
			if v.Status != judge.Met {
				out.Waiting = append(out.Waiting, v.Why)
			}
		}
	case rollout.Cleanup, rollout.Done:
		out.Why, out.Ended = "it is through: everybody would have the new variant", r.state.At
	default:
		out.Why, out.Ended = "it took traffic back: what was recorded afterwards is not what would have happened", r.state.At
	}
	out.Caveats = r.caveats()
	return *out
}

func (r *run) caveats() (out []string) {
	out = append(out, "users had the variants that the real ramp gave them: a raise that would have come earlier or later is judged on the real shares")
	if r.out.Every > time.Minute {
		out = append(out, fmt.Sprintf("it looks every %s, where a rollout looks at least each minute", plan.FormatDuration(r.out.Every)))
	}
	out = append(out, "what people did by themselves is not repeated: pauses, overrides, new versions of the plan, incidents that kept a raise waiting",
		"it ends where the clean-up begins")
	if len(r.out.Unanswered) > 0 {
		out = append(out, "rules on what was not recorded are unknown: a gate on one waits, or people accept it")
	}
	return append(out, "how alike the loads of one user are is taken from the whole time", "of plans that were chosen by looking back the best looks better than it is")
}
