package sqlite

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"serin/internal/store"
)

var backupTime = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func opened(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestBackupWhileWriting: the copy is one moment's, whatever is written
// meanwhile, and can be restored.
func TestBackupWhileWriting(t *testing.T) {
	dir := t.TempDir()
	path, out := filepath.Join(dir, "serin.db"), filepath.Join(dir, "copy.db")
	s := opened(t, path)
	stop, wrote := make(chan struct{}), make(chan int, 1)
	var once sync.Once
	begun := make(chan struct{})
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				wrote <- n
				return
			default:
			}
			// Two settings in one transaction: no copy may hold one without the other.
			b := store.Batch{Counters: map[string]int64{"a": 1, "b": 1}}
			if err := s.AppendEvidence(t.Context(), b); err != nil {
				t.Error(err)
			}
			once.Do(func() { close(begun) })
		}
	}()
	<-begun
	if err := Backup(t.Context(), path, out, backupTime); err != nil {
		t.Fatal(err)
	}
	close(stop)
	total := <-wrote
	info, err := os.Stat(out)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("backup: %v, %v; want mode 0600", info, err)
	}
	if err := Backup(t.Context(), path, out, backupTime); err == nil || !strings.Contains(err.Error(), "never written over") {
		t.Errorf("a second backup to the same file: %v", err)
	}
	restored := filepath.Join(dir, "restored.db")
	if err := Restore(t.Context(), out, restored); err != nil {
		t.Fatal(err)
	}
	r := opened(t, restored)
	counters, err := r.Counters(t.Context())
	if err != nil || counters["a"] != counters["b"] || counters["a"] == 0 || counters["a"] > int64(total) {
		t.Errorf("restored counters %v, %v; want two equal ones of at most %d", counters, err, total)
	}
	if at, err := r.Setting(t.Context(), BackupSetting); err != nil || at != backupTime.Format(time.RFC3339) {
		t.Errorf("the restored database says it is of %q, %v", at, err)
	}
	if _, err := s.Setting(t.Context(), BackupSetting); err == nil {
		t.Error("the server's own database is marked as a backup")
	}
}

func TestRestoreRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "serin.db")
	s := opened(t, path)
	backup := filepath.Join(dir, "copy.db")
	if err := Backup(t.Context(), path, backup, backupTime); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.db")
	if err := os.WriteFile(cut, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, from, to, want string }{
		{"a server's database", path, filepath.Join(dir, "n1.db"), "is no backup"},
		{"over a database", backup, path, "exists"},
		{"half a backup", cut, filepath.Join(dir, "n2.db"), ""},
		{"nothing", filepath.Join(dir, "none.db"), filepath.Join(dir, "n3.db"), "none.db"},
	} {
		err := Restore(t.Context(), tt.from, tt.to)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", tt.name, err, tt.want)
		}
		if tt.to != path {
			if _, err := os.Stat(tt.to); err == nil {
				t.Errorf("%s: left %s behind", tt.name, tt.to)
			}
		}
	}
	if _, err := s.writer.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)"); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, "newer.db")
	if err := Backup(t.Context(), path, newer, backupTime); err != nil {
		t.Fatal(err)
	}
	if err := Restore(t.Context(), newer, filepath.Join(dir, "n4.db")); err == nil || !strings.Contains(err.Error(), "newer serin (schema 999") {
		t.Errorf("a newer backup: %v", err)
	}
}

// TestMigrationKeepsABackup: an older database is copied before its tables are changed.
func TestMigrationKeepsABackup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "serin.db")
	known := firstSchema(t, path)
	if known < 2 {
		t.Fatal("there is no migration yet")
	}
	s := opened(t, path)
	if f, err := Inspect(t.Context(), path); err != nil || f.Schema != known {
		t.Errorf("after the start %+v, %v; want schema %d", f, err, known)
	}
	if v, err := s.Setting(t.Context(), "kept"); err != nil || v != "yes" {
		t.Errorf("setting %q, %v after the migration", v, err)
	}
	backup := filepath.Join(filepath.Dir(path), "before-upgrade-from-1.db")
	if f, err := Inspect(t.Context(), backup); err != nil || f.Schema != 1 {
		t.Errorf("backup before the migration: %+v, %v; want schema 1", f, err)
	}
}

// firstSchema makes a database as the first release made it, and returns the
// newest schema.
func firstSchema(t *testing.T, path string) int64 {
	t.Helper()
	if err := prepareFile(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	db, err := connect(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "INSERT INTO setting (key, value) VALUES ('kept', 'yes')"); err != nil {
		t.Fatal(err)
	}
	_, known, err := p.GetVersions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return known
}
