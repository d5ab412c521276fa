// Package response carries incidents out: it opens them, keeps their clocks,
// hands what people decide to the rollout, and tells who has to know. Package
// incident decides; Engine stores the outcome with its notices and audit in one
// transaction and only then acts on it.
//
// Pages, API and CLI read View (view.go): List gives one for each incident
// without its timeline, Get the whole of one with clocks, live decision tree,
// people and timeline; both are computed when asked. Do carries out every
// command of a person and answers with the View after it; Open opens one by
// hand; PostMortem is Markdown. After a change Options.Changed is called, which
// live pages get as the fact "incident".
//
// The rollout's journal is another transaction than the incident's. Each
// difference between the two is mended at every look, by the incident's id and
// the decision's command id: what was opened, decided, resolved or closed here
// reaches the journal at least once and counts there once, whatever crashes in
// between.
//
// Promises: what is told was stored before; a notice's id names the incident,
// the event and the channel; a command id counts once; clocks go on after a
// restart; one rollout has at most one open incident.
//
// Stored through store.Incidents; the semantics are those of
// docs/guide/incidents.md.
package response

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"serin/internal/clock"
	"serin/internal/incident"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// Tick is how often what is open is looked at, in server time.
const Tick = time.Minute

// arrivalGap is the least real time between two looks that arrivals cause.
const arrivalGap = 25 * time.Millisecond

// ErrStore is the answer to a command whose outcome could not be stored.
var ErrStore = errors.New("the incident could not be stored: nothing was changed")

// Rollout is a rollout as incidents need it.
type Rollout struct {
	ID      string
	Project string
	Plan    *plan.Plan // in force; shared, nobody changes it
	Place   judge.Place
	Judge   judge.Func
	State   rollout.State
	Seen    int64 // users seen on the new variant in this stage
}

// Rollouts are asked about rollouts and carry out what was decided. Errors
// wrap store.ErrNotFound.
type Rollouts interface {
	Standing(id string) (Rollout, error)
	// Standings lists every rollout whose plan can be read.
	Standings() []Rollout
	// Do carries out a command and returns what the journal has of it, also
	// when the same command came before; a *rollout.Refusal says why not.
	Do(ctx context.Context, id string, cmd rollout.Command) ([]rollout.Event, error)
	// Record journals an event of incidents.
	Record(ctx context.Context, id string, e rollout.Event) error
}

// Evidence is what rules are answered from.
type Evidence interface {
	// View is a consistent view of a rollout as of now.
	View(rollout string) (judge.Evidence, error)
}

// Options are what an Engine needs; Store, Rollouts, Evidence and Clock are
// required.
type Options struct {
	Store    store.Incidents
	Rollouts Rollouts
	Evidence Evidence
	Clock    clock.Clock
	Logger   *slog.Logger    // nil = discard
	Wake     func()          // wakes the courier; nil = it looks by itself
	Changed  func(id string) // an incident changed; nil = nobody looks
	// Acked is told who acknowledged an incident; nil = nobody is told. It must
	// not call the Engine.
	Acked   func(ctx context.Context, id, by string)
	BaseURL string // for links in notices; "" = none
	// Fault, when set, is called at the named points; crash tests exit there.
	Fault func(point string)
}

// Engine looks after all incidents of a server. Its methods may be called at
// the same time.
type Engine struct {
	o   Options
	log *slog.Logger

	wake chan struct{}

	mu    sync.Mutex // guards the fields below; held while something changes
	all   map[string]*kept
	order []string              // ids, oldest first
	last  int64                 // number of the newest
	held  map[string]judge.Held // by rollout: for how long a rule that opens has held
	calm  map[string]time.Time  // by rollout and rule: when it was last seen not to hold
}

// kept is one incident.
type kept struct {
	number  int64
	state   incident.State
	settled bool // closed, and the journal of its rollout knows
}

// New reads the incidents from the store. It starts no goroutine.
func New(ctx context.Context, o Options) (*Engine, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Wake == nil {
		o.Wake = func() {}
	}
	if o.Changed == nil {
		o.Changed = func(string) {}
	}
	if o.Fault == nil {
		o.Fault = func(string) {}
	}
	e := &Engine{o: o, log: o.Logger, wake: make(chan struct{}, 1), all: map[string]*kept{},
		held: map[string]judge.Held{}, calm: map[string]time.Time{}}
	rows, err := o.Store.Incidents(ctx)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		k := &kept{number: row.Number}
		if err := json.Unmarshal(row.State, &k.state); err != nil {
			return nil, fmt.Errorf("read incident %s: %w", row.ID, err)
		}
		e.all[row.ID], e.order, e.last = k, append(e.order, row.ID), max(e.last, row.Number)
	}
	return e, nil
}

// Arrived tells the engine that something was counted. It never blocks.
func (e *Engine) Arrived(string) { e.poke() }

// Moved tells the engine that something was done to a rollout, such as that users
// are back on the old variant. It never blocks.
func (e *Engine) Moved(string) { e.poke() }

// poke makes the loop look now, and ask anew when the next clock runs out.
func (e *Engine) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Run looks at the incidents until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	next := e.round(ctx)
	tick, stop := e.o.Clock.After(next)
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
		case <-e.wake:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(arrivalGap):
			}
		}
		stop()
		tick, stop = e.o.Clock.After(e.round(ctx))
	}
}

// round looks at every incident and every rule that opens one, and returns how
// long to wait for the next round.
func (e *Engine) round(ctx context.Context) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.o.Clock.Now()
	wait := Tick
	for _, id := range e.order {
		k := e.all[id]
		if k.settled || ctx.Err() != nil {
			continue
		}
		if err := e.tend(ctx, k, now); err != nil && ctx.Err() == nil {
			e.log.Error("look at an incident", "incident", id, "err", err)
		}
		if next := k.state.Next(now); !next.IsZero() {
			wait = min(wait, next.Sub(now))
		}
	}
	e.watch(ctx, now)
	return wait
}

// tend takes one incident further and mends what the rollout's journal lacks.
func (e *Engine) tend(ctx context.Context, k *kept, now time.Time) error {
	r, err := e.standing(k.state.Rollout)
	if err != nil {
		return err
	}
	if k.state.Status != incident.Closed {
		if err := e.step(ctx, k, r, incident.Input{At: now}, store.AuditEntry{}); err != nil {
			return err
		}
	}
	return e.mend(ctx, k, r)
}

// standing is the rollout of an incident; nil where it is about none, or where
// that cannot be read any more.
func (e *Engine) standing(id string) (*Rollout, error) {
	if id == "" {
		return nil, nil
	}
	r, err := e.o.Rollouts.Standing(id)
	var refusal *rollout.Refusal
	switch {
	case errors.Is(err, store.ErrNotFound), errors.As(err, &refusal):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &r, nil
}

// planOf is the plan of a rollout, nil for none.
func planOf(r *Rollout) *plan.Plan {
	if r == nil {
		return nil
	}
	return r.Plan
}

// step decides by package incident and stores what comes of it. A refusal comes
// after what clocks and readings brought about was stored. The caller holds mu.
func (e *Engine) step(ctx context.Context, k *kept, r *Rollout, in incident.Input, by store.AuditEntry) error {
	p := planOf(r)
	in.Chain = incident.Chain(p, lead(r, k.state))
	if r != nil && in.Reading == nil {
		in.Reading = e.read(r, k.state, in.At)
	}
	before := k.state
	next, events, refused := incident.Step(p, before, in)
	if len(events) == 0 {
		return refused
	}
	c := store.IncidentCommit{Expect: before.Pos, Notices: e.notices(p, before, next, events)}
	var err error
	c.Row = store.IncidentRow{Number: k.number, ID: next.ID, Project: next.Project, Rollout: next.Rollout, Pos: next.Pos, At: next.At}
	if c.Row.State, err = json.Marshal(next); err != nil {
		return fmt.Errorf("write incident %s: %w", next.ID, err)
	}
	for _, x := range events {
		data, err := json.Marshal(x)
		if err != nil {
			return fmt.Errorf("write incident %s: %w", next.ID, err)
		}
		c.Events = append(c.Events, data)
		c.Audit = append(c.Audit, audit(next, x, by))
	}
	e.o.Fault("before incident commit")
	if err := e.o.Store.CommitIncident(ctx, c); err != nil {
		e.log.Error("store an incident", "incident", next.ID, "err", err)
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	e.o.Fault("after incident commit")
	k.state = next
	if len(c.Notices) > 0 {
		e.o.Wake()
	}
	for _, x := range events {
		e.log.Info("incident", "incident", next.ID, "event", x.Type, "by", x.By)
	}
	e.o.Changed(next.ID)
	if before.AckedAt.IsZero() && !next.AckedAt.IsZero() && e.o.Acked != nil {
		e.o.Acked(ctx, next.ID, next.AckedBy)
	}
	return refused
}

// audit is the entry of one event: everything that happens to an incident is kept.
func audit(s incident.State, x incident.Event, by store.AuditEntry) store.AuditEntry {
	a := store.AuditEntry{At: x.At, Who: x.By, Via: x.Via, Address: by.Address, Verb: "incident " + string(x.Type), Target: "incident " + s.ID, Reason: x.Text}
	if a.Who == "" {
		a.Who, a.Via, a.Address = "serin", "plan", ""
	}
	a.After, _ = json.Marshal(map[string]any{"pos": x.Pos, "rollout": s.Rollout, "severity": s.Severity, "status": s.Status, "title": incident.Title(x)})
	return a
}

// Project is the project of an incident, or store.ErrNotFound.
func (e *Engine) Project(id string) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k, err := e.find(id)
	if err != nil {
		return "", err
	}
	return k.state.Project, nil
}

// find returns an incident, or store.ErrNotFound. The caller holds mu.
func (e *Engine) find(id string) (*kept, error) {
	if k := e.all[id]; k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("incident %q: %w: serin incident list --all names those that there are", id, store.ErrNotFound)
}

// openOf is the open incident of a rollout, nil = none. The caller holds mu.
func (e *Engine) openOf(id string) *kept {
	for _, name := range e.order {
		if k := e.all[name]; id != "" && k.state.Rollout == id && k.state.Status == incident.Open {
			return k
		}
	}
	return nil
}
