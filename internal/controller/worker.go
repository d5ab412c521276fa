package controller

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// worker owns one rollout. Its fields but view, mailbox and arrived belong to
// the goroutine in loop (before that, to the one that made it).
type worker struct {
	c       *Controller
	id      string
	mailbox chan request
	arrived chan struct{}
	gone    chan struct{} // closed when the loop has ended
	view    atomic.Pointer[View]
	inForce atomic.Pointer[plan.Plan] // the plan, for readers in other goroutines

	plan      *plan.Plan
	state     rollout.State
	intervals []Interval // of the current run of evidence
	runs      int        // how often evidence began anew: starts, restarts, resumes from a reduction
	held      judge.Held
	begun     *plan.Plan // under which the attempt began; before the first, the plan itself
	begunHash string     // of it, as the journal has it
	planHash  string     // of the plan in force, as the journal has it
	revisions int        // of the plan since the attempt began
	last      judged     // newest verdicts, for pages
	fresh     bool       // no input since the process started
	covered   time.Duration
	unread    error         // why stored plan or journal cannot be read; nil = they can. Never changes
	unwatched bool          // the evidence engine has not been told of the last change yet
	seen      time.Duration // monotonic time of the last look
	shown     time.Time     // when live pages were last told
}

// request is one message to a worker.
type request struct {
	cmd   *rollout.Command
	plan  *plan.Plan // with revise
	reply chan<- reply
}

type reply struct {
	res Result
	err error
}

func (c *Controller) newWorker(s rollout.State, p *plan.Plan) *worker {
	w := c.bareWorker(s, p)
	w.show(rollout.Input{Wall: c.o.Clock.Now()})
	return w
}

// bareWorker is a worker that shows nothing yet.
func (c *Controller) bareWorker(s rollout.State, p *plan.Plan) *worker {
	return &worker{c: c, id: s.ID, plan: p, begun: p, state: s, fresh: true, seen: c.o.Clock.Mono(),
		mailbox: make(chan request), arrived: make(chan struct{}, 1), gone: make(chan struct{}), held: judge.Held{}}
}

// recover rebuilds a worker from the store.
func (c *Controller) recover(ctx context.Context, s rollout.State) (*worker, error) {
	p, err := c.planOf(ctx, s)
	if err != nil {
		return nil, err
	}
	w := c.newWorker(s, p)
	if err := w.reread(ctx, s, p); err != nil {
		return nil, err
	}
	if ev, err := c.o.Evidence.View(s.ID); err == nil {
		// The old process ended after its last journal entry, at the earliest
		// with the last telemetry that it took in: until then it counted.
		w.covered = max(0, ev.Data().Last.Sub(s.At))
	}
	w.show(rollout.Input{Wall: c.o.Clock.Now(), Fresh: true})
	return w, nil
}

// planOf reads the plan that is in force in a rollout.
func (c *Controller) planOf(ctx context.Context, s rollout.State) (*plan.Plan, error) {
	source, err := c.o.Store.PlanSource(ctx, s.PlanHash)
	if err != nil {
		return nil, fmt.Errorf("read plan %s: %w", s.PlanHash, err)
	}
	p, err := plan.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("parse plan %s: %w", s.Plan, err)
	}
	return p, nil
}

// reread takes over a stored state and its plan: the state is the fold of its
// journal, and the intervals are read off the journal.
func (w *worker) reread(ctx context.Context, s rollout.State, p *plan.Plan) error {
	events, err := w.c.o.Store.Journal(ctx, w.id, 0, 0)
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	w.state, w.plan, w.intervals, w.runs, w.held, w.covered = s, p, nil, 0, judge.Held{}, 0
	w.begunHash, w.planHash, w.revisions = "", "", 0
	var exposure flag.Percent
	for _, e := range events {
		w.track(e, exposure)
		exposure = e.Exposure
	}
	w.begun = p
	if w.begunHash != "" && w.begunHash != p.Hash {
		if w.begun, err = w.c.planOf(ctx, rollout.State{Plan: s.Plan, PlanHash: w.begunHash}); err != nil {
			return err
		}
	}
	w.watch()
	return nil
}

// loop judges the rollout at every tick, at every arrival that a rule counts,
// and on every command.
func (w *worker) loop(ctx context.Context) {
	defer close(w.gone)
	tick, stop := w.c.o.Clock.After(0)
	defer func() { stop() }()
	var arrivedAt time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-w.mailbox:
			if r.plan != nil {
				r.reply <- w.revise(ctx, r)
				continue
			}
			res, err := w.step(ctx, r.cmd)
			r.reply <- reply{res, err}
		case <-tick:
			stop()
			w.attempt(ctx)
			tick, stop = w.c.o.Clock.After(Tick)
		case <-w.arrived:
			if wait := arrivalGap - time.Since(arrivedAt); wait > 0 {
				select {
				case <-time.After(wait):
				case <-ctx.Done():
					return
				}
			}
			arrivedAt = time.Now()
			if w.state.Exposure > 0 {
				w.attempt(ctx)
			}
		}
	}
}

// ask hands a request to the loop and waits for its answer.
func (w *worker) ask(ctx context.Context, r request) (Result, error) {
	w.c.mu.Lock()
	run := w.c.run
	w.c.mu.Unlock()
	if run == nil {
		return Result{}, ErrStopped
	}
	answer := make(chan reply, 1)
	r.reply = answer
	select {
	case w.mailbox <- r:
	case <-ctx.Done():
		return Result{}, ctx.Err()
	case <-run.Done():
		return Result{}, ErrStopped
	}
	select {
	case got := <-answer:
		return got.res, got.err
	case <-w.gone:
	}
	select {
	case got := <-answer: // the last thing that the loop did
		return got.res, got.err
	default:
		return Result{}, ErrStopped
	}
}

// attempt is a step without a command; an error is logged here, the next tick tries again.
func (w *worker) attempt(ctx context.Context) {
	if w.unread != nil || w.state.Status == rollout.Done || w.state.Status == rollout.Cancelled {
		return
	}
	if _, err := w.step(ctx, nil); err != nil && ctx.Err() == nil {
		w.c.metrics.failures.Inc()
		w.c.log.Error("decide", "rollout", w.id, "err", err)
	}
}

// step is one decision, committed and published. A refused command may come
// with events all the same: a rule that lowers does not wait for it. A
// command whose id was answered before gets the events of the first time.
func (w *worker) step(ctx context.Context, cmd *rollout.Command) (Result, error) {
	if err := w.c.flags.heal(ctx); err != nil {
		w.c.log.Error("publish flags", "err", err)
	}
	in, j, err := w.input()
	if err != nil && (cmd == nil || !cmd.Verb.Lowers()) {
		return Result{}, err // only what lowers does without evidence
	}
	if cmd != nil && cmd.Verb == rollout.Reduce && cmd.Percent < 0 {
		cmd.Percent = w.plan.Actions.ReduceTraffic
	}
	in.Command = cmd
	before := w.state
	next, events, refusal := rollout.Step(w.plan, w.state, in)
	var unserved error
	if len(events) > 0 {
		if unserved, err = w.commit(ctx, before, next, events, cmd); err != nil {
			return Result{}, err
		}
	}
	w.fresh = false
	w.last = w.last.merge(j)
	if moved(before, w.state) {
		in = w.look()
	}
	in.Command = nil
	w.show(in)
	res := Result{State: w.state, Events: events}
	switch {
	case refusal != nil:
		return res, refusal
	case unserved != nil:
		return res, unserved
	case cmd != nil:
		if _, again := before.Answered(cmd.ID); again {
			res.Events, err = w.answered(ctx, cmd.ID)
		}
	}
	return res, err
}

// look reads the evidence of the place that a decision has led to, for pages:
// the verdicts of the place before say nothing about it.
func (w *worker) look() rollout.Input {
	in, j, err := w.input()
	if err != nil {
		w.c.log.Error("look", "rollout", w.id, "err", err)
	}
	w.last = j
	return in
}

// answered are the events that a command brought about when it came first.
func (w *worker) answered(ctx context.Context, id string) ([]rollout.Event, error) {
	events, err := w.c.o.Store.Journal(ctx, w.id, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("read journal of %s: %w", w.id, err)
	}
	return slices.DeleteFunc(events, func(e rollout.Event) bool { return e.Command != id }), nil
}

// revise puts a new plan in force, if the state machine lets it. The decision
// is made by the old plan, what follows by the new one.
func (w *worker) revise(ctx context.Context, r request) reply {
	old := w.plan
	r.cmd.Plan = r.plan
	res, err := w.step(ctx, r.cmd)
	if w.plan == old {
		return reply{res, err}
	}
	audit := store.AuditEntry{At: w.state.At, Who: r.cmd.By, Via: r.cmd.Via, Verb: "revise", Target: "plan " + r.plan.Name, Reason: r.cmd.Reason}
	if _, e := w.c.o.Store.PutPlan(ctx, r.plan.Name, r.plan.Source, audit.At, audit); e != nil {
		w.c.log.Error("list the revised plan", "rollout", w.id, "err", e) // in force all the same
	}
	w.attempt(ctx)
	return reply{res, err}
}

// track keeps the list of allocation intervals: a new one whenever stage or
// exposure changes. The list itself begins anew with each run of evidence: at
// the start, a restart, and when a reduced rollout is resumed. was is the
// exposure before e.
func (w *worker) track(e rollout.Event, was flag.Percent) {
	w.trackPlan(e)
	switch {
	case e.Attempt == 0:
		return
	case e.Type == rollout.Started, e.Type == rollout.Restarted, e.Type == rollout.Resumed && e.Exposure > was:
		w.runs, w.intervals = w.runs+1, nil
	}
	if n := len(w.intervals); n > 0 {
		if last := w.intervals[n-1]; last.Stage == e.Stage && last.Odds == odds(e.Exposure) {
			return
		}
	}
	w.intervals = append(w.intervals, Interval{Attempt: w.runs, Stage: e.Stage, Odds: odds(e.Exposure), From: e.At})
}

// trackPlan keeps under which plan the attempt began and how often it was
// revised since: the budget for false rollbacks is divided by it.
func (w *worker) trackPlan(e rollout.Event) {
	if e.PlanHash != "" {
		w.planHash = e.PlanHash
	}
	switch e.Type {
	case rollout.Started, rollout.Restarted:
		w.begunHash, w.revisions = w.planHash, 0
	case rollout.Revised:
		w.revisions++
	}
}

// watch tells the evidence engine where the rollout stands. If it cannot be
// told, the next look at the evidence tries again.
func (w *worker) watch() {
	s := w.state
	if w.unread != nil || s.Status == rollout.Done || s.Status == rollout.Cancelled {
		w.c.o.Evidence.Forget(w.id)
		return
	}
	err := w.c.o.Evidence.Watch(Watch{
		Rollout: w.id, Plan: w.plan, Split: w.plan.Split(s.Exposure), Attempt: w.runs, Stage: s.Stage,
		Active: s.Exposure > 0, Intervals: append([]Interval(nil), w.intervals...),
		StageAt: s.StageAt, AttemptAt: s.AttemptAt, StartedAt: s.StartedAt,
	})
	w.unwatched = err != nil
	if err != nil {
		w.c.log.Error("watch evidence", "rollout", w.id, "err", err)
	}
}
