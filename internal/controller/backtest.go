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

// BacktestOf asks what a plan would have decided.
type BacktestOf struct {
	Plan    *plan.Plan
	Rollout string        // id, or a plan's name
	Attempt int           // run of evidence, from 1; 0 = the newest
	From    time.Time     // zero = when that run began
	To      time.Time     // zero = when its traffic ended, or now
	People  time.Duration // see backtest.Options
}

// Backtest runs a plan over what was recorded of a rollout, beside what
// happened. A *rollout.Refusal says why it cannot.
func (c *Controller) Backtest(ctx context.Context, q BacktestOf) (backtest.Result, error) {
	keeper, ok := c.o.Evidence.(Replays)
	if !ok {
		return backtest.Result{}, ErrNoReplays
	}
	w, err := c.find(q.Rollout)
	if err != nil {
		return backtest.Result{}, err
	}
	journal, err := c.o.Store.Journal(ctx, w.id, 0, 0)
	if err != nil {
		return backtest.Result{}, fmt.Errorf("read journal of %s: %w", w.id, err)
	}
	recording, err := recordingOf(journal, q.Attempt, c.o.Clock.Now())
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
	if err := recording.cut(q.From, q.To); err != nil {
		return backtest.Result{}, err
	}
	rec, err := keeper.Replay(ctx, Watch{Rollout: w.id, Project: w.view.Load().Project, Plan: q.Plan, Split: q.Plan.Split(recording.highest), Attempt: recording.run,
		Intervals: recording.intervals, AttemptAt: recording.began, StartedAt: recording.began})
	if err != nil {
		return backtest.Result{}, err
	}
	result, err := backtest.Run(q.Plan, backtest.Options{From: recording.from, To: recording.to, People: q.People, Stop: ctx.Err,
		Missing: func(metric string) string { return backtest.Unrecorded(q.Plan, recorded, metric) }}, rec)
	if err != nil {
		return result, err
	}
	result.Real = backtest.RealEvents(recorded, journal, recording.from.Add(-time.Minute), recording.to)
	result.RealExposed = rec.To(recording.to.Truncate(time.Minute), backtest.Stand{Stage: max(0, len(recording.intervals)-1), StageAt: recording.from, AttemptAt: recording.began, StartedAt: recording.began}).Data().Exposed
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

// recordingOf finds a run of evidence in a journal: from when its traffic began until
// nobody had the new variant any more, or now.
func recordingOf(journal []rollout.Event, run int, now time.Time) (out recording, err error) {
	var s rollout.State
	runs := 0
	for _, e := range journal {
		s = rollout.Apply(s, e)
		if runs = max(runs, s.Runs); s.Runs == 0 || run != 0 && s.Runs != run {
			continue
		}
		if s.Runs != out.run {
			out = recording{run: s.Runs, began: e.At}
		}
		if s.Exposure > 0 {
			out.to = time.Time{}
			out.intervals, out.plan, out.hash = intervals(s), s.Plan, s.PlanHash
			out.highest = max(out.highest, s.Exposure)
		} else if out.to.IsZero() {
			out.to = e.At
		}
	}
	switch {
	case runs == 0:
		return out, &rollout.Refusal{Kind: rollout.Barred, Why: "it never had traffic: there is nothing to run a plan over"}
	case out.run == 0:
		return out, &rollout.Refusal{Kind: rollout.Missing, Why: fmt.Sprintf("there is no attempt %d: it has had %d", run, runs)}
	}
	if out.to.IsZero() {
		out.to = now
	}
	out.intervals = slices.Clone(out.intervals)
	out.from, out.to = out.began.Truncate(time.Minute), out.to.Truncate(time.Minute).Add(time.Minute)
	return out, nil
}

// cut narrows the recording to what was asked for.
func (s *recording) cut(from, to time.Time) error {
	if !from.IsZero() && from.After(s.from) {
		s.from = from.Truncate(time.Minute)
	}
	if !to.IsZero() && to.Before(s.to) {
		s.to = to.Truncate(time.Minute)
	}
	if !s.from.Add(time.Minute).Before(s.to) {
		return &rollout.Refusal{Kind: rollout.Missing, Why: fmt.Sprintf("nothing was recorded between these times: attempt %d is from %s to %s", s.run, s.began.UTC().Format(time.RFC3339), s.to.UTC().Format(time.RFC3339))}
	}
	return nil
}
