package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/store"
)

// channels registers where people are told, and the test of it.
func (s *server) channels(api huma.API) {
	huma.Register(api, inProjects(op(http.MethodGet, "/channels", "list-channels", read, "Addresses that plans under way and the configuration name, and whether this server can deliver to them")),
		func(ctx context.Context, _ *struct{}) (*body[[]controller.ChannelState], error) {
			all, err := s.Controller.Channels(ctx, who(ctx).InProject)
			if err == nil {
				all, err = s.withHealth(ctx, all)
			}
			return list(all), s.fail(err)
		})
	test := op(http.MethodPost, "/channels/{address}/test", "test-channel", operate, "Send one test message to an address by the real notifier and tell its answer; at most one in five seconds")
	test.Errors = []int{http.StatusTooManyRequests}
	huma.Register(api, test,
		func(ctx context.Context, in *struct {
			Address string `path:"address" doc:"as in a plan: slack:#team, webhook:name; percent-encoded"`
		}) (*body[controller.ChannelTest], error) {
			out, err := s.Controller.TestChannel(ctx, in.Address, store.AuditEntry{Who: who(ctx).Name, Via: via(ctx), Address: auth.Address(ctx)})
			var soon *controller.TooSoonError
			if errors.As(err, &soon) {
				return nil, retryLater(soon)
			}
			return ok(out), s.fail(err)
		})
}

// retryLater is a 429 that says when to try again.
func retryLater(e *controller.TooSoonError) error {
	h := http.Header{}
	(&refusal{after: e.After}).headers(h.Set)
	return huma.ErrorWithHeaders(huma.NewError(http.StatusTooManyRequests, e.Error()), h)
}
