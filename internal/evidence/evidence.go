// Package evidence turns events into what rules are judged by.
//
// Engine is its main type. Accept takes decoded events and returns when they
// are durable: many calls join one commit (group commit), made by the one
// goroutine of Run. Each event is attributed to the arms of every watched
// rollout and added to minute cells, one for each (rollout, metric, group,
// allocation interval); View answers the judge from them. Error events are
// grouped into issues. Whether or not a rollout is watched, the telemetry of
// each day is summed up (daily.go), for lint (Facts), that of each hour
// (hours.go), for comparisons with the baseline, which hours imported from
// elsewhere complete (imports.go), how flags are asked for is counted (usage.go), and so is what the panels of plans ask (panel.go). Users who were served a flag and never heard of again are
// counted by arm (loss.go).
//
// Promises: an event whose Accept returned nil is in the store and counted
// once, also when it is sent again within an hour; an Accept that failed left
// nothing behind, because a failed commit makes the engine read its state
// back from the store. A restart answers the same windows as before. Memory
// is bounded by Limits and by the number of series, minutes and users.
//
// Windows are exact to the millisecond for the first 64 events of each minute
// of a series (see cell); the rest of a minute is spread evenly, and so is a
// minute of more than 16 events once it is too old to change. Users are exact
// in the same way. A view may contain events of the commit under way.
//
// Where ids of users are hashed (Options.Subjects), Accept and Evaluated find
// arms by the id and everything below works with its digest. Forget removes one
// user from memory and store.
//
// Stored under the rollout's id: cells, user rows, and beside them event
// hashes, values with the days and the usage of flags among them, counters,
// pending page loads, issues and samples; the
// encodings are in docs/formats/evidence.md. The rules come from the intake
// specification (grouping, sealing, attribution, signs of life) and from
// docs/statistics.md (affected users, starts, blocks).
package evidence

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"serin/internal/clock"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// The errors of Accept; test with errors.Is.
var (
	// ErrOverload: the queue is full. The events were not taken; try later.
	ErrOverload = errors.New("evidence queue is full: send again later")
	// ErrUnavailable: shutting down, or the store failed. Nothing was taken.
	ErrUnavailable = errors.New("evidence is unavailable: send again later")
)

// Store is the part of the store that the engine needs.
type Store interface {
	store.Evidence
	store.Issues
	store.Forgets
	// DropCounts removes the cells of one key before a minute, see store.Alerts.
	DropCounts(ctx context.Context, key string, before int64) (int64, error)
}

// Limits bound the engine. Zero fields take the defaults.
type Limits struct {
	Queue      int           // events waiting for a commit, D 20,000; see room.go
	QueueBytes int           // about how much memory they may take, D 64 MiB
	Lag        time.Duration // how long the oldest of them may wait, in real time, until others are refused, D 10 s
	Group      int           // events of one commit, D 5,000
	Samples    int           // stored samples of one issue, D 50
	Pending    int           // page loads waiting for their vitals, D 100,000
	Sessions   int           // sessions remembered of one rollout, D 500,000
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{{&l.Queue, 20_000}, {&l.QueueBytes, 64 << 20}, {&l.Group, 5_000}, {&l.Samples, 50}, {&l.Pending, 100_000}, {&l.Sessions, 500_000}} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	if l.Lag <= 0 {
		l.Lag = 10 * time.Second
	}
	return l
}

// Options configure an Engine. Store and Clock are required.
type Options struct {
	Store    Store
	Clock    clock.Clock
	Logger   *slog.Logger          // nil: nothing is logged
	Registry prometheus.Registerer // nil: no metrics
	Limits   Limits
	Subjects telemetry.Subjects // by what name users are stored
}

// Engine is the evidence of a server. All methods may be called at the same
// time. It needs Run to be running.
type Engine struct {
	store   Store
	clock   clock.Clock
	log     *slog.Logger
	limits  Limits
	metrics *meters
	// subjects names users in all that is stored. Accept applies it.
	subjects telemetry.Subjects

	// commit serialises everything that writes to the store or loads from it.
	// It is taken before mu.
	commit sync.Mutex

	importing sync.Mutex // one Import at a time; taken before mu

	mu       sync.Mutex // guards the fields below
	rollouts map[string]*rollout
	seen     seenSet
	loads    loads
	issues   issues
	values   map[string]store.Value
	// pullErrors says why a source that is asked gave no value, by the value's key.
	pullErrors map[string]string
	daily      daily
	hours      hours
	points     points
	alerts     map[string]*alertCounts // stand-alone alert rules, by id
	panels     map[string]*panelCounts // of plans, by key
	// panelsDropped is when old steps were last removed from the store.
	panelsDropped time.Time
	heard         map[string]int64 // newest arrival of a project, Unix ms
	began         int64            // when the engine was made, Unix ms
	losses        map[string]loss  // as read at the last load, by rollout
	counters      map[string]int64 // as stored
	arrival       []func(rollout string)
	loaded        bool // the shared state was read from the store
	broken        bool // memory may hold what the store does not: reload first

	// What shared calls the questions of the rollouts.
	audienceIDs, filterIDs sharedIDs

	watched atomic.Pointer[map[string][]audience] // by flag key, for Evaluated
	usage   usage                                 // has its own locks
	traces  traces                                // takes none

	queue queue
}

// New makes an engine. Run must be started for Accept to return.
func New(o Options) *Engine {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{store: o.Store, clock: o.Clock, log: log, limits: o.Limits.withDefaults(), metrics: newMeters(o.Registry), subjects: o.Subjects}
	e.usage.missed, e.usage.names = map[string]*missedBy{}, map[string]struct{}{}
	e.usage.tick(o.Clock.Now())
	e.traces = newTraces(o.Clock.Now())
	e.alerts, e.heard, e.began = map[string]*alertCounts{}, map[string]int64{}, toMS(o.Clock.Now())
	e.reset()
	e.queue.wake = make(chan struct{}, 1)
	e.watched.Store(&map[string][]audience{})
	return e
}

// reset forgets the shared state, as before the first load.
func (e *Engine) reset() {
	measured := e.loads.measured
	e.seen, e.loads, e.issues = newSeenSet(maxSeen), newLoads(e.limits.Pending), newIssues(e.limits.Samples)
	e.loads.measured = measured
	e.hours = newHours()
	e.points = newPoints(toMS(e.clock.Now()))
	e.values, e.counters, e.daily = map[string]store.Value{}, map[string]int64{}, newDaily()
	e.loaded = false
	if e.rollouts == nil {
		e.rollouts = map[string]*rollout{}
	}
}

// Accept makes events durable; it implements the intake's Sink. It returns
// after the commit that holds them, with nil, ErrOverload, ErrUnavailable or
// the context's error; in the last case the events may still be counted.
// Duplicates are acknowledged and not counted. The engine keeps the events:
// the caller must not change them afterwards.
func (e *Engine) Accept(ctx context.Context, events []telemetry.Event) error {
	if len(events) == 0 {
		return nil
	}
	for i := range events {
		e.subjects.Pseudonymize(&events[i])
	}
	r := &request{events: events, bytes: bytesOf(events), done: make(chan error, 1)}
	if err := e.queue.push(r, e.limits, shareOf(events)); err != nil {
		e.metrics.refused.Add(float64(len(events)))
		return err
	}
	return wait(ctx, r)
}

func wait(ctx context.Context, r *request) error {
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// OnArrival registers fn, called after each commit for every rollout in whose
// scope an event was counted by a count metric, and with AlertKey for every
// stand-alone alert rule that counted one. fn must not block.
func (e *Engine) OnArrival(fn func(rollout string)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.arrival = append(e.arrival, fn)
}

// Counters returns how much telemetry was acknowledged, counted, duplicate,
// refused, late, unattributed and so on, since the store was created. Beside
// "counted" stand its parts by kind, as "counted:error" (telemetry.Kind).
func (e *Engine) Counters() map[string]int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make(map[string]int64, len(e.counters)+1)
	for k, v := range e.counters {
		out[k] = v
	}
	out[countRefused] += e.queue.refusedSoFar()
	return out
}

// The names of the counters.
const (
	countAcknowledged = "acknowledged" // events of Accepts that were committed
	countCounted      = "counted"      // of these, taken into the evidence
	countDuplicate    = "duplicate"    // of these, seen before
	countRefused      = "refused"      // events refused for overload
	countLate         = "late"         // counted in charts only
	countVitalLate    = "vital_late"   // vitals after their page load was sealed
	countNoArm        = "unattributed"
	countConflict     = "attribution_conflict"
	countLost         = "lost"     // what clients reported as lost
	countedKind       = "counted:" // and a kind's name: part of counted
)

// request is one caller waiting for a commit.
type request struct {
	events []telemetry.Event
	bytes  int       // about how much memory they take
	at     time.Time // when it joined the queue, in real time
	values []store.KeyValue
	triage *triage
	done   chan error
}

// queue holds requests until the committer takes them.
type queue struct {
	mu      sync.Mutex // guards the fields below
	waiting []*request
	events  int
	bytes   int
	members []member
	refused int64
	last    time.Time // of the last refusal, in real time
	closed  bool
	wake    chan struct{}
}

// maxMembersWaiting bounds the memberships that wait for a commit.
const maxMembersWaiting = 100_000

func (q *queue) push(r *request, l Limits, share int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrUnavailable
	}
	r.at = time.Now()
	if q.full(r, l, share, r.at) {
		q.refused, q.last = q.refused+int64(len(r.events)), r.at
		return ErrOverload
	}
	q.waiting, q.events, q.bytes = append(q.waiting, r), q.events+len(r.events), q.bytes+r.bytes
	q.signal()
	return nil
}

func (q *queue) pushMember(m member) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.members) >= maxMembersWaiting {
		return false
	}
	q.members = append(q.members, m)
	q.signal()
	return true
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns the next requests, of at most limit events but at least one.
func (q *queue) take(limit int) (list []*request, members []member, refused int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size, bytes := 0, 0, 0
	for n < len(q.waiting) && (n == 0 || size+len(q.waiting[n].events) <= limit) {
		size += len(q.waiting[n].events)
		bytes += q.waiting[n].bytes
		n++
	}
	list = append(list, q.waiting[:n]...)
	clear(q.waiting[:n])
	if q.waiting = q.waiting[n:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	q.events, q.bytes = q.events-size, q.bytes-bytes
	members, q.members = q.members, nil
	refused, q.refused = q.refused, 0
	return list, members, refused
}

// giveBack returns what a failed commit took beside the requests.
func (q *queue) giveBack(members []member, refused int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.members = append(members, q.members...)
	q.refused += refused
}

func (q *queue) refusedSoFar() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.refused
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

func toMS(t time.Time) int64 { return t.UnixMilli() }

// fromMS is the inverse of toMS; 0 is the zero time.
func fromMS(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
