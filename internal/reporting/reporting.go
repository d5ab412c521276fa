// Package reporting makes the reports that plans ask for: the daily stand-up,
// the review of the last hours, and the final report when a rollout ends.
// Package standup says when one is due and what it holds; Engine reads the
// facts, stores the report with its notices in one transaction, and only then
// wakes the courier.
//
// Pages, API and CLI read View (view.go): a report, frozen, with what was said
// and decided since. Decide records the word of a stand-up, and carries it out
// where a command of the rollout says it.
//
// A report is made once for each slot of its schedule, also over a restart: its
// id names rollout, report and slot, and the store keeps it unique. When serin
// was not running at that time it is made late, says so, and names how many
// before it were missed; only the newest is made up for. While the evidence or
// the store cannot be read it is not made, and tried again each minute, so that
// a fault is never frozen into a report as silence.
//
// Reports are made from the start of a rollout until it is over; of one that
// was rolled back those whose time reaches before the rollback. The final one
// is told within a day of the end, and not later.
//
// Stored through store.Reports; the semantics are those of docs/guide/reports.md.
package reporting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"serin/internal/clock"
	"serin/internal/notify"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/standup"
	"serin/internal/store"
)

// Tick is the longest time between two looks at what is due, in server time.
const Tick = time.Minute

// KeptReviews is how long reviews are kept. Stand-ups and final reports stay.
const KeptReviews = 90 * 24 * time.Hour

// pruneEvery is how often old reviews are removed, in server time.
const pruneEvery = 24 * time.Hour

// finalWithin is how long after the end of a rollout its final report is told.
const finalWithin = 24 * time.Hour

// finalName is the name of final reports; a plan's report of that name has
// slots with a time behind it.
const finalName = "final"

// Store is what an Engine reads and writes.
type Store interface {
	store.Reports
	// Notice returns one notice with its delivery, or store.ErrNotFound.
	Notice(ctx context.Context, id string) (store.Outgoing, error)
	// Issues lists issues, last seen first.
	Issues(ctx context.Context, q store.IssueQuery) ([]store.Issue, error)
}

// Rollout is a rollout as reports need it.
type Rollout struct {
	Plan     *plan.Plan // in force; shared, nobody changes it
	Standing standup.Standing
}

// Finished is what a final report says.
type Finished struct {
	Outcome string
	Lines   []string // headline first
}

// Rollouts are asked about rollouts and carry out what was decided. Errors wrap
// store.ErrNotFound, or are a *rollout.Refusal.
type Rollouts interface {
	Standing(id string) (Rollout, error)
	// Standings lists every rollout whose plan can be read.
	Standings() []Rollout
	Journal(ctx context.Context, id string) ([]rollout.Event, error)
	Do(ctx context.Context, id string, cmd rollout.Command) ([]rollout.Event, error)
	// Finished is the report of a rollout that is over.
	Finished(ctx context.Context, id string) (Finished, error)
}

// Options are what an Engine needs; Store, Rollouts, Measure and Clock are
// required.
type Options struct {
	Store    Store
	Rollouts Rollouts
	// Measure reads a metric of a rollout over (from, to]. An error wraps
	// store.ErrNotFound for what is not measured, now or ever.
	Measure func(rollout, metric string, from, to time.Time) (standup.Measured, error)
	// Incidents are the open incidents of a rollout; nil = there are none.
	Incidents func(rollout string) []standup.Incident
	// Buttons are what a reader of a stand-up may do by a button; nil = nothing.
	Buttons func(r Rollout) []notify.Action
	Clock   clock.Clock
	Logger  *slog.Logger // nil = discard
	Wake    func()       // wakes the courier; nil = it looks by itself
	BaseURL string       // for links in notices; "" = none
}

// Engine makes reports. Its methods may be called at the same time.
type Engine struct {
	o   Options
	log *slog.Logger

	mu     sync.Mutex           // guards the fields below
	made   map[string]time.Time // by rollout/name: when the newest report was due; zero = none was made
	over   map[string]bool      // rollouts whose end needs no report any more
	pruned time.Time
}

// New makes an Engine; Run must be started.
func New(o Options) *Engine {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Wake == nil {
		o.Wake = func() {}
	}
	if o.Incidents == nil {
		o.Incidents = func(string) []standup.Incident { return nil }
	}
	if o.Buttons == nil {
		o.Buttons = func(Rollout) []notify.Action { return nil }
	}
	return &Engine{o: o, log: o.Logger, made: map[string]time.Time{}, over: map[string]bool{}}
}

// Run makes what is due until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	for {
		tick, stop := e.o.Clock.After(e.round(ctx))
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-tick:
		}
		stop()
	}
}

// round makes what is due now and returns how long to wait for the next look.
func (e *Engine) round(ctx context.Context) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.o.Clock.Now()
	wait := Tick
	for _, r := range e.o.Rollouts.Standings() {
		if ctx.Err() != nil {
			return wait
		}
		if store.Over(r.Standing.State.Status) {
			e.try(ctx, r, finalName, func() error { return e.finish(ctx, r, now) })
			continue
		}
		for _, p := range r.Plan.Reports {
			e.try(ctx, r, p.Name, func() error { return e.make(ctx, r, p, now) })
			if next := slotsOf(r, p).Next(now); next.After(now) {
				wait = min(wait, next.Sub(now))
			}
		}
	}
	e.prune(ctx, now)
	return wait
}

// try makes one report; what fails is tried again at the next look.
func (e *Engine) try(ctx context.Context, r Rollout, name string, do func() error) {
	if err := do(); err != nil && ctx.Err() == nil {
		e.log.Error("make a report", "rollout", r.Standing.ID, "report", name, "err", err)
	}
}

func slotsOf(r Rollout, p plan.Report) standup.Slots {
	return standup.Slots{Rollout: r.Standing.ID, Report: p, Zone: r.Plan.Location, Began: r.Standing.State.StartedAt}
}

// make makes a scheduled report if one is due. The caller holds mu.
func (e *Engine) make(ctx context.Context, r Rollout, p plan.Report, now time.Time) error {
	last, err := e.last(ctx, r.Standing.ID, p.Name)
	if err != nil {
		return err
	}
	slot, due := slotsOf(r, p).Last(now, last)
	s := r.Standing.State
	if !due || !slot.Due.After(last) || s.Status == rollout.RolledBack && !s.LoweredAt.After(slot.From) {
		return nil
	}
	made, err := e.build(ctx, r, p, slot, now)
	if err != nil {
		return err
	}
	to := []plan.Channel{}
	for _, ch := range r.Plan.Channels {
		if ch.Name == p.To {
			to = append(to, ch)
		}
	}
	var buttons []notify.Action
	if made.Decision != nil && made.Kind == standup.Daily {
		buttons = e.o.Buttons(r)
	}
	return e.commit(ctx, made, to, buttons)
}

// last is when the newest report of a name was due; zero = none was made.
func (e *Engine) last(ctx context.Context, id, name string) (time.Time, error) {
	key := id + "/" + name
	if at, known := e.made[key]; known {
		return at, nil
	}
	rows, err := e.o.Store.Reports(ctx, store.ReportQuery{Rollout: id, Name: name, Limit: 1})
	if err != nil {
		return time.Time{}, err
	}
	var at time.Time
	if len(rows) > 0 {
		at = rows[0].Due
	}
	e.made[key] = at
	return at, nil
}

// commit stores a report with its notices. One that is there already, such as
// a stand-up whose hour was moved on its day, is left alone.
func (e *Engine) commit(ctx context.Context, r standup.Report, to []plan.Channel, buttons []notify.Action) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write report %s: %w", r.ID, err)
	}
	c := store.ReportCommit{Put: &store.ReportRow{ID: r.ID, Project: r.Project, Rollout: r.Rollout, Name: r.Name, Kind: string(r.Kind), Day: r.Day, Due: r.Due, Data: data}}
	for _, ch := range to {
		n := e.notice(r, ch)
		n.Actions = buttons
		c.Notices = append(c.Notices, n)
	}
	err = e.o.Store.CommitReport(ctx, c)
	switch {
	case errors.Is(err, store.ErrConflict):
		e.made[r.Rollout+"/"+r.Name] = r.Due
		return nil
	case err != nil:
		return err
	}
	e.made[r.Rollout+"/"+r.Name] = r.Due
	if len(c.Notices) > 0 {
		e.o.Wake()
	}
	e.log.Info("report made", "report", r.ID, "kind", r.Kind, "late", r.Late != "")
	return nil
}

// prune removes reviews that are past their time.
func (e *Engine) prune(ctx context.Context, now time.Time) {
	if now.Sub(e.pruned) < pruneEvery {
		return
	}
	e.pruned = now
	if _, err := e.o.Store.DropReports(ctx, string(standup.Review), now.Add(-KeptReviews)); err != nil && ctx.Err() == nil {
		e.log.Error("remove old reviews", "err", err)
	}
}
