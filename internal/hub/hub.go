// Package hub holds what is served now and tells the doors when it changes.
//
// Hub keeps the current compiled ruleset as an immutable snapshot: reading it
// is one atomic load. Subscribers are woken, not sent to: a wake-up says that
// there is something newer, the reader takes the latest, and wake-ups that it
// had no time for collapse into one. So nobody is waited for, and the last
// change is never lost.
//
// Await tells once when a client is first answered for a flag with a newer
// ruleset; doors say so with Served.
//
// Feed numbers facts for live pages and keeps the last ones, so that a page
// that was cut off resumes where it was.
//
// All methods of the package may be called at the same time.
package hub

import (
	"sync"
	"sync/atomic"

	"serin/internal/flag"
)

// Hub holds the current ruleset. Make one with New.
type Hub struct {
	current atomic.Pointer[flag.Ruleset]
	awaited atomic.Pointer[waiters] // nil = nobody awaits an evaluation; stored with mu held

	mu     sync.Mutex // guards the fields below, and the order of publishing
	subs   map[*Subscription]struct{}
	closed bool
}

// New returns a hub with an empty ruleset.
func New() *Hub {
	h := &Hub{subs: map[*Subscription]struct{}{}}
	h.current.Store(&flag.Ruleset{})
	return h
}

// Current is the ruleset to serve; never nil.
func (h *Hub) Current() *flag.Ruleset { return h.current.Load() }

// Publish makes rs current and wakes every subscriber. A nil ruleset, one
// older than the current one, and one equal to it are left alone, so that
// writers that overtake each other cannot take the set back.
func (h *Hub) Publish(rs *flag.Ruleset) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.current.Load()
	if rs == nil || rs.Revision() < now.Revision() || rs.ETag() == now.ETag() {
		return
	}
	h.current.Store(rs)
	for s := range h.subs {
		select {
		case s.wake <- struct{}{}:
		default: // it has a wake-up it did not take yet, and will find this set
		}
	}
}

// Subscribe begins to wake a reader for each later Publish. The caller must
// Close it. On a closed hub the subscription is closed from the start.
func (h *Hub) Subscribe() *Subscription {
	s := &Subscription{hub: h, wake: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(s.wake)
		return s
	}
	h.subs[s] = struct{}{}
	return s
}

// Subscribers is how many subscriptions are open.
func (h *Hub) Subscribers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs)
}

// Close ends all subscriptions, so that open streams end when the server
// stops. The current ruleset stays readable. Closing twice is harmless.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for s := range h.subs {
		close(s.wake)
		delete(h.subs, s)
	}
}

// Subscription wakes one reader.
type Subscription struct {
	hub  *Hub
	wake chan struct{}
}

// Changed receives after a change; several changes may be one receive. It is
// closed by Hub.Close only.
func (s *Subscription) Changed() <-chan struct{} { return s.wake }

// Close ends the subscription. Closing twice is harmless.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.subs, s)
}
