package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"serin/internal/rollout"
	"serin/internal/store"
)

// flagColumns are the columns of flag and flag_version, as scanFlag reads them.
const flagColumns = "key, revision, owner, pos, updated_at, updated_by, definition, project, environment"

func scanFlag(scan func(...any) error) (f store.FlagRecord, err error) {
	var (
		key        string
		at         int64
		definition []byte
	)
	if err := scan(&key, &f.Revision, &f.Owner, &f.Pos, &at, &f.UpdatedBy, &definition, &f.Place.Project, &f.Place.Environment); err != nil {
		return f, err
	}
	err = decode("flag "+key, definition, &f.Definition)
	f.Definition.Key, f.UpdatedAt = key, instant(at)
	return f, err
}

// storedFlag returns the flag called key; the zero record where there is none.
func storedFlag(ctx context.Context, tx *sql.Tx, key string) (store.FlagRecord, error) {
	f, err := scanFlag(tx.QueryRowContext(ctx, "SELECT "+flagColumns+" FROM flag WHERE key = ?", key).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return store.FlagRecord{}, nil
	}
	return f, err
}

// commitFlag writes the flag of the rollout named writer, unless it is fenced off.
func commitFlag(ctx context.Context, tx *sql.Tx, f store.FlagRecord, writer string) error {
	old, err := storedFlag(ctx, tx, f.Definition.Key)
	if err != nil {
		return err
	}
	var status string
	err = tx.QueryRowContext(ctx, "SELECT status FROM rollout WHERE id = ?", old.Owner).Scan(&status)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	over := err != nil || store.Over(rollout.Status(status))
	if err := f.Supersedes(old, writer, over); err != nil {
		return err
	}
	_, err = putFlag(ctx, tx, f)
	return err
}

// putFlag writes f and its version at the next revision, which it returns.
func putFlag(ctx context.Context, tx *sql.Tx, f store.FlagRecord) (int64, error) {
	definition, err := json.Marshal(f.Definition)
	if err != nil {
		return 0, fmt.Errorf("encode flag %s: %w", f.Definition.Key, err)
	}
	revision, err := raiseRevision(ctx, tx)
	if err != nil {
		return 0, err
	}
	args := []any{f.Definition.Key, revision, f.Owner, f.Pos, nanos(f.UpdatedAt), f.UpdatedBy, string(definition), f.Place.Project, f.Place.Environment}
	for _, table := range []string{"flag", "flag_version"} {
		if _, err := tx.ExecContext(ctx, "REPLACE INTO "+table+" ("+flagColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", args...); err != nil {
			return 0, err
		}
	}
	return revision, nil
}

func raiseRevision(ctx context.Context, tx *sql.Tx) (revision int64, err error) {
	err = tx.QueryRowContext(ctx, "UPDATE meta SET value = value + 1 WHERE key = 'flag_revision' RETURNING value").Scan(&revision)
	return revision, err
}

// Flags implements store.Flags. One statement reads both, so that they belong together.
func (s *Store) Flags(ctx context.Context) (out []store.FlagRecord, revision int64, err error) {
	err = s.rows(ctx, "read flags", func(r *sql.Rows) error {
		var key sql.NullString
		if err := r.Scan(&revision, &key, new(any), new(any), new(any), new(any), new(any), new(any), new(any), new(any)); err != nil || !key.Valid {
			return err
		}
		f, err := scanFlag(func(dest ...any) error { return r.Scan(append([]any{&revision}, dest...)...) })
		out = append(out, f)
		return err
	}, "SELECT m.value, f.* FROM (SELECT value FROM meta WHERE key = 'flag_revision') m LEFT JOIN (SELECT "+flagColumns+" FROM flag) f ORDER BY f.key")
	return out, revision, err
}

// PutFlag implements store.Flags.
func (s *Store) PutFlag(ctx context.Context, f store.FlagRecord, expect int64, a store.AuditEntry) (revision int64, err error) {
	err = s.write(ctx, "put flag "+f.Definition.Key, func(ctx context.Context, tx *sql.Tx) error {
		old, err := storedFlag(ctx, tx, f.Definition.Key)
		if err != nil {
			return err
		}
		if expect >= 0 && old.Revision != expect {
			return fmt.Errorf("%w: flag %s is at revision %d, expected %d", store.ErrConflict, f.Definition.Key, old.Revision, expect)
		}
		if f.Owner != "" && f.Owner == old.Owner {
			if err := f.Supersedes(old, f.Owner, false); err != nil {
				return err
			}
		}
		if revision, err = putFlag(ctx, tx, f); err != nil {
			return err
		}
		return putAudit(ctx, tx, a)
	})
	return revision, err
}

// DeleteFlag implements store.Flags.
func (s *Store) DeleteFlag(ctx context.Context, key string, a store.AuditEntry) (revision int64, err error) {
	err = s.write(ctx, "delete flag "+key, func(ctx context.Context, tx *sql.Tx) error {
		if err := deleteOne(ctx, tx, "DELETE FROM flag WHERE key = ?", key); err != nil {
			return err
		}
		if revision, err = raiseRevision(ctx, tx); err != nil {
			return err
		}
		return putAudit(ctx, tx, a)
	})
	return revision, err
}

// deleteOne runs a statement that must change a row.
func deleteOne(ctx context.Context, tx *sql.Tx, query string, args ...any) error {
	res, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, store.ErrNotFound)
	}
	return nil
}

// FlagHistory implements store.Flags.
func (s *Store) FlagHistory(ctx context.Context, key string, limit int) (out []store.FlagRecord, err error) {
	err = s.rows(ctx, "read history of flag "+key, func(r *sql.Rows) error {
		f, err := scanFlag(r.Scan)
		out = append(out, f)
		return err
	}, "SELECT "+flagColumns+" FROM flag_version WHERE key = ? ORDER BY revision DESC LIMIT ?", key, all(limit))
	return out, err
}

func putSource(ctx context.Context, tx *sql.Tx, source []byte) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO plan_source (hash, source) VALUES (?, ?) ON CONFLICT DO NOTHING",
		store.SourceHash(source), source)
	return err
}

// PutPlan implements store.Plans.
func (s *Store) PutPlan(ctx context.Context, project, name string, source []byte, at time.Time, a store.AuditEntry) (number int, err error) {
	hash := store.SourceHash(source)
	err = s.write(ctx, "put plan "+name, func(ctx context.Context, tx *sql.Tx) error {
		if err := ownPlan(ctx, tx, project, name); err != nil {
			return err
		}
		var latest bool
		err := tx.QueryRowContext(ctx, "SELECT number, latest FROM plan WHERE name = ? AND hash = ?", name, hash).Scan(&number, &latest)
		if latest || err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		known := err == nil
		if _, err := tx.ExecContext(ctx, "UPDATE plan SET latest = 0 WHERE name = ?", name); err != nil {
			return err
		}
		if known {
			_, err = tx.ExecContext(ctx, "UPDATE plan SET latest = 1 WHERE name = ? AND number = ?", name, number)
		} else {
			number, err = addPlan(ctx, tx, project, name, source, at)
		}
		if err != nil {
			return err
		}
		return putAudit(ctx, tx, a)
	})
	return number, err
}

// ownPlan refuses a plan that another project has.
func ownPlan(ctx context.Context, tx *sql.Tx, project, name string) error {
	var owner string
	err := tx.QueryRowContext(ctx, "SELECT project FROM plan WHERE name = ? LIMIT 1", name).Scan(&owner)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil && owner != project {
		return fmt.Errorf("%w: plan %s is of project %s", store.ErrConflict, name, owner)
	}
	return err
}

// addPlan stores a new version, the latest, and returns its number.
func addPlan(ctx context.Context, tx *sql.Tx, project, name string, source []byte, at time.Time) (number int, err error) {
	if err := putSource(ctx, tx, source); err != nil {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, `INSERT INTO plan (name, number, hash, at, latest, project)
		SELECT ?, coalesce(max(number), 0) + 1, ?, ?, 1, ? FROM plan WHERE name = ? RETURNING number`,
		name, store.SourceHash(source), nanos(at), project, name).Scan(&number)
	return number, err
}

// PlanSource implements store.Plans.
func (s *Store) PlanSource(ctx context.Context, hash string) (source []byte, err error) {
	err = s.row(ctx, "plan source "+hash, []any{&source}, "SELECT source FROM plan_source WHERE hash = ?", hash)
	return source, err
}

// PlanNames implements store.Plans.
func (s *Store) PlanNames(ctx context.Context) ([]store.PlanVersion, error) {
	return s.planVersions(ctx, "read plans", "SELECT project, name, hash, number, at FROM plan WHERE latest = 1 ORDER BY name")
}

// PlanVersions implements store.Plans.
func (s *Store) PlanVersions(ctx context.Context, name string) ([]store.PlanVersion, error) {
	return s.planVersions(ctx, "read versions of plan "+name,
		"SELECT project, name, hash, number, at FROM plan WHERE name = ? ORDER BY number DESC", name)
}

// planVersions reads rows of project, name, hash, number and time.
func (s *Store) planVersions(ctx context.Context, what, query string, args ...any) (out []store.PlanVersion, err error) {
	err = s.rows(ctx, what, func(r *sql.Rows) error {
		var (
			v  store.PlanVersion
			at int64
		)
		err := r.Scan(&v.Project, &v.Name, &v.Hash, &v.Number, &at)
		v.At = instant(at)
		out = append(out, v)
		return err
	}, query, args...)
	return out, err
}
