package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/forward"
)

// Forwarding is what passes telemetry on to other services.
type Forwarding interface{ Status() []forward.Status }

// forwarding registers the state of what passes telemetry on.
func (s *server) forwarding(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/forwarding", "list-forwarding", read, "Projects whose telemetry is passed on: the upstream, what waits, what was lost, the last error"),
		func(context.Context, *struct{}) (*body[[]forward.Status], error) {
			if s.Forwarding == nil {
				return list([]forward.Status(nil)), nil
			}
			return list(s.Forwarding.Status()), nil
		})
}
