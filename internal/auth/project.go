package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"serin/internal/flag"
	"serin/internal/store"
)

// InProject reports whether p may see and change what belongs to a project
// ("" = the first). Somebody who is limited to no project is in all.
func (p Principal) InProject(id string) bool {
	return len(p.Projects) == 0 || slices.Contains(p.Projects, flag.ProjectOf(id))
}

// WholeServer reports whether p is in every project, those to come included:
// what is the server's and no project's is open to nobody else.
func (p Principal) WholeServer() bool { return len(p.Projects) == 0 }

// Home is where something goes that p makes without naming a project: the only
// one that p is in, else the first if p is in it; "" = p has to say.
func (p Principal) Home() string {
	switch {
	case len(p.Projects) == 1:
		return p.Projects[0]
	case p.InProject(flag.FirstProject):
		return flag.FirstProject
	}
	return ""
}

// holds reports whether p may manage a token or key: it is of p's projects and
// of no other. Sign-in links are the server's, as people are.
func (p Principal) holds(t store.Token) bool {
	switch t.Kind {
	case KindSignIn, KindSlackCode:
		return p.WholeServer()
	case KindOperator:
		return p.WholeServer() || len(t.Projects) > 0 && !slices.ContainsFunc(t.Projects, func(id string) bool { return !p.InProject(id) })
	}
	return p.InProject(t.Project)
}

// both are the projects that two limits leave, each of which means all when it
// is empty; ok is false where they leave none.
func both(a, b []string) (out []string, ok bool) {
	switch {
	case len(a) == 0:
		return b, true
	case len(b) == 0:
		return a, true
	}
	for _, id := range a {
		if slices.Contains(b, id) {
			out = append(out, id)
		}
	}
	return out, len(out) > 0
}

// narrow gives n the projects that by may give away: a key one of them, a
// token none but them. Errors are ErrInvalid, ErrForbidden or the store's.
func (a *Auth) narrow(ctx context.Context, by Principal, n *NewToken) error {
	switch n.Kind {
	case KindSlackCode:
		return fmt.Errorf("%w: a code for Slack is made under Your account, or by serin user slack-code", ErrInvalid)
	case KindSignIn:
		if !by.WholeServer() {
			return fmt.Errorf("%w: sign-in links are for an admin of the whole server", ErrForbidden)
		}
		return nil
	case KindOperator:
		if len(n.Projects) == 0 {
			n.Projects = slices.Clone(by.Projects)
		}
		return a.known(ctx, by, n.Projects)
	}
	if n.Project == "" {
		if n.Project = by.Home(); n.Project == "" {
			return fmt.Errorf("%w: say which project the key is for: %s", ErrInvalid, strings.Join(by.Projects, ", "))
		}
	}
	return a.known(ctx, by, []string{n.Project})
}

// known refuses projects that there are not, or that by is not in.
func (a *Auth) known(ctx context.Context, by Principal, ids []string) error {
	all, err := a.Projects(ctx, by)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !slices.ContainsFunc(all, func(p store.Project) bool { return p.ID == id }) {
			return fmt.Errorf("%w: there is no project %q for %s: serin project list shows which there are", ErrInvalid, id, by.Name)
		}
	}
	return nil
}

// Projects lists the projects that by is in, in the order of their creation.
// The errors are the store's.
func (a *Auth) Projects(ctx context.Context, by Principal) ([]store.Project, error) {
	all, err := a.store.Projects(ctx)
	if err != nil {
		return nil, fmt.Errorf("read projects: %w", err)
	}
	return slices.DeleteFunc(all, func(p store.Project) bool { return !by.InProject(p.ID) }), nil
}

// The bounds of projects: what their telemetry is summed up in is kept in memory.
const (
	maxProjects    = 100
	maxProjectName = 100 // bytes
)

// CreateProject makes a project, with a publishable key for its telemetry, in
// the name of by, who must be an admin of the whole server. Its id is the next
// number. Errors are ErrForbidden, ErrInvalid or the store's.
func (a *Auth) CreateProject(ctx context.Context, by Principal, name string) (store.Project, error) {
	if !by.Can(Admin) || !by.WholeServer() {
		return store.Project{}, ErrForbidden
	}
	a.people.Lock()
	defer a.people.Unlock()
	all, err := a.Projects(ctx, by)
	if err != nil {
		return store.Project{}, err
	}
	if len(all) >= maxProjects {
		return store.Project{}, fmt.Errorf("%w: a server has at most %d projects", ErrInvalid, maxProjects)
	}
	next := 1
	for _, p := range all {
		if n, err := strconv.Atoi(p.ID); err == nil {
			next = max(next, n+1)
		}
	}
	p := store.Project{ID: strconv.Itoa(next), Name: strings.TrimSpace(name), CreatedAt: a.now().UTC()}
	if err := a.putProject(ctx, by, "create", all, p); err != nil {
		return store.Project{}, err
	}
	_, _, err = a.create(ctx, by, NewToken{Name: p.Name, Kind: KindIngest, Project: p.ID})
	return p, err
}

// RenameProject gives a project another name, in the name of by, who must be
// an admin in it. Errors are ErrForbidden, ErrInvalid, store.ErrNotFound, also
// for one that by is not in, or the store's others.
func (a *Auth) RenameProject(ctx context.Context, by Principal, id, name string) (store.Project, error) {
	if !by.Can(Admin) {
		return store.Project{}, ErrForbidden
	}
	a.people.Lock()
	defer a.people.Unlock()
	all, err := a.store.Projects(ctx)
	if err != nil {
		return store.Project{}, fmt.Errorf("read projects: %w", err)
	}
	i := slices.IndexFunc(all, func(p store.Project) bool { return p.ID == id })
	if i < 0 || !by.InProject(id) {
		return store.Project{}, fmt.Errorf("project %q: %w", id, store.ErrNotFound)
	}
	p := all[i]
	p.Name = strings.TrimSpace(name)
	return p, a.putProject(ctx, by, "rename", slices.Delete(all, i, i+1), p)
}

// putProject stores p beside the others.
func (a *Auth) putProject(ctx context.Context, by Principal, verb string, others []store.Project, p store.Project) error {
	switch {
	case p.Name == "" || len(p.Name) > maxProjectName:
		return fmt.Errorf("%w: a project needs a name of 1 to %d bytes", ErrInvalid, maxProjectName)
	case strings.ContainsFunc(p.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%w: a project's name is one line", ErrInvalid)
	case slices.ContainsFunc(others, func(o store.Project) bool { return strings.EqualFold(o.Name, p.Name) }):
		return fmt.Errorf("%w: another project is called %s", ErrInvalid, p.Name)
	}
	after, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode project: %w", err)
	}
	if err := a.store.PutProject(ctx, p, a.entry(ctx, by, verb, "project "+p.ID, after)); err != nil {
		return fmt.Errorf("%s project: %w", verb, err)
	}
	return nil
}

// errNoProject is why a token counts for nothing: every project that it is
// limited to was taken from the person it is for.
var errNoProject = errors.Join(ErrUnauthenticated, errors.New("the token's person is in none of its projects"))
