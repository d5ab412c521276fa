package evidence

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/telemetry"
)

// How many users are remembered for Trace. A newer user takes the slot of an
// older one with the same hash, so that both memories are bounded.
const (
	tracedFetches = 1 << 16 // pairs of user and flag
	tracedEvents  = 1 << 13 // users with their newest event
)

// traces remembers, since the start of the server and not in the store, who
// fetched which flag and what each user sent last. It takes no lock.
type traces struct {
	seed    maphash.Seed
	began   time.Time
	fetches []atomic.Pointer[fetched]
	events  []atomic.Pointer[telemetry.Event]
}

type fetched struct {
	user, flag string
	Fetch
}

// Fetch is the newest answer of a flag door to a user. The zero value is none.
type Fetch struct {
	At      time.Time // to the minute
	Variant string
	Server  bool // asked with a server key, else by a page
}

// Trace is what is remembered of one user and one flag.
type Trace struct {
	Since    time.Time        // nothing is remembered of before
	Fetch    Fetch            // by targeting key; zero = none is remembered
	Event    *telemetry.Event // newest with this user's id, shared: not to be changed; nil = none is remembered
	Rollouts []TracedRollout  // those that split the flag, by id
}

// TracedRollout is what one rollout makes of the user's newest event, by the
// split of now.
type TracedRollout struct {
	Rollout     string
	Member      bool // the user is known to be in the audience
	Audience    bool // the plan has one
	Attribution telemetry.Attribution
	Tagged      bool     // the event carries all of scope.tags
	OnPage      bool     // the event lies on scope.pages; true where none are given
	Counted     []string // metrics that take the event in some group, in the plan's order
}

func newTraces(now time.Time) traces {
	return traces{
		seed: maphash.MakeSeed(), began: now,
		fetches: make([]atomic.Pointer[fetched], tracedFetches), events: make([]atomic.Pointer[telemetry.Event], tracedEvents),
	}
}

func (t *traces) fetchSlot(user, flagKey string) *atomic.Pointer[fetched] {
	h := maphash.String(t.seed, user) ^ maphash.String(t.seed, flagKey)*3
	return &t.fetches[h%tracedFetches]
}

func (t *traces) eventSlot(project, user string) *atomic.Pointer[telemetry.Event] {
	h := maphash.String(t.seed, user) ^ maphash.String(t.seed, flag.ProjectOf(project))*3
	return &t.events[h%tracedEvents]
}

// fetched notes an answer; now is in Unix ms. It allocates once a minute for
// a user and flag, or when the answer is another.
func (t *traces) fetched(flagKey string, c flag.Context, variant string, server bool, now int64) {
	user, _ := c["targetingKey"].(string)
	if user == "" || len(user) > longestKey {
		return
	}
	slot := t.fetchSlot(user, flagKey)
	if old := slot.Load(); old != nil && old.user == user && old.flag == flagKey && old.Variant == variant && old.Server == server && toMS(old.At) == now {
		return
	}
	slot.Store(&fetched{strings.Clone(user), strings.Clone(flagKey), Fetch{fromMS(now), variant, server}})
}

// sent notes a user's event without its stack.
func (t *traces) sent(e *telemetry.Event) {
	user := userOf(e)
	if user == "" {
		return
	}
	kept := *e
	if kept.Exception != nil {
		x := *kept.Exception
		x.Frames = nil
		kept.Exception = &x
	}
	t.eventSlot(e.Project, user).Store(&kept)
}

func userOf(e *telemetry.Event) string {
	if e.User != "" {
		return e.User
	}
	return e.SessionUser
}

// Trace follows a user of a project's flag: the newest fetch, and the newest
// event of the project, that this server remembers since its start, and what the rollouts of the flag make of the
// event. A user whom a newer one displaced is not remembered. It counts nothing.
func (e *Engine) Trace(project, flagKey, user string) Trace {
	out := Trace{Since: e.traces.began}
	if f := e.traces.fetchSlot(user, flagKey).Load(); f != nil && f.user == user && f.flag == flagKey {
		out.Fetch = f.Fetch
	}
	name := e.subjects.Name(project, user)
	if ev := e.traces.eventSlot(project, name).Load(); ev != nil && userOf(ev) == name && sameProject(ev.Project, project) {
		out.Event = ev
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, r := range e.rollouts {
		if r.target.Split.Flag == flagKey && r.target.Project == flag.ProjectOf(project) {
			out.Rollouts = append(out.Rollouts, r.trace(id, &telemetry.Event{User: name, Key: user}, out.Event))
		}
	}
	slices.SortFunc(out.Rollouts, func(a, b TracedRollout) int { return strings.Compare(a.Rollout, b.Rollout) })
	return out
}

// trace attributes an event as add does, and counts nothing. Without an event
// it tells of the user alone.
func (r *rollout) trace(id string, user, e *telemetry.Event) TracedRollout {
	known := e != nil
	if !known {
		e = user
	}
	x := &adder{r: r, e: e, a: telemetry.Attribute(&r.attr, e, r.members.has), page: r.attr.OnPage(e)}
	out := TracedRollout{
		Rollout: id, Audience: len(r.attr.Split.Audience.Terms) > 0, Member: x.a.Member, Attribution: x.a,
		Tagged: r.attr.Tagged(e), OnPage: x.page,
	}
	if !known || e.Late || !r.attr.InEnvironment(e) {
		return out
	}
	x.scope()
	for _, d := range r.defs {
		if !d.m.All && !slices.Contains(x.in[:], true) || d.m.Kind == plan.Computed || e.Kind == telemetry.KindSession {
			continue
		}
		if _, _, ok := d.measure(e); ok {
			out.Counted = append(out.Counted, d.m.Name)
		}
	}
	return out
}
