package controller

import (
	"context"
	"errors"
	"fmt"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// planReader reads plans by their hash and parses each once. It is used by
// one goroutine, for as long as a start lasts.
type planReader struct {
	store  store.Plans
	parsed map[string]*plan.Plan
}

func (c *Controller) planReader() planReader {
	return planReader{store: c.o.Store, parsed: map[string]*plan.Plan{}}
}

// read returns the plan named name with the given hash.
func (r planReader) read(ctx context.Context, name, hash string) (*plan.Plan, error) {
	if p := r.parsed[hash]; p != nil {
		return p, nil
	}
	source, err := r.store.PlanSource(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("read plan %s: %w", hash, err)
	}
	p, err := plan.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("parse plan %s: %w", name, err)
	}
	r.parsed[hash] = p
	return p, nil
}

// recover rebuilds a worker from its stored state; the journal is read only
// where that state does not do.
func (c *Controller) recover(ctx context.Context, s rollout.State, plans planReader) (*worker, error) {
	s, err := c.trusted(ctx, s)
	if err != nil {
		return nil, err
	}
	p, err := plans.read(ctx, s.Plan, s.PlanHash)
	if err != nil {
		return nil, err
	}
	w := c.bareWorker(s, p)
	w.inForce.Store(p)
	if err := w.take(ctx, s, p, plans); err != nil {
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

// trusted returns s if it is what its journal comes to, as far as the last
// entry tells, and of the newest form. Otherwise the journal is folded anew:
// it is the rollout, the state only spares reading it.
func (c *Controller) trusted(ctx context.Context, s rollout.State) (rollout.State, error) {
	tail, err := c.o.Store.Journal(ctx, s.ID, s.Pos-1, 2)
	if err != nil {
		return s, fmt.Errorf("read journal: %w", err)
	}
	why := ""
	switch {
	case len(tail) != 1 || tail[0].Pos != s.Pos:
		why = "the journal does not end where the state is"
	case !tail[0].At.Equal(s.At) || tail[0].Exposure != s.Exposure || tail[0].Stage != s.Stage || tail[0].Attempt != s.Attempt:
		why = "the last entry of the journal says otherwise"
	case s.Format == rollout.StateFormat || store.Over(s.Status): // what is over needs no more than it has
		return s, nil
	}
	events, err := c.o.Store.Journal(ctx, s.ID, 0, 0)
	if err != nil {
		return s, fmt.Errorf("read journal: %w", err)
	}
	folded := rollout.Fold(events)
	if why != "" {
		c.log.Error("state and journal disagree: the journal holds", "rollout", s.ID, "why", why, "state", s.Pos, "journal", folded.Pos)
	}
	if folded.ID != s.ID {
		return s, fmt.Errorf("the journal of %s begins as that of %q: it is damaged", s.ID, folded.ID)
	}
	return folded, nil
}

// take takes over a state and its plan.
func (w *worker) take(ctx context.Context, s rollout.State, p *plan.Plan, plans planReader) (err error) {
	w.state, w.plan, w.begun, w.held, w.covered = s, p, p, judge.Held{}, 0
	if s.BegunHash != "" && s.BegunHash != p.Hash {
		if w.begun, err = plans.read(ctx, s.Plan, s.BegunHash); err != nil {
			return err
		}
	}
	w.watch()
	return nil
}

// adopt takes over what another writer has stored.
func (w *worker) adopt(ctx context.Context) {
	s, err := w.c.o.Store.State(ctx, w.id)
	if errors.Is(err, store.ErrNotFound) {
		return
	}
	plans := w.c.planReader()
	var p *plan.Plan
	if err == nil {
		s, err = w.c.trusted(ctx, s)
	}
	if err == nil {
		p, err = plans.read(ctx, s.Plan, s.PlanHash)
	}
	if err == nil {
		err = w.take(ctx, s, p, plans)
	}
	if err == nil {
		err = w.c.flags.reload(ctx)
	}
	if err != nil {
		w.c.log.Error("read again after a conflict", "rollout", w.id, "err", err)
	}
}

// intervals are those of a state in the words of the evidence.
func intervals(s rollout.State) []Interval {
	out := make([]Interval, len(s.Intervals))
	for i, v := range s.Intervals {
		out[i] = Interval{Attempt: v.Run, Stage: v.Stage, Odds: odds(v.Exposure), From: v.From, Fresh: v.Fresh}
	}
	return out
}
