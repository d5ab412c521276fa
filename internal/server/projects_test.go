package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"serin/internal/auth"
	"serin/internal/config"
	"serin/internal/response"
	"serin/internal/store"
	"serin/internal/web"
)

// projectOf is a project as the API answers it.
type projectOf struct {
	store.Project
	Keys []struct{ Name, Key string }
}

// second makes project 2 and returns its publishable key for telemetry.
func (s *site) second() string {
	s.t.Helper()
	var p projectOf
	s.ask(http.MethodPost, "/projects", map[string]any{"name": "shop"}, &p)
	if p.ID != "2" || len(p.Keys) != 1 {
		s.t.Fatalf("the second project is %+v", p)
	}
	return p.Keys[0].Key
}

// planIn is a plan of its own project: name and flag are unique on the server.
func planIn(id string) string {
	return strings.NewReplacer("plan: checkout", "plan: checkout-in-"+id, "newCheckout", "flag-in-"+id).Replace(checkoutPlan)
}

// things are what a project has in TestProjects, by the parameters of paths.
type things struct{ rollout, flag, plan, issue, key, token, alert, incident string }

// furnish puts a rollout with its flag and plan, an issue and keys into a project.
func (s *site) furnish(id, dsnKey string) things {
	s.t.Helper()
	var r struct{ State struct{ ID string } }
	s.ask(http.MethodPost, "/rollouts?project="+id, planIn(id), &r)
	out := things{rollout: r.State.ID, flag: "flag-in-" + id, plan: "checkout-in-" + id}
	event := errorEnvelope(eventID(len(id)+7), "user-"+id, out.flag, true)
	if a := s.direct(http.MethodPost, "/api/"+id+"/envelope/?sentry_key="+dsnKey, string(event)); a.status != http.StatusOK {
		s.t.Fatalf("telemetry of project %s: %d %s", id, a.status, a.body)
	}
	var issues []store.Issue
	s.ask(http.MethodGet, "/issues?project="+id, nil, &issues)
	if len(issues) != 1 || issues[0].Project != id {
		s.t.Fatalf("issues of project %s: %+v", id, issues)
	}
	out.issue, out.alert = issues[0].ID, "alert-in-"+id
	s.ask(http.MethodPut, "/alerts/"+out.alert+"?project="+id, map[string]any{"limit": 5}, nil)
	var opened response.View
	s.ask(http.MethodPost, "/incidents?project="+id, map[string]any{"title": "office network"}, &opened)
	out.incident = opened.ID
	var made struct{ ID, Secret string }
	s.ask(http.MethodPost, "/tokens", map[string]any{"name": "server of " + id, "kind": "flags-server", "project": id}, &made)
	out.key, out.token = made.Secret, made.ID
	return out
}

// TestProjects tries every operation about a thing as everybody, on the things
// of both projects: who is limited to one finds nothing of the other.
func TestProjects(t *testing.T) {
	s := guarded(t, config.Config{})
	callers := cast(t, s) // makes project 2
	var projects []projectOf
	s.ask(http.MethodGet, "/projects", nil, &projects)
	all := map[string]things{"1": s.furnish("1", s.boot.PublicKey), "2": s.furnish("2", projects[1].Keys[0].Key)}
	var doc struct {
		Paths map[string]map[string]struct{ OperationID string }
	}
	if err := json.Unmarshal(s.must(http.MethodGet, "/api/v1/openapi.json", nil).body, &doc); err != nil {
		t.Fatal(err)
	}
	tried, n := 0, 0
	for path, methods := range doc.Paths {
		if !named.MatchString(path) {
			continue
		}
		for method, op := range methods {
			method = strings.ToUpper(method)
			row, known := operations[op.OperationID]
			if !known || op.OperationID == "put-flag" || op.OperationID == "put-alert" || method == http.MethodDelete {
				continue // below: what is deleted is there for nobody after
			}
			for id, has := range all {
				at := has.fill(path)
				for _, c := range callers {
					n++
					hidden := len(c.in) > 0 && !slices.Contains(c.in, id)
					a := s.direct(method, at, "", "Authorization", "Bearer "+c.bearer, "X-Forwarded-For", fmt.Sprintf("198.52.%d.%d", n>>8&255, n&255))
					if want := c.may(row.need, row.of, hidden, http.StatusUnauthorized); got(a) != want {
						t.Errorf("%s on %s as %s: %d %s, want %d", op.OperationID, at, c.name, a.status, a.detail(), want)
					}
					tried++
				}
			}
		}
	}
	if tried < 500 {
		t.Errorf("only %d tries: are things named otherwise now?", tried)
	}
	s.listsOfProjects(callers, all)
	s.pagesOfProjects(callers, all)
	s.flagsOfProjects(callers, all)
	s.keysOfProjects(all)
}

// fill names the things of a project in a path.
func (h things) fill(path string) string {
	id := h.rollout
	if strings.Contains(path, "/issues/") {
		id = h.issue
	}
	if strings.Contains(path, "/alerts/") {
		id = h.alert
	}
	if strings.Contains(path, "/incidents/") {
		id = h.incident
	}
	return strings.NewReplacer("{id}", id, "{key}", h.flag, "{plan}", h.plan, "{metric}", "errors").Replace(path)
}

// own reports whether text tells of the things of a project.
func (h things) in(text string) bool {
	return strings.Contains(text, h.rollout) || strings.Contains(text, `"`+h.flag+`"`) || strings.Contains(text, `"`+h.plan+`"`) ||
		strings.Contains(text, `"`+h.issue+`"`) || strings.Contains(text, `"`+h.token+`"`) || strings.Contains(text, `"`+h.alert+`"`) || strings.Contains(text, `"`+h.incident+`"`)
}

// listsOfProjects: lists hold what is in the caller's projects and, asked for
// one of them, of that one only.
func (s *site) listsOfProjects(callers []caller, all map[string]things) {
	s.t.Helper()
	lists := []string{"/incidents", "/rollouts", "/flags", "/flags/stale", "/plans", "/issues", "/audit"}
	for _, c := range callers {
		if c.scope == "" {
			continue
		}
		asked := lists
		if c.scope == auth.Admin {
			asked = append(slices.Clone(lists), "/tokens")
		}
		for _, list := range asked {
			for _, filter := range []string{"", "1", "2"} {
				path := "/api/v1" + list
				if filter != "" {
					path += "?project=" + filter
				}
				a := s.direct(http.MethodGet, path, "", "Authorization", "Bearer "+c.bearer)
				if a.status != http.StatusOK {
					s.t.Errorf("%s as %s: %d %s", path, c.name, a.status, a.detail())
					continue
				}
				for id, has := range all {
					want := (len(c.in) == 0 || slices.Contains(c.in, id)) && (filter == "" || filter == id || list == "/tokens")
					if got := has.in(string(a.body)); got != want {
						s.t.Errorf("%s as %s tells of project %s: %v, want %v", path, c.name, id, got, want)
					}
				}
			}
		}
		var projects []projectOf
		if err := json.Unmarshal(s.direct(http.MethodGet, "/api/v1/projects", "", "Authorization", "Bearer "+c.bearer).body, &projects); err != nil {
			s.t.Fatal(err)
		}
		for _, p := range projects {
			if len(c.in) > 0 && !slices.Contains(c.in, p.ID) {
				s.t.Errorf("%s is told of project %s", c.name, p.ID)
			}
		}
		if want := len(c.in); want > 0 && len(projects) != want {
			s.t.Errorf("%s is in %d projects and told of %d", c.name, want, len(projects))
		}
	}
}

// pagesOfProjects: the same of the pages.
func (s *site) pagesOfProjects(callers []caller, all map[string]things) {
	s.t.Helper()
	for _, c := range callers {
		if c.cookie == "" {
			continue
		}
		page := func(path string) answer {
			return s.direct(http.MethodGet, path, "", "Cookie", web.CookieName+"="+c.cookie)
		}
		for id, has := range all {
			sees := len(c.in) == 0 || slices.Contains(c.in, id)
			for _, path := range []string{"/rollouts/" + has.rollout, "/rollouts/" + has.rollout + "/journal", "/rollouts/" + has.rollout + "/report.json",
				"/rollouts/" + has.rollout + "/explain", "/rollouts/" + has.rollout + "/pause", "/plans/" + has.plan, "/issues/" + has.issue} {
				if a := page(path); (a.status == http.StatusOK) != sees || !sees && a.status != http.StatusNotFound {
					s.t.Errorf("%s as %s: %d, sees it: %v", path, c.name, a.status, sees)
				}
			}
			if a := page("/rollouts/" + has.plan); (a.status == http.StatusFound) != sees {
				s.t.Errorf("the latest rollout of %s as %s: %d", has.plan, c.name, a.status)
			}
			for _, path := range []string{"/incidents", "/audit"} {
				if told := strings.Contains(string(page(path).body), has.incident+"<"); told != sees {
					s.t.Errorf("%s tells %s of incident %s: %v, want %v", path, c.name, has.incident, told, sees)
				}
			}
			for _, path := range []string{"/", "/plans", "/audit", "/issues", "/settings"} {
				text := string(page(path).body)
				if told := strings.Contains(text, has.rollout) || strings.Contains(text, has.plan) || strings.Contains(text, "/"+has.issue); told && !sees {
					s.t.Errorf("%s tells %s of project %s", path, c.name, id)
				} else if !told && sees && (path == "/" || path == "/plans") {
					s.t.Errorf("%s does not tell %s of project %s", path, c.name, id)
				}
			}
		}
	}
}

// flagsOfProjects: a key or name that another project has is refused with
// that reason, whoever asks, and changes nothing.
func (s *site) flagsOfProjects(callers []caller, all map[string]things) {
	s.t.Helper()
	const off = `{"state":"DISABLED","variants":{"on":true,"off":false},"defaultVariant":"off"}`
	for _, c := range callers {
		if len(c.in) != 1 || c.scope == auth.Read {
			continue
		}
		for id, has := range all {
			if slices.Contains(c.in, id) {
				continue
			}
			send := func(method, path, body string, header ...string) answer {
				return s.direct(method, "/api/v1"+path, body, append(header, "Authorization", "Bearer "+c.bearer)...)
			}
			for what, a := range map[string]answer{
				"flag":              send(http.MethodPut, "/flags/"+has.flag, off, "Content-Type", "application/json"),
				"plan":              send(http.MethodPost, "/plans", planIn(id)),
				"rollout":           send(http.MethodPost, "/rollouts", planIn(id)),
				"flag of a plan":    send(http.MethodPost, "/plans", strings.Replace(planIn(id), "plan: "+has.plan, "plan: mine", 1)),
				"rollout of a flag": send(http.MethodPost, "/rollouts", strings.Replace(planIn(id), "plan: "+has.plan, "plan: mine", 1)),
			} {
				if a.status != http.StatusConflict || !strings.Contains(a.detail(), "is another project's") {
					s.t.Errorf("%s of project %s taken by %s: %d %s", what, id, c.name, a.status, a.detail())
				}
			}
			for what, a := range map[string]answer{
				"a delete":          send(http.MethodDelete, "/flags/"+has.flag, ""),
				"another's project": send(http.MethodPost, "/values?project="+id, `{"ci":"pass"}`, "Content-Type", "application/json"),
			} {
				if a.status != http.StatusNotFound {
					s.t.Errorf("%s in project %s as %s: %d %s", what, id, c.name, a.status, a.detail())
				}
			}
		}
	}
}

// keysOfProjects: a key reads the flags of its project, and of its
// environment, and writes telemetry of its project.
func (s *site) keysOfProjects(all map[string]things) {
	s.t.Helper()
	flags := func(key string) string {
		return string(s.direct(http.MethodPost, "/ofrep/v1/evaluate/flags", "{}", "X-API-Key", key).body)
	}
	for id, has := range all {
		for other, theirs := range all {
			if got := strings.Contains(flags(has.key), `"`+theirs.flag+`"`); got != (id == other) {
				s.t.Errorf("a key of project %s sees the flag of project %s: %v", id, other, got)
			}
			a := s.direct(http.MethodPost, "/ofrep/v1/evaluate/flags/"+url.PathEscape(theirs.flag), "{}", "X-API-Key", has.key)
			if want := map[bool]int{true: http.StatusOK, false: http.StatusNotFound}[id == other]; a.status != want {
				s.t.Errorf("a key of project %s asks for the flag of project %s: %d, want %d", id, other, a.status, want)
			}
		}
	}
	for env, want := range map[string]bool{"production": true, "Production": true, "": true, "staging": false} {
		key := s.token(map[string]any{"name": "of " + env, "kind": "flags-server", "project": "1", "environment": env})
		if got := strings.Contains(flags(key), `"`+all["1"].flag+`"`); got != want {
			s.t.Errorf("a key of environment %q sees a flag of production: %v, want %v", env, got, want)
		}
	}
	if text := flags(s.boot.FlagKey); !strings.Contains(text, all["1"].flag) || strings.Contains(text, all["2"].flag) {
		s.t.Errorf("the first key lists %s", text)
	}
}
