package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"serin/internal/store"
)

// primaryCode masks a result code down to its class (sqlite.org/rescode.html,
// "Primary Result Codes versus Extended Result Codes").
const primaryCode = 0xff

// wrong is the error of a call, with the store's errors joined to those of the
// driver. It remembers damage.
func (s *Store) wrong(what string, err error) error {
	known := classify(err)
	if errors.Is(known, store.ErrFull) && s.readOnly() {
		known = fmt.Errorf("%w: %w", store.ErrReadOnly, err)
	}
	err = fmt.Errorf("%s: %w", what, known)
	if errors.Is(err, store.ErrDamaged) && s.damage.CompareAndSwap(nil, &err) {
		s.log.Error("the database is damaged", "path", s.path, "err", err)
	}
	return err
}

// readOnly tells a write that failed for want of room from one on a file
// system that takes none: SQLite has one code for both.
func (s *Store) readOnly() bool {
	f, err := os.OpenFile(s.path, os.O_WRONLY, 0)
	if err != nil {
		return errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
	}
	_ = f.Close()
	return false
}

// Verify reads the whole file and returns an error that is store.ErrDamaged if
// its structure is not sound ("PRAGMA quick_check", sqlite.org/pragma.html):
// pages that no query has come by, too. What it finds Check tells from then
// on. It takes about a second for each gigabyte and stands in nobody's way.
func (s *Store) Verify(ctx context.Context) error {
	var says string
	if err := s.row(ctx, "verify the database", []any{&says}, "PRAGMA quick_check(1)"); err != nil {
		return err
	}
	if says == "ok" {
		return nil
	}
	err := fmt.Errorf("verify the database: %w: stop serin and restore a backup: %s", store.ErrDamaged, says)
	if s.damage.CompareAndSwap(nil, &err) {
		s.log.ErrorContext(ctx, "the database is damaged", "path", s.path, "err", err)
	}
	return err
}
