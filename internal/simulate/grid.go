package simulate

import (
	"fmt"
	"math"
	"slices"

	"serin/internal/flag"
	"serin/internal/plan"
)

// The regressions that are played.
var (
	errorFactors   = []float64{1.2, 1.5, 2, 5, 20}
	latencyFactors = []float64{1.05, 1.1, 1.2, 1.3}
)

// effects lists the regressions, errors first, each kind ascending. Latencies
// are left out where no rule of the plan looks at one.
func (w *world) effects() []Effect {
	var out []Effect
	for _, f := range errorFactors {
		out = append(out, Effect{Errors: f})
	}
	if len(w.timed) == 0 {
		return out
	}
	for _, f := range latencyFactors {
		out = append(out, Effect{Latency: f})
	}
	return out
}

// String writes an effect for people: "errors ×2", "latency +10%".
func (e Effect) String() string {
	switch {
	case e == Effect{}:
		return "healthy"
	case e.latency() != 1 && e.errors() != 1:
		return fmt.Sprintf("errors ×%s, latency %+.0f%%", trimZeros(e.errors()), 100*(e.latency()-1))
	case e.latency() != 1:
		return fmt.Sprintf("latency %+.0f%%", 100*(e.latency()-1))
	}
	return "errors ×" + trimZeros(e.errors())
}

// CellResult is what became of one regression. A stage that a criterion keeps for
// good ends the run, but for criteria that keep a healthy feature there as a rule:
// people are used to override these.
type CellResult struct {
	Name   string `json:"name"`
	Effect Effect `json:"effect"`
	Caught Share  `json:"caught"` // rolled back or reduced by a rule
	Kept   Share  `json:"kept"`   // not caught, but kept at a gate for good
	// ByStage is the share caught in each stage, of the runs that reached it.
	ByStage []Share `json:"by_stage"`
	// Of the runs that were caught: when, how many users had seen the new
	// variant, and how many of these had met what is wrong.
	Hours   Spread `json:"hours"`
	Exposed Spread `json:"exposed"`
	Harmed  Spread `json:"harmed"`
}

// Spread are quantiles, 0 of nothing.
type Spread struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
}

func spread(of []float64) Spread {
	slices.Sort(of)
	return Spread{P50: rank(of, 0.5), P95: rank(of, 0.95)}
}

// grid plays every regression.
func (o *Options) grid(w *world, r *Result) error {
	w.learn(r)
	for _, e := range w.effects() {
		cell, err := o.cell(w, e, o.GridRuns)
		if err != nil {
			return err
		}
		r.Grid = append(r.Grid, cell)
	}
	r.Smallest = w.smallest(r.Grid, *r)
	return nil
}

// asARule is the share of healthy runs that a criterion must keep for people to be
// used to it.
const asARule = 0.5

// learn takes over which criteria keep a healthy feature as a rule.
func (w *world) learn(healthy *Result) {
	w.usual = make([]map[string]bool, len(healthy.Stages))
	for i, s := range healthy.Stages {
		w.usual[i] = map[string]bool{}
		for _, c := range s.Proceed {
			w.usual[i][c.Rule] = c.Stuck.P >= asARule
		}
	}
}

func (o *Options) cell(w *world, e Effect, runs int) (CellResult, error) {
	outcomes, err := o.play(w, e, runs)
	if err != nil {
		return CellResult{}, err
	}
	out := CellResult{Name: e.String(), Effect: e}
	caught := func(o *outcome) bool { return o.rolledBack || o.reduced }
	out.Caught = share(tallyOf(outcomes, caught), runs)
	out.Kept = share(tallyOf(outcomes, func(o *outcome) bool { return !caught(o) && o.kept }), runs)
	for i := range w.plan.Stages {
		reached := tallyOf(outcomes, func(o *outcome) bool { return o.stages[i].reached })
		out.ByStage = append(out.ByStage, share(tallyOf(outcomes, func(o *outcome) bool { return caught(o) && o.stage == i }), reached))
	}
	var hours, exposed, harmed []float64
	for i := range outcomes {
		if o := &outcomes[i]; caught(o) {
			hours, exposed, harmed = append(hours, o.at.Hours()), append(exposed, float64(o.exposed)), append(harmed, float64(o.harmed))
		}
	}
	out.Hours, out.Exposed, out.Harmed = spread(hours), spread(exposed), spread(harmed)
	return out, nil
}

// found is the share with which a regression is to be caught.
const found = 0.8

// Smallest is the least regression that is caught with 80 %, interpolated
// between the cells of the grid on a logarithmic scale.
type Smallest struct {
	Stage string `json:"stage"` // "" = in the whole plan; else in this stage, of the runs that reach it
	// Errors and Latency are factors; NoneCaught, HealthyToo and TooFew where
	// there is none.
	Errors  float64 `json:"errors"`
	Latency float64 `json:"latency"`
}

// What stands for the smallest regression where there is none.
const (
	NoneCaught = 0.0  // no regression that was played is caught with 80 %
	HealthyToo = -1.0 // a healthy feature is caught with 80 % too
	TooFew     = -2.0 // too few runs reached the stage to say anything
)

func (w *world) smallest(grid []CellResult, healthy Result) []Smallest {
	out := []Smallest{w.least("", grid, healthy.FalseRollback.P+healthy.FalseReduce.P, func(c *CellResult) Share { return c.Caught })}
	for i, st := range w.plan.Stages {
		var p float64
		for _, g := range healthy.Guards {
			p += g.ByStage[i].P
		}
		out = append(out, w.least(st.Name, grid, p, func(c *CellResult) Share { return c.ByStage[i] }))
	}
	return out
}

// fewest is how many runs must have reached a stage to say anything of it.
const fewest = 20

// least is the smallest regression that is caught somewhere, where a healthy
// feature is taken for a regression with the chance healthy.
func (w *world) least(stage string, grid []CellResult, healthy float64, of func(c *CellResult) Share) Smallest {
	crossing := func(factor func(e Effect) float64) float64 {
		if healthy >= found {
			return HealthyToo
		}
		last, at, none := healthy, 1.0, TooFew
		for i := range grid {
			f, s := factor(grid[i].Effect), of(&grid[i])
			if f == 1 || s.Of < fewest {
				continue
			}
			if none = NoneCaught; s.P >= found {
				return at * math.Pow(f/at, (found-last)/(s.P-last))
			}
			last, at = s.P, f
		}
		return none
	}
	return Smallest{Stage: stage, Errors: crossing(Effect.errors), Latency: crossing(Effect.latency)}
}

// Suggestion is a change of the plan, and what it brings: everything was
// played, with the same random numbers before and after.
type Suggestion struct {
	Change string  `json:"change"`
	Effect string  `json:"effect"` // the regression it was played with
	Before Outlook `json:"before"`
	After  Outlook `json:"after"`
}

// Outlook is how a plan does.
type Outlook struct {
	Caught        Share   `json:"caught"`  // of the regression, in the whole plan
	First         Share   `json:"first"`   // of it, in the first stage
	Exposed       float64 `json:"exposed"` // users, median of those caught
	Asked         Share   `json:"asked"`   // of a healthy feature
	FalseRollback Share   `json:"false_rollback"`
	FinishHours   float64 `json:"finish_hours"` // of a healthy feature, median; 0 = it never came through
}

// change is one change of a plan that may help.
type change struct {
	text string
	plan *plan.Plan
}

// changes lists the changes that a plan allows.
func changes(p *plan.Plan) []change {
	const holdback = flag.Everyone / 10
	var out []change
	add := func(text string, edit func(q *plan.Plan)) {
		q := *p
		q.Stages = slices.Clone(p.Stages)
		edit(&q)
		out = append(out, change{text, &q})
	}
	first := p.Stages[0]
	if twice := 2 * first.Traffic; len(p.Stages) > 1 && twice < p.Stages[1].Traffic {
		add(fmt.Sprintf("%s at %s in place of %s", first.Name, twice, first.Traffic), func(q *plan.Plan) { q.Stages[0].Traffic = twice })
	}
	if first.Bake > 0 {
		add(fmt.Sprintf("bake %s for %s in place of %s", first.Name, plan.FormatDuration(2*first.Bake), plan.FormatDuration(first.Bake)),
			func(q *plan.Plan) { q.Stages[0].Bake *= 2 })
	}
	if last := p.Exposure(len(p.Stages) - 1); last > flag.Everyone-holdback && (len(p.Stages) < 2 || p.Exposure(len(p.Stages)-2) < flag.Everyone-holdback) {
		add("holdback 10%", func(q *plan.Plan) { q.Flag.Holdback = holdback })
	}
	return out
}

// doubtful is the regression of the grid that the plan is least sure to catch or
// to miss; of those it never catches the largest of errors, of those it always
// catches the smallest.
func doubtful(grid []CellResult) Effect {
	effect, worst := Effect{Errors: 2}, math.Inf(1)
	for _, c := range grid {
		d := math.Abs(c.Caught.P - 0.5)
		larger := d == worst && c.Caught.Count == 0 && c.Effect.latency() == 1
		if d < worst || larger {
			effect, worst = c.Effect, d
		}
	}
	return effect
}

// suggest plays the changes against the regression that the plan is least sure of.
func (o *Options) suggest(p *plan.Plan, r *Result) error {
	effect := doubtful(r.Grid)
	before, err := o.outlook(p, effect, r)
	if err != nil {
		return err
	}
	r.Suggestions = []Suggestion{}
	for _, c := range changes(p) {
		after, err := o.outlook(c.plan, effect, r)
		if err != nil {
			return err
		}
		r.Suggestions = append(r.Suggestions, Suggestion{Change: c.text, Effect: effect.String(), Before: before, After: after})
	}
	return nil
}

// outlook plays a plan healthy and with a regression; people are used to what
// keeps the healthy feature of r.
func (o *Options) outlook(p *plan.Plan, e Effect, r *Result) (Outlook, error) {
	w, err := o.world(p)
	if err != nil {
		return Outlook{}, err
	}
	outcomes, err := o.play(w, Effect{}, o.GridRuns)
	if err != nil {
		return Outlook{}, err
	}
	healthy := w.sum(*o, outcomes)
	w.learn(r)
	cell, err := o.cell(w, e, o.GridRuns)
	return Outlook{
		Caught: cell.Caught, First: cell.ByStage[0], Exposed: cell.Exposed.P50,
		Asked: healthy.Asked, FalseRollback: healthy.FalseRollback, FinishHours: healthy.Finish.P50,
	}, err
}
