package sqlite

import (
	"context"
	"database/sql"
	"time"

	"serin/internal/store"
)

// pruneRows is how many rows one transaction of Prune removes, so that
// telemetry waits for no more than a few milliseconds.
const pruneRows = 2000

// overBefore selects the rollouts that were over before the first argument.
const overBefore = "SELECT id FROM rollout WHERE over_at > 0 AND over_at < ?1"

// Prune implements store.Retention.
func (s *Store) Prune(ctx context.Context, before time.Time) (store.Pruned, error) {
	var out store.Pruned
	for _, step := range []struct {
		n     *int64
		query string
	}{
		{&out.Cells, `DELETE FROM cell WHERE (rollout, minute, metric, grp, attempt, interval) IN (
			SELECT rollout, minute, metric, grp, attempt, interval FROM cell WHERE rollout IN (` + overBefore + `) LIMIT ?2)`},
		{&out.Users, `DELETE FROM user_row WHERE (rollout, metric, user) IN (
			SELECT rollout, metric, user FROM user_row WHERE rollout IN (` + overBefore + `) LIMIT ?2)`},
		{&out.Inputs, `DELETE FROM decision WHERE (rollout, last) IN (
			SELECT rollout, last FROM decision WHERE rollout IN (` + overBefore + `) LIMIT ?2)`},
		{&out.Samples, "DELETE FROM sample WHERE seq IN (SELECT seq FROM sample WHERE received < ?1 LIMIT ?2)"},
		{&out.Notices, `DELETE FROM notice WHERE seq IN (
			SELECT seq FROM notice WHERE at < ?1 AND (delivered > 0 OR dead > 0) LIMIT ?2)`},
		{&out.Sessions, "DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE expires_at < ?1 LIMIT ?2)"},
	} {
		n, err := s.prune(ctx, step.query, before)
		*step.n = n
		if err != nil {
			return out, err
		}
	}
	var err error
	out.Seen, err = s.PruneSeen(ctx, before)
	return out, err
}

// PruneSeen implements store.Retention.
func (s *Store) PruneSeen(ctx context.Context, before time.Time) (int64, error) {
	return s.prune(ctx, "DELETE FROM seen WHERE seq IN (SELECT seq FROM seen WHERE newest < ?1 LIMIT ?2)", before)
}

// prune repeats a deletion of at most pruneRows rows until it finds no more.
func (s *Store) prune(ctx context.Context, query string, before time.Time) (total int64, err error) {
	for {
		var n int64
		err := s.write(ctx, "prune", func(ctx context.Context, tx *sql.Tx) error {
			res, err := tx.ExecContext(ctx, query, nanos(before), pruneRows)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		total += n
		if err != nil || n < pruneRows {
			return total, err
		}
	}
}
