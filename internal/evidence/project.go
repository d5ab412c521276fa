package evidence

import (
	"strings"

	"serin/internal/flag"
	"serin/internal/telemetry"
)

// What the engine keeps by a name, it keeps apart by project: the names of the
// first are as they are, those of others begin with a mark and the project's
// id. So what was stored before there were projects is the first one's. Event
// ids, page loads and issues hold their project anyway. Counters, the usage of
// flags and events refused for overload are the server's as a whole.
const (
	projectMark = reservedMark + "project " // begins the keys of other projects' values
	regionMark  = "\x1f"                    // ends the project of a region; no environment is named so
)

// sameProject reports whether two ids are of one project.
func sameProject(a, b string) bool { return flag.ProjectOf(a) == flag.ProjectOf(b) }

// of reports whether an event is of the rollout's project: others' events say
// nothing of its users, not even that its telemetry arrives.
func (r *rollout) of(e *telemetry.Event) bool { return sameProject(e.Project, r.target.Project) }

// valueKey is the key of a project's value in Engine.values and in the store.
func valueKey(project, key string) string {
	if sameProject(project, "") {
		return key
	}
	return projectMark + project + " " + key
}

// cutValueKey is the inverse of valueKey.
func cutValueKey(stored string) (project, key string) {
	if rest, other := strings.CutPrefix(stored, projectMark); other {
		if project, key, ok := strings.Cut(rest, " "); ok {
			return project, key
		}
	}
	return flag.FirstProject, stored
}

// regionOf names what the days and hours of telemetry are summed up by: an
// environment of a project, in lower case; environment "" = none named.
func regionOf(project, environment string) string {
	environment = strings.ReplaceAll(strings.ToLower(environment), regionMark, "") // a client cannot write into another's
	if sameProject(project, "") {
		return environment
	}
	return project + regionMark + environment
}

// inRegion reports whether a region is the project's.
func inRegion(project, region string) bool {
	of, _, other := strings.Cut(region, regionMark)
	if !other {
		return sameProject(project, "")
	}
	return of == project
}

// roomFor reports whether a new region may be kept beside those in kept: one
// that names no environment always, of others keptEnvs in each project.
func roomFor[T any](kept map[string]T, region string) bool {
	project, environment, other := strings.Cut(region, regionMark)
	if !other {
		project, environment = flag.FirstProject, region
	}
	if environment == "" || len(environment) > longestTag {
		return environment == ""
	}
	n := 0
	for name := range kept {
		if inRegion(project, name) && !strings.HasSuffix(name, regionMark) && name != "" {
			n++
		}
	}
	return n < keptEnvs
}
