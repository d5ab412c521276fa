package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// commit writes a decision whole, then publishes it. After a conflict all is
// read again, so that the next decision starts from what is stored. unserved
// is why a decision that is durable is not served yet; the next step tries
// to publish again.
func (w *worker) commit(ctx context.Context, before, next rollout.State, events []rollout.Event, in rollout.Input) (unserved, err error) {
	began := time.Now()
	p := w.planAfter(next, in.Command)
	lowers := next.Exposure < before.Exposure
	c := store.Commit{State: next, Expect: before.Pos, Events: events, Notices: w.withDeploys(withButtons(w.notices(before, events), p, next), w.switched(p, next), events), Audit: w.audit(events), Lowers: lowers, Input: w.keep(in)}
	if p != w.plan {
		c.Plan = p.Source
	}
	w.c.flags.write.Lock() // a hand edit in between would be lost
	defer w.c.flags.write.Unlock()
	c.Flag = w.c.flags.change(p, before, next)
	if w.unread != nil && c.Flag != nil {
		c.Flag = w.c.flags.switchedOff(*c.Flag)
	}
	c.Companions = w.c.flags.companions(p, before, next)
	w.c.o.Fault("before commit")
	if err := w.c.o.Store.Commit(ctx, c); err != nil {
		if errors.Is(err, store.ErrConflict) {
			w.adopt(ctx)
		}
		return nil, fmt.Errorf("commit %s of %s: %w", events[0].Type, w.id, err)
	}
	w.c.o.Fault("after commit")
	if !lowers {
		w.entered(before, next, p, events) // the evidence knows the new split before anybody is served it
	}
	if c.Flag != nil || len(c.Companions) > 0 {
		if err := w.c.flags.reload(ctx); err != nil {
			unserved = fmt.Errorf("%s is committed but not served yet, serin tries again: %w", events[0].Type, err)
		}
		w.c.metrics.commit.Observe(time.Since(began).Seconds())
		w.c.o.Fault("after publish")
	}
	w.timed(next, events)
	if lowers {
		w.entered(before, next, p, events)
	}
	if len(c.Notices) > 0 {
		w.c.courier.wake()
	}
	return unserved, nil
}

// entered notes a committed decision.
func (w *worker) entered(before, next rollout.State, p *plan.Plan, events []rollout.Event) {
	w.state, w.plan = next, p
	for _, e := range events {
		if e.Type == rollout.Baked {
			w.covered = 0
		}
		if e.Type == rollout.Started || e.Type == rollout.Restarted {
			w.begun = p
		}
		w.c.metrics.events.WithLabelValues(string(e.Type)).Inc()
	}
	if next.Exposure == 0 || next.Attempt != before.Attempt {
		w.held = judge.Held{} // nobody looked in between, or not at this attempt
	}
	if moved(before, next) {
		w.watch()
	}
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
