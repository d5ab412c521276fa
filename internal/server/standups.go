package server

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/flag"
	"serin/internal/incident"
	"serin/internal/notify"
	"serin/internal/reporting"
	"serin/internal/response"
	"serin/internal/rollout"
	"serin/internal/standup"
	"serin/internal/store"
	"serin/internal/web"
)

// reporter wires the reports of plans to what they tell and to the outbox.
func (s *Server) reporter(db store.Store) *reporting.Engine {
	return reporting.New(reporting.Options{
		Store: db, Rollouts: underReports{underResponse{s.control}}, Clock: s.o.Clock, Logger: s.o.Logger,
		BaseURL: s.DashboardURL(), Wake: s.control.WakeCourier,
		Measure: func(id, metric string, from, to time.Time) (standup.Measured, error) {
			m, err := s.evidence.Span(id, metric, from, to)
			return standup.Measured(m), err
		},
		Incidents: s.openIncidents,
		Buttons:   func(r reporting.Rollout) []notify.Action { return s.control.Buttons(r.Standing.ID) },
	})
}

// openIncidents are the open incidents of a rollout as reports tell them.
func (s *Server) openIncidents(id string) (out []standup.Incident) {
	for _, v := range s.incidents.List(func(string) bool { return true }, false) {
		if v.Rollout != id || v.Status != incident.Open {
			continue
		}
		out = append(out, standup.Incident{ID: v.ID, Title: v.Title, Severity: v.Severity, Opened: v.OpenedAt, Needs: missing(v)})
	}
	return out
}

// missing is what nobody has done yet about an open incident.
func missing(v response.View) string {
	switch {
	case v.AckedAt.IsZero():
		return "acknowledge"
	case v.Decided() == nil:
		return "decide"
	}
	return ""
}

// underReports is the controller as reports see it.
type underReports struct{ underResponse }

func (u underReports) Standing(id string) (reporting.Rollout, error) {
	p, err := u.Controller.Standing(id)
	if err != nil {
		return reporting.Rollout{}, err
	}
	return u.with(p)
}

func (u underReports) with(p controller.AlertPlan) (reporting.Rollout, error) {
	v, err := u.View(context.Background(), p.Rollout)
	if err != nil {
		return reporting.Rollout{}, err
	}
	at := standup.Standing{ID: p.Rollout, Project: p.Project, State: v.State, Waiting: v.Waiting, Proceed: v.Proceed, Rollback: v.Rollback}
	for _, item := range v.Checklist {
		if !item.Done {
			at.Checklist = append(at.Checklist, item.Do)
		}
	}
	if next := v.State.Stage + 1; next < len(p.Plan.Stages) {
		at.Next = strconv.FormatFloat(float64(p.Plan.Stages[next].Traffic)*100/float64(flag.Everyone), 'f', -1, 64) + "%"
	}
	return reporting.Rollout{Plan: p.Plan, Standing: at}, nil
}

func (u underReports) Standings() (out []reporting.Rollout) {
	for _, p := range u.Controller.Standings() {
		if r, err := u.with(p); err == nil {
			out = append(out, r)
		}
	}
	return out
}

func (u underReports) Journal(ctx context.Context, id string) ([]rollout.Event, error) {
	return u.Controller.Journal(ctx, id, 0, 0)
}

func (u underReports) Finished(ctx context.Context, id string) (reporting.Finished, error) {
	r, err := u.Report(ctx, id)
	if err != nil {
		return reporting.Finished{}, err
	}
	return reporting.Finished{Outcome: strings.ReplaceAll(string(r.Outcome), "_", " "), Lines: r.Lines()}, nil
}

// standupPages are the reports as pages show them and record what was decided.
type standupPages struct {
	*reporting.Engine
	control *controller.Controller
}

// Decide records what p says, who needs for it what the command needs.
func (d standupPages) Decide(ctx context.Context, p web.Person, c reporting.Decision) (reporting.View, error) {
	actor := controller.Actor{Name: p.Name, Role: p.Role, Handles: p.Handles}
	if p.Role == adminRole {
		actor.Role, actor.Admin = "", true
	}
	return d.Engine.Decide(ctx, reporting.Person{Name: p.Name, Via: "web", Address: auth.Address(ctx), Authorize: func(_ context.Context, id string, cmd *rollout.Command) error {
		if scope := auth.VerbScope(cmd.Verb); !p.Principal.Can(scope) {
			return &rollout.Refusal{Kind: rollout.Forbidden, Why: fmt.Sprintf("it needs the scope “%s”, which you do not have", scope)}
		}
		return d.control.Authorize(ctx, id, actor, cmd)
	}}, c)
}
