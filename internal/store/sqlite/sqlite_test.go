package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"serin/internal/rollout"
	"serin/internal/store"
	"serin/internal/store/storetest"
	"serin/internal/telemetry"
)

func openAt(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), filepath.Join(dir, "serin.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return openAt(t, t.TempDir()) })
}

func TestDurable(t *testing.T) {
	storetest.Durable(t, func(t *testing.T, dir string) store.Store { return openAt(t, dir) })
}

func TestOpen(t *testing.T) {
	// A path with characters that mean something in a URL.
	dir := filepath.Join(t.TempDir(), "a?b %41#c")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, dir)
	defer s.Close()
	info, err := os.Stat(filepath.Join(dir, "serin.db"))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode = %o, want 600", got)
	}
	for pragma, want := range map[string]string{
		"page_size": fmt.Sprint(pageBytes), "journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000",
	} {
		var got string
		if err := s.writer.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", pragma, got, err, want)
		}
	}
	if _, err := s.reader.Exec("DELETE FROM setting"); err == nil {
		t.Error("a reading connection wrote, want an error")
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		spoil      func(t *testing.T, path string)
	}{
		{"newer schema", "newer serin (schema 9999, this program knows ", func(t *testing.T, path string) {
			s := openAt(t, filepath.Dir(path))
			defer s.Close()
			if _, err := s.writer.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)"); err != nil {
				t.Fatal(err)
			}
		}},
		{"another program's", "another program", func(t *testing.T, path string) {
			db, err := connect(path, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec("CREATE TABLE theirs (x)"); err != nil {
				t.Fatal(err)
			}
		}},
		{"no database", "damaged", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"no directory", "no such file", func(t *testing.T, path string) {
			if err := os.Remove(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "serin.db")
			tc.spoil(t, path)
			s, err := Open(t.Context(), path, Options{})
			if err == nil {
				s.Close()
				t.Fatal("opened, want an error")
			}
			if !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error = %q, want the path and %q", err, tc.want)
			}
		})
	}
}

// TestFull lets the file grow no more: writes answer ErrFull, change nothing,
// and go on when there is room again.
func TestFull(t *testing.T) {
	s := openAt(t, t.TempDir())
	defer s.Close()
	if _, err := s.writer.Exec("PRAGMA max_page_count = 1"); err != nil { // = no more than it has
		t.Fatal(err)
	}
	var err error
	stored := 0
	for ; stored < 100 && err == nil; stored++ {
		err = s.AppendEvidence(t.Context(), benchBatch(stored, 50, 20))
	}
	stored--
	if !errors.Is(err, store.ErrFull) {
		t.Fatalf("after %d batches: error = %v, want %v", stored, err, store.ErrFull)
	}
	if _, err := s.writer.Exec("PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	counters, err := s.Counters(t.Context())
	if err != nil || counters["acknowledged"] != int64(stored*50) {
		t.Errorf("acknowledged = %d, %v; want %d", counters["acknowledged"], err, stored*50)
	}
	events, err := s.Events(t.Context(), "", 0)
	if err != nil || len(events) != stored*50 {
		t.Errorf("%d events, %v; want %d", len(events), err, stored*50)
	}
	if err := errors.Join(s.Check(t.Context()), s.AppendEvidence(t.Context(), benchBatch(stored, 50, 20))); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// TestSpare: with the disk full a rollback is stored all the same, in the room
// that was kept for it; nothing else may use that room.
func TestSpare(t *testing.T) {
	var s *Store
	used := 0
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "serin.db"), Options{Spare: func() error {
		used++
		_, err := s.writer.Exec("PRAGMA max_page_count = 100000")
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	commit := func(pos int64, lowers bool) error {
		e := rollout.Event{Pos: pos, Type: rollout.RolledBackEvent, Reason: strings.Repeat("x", 200_000)}
		st := rollout.State{ID: "r-1", Plan: "r", Status: rollout.Running, Pos: pos}
		return s.Commit(t.Context(), store.Commit{State: st, Expect: pos - 1, Events: []rollout.Event{e}, Lowers: lowers})
	}
	if err := commit(1, false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.writer.Exec("PRAGMA max_page_count = 1"); err != nil { // = no more than it has
		t.Fatal(err)
	}
	if err := commit(2, false); !errors.Is(err, store.ErrFull) || used != 0 {
		t.Errorf("a raise on a full disk: %v, the reserve was used %d times", err, used)
	}
	if err := commit(2, true); err != nil || used != 1 {
		t.Errorf("a rollback on a full disk: %v, the reserve was used %d times", err, used)
	}
	journal, err := s.Journal(t.Context(), "r-1", 0, 0)
	if err != nil || len(journal) != 2 {
		t.Errorf("%d events in the journal, %v; want 2", len(journal), err)
	}
}

func TestPrune(t *testing.T) {
	s := openAt(t, t.TempDir())
	defer s.Close()
	ctx, now := t.Context(), time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for id, status := range map[string]rollout.Status{"over-1": rollout.Done, "on-1": rollout.Running} {
		st := rollout.State{ID: id, Status: status, Pos: 1, At: now.Add(-48 * time.Hour)}
		if err := s.Commit(ctx, store.Commit{State: st, Events: []rollout.Event{{Pos: 1}}, Input: []byte("i")}); err != nil {
			t.Fatal(err)
		}
		b := store.Batch{Users: []store.UserRow{{Rollout: id, User: "u"}}}
		for m := range int64(pruneRows + 10) {
			b.Cells = append(b.Cells, store.Cell{Rollout: id, Metric: "m", Minute: m})
		}
		if err := s.AppendEvidence(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	for _, age := range []time.Duration{time.Hour, 72 * time.Hour} {
		if err := s.AppendEvidence(ctx, store.Batch{
			Samples: []store.Sample{{Issue: "A", Event: telemetry.Event{Received: now.Add(-age)}}},
			Seen:    []store.Seen{{Hash: uint64(age), At: now.Add(-age)}},
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.PutSession(ctx, store.Session{Hash: age.String(), ExpiresAt: now.Add(-age)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PutAudit(ctx, store.AuditEntry{At: now.Add(-72 * time.Hour), Verb: "old"}); err != nil {
		t.Fatal(err)
	}
	day := now.Add(-24 * time.Hour)
	got, err := s.Prune(ctx, store.Cutoffs{Evidence: day, Inputs: day, Samples: day, Outbox: day, Sessions: day, Seen: day})
	want := store.Pruned{Cells: pruneRows + 10, Users: 1, Inputs: 1, Samples: 1, Seen: 1, Sessions: 1}
	if err != nil || got != want {
		t.Errorf("Prune = %+v, %v; want %+v", got, err, want)
	}
	n := 0
	if err := s.LoadCells(ctx, "on-1", 0, func(store.Cell) error { n++; return nil }); err != nil || n != pruneRows+10 {
		t.Errorf("cells of the running rollout = %d, %v; want %d", n, err, pruneRows+10)
	}
	got, err = s.Prune(ctx, store.Cutoffs{Seen: now, Audit: day})
	if want := (store.Pruned{Seen: 1, Audit: 1}); err != nil || got != want {
		t.Errorf("Prune = %+v, %v; want %+v", got, err, want)
	}
}
