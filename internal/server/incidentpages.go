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
	by := response.Person{Name: p.Name, Via: "web", Address: auth.Address(ctx), Authorize: func(ctx context.Context, id string, cmd *rollout.Command) error {
		return i.control.Authorize(ctx, id, actor, cmd)
	}}
	return i.Engine.Do(ctx, id, by, c)
}
