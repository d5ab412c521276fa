package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/controller"
)

// explain registers why a rollout was decided as it was.
func (s *server) explain(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/rollouts/{id}/explain", "explain-rollout", read,
		"Why it was decided so: the decision at a journal position or time, computed again from what it rested on"),
		func(ctx context.Context, in *struct {
			RolloutID
			At string `query:"at" doc:"a journal position from 1, a time (RFC 3339) for the last decision until then, or now; left out: now"`
		}) (*body[controller.Explanation], error) {
			x, err := s.Controller.ExplainAt(ctx, in.ID, in.At)
			return ok(x), s.fail(err)
		})
}
