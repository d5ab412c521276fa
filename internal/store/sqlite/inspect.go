package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/pressly/goose/v3"
)

// Format is which version of the tables a database has.
type Format struct {
	Schema int64 // of the file; 0 = no tables yet
	Known  int64 // the newest that this program knows
}

// Inspect reads the format of the database at path and changes nothing; a
// server may be running on it. The error of a missing file is an os.ErrNotExist.
func Inspect(ctx context.Context, path string) (Format, error) {
	if _, err := os.Stat(path); err != nil {
		return Format{}, err
	}
	db, err := connect(path, 1, "query_only(1)")
	if err != nil {
		return Format{}, err
	}
	defer db.Close()
	var id int
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return Format{}, fmt.Errorf("read %s: %w", path, classify(err))
	}
	if id != applicationID {
		return Format{}, errors.New(path + " is not a database of serin")
	}
	var f Format
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return f, err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir)
	if err != nil {
		return f, err
	}
	for _, source := range p.ListSources() {
		f.Known = max(f.Known, source.Version)
	}
	err = db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&f.Schema)
	if err != nil {
		return f, fmt.Errorf("read the schema version of %s: %w", path, classify(err))
	}
	return f, nil
}
