package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/store"
)

// Everything that a project has is there for its people only. An operation is
// kept to them in one of four ways, of which the last is for what says nothing:
//
//   - its path names a thing (/rollouts/{id}, /flags/{key}, /plans/{plan},
//     /issues/{id}): who is not in the thing's project is told that there is none;
//   - it is marked by inProjects: its handler looks and lists by the caller's projects;
//   - it is marked by ofServer: it is open to people of every project;
//   - else it is open to nobody who is limited to projects.

// projectsKey is the operation metadata of what its handler keeps to projects.
const projectsKey = "projects"

// inProjects marks an operation whose handler keeps to the caller's projects.
func inProjects(o huma.Operation) huma.Operation {
	o.Metadata[projectsKey] = true
	return o
}

// InProject is the filter of lists; exported as RolloutID is.
type InProject struct {
	Project string `query:"project" doc:"only of this project; left out: of all that the token is for"`
}

// sees reports whether a thing of a project goes into p's list.
func (in InProject) sees(p auth.Principal, project string) bool {
	project = flag.ProjectOf(project)
	return p.InProject(project) && (in.Project == "" || in.Project == project)
}

// ForProject says where something new belongs; exported as RolloutID is.
type ForProject struct {
	Project string `query:"project" doc:"where it belongs; left out: the only project that the token is for, or where its plan or flag is already, else project 1"`
}

// things find the project of what a path names, by the path's first part.
var things = map[string]struct {
	param, word string
	project     func(s *server, ctx context.Context, name string) (string, error)
}{
	"rollouts": {"id", "rollout", func(s *server, _ context.Context, id string) (string, error) { return s.Controller.RolloutProject(id) }},
	"flags":    {"key", "flag", func(s *server, _ context.Context, key string) (string, error) { return s.Controller.FlagProject(key) }},
	"plans": {"plan", "plan", func(s *server, ctx context.Context, name string) (string, error) {
		return s.Controller.PlanProject(ctx, name)
	}},
	"baselines": {"plan", "plan", func(s *server, ctx context.Context, name string) (string, error) { // or a rollout
		if project, err := s.Controller.RolloutProject(name); err == nil {
			return project, nil
		}
		return s.Controller.PlanProject(ctx, name)
	}},
	"alerts": {"id", "alert", func(s *server, _ context.Context, id string) (string, error) {
		if s.Alerts == nil {
			return "", store.ErrNotFound
		}
		return s.Alerts.Project(id)
	}},
	"incidents": {"id", "incident", func(s *server, _ context.Context, id string) (string, error) {
		if s.Incidents == nil {
			return "", store.ErrNotFound
		}
		return s.Incidents.Project(id)
	}},
	"issues": {"id", "issue", func(s *server, ctx context.Context, id string) (string, error) {
		i, err := s.Store.Issue(ctx, id)
		return i.Project, err
	}},
}

// admit keeps an operation to the projects of p, see above. A thing that there
// is not is its handler's to miss; to somebody limited to projects it is as
// those of others are, so that nobody learns which there are.
func (s *server) admit(ctx huma.Context, p auth.Principal) *refusal {
	o := ctx.Operation()
	if p.WholeServer() || o.Metadata[serverKey] == true || o.Metadata[projectsKey] == true {
		return nil
	}
	kind, rest, _ := strings.Cut(strings.TrimPrefix(o.Path, Prefix+"/"), "/")
	thing, known := things[kind]
	if !known || !strings.HasPrefix(rest, "{"+thing.param+"}") {
		return &refusal{status: http.StatusForbidden, why: fmt.Sprintf("this is the whole server's, and %s is limited to projects %s", p.Name, strings.Join(p.Projects, ", "))}
	}
	name := ctx.Param(thing.param)
	project, err := thing.project(s, ctx.Context(), name)
	switch {
	case err == nil && p.InProject(project):
		return nil
	case err != nil && !errors.Is(err, store.ErrNotFound):
		s.Logger.Error("find the project", "of", thing.word, "name", name, "err", err)
		return &refusal{status: http.StatusServiceUnavailable, why: "serin cannot tell whose this is now: its log says why"}
	case o.Method == http.MethodPut && (kind == "flags" || kind == "alerts"):
		return nil // it may be to be made: the handler says where, or that the key is taken
	}
	return &refusal{status: http.StatusNotFound, why: fmt.Sprintf("there is no %s %q in the projects of %s", thing.word, name, p.Name)}
}

// home is the project that a caller names for something new, or the one that
// it goes into where none is named.
func (s *server) home(ctx context.Context, asked string) (string, error) {
	p := who(ctx)
	if asked == "" {
		if asked = p.Home(); asked == "" {
			return "", huma.NewError(http.StatusUnprocessableEntity, "say which project: "+strings.Join(p.Projects, ", "))
		}
	}
	all, err := s.Auth.Projects(ctx, p)
	if err != nil {
		return "", s.fail(err)
	}
	for _, one := range all {
		if one.ID == asked {
			return asked, nil
		}
	}
	return "", huma.NewError(http.StatusNotFound, fmt.Sprintf("there is no project %q for %s", asked, p.Name))
}

// homeOfPlan is home for a plan file: where none is named, a plan or flag that
// is there already stays where it is.
func (s *server) homeOfPlan(ctx context.Context, asked string, source []byte) (string, error) {
	if asked != "" {
		return s.home(ctx, asked)
	}
	if p, err := plan.Parse(source); err == nil {
		for _, find := range []func() (string, error){
			func() (string, error) { return s.Controller.PlanProject(ctx, p.Name) },
			func() (string, error) { return s.Controller.FlagProject(p.Flag.Key) },
		} {
			if project, err := find(); err == nil && who(ctx).InProject(project) {
				return project, nil
			}
		}
	}
	return s.home(ctx, "")
}

// homeOfFlag is home for a flag: where none is named, one that is there
// already stays where it is.
func (s *server) homeOfFlag(ctx context.Context, asked, key string) (string, error) {
	if project, err := s.Controller.FlagProject(key); asked == "" && err == nil && who(ctx).InProject(project) {
		return project, nil
	}
	return s.home(ctx, asked)
}

// sees reports whether an audit entry about target is p's to read: what no
// project has is for those of the whole server.
func (s *server) sees(ctx context.Context, p auth.Principal, in InProject) func(target string) bool {
	if p.WholeServer() && in.Project == "" {
		return nil
	}
	return func(target string) bool {
		project := s.Controller.TargetProject(ctx, target)
		if id, issue := strings.CutPrefix(target, "issue "); issue {
			if i, err := s.Store.Issue(ctx, id); err == nil {
				project = flag.ProjectOf(i.Project)
			}
		}
		if id, ofAlert := strings.CutPrefix(target, "alert "); ofAlert && s.Alerts != nil {
			project, _ = s.Alerts.Project(id) // one that is gone is nobody's
		}
		if id, ofIncident := strings.CutPrefix(target, "incident "); ofIncident && s.Incidents != nil {
			project, _ = s.Incidents.Project(id)
		}
		return project != "" && in.sees(p, project)
	}
}

// projectAnswer is a project with the DSNs of its publishable keys.
type projectAnswer struct {
	store.Project
	Keys []projectKey `json:"keys" doc:"publishable keys for telemetry: a DSN is this server's address with the key before the @ and the project as its path"`
}

type projectKey struct {
	Name        string `json:"name"`
	Key         string `json:"key"`
	Environment string `json:"environment,omitempty"`
}

// projects registers the projects of the server.
func (s *server) projects(api huma.API) {
	huma.Register(api, inProjects(op(http.MethodGet, "/projects", "list-projects", read, "Projects that the token is for, in the order of their creation")),
		func(ctx context.Context, _ *struct{}) (*body[[]projectAnswer], error) {
			all, err := s.Auth.Projects(ctx, who(ctx))
			if err != nil {
				return nil, s.fail(err)
			}
			out, err := s.withKeys(ctx, all...)
			return list(out), s.fail(err)
		})
	huma.Register(api, op(http.MethodPost, "/projects", "create-project", admin, "Create a project, with a publishable key for its telemetry"),
		func(ctx context.Context, in *struct {
			Body struct {
				Name string `json:"name" minLength:"1" maxLength:"100"`
			}
		}) (*body[projectAnswer], error) {
			p, err := s.Auth.CreateProject(ctx, who(ctx), in.Body.Name)
			return s.oneProject(ctx, p, err)
		})
	huma.Register(api, inProjects(op(http.MethodPatch, "/projects/{project}", "rename-project", admin, "Give a project another name")),
		func(ctx context.Context, in *struct {
			ID   string `path:"project"`
			Body struct {
				Name string `json:"name" minLength:"1" maxLength:"100"`
			}
		}) (*body[projectAnswer], error) {
			p, err := s.Auth.RenameProject(ctx, who(ctx), in.ID, in.Body.Name)
			return s.oneProject(ctx, p, err)
		})
}

func (s *server) oneProject(ctx context.Context, p store.Project, err error) (*body[projectAnswer], error) {
	if err != nil {
		return nil, s.fail(err)
	}
	out, err := s.withKeys(ctx, p)
	if err != nil {
		return nil, s.fail(err)
	}
	return ok(out[0]), nil
}

func (s *server) withKeys(ctx context.Context, projects ...store.Project) ([]projectAnswer, error) {
	keys, err := s.Auth.IngestKeys(ctx, who(ctx))
	out := make([]projectAnswer, len(projects))
	for i, p := range projects {
		out[i] = projectAnswer{Project: p, Keys: []projectKey{}}
		for _, k := range keys {
			if flag.ProjectOf(k.Project) == p.ID {
				out[i].Keys = append(out[i].Keys, projectKey{k.Name, k.Public, k.Environment})
			}
		}
	}
	return out, err
}
