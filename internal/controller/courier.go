package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
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
	// shortestWait bounds how often the courier looks whether a channel may be used again.
	shortestWait = 10 * time.Millisecond
	courierBatch = 1000 // of one channel
	// horizon is how far ahead the outbox is read: a notice that waits for its
	// next try keeps the later ones of its channel waiting.
	horizon = 100 * 365 * 24 * time.Hour
)

// dashboardAddress is the address of notices that are told by being stored.
const dashboardAddress = "dashboard"

// Courier delivers the outbox: at least once to the service, with the
// notice's id as its deduplication key, in order within a channel. A slow
// channel does not delay another, and none is called more often than its
// service allows (allowances). What waits is told by as few messages as say
// all that is still true (compose).
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
	pace    pace
	health  channelLog
	link    string // to all alerts; "" = none

	mu        sync.Mutex // guards notifiers and runners
	notifiers map[string]notify.Notifier
	runners   map[string]notify.Runner // by whole address
}

func newCourier(o Options, m *metrics) *Courier {
	link := ""
	if o.BaseURL != "" {
		link = strings.TrimSuffix(o.BaseURL, "/") + "/alerts"
	}
	return &Courier{store: o.Store, clock: o.Clock, log: o.Logger, metrics: m, fault: o.Fault, link: link,
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
	var reading readings
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-c.wakeup:
		case address := <-c.settled:
			delete(busy, address)
		}
		if wait := reading.wait(); wait > 0 {
			timer.Reset(wait)
			continue
		}
		now := c.clock.Now()
		waiting, err := c.store.Due(ctx, now.Add(horizon), courierBatch)
		reading.done()
		if err != nil && ctx.Err() == nil {
			c.log.Error("read outbox", "err", err)
		}
		next := firstRetry
		for address, round := range byAddress(waiting) {
			if busy[address] {
				continue
			}
			if wait := c.waits(address, round, now); wait > 0 {
				next = min(next, max(c.unscale(wait), shortestWait))
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
		timer.Reset(next)
	}
}

// waits is how long a channel's next message has to wait at now.
func (c *Courier) waits(address string, round []store.Outgoing, now time.Time) time.Duration {
	wait := max(0, head(address, round).Next.Sub(now))
	if hooked(address) {
		return wait
	}
	return max(wait, c.pace.wait(address, c.clock.Mono(), c.scale))
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
	address := notices[0].Address
	for len(notices) > 0 && ctx.Err() == nil && c.pace.take(address, c.clock.Mono(), c.scale) == 0 {
		m := compose(c.notifier(address), notices, c.link, c.clock.Now())
		if !c.deliver(ctx, m) {
			return
		}
		if m.summary || m.digest != nil {
			c.pace.rest(address, c.clock.Mono(), summaryPause, c.scale)
		}
		notices = untold(notices, m.notices)
	}
}

// untold is list without the notices of told.
func untold(list, told []store.Outgoing) []store.Outgoing {
	gone := make(map[string]bool, len(told))
	for _, o := range told {
		gone[o.ID] = true
	}
	return slices.DeleteFunc(slices.Clone(list), func(o store.Outgoing) bool { return gone[o.ID] })
}

// deliver tries one message; false means that it has to be tried again. What
// a service refuses for good as one message of several notices is tried once
// more as the oldest of them alone: what was wrong may be another one.
func (c *Courier) deliver(ctx context.Context, m message) bool {
	err := c.send(ctx, m)
	if _, temporary := retried(err); err != nil && !temporary && ctx.Err() == nil && len(m.notices) > 1 {
		c.log.Warn("deliver several notices as one message", "address", m.notices[0].Address, "notices", len(m.notices), "err", err)
		m = alone(m.notices)
		if err = c.send(ctx, m); err == nil {
			c.told(ctx, m)
			return false // the rest is put together anew
		}
	}
	if err == nil {
		return c.told(ctx, m)
	}
	if ctx.Err() != nil {
		return false // the server stops: nobody knows what became of it, so the next one tries again
	}
	return c.failed(ctx, m, err)
}

// told marks what a message told of.
func (c *Courier) told(ctx context.Context, m message) bool {
	c.fault("after send")
	now := c.clock.Now()
	c.metrics.notices.WithLabelValues("delivered").Inc()
	c.metrics.notices.WithLabelValues("told with another").Add(float64(len(m.notices) - 1))
	c.health.delivered(m.notices[0].Address, now)
	if err := c.store.Delivered(ctx, m.id(), now, m.with()...); err != nil {
		c.log.Error("mark notice delivered", "notice", m.id(), "err", err)
		return false
	}
	return true
}

// retried reports whether an error of a delivery may go away, and how long the
// service asked to wait.
func retried(err error) (after time.Duration, ok bool) {
	after, ok = notify.Temporary(err)
	return after, ok || errors.Is(err, context.DeadlineExceeded)
}

// failed plans the next try of a message, by its oldest notice, or gives its
// notices up; false means that it is tried again.
func (c *Courier) failed(ctx context.Context, m message, err error) bool {
	now, oldest := c.clock.Now(), m.notices[0]
	began := oldest.At
	if oldest.Retried.After(began) {
		began = oldest.Retried
	}
	var next time.Time
	if after, temporary := retried(err); temporary && now.Sub(began) < c.scale(giveUpAfter) {
		next = now.Add(c.scale(max(after, backoff(oldest.Tries))))
	}
	outcome, tried := "retried", m.notices[:1]
	if next.IsZero() {
		outcome, tried = "dead", m.notices
	}
	c.health.failed(oldest.Address, now, err.Error())
	for _, o := range tried {
		c.metrics.notices.WithLabelValues(outcome).Inc()
		c.log.Warn("deliver notice", "notice", o.ID, "outcome", outcome, "err", err)
		if err := c.store.Failed(ctx, o.ID, err.Error(), next); err != nil {
			c.log.Error("note failed notice", "notice", o.ID, "err", err)
		}
	}
	return next.IsZero()
}

// send hands a message to the notifier of its address.
func (c *Courier) send(ctx context.Context, m message) error {
	address := m.notices[0].Address
	if address == dashboardAddress {
		return nil
	}
	to := c.notifier(address)
	if to == nil {
		return fmt.Errorf("channel %s: the server has no notifier for %q: configure it and send the notice again", m.notices[0].Channel, address)
	}
	ctx, cancel := context.WithTimeout(ctx, deliverLimit)
	defer cancel()
	done, ok := c.turns.take(ctx, address)
	if !ok {
		return ctx.Err()
	}
	defer done()
	if m.digest != nil {
		d, ok := to.(notify.Digester)
		if !ok { // another configuration since
			return &notify.RetryError{Err: errors.New("the channel was configured anew")}
		}
		return d.Digest(ctx, m.digest)
	}
	c.fault("before send")
	return to.Deliver(ctx, m.notice)
}

// scale turns real time into server time.
func (c *Courier) scale(d time.Duration) time.Duration {
	return time.Duration(float64(d) * c.clock.Rate())
}

// unscale turns server time into real time.
func (c *Courier) unscale(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.clock.Rate())
}

// backoff doubles from firstRetry to longestRetry with up to a fifth of jitter.
func backoff(tries int) time.Duration {
	d := min(firstRetry<<min(tries, 20), longestRetry)
	return d + time.Duration(rand.Int64N(int64(d)/5))
}
