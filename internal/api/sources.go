package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/poll"
	"serin/internal/store"
)

// Sources are what the server asks for measurements.
type Sources interface {
	Status() []poll.Status
	// Test asks a source once; poll.ErrNoSource: there is none of that name.
	Test(ctx context.Context, name string) (poll.Status, error)
}

// sources registers the state of the sources that are asked, and the test of one.
func (s *server) sources(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/sources", "list-sources", read, "Sources that the configuration names, with their last answers, ages and errors"),
		func(context.Context, *struct{}) (*body[[]poll.Status], error) {
			if s.Sources == nil {
				return list([]poll.Status(nil)), nil
			}
			return list(s.Sources.Status()), nil
		})
	test := op(http.MethodPost, "/sources/{name}/test", "test-source", operate, "Ask a source once, now, and tell its answers; nothing of them is kept")
	huma.Register(api, test,
		func(ctx context.Context, in *struct {
			Name string `path:"name" maxLength:"200" doc:"as in sources of the configuration"`
		}) (*body[poll.Status], error) {
			if s.Sources == nil {
				return nil, huma.Error404NotFound(fmt.Sprintf("source %q: %s", in.Name, poll.ErrNoSource))
			}
			out, err := s.Sources.Test(ctx, in.Name)
			if errors.Is(err, poll.ErrNoSource) {
				return nil, huma.Error404NotFound(fmt.Sprintf("source %q: %s", in.Name, err))
			}
			if err != nil {
				return nil, s.fail(err)
			}
			entry := store.AuditEntry{At: s.Now(), Who: who(ctx).Name, Via: via(ctx), Address: auth.Address(ctx), Verb: "test", Target: "source " + in.Name}
			if err := s.Store.PutAudit(ctx, entry); err != nil {
				return nil, s.fail(err)
			}
			return ok(out), nil
		})
}
