package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"serin/internal/rollout"
	"serin/internal/store"
)

// Commit implements store.Rollouts. On a full disk a decision that takes
// traffic down is tried again in the room that was kept for it.
func (s *Store) Commit(ctx context.Context, c store.Commit) error {
	if err := c.Validate(); err != nil {
		return err
	}
	err := s.commit(ctx, c)
	if !c.Lowers || s.spare == nil || !errors.Is(err, store.ErrFull) {
		return err
	}
	if none := s.spare(); none != nil {
		return errors.Join(err, none)
	}
	s.log.Warn("the disk is full: its reserve was used to take traffic down", "rollout", c.State.ID)
	return s.commit(ctx, c)
}

func (s *Store) commit(ctx context.Context, c store.Commit) error {
	return s.write(ctx, "commit "+c.State.ID, func(ctx context.Context, tx *sql.Tx) error {
		if err := putState(ctx, tx, c); err != nil {
			return err
		}
		if err := putEvents(ctx, tx, c.State.ID, c.Events); err != nil {
			return err
		}
		if len(c.Input) > 0 {
			if _, err := tx.ExecContext(ctx, "INSERT INTO decision (rollout, last, first, input) VALUES (?, ?, ?, ?)",
				c.State.ID, c.State.Pos, c.Expect+1, c.Input); err != nil {
				return err
			}
		}
		if c.Flag != nil {
			if err := commitFlag(ctx, tx, *c.Flag, c.State.ID); err != nil {
				return err
			}
		}
		for _, f := range c.Companions {
			if err := commitFlag(ctx, tx, f, c.State.ID); err != nil {
				return err
			}
		}
		if c.Plan != nil {
			if err := putSource(ctx, tx, c.Plan); err != nil {
				return err
			}
		}
		if err := putNotices(ctx, tx, c.Notices); err != nil {
			return err
		}
		return putAudit(ctx, tx, c.Audit...)
	})
}

// putState writes the state if the journal is at the expected position.
func putState(ctx context.Context, tx *sql.Tx, c store.Commit) error {
	var pos int64
	err := tx.QueryRowContext(ctx, "SELECT pos FROM rollout WHERE id = ?", c.State.ID).Scan(&pos)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if pos != c.Expect {
		return fmt.Errorf("%w: the journal of %s is at position %d, expected %d", store.ErrConflict, c.State.ID, pos, c.Expect)
	}
	state, err := json.Marshal(c.State)
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	var overAt int64
	if store.Over(c.State.Status) {
		overAt = nanos(c.State.At)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO rollout (id, pos, status, over_at, state) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET pos = excluded.pos, status = excluded.status, over_at = excluded.over_at, state = excluded.state`,
		c.State.ID, c.State.Pos, string(c.State.Status), overAt, string(state))
	return err
}

func putEvents(ctx context.Context, tx *sql.Tx, id string, events []rollout.Event) error {
	for _, e := range events {
		data, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encode event %d: %w", e.Pos, err)
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO journal (rollout, pos, event) VALUES (?, ?, ?)", id, e.Pos, string(data)); err != nil {
			return err
		}
	}
	return nil
}

// States implements store.Rollouts.
func (s *Store) States(ctx context.Context) (out []rollout.State, err error) {
	err = s.rows(ctx, "read states", func(r *sql.Rows) error {
		out = append(out, rollout.State{})
		return scanJSON(r, &out[len(out)-1])
	}, "SELECT state FROM rollout ORDER BY seq")
	return out, err
}

// State implements store.Rollouts.
func (s *Store) State(ctx context.Context, id string) (st rollout.State, err error) {
	var data []byte
	if err := s.row(ctx, "rollout "+id, []any{&data}, "SELECT state FROM rollout WHERE id = ?", id); err != nil {
		return st, err
	}
	return st, decode("state of "+id, data, &st)
}

// Journal implements store.Rollouts.
func (s *Store) Journal(ctx context.Context, id string, after int64, limit int) (out []rollout.Event, err error) {
	err = s.rows(ctx, "read journal of "+id, func(r *sql.Rows) error {
		out = append(out, rollout.Event{})
		return scanJSON(r, &out[len(out)-1])
	}, "SELECT event FROM journal WHERE rollout = ? AND pos > ? ORDER BY pos LIMIT ?", id, after, all(limit))
	return out, err
}

// Decision implements store.Rollouts.
func (s *Store) Decision(ctx context.Context, id string, pos int64) (d store.Decision, err error) {
	err = s.row(ctx, fmt.Sprintf("input of %s at %d", id, pos), []any{&d.First, &d.Last, &d.Input},
		"SELECT first, last, input FROM (SELECT * FROM decision WHERE rollout = ?1 AND last >= ?2 ORDER BY last LIMIT 1) WHERE first <= ?2", id, pos)
	return d, err
}

// scanJSON decodes a row of one JSON column into v.
func scanJSON(r *sql.Rows, v any) error {
	var data sql.RawBytes
	if err := r.Scan(&data); err != nil {
		return err
	}
	return decode("row", data, v)
}

func decode(what string, data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decode %s: %w", what, err)
	}
	return nil
}
