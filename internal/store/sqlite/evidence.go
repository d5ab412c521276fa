package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"serin/internal/store"
	"serin/internal/telemetry"
)

// cellsPerStatement is how many cells one INSERT writes; the rest of a batch
// goes one by one.
const cellsPerStatement = 25

const (
	cellInsert = "INSERT INTO cell (rollout, minute, metric, grp, attempt, interval, data) VALUES "
	cellRow    = "(?, ?, ?, ?, ?, ?, ?)"
	cellUpsert = " ON CONFLICT DO UPDATE SET data = excluded.data"
)

// statements are the prepared statements of AppendEvidence, on the writing connection.
type statements struct {
	cells, cell, user, seen, sample, issue, value, counter, pending, sealed *sql.Stmt
}

// each returns the statements with their SQL.
func (p *statements) each() map[**sql.Stmt]string {
	return map[**sql.Stmt]string{
		&p.cells: cellInsert + places(cellRow, cellsPerStatement) + cellUpsert,
		&p.cell:  cellInsert + cellRow + cellUpsert,
		&p.user: `INSERT INTO user_row (rollout, metric, user, data) VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET data = excluded.data`,
		&p.seen: "INSERT INTO seen (newest, hashes) VALUES (?, ?)",
		&p.sample: `INSERT INTO sample (issue, project, event_id, received, event) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (event_id, project) WHERE event_id <> ''
			DO UPDATE SET issue = excluded.issue, received = excluded.received, event = excluded.event`,
		&p.issue: `INSERT INTO issue (id, project, hash, status, last_seen, body) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET project = excluded.project, hash = excluded.hash, status = excluded.status,
			last_seen = excluded.last_seen, body = excluded.body`,
		&p.value:   "REPLACE INTO value (key, text, at) VALUES (?, ?, ?)",
		&p.counter: "INSERT INTO counter (name, n) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n",
		&p.pending: "REPLACE INTO pending (id, due, data) VALUES (?, ?, ?)",
		&p.sealed:  "DELETE FROM pending WHERE id = ?",
	}
}

func (p *statements) prepare(ctx context.Context, db *sql.DB) (err error) {
	for stmt, query := range p.each() {
		if *stmt, err = db.PrepareContext(ctx, query); err != nil {
			return fmt.Errorf("prepare %q: %w", query, err)
		}
	}
	return nil
}

func (p *statements) close() error {
	var errs []error
	for stmt := range p.each() {
		if *stmt != nil {
			errs = append(errs, (*stmt).Close())
		}
	}
	return errors.Join(errs...)
}

// AppendEvidence implements store.Evidence. What can be encoded beforehand is,
// so that the writing connection is held only for writing.
func (s *Store) AppendEvidence(ctx context.Context, b store.Batch) error {
	samples, issues, err := encodeBatch(b)
	if err != nil {
		return fmt.Errorf("append evidence: %w", err)
	}
	return s.write(ctx, "append evidence", func(ctx context.Context, tx *sql.Tx) error {
		a := appender{ctx: ctx, tx: tx}
		a.cells(&s.append, b.Cells)
		for _, u := range b.Users {
			a.exec(s.append.user, u.Rollout, u.Metric, u.User, bytesOf(u.Data))
		}
		if len(b.Seen) > 0 {
			a.exec(s.append.seen, packSeen(b.Seen)...)
		}
		for i, sm := range b.Samples {
			a.exec(s.append.sample, sm.Issue, sm.Event.Project, sm.Event.ID, nanos(sm.Event.Received), samples[i])
		}
		for i, v := range b.Issues {
			a.exec(s.append.issue, v.ID, v.Project, v.Hash, v.Status, nanos(v.LastSeen), issues[i])
		}
		for _, v := range b.Values {
			a.exec(s.append.value, v.Key, v.Text, nanos(v.At))
		}
		for _, name := range slices.Sorted(maps.Keys(b.Counters)) {
			a.exec(s.append.counter, name, b.Counters[name])
		}
		for _, p := range b.Pending {
			a.exec(s.append.pending, p.ID, nanos(p.Due), bytesOf(p.Data))
		}
		for _, id := range b.Sealed {
			a.exec(s.append.sealed, id)
		}
		return a.err
	})
}

// encodeBatch returns samples and issues as JSON.
func encodeBatch(b store.Batch) (samples, issues []string, err error) {
	for _, sm := range b.Samples {
		data, err := json.Marshal(store.CleanEvent(sm.Event))
		if err != nil {
			return nil, nil, fmt.Errorf("encode sample of issue %s: %w", sm.Issue, err)
		}
		samples = append(samples, string(data))
	}
	for _, i := range b.Issues {
		data, err := json.Marshal(i)
		if err != nil {
			return nil, nil, fmt.Errorf("encode issue %s: %w", i.ID, err)
		}
		issues = append(issues, string(data))
	}
	return samples, issues, nil
}

// appender runs prepared statements until the first error, which it keeps.
type appender struct {
	ctx context.Context
	tx  *sql.Tx
	err error
}

func (a *appender) exec(stmt *sql.Stmt, args ...any) {
	if a.err == nil {
		_, a.err = a.tx.StmtContext(a.ctx, stmt).ExecContext(a.ctx, args...)
	}
}

func (a *appender) cells(p *statements, list []store.Cell) {
	var args []any
	for chunk := range slices.Chunk(list, cellsPerStatement) {
		args = args[:0]
		for _, c := range chunk {
			args = append(args, c.Rollout, c.Minute, c.Metric, int64(c.Group), int64(c.Attempt), int64(c.Interval), bytesOf(c.Data))
		}
		if len(chunk) == cellsPerStatement {
			a.exec(p.cells, args...)
			continue
		}
		const columns = 7
		for row := range slices.Chunk(args, columns) {
			a.exec(p.cell, row...)
		}
	}
}

// bytesOf returns data as a value that is not NULL.
func bytesOf(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// seenBytes is the length of one packed hash: the hash and its time, both
// 64 bits, big endian.
const seenBytes = 16

// packSeen returns the row of one group of hashes. A group is one row, in the
// order of time, because a row for each hash would change a page for each.
func packSeen(list []store.Seen) []any {
	var newest int64
	data := make([]byte, 0, len(list)*seenBytes)
	for _, e := range list {
		at := nanos(e.At)
		newest = max(newest, at)
		data = binary.BigEndian.AppendUint64(data, e.Hash)
		data = binary.BigEndian.AppendUint64(data, uint64(at))
	}
	return []any{newest, data}
}

// LoadSeen implements store.Evidence. A hash that was counted twice comes
// twice, the later time last.
func (s *Store) LoadSeen(ctx context.Context, since time.Time, fn func(store.Seen) error) error {
	return s.rows(ctx, "read seen", func(r *sql.Rows) error {
		var data []byte
		if err := r.Scan(&data); err != nil {
			return err
		}
		for ; len(data) >= seenBytes; data = data[seenBytes:] {
			at := instant(int64(binary.BigEndian.Uint64(data[8:])))
			if at.Before(since) {
				continue
			}
			if err := fn(store.Seen{Hash: binary.BigEndian.Uint64(data), At: at}); err != nil {
				return err
			}
		}
		return nil
	}, "SELECT hashes FROM seen WHERE newest >= ? ORDER BY seq", nanos(since))
}

// LoadCells implements store.Evidence.
func (s *Store) LoadCells(ctx context.Context, rollout string, since int64, fn func(store.Cell) error) error {
	return s.rows(ctx, "read cells of "+rollout, func(r *sql.Rows) error {
		c := store.Cell{Rollout: rollout}
		if err := r.Scan(&c.Minute, &c.Metric, &c.Group, &c.Attempt, &c.Interval, &c.Data); err != nil {
			return err
		}
		return fn(c)
	}, `SELECT minute, metric, grp, attempt, interval, data FROM cell WHERE rollout = ? AND minute >= ?
		ORDER BY minute, metric, grp, attempt, interval`, rollout, since)
}

// LoadUsers implements store.Evidence.
func (s *Store) LoadUsers(ctx context.Context, rollout string, fn func(store.UserRow) error) error {
	return s.rows(ctx, "read users of "+rollout, func(r *sql.Rows) error {
		u := store.UserRow{Rollout: rollout}
		if err := r.Scan(&u.Metric, &u.User, &u.Data); err != nil {
			return err
		}
		return fn(u)
	}, "SELECT metric, user, data FROM user_row WHERE rollout = ? ORDER BY metric, user", rollout)
}

// Values implements store.Evidence.
func (s *Store) Values(ctx context.Context) (map[string]store.Value, error) {
	out := map[string]store.Value{}
	err := s.rows(ctx, "read values", func(r *sql.Rows) error {
		var (
			key string
			v   store.Value
			at  int64
		)
		err := r.Scan(&key, &v.Text, &at)
		v.At = instant(at)
		out[key] = v
		return err
	}, "SELECT key, text, at FROM value")
	return out, err
}

// Counters implements store.Evidence.
func (s *Store) Counters(ctx context.Context) (map[string]int64, error) {
	out := map[string]int64{}
	err := s.rows(ctx, "read counters", func(r *sql.Rows) error {
		var (
			name string
			n    int64
		)
		err := r.Scan(&name, &n)
		out[name] = n
		return err
	}, "SELECT name, n FROM counter")
	return out, err
}

// Pending implements store.Evidence; the page load that is due first comes first.
func (s *Store) Pending(ctx context.Context) (out []store.Pending, err error) {
	err = s.rows(ctx, "read pending page loads", func(r *sql.Rows) error {
		var (
			p   store.Pending
			due int64
		)
		err := r.Scan(&p.ID, &due, &p.Data)
		p.Due = instant(due)
		out = append(out, p)
		return err
	}, "SELECT id, due, data FROM pending ORDER BY due, id")
	return out, err
}

// Events implements store.Evidence.
func (s *Store) Events(ctx context.Context, issue string, limit int) (out []telemetry.Event, err error) {
	where, args := "", []any{all(limit)}
	if issue != "" {
		where, args = "WHERE issue = ?", []any{issue, all(limit)}
	}
	err = s.rows(ctx, "read events", func(r *sql.Rows) error {
		out = append(out, telemetry.Event{})
		return scanJSON(r, &out[len(out)-1])
	}, "SELECT event FROM sample "+where+" ORDER BY seq DESC LIMIT ?", args...)
	return out, err
}

// Issues implements store.Issues. A rollout's issues have a key
// "<rollout>/<arm>" in their arms.
func (s *Store) Issues(ctx context.Context, q store.IssueQuery) (out []store.Issue, err error) {
	err = s.rows(ctx, "read issues", func(r *sql.Rows) error {
		out = append(out, store.Issue{})
		return scanJSON(r, &out[len(out)-1])
	}, `SELECT body FROM issue WHERE (?1 = '' OR status = ?1) AND (?2 = '' OR EXISTS (
		SELECT 1 FROM json_each(body, '$.arms') a WHERE substr(a.key, 1, length(?2) + 1) = ?2 || '/'))
		ORDER BY last_seen DESC, id LIMIT ?3`, q.Status, q.Rollout, all(q.Limit))
	return out, err
}

// Issue implements store.Issues.
func (s *Store) Issue(ctx context.Context, id string) (i store.Issue, err error) {
	var body []byte
	if err := s.row(ctx, "issue "+id, []any{&body}, "SELECT body FROM issue WHERE id = ?", id); err != nil {
		return i, err
	}
	return i, decode("issue "+id, body, &i)
}
