package api

import (
	"bytes"
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/store"
)

// PlanName is the path of everything about one plan; exported as RolloutID is.
type PlanName struct {
	Name string `path:"plan" doc:"the plan's name"`
}

type planFile struct {
	ForProject
	RawBody []byte `contentType:"application/yaml" doc:"the plan file"`
}

// shownPlan is a plan with its defaults.
type shownPlan struct {
	Plan string `json:"plan" doc:"its name"`
	Show string `json:"show" doc:"the plan with every default filled in, its timeline and the runbook"`
}

// plans registers what may be asked of plan files.
func (s *server) plans(api huma.API) {
	huma.Register(api, raw(inProjects(op(http.MethodPost, "/plans/lint", "lint-plan", read, "Check a plan file with what this server knows"))),
		func(ctx context.Context, in *planFile) (*body[controller.PlanCheck], error) {
			source := bytes.Clone(in.RawBody)
			project, err := s.homeOfPlan(ctx, in.Project, source)
			if err != nil {
				return nil, err
			}
			check, err := s.Controller.CheckPlan(ctx, project, source)
			return ok(check), s.fail(err)
		})
	huma.Register(api, raw(ofServer(op(http.MethodPost, "/plans/show", "show-plan", read, "A plan file with every default filled in"))),
		func(_ context.Context, in *struct {
			RawBody []byte `contentType:"application/yaml" doc:"the plan file"`
		}) (*body[shownPlan], error) {
			p, err := plan.Parse(bytes.Clone(in.RawBody))
			if err != nil {
				return nil, s.fail(err)
			}
			return ok(shownPlan{p.Name, string(plan.Show(p))}), nil
		})
	huma.Register(api, inProjects(op(http.MethodGet, "/plans", "list-plans", read, "Every stored plan: its latest version, what lint says, its rollouts")),
		func(ctx context.Context, in *InProject) (*body[[]controller.PlanSummary], error) {
			v, err := s.Controller.Plans(ctx)
			v = slices.DeleteFunc(v, func(v controller.PlanSummary) bool { return !in.sees(who(ctx), v.Project) })
			return list(v), s.fail(err)
		})
	huma.Register(api, raw(inProjects(op(http.MethodPost, "/plans", "put-plan", operate, "Store a version of a plan; nothing is started"))),
		func(ctx context.Context, in *planFile) (*body[controller.PlanStored], error) {
			source := bytes.Clone(in.RawBody)
			project, err := s.homeOfPlan(ctx, in.Project, source)
			if err != nil {
				return nil, err
			}
			v, err := s.Controller.PutPlan(ctx, project, source, who(ctx).Name, via(ctx))
			return ok(v), s.fail(err)
		})
	s.planVersions(api)
	s.planSchema(api)
}

// planVersions registers what may be asked of stored plans.
func (s *server) planVersions(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/plans/{plan}", "get-plan", read, "A version of a plan: its file, lint, calendar, versions and rollouts"),
		func(ctx context.Context, in *struct {
			PlanName
			Version int `query:"version" minimum:"0" doc:"0 = the latest"`
		}) (*body[controller.PlanText], error) {
			v, err := s.Controller.Plan(ctx, in.Name, in.Version)
			return ok(v), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/plans/{plan}/versions", "list-plan-versions", read, "Every version of a plan, highest number first"),
		func(ctx context.Context, in *PlanName) (*body[[]store.PlanVersion], error) {
			v, err := s.Controller.PlanVersions(ctx, in.Name)
			return list(v), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/plans/{plan}/diff", "diff-plan", read, "What differs between two versions, and whether it may be revised in flight"),
		func(ctx context.Context, in *struct {
			PlanName
			From int `query:"from" minimum:"0" doc:"0 = the latest"`
			To   int `query:"to" minimum:"0" doc:"0 = the latest"`
		}) (*body[controller.PlanDiff], error) {
			d, err := s.Controller.ComparePlans(ctx, in.Name, in.From, in.To)
			return ok(d), s.fail(err)
		})
	huma.Register(api, raw(op(http.MethodPost, "/plans/{plan}/diff", "diff-plan-draft", read, "The same for a plan file that is not stored")),
		func(ctx context.Context, in *struct {
			PlanName
			From    int    `query:"from" minimum:"0" doc:"0 = the latest"`
			RawBody []byte `contentType:"application/yaml" doc:"the draft"`
		}) (*body[controller.PlanDiff], error) {
			d, err := s.Controller.CompareDraft(ctx, in.Name, in.From, bytes.Clone(in.RawBody))
			return ok(d), s.fail(err)
		})
}

// schemaType is the media type of a JSON Schema (draft 2020-12, section 14.1).
const schemaType = "application/schema+json"

// planSchema serves the schema of plan files to editors, which have no token.
func (s *server) planSchema(api huma.API) {
	o := huma.Operation{Method: http.MethodGet, Path: Prefix + "/plans/schema", OperationID: "get-plan-schema",
		Summary: "The JSON Schema of plan files, for editors", Description: "Open: it needs no token.", DefaultStatus: http.StatusOK,
		Responses: map[string]*huma.Response{"200": {Description: http.StatusText(http.StatusOK),
			Content: map[string]*huma.MediaType{schemaType: {Schema: &huma.Schema{Type: huma.TypeObject}}}}}}
	huma.Register(api, o, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(c huma.Context) {
			c.SetHeader("Content-Type", schemaType)
			c.SetHeader("Access-Control-Allow-Origin", "*") // editors in a browser read it too
			_, _ = c.BodyWriter().Write(plan.Schema())
		}}, nil
	})
}
