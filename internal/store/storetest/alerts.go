package storetest

import (
	"encoding/json"
	"testing"
	"time"

	"serin/internal/notify"
	"serin/internal/store"
)

func testAlerts(t *testing.T, s store.Store) {
	ctx := t.Context()
	row := func(id, rollout, state string) store.AlertRow {
		a := store.AlertRow{ID: id, Project: "1", Rollout: rollout, State: json.RawMessage(state), At: start}
		if rollout == "" {
			a.Rule = json.RawMessage(`{"id":"` + id + `"}`)
		}
		return a
	}
	entry := func(id, data string, after time.Duration) store.AlertEntry {
		return store.AlertEntry{Alert: id, At: start.Add(after), Data: json.RawMessage(data)}
	}
	notice := notify.Notice{ID: "alert/b/1/team", Channel: "team", Address: "slack:#team", Title: "b", At: start}
	must(t, s.CommitAlerts(ctx, store.AlertCommit{
		Put:     []store.AlertRow{row("b", "", `{"n":1}`), row("a.x", "a", `{}`)},
		Entries: []store.AlertEntry{entry("b", `{"kind":"fired"}`, 0), entry("b", `{"kind":"resolved"}`, time.Minute), entry("a.x", `{}`, 0)},
		Notices: []notify.Notice{notice}, Audit: []store.AuditEntry{auditOf("put", "alert b")},
	}))
	must(t, s.CommitAlerts(ctx, store.AlertCommit{Put: []store.AlertRow{row("b", "", `{"n":2}`)}, Notices: []notify.Notice{notice}}))

	all, err := s.Alerts(ctx)
	must(t, err)
	same(t, "alerts", all, []store.AlertRow{row("a.x", "a", `{}`), row("b", "", `{"n":2}`)})
	history, err := s.AlertHistory(ctx, "b", 0)
	must(t, err)
	same(t, "history", history, []store.AlertEntry{entry("b", `{"kind":"resolved"}`, time.Minute), entry("b", `{"kind":"fired"}`, 0)})
	history, err = s.AlertHistory(ctx, "b", 1)
	must(t, err)
	same(t, "history, limited", len(history), 1)
	audit, err := s.AuditEntries(ctx, "alert b", 0)
	must(t, err)
	same(t, "audit entries", len(audit), 1)

	got, err := s.Notice(ctx, notice.ID)
	must(t, err)
	same(t, "notice", got.Notice, notice)
	must(t, s.Delivered(ctx, notice.ID, start.Add(time.Minute)))
	got, err = s.Notice(ctx, notice.ID)
	must(t, err)
	same(t, "delivered", got.Delivered, start.Add(time.Minute))
	_, err = s.Notice(ctx, "nothing")
	wantErr(t, err, store.ErrNotFound)

	must(t, s.CommitAlerts(ctx, store.AlertCommit{Delete: []string{"b", "never"}}))
	all, err = s.Alerts(ctx)
	must(t, err)
	same(t, "alerts after the deletion", len(all), 1)
	history, err = s.AlertHistory(ctx, "b", 0)
	must(t, err)
	same(t, "history after the deletion", len(history), 0)
}

func testDropCounts(t *testing.T, s store.Store) {
	ctx := t.Context()
	cell := func(key string, minute int64) store.Cell {
		return store.Cell{Rollout: key, Metric: "", Minute: minute, Data: []byte{1}}
	}
	must(t, s.AppendEvidence(ctx, store.Batch{Cells: []store.Cell{cell("alert:a", 1), cell("alert:a", 2), cell("alert:a", 3), cell("alert:b", 1)}}))
	n, err := s.DropCounts(ctx, "alert:a", 3)
	must(t, err)
	same(t, "dropped cells", n, int64(2))
	for key, want := range map[string]int{"alert:a": 1, "alert:b": 1} {
		left := 0
		must(t, s.LoadCells(ctx, key, 0, func(store.Cell) error { left++; return nil }))
		same(t, "cells left of "+key, left, want)
	}
}
