package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"serin/internal/auth"
	"serin/internal/store"
)

// TestSlackOnPages: whether buttons arrive is told under Channels, to people of
// the whole server; one's own account makes a code and takes links away.
func TestSlackOnPages(t *testing.T) {
	s, access := settingsWeb(t, root)
	door := SlackDoor{}
	s.Slack = func() SlackDoor { return door }
	if page := get(t, s, "/settings").Body.String(); strings.Contains(page, "/serin") {
		t.Error("a server without a Slack app tells of its buttons")
	}
	for _, tc := range []struct {
		door SlackDoor
		want []string
	}{
		{SlackDoor{HTTP: true}, []string{"by signed requests to /hooks/slack", "Open"}},
		{SlackDoor{Socket: true, Connected: true, Since: fixed.Add(-time.Hour)}, []string{"by Socket Mode", "Connected"}},
		{SlackDoor{Socket: true, Since: fixed, Error: "invalid_auth <b>"}, []string{"Not connected", "invalid_auth &lt;b&gt;"}},
	} {
		door = tc.door
		page := get(t, s, "/settings").Body.String()
		for _, want := range tc.want {
			if !strings.Contains(page, want) {
				t.Errorf("%+v: the page does not say %q", tc.door, want)
			}
		}
	}
	if err := access.PutPerson(t.Context(), root, store.Person{Name: root.Person, Role: auth.AdminOf}); err != nil {
		t.Fatal(err)
	}
	code, body, _, _ := send(t, s, "/settings/me/slack")
	_, rest, found := strings.Cut(body, "/serin link ")
	if code != http.StatusOK || !found || len(rest) < 16 {
		t.Fatalf("code page: %d %s", code, body)
	}
	u := auth.SlackUser{Team: "T1", ID: "U1"}
	if p, err := access.LinkSlack(t.Context(), u, rest[:16]); err != nil || p.Person != root.Person {
		t.Fatalf("the page's code: %+v, %v", p, err)
	}
	if page := get(t, s, "/settings/me").Body.String(); !strings.Contains(page, "linked by code") || !strings.Contains(page, "Unlink U1") {
		t.Errorf("the account's page does not show the link: %s", page)
	}
	if code, _, _, _ := send(t, s, "/settings/me/slack/unlink", "team", "T1", "user", "U1"); code != http.StatusSeeOther {
		t.Errorf("unlink: %d", code)
	}
	if code, _, _, _ := send(t, s, "/settings/me/slack/unlink", "team", "T1", "user", "U1"); code != http.StatusNotFound {
		t.Errorf("unlink again: %d", code)
	}
}
