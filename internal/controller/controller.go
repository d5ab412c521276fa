// Package controller carries decisions out. One goroutine owns one rollout:
// it gathers evidence, lets judge and rollout decide, commits journal, state,
// flag and notices in one transaction, and only then publishes the flag,
// tells live pages and wakes the outbox.
//
// Do is the one way to change a rollout: web button, CLI, API, timer and
// verdict all end there or in the same step. The Flags part guards hand edits
// of flags that a rollout owns, and the Courier delivers the outbox.
//
// It stores rollouts, flags and notices through store.Rollouts, store.Flags,
// store.Plans and store.Outbox; it keeps nothing durable of its own. Its
// knowledge comes from the rollout state machine (docs/formats/journal.md).
package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"serin/internal/clock"
	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// Tick is how often a rollout is judged when nothing arrives, in server time.
const Tick = time.Minute

// arrivalGap is the least real time between two judgements that arrivals
// cause, so that a storm of errors cannot keep a core busy with judging.
const arrivalGap = 25 * time.Millisecond

// Store is the part of the store that the controller needs.
type Store interface {
	store.Rollouts
	store.Flags
	store.Plans
	store.Outbox
	store.Audit
}

// Evidence is what the controller needs of the evidence engine.
type Evidence interface {
	// Watch begins or updates the evidence of a rollout.
	Watch(w Watch) error
	// Forget ends it.
	Forget(rollout string)
	// View is a consistent view for the judge as of now.
	View(rollout string) (judge.Evidence, error)
	// Series is a metric over time by assigned arm, at most points values.
	Series(rollout, metric string, from, to time.Time, points int) ([]Point, error)
	// Facts are what the days of a project's telemetry before until tell lint of a plan.
	Facts(project string, p *plan.Plan, until time.Time) plan.ServerFacts
	// Usage is how flags are asked for, by key, since counting began.
	Usage() (all map[string]flag.Usage, since time.Time)
	// Value is what was last pushed under a key for a project, and when.
	Value(project, key string) (text string, at time.Time, ok bool)
}

// Watch tells the evidence engine where a rollout stands.
type Watch struct {
	Rollout string
	Project string
	Plan    *plan.Plan
	Split   flag.Split
	// Attempt counts the runs of evidence of the rollout, from 1: a restart
	// begins one, and so does a resume from a reduction. What was counted in
	// one is not compared in another.
	Attempt, Stage                int
	Active                        bool // exposure may be above 0 in this state
	Intervals                     []Interval
	StageAt, AttemptAt, StartedAt time.Time
}

// Interval is a time of constant shares in a run of evidence (Watch.Attempt);
// the last one is open.
type Interval struct {
	Attempt, Stage int
	Odds           float64 // share of new / share of old
	From           time.Time
	Fresh          []string // metrics whose comparisons count from here on only
}

// Point is one value of a series; a nil arm is a gap.
type Point struct {
	T               time.Time
	Canary, Control *float64
	N               int64
	Low, High       *float64 // an always-valid 95 % interval of the canary, nil = none
}

// Publisher serves flags; hub.Hub is one.
type Publisher interface {
	Publish(rs *flag.Ruleset)
	// Await calls served once, when a client is first answered for a flag with
	// a ruleset of at least revision; stop ends the wait.
	Await(key string, revision int64, served func()) (stop func())
}

// Feed tells live pages; hub.Feed is one.
type Feed interface {
	Send(event string, data any) int64
}

// Options are what a Controller needs. Store, Evidence, Publisher, Feed and
// Clock are required.
type Options struct {
	Store     Store
	Evidence  Evidence
	Publisher Publisher
	Feed      Feed
	Clock     clock.Clock
	Logger    *slog.Logger
	Registry  prometheus.Registerer
	BaseURL   string // for links in notices, "" = none
	Site      Site   // for the commands of the emergency runbook
	// Sources are the pulled sources that the server is set up for, such as
	// prometheus, for a project; a plan whose guard needs another does not start.
	// nil = none.
	Sources func(project string) map[string]bool
	// OnCall are the server's rotas; nil = it has none.
	OnCall OnCall
	// PlansChanged, when set, is called after a plan was stored or a rollout
	// created or revised. It must not block.
	PlansChanged func()
	// Moved, when set, is called after the journal of a rollout has grown and its
	// view shows it. It must not block.
	Moved func(id string)
	// Judges are the versions of the judge; nil = judge.Shipped.
	Judges judge.Releases
	// Fault, when set, is called at the named points of a commit; crash tests
	// end the process there. Points: "before commit", "after commit",
	// "after publish", "before send", "after send".
	Fault func(point string)
}

// Controller owns all rollouts of a server.
type Controller struct {
	backtesting sync.Mutex // one at a time
	o           Options
	log         *slog.Logger
	flags       *Flags
	metrics     *metrics
	courier     *Courier
	codec       codec
	create      sync.Mutex // one Create at a time; taken before mu

	mu      sync.Mutex         // guards the fields below
	workers map[string]*worker // by rollout id
	order   []string           // ids, oldest first
	run     context.Context    // of Run; nil before and after
	group   sync.WaitGroup
	running chan struct{} // closed when Run takes commands
}

// New loads every rollout and flag from the store and publishes the flags. A
// rollout that cannot be read does not keep it from starting, see unreadable.
// It starts no goroutine.
func New(ctx context.Context, o Options) (*Controller, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if len(o.Judges) == 0 {
		o.Judges = judge.Shipped()
	}
	if o.Fault == nil {
		o.Fault = func(string) {}
	}
	if o.PlansChanged == nil {
		o.PlansChanged = func() {}
	}
	if o.Moved == nil {
		o.Moved = func(string) {}
	}
	c := &Controller{o: o, log: o.Logger, workers: map[string]*worker{}, running: make(chan struct{}), metrics: newMetrics(o.Registry)}
	c.courier = newCourier(o, c.metrics)
	if o.Registry != nil {
		o.Registry.MustRegister(channelGauges{c.courier})
	}
	var err error
	if c.codec, err = newCodec(); err != nil {
		return nil, err
	}
	if c.flags, err = newFlags(ctx, o); err != nil {
		return nil, err
	}
	states, err := o.Store.States(ctx)
	if err != nil {
		return nil, fmt.Errorf("read rollouts: %w", err)
	}
	plans := c.planReader()
	for _, s := range states {
		w, err := c.recover(ctx, s, plans)
		if err != nil && ctx.Err() != nil {
			return nil, fmt.Errorf("recover rollout %s: %w", s.ID, err)
		}
		if err != nil {
			o.Logger.Error("rollout cannot be read: it is not judged, only rollback is possible", "rollout", s.ID, "exposure", s.Exposure.String(), "err", err)
			w = c.unreadable(s, err)
		}
		c.workers[s.ID] = w
		c.order = append(c.order, s.ID)
	}
	return c, nil
}

// Flags returns the flag part.
func (c *Controller) Flags() *Flags { return c.flags }

// Courier returns the part that delivers notices.
func (c *Controller) Courier() *Courier { return c.courier }

// Run runs every rollout and the courier until ctx ends, and waits for them. It
// is called once.
func (c *Controller) Run(ctx context.Context) error {
	c.mu.Lock()
	c.run = ctx
	for _, id := range c.order {
		c.start(c.workers[id])
	}
	c.mu.Unlock()
	close(c.running)
	err := c.courier.Run(ctx)
	<-ctx.Done()
	c.mu.Lock()
	c.run = nil
	c.mu.Unlock()
	c.group.Wait()
	return err
}

// Running is closed once Run takes commands; a door should not open before.
func (c *Controller) Running() <-chan struct{} { return c.running }

// start runs w; c.mu is held and c.run is set.
func (c *Controller) start(w *worker) {
	ctx := c.run
	c.group.Go(func() { w.loop(ctx) })
}

// ErrStopped is returned by Do when the server is shutting down.
var ErrStopped = errors.New("serin is shutting down: try again when it is back")

// Do carries out one command on a rollout and returns when it is durable. The
// id is a rollout's, or a plan's name for its latest. A *rollout.Refusal says
// why a command was not done; store.ErrNotFound that there is no such rollout.
func (c *Controller) Do(ctx context.Context, id string, cmd rollout.Command) (Result, error) {
	w, err := c.find(id)
	if err != nil {
		return Result{}, err
	}
	if err := w.readable(cmd.Verb); err != nil {
		return Result{}, err
	}
	if cmd.Verb == rollout.Start {
		if err := c.claim(w); err != nil {
			return Result{}, err
		}
	}
	return w.ask(ctx, request{cmd: &cmd})
}

// Arrived tells the controller that an event which a rule counts has become
// durable: the rollout's rollback rules are judged at once. It never blocks.
func (c *Controller) Arrived(id string) {
	c.mu.Lock()
	w := c.workers[id]
	c.mu.Unlock()
	if w != nil {
		select {
		case w.arrived <- struct{}{}:
		default:
		}
	}
}

// find returns the worker of a rollout id or of a plan's latest rollout.
func (c *Controller) find(id string) (*worker, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.workers[id]; w != nil {
		return w, nil
	}
	for i := len(c.order) - 1; i >= 0; i-- {
		if name, _ := splitID(c.order[i]); name == id {
			return c.workers[c.order[i]], nil
		}
	}
	return nil, fmt.Errorf("rollout %q: %w", id, store.ErrNotFound)
}

// View returns a rollout as it stands; the id may be a plan's name.
func (c *Controller) View(_ context.Context, id string) (View, error) {
	w, err := c.find(id)
	if err != nil {
		return View{}, err
	}
	return *w.view.Load(), nil
}

// Views returns every rollout: those that need somebody first, then by the
// time of the last event, newest first.
func (c *Controller) Views(context.Context) ([]View, error) {
	c.mu.Lock()
	out := make([]View, 0, len(c.order))
	for _, id := range c.order {
		out = append(out, *c.workers[id].view.Load())
	}
	c.mu.Unlock()
	sort.SliceStable(out, func(i, j int) bool {
		if a, b := rank(out[i]), rank(out[j]); a != b {
			return a < b
		}
		return out[i].State.At.After(out[j].State.At)
	})
	return out, nil
}

// rank orders rollouts by how much they need a person.
func rank(v View) int {
	switch {
	case v.State.Status == rollout.Done || v.State.Status == rollout.Cancelled:
		return 2
	case v.NeedsPerson():
		return 0
	}
	return 1
}

// PlanSource returns the plan file of a rollout as it is in force.
func (c *Controller) PlanSource(ctx context.Context, id string) ([]byte, error) {
	v, err := c.View(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.o.Store.PlanSource(ctx, v.State.PlanHash)
}

// Notices lists the notices of a rollout, newest first.
func (c *Controller) Notices(ctx context.Context, id string, limit int) ([]store.Outgoing, error) {
	v, err := c.View(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.o.Store.Notices(ctx, v.ID, limit)
}

// Journal returns the events after a position, oldest first.
func (c *Controller) Journal(ctx context.Context, id string, after int64, limit int) ([]rollout.Event, error) {
	v, err := c.View(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.o.Store.Journal(ctx, v.ID, after, limit)
}
