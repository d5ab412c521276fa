package controller

import (
	"context"
	"fmt"
	"strings"

	"serin/internal/flag"
	"serin/internal/rollout"
	"serin/internal/store"
)

// Rollouts, flags and plans each belong to one project for good. Ids, keys and
// names are unique on the server, so that a command needs no project to name
// one; doors hide what is of projects that their caller is not in.

// project is whose rollout w is.
func (w *worker) project() string { return flag.ProjectOf(w.state.Project) }

// RolloutProject is the project of a rollout, given its id or its plan's name,
// or store.ErrNotFound.
func (c *Controller) RolloutProject(id string) (string, error) {
	w, err := c.find(id)
	if err != nil {
		return "", err
	}
	return w.view.Load().Project, nil
}

// FlagProject is the project of a flag, or store.ErrNotFound.
func (c *Controller) FlagProject(key string) (string, error) { return c.flags.project(key) }

// PlanProject is the project of a stored plan, or store.ErrNotFound.
func (c *Controller) PlanProject(ctx context.Context, name string) (string, error) {
	versions, err := c.PlanVersions(ctx, name)
	if err != nil {
		return "", err
	}
	return flag.ProjectOf(versions[0].Project), nil
}

// TargetProject is the project of what an audit entry is about, such as
// "rollout demo-1"; "" for what is the server's, is gone, or is not known here.
func (c *Controller) TargetProject(ctx context.Context, target string) string {
	kind, name, _ := strings.Cut(target, " ")
	var project string
	switch kind {
	case "rollout":
		project, _ = c.RolloutProject(name) // one that is not known is nobody's
	case "flag":
		project, _ = c.FlagProject(name)
	case "plan":
		project, _ = c.PlanProject(ctx, name)
	case "project":
		project = name
	}
	return project
}

func (f *Flags) project(key string) (string, error) {
	r, err := f.Get(context.Background(), key)
	if err != nil {
		return "", err
	}
	return flag.ProjectOf(r.Place.Project), nil
}

// otherProject refuses what would take a thing of another project over. It
// says that there is one, and not what it is.
func otherProject(what, name, owner, asked string) error {
	if flag.ProjectOf(owner) == flag.ProjectOf(asked) {
		return nil
	}
	return &rollout.Refusal{Kind: rollout.Barred, Why: fmt.Sprintf(
		"%s %s is another project's, and a %s belongs to one: choose another name", what, name, what)}
}

// owns refuses a plan whose name another project has.
func (c *Controller) owns(ctx context.Context, project, plan string) error {
	versions, err := c.o.Store.PlanVersions(ctx, plan)
	if err != nil {
		return fmt.Errorf("read versions of plan %s: %w", plan, err)
	}
	if len(versions) == 0 {
		return nil
	}
	return otherProject("plan", plan, versions[0].Project, project)
}

// place is where a rollout's flag is at home.
func place(s rollout.State, environment string) flag.Place {
	return flag.Place{Project: flag.ProjectOf(s.Project), Environment: environment}
}

// homes are the places of all flags, by key.
func homes(records []store.FlagRecord) map[string]flag.Place {
	out := make(map[string]flag.Place, len(records))
	for _, r := range records {
		out[r.Definition.Key] = r.Place
	}
	return out
}
