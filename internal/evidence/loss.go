package evidence

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"serin/internal/judge"
	"serin/internal/stats"
	"serin/internal/store"
	"serin/internal/telemetry"
)

const (
	// lossPrefix begins the values that hold what exposures showed.
	lossPrefix = "~exposed "
	// lossGrace is how long after an evaluation telemetry of its user may come.
	lossGrace = 30 * time.Minute
	// lossOdds is the ratio of the odds of being silent up to which arms count
	// as alike: a new feature may keep people for longer.
	lossOdds = 1.1
)

// exposures notes whom the flag was evaluated for, with the arm that the hash
// assigns, each user once an attempt: an arm whose users send less telemetry
// than the other's looks better than it is. Flag evaluations write it.
type exposures struct {
	known sync.Map // users as stored; read without the lock, as most evaluations are repeated

	mu       sync.Mutex // guards the fields below
	noted    int        // users in known
	target   telemetry.Target
	interval int // -1: nothing is noted
	sample   int // bits of the sample's hash that must be 0
	waiting  []exposure
}

// exposure is one user who was served a variant.
type exposure struct {
	user     uint64 // as stored with the evidence
	arm      telemetry.Arm
	interval int
	at       int64 // Unix ms, a minute exact
}

// note records an evaluation for user, who is stored as name. Users beyond
// stats.SampleStop are not noted.
func (x *exposures) note(user, name string, lookup func(string) (string, bool), now int64) {
	if _, ok := x.known.Load(name); ok {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.interval < 0 || x.noted >= stats.SampleStop {
		return
	}
	if x.sample > 0 && !stats.InSample(stats.SampleHash(x.target.Split.Flag, user), x.sample) {
		return
	}
	if x.named(user, lookup) {
		return
	}
	name = strings.Clone(name)
	if _, again := x.known.LoadOrStore(name, struct{}{}); again {
		return
	}
	x.noted++
	x.waiting = append(x.waiting, exposure{userHash(name), x.target.Assign(user), x.interval, now})
}

// named reports whether the plan includes or excludes the user by name.
func (x *exposures) named(user string, lookup func(string) (string, bool)) bool {
	e := telemetry.Event{User: user, Attributes: map[string]string{}}
	for _, key := range []string{"tenant", "groups"} {
		if value, ok := lookup(key); ok {
			e.Attributes[key], e.Attributes[userPrefix+key] = value, value
		}
	}
	return x.target.Named(&e, user)
}

// stand tells where the rollout stands; a new attempt notes everybody anew.
func (x *exposures) stand(t *Target, fresh bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.target, x.interval, x.sample = telemetry.Target{Split: t.Split}, -1, 0
	if fresh {
		x.known.Clear()
		x.noted, x.waiting = 0, nil
	}
	if i := len(t.Intervals) - 1; t.Active && i >= 0 && t.Intervals[i].Odds > 0 && t.Intervals[i].Odds <= 1e6 {
		x.interval = i
		if i < len(t.sample) {
			x.sample = t.sample[i]
		}
	}
}

// inherit takes over what was noted under the plan before a revision.
func (x *exposures) inherit(old *exposures) {
	old.mu.Lock()
	defer old.mu.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	old.known.Range(func(user, _ any) bool { x.known.Store(user, struct{}{}); return true })
	x.noted, x.waiting = old.noted, old.waiting
	old.interval = -1 // evaluations under way note nothing more there
}

// due takes the exposures whose users have had their time.
func (x *exposures) due(now int64) []exposure {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := 0
	for n < len(x.waiting) && x.waiting[n].at+lossGrace.Milliseconds() <= now {
		n++
	}
	out := x.waiting[:n:n]
	x.waiting = x.waiting[n:]
	return out
}

// loss is what became of exposed users, by the hour in which their time was
// over. A block is judged once its hour has passed. It is stored as JSON.
type loss struct {
	Attempt int           `json:"attempt"`
	Runs    int           `json:"runs"` // processes that counted: each may count a user again
	Open    int64         `json:"open"` // Unix hours of the blocks still open
	Opened  []stats.Block `json:"opened,omitempty"`
	Closed  []stats.Block `json:"closed,omitempty"`

	// Unequal and Mismatch are alarms, of this and of sample ratio mismatch: they
	// stand to the end of the attempt, whatever comes after.
	Unequal  bool `json:"unequal,omitempty"`
	Mismatch bool `json:"mismatch,omitempty"`

	joined bool // this process is among Runs
	dirty  bool
}

// settle counts the exposed users whose time is over.
func (r *rollout) settle(now int64) {
	if r.loss.Attempt != r.target.Attempt {
		r.loss = loss{Attempt: r.target.Attempt}
	}
	l := &r.loss
	if !l.Mismatch && r.mismatch() {
		l.Mismatch, l.dirty = true, true
	}
	if hour := now / hourMS; len(l.Opened) > 0 && l.Open != hour {
		l.Closed, l.Opened, l.dirty = append(l.Closed, l.Opened...), nil, true
		l.judge()
	}
	for _, x := range r.exposed.due(now) {
		if x.interval >= len(r.target.Intervals) {
			continue
		}
		if !l.joined {
			l.joined, l.Runs = true, l.Runs+1
		}
		l.Open = now / hourMS
		l.count(x, r.target.Intervals[x.interval].Stage, r.heard(x))
	}
}

// heard reports whether telemetry of a user came after the evaluation; its
// time is a minute exact.
func (r *rollout) heard(x exposure) bool {
	for _, g := range [2]judge.Group{judge.AssignedNew, judge.AssignedOld} {
		if s := r.peek(seriesActive, int(g)); s != nil && s.heard(x.user) >= x.at-minuteMS {
			return true
		}
	}
	return false
}

func (l *loss) count(x exposure, stage int, heard bool) {
	l.dirty = true
	n := len(l.Opened)
	if n == 0 || l.Opened[n-1].Interval != x.interval {
		l.Opened, n = append(l.Opened, stats.Block{Interval: x.interval, Stage: stage}), n+1
	}
	b := &l.Opened[n-1]
	all, silent := &b.New, &b.BadNew
	if x.arm == telemetry.Old {
		all, silent = &b.Old, &b.BadOld
	}
	if *all++; !heard {
		*silent++
	}
}

// judge tests both directions at half the level each. Only closed blocks count.
func (l *loss) judge() {
	limit := math.Log(2 / srmAlpha)
	lost, swapped := make([]stats.Block, len(l.Closed)), make([]stats.Block, len(l.Closed))
	for i, b := range l.Closed {
		b.Psi0 = lossOdds
		lost[i] = b
		b.BadNew, b.New, b.BadOld, b.Old = b.BadOld, b.Old, b.BadNew, b.New
		swapped[i] = b
	}
	phi := float64(max(l.Runs, 1))
	l.Unequal = l.Unequal || stats.OddsE(lost, phi) >= limit || stats.OddsE(swapped, phi) >= limit
}

// collectLoss writes what exposures showed, once a minute where it changed.
func (r *rollout) collectLoss(b *batch) error {
	if !r.loss.dirty {
		return nil
	}
	text, err := json.Marshal(&r.loss)
	if err != nil {
		return fmt.Errorf("encode exposures: %w", err)
	}
	r.loss.dirty = false
	b.Values = append(b.Values, store.KeyValue{Key: lossPrefix + r.target.Rollout, Value: store.Value{Text: string(text), At: b.now}})
	return nil
}

// takeLosses moves what collectLoss wrote out of stored values. One that
// cannot be read is left out: the count begins anew.
func takeLosses(values map[string]store.Value, log *slog.Logger) map[string]loss {
	out := map[string]loss{}
	for key, v := range values {
		id, ok := strings.CutPrefix(key, lossPrefix)
		if !ok {
			continue
		}
		delete(values, key)
		var l loss
		if err := json.Unmarshal([]byte(v.Text), &l); err != nil {
			log.Warn("what exposures showed cannot be read: it is counted anew", "rollout", id, "error", err)
			continue
		}
		out[id] = l
	}
	return out
}

// expose notes an evaluation with the rollouts of its flag.
func (r *audience) expose(user, name string, lookup func(string) (string, bool), now int64) {
	if len(r.terms) > 0 {
		if met, known := telemetry.Meets(r.terms, lookup); !met || !known {
			return
		}
	}
	r.exposed.note(user, name, lookup, now)
}
