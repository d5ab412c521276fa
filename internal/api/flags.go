package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/flag"
	"serin/internal/store"
)

// flagView is a flag as the API shows it.
type flagView struct {
	Key        string          `json:"key"`
	Project    string          `json:"project"`
	Definition json.RawMessage `json:"definition" doc:"in flagd's JSON format"`
	Revision   int64           `json:"revision"`
	Owner      string          `json:"owner,omitempty" doc:"rollout that owns the split"`
	UpdatedAt  time.Time       `json:"updated_at"`
	UpdatedBy  string          `json:"updated_by"`
}

func viewFlag(r store.FlagRecord) (flagView, error) {
	def, err := json.Marshal(r.Definition)
	return flagView{Key: r.Definition.Key, Project: flag.ProjectOf(r.Place.Project), Definition: def, Revision: r.Revision, Owner: r.Owner, UpdatedAt: r.UpdatedAt, UpdatedBy: r.UpdatedBy}, err
}

func viewFlags(records []store.FlagRecord) ([]flagView, error) {
	views := make([]flagView, len(records)) // not nil: an empty list is []
	for i, r := range records {
		var err error
		if views[i], err = viewFlag(r); err != nil {
			return nil, err
		}
	}
	return views, nil
}

// FlagKey is the path of everything about one flag.
type FlagKey struct {
	Key string `path:"key"`
}

type evaluateAnswer struct {
	Key     string          `json:"key"`
	Variant string          `json:"variant,omitempty"`
	Value   json.RawMessage `json:"value,omitempty"`
	Reason  string          `json:"reason"`
	Code    string          `json:"errorCode,omitempty"`
	Detail  string          `json:"errorDetails,omitempty"`
}

func (s *server) flags(api huma.API) {
	huma.Register(api, inProjects(op(http.MethodGet, "/flags", "list-flags", read, "All flags")),
		func(ctx context.Context, in *InProject) (*body[[]flagView], error) {
			records, _, err := s.Controller.Flags().List(ctx)
			if err != nil {
				return nil, s.fail(err)
			}
			records = slices.DeleteFunc(records, func(r store.FlagRecord) bool { return !in.sees(who(ctx), r.Place.Project) })
			views, err := viewFlags(records)
			return ok(views), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/flags/{key}", "get-flag", read, "One flag"),
		func(ctx context.Context, in *FlagKey) (*body[flagView], error) {
			r, err := s.Controller.Flags().Get(ctx, in.Key)
			if err != nil {
				return nil, s.fail(err)
			}
			v, err := viewFlag(r)
			return ok(v), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/flags/{key}/history", "get-flag-history", read, "The versions of a flag, newest first"),
		func(ctx context.Context, in *FlagKey) (*body[[]flagView], error) {
			records, err := s.Controller.Flags().History(ctx, in.Key, 100)
			if err != nil {
				return nil, s.fail(err)
			}
			views, err := viewFlags(records)
			return ok(views), s.fail(err)
		})
	huma.Register(api, raw(op(http.MethodPut, "/flags/{key}", "put-flag", operate, "Write a flag; switching off one that a rollout owns rolls that rollout back")),
		func(ctx context.Context, in *struct {
			FlagKey
			ForProject
			Revision int64  `query:"revision" default:"-1" minimum:"-1" doc:"revision last seen; 0 = must be new, -1 = any"`
			Reason   string `query:"reason"`
			RawBody  []byte `contentType:"application/json" doc:"the flag in flagd's JSON format"`
		}) (*body[map[string]int64], error) {
			d, err := flag.ParseDefinition(in.Key, bytes.Clone(in.RawBody))
			if err != nil {
				return nil, huma.NewError(http.StatusUnprocessableEntity, "the flag is not in flagd's format: "+err.Error())
			}
			by := actor(who(ctx), "")
			if by.Project, err = s.homeOfFlag(ctx, in.Project, in.Key); err != nil {
				return nil, err
			}
			rev, err := s.Controller.PutFlag(ctx, d, in.Revision, by, via(ctx), in.Reason)
			return ok(map[string]int64{"revision": rev}), s.fail(err)
		})
	huma.Register(api, op(http.MethodDelete, "/flags/{key}", "delete-flag", operate, "Delete a flag that no rollout owns"),
		func(ctx context.Context, in *struct {
			FlagKey
			Reason string `query:"reason"`
		}) (*struct{}, error) {
			return nil, s.fail(s.Controller.Flags().Delete(ctx, in.Key, who(ctx).Name, via(ctx), in.Reason))
		})
	huma.Register(api, op(http.MethodPost, "/flags/{key}/evaluate", "evaluate-flag", read, "What a user gets, without recording it"),
		func(_ context.Context, in *struct {
			FlagKey
			Body struct {
				Context map[string]any `json:"context"`
			}
		}) (*body[evaluateAnswer], error) {
			e := s.Flags.Current().EvaluateAt(in.Key, flag.Context(in.Body.Context), s.Now().Unix())
			if e.Code == flag.FlagNotFound {
				return nil, huma.NewError(http.StatusNotFound, "no flag "+in.Key)
			}
			return ok(evaluateAnswer{Key: e.Key, Variant: e.Variant, Value: e.Value, Reason: string(e.Reason), Code: string(e.Code), Detail: e.Detail}), nil
		})
}
