package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"serin/internal/auth"
	"serin/internal/store"
)

// personRow is somebody who may sign in, as pages show them.
type personRow struct {
	Name, Initials, Email, Role, Handles, Projects, SignIn, URL string
	Disabled                                                    bool
	Since                                                       stamp
}

func (s *server) personRowOf(p store.Person) personRow {
	by := []string{"link"}
	if p.Subject != "" {
		by = append([]string{"identity provider"}, by...)
	}
	if p.Password != "" {
		by = append([]string{"password"}, by...)
	}
	return personRow{Name: p.Name, Initials: initials(p.Name), Email: p.Email, Role: p.Role, Handles: strings.Join(p.Handles, ", "), Projects: strings.Join(p.Projects, ", "),
		SignIn: strings.Join(by, ", "), URL: "/settings/people/" + url.PathEscape(p.Name), Disabled: p.Disabled, Since: at(p.CreatedAt, s.Now())}
}

// sessionRow is an open sign-in.
type sessionRow struct {
	ID, Person, Address, Agent string
	Since, Until               stamp
	Current                    bool
}

func (s *server) sessionRows(r *http.Request, person string) ([]sessionRow, error) {
	list, err := s.Access.Sessions(r.Context(), by(r), person)
	now := s.Now()
	out := make([]sessionRow, len(list))
	for i, v := range list {
		out[i] = sessionRow{ID: v.ID, Person: v.Person, Address: v.Address, Agent: browserOf(v.Agent), Since: at(v.CreatedAt, now), Until: at(v.ExpiresAt, now), Current: v.Current}
	}
	return out, err
}

// browserOf is a User-Agent in a few words: what people know it by.
func browserOf(agent string) string {
	name, system := "", ""
	for _, b := range [][2]string{{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}} {
		if strings.Contains(agent, b[0]) {
			name = b[1]
			break
		}
	}
	for _, o := range [][2]string{{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"}} {
		if strings.Contains(agent, o[0]) {
			system = o[1]
			break
		}
	}
	switch {
	case name != "" && system != "":
		return name + " on " + system
	case name == "":
		return clip(agent, 60)
	}
	return name
}

// personForm is what was typed about a person.
type personForm struct {
	Name, Email, Role, Handles, Projects string
	Disabled                             bool
}

// Roles lists the roles of the server.
func (f personForm) Roles() []option {
	words := map[string]string{auth.Viewer: "viewer: reads", auth.Operator: "operator: acts, lowers traffic", auth.Approver: "approver: raises what the plan allows", auth.AdminOf: "admin: everything, people and keys"}
	return options([]string{auth.Viewer, auth.Operator, auth.Approver, auth.AdminOf}, f.Role, func(k string) string { return words[k] })
}

func readPersonForm(r *http.Request) personForm {
	f := personForm{Disabled: r.FormValue("disabled") == "yes"}
	for name, to := range map[string]*string{"name": &f.Name, "email": &f.Email, "role": &f.Role, "handles": &f.Handles, "projects": &f.Projects} {
		*to = strings.TrimSpace(r.FormValue(name))
	}
	return f
}

func (f personForm) person(name string) store.Person {
	handles := words(f.Handles)
	for i, h := range handles {
		handles[i] = strings.TrimPrefix(h, "@")
	}
	return store.Person{Name: name, Email: f.Email, Role: f.Role, Handles: handles, Projects: words(f.Projects), Disabled: f.Disabled}
}

// peopleBody is the list of accounts and open sessions.
type peopleBody struct {
	Nav      settingsNav
	People   []personRow
	Sessions []sessionRow
	Form     personForm
	Error    string
	Done     string
}

func (s *server) people(w http.ResponseWriter, r *http.Request) {
	s.showPeople(w, r, http.StatusOK, personForm{Role: auth.Viewer}, "")
}

func (s *server) showPeople(w http.ResponseWriter, r *http.Request, status int, f personForm, wrong string) {
	if !s.admins(w, r) {
		return
	}
	b := peopleBody{Nav: settingsNav{"people", true}, Form: f, Error: wrong, Done: settingsDone[r.URL.Query().Get("done")]}
	all, err := s.Access.People(r.Context(), by(r))
	if err == nil {
		b.Sessions, err = s.sessionRows(r, "")
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for _, p := range all {
		b.People = append(b.People, s.personRowOf(p))
	}
	s.render(w, r, status, "people", settingsPage("People", "People", b))
}

func (s *server) createPerson(w http.ResponseWriter, r *http.Request) {
	if !s.admins(w, r) {
		return
	}
	f := readPersonForm(r)
	all, err := s.Access.People(r.Context(), by(r))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if slices.ContainsFunc(all, func(p store.Person) bool { return p.Name == f.Name }) {
		s.showPeople(w, r, http.StatusConflict, f, "Somebody is called "+f.Name+" already. Names do not change hands: journals hold them.")
		return
	}
	if err := s.Access.PutPerson(r.Context(), by(r), f.person(f.Name)); err != nil {
		if wrong, again := s.accessError(w, r, err); again {
			s.showPeople(w, r, http.StatusUnprocessableEntity, f, wrong)
		}
		return
	}
	http.Redirect(w, r, "/settings/people/"+url.PathEscape(f.Name)+"?done=person", http.StatusSeeOther)
}

// personBody is one account with everything that can be done about it.
type personBody struct {
	Nav      settingsNav
	Person   personRow
	Form     personForm
	Sessions []sessionRow
	Own      bool
	Error    string
	Wrong    string // which form: "change", "password", "remove"
	Done     string
}

func (s *server) person(w http.ResponseWriter, r *http.Request) {
	s.showPerson(w, r, http.StatusOK, nil, "", "")
}

// showPerson shows an account; f is what was typed before, nil = what is stored.
func (s *server) showPerson(w http.ResponseWriter, r *http.Request, status int, f *personForm, form, wrong string) {
	if !s.admins(w, r) {
		return
	}
	p, err := s.Access.Account(r.Context(), by(r), r.PathValue("name"))
	if err != nil {
		s.accessError(w, r, err)
		return
	}
	b := personBody{Nav: settingsNav{"people", true}, Person: s.personRowOf(p), Error: wrong, Wrong: form, Own: by(r).Person == p.Name, Done: settingsDone[r.URL.Query().Get("done")]}
	if f == nil {
		f = &personForm{p.Name, p.Email, p.Role, b.Person.Handles, b.Person.Projects, p.Disabled}
	}
	b.Form = *f
	if b.Sessions, err = s.sessionRows(r, p.Name); err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, status, "person", settingsPage(p.Name, p.Name, b))
}

func (s *server) changePerson(w http.ResponseWriter, r *http.Request) {
	if !s.admins(w, r) {
		return
	}
	name, f := r.PathValue("name"), readPersonForm(r)
	_, err := s.Access.Account(r.Context(), by(r), name) // a form of somebody who was removed makes nobody
	if err == nil {
		err = s.Access.PutPerson(r.Context(), by(r), f.person(name))
	}
	s.afterPerson(w, r, err, &f, "change", "person")
}

// afterPerson goes back to the account's page, or shows it again with what is wrong.
func (s *server) afterPerson(w http.ResponseWriter, r *http.Request, err error, f *personForm, form, done string) {
	if err != nil {
		if wrong, again := s.accessError(w, r, err); again {
			s.showPerson(w, r, http.StatusUnprocessableEntity, f, form, wrong)
		}
		return
	}
	http.Redirect(w, r, "/settings/people/"+url.PathEscape(r.PathValue("name"))+"?done="+done, http.StatusSeeOther)
}

func (s *server) setPassword(w http.ResponseWriter, r *http.Request) {
	if !s.admins(w, r) {
		return
	}
	who, name := by(r), r.PathValue("name")
	if who.Person == name { // with the old one, on its own page
		http.Redirect(w, r, "/settings/me", http.StatusSeeOther)
		return
	}
	s.afterPerson(w, r, s.Access.SetPassword(r.Context(), who, name, "", r.FormValue("password")), nil, "password", "password")
}

func (s *server) signInLink(w http.ResponseWriter, r *http.Request) {
	if !s.admins(w, r) {
		return
	}
	name := r.PathValue("name")
	secret, err := s.Access.SignInLink(r.Context(), by(r), name)
	if err != nil {
		s.accessError(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "secret", settingsPage("Sign-in link", name, secretBody{Nav: settingsNav{"people", true}, Head: "A sign-in link for " + name,
		Label: "Link, works once, for " + duration(auth.LinkLife), Secret: s.dashboardURL() + "/login#token=" + url.QueryEscape(secret), Back: "/settings/people/" + url.PathEscape(name),
		Text: "Give it to " + name + " in private. What stands behind the # is sent to no server and stands in no log; no page shows it again."}))
}

// dashboardURL is where people reach these pages.
func (s *server) dashboardURL() string { return orElse(s.Connect.Dashboard, s.Connect.URL) }

func (s *server) removePerson(w http.ResponseWriter, r *http.Request) {
	if !s.admins(w, r) {
		return
	}
	name, reason := r.PathValue("name"), strings.TrimSpace(r.FormValue("reason"))
	if reason == "" || len(reason) > maxReason {
		s.showPerson(w, r, http.StatusUnprocessableEntity, nil, "remove", "Say why, in at most 1,000 characters: the audit log keeps it.")
		return
	}
	if err := s.Access.DeletePerson(r.Context(), by(r), name, reason); err != nil {
		if wrong, again := s.accessError(w, r, err); again {
			s.showPerson(w, r, http.StatusUnprocessableEntity, nil, "remove", wrong)
		}
		return
	}
	http.Redirect(w, r, "/settings/people?done=removed", http.StatusSeeOther)
}
