package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
)

// truth is the checker's own bookkeeping, kept from the journal alone and
// without the machine's code.
type truth struct {
	status       Status
	stage        int
	reached      int
	exposure     flag.Percent
	bake         time.Duration
	approved     bool
	restartOK    bool
	accepted     bool
	kinds        map[string]bool
	confirmed    map[string]bool
	checked      map[string]bool
	preflight    map[string]bool
	tasks        map[string]bool
	irreversible bool
	hotfix       bool
	released     bool
	incidents    map[string]bool
	loweredAt    time.Time
	revertAt     time.Time
	last         time.Time
	parts        map[Status]time.Duration
	lowering     int64 // position of the last fall of exposure, while traffic stays there
	reverting    int64 // of the revert under way
	served       map[int64]bool
	late         map[int64]bool
}

func (t *truth) reset() {
	*t = truth{served: map[int64]bool{}, late: map[int64]bool{}, incidents: map[string]bool{}, parts: map[Status]time.Duration{}, preflight: map[string]bool{}}
	t.enter()
	t.checked, t.tasks = map[string]bool{}, map[string]bool{}
}

// enter begins a stage, or its gate anew.
func (t *truth) enter() {
	t.bake = 0
	t.void()
}

func (t *truth) void() {
	t.approved, t.restartOK, t.accepted = false, false, false
	t.kinds, t.confirmed = map[string]bool{}, map[string]bool{}
}

// check holds the events of one step against the invariants, then applies them.
func (w *walk) check(before State, in Input, events []Event, refusal *Refusal) error {
	now := in.Wall
	if now.Before(before.At) {
		now = before.At
	}
	if err := w.checkCommand(before, in, events, refusal); err != nil {
		return err
	}
	live := slices.Contains([]Status{Running, Paused, Reduced, Cleanup}, before.Status)
	advances, grown := 0, time.Duration(0)
	for _, e := range events {
		b := w.s
		if e.Pos != b.Pos+1 || e.At.Before(b.At) {
			return fmt.Errorf("I7: %s at position %d after %d, time %s after %s", e.Type, e.Pos, b.Pos, e.At, b.At)
		}
		if e.Type == Advanced && e.By == "" {
			advances++
		}
		if e.Type == Baked {
			grown += e.Duration
		}
		if err := w.checkEvent(b, in, e, now); err != nil {
			return fmt.Errorf("%s at %d: %w", e.Type, e.Pos, err)
		}
		if w.fault.apply != nil {
			w.s = w.fault.apply(b, e)
		} else {
			w.s = Apply(b, e)
		}
		w.journal = append(w.journal, e)
		if err := w.truth.checkClock(b, e); err != nil {
			return fmt.Errorf("%s at %d: %w", e.Type, e.Pos, err)
		}
		w.observe(e)
		if err := w.publish(b, e); err != nil {
			return err
		}
	}
	if advances > 1 {
		return fmt.Errorf("I2: %d automatic stages in one decision", advances)
	}
	if err := w.checkBake(before, in, now, grown, refusal != nil); err != nil {
		return err
	}
	if live && before.Exposure > 0 && met(in.Rollback) != "" {
		if !w.truth.irreversible && w.s.Exposure > 0 {
			return fmt.Errorf("I8: %s is met and exposure is %d (was %s)", met(in.Rollback), w.s.Exposure, before.Status)
		}
		if w.truth.irreversible && w.s.Status == Cleanup && (w.truth.revertAt.IsZero() || now.Sub(w.truth.revertAt) >= time.Hour) {
			return fmt.Errorf("I13: nobody was asked to revert")
		}
	}
	if w.s.Status != "" && Exposure(w.p, w.s) != w.s.Exposure {
		return fmt.Errorf("table: exposure %d in %s(%d)", w.s.Exposure, w.s.Status, w.s.Stage)
	}
	return w.checkSilence(before, in, now)
}

func (w *walk) checkCommand(before State, in Input, events []Event, refusal *Refusal) error {
	c := in.Command
	if c == nil {
		if refusal != nil {
			return fmt.Errorf("a tick was refused: %s", refusal.Why)
		}
		return nil
	}
	if _, again := before.Answered(c.ID); again {
		if refusal != nil || slices.ContainsFunc(events, func(e Event) bool { return e.Command != "" }) {
			return fmt.Errorf("the command %s came twice and was done twice", c.ID)
		}
		return nil
	}
	if refusal != nil {
		for _, e := range events {
			if e.Command == c.ID {
				return fmt.Errorf("%s was refused (%s) and journalled %s", c.Verb, refusal.Why, e.Type)
			}
		}
		if len(refusal.Why) < 10 {
			return fmt.Errorf("%s was refused without a sentence: %q", c.Verb, refusal.Why)
		}
	}
	return w.checkLowering(before, in, refusal)
}

// checkLowering is I3.
func (w *walk) checkLowering(before State, in Input, refusal *Refusal) error {
	c := in.Command
	if refusal == nil || !c.Verb.Lowers() {
		return nil
	}
	if refusal.Kind != Barred {
		return fmt.Errorf("I3: %s was refused: %s", c.Verb, refusal.Why)
	}
	if met(in.Rollback) != "" || met(in.Reduce) != "" || in.Data.NoData {
		return nil // it may have been lowered before the command's turn
	}
	to := c.Percent
	if c.Hotfix {
		to = 0
	}
	open := map[Verb]bool{
		Pause:    before.Status == Running,
		Reduce:   slices.Contains([]Status{Running, Paused, Reduced}, before.Status) && to < before.Exposure,
		Rollback: slices.Contains([]Status{Running, Paused, Reduced, Cleanup}, before.Status) && !w.truth.irreversible,
	}
	if open[c.Verb] {
		return fmt.Errorf("I3: %s was refused in %s: %s", c.Verb, before.Status, refusal.Why)
	}
	return nil
}

// checkEvent holds one event against I1, I5, I6, I11, I12 and I13.
func (w *walk) checkEvent(b State, in Input, e Event, now time.Time) error {
	switch {
	case e.Exposure > b.Exposure:
		return w.checkRaise(b, in, e, now)
	case e.Exposure < b.Exposure:
		return w.checkLowered(b, in, e, now)
	}
	if e.Type == ReducedEvent || e.Type == RolledBackEvent && b.Exposure > 0 {
		return fmt.Errorf("it lowers nothing: exposure %d", e.Exposure)
	}
	if e.Type == Advanced || e.Type == Started || e.Type == Restarted {
		return fmt.Errorf("it raises nothing: exposure %d", e.Exposure)
	}
	return nil
}

func (w *walk) checkLowered(b State, in Input, e Event, now time.Time) error {
	if e.Type != ReducedEvent && e.Type != RolledBackEvent {
		return fmt.Errorf("it lowers exposure from %d to %d", b.Exposure, e.Exposure)
	}
	if w.truth.irreversible && e.Type == RolledBackEvent {
		return fmt.Errorf("I13: the old code is gone")
	}
	if e.By != "" {
		return nil
	}
	silence := e.Rule == "no data" && in.Data.NoData && w.p.Judge.NoData.Then == "rollback" && now.Sub(in.Data.Since) >= time.Hour
	if !silence && !metRule(in.Rollback, e.Rule) && !metRule(in.Reduce, e.Rule) {
		return fmt.Errorf("I5: lowered by %q, which is not met", e.Rule)
	}
	return nil
}

func (w *walk) checkRaise(b State, in Input, e Event, now time.Time) error {
	t := &w.truth
	switch {
	case met(in.Rollback) != "" && b.Exposure > 0:
		return fmt.Errorf("I1: raised while %s is met", met(in.Rollback))
	case w.openIncident():
		return fmt.Errorf("I1: raised past an incident")
	case b.Status == RolledBack && (e.Type != Restarted || e.By == ""):
		return fmt.Errorf("I6: raised from rolled_back by %s", e.Type)
	case b.Irreversible != t.irreversible:
		return fmt.Errorf("I7: irreversible is %t", b.Irreversible)
	}
	switch e.Type {
	case Started:
		return first(!t.preflight["ready"], "preflight is open", !inWindow(now), "window", e.By == "", "nobody started it")
	case Restarted:
		c := in.Command
		furthest := w.p.StageIndex(w.p.Actions.RestartFrom)
		return first(!inWindow(now), "window", strings.TrimSpace(e.Reason) == "", "I12: no cause",
			now.Sub(t.loweredAt) < 2*time.Hour, "too early", e.Stage > furthest, "beyond restart.from", e.Stage > t.reached, "beyond the stage reached",
			!t.restartOK && !slices.Contains(c.May, "approve"), "nobody approved", !slices.Contains(c.May, "restart"), "role",
			e.Attempt != b.Attempt+1, "attempt")
	case Resumed:
		return first(b.Status != Reduced, "not reduced", !inWindow(now), "window", in.Data.NoData, "no data", blinded(in), "blind",
			t.hotfix && !t.released, "no release since the hotfix", met(in.Reduce) != "", "a reduce rule is met",
			len(e.Verdicts) == 0, "I12: no evidence", e.By == "", "nobody resumed it")
	case Advanced:
		return w.checkAdvance(in, e, now)
	}
	return fmt.Errorf("I1: exposure rose from %d to %d", b.Exposure, e.Exposure)
}

func (w *walk) checkAdvance(in Input, e Event, now time.Time) error {
	t := &w.truth
	st := w.p.Stages[t.stage]
	var next *plan.Stage
	if t.stage+1 < len(w.p.Stages) {
		next = &w.p.Stages[t.stage+1]
		if e.Stage != t.stage+1 {
			return fmt.Errorf("I2: from stage %d to %d", t.stage, e.Stage)
		}
	}
	err := first(t.status != Running, "not running", in.Data.NoData, "no data", blinded(in), "blind",
		in.Data.Incomplete && !t.kinds["data incomplete"], "data incomplete", in.Data.Unattributed > .05 && !t.kinds["unattributed"], "unattributed",
		in.Data.LossByArm && !t.kinds["telemetry loss by arm"], "loss by arm", in.Data.Mismatch && !t.kinds["srm"], "srm",
		!all(t.confirmed, st.Confirm), "confirm", next != nil && !all(t.checked, before(next)), "checklist",
		next != nil && len(next.Approve) > 0 && !t.approved, "nobody approved", len(e.Verdicts) == 0, "I12: no evidence")
	if err != nil {
		return err
	}
	if e.Overridden {
		c := in.Command
		return first(c == nil || e.By == "", "overridden by nobody", !slices.Contains(c.May, "override"), "role", strings.TrimSpace(e.Reason) == "", "no reason")
	}
	bad, unknown := false, false
	for _, v := range in.Proceed {
		bad = bad || v.Status == judge.NotMet
		unknown = unknown || v.Status == judge.Unknown
	}
	return first(bad, "I11: a criterion is not met", unknown && !t.accepted, "I5: a criterion is unknown and nobody accepted it",
		t.bake < st.Bake, "bake "+t.bake.String(), !inWindow(now), "window")
}

// checkBake is I9: bake grows with time that is real and covered, at most.
func (w *walk) checkBake(before State, in Input, now time.Time, grown time.Duration, refused bool) error {
	if w.s.Bake < 0 || grown < 0 {
		return fmt.Errorf("I9: bake is %s", w.s.Bake)
	}
	if grown > w.real || grown > w.covered {
		return fmt.Errorf("I9: bake grew by %s in %s, %s of it covered", grown, w.real, w.covered)
	}
	if w.calm && !refused && before.Status == Running && !in.Fresh && grown == 0 && now.Sub(before.At) >= 5*time.Minute &&
		before.Bake < w.p.Stages[before.Stage].Bake && !repeated(before, in) {
		return fmt.Errorf("bake stands at %s though nothing keeps it (quiet %t)", before.Bake, in.Data.Quiet)
	}
	return nil
}

func repeated(s State, in Input) bool {
	if in.Command == nil {
		return false
	}
	_, again := s.Answered(in.Command.ID)
	return again
}

// checkSilence: a silence is journalled, and rolls back where the plan says so.
func (w *walk) checkSilence(before State, in Input, now time.Time) error {
	if !in.Data.NoData || w.s.Exposure == 0 || repeated(before, in) {
		return nil
	}
	lowers := slices.Contains([]Status{Running, Paused, Reduced}, before.Status) && before.Exposure > 0 && w.p.Judge.NoData.Then == "rollback"
	since := in.Data.Since
	if before.NoDataSince.After(since) {
		since = before.NoDataSince // on record: the time away was no silence
	} else if before.NoDataSince.IsZero() {
		lived := max(0, in.Mono-before.Mono)
		if in.Fresh {
			lived = 0
		}
		since = since.Add(max(0, now.Sub(before.At)-lived))
	}
	if lowers && now.Sub(since) >= time.Hour {
		return fmt.Errorf("then: rollback was not done in %s", before.Status)
	}
	if w.s.Status == Running && before.Status == Running && before.Stage == w.s.Stage && w.s.Revision == before.Revision {
		if ws := Waits(w.p, w.s, in); len(ws) == 0 || ws[0].Kind != "no data" {
			return fmt.Errorf("no data is not the main reason: %v", ws)
		}
	}
	return nil
}

// observe keeps the checker's bookkeeping.
func (w *walk) observe(e Event) {
	t := &w.truth
	if d := e.At.Sub(t.last); !t.last.IsZero() && d > 0 {
		t.parts[t.status] += d
	}
	t.last = e.At
	switch e.Type {
	case Created:
		t.status = Preflight
	case Revised:
		t.enter()
	case Baked:
		t.bake += e.Duration
	case Started, Restarted:
		t.status, t.stage, t.reached = Running, e.Stage, e.Stage
		t.enter()
		t.checked, t.tasks = map[string]bool{}, map[string]bool{}
	case Advanced:
		t.stage, t.reached = e.Stage, max(t.reached, e.Stage)
		t.enter()
		t.checked = map[string]bool{}
		if e.Kind == "cleanup" {
			t.status = Cleanup
		}
	case PausedEvent:
		t.status = Paused
	case Resumed:
		if t.status == Reduced {
			t.enter()
		}
		t.status, t.hotfix = Running, false
	case ReducedEvent:
		t.status, t.loweredAt, t.hotfix, t.released = Reduced, e.At, e.Exposure == 0, false
		t.void()
	case RolledBackEvent:
		t.status, t.loweredAt, t.hotfix = RolledBack, e.At, false
		t.void()
	case IrreversibleDone:
		t.irreversible = true
	case RevertNeeded:
		t.revertAt = e.At
	case Deployed:
		t.released = true
	case Finished:
		t.status = Done
	case CancelledEvent:
		t.status = Cancelled
	case IncidentOpened:
		t.incidents[e.Kind] = true
	case IncidentResolved:
		t.incidents[e.Kind] = false
	default:
		t.mark(e)
	}
	t.exposure = e.Exposure
}

func (t *truth) mark(e Event) {
	switch e.Type {
	case Approved:
		if e.Item == "" {
			t.approved = true
		}
		t.restartOK = t.restartOK || e.Item == "restart"
	case Accepted:
		if e.Item == "" {
			t.accepted = true
		} else {
			t.kinds[e.Item] = true
		}
	case Confirmed:
		t.confirmed[e.Item] = true
	case Completed, Reopened:
		done := e.Type == Completed
		switch t.status {
		case Preflight:
			t.preflight[e.Item] = done
		case Cleanup:
			t.tasks[e.Item] = done
		default:
			t.checked[e.Item] = done
		}
	}
}

// publish is the flag writer and the outbox: I7's older writer, I10 and I14.
func (w *walk) publish(b State, e Event) error {
	if w.fault.olderWriter && w.flagPos > 0 && e.Type == RolledBackEvent {
		w.flagPos, w.flagExp = b.Pos-1, int32(b.Exposure)
	} else if e.Pos > w.flagPos {
		w.flagPos, w.flagExp = e.Pos, int32(e.Exposure)
	}
	if w.flagPos != e.Pos || w.flagExp != int32(e.Exposure) {
		return fmt.Errorf("I7: the flag serves %d of position %d, the journal says %d of %d", w.flagExp, w.flagPos, e.Exposure, e.Pos)
	}
	split := w.p.Split(e.Exposure)
	if split.Salt != w.p.Flag.Salt || split.Exposure != e.Exposure {
		return fmt.Errorf("I4: the split is not the plan's")
	}
	included := split.Exposure > 0
	if w.fault.includedAtZero {
		included = true
	}
	if e.Exposure == 0 && included {
		return fmt.Errorf("I14: included users are on new at exposure 0")
	}
	moved := slices.Contains([]Type{Started, Advanced, PausedEvent, Resumed, ReducedEvent, RolledBackEvent, Restarted, Finished, CancelledEvent}, e.Type)
	if moved && !Announce(e, b) {
		return fmt.Errorf("I10: %s makes no notice", e.Type)
	}
	if !Announce(e, b) {
		return nil
	}
	if title, _ := Title(w.p, e); len(title) < 5 {
		return fmt.Errorf("%s has no title", e.Type)
	}
	id := fmt.Sprintf("%s/%d/team", w.s.ID, e.Pos)
	if w.fault.noticeID != nil {
		id = w.fault.noticeID(w.s, e)
	}
	if w.notices[id]++; w.notices[id] > 1 {
		return fmt.Errorf("I10: notice %s twice", id)
	}
	return nil
}

func (w *walk) openIncident() bool {
	for _, open := range w.truth.incidents {
		if open {
			return true
		}
	}
	return false
}

// first returns an error with the first word whose condition holds.
func first(pairs ...any) error {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i].(bool) {
			return fmt.Errorf("I1: %s", pairs[i+1])
		}
	}
	return nil
}

func met(verdicts []judge.Verdict) string {
	for _, v := range verdicts {
		if v.Status == judge.Met {
			return v.Rule
		}
	}
	return ""
}

func metRule(verdicts []judge.Verdict, rule string) bool {
	return slices.ContainsFunc(verdicts, func(v judge.Verdict) bool { return v.Rule == rule && v.Status == judge.Met })
}

func blinded(in Input) bool {
	return slices.ContainsFunc(slices.Concat(in.Rollback, in.Reduce), func(v judge.Verdict) bool {
		return v.Status == judge.Unknown && v.Cause == judge.CauseBlind
	})
}

func inWindow(t time.Time) bool { return t.Hour()*60+t.Minute() < 14*60+24 }

func before(st *plan.Stage) []string { return st.Before }

func all(done map[string]bool, items []string) bool {
	return !slices.ContainsFunc(items, func(i string) bool { return !done[i] })
}
