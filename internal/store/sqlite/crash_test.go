package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"serin/internal/notify"
	"serin/internal/rollout"
	"serin/internal/store"
)

// crashDir names the environment variable that turns the test binary into the
// child of TestCrash; its value is the data directory.
const crashDir = "SERIN_TEST_CRASH_DIR"

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
	s := openAt(t, dir)
	defer s.Close()
	ctx := t.Context()
	st, err := s.State(ctx, "demo-1")
	if err != nil {
		t.Fatal(err)
	}
	// One write may have been stored without its acknowledgement being read.
	if st.Pos < acknowledged || st.Pos > acknowledged+1 {
		t.Errorf("state at %d, acknowledged %d", st.Pos, acknowledged)
	}
	journal, err := s.Journal(ctx, "demo-1", 0, 0)
	if err != nil || int64(len(journal)) != st.Pos {
		t.Errorf("%d events, %v; want %d", len(journal), err, st.Pos)
	}
	notices, err := s.Notices(ctx, "", 0)
	if err != nil || int64(len(notices)) != st.Pos {
		t.Errorf("%d notices, %v; want %d", len(notices), err, st.Pos)
	}
	counters, err := s.Counters(ctx)
	if err != nil {
		t.Fatal(err)
	}
	events, err := s.Events(ctx, "", 0)
	if err != nil || int64(len(events)) != counters["acknowledged"] {
		t.Errorf("%d samples, %v; want the %d counted", len(events), err, counters["acknowledged"])
	}
	if counters["acknowledged"] < acknowledged*10 {
		t.Errorf("%d samples counted, want at least %d", counters["acknowledged"], acknowledged*10)
	}
	var ok string
	if err := s.reader.QueryRow("PRAGMA integrity_check").Scan(&ok); err != nil || ok != "ok" {
		t.Errorf("integrity check = %q, %v", ok, err)
	}
}
