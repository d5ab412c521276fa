package clock

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Driven is a Clock that stands still until Advance moves it from one due
// timer to the next. It is for driving a whole server: each of its loops keeps
// one timer armed while it waits and none while it works, so the count of
// armed timers says whether everything that a timer set off is done. Who
// drives calls AwaitArmed between two moves; then each tick sees a world in
// which the one before is over, and the same drive has the same outcome.
type Driven struct {
	mu     sync.Mutex // guards the fields below
	now    time.Time
	mono   time.Duration
	timers []*drivenTimer // in the order of arming
	armed  chan struct{}  // closed and replaced when a timer is armed
}

type drivenTimer struct {
	due time.Duration
	c   chan time.Time
}

// NewDriven returns a Driven that reads start.
func NewDriven(start time.Time) *Driven {
	return &Driven{now: start.UTC(), armed: make(chan struct{})}
}

// Advance moves wall and monotonic time to the first armed timer that is due
// at to or before, and fires it; of timers due at one time the one armed
// first. Without such a timer it moves to to and answers false. A to in the
// past moves nothing.
func (d *Driven) Advance(to time.Time) (fired bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	end, first := d.mono+to.Sub(d.now), -1
	for i, t := range d.timers {
		if t.due <= end && (first < 0 || t.due < d.timers[first].due) {
			first = i
		}
	}
	if first >= 0 {
		t := d.timers[first]
		d.move(t.due)
		d.timers = slices.Delete(d.timers, first, first+1)
		t.c <- d.now
		return true
	}
	d.move(end)
	return false
}

// move moves time to mono, never back; mu is held.
func (d *Driven) move(mono time.Duration) {
	if by := mono - d.mono; by > 0 {
		d.now, d.mono = d.now.Add(by), mono
	}
}

// AwaitArmed waits until at least n timers are armed. The error is ctx's, and
// says how many there are.
func (d *Driven) AwaitArmed(ctx context.Context, n int) error {
	for {
		d.mu.Lock()
		armed, changed := len(d.timers), d.armed
		d.mu.Unlock()
		if armed >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d loops wait for the clock: %w", armed, n, ctx.Err())
		}
	}
}

// Now implements Clock.
func (d *Driven) Now() time.Time { d.mu.Lock(); defer d.mu.Unlock(); return d.now }

// Mono implements Clock.
func (d *Driven) Mono() time.Duration { d.mu.Lock(); defer d.mu.Unlock(); return d.mono }

// Rate implements Clock; it is 1.
func (d *Driven) Rate() float64 { return 1 }

// Age implements Clock: clients of a driven server live in its time.
func (d *Driven) Age(t time.Time) time.Duration { return d.Now().Sub(t) }

// After implements Clock. What is due at once is sent at once and never armed.
func (d *Driven) After(wait time.Duration) (<-chan time.Time, func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := &drivenTimer{due: d.mono + wait, c: make(chan time.Time, 1)}
	if wait <= 0 {
		t.c <- d.now
		return t.c, func() {}
	}
	d.timers = append(d.timers, t)
	close(d.armed)
	d.armed = make(chan struct{})
	return t.c, func() { d.disarm(t) }
}

func (d *Driven) disarm(t *drivenTimer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(d.timers, t); i >= 0 {
		d.timers = slices.Delete(d.timers, i, i+1)
	}
}
