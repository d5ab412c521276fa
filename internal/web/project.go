package web

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/flag"
	"serin/internal/store"
)

// A person sees what is of their projects, and of others not even that it is
// there: ownLists keeps the lists to them, signedIn the pages of one rollout or
// plan, and Access and Issues their own.

// ownLists are Rollouts whose lists hold what the person who asks may see.
type ownLists struct {
	Rollouts
	alerts    Alerts    // nil = there are none
	incidents Incidents // likewise
}

func (o ownLists) Views(ctx context.Context) ([]controller.View, error) {
	all, err := o.Rollouts.Views(ctx)
	p := PersonOf(ctx).Principal
	return only(all, func(v controller.View) bool { return p.InProject(v.Project) }), err
}

func (o ownLists) Plans(ctx context.Context) ([]controller.PlanSummary, error) {
	all, err := o.Rollouts.Plans(ctx)
	p := PersonOf(ctx).Principal
	return only(all, func(v controller.PlanSummary) bool { return p.InProject(v.Project) }), err
}

func (o ownLists) Audit(ctx context.Context, q controller.AuditQuery) ([]store.AuditEntry, error) {
	if p := PersonOf(ctx).Principal; !p.WholeServer() {
		q.Sees = func(target string) bool {
			project := o.TargetProject(ctx, target)
			if id, ofAlert := strings.CutPrefix(target, "alert "); ofAlert && o.alerts != nil {
				project, _ = o.alerts.Project(id) // one that is gone is nobody's
			}
			if id, ofIncident := strings.CutPrefix(target, "incident "); ofIncident && o.incidents != nil {
				project, _ = o.incidents.Project(id)
			}
			return project != "" && p.InProject(project)
		}
	}
	return o.Rollouts.Audit(ctx, q)
}

// only is a new list of those that keep is true of.
func only[T any](all []T, keep func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), func(v T) bool { return !keep(v) })
}

// seesPage reports whether the page of one rollout or plan is there for p.
func (s *server) seesPage(r *http.Request, p auth.Principal) bool {
	if p.WholeServer() {
		return true
	}
	_, path, _ := strings.Cut(r.Pattern, " ")
	target := ""
	switch {
	case strings.HasPrefix(path, "/rollouts/{id}"), path == "/standup/{id}":
		target = "rollout " + r.PathValue("id")
	case strings.HasPrefix(path, "/plans/{plan}"):
		target = "plan " + r.PathValue("plan")
	default:
		return true
	}
	project := s.Rollouts.TargetProject(r.Context(), target)
	return project != "" && p.InProject(project)
}

// projects are the projects of who asks, none where there are no settings.
func (s *server) projects(r *http.Request) ([]store.Project, error) {
	if s.Access == nil {
		return nil, nil
	}
	return s.Access.Projects(r.Context(), by(r))
}

// projectNames are the names by id where who asks is in more than one project:
// only then a page says whose a thing is. It is a convenience: a failure to
// read leaves it empty.
func (s *server) projectNames(r *http.Request) map[string]string {
	all, err := s.projects(r)
	if err != nil || len(all) < 2 {
		return nil
	}
	names := make(map[string]string, len(all))
	for _, p := range all {
		names[p.ID] = p.Name
	}
	return names
}

// projectTabs are the addresses of the list of rollouts by project; nil where
// there is one project only.
func (s *server) projectTabs(r *http.Request, show string) []link {
	all, err := s.projects(r)
	if err != nil || len(all) < 2 {
		return nil
	}
	asked := r.URL.Query().Get("project")
	out := []link{{Text: "All projects", URL: overviewURL(show, ""), Current: asked == ""}}
	for _, p := range all {
		out = append(out, link{Text: p.Name, URL: overviewURL(show, p.ID), Current: asked == p.ID})
	}
	return out
}

// overviewURL is the list of rollouts with its filters, "" = all.
func overviewURL(show, project string) string {
	var parts []string
	for _, f := range [][2]string{{"show", show}, {"project", project}} {
		if f[1] != "" {
			parts = append(parts, f[0]+"="+escapeQuery(f[1]))
		}
	}
	return "/" + query(strings.Join(parts, "&"))
}

// ownDSN is where the apps of somebody send telemetry who is not in the first
// project; "" = their projects have no key, or it is not known.
func (s *server) ownDSN(r *http.Request) string {
	if s.Access == nil {
		return ""
	}
	keys, err := s.Access.IngestKeys(r.Context(), by(r))
	if err != nil || len(keys) == 0 {
		return ""
	}
	return dsn(s.Connect.URL, keys[0].Public, keys[0].Project)
}

// projectRow is a project in the settings.
type projectRow struct {
	ID, Name, URL string
	DSNs          []string
	Created       stamp
}

// projectRows lists projects with the addresses of their telemetry.
func (s *server) projectRows(all []store.Project, keys []store.Token) []projectRow {
	out := make([]projectRow, len(all))
	for i, p := range all {
		out[i] = projectRow{ID: p.ID, Name: p.Name, URL: "/settings/projects/" + p.ID + "#projects", Created: at(p.CreatedAt, s.Now())}
		for _, k := range keys {
			if flag.ProjectOf(k.Project) == p.ID {
				out[i].DSNs = append(out[i].DSNs, dsn(s.Connect.URL, k.Public, p.ID))
			}
		}
	}
	return out
}

// projectForm is what was typed into a form for a project, and why it will not do.
type projectForm struct{ ID, Name, Error string }

func (s *server) createProject(w http.ResponseWriter, r *http.Request) {
	s.changeProject(w, r, func(name string) error {
		_, err := s.Access.CreateProject(r.Context(), by(r), name)
		return err
	})
}

func (s *server) renameProject(w http.ResponseWriter, r *http.Request) {
	s.changeProject(w, r, func(name string) error {
		_, err := s.Access.RenameProject(r.Context(), by(r), r.PathValue("project"), name)
		return err
	})
}

// changeProject carries out what a form for a project asks for.
func (s *server) changeProject(w http.ResponseWriter, r *http.Request, do func(name string) error) {
	if !s.admins(w, r) {
		return
	}
	name := strings.TrimSpace(r.FormValue("name"))
	if err := do(name); err != nil {
		if wrong, again := s.accessError(w, r, err); again {
			s.showSettingsWith(w, r, http.StatusUnprocessableEntity, func(b *settingsBody) {
				b.Project = projectForm{r.PathValue("project"), name, wrong}
			})
		}
		return
	}
	http.Redirect(w, r, "/settings?done=project#projects", http.StatusSeeOther)
}
