// Package clock is the one source of time of a running serin server.
//
// Pure code never asks for the time: it is given it. The engine asks the
// server's single Clock, which is the machine's clock in real use, runs faster
// than it in the demo, and is driven by hand in tests. A plan never sets it.
package clock

import (
	"sync"
	"time"
)

// A Clock tells server time. All methods may be called at the same time.
type Clock interface {
	// Now is the server's wall time, in UTC.
	Now() time.Time
	// Mono is server time since the clock began; steps of the wall clock
	// do not show in it.
	Mono() time.Duration
	// Rate is how many server seconds pass in one real second; 1 in real use.
	Rate() float64
	// Age is how long ago a client whose own clock is right stamped t, in the
	// client's seconds. Clients live in real time whatever the server's rate,
	// so on a fast clock it is not Now().Sub(t). Negative for a t to come.
	Age(t time.Time) time.Duration
	// After sends once when d of server time has passed. The returned stop
	// releases the timer; calling it twice is harmless.
	After(d time.Duration) (c <-chan time.Time, stop func())
}

// Real is the machine's clock.
func Real() Clock { return &scaled{rate: 1, epoch: time.Now(), begin: time.Time{}} }

// Fast is a clock that reads start now and then runs at rate server seconds a
// real second. A rate of 0 or below means 1.
func Fast(start time.Time, rate float64) Clock {
	if rate <= 0 {
		rate = 1
	}
	return &scaled{rate: rate, epoch: time.Now(), begin: start.UTC()}
}

type scaled struct {
	rate  float64
	epoch time.Time // real time at which the clock began
	begin time.Time // what it read then; zero: the real time
}

func (c *scaled) Now() time.Time {
	if c.begin.IsZero() {
		return time.Now().UTC()
	}
	return c.begin.Add(c.Mono())
}

func (c *scaled) Mono() time.Duration {
	return time.Duration(float64(time.Since(c.epoch)) * c.rate)
}

func (c *scaled) Rate() float64 { return c.rate }

func (c *scaled) Age(t time.Time) time.Duration { return time.Since(t) }

func (c *scaled) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(time.Duration(float64(d) / c.rate))
	return t.C, func() { t.Stop() }
}

// Manual is a Clock that stands still until Set or Advance moves it.
type Manual struct {
	mu     sync.Mutex // guards the fields below
	now    time.Time
	mono   time.Duration
	timers map[*manualTimer]struct{}
}

type manualTimer struct {
	due time.Duration
	c   chan time.Time
}

// NewManual returns a Manual that reads start.
func NewManual(start time.Time) *Manual {
	return &Manual{now: start.UTC(), timers: map[*manualTimer]struct{}{}}
}

// Advance moves wall and monotonic time by d and fires what is due.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now, m.mono = m.now.Add(d), m.mono+d
	for t := range m.timers {
		if t.due <= m.mono {
			t.c <- m.now
			delete(m.timers, t)
		}
	}
}

// Step moves the wall clock only, as an operator or a time server does.
func (m *Manual) Step(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

// Now implements Clock.
func (m *Manual) Now() time.Time { m.mu.Lock(); defer m.mu.Unlock(); return m.now }

// Mono implements Clock.
func (m *Manual) Mono() time.Duration { m.mu.Lock(); defer m.mu.Unlock(); return m.mono }

// Rate implements Clock; it is 1.
func (m *Manual) Rate() float64 { return 1 }

// Age implements Clock.
func (m *Manual) Age(t time.Time) time.Duration { return m.Now().Sub(t) }

// After implements Clock.
func (m *Manual) After(d time.Duration) (<-chan time.Time, func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &manualTimer{due: m.mono + d, c: make(chan time.Time, 1)}
	if d <= 0 {
		t.c <- m.now
		return t.c, func() {}
	}
	m.timers[t] = struct{}{}
	return t.c, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.timers, t)
	}
}
