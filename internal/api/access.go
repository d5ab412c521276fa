package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/store"
)

// linkLife is how long a sign-in link lives, where nobody says.
const linkLife = 7 * 24 * time.Hour

type tokenAnswer struct {
	store.Token
	Secret string `json:"secret,omitempty" doc:"shown once"`
}

// meAnswer is whose token or session a request carries.
type meAnswer struct {
	ID     string   `json:"id,omitempty" doc:"of the token or session"`
	Name   string   `json:"name" doc:"as journals write it"`
	Kind   string   `json:"kind" enum:"token,session"`
	Scopes []string `json:"scopes"`
	Role   string   `json:"role,omitempty" doc:"plan role"`
	Person string   `json:"person,omitempty"`
	// Projects is left out for all.
	Projects []string `json:"projects,omitempty" doc:"that the token or person is limited to; left out: all"`
}

func (s *server) access(api huma.API) {
	huma.Register(api, ofServer(op(http.MethodGet, "/tokens", "list-tokens", admin, "Tokens and publishable keys")),
		func(ctx context.Context, _ *struct{}) (*body[[]store.Token], error) {
			t, err := s.Auth.Tokens(ctx, who(ctx))
			return list(t), s.fail(err)
		})
	huma.Register(api, ofServer(op(http.MethodPost, "/tokens", "create-token", admin, "Create a token or a publishable key")),
		func(ctx context.Context, in *struct {
			Body struct {
				Name        string   `json:"name" minLength:"1" maxLength:"100"`
				Kind        string   `json:"kind" enum:"operator,ingest,flags,flags-server,hook,sign-in" default:"operator" required:"false"`
				Scopes      []string `json:"scopes,omitempty" doc:"read, operate, approve, admin"`
				Role        string   `json:"role,omitempty" doc:"plan role the bearer acts in"`
				Project     string   `json:"project,omitempty" doc:"of a key; left out: the only project that this token is for, else project 1"`
				Projects    []string `json:"projects,omitempty" doc:"of an operator token; left out: all of those that this token is for"`
				Environment string   `json:"environment,omitempty" doc:"of a key: what it sends is of this environment; flags of rollouts for others do not exist for it"`
				Origins     []string `json:"origins,omitempty"`
				Secret      bool     `json:"secret,omitempty" doc:"of an ingest key: no page carries it, so that it may send gauges over OTLP and values"`
				Notify      []string `json:"notify,omitempty" maxItems:"20" doc:"of a hook key: addresses of who is told of its alerts, as plans write them"`
				Client      string   `json:"client_secret,omitempty" maxLength:"500" doc:"of a hook key: the client secret of Sentry's integration, which signs its calls"`
				Person      string   `json:"person,omitempty" doc:"who the token or sign-in link is for; of a link, the name if left out"`
				Seconds     int64    `json:"ttl_seconds,omitempty" minimum:"0" doc:"how long it lives; 0 = until revoked, a sign-in link 7 days"`
			}
		}) (*body[tokenAnswer], error) {
			b := in.Body
			n := auth.NewToken{Name: b.Name, Kind: b.Kind, Project: b.Project, Projects: b.Projects, Scopes: b.Scopes, Role: b.Role, Person: b.Person,
				Environment: b.Environment, Origins: b.Origins, Secret: b.Secret && b.Kind == auth.KindIngest, TTL: time.Duration(b.Seconds) * time.Second}
			if b.Kind == auth.KindHook {
				n.Notify, n.ClientSecret = b.Notify, b.Client
			}
			if b.Kind == auth.KindSignIn {
				n.Person = cmp.Or(n.Person, n.Name) // the journal names people
				n.TTL = cmp.Or(n.TTL, linkLife)
			}
			secret, t, err := s.Auth.CreateToken(ctx, who(ctx), n)
			return ok(tokenAnswer{Token: t, Secret: secret}), s.fail(err)
		})
	huma.Register(api, ofServer(op(http.MethodDelete, "/tokens/{id}", "revoke-token", admin, "Revoke a token or key")),
		func(ctx context.Context, in *struct {
			ID     string `path:"id"`
			Reason string `query:"reason" maxLength:"1000" doc:"why, for the audit log"`
		}) (*struct{}, error) {
			return nil, s.fail(s.Auth.RevokeToken(ctx, who(ctx), in.ID, in.Reason))
		})
	huma.Register(api, inProjects(op(http.MethodGet, "/audit", "list-audit", read, "Who changed what, newest first; of rollouts, flags, plans and issues only to tokens that are limited to projects")),
		func(ctx context.Context, in *struct {
			InProject
			Who    string `query:"who" doc:"exactly, as entries name them; looked for among the newest 10,000 entries"`
			Target string `query:"target" doc:"such as: rollout demo-1, flag x"`
			Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		}) (*body[[]store.AuditEntry], error) {
			a, err := s.Controller.Audit(ctx, controller.AuditQuery{Who: in.Who, Target: in.Target, Limit: in.Limit, Sees: s.sees(ctx, who(ctx), in.InProject)})
			return list(a), s.fail(err)
		})
	huma.Register(api, ofServer(op(http.MethodGet, "/me", "get-me", read, "Whose token this is")),
		func(ctx context.Context, _ *struct{}) (*body[meAnswer], error) {
			p := who(ctx)
			return ok(meAnswer{ID: p.ID, Name: p.Name, Kind: p.Kind, Scopes: p.Scopes, Role: p.Role, Person: p.Person, Projects: p.Projects}), nil
		})
}
