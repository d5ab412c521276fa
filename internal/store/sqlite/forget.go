package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"serin/internal/flag"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// Forget implements store.Forgets. The rows are looked for on a reading
// connection, which takes as long as reading two tables, and removed in one
// short transaction. Removed rows are overwritten with zeros, also on pages that
// become free (PRAGMA secure_delete, sqlite.org/pragma.html; the writing
// connection otherwise has it at FAST, which zeroes what a row leaves in a page
// that is written anyway), and the write-ahead log is emptied, unless a reader
// is in the way: then the next checkpoint does it. Older versions of a row on
// pages that became free earlier stay until these are used again, or until
// Compact.
func (s *Store) Forget(ctx context.Context, f store.Forget) (out store.Forgotten, err error) {
	samples, err := s.samplesOf(ctx, f)
	if err != nil {
		return out, err
	}
	rows, err := s.rowsOf(ctx, f)
	if err != nil {
		return out, err
	}
	_, issues, err := encodeBatch(store.Batch{Issues: f.Issues})
	if err != nil {
		return out, fmt.Errorf("forget a user: %w", err)
	}
	if _, err := s.writer.ExecContext(ctx, "PRAGMA secure_delete = ON"); err != nil {
		return out, fmt.Errorf("forget a user: %w", classify(err))
	}
	err = s.write(ctx, "forget a user", func(ctx context.Context, tx *sql.Tx) error {
		out = store.Forgotten{Issues: int64(len(f.Issues))}
		d := deleter{ctx: ctx, tx: tx}
		for _, seq := range samples {
			d.count(&out.Samples, "DELETE FROM sample WHERE seq = ?", seq)
		}
		for _, u := range rows {
			d.count(&out.UserRows, "DELETE FROM user_row WHERE rollout = ? AND metric = ? AND user = ?", u.Rollout, u.Metric, u.User)
		}
		for _, id := range f.Pending {
			d.count(&out.PageLoads, "DELETE FROM pending WHERE id = ?", id)
		}
		a := appender{ctx: ctx, tx: tx, err: d.err}
		for i, v := range f.Issues {
			a.exec(s.append.issue, v.ID, v.Project, v.Hash, v.Status, nanos(v.LastSeen), issues[i])
		}
		for _, u := range f.Rows {
			a.exec(s.append.user, u.Rollout, u.Metric, u.User, bytesOf(u.Data))
		}
		if a.err != nil {
			return a.err
		}
		entry := f.Audit
		if entry.After, err = json.Marshal(out); err != nil {
			return err
		}
		return putAudit(ctx, tx, entry)
	})
	after := context.WithoutCancel(ctx)
	_, back := s.writer.ExecContext(after, "PRAGMA secure_delete = FAST")
	if err == nil {
		s.emptyLog(after)
	}
	return out, errors.Join(err, back)
}

// emptyLog moves the write-ahead log into the database and cuts it to nothing.
func (s *Store) emptyLog(ctx context.Context) {
	var busy, log, done int
	if err := s.writer.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done); err != nil || busy != 0 {
		s.log.WarnContext(ctx, "the write-ahead log still holds what was removed: it goes with the next checkpoint", "error", err)
	}
}

// deleter runs deletions until the first error, which it keeps.
type deleter struct {
	ctx context.Context
	tx  *sql.Tx
	err error
}

func (d *deleter) count(n *int64, query string, args ...any) {
	if d.err != nil {
		return
	}
	res, err := d.tx.ExecContext(d.ctx, query, args...)
	if err != nil {
		d.err = err
		return
	}
	more, err := res.RowsAffected()
	*n, d.err = *n+more, err
}

// samplesOf finds the samples of the user: those whose JSON holds the id as a
// string are read.
func (s *Store) samplesOf(ctx context.Context, f store.Forget) (seqs []int64, err error) {
	var where []string
	var args []any
	for _, u := range f.Users {
		quoted, err := json.Marshal(u)
		if err != nil {
			return nil, fmt.Errorf("forget a user: %w", err)
		}
		where, args = append(where, "instr(event, ?) > 0"), append(args, string(quoted))
	}
	err = s.rows(ctx, "find samples of a user", func(r *sql.Rows) error {
		var (
			seq  int64
			body []byte
			e    telemetry.Event
		)
		if err := r.Scan(&seq, &body); err != nil {
			return err
		}
		if err := json.Unmarshal(body, &e); err != nil {
			return err
		}
		if f.Concerns(e) {
			seqs = append(seqs, seq)
		}
		return nil
	}, "SELECT seq, event FROM sample WHERE "+strings.Join(where, " OR "), args...)
	return seqs, err
}

// rowsOf finds the user's rows in the rollouts of the project; rows of a
// rollout that is not known are everybody's.
func (s *Store) rowsOf(ctx context.Context, f store.Forget) (out []store.UserRow, err error) {
	args := []any{flag.ProjectOf(f.Project)}
	for _, u := range f.Users {
		args = append(args, u)
	}
	err = s.rows(ctx, "find rows of a user", func(r *sql.Rows) error {
		var u store.UserRow
		if err := r.Scan(&u.Rollout, &u.Metric, &u.User); err != nil {
			return err
		}
		out = append(out, u)
		return nil
	}, `SELECT rollout, metric, user FROM user_row WHERE substr(rollout, 1, 1) <> '~' AND rollout NOT IN (
		SELECT id FROM rollout WHERE coalesce(json_extract(state, '$.project'), '`+flag.FirstProject+`') <> ?)
		AND user IN (`+places("?", len(f.Users))+")", args...)
	return out, err
}
