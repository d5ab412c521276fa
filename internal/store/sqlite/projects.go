package sqlite

import (
	"context"
	"database/sql"
	"time"

	"serin/internal/store"
)

// Projects implements store.Access.
func (s *Store) Projects(ctx context.Context) (out []store.Project, err error) {
	err = s.rows(ctx, "read projects", func(r *sql.Rows) error {
		var (
			p  store.Project
			at int64
		)
		err := r.Scan(&p.ID, &p.Name, &at)
		p.CreatedAt = instant(at)
		out = append(out, p)
		return err
	}, "SELECT id, name, created_at FROM project ORDER BY seq")
	return out, err
}

// PutProject implements store.Access.
func (s *Store) PutProject(ctx context.Context, p store.Project, a store.AuditEntry) error {
	return s.write(ctx, "put project "+p.ID, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO project (id, name, created_at) VALUES (?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET name = excluded.name`, p.ID, p.Name, nanos(p.CreatedAt)); err != nil {
			return err
		}
		return putAudit(ctx, tx, a)
	})
}

// TokenUsed implements store.Access.
func (s *Store) TokenUsed(ctx context.Context, id string, at time.Time) error {
	return s.exec(ctx, "note the use of token "+id, "UPDATE token SET used_at = ? WHERE id = ?", nanos(at), id)
}
