package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"serin/internal/auth"
)

// TestProjectsInSettings makes and renames projects by the forms.
func TestProjectsInSettings(t *testing.T) {
	s, a := settingsWeb(t, root)
	for _, tt := range []struct {
		name, path, typed string
		code              int
		says              string
	}{
		{"no name", "/settings/projects", "  ", 422, "A project needs a name"},
		{"made", "/settings/projects", " shop ", 303, ""},
		{"taken", "/settings/projects", "Shop", 422, "Another project is called Shop"},
		{"renamed to one that is taken", "/settings/projects/2", "project 1", 422, "Another project is called project 1"},
		{"renamed", "/settings/projects/2", "web & shop", 303, ""},
		{"another's", "/settings/projects/7", "x", 404, "It is not there any more"},
	} {
		code, body, location, _ := send(t, s, tt.path, "name", tt.typed)
		if code != tt.code || !strings.Contains(body, tt.says) || code == 303 && location != "/settings?done=project#projects" {
			t.Errorf("%s: %d to %q, says %q: %v", tt.name, code, location, tt.says, strings.Contains(body, tt.says))
		}
		if code != 303 {
			checkMarkup(t, body)
		}
	}
	page := get(t, s, "/settings?done=project").Body.String()
	checkMarkup(t, page)
	for _, want := range []string{"web &amp; shop", "project 2, made", "@localhost:8750/2", "@localhost:8750/1", `name="project"`, "The project is kept"} {
		if !strings.Contains(page, want) {
			t.Errorf("/settings does not say %q", want)
		}
	}

	code, _, _, _ := send(t, s, "/settings/tokens", "name", "shop ci", "kind", auth.KindOperator, "scope", "read", "project", "2", "days", "0")
	tokens, err := a.Tokens(t.Context(), root)
	if last := tokens[len(tokens)-1]; err != nil || code != http.StatusOK || strings.Join(last.Projects, ",") != "2" {
		t.Errorf("a token for project 2: %d, %+v, %v", code, last, err)
	}
	if code, body, _, _ := send(t, s, "/settings/tokens", "name", "shop page", "kind", auth.KindIngest, "project", "2", "days", "0"); code != http.StatusOK || !strings.Contains(body, "@localhost:8750/2") {
		t.Errorf("a key for project 2: %d %s", code, body)
	}
	if code, _, _, _ := send(t, s, "/settings/tokens", "name", "x", "kind", auth.KindFlags, "project", "9", "days", "0"); code != 422 {
		t.Errorf("a key for a project that is not there: %d", code)
	}
}

// TestPagesByProject: with two projects pages say whose a rollout is and
// filter by it; somebody of one project sees that one alone.
func TestPagesByProject(t *testing.T) {
	s, a := settingsWeb(t, root)
	views := s.Rollouts.(ownLists).Rollouts.(*fakeRollouts).views
	for i := range views {
		views[i].Project = "1"
	}
	first, shop, plan := views[0].ID, views[1].ID, views[0].Plan
	if body := get(t, s, "/").Body.String(); strings.Contains(body, "Filter by project") {
		t.Error("one project and a filter for it")
	}
	if _, err := a.CreateProject(t.Context(), root, "web shop"); err != nil {
		t.Fatal(err)
	}
	for i := range views {
		if views[i].ID == shop {
			views[i].Project = "2"
		}
	}
	has := func(path, id string) bool {
		w := get(t, s, path)
		checkMarkup(t, w.Body.String())
		return w.Code == http.StatusOK && strings.Contains(w.Body.String(), `href="/rollouts/`+id+`"`)
	}
	for path, want := range map[string][2]bool{"/": {true, true}, "/?project=1": {true, false}, "/?project=2": {false, true}, "/?show=all&project=2": {false, true}} {
		// The palette in the frame names every rollout: the fragment does not hold it.
		q, _ := url.Parse(path)
		values := q.Query()
		values.Set("fragment", "page")
		if got := [2]bool{has("/?"+values.Encode(), first), has("/?"+values.Encode(), shop)}; got != want {
			t.Errorf("%s lists %v, want %v", path, got, want)
		}
	}
	if body := get(t, s, "/").Body.String(); !strings.Contains(body, "Filter by project") || !strings.Contains(body, ", web shop") {
		t.Error("the list does not say whose a rollout is")
	}
	if body := get(t, s, "/rollouts/"+shop).Body.String(); !strings.Contains(body, "Project web shop.") {
		t.Error("the page does not say whose the rollout is")
	}

	who := root
	who.Scopes, who.Projects = []string{"approve"}, []string{"2"}
	s.Sessions = &fakeSessions{Person{Name: who.Name, Scopes: who.Scopes, Principal: who}}
	if has("/", first) || !has("/", shop) {
		t.Error("somebody of project 2 sees the list of project 1, or not their own")
	}
	for _, path := range []string{"", "/journal", "/report.json", "/pause", "/series/errors"} {
		if w := get(t, s, "/rollouts/"+first+path); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), plan) {
			t.Errorf("%s of another project: %d", path, w.Code)
		}
	}
	if code, _, _, _ := send(t, s, "/rollouts/"+first+"/pause", "reason", "x"); code != http.StatusNotFound {
		t.Errorf("a command on another project's rollout: %d", code)
	}
	if n := len(s.Rollouts.(ownLists).Rollouts.(*fakeRollouts).commands); n != 0 {
		t.Errorf("%d commands were given", n)
	}
	s.Connect.DSN = "http://key@localhost:8750/1"
	if body := get(t, s, "/welcome").Body.String(); !strings.Contains(body, "@localhost:8750/2") || strings.Contains(body, "@localhost:8750/1") {
		t.Error("the first steps tell somebody of project 2 of the DSN of project 1")
	}
	page := get(t, s, "/settings").Body.String()
	if strings.Contains(page, "/settings/projects") || strings.Contains(page, "Project 1") || strings.Contains(page, "slack:#ops") {
		t.Error("/settings tells somebody of project 2 of project 1, or lets them change projects")
	}
}
