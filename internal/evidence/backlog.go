package evidence

import "time"

// Backlog tells of the events that wait for a commit.
type Backlog struct {
	Waiting, Limit int
	Refused        time.Time // when events were last refused for want of room, in real time; zero = never
}

// Backlog returns what waits now.
func (e *Engine) Backlog() Backlog {
	e.queue.mu.Lock()
	defer e.queue.mu.Unlock()
	return Backlog{e.queue.events, e.limits.Queue, e.queue.last}
}
