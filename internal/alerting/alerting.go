// Package alerting carries alert rules out: those of plans and stand-alone
// ones. Engine looks at every rule when something arrived that it counts and
// once a minute, lets package alert decide, stores the outcome with the
// notices in one transaction, and only then wakes the courier and tells who
// opens incidents.
//
// A plan's rule is answered by the judge from the rollout's evidence; a
// stand-alone rule by counts of its own, which the evidence keeps by the
// minute. Both are read back from the store after a restart, and so is every
// state: nothing fires or is told a second time.
//
// Promises: what is told was stored before; a notice's id names the rule, the
// version of its state and the channel, so it is told once; a change reaches
// Opened at least once. An error of the store leaves the state as it was, and
// the next look tries again.
//
// Stored through store.Alerts: a row a rule (a stand-alone rule and the state
// of either kind, as JSON of package alert) and its history. The semantics are
// those of docs/guide/alerts.md.
package alerting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"serin/internal/alert"
	"serin/internal/clock"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/store"
)

// Tick is how often every rule is looked at, in server time.
const Tick = time.Minute

// arrivalGap is the least real time between two looks that arrivals cause.
const arrivalGap = 25 * time.Millisecond

// pruneEvery is how often old counts are removed, in server time.
const pruneEvery = 24 * time.Hour

// MaxRules bounds the stand-alone rules of a server: each is matched against
// every event.
const MaxRules = 200

// Evidence is what rules are answered from.
type Evidence interface {
	// View is a consistent view of a rollout as of now.
	View(rollout string) (judge.Evidence, error)
	// WatchAlert begins to count for a stand-alone rule, ForgetAlert ends it.
	WatchAlert(ctx context.Context, r alert.Rule) error
	ForgetAlert(id string)
	// AlertReadings are the values of a stand-alone rule over the window that ends at to.
	AlertReadings(r alert.Rule, to time.Time) ([]alert.Reading, error)
	// AlertSilence is since when a project's telemetry has been silent; zero = it is not.
	AlertSilence(project string) time.Time
}

// Rollout is a rollout whose plan's alerts are active.
type Rollout struct {
	Rollout string // id
	Project string
	Plan    *plan.Plan
	Place   judge.Place
	Judge   judge.Func
	Over    bool // it is done
}

// Opened is told of every change of an alert after it was stored: who opens
// incidents is one. The same change may come again after a crash or an error;
// Rule, Labels and Incident name the incident. A change that answers an error
// is told again at the next look, before any newer one of the same rule.
type Opened interface {
	AlertChanged(ctx context.Context, c alert.Change) error
}

// Options are what an Engine needs; Store, Evidence, Rollouts, Clock and Key
// are required.
type Options struct {
	Store    store.Alerts
	Evidence Evidence
	Rollouts func() []Rollout
	Clock    clock.Clock
	Key      func(alert.Rule) string   // where the evidence keeps a stand-alone rule's counts
	Keep     time.Duration             // how long it does; 0 = nothing is removed
	Logger   *slog.Logger              // nil = discard
	Fault    func(point string)        // called at "before alert commit" and "after alert commit"; crash tests end the process there
	Wake     func()                    // wakes the courier; nil = it looks by itself
	Knows    func(address string) bool // whether notices to it can be delivered; nil = all
	Changed  func()                    // something changed that pages show; nil = nobody looks
	BaseURL  string                    // for links in notices; "" = none
	Opened   Opened                    // nil = nobody opens incidents
	// Heard is told how many alerts of other systems fire, and of which
	// projects something was told; nil = nobody asks. The next look at the
	// same alert tells it again.
	Heard func(ctx context.Context, counts []alert.Count, told ...string) error
	// Under lists the rollouts under way with this id or of this plan; nil = none.
	Under func(name string) []Named
}

// Engine looks after all alert rules of a server. Its methods may be called at
// the same time.
type Engine struct {
	o   Options
	log *slog.Logger

	arrivals arrivals

	mu     sync.Mutex // guards the fields below
	rules  map[string]*watched
	rows   map[string]store.AlertRow // of rules that no active plan has
	pruned time.Time
	counts []alert.Count // of alerts from outside, to be handed on
}

// watched is one rule that is being looked at.
type watched struct {
	rule    alert.Rule
	rollout *Rollout   // nil = a stand-alone rule
	asked   *plan.Rule // of a plan
	state   alert.State
	untold  []alert.Change // stored, and not taken by Opened yet
	stored  string         // the durable form as it is in the store
	said    map[string]alert.Decision
	skipped int64  // events of exposed users that a plan's rule did not count
	why     string // of the last look
	failed  string // why it could not be looked at; "" = it was
	by      string // what caused the last look
}

// durable is the stored form of a state.
type durable struct {
	alert.State
	Untold []alert.Change `json:"untold,omitempty"`
}

// New reads rules and states from the store and begins to count for the
// stand-alone ones. It starts no goroutine.
func New(ctx context.Context, o Options) (*Engine, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Fault == nil {
		o.Fault = func(string) {}
	}
	e := &Engine{o: o, log: o.Logger, rules: map[string]*watched{}, rows: map[string]store.AlertRow{}}
	e.arrivals.wake = make(chan struct{}, 1)
	if o.Under == nil {
		e.o.Under = func(string) []Named { return nil }
	}
	rows, err := o.Store.Alerts(ctx)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.Rule == nil {
			e.rows[row.ID] = row
			continue
		}
		w, err := e.restored(row)
		if err == nil && w.rule.Outside == "" {
			err = e.watch(ctx, w.rule)
		}
		if err != nil {
			return nil, fmt.Errorf("read alert %s: %w", row.ID, err)
		}
		e.rules[row.ID] = w
	}
	return e, nil
}

// restored is a stand-alone rule as it was stored.
func (e *Engine) restored(row store.AlertRow) (*watched, error) {
	w := &watched{}
	if err := json.Unmarshal(row.Rule, &w.rule); err != nil {
		return nil, err
	}
	w.rule = w.rule.WithDefaults()
	return w, w.take(row)
}

// take takes over a stored state.
func (w *watched) take(row store.AlertRow) error {
	var d durable
	if err := json.Unmarshal(row.State, &d); err != nil {
		return fmt.Errorf("state of alert %s: %w", row.ID, err)
	}
	w.state, w.untold, w.stored = d.State, d.Untold, string(row.State)
	return nil
}

// Arrived tells the engine that something was counted for a rollout or for a
// stand-alone rule (Options.Key). It never blocks.
func (e *Engine) Arrived(id string) { e.arrivals.add(id) }

// arrivals are the sources that something arrived for.
type arrivals struct {
	mu   sync.Mutex // guards ids
	ids  map[string]bool
	wake chan struct{}
}

func (a *arrivals) add(id string) {
	a.mu.Lock()
	if a.ids == nil {
		a.ids = map[string]bool{}
	}
	a.ids[id] = true
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *arrivals) take() map[string]bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := a.ids
	a.ids = nil
	return ids
}

// Run looks at the rules until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	next := e.round(ctx, nil)
	tick, stop := e.o.Clock.After(next)
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
			next = e.round(ctx, nil)
		case <-e.arrivals.wake:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(arrivalGap):
			}
			next = min(next, e.round(ctx, e.arrivals.take()))
		}
		stop()
		tick, stop = e.o.Clock.After(next)
	}
}

// round looks at the rules of the named sources, nil = at all, and returns how
// long to wait for the next round.
func (e *Engine) round(ctx context.Context, sources map[string]bool) time.Duration {
	now := e.o.Clock.Now()
	e.mu.Lock()
	e.refresh(ctx, now)
	wait := Tick
	for _, id := range slices.Sorted(maps.Keys(e.rules)) {
		w := e.rules[id]
		if ctx.Err() != nil || sources != nil && !e.concerns(w, sources) {
			continue
		}
		w.by = "tick"
		if sources != nil {
			w.by = "arrival"
		}
		e.look(ctx, w, now)
		for _, d := range w.said {
			if d.Next.After(now) {
				wait = min(wait, d.Next.Sub(now))
			}
		}
	}
	if sources == nil {
		e.prune(ctx, now)
	}
	e.mu.Unlock()
	e.tell(ctx)
	if err := e.count(ctx); err != nil && ctx.Err() == nil {
		e.log.Error("look at alerts from outside", "err", err)
	}
	return wait
}

// concerns reports whether a rule reads one of the sources that Arrived named.
func (e *Engine) concerns(w *watched, sources map[string]bool) bool {
	if w.rollout != nil {
		return sources[w.rollout.Rollout]
	}
	return slices.ContainsFunc(conditions(w.rule), func(r alert.Rule) bool { return sources[e.o.Key(r)] })
}

// conditions are the rules that count for a stand-alone rule: itself, and its
// second condition.
func conditions(r alert.Rule) []alert.Rule {
	if second, ok := r.Second(); ok {
		return []alert.Rule{r, second}
	}
	return []alert.Rule{r}
}

// watch begins to count for a stand-alone rule.
func (e *Engine) watch(ctx context.Context, r alert.Rule) error {
	for _, c := range conditions(r) {
		if err := e.o.Evidence.WatchAlert(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// forget stops to.
func (e *Engine) forget(r alert.Rule) {
	for _, c := range conditions(r) {
		e.o.Evidence.ForgetAlert(c.ID)
	}
}

// readings are the values of a stand-alone rule.
func (e *Engine) readings(r alert.Rule, to time.Time, noData bool) ([]alert.Reading, error) {
	first, err := e.o.Evidence.AlertReadings(r, to)
	second, ok := r.Second()
	if err != nil || !ok {
		return first, err
	}
	also, err := e.o.Evidence.AlertReadings(second, to)
	return r.Joined(first, also, noData), err
}

// prune removes counts that no window and no back-test reaches any more.
func (e *Engine) prune(ctx context.Context, now time.Time) {
	if e.o.Keep == 0 || now.Sub(e.pruned) < pruneEvery {
		return
	}
	e.pruned = now
	for _, w := range e.rules {
		if w.rollout != nil || w.rule.Outside != "" {
			continue
		}
		for _, r := range conditions(w.rule) {
			if _, err := e.o.Store.DropCounts(ctx, e.o.Key(r), now.Add(-e.o.Keep).Unix()/60); err != nil && ctx.Err() == nil {
				e.log.Error("remove old counts", "alert", w.rule.ID, "err", err)
			}
		}
	}
}

// tell hands stored changes to Opened, in order. It is called without mu, as
// Opened may ask the engine.
func (e *Engine) tell(ctx context.Context) {
	if e.o.Opened == nil {
		return
	}
	e.mu.Lock()
	waiting := map[*watched][]alert.Change{}
	for _, w := range e.rules {
		if len(w.untold) > 0 {
			waiting[w] = slices.Clone(w.untold)
		}
	}
	e.mu.Unlock()
	for w, list := range waiting {
		done := 0
		for _, c := range list {
			if err := e.o.Opened.AlertChanged(ctx, c); err != nil {
				e.log.Error("tell of an alert", "alert", c.Rule, "kind", c.Kind, "err", err)
				break
			}
			done++
		}
		e.mu.Lock()
		w.untold = w.untold[min(done, len(w.untold)):]
		e.mu.Unlock()
	}
}

// find returns a rule that is watched, or store.ErrNotFound. The caller holds mu.
func (e *Engine) find(id string) (*watched, error) {
	if w := e.rules[id]; w != nil {
		return w, nil
	}
	return nil, fmt.Errorf("alert %q: %w", id, store.ErrNotFound)
}

// Project is the project of a rule, or store.ErrNotFound.
func (e *Engine) Project(id string) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w, err := e.find(id)
	if err != nil {
		return "", err
	}
	return w.rule.Project, nil
}

// errPlanRule is the answer to a change of a rule that is written in a plan.
var errPlanRule = errors.New("this rule is written in a plan: change the plan")
