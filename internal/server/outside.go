package server

import (
	"context"
	"errors"

	"serin/internal/alerting"
	"serin/internal/auth"
	"serin/internal/hooks"
	"serin/internal/store"
)

// hookKeys checks the keys of the systems that tell of their alerts.
func hookKeys(people *auth.Auth) func(ctx context.Context, key string) (hooks.Key, error) {
	return func(ctx context.Context, key string) (hooks.Key, error) {
		found, err := people.HookKey(ctx, key)
		if errors.Is(err, auth.ErrUnknownKey) {
			return hooks.Key{}, hooks.ErrUnknownKey
		}
		return hooks.Key{Project: found.Project, Notify: found.Notify, ClientSecret: found.ClientSecret}, err
	}
}

// underWay finds the rollouts under way that an alert from outside may name by
// their id or their plan, what is going on first.
func (s *Server) underWay(name string) (out []alerting.Named) {
	views, err := s.control.Views(context.Background())
	if err != nil {
		return nil
	}
	for _, v := range views {
		if !store.Over(v.State.Status) && (v.ID == name || v.Plan == name) {
			out = append(out, alerting.Named{ID: v.ID, Project: v.Project})
		}
	}
	return out
}
