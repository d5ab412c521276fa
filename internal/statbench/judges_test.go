package statbench

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"serin/internal/judge"
	"serin/internal/parallel"
	"serin/internal/plan"
)

// bench is a judge on a world: it is asked after every slot, until it acts, and
// answers whether it would roll back.
type bench interface {
	see(w *world) bool
}

// outcome is what a judge did in one run, each after so many slots, 0 = never:
// when it would have rolled back, and when it showed harm at the latest, which
// only makes a stage wait.
type outcome struct{ acted, harm int }

// harmful is a bench that knows of harm below the limit of its rule.
type harmful interface{ harmShown() int }

// carry takes a world to its end, or until every judge has acted.
func carry(w *world, judges []bench) []outcome {
	out := make([]outcome, len(judges))
	for left := len(judges); !w.over() && left > 0; {
		w.step()
		for i, j := range judges {
			if out[i].acted == 0 && j.see(w) {
				out[i].acted = w.now()
				left--
			}
		}
	}
	for i, j := range judges {
		if h, ok := j.(harmful); ok {
			out[i].harm = h.harmShown()
		}
	}
	return out
}

// cell is many runs of one traffic, each with judges of its own.
func cell(seed uint64, runs int, c *course, t traffic, judges func() ([]bench, []*tally)) [][]outcome {
	out := make([][]outcome, runs)
	all(runs, func(i int) {
		benches, tallies := judges()
		out[i] = carry(newWorld(c, t, newRand(seed, i), tallies...), benches)
	})
	return out
}

func newRand(seed uint64, run int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(run))) }

// all calls f for 0 ... n-1 on all cores.
func all(n int, f func(i int)) {
	if err := parallel.Each(context.Background(), n, 0, f, nil); err != nil {
		panic(err) // the context never ends
	}
}

// tested is the shipped judge, on evidence that is right or broken.
type tested struct {
	tally  *tally
	pooled bool               // broken: all stages taken as one
	levels map[string]float64 // broken: other budgets than the plan's; nil = the plan's
	held   judge.Held
	harm   int // slots until harm was shown; 0 = it was not
}

func newTested(how counting) *tested { return &tested{tally: &tally{how: how}} }

func (j *tested) harmShown() int { return j.harm }

// see implements bench: the rules that act, at the plan's checks.
func (j *tested) see(w *world) bool {
	if !w.due() {
		return false
	}
	var verdicts []judge.Verdict
	now, place := start.Add(time.Duration(w.now())*slotLength), w.course.place(w.stage)
	if j.levels != nil {
		place.Levels = j.levels
	}
	verdicts, j.held = judge.Judge(w.plan, w.plan.Rollback, judge.Guard, place, evidence{w, j}, j.held, now)
	met := false
	for i := range verdicts {
		if j.harm == 0 && (verdicts[i].Harm || verdicts[i].Status == judge.Met) {
			j.harm = w.now()
		}
		met = met || verdicts[i].Status == judge.Met
	}
	return met
}

// evidence shows a world to the judge.
type evidence struct {
	w *world
	j *tested
}

var _ judge.Evidence = evidence{}

func (e evidence) slot(t time.Time) int { return int(t.Sub(start) / slotLength) }

// activeUsers is far more than err: no companion test is needed.
const activeUsers = 1 << 30

// Window implements judge.Evidence.
func (e evidence) Window(_ string, g judge.Group, from, to time.Time) judge.Window {
	n := e.w.affected(e.slot(from), e.slot(to))
	arm := fresh
	if g == judge.AssignedOld {
		arm = old
	}
	return judge.Window{Count: n[arm], Users: n[arm], Active: activeUsers, Covered: to.Sub(from), Known: true, Last: to}
}

// Tests implements judge.Evidence.
func (e evidence) Tests(string) judge.Tests {
	c, stage := e.w.course, e.w.stage
	out := judge.Tests{Odds: c.odds(stage), Stage: c.stageNumbers(stage), Began: c.began(stage), Cells: e.j.tally.userCells()}
	if e.j.pooled {
		out = e.poolTests(out)
	}
	return out
}

// poolTests is the broken evidence of stages pooled: all counts in one interval,
// at the share that the arms had on average over time.
func (e evidence) poolTests(t judge.Tests) judge.Tests {
	var share float64
	for _, l := range e.w.stages[:e.w.stage+1] {
		share += l.share * float64(min(l.to, e.w.now())-l.from) / float64(e.w.now())
	}
	cells := slices.Clone(t.Cells)
	for i := range cells {
		cells[i].Interval, cells[i].Last = 0, -1
	}
	return judge.Tests{Odds: []float64{share / (1 - share)}, Stage: []int{0}, Began: []time.Time{start}, Cells: cells}
}

// Source implements judge.Evidence.
func (evidence) Source(string) judge.Source { return judge.Source{State: judge.Delivering} }

// Pushed implements judge.Evidence.
func (evidence) Pushed(string) (string, time.Time, bool) { return "", time.Time{}, false }

// Data implements judge.Evidence.
func (e evidence) Data() judge.Data {
	return judge.Data{Last: start.Add(time.Duration(e.w.now()) * slotLength)}
}

// limitOf is the limit of a rule that compares a metric.
func limitOf(p *plan.Plan, metric string) float64 {
	for _, r := range p.Rollback {
		if r.Metric == metric {
			return r.Value
		}
	}
	return 0
}
