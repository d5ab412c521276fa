package web

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/rollout"
)

// TestOpenIncidentForm opens one from the page of its rollout, and says what
// is wrong without losing what was typed.
func TestOpenIncidentForm(t *testing.T) {
	f := burning()
	s := newIncidentsWeb(t, f, "read", "operate")
	shows(t, get(t, s, "/incidents/new?rollout=admin-workbench-1").Body.String(), []string{`<option value="admin-workbench-1" selected>`, `name="title"`, "no rollout", "--rollout admin-workbench-1"}, []string{"which you do not have"})
	shows(t, get(t, newIncidentsWeb(t, burning(), "read"), "/incidents/new").Body.String(), []string{"which you do not have", " disabled"}, nil)
	form := func(pairs ...string) url.Values {
		v := url.Values{"csrf": {s.Sessions.CSRF(goodCookie)}}
		for i := 0; i+1 < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	for range 2 { // a double click
		if w := post(t, s, "/incidents", form("title", " Search fails ", "severity", "p2", "text", "since ten", "key", "3")); w.Code != 303 || w.Header().Get("Location") != "/incidents/INC-1" {
			t.Errorf("open: %d to %q", w.Code, w.Header().Get("Location"))
		}
	}
	post(t, s, "/incidents", form("title", "Search fails again", "severity", "p2", "text", "since ten", "key", "3"))
	if o := f.opened; len(o) != 3 || o[0].Title != "Search fails" || o[0].Severity != "p2" || o[0].Text != "since ten" || o[0].Project != "1" || o[0].Command == "" || o[0] != o[1] || o[2].Command == o[0].Command {
		t.Errorf("%+v", o)
	}
	f.refuse = &rollout.Refusal{Kind: rollout.Missing, Why: "say <b> in one line"}
	if w := post(t, s, "/incidents", form("title", "Typed", "text", "seen")); w.Code != 422 || !strings.Contains(w.Body.String(), "Say &lt;b&gt; in one line") || !strings.Contains(w.Body.String(), `value="Typed"`) {
		t.Errorf("refused: %d", w.Code)
	}
	n := len(f.opened)
	for _, bad := range []url.Values{form("title", "x", "project", "2"), form("title", "x", "rollout", "nothing-1")} {
		if w := post(t, s, "/incidents", bad); w.Code != 404 || len(f.opened) != n {
			t.Errorf("of another project: %d", w.Code)
		}
	}
	if w := post(t, newIncidentsWeb(t, f, "read"), "/incidents", form("title", "x")); w.Code != 403 || len(f.opened) != n {
		t.Errorf("as a reader: %d", w.Code)
	}
}

// TestNoteFormCountsOnce: the same form twice is one command, another text or
// another page is another.
func TestNoteFormCountsOnce(t *testing.T) {
	f := burning()
	s := newIncidentsWeb(t, f, "read", "operate")
	shows(t, get(t, s, "/incidents/INC-1").Body.String(), []string{fmt.Sprintf(`name="key" value="%d"`, f.all[0].Pos)}, nil)
	for _, v := range []struct{ key, text string }{{"7", "seen"}, {"7", "seen"}, {"7", "seen too"}, {"8", "seen"}, {"", "seen"}} {
		post(t, s, "/incidents/INC-1/note", url.Values{"csrf": {s.Sessions.CSRF(goodCookie)}, "text": {v.text}, "key": {v.key}})
	}
	var ids []string
	for _, c := range f.commands {
		ids = append(ids, c.ID)
	}
	if len(ids) != 5 || ids[0] != ids[1] || ids[0] == ids[2] || ids[0] == ids[3] || ids[4] != "" {
		t.Errorf("%q", ids)
	}
}

// TestRolloutShowsIncident: the pages of a rollout say for what its raises
// wait, and only while they do.
func TestRolloutShowsIncident(t *testing.T) {
	views := fleet()
	i := slices.IndexFunc(views, func(v controller.View) bool { return v.ID == "admin-workbench-1" })
	page := func(incidents ...rollout.Incident) string {
		views[i].State.Incidents = incidents
		s := newWebFor(t, &fakeRollouts{views: views}, &fakeSessions{Person{Name: "ben", Principal: auth.Principal{Name: "ben", Scopes: []string{"read", "operate"}}}})
		s.Options.Incidents = burning()
		return get(t, s, "/rollouts/admin-workbench-1").Body.String()
	}
	shows(t, page(rollout.Incident{ID: "INC-1"}), []string{`role="alert" id="burning-INC-1"`, "Raises wait for incident INC-1.", `href="/incidents/INC-1"`}, []string{"Open an incident"})
	shows(t, page(rollout.Incident{ID: "INC-1", Resolved: true}), []string{`/incidents/new?rollout=admin-workbench-1`, "Open an incident"}, []string{"Raises wait"})
}
