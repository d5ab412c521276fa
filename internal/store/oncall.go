package store

import (
	"context"
	"encoding/json"
	"time"

	"serin/internal/notify"
)

// OnCall holds rotas, people's contacts and pages. Data is the paging
// package's own; the store only keeps it.
type OnCall interface {
	// CommitOnCall writes all of c or nothing.
	CommitOnCall(ctx context.Context, c OnCallCommit) error
	// Rotas lists the rotas, by name.
	Rotas(ctx context.Context) ([]OnCallRow, error)
	// Contacts lists how people are reached, by person.
	Contacts(ctx context.Context) ([]OnCallRow, error)
	// Pages lists pages, newest first, at most limit (0 = all); open = only
	// those that are not over.
	Pages(ctx context.Context, open bool, limit int) ([]PageRow, error)
	// Page returns one or ErrNotFound.
	Page(ctx context.Context, id string) (PageRow, error)
}

// OnCallRow is a rota by its name, or somebody's contacts by their name.
type OnCallRow struct {
	Name string
	Data json.RawMessage
	At   time.Time // of the change
}

// PageRow is one page: somebody is being told until they acknowledge.
type PageRow struct {
	ID   string
	Open bool
	At   time.Time // when it began; a change does not move it
	Data json.RawMessage
}

// OnCallCommit is one change in one transaction.
type OnCallCommit struct {
	PutRotas       []OnCallRow
	DeleteRotas    []string // one that is not there is fine
	PutContacts    []OnCallRow
	DeleteContacts []string
	PutPages       []PageRow
	Notices        []notify.Notice // outbox rows, unique by ID; an ID already there is left alone
	Audit          []AuditEntry
}
