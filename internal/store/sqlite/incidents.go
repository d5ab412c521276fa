package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"serin/internal/store"
)

// CommitIncident implements store.Incidents.
func (s *Store) CommitIncident(ctx context.Context, c store.IncidentCommit) error {
	return s.write(ctx, "write incident "+c.Row.ID, func(ctx context.Context, tx *sql.Tx) error {
		var at int64
		err := tx.QueryRowContext(ctx, "SELECT pos FROM incident WHERE id = ?", c.Row.ID).Scan(&at)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if at != c.Expect {
			return fmt.Errorf("%w: incident %s is at position %d, expected %d", store.ErrConflict, c.Row.ID, at, c.Expect)
		}
		if _, err := tx.ExecContext(ctx, "REPLACE INTO incident (id, number, project, rollout, pos, state, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
			c.Row.ID, c.Row.Number, c.Row.Project, c.Row.Rollout, c.Row.Pos, string(c.Row.State), nanos(c.Row.At)); err != nil {
			return err
		}
		for i, e := range c.Events {
			if _, err := tx.ExecContext(ctx, "INSERT INTO incident_event (incident, pos, data) VALUES (?, ?, ?)", c.Row.ID, c.Expect+int64(i)+1, string(e)); err != nil {
				return err
			}
		}
		if err := putNotices(ctx, tx, c.Notices); err != nil {
			return err
		}
		return putAudit(ctx, tx, c.Audit...)
	})
}

// Incidents implements store.Incidents.
func (s *Store) Incidents(ctx context.Context) (out []store.IncidentRow, err error) {
	err = s.rows(ctx, "read incidents", func(r *sql.Rows) error {
		var (
			row   store.IncidentRow
			state string
			at    int64
		)
		if err := r.Scan(&row.ID, &row.Number, &row.Project, &row.Rollout, &row.Pos, &state, &at); err != nil {
			return err
		}
		row.State, row.At = message(state), instant(at)
		out = append(out, row)
		return nil
	}, "SELECT id, number, project, rollout, pos, state, at FROM incident ORDER BY number")
	return out, err
}

// IncidentEvents implements store.Incidents.
func (s *Store) IncidentEvents(ctx context.Context, id string) (out []json.RawMessage, err error) {
	err = s.rows(ctx, "read the events of incident "+id, func(r *sql.Rows) error {
		var data string
		if err := r.Scan(&data); err != nil {
			return err
		}
		out = append(out, message(data))
		return nil
	}, "SELECT data FROM incident_event WHERE incident = ? ORDER BY pos", id)
	return out, err
}
