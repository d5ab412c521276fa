package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/upkeep"
)

// storage tells what the store takes.
func (s *server) storage(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/storage", "get-storage", admin, "What the store takes, what room is left, how long data is kept, and what was removed over the budget"),
		func(ctx context.Context, _ *struct{}) (*body[upkeep.Report], error) {
			if s.Storage == nil {
				return nil, huma.NewError(http.StatusNotFound, "this server does not measure its store")
			}
			report, err := s.Storage(ctx)
			if err != nil {
				return nil, s.fail(err)
			}
			return ok(report), nil
		})
}
