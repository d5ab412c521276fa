package memory

import (
	"context"
	"fmt"
	"slices"

	"serin/internal/rollout"
	"serin/internal/store"
)

// Commit implements store.Rollouts.
func (s *Store) Commit(ctx context.Context, c store.Commit) error {
	if err := c.Validate(); err != nil {
		return err
	}
	state, err := clone(c.State)
	if err != nil {
		return err
	}
	events, err := cloneAll(c.Events)
	if err != nil {
		return err
	}
	var flag *store.FlagRecord
	if c.Flag != nil {
		f, err := cloneFlag(*c.Flag)
		if err != nil {
			return err
		}
		flag = &f
	}
	companions, err := cloneFlags(c.Companions)
	if err != nil {
		return err
	}
	return s.write(ctx, func() error {
		if err := s.mayCommit(c.State.ID, c.Expect, flag); err != nil {
			return err
		}
		for i := range companions {
			if err := s.mayCommit(c.State.ID, c.Expect, &companions[i]); err != nil {
				return err
			}
		}
		j := s.rollouts[c.State.ID]
		if j == nil {
			j = &journal{}
			s.rollouts[c.State.ID] = j
			s.order = append(s.order, c.State.ID)
		}
		j.state, j.events = state, append(j.events, events...)
		if len(c.Input) > 0 {
			j.decisions = append(j.decisions, store.Decision{First: c.Expect + 1, Last: c.State.Pos, Input: slices.Clone(c.Input)})
		}
		if flag != nil {
			s.putFlag(*flag)
		}
		for _, f := range companions {
			s.putFlag(f)
		}
		if c.Plan != nil {
			s.sources[store.SourceHash(c.Plan)] = append([]byte{}, c.Plan...)
		}
		s.putNotices(c.Notices)
		s.putAudit(c.Audit...)
		return nil
	})
}

// mayCommit checks position and flag before anything is changed.
func (s *Store) mayCommit(id string, expect int64, f *store.FlagRecord) error {
	var last int64
	if j := s.rollouts[id]; j != nil {
		last = int64(len(j.events))
	}
	if last != expect {
		return fmt.Errorf("%w: the journal of %s is at position %d, expected %d", store.ErrConflict, id, last, expect)
	}
	if f == nil {
		return nil
	}
	old := s.flags[f.Definition.Key]
	owner := s.rollouts[old.Owner]
	return f.Supersedes(old, id, owner == nil || store.Over(owner.state.Status))
}

// States implements store.Rollouts.
func (s *Store) States(ctx context.Context) (out []rollout.State, err error) {
	err = s.read(ctx, func() error {
		for _, id := range s.order {
			st, err := clone(s.rollouts[id].state)
			if err != nil {
				return err
			}
			out = append(out, st)
		}
		return nil
	})
	return out, err
}

// State implements store.Rollouts.
func (s *Store) State(ctx context.Context, id string) (st rollout.State, err error) {
	err = s.read(ctx, func() error {
		j := s.rollouts[id]
		if j == nil {
			return fmt.Errorf("rollout %s: %w", id, store.ErrNotFound)
		}
		st, err = clone(j.state)
		return err
	})
	return st, err
}

// Journal implements store.Rollouts.
func (s *Store) Journal(ctx context.Context, id string, after int64, limit int) (out []rollout.Event, err error) {
	err = s.read(ctx, func() error {
		j := s.rollouts[id]
		if j == nil || after >= int64(len(j.events)) {
			return nil
		}
		events := j.events[max(after, 0):]
		if limit > 0 && len(events) > limit {
			events = events[:limit]
		}
		out, err = cloneAll(events)
		return err
	})
	return out, err
}

// Decision implements store.Rollouts.
func (s *Store) Decision(ctx context.Context, id string, pos int64) (d store.Decision, err error) {
	err = s.read(ctx, func() error {
		if j := s.rollouts[id]; j != nil {
			for _, d = range j.decisions {
				if d.First <= pos && pos <= d.Last {
					d.Input = slices.Clone(d.Input)
					return nil
				}
			}
		}
		return fmt.Errorf("input of %s at %d: %w", id, pos, store.ErrNotFound)
	})
	if err != nil {
		d = store.Decision{}
	}
	return d, err
}
