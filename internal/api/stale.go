package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/controller"
	"serin/internal/plan"
)

// staleFlags is the report of flags that are no longer good for anything.
func (s *server) staleFlags(api huma.API) {
	huma.Register(api, inProjects(op(http.MethodGet, "/flags/stale", "list-stale-flags", read, "What every flag is still good for: those that can go first; keys that are no flag only for tokens of every project")),
		func(ctx context.Context, in *struct {
			InProject
			After string `query:"after" default:"30d" doc:"how long a flag may be constant, or asked for by nobody, before it is stale"`
		}) (*body[[]controller.FlagReport], error) {
			after, err := staleAfter(in.After)
			if err != nil {
				return nil, huma.NewError(http.StatusUnprocessableEntity, err.Error())
			}
			reports, err := s.Controller.Stale(ctx, after)
			if err != nil {
				return nil, s.fail(err)
			}
			// A key that is no flag is of no project.
			p := who(ctx)
			reports = slices.DeleteFunc(reports, func(f controller.FlagReport) bool {
				if f.Project == "" {
					return !p.WholeServer() || in.Project != ""
				}
				return !in.sees(p, f.Project)
			})
			return list(reports), nil
		})
}

func staleAfter(text string) (time.Duration, error) {
	d, err := plan.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("after %q: write a duration such as 30d (s m h d w)", text)
	}
	return d, nil
}
