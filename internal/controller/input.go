package controller

import (
	"fmt"
	"runtime/debug"
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// judged is one round of verdicts. A nil list was not judged in it.
type judged struct {
	rollback, reduce, proceed, checks []judge.Verdict
	users                             Users // seen in this stage
}

// merge overlays what a newer round judged.
func (j judged) merge(n judged) judged {
	if n.rollback != nil {
		j.rollback = n.rollback
	}
	if n.reduce != nil {
		j.reduce = n.reduce
	}
	if n.proceed != nil {
		j.proceed, j.checks = n.proceed, n.checks
	}
	if n.users != (Users{}) {
		j.users = n.users
	}
	return j
}

// odds is share/(1-share) of an exposure.
func odds(e flag.Percent) float64 {
	s := float64(e) / float64(flag.Everyone)
	if s >= 1 {
		return 1e9 // nobody is left in control: such an interval carries no evidence
	}
	return s / (1 - s)
}

// input gathers what a decision depends on, as of now. A fault in judging ends
// as an error: one rollout's data must not take the process down, and with it
// everybody's way to lower traffic.
func (w *worker) input() (in rollout.Input, j judged, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			w.c.log.Error("judging panicked", "rollout", w.id, "panic", fault, "stack", string(debug.Stack()))
			in = w.bareInput(w.c.o.Clock.Now(), w.c.o.Clock.Mono())
			in.Clock = w.laps(in.Wall, in.Mono)
			j, err = judged{}, fmt.Errorf("judge %s: internal fault, see the log: %v", w.id, fault)
		}
	}()
	return w.gather()
}

// bareInput is an input of which nothing was gathered yet.
func (w *worker) bareInput(now time.Time, mono time.Duration) rollout.Input {
	_, known := w.release()
	return rollout.Input{Wall: now, Mono: mono, Fresh: w.fresh, Judge: w.c.o.Judges.Newest().Version, JudgeGone: !known}
}

// release is the version of the judge that the rollout is under: the newest
// before an attempt, then the one the attempt is under. known is false where
// the program does not have that, and the newest stands in for it.
func (w *worker) release() (r judge.Release, known bool) {
	if w.state.Attempt == 0 {
		return w.c.o.Judges.Newest(), true
	}
	return w.c.o.Judges.Of(w.state.Judge)
}

// gather is input without its guard.
func (w *worker) gather() (rollout.Input, judged, error) {
	now, mono := w.c.o.Clock.Now(), w.c.o.Clock.Mono()
	in := w.bareInput(now, mono)
	if w.state.Pos == 0 || w.unread != nil || store.Over(w.state.Status) {
		return in, judged{}, nil // there is no evidence
	}
	in.Clock = w.laps(now, mono)
	if w.unwatched {
		w.watch()
	}
	ev, err := w.c.o.Evidence.View(w.id)
	if err != nil {
		return in, judged{}, fmt.Errorf("read evidence of %s: %w", w.id, err)
	}
	in.Data = ev.Data()
	if d := mono - w.seen; d > 0 && !in.Data.NoData && !w.fresh {
		w.covered += d
	}
	w.seen = mono
	in.Covered = w.covered
	var j judged
	place := w.place()
	j.users = seenUsers(ev, w.state, now)
	if w.state.Exposure > 0 {
		j.rollback = w.judge(w.plan.Rollback, judge.Guard, place, ev, now)
		j.reduce = w.judge(w.plan.Reduce, judge.Guard, place, ev, now)
		in.Rollback, in.Reduce = j.rollback, j.reduce
	}
	if w.state.Exposure > 0 && w.state.Status != rollout.Cleanup {
		j.proceed = w.judge(w.plan.Stages[w.state.Stage].Proceed, judge.Gate, place, ev, now)
		in.Proceed = j.proceed
		if _, entry, every := rollout.NextCheck(w.plan, w.state, now); every > 0 {
			j.checks = w.judge(w.plan.Stages[w.state.Stage].Checks[entry].Expect, judge.Gate, place, ev, now)
			in.Checks = j.checks
		}
	}
	in.Facts = w.facts(place, ev, now)
	return in, j, nil
}

// seenUsers counts the users who were active since the stage began, by the arm
// they were assigned to; before the start and after a rollback all are old.
func seenUsers(ev judge.Evidence, s rollout.State, now time.Time) Users {
	from := s.StageAt
	if from.IsZero() {
		from = s.CreatedAt
	}
	u := Users{
		NewSeen: ev.Window(anyMetric, judge.AssignedNew, from, now).Active,
		OldSeen: ev.Window(anyMetric, judge.AssignedOld, from, now).Active,
	}
	if n := u.NewSeen + u.OldSeen; n > 0 {
		u.Measured = 100 * float64(u.NewSeen) / float64(n)
	}
	return u
}

// anyMetric is a metric of every plan: who is active does not depend on it.
const anyMetric = "errors"

// judge runs the judge and keeps for how long each rule has held.
func (w *worker) judge(rules []*plan.Rule, use judge.Use, place judge.Place, ev judge.Evidence, now time.Time) []judge.Verdict {
	if len(rules) == 0 {
		return []judge.Verdict{}
	}
	release, _ := w.release()
	verdicts, held := release.Judge(w.plan, rules, use, place, ev, w.held, now)
	w.held = held
	return verdicts
}

// place is where the rollout stands, for the judge.
func (w *worker) place() judge.Place {
	s := w.state
	release, _ := w.release()
	share := float64(s.Exposure) / float64(flag.Everyone)
	return judge.Place{
		Stage: s.Stage, Planned: len(w.plan.Stages), Exposure: share, ControlShare: 1 - share,
		StageBegan: s.StageAt, AttemptBegan: s.AttemptAt, RolloutBegan: s.StartedAt, EvidenceBegan: s.EvidenceAt, MismatchAccepted: s.MismatchAccepted(),
		Levels: release.Levels(w.begun, w.plan, w.state.Revisions, w.plan.Judge.FalseRollback, w.state.Again...),
	}
}

// facts verifies the checklist items that a machine can: before the start
// those of preflight, after the last stage those of the clean-up.
func (w *worker) facts(place judge.Place, ev judge.Evidence, now time.Time) map[string]bool {
	var tasks []plan.Task
	switch w.state.Status {
	case rollout.Preflight:
		tasks = w.plan.Preflight
	case rollout.Cleanup:
		tasks = w.plan.Cleanup.Tasks
	default:
		return nil
	}
	out := map[string]bool{}
	for _, t := range tasks {
		if t.Verify == nil {
			continue
		}
		if holds, known := w.verify(t.Verify, place, ev, now); known {
			out[t.ID] = holds
		}
	}
	return out
}

// pushedFresh is how long a pushed fact stays true.
const pushedFresh = 24 * time.Hour

// verify looks at one fact; known is false for a fact that nobody has told serin yet.
func (w *worker) verify(f *plan.Fact, place judge.Place, ev judge.Evidence, now time.Time) (holds, known bool) {
	switch {
	case f.Rule != nil:
		v := w.judge([]*plan.Rule{f.Rule}, judge.Gate, place, ev, now)[0]
		// What nobody can tell bars a start; in the clean-up, where nothing
		// would ever tell it, a person may.
		return v.Status == judge.Met, v.Status != judge.Unknown || w.state.Status == rollout.Preflight
	case f.Name == "flag exists":
		return w.c.flags.exists(w.plan.Flag.Key), true
	case f.Name == "role filled":
		filled, _ := w.c.filled(w.plan, f.Arg)
		return filled, true
	case f.Name == "incidents closed":
		for _, i := range w.state.Incidents {
			if !i.Closed {
				return false, true
			}
		}
		return true, true
	}
	key, want := pushedFact(f)
	value, at, ok := ev.Pushed(key)
	if !ok {
		return false, false
	}
	return value == want && now.Sub(at) <= pushedFresh, true
}
