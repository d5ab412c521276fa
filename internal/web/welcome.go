package web

import (
	"context"
	"net/http"
	"strings"
)

// Arrived is what has come from apps since the data directory was made.
type Arrived struct {
	Flag      bool // an app read a flag
	Telemetry bool // an event was counted
}

// Diagnosis is how far a user of a flag has come from the flag to the rules.
type Diagnosis struct {
	OK    bool
	Steps []DiagnosisStep
}

// DiagnosisStep is one thing that must hold between a user's app and a verdict.
type DiagnosisStep struct {
	Step  string
	State string // ok, missing, wrong, not checked
	What  string // was found
	Fix   string // "" where nothing is to be done
}

// welcomeBody is the first-run page.
type welcomeBody struct {
	Known bool // whether Arrived is known
	Arrived
	Rollout bool // there is one
	Doctor  bool // one user can be followed
	OfFlag  string
	User    string
	Asked   bool
	Typed   string // why what was typed cannot be followed; "" = it can
	Follow  []followRow
	Good    bool // every step is as it must be
}

// followRow is a step of the diagnosis as the page shows it.
type followRow struct {
	DiagnosisStep
	Pill pill
}

// longestTyped bounds a user id and a flag key that somebody types.
const longestTyped = 200

// followPills are the shapes of the states of a step.
var followPills = map[string]pill{
	"ok": {"pass", "pass", "OK"}, "missing": {"wait", "wait", "Missing"}, "wrong": {"fail", "fail", "Wrong"}, "not checked": {"", "dot", "Not checked"},
}

// welcome shows the first steps and which of them are done; it stays where it
// is when there are rollouts. With ?user= and ?flag= it follows that user, as
// "serin doctor" does, at every look anew.
func (s *server) welcome(w http.ResponseWriter, r *http.Request) {
	views, err := s.Rollouts.Views(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.firstSteps(w, r, len(views) > 0)
}

func (s *server) firstSteps(w http.ResponseWriter, r *http.Request, rollout bool) {
	b := welcomeBody{Rollout: rollout, Doctor: s.Doctor != nil}
	if s.Arrived != nil {
		b.Known, b.Arrived = true, s.Arrived()
	}
	q := r.URL.Query()
	b.User, b.OfFlag = strings.TrimSpace(q.Get("user")), strings.TrimSpace(q.Get("flag"))
	if b.Doctor && (q.Has("user") || q.Has("flag")) {
		if err := s.follow(r.Context(), &b); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	s.render(w, r, http.StatusOK, "welcome", page{Title: "Your first rollout", Live: true, Body: b})
}

// follow fills in how far the user has come.
func (s *server) follow(ctx context.Context, b *welcomeBody) error {
	b.Asked = true
	switch {
	case b.User == "" || b.OfFlag == "":
		b.Typed = "Type both: the id of the user and the key of the flag."
		return nil
	case len(b.User) > longestTyped || len(b.OfFlag) > longestTyped:
		b.User, b.OfFlag, b.Typed = clip(b.User, longestTyped), clip(b.OfFlag, longestTyped), "Ids and keys have at most 200 characters."
		return nil
	}
	d, err := s.Doctor(ctx, b.OfFlag, b.User)
	if err != nil {
		return err
	}
	b.Good = d.OK
	for _, step := range d.Steps {
		b.Follow = append(b.Follow, followRow{step, followPills[step.State]})
	}
	return nil
}
