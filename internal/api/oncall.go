package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/oncall"
	"serin/internal/paging"
	"serin/internal/store"
)

// OnCall is what is asked and decided about rotas, contacts and pages. Errors
// wrap store.ErrNotFound, store.ErrConflict and oncall.ErrInvalid.
type OnCall interface {
	Rotas(ctx context.Context, sees func(project string) bool) []paging.View
	Rota(ctx context.Context, name string) (paging.View, error)
	Put(ctx context.Context, r oncall.Rota, by store.AuditEntry) (paging.View, error)
	Delete(ctx context.Context, name string, by store.AuditEntry) error
	Override(ctx context.Context, name string, o oncall.Override, by store.AuditEntry) (paging.View, error)
	Import(ctx context.Context, name, calendar string, person func(attendee, summary string) string, by store.AuditEntry) (paging.View, error)
	Contact(person string) paging.Contact
	PutContact(ctx context.Context, c paging.Contact, by store.AuditEntry) (unreached []string, err error)
	Pages(ctx context.Context, limit int, sees func(project string) bool) ([]paging.Page, error)
	Ack(ctx context.Context, key string, by store.AuditEntry) (int, error)
}

// RotaName is the path of one rota; exported as RolloutID is.
type RotaName struct {
	Name string `path:"name" maxLength:"60"`
}

// contactAnswer is how somebody is reached, and where not now.
type contactAnswer struct {
	paging.Contact
	Unreached []string `json:"unreached" doc:"addresses that this server cannot deliver to now"`
}

// onCall registers rotas, contacts and pages. All but the list of rotas are
// the whole server's: a rota names people of all projects.
func (s *server) onCall(api huma.API) {
	if s.OnCall == nil {
		s.OnCall = noOnCall{}
	}
	huma.Register(api, inProjects(op(http.MethodGet, "/oncall/rotas", "list-rotas", read, "Rotas, who is on duty now, the next two weeks and their gaps")),
		func(ctx context.Context, _ *struct{}) (*body[[]paging.View], error) {
			return list(s.OnCall.Rotas(ctx, who(ctx).InProject)), nil
		})
	huma.Register(api, op(http.MethodGet, "/oncall/rotas/{name}", "get-rota", read, "One rota"),
		func(ctx context.Context, in *RotaName) (*body[paging.View], error) {
			v, err := s.OnCall.Rota(ctx, in.Name)
			return ok(v), s.fail(err)
		})
	huma.Register(api, op(http.MethodPut, "/oncall/rotas/{name}", "put-rota", operate, "Create or replace a rota"),
		func(ctx context.Context, in *struct {
			RotaName
			Body oncall.Rota
		}) (*body[paging.View], error) {
			in.Body.Name = in.Name
			v, err := s.OnCall.Put(ctx, in.Body, s.by(ctx, ""))
			return ok(v), s.fail(err)
		})
	huma.Register(api, op(http.MethodDelete, "/oncall/rotas/{name}", "delete-rota", operate, "Delete a rota"),
		func(ctx context.Context, in *RotaName) (*struct{}, error) {
			return nil, s.fail(s.OnCall.Delete(ctx, in.Name, s.by(ctx, "")))
		})
	huma.Register(api, op(http.MethodPost, "/oncall/rotas/{name}/overrides", "override-rota", operate, "Put somebody on duty for a time"),
		func(ctx context.Context, in *struct {
			RotaName
			Body oncall.Override
		}) (*body[paging.View], error) {
			v, err := s.OnCall.Override(ctx, in.Name, in.Body, s.by(ctx, in.Body.Why))
			return ok(v), s.fail(err)
		})
	s.calendars(api)
	s.contacts(api)
	s.pages(api)
}

// calendars registers the import and the export of a rota.
func (s *server) calendars(api huma.API) {
	huma.Register(api, op(http.MethodPost, "/oncall/rotas/{name}/import", "import-rota", operate, "Replace a rota's layers by an iCalendar file (RFC 5545)"),
		func(ctx context.Context, in *struct {
			RotaName
			Body struct {
				Calendar string `json:"calendar" maxLength:"1048576" doc:"the text of the .ics file"`
			}
		}) (*body[paging.View], error) {
			people, err := s.Store.People(ctx)
			if err != nil {
				return nil, s.fail(err)
			}
			v, err := s.OnCall.Import(ctx, in.Name, in.Body.Calendar, personIn(people), s.by(ctx, ""))
			return ok(v), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/oncall/rotas/{name}/calendar", "export-rota", read, "The next 90 days of a rota as the text of an iCalendar file"),
		func(ctx context.Context, in *RotaName) (*body[struct {
			Calendar string `json:"calendar"`
		}], error) {
			v, err := s.OnCall.Rota(ctx, in.Name)
			if err != nil {
				return nil, s.fail(err)
			}
			now := s.Now()
			return ok(struct {
				Calendar string `json:"calendar"`
			}{v.Calendar(now, now.AddDate(0, 0, 90), now)}), nil
		})
}

// personIn finds who is meant by an attendee's address or an event's summary.
func personIn(people []store.Person) func(attendee, summary string) string {
	return func(attendee, summary string) string {
		for _, p := range people {
			if attendee != "" && strings.EqualFold(p.Email, attendee) {
				return p.Name
			}
		}
		word := strings.ToLower(oncall.Person(strings.TrimSpace(summary)))
		for _, p := range people {
			if p.Name == word || slices.Contains(p.Handles, word) {
				return p.Name
			}
		}
		return ""
	}
}

// contacts registers how people are reached: one's own, as an admin anybody's.
func (s *server) contacts(api huma.API) {
	mine := func(ctx context.Context, person string) error {
		if p := who(ctx); p.Person != person && !(p.Can(admin) && p.WholeServer()) {
			return huma.Error404NotFound("no contacts of " + person + " are yours to see: an admin sees everybody's") // names are not to be tried out
		}
		return nil
	}
	huma.Register(api, ofServer(op(http.MethodGet, "/oncall/contacts/{person}", "get-contact", read, "How a person is paged: oneself, as an admin anybody")),
		func(ctx context.Context, in *struct {
			Person string `path:"person"`
		}) (*body[paging.Contact], error) {
			if err := mine(ctx, in.Person); err != nil {
				return nil, err
			}
			return ok(s.OnCall.Contact(in.Person)), nil
		})
	huma.Register(api, ofServer(op(http.MethodPut, "/oncall/contacts/{person}", "put-contact", read, "Say how a person is paged: oneself, as an admin anybody")),
		func(ctx context.Context, in *struct {
			Person string `path:"person"`
			Body   struct {
				Addresses []string `json:"addresses" maxItems:"10" doc:"email:ben@example.org, slack:@ben, webhook:NAME; none removes it"`
			}
		}) (*body[contactAnswer], error) {
			if err := mine(ctx, in.Person); err != nil {
				return nil, err
			}
			if _, err := s.Store.Person(ctx, in.Person); err != nil {
				return nil, s.fail(err)
			}
			c := paging.Contact{Person: in.Person, Addresses: in.Body.Addresses}
			unreached, err := s.OnCall.PutContact(ctx, c, s.by(ctx, ""))
			return ok(contactAnswer{c, append([]string{}, unreached...)}), s.fail(err)
		})
}

// pages registers who was paged, and the acknowledgement.
func (s *server) pages(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/oncall/pages", "list-pages", read, "Pages with their logs, newest first"),
		func(ctx context.Context, in *struct {
			Limit int `query:"limit" minimum:"1" maximum:"500" default:"50"`
		}) (*body[[]paging.Page], error) {
			found, err := s.OnCall.Pages(ctx, in.Limit, who(ctx).InProject)
			return list(found), s.fail(err)
		})
	huma.Register(api, op(http.MethodPost, "/oncall/pages/{id}/ack", "ack-page", operate, "Acknowledge a page: nobody is told of it any more"),
		func(ctx context.Context, in *struct {
			ID string `path:"id" maxLength:"200" doc:"of the page, or what it is about"`
		}) (*body[struct {
			Acknowledged int       `json:"acknowledged"`
			At           time.Time `json:"at"`
		}], error) {
			n, err := s.OnCall.Ack(ctx, in.ID, store.AuditEntry{Who: who(ctx).Name, Via: via(ctx), Address: auth.Address(ctx)})
			if err == nil && n == 0 {
				return nil, huma.Error404NotFound("no page " + in.ID + " is open: list them with serin oncall pages")
			}
			return ok(struct {
				Acknowledged int       `json:"acknowledged"`
				At           time.Time `json:"at"`
			}{n, s.Now()}), s.fail(err)
		})
}

// noOnCall answers where a server has no rotas.
type noOnCall struct{}

// errNoOnCall is what every question is answered with there.
var errNoOnCall = fmt.Errorf("on-call is not available on this server: %w", store.ErrNotFound)

func (noOnCall) Rotas(context.Context, func(string) bool) []paging.View { return []paging.View{} }
func (noOnCall) Rota(context.Context, string) (paging.View, error)      { return paging.View{}, errNoOnCall }
func (noOnCall) Put(context.Context, oncall.Rota, store.AuditEntry) (paging.View, error) {
	return paging.View{}, errNoOnCall
}
func (noOnCall) Delete(context.Context, string, store.AuditEntry) error { return errNoOnCall }
func (noOnCall) Override(context.Context, string, oncall.Override, store.AuditEntry) (paging.View, error) {
	return paging.View{}, errNoOnCall
}
func (noOnCall) Import(context.Context, string, string, func(string, string) string, store.AuditEntry) (paging.View, error) {
	return paging.View{}, errNoOnCall
}
func (noOnCall) Contact(person string) paging.Contact {
	return paging.Contact{Person: person, Addresses: []string{}}
}
func (noOnCall) PutContact(context.Context, paging.Contact, store.AuditEntry) ([]string, error) {
	return nil, errNoOnCall
}
func (noOnCall) Pages(context.Context, int, func(string) bool) ([]paging.Page, error) {
	return nil, errNoOnCall
}
func (noOnCall) Ack(context.Context, string, store.AuditEntry) (int, error) { return 0, errNoOnCall }
