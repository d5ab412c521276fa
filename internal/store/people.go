package store

import (
	"context"
	"time"
)

// People holds who may sign in. Names are unique and never change: journals
// and the audit log hold them.
type People interface {
	// PutPerson creates or replaces a person. It returns ErrConflict when the
	// subject is another person's.
	PutPerson(ctx context.Context, p Person, a AuditEntry) error
	// Person returns one or ErrNotFound.
	Person(ctx context.Context, name string) (Person, error)
	// People lists everybody, by name.
	People(ctx context.Context) ([]Person, error)
	// DeletePerson removes a person and ends their sessions; ErrNotFound.
	DeletePerson(ctx context.Context, name string, a AuditEntry) error
	// Sessions lists the sessions of a person, newest first; "" = of all.
	Sessions(ctx context.Context, person string) ([]Session, error)
}

// Person is somebody who may sign in.
type Person struct {
	Name    string `json:"name"`
	Email   string `json:"email,omitempty"`
	Subject string `json:"subject,omitempty"` // of OpenID Connect: issuer, space, subject; "" = none
	// Password is the argon2id hash in PHC form; "" = no sign-in by password.
	Password string `json:"-"`
	Role     string `json:"role"` // viewer, operator, approver or admin
	// Handles are the names that plans know the person by: "team-lead" for a
	// plan's role with who "@team-lead". The person's own name is always one.
	Handles   []string  `json:"handles,omitempty"`
	Projects  []string  `json:"projects,omitempty"` // empty = all
	Disabled  bool      `json:"disabled,omitempty"` // may not sign in; sessions do not count
	CreatedAt time.Time `json:"created_at"`
}
