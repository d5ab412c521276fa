package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/controller"
)

// buildAnswer is a build variable with the object that it holds.
type buildAnswer struct {
	controller.BuildVariable
	Object map[string]bool `json:"object" doc:"KEY: any user is on new; KEY_canary: only some are"`
}

func (s *server) env(api huma.API) {
	huma.Register(api, inProjects(op(http.MethodGet, "/flags/env", "get-flags-env", read, "Flags as build-time variables hold them")),
		func(ctx context.Context, in *struct {
			InProject
			Name string `query:"name" doc:"only this variable, such as NEXT_PUBLIC_FEATURE_FLAGS"`
		}) (*body[[]buildAnswer], error) {
			var out []buildAnswer
			for _, v := range s.Controller.BuildVariables(func(project string) bool { return in.sees(who(ctx), project) }) {
				if in.Name == "" || in.Name == v.Name {
					out = append(out, buildAnswer{v, v.Object()})
				}
			}
			return list(out), nil
		})
}
