package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"serin/internal/store"
)

// PutToken implements store.Access.
func (s *Store) PutToken(ctx context.Context, t store.Token, a store.AuditEntry) error {
	return s.write(ctx, "put token "+t.ID, func(ctx context.Context, tx *sql.Tx) error {
		t.LastUsed = time.Time{} // in its column
		body, err := json.Marshal(t)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO token (id, hash, body) VALUES (?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, body = excluded.body`, t.ID, t.Hash, string(body)); err != nil {
			return err
		}
		return putAudit(ctx, tx, a)
	})
}

// tokens runs a query for the columns of Token.
func (s *Store) tokens(ctx context.Context, rest string, args ...any) (out []store.Token, err error) {
	err = s.rows(ctx, "read tokens", func(r *sql.Rows) error {
		var (
			t    store.Token
			hash string
			body []byte
			used int64
		)
		if err := r.Scan(&hash, &body, &used); err != nil {
			return err
		}
		err := decode("token", body, &t)
		t.Hash, t.LastUsed = hash, instant(used)
		out = append(out, t)
		return err
	}, "SELECT hash, body, used_at FROM token "+rest, args...)
	return out, err
}

// TokenByHash implements store.Access.
func (s *Store) TokenByHash(ctx context.Context, hash string) (store.Token, error) {
	list, err := s.tokens(ctx, "WHERE hash = ?", hash)
	if err != nil {
		return store.Token{}, err
	}
	if len(list) == 0 {
		return store.Token{}, fmt.Errorf("token: %w", store.ErrNotFound)
	}
	return list[0], nil
}

// Tokens implements store.Access.
func (s *Store) Tokens(ctx context.Context) ([]store.Token, error) {
	return s.tokens(ctx, "ORDER BY seq")
}

// DeleteToken implements store.Access.
func (s *Store) DeleteToken(ctx context.Context, id string, a store.AuditEntry) error {
	return s.write(ctx, "delete token "+id, func(ctx context.Context, tx *sql.Tx) error {
		if err := deleteOne(ctx, tx, "DELETE FROM token WHERE id = ?", id); err != nil {
			return err
		}
		return putAudit(ctx, tx, a)
	})
}

// PutSession implements store.Access.
func (s *Store) PutSession(ctx context.Context, v store.Session) error {
	return s.write(ctx, "put session", func(ctx context.Context, tx *sql.Tx) error {
		v.CreatedAt, v.ExpiresAt = v.CreatedAt.UTC(), v.ExpiresAt.UTC()
		body, err := json.Marshal(v)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "REPLACE INTO session (hash, expires_at, body) VALUES (?, ?, ?)", v.Hash, nanos(v.ExpiresAt), string(body))
		return err
	})
}

// SessionByHash implements store.Access.
func (s *Store) SessionByHash(ctx context.Context, hash string) (v store.Session, err error) {
	var body []byte
	if err := s.row(ctx, "session", []any{&body}, "SELECT body FROM session WHERE hash = ?", hash); err != nil {
		return v, err
	}
	return v, decode("session", body, &v)
}

// DeleteSession implements store.Access.
func (s *Store) DeleteSession(ctx context.Context, hash string) error {
	return s.exec(ctx, "delete session", "DELETE FROM session WHERE hash = ?", hash)
}

// Setting implements store.Access.
func (s *Store) Setting(ctx context.Context, key string) (value string, err error) {
	err = s.row(ctx, "setting "+key, []any{&value}, "SELECT value FROM setting WHERE key = ?", key)
	return value, err
}

// PutSetting implements store.Access.
func (s *Store) PutSetting(ctx context.Context, key, value string) error {
	return s.exec(ctx, "put setting "+key, "REPLACE INTO setting (key, value) VALUES (?, ?)", key, value)
}

// exec runs one statement in a transaction of its own.
func (s *Store) exec(ctx context.Context, what, query string, args ...any) error {
	return s.write(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
}

// putAudit appends entries; one without a verb is none.
func putAudit(ctx context.Context, tx *sql.Tx, list ...store.AuditEntry) error {
	for _, a := range list {
		if a.Verb == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO audit (at, who, via, address, verb, target, reason, before, after)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, nanos(a.At), a.Who, a.Via, a.Address, a.Verb, a.Target, a.Reason,
			string(a.Before), string(a.After)); err != nil {
			return err
		}
	}
	return nil
}

// PutAudit implements store.Audit.
func (s *Store) PutAudit(ctx context.Context, a store.AuditEntry) error {
	return s.write(ctx, "put audit entry", func(ctx context.Context, tx *sql.Tx) error { return putAudit(ctx, tx, a) })
}

// AuditEntries implements store.Audit.
func (s *Store) AuditEntries(ctx context.Context, target string, limit int) (out []store.AuditEntry, err error) {
	err = s.rows(ctx, "read audit entries", func(r *sql.Rows) error {
		var (
			a             store.AuditEntry
			at            int64
			before, after []byte
		)
		err := r.Scan(&a.ID, &at, &a.Who, &a.Via, &a.Address, &a.Verb, &a.Target, &a.Reason, &before, &after)
		a.At, a.Before, a.After = instant(at), before, after
		out = append(out, a)
		return err
	}, `SELECT id, at, who, via, address, verb, target, reason, before, after FROM audit
		WHERE ?1 = '' OR target = ?1 ORDER BY id DESC LIMIT ?2`, target, all(limit))
	return out, err
}
