package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/store"
)

// personAnswer is somebody without what proves who they are.
type personAnswer struct {
	store.Person
	SignIn []string `json:"sign_in" doc:"how they can sign in: password, identity provider; a one-time link always"`
}

func personOf(p store.Person) personAnswer {
	a := personAnswer{Person: p, SignIn: []string{}}
	if p.Password != "" {
		a.SignIn = append(a.SignIn, "password")
	}
	if p.Subject != "" {
		a.SignIn = append(a.SignIn, "identity provider")
	}
	return a
}

// people registers who may sign in, and their sessions.
func (s *server) people(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/people", "list-people", admin, "Who may sign in"),
		func(ctx context.Context, _ *struct{}) (*body[[]personAnswer], error) {
			all, err := s.Store.People(ctx)
			var out []personAnswer
			for _, p := range all {
				out = append(out, personOf(p))
			}
			return list(out), s.fail(err)
		})
	huma.Register(api, op(http.MethodPut, "/people/{name}", "put-person", admin, "Create or change a person; works at once, also for open sessions"),
		func(ctx context.Context, in *struct {
			Name string `path:"name"`
			Body struct {
				Role     string   `json:"role" enum:"viewer,operator,approver,admin"`
				Email    string   `json:"email,omitempty" maxLength:"254" doc:"for sign-in, and to know the person by at an identity provider"`
				Handles  []string `json:"handles,omitempty" doc:"names that plans use: team-lead for a plan's who: \"@team-lead\""`
				Projects []string `json:"projects,omitempty" doc:"left out: all"`
				Disabled bool     `json:"disabled,omitempty" doc:"may not sign in"`
			}
		}) (*body[personAnswer], error) {
			b := in.Body
			p := store.Person{Name: in.Name, Email: b.Email, Role: b.Role, Handles: b.Handles, Projects: b.Projects, Disabled: b.Disabled}
			if err := s.Auth.PutPerson(ctx, who(ctx), p); err != nil {
				return nil, s.fail(err)
			}
			now, err := s.Store.Person(ctx, in.Name)
			return ok(personOf(now)), s.fail(err)
		})
	huma.Register(api, op(http.MethodDelete, "/people/{name}", "delete-person", admin, "Remove a person, their sessions and tokens"),
		func(ctx context.Context, in *struct {
			Name   string `path:"name"`
			Reason string `query:"reason" maxLength:"1000" doc:"why, for the audit log"`
		}) (*struct{}, error) {
			return nil, s.fail(s.Auth.DeletePerson(ctx, who(ctx), in.Name, in.Reason))
		})
	huma.Register(api, op(http.MethodPost, "/people/{name}/password", "set-password", admin, "Set a person's password; ends their sessions"),
		func(ctx context.Context, in *struct {
			Name string `path:"name"`
			Body struct {
				Password string `json:"password" maxLength:"1024"`
			}
		}) (*struct{}, error) {
			return nil, s.fail(s.Auth.SetPassword(ctx, who(ctx), in.Name, "", in.Body.Password))
		})
	s.openSessions(api)
	s.slack(api)
}

func (s *server) openSessions(api huma.API) {
	huma.Register(api, ofServer(op(http.MethodGet, "/sessions", "list-sessions", read, "Open sessions, newest first: one's own, for an admin everybody's")),
		func(ctx context.Context, in *struct {
			Person string `query:"person" doc:"left out: everybody for an admin, else oneself"`
		}) (*body[[]auth.OpenSession], error) {
			p, person := who(ctx), in.Person
			if person == "" && !(p.Can(admin) && p.WholeServer()) {
				if person = p.Person; person == "" {
					return list[auth.OpenSession](nil), nil // a machine has none
				}
			}
			found, err := s.Auth.Sessions(ctx, p, person)
			return list(found), s.fail(err)
		})
	huma.Register(api, ofServer(op(http.MethodDelete, "/sessions/{id}", "end-session", read, "End a session: one's own, as an admin anybody's")),
		func(ctx context.Context, in *struct {
			ID string `path:"id"`
		}) (*struct{}, error) {
			return nil, s.fail(s.Auth.EndSession(ctx, who(ctx), in.ID))
		})
}
