package simulate

import (
	"errors"
	"fmt"
	"time"

	"serin/internal/plan"
)

// DefaultRuns is how many healthy runs are played where nothing else is said.
const DefaultRuns = 2000

// MaxRuns bounds Options.Runs.
const MaxRuns = 100000

// Options are what a simulation depends on besides the plan.
type Options struct {
	Traffic Traffic
	Runs    int // of a healthy feature; 0 = DefaultRuns
	// GridRuns is how many runs every regression is played; 0 = none of them
	// are. Suggest also plays changes of the plan: it needs GridRuns.
	GridRuns int
	Suggest  bool
	Seed     uint64 // the same seed gives the same answer
	// Start is when the plan is started at the earliest; the plan's own start
	// counts if it is later. Zero = the plan's own, or else defaultStart.
	Start time.Time
	// Each calls f(0) ... f(n-1), in any order and on any number of
	// goroutines, and returns when all are done; nil = one after the other. An
	// error ends the simulation.
	Each func(n int, f func(i int)) error
}

// defaultStart is a Monday morning without any meaning.
var defaultStart = time.Date(2025, time.January, 6, 9, 0, 0, 0, time.UTC)

// serial is Options.Each for callers with one goroutine.
func serial(n int, f func(i int)) error {
	for i := range n {
		f(i)
	}
	return nil
}

// Run plays a plan and says what came of it. The plan must have no errors.
// The error names traffic figures that make no sense, or is that of
// Options.Each.
func Run(p *plan.Plan, o Options) (Result, error) {
	if err := o.fill(p); err != nil {
		return Result{}, err
	}
	w, err := o.world(p)
	if err != nil {
		return Result{}, err
	}
	outcomes, err := o.play(w, Effect{}, o.Runs)
	if err != nil {
		return Result{}, err
	}
	result := w.sum(o, outcomes)
	if o.GridRuns > 0 {
		if err := o.grid(w, &result); err != nil {
			return Result{}, err
		}
	}
	if o.GridRuns > 0 && o.Suggest {
		if err := o.suggest(p, &result); err != nil {
			return Result{}, err
		}
	}
	return result, nil
}

// Pieces is how many runs Run plays of a plan, for a bar of progress.
func (o Options) Pieces(p *plan.Plan) int {
	n := o.Runs
	if n == 0 {
		n = DefaultRuns
	}
	if w, err := o.world(p); err == nil && o.GridRuns > 0 {
		n += o.GridRuns * len(w.effects())
		if o.Suggest {
			n += 2 * o.GridRuns * (1 + len(changes(p)))
		}
	}
	return n
}

// Check returns what of the options makes no sense for a plan, nil for nothing.
func (o *Options) Check(p *plan.Plan) error {
	if err := o.Traffic.Check(); err != nil {
		return fmt.Errorf("traffic figures: %w", err)
	}
	for _, name := range append(sorted(o.Traffic.PerDay), sorted(o.Traffic.Values)...) {
		if p.Metrics[name] == nil {
			return fmt.Errorf("traffic figures: %q is no metric of the plan", name)
		}
	}
	if o.GridRuns < 0 || o.GridRuns > MaxRuns {
		return fmt.Errorf("grid runs %d: give a number from 0 to %d", o.GridRuns, MaxRuns)
	}
	if o.Runs < 0 || o.Runs > MaxRuns {
		return fmt.Errorf("runs %d: give a number from 1 to %d", o.Runs, MaxRuns)
	}
	if len(p.Stages) == 0 {
		return errors.New("the plan has no stages")
	}
	_, err := o.begin(p)
	return err
}

// fill checks the options and sets what was left out.
func (o *Options) fill(p *plan.Plan) error {
	if err := o.Check(p); err != nil {
		return err
	}
	if o.Runs == 0 {
		o.Runs = DefaultRuns
	}
	if o.Each == nil {
		o.Each = serial
	}
	return nil
}

// world prepares a plan: without its roles, its lists before the start and its
// clean-up, which take people's time and not traffic's.
func (o *Options) world(p *plan.Plan) (*world, error) {
	played := *p
	played.Roles, played.Preflight, played.Cleanup.Tasks = nil, nil, nil
	played.Stages = append([]plan.Stage(nil), p.Stages...)
	played.Stages[0].Before, played.Stages[0].Approve = nil, nil
	start, err := o.begin(&played)
	if err != nil {
		return nil, err
	}
	return newWorld(&played, o.Traffic, start), nil
}

// begin is when the plan starts: when its first stage may be entered. The error
// names a stage that no clock ever lets traffic into.
func (o *Options) begin(p *plan.Plan) (time.Time, error) {
	start := o.Start
	if start.IsZero() {
		start = defaultStart
	}
	if start.Before(p.Start) {
		start = p.Start
	}
	for i := range p.Stages {
		at := p.NextEntry(p.Stages[i].At, start)
		if at.IsZero() {
			return at, fmt.Errorf("stage %q can never be entered: its clock window lies outside of the plan's calendar", p.Stages[i].Name)
		}
		if i == 0 {
			start = at
		}
	}
	return start, nil
}

// play carries n runs out.
func (o *Options) play(w *world, e Effect, n int) ([]outcome, error) {
	out := make([]outcome, n)
	err := o.Each(n, func(i int) { out[i] = play(w, e, o.Seed, i) })
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	return out, nil
}
