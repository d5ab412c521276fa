package web

import (
	"errors"
	"net/http"

	"serin/internal/controller"
	"serin/internal/rollout"
)

// emergencyBody is the runbook for the case that serin itself is down.
type emergencyBody struct {
	rolloutBody
	Emergency *controller.Emergency // nil = PlanError says why
	CLI       []string
}

// emergency shows what to do while serin is down; it is made to be printed
// before that.
func (s *server) emergency(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	e, err := s.Rollouts.Emergency(r.Context(), v.ID)
	b := emergencyBody{rolloutBody: s.frame(v, visitOf(r.Context()), "runbook", r), CLI: []string{"serin rollout emergency " + v.ID}}
	var refused *rollout.Refusal
	switch {
	case errors.As(err, &refused):
		b.PlanError = upper(refused.Why) + "."
	case err != nil:
		s.fail(w, r, err)
		return
	default:
		b.Emergency = &e
	}
	s.render(w, r, http.StatusOK, "emergency", page{Title: v.Plan + ", serin is down", Crumb: v.ID, CrumbURL: "/rollouts/" + v.ID, Dock: len(b.Dock) > 0, Body: b})
}

// emergencyFile is the same as a Markdown file.
func (s *server) emergencyFile(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	e, err := s.Rollouts.Emergency(r.Context(), v.ID)
	var refused *rollout.Refusal
	switch {
	case errors.As(err, &refused):
		s.problem(w, r, http.StatusConflict, "The plan cannot be read", upper(refused.Why)+".")
		return
	case err != nil:
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/markdown; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+v.ID+`-emergency.md"`)
	if _, err := w.Write([]byte(e.Text)); err != nil {
		s.Logger.Debug("send emergency runbook", "error", err)
	}
}
