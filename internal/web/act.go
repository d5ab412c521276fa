package web

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/flag"
	"serin/internal/rollout"
	"serin/internal/store"
)

// confirmBody is a confirm page: the same form as the dialog, on its own.
type confirmBody struct {
	View   controller.View
	Pill   pill
	Action action
}

// confirm is the page of an action for browsers without JavaScript and for
// links in messages. It changes nothing.
func (s *server) confirm(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	verb := rollout.Verb(r.PathValue("verb"))
	a, ok := s.actionOf(v, visitOf(r.Context()), verb, r.URL.Query().Get("item"))
	if !ok {
		s.noVerb(w, r, v, verb)
		return
	}
	a.Back = backTo(r.URL.Query().Get("back"))
	s.showConfirm(w, r, http.StatusOK, v, a)
}

// backTo is the page of a rollout that a form came from, "" for the overview.
// Any other word is none, so that an address cannot lead elsewhere.
func backTo(page string) string {
	if page == "checklist" || page == "cleanup" {
		return page
	}
	return ""
}

// pageOf is the address of a rollout's page; page is what backTo returned.
func pageOf(id, page string) string {
	if page == "" {
		return "/rollouts/" + id
	}
	return "/rollouts/" + id + "/" + page
}

func (s *server) showConfirm(w http.ResponseWriter, r *http.Request, status int, v controller.View, a action) {
	s.render(w, r, status, "confirm", page{Title: a.Question, Crumb: v.ID, CrumbURL: "/rollouts/" + v.ID,
		Body: confirmBody{View: v, Pill: pillOf(v), Action: a}})
}

func (s *server) noVerb(w http.ResponseWriter, r *http.Request, v controller.View, verb rollout.Verb) {
	if looks[verb].label == "" {
		s.missing(w, r)
		return
	}
	s.problem(w, r, http.StatusConflict, looks[verb].label+" is not possible now",
		"The rollout stands as “"+pillOf(v).Word+"”. Its page shows what is possible.")
}

// act carries out a posted action and goes back to the rollout's page. A
// refusal shows the form again with the reason and what changed meanwhile.
func (s *server) act(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(w, r)
	if !ok || !s.checkCSRF(w, r) {
		return
	}
	who := visitOf(r.Context())
	verb := rollout.Verb(r.PathValue("verb"))
	if looks[verb].label == "" {
		s.missing(w, r)
		return
	}
	if !who.Person.may(verb) {
		s.problem(w, r, http.StatusForbidden, "You may not do this",
			"It needs the scope “"+string(auth.VerbScope(verb))+"”, which you do not have. Ask an admin; anyone who has it can do it from the command line too.")
		return
	}
	c, err := command(r, who.Person, verb)
	a, offered := s.actionOf(v, who, verb, c.Item)
	if err == nil && offered && (a.Override || a.Final) && r.FormValue("typed") != v.ID {
		err = &rollout.Refusal{Kind: rollout.Missing, Why: "Type " + v.ID + " to promote past open gates."}
		if a.Final {
			err = &rollout.Refusal{Kind: rollout.Missing, Why: "Type " + v.ID + ": after this there is no rollback any more."}
		}
	}
	if err == nil {
		_, err = s.Rollouts.Do(r.Context(), v.ID, c)
	}
	if err == nil {
		http.Redirect(w, r, pageOf(v.ID, backTo(r.FormValue("back")))+"?done="+string(verb), http.StatusSeeOther)
		return
	}
	s.refused(w, r, verb, c, err)
}

// command reads the form of an action.
func command(r *http.Request, p Person, verb rollout.Verb) (rollout.Command, error) {
	c := rollout.Command{Verb: verb, By: p.Name, Role: p.Role, May: p.May, Via: "web",
		Reason: strings.TrimSpace(r.FormValue("reason")), To: r.FormValue("to"), Item: r.FormValue("item"),
		Evidence: strings.TrimSpace(r.FormValue("evidence")), Cause: strings.TrimSpace(r.FormValue("cause")),
		Done: r.FormValue("done") == "yes"}
	if carriesVersion(verb) {
		n, err := strconv.ParseInt(r.FormValue("version"), 10, 64)
		if err != nil || n <= 0 {
			return c, &rollout.Refusal{Kind: rollout.Missing, Why: "The form does not say which version you saw. Look at the state below and try again."}
		}
		c.Version = n
	}
	if verb != rollout.Reduce {
		return c, nil
	}
	text := r.FormValue("percent")
	if text == "hotfix" {
		c.Hotfix = true
		return c, nil
	}
	share, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(text), "%"), 64)
	if err != nil || !(share >= 0 && share < 100) {
		return c, &rollout.Refusal{Kind: rollout.Missing, Why: "Choose a share below the present one, such as 5%."}
	}
	c.Percent = flag.Percent(share*float64(flag.Everyone)/100 + .5)
	return c, nil
}

// refused shows the form again, with the newest state and what changed.
func (s *server) refused(w http.ResponseWriter, r *http.Request, verb rollout.Verb, c rollout.Command, err error) {
	var no *rollout.Refusal
	if !errors.As(err, &no) {
		if errors.Is(err, store.ErrNotFound) {
			s.missing(w, r)
			return
		}
		s.fail(w, r, err)
		return
	}
	status := map[rollout.RefusalKind]int{rollout.Barred: http.StatusConflict, rollout.Stale: http.StatusConflict,
		rollout.Forbidden: http.StatusForbidden, rollout.Missing: http.StatusUnprocessableEntity}[no.Kind]
	if status == 0 {
		status = http.StatusConflict
	}
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	a, offered := s.actionOf(v, visitOf(r.Context()), verb, c.Item)
	if !offered {
		s.problem(w, r, status, looks[verb].label+" was refused", upper(no.Why))
		return
	}
	a.Error, a.Back = upper(no.Why), backTo(r.FormValue("back"))
	for i := range a.Fields {
		if typed := r.FormValue(a.Fields[i].Name); a.Fields[i].Kind == "text" {
			a.Fields[i].Value = typed
		}
	}
	if no.Kind == rollout.Stale {
		a.Changes = s.since(r, v, c.Version)
	}
	s.showConfirm(w, r, status, v, a)
}

// maxChanges is how many entries a refused form lists.
const maxChanges = 8

// since lists what happened after the version a person saw, newest first.
func (s *server) since(r *http.Request, v controller.View, version int64) []entry {
	list, err := s.Rollouts.Timeline(r.Context(), v.ID, maxChanges)
	if err != nil {
		s.Logger.Error("read timeline", "rollout", v.ID, "error", err)
		return nil
	}
	var out []entry
	for _, e := range entries(list, s.Now()) {
		if e.Pos > version {
			out = append(out, e)
		}
	}
	return out
}
