package evidence

import (
	"time"

	"serin/internal/telemetry"
)

// Room in the queue runs out in three ways: by events, by the memory that they
// take, and by the time that the oldest of them waits. Each is bounded by
// Limits, and of each bound a kind may use a share only: what there is most of
// and a rollout can best do without is refused first (the order is that of the
// intake specification's rate limits). What a rollout cannot do without, and
// comes seldom, may go beyond the bounds; of time it is not refused at all.
const (
	shareSpan    = 60
	shareMetric  = 70
	shareRequest = 80
	shareError   = 100
	shareRest    = 125 // sessions, feedback, loss reports, signs of life ...
)

// shareOf is how many percent of each bound may be used before events are
// refused that came together: that of the kind which is refused first.
func shareOf(events []telemetry.Event) int {
	share := shareRest
	for i := range events {
		switch events[i].Kind {
		case telemetry.KindSpan, telemetry.KindVital:
			share = min(share, shareSpan)
		case telemetry.KindMetric:
			share = min(share, shareMetric)
		case telemetry.KindPage, telemetry.KindRequest:
			share = min(share, shareRequest)
		case telemetry.KindError:
			share = min(share, shareError)
		}
	}
	return share
}

// What an event takes beside its texts, roughly: the struct with its maps, one
// stack frame, one entry of a map.
const (
	eventBytes = 1500
	frameBytes = 120
	entryBytes = 64
)

// bytesOf is about how much memory events take.
func bytesOf(events []telemetry.Event) (n int) {
	for i := range events {
		e := &events[i]
		n += eventBytes + len(e.Message) + len(e.Title) + len(e.URL)
		if x := e.Exception; x != nil {
			n += len(x.Value)
			for j := range x.Frames {
				f := &x.Frames[j]
				n += frameBytes + len(f.Function) + len(f.Module) + len(f.File)
			}
		}
		for j := range e.Breadcrumbs {
			n += frameBytes + len(e.Breadcrumbs[j].Message)
		}
		for _, m := range [...]map[string]string{e.Tags, e.Flags, e.Attributes} {
			for k, v := range m {
				n += entryBytes + len(k) + len(v)
			}
		}
	}
	return n
}

// full reports whether the queue has no room for a request of a share. An
// empty queue has room for anything. The caller holds mu.
func (q *queue) full(r *request, l Limits, share int, now time.Time) bool {
	if len(q.waiting) == 0 {
		return false
	}
	within := func(use, bound int) bool { return use <= bound/100*share+bound%100*share/100 }
	if !within(q.events+len(r.events), l.Queue) || !within(q.bytes+r.bytes, l.QueueBytes) {
		return true
	}
	return share < shareRest && now.Sub(q.waiting[0].at) > l.Lag*time.Duration(share)/shareError
}
