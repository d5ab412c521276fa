package sqlite

import (
	"context"
	"database/sql"

	"serin/internal/store"
)

// CommitOnCall implements store.OnCall.
func (s *Store) CommitOnCall(ctx context.Context, c store.OnCallCommit) error {
	return s.write(ctx, "write on-call", func(ctx context.Context, tx *sql.Tx) error {
		run := func(query string, args ...any) error {
			_, err := tx.ExecContext(ctx, query, args...)
			return err
		}
		for _, name := range c.DeleteRotas {
			if err := run("DELETE FROM rota WHERE name = ?", name); err != nil {
				return err
			}
		}
		for _, name := range c.DeleteContacts {
			if err := run("DELETE FROM contact WHERE name = ?", name); err != nil {
				return err
			}
		}
		for _, r := range c.PutRotas {
			if err := run("REPLACE INTO rota (name, data, at) VALUES (?, ?, ?)", r.Name, string(r.Data), nanos(r.At)); err != nil {
				return err
			}
		}
		for _, r := range c.PutContacts {
			if err := run("REPLACE INTO contact (name, data, at) VALUES (?, ?, ?)", r.Name, string(r.Data), nanos(r.At)); err != nil {
				return err
			}
		}
		for _, p := range c.PutPages {
			if err := run("INSERT INTO page (id, open, at, data) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET open = excluded.open, data = excluded.data",
				p.ID, p.Open, nanos(p.At), string(p.Data)); err != nil {
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

// Rotas implements store.OnCall.
func (s *Store) Rotas(ctx context.Context) ([]store.OnCallRow, error) {
	return s.onCallRows(ctx, "read rotas", "SELECT name, data, at FROM rota ORDER BY name")
}

// Contacts implements store.OnCall.
func (s *Store) Contacts(ctx context.Context) ([]store.OnCallRow, error) {
	return s.onCallRows(ctx, "read contacts", "SELECT name, data, at FROM contact ORDER BY name")
}

func (s *Store) onCallRows(ctx context.Context, doing, query string) (out []store.OnCallRow, err error) {
	err = s.rows(ctx, doing, func(r *sql.Rows) error {
		var (
			row  store.OnCallRow
			data string
			at   int64
		)
		if err := r.Scan(&row.Name, &data, &at); err != nil {
			return err
		}
		row.Data, row.At = message(data), instant(at)
		out = append(out, row)
		return nil
	}, query)
	return out, err
}

// Pages implements store.OnCall.
func (s *Store) Pages(ctx context.Context, open bool, limit int) ([]store.PageRow, error) {
	where := ""
	if open {
		where = "WHERE open = 1"
	}
	return s.pages(ctx, where+" ORDER BY at DESC, seq DESC LIMIT ?", all(limit))
}

// Page implements store.OnCall.
func (s *Store) Page(ctx context.Context, id string) (store.PageRow, error) {
	found, err := s.pages(ctx, "WHERE id = ?", id)
	if err == nil && len(found) == 0 {
		return store.PageRow{}, classify(sql.ErrNoRows)
	}
	if err != nil {
		return store.PageRow{}, err
	}
	return found[0], nil
}

func (s *Store) pages(ctx context.Context, rest string, args ...any) (out []store.PageRow, err error) {
	err = s.rows(ctx, "read pages", func(r *sql.Rows) error {
		var (
			p    store.PageRow
			data string
			at   int64
		)
		if err := r.Scan(&p.ID, &p.Open, &at, &data); err != nil {
			return err
		}
		p.At, p.Data = instant(at), message(data)
		out = append(out, p)
		return nil
	}, "SELECT id, open, at, data FROM page "+rest, args...)
	return out, err
}
