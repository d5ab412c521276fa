package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/reporting"
	"serin/internal/rollout"
)

// Standups is what is asked and recorded about stand-ups and reviews; the pages
// use the same. Errors wrap store.ErrNotFound and reporting.ErrStore, or are a
// *rollout.Refusal.
type Standups interface {
	Standup(ctx context.Context, q reporting.Query) (reporting.Standup, error)
	Reviews(ctx context.Context, q reporting.Query, limit int) ([]reporting.View, error)
	Decide(ctx context.Context, by reporting.Person, d reporting.Decision) (reporting.View, error)
}

// StandupDecision is the body that records what a stand-up decided; exported as
// RolloutID is.
type StandupDecision struct {
	Do      string   `json:"do" enum:"proceed,hold,rollback" doc:"proceed approves the raise that waits for approval; rollback rolls back at once; hold is recorded only"`
	Reason  string   `json:"reason,omitempty" maxLength:"2000"`
	Present []string `json:"present,omitempty" maxItems:"50" doc:"who was there"`
	Day     string   `json:"day,omitempty" pattern:"^\\d{4}-\\d{2}-\\d{2}$" doc:"of the stand-up as it was seen; left out: the newest"`
	Version int64    `json:"version,omitempty" doc:"of the rollout as it was seen: refused if something changed since; left out: not checked"`
	As      string   `json:"as,omitempty" doc:"the plan's role to act in"`
}

// StandupQuery selects a stand-up; exported as RolloutID is.
type StandupQuery struct {
	InProject
	Date    string `query:"date" pattern:"^\\d{4}-\\d{2}-\\d{2}$" doc:"day in the plan's zone; left out: the newest of each rollout that is not over"`
	Rollout string `query:"rollout" doc:"id, or a plan's name; left out: all"`
	Format  string `query:"format" enum:"json,markdown,text" default:"json"`
}

func (s *server) needStandups() error {
	if s.Standups == nil {
		return huma.Error404NotFound("stand-ups are not available on this server")
	}
	return nil
}

// standups registers stand-ups and reviews.
func (s *server) standups(api huma.API) {
	huma.Register(api, inForms[reporting.Standup](api, "Standup", inProjects(op(http.MethodGet, "/standup", "get-standup", read, "The daily stand-up: last 24 hours against the day before and control, and what is to be decided"))),
		func(ctx context.Context, in *StandupQuery) (*huma.StreamResponse, error) {
			if err := s.needStandups(); err != nil {
				return nil, err
			}
			p := who(ctx)
			v, err := s.Standups.Standup(ctx, reporting.Query{Rollout: in.Rollout, Day: in.Date, Sees: func(project string) bool { return in.sees(p, project) }})
			if err != nil {
				return nil, s.fail(err)
			}
			return written(v, v.Reports, in.Format)
		})
	huma.Register(api, inForms[[]reporting.View](api, "Reviews", op(http.MethodGet, "/rollouts/{id}/reviews", "list-reviews", read, "Reviews of a rollout, newest first: new issues, spikes, slow-downs, what users said")),
		func(ctx context.Context, in *struct {
			RolloutID
			Date   string `query:"date" pattern:"^\\d{4}-\\d{2}-\\d{2}$" doc:"only of this day in the plan's zone"`
			Limit  int    `query:"limit" minimum:"0" maximum:"1000" doc:"most reviews; 0 = 48"`
			Format string `query:"format" enum:"json,markdown,text" default:"json"`
		}) (*huma.StreamResponse, error) {
			if err := s.needStandups(); err != nil {
				return nil, err
			}
			list, err := s.Standups.Reviews(ctx, reporting.Query{Rollout: in.ID, Day: in.Date, Sees: who(ctx).InProject}, in.Limit)
			if err != nil {
				return nil, s.fail(err)
			}
			return written(list, list, in.Format)
		})
	huma.Register(api, op(http.MethodPost, "/rollouts/{id}/standup", "decide-standup", operate, "Record what the stand-up decided, with who and when; proceed and rollback are carried out"),
		func(ctx context.Context, in *struct {
			RolloutID
			Body StandupDecision
		}) (*body[reporting.View], error) {
			if err := s.needStandups(); err != nil {
				return nil, err
			}
			b := in.Body
			v, err := s.Standups.Decide(ctx, s.decider(ctx, b.As), reporting.Decision{Rollout: in.ID, Day: b.Day, Do: b.Do, Reason: b.Reason, Present: b.Present, Version: b.Version})
			return ok(v), s.fail(err)
		})
}

// decider is who asks, with the scope and the role that a command needs.
func (s *server) decider(ctx context.Context, as string) reporting.Person {
	p := who(ctx)
	return reporting.Person{Name: p.Name, Via: via(ctx), Address: auth.Address(ctx), Authorize: func(ctx context.Context, id string, cmd *rollout.Command) error {
		if scope := auth.VerbScope(cmd.Verb); !p.Can(scope) {
			return &rollout.Refusal{Kind: rollout.Forbidden, Why: "this needs the scope " + string(scope) + ", which your token lacks"}
		}
		return s.Controller.Authorize(ctx, id, actor(p, as), cmd)
	}}
}

// standupTypes are the forms of stand-ups and reviews, by the word that asks
// for them.
var standupTypes = map[string]string{
	"json": "application/json", "markdown": "text/markdown; charset=utf-8", "text": "text/plain; charset=utf-8",
}

// written are reports in the form that was asked for; all is the answer in JSON.
func written(all any, list []reporting.View, format string) (*huma.StreamResponse, error) {
	var data []byte
	switch format {
	case "markdown":
		data = reporting.Markdown(list)
	case "text":
		data = []byte(reporting.Text(list))
	default:
		var err error
		if data, err = json.Marshal(all); err != nil {
			return nil, fmt.Errorf("write reports: %w", err)
		}
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", standupTypes[format])
		_, _ = c.BodyWriter().Write(data)
	}}, nil
}

// inForms describes the answer of an operation that comes in standupTypes.
func inForms[T any](api huma.API, name string, o huma.Operation) huma.Operation {
	text := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	o.DefaultStatus = http.StatusOK
	o.Responses = map[string]*huma.Response{"200": {Description: http.StatusText(http.StatusOK), Content: map[string]*huma.MediaType{
		"application/json": {Schema: api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, name)}, "text/markdown": text, "text/plain": text}}}
	return o
}
