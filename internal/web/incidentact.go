package web

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"serin/internal/auth"
	"serin/internal/flag"
	"serin/internal/incident"
	"serin/internal/response"
	"serin/internal/rollout"
	"serin/internal/store"
)

// incidentVerbs are the commands that forms post, by the last part of their
// address.
var incidentVerbs = map[string]incident.Verb{
	"acknowledge": incident.DoAcknowledge, "note": incident.DoNote, "decide": incident.DoDecide, "handover": incident.DoHandover,
	"severity": incident.DoSeverity, "resolve": incident.DoResolve, "reopen": incident.DoReopen, "item": incident.DoItem,
	"postmortem": incident.DoWrite, "close": incident.DoClose,
}

// decideBody is the page that asks before a decision is carried out.
type decideBody struct {
	View                               response.View
	Do, Title, Percent, Error, CLI     string
	Now, After, NowUsers, AfterUsers   string
	Then                               []string
	Proposed, May, Open, Asks, Dangers bool
	Why                                string // locked
	Taken                              int    // decisions that the person saw
}

// decidePage asks whether an outcome is meant. It changes nothing.
func (s *server) decidePage(w http.ResponseWriter, r *http.Request) {
	v, ok := s.incidentOf(w, r)
	if !ok {
		return
	}
	s.showDecide(w, r, http.StatusOK, v, r.URL.Query().Get("do"), "")
}

func (s *server) showDecide(w http.ResponseWriter, r *http.Request, status int, v response.View, do, wrong string) {
	if do == "" && v.Proposed != nil {
		do = v.Proposed.Do
	}
	if !slices.Contains(incident.Outcomes, do) {
		s.problem(w, r, http.StatusNotFound, "There is nothing to decide here", "The plan proposes no outcome now. The page of the incident has those that can be chosen.")
		return
	}
	b := decideBodyOf(v, do)
	b.Error, b.May = wrong, visitOf(r.Context()).Person.Principal.Can(auth.Operate)
	switch {
	case !b.May:
		b.Why = "It needs the scope “operate”, which you do not have."
	case v.Status != incident.Open:
		b.Why = v.ID + " is resolved: reopen it first."
	}
	b.Open = b.Why == ""
	s.render(w, r, status, "decide", page{Title: b.Title, Crumb: v.ID, CrumbURL: incidentURL(v.ID), Section: "incidents", Record: true, Body: b})
}

func decideBodyOf(v response.View, do string) decideBody {
	b := decideBody{View: v, Do: do, Taken: len(v.Decisions), Dangers: do == incident.Rollback, Asks: do == incident.Reduce,
		Now: exposureOf(v.Live.Exposure), NowUsers: plural(v.Live.Users, "user")}
	var to flag.Percent = -1
	for _, a := range v.Tree {
		if a.Do == do && (to < 0 || a.Proposed) {
			to, b.Then, b.Proposed = a.Percent, nil, a.Proposed
			for _, t := range a.Then {
				b.Then = append(b.Then, thenWords(t.Text, t.Flag, t.To))
			}
		}
	}
	b.Title, b.CLI = outcome(do, max(to, 0)), "serin incident decide "+v.ID
	switch {
	case do == incident.Reduce && to < 0:
		b.Title = "Reduce"
	case do == incident.Reduce:
		b.Percent = strings.TrimSuffix(exposureOf(to), "%")
	}
	if !b.Proposed {
		b.CLI += " " + do
		if b.Percent != "" {
			b.CLI += " --to " + b.Percent + "%"
		}
		b.CLI += " --reason TEXT"
	}
	if do == incident.Rollback || do == incident.Hotfix {
		to = 0
	}
	if to >= 0 && do != incident.Pause && do != incident.Hold && to < v.Live.Exposure {
		b.After, b.AfterUsers = exposureOf(to), "about "+plural(incident.After(do, to, v.Live), "user")
	}
	return b
}

// actOnIncident carries out what was posted and goes back to the incident.
func (s *server) actOnIncident(w http.ResponseWriter, r *http.Request) {
	if !s.checkCSRF(w, r) {
		return
	}
	v, ok := s.incidentOf(w, r)
	if !ok {
		return
	}
	who := visitOf(r.Context()).Person
	verb, known := incidentVerbs[r.PathValue("do")]
	switch {
	case !known:
		s.missing(w, r)
		return
	case !who.Principal.Can(auth.Operate):
		s.problem(w, r, http.StatusForbidden, "You may not do this", "It needs the scope “operate”, which you do not have.")
		return
	}
	c, err := incidentCommand(r, verb, v)
	if err == nil {
		_, err = s.Options.Incidents.Do(r.Context(), v.ID, who, c)
	}
	var no *rollout.Refusal
	switch {
	case err == nil:
		http.Redirect(w, r, incidentURL(v.ID), http.StatusSeeOther)
	case errors.Is(err, store.ErrNotFound):
		s.missing(w, r)
	case !errors.As(err, &no):
		s.fail(w, r, err)
	case verb == incident.DoDecide && slices.Contains(incident.Outcomes, c.Do):
		if v, ok = s.incidentOf(w, r); ok {
			s.showDecide(w, r, refusalStatus(no), v, c.Do, upper(no.Why))
		}
	default:
		s.showIncident(w, r, refusalStatus(no), upper(no.Why))
	}
}

// refusalStatus is the HTTP status of a refusal.
func refusalStatus(no *rollout.Refusal) int {
	switch no.Kind {
	case rollout.Forbidden:
		return http.StatusForbidden
	case rollout.Missing:
		return http.StatusUnprocessableEntity
	}
	return http.StatusConflict
}

// incidentCommand reads a form. A decision names the outcome that the person
// saw, and how many were taken before.
func incidentCommand(r *http.Request, verb incident.Verb, v response.View) (incident.Command, error) {
	c := incident.Command{Verb: verb, Text: strings.TrimSpace(r.FormValue("text")), To: strings.TrimSpace(r.FormValue("to")),
		Severity: r.FormValue("severity"), Severe: r.FormValue("severe") == "yes", Item: r.FormValue("item"), Percent: -1}
	if verb != incident.DoDecide {
		c.ID = formKey(string(verb), visitOf(r.Context()).Person.Name, r.FormValue("key"), c.Text, c.To, c.Severity, c.Item)
		return c, nil
	}
	c.Do = r.FormValue("do")
	if n, err := strconv.Atoi(r.FormValue("taken")); err != nil || n != len(v.Decisions) {
		return c, &rollout.Refusal{Kind: rollout.Stale, Why: "somebody decided since you looked: read the newest state and decide again"}
	}
	if !slices.Contains(incident.Outcomes, c.Do) {
		return c, &rollout.Refusal{Kind: rollout.Missing, Why: "choose one of " + strings.Join(incident.Outcomes, ", ")}
	}
	if c.Do == incident.Reduce {
		to, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(r.FormValue("percent")), "%"), 64)
		if err != nil || !(to >= 0 && to < 100) {
			return c, &rollout.Refusal{Kind: rollout.Missing, Why: "say where to reduce to, such as 5%"}
		}
		c.Percent = flag.Percent(to*float64(flag.Everyone)/100 + .5)
	}
	return c, nil
}
