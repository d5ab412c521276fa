package storetest

import (
	"encoding/json"
	"testing"
	"time"

	"serin/internal/notify"
	"serin/internal/store"
)

func testIncidents(t *testing.T, s store.Store) {
	ctx := t.Context()
	row := func(number int64, id string, pos int64) store.IncidentRow {
		return store.IncidentRow{Number: number, ID: id, Project: "1", Rollout: "a", Pos: pos, State: json.RawMessage(`{"id":"` + id + `"}`), At: start.Add(time.Duration(pos) * time.Minute)}
	}
	opened, acked := json.RawMessage(`{"type":"opened"}`), json.RawMessage(`{"type":"acknowledged"}`)
	notice := notify.Notice{ID: "incident/INC-2/1/team", Channel: "team", Address: "slack:#team", Title: "b", At: start}
	first := store.IncidentCommit{Row: row(2, "INC-2", 1), Events: []json.RawMessage{opened}, Notices: []notify.Notice{notice}, Audit: []store.AuditEntry{auditOf("opened", "incident INC-2")}}
	must(t, s.CommitIncident(ctx, first))
	wantErr(t, s.CommitIncident(ctx, first), store.ErrConflict) // it is there
	must(t, s.CommitIncident(ctx, store.IncidentCommit{Row: row(10, "INC-10", 1), Events: []json.RawMessage{opened}}))
	must(t, s.CommitIncident(ctx, store.IncidentCommit{Row: row(2, "INC-2", 2), Expect: 1, Events: []json.RawMessage{acked}, Notices: []notify.Notice{notice}}))
	late := store.IncidentCommit{Row: row(2, "INC-2", 2), Expect: 1, Events: []json.RawMessage{acked}, Audit: []store.AuditEntry{auditOf("lost", "incident INC-2")}}
	wantErr(t, s.CommitIncident(ctx, late), store.ErrConflict)

	all, err := s.Incidents(ctx)
	must(t, err)
	same(t, "incidents", all, []store.IncidentRow{row(2, "INC-2", 2), row(10, "INC-10", 1)})
	events, err := s.IncidentEvents(ctx, "INC-2")
	must(t, err)
	same(t, "events", events, []json.RawMessage{opened, acked})
	events, err = s.IncidentEvents(ctx, "nothing")
	must(t, err)
	same(t, "events of none", len(events), 0)
	audit, err := s.AuditEntries(ctx, "incident INC-2", 0)
	must(t, err)
	same(t, "audit entries: a refused commit leaves none", len(audit), 1)
	got, err := s.Notice(ctx, notice.ID)
	must(t, err)
	same(t, "notice", got.Notice, notice)
}
