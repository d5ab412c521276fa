package sqlite

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"serin/internal/rollout"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// TestShed removes what came first, and nothing of a rollout that is not over.
func TestShed(t *testing.T) {
	s := openAt(t, t.TempDir())
	defer s.Close()
	ctx, now := t.Context(), time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for i, r := range []struct {
		id     string
		status rollout.Status
	}{{"late-1", rollout.Done}, {"early-1", rollout.Cancelled}, {"on-1", rollout.Running}} {
		st := rollout.State{ID: r.id, Status: r.status, Pos: 1, At: now.Add(-time.Duration(i) * time.Hour)}
		if err := s.Commit(ctx, store.Commit{State: st, Events: []rollout.Event{{Pos: 1}}}); err != nil {
			t.Fatal(err)
		}
		b := store.Batch{Users: []store.UserRow{{Rollout: r.id, User: "u"}}, Samples: []store.Sample{{Issue: r.id, Event: telemetry.Event{ID: r.id, Received: now}}}}
		for m := range int64(pruneRows + 1) {
			b.Cells = append(b.Cells, store.Cell{Rollout: r.id, Metric: "m", Minute: m})
		}
		if err := s.AppendEvidence(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	full, err := s.Size(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.ShedSamples(ctx, 2); n != 2 || err != nil {
		t.Errorf("ShedSamples = %d, %v; want 2", n, err)
	}
	if left, err := s.Events(ctx, "", 0); err != nil || len(left) != 1 || left[0].ID != "on-1" {
		t.Errorf("samples left: %v, %v; want the last", left, err)
	}
	for _, want := range []struct {
		rollout string
		rows    int64
	}{{"early-1", pruneRows}, {"early-1", 2}, {"late-1", pruneRows}, {"late-1", 2}, {"", 0}} {
		limit := pruneRows
		if want.rows == 2 {
			limit = 10 * pruneRows
		}
		if id, n, err := s.ShedEvidence(ctx, limit); id != want.rollout || n != want.rows || err != nil {
			t.Errorf("ShedEvidence = %q, %d, %v; want %+v", id, n, err, want)
		}
	}
	n := 0
	if err := s.LoadCells(ctx, "on-1", 0, func(store.Cell) error { n++; return nil }); err != nil || n != pruneRows+1 {
		t.Errorf("cells of the running rollout = %d, %v; want %d", n, err, pruneRows+1)
	}
	size, err := s.Size(ctx)
	if err != nil || size.Used >= full.Used || size.Free == 0 || size.Log == 0 {
		t.Errorf("Size = %+v, %v; before %+v", size, err, full)
	}
}

// TestCompact gives free pages back and loses nothing.
func TestCompact(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "serin.db")
	s := openAt(t, dir)
	for i := range 20 {
		if err := s.AppendEvidence(t.Context(), benchBatch(i, 50, 20)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.ShedSamples(t.Context(), 950); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, after, err := Compact(t.Context(), path)
	if err != nil || after >= before/2 {
		t.Errorf("Compact: %d bytes before, %d after, %v", before, after, err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != after || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	s = openAt(t, dir)
	defer s.Close()
	if left, err := s.Events(t.Context(), "", 0); err != nil || len(left) != 50 {
		t.Errorf("%d samples left, %v; want 50", len(left), err)
	}
	if size, err := s.Size(t.Context()); err != nil || size.Free != 0 {
		t.Errorf("Size = %+v, %v; want no free pages", size, err)
	}
	if _, _, err := Compact(t.Context(), filepath.Join(dir, "none.db")); err == nil {
		t.Error("a database that is not there is no error")
	}
}

// TestPruneAlertHistory: the history of alerts goes with the notices.
func TestPruneAlertHistory(t *testing.T) {
	s := openAt(t, t.TempDir())
	defer s.Close()
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	entry := func(after time.Duration) store.AlertEntry {
		return store.AlertEntry{Alert: "x", At: at.Add(after), Data: []byte("{}")}
	}
	if err := s.CommitAlerts(t.Context(), store.AlertCommit{Entries: []store.AlertEntry{entry(0), entry(time.Hour), entry(2 * time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Prune(t.Context(), store.Cutoffs{Outbox: at.Add(90 * time.Minute)}); err != nil || n.Alerts != 2 {
		t.Errorf("Prune = %+v, %v; want 2 entries", n, err)
	}
	if left, err := s.AlertHistory(t.Context(), "x", 0); err != nil || len(left) != 1 {
		t.Errorf("%d entries left, %v; want 1", len(left), err)
	}
}

// TestPrunePages: pages that are over and threads that rest go with the
// notices; an open page stays however old it is.
func TestPrunePages(t *testing.T) {
	s := openAt(t, t.TempDir())
	defer s.Close()
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	page := func(id string, open bool, after time.Duration) store.PageRow {
		return store.PageRow{ID: id, Open: open, At: at.Add(after), Data: []byte("{}")}
	}
	if err := s.CommitOnCall(t.Context(), store.OnCallCommit{PutPages: []store.PageRow{page("old", false, 0), page("open", true, 0), page("new", false, 2*time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	for thread, after := range map[string]time.Duration{"old": 0, "new": 2 * time.Hour} {
		if err := s.PutSlackThread(t.Context(), store.SlackThread{Address: "slack:#ops", Thread: thread, Channel: "C", TS: "1.0", At: at.Add(after)}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Prune(t.Context(), store.Cutoffs{Outbox: at.Add(time.Hour)}); err != nil || n.Pages != 1 || n.Threads != 1 {
		t.Errorf("Prune = %+v, %v; want one page and one thread", n, err)
	}
	left, err := s.Pages(t.Context(), false, 0)
	if err != nil || len(left) != 2 || left[0].ID != "new" || left[1].ID != "open" {
		t.Errorf("pages left: %+v, %v", left, err)
	}
	if _, err := s.SlackThread(t.Context(), "slack:#ops", "new"); err != nil {
		t.Errorf("the new thread: %v", err)
	}
}
