package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"serin/internal/backtest"
	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// Replays is what an Evidence may offer beside: what was recorded of a rollout,
// told again.
type Replays interface {
	// Replay reads a run of evidence; Watch is as the rollout stood at its end,
	// its Plan the one that is tried.
	Replay(ctx context.Context, w Watch) (backtest.Recorded, error)
}

// ErrNoReplays: the evidence cannot be told again.
var ErrNoReplays = errors.New("a backtest is not available here")

// ErrBacktesting: a server does one backtest at a time.
var ErrBacktesting = errors.New("another backtest is under way: try again when it has ended")

// BacktestOf asks what a plan would have decided.
type BacktestOf struct {
	Plan    *plan.Plan
	Rollout string                    // id, or a plan's name: its newest rollout with something of the time; "" = of all of the plan's flag
	Sees    func(project string) bool // whose rollouts of the flag may be taken; nil = all
	Attempt int                       // run of evidence, from 1; 0 = the newest
	From    time.Time                 // zero = when that run began
	To      time.Time                 // zero = when its traffic ended, or now
	People  time.Duration             // see backtest.Options
}

// Backtest runs a plan over what was recorded of a rollout, beside what
// happened. A *rollout.Refusal says why it cannot; other errors are
// ErrBacktesting, ErrNoReplays, ctx's and the store's.
func (c *Controller) Backtest(ctx context.Context, q BacktestOf) (backtest.Result, error) {
	keeper, ok := c.o.Evidence.(Replays)
	if !ok {
		return backtest.Result{}, ErrNoReplays
	}
	if !c.backtesting.TryLock() {
		return backtest.Result{}, ErrBacktesting
	}
	defer c.backtesting.Unlock()
	w, journal, recording, err := c.recorded(ctx, q)
	if err != nil {
		return backtest.Result{}, err
	}
	recorded, err := c.planReader().read(ctx, recording.plan, recording.hash)
	if err != nil {
		return backtest.Result{}, &rollout.Refusal{Kind: rollout.Barred, Why: fmt.Sprintf("the plan under which it was recorded cannot be read: %v", err)}
	}
	if why := backtest.Elsewhere(q.Plan, recorded); why != "" {
		return backtest.Result{}, &rollout.Refusal{Kind: rollout.Barred, Why: "what was recorded of " + w.id + " does not answer for this plan: " + why}
	}
	rec, err := keeper.Replay(ctx, Watch{Rollout: w.id, Project: w.view.Load().Project, Plan: q.Plan, Split: q.Plan.Split(recording.highest), Attempt: recording.run,
		Intervals: recording.intervals, AttemptAt: recording.from, StartedAt: recording.from})
	if err != nil {
		return backtest.Result{}, err
	}
	result, err := backtest.Run(q.Plan, backtest.Options{From: recording.from, To: recording.to, People: q.People, Stop: ctx.Err,
		Missing: func(metric string) string { return backtest.Unrecorded(q.Plan, recorded, metric) }}, rec)
	if err != nil {
		return result, err
	}
	result.Rollout = w.id
	result.Real = backtest.RealEvents(recorded, journal, recording.from.Add(-time.Minute), recording.to)
	result.RealExposed = rec.To(recording.to.Truncate(time.Minute), backtest.Stand{Stage: max(0, len(recording.intervals)-1), StageAt: recording.from, AttemptAt: recording.from, StartedAt: recording.from}).Data().Exposed
	result.Against = backtest.Compare(result)
	return result, nil
}

// recording is a run of evidence of a rollout.
type recording struct {
	run        int
	plan, hash string // under which it ended
	began      time.Time
	from, to   time.Time // whole minutes
	intervals  []Interval
	highest    flag.Percent
}

// recordings are the runs of evidence of a journal, oldest first: each from when its
// traffic began until nobody had the new variant any more, or now.
func recordings(journal []rollout.Event, now time.Time) (out []recording) {
	var s rollout.State
	for _, e := range journal {
		if s = rollout.Apply(s, e); s.Runs == 0 {
			continue
		}
		if n := len(out); n == 0 || out[n-1].run != s.Runs {
			out = append(out, recording{run: s.Runs, began: e.At})
		}
		r := &out[len(out)-1]
		if s.Exposure > 0 {
			r.to = time.Time{}
			r.intervals, r.plan, r.hash = intervals(s), s.Plan, s.PlanHash
			r.highest = max(r.highest, s.Exposure)
		} else if r.to.IsZero() {
			r.to = e.At
		}
	}
	for i := range out {
		r := &out[i]
		if r.to.IsZero() {
			r.to = now
		}
		r.from, r.to = r.began.Truncate(time.Minute), r.to.Truncate(time.Minute).Add(time.Minute)
	}
	return out
}

// pick is the run that is asked for: by its number, else the newest that has
// something of the time asked for.
func pick(all []recording, q BacktestOf) (recording, error) {
	var last error = &rollout.Refusal{Kind: rollout.Barred, Why: "it never had traffic: there is nothing to run a plan over"}
	for _, r := range slices.Backward(all) {
		if q.Attempt != 0 && r.run != q.Attempt {
			last = &rollout.Refusal{Kind: rollout.Missing, Why: fmt.Sprintf("there is no attempt %d: it has had %d", q.Attempt, len(all))}
			continue
		}
		err := r.cut(q.From, q.To)
		if err == nil {
			return r, nil
		}
		if last = err; q.Attempt != 0 {
			break
		}
	}
	return recording{}, last
}

// recorded finds what was recorded: of the rollout, or where a plan is named of
// its newest rollout that has something of the time asked for.
func (c *Controller) recorded(ctx context.Context, q BacktestOf) (w *worker, journal []rollout.Event, r recording, err error) {
	ids, err := c.candidates(q)
	if err != nil {
		return nil, nil, r, err
	}
	var first error
	for _, id := range ids {
		if w, err = c.find(id); err != nil {
			return nil, nil, r, err
		}
		if journal, err = c.o.Store.Journal(ctx, id, 0, 0); err != nil {
			return nil, nil, r, fmt.Errorf("read journal of %s: %w", id, err)
		}
		if r, err = pick(recordings(journal, c.o.Clock.Now()), q); err == nil {
			return w, journal, r, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, nil, r, first
}

// candidates are the rollouts that are meant, newest first: an id means itself, a
// plan's name all of that plan, nothing all of the tried plan's flag.
func (c *Controller) candidates(q BacktestOf) (ids []string, err error) {
	if q.Rollout != "" {
		w, err := c.find(q.Rollout)
		if err != nil || w.id == q.Rollout {
			return []string{q.Rollout}, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range slices.Backward(c.order) {
		of, _ := splitID(id)
		v := c.workers[id].view.Load()
		if of == q.Rollout || q.Rollout == "" && v.Flag == q.Plan.Flag.Key && (q.Sees == nil || q.Sees(v.Project)) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		err = &rollout.Refusal{Kind: rollout.Missing, Why: fmt.Sprintf("there is no rollout of the flag %s: there is nothing to run a plan over", q.Plan.Flag.Key)}
	}
	return ids, err
}

// cut narrows the recording to what was asked for.
func (s *recording) cut(from, to time.Time) error {
	end := s.to
	if !from.IsZero() && from.After(s.from) {
		s.from = from.Truncate(time.Minute)
	}
	if !to.IsZero() && to.Before(s.to) {
		s.to = to.Truncate(time.Minute)
	}
	if !s.from.Add(time.Minute).Before(s.to) {
		return &rollout.Refusal{Kind: rollout.Missing, Why: fmt.Sprintf("nothing was recorded between these times: attempt %d is from %s to %s", s.run, s.began.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339))}
	}
	return nil
}
