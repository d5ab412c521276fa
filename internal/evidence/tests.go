package evidence

import (
	"cmp"
	"slices"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/stats"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// testState is the sequential-test data of one compared metric for the
// current attempt. Cells follow from the user rows and blocks from the minute
// cells, so a restart finds them again.
type testState struct {
	cells map[cellOf]*[2]int64 // new, old
	stage int
	// Raw events of the current stage, and the sums of the design effect.
	events    [2]int64
	squares   float64 // Σ x² over users, x = events of the stage
	blocks    []stats.Block
	shifted   map[int][]stats.Block
	control   *stats.Sketch // control's loads of all closed blocks
	threshold int           // bucket of its quantile
	ready     bool          // threshold is known
	newest    blockKey      // up to this one blocks are closed
	looked    int64         // Unix minute in which that was looked at last
	ledger    stats.Ledger
	// Sums over control's users: loads n and loads above the threshold x.
	sumN, sumX, sumNN, sumNX, sumXX float64
	means                           map[int]*[2]stats.Moments // by interval: new, old
}

type cellOf struct{ interval, last int }

func (r *rollout) testOf(metric string) *testState {
	t := r.tests[metric]
	if t == nil {
		t = &testState{cells: map[cellOf]*[2]int64{}, stage: r.target.Stage, shifted: map[int][]stats.Block{}, control: new(stats.Sketch), newest: blockKey{attempt: -1}}
		r.tests[metric] = t
	}
	return t
}

// rebuildTests computes the tests again from users and cells.
func (r *rollout) rebuildTests() {
	clear(r.tests)
	for _, d := range r.defs {
		if !d.compared {
			continue
		}
		t := r.testOf(d.m.Name)
		for _, u := range r.users[d.m.Name] {
			t.loadsOf(u, 1)
			if u.attempt != r.target.Attempt {
				continue
			}
			last := -1
			for _, c := range u.counted {
				t.affected(c, last)
				last = c.stage
			}
			for _, m := range u.means {
				t.meanOf(m, 1)
			}
			if last == r.target.Stage && last >= 0 {
				t.events[side(u.counted[len(u.counted)-1].arm)] += u.events
				t.squares += float64(u.events) * float64(u.events)
			}
		}
	}
}

// newStage starts the companion's counts anew when the stage has changed.
func (r *rollout) newStage() {
	for _, t := range r.tests {
		if t.stage != r.target.Stage {
			t.stage, t.events, t.squares = r.target.Stage, [2]int64{}, 0
		}
	}
}

func side(a telemetry.Arm) int {
	if a == telemetry.New {
		return 0
	}
	return 1
}

func (t *testState) affected(c countedIn, last int) {
	k := cellOf{c.interval, last}
	if t.cells[k] == nil {
		t.cells[k] = new([2]int64)
	}
	t.cells[k][side(c.arm)]++
}

// loadsOf adds (sign 1) or takes away (-1) a control user's loads.
func (t *testState) loadsOf(u *userRow, sign float64) {
	n, x := float64(u.loads), float64(u.above)
	t.sumN += sign * n
	t.sumX += sign * x
	t.sumNN += sign * n * n
	t.sumNX += sign * n * x
	t.sumXX += sign * x * x
}

// test notes an event of an assigned user for the sequential tests.
func (x *adder) test(d *definition, s sample) {
	r := x.r
	if !d.compared || x.name == "" {
		return
	}
	t := r.testOf(d.m.Name)
	switch d.m.Kind {
	case plan.Quantile:
		if x.a.Assigned != telemetry.Old || !t.ready {
			return
		}
		u := r.userRow(d.m.Name, x.name)
		t.loadsOf(u, -1)
		u.loads++
		if stats.Bucket(s.value) > t.threshold {
			u.above++
		}
		t.loadsOf(u, 1)
		r.slowUsers[u] = rowKey(r, d, x.name)
	case plan.Average:
		if r.target.Active && r.target.Stage >= 0 && len(r.target.Intervals) > 0 {
			x.testMean(d, t, s.value)
		}
	case plan.Count, plan.Users:
		if !r.target.Active || r.target.Stage < 0 || len(r.target.Intervals) == 0 {
			return
		}
		u := r.userRow(d.m.Name, x.name)
		if u.attempt != r.target.Attempt {
			u.attempt, u.counted, u.events = r.target.Attempt, nil, 0
		}
		stage := r.target.Stage
		if last := u.lastStage(); last < stage {
			c := countedIn{r.interval(), stage, x.a.Assigned}
			u.counted, u.events = append(u.counted, c), 0
			t.affected(c, last)
		}
		t.squares += float64(2*u.events*s.n + s.n*s.n)
		u.events += s.n
		t.events[side(x.a.Assigned)] += s.n
		r.dirtyUsers[u] = rowKey(r, d, x.name)
	}
}

// testMean adds a value to its user's sum in the open interval. A vital that
// is replaced later keeps its first value here.
func (x *adder) testMean(d *definition, t *testState, value float64) {
	r := x.r
	u := r.userRow(d.m.Name, x.name)
	if u.attempt != r.target.Attempt {
		u.attempt, u.counted, u.events, u.means = r.target.Attempt, nil, 0, nil
	}
	n := len(u.means)
	if n == 0 || u.means[n-1].interval != r.interval() || u.means[n-1].arm != x.a.Assigned {
		u.means, n = append(u.means, meanIn{interval: r.interval(), arm: x.a.Assigned}), n+1
	}
	m := &u.means[n-1]
	t.meanOf(*m, -1)
	m.n, m.sum = m.n+1, m.sum+value
	t.meanOf(*m, 1)
	r.dirtyUsers[u] = rowKey(r, d, x.name)
}

// meanOf adds (sign 1) or takes away (-1) a user's values of an interval.
func (t *testState) meanOf(m meanIn, sign float64) {
	if t.means == nil {
		t.means = map[int]*[2]stats.Moments{}
	}
	if t.means[m.interval] == nil {
		t.means[m.interval] = new([2]stats.Moments)
	}
	t.means[m.interval][side(m.arm)].AddUser(m.n, m.sum, sign)
}

// strataOfMeans are the moments by interval.
func (r *rollout) strataOfMeans(t *testState) []stats.MeanStratum {
	var out []stats.MeanStratum
	for i, interval := range r.target.Intervals {
		if m := t.means[i]; m != nil {
			out = append(out, stats.MeanStratum{Interval: i, Stage: interval.Stage, New: m[0], Old: m[1]})
		}
	}
	return out
}

func rowKey(r *rollout, d *definition, user string) store.UserRow {
	return store.UserRow{Rollout: r.target.Rollout, Metric: d.m.Name, User: user}
}

// snapshot closes the blocks that are over and returns the test data. now is
// in Unix ms. The caller holds Engine.mu.
func (r *rollout) snapshot(metric string, now int64) judge.Tests {
	var out judge.Tests
	for _, i := range r.target.Intervals {
		out.Odds, out.Stage, out.Began = append(out.Odds, i.Odds), append(out.Stage, i.Stage), append(out.Began, i.From)
	}
	d := r.byName[metric]
	if d == nil || !d.compared {
		return out
	}
	t, numerator := r.testOf(metric), r.tests[metric]
	r.close(d, t, now)
	out.Ledger = &t.ledger
	switch d.m.Kind {
	case plan.Quantile:
		out.Shifted = make(map[int][]stats.Block, len(t.shifted))
		for s, list := range t.shifted {
			out.Shifted[s] = slices.Clip(list)
		}
		out.Phi = t.loadEffect()
		return out
	case plan.Average:
		out.Means = r.strataOfMeans(t)
		return out
	case plan.Ratio:
		numerator = r.testOf(d.m.Of)
	}
	out.Blocks = slices.Clip(t.blocks)
	for k, n := range numerator.cells {
		out.Cells = append(out.Cells, stats.UserCell{Interval: k.interval, Last: k.last, New: n[0], Old: n[1]})
	}
	slices.SortFunc(out.Cells, func(a, b stats.UserCell) int {
		return cmp.Or(cmp.Compare(a.Interval, b.Interval), cmp.Compare(a.Last, b.Last))
	})
	out.EventsNew, out.EventsOld = numerator.events[0], numerator.events[1]
	out.Phi = stats.EventsPhi(numerator.squares, float64(out.EventsNew+out.EventsOld))
	return out
}

// closeAll closes the blocks of all compared metrics.
func (r *rollout) closeAll(now int64) {
	for _, d := range r.defs {
		if d.compared {
			r.close(d, r.testOf(d.m.Name), now)
		}
	}
}

func (r *rollout) close(d *definition, t *testState, now int64) {
	switch d.m.Kind {
	case plan.Quantile:
		r.closeBlocks(d, t, now)
	case plan.Ratio, plan.Computed:
		r.closeRatio(d, t, now)
	}
}

// loadEffect is the design effect of loads: Σ(x − p n)² / (p(1−p) Σ n) over
// control's users (docs/statistics.md, "Quantiles: deflation"), at least 1.
func (t *testState) loadEffect() float64 {
	if t.sumN == 0 || t.sumX == 0 || t.sumX == t.sumN {
		return 1
	}
	return stats.LoadsPhi(t.sumX/t.sumN, t.sumXX, t.sumNX, t.sumNN, t.sumN)
}
