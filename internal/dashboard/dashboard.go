// Package dashboard carries out a plan's `dashboard` block: its panels are
// counted from the moment the plan is stored, its targets are read at their
// cadence, and View shows both for a rollout.
//
// Dashboard keeps the evidence's list of questions equal to what the newest
// version of every plan and the plans in force ask, once a minute and when it
// is told that plans changed. Targets are for reading: nobody is told of them
// and no traffic moves by them. They are judged with the evidence and the
// budget of the rollout, as gates are; after a restart all are read at once.
//
// A panel's errors stay its own: the others are shown.
package dashboard

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"serin/internal/clock"
	"serin/internal/judge"
	"serin/internal/panel"
	"serin/internal/plan"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// Tick is how often plans and targets are looked at, in server time.
const Tick = time.Minute

// Evidence counts and answers.
type Evidence interface {
	// WatchPanels makes list the panels that are counted.
	WatchPanels(ctx context.Context, list []panel.Panel) error
	// ReadPanel answers one over (from, to]; the error wraps store.ErrNotFound
	// for a panel that is not counted.
	ReadPanel(key string, from, to time.Time, points int) (panel.Span, error)
	// View is a consistent view of a rollout as of now.
	View(rollout string) (judge.Evidence, error)
}

// Rollout is a rollout and where it stands.
type Rollout struct {
	Rollout string // id
	Project string
	Plan    *plan.Plan // in force
	Place   judge.Place
	Judge   judge.Func
	Over    bool // done, rolled back or cancelled
	Began   bool // its first attempt began
}

// Plan is a plan file that is known to the server.
type Plan struct {
	Project string
	Plan    *plan.Plan
}

// MetricPoint is one step of a metric; nil = a gap.
type MetricPoint struct {
	T     time.Time
	Value *float64
}

// Options are what a Dashboard needs; all but Logger are required.
type Options struct {
	Evidence Evidence
	Clock    clock.Clock
	Logger   *slog.Logger // nil = discard
	// Rollouts lists all that can be read; Find finds one by its id or its plan's name.
	Rollouts func() []Rollout
	Find     func(id string) (Rollout, error)
	// Plans lists the newest version of every plan that can be read.
	Plans func(ctx context.Context) ([]Plan, error)
	// Metric is a metric of a rollout over (from, to]: of exposed users, as
	// fixed limits read it, or with both of both arms together.
	Metric func(rollout, metric string, both bool, from, to time.Time, points int) ([]MetricPoint, error)
	// Issues are the issues of a project that match a search now, last seen first.
	Issues func(ctx context.Context, project string, f telemetry.Filter) ([]store.Issue, error)
}

// Dashboard looks after panels and targets. Its methods may be called at the
// same time.
type Dashboard struct {
	o       Options
	log     *slog.Logger
	changed chan struct{}

	mu      sync.Mutex // guards the fields below
	targets map[string]map[string]Target
	held    map[string]judge.Held
	keys    map[string]bool // watched
}

// New makes a Dashboard; Run must be started.
func New(o Options) *Dashboard {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Dashboard{o: o, log: log, changed: make(chan struct{}, 1), targets: map[string]map[string]Target{}, held: map[string]judge.Held{}}
}

// Changed tells that a plan was stored or a rollout revised. It never blocks.
func (d *Dashboard) Changed() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// Run keeps panels and targets up to date until ctx ends.
func (d *Dashboard) Run(ctx context.Context) error {
	for {
		d.watch(ctx)
		d.read()
		tick, stop := d.o.Clock.After(Tick)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-d.changed:
		case <-tick:
		}
		stop()
	}
}

// watch tells the evidence what is asked. Where a plan cannot be read now the
// list stays as it was: nothing is forgotten for an error.
func (d *Dashboard) watch(ctx context.Context) {
	plans, err := d.o.Plans(ctx)
	if err != nil {
		if ctx.Err() == nil {
			d.log.Error("plans could not be read: panels are counted as before", "error", err)
		}
		return
	}
	for _, r := range d.o.Rollouts() {
		if !r.Over {
			plans = append(plans, Plan{r.Project, r.Plan})
		}
	}
	keys := map[string]bool{}
	var list []panel.Panel
	for _, p := range plans {
		for _, q := range p.Plan.Dashboard.Panels {
			if q.Query == "" {
				continue
			}
			one, err := panel.Of(p.Project, p.Plan.Flag.Key, q)
			if err != nil || keys[one.Key] || !one.Counted() {
				continue // lint has told; or it is counted already
			}
			keys[one.Key] = true
			list = append(list, one)
		}
	}
	d.mu.Lock()
	same := len(keys) == len(d.keys)
	for key := range keys {
		same = same && d.keys[key]
	}
	d.mu.Unlock()
	if same {
		return
	}
	if len(list) > panel.Max {
		d.log.Warn("plans ask for more panels than a server counts", "panels", len(list), "counted", panel.Max)
	}
	if err := d.o.Evidence.WatchPanels(ctx, list); err != nil {
		d.log.Error("panels are not counted yet: this is tried again in a minute", "error", err)
		return
	}
	d.mu.Lock()
	d.keys = keys
	d.mu.Unlock()
}
