package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/controller"
	"serin/internal/dashboard"
	"serin/internal/store"
)

// Panels answers a plan's dashboard; the pages use the same. Errors are a
// *rollout.Refusal or wrap store.ErrNotFound.
type Panels interface {
	View(ctx context.Context, id string, r dashboard.Range) (dashboard.View, error)
}

func (s *server) panels(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/rollouts/{id}/panels", "get-panels", read, "The plan's dashboard: targets with their newest verdicts, panels now and earlier"),
		func(ctx context.Context, in *struct {
			RolloutID
			Range   string `query:"range" default:"48h" doc:"how far back, such as 24h or 7d, at most 15d; rollout = since it began"`
			Compare string `query:"compare" default:"7d" doc:"how much earlier the compared time is; none = only what a panel says itself"`
		}) (*body[dashboard.View], error) {
			if s.Panels == nil {
				return nil, s.fail(fmt.Errorf("panels of %s: %w", in.ID, store.ErrNotFound))
			}
			var r dashboard.Range
			var err error
			if in.Range != "rollout" {
				r.Back, err = controller.ParseRange(in.Range)
			}
			if err == nil && in.Compare != "none" {
				r.Compare, err = controller.ParseRange(in.Compare)
			}
			if err != nil {
				return nil, s.fail(err)
			}
			v, err := s.Panels.View(ctx, in.ID, r)
			return ok(v), s.fail(err)
		})
}
