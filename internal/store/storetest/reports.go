package storetest

import (
	"encoding/json"
	"testing"
	"time"

	"serin/internal/notify"
	"serin/internal/store"
)

func testReports(t *testing.T, s store.Store) {
	ctx := t.Context()
	row := func(id, rollout, kind, day string, hours int, notes ...string) store.ReportRow {
		r := store.ReportRow{ID: id, Project: "1", Rollout: rollout, Name: "n", Kind: kind, Day: day, Due: start.Add(time.Duration(hours) * time.Hour), Data: json.RawMessage(`{"id":"` + id + `"}`)}
		for _, n := range notes {
			r.Notes = append(r.Notes, json.RawMessage(n))
		}
		return r
	}
	put := func(r store.ReportRow, c store.ReportCommit) error {
		c.Put = &r
		return s.CommitReport(ctx, c)
	}
	notice := notify.Notice{ID: "report/a/1/team", Channel: "team", Address: "slack:#team", Rollout: "a", Title: "b", At: start}
	must(t, put(row("a/1", "a", "stand-up", "2025-03-03", 1), store.ReportCommit{Notices: []notify.Notice{notice}}))
	wantErr(t, put(row("a/1", "a", "stand-up", "2025-03-09", 9), store.ReportCommit{Audit: []store.AuditEntry{auditOf("lost", "rollout a")}}), store.ErrConflict)
	must(t, put(row("a/2", "a", "review", "2025-03-03", 2), store.ReportCommit{}))
	must(t, put(row("b/1", "b", "review", "2025-03-04", 30), store.ReportCommit{}))
	for _, note := range []string{`{"n":1}`, `{"n":2}`} {
		must(t, s.CommitReport(ctx, store.ReportCommit{Report: "a/1", Note: json.RawMessage(note), Audit: []store.AuditEntry{auditOf("said", "rollout a")}}))
	}
	wantErr(t, s.CommitReport(ctx, store.ReportCommit{Report: "nothing", Note: json.RawMessage(`{}`), Audit: []store.AuditEntry{auditOf("lost", "rollout a")}}), store.ErrNotFound)

	first := row("a/1", "a", "stand-up", "2025-03-03", 1, `{"n":1}`, `{"n":2}`)
	got, err := s.Report(ctx, "a/1")
	must(t, err)
	same(t, "report", got, first)
	_, err = s.Report(ctx, "nothing")
	wantErr(t, err, store.ErrNotFound)
	review, other := row("a/2", "a", "review", "2025-03-03", 2), row("b/1", "b", "review", "2025-03-04", 30)
	for name, tt := range map[string]struct {
		q    store.ReportQuery
		want []store.ReportRow
	}{
		"all":                {store.ReportQuery{}, []store.ReportRow{other, review, first}},
		"newest":             {store.ReportQuery{Limit: 1}, []store.ReportRow{other}},
		"of a rollout":       {store.ReportQuery{Rollout: "a"}, []store.ReportRow{review, first}},
		"of a kind":          {store.ReportQuery{Kind: "review", Rollout: "a", Name: "n"}, []store.ReportRow{review}},
		"of a day":           {store.ReportQuery{Day: "2025-03-03"}, []store.ReportRow{review, first}},
		"of another name":    {store.ReportQuery{Name: "other"}, nil},
		"of another rollout": {store.ReportQuery{Rollout: "c"}, nil},
	} {
		list, err := s.Reports(ctx, tt.q)
		must(t, err)
		same(t, name, list, tt.want)
	}
	audit, err := s.AuditEntries(ctx, "rollout a", 0)
	must(t, err)
	same(t, "audit entries: a refused commit leaves none", len(audit), 2)
	told, err := s.Notice(ctx, notice.ID)
	must(t, err)
	same(t, "notice", told.Notice, notice)
	n, err := s.DropReports(ctx, "review", start.Add(3*time.Hour))
	must(t, err)
	same(t, "dropped", n, 1)
	n, err = s.DropReports(ctx, "stand-up", start.Add(3*time.Hour))
	must(t, err)
	same(t, "dropped", n, 1)
	must(t, put(row("a/1", "a", "stand-up", "2025-03-03", 1), store.ReportCommit{}))
	list, err := s.Reports(ctx, store.ReportQuery{})
	must(t, err)
	same(t, "what was put again has no old notes", list, []store.ReportRow{other, row("a/1", "a", "stand-up", "2025-03-03", 1)})
}
