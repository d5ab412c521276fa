package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"serin/internal/store"
	"serin/internal/telemetry"
)

type cellKey struct {
	rollout, metric string
	attempt         int
	group           uint8
	interval        int
	minute          int64
}

type userKey struct{ rollout, metric, user string }

// AppendEvidence implements store.Evidence.
func (s *Store) AppendEvidence(ctx context.Context, b store.Batch) error {
	samples, err := cloneSamples(b.Samples)
	if err != nil {
		return err
	}
	issues, err := cloneAll(b.Issues)
	if err != nil {
		return err
	}
	return s.write(ctx, func() error {
		if err := s.mayPutIssues(issues); err != nil {
			return err
		}
		for _, c := range b.Cells {
			s.cells[cellKey{c.Rollout, c.Metric, c.Attempt, c.Group, c.Interval, c.Minute}] = bytes.Clone(c.Data)
		}
		for _, u := range b.Users {
			s.users[userKey{u.Rollout, u.Metric, u.User}] = bytes.Clone(u.Data)
		}
		for _, e := range b.Seen {
			s.seen[e.Hash] = utc(e.At)
		}
		for _, i := range issues {
			s.issues[i.ID] = i
		}
		s.putSamples(samples)
		for _, v := range b.Values {
			s.values[v.Key] = store.Value{Text: v.Text, At: utc(v.At)}
		}
		for name, n := range b.Counters {
			s.counters[name] += n
		}
		for _, p := range b.Pending {
			s.pending[p.ID] = store.Pending{ID: p.ID, Due: utc(p.Due), Data: bytes.Clone(p.Data)}
		}
		for _, id := range b.Sealed {
			delete(s.pending, id)
		}
		return nil
	})
}

func cloneSamples(list []store.Sample) ([]store.Sample, error) {
	out := make([]store.Sample, 0, len(list))
	for _, sm := range list {
		e, err := clone(store.CleanEvent(sm.Event))
		if err != nil {
			return nil, fmt.Errorf("sample of issue %s: %w", sm.Issue, err)
		}
		out = append(out, store.Sample{Issue: sm.Issue, Event: e})
	}
	return out, nil
}

// putSamples appends samples; one with the id of an earlier one takes its place.
func (s *Store) putSamples(list []store.Sample) {
	for _, sm := range list {
		at := -1
		if sm.Event.ID != "" {
			at = slices.IndexFunc(s.samples, func(o store.Sample) bool {
				return o.Event.ID == sm.Event.ID && o.Event.Project == sm.Event.Project
			})
		}
		if at >= 0 {
			s.samples[at] = sm
		} else {
			s.samples = append(s.samples, sm)
		}
	}
}

// LoadCells implements store.Evidence.
func (s *Store) LoadCells(ctx context.Context, rollout string, since int64, fn func(store.Cell) error) error {
	var list []store.Cell
	err := s.read(ctx, func() error {
		for k, data := range s.cells {
			if k.rollout == rollout && k.minute >= since {
				list = append(list, store.Cell{Rollout: k.rollout, Attempt: k.attempt, Metric: k.metric, Group: k.group,
					Interval: k.interval, Minute: k.minute, Data: bytes.Clone(data)})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b store.Cell) int {
		return cmp.Or(cmp.Compare(a.Minute, b.Minute), cmp.Compare(a.Metric, b.Metric), cmp.Compare(a.Group, b.Group),
			cmp.Compare(a.Attempt, b.Attempt), cmp.Compare(a.Interval, b.Interval))
	})
	return each(list, fn)
}

// LoadUsers implements store.Evidence.
func (s *Store) LoadUsers(ctx context.Context, rollout string, fn func(store.UserRow) error) error {
	var list []store.UserRow
	err := s.read(ctx, func() error {
		for k, data := range s.users {
			if k.rollout == rollout {
				list = append(list, store.UserRow{Rollout: k.rollout, Metric: k.metric, User: k.user, Data: bytes.Clone(data)})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b store.UserRow) int {
		return cmp.Or(strings.Compare(a.Metric, b.Metric), strings.Compare(a.User, b.User))
	})
	return each(list, fn)
}

// LoadSeen implements store.Evidence.
func (s *Store) LoadSeen(ctx context.Context, since time.Time, fn func(store.Seen) error) error {
	var list []store.Seen
	err := s.read(ctx, func() error {
		for hash, at := range s.seen {
			if !at.Before(since) {
				list = append(list, store.Seen{Hash: hash, At: at})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b store.Seen) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Hash, b.Hash)) })
	return each(list, fn)
}

// each calls fn without the lock, so that fn may use the store.
func each[T any](list []T, fn func(T) error) error {
	for _, v := range list {
		if err := fn(v); err != nil {
			return err
		}
	}
	return nil
}

// Values implements store.Evidence.
func (s *Store) Values(ctx context.Context) (out map[string]store.Value, err error) {
	err = s.read(ctx, func() error { out = maps.Clone(s.values); return nil })
	return out, err
}

// Counters implements store.Evidence.
func (s *Store) Counters(ctx context.Context) (out map[string]int64, err error) {
	err = s.read(ctx, func() error { out = maps.Clone(s.counters); return nil })
	return out, err
}

// Pending implements store.Evidence; the page load that is due first comes first.
func (s *Store) Pending(ctx context.Context) (out []store.Pending, err error) {
	err = s.read(ctx, func() error {
		for _, p := range s.pending {
			p.Data = bytes.Clone(p.Data)
			out = append(out, p)
		}
		return nil
	})
	slices.SortFunc(out, func(a, b store.Pending) int { return cmp.Or(a.Due.Compare(b.Due), strings.Compare(a.ID, b.ID)) })
	return out, err
}

// Events implements store.Evidence.
func (s *Store) Events(ctx context.Context, issue string, limit int) (out []telemetry.Event, err error) {
	err = s.read(ctx, func() error {
		for _, sm := range newest(s.samples, limit, func(sm store.Sample) bool { return issue == "" || sm.Issue == issue }) {
			e, err := clone(sm.Event)
			if err != nil {
				return err
			}
			out = append(out, e)
		}
		return nil
	})
	return out, err
}

// mayPutIssues checks that no grouping hash would be held by two issues.
func (s *Store) mayPutIssues(list []store.Issue) error {
	type group struct{ project, hash string }
	held := map[group]string{}
	for _, i := range s.issues {
		held[group{i.Project, i.Hash}] = i.ID
	}
	for _, i := range list {
		g := group{i.Project, i.Hash}
		if id, ok := held[g]; ok && id != i.ID {
			return fmt.Errorf("%w: issue %s has the grouping hash of %s", store.ErrConflict, i.ID, id)
		}
		held[g] = i.ID
	}
	return nil
}

// Issues implements store.Issues.
func (s *Store) Issues(ctx context.Context, q store.IssueQuery) (out []store.Issue, err error) {
	err = s.read(ctx, func() error {
		for _, i := range s.issues {
			if q.Status != "" && i.Status != q.Status || q.Rollout != "" && !touches(i, q.Rollout) {
				continue
			}
			c, err := clone(i)
			if err != nil {
				return err
			}
			out = append(out, c)
		}
		return nil
	})
	slices.SortFunc(out, func(a, b store.Issue) int {
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), strings.Compare(a.ID, b.ID))
	})
	if q.Limit > 0 && len(out) > q.Limit {
		out = out[:q.Limit]
	}
	return out, err
}

// touches reports whether i has events in an arm of rollout.
func touches(i store.Issue, rollout string) bool {
	for arm := range i.Arms {
		if strings.HasPrefix(arm, rollout+"/") {
			return true
		}
	}
	return false
}

// Issue implements store.Issues.
func (s *Store) Issue(ctx context.Context, id string) (out store.Issue, err error) {
	err = s.read(ctx, func() error {
		i, ok := s.issues[id]
		if !ok {
			return fmt.Errorf("issue %s: %w", id, store.ErrNotFound)
		}
		out, err = clone(i)
		return err
	})
	return out, err
}
