package storetest

import (
	"encoding/json"
	"testing"

	"serin/internal/rollout"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// testForget: of one user of one project everything goes, of others nothing.
func testForget(t *testing.T, s store.Store) {
	ctx := t.Context()
	for id, project := range map[string]string{"mine-1": "", "theirs-1": "2"} {
		must(t, s.Commit(ctx, store.Commit{State: rollout.State{ID: id, Project: project, Pos: 1}, Events: []rollout.Event{{Pos: 1, At: start}}}))
	}
	row := func(rollout, metric, user string) store.UserRow {
		return store.UserRow{Rollout: rollout, Metric: metric, User: user, Data: []byte(rollout + metric)}
	}
	sample := func(id, project, user string, more func(*telemetry.Event)) store.Sample {
		e := telemetry.Event{Kind: telemetry.KindError, ID: id, Project: project, User: user, Received: start, Message: "text of " + id}
		if more != nil {
			more(&e)
		}
		return store.Sample{Issue: "SERIN-1", Event: e}
	}
	const anna = `anna"<1>` // is escaped in JSON
	issue := store.Issue{ID: "SERIN-1", Project: "1", Hash: "h", Users: 2, Status: "unresolved", LastSeen: start}
	must(t, s.AppendEvidence(ctx, store.Batch{
		Cells: []store.Cell{{Rollout: "mine-1", Metric: "m", Data: []byte("cell")}},
		Users: []store.UserRow{row("mine-1", "", anna), row("mine-1", "errors", anna), row("mine-1", "errors", "ben"), row("gone-1", "", anna),
			row("theirs-1", "", anna), row("mine-1", "", "digest"), row("~issues", "SERIN-1", anna), row("~issues", "SERIN-1", "")},
		Samples: []store.Sample{sample("a", "1", anna, nil), sample("b", "", anna, nil), sample("c", "2", anna, nil), sample("d", "1", "ben", nil),
			sample("e", "1", "", func(e *telemetry.Event) { e.SessionUser = anna }), sample("f", "1", "digest", nil),
			sample("g", "1", "", func(e *telemetry.Event) { e.Tags = map[string]string{"user.id": anna} }),
			sample("h", "1", "ben", func(e *telemetry.Event) { e.Tags = map[string]string{"colour": anna} })},
		Issues:  []store.Issue{issue},
		Pending: []store.Pending{{ID: "p1", Due: start, Data: []byte("x")}, {ID: "p2", Due: start, Data: []byte("y")}},
	}))

	issue.Users = 1
	a := auditOf("forget user", "subject 00")
	got, err := s.Forget(ctx, store.Forget{Project: "1", Users: []string{anna, "digest"}, Pending: []string{"p1", "unknown"},
		Issues: []store.Issue{issue}, Rows: []store.UserRow{{Rollout: "~issues", Metric: "SERIN-1", Data: []byte("without")}}, Audit: a})
	must(t, err)
	want := store.Forgotten{Samples: 5, UserRows: 4, PageLoads: 1, Issues: 1}
	same(t, "answer", got, want)

	events, err := s.Events(ctx, "", 0)
	must(t, err)
	var left []string
	for _, e := range events {
		left = append(left, e.ID)
	}
	same(t, "samples that stay", left, []string{"h", "d", "c"})
	for id, users := range map[string][]string{"mine-1": {"ben"}, "theirs-1": {anna}, "gone-1": nil, "~issues": {"", anna}} {
		var stay []string
		must(t, s.LoadUsers(ctx, id, func(u store.UserRow) error { stay = append(stay, u.User); return nil }))
		same(t, "rows of "+id, stay, users)
	}
	pending, err := s.Pending(ctx)
	must(t, err)
	same(t, "page loads", pending, []store.Pending{{ID: "p2", Due: start.UTC(), Data: []byte("y")}})
	now, err := s.Issue(ctx, "SERIN-1")
	must(t, err)
	same(t, "users of the issue", now.Users, int64(1))
	cells := 0
	must(t, s.LoadCells(ctx, "mine-1", 0, func(store.Cell) error { cells++; return nil }))
	same(t, "cells", cells, 1)
	entries, err := s.AuditEntries(ctx, "subject 00", 0)
	must(t, err)
	if len(entries) != 1 {
		t.Fatalf("%d audit entries, want one", len(entries))
	}
	var told store.Forgotten
	must(t, json.Unmarshal(entries[0].After, &told))
	same(t, "what the audit log tells", told, want)

	again, err := s.Forget(ctx, store.Forget{Project: "1", Users: []string{anna, "digest"}, Audit: a})
	must(t, err)
	same(t, "a second time", again, store.Forgotten{})
}
