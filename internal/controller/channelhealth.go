package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"serin/internal/store"
)

// channelLog is how deliveries went since the process began, by address. The
// zero value is ready.
type channelLog struct {
	mu sync.Mutex // guards by
	by map[string]channelFacts
}

// channelFacts are those of one address; zero times are "not since the start".
type channelFacts struct {
	told   time.Time // last success
	failed time.Time // last error
	since  time.Time // first error since the last success; zero = the last try succeeded
	why    string    // of the last error
}

func (l *channelLog) change(address string, f func(*channelFacts)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil {
		l.by = map[string]channelFacts{}
	}
	facts := l.by[address]
	f(&facts)
	l.by[address] = facts
}

func (l *channelLog) delivered(address string, now time.Time) {
	l.change(address, func(f *channelFacts) { f.told, f.since = now, time.Time{} })
}

func (l *channelLog) failed(address string, now time.Time, why string) {
	l.change(address, func(f *channelFacts) {
		f.failed, f.why = now, why
		if f.since.IsZero() {
			f.since = now
		}
	})
}

func (l *channelLog) of(address string) channelFacts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.by[address]
}

// ChannelHealth is how a channel does.
type ChannelHealth struct {
	Address string `json:"address"`
	Waiting int64  `json:"waiting"` // notices to be delivered
	Dead    int64  `json:"dead"`    // given up, until somebody retries them or they are old
	// Oldest is the notice that has waited longest; zero = none waits.
	Oldest time.Time `json:"oldest,omitzero"`
	Told   time.Time `json:"last_success,omitzero"` // zero = never, as far as notices are kept
	Failed time.Time `json:"last_error_at,omitzero"`
	Error  string    `json:"last_error,omitempty"` // the service's answer; "" = none is known
	// Since is when what fails began to; zero = the last try succeeded.
	Since time.Time `json:"failing_since,omitzero"`
}

// health joins what is stored of a channel with what was seen since the start.
func (c *Courier) healthOf(sum store.ChannelSum) ChannelHealth {
	seen := c.health.of(sum.Address)
	h := ChannelHealth{Address: sum.Address, Waiting: sum.Waiting, Dead: sum.Dead, Oldest: sum.Oldest,
		Told: sum.Told, Failed: seen.failed, Error: cmp.Or(seen.why, sum.Error), Since: seen.since}
	if seen.told.After(h.Told) {
		h.Told = seen.told
	}
	if h.Since.IsZero() && h.Waiting > 0 && seen.told.IsZero() && sum.Error != "" {
		h.Since = sum.Oldest // it failed before the server started
	}
	return h
}

// Health lists how every channel does that notices were written for, by address.
func (c *Courier) Health(ctx context.Context) ([]ChannelHealth, error) {
	sums, err := c.store.Channels(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the health of channels: %w", err)
	}
	out := make([]ChannelHealth, 0, len(sums))
	for _, sum := range sums {
		if sum.Address != dashboardAddress && !hooked(sum.Address) {
			out = append(out, c.healthOf(sum))
		}
	}
	return out, nil
}

// retriedAtOnce bounds the dead notices that one command takes up again.
const retriedAtOnce = 1000

// NoticesIn lists notices in one state, newest first, at most limit (0 = all),
// of one address ("" = any).
func (c *Controller) NoticesIn(ctx context.Context, state store.DeliveryState, address string, limit int) ([]store.Outgoing, error) {
	out, err := c.o.Store.NoticesIn(ctx, state, address, limit)
	if err != nil {
		return nil, fmt.Errorf("read notices: %w", err)
	}
	return out, nil
}

// Retry takes dead notices up again: those named, or with none all of address
// ("" = any), the oldest first and at most a thousand. It returns how many
// there were, writes the audit log and wakes the courier.
func (c *Controller) Retry(ctx context.Context, ids []string, address string, by store.AuditEntry) (int, error) {
	if len(ids) == 0 {
		dead, err := c.NoticesIn(ctx, store.StateDead, address, 0)
		if err != nil {
			return 0, err
		}
		slices.Reverse(dead)
		for _, o := range dead[:min(len(dead), retriedAtOnce)] {
			ids = append(ids, o.ID)
		}
	}
	if len(ids) == 0 {
		return 0, nil
	}
	now := c.o.Clock.Now()
	by.At, by.Verb, by.Target = now, "retry notices", "outbox"
	if address != "" {
		by.Target = "channel " + address
	}
	by.Reason = strings.TrimSpace(fmt.Sprintf("%d notices. %s", len(ids), by.Reason))
	n, err := c.o.Store.Retry(ctx, ids, now, by)
	if err != nil {
		return 0, fmt.Errorf("retry notices: %w", err)
	}
	c.courier.wake()
	return n, nil
}

// WithHealth adds to channels how they do, and those that notices were written
// for although neither a plan under way nor the configuration names them.
func (c *Controller) WithHealth(ctx context.Context, all []ChannelState) ([]ChannelState, error) {
	health, err := c.courier.Health(ctx)
	if err != nil {
		return nil, err
	}
	at := make(map[string]int, len(all))
	for i, s := range all {
		at[s.Address] = i
	}
	for _, h := range health {
		i, listed := at[h.Address]
		switch {
		case !listed && h.Waiting+h.Dead == 0:
			continue
		case !listed:
			i = len(all)
			s := ChannelState{Address: h.Address, Plans: []string{}, Connected: c.courier.Knows(h.Address), Notice: "waiting"}
			if h.Dead > 0 {
				s.Notice = "dead"
			}
			if !s.Connected {
				s.Why = notConnected(h.Address)
			}
			all = append(all, s)
		}
		all[i].Health = &h
	}
	slices.SortFunc(all, func(a, b ChannelState) int { return cmp.Compare(a.Address, b.Address) })
	return all, nil
}
