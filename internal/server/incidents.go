package server

import (
	"context"
	"errors"
	"fmt"

	"serin/internal/alert"
	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/incident"
	"serin/internal/response"
	"serin/internal/rollout"
	"serin/internal/store"
)

// responder wires incidents to rollouts, evidence and the outbox.
func (s *Server) responder(ctx context.Context, db store.Store) (*response.Engine, error) {
	return response.New(ctx, response.Options{
		Store: db, Rollouts: underResponse{s.control}, Evidence: s.evidence, Clock: s.o.Clock, Logger: s.o.Logger, BaseURL: s.DashboardURL(),
		Wake: s.control.WakeCourier, Changed: func(id string) { s.feed.Send("incident", map[string]string{"id": id}) }, Fault: s.o.Fault, Acked: s.incidentAcked,
	})
}

// alertChanged hands a change of an alert to the incidents.
func (s *Server) alertChanged(ctx context.Context, c alert.Change) error {
	return s.incidents.AlertChanged(ctx, c)
}

// opener is a response.Engine that is made after those who tell it.
type opener func(ctx context.Context, c alert.Change) error

// AlertChanged implements alerting.Opened.
func (o opener) AlertChanged(ctx context.Context, c alert.Change) error { return o(ctx, c) }

// incidentBySlack carries out what a button of Slack asks of an incident.
func (s *Server) incidentBySlack(ctx context.Context, p auth.Principal, id, verb string) (string, error) {
	project, err := s.incidents.Project(id)
	switch {
	case err != nil:
		return "", err
	case !p.InProject(project):
		return "", fmt.Errorf("incident %q: %w", id, store.ErrNotFound)
	case verb != string(incident.DoAcknowledge):
		return "", &rollout.Refusal{Kind: rollout.Missing, Why: fmt.Sprintf("%q is not done by a button: open the incident", verb)}
	}
	_, err = s.incidents.Do(ctx, id, response.Person{Name: p.Name, Via: "slack"}, incident.Command{Verb: incident.DoAcknowledge})
	return "Acknowledged", err
}

// underResponse is the controller as incidents see it.
type underResponse struct{ *controller.Controller }

func (u underResponse) Standing(id string) (response.Rollout, error) {
	p, err := u.Controller.Standing(id)
	if err != nil {
		return response.Rollout{}, err
	}
	return u.with(p)
}

func (u underResponse) with(p controller.AlertPlan) (response.Rollout, error) {
	v, err := u.View(context.Background(), p.Rollout)
	return response.Rollout{ID: p.Rollout, Project: p.Project, Plan: p.Plan, Place: p.Place, Judge: p.Judge, State: v.State, Seen: v.Users.NewSeen}, err
}

func (u underResponse) Standings() (out []response.Rollout) {
	for _, p := range u.Controller.Standings() {
		if r, err := u.with(p); err == nil {
			out = append(out, r)
		}
	}
	return out
}

// Do carries out a command. One that is committed and not served yet is done:
// the controller goes on trying to serve it.
func (u underResponse) Do(ctx context.Context, id string, cmd rollout.Command) ([]rollout.Event, error) {
	res, err := u.Controller.Do(ctx, id, cmd)
	var refusal *rollout.Refusal
	if err != nil && !errors.As(err, &refusal) && len(res.Events) > 0 {
		return res.Events, nil
	}
	return res.Events, err
}
