package controller

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

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
	view    atomic.Pointer[View]
	inForce atomic.Pointer[plan.Plan] // the plan, for readers in other goroutines

	plan      *plan.Plan
	state     rollout.State
	intervals []Interval // of the current attempt
	held      judge.Held
	last      judged // newest verdicts, for pages
	fresh     bool   // no input since the process started
	covered   time.Duration
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
	w := &worker{c: c, id: s.ID, plan: p, state: s, fresh: true, seen: c.o.Clock.Mono(),
		mailbox: make(chan request), arrived: make(chan struct{}, 1), held: judge.Held{}}
	w.show(rollout.Input{Wall: c.o.Clock.Now()})
	return w
}

// recover rebuilds a worker from the store: the state is the fold of its
// journal, the plan is the one in force, the intervals are read off the journal.
func (c *Controller) recover(ctx context.Context, s rollout.State) (*worker, error) {
	source, err := c.o.Store.PlanSource(ctx, s.PlanHash)
	if err != nil {
		return nil, fmt.Errorf("read plan %s: %w", s.PlanHash, err)
	}
	p, err := plan.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("parse plan %s: %w", s.Plan, err)
	}
	w := c.newWorker(s, p)
	events, err := c.o.Store.Journal(ctx, s.ID, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	for _, e := range events {
		w.track(e)
	}
	w.watch()
	w.show(rollout.Input{Wall: c.o.Clock.Now(), Fresh: true})
	return w, nil
}

// loop judges the rollout at every tick, at every arrival that a rule counts,
// and on every command.
func (w *worker) loop(ctx context.Context) {
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
	got := <-answer
	return got.res, got.err
}

// attempt is a step without a command; an error is logged here, the next tick tries again.
func (w *worker) attempt(ctx context.Context) {
	if w.state.Status == rollout.Done || w.state.Status == rollout.Cancelled {
		return
	}
	if _, err := w.step(ctx, nil); err != nil && ctx.Err() == nil {
		w.c.metrics.failures.Inc()
		w.c.log.Error("decide", "rollout", w.id, "err", err)
	}
}

// step is one decision, committed and published. A refused command may come
// with events all the same: a rule that lowers does not wait for it.
func (w *worker) step(ctx context.Context, cmd *rollout.Command) (Result, error) {
	in, j, err := w.input()
	if err != nil {
		return Result{}, err
	}
	if cmd != nil && cmd.Verb == rollout.Reduce && cmd.Percent < 0 {
		cmd.Percent = w.plan.Actions.ReduceTraffic
	}
	in.Command = cmd
	before := w.state
	next, events, refusal := rollout.Step(w.plan, w.state, in)
	if len(events) > 0 {
		if err := w.commit(ctx, before, next, events, cmd); err != nil {
			return Result{}, err
		}
	}
	w.fresh = false
	w.last = w.last.merge(j)
	in.Command = nil
	w.show(in)
	return Result{State: w.state, Events: events}, refusal
}

// revise puts a new plan in force, if the state machine lets it.
func (w *worker) revise(ctx context.Context, r request) reply {
	old := w.plan
	r.cmd.Plan = r.plan
	audit := store.AuditEntry{At: w.c.o.Clock.Now(), Who: r.cmd.By, Via: r.cmd.Via, Verb: "revise", Target: "plan " + r.plan.Name, Reason: r.cmd.Reason}
	if _, err := w.c.o.Store.PutPlan(ctx, r.plan.Name, r.plan.Source, audit.At, audit); err != nil {
		return reply{err: fmt.Errorf("store plan: %w", err)}
	}
	res, err := w.step(ctx, r.cmd) // decided by the old plan
	if err != nil {
		return reply{err: err}
	}
	if w.state.PlanHash != old.Hash {
		w.plan = r.plan
		w.watch()
		w.attempt(ctx)
	}
	return reply{res: res}
}

// commit writes a decision whole, then publishes it. After a conflict the
// state is read again, so that the next decision starts from what is stored.
func (w *worker) commit(ctx context.Context, before, next rollout.State, events []rollout.Event, cmd *rollout.Command) error {
	began := time.Now()
	c := store.Commit{State: next, Expect: before.Pos, Events: events, Flag: w.c.flags.change(w.planAfter(next, cmd), before, next)}
	c.Notices = w.notices(before, events)
	c.Audit = w.audit(events)
	w.c.o.Fault("before commit")
	if err := w.c.o.Store.Commit(ctx, c); err != nil {
		if errors.Is(err, store.ErrConflict) {
			if s, e := w.c.o.Store.State(ctx, w.id); e == nil {
				w.state = s
			}
		}
		return fmt.Errorf("commit %s of %s: %w", events[0].Type, w.id, err)
	}
	w.c.o.Fault("after commit")
	w.state = next
	for _, e := range events {
		w.track(e)
		if e.Type == rollout.Baked {
			w.covered = 0
		}
		w.c.metrics.events.WithLabelValues(string(e.Type)).Inc()
	}
	if moved(before, next) {
		w.watch()
	}
	if c.Flag != nil {
		if err := w.c.flags.reload(ctx); err != nil {
			return fmt.Errorf("publish flag: %w", err)
		}
		w.c.metrics.commit.Observe(time.Since(began).Seconds())
		w.c.o.Fault("after publish")
	}
	if len(c.Notices) > 0 {
		w.c.courier.wake()
	}
	return nil
}

// planAfter is the plan in force after a decision: a revision brings its own.
func (w *worker) planAfter(next rollout.State, cmd *rollout.Command) *plan.Plan {
	if cmd != nil && cmd.Plan != nil && next.PlanHash == cmd.Plan.Hash {
		return cmd.Plan
	}
	return w.plan
}

// moved reports whether the evidence has to know of the change.
func moved(a, b rollout.State) bool {
	return a.Stage != b.Stage || a.Attempt != b.Attempt || a.Exposure != b.Exposure || a.Status != b.Status || a.PlanHash != b.PlanHash || !a.StageAt.Equal(b.StageAt)
}

// track keeps the list of allocation intervals: a new one whenever attempt,
// stage or exposure changes.
func (w *worker) track(e rollout.Event) {
	if e.Attempt == 0 {
		return
	}
	if n := len(w.intervals); n > 0 {
		last := w.intervals[n-1]
		if last.Attempt != e.Attempt {
			w.intervals = nil
		} else if last.Stage == e.Stage && last.Odds == odds(e.Exposure) {
			return
		}
	}
	w.intervals = append(w.intervals, Interval{Attempt: e.Attempt, Stage: e.Stage, Odds: odds(e.Exposure), From: e.At})
}

// watch tells the evidence engine where the rollout stands. If it cannot be
// told, the next look at the evidence tries again.
func (w *worker) watch() {
	s := w.state
	if s.Status == rollout.Done || s.Status == rollout.Cancelled {
		w.c.o.Evidence.Forget(w.id)
		return
	}
	err := w.c.o.Evidence.Watch(Watch{
		Rollout: w.id, Plan: w.plan, Split: w.plan.Split(s.Exposure), Attempt: s.Attempt, Stage: s.Stage,
		Active: s.Exposure > 0, Intervals: append([]Interval(nil), w.intervals...),
		StageAt: s.StageAt, AttemptAt: s.AttemptAt, StartedAt: s.StartedAt,
	})
	w.unwatched = err != nil
	if err != nil {
		w.c.log.Error("watch evidence", "rollout", w.id, "err", err)
	}
}
