package evidence

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"serin/internal/flag"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// housekeeping is how often page loads are sealed and slow rows written.
const housekeeping = time.Minute

// Run commits what Accept queues until ctx is cancelled; then it commits what
// is queued and returns nil. After that Accept answers ErrUnavailable.
func (e *Engine) Run(ctx context.Context) error {
	e.commitGroup(context.WithoutCancel(ctx), true) // reads the shared state
	tick, stop := e.clock.After(housekeeping)
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			e.queue.close()
			e.drain(context.WithoutCancel(ctx))
			return nil
		case <-e.queue.wake:
			e.commitGroup(context.WithoutCancel(ctx), false)
		case <-tick:
			e.commitGroup(context.WithoutCancel(ctx), true)
			e.dropPanels(ctx)
			tick, stop = e.clock.After(housekeeping)
		}
	}
}

// drain commits everything that is queued, and the slow rows.
func (e *Engine) drain(ctx context.Context) {
	for {
		e.queue.mu.Lock()
		left := len(e.queue.waiting)
		e.queue.mu.Unlock()
		e.commitGroup(ctx, true)
		if left == 0 {
			return
		}
	}
}

// commitGroup makes one group durable and answers its callers.
func (e *Engine) commitGroup(ctx context.Context, tick bool) {
	list, members, refused := e.queue.take(e.limits.Group)
	if len(list)+len(members) == 0 && refused == 0 && !tick {
		return
	}
	touched, fns, err := e.apply(ctx, list, members, refused, tick)
	if err != nil {
		e.queue.giveBack(members, refused)
	}
	for _, r := range list {
		if err != nil && !errors.Is(err, ErrUnavailable) {
			r.done <- fmt.Errorf("%w: %w", ErrUnavailable, err)
		} else {
			r.done <- err
		}
	}
	if err == nil {
		for id := range touched {
			for _, fn := range fns {
				fn(id)
			}
		}
	}
	e.queue.mu.Lock()
	more := len(e.queue.waiting) > 0
	e.queue.mu.Unlock()
	if more {
		e.queue.signal()
	}
}

// apply counts the requests, appends the batch and, when that fails, marks
// the engine as broken, so that its memory is read back from the store.
func (e *Engine) apply(ctx context.Context, list []*request, members []member, refused int64, tick bool) (map[string]bool, []func(string), error) {
	e.commit.Lock()
	defer e.commit.Unlock()
	return e.write(ctx, list, members, refused, tick)
}

// write is apply for a caller that holds commit.
func (e *Engine) write(ctx context.Context, list []*request, members []member, refused int64, tick bool) (map[string]bool, []func(string), error) {
	began := time.Now()
	b, touched, fns, err := e.build(ctx, list, members, refused, tick)
	if err == nil && !b.empty() {
		if err = e.store.AppendEvidence(ctx, b.Batch); err != nil {
			err = fmt.Errorf("append evidence: %w", err)
		}
	}
	if err != nil {
		e.mu.Lock()
		e.broken = true
		e.mu.Unlock()
		e.metrics.failures.Inc()
		e.log.Error("evidence was not stored", "error", err, "requests", len(list))
		return nil, nil, err
	}
	e.stored(b.Counters)
	e.metrics.commits.Observe(time.Since(began).Seconds())
	return touched, fns, nil
}

// stored adds what a batch counted, once it is in the store: a counter never
// tells of more than would be found after a restart.
func (e *Engine) stored(counters map[string]int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for k, v := range counters {
		e.counters[k] += v
	}
	e.metrics.add(counters)
}

func (e *Engine) build(ctx context.Context, list []*request, members []member, refused int64, tick bool) (*batch, map[string]bool, []func(string), error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.ready(ctx); err != nil {
		return nil, nil, nil, err
	}
	b := &batch{now: e.clock.Now(), tick: tick, touched: map[string]bool{}}
	if tick {
		e.usage.tick(b.now)
	}
	e.refuse(b, refused)
	for _, m := range members {
		b.Users = append(b.Users, m.row())
		if r := e.rollouts[m.rollout]; r != nil {
			r.members.add(m.user) // it may have been loaded again since
		}
	}
	for _, r := range list {
		for _, kv := range r.values {
			e.setValue(b, kv)
		}
		if r.triage != nil {
			if err := e.issues.triage(r.triage.id, r.triage.change, b.now); err != nil {
				r.triage.err = err
			}
		}
		for i := range r.events {
			e.accept(b, &r.events[i])
		}
		b.count(countAcknowledged, int64(len(r.events)))
	}
	if tick {
		e.seal(b)
		e.age(b)
	}
	if err := e.collect(b); err != nil {
		return nil, nil, nil, err
	}
	return b, b.touched, e.arrival, nil
}

// ready loads the shared state once, and everything again after a failure.
// The caller holds commit and mu.
func (e *Engine) ready(ctx context.Context) error {
	if e.loaded && !e.broken {
		return nil
	}
	e.reset()
	if err := e.loadShared(ctx); err != nil {
		return err
	}
	for id, r := range e.rollouts {
		fresh, err := e.load(ctx, r.target)
		if err != nil {
			return fmt.Errorf("read the evidence of %s: %w", id, err)
		}
		e.rollouts[id] = fresh
	}
	for id, a := range e.alerts {
		fresh, err := e.loadAlert(ctx, a.rule)
		if err != nil {
			return fmt.Errorf("read the counts of alert %s: %w", id, err)
		}
		e.alerts[id] = fresh
	}
	for key, c := range e.panels {
		fresh, err := e.loadPanel(ctx, c.panel)
		if err != nil {
			return err
		}
		e.panels[key] = fresh
	}
	e.publishWatched()
	e.loaded, e.broken = true, false
	return nil
}

// batch is a store.Batch under construction.
type batch struct {
	store.Batch
	now     time.Time
	tick    bool            // once a minute: write what need not be written at once
	touched map[string]bool // rollouts to be judged at once

	lastUser string // whom lastHash is of: one event goes to many rollouts
	lastHash uint64
	shared   shared  // of the event that is being added
	arms     []armOf // what addEverywhere found of it last
}

// userHash is the function of that name, computed once for users in a row.
func (b *batch) userHash(user string) uint64 {
	if user != b.lastUser {
		b.lastUser, b.lastHash = user, userHash(user)
	}
	return b.lastHash
}

// armOf is the arm of an event in a rollout.
type armOf struct {
	rollout *rollout
	arm     telemetry.Arm // known
}

func (b *batch) count(name string, n int64) {
	if n == 0 {
		return
	}
	if b.Counters == nil {
		b.Counters = map[string]int64{}
	}
	b.Counters[name] += n
}

func (b *batch) empty() bool {
	return len(b.Cells)+len(b.Users)+len(b.Seen)+len(b.Samples)+len(b.Issues)+len(b.Values)+len(b.Counters)+len(b.Pending)+len(b.Sealed) == 0
}

// refuse counts events that were turned away as lost in every rollout.
func (e *Engine) refuse(b *batch, n int64) {
	b.count(countRefused, n)
	if n == 0 {
		return
	}
	for _, r := range e.rollouts {
		x := &adder{r: r, b: b, at: toMS(b.now)}
		x.put(seriesLost, 0, sample{at: x.at, n: n})
	}
}

// accept counts one event: deduplicated, joined to its page load, in every
// rollout's cells and in its issue.
func (e *Engine) accept(b *batch, ev *telemetry.Event) {
	if ev.Received.IsZero() {
		copied := *ev
		copied.Received = b.now
		ev = &copied
	}
	if ev.ID != "" && deduplicated(ev) {
		h := eventHash(ev.Project, ev.ID)
		if e.seen.add(h, b.now) {
			b.count(countDuplicate, 1)
			return
		}
		b.Seen = append(b.Seen, store.Seen{Hash: h, At: b.now})
	}
	b.count(countCounted, 1)
	b.count(countedKind+ev.Kind.String(), 1)
	if ev.Late {
		b.count(countLate, 1)
	}
	e.traces.sent(ev)
	e.heard[flag.ProjectOf(ev.Project)] = toMS(b.now)
	switch ev.Kind {
	case telemetry.KindValue:
		if strings.HasPrefix(ev.Op, reservedMark) {
			return // the server's own
		}
		e.setValue(b, store.KeyValue{Key: valueKey(ev.Project, ev.Op), Value: store.Value{Text: valueText(ev), At: ev.Received}})
		return
	case telemetry.KindVital:
		e.vital(b, ev)
		return
	case telemetry.KindMetric:
		e.point(b, ev)
		return
	case telemetry.KindLoss:
		b.count(countLost, int64(ev.Value))
	}
	e.delivered(b, ev)
	e.daily.add(ev)
	e.points.spanned(ev)
	e.usage.told(ev.Flags, toMS(ev.Received))
	joined := e.loads.join(ev)
	places := e.addEverywhere(b, joined)
	if ev.Kind == telemetry.KindPage {
		if kept := e.loads.open(ev, places, b.now); !kept {
			e.panelAdd(b, ev)
		}
	}
	if ev.Kind == telemetry.KindError && !ev.Late {
		e.issue(b, joined)
	}
}

// deduplicated reports whether an event's id names it once for all. A vital's
// id and a session's name things that are sent again with newer values.
func deduplicated(ev *telemetry.Event) bool {
	switch ev.Kind {
	case telemetry.KindVital, telemetry.KindCheckIn:
		return false
	case telemetry.KindSession:
		return ev.Session == nil || ev.Session.ID == ""
	}
	return true
}

// addEverywhere counts an event in every watched rollout.
func (e *Engine) addEverywhere(b *batch, ev *telemetry.Event) []place {
	places := e.hours.add(ev)
	e.alertAdd(b, ev)
	if ev.Kind != telemetry.KindPage { // those are counted when they are sealed
		e.panelAdd(b, ev)
	}
	watched, conflict := false, false
	b.shared.begin(ev)
	b.arms = b.arms[:0]
	for _, r := range e.rollouts {
		if !r.of(ev) {
			continue
		}
		watched = true
		o := r.add(b)
		places = append(places, o.places...)
		conflict = conflict || o.conflict
		if o.arm != telemetry.Unknown {
			b.arms = append(b.arms, armOf{r, o.arm})
		}
		if o.counted {
			b.touched[r.target.Rollout] = true
		}
	}
	if watched && len(b.arms) == 0 && attributable(ev.Kind) {
		b.count(countNoArm, 1)
	}
	if conflict {
		b.count(countConflict, 1)
	}
	return places
}

// collect gathers the rows that changed.
func (e *Engine) collect(b *batch) error {
	for id, r := range e.rollouts {
		if err := r.collect(b); err != nil {
			return fmt.Errorf("evidence of %s: %w", id, err)
		}
	}
	if err := e.loads.collect(b); err != nil {
		return err
	}
	if err := e.collectAlerts(b); err != nil {
		return err
	}
	e.collectPanels(b)
	if b.tick {
		for id, r := range e.rollouts {
			if err := r.collectLoss(b); err != nil {
				return fmt.Errorf("evidence of %s: %w", id, err)
			}
		}
		if err := e.daily.collect(b); err != nil {
			return err
		}
		if err := e.hours.collect(b); err != nil {
			return err
		}
		if err := e.usage.collect(b); err != nil {
			return err
		}
	}
	return e.issues.collect(b)
}

// age lets go of what is too old to change.
func (e *Engine) age(b *batch) {
	e.seen.expire(b.now)
	e.points.forget(b)
	for _, r := range e.rollouts {
		r.age(b)
	}
	e.ageAlerts(toMS(b.now))
	e.agePanels(b.now)
}
