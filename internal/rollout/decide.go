package rollout

import (
	"errors"
	"slices"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
)

// Decide returns the events that follow from in, oldest first, with their
// positions. The error is nil or a *Refusal of in.Command; events that were
// due in any case come with it and must be committed all the same. A command
// whose id is remembered does nothing and brings no error, see
// State.Answered; records and lowering rules are heeded even then.
func Decide(p *plan.Plan, s State, in Input) ([]Event, error) {
	d := begin(p, s, in)
	refusal := d.decide()
	if refusal != nil {
		return d.events, refusal
	}
	return d.events, nil
}

// Step decides and applies: the returned state is s with the returned events
// applied. The error is as that of Decide.
func Step(p *plan.Plan, s State, in Input) (State, []Event, error) {
	d := begin(p, s, in)
	refusal := d.decide()
	if refusal != nil {
		return d.s, d.events, refusal
	}
	return d.s, d.events, nil
}

// AsRefusal returns the refusal in err, if it is one.
func AsRefusal(err error) (*Refusal, bool) {
	var r *Refusal
	ok := errors.As(err, &r)
	return r, ok
}

// Answered returns the position of the last event that the command id
// brought about, while the id is among the recent ones.
func (s *State) Answered(id string) (pos int64, ok bool) {
	if id == "" {
		return 0, false
	}
	for _, c := range s.Commands {
		if c.ID == id {
			return c.Pos, true
		}
	}
	return 0, false
}

// decision is one run of Decide: its arguments, the state so far and the events so far.
type decision struct {
	p      *plan.Plan
	s      State
	in     Input
	now    time.Time // event time: never before the last event's
	events []Event
	trace  *trace // notes what is looked at, for Explain; nil otherwise
	// away is what of the time since the last event nobody lived through: the
	// process was down, or the clock was stepped ahead.
	away time.Duration
}

func begin(p *plan.Plan, s State, in Input) decision {
	now := in.Wall
	if now.Before(s.At) {
		now = s.At
	}
	d := decision{p: p, s: s, in: in, now: now, away: now.Sub(s.At)}
	if !in.Fresh {
		d.away = max(0, d.away-max(0, in.Mono-s.Mono))
	}
	return d
}

func (d *decision) decide() *Refusal {
	c, again := d.in.Command, false
	if c != nil {
		_, again = d.s.Answered(c.ID)
	}
	if d.s.Status == "" {
		r := d.create(c)
		d.trace.command(c, r, true)
		return r
	}
	seen, before := d.s.Version, d.place()
	if d.in.Fresh && d.s.Status == Running {
		d.settle() // the old process's monotonic time ends here, whatever follows
	}
	d.record()
	d.clocks()
	d.trace.lowering(d)
	lowered := d.lower()
	if again {
		d.trace.answered(c)
		return nil
	}
	if c != nil {
		if lowered && c.Verb == Rollback && d.s.Status == RolledBack {
			d.trace.answered(c)
			return nil
		}
		saved, n := d.s, len(d.events)
		r := d.command(c, seen)
		d.trace.command(c, r, !lowered && d.place() != before)
		if r != nil {
			d.s, d.events = saved, d.events[:n] // whole or not at all
			return r
		}
	}
	if d.place() != before {
		return nil
	}
	d.observe()
	if d.unsettled() {
		d.settle()
	}
	d.trace.rising(d)
	d.rise()
	return nil
}

// place is what a command or a lowering may have changed; verdicts given for
// another place decide nothing further.
type place struct {
	status                   Status
	attempt, stage, revision int
	exposure                 int32
}

func (d *decision) place() place {
	return place{d.s.Status, d.s.Attempt, d.s.Stage, d.s.Revision, int32(d.s.Exposure)}
}

// event begins an event that leaves the rollout where it is.
func (d *decision) event(t Type) Event {
	return Event{Type: t, Stage: d.s.Stage, Attempt: d.s.Attempt, Exposure: d.s.Exposure}
}

// emit journals e, after the time since the last event.
func (d *decision) emit(e Event) {
	if d.s.Status == Running && (d.now.After(d.s.At) || d.in.Fresh) {
		d.settle()
	} else if key := statusKey(d.s.Status); key != "" && d.now.After(d.s.At) {
		e.Account = map[string]time.Duration{key: d.now.Sub(d.s.At)}
	}
	d.append(e)
}

func (d *decision) append(e Event) {
	if closes(e) {
		e.Extra = d.measured()
	}
	e.Pos, e.At, e.Mono = d.s.Pos+1, d.now, d.in.Mono
	d.s = Apply(d.s, e)
	d.events = append(d.events, e)
}

// stage is the current stage.
func (d *decision) stage() *plan.Stage { return &d.p.Stages[min(d.s.Stage, len(d.p.Stages)-1)] }

// next is the stage to come, nil in the last one.
func (d *decision) next() *plan.Stage {
	if d.s.Stage+1 < len(d.p.Stages) {
		return &d.p.Stages[d.s.Stage+1]
	}
	return nil
}

// record journals what other parts of the engine hand in.
func (d *decision) record() {
	for _, e := range d.in.Record {
		switch e.Type {
		case IncidentOpened, IncidentDecided, IncidentResolved, IncidentClosed, FlagSet, Noticed, NoticeFailed, DeployBegun, DeployEnded:
			e.Stage, e.Attempt, e.Exposure = d.s.Stage, d.s.Attempt, d.s.Exposure
			d.emit(e)
		}
	}
}

// live reports whether users may be on new under the rollout's eyes.
func live(s Status) bool { return s == Running || s == Paused || s == Reduced || s == Cleanup }

// lower takes traffic back if a rule or the plan's word on silence says so.
// It is the first thing a decision does, and reports whether it did it.
func (d *decision) lower() bool {
	if !d.guarded() {
		return false
	}
	if v := d.metRollback(); v != nil {
		return d.rollBack(v)
	}
	if d.s.Status == Cleanup {
		return false
	}
	if d.tooSilent() {
		e := d.event(RolledBackEvent)
		e.Exposure, e.Rule, e.Since = 0, ruleNoData, d.silence()
		e.Reason = "no data for " + short(d.now.Sub(d.silence()))
		d.emit(e)
		d.trace.decides(lookSilence)
		return true
	}
	if v := d.metReduce(); v != nil && d.s.Exposure > d.p.Actions.ReduceTraffic {
		e := d.event(ReducedEvent)
		e.Exposure, e.Rule, e.Verdict, e.Reason = d.p.Actions.ReduceTraffic, v.Rule, own(v), why(v)
		d.emit(e)
		d.trace.decides(lookReduce)
		return true
	}
	return false
}

// guarded reports whether anybody is on new whom a rule may take back.
func (d *decision) guarded() bool { return d.s.Exposure > 0 && live(d.s.Status) }

// tooSilent reports whether the plan says that this silence rolls back.
func (d *decision) tooSilent() bool {
	return d.in.Data.NoData && d.p.Judge.NoData.Then == thenRollback && d.now.Sub(d.silence()) >= d.p.Judge.NoData.After
}

// metReduce is the first reduce rule that is met and may act, or nil.
func (d *decision) metReduce() *judge.Verdict {
	for i := range d.in.Reduce {
		v := &d.in.Reduce[i]
		if v.Status == judge.Met && !v.Dry && !onBaseline(d.p.Reduce, i, v) {
			return v
		}
	}
	return nil
}

// thenRollback is the plan's word that silence rolls back; ruleNoData its name in the journal.
const (
	thenRollback = "rollback"
	ruleNoData   = "no data"
)

// revertEvery is how often at most a person is asked to revert by hand.
const revertEvery = time.Hour

func (d *decision) rollBack(v *judge.Verdict) bool {
	if d.s.Irreversible {
		if d.revertDue() {
			e := d.event(RevertNeeded)
			e.Rule, e.Verdict, e.Reason, e.To = v.Rule, own(v), v.Why, d.s.Commit
			d.emit(e)
			d.trace.decides(lookRollback)
		}
		return false
	}
	e := d.event(RolledBackEvent)
	e.Exposure, e.Rule, e.Verdict, e.Reason = 0, v.Rule, own(v), why(v)
	d.emit(e)
	d.trace.decides(lookRollback)
	return true
}

// revertDue reports whether a person is to be asked again to revert by hand.
func (d *decision) revertDue() bool {
	return d.s.RevertAt.IsZero() || d.now.Sub(d.s.RevertAt) >= revertEvery
}

// why is the verdict's sentence, or its rule where it has none.
func why(v *judge.Verdict) string {
	if v.Why != "" {
		return v.Why
	}
	return v.Rule + " is met"
}

// own copies a verdict, so that the journal does not share it.
func own(v *judge.Verdict) *judge.Verdict { c := *v; return &c }

// metRollback is the first rollback rule that is met and may act, or nil.
func (d *decision) metRollback() *judge.Verdict {
	for i := range d.in.Rollback {
		v := &d.in.Rollback[i]
		if v.Status == judge.Met && !v.Dry && !onBaseline(d.p.Rollback, i, v) {
			return v
		}
	}
	return nil
}

// onBaseline reports whether rule i names the reference and rests on the
// baseline: such a rule never acts by itself, it holds and pages.
func onBaseline(rules []*plan.Rule, i int, v *judge.Verdict) bool {
	return i < len(rules) && rules[i].Ref == plan.Reference && v.Ref == plan.Baseline
}

func (d *decision) held(i int) bool {
	v := &d.in.Rollback[i]
	return v.Status == judge.Met && !v.Dry && onBaseline(d.p.Rollback, i, v)
}

// heldRule is the index of the first rollback rule that is met on the
// baseline only, or -1.
func (d *decision) heldRule() int {
	for i := range d.in.Rollback {
		if d.held(i) {
			return i
		}
	}
	return -1
}

// rise is the last part of a decision: one advance if no gate holds, else
// the question to a person where the plan asks.
func (d *decision) rise() {
	if d.s.Status != Running {
		d.trace.decides(lookStatus)
		d.cleanUp()
		return
	}
	g := d.first()
	if g == open {
		d.trace.decides(lookAdvance)
		d.advance(d.event(Advanced))
		d.cleanUp()
		return
	}
	d.trace.decides(d.kind(g))
	d.ask(g)
}

// advance completes e, which may name a person, and journals it: one stage,
// or from the last one the clean-up.
func (d *decision) advance(e Event) {
	e.Verdicts = d.evidence()
	if d.next() == nil {
		e.Stage, e.Exposure, e.To, e.Kind = d.s.Stage, everyone, string(Cleanup), string(Cleanup)
	} else {
		e.Stage = d.s.Stage + 1
		e.Exposure, e.To = d.p.Exposure(e.Stage), d.p.Stages[e.Stage].Name
	}
	d.emit(e)
	if e.Kind == string(Cleanup) {
		d.asWritten(d.p.Cleanup.Tasks)
	}
}

// evidence is what a raise rests on: the criteria, or without any the guards.
func (d *decision) evidence() []judge.Verdict {
	if len(d.in.Proceed) > 0 {
		return slices.Clone(d.in.Proceed)
	}
	return slices.Clone(d.in.Rollback)
}

// cleanUp finishes a clean-up without tasks, once every incident is closed.
func (d *decision) cleanUp() {
	if d.s.Status == Cleanup && len(d.p.Cleanup.Tasks) == 0 && d.unclosed() == "" {
		d.emit(d.event(Finished))
	}
}

// ask tells people that only they can go on: of a guard that rests on the
// baseline, once a rule and stage; of an unknown criterion at the end of bake
// and again after the plan's overrun.
func (d *decision) ask(g gate) {
	if i := d.heldRule(); i >= 0 && !slices.Contains(d.s.Held, d.in.Rollback[i].Rule) {
		e := d.event(Asked)
		e.Rule, e.Verdict, e.Paged = d.in.Rollback[i].Rule, own(&d.in.Rollback[i]), true
		d.emit(e)
	}
	if g != gateEvidence || d.kind(g) != decisionKind {
		return
	}
	due := d.s.Asked == 0 || d.s.Asked == 1 && !d.s.BakeEnd.IsZero() && d.now.Sub(d.s.BakeEnd) >= d.p.Judge.Overrun
	if !due {
		return
	}
	e := d.event(Asked)
	e.N = d.s.Asked + 1
	for i := range d.in.Proceed {
		if d.unknown(i) {
			e.Red = append(e.Red, d.in.Proceed[i].Rule)
			e.Verdicts = append(e.Verdicts, d.in.Proceed[i])
		}
	}
	d.emit(e)
}
