package store

import (
	"context"
	"slices"

	"serin/internal/flag"
	"serin/internal/telemetry"
)

// Forgets removes what is kept of one user on request.
type Forgets interface {
	// Forget removes f's user: error samples, the rows of all rollouts of the
	// project, watched or not, and the page loads that are named. It writes
	// what f says of issues in the same transaction, and f.Audit, whose After
	// becomes the answer as JSON. Samples and rows that are appended while it
	// runs may stay: they are new. An adapter that keeps its data overwrites
	// what it removes.
	Forget(ctx context.Context, f Forget) (Forgotten, error)
}

// Forget is one user's data to remove. Users holds the user's id in every form
// in which it may be stored; it has at least one, and none is "".
type Forget struct {
	Project string
	Users   []string
	Issues  []Issue   // as they are without the user
	Rows    []UserRow // the same of user sets of issues
	Pending []string  // ids of page loads of the user
	Audit   AuditEntry
}

// Forgotten counts what went.
type Forgotten struct {
	Samples   int64 `json:"samples"`    // error samples, with their texts
	UserRows  int64 `json:"user_rows"`  // that the user is in an audience, and was affected
	PageLoads int64 `json:"page_loads"` // that waited for their vitals
	Issues    int64 `json:"issues"`     // in whose sets of users the user was
	Exposures int64 `json:"exposures"`  // evaluations of flags that waited for telemetry
}

// userAttributes are the attributes and tags that name a user by id.
var userAttributes = []string{"user.id", "user_id", "enduser.id", "usr.id", "user"}

// Concerns reports whether a sample is of the user.
func (f Forget) Concerns(e telemetry.Event) bool {
	if flag.ProjectOf(e.Project) != flag.ProjectOf(f.Project) {
		return false
	}
	if slices.Contains(f.Users, e.User) || slices.Contains(f.Users, e.SessionUser) {
		return true
	}
	for _, key := range userAttributes {
		if slices.Contains(f.Users, e.Attributes[key]) || slices.Contains(f.Users, e.Tags[key]) {
			return true
		}
	}
	return false
}

// SharedRow reports whether a user row is of no rollout but of the server, and
// its user no user.
func SharedRow(rollout string) bool { return len(rollout) > 0 && rollout[0] == '~' }
