package health

import (
	"context"
	"fmt"
	"sync"
	"time"

	"serin/internal/clock"
)

// Wall notices that the wall clock was set back, by comparing it with the
// monotonic clock: an offset between the two that gets smaller. A machine that
// slept makes it larger. The reason holds until the clock passes the latest
// time that it has shown. Its Check may be called at any time and rarely.
type Wall struct {
	clock clock.Clock

	mu     sync.Mutex // guards the fields below
	offset time.Duration
	begin  time.Time // wall time of offset 0
	latest time.Time // while the clock is back: the latest time it has shown
}

// smallStep is a step that nobody has to know of.
const smallStep = 2 * time.Second

// NewWall watches c. A seen time that is later than c's, such as that of the
// last journal entry, shows that the clock was set back while nobody watched.
func NewWall(c clock.Clock, seen time.Time) *Wall {
	w := &Wall{clock: c, begin: c.Now().Add(-c.Mono())}
	if seen.After(c.Now().Add(smallStep)) {
		w.latest = seen
	}
	return w
}

// Check is a Check.
func (w *Wall) Check(context.Context) []Reason {
	w.mu.Lock()
	defer w.mu.Unlock()
	// The two are not read at one moment: on a fast clock more lies between.
	allowed := time.Duration(float64(smallStep) * max(1, w.clock.Rate()))
	mono, now := w.clock.Mono(), w.clock.Now()
	offset := now.Sub(w.begin) - mono
	if w.latest.IsZero() && w.offset-offset > allowed {
		w.latest = w.begin.Add(w.offset + mono)
	}
	if now.After(w.latest) {
		w.latest = time.Time{}
		w.offset = offset
	}
	if w.latest.IsZero() {
		return nil
	}
	return []Reason{{ClockBack, Warning, fmt.Sprintf("The clock was set back: it reads %s and has shown %s already. Schedules by the time of day are off until it has passed that: check time synchronization (NTP).",
		now.UTC().Format(time.RFC3339), w.latest.UTC().Format(time.RFC3339))}}
}
