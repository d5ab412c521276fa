package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"serin/internal/notify"
	"serin/internal/store"
)

// putNotices adds notices whose id is new.
func (s *Store) putNotices(list []notify.Notice) {
	for _, n := range list {
		if s.byID[n.ID] != nil {
			continue
		}
		n.At = utc(n.At)
		o := &store.Outgoing{Notice: n}
		s.outbox, s.byID[n.ID] = append(s.outbox, o), o
	}
}

// Due implements store.Outbox.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) (out []store.Outgoing, err error) {
	err = s.read(ctx, func() error {
		for _, o := range s.outbox {
			if o.State() == store.StateWaiting && !o.Next.After(now) {
				out = append(out, *o)
			}
		}
		return nil
	})
	slices.SortStableFunc(out, func(a, b store.Outgoing) int { return a.At.Compare(b.At) })
	taken := map[string]int{}
	out = slices.DeleteFunc(out, func(o store.Outgoing) bool {
		taken[o.Address]++
		return limit > 0 && taken[o.Address] > limit
	})
	return out, err
}

// Delivered implements store.Outbox.
func (s *Store) Delivered(ctx context.Context, id string, at time.Time, with ...string) error {
	return s.write(ctx, func() error {
		if s.byID[id] == nil {
			return fmt.Errorf("notice %s: %w", id, store.ErrNotFound)
		}
		for _, one := range append([]string{id}, with...) {
			o := s.byID[one]
			if o == nil || !o.Delivered.IsZero() {
				continue
			}
			o.Tries++
			o.Delivered, o.Next, o.Error, o.Dead = utc(at), time.Time{}, "", false
			if one != id {
				o.With = id
			}
		}
		return nil
	})
}

// Failed implements store.Outbox.
func (s *Store) Failed(ctx context.Context, id string, why string, next time.Time) error {
	return s.write(ctx, func() error {
		o := s.byID[id]
		if o == nil {
			return fmt.Errorf("notice %s: %w", id, store.ErrNotFound)
		}
		if o.Delivered.IsZero() {
			o.Tries++
			o.Error, o.Next, o.Dead = why, utc(next), next.IsZero()
		}
		return nil
	})
}

// newest lists the notices that pass a test, newest first, at most limit.
func (s *Store) newest(ctx context.Context, limit int, passes func(*store.Outgoing) bool) (out []store.Outgoing, err error) {
	err = s.read(ctx, func() error {
		for _, o := range s.outbox {
			if passes(o) {
				out = append(out, *o)
			}
		}
		return nil
	})
	slices.Reverse(out)
	slices.SortStableFunc(out, func(a, b store.Outgoing) int { return b.At.Compare(a.At) })
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out, err
}

// Notices implements store.Outbox.
func (s *Store) Notices(ctx context.Context, rollout string, limit int) ([]store.Outgoing, error) {
	return s.newest(ctx, limit, func(o *store.Outgoing) bool { return rollout == "" || o.Rollout == rollout })
}

// NoticesIn implements store.Outbox.
func (s *Store) NoticesIn(ctx context.Context, state store.DeliveryState, address string, limit int) ([]store.Outgoing, error) {
	return s.newest(ctx, limit, func(o *store.Outgoing) bool {
		return (state == store.AnyState || o.State() == state) && (address == "" || o.Address == address)
	})
}

// Retry implements store.Outbox.
func (s *Store) Retry(ctx context.Context, ids []string, at time.Time, a store.AuditEntry) (n int, err error) {
	err = s.write(ctx, func() error {
		for _, id := range ids {
			if o := s.byID[id]; o != nil && o.State() == store.StateDead {
				o.Dead, o.Tries, o.Next, o.Retried = false, 0, utc(at), utc(at)
				n++
			}
		}
		s.putAudit(a)
		return nil
	})
	return n, err
}

// Channels implements store.Outbox.
func (s *Store) Channels(ctx context.Context) (out []store.ChannelSum, err error) {
	sums, newest := map[string]store.ChannelSum{}, map[string]time.Time{}
	err = s.read(ctx, func() error {
		for _, o := range s.outbox {
			c := sums[o.Address]
			c.Address = o.Address
			switch o.State() {
			case store.StateTold:
				if o.Delivered.After(c.Told) {
					c.Told = o.Delivered
				}
			case store.StateDead:
				c.Dead++
			default:
				c.Waiting++
				if c.Oldest.IsZero() || o.At.Before(c.Oldest) {
					c.Oldest = o.At
				}
			}
			if o.Error != "" && !o.At.Before(newest[o.Address]) {
				c.Error, newest[o.Address] = o.Error, o.At
			}
			sums[o.Address] = c
		}
		return nil
	})
	for _, c := range sums {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b store.ChannelSum) int { return cmp.Compare(a.Address, b.Address) })
	return out, err
}
