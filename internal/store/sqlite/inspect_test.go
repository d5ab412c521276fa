package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestInspect(t *testing.T) {
	path := filepath.Join(t.TempDir(), "serin.db")
	if _, err := Inspect(t.Context(), path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v, want %v", err, os.ErrNotExist)
	}
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f, err := Inspect(t.Context(), path) // while a server runs on it
	if err != nil || f.Schema != f.Known || f.Known == 0 {
		t.Fatalf("Inspect = %+v, %v; want the newest schema", f, err)
	}
	if _, err := s.writer.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)"); err != nil {
		t.Fatal(err)
	}
	if f, err := Inspect(t.Context(), path); err != nil || f.Schema != 999 || f.Known >= 999 {
		t.Errorf("Inspect of a newer one = %+v, %v", f, err)
	}
	foreign := filepath.Join(t.TempDir(), "other.db")
	if err := os.WriteFile(foreign, []byte("SQLite format 4, or nothing of the kind"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(t.Context(), foreign); err == nil {
		t.Error("a file that is no database is no error")
	}
}
