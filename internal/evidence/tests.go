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
	// clusters are sums over users, each with n loads of which x were bad: of a
	// quantile control's users, of a share those of both arms in the attempt.
	clusters stats.Moments
	// starts are the same of a share's trials from a stage on, by that stage.
	starts   []stats.Moments
	means    map[int]*[2]stats.Moments  // by interval: new, old
	returned map[[2]int]*[2]stats.Joint // by two intervals, the earlier first
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
			if d.m.Kind == plan.Quantile || u.attempt == r.target.Attempt {
				t.loadsOf(u, 1)
			}
			if u.attempt != r.target.Attempt {
				continue
			}
			from, last := r.since(d.m.Name), -1
			for _, c := range u.counted {
				if c.interval >= from {
					t.affected(c, last)
					last = c.stage
				}
			}
			switch d.m.Kind {
			case plan.Average:
				t.meansOf(u, from, 1)
			case plan.Ratio:
				r.sharesOf(t, u, from, 1)
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

// since is the interval of the attempt from which on a metric's comparisons count: 0,
// or where a revision let them begin empty.
func (r *rollout) since(metric string) int {
	for i, in := range slices.Backward(r.target.Intervals) {
		if slices.Contains(in.Fresh, metric) {
			return i
		}
	}
	return 0
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

// loadsOf adds (sign 1) or takes away (-1) a user's loads. What is bad is of a load,
// also where no load was reported for it.
func (t *testState) loadsOf(u *userRow, sign float64) {
	t.clusters.AddUser(max(u.loads, u.above), float64(u.above), sign)
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
		r.later(u, d, x.name)
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
		if last := u.lastStage(r.since(d.m.Name)); last < stage {
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

// testShares notes what an event of an assigned user is to the shares that d is a
// part of: a trial, or a bad outcome of one. metric is the series it counts in.
func (x *adder) testShares(d *definition, metric string, n int64) {
	r := x.r
	if x.name == "" || !r.target.Active || r.target.Stage < 0 {
		return
	}
	for _, share := range d.shares {
		top, bottom := share.m.Of == metric, r.requests(share.m.Per) == metric
		if !top && !bottom {
			continue
		}
		t, u := r.testOf(share.m.Name), r.userRow(share.m.Name, x.name)
		if u.attempt != r.target.Attempt {
			u.attempt, u.loads, u.above, u.means = r.target.Attempt, 0, 0, nil
		}
		from := r.since(share.m.Name)
		t.loadsOf(u, -1)
		r.sharesOf(t, u, from, -1)
		in := u.meanIn(r.interval(), x.a.Assigned)
		if top {
			u.above, in.sum = u.above+n, in.sum+float64(n)
		}
		if bottom {
			u.loads, in.n = u.loads+n, in.n+n
		}
		t.loadsOf(u, 1)
		r.sharesOf(t, u, from, 1)
		if top { // with the cells that have it: a crash must not forget whose it was
			r.dirtyUsers[u] = rowKey(r, share, x.name)
		} else {
			r.later(u, share, x.name)
		}
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
	from := r.since(d.m.Name)
	t.meansOf(u, from, -1)
	m := u.meanIn(r.interval(), x.a.Assigned)
	m.n, m.sum = m.n+1, m.sum+value
	t.meansOf(u, from, 1)
	r.dirtyUsers[u] = rowKey(r, d, x.name)
}

// meansOf adds (sign 1) or takes away (-1) a user's values in the intervals from one
// on.
func (t *testState) meansOf(u *userRow, from int, sign float64) {
	if t.means == nil {
		t.means, t.returned = map[int]*[2]stats.Moments{}, map[[2]int]*[2]stats.Joint{}
	}
	for i, m := range u.means {
		if m.interval < from {
			continue
		}
		if t.means[m.interval] == nil {
			t.means[m.interval] = new([2]stats.Moments)
		}
		t.means[m.interval][side(m.arm)].AddUser(m.n, m.sum, sign)
		for _, before := range u.means[:i] {
			if before.arm != m.arm || before.interval == m.interval || before.interval < from {
				continue
			}
			k := [2]int{before.interval, m.interval}
			if t.returned[k] == nil {
				t.returned[k] = new([2]stats.Joint)
			}
			t.returned[k][side(m.arm)].AddUser(before.n, before.sum, m.n, m.sum, sign)
		}
	}
}

// sharesOf adds (sign 1) or takes away (-1) a user's trials, from an interval on, to
// what is known of them since each stage.
func (r *rollout) sharesOf(t *testState, u *userRow, from int, sign float64) {
	var n int64
	var bad float64
	at := len(u.means) - 1
	for stage := r.target.Stage; stage >= 0; stage-- {
		for ; at >= 0 && u.means[at].interval >= from && u.means[at].interval < len(r.target.Intervals) &&
			r.target.Intervals[u.means[at].interval].Stage >= stage; at-- {
			n, bad = n+u.means[at].n, bad+u.means[at].sum
		}
		for len(t.starts) <= stage {
			t.starts = append(t.starts, stats.Moments{})
		}
		t.starts[stage].AddUser(max(n, int64(bad)), bad, sign)
	}
}

// strataOfMeans are the moments by interval, with the users who returned.
func (r *rollout) strataOfMeans(t *testState) []stats.MeanStratum {
	var out []stats.MeanStratum
	for i, interval := range r.target.Intervals {
		if m := t.means[i]; m != nil {
			k := stats.MeanStratum{Interval: i, Stage: interval.Stage, New: m[0], Old: m[1]}
			for before := range i {
				if j := t.returned[[2]int{before, i}]; j != nil {
					k.With = append(k.With, stats.MeanPair{Interval: before, New: j[0], Old: j[1]})
				}
			}
			out = append(out, k)
		}
	}
	return out
}

// later writes a user's row at the next tick.
func (r *rollout) later(u *userRow, d *definition, user string) {
	if !u.waits {
		u.waits = true
		r.slowUsers[u] = rowKey(r, d, user)
	}
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
	if from := r.since(metric); from > 0 {
		out.From = r.target.Intervals[from].From
	}
	t := r.testOf(metric)
	r.close(d, t, now)
	out.Ledger = &t.ledger
	switch d.m.Kind {
	case plan.Quantile:
		out.Shifted = make(map[int][]stats.Block, len(t.shifted))
		for s, list := range t.shifted {
			out.Shifted[s] = slices.Clip(list)
		}
		out.Phi = loadEffect(&t.clusters)
		return out
	case plan.Average:
		out.Means = r.strataOfMeans(t)
		return out
	case plan.Ratio:
		out.Blocks = slices.Clip(t.blocks)
		out.Phi = loadEffect(&t.clusters)
		for i := range t.starts {
			out.PhiSince = append(out.PhiSince, loadEffect(&t.starts[i]))
		}
		out.Anonymous = t.clusters.N == 0
		if top := r.testOf(d.m.Of); out.Anonymous { // trials by user are not known: as bursts
			out.Phi = stats.EventsPhi(top.squares, float64(top.events[0]+top.events[1]))
		}
		return out
	}
	for k, n := range t.cells {
		out.Cells = append(out.Cells, stats.UserCell{Interval: k.interval, Last: k.last, New: n[0], Old: n[1]})
	}
	slices.SortFunc(out.Cells, func(a, b stats.UserCell) int {
		return cmp.Or(cmp.Compare(a.Interval, b.Interval), cmp.Compare(a.Last, b.Last))
	})
	out.EventsNew, out.EventsOld = t.events[0], t.events[1]
	out.Phi = stats.EventsPhi(t.squares, float64(out.EventsNew+out.EventsOld))
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

// loadEffect is the design effect of loads that come of the same users
// (docs/statistics.md, "Sticky users and loads"), at least 1.
func loadEffect(c *stats.Moments) float64 {
	if !(c.N > 0) {
		return 1
	}
	return stats.LoadsPhi(c.X/c.N, c.XX, c.NX, c.NN, c.N)
}
