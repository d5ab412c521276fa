package web

import "net/http"

// Arrived is what has come from apps since the data directory was made.
type Arrived struct {
	Flag      bool // an app read a flag
	Telemetry bool // an event was counted
}

// welcomeBody is the first-run page.
type welcomeBody struct {
	Known bool // whether Arrived is known
	Arrived
	Rollout bool // there is one
}

// welcome shows the first steps and which of them are done; it stays where it
// is when there are rollouts.
func (s *server) welcome(w http.ResponseWriter, r *http.Request) {
	views, err := s.Rollouts.Views(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.firstSteps(w, r, len(views) > 0)
}

func (s *server) firstSteps(w http.ResponseWriter, r *http.Request, rollout bool) {
	b := welcomeBody{Rollout: rollout}
	if s.Arrived != nil {
		b.Known, b.Arrived = true, s.Arrived()
	}
	s.render(w, r, http.StatusOK, "welcome", page{Title: "Your first rollout", Live: true, Body: b})
}
