package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"serin/internal/clock"
	"serin/internal/notify"
	"serin/internal/store"
)

// Delivery limits. Back-off is real time whatever the server clock's rate:
// the services live in real time.
const (
	firstRetry   = time.Second
	longestRetry = 5 * time.Minute
	giveUpAfter  = 24 * time.Hour
	deliverLimit = 15 * time.Second
	courierBatch = 1000
	// horizon is how far ahead the outbox is read: a notice that waits for its
	// next try keeps the later ones of its channel waiting.
	horizon = 100 * 365 * 24 * time.Hour
)

// dashboardAddress is the address of notices that are told by being stored.
const dashboardAddress = "dashboard"

// Courier delivers the outbox: at least once to the service, with the
// notice's id as its deduplication key, in order within a channel. A slow
// channel does not delay another.
type Courier struct {
	store   store.Outbox
	clock   clock.Clock
	log     *slog.Logger
	metrics *metrics
	fault   func(string)
	wakeup  chan struct{}
	settled chan string // channels whose round is over
	turns   turns       // one delivery at a time to a channel: rounds and tests
	tests   testLimit

	mu        sync.Mutex // guards notifiers and runners
	notifiers map[string]notify.Notifier
	runners   map[string]notify.Runner // by whole address
}

func newCourier(o Options, m *metrics) *Courier {
	return &Courier{store: o.Store, clock: o.Clock, log: o.Logger, metrics: m, fault: o.Fault,
		wakeup: make(chan struct{}, 1), settled: make(chan string), notifiers: map[string]notify.Notifier{},
		runners: map[string]notify.Runner{}}
}

// Use sets the notifier of an address scheme, such as "slack" or "webhook",
// or of one whole address. Addresses of scheme "dashboard" need none: a
// notice to them is delivered by being stored. A nil n takes the notifier away.
func (c *Courier) Use(address string, n notify.Notifier) {
	c.mu.Lock()
	if n == nil {
		delete(c.notifiers, address)
	} else {
		c.notifiers[address] = n
	}
	c.mu.Unlock()
	c.wake()
}

// Knows reports whether notices to address can be delivered.
func (c *Courier) Knows(address string) bool {
	return address == dashboardAddress || c.notifier(address) != nil
}

// reach lists where notices can be delivered, as plan.ServerFacts wants it:
// "slack:" for every address of a scheme, or one whole address.
func (c *Courier) reach() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]string, 0, len(c.notifiers))
	for address := range c.notifiers {
		if !strings.Contains(address, ":") {
			address += ":"
		}
		out = append(out, address)
	}
	return out
}

func (c *Courier) notifier(address string) notify.Notifier {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.notifiers[address]; n != nil {
		return n
	}
	scheme, _, _ := strings.Cut(address, ":")
	return c.notifiers[scheme]
}

func (c *Courier) wake() {
	select {
	case c.wakeup <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends, and waits for deliveries under way.
func (c *Courier) Run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	busy := map[string]bool{} // channel address -> a round is under way
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-c.wakeup:
		case address := <-c.settled:
			delete(busy, address)
		}
		now := c.clock.Now()
		waiting, err := c.store.Due(ctx, now.Add(horizon), courierBatch)
		if err != nil && ctx.Err() == nil {
			c.log.Error("read outbox", "err", err)
		}
		for address, round := range byAddress(waiting) {
			if busy[address] || head(address, round).Next.After(now) {
				continue
			}
			busy[address] = true
			group.Go(func() {
				c.round(ctx, round)
				select {
				case c.settled <- address:
				case <-ctx.Done():
				}
			})
		}
		timer.Reset(firstRetry)
	}
}

// byAddress takes notices apart by channel and keeps their order.
func byAddress(due []store.Outgoing) map[string][]store.Outgoing {
	out := map[string][]store.Outgoing{}
	for _, o := range due {
		out[o.Address] = append(out[o.Address], o)
	}
	return out
}

// round delivers one channel's notices in order and stops at the first that
// has to wait, so that none overtakes another. What waits for a deploy hook is
// carried out all at once.
func (c *Courier) round(ctx context.Context, notices []store.Outgoing) {
	if hooked(notices[0].Address) {
		c.carryOut(ctx, notices)
		return
	}
	for _, o := range notices {
		if ctx.Err() != nil || !c.deliver(ctx, o) {
			return
		}
	}
}

// deliver tries one notice; false means that it has to be tried again.
func (c *Courier) deliver(ctx context.Context, o store.Outgoing) bool {
	err := c.send(ctx, o.Notice)
	now := c.clock.Now()
	if err == nil {
		c.fault("after send")
		c.metrics.notices.WithLabelValues("delivered").Inc()
		if err := c.store.Delivered(ctx, o.ID, now); err != nil {
			c.log.Error("mark notice delivered", "notice", o.ID, "err", err)
			return false
		}
		return true
	}
	if ctx.Err() != nil {
		return false // the server stops: nobody knows what became of it, so the next one tries again
	}
	after, temporary := notify.Temporary(err)
	temporary = temporary || errors.Is(err, context.DeadlineExceeded)
	var next time.Time
	if temporary && now.Sub(o.At) < c.scale(giveUpAfter) {
		next = now.Add(c.scale(max(after, backoff(o.Tries))))
	}
	outcome := "retried"
	if next.IsZero() {
		outcome = "dead"
	}
	c.metrics.notices.WithLabelValues(outcome).Inc()
	c.log.Warn("deliver notice", "notice", o.ID, "outcome", outcome, "err", err)
	if err := c.store.Failed(ctx, o.ID, err.Error(), next); err != nil {
		c.log.Error("note failed notice", "notice", o.ID, "err", err)
	}
	return next.IsZero()
}

func (c *Courier) send(ctx context.Context, n notify.Notice) error {
	if n.Address == dashboardAddress {
		return nil
	}
	to := c.notifier(n.Address)
	if to == nil {
		return fmt.Errorf("channel %s: the server has no notifier for %q: configure it and send the notice again", n.Channel, n.Address)
	}
	ctx, cancel := context.WithTimeout(ctx, deliverLimit)
	defer cancel()
	done, ok := c.turns.take(ctx, n.Address)
	if !ok {
		return ctx.Err()
	}
	defer done()
	return to.Deliver(ctx, n)
}

// scale turns real time into server time.
func (c *Courier) scale(d time.Duration) time.Duration {
	return time.Duration(float64(d) * c.clock.Rate())
}

// backoff doubles from firstRetry to longestRetry with up to a fifth of jitter.
func backoff(tries int) time.Duration {
	d := min(firstRetry<<min(tries, 20), longestRetry)
	return d + time.Duration(rand.Int64N(int64(d)/5))
}
