package web

import (
	"context"
	"net/http"
	"strings"

	"serin/internal/auth"
	"serin/internal/store"
)

// Forgetter deletes the data of one user of an application.
type Forgetter interface {
	ForgetUser(ctx context.Context, project, user string, a store.AuditEntry) (store.Forgotten, error)
}

// forgetBody is the page that deletes one user's data.
type forgetBody struct {
	Nav   settingsNav
	Error string
	Done  *store.Forgotten // nil = nothing was deleted
	// Projects are those to choose from; none where there is one only.
	Projects []option
}

func (s *server) forgetPage(w http.ResponseWriter, r *http.Request) {
	if s.admins(w, r) {
		s.showForget(w, r, http.StatusOK, "", nil)
	}
}

func (s *server) showForget(w http.ResponseWriter, r *http.Request, status int, wrong string, done *store.Forgotten) {
	in, err := s.projects(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	b := forgetBody{Nav: settingsNav{"send", true}, Error: wrong, Done: done}
	if len(in) > 1 {
		for _, p := range in {
			b.Projects = append(b.Projects, option{p.ID, p.Name, p.ID == r.FormValue("project")})
		}
	}
	s.render(w, r, status, "forget", settingsPage("Delete a user’s data", "A user’s data", b))
}

// maxSubject bounds the id of a user, in bytes.
const maxSubject = 1000

// forget deletes the data of the user that was written twice. The id is not
// shown again: it is gone from here too.
func (s *server) forget(w http.ResponseWriter, r *http.Request) {
	if !s.admins(w, r) {
		return
	}
	user, reason := strings.TrimSpace(r.FormValue("user")), strings.TrimSpace(r.FormValue("reason"))
	who := by(r)
	project := orElse(r.FormValue("project"), who.Home())
	switch {
	case user == "" || len(user) > maxSubject:
		s.showForget(w, r, http.StatusUnprocessableEntity, "Write the user’s id, at most 1,000 characters.", nil)
		return
	case user != strings.TrimSpace(r.FormValue("again")):
		s.showForget(w, r, http.StatusUnprocessableEntity, "The two ids differ. Nothing was deleted.", nil)
		return
	case len(reason) > maxReason || strings.Contains(reason, user):
		s.showForget(w, r, http.StatusUnprocessableEntity, "The reason is kept: at most 1,000 characters, and not the user’s id. Nothing was deleted.", nil)
		return
	case project == "" || !who.InProject(project):
		s.problem(w, r, http.StatusNotFound, "There is nothing here for you", "These users are of a project that you have no part in.")
		return
	}
	out, err := s.Forgetter.ForgetUser(r.Context(), project, user,
		store.AuditEntry{At: s.Now(), Who: who.Name, Via: "web", Address: auth.Address(r.Context()), Reason: reason})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.showForget(w, r, http.StatusOK, "", &out)
}
