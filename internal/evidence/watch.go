package evidence

import (
	"context"
	"fmt"
	"strings"
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// Target is a rollout to collect evidence for. Plan and its contents are
// shared and must not be changed.
type Target struct {
	Rollout string // id, "demo-1"
	Project string // whose telemetry counts; "" = flag.FirstProject
	Plan    *plan.Plan
	Split   flag.Split // as served from now on
	// Attempt counts the runs of evidence: the tests of each start anew. A
	// restart begins one, and so does a resumption after a reduction.
	Attempt   int
	Stage     int        // index; -1 before the start
	Active    bool       // running: tests grow
	Intervals []Interval // allocation intervals of this attempt, the last is open
	// When stage, attempt and rollout began; zero = not yet.
	StageAt, AttemptAt, RolloutAt time.Time
	// NewValues and OldValues are the values of the variants as text, if
	// clients report values in place of variant names.
	NewValues, OldValues []string

	sample []int // bits of each interval's sample, see sampleBits
}

// Interval is a time in which the shares of traffic did not change.
type Interval struct {
	Attempt, Stage int
	Odds           float64 // share of new / share of control
	From           time.Time
	Fresh          []string // metrics whose comparisons count from here on only
}

// rollout is what the engine holds for one Target. Engine.mu guards it, but
// for members.
type rollout struct {
	target Target
	attr   telemetry.Target
	defs   []*definition
	// taking are defs by what they may take; of these unscoped count events
	// outside the scope too.
	taking, unscoped defsOf
	audienceID       int       // of shared
	armKeys          [3]string // where issues keep the counts of an arm
	byName           map[string]*definition
	series           map[string]*[groups]*series

	members  *memberSet
	users    map[string]map[string]*userRow // metric -> user -> row
	tests    map[string]*testState
	sessions map[string]sessionState
	// maxSessions bounds sessions; beyond it each update counts as a session.
	maxSessions int
	ratio       sampleRatio
	exposed     *exposures
	loss        loss
	histories   map[string]toldHistory // by metric, of the newest hour
	closed      int64                  // arrivals before this, Unix ms, are counted at it: blocks were closed

	dirtyCells []dirtyCell
	dirtyUsers map[*userRow]store.UserRow
	slowUsers  map[*userRow]store.UserRow // written at the next tick
	gaps       []gap                      // spans without a sign of life
	aliveAt    int64                      // newest sign of life, Unix ms
	scopeAt    int64                      // newest event in scope
}

type dirtyCell struct {
	metric string
	group  uint8
	cell   *cell
}

// Watch starts or updates a rollout. The first Watch of a rollout reads its
// stored evidence. Events that arrive after Watch returned count in the last
// interval of t. The error is the store's, or names a filter of the plan that
// cannot be read.
func (e *Engine) Watch(t Target) error {
	ctx := context.Background()
	e.commit.Lock()
	defer e.commit.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.ready(ctx); err != nil {
		return fmt.Errorf("watch %s: %w", t.Rollout, err)
	}
	t.Project = flag.ProjectOf(t.Project)
	t.sample = e.sampleBits(t)
	old := e.rollouts[t.Rollout]
	if old != nil && samePlan(old.target.Plan, t.Plan) {
		t.Plan = old.target.Plan // the definitions point into it
		old.update(t)
		old.audienceID = e.audienceIDs.of(audienceText(t.Split.Audience.Terms))
		e.publishWatched()
		return nil
	}
	// A new plan may count other things: read again what was stored.
	fresh, err := e.load(ctx, t)
	if err != nil {
		return fmt.Errorf("watch %s: %w", t.Rollout, err)
	}
	if old != nil { // memberships whose commit is still to come
		old.members.users.Range(func(user, _ any) bool { fresh.members.add(user.(string)); return true })
	}
	if old != nil {
		fresh.inherit(old, toMS(e.clock.Now()))
		fresh.loss = old.loss
		if old.target.Attempt == t.Attempt {
			fresh.exposed.inherit(old.exposed)
		}
	}
	e.rollouts[t.Rollout] = fresh
	e.publishWatched()
	return nil
}

// inherit takes over the rows that wait for the next tick under the plan before;
// now is in Unix ms.
func (r *rollout) inherit(old *rollout, now int64) {
	if len(old.slowUsers) == 0 {
		return
	}
	for u, key := range old.slowUsers {
		r.userMap(key.Metric)[key.User] = u
		r.slowUsers[u] = key
	}
	r.rebuildTests()
	r.closeAll(now)
}

func samePlan(a, b *plan.Plan) bool { return a == b || a.Hash != "" && a.Hash == b.Hash }

// Forget stops collecting for a rollout; what is stored stays.
func (e *Engine) Forget(rollout string) {
	e.commit.Lock()
	defer e.commit.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.rollouts[rollout]; r != nil {
		e.losses[rollout] = r.loss
	}
	delete(e.rollouts, rollout)
	e.publishWatched()
}

func (e *Engine) publishWatched() {
	m := make(map[string][]audience, len(e.rollouts))
	for id, r := range e.rollouts {
		split := r.target.Split
		by := split.By
		if by == "" {
			by = "targetingKey"
		}
		m[split.Flag] = append(m[split.Flag], audience{id, by, r.target.Project, split.Audience.Terms, r.members, r.exposed})
	}
	e.watched.Store(&m)
}

// load makes a rollout and reads its rows. Rows that cannot be decoded are
// an error: silence about lost evidence would be a verdict on less.
func (e *Engine) load(ctx context.Context, t Target) (*rollout, error) {
	defs, err := compile(t.Plan)
	if err != nil {
		return nil, err
	}
	spans, err := telemetry.ParseFilter(t.Plan.Scope.Spans)
	if err != nil {
		return nil, fmt.Errorf("scope.spans: %w", err)
	}
	r := &rollout{
		defs: defs, byName: map[string]*definition{}, series: map[string]*[groups]*series{},
		members: newMemberSet(), exposed: &exposures{}, loss: e.losses[t.Rollout], users: map[string]map[string]*userRow{}, tests: map[string]*testState{},
		sessions: map[string]sessionState{}, maxSessions: e.limits.Sessions, dirtyUsers: map[*userRow]store.UserRow{}, slowUsers: map[*userRow]store.UserRow{},
	}
	r.attr.Spans = spans
	for _, d := range defs {
		r.byName[d.m.Name] = d
		d.filterID = e.filterIDs.of(d.where)
	}
	r.sortDefs()
	for _, arm := range [...]telemetry.Arm{telemetry.Unknown, telemetry.Old, telemetry.New} {
		r.armKeys[arm] = t.Rollout + "/" + arm.String()
	}
	r.update(t)
	r.audienceID = e.audienceIDs.of(audienceText(t.Split.Audience.Terms))
	err = e.store.LoadUsers(ctx, t.Rollout, r.loadUser)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	now := toMS(e.clock.Now())
	err = e.store.LoadCells(ctx, t.Rollout, 0, func(c store.Cell) error { return r.loadCell(c, now) })
	if err != nil {
		return nil, fmt.Errorf("read cells: %w", err)
	}
	r.rebuildTests()
	r.closeAll(now)
	r.loss.judge()
	return r, nil
}

// update takes over where the rollout stands.
func (r *rollout) update(t Target) {
	newAttempt := r.target.Attempt != t.Attempt
	r.target = t
	r.target.Intervals = append([]Interval(nil), t.Intervals...)
	p := t.Plan
	r.attr = telemetry.Target{
		Split: t.Split, Environment: p.Environment, Tags: p.Scope.Tags, Pages: p.Scope.Pages, Spans: r.attr.Spans,
		Feature: p.Scope.Tags["feature"], NewValues: t.NewValues, OldValues: t.OldValues,
	}
	r.exposed.stand(&r.target, newAttempt)
	if newAttempt {
		r.rebuildTests()
	}
	r.newStage()
}

// interval is the index of the open interval, -1 before the first.
func (r *rollout) interval() int { return len(r.target.Intervals) - 1 }

// loadCell puts a stored cell back; now is in Unix ms.
func (r *rollout) loadCell(c store.Cell, now int64) error {
	in := &cell{attempt: c.Attempt, interval: c.Interval, minute: c.Minute}
	if err := decodeCell(in, c.Data); err != nil {
		return fmt.Errorf("cell %s %d of minute %d: %w", c.Metric, c.Group, c.Minute, err)
	}
	if int(c.Group) >= groups {
		return fmt.Errorf("%w: group %d", errCell, c.Group)
	}
	switch g := judge.Group(c.Group); {
	case c.Metric == seriesActive && (g == judge.AssignedNew || g == judge.AssignedOld) && in.attempt == r.target.Attempt:
		for _, u := range in.users {
			r.sight(in.attempt, in.interval, g, u.hash)
		}
	}
	r.seriesOf(c.Metric, int(c.Group)).load(in, now) // cuts the users of old cells
	switch c.Metric {
	case seriesAlive:
		r.alive(in.first)
		r.alive(in.last)
	case seriesScope:
		r.scopeAt = max(r.scopeAt, in.last)
	}
	return nil
}

// seriesOf finds or makes a series. Unknown metrics are kept too: the plan
// may name them again.
func (r *rollout) seriesOf(metric string, group int) *series {
	set := r.series[metric]
	if set == nil {
		set = new([groups]*series)
		r.series[metric] = set
	}
	if set[group] == nil {
		set[group] = &series{sketched: r.sketched(metric)}
	}
	return set[group]
}

func (r *rollout) sketched(metric string) bool {
	d := r.byName[strings.TrimSuffix(metric, lateSuffix)]
	return d != nil && d.m.Kind == plan.Quantile
}

func (r *rollout) peek(metric string, group int) *series {
	if set := r.series[metric]; set != nil {
		return set[group]
	}
	return nil
}

// collect moves changed rows into the batch.
func (r *rollout) collect(b *batch) error {
	for _, d := range r.dirtyCells {
		d.cell.queued = false
		if !d.cell.dirty {
			continue
		}
		data, err := d.cell.encode()
		if err != nil {
			return err
		}
		d.cell.dirty = false
		b.Cells = append(b.Cells, store.Cell{Rollout: r.target.Rollout, Attempt: d.cell.attempt, Metric: d.metric,
			Group: d.group, Interval: d.cell.interval, Minute: d.cell.minute, Data: data})
	}
	r.dirtyCells = r.dirtyCells[:0]
	for row, out := range r.dirtyUsers {
		out.Data = row.encode()
		b.Users = append(b.Users, out)
	}
	clear(r.dirtyUsers)
	return nil
}

// age frees memory and writes rows that need not be written at once.
func (r *rollout) age(b *batch) {
	for row, out := range r.slowUsers {
		row.waits = false
		r.dirtyUsers[row] = out
	}
	clear(r.slowUsers)
	now := toMS(b.now)
	r.settle(now)
	r.closeAll(now)
	for _, set := range r.series {
		for _, s := range set {
			if s != nil {
				s.age(now)
			}
		}
	}
	r.expireSessions(now)
}

// loadShared reads what does not belong to one rollout.
func (e *Engine) loadShared(ctx context.Context) error {
	now := e.clock.Now()
	err := e.store.LoadSeen(ctx, now.Add(-seenMemory), func(s store.Seen) error {
		e.seen.add(s.Hash, s.At)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read event ids: %w", err)
	}
	if e.values, err = e.store.Values(ctx); err != nil {
		return fmt.Errorf("read values: %w", err)
	}
	if e.values == nil {
		e.values = map[string]store.Value{}
	}
	e.daily.take(e.values, e.log)
	e.hours.take(e.values, e.log)
	e.losses = takeLosses(e.values, e.log)
	e.usage.take(e.values, e.log)
	counters, err := e.store.Counters(ctx)
	if err != nil {
		return fmt.Errorf("read counters: %w", err)
	}
	for k, v := range counters {
		e.counters[k] = v
	}
	rows, err := e.store.Pending(ctx)
	if err != nil {
		return fmt.Errorf("read page loads: %w", err)
	}
	for _, row := range rows {
		if err := e.loads.restore(row, e.subjects.Hash); err != nil {
			return err
		}
	}
	list, err := e.store.Issues(ctx, store.IssueQuery{})
	if err != nil {
		return fmt.Errorf("read issues: %w", err)
	}
	e.issues.load(list)
	if err := e.store.LoadUsers(ctx, issueRows, e.issues.loadUsers); err != nil {
		return fmt.Errorf("read the users of issues: %w", err)
	}
	return nil
}
