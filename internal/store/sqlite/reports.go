package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"serin/internal/store"
)

// CommitReport implements store.Reports.
func (s *Store) CommitReport(ctx context.Context, c store.ReportCommit) error {
	return s.write(ctx, "write report", func(ctx context.Context, tx *sql.Tx) error {
		if r := c.Put; r != nil {
			res, err := tx.ExecContext(ctx, "INSERT INTO report (id, project, rollout, name, kind, day, due, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
				r.ID, r.Project, r.Rollout, r.Name, r.Kind, r.Day, nanos(r.Due), string(r.Data))
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil || n == 0 {
				return fmt.Errorf("%w: report %s is there", store.ErrConflict, r.ID)
			}
		}
		if c.Note != nil {
			res, err := tx.ExecContext(ctx, `INSERT INTO report_note (report, n, data)
				SELECT id, (SELECT coalesce(max(n), 0) + 1 FROM report_note WHERE report = id), ? FROM report WHERE id = ?`, string(c.Note), c.Report)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil || n == 0 {
				return fmt.Errorf("report %s: %w", c.Report, store.ErrNotFound)
			}
		}
		if err := putNotices(ctx, tx, c.Notices); err != nil {
			return err
		}
		return putAudit(ctx, tx, c.Audit...)
	})
}

// Report implements store.Reports.
func (s *Store) Report(ctx context.Context, id string) (store.ReportRow, error) {
	found, err := s.reports(ctx, "WHERE id = ?", id)
	if err != nil {
		return store.ReportRow{}, err
	}
	if len(found) == 0 {
		return store.ReportRow{}, classify(sql.ErrNoRows)
	}
	return found[0], nil
}

// Reports implements store.Reports.
func (s *Store) Reports(ctx context.Context, q store.ReportQuery) ([]store.ReportRow, error) {
	var terms []string
	var args []any
	for _, f := range []struct{ column, value string }{{"rollout", q.Rollout}, {"name", q.Name}, {"kind", q.Kind}, {"day", q.Day}} {
		if f.value != "" {
			terms, args = append(terms, f.column+" = ?"), append(args, f.value)
		}
	}
	where := ""
	if len(terms) > 0 {
		where = "WHERE " + strings.Join(terms, " AND ")
	}
	return s.reports(ctx, where+" ORDER BY due DESC, id LIMIT ?", append(args, all(q.Limit))...)
}

func (s *Store) reports(ctx context.Context, rest string, args ...any) (out []store.ReportRow, err error) {
	err = s.rows(ctx, "read reports", func(r *sql.Rows) error {
		var (
			row  store.ReportRow
			data string
			due  int64
		)
		if err := r.Scan(&row.ID, &row.Project, &row.Rollout, &row.Name, &row.Kind, &row.Day, &due, &data); err != nil {
			return err
		}
		row.Due, row.Data = instant(due), message(data)
		out = append(out, row)
		return nil
	}, "SELECT id, project, rollout, name, kind, day, due, data FROM report "+rest, args...)
	for i := range out {
		if err != nil {
			break
		}
		err = s.rows(ctx, "read the notes of "+out[i].ID, func(r *sql.Rows) error {
			var data string
			if err := r.Scan(&data); err != nil {
				return err
			}
			out[i].Notes = append(out[i].Notes, message(data))
			return nil
		}, "SELECT data FROM report_note WHERE report = ? ORDER BY n", out[i].ID)
	}
	return out, err
}

// DropReports implements store.Reports.
func (s *Store) DropReports(ctx context.Context, kind string, before time.Time) (n int, err error) {
	err = s.write(ctx, "remove reports", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM report_note WHERE report IN (SELECT id FROM report WHERE kind = ? AND due < ?)", kind, nanos(before)); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, "DELETE FROM report WHERE kind = ? AND due < ?", kind, nanos(before))
		if err != nil {
			return err
		}
		gone, err := res.RowsAffected()
		n = int(gone)
		return err
	})
	return n, err
}
