package store

import (
	"context"
	"encoding/json"
	"time"

	"serin/internal/notify"
)

// Incidents holds incidents and what became of them. State and Data are the
// responding package's own; the store only keeps them.
type Incidents interface {
	// CommitIncident writes all of c or nothing; ErrConflict where the stored
	// incident is not at position c.Expect.
	CommitIncident(ctx context.Context, c IncidentCommit) error
	// Incidents lists every row, by number.
	Incidents(ctx context.Context) ([]IncidentRow, error)
	// IncidentEvents lists the events of one incident, oldest first.
	IncidentEvents(ctx context.Context, id string) ([]json.RawMessage, error)
}

// IncidentCommit is one change of an incident in one transaction.
type IncidentCommit struct {
	Row     IncidentRow
	Expect  int64             // position before; 0 = the incident is new
	Events  []json.RawMessage // positions Expect+1 ... Row.Pos
	Notices []notify.Notice   // outbox rows, unique by ID; an ID already there is left alone
	Audit   []AuditEntry
}

// IncidentRow is one incident with its state.
type IncidentRow struct {
	Number  int64 // from 1, over the whole server
	ID      string
	Project string
	Rollout string // "" = about none
	Pos     int64  // of the last event
	State   json.RawMessage
	At      time.Time // of the last event
}
