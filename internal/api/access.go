package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/store"
)

type tokenAnswer struct {
	store.Token
	Secret string `json:"secret,omitempty" doc:"shown once"`
}

func (s *server) access(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/tokens", "list-tokens", admin, "Tokens and publishable keys"),
		func(ctx context.Context, _ *struct{}) (*body[[]store.Token], error) {
			t, err := s.Store.Tokens(ctx)
			return ok(t), s.fail(err)
		})
	huma.Register(api, op(http.MethodPost, "/tokens", "create-token", admin, "Create a token or a publishable key"),
		func(ctx context.Context, in *struct {
			Body struct {
				Name        string    `json:"name" minLength:"1" maxLength:"100"`
				Kind        string    `json:"kind" enum:"operator,ingest,flags,flags-server,sign-in" default:"operator" required:"false"`
				Scopes      []string  `json:"scopes,omitempty" doc:"read, operate, approve, admin"`
				Role        string    `json:"role,omitempty" doc:"plan role the bearer acts in"`
				Environment string    `json:"environment,omitempty"`
				Origins     []string  `json:"origins,omitempty"`
				Person      string    `json:"person,omitempty" doc:"who the token or sign-in link is for"`
				Seconds     int64     `json:"ttl_seconds,omitempty" minimum:"0" doc:"how long it lives; 0 = until revoked"`
			}
		}) (*body[tokenAnswer], error) {
			b := in.Body
			n := auth.NewToken{Name: b.Name, Kind: b.Kind, Scopes: b.Scopes, Role: b.Role, Person: b.Person,
				Environment: b.Environment, Origins: b.Origins, TTL: time.Duration(b.Seconds) * time.Second}
			if b.Kind == auth.KindIngest {
				n.Project = "1"
			}
			secret, t, err := s.Auth.CreateToken(ctx, who(ctx), n)
			return ok(tokenAnswer{Token: t, Secret: secret}), s.fail(err)
		})
	huma.Register(api, op(http.MethodDelete, "/tokens/{id}", "revoke-token", admin, "Revoke a token or key"),
		func(ctx context.Context, in *RolloutID) (*struct{}, error) {
			return nil, s.fail(s.Auth.RevokeToken(ctx, who(ctx), in.ID, ""))
		})
	huma.Register(api, op(http.MethodGet, "/audit", "list-audit", read, "Who changed what, newest first"),
		func(ctx context.Context, in *struct {
			Target string `query:"target" doc:"such as: rollout demo-1, flag x"`
			Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		}) (*body[[]store.AuditEntry], error) {
			a, err := s.Store.AuditEntries(ctx, in.Target, in.Limit)
			return ok(a), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/me", "get-me", read, "Whose token this is"),
		func(ctx context.Context, _ *struct{}) (*body[auth.Principal], error) { return ok(who(ctx)), nil })
}
