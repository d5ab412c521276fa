package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"serin/internal/store"
	"serin/internal/telemetry"
)

// faultBatch is enough telemetry to fill pages of its own.
func faultBatch() store.Batch {
	var b store.Batch
	for i := range 50 {
		b.Samples = append(b.Samples, store.Sample{Issue: "SERIN-1", Event: telemetry.Event{Project: "1", Message: strings.Repeat("x", 3000), Received: time.Unix(int64(i), 0)}})
	}
	b.Counters = map[string]int64{"acknowledged": 50}
	return b
}

// TestReadOnly: a database that can only be read says so to every writer, keeps
// nothing of what it refused, and goes on by itself.
func TestReadOnly(t *testing.T) {
	s := openAt(t, t.TempDir())
	if _, err := s.writer.ExecContext(t.Context(), "PRAGMA query_only = 1"); err != nil {
		t.Fatal(err)
	}
	if err := s.AppendEvidence(t.Context(), faultBatch()); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("append: %v", err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("check: %v", err)
	}
	if c, err := s.Counters(t.Context()); err != nil || len(c) > 0 {
		t.Errorf("stored: %v, %v", c, err)
	}
	if _, err := s.writer.ExecContext(t.Context(), "PRAGMA query_only = 0"); err != nil {
		t.Fatal(err)
	}
	if err := s.AppendEvidence(t.Context(), faultBatch()); err != nil {
		t.Errorf("append when it is writable again: %v", err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("check when it is writable again: %v", err)
	}
}

// TestDamagedLastPage: whatever a damaged page holds, Verify finds it, Check
// tells it from then on, and what reads it says what to do.
func TestDamagedLastPage(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), filepath.Join(dir, "serin.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.AppendEvidence(t.Context(), faultBatch()), s.Verify(t.Context()), s.Close()); err != nil {
		t.Fatalf("whole: %v", err)
	}
	path := filepath.Join(dir, "serin.db")
	damageLastPage(t, path)
	s, err = Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatalf("a page that the start does not read: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("before anybody looked: %v", err)
	}
	if err := s.Verify(t.Context()); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "restore a backup") {
		t.Errorf("verify: %v", err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("check: %v", err)
	}
}

// damageLastPage overwrites the last page of a database that nobody has open.
func damageLastPage(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	junk := strings.Repeat("\xa5", pageBytes)
	_, err = f.WriteAt([]byte(junk), info.Size()-pageBytes)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}
