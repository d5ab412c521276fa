package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/controller"
)

// runbooks registers what a rollout's plan says to people.
func (s *server) runbooks(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/rollouts/{id}/runbook", "get-runbook", read, "Who does what and when, from the plan in force"),
		func(ctx context.Context, in *RolloutID) (*body[controller.Runbook], error) {
			r, err := s.Controller.Runbook(ctx, in.ID)
			return ok(r), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/rollouts/{id}/emergency", "get-emergency", read, "What to do when serin itself is down: whom to call, what clients do, the way back without it; to be kept elsewhere"),
		func(ctx context.Context, in *RolloutID) (*body[controller.Emergency], error) {
			e, err := s.Controller.Emergency(ctx, in.ID)
			return ok(e), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/rollouts/{id}/calendar", "get-calendar", read, "When stages began, when the rest comes at the earliest, and what lint says of the plan"),
		func(ctx context.Context, in *RolloutID) (*body[controller.Calendar], error) {
			c, err := s.Controller.Calendar(ctx, in.ID)
			return ok(c), s.fail(err)
		})
}
