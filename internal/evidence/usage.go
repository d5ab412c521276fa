package evidence

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"serin/internal/flag"
	"serin/internal/store"
)

const (
	usageKey       = "~flags" // the value that holds the usage of all flags
	keptUsages     = 10_000   // flags whose usage is counted
	keptMissed     = 100      // unknown keys whose misses are counted
	keptAttributes = 200      // names of context attributes
	longestKey     = 256      // bytes of a flag key that is not known
	usageShards    = 8
)

// usage counts evaluations of flags. Counting takes no lock and reads no
// clock: times are those of the last housekeeping, a minute old at most. The
// first evaluation of a flag in such a minute leaves the names of its
// context's attributes.
type usage struct {
	now   atomic.Int64 // Unix ms of the last housekeeping
	flags sync.Map     // key -> *used
	kept  atomic.Int64 // entries of flags
	since atomic.Int64 // Unix ms at which this server began to count

	mu     sync.Mutex           // guards the fields below
	missed map[string]*missedBy // by key that is no flag for its caller
	names  map[string]struct{}  // attributes of contexts
	dirty  bool
	stored bool // since is in the store
}

// used is the usage of one flag; times are Unix ms.
type used struct {
	first, last, reported atomic.Int64
	before                int64 // evaluations before the last start
	shards                [usageShards]struct {
		n atomic.Int64
		_ [56]byte // a cache line each
	}
}

// missedBy is how often a key was asked for that the caller has no flag for.
type missedBy struct {
	N    int64 `json:"n"`
	Last int64 `json:"last"`
}

func (u *used) count() int64 {
	n := u.before
	for i := range u.shards {
		n += u.shards[i].n.Load()
	}
	return n
}

// of finds or makes the entry of a flag; nil where there are too many.
func (u *usage) of(key string) *used {
	if v, ok := u.flags.Load(key); ok {
		return v.(*used)
	}
	if u.kept.Load() >= keptUsages {
		return nil
	}
	v, loaded := u.flags.LoadOrStore(strings.Clone(key), &used{})
	if !loaded {
		u.kept.Add(1)
	}
	return v.(*used)
}

// evaluated counts one answer for a flag.
func (u *usage) evaluated(key string, c flag.Context) {
	f := u.of(key)
	if f == nil {
		return
	}
	f.shards[rand.Uint32()%usageShards].n.Add(1)
	now, last := u.now.Load(), f.last.Load()
	if last == now || !f.last.CompareAndSwap(last, now) {
		return
	}
	f.first.CompareAndSwap(0, now)
	u.mu.Lock()
	defer u.mu.Unlock()
	for name := range c {
		if _, ok := u.names[name]; !ok && len(u.names) < keptAttributes && len(name) <= longestTag {
			u.names[strings.Clone(name)] = struct{}{}
		}
	}
	u.dirty = true
}

// miss counts one answer that there is no such flag.
func (u *usage) miss(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	m := u.missed[key]
	if m == nil {
		if len(key) > longestKey || len(u.missed) >= keptMissed && !u.forgetMissed() {
			return
		}
		m = &missedBy{}
		u.missed[strings.Clone(key)] = m
	}
	m.N, m.Last, u.dirty = m.N+1, u.now.Load(), true
}

// forgetMissed makes room by dropping the key that was missed longest ago, if
// that is before today, so that made-up keys cannot push out what is asked now.
func (u *usage) forgetMissed() bool {
	oldest, at := "", u.now.Load()-24*hourMS
	for key, m := range u.missed {
		if m.Last < at {
			oldest, at = key, m.Last
		}
	}
	if oldest == "" {
		return false
	}
	delete(u.missed, oldest)
	return true
}

// told notes that telemetry reported evaluations.
func (u *usage) told(flags map[string]string, at int64) {
	for key := range flags {
		if v, ok := u.flags.Load(key); ok { // a key that was never served may be anything
			f := v.(*used)
			if f.reported.Load() < at-minuteMS {
				f.reported.Store(at)
				u.mu.Lock()
				u.dirty = true
				u.mu.Unlock()
			}
		}
	}
}

func (u *usage) attributes() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Collect(maps.Keys(u.names))
}

// Usage is how each flag is asked for, by key: those that were ever evaluated,
// and keys that clients ask for in vain. since is when counting began.
func (e *Engine) Usage() (all map[string]flag.Usage, since time.Time) {
	return e.usage.all(), fromMS(e.usage.since.Load())
}

func (u *usage) all() map[string]flag.Usage {
	out := map[string]flag.Usage{}
	u.flags.Range(func(k, v any) bool {
		f := v.(*used)
		out[k.(string)] = flag.Usage{Evaluations: f.count(), First: fromMS(f.first.Load()), Last: fromMS(f.last.Load()), Reported: fromMS(f.reported.Load())}
		return true
	})
	u.mu.Lock()
	defer u.mu.Unlock()
	for key, m := range u.missed {
		one := out[key]
		one.Missed, one.MissedLast = m.N, fromMS(m.Last)
		out[key] = one
	}
	return out
}

// Evaluated learns from a recorded flag evaluation: that the flag is in use,
// or that somebody asks for one that is not there, and that a user is in the
// audience of a watched rollout. It never waits: a membership counts at once
// and is stored with the next commit, counts are stored once a minute.
// Evaluations that failed say nothing of their user. server is true when the
// caller used a server key.
func (e *Engine) Evaluated(_ context.Context, flagKey string, c flag.Context, v flag.Evaluation, server bool) {
	if v.Code == flag.FlagNotFound {
		e.usage.miss(flagKey)
		return
	}
	e.usage.evaluated(flagKey, c)
	e.traces.fetched(flagKey, c, v.Variant, server, e.usage.now.Load())
	if v.Code == "" {
		e.learn(flagKey, c)
	}
}

// Unchanged notes that a client was told that its flag is as it was: it goes
// on using it.
func (e *Engine) Unchanged(flagKey string) { e.usage.evaluated(flagKey, nil) }

// storedUsage is the JSON of usageKey.
type storedUsage struct {
	Since      int64                 `json:"since"`
	Flags      map[string]storedUsed `json:"flags"`
	Missed     map[string]*missedBy  `json:"missed,omitempty"`
	Attributes []string              `json:"attributes,omitempty"`
}

type storedUsed struct {
	N        int64 `json:"n"`
	First    int64 `json:"first"`
	Last     int64 `json:"last"`
	Reported int64 `json:"reported,omitempty"`
}

// collect writes the usage if it changed; once a minute.
func (u *usage) collect(b *batch) error {
	u.mu.Lock()
	dirty := u.dirty || !u.stored && u.now.Load()-u.since.Load() >= minuteMS
	u.dirty = false
	u.stored = u.stored || dirty
	out := storedUsage{Since: u.since.Load(), Flags: map[string]storedUsed{}, Missed: map[string]*missedBy{}, Attributes: slices.Sorted(maps.Keys(u.names))}
	for key, m := range u.missed {
		copied := *m
		out.Missed[key] = &copied
	}
	u.mu.Unlock()
	if !dirty {
		return nil
	}
	u.flags.Range(func(k, v any) bool {
		f := v.(*used)
		out.Flags[k.(string)] = storedUsed{f.count(), f.first.Load(), f.last.Load(), f.reported.Load()}
		return true
	})
	text, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("encode the usage of flags: %w", err)
	}
	b.Values = append(b.Values, store.KeyValue{Key: usageKey, Value: store.Value{Text: string(text), At: b.now}})
	return nil
}

// take moves what collect wrote out of stored values. A second load, after a
// failed commit, finds memory ahead of the store and leaves it.
func (u *usage) take(values map[string]store.Value, log *slog.Logger) {
	v, ok := values[usageKey]
	delete(values, usageKey)
	if !ok {
		return
	}
	var in storedUsage
	if err := json.Unmarshal([]byte(v.Text), &in); err != nil {
		log.Warn("usage of flags cannot be read: counting begins anew", "error", err)
		return
	}
	for key, s := range in.Flags {
		f := &used{before: s.N}
		f.first.Store(s.First)
		f.last.Store(s.Last)
		f.reported.Store(s.Reported)
		if _, loaded := u.flags.LoadOrStore(key, f); !loaded {
			u.kept.Add(1)
		}
	}
	if in.Since > 0 {
		u.since.Store(in.Since)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.dirty = true // memory may be ahead
	for key, m := range in.Missed {
		if u.missed[key] == nil && m != nil && len(u.missed) < keptMissed {
			u.missed[key] = m
		}
	}
	for _, name := range in.Attributes {
		u.names[name] = struct{}{}
	}
}

func (u *usage) tick(now time.Time) {
	u.now.Store(toMS(now))
	u.since.CompareAndSwap(0, toMS(now))
}
