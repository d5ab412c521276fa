package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/flag"
	"serin/internal/incident"
	"serin/internal/response"
	"serin/internal/rollout"
)

// Incidents is what is asked and decided about incidents; the pages use the
// same. Errors wrap store.ErrNotFound and response.ErrStore, or are a
// *rollout.Refusal.
type Incidents interface {
	Project(id string) (string, error)
	List(sees func(project string) bool, all bool) []response.View
	Get(ctx context.Context, id string) (response.View, error)
	Open(ctx context.Context, by response.Person, o response.Opened) (response.View, error)
	Do(ctx context.Context, id string, by response.Person, c incident.Command) (response.View, error)
	PostMortem(ctx context.Context, id string) (string, error)
}

// IncidentID is the path of one incident; exported as RolloutID is.
type IncidentID struct {
	ID string `path:"id" maxLength:"40" doc:"such as INC-1"`
}

// IncidentKey makes a command count once; exported as RolloutID is.
type IncidentKey struct {
	Key string `header:"Idempotency-Key" maxLength:"200" doc:"the same key twice is one command"`
}

// IncidentAct is the body of what is done about an incident; exported as RolloutID is.
type IncidentAct struct {
	Text     string   `json:"text,omitempty" maxLength:"100000" doc:"note, reason, cause of resolve, or the post-mortem in Markdown"`
	Do       string   `json:"do,omitempty" enum:"rollback,reduce,hotfix,pause,hold" doc:"decide: left out, what the tree proposes"`
	Percent  *float64 `json:"percent,omitempty" minimum:"0" maximum:"100" doc:"decide reduce: where to; left out, the plan's own"`
	As       string   `json:"as,omitempty" doc:"decide: the plan's role to act in"`
	To       string   `json:"to,omitempty" maxLength:"200" doc:"handover: person or role"`
	Severity string   `json:"severity,omitempty" enum:"p1,p2,p3,p4"`
	Severe   bool     `json:"severe,omitempty" doc:"severity: make it a severe one, with a channel of its own"`
	Item     string   `json:"item,omitempty" maxLength:"2000" doc:"item: what is done"`
}

// IncidentOpening is the body that opens an incident; exported as RolloutID is.
type IncidentOpening struct {
	Rollout  string `json:"rollout,omitempty" doc:"id, or a plan's name; left out: about no rollout"`
	Title    string `json:"title" minLength:"1" maxLength:"2000"`
	Severity string `json:"severity,omitempty" enum:"p1,p2,p3,p4" doc:"default: p1"`
	Text     string `json:"text,omitempty" maxLength:"2000"`
}

// PostMortem is an incident as Markdown; exported as RolloutID is.
type PostMortem struct {
	Markdown string `json:"markdown"`
}

func (s *server) needIncidents() error {
	if s.Incidents == nil {
		return huma.Error404NotFound("incidents are not available on this server")
	}
	return nil
}

// person is who asks, with the rollout's roles.
func (s *server) person(ctx context.Context, as string) response.Person {
	p := who(ctx)
	return response.Person{Name: p.Name, Via: via(ctx), Address: auth.Address(ctx), Authorize: func(ctx context.Context, id string, cmd *rollout.Command) error {
		return s.Controller.Authorize(ctx, id, actor(p, as), cmd)
	}}
}

// keyed makes an idempotency key that of one verb of one incident.
func keyed(verb, key string) string {
	if key == "" {
		return ""
	}
	return verb + "/" + key
}

// incidents registers what is asked and decided about incidents.
func (s *server) incidents(api huma.API) {
	huma.Register(api, inProjects(op(http.MethodGet, "/incidents", "list-incidents", read, "Incidents: open ones first, then the newest")),
		func(ctx context.Context, in *struct {
			InProject
			All bool `query:"all" doc:"closed ones too"`
		}) (*body[[]response.View], error) {
			if s.Incidents == nil {
				return list([]response.View(nil)), nil
			}
			p := who(ctx)
			return list(s.Incidents.List(func(project string) bool { return in.sees(p, project) }, in.All)), nil
		})
	huma.Register(api, inProjects(op(http.MethodPost, "/incidents", "open-incident", operate, "Open an incident: its rollout is not raised until it is resolved")), s.openIncident)
	huma.Register(api, op(http.MethodGet, "/incidents/{id}", "get-incident", read, "One incident with clocks, decision tree and timeline"),
		func(ctx context.Context, in *IncidentID) (*body[response.View], error) {
			if err := s.needIncidents(); err != nil {
				return nil, err
			}
			v, err := s.Incidents.Get(ctx, in.ID)
			return ok(v), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/incidents/{id}/postmortem", "get-postmortem", read, "The post-mortem in Markdown; what serin knows fills itself in"),
		func(ctx context.Context, in *IncidentID) (*body[PostMortem], error) {
			if err := s.needIncidents(); err != nil {
				return nil, err
			}
			text, err := s.Incidents.PostMortem(ctx, in.ID)
			return ok(PostMortem{text}), s.fail(err)
		})
	s.incidentActs(api)
}

func (s *server) openIncident(ctx context.Context, in *struct {
	ForProject
	IncidentKey
	Body IncidentOpening
}) (*body[response.View], error) {
	if err := s.needIncidents(); err != nil {
		return nil, err
	}
	o := response.Opened{Rollout: in.Body.Rollout, Title: in.Body.Title, Severity: in.Body.Severity, Text: in.Body.Text, Command: keyed("open", in.Key)}
	if o.Rollout != "" {
		project, err := s.Controller.RolloutProject(o.Rollout)
		if err != nil {
			return nil, s.fail(err)
		}
		if !who(ctx).InProject(project) {
			return nil, huma.Error404NotFound("there is no rollout " + o.Rollout)
		}
	} else {
		project, err := s.home(ctx, in.Project)
		if err != nil {
			return nil, err
		}
		o.Project = flag.ProjectOf(project)
	}
	v, err := s.Incidents.Open(ctx, s.person(ctx, ""), o)
	return ok(v), s.fail(err)
}

// incidentVerbs are the commands that have a path of their own.
var incidentVerbs = []struct {
	verb    incident.Verb
	method  string
	path    string
	id      string
	summary string
}{
	{incident.DoAcknowledge, http.MethodPost, "acknowledge", "acknowledge-incident", "Say that somebody is on it: the respond clock stops"},
	{incident.DoNote, http.MethodPost, "note", "note-incident", "Write a note into the timeline"},
	{incident.DoDecide, http.MethodPost, "decide", "decide-incident", "Decide what the tree proposes, or another outcome with a reason; it is carried out at once"},
	{incident.DoHandover, http.MethodPost, "handover", "hand-over-incident", "Hand the lead to a person or a role"},
	{incident.DoSeverity, http.MethodPost, "severity", "grade-incident", "Change the severity, or make it a severe one"},
	{incident.DoResolve, http.MethodPost, "resolve", "resolve-incident", "Resolve it with its cause: the rollout may be raised again"},
	{incident.DoReopen, http.MethodPost, "reopen", "reopen-incident", "Open a resolved incident again"},
	{incident.DoItem, http.MethodPost, "item", "complete-incident-item", "Complete an item that is needed to close"},
	{incident.DoClose, http.MethodPost, "close", "close-incident", "Close it; every item that the plan asks for must be done"},
	{incident.DoWrite, http.MethodPut, "postmortem", "write-postmortem", "Write people's part of the post-mortem"},
}

// incidentActs registers what people do about an incident.
func (s *server) incidentActs(api huma.API) {
	for _, v := range incidentVerbs {
		huma.Register(api, op(v.method, "/incidents/{id}/"+v.path, v.id, operate, v.summary),
			func(ctx context.Context, in *struct {
				IncidentID
				IncidentKey
				Body *IncidentAct `required:"false"`
			}) (*body[response.View], error) {
				if err := s.needIncidents(); err != nil {
					return nil, err
				}
				b := IncidentAct{}
				if in.Body != nil {
					b = *in.Body
				}
				c := incident.Command{ID: keyed(string(v.verb), in.Key), Verb: v.verb, Text: b.Text, Do: b.Do, Percent: -1, To: b.To, Severity: b.Severity, Severe: b.Severe, Item: b.Item}
				if b.Percent != nil {
					c.Percent = flag.Percent(*b.Percent*1000 + 0.5)
				}
				view, err := s.Incidents.Do(ctx, in.ID, s.person(ctx, b.As), c)
				return ok(view), s.fail(err)
			})
	}
}
