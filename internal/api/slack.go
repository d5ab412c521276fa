package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/store"
)

// slackCode is a code that links a user of Slack, which nothing shows again.
type slackCode struct {
	Person    string    `json:"person"`
	Code      string    `json:"code" doc:"to be sent as /serin link CODE; works once"`
	ExpiresAt time.Time `json:"expires_at"`
}

// slack registers who is who in Slack.
func (s *server) slack(api huma.API) {
	huma.Register(api, ofServer(op(http.MethodPost, "/people/{name}/slack-code", "make-slack-code", read, "Make a one-time code that links a user of Slack: to oneself, as an admin to anybody")),
		func(ctx context.Context, in *struct {
			Name string `path:"name"`
		}) (*body[slackCode], error) {
			code, err := s.Auth.SlackCode(ctx, who(ctx), in.Name)
			if errors.Is(err, auth.ErrForbidden) {
				err = fmt.Errorf("person %s: %w", in.Name, store.ErrNotFound) // of others nobody but an admin is told
			}
			return ok(slackCode{Person: in.Name, Code: code, ExpiresAt: time.Now().Add(auth.SlackCodeLife).UTC().Truncate(time.Second)}), s.fail(err)
		})
	huma.Register(api, ofServer(op(http.MethodGet, "/slack-links", "list-slack-links", read, "Which users of Slack are which people: one's own, for an admin everybody's")),
		func(ctx context.Context, in *struct {
			Person string `query:"person" doc:"left out: everybody for an admin, else oneself"`
		}) (*body[[]store.SlackLink], error) {
			p, person := who(ctx), in.Person
			if person == "" && !(p.Can(admin) && p.WholeServer()) {
				if person = p.Person; person == "" {
					return list[store.SlackLink](nil), nil // a machine has none
				}
			}
			found, err := s.Auth.SlackLinks(ctx, p, person)
			return list(found), s.fail(err)
		})
	huma.Register(api, ofServer(op(http.MethodDelete, "/slack-links/{team}/{user}", "unlink-slack", read, "Take a link with a user of Slack away: one's own, as an admin anybody's")),
		func(ctx context.Context, in *struct {
			Team string `path:"team"`
			User string `path:"user"`
		}) (*struct{}, error) {
			return nil, s.fail(s.Auth.UnlinkSlack(ctx, who(ctx), auth.SlackUser{Team: in.Team, ID: in.User}))
		})
}
