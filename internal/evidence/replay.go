package evidence

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"serin/internal/backtest"
	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// A Replay is the evidence of one attempt of a rollout, told again minute by
// minute to the rules of another plan: at each instant only what had been
// counted by then. What users did, and which variant they had, is as it was;
// where the other plan stands is given by To. For one goroutine.
//
// What is rebuilt from minute cells is not all that the judge had: of a user's
// events in a minute only their sum over all users is known, so that they are
// taken to be even; how alike the loads of one user are is known only as it came
// out in the end; and means by user, pushed values and what clients reported as
// lost are not kept by time.
type Replay struct {
	e     *Engine
	r     *rollout
	real  []Interval // of the attempt, as it was
	cells []store.Cell
	next  int   // of cells: those before it are in r
	cut   int64 // minute up to which r is built
	seen  map[string]map[uint64]*replayed
	heard map[string]bool // sources of which something was counted
}

// replayed is what a user of one metric was counted for.
type replayed struct {
	last int // stage counted last; -1 = none
	n    float64
}

// mostReplayed bounds the cells of a replay, and so its memory.
const mostReplayed = 4_000_000

// Replay reads the evidence of an attempt. t is the rollout as it was: its id,
// project, attempt, the attempt's allocation intervals and the split that its
// users had in the end; its Plan is the one that is tried. The error is the
// store's, names a filter of the plan that cannot be read, or says that there is
// too much.
func (e *Engine) Replay(ctx context.Context, t Target) (*Replay, error) {
	x := &Replay{e: e, real: slices.Clone(t.Intervals), seen: map[string]map[uint64]*replayed{}, heard: map[string]bool{}}
	err := e.store.LoadCells(ctx, t.Rollout, 0, func(c store.Cell) error {
		if len(x.cells) == mostReplayed {
			return fmt.Errorf("rollout %s has more than %d cells of evidence", t.Rollout, mostReplayed)
		}
		c.Data = slices.Clone(c.Data)
		x.cells = append(x.cells, c)
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("replay %s: %w", t.Rollout, err)
	}
	attempt := t.Attempt
	t.Stage, t.Active, t.Intervals, t.Project = -1, false, nil, flag.ProjectOf(t.Project)
	rows, err := alike(ctx, e.store, t.Rollout)
	if err != nil {
		return nil, fmt.Errorf("replay %s: %w", t.Rollout, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	empty := t
	empty.Rollout = "" // nothing is stored under it
	if x.r, err = e.load(ctx, empty); err != nil {
		return nil, fmt.Errorf("replay %s: %w", t.Rollout, err)
	}
	clear(x.r.tests) // load closed their blocks up to now
	x.r.closed = 0
	x.r.target.Rollout = t.Rollout
	x.r.target.Attempt = attempt
	for metric, users := range rows {
		if d := x.r.byName[metric]; d != nil && (d.m.Kind == plan.Quantile || d.m.Kind == plan.Ratio) && d.compared {
			for _, u := range users {
				x.r.testOf(metric).loadsOf(u, 1)
			}
		}
	}
	return x, nil
}

// alike reads how alike the loads of one user are, by metric: it is known only as
// it was in the end.
func alike(ctx context.Context, from Store, id string) (map[string][]*userRow, error) {
	out := map[string][]*userRow{}
	err := from.LoadUsers(ctx, id, func(row store.UserRow) error {
		if row.Metric == rowMember || row.Metric == rowSession {
			return ctx.Err()
		}
		u, err := decodeUser(row.Data)
		if err == nil && u.loads > 0 {
			out[row.Metric] = append(out[row.Metric], u)
		}
		return err
	})
	return out, err
}

// To takes in what was counted before now, while the plan stood at s, and
// returns the evidence as of now. Instants ascend; they are whole minutes, the
// step of what is kept.
func (x *Replay) To(now time.Time, s backtest.Stand) judge.Evidence {
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	x.stand(s)
	until := toMS(now) / minuteMS
	for ; x.next < len(x.cells) && x.cells[x.next].Minute < until; x.next++ {
		x.take(x.cells[x.next], toMS(now))
	}
	x.cut = until
	return &view{e: x.e, r: x.r, now: now, windows: map[windowKey]judge.Window{}, past: x}
}

// Shares implements backtest.Recorded.
func (x *Replay) Shares(now time.Time) (exposure, control float64) {
	for _, i := range slices.Backward(x.real) {
		if !i.From.After(now) {
			if math.IsInf(i.Odds, 1) {
				return 1, 0
			}
			return i.Odds / (1 + i.Odds), 1 / (1 + i.Odds)
		}
	}
	return 0, 1
}

// delivered reports whether a source that people feed had delivered by now: when
// it did first is kept, and what of it was counted is told.
func (x *Replay) delivered(source string, now time.Time) bool {
	switch source {
	case "feedback", "survey", "usage":
		v, ok := x.e.values[valueKey(x.r.target.Project, sourcePrefix+source)]
		return x.heard[source] || ok && v.At.Before(now)
	}
	return true
}

func (x *Replay) stand(s backtest.Stand) {
	t := &x.r.target
	t.Stage, t.StageAt, t.AttemptAt, t.RolloutAt, t.Active = s.Stage, s.StageAt, s.AttemptAt, s.StartedAt, true
	x.r.newStage()
}

// take puts one cell in: of the attempt under the interval that it is in by now,
// of others as what came before.
func (x *Replay) take(c store.Cell, now int64) {
	attempt, interval := x.r.target.Attempt-1, 0
	before := c.Minute < toMS(x.r.target.AttemptAt)/minuteMS // of the plan's start
	if !before && c.Attempt == x.r.target.Attempt && c.Interval >= 0 && c.Interval < len(x.real) {
		attempt, interval = c.Attempt, x.interval(c.Interval)
	}
	c.Attempt, c.Interval = attempt, interval
	if x.r.loadCell(c, now) != nil {
		return // of a version that is not known: its minute was not counted
	}
	d := x.r.byName[c.Metric]
	if d != nil {
		x.heard[d.m.Source] = true
	}
	if d == nil || !d.compared || attempt != x.r.target.Attempt || d.m.Kind != plan.Count && d.m.Kind != plan.Users {
		return
	}
	if g := judge.Group(c.Group); g == judge.AssignedNew || g == judge.AssignedOld {
		x.count(d, c, g)
	}
}

// interval is the replay's interval of the real one, under the stage at which
// the plan stands: a new one where either has changed.
func (x *Replay) interval(real int) int {
	t := &x.r.target
	from := x.real[real].From
	if t.StageAt.After(from) {
		from = t.StageAt
	}
	n := len(t.Intervals)
	if n == 0 || t.Intervals[n-1].Stage != t.Stage || t.Intervals[n-1].Odds != x.real[real].Odds || t.Intervals[n-1].From.Before(x.real[real].From) {
		t.Intervals = append(t.Intervals, Interval{Attempt: t.Attempt, Stage: t.Stage, Odds: x.real[real].Odds, From: from})
		t.sample = x.e.sampleBits(*t)
	}
	return len(t.Intervals) - 1
}

// count gives the users of a cell to the tests, as adder.test does event by
// event.
func (x *Replay) count(d *definition, c store.Cell, g judge.Group) {
	in := cell{attempt: c.Attempt, interval: c.Interval, minute: c.Minute}
	if decodeCell(&in, c.Data) != nil || len(in.users) == 0 {
		return
	}
	t, stage := x.r.testOf(d.m.Name), x.r.target.Stage
	known := x.seen[d.m.Name]
	if known == nil {
		known = map[uint64]*replayed{}
		x.seen[d.m.Name] = known
	}
	arm := telemetry.Old
	if g == judge.AssignedNew {
		arm = telemetry.New
	}
	each := float64(in.count) / float64(len(in.users))
	for _, user := range in.users {
		u := known[user.hash]
		if u == nil {
			u = &replayed{last: -1}
			known[user.hash] = u
		}
		if u.last < stage {
			t.affected(countedIn{c.Interval, stage, arm}, u.last)
			u.last, u.n = stage, 0
		}
		t.squares += 2*u.n*each + each*each
		u.n += each
	}
	t.events[side(arm)] += in.count
}
