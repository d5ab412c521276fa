package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"

	"serin/internal/store"
)

// CommitAlerts implements store.Alerts.
func (s *Store) CommitAlerts(ctx context.Context, c store.AlertCommit) error {
	return s.write(ctx, "write alerts", func(ctx context.Context, tx *sql.Tx) error {
		for _, id := range c.Delete {
			for _, query := range []string{"DELETE FROM alert WHERE id = ?", "DELETE FROM alert_entry WHERE alert = ?"} {
				if _, err := tx.ExecContext(ctx, query, id); err != nil {
					return err
				}
			}
		}
		for _, a := range c.Put {
			if _, err := tx.ExecContext(ctx, "REPLACE INTO alert (id, project, rollout, rule, state, at) VALUES (?, ?, ?, ?, ?, ?)",
				a.ID, a.Project, a.Rollout, string(a.Rule), string(a.State), nanos(a.At)); err != nil {
				return err
			}
		}
		for _, e := range c.Entries {
			if _, err := tx.ExecContext(ctx, "INSERT INTO alert_entry (alert, at, data) VALUES (?, ?, ?)", e.Alert, nanos(e.At), string(e.Data)); err != nil {
				return err
			}
		}
		if err := putNotices(ctx, tx, c.Notices); err != nil {
			return err
		}
		for _, a := range c.Audit {
			if err := putAudit(ctx, tx, a); err != nil {
				return err
			}
		}
		return nil
	})
}

// Alerts implements store.Alerts.
func (s *Store) Alerts(ctx context.Context) (out []store.AlertRow, err error) {
	err = s.rows(ctx, "read alerts", func(r *sql.Rows) error {
		var (
			a           store.AlertRow
			rule, state string
			at          int64
		)
		if err := r.Scan(&a.ID, &a.Project, &a.Rollout, &rule, &state, &at); err != nil {
			return err
		}
		a.Rule, a.State, a.At = message(rule), message(state), instant(at)
		out = append(out, a)
		return nil
	}, "SELECT id, project, rollout, rule, state, at FROM alert ORDER BY id")
	return out, err
}

// message is a JSON column; "" is none.
func message(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

// AlertHistory implements store.Alerts.
func (s *Store) AlertHistory(ctx context.Context, id string, limit int) (out []store.AlertEntry, err error) {
	err = s.rows(ctx, "read the history of alert "+id, func(r *sql.Rows) error {
		e := store.AlertEntry{Alert: id}
		var (
			at   int64
			data string
		)
		if err := r.Scan(&at, &data); err != nil {
			return err
		}
		e.At, e.Data = instant(at), message(data)
		out = append(out, e)
		return nil
	}, "SELECT at, data FROM alert_entry WHERE alert = ? ORDER BY seq DESC LIMIT ?", id, all(limit))
	return out, err
}

// DropCounts implements store.Alerts.
func (s *Store) DropCounts(ctx context.Context, key string, before int64) (total int64, err error) {
	for {
		n, err := s.remove(ctx, `DELETE FROM cell WHERE (rollout, minute, metric, grp, attempt, interval) IN (
			SELECT rollout, minute, metric, grp, attempt, interval FROM cell WHERE rollout = ?1 AND minute < ?2 LIMIT ?3)`, key, before, pruneRows)
		total += n
		if err != nil || n < pruneRows {
			return total, err
		}
	}
}

// Notice implements store.Alerts.
func (s *Store) Notice(ctx context.Context, id string) (store.Outgoing, error) {
	found, err := s.notices(ctx, "WHERE id = ?", id)
	if err == nil && len(found) == 0 {
		return store.Outgoing{}, classify(sql.ErrNoRows)
	}
	if err != nil {
		return store.Outgoing{}, err
	}
	return found[0], nil
}
