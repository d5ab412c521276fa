package storetest

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"serin/internal/store"
	"serin/internal/telemetry"
)

// batchOf is a batch with one of everything, whose rows are numbered n.
func batchOf(n int) store.Batch {
	at := start.Add(time.Duration(n) * time.Second)
	return store.Batch{
		Cells:    []store.Cell{cellOf("demo-1", "errors", 100+int64(n), fmt.Sprint("cell ", n))},
		Users:    []store.UserRow{{Rollout: "demo-1", Metric: "errors", User: fmt.Sprint("u", n), Data: []byte{1}}},
		Seen:     []store.Seen{{Hash: uint64(n), At: at}},
		Samples:  []store.Sample{{Issue: "SERIN-1", Event: eventOf(fmt.Sprint("e", n), at)}},
		Issues:   []store.Issue{issueOf(fmt.Sprint("SERIN-", n), at)},
		Values:   []store.KeyValue{{Key: fmt.Sprint("v", n), Value: store.Value{Text: "1", At: at}}},
		Counters: map[string]int64{"acknowledged": int64(n)},
		Pending:  []store.Pending{{ID: fmt.Sprint("p", n), Due: at, Data: []byte("load")}},
	}
}

func cellOf(rollout, metric string, minute int64, data string) store.Cell {
	return store.Cell{Rollout: rollout, Attempt: 1, Metric: metric, Group: 1, Interval: 2, Minute: minute, Data: []byte(data)}
}

func eventOf(id string, at time.Time) telemetry.Event {
	return telemetry.Event{Kind: telemetry.KindError, Project: "1", ID: id, Source: "sentry", Time: at, Received: at, User: "u1",
		Level: "error", Title: "TypeError: x", Tags: map[string]string{"arm": "new"}, Measurements: map[string]float64{"lcp": 1.5},
		Exception: &telemetry.Exception{Type: "TypeError", Frames: []telemetry.Frame{{Function: "f", Line: 3, InApp: true}}}}
}

func issueOf(id string, at time.Time) store.Issue {
	return store.Issue{ID: id, Hash: "hash of " + id, Project: "1", Title: "TypeError", Level: "error", Status: "unresolved",
		FirstSeen: at, LastSeen: at, Events: 2, Users: 1, State: json.RawMessage(`{"users":["u1"]}`),
		Arms: map[string]store.ArmCount{"demo-1/new": {Events: 2, Users: 1, First: at}}}
}

func loadCells(t *testing.T, s store.Store, rollout string, since int64) (out []store.Cell) {
	t.Helper()
	must(t, s.LoadCells(t.Context(), rollout, since, func(c store.Cell) error { out = append(out, c); return nil }))
	return out
}

func loadUsers(t *testing.T, s store.Store, rollout string) map[string]string {
	t.Helper()
	out := map[string]string{}
	must(t, s.LoadUsers(t.Context(), rollout, func(u store.UserRow) error {
		out[u.Rollout+"/"+u.Metric+"/"+u.User] = string(u.Data)
		return nil
	}))
	return out
}

func loadSeen(t *testing.T, s store.Store, since time.Time) map[uint64]time.Time {
	t.Helper()
	out := map[uint64]time.Time{}
	must(t, s.LoadSeen(t.Context(), since, func(e store.Seen) error { out[e.Hash] = e.At; return nil }))
	return out
}

func testCells(t *testing.T, s store.Store) {
	other := cellOf("demo-1", "errors", 101, "same minute, other group")
	other.Group = 2
	must(t, s.AppendEvidence(t.Context(), store.Batch{Cells: []store.Cell{
		cellOf("demo-1", "errors", 102, "late"), cellOf("demo-1", "errors", 101, "first"), cellOf("demo-1", "apdex", 101, ""),
		cellOf("demo-2", "errors", 101, "not ours"), other}}))
	must(t, s.AppendEvidence(t.Context(), store.Batch{Cells: []store.Cell{cellOf("demo-1", "errors", 101, "second")}}))
	want := []store.Cell{cellOf("demo-1", "apdex", 101, ""), cellOf("demo-1", "errors", 101, "second"), other, cellOf("demo-1", "errors", 102, "late")}
	same(t, "cells", loadCells(t, s, "demo-1", 0), want)
	same(t, "cells since 102", loadCells(t, s, "demo-1", 102), want[3:])
	same(t, "cells of nobody", loadCells(t, s, "nobody", 0), []store.Cell(nil))
}

func testUsersSeenValues(t *testing.T, s store.Store) {
	ctx := t.Context()
	at := start.Add(time.Hour)
	must(t, s.AppendEvidence(ctx, store.Batch{
		Users:    []store.UserRow{{Rollout: "r", Metric: "", User: "a"}, {Rollout: "r", Metric: "m", User: "a", Data: []byte("1")}, {Rollout: "q", User: "z"}},
		Seen:     []store.Seen{{Hash: math.MaxUint64, At: start}, {Hash: 7, At: at}, {Hash: 8, At: start}},
		Values:   []store.KeyValue{{Key: "k", Value: store.Value{Text: "1", At: start}}},
		Counters: map[string]int64{"a": 1, "b": 2},
	}))
	must(t, s.AppendEvidence(ctx, store.Batch{
		Users:    []store.UserRow{{Rollout: "r", Metric: "m", User: "a", Data: []byte("2")}},
		Seen:     []store.Seen{{Hash: 8, At: at}}, // counted anew, after its window
		Values:   []store.KeyValue{{Key: "k", Value: store.Value{Text: "2", At: at}}},
		Counters: map[string]int64{"a": 10},
	}))
	same(t, "users", loadUsers(t, s, "r"), map[string]string{"r//a": "", "r/m/a": "2"})
	same(t, "seen", loadSeen(t, s, start), map[uint64]time.Time{math.MaxUint64: start, 7: at, 8: at})
	same(t, "seen lately", loadSeen(t, s, start.Add(time.Nanosecond)), map[uint64]time.Time{7: at, 8: at})
	values, err := s.Values(ctx)
	must(t, err)
	same(t, "values", values, map[string]store.Value{"k": {Text: "2", At: at}})
	counters, err := s.Counters(ctx)
	must(t, err)
	same(t, "counters", counters, map[string]int64{"a": 11, "b": 2})
}

func testPending(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(t, s.AppendEvidence(ctx, store.Batch{Pending: []store.Pending{
		{ID: "b", Due: start, Data: []byte("1")}, {ID: "a", Due: start.Add(time.Second)}, {ID: "c", Due: start}}}))
	must(t, s.AppendEvidence(ctx, store.Batch{
		Pending: []store.Pending{{ID: "b", Due: start, Data: []byte("2")}, {ID: "d", Due: start}}, Sealed: []string{"c", "d", "unknown"}}))
	got, err := s.Pending(ctx)
	must(t, err)
	same(t, "pending", got, []store.Pending{{ID: "b", Due: start, Data: []byte("2")}, {ID: "a", Due: start.Add(time.Second)}})
}

func testSamples(t *testing.T, s store.Store) {
	ctx := t.Context()
	broken := eventOf("e3", start)
	broken.DurationMS, broken.Measurements = math.NaN(), map[string]float64{"lcp": math.Inf(1), "fcp": 2}
	anonymous := eventOf("", start)
	must(t, s.AppendEvidence(ctx, store.Batch{Samples: []store.Sample{
		{Issue: "A", Event: eventOf("e1", start)}, {Issue: "B", Event: eventOf("e2", start)}, {Issue: "A", Event: broken},
		{Issue: "B", Event: anonymous}, {Issue: "B", Event: anonymous}}}))
	changed := eventOf("e1", start)
	changed.Message = "sent again"
	must(t, s.AppendEvidence(ctx, store.Batch{Samples: []store.Sample{{Issue: "A", Event: changed}}}))
	mended := broken
	mended.DurationMS, mended.Measurements = 0, map[string]float64{"fcp": 2}
	for _, tc := range []struct {
		issue string
		limit int
		want  []telemetry.Event
	}{
		{"A", 0, []telemetry.Event{mended, changed}},
		{"A", 1, []telemetry.Event{mended}},
		{"", 0, []telemetry.Event{anonymous, anonymous, mended, eventOf("e2", start), changed}},
		{"none", 0, nil},
	} {
		got, err := s.Events(ctx, tc.issue, tc.limit)
		must(t, err)
		same(t, fmt.Sprintf("events of %q limit %d", tc.issue, tc.limit), got, tc.want)
	}
}

func testIssues(t *testing.T, s store.Store) {
	ctx := t.Context()
	a, b, c := issueOf("SERIN-1", start), issueOf("SERIN-2", start.Add(time.Hour)), issueOf("SERIN-3", start.Add(time.Minute))
	b.Status = "resolved"
	c.Arms = map[string]store.ArmCount{"demo-10/new": {Events: 1}, "x_y%/old": {Events: 1}}
	must(t, s.AppendEvidence(ctx, store.Batch{Issues: []store.Issue{a, b, c}}))
	a.Events, a.LastSeen = 9, start.Add(2*time.Hour)
	must(t, s.AppendEvidence(ctx, store.Batch{Issues: []store.Issue{a}}))
	for _, tc := range []struct {
		q    store.IssueQuery
		want []store.Issue
	}{
		{store.IssueQuery{}, []store.Issue{a, b, c}},
		{store.IssueQuery{Limit: 2}, []store.Issue{a, b}},
		{store.IssueQuery{Status: "resolved"}, []store.Issue{b}},
		{store.IssueQuery{Rollout: "demo-1"}, []store.Issue{a, b}},
		{store.IssueQuery{Rollout: "demo-1", Status: "unresolved"}, []store.Issue{a}},
		{store.IssueQuery{Rollout: "x_y%"}, []store.Issue{c}},
		{store.IssueQuery{Rollout: "xzyy"}, nil},
	} {
		got, err := s.Issues(ctx, tc.q)
		must(t, err)
		same(t, fmt.Sprintf("issues %+v", tc.q), got, tc.want)
	}
	got, err := s.Issue(ctx, "SERIN-1")
	must(t, err)
	same(t, "issue", got, a)
	_, err = s.Issue(ctx, "SERIN-9")
	wantErr(t, err, store.ErrNotFound)

	double := issueOf("SERIN-4", start)
	double.Hash = a.Hash
	err = s.AppendEvidence(ctx, store.Batch{Issues: []store.Issue{double}, Counters: map[string]int64{"n": 1}})
	wantErr(t, err, store.ErrConflict)
	counters, err := s.Counters(ctx)
	must(t, err)
	same(t, "counters after a refused batch", counters, map[string]int64{})
}
