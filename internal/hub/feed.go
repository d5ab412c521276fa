package hub

import (
	"encoding/json"
	"sync"
)

// Reload is the event of a fact that says: what lies between is gone, read
// everything anew.
const Reload = "reload"

const defaultKept = 1024 // facts kept for resuming

// Fact is one numbered message of a feed.
type Fact struct {
	Seq   int64
	Event string
	Data  json.RawMessage // shared: do not change
}

// Feed numbers facts and keeps the last ones in a ring.
type Feed struct {
	mu     sync.Mutex // guards the fields below
	seq    int64      // of the last fact
	ring   []Fact     // fact n is at n % len(ring)
	oldest int64      // the first fact still kept; seq+1 when there is none
	subs   map[*FeedSubscription]struct{}
	closed bool
}

// NewFeed returns a feed whose first fact is start+1 and which keeps the last
// `kept` facts (0 means 1,024). Numbers must not repeat after a restart, so
// give it a start that grows, such as the Unix time in milliseconds.
func NewFeed(start int64, kept int) *Feed {
	if kept <= 0 {
		kept = defaultKept
	}
	return &Feed{seq: start, oldest: start + 1, ring: make([]Fact, kept), subs: map[*FeedSubscription]struct{}{}}
}

// Send encodes data as JSON once, numbers the fact and wakes all
// subscribers; it waits for none. Data that is no JSON becomes a reload fact,
// so that pages still come to the truth.
func (f *Feed) Send(event string, data any) (seq int64) {
	encoded, err := json.Marshal(data)
	if err != nil {
		event, encoded = Reload, json.RawMessage(`{}`)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq++
	f.ring[f.at(f.seq)] = Fact{Seq: f.seq, Event: event, Data: encoded}
	f.oldest = max(f.oldest, f.seq-int64(len(f.ring))+1)
	for s := range f.subs {
		s.signal()
	}
	return f.seq
}

func (f *Feed) at(seq int64) int {
	n := int64(len(f.ring))
	return int(((seq % n) + n) % n)
}

// Last is the number of the last fact.
func (f *Feed) Last() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seq
}

// Subscribe reads on after the fact lastID; 0 or less means from now on. When
// facts after lastID are no longer kept, or lastID is none of this feed's, the
// first fact is a reload. The caller must Close it.
func (f *Feed) Subscribe(lastID int64) *FeedSubscription {
	s := &FeedSubscription{feed: f, ready: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	s.next = lastID + 1
	if lastID <= 0 {
		s.next = f.seq + 1
	}
	if s.next > f.seq+1 {
		s.next = f.oldest - 1 // not a number of ours: the reader is told to reload
	}
	if f.closed {
		close(s.ready)
		return s
	}
	f.subs[s] = struct{}{}
	if s.next <= f.seq {
		s.signal()
	}
	return s
}

// Close ends all subscriptions.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for s := range f.subs {
		close(s.ready)
		delete(f.subs, s)
	}
}

// FeedSubscription is one reader's place in a feed. It holds no queue: a
// reader that falls behind what the ring keeps gets one reload fact and goes
// on from now.
type FeedSubscription struct {
	feed  *Feed
	ready chan struct{}
	next  int64 // guarded by feed.mu
}

// signal must be called with the feed's lock held.
func (s *FeedSubscription) signal() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// Ready receives when Take has something; it is closed by Feed.Close.
func (s *FeedSubscription) Ready() <-chan struct{} { return s.ready }

// Take returns the facts since the last call, oldest first, perhaps none. It
// never waits.
func (s *FeedSubscription) Take() []Fact {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.next < f.oldest {
		s.next = f.seq + 1
		return []Fact{{Seq: f.seq, Event: Reload, Data: json.RawMessage(`{}`)}}
	}
	var facts []Fact
	for ; s.next <= f.seq; s.next++ {
		facts = append(facts, f.ring[f.at(s.next)])
	}
	return facts
}

// Close ends the subscription. Closing twice is harmless.
func (s *FeedSubscription) Close() {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	delete(s.feed.subs, s)
}
