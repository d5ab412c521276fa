package web

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"serin/internal/auth"
	"serin/internal/flag"
	"serin/internal/incident"
	"serin/internal/response"
	"serin/internal/rollout"
	"serin/internal/store"
)

// openIncidentBody is the form that opens an incident.
type openIncidentBody struct {
	Title, Severity, Text, Error, CLI, Back string
	Grades                                  []string
	About                                   []choice // rollouts under way, and none
	Projects                                []choice // of an incident about no rollout; fewer than two = not asked
	Key                                     string
	Open                                    bool
}

// choice is one option of a list.
type choice struct {
	Value, Text string
	Chosen      bool
}

// openIncidentPage asks what has happened. It changes nothing.
func (s *server) openIncidentPage(w http.ResponseWriter, r *http.Request) {
	s.showOpenIncident(w, r, http.StatusOK, openIncidentBody{Severity: "p1"}, r.URL.Query().Get("rollout"), "")
}

// showOpenIncident shows the form with what was typed; about and project are
// what is chosen.
func (s *server) showOpenIncident(w http.ResponseWriter, r *http.Request, status int, b openIncidentBody, about, project string) {
	all, err := s.Rollouts.Views(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for _, v := range all {
		if !store.Over(v.State.Status) || v.ID == about {
			b.About = append(b.About, choice{v.ID, v.ID + ", " + stageName(v), v.ID == about})
		}
	}
	b.About = append(b.About, choice{"", "no rollout", about == ""})
	projects, err := s.projects(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if len(projects) > 1 {
		for _, p := range projects {
			b.Projects = append(b.Projects, choice{p.ID, p.Name, p.ID == project})
		}
	}
	b.Grades, b.Open = []string{"p1", "p2", "p3", "p4"}, by(r).Can(auth.Operate)
	b.Key = fmt.Sprint(len(s.Options.Incidents.List(by(r).InProject, true)))
	b.CLI, b.Back = "serin incident open TITLE", "/incidents"
	if about != "" {
		b.CLI, b.Back = b.CLI+" --rollout "+about, "/rollouts/"+url.PathEscape(about)
	}
	s.render(w, r, status, "incidentopen", page{Title: "Open an incident", Crumb: "Open an incident", Section: "incidents", Record: true, Body: b})
}

// openIncident opens what the form says and goes to it.
func (s *server) openIncident(w http.ResponseWriter, r *http.Request) {
	if !s.checkCSRF(w, r) {
		return
	}
	who := visitOf(r.Context()).Person
	if !who.Principal.Can(auth.Operate) {
		s.problem(w, r, http.StatusForbidden, "You may not do this", "It needs the scope “operate”, which you do not have.")
		return
	}
	o := response.Opened{Rollout: r.FormValue("rollout"), Project: r.FormValue("project"), Title: strings.TrimSpace(r.FormValue("title")),
		Severity: r.FormValue("severity"), Text: strings.TrimSpace(r.FormValue("text"))}
	if o.Rollout != "" {
		o.Project = s.Rollouts.TargetProject(r.Context(), "rollout "+o.Rollout)
	} else if o.Project == "" {
		o.Project = slices.Concat(who.Principal.Projects, []string{flag.FirstProject})[0]
	}
	if o.Project == "" || !who.Principal.InProject(o.Project) {
		s.missing(w, r)
		return
	}
	o.Command = formKey("open", who.Name, r.FormValue("key"), o.Rollout, o.Project, o.Title, o.Severity, o.Text)
	v, err := s.Options.Incidents.Open(r.Context(), who, o)
	var no *rollout.Refusal
	switch {
	case err == nil:
		http.Redirect(w, r, incidentURL(v.ID), http.StatusSeeOther)
	case errors.Is(err, store.ErrNotFound):
		s.missing(w, r)
	case errors.As(err, &no):
		b := openIncidentBody{Title: o.Title, Severity: o.Severity, Text: o.Text, Error: upper(no.Why)}
		s.showOpenIncident(w, r, refusalStatus(no), b, o.Rollout, r.FormValue("project"))
	default:
		s.fail(w, r, err)
	}
}

// formKey is the idempotency key of a form that was posted: a double click or
// the browser's second try has the same one, and the same form with another
// text has another. seen is what the form was made from; "" = no key, as of a
// form that has none.
func formKey(verb, who, seen string, fields ...string) string {
	if seen == "" {
		return ""
	}
	sum := sha256.New()
	for _, f := range append([]string{who, seen}, fields...) {
		fmt.Fprintf(sum, "%d:%s", len(f), f)
	}
	return fmt.Sprintf("web/%s/%x", verb, sum.Sum(nil)[:12])
}

// burning are the incidents for which the raises of a rollout wait.
func (s *server) burning(incidents []rollout.Incident) (out []link) {
	for _, i := range incidents {
		if i.Resolved {
			continue
		}
		l := link{Text: i.ID}
		if s.Options.Incidents != nil {
			l.URL = incidentURL(i.ID)
		}
		out = append(out, l)
	}
	return out
}

// incidentsOf are the incidents that an alert rule opened or joined, newest first.
func (s *server) incidentsOf(r *http.Request, rule string) (out []link) {
	if s.Options.Incidents == nil {
		return nil
	}
	for _, v := range s.Options.Incidents.List(by(r).InProject, true) {
		if slices.ContainsFunc(v.Alerts, func(a incident.Alert) bool { return a.Rule == rule }) {
			out = append(out, link{v.ID + ", " + string(v.Status), incidentURL(v.ID), v.Status == incident.Open})
		}
	}
	return out[:min(len(out), alertIncidents)]
}

// alertIncidents bounds how many incidents the page of a rule names.
const alertIncidents = 5
