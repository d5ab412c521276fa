package server

import (
	"context"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/incident"
	"serin/internal/response"
	"serin/internal/rollout"
	"serin/internal/web"
)

// incidentPages are the incidents as pages show and change them.
type incidentPages struct {
	*response.Engine
	control *controller.Controller
}

// Do carries out a command as p. A decision moves a rollout: p needs there what
// a rollback needs.
func (i incidentPages) Do(ctx context.Context, id string, p web.Person, c incident.Command) (response.View, error) {
	actor := controller.Actor{Name: p.Name, Role: p.Role, Handles: p.Handles}
	if p.Role == adminRole {
		actor.Role, actor.Admin = "", true
	}
	by := webPerson(ctx, p)
	by.Authorize = func(ctx context.Context, id string, cmd *rollout.Command) error {
		return i.control.Authorize(ctx, id, actor, cmd)
	}
	return i.Engine.Do(ctx, id, by, c)
}

// Open opens one by hand as p.
func (i incidentPages) Open(ctx context.Context, p web.Person, o response.Opened) (response.View, error) {
	return i.Engine.Open(ctx, webPerson(ctx, p), o)
}

func webPerson(ctx context.Context, p web.Person) response.Person {
	return response.Person{Name: p.Name, Via: "web", Address: auth.Address(ctx)}
}
