package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/store"
)

// retryAnswer says how many notices are tried again.
type retryAnswer struct {
	Retried int `json:"retried" doc:"dead notices that are tried again from now on"`
}

// notices registers what waits to be told, what was given up, and its second try.
func (s *server) notices(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/notices", "list-notices", read, "Notices of all rollouts and alerts with the state of their delivery, newest first"),
		func(ctx context.Context, in *struct {
			State   string `query:"state" enum:"waiting,delivered,dead" doc:"left out: all"`
			Address string `query:"address" maxLength:"200" doc:"as in a plan: slack:#team; left out: all"`
			Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		}) (*body[[]store.Outgoing], error) {
			found, err := s.Controller.NoticesIn(ctx, store.DeliveryState(in.State), in.Address, in.Limit)
			return list(found), s.fail(err)
		})
	huma.Register(api, op(http.MethodPost, "/notices/retry", "retry-notices", operate, "Try dead notices again: those named, or all of an address, or all"),
		func(ctx context.Context, in *struct {
			Body struct {
				IDs     []string `json:"ids,omitempty" maxItems:"1000" doc:"left out: all of address"`
				Address string   `json:"address,omitempty" maxLength:"200" doc:"with no ids: only notices to it; left out: to any"`
				Reason  string   `json:"reason,omitempty" maxLength:"1000" doc:"why, for the audit log"`
			}
		}) (*body[retryAnswer], error) {
			b := in.Body
			n, err := s.Controller.Retry(ctx, b.IDs, b.Address, store.AuditEntry{Who: who(ctx).Name, Via: via(ctx), Address: auth.Address(ctx), Reason: b.Reason})
			return ok(retryAnswer{n}), s.fail(err)
		})
}

// withHealth adds how channels do, for who may see the whole server.
func (s *server) withHealth(ctx context.Context, all []controller.ChannelState) ([]controller.ChannelState, error) {
	if !who(ctx).WholeServer() {
		return all, nil
	}
	return s.Controller.WithHealth(ctx, all)
}
