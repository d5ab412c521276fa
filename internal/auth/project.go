package auth

import "slices"

// InProject reports whether p may see and change what belongs to a project.
// Somebody who is limited to no project is in all.
func (p Principal) InProject(id string) bool {
	return len(p.Projects) == 0 || slices.Contains(p.Projects, id)
}
