package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"serin/internal/auth"
	"serin/internal/clock"
	"serin/internal/notify"
	"serin/internal/oncall"
	"serin/internal/paging"
	"serin/internal/store"
	"serin/internal/store/memory"
)

// TestOnCallPage: who is on call and the gaps are shown, the forms change what
// they say, and only whom they are for may send them.
func TestOnCallPage(t *testing.T) {
	s, access := settingsWeb(t, root)
	if page := get(t, s, "/settings/oncall").Body.String(); !strings.Contains(page, "not available") {
		t.Error("a server without rotas does not say so")
	}
	engine, err := paging.New(t.Context(), paging.Options{Store: memory.New(), Clock: clock.NewManual(fixed)})
	if err != nil {
		t.Fatal(err)
	}
	s.OnCall = engine
	rota := oncall.Rota{Name: "web", Timezone: "UTC", Layers: []oncall.Layer{{People: []string{"ben"}, Starts: fixed.AddDate(0, 0, 2).Format(time.DateOnly)}}}
	if _, err := engine.Put(t.Context(), rota, store.AuditEntry{Who: "ada"}); err != nil {
		t.Fatal(err)
	}
	if err := access.PutPerson(t.Context(), root, store.Person{Name: root.Person, Role: auth.AdminOf}); err != nil {
		t.Fatal(err)
	}
	if err := engine.Page(t.Context(), notify.Notice{ID: "n1", Thread: "t1", Title: `<b>Shop down`, At: fixed}, "@ben"); err != nil {
		t.Fatal(err)
	}
	page := get(t, s, "/settings/oncall").Body.String()
	for _, want := range []string{"Nobody is on call now", "Times without anybody", "Cannot be reached: ben", "&lt;b&gt;Shop down", "Acknowledge"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	const layout = "2006-01-02T15:04"
	from, to := fixed.Add(-time.Hour).Format(layout), fixed.Add(time.Hour).Format(layout)
	for _, tc := range []struct {
		name, path string
		pairs      []string
		code       int
	}{
		{"bad times", "override", []string{"rota", "web", "person", "cara", "from", "now", "to", to}, http.StatusUnprocessableEntity},
		{"end before begin", "override", []string{"rota", "web", "person", "cara", "from", to, "to", from}, http.StatusUnprocessableEntity},
		{"no such rota", "override", []string{"rota", "nobody", "person", "cara", "from", from, "to", to}, http.StatusNotFound},
		{"override", "override", []string{"rota", "web", "person", "cara", "from", from, "to", to}, http.StatusSeeOther},
		{"acknowledge", "ack", []string{"page", "t1"}, http.StatusSeeOther},
		{"acknowledge again", "ack", []string{"page", "t1"}, http.StatusNotFound},
		{"bad address", "contact", []string{"addresses", "nowhere"}, http.StatusUnprocessableEntity},
		{"contact", "contact", []string{"addresses", "email:ada@example.org\nslack:@ada"}, http.StatusSeeOther},
	} {
		if code, _, _, _ := send(t, s, "/settings/oncall/"+tc.path, tc.pairs...); code != tc.code {
			t.Errorf("%s: %d, want %d", tc.name, code, tc.code)
		}
	}
	page = get(t, s, "/settings/oncall").Body.String()
	if !strings.Contains(page, "Now: <b>cara</b>") || !strings.Contains(page, "email:ada@example.org") || strings.Contains(page, "Shop down") {
		t.Errorf("after the forms: %s", page)
	}
}

// TestOnCallFormsRefuse: a viewer sees rotas and changes none.
func TestOnCallFormsRefuse(t *testing.T) {
	s, _ := settingsWeb(t, auth.Principal{ID: "v", Name: "vera", Kind: "session", Scopes: []string{"read"}})
	engine, err := paging.New(t.Context(), paging.Options{Store: memory.New(), Clock: clock.NewManual(fixed)})
	if err != nil {
		t.Fatal(err)
	}
	s.OnCall = engine
	for _, path := range []string{"override", "ack"} {
		if code, _, _, _ := send(t, s, "/settings/oncall/"+path); code != http.StatusForbidden {
			t.Errorf("%s by a viewer: %d", path, code)
		}
	}
	if code, _, _, _ := send(t, s, "/settings/oncall/contact"); code == http.StatusSeeOther {
		t.Error("somebody without an account has contacts")
	}
}
