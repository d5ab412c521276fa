package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/flag"
	"serin/internal/rollout"
	"serin/internal/store"
)

// RolloutID is the path of everything about one rollout or issue. It is
// exported because huma fills only exported embedded fields.
type RolloutID struct {
	ID string `path:"id" doc:"rollout id, or a plan's name for its latest"`
}

type createRollout struct {
	ForProject
	RawBody []byte `contentType:"application/yaml" doc:"the plan file"`
}

// command is what a person sends with a verb; each verb reads its own fields.
type command struct {
	RolloutID
	Key string `header:"Idempotency-Key" doc:"the same key twice is one command"`
	// Body is a pointer so that a verb may come without one.
	Body *commandBody
}

type commandBody struct {
	Version  int64    `json:"version,omitempty" doc:"version last seen; raising verbs are refused when it is stale"`
	Reason   string   `json:"reason,omitempty"`
	As       string   `json:"as,omitempty" doc:"plan role to act in; the token's own role by default, any role for admins"`
	To       string   `json:"to,omitempty" doc:"promote, restart: a stage's name; complete: the option chosen"`
	Percent  *float64 `json:"percent,omitempty" minimum:"0" maximum:"100" doc:"reduce: percent of the audience; left out, the plan's actions.reduce"`
	Hotfix   bool     `json:"hotfix,omitempty" doc:"reduce: flag off for all, stage kept"`
	Item     string   `json:"item,omitempty" doc:"complete, reopen, confirm: the item's id or text; approve: restart for a new attempt, revise for a looser plan"`
	Evidence string   `json:"evidence,omitempty" doc:"complete: a link"`
	Cause    string   `json:"cause,omitempty" doc:"restart: what was wrong"`
	Plan     string   `json:"plan,omitempty" doc:"revise: the new plan file"`
	Done     bool     `json:"done,omitempty" doc:"revert: it is live; left out, it begins"`
}

// verbs are the commands; auth.VerbScope says which scope each needs.
var verbs = []struct {
	verb    rollout.Verb
	summary string
}{
	{rollout.Start, "Start a rollout whose checklist is complete"},
	{rollout.Approve, "Approve the next raise"},
	{rollout.Accept, "Accept an unknown criterion at the end of bake"},
	{rollout.Confirm, "Confirm what no metric says"},
	{rollout.Complete, "Complete a checklist item or task"},
	{rollout.Reopen, "Reopen a checklist item or task"},
	{rollout.Promote, "Promote past bake, criteria and window"},
	{rollout.Pause, "Pause"},
	{rollout.Resume, "Resume from paused or reduced"},
	{rollout.Reduce, "Reduce to a lower percentage"},
	{rollout.Rollback, "Roll back: flag off for everybody, at once"},
	{rollout.Restart, "Restart after a rollback: a new attempt"},
	{rollout.Revise, "Revise the plan in flight"},
	{rollout.Cancel, "Cancel a rollout that has not started or was rolled back"},
	{rollout.Finish, "Finish the clean-up"},
	{rollout.Revert, "Say that you revert by hand, or that it is live; traffic stays"},
}

func (s *server) rollouts(api huma.API) {
	huma.Register(api, inProjects(op(http.MethodGet, "/rollouts", "list-rollouts", read, "All rollouts, those that need somebody first")),
		func(ctx context.Context, in *InProject) (*body[[]controller.View], error) {
			v, err := s.Controller.Views(ctx)
			v = slices.DeleteFunc(v, func(v controller.View) bool { return !in.sees(who(ctx), v.Project) })
			return list(v), s.fail(err)
		})
	huma.Register(api, raw(inProjects(op(http.MethodPost, "/rollouts", "create-rollout", operate, "Create the next rollout of a plan"))),
		func(ctx context.Context, in *createRollout) (*body[controller.Result], error) {
			source := bytes.Clone(in.RawBody)
			project, err := s.homeOfPlan(ctx, in.Project, source)
			if err != nil {
				return nil, err
			}
			r, err := s.Controller.Create(ctx, project, source, who(ctx).Name, via(ctx))
			return ok(r), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/rollouts/{id}", "get-rollout", read, "One rollout"),
		func(ctx context.Context, in *RolloutID) (*body[controller.View], error) {
			v, err := s.Controller.View(ctx, in.ID)
			return ok(v), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/rollouts/{id}/journal", "get-journal", read, "A rollout's journal, oldest first"),
		func(ctx context.Context, in *struct {
			RolloutID
			After int64 `query:"after" minimum:"0" doc:"position after which to begin"`
			Limit int   `query:"limit" minimum:"0" maximum:"10000" default:"1000"`
		}) (*body[[]rollout.Event], error) {
			e, err := s.Controller.Journal(ctx, in.ID, in.After, in.Limit)
			return list(e), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/rollouts/{id}/timeline", "get-timeline", read, "A rollout's journal in words, newest first"),
		func(ctx context.Context, in *struct {
			RolloutID
			Limit int `query:"limit" minimum:"0" maximum:"1000" default:"100"`
		}) (*body[[]controller.Entry], error) {
			e, err := s.Controller.Timeline(ctx, in.ID, in.Limit)
			return list(e), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/rollouts/{id}/notices", "get-notices", read, "Who was told what, newest first"),
		func(ctx context.Context, in *struct {
			RolloutID
			Limit int `query:"limit" minimum:"0" maximum:"1000" default:"100"`
		}) (*body[[]store.Outgoing], error) {
			n, err := s.Controller.Notices(ctx, in.ID, in.Limit)
			return list(n), s.fail(err)
		})
	huma.Register(api, file(op(http.MethodGet, "/rollouts/{id}/plan", "get-rollout-plan", read, "The plan file in force")),
		func(ctx context.Context, in *RolloutID) (*huma.StreamResponse, error) {
			src, err := s.Controller.PlanSource(ctx, in.ID)
			if err != nil {
				return nil, s.fail(err)
			}
			return &huma.StreamResponse{Body: func(c huma.Context) {
				c.SetHeader("Content-Type", "application/yaml; charset=utf-8")
				_, _ = c.BodyWriter().Write(src)
			}}, nil
		})
	huma.Register(api, op(http.MethodGet, "/rollouts/{id}/series/{metric}", "get-series", read, "A metric over time for both arms, at most 600 points"),
		func(ctx context.Context, in *struct {
			RolloutID
			Metric string `path:"metric"`
			Range  string `query:"range" default:"24h" doc:"how far back, such as 6h or 7d"`
		}) (*body[controller.Series], error) {
			span, err := controller.ParseRange(in.Range)
			if err != nil {
				return nil, huma.NewError(http.StatusUnprocessableEntity, err.Error())
			}
			now := s.Now()
			v, err := s.Controller.Series(ctx, in.ID, in.Metric, now.Add(-span), now, 0)
			return ok(v), s.fail(err)
		})
	for _, v := range verbs {
		huma.Register(api, op(http.MethodPost, "/rollouts/{id}/"+string(v.verb), string(v.verb)+"-rollout", auth.VerbScope(v.verb), v.summary),
			func(ctx context.Context, in *command) (*body[controller.Result], error) { return s.do(ctx, v.verb, in) })
	}
}

// do carries out one command.
func (s *server) do(ctx context.Context, verb rollout.Verb, in *command) (*body[controller.Result], error) {
	p, b := who(ctx), commandBody{}
	if in.Body != nil {
		b = *in.Body
	}
	cmd := rollout.Command{
		ID: commandID(verb, in.Key), Verb: verb, By: p.Name, Via: via(ctx), Reason: b.Reason, Version: b.Version, To: b.To,
		Percent: -1, Hotfix: b.Hotfix, Item: b.Item, Evidence: b.Evidence, Cause: b.Cause, Done: b.Done,
	}
	if b.Percent != nil {
		cmd.Percent = flag.Percent(*b.Percent*1000 + 0.5)
	}
	if err := s.Controller.Authorize(ctx, in.ID, actor(p, b.As), &cmd); err != nil {
		return nil, s.fail(err)
	}
	if verb == rollout.Revise {
		r, err := s.Controller.Revise(ctx, in.ID, []byte(b.Plan), cmd)
		return ok(r), s.fail(err)
	}
	r, err := s.Controller.Do(ctx, in.ID, cmd)
	var refused *rollout.Refusal
	if errors.As(err, &refused) && refused.Kind == rollout.Stale {
		return nil, s.stale(ctx, in.ID, refused)
	}
	return ok(r), s.fail(err)
}

// commandID is the id of the command that a client sent under key, "" without
// one. The verb is part of it: a rollback under a key that was used for a
// pause must not be answered as if it had been done.
func commandID(verb rollout.Verb, key string) string {
	if key == "" {
		return ""
	}
	return string(verb) + ":" + key
}

// stale refuses a command that rests on an old version, and says where the
// rollout is now.
func (s *server) stale(ctx context.Context, id string, refused *rollout.Refusal) error {
	v, err := s.Controller.View(ctx, id)
	if err != nil {
		return s.fail(err)
	}
	return huma.NewError(http.StatusConflict, refused.Why, &huma.ErrorDetail{
		Location: "body.version", Value: v.Version,
		Message: fmt.Sprintf("%s is %s at %s, version %d", v.ID, v.State.Status, v.State.Exposure, v.Version),
	})
}

// file says that an operation answers with a YAML file.
func file(o huma.Operation) huma.Operation {
	o.DefaultStatus = http.StatusOK
	o.Responses = map[string]*huma.Response{
		"200": {Description: http.StatusText(http.StatusOK), Content: map[string]*huma.MediaType{"application/yaml": {Schema: &huma.Schema{Type: huma.TypeString}}}},
	}
	return o
}

// actor is who p acts as; as is the plan role asked for, "" = the token's own.
func actor(p auth.Principal, as string) controller.Actor {
	return controller.Actor{Name: p.Name, Role: p.Role, As: as, Admin: p.Can(admin), Handles: p.Handles}
}
