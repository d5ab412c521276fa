package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"serin/internal/store"
)

// PutArtifacts implements store.Artifacts.
func (s *Store) PutArtifacts(ctx context.Context, list []store.Artifact, a store.AuditEntry) error {
	return s.write(ctx, "put source maps", func(ctx context.Context, tx *sql.Tx) error {
		for _, f := range list {
			if _, err := tx.ExecContext(ctx, "REPLACE INTO artifact (project, release, name, debug, hash, bytes, at, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
				f.Project, f.Release, f.Name, f.Debug, f.Hash, f.Bytes, nanos(f.At), f.Data); err != nil {
				return err
			}
		}
		return putAudit(ctx, tx, a)
	})
}

// Artifacts implements store.Artifacts.
func (s *Store) Artifacts(ctx context.Context, project, release string) (out []store.Artifact, err error) {
	err = s.rows(ctx, "read source maps", func(r *sql.Rows) error {
		var (
			f  store.Artifact
			at int64
		)
		if err := r.Scan(&f.Project, &f.Release, &f.Name, &f.Debug, &f.Hash, &f.Bytes, &f.Stored, &at); err != nil {
			return err
		}
		f.At = instant(at)
		out = append(out, f)
		return nil
	}, `SELECT project, release, name, debug, hash, bytes, length(data), at FROM artifact AS a WHERE project = ? AND (? = '' OR release = ?)
		ORDER BY (SELECT max(at) FROM artifact AS b WHERE b.project = a.project AND b.release = a.release) DESC, release, name`, project, release, release)
	return out, err
}

// ArtifactData implements store.Artifacts.
func (s *Store) ArtifactData(ctx context.Context, project, release, name string) (data []byte, err error) {
	err = s.row(ctx, fmt.Sprintf("source map %s of release %s", name, release), []any{&data},
		"SELECT data FROM artifact WHERE project = ? AND release = ? AND name = ?", project, release, name)
	return data, err
}

// DeleteArtifacts implements store.Artifacts.
func (s *Store) DeleteArtifacts(ctx context.Context, project, release string, a store.AuditEntry) (n int64, err error) {
	err = s.write(ctx, "delete source maps of release "+release, func(ctx context.Context, tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, "DELETE FROM artifact WHERE project = ? AND release = ?", project, release)
		if err != nil {
			return err
		}
		if n, err = r.RowsAffected(); err != nil {
			return err
		}
		if n == 0 {
			return store.ErrNotFound
		}
		return putAudit(ctx, tx, a)
	})
	return n, err
}
