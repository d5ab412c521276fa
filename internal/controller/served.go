package controller

import (
	"sync/atomic"
	"time"

	"serin/internal/rollout"
)

// stopwatch measures one way back in real time: the difference of the clock's
// monotonic time divided by its rate, so that a fast clock is divided out.
// Everything but first belongs to the worker's goroutine.
type stopwatch struct {
	pos       int64         // of the event that began it; 0 = it does not run
	began     time.Duration // monotonic time of the decision
	wall      time.Time     // of the decision, where a process before this one took it; else zero
	published time.Duration // real time; 0 = not yet
	first     atomic.Int64  // monotonic time of the first answer to a client; 0 = none yet
	stop      func()        // ends the wait for it; nil = nobody waits
}

// passed is the real time between the decision and now.
func (s *stopwatch) passed(now time.Time, mono time.Duration, rate float64) time.Duration {
	d := mono - s.began
	if !s.wall.IsZero() {
		d = now.Sub(s.wall)
	}
	return max(1, time.Duration(float64(d)/rate)) // 0 would say: not yet
}

func (s *stopwatch) end() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// timed starts a stopwatch where a decision has lowered traffic or begun
// a revert; its time is the decision's own.
func (w *worker) timed(next rollout.State, events []rollout.Event) {
	if w.unread != nil {
		return // it is switched off without its plan: nothing tells which flag
	}
	for _, e := range events {
		if c := next.Lowering; c != nil && c.Pos == e.Pos {
			w.lowering.end()
			w.lowering = &stopwatch{pos: e.Pos, began: e.Mono}
		}
		if c := next.Revert; c != nil && c.Pos == e.Pos {
			w.reverting = &stopwatch{pos: e.Pos, began: e.Mono}
		}
	}
	w.follow(next)
}

// follow notes that a lowering is published, and begins to wait for its first
// client.
func (w *worker) follow(s rollout.State) {
	if s.Lowering == nil {
		w.lowering.end()
		return
	}
	l := w.lowering
	if l.pos != s.Lowering.Pos || l.stop != nil || l.first.Load() != 0 {
		return
	}
	revision, ok := w.c.flags.publishedAs(w.plan.Flag.Key, l.pos)
	if !ok {
		return // committed and not served yet: the next step tries again
	}
	clk := w.c.o.Clock
	l.published = l.passed(clk.Now(), clk.Mono(), clk.Rate())
	l.stop = w.c.o.Publisher.Await(w.plan.Flag.Key, revision, func() {
		l.first.Store(max(1, int64(clk.Mono())))
		select {
		case w.reached <- struct{}{}:
		default: // the worker will look anyway
		}
	})
}

// laps are what is known of the ways back under way. Those that an earlier
// process began are measured from their wall time on.
func (w *worker) laps(now time.Time, mono time.Duration) rollout.Clocks {
	var out rollout.Clocks
	if c := w.state.Lowering; c != nil {
		if w.lowering.pos != c.Pos {
			w.lowering.end()
			w.lowering = &stopwatch{pos: c.Pos, wall: c.At, began: mono}
		}
		w.follow(w.state)
		out.Lowering = w.lap(w.lowering, now, mono)
	}
	if c := w.state.Revert; c != nil {
		if w.reverting.pos != c.Pos {
			w.reverting = &stopwatch{pos: c.Pos, wall: c.At, began: mono}
		}
		out.Revert = w.lap(w.reverting, now, mono)
	}
	return out
}

func (w *worker) lap(s *stopwatch, now time.Time, mono time.Duration) rollout.Lap {
	rate := w.c.o.Clock.Rate()
	l := rollout.Lap{Pos: s.pos, Passed: s.passed(now, mono, rate), Published: s.published, AtMost: !s.wall.IsZero()}
	if first := time.Duration(s.first.Load()); first != 0 {
		l.Evaluated = s.passed(now.Add(first-mono), first, rate)
	}
	return l
}

// publishedAs is the revision of the rulesets from which on a decision at pos,
// or a later one, is served; false while it is not published.
func (f *Flags) publishedAs(key string, pos int64) (revision int64, ok bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	r, found := f.records[key]
	return r.Revision, found && !f.stale && r.Pos >= pos
}
