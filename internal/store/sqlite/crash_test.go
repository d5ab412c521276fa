package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"serin/internal/notify"
	"serin/internal/rollout"
	"serin/internal/store"
)

// crashDir names the environment variable that turns the test binary into the
// child of TestCrash; its value is the data directory.
const crashDir = "SERIN_TEST_CRASH_DIR"

// crashPragma and crashCommits name the variables of what the child does to its
// writing connection before it begins, and of how many commits it ends after.
const (
	crashPragma  = "SERIN_TEST_CRASH_PRAGMA"
	crashCommits = "SERIN_TEST_CRASH_COMMITS"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		crashChild(dir)
	}
	os.Exit(m.Run())
}

// crashCommit is the commit after position pos: an event and its notice.
func crashCommit(pos int64) store.Commit {
	return store.Commit{Expect: pos, State: rollout.State{ID: "demo-1", Status: rollout.Running, Pos: pos + 1},
		Events:  []rollout.Event{{Pos: pos + 1, Type: rollout.Approved}},
		Notices: []notify.Notice{{ID: fmt.Sprintf("demo-1/%d/team", pos+1), Rollout: "demo-1"}}}
}

// crashChild writes until it is killed, and prints each number once it is acknowledged.
func crashChild(dir string) {
	ctx := context.Background()
	s, err := Open(ctx, dir+"/serin.db", Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if pragma := os.Getenv(crashPragma); pragma != "" {
		if _, err := s.writer.ExecContext(ctx, pragma); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	last, _ := strconv.ParseInt(os.Getenv(crashCommits), 10, 64) // 0 = until killed
	st, err := s.State(ctx, "demo-1")
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	counted, err := s.Counters(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	batch := int(counted["acknowledged"]) / 10 // it may be ahead of the journal by one
	for n := st.Pos; ; n++ {
		if err = s.AppendEvidence(ctx, benchBatch(batch, 10, 30)); err == nil {
			err = s.Commit(ctx, crashCommit(n))
		}
		batch++
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(n + 1)
		if n+1 == last {
			os.Exit(0) // without Close
		}
	}
}

// TestCrash kills a writing process again and again at arbitrary points: what
// it acknowledged is there, and what is there is whole.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	var acknowledged int64
	for round := range 6 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		killAt := acknowledged + int64(5+17*round)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if _, err := fmt.Sscan(lines.Text(), &acknowledged); err != nil {
				t.Fatal(err)
			}
			if acknowledged == killAt {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		if acknowledged < killAt {
			t.Fatalf("round %d: the child ended at %d, before it was killed", round, acknowledged)
		}
		verifyCrashed(t, dir, acknowledged)
	}
}

func verifyCrashed(t *testing.T, dir string, acknowledged int64) {
	t.Helper()
	for _, fault := range crashFaults(dir, acknowledged) {
		t.Error(fault)
	}
}

// crashFaults says what is missing or damaged in dir after acknowledged commits.
func crashFaults(dir string, acknowledged int64) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	ctx := context.Background()
	s, err := Open(ctx, filepath.Join(dir, "serin.db"), Options{})
	if err != nil {
		return []string{err.Error()}
	}
	defer s.Close()
	st, err := s.State(ctx, "demo-1")
	if err != nil {
		return []string{err.Error()}
	}
	// One write may have been stored without its acknowledgement being read.
	if st.Pos < acknowledged || st.Pos > acknowledged+1 {
		fault("state at %d, acknowledged %d", st.Pos, acknowledged)
	}
	journal, err := s.Journal(ctx, "demo-1", 0, 0)
	if err != nil || int64(len(journal)) != st.Pos {
		fault("%d events, %v; want %d", len(journal), err, st.Pos)
	}
	notices, err := s.Notices(ctx, "", 0)
	if err != nil || int64(len(notices)) != st.Pos {
		fault("%d notices, %v; want %d", len(notices), err, st.Pos)
	}
	counters, err := s.Counters(ctx)
	if err != nil {
		fault("counters: %v", err)
	}
	events, err := s.Events(ctx, "", 0)
	if err != nil || int64(len(events)) != counters["acknowledged"] {
		fault("%d samples, %v; want the %d counted", len(events), err, counters["acknowledged"])
	}
	if counters["acknowledged"] < acknowledged*10 {
		fault("%d samples counted, want at least %d", counters["acknowledged"], acknowledged*10)
	}
	var ok string
	if err := s.reader.QueryRow("PRAGMA integrity_check").Scan(&ok); err != nil || ok != "ok" {
		fault("integrity check = %q, %v", ok, err)
	}
	return faults
}
