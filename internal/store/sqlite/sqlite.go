// Package sqlite is the store in one SQLite file, by modernc.org/sqlite (no
// cgo). It is the default of a serin server.
//
// What a write call returned nil for survives the death of the process and of
// the machine: the journal is a write-ahead log that is synced before every
// commit returns (journal_mode=WAL, synchronous=FULL; sqlite.org/pragma.html).
// There is one connection that writes, on which the writers queue, and a small
// pool of connections that read; readers never wait for the writer. Once a
// write holds the connection it runs to its end whatever becomes of its
// context, so that a nil error means stored and any other error means not
// stored.
//
// A full disk answers store.ErrFull and leaves everything as it was. The
// tables are described in docs/formats/store.md; migrations/ holds their
// history. A database that a newer serin has migrated is refused.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"serin/internal/store"
)

const (
	// pageBytes is the page size of a new database. With the default of
	// 4096 a stored event of 2 KB wastes much of one; batches of such events
	// go in a fifth faster with 8192, and only a tenth faster still with
	// 16384, which doubles the log written for every small change.
	pageBytes = 8192
	// readers is the number of reading connections.
	readers = 4
	// busyTimeout is how long a connection waits for a lock of another process.
	busyTimeout = 5 * time.Second
	// walBytes is the size to which the write-ahead log is cut back after a checkpoint.
	walBytes = 64 << 20
	// cacheKiB is the page cache of each connection.
	cacheKiB = 16 << 10
	// applicationID marks the file as serin's (the header field that
	// sqlite.org/fileformat2.html calls "Application ID"): "seri".
	applicationID = 0x73657269
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options configure a Store. The zero value is usable.
type Options struct {
	Logger *slog.Logger // nil = silent
	// Spare makes room on a full disk, once, for a commit that takes traffic
	// down; nil = there is none to make.
	Spare func() error
}

// Store is a store.Store in a SQLite file. All methods may be called at the
// same time.
type Store struct {
	path   string
	log    *slog.Logger
	writer *sql.DB // one connection
	reader *sql.DB
	append statements
	spare  func() error
	damage atomic.Pointer[error] // nil until damage is found
}

var (
	_ store.Store     = (*Store)(nil)
	_ store.Retention = (*Store)(nil)
)

// Open opens the database at path, creates it (mode 0600) where there is none,
// and brings its tables up to date. The directory must exist. It refuses a
// database of a newer serin and a file that is not serin's.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	s := &Store{path: path, log: o.Logger, spare: o.Spare}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, classify(err)), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	// Owner only, and a clear error for a missing directory.
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := syncDirectory(filepath.Dir(s.path)); err != nil {
		return err
	}
	if err := prepareFile(ctx, s.path); err != nil {
		return err
	}
	if s.writer, err = connect(s.path, 1, "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "secure_delete(fast)",
		fmt.Sprintf("journal_size_limit(%d)", walBytes)); err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if s.reader, err = connect(s.path, readers, "query_only(1)"); err != nil {
		return err
	}
	return s.append.prepare(ctx, s.writer)
}

// connect opens a pool of n connections. The driver runs busy_timeout before the other pragmas.
func connect(path string, n int, pragmas ...string) (*sql.DB, error) {
	pragmas = append(pragmas, fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), fmt.Sprintf("cache_size(-%d)", cacheKiB))
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dsn := url.URL{Scheme: "file", Path: filepath.ToSlash(absolute),
		RawQuery: url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// prepareFile gives an empty file its page size and its mark, which must be
// set before the first table, and refuses a database that is not serin's.
func prepareFile(ctx context.Context, path string) error {
	db, err := connect(path, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	var id, tables int
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	switch {
	case id == applicationID:
		return nil
	case tables > 0 || id != 0:
		return errors.New("this is a database of another program: choose another data directory")
	}
	for _, q := range []string{
		fmt.Sprintf("PRAGMA page_size = %d", pageBytes),
		"PRAGMA journal_mode = WAL",
		fmt.Sprintf("PRAGMA application_id = %d", applicationID),
	} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// migrate brings the tables up to date.
func (s *Store) migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.writer, dir)
	if err != nil {
		return err
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema version: %w", err)
	}
	if current > target {
		return fmt.Errorf("the database was written by a newer serin (schema %d, this program knows %d): "+
			"start that version, or restore the backup made before the upgrade", current, target)
	}
	if current > 0 && current < target {
		if err := s.keep(ctx, current); err != nil {
			return err
		}
	}
	done, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrate from schema %d to %d: %w", current, target, err)
	}
	if len(done) > 0 {
		s.log.InfoContext(ctx, "database migrated", "path", s.path, "from", current, "to", target)
	}
	return nil
}

// keep backs the database up before its tables are changed, beside it and
// named after the schema that it has. One that is there already is of a
// migration that was interrupted: the tables are as they were then.
func (s *Store) keep(ctx context.Context, schema int64) error {
	out := filepath.Join(filepath.Dir(s.path), fmt.Sprintf("before-upgrade-from-%d.db", schema))
	if _, err := os.Stat(out); err == nil {
		return nil
	}
	if err := copyTo(ctx, s.writer, out, time.Now()); err != nil {
		return fmt.Errorf("back up before migrating: %w", err)
	}
	s.log.InfoContext(ctx, "database backed up before the migration", "backup", out)
	return nil
}

// syncDirectory makes a file's name in dir durable.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Check implements store.Store: it writes a row. Damage that was found once is
// told from then on, though most writes go elsewhere and succeed.
func (s *Store) Check(ctx context.Context) error {
	if found := s.damage.Load(); found != nil {
		return *found
	}
	return s.write(ctx, "check the database", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE meta SET value = value + 1 WHERE key = 'checked_at'")
		return err
	})
}

// Close waits for the running calls and closes the file. Calls after it fail.
func (s *Store) Close() error {
	var errs []error
	errs = append(errs, s.append.close())
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// write runs fn in one transaction on the writing connection and commits it.
// ctx bounds the waiting for the connection only.
func (s *Store) write(ctx context.Context, what string, fn func(context.Context, *sql.Tx) error) error {
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return s.wrong(what, err)
	}
	defer conn.Close()
	ctx = context.WithoutCancel(ctx)
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return s.wrong(what, err)
	}
	if err = fn(ctx, tx); err == nil {
		err = tx.Commit()
	}
	if err != nil {
		// After SQLITE_FULL the transaction may be rolled back already.
		_ = tx.Rollback()
		return s.wrong(what, err)
	}
	return nil
}

// rows runs a query on a reading connection and calls scan for each row.
func (s *Store) rows(ctx context.Context, what string, scan func(*sql.Rows) error, query string, args ...any) (err error) {
	defer func() {
		if err != nil {
			err = s.wrong(what, err)
		}
	}()
	rows, err := s.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// row runs a query that finds one row, or answers store.ErrNotFound.
func (s *Store) row(ctx context.Context, what string, dest []any, query string, args ...any) error {
	if err := s.reader.QueryRowContext(ctx, query, args...).Scan(dest...); err != nil {
		return s.wrong(what, err)
	}
	return nil
}

// diskFull are the result codes of a file system without room
// (sqlite.org/rescode.html): a write over quota is an I/O error, and so is an
// index of the write-ahead log that cannot grow.
var diskFull = map[int]bool{lib.SQLITE_FULL: true, lib.SQLITE_IOERR_WRITE: true, lib.SQLITE_IOERR_SHMSIZE: true}

// classify joins the store's errors to those of the driver.
func classify(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	var e *driver.Error
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case diskFull[e.Code()]:
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	case e.Code() == lib.SQLITE_CONSTRAINT_UNIQUE, e.Code() == lib.SQLITE_CONSTRAINT_PRIMARYKEY:
		return fmt.Errorf("%w: %w", store.ErrConflict, err)
	case e.Code()&primaryCode == lib.SQLITE_READONLY:
		return fmt.Errorf("%w: %w", store.ErrReadOnly, err)
	case e.Code()&primaryCode == lib.SQLITE_CORRUPT, e.Code() == lib.SQLITE_NOTADB:
		return fmt.Errorf("%w: stop serin and restore a backup: %w", store.ErrDamaged, err)
	}
	return err
}

// nanos returns t as Unix nanoseconds, 0 for the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// instant is the inverse of nanos, in UTC.
func instant(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// all turns a limit of the port (0 = all) into SQL's (-1 = all).
func all(limit int) int {
	if limit <= 0 {
		return -1
	}
	return limit
}

// places returns n comma-separated copies of one row's placeholders.
func places(row string, n int) string { return strings.TrimSuffix(strings.Repeat(row+",", n), ",") }
