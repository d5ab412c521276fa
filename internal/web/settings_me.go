package web

import (
	"errors"
	"net/http"
	"strings"

	"serin/internal/auth"
	"serin/internal/store"
)

// meBody is one's own account.
type meBody struct {
	Nav      settingsNav
	Name     string
	Role     string
	Scopes   string
	Handles  string
	Person   personRow
	Account  bool // there is one; else the session came by a link for a name
	Password bool // there is one to be asked for
	Sessions []sessionRow
	InSlack  bool       // there is a Slack app
	Slack    []slackRow // who one is in Slack
	Error    string
	Done     string
}

func (s *server) me(w http.ResponseWriter, r *http.Request) { s.showMe(w, r, http.StatusOK, "") }

func (s *server) showMe(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	who := by(r)
	b := meBody{Nav: settingsNav{"me", who.Can(auth.Admin)}, Name: who.Name, Scopes: strings.Join(who.Scopes, ", "), Role: who.Role, Error: wrong,
		Done: settingsDone[r.URL.Query().Get("done")]}
	for _, h := range who.Handles {
		b.Handles += " @" + h
	}
	p, err := s.Access.Account(r.Context(), who, who.Person)
	switch {
	case err == nil:
		b.Account, b.Password, b.Person, b.Role = true, p.Password != "", s.personRowOf(p), p.Role
	case !errors.Is(err, store.ErrNotFound) && !errors.Is(err, auth.ErrForbidden):
		s.fail(w, r, err)
		return
	}
	if who.Person != "" {
		if b.Sessions, err = s.sessionRows(r, who.Person); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	if b.InSlack = s.Slack != nil && b.Account; b.InSlack {
		door := s.Slack()
		b.InSlack = door.HTTP || door.Socket
		if b.Slack, err = s.slackRows(r, who.Person); err != nil {
			s.fail(w, r, err)
			return
		}
		b.InSlack = b.InSlack || len(b.Slack) > 0
	}
	s.render(w, r, status, "me", settingsPage("Your account", "Your account", b))
}

// ownPassword sets one's own password and leads to the sign-in page: every
// session has ended, this one too.
func (s *server) ownPassword(w http.ResponseWriter, r *http.Request) {
	who := by(r)
	if r.FormValue("password") != r.FormValue("again") {
		s.showMe(w, r, http.StatusUnprocessableEntity, "The new password was not typed the same twice.")
		return
	}
	if err := s.Access.SetPassword(r.Context(), who, who.Person, r.FormValue("old"), r.FormValue("password")); err != nil {
		if wrong, again := s.accessError(w, r, err); again {
			s.showMe(w, r, http.StatusUnprocessableEntity, wrong)
		}
		return
	}
	http.Redirect(w, r, "/login?next=/settings/me", http.StatusSeeOther)
}

// endSession ends one's own session, or as an admin anybody's.
func (s *server) endSession(w http.ResponseWriter, r *http.Request) {
	if err := s.Access.EndSession(r.Context(), by(r), r.PathValue("id")); err != nil {
		s.accessError(w, r, err)
		return
	}
	back := "/settings/me"
	if r.FormValue("back") == "people" {
		back = "/settings/people"
	}
	http.Redirect(w, r, back+"?done=session", http.StatusSeeOther)
}
