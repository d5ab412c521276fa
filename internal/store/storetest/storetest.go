// Package storetest is the conformance suite of the store port. Every adapter
// runs it:
//
//	func TestStore(t *testing.T) { storetest.Run(t, func(t *testing.T) store.Store { return memory.New() }) }
//
// An adapter that keeps its data also runs Durable.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"serin/internal/flag"
	"serin/internal/notify"
	"serin/internal/rollout"
	"serin/internal/store"
)

// start is the time at which the suite's data begins.
var start = time.Date(2026, 3, 2, 9, 0, 0, 123456789, time.UTC)

// Run checks that a store keeps the contract. open returns an empty store;
// the suite closes it.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	tests := []struct {
		name string
		fn   func(*testing.T, store.Store)
	}{
		{"commit", testCommit},
		{"commit refused", testCommitRefused},
		{"commit race", testCommitRace},
		{"decisions", testDecisions},
		{"flag fence", testFlagFence},
		{"copies", testCopies},
		{"flags", testFlags},
		{"plans", testPlans},
		{"cells", testCells},
		{"users seen values", testUsersSeenValues},
		{"pending", testPending},
		{"samples", testSamples},
		{"issues", testIssues},
		{"artifacts", testArtifacts},
		{"alerts", testAlerts},
		{"incidents", testIncidents},
		{"reports", testReports},
		{"drop counts", testDropCounts},
		{"on-call", testOnCall},
		{"forget", testForget},
		{"outbox", testOutbox},
		{"channels", testChannels},
		{"slack threads", testSlackThreads},
		{"slack links", testSlackLinks},
		{"tokens", testTokens},
		{"sessions and settings", testSessionsSettings},
		{"people", testPeople},
		{"projects", testProjects},
		{"token used", testTokenUsed},
		{"audit", testAudit},
		{"cancelled", testCancelled},
		{"callback", testCallback},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t)
			defer func() { must(t, s.Close()) }()
			must(t, s.Check(t.Context()))
			tc.fn(t, s)
		})
	}
}

// Durable checks that everything acknowledged is there after a restart. open
// opens the store kept in dir, creating it where there is none.
func Durable(t *testing.T, open func(t *testing.T, dir string) store.Store) {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	fill(t, s)
	before := dump(t, s)
	must(t, s.Close())
	s = open(t, dir)
	defer func() { must(t, s.Close()) }()
	same(t, "content after a restart", dump(t, s), before)
	c := commitOf("demo-1", 2, 1)
	must(t, s.Commit(t.Context(), c))
	wantErr(t, s.Commit(t.Context(), c), store.ErrConflict)
}

// fill writes one of everything.
func fill(t *testing.T, s store.Store) {
	t.Helper()
	ctx := t.Context()
	c := commitOf("demo-1", 0, 2)
	c.Plan, c.Audit = []byte("plan: demo\n"), []store.AuditEntry{auditOf("start", "rollout demo-1")}
	c.Flag, c.Input = recordOf("bench", "demo-1", 2), []byte("input")
	c.Notices = []notify.Notice{noticeOf("demo-1/2/team", start)}
	must(t, s.Commit(ctx, c))
	_, err := s.PutFlag(ctx, *recordOf("other", "", 0), 0, auditOf("put", "flag other"))
	must(t, err)
	_, err = s.PutPlan(ctx, "1", "demo", []byte("plan: demo\n"), start, auditOf("put", "plan demo"))
	must(t, err)
	must(t, s.AppendEvidence(ctx, batchOf(1)))
	must(t, s.PutToken(ctx, tokenOf("t1"), auditOf("create", "token t1")))
	must(t, s.PutSession(ctx, store.Session{Hash: "s1", Person: "ann", Scopes: []string{"read"}, CreatedAt: start, ExpiresAt: start.Add(time.Hour)}))
	must(t, s.PutSetting(ctx, "k", "v"))
}

// dump reads everything that fill wrote.
func dump(t *testing.T, s store.Store) map[string]any {
	t.Helper()
	ctx, out := t.Context(), map[string]any{}
	put := func(name string, v any, err error) {
		t.Helper()
		must(t, err)
		out[name] = v
	}
	states, err := s.States(ctx)
	put("states", states, err)
	journal, err := s.Journal(ctx, "demo-1", 0, 0)
	put("journal", journal, err)
	decision, err := s.Decision(ctx, "demo-1", 1)
	put("decision", decision, err)
	flags, revision, err := s.Flags(ctx)
	put("flags", flags, err)
	out["revision"] = revision
	history, err := s.FlagHistory(ctx, "bench", 0)
	put("history", history, err)
	source, err := s.PlanSource(ctx, store.SourceHash([]byte("plan: demo\n")))
	put("source", source, err)
	names, err := s.PlanNames(ctx)
	put("plans", names, err)
	put("cells", loadCells(t, s, "demo-1", 0), nil)
	put("users", loadUsers(t, s, "demo-1"), nil)
	put("seen", loadSeen(t, s, start), nil)
	values, err := s.Values(ctx)
	put("values", values, err)
	counters, err := s.Counters(ctx)
	put("counters", counters, err)
	pending, err := s.Pending(ctx)
	put("pending", pending, err)
	events, err := s.Events(ctx, "", 0)
	put("events", events, err)
	issues, err := s.Issues(ctx, store.IssueQuery{})
	put("issues", issues, err)
	notices, err := s.Notices(ctx, "", 0)
	put("notices", notices, err)
	tokens, err := s.Tokens(ctx)
	put("tokens", tokens, err)
	session, err := s.SessionByHash(ctx, "s1")
	put("session", session, err)
	setting, err := s.Setting(ctx, "k")
	put("setting", setting, err)
	audit, err := s.AuditEntries(ctx, "", 0)
	put("audit", audit, err)
	for name, v := range out {
		if fmt.Sprint(v) == "[]" || fmt.Sprint(v) == "map[]" {
			t.Errorf("%s is empty, want what was written", name)
		}
	}
	return out
}

func testCancelled(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, s.Commit(ctx, commitOf("demo-1", 0, 1)), context.Canceled)
	wantErr(t, s.AppendEvidence(ctx, batchOf(1)), context.Canceled)
	if states, err := s.States(t.Context()); err != nil || len(states) != 0 {
		t.Errorf("States after cancelled commit = %d states, %v; want none", len(states), err)
	}
	if counters, err := s.Counters(t.Context()); err != nil || len(counters) != 0 {
		t.Errorf("Counters after cancelled append = %v, %v; want none", counters, err)
	}
}

// testCallback checks that a callback may use the store, and that its error ends the reading.
func testCallback(t *testing.T, s store.Store) {
	must(t, s.AppendEvidence(t.Context(), batchOf(1)))
	stop, calls := errors.New("stop"), 0
	err := s.LoadCells(t.Context(), "demo-1", 0, func(store.Cell) error {
		calls++
		must(t, s.PutSetting(t.Context(), "seen", "yes"))
		_, err := s.Setting(t.Context(), "seen")
		must(t, err)
		return stop
	})
	wantErr(t, err, stop)
	if calls != 1 {
		t.Errorf("callback ran %d times, want 1", calls)
	}
}

// race runs fn in n goroutines and returns how many calls gave each error.
func race(n int, fn func(i int) error) (ok int, errs []error) {
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	for i := range n {
		wg.Go(func() {
			err := fn(i)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				ok++
			} else {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return ok, errs
}

// commitOf is a commit of n events after position expect.
func commitOf(id string, expect int64, n int) store.Commit {
	c := store.Commit{Expect: expect}
	for i := range n {
		c.Events = append(c.Events, rollout.Event{
			Pos: expect + int64(i) + 1, Type: rollout.Approved, At: start.Add(time.Duration(i) * time.Minute), By: "ann",
			Exposure: 10_000, Extra: json.RawMessage(`{"n":1}`),
		})
	}
	c.State = rollout.State{ID: id, Plan: "demo", Status: rollout.Running, Pos: expect + int64(n), Exposure: 10_000,
		CreatedAt: start, Account: map[string]time.Duration{"bake": time.Minute}}
	return c
}

// recordOf is a flag owned by a rollout.
func recordOf(key, owner string, pos int64) *store.FlagRecord {
	return &store.FlagRecord{
		Definition: flag.Definition{Key: key, State: "ENABLED", DefaultVariant: "off",
			Variants:  map[string]json.RawMessage{"on": json.RawMessage("true"), "off": json.RawMessage("false")},
			Targeting: json.RawMessage(`{"fractional":[["on",10],["off",90]]}`), Metadata: map[string]any{"pos": float64(pos)}},
		Owner: owner, Pos: pos, UpdatedAt: start, UpdatedBy: "ann",
	}
}

func noticeOf(id string, at time.Time) notify.Notice {
	return notify.Notice{ID: id, Channel: "team", Address: "slack:#team", Rollout: "demo-1", Type: "rolled_back",
		Title: "demo rolled back", Rule: "error-rate", Value: "4.1 %", Limit: "2 %", At: at}
}

func auditOf(verb, target string) store.AuditEntry {
	return store.AuditEntry{At: start, Who: "ann", Via: "api", Verb: verb, Target: target, After: json.RawMessage(`{"a":1}`)}
}

func tokenOf(id string) store.Token {
	return store.Token{ID: id, Hash: "hash of " + id, Name: "laptop", Kind: "operator", Project: "1",
		Scopes: []string{"read", "operate"}, Person: "ann", CreatedAt: start, Origins: []string{"https://a.example"}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error = %v, want %v", err, want)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported()); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, diff)
	}
}
