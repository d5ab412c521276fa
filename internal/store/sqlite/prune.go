package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"serin/internal/store"
)

// pruneRows is how many rows one transaction of Prune removes, so that
// telemetry waits for no more than a few milliseconds.
const pruneRows = 2000

// overBefore selects the rollouts that were over before the first argument.
const overBefore = "SELECT id FROM rollout WHERE over_at > 0 AND over_at < ?1"

// Prune implements store.Retention.
func (s *Store) Prune(ctx context.Context, c store.Cutoffs) (store.Pruned, error) {
	var out store.Pruned
	for _, step := range []struct {
		n      *int64
		before time.Time
		query  string
	}{
		{&out.Cells, c.Evidence, `DELETE FROM cell WHERE (rollout, minute, metric, grp, attempt, interval) IN (
			SELECT rollout, minute, metric, grp, attempt, interval FROM cell WHERE rollout IN (` + overBefore + `) LIMIT ?2)`},
		{&out.Users, c.Evidence, `DELETE FROM user_row WHERE (rollout, metric, user) IN (
			SELECT rollout, metric, user FROM user_row WHERE rollout IN (` + overBefore + `) LIMIT ?2)`},
		{&out.Inputs, c.Inputs, `DELETE FROM decision WHERE (rollout, last) IN (
			SELECT rollout, last FROM decision WHERE rollout IN (` + overBefore + `) LIMIT ?2)`},
		{&out.Samples, c.Samples, "DELETE FROM sample WHERE seq IN (SELECT seq FROM sample WHERE received < ?1 LIMIT ?2)"},
		{&out.Notices, c.Outbox, `DELETE FROM notice WHERE seq IN (
			SELECT seq FROM notice WHERE at < ?1 AND (delivered > 0 OR dead > 0) LIMIT ?2)`},
		{&out.Alerts, c.Outbox, "DELETE FROM alert_entry WHERE seq IN (SELECT seq FROM alert_entry WHERE at < ?1 LIMIT ?2)"},
		{&out.Pages, c.Outbox, "DELETE FROM page WHERE seq IN (SELECT seq FROM page WHERE at < ?1 AND open = 0 LIMIT ?2)"},
		{&out.Threads, c.Outbox, `DELETE FROM slack_thread WHERE (address, thread) IN (
			SELECT address, thread FROM slack_thread WHERE at < ?1 LIMIT ?2)`},
		{&out.Audit, c.Audit, "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ?1 ORDER BY id LIMIT ?2)"},
		{&out.Sessions, c.Sessions, "DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE expires_at < ?1 LIMIT ?2)"},
		{&out.Seen, c.Seen, "DELETE FROM seen WHERE seq IN (SELECT seq FROM seen WHERE newest < ?1 LIMIT ?2)"},
	} {
		if step.before.IsZero() {
			continue
		}
		n, err := s.prune(ctx, step.query, nanos(step.before))
		*step.n = n
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// prune repeats a deletion of at most pruneRows rows until it finds no more.
func (s *Store) prune(ctx context.Context, query string, of any) (total int64, err error) {
	for {
		n, err := s.remove(ctx, query, of, pruneRows)
		total += n
		if err != nil || n < pruneRows {
			return total, err
		}
	}
}

// remove runs one deletion and counts its rows.
func (s *Store) remove(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = s.write(ctx, "remove old rows", func(ctx context.Context, tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}

// ShedSamples implements store.Retention.
func (s *Store) ShedSamples(ctx context.Context, limit int) (total int64, err error) {
	for limit > 0 {
		n, err := s.remove(ctx, "DELETE FROM sample WHERE seq IN (SELECT seq FROM sample ORDER BY seq LIMIT ?1)", min(limit, pruneRows))
		total, limit = total+n, limit-pruneRows
		if err != nil || n < pruneRows {
			return total, err
		}
	}
	return total, nil
}

// ShedEvidence implements store.Retention.
func (s *Store) ShedEvidence(ctx context.Context, limit int) (rollout string, rows int64, err error) {
	err = s.row(ctx, "find the oldest evidence", []any{&rollout}, `SELECT id FROM rollout WHERE over_at > 0 AND (
		EXISTS (SELECT 1 FROM cell WHERE cell.rollout = id) OR EXISTS (SELECT 1 FROM user_row WHERE user_row.rollout = id))
		ORDER BY over_at, seq LIMIT 1`)
	if errors.Is(err, store.ErrNotFound) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	for rows < int64(limit) {
		cells, err := s.remove(ctx, `DELETE FROM cell WHERE (rollout, minute, metric, grp, attempt, interval) IN (
			SELECT rollout, minute, metric, grp, attempt, interval FROM cell WHERE rollout = ?1 ORDER BY minute LIMIT ?2)`, rollout, pruneRows)
		rows += cells
		if err != nil {
			return rollout, rows, err
		}
		if cells > 0 {
			continue
		}
		users, err := s.remove(ctx, `DELETE FROM user_row WHERE (rollout, metric, user) IN (
			SELECT rollout, metric, user FROM user_row WHERE rollout = ?1 LIMIT ?2)`, rollout, pruneRows)
		rows += users
		if err != nil || users == 0 {
			return rollout, rows, err
		}
	}
	return rollout, rows, nil
}

// Size implements store.Retention. It reads the file's header (the pragmas
// page_count, freelist_count and page_size of sqlite.org/pragma.html), not
// its pages.
func (s *Store) Size(ctx context.Context) (store.Size, error) {
	var pages, free, bytes int64
	if err := s.row(ctx, "measure the database", []any{&pages, &free, &bytes},
		"SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"); err != nil {
		return store.Size{}, err
	}
	out := store.Size{Used: (pages - free) * bytes, Free: free * bytes}
	switch info, err := os.Stat(s.path + "-wal"); {
	case err == nil:
		out.Log = info.Size()
	case !errors.Is(err, fs.ErrNotExist):
		return out, fmt.Errorf("measure the database's log: %w", err)
	}
	return out, nil
}

// Compact rewrites the database at path without its free pages and answers
// the sizes of the file before and after, in bytes. No server may be running
// on it. It needs free room of about twice what the database holds, for the
// copy and its log; after an error the database is as it was.
func Compact(ctx context.Context, path string) (before, after int64, err error) {
	if _, err := Inspect(ctx, path); err != nil {
		return 0, 0, err
	}
	if before, err = fileBytes(path); err != nil {
		return 0, 0, err
	}
	db, err := connect(path, 1, "synchronous(FULL)")
	if err != nil {
		return 0, 0, err
	}
	for _, q := range []string{"VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if _, err = db.ExecContext(ctx, q); err != nil {
			err = fmt.Errorf("compact %s: %w", path, classify(err))
			break
		}
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return 0, 0, err
	}
	after, err = fileBytes(path)
	return before, after, err
}

func fileBytes(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
