package hub

import (
	"maps"
	"slices"
	"sync/atomic"

	"serin/internal/flag"
)

// waiter waits for the first evaluation of one flag.
type waiter struct {
	revision int64 // of the ruleset, at least
	served   func()
	done     atomic.Bool
}

// waiters are those of a hub by flag key. It is never changed.
type waiters map[string][]*waiter

// Await calls served once, when a client is first answered for flag key with
// a ruleset of at least revision. It is called by the request's goroutine and
// must return at once. The returned stop ends the wait; calling it twice, or
// after the call, is harmless.
func (h *Hub) Await(key string, revision int64, served func()) (stop func()) {
	w := &waiter{revision: revision, served: served}
	h.await(func(m waiters) { m[key] = append(slices.Clone(m[key]), w) })
	return func() { h.release(key, w) }
}

// Served is told by a door that a client was answered for flag key with rs.
// While nobody awaits anything it costs one atomic load.
func (h *Hub) Served(rs *flag.Ruleset, key string) {
	if m := h.awaited.Load(); m != nil {
		h.first(*m, rs, key)
	}
}

// ServedAll is Served for each flag that is awaited and that sees is true of:
// for answers that hold many flags.
func (h *Hub) ServedAll(rs *flag.Ruleset, sees func(key string) bool) {
	m := h.awaited.Load()
	if m == nil {
		return
	}
	for key := range *m {
		if sees(key) {
			h.first(*m, rs, key)
		}
	}
}

func (h *Hub) first(m waiters, rs *flag.Ruleset, key string) {
	for _, w := range m[key] {
		if rs.Revision() >= w.revision && w.done.CompareAndSwap(false, true) {
			h.release(key, w)
			w.served()
		}
	}
}

func (h *Hub) release(key string, w *waiter) {
	h.await(func(m waiters) {
		m[key] = slices.DeleteFunc(slices.Clone(m[key]), func(o *waiter) bool { return o == w })
		if len(m[key]) == 0 {
			delete(m, key)
		}
	})
}

// await puts a changed copy of the waiters in place; nil when there are none.
func (h *Hub) await(change func(waiters)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := waiters{}
	if now := h.awaited.Load(); now != nil {
		m = maps.Clone(*now)
	}
	change(m)
	if len(m) == 0 {
		h.awaited.Store(nil)
		return
	}
	h.awaited.Store(&m)
}
