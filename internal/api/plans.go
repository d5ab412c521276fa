package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/plan"
	"serin/internal/store"
)

// lintAnswer is what lint found.
type lintAnswer struct {
	OK       bool           `json:"ok" doc:"no errors; warnings do not stop a start"`
	Problems []plan.Problem `json:"problems"`
	Skipped  []string       `json:"skipped,omitempty" doc:"codes that were not looked at"`
}

func (s *server) plans(api huma.API) {
	huma.Register(api, raw(op(http.MethodPost, "/plans/lint", "lint-plan", read, "Check a plan file")),
		func(_ context.Context, in *createRollout) (*body[lintAnswer], error) {
			p, err := plan.Parse(bytes.Clone(in.RawBody))
			var problems plan.Problems
			if errors.As(err, &problems) {
				return ok(lintAnswer{Problems: problems}), nil
			}
			if err != nil {
				return nil, s.fail(err)
			}
			found := plan.Lint(p, nil)
			answer := lintAnswer{OK: true, Problems: append([]plan.Problem{}, found...), Skipped: plan.Skipped()}
			for _, f := range found {
				if f.Severity == plan.Error {
					answer.OK = false
				}
			}
			return ok(answer), nil
		})
	huma.Register(api, op(http.MethodGet, "/plans", "list-plans", read, "The latest version of each plan"),
		func(ctx context.Context, _ *struct{}) (*body[[]store.PlanVersion], error) {
			v, err := s.Store.PlanNames(ctx)
			return list(v), s.fail(err)
		})
}
