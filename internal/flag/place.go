package flag

import (
	"cmp"
	"strings"
)

// FirstProject is the project that every server begins with. What names no
// project, because it was stored before there could be a second one, is its.
const FirstProject = "1"

// ProjectOf is the project that an id stands for: "" is FirstProject.
func ProjectOf(id string) string { return cmp.Or(id, FirstProject) }

// Place is where a flag is at home. The zero value is FirstProject and every
// environment.
type Place struct {
	Project     string // "" = FirstProject
	Environment string // the only one that the flag's rollout is for; "" = every one
}

// admits reports whether a caller of another place may know of what is at p:
// the projects are the same, and the environments too, in any letter case,
// where both name one.
func (p Place) admits(caller Place) bool {
	return ProjectOf(p.Project) == ProjectOf(caller.Project) &&
		(p.Environment == "" || caller.Environment == "" || strings.EqualFold(p.Environment, caller.Environment))
}

// Admits reports whether the flag exists for a caller of this place.
func (r *Ruleset) Admits(key string, caller Place) bool {
	f := r.flag(key)
	return f != nil && f.place.admits(caller)
}

// Place is where a flag is at home; ok is false where there is no such flag.
func (r *Ruleset) Place(key string) (p Place, ok bool) {
	f := r.flag(key)
	if f == nil {
		return Place{}, false
	}
	p = f.place
	p.Project = ProjectOf(p.Project)
	return p, true
}
