package controller

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// worker owns one rollout. Its fields but those up to alertsOver belong to
// the goroutine in loop (before that, to the one that made it).
type worker struct {
	c       *Controller
	id      string
	mailbox chan request
	arrived chan struct{}
	reached chan struct{} // a client was served the last lowering
	gone    chan struct{} // closed when the loop has ended
	view    atomic.Pointer[View]
	inForce atomic.Pointer[plan.Plan] // the plan, for readers in other goroutines
	// alertsOver: the evidence of a rollout that is done was let go.
	alertsOver atomic.Bool

	plan      *plan.Plan
	state     rollout.State
	held      judge.Held
	begun     *plan.Plan // under which the attempt began; before the first, the plan itself
	last      judged     // newest verdicts, for pages
	fresh     bool       // no input since the process started
	covered   time.Duration
	unread    error         // why stored plan or journal cannot be read; nil = they can. Never changes
	unwatched bool          // the evidence engine has not been told of the last change yet
	seen      time.Duration // monotonic time of the last look
	shown     time.Time     // when live pages were last told
	lowering  *stopwatch    // of the last lowering; never nil
	reverting *stopwatch    // of the revert under way; never nil
}

// request is one message to a worker.
type request struct {
	cmd  *rollout.Command
	plan *plan.Plan // with revise
	peek bool       // no command: only what would be decided now
	// record is what another part of the engine has to journal, without a command.
	record *rollout.Event
	reply  chan<- reply
}

type reply struct {
	res  Result
	peek peeked // with request.peek
	err  error
}

func (c *Controller) newWorker(s rollout.State, p *plan.Plan) *worker {
	w := c.bareWorker(s, p)
	w.show(rollout.Input{Wall: c.o.Clock.Now()})
	return w
}

// bareWorker is a worker that shows nothing yet.
func (c *Controller) bareWorker(s rollout.State, p *plan.Plan) *worker {
	return &worker{c: c, id: s.ID, plan: p, begun: p, state: s, fresh: true, seen: c.o.Clock.Mono(),
		mailbox: make(chan request), arrived: make(chan struct{}, 1), reached: make(chan struct{}, 1),
		lowering: &stopwatch{}, reverting: &stopwatch{}, gone: make(chan struct{}), held: judge.Held{}}
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
			switch {
			case r.peek:
				r.reply <- w.peek()
			case r.plan != nil:
				r.reply <- w.revise(ctx, r)
			case r.record != nil:
				res, err := w.step(ctx, nil, *r.record)
				r.reply <- reply{res: res, err: err}
			default:
				res, err := w.step(ctx, r.cmd)
				r.reply <- reply{res: res, err: err}
			}
		case <-tick:
			stop()
			w.attempt(ctx)
			tick, stop = w.c.o.Clock.After(Tick)
		case <-w.reached:
			w.attempt(ctx)
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
	got := w.send(ctx, r)
	return got.res, got.err
}

func (w *worker) send(ctx context.Context, r request) reply {
	w.c.mu.Lock()
	run := w.c.run
	w.c.mu.Unlock()
	if run == nil {
		return reply{err: ErrStopped}
	}
	answer := make(chan reply, 1)
	r.reply = answer
	select {
	case w.mailbox <- r:
	case <-ctx.Done():
		return reply{err: ctx.Err()}
	case <-run.Done():
		return reply{err: ErrStopped}
	}
	select {
	case got := <-answer:
		return got
	case <-w.gone:
	}
	select {
	case got := <-answer: // the last thing that the loop did
		return got
	default:
		return reply{err: ErrStopped}
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
// command whose id was answered before gets the events of the first time. record
// is journalled whether or not the evidence can be read.
func (w *worker) step(ctx context.Context, cmd *rollout.Command, record ...rollout.Event) (Result, error) {
	if err := w.c.flags.heal(ctx); err != nil {
		w.c.log.Error("publish flags", "err", err)
	}
	in, j, err := w.input()
	if err != nil && len(record) == 0 && (cmd == nil || !cmd.Verb.Urgent()) {
		return Result{}, err // only what lowers does without evidence
	}
	in.Record = record
	if cmd != nil && cmd.Verb == rollout.Reduce && cmd.Percent < 0 {
		cmd.Percent = w.plan.Actions.ReduceTraffic
	}
	if cmd != nil && len(cmd.Set) > 0 {
		w.c.flags.settable(cmd)
	}
	in.Command = cmd
	before := w.state
	next, events, refusal := rollout.Step(w.plan, w.state, in)
	var unserved error
	if len(events) > 0 {
		if unserved, err = w.commit(ctx, before, next, events, in); err != nil {
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
		return reply{res: res, err: err}
	}
	audit := store.AuditEntry{At: w.state.At, Who: r.cmd.By, Via: r.cmd.Via, Verb: "revise", Target: "plan " + r.plan.Name, Reason: r.cmd.Reason}
	if _, e := w.c.o.Store.PutPlan(ctx, w.project(), r.plan.Name, r.plan.Source, audit.At, audit); e != nil {
		w.c.log.Error("list the revised plan", "rollout", w.id, "err", e) // in force all the same
	}
	w.attempt(ctx)
	return reply{res: res, err: err}
}

// watch tells the evidence engine where the rollout stands. If it cannot be
// told, the next look at the evidence tries again.
func (w *worker) watch() {
	s := w.state
	if w.unread != nil || store.Over(s.Status) && !alerts(w.plan, s, w.c.o.Clock.Now()) {
		w.c.o.Evidence.Forget(w.id)
		return
	}
	err := w.c.o.Evidence.Watch(Watch{
		Rollout: w.id, Project: w.project(), Plan: w.plan, Split: w.plan.Split(s.Exposure), Attempt: s.Runs, Stage: s.Stage,
		Active: s.Exposure > 0 && !store.Over(s.Status), Intervals: intervals(s),
		StageAt: s.StageAt, AttemptAt: s.AttemptAt, StartedAt: s.StartedAt,
	})
	w.unwatched = err != nil
	if err != nil {
		w.c.log.Error("watch evidence", "rollout", w.id, "err", err)
	}
}
