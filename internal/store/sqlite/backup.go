package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// BackupSetting is the setting that every backup carries, and nothing else:
// when it was made, RFC 3339. A server that starts on a database with it
// knows that it does not know what happened since.
const BackupSetting = "backup.at"

// Backup writes a consistent copy of the database at path to the new file out
// (mode 0600), as of now. A server may be running on path: it is not held up.
// When Backup returns without an error the copy is whole and durable; after
// an error there is no out.
func Backup(ctx context.Context, path, out string, now time.Time) error {
	if _, err := Inspect(ctx, path); err != nil {
		return err
	}
	db, err := connect(path, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	return copyTo(ctx, db, out, now)
}

// copyTo writes what db holds to the new file out, in the tables' own format.
func copyTo(ctx context.Context, db *sql.DB, out string, now time.Time) (err error) {
	if _, err := os.Lstat(out); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s exists: a backup is never written over", out)
	}
	part := out + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // VACUUM takes an empty file
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part)
		}
	}()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", part); err != nil {
		return fmt.Errorf("back up to %s: %w", out, classify(err))
	}
	if err := finish(ctx, part, now); err != nil {
		return fmt.Errorf("back up to %s: %w", out, err)
	}
	if err := os.Rename(part, out); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(out))
}

// finish checks a copy, marks it as one and makes it durable.
func finish(ctx context.Context, path string, now time.Time) error {
	db, err := connect(path, 1, "synchronous(FULL)")
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "REPLACE INTO setting (key, value) VALUES (?, ?)", BackupSetting, now.UTC().Format(time.RFC3339))
	if err == nil {
		err = sound(ctx, db)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// sound asks SQLite whether the file is whole.
func sound(ctx context.Context, db *sql.DB) error {
	var says string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&says); err != nil {
		return classify(err)
	}
	if says != "ok" {
		return fmt.Errorf("the database is damaged: %s", says)
	}
	return nil
}

// Restore makes a data directory's database out of a backup. path must not
// exist. The backup is checked before and after; it stays as it is.
func Restore(ctx context.Context, backup, path string) error {
	format, err := Inspect(ctx, backup)
	if err != nil {
		return err
	}
	if format.Schema > format.Known {
		return fmt.Errorf("%s was made by a newer serin (schema %d, this program knows %d): restore it with that version", backup, format.Schema, format.Known)
	}
	db, err := connect(backup, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	var text string
	err = db.QueryRowContext(ctx, "SELECT value FROM setting WHERE key = ?", BackupSetting).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) || err == nil && text == "" {
		return fmt.Errorf("%s is no backup but a server's own database: make one with serin backup create", backup)
	}
	if err != nil {
		return classify(err)
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fmt.Errorf("%s: the time of the backup: %w", backup, err)
	}
	if err := sound(ctx, db); err != nil {
		return fmt.Errorf("%s: %w", backup, err)
	}
	return copyTo(ctx, db, path, at)
}
