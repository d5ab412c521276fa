package storetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"serin/internal/notify"
	"serin/internal/rollout"
	"serin/internal/store"
)

func testCommit(t *testing.T, s store.Store) {
	ctx := t.Context()
	first := commitOf("demo-1", 0, 2)
	first.Plan = []byte("plan: demo\n")
	must(t, s.Commit(ctx, first))
	must(t, s.Commit(ctx, commitOf("alpha-1", 0, 1)))
	second := commitOf("demo-1", 2, 3)
	second.State.Status = rollout.Paused
	must(t, s.Commit(ctx, second))

	got, err := s.State(ctx, "demo-1")
	must(t, err)
	same(t, "state", got, second.State)
	states, err := s.States(ctx)
	must(t, err)
	same(t, "states, oldest first", states, []rollout.State{second.State, commitOf("alpha-1", 0, 1).State})

	all := append(append([]rollout.Event{}, first.Events...), second.Events...)
	for _, tc := range []struct {
		after int64
		limit int
		want  []rollout.Event
	}{{0, 0, all}, {1, 2, all[1:3]}, {4, 10, all[4:]}, {5, 0, nil}, {99, 0, nil}} {
		events, err := s.Journal(ctx, "demo-1", tc.after, tc.limit)
		must(t, err)
		same(t, fmt.Sprintf("journal after %d limit %d", tc.after, tc.limit), events, tc.want)
	}
	source, err := s.PlanSource(ctx, store.SourceHash(first.Plan))
	must(t, err)
	same(t, "plan of the commit", string(source), "plan: demo\n")
	_, err = s.State(ctx, "nobody-1")
	wantErr(t, err, store.ErrNotFound)
	none, err := s.Journal(ctx, "nobody-1", 0, 0)
	must(t, err)
	same(t, "journal of nobody", none, []rollout.Event(nil))
}

func testCommitRefused(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(t, s.Commit(ctx, commitOf("demo-1", 0, 2)))
	want, err := s.State(ctx, "demo-1")
	must(t, err)
	gap, short, noID := commitOf("demo-1", 2, 2), commitOf("demo-1", 2, 1), commitOf("", 0, 1)
	gap.Events[1].Pos = 9
	short.State.Pos = 7
	for name, tc := range map[string]struct {
		c    store.Commit
		want error
	}{
		"created twice":     {commitOf("demo-1", 0, 1), store.ErrConflict},
		"stale":             {commitOf("demo-1", 1, 1), store.ErrConflict},
		"ahead":             {commitOf("demo-1", 3, 1), store.ErrConflict},
		"unknown, not new":  {commitOf("other-1", 4, 1), store.ErrConflict},
		"gap":               {gap, store.ErrInvalid},
		"state elsewhere":   {short, store.ErrInvalid},
		"without a rollout": {noID, store.ErrInvalid},
	} {
		tc.c.Flag = recordOf("bench", "demo-1", 9)
		tc.c.Notices = []notify.Notice{noticeOf("x", start)}
		tc.c.Audit = []store.AuditEntry{auditOf("v", "t")}
		if err := s.Commit(ctx, tc.c); err == nil {
			t.Errorf("%s: committed, want %v", name, tc.want)
		} else {
			wantErr(t, err, tc.want)
		}
	}
	got, err := s.State(ctx, "demo-1")
	must(t, err)
	same(t, "state after refusals", got, want)
	flags, revision, err := s.Flags(ctx)
	must(t, err)
	notices, err := s.Notices(ctx, "", 0)
	must(t, err)
	audit, err := s.AuditEntries(ctx, "", 0)
	must(t, err)
	if len(flags) != 0 || revision != 0 || len(notices) != 0 || len(audit) != 0 {
		t.Errorf("a refused commit left %d flags, revision %d, %d notices, %d audit entries; want none", len(flags), revision, len(notices), len(audit))
	}
}

// testDecisions checks that an input is found by every position of its
// decision, and by no other.
func testDecisions(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, c := range []struct {
		expect int64
		n      int
		input  string
	}{{0, 2, "first"}, {2, 1, ""}, {3, 3, "second"}} {
		commit := commitOf("demo-1", c.expect, c.n)
		commit.Input = []byte(c.input)
		must(t, s.Commit(ctx, commit))
		clear(commit.Input) // the store keeps its own
	}
	first, second := store.Decision{First: 1, Last: 2, Input: []byte("first")}, store.Decision{First: 4, Last: 6, Input: []byte("second")}
	for pos, want := range map[int64]store.Decision{1: first, 2: first, 4: second, 5: second, 6: second} {
		got, err := s.Decision(ctx, "demo-1", pos)
		must(t, err)
		same(t, fmt.Sprintf("decision at %d", pos), got, want)
	}
	for _, pos := range []int64{0, 3, 7} {
		_, err := s.Decision(ctx, "demo-1", pos)
		wantErr(t, err, store.ErrNotFound)
	}
	_, err := s.Decision(ctx, "nobody-1", 1)
	wantErr(t, err, store.ErrNotFound)
	stale := commitOf("demo-1", 0, 1)
	stale.Input = []byte("stale")
	wantErr(t, s.Commit(ctx, stale), store.ErrConflict)
	got, err := s.Decision(ctx, "demo-1", 1)
	must(t, err)
	same(t, "decision after a conflict", got, first)
	none := commitOf("demo-1", 6, 0)
	none.Input = []byte("of nothing")
	wantErr(t, s.Commit(ctx, none), store.ErrInvalid)
}

// testCommitRace lets many writers commit the same position: one wins each time.
func testCommitRace(t *testing.T, s store.Store) {
	const writers = 8
	for pos := range int64(5) {
		ok, errs := race(writers, func(int) error { return s.Commit(t.Context(), commitOf("demo-1", pos, 1)) })
		if ok != 1 {
			t.Errorf("position %d: %d writers won, want 1", pos, ok)
		}
		for _, err := range errs {
			wantErr(t, err, store.ErrConflict)
		}
	}
}

func testFlagFence(t *testing.T, s store.Store) {
	ctx := t.Context()
	commit := func(id string, expect int64, f *store.FlagRecord) error {
		c := commitOf(id, expect, 1)
		c.Flag = f
		return s.Commit(ctx, c)
	}
	must(t, commit("demo-1", 0, recordOf("bench", "demo-1", 5)))
	wantErr(t, commit("demo-1", 1, recordOf("bench", "demo-1", 4)), store.ErrConflict)
	wantErr(t, commit("rival-1", 0, recordOf("bench", "rival-1", 9)), store.ErrConflict)
	_, err := s.PutFlag(ctx, *recordOf("bench", "demo-1", 4), -1, auditOf("put", "flag bench"))
	wantErr(t, err, store.ErrConflict)
	must(t, commit("demo-1", 1, recordOf("bench", "demo-1", 5)))
	must(t, commit("demo-1", 2, recordOf("bench", "demo-1", 6)))

	over := commitOf("demo-1", 3, 1)
	over.State.Status = rollout.Done
	must(t, s.Commit(ctx, over))
	must(t, commit("rival-1", 0, recordOf("bench", "rival-1", 1)))
	flags, revision, err := s.Flags(ctx)
	must(t, err)
	want := *recordOf("bench", "rival-1", 1)
	want.Revision = 4
	same(t, "flags", flags, []store.FlagRecord{want})
	if revision != 4 {
		t.Errorf("revision = %d, want 4", revision)
	}
}

// testCopies checks that neither side sees the other change its values.
func testCopies(t *testing.T, s store.Store) {
	ctx := t.Context()
	c := commitOf("demo-1", 0, 1)
	c.Flag = recordOf("bench", "demo-1", 1)
	must(t, s.Commit(ctx, c))
	c.State.Account["bake"] = 0
	c.Flag.Definition.Variants["on"] = json.RawMessage("7")
	got, err := s.State(ctx, "demo-1")
	must(t, err)
	got.Account["bake"] = 0
	flags, _, err := s.Flags(ctx)
	must(t, err)
	flags[0].Definition.Variants["off"] = json.RawMessage("8")
	got, err = s.State(ctx, "demo-1")
	must(t, err)
	same(t, "state", got, commitOf("demo-1", 0, 1).State)
	flags, _, err = s.Flags(ctx)
	must(t, err)
	same(t, "variants", flags[0].Definition.Variants, recordOf("bench", "", 0).Definition.Variants)
}

func testFlags(t *testing.T, s store.Store) {
	ctx := t.Context()
	put := func(key, by string, expect int64) (int64, error) {
		f := recordOf(key, "", 0)
		f.UpdatedBy = by
		return s.PutFlag(ctx, *f, expect, auditOf("put", "flag "+key))
	}
	check := func(want int64) func(int64, error) {
		return func(got int64, err error) {
			t.Helper()
			must(t, err)
			if got != want {
				t.Errorf("revision = %d, want %d", got, want)
			}
		}
	}
	_, revision, err := s.Flags(ctx)
	check(0)(revision, err)
	check(1)(put("b", "1", 0))
	check(2)(put("a", "2", 0))
	_, err = put("b", "x", 0)
	wantErr(t, err, store.ErrConflict)
	_, err = put("b", "x", 2)
	wantErr(t, err, store.ErrConflict)
	_, err = put("none", "x", 3)
	wantErr(t, err, store.ErrConflict)
	check(3)(put("b", "3", 1))
	check(4)(put("b", "4", -1))

	flags, revision, err := s.Flags(ctx)
	check(4)(revision, err)
	keys := ""
	for _, f := range flags {
		keys += fmt.Sprintf("%s@%d ", f.Definition.Key, f.Revision)
	}
	same(t, "flags by key", keys, "a@2 b@4 ")
	history, err := s.FlagHistory(ctx, "b", 2)
	must(t, err)
	by := ""
	for _, f := range history {
		by += f.UpdatedBy
	}
	same(t, "history, newest first", by, "43")

	check(5)(s.DeleteFlag(ctx, "b", auditOf("delete", "flag b")))
	_, err = s.DeleteFlag(ctx, "b", auditOf("delete", "flag b"))
	wantErr(t, err, store.ErrNotFound)
	check(6)(put("b", "5", 0))
	audit, err := s.AuditEntries(ctx, "flag b", 0)
	must(t, err)
	same(t, "audit entries of b", len(audit), 5)
}

func testPlans(t *testing.T, s store.Store) {
	ctx := t.Context()
	put := func(source string, want int) {
		t.Helper()
		got, err := s.PutPlan(ctx, "1", "demo", []byte(source), start, auditOf("put", "plan demo"))
		must(t, err)
		if got != want {
			t.Errorf("version of %q = %d, want %d", source, got, want)
		}
	}
	latest := func(source string, number int) {
		t.Helper()
		names, err := s.PlanNames(ctx)
		must(t, err)
		same(t, "plan names", names, []store.PlanVersion{{Project: "1", Name: "demo", Hash: store.SourceHash([]byte(source)), Number: number, At: start}})
	}
	put("one", 1)
	put("one", 1)
	put("two", 2)
	latest("two", 2)
	put("one", 1) // going back: the first version is the latest again
	latest("one", 1)
	versions, err := s.PlanVersions(ctx, "demo")
	must(t, err)
	same(t, "versions, newest first", versions, []store.PlanVersion{
		{Project: "1", Name: "demo", Hash: store.SourceHash([]byte("two")), Number: 2, At: start},
		{Project: "1", Name: "demo", Hash: store.SourceHash([]byte("one")), Number: 1, At: start},
	})
	none, err := s.PlanVersions(ctx, "other")
	must(t, err)
	same(t, "versions of an unknown plan", len(none), 0)
	source, err := s.PlanSource(ctx, store.SourceHash([]byte("two")))
	must(t, err)
	same(t, "source", string(source), "two")
	_, err = s.PlanSource(ctx, "00")
	wantErr(t, err, store.ErrNotFound)
	audit, err := s.AuditEntries(ctx, "", 0)
	must(t, err)
	same(t, "audit entries", len(audit), 3)
}

func testOutbox(t *testing.T, s store.Store) {
	ctx := t.Context()
	c := commitOf("demo-1", 0, 1)
	c.Notices = []notify.Notice{noticeOf("b", start.Add(time.Second)), noticeOf("a", start), noticeOf("c", start.Add(2*time.Second))}
	must(t, s.Commit(ctx, c))
	again := commitOf("demo-1", 1, 1)
	twice := noticeOf("a", start.Add(time.Hour))
	twice.Title = "another"
	again.Notices = []notify.Notice{twice}
	must(t, s.Commit(ctx, again))

	due := func(at time.Duration, limit int, want string) {
		t.Helper()
		list, err := s.Due(ctx, start.Add(at), limit)
		must(t, err)
		ids := ""
		for _, o := range list {
			ids += o.ID
		}
		same(t, fmt.Sprintf("due at %v", at), ids, want)
	}
	due(0, 0, "abc")
	due(0, 2, "ab")
	must(t, s.Failed(ctx, "a", "503", start.Add(time.Minute)))
	due(0, 0, "bc")
	due(time.Minute, 0, "abc")
	must(t, s.Failed(ctx, "a", "503 again", start.Add(2*time.Minute)))
	must(t, s.Delivered(ctx, "b", start.Add(time.Minute)))
	must(t, s.Failed(ctx, "b", "late answer", time.Time{}))
	must(t, s.Failed(ctx, "c", "channel_not_found", time.Time{}))
	due(time.Hour, 0, "a")
	wantErr(t, s.Delivered(ctx, "none", start), store.ErrNotFound)
	wantErr(t, s.Failed(ctx, "none", "x", start), store.ErrNotFound)

	list, err := s.Notices(ctx, "demo-1", 0)
	must(t, err)
	same(t, "notices, newest first", list, []store.Outgoing{
		{Notice: c.Notices[2], Tries: 1, Dead: true, Error: "channel_not_found"},
		{Notice: c.Notices[0], Tries: 1, Delivered: start.Add(time.Minute)},
		{Notice: c.Notices[1], Tries: 2, Next: start.Add(2 * time.Minute), Error: "503 again"},
	})
	for name, want := range map[string]int{"": 1, "other-1": 0} {
		list, err := s.Notices(ctx, name, 1)
		must(t, err)
		same(t, "notices of "+name, len(list), want)
	}
}
