package storetest

import (
	"encoding/json"
	"testing"
	"time"

	"serin/internal/notify"
	"serin/internal/store"
)

func testOnCall(t *testing.T, s store.Store) {
	ctx := t.Context()
	row := func(name, data string) store.OnCallRow {
		return store.OnCallRow{Name: name, Data: json.RawMessage(data), At: start}
	}
	page := func(id string, open bool, after time.Duration, data string) store.PageRow {
		return store.PageRow{ID: id, Open: open, At: start.Add(after), Data: json.RawMessage(data)}
	}
	notice := notify.Notice{ID: "page/a/1/ben", Channel: "on-call", Address: "email:ben@example.org", Title: "a", At: start}
	must(t, s.CommitOnCall(ctx, store.OnCallCommit{
		PutRotas: []store.OnCallRow{row("web", `{"n":1}`), row("db", `{}`)}, PutContacts: []store.OnCallRow{row("ben", `{}`), row("anna", `{}`)},
		PutPages: []store.PageRow{page("a", true, 0, `{"n":1}`), page("b", true, time.Minute, `{}`), page("c", false, time.Minute, `{}`)},
		Notices:  []notify.Notice{notice}, Audit: []store.AuditEntry{auditOf("put rota", "rota web")},
	}))
	rotas, err := s.Rotas(ctx)
	must(t, err)
	same(t, "rotas", rotas, []store.OnCallRow{row("db", `{}`), row("web", `{"n":1}`)})
	pages, err := s.Pages(ctx, false, 0)
	must(t, err)
	same(t, "pages", pages, []store.PageRow{page("c", false, time.Minute, `{}`), page("b", true, time.Minute, `{}`), page("a", true, 0, `{"n":1}`)})
	must(t, s.CommitOnCall(ctx, store.OnCallCommit{DeleteRotas: []string{"db", "never"}, DeleteContacts: []string{"anna"},
		PutRotas: []store.OnCallRow{row("web", `{"n":2}`)}, PutPages: []store.PageRow{page("b", false, time.Hour, `{"n":2}`)}, Notices: []notify.Notice{notice}}))
	rotas, err = s.Rotas(ctx)
	must(t, err)
	same(t, "rotas after a change", rotas, []store.OnCallRow{row("web", `{"n":2}`)})
	contacts, err := s.Contacts(ctx)
	must(t, err)
	same(t, "contacts after a change", contacts, []store.OnCallRow{row("ben", `{}`)})
	pages, err = s.Pages(ctx, true, 0)
	must(t, err)
	same(t, "open pages", pages, []store.PageRow{page("a", true, 0, `{"n":1}`)})
	pages, err = s.Pages(ctx, false, 1)
	must(t, err)
	same(t, "newest page", len(pages), 1)
	got, err := s.Page(ctx, "b")
	must(t, err)
	same(t, "a page keeps when it began", got, page("b", false, time.Minute, `{"n":2}`))
	_, err = s.Page(ctx, "nothing")
	wantErr(t, err, store.ErrNotFound)
	due, err := s.Due(ctx, start.Add(time.Hour), 0)
	must(t, err)
	same(t, "notices", len(due), 1)
	audit, err := s.AuditEntries(ctx, "rota web", 0)
	must(t, err)
	same(t, "audit entries", len(audit), 1)
}
