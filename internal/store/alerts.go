package store

import (
	"context"
	"encoding/json"
	"time"

	"serin/internal/notify"
)

// Alerts holds alert rules, where they stand and what became of them. Rule,
// State and Data are the alerting package's own; the store only keeps them.
type Alerts interface {
	// CommitAlerts writes all of c or nothing.
	CommitAlerts(ctx context.Context, c AlertCommit) error
	// Alerts lists every row, by id.
	Alerts(ctx context.Context) ([]AlertRow, error)
	// AlertHistory lists what became of a rule, newest first, at most limit (0 = all).
	AlertHistory(ctx context.Context, id string, limit int) ([]AlertEntry, error)
	// DropCounts removes the cells of one key (Cell.Rollout) with a minute
	// before that, and returns how many there were.
	DropCounts(ctx context.Context, key string, before int64) (int64, error)
	// Notice returns one notice with the state of its delivery, or ErrNotFound.
	Notice(ctx context.Context, id string) (Outgoing, error)
}

// AlertCommit is one change of alerts in one transaction.
type AlertCommit struct {
	Put     []AlertRow
	Delete  []string // ids; their history goes too. One that is not there is fine.
	Entries []AlertEntry
	Notices []notify.Notice // outbox rows, unique by ID; an ID already there is left alone
	Audit   []AuditEntry
}

// AlertRow is one rule with its state.
type AlertRow struct {
	ID      string
	Project string
	Rollout string          // "" = a stand-alone rule
	Rule    json.RawMessage // of a stand-alone rule; nil = it is in the plan
	State   json.RawMessage
	At      time.Time // of the change
}

// AlertEntry is one thing that happened to a rule.
type AlertEntry struct {
	Alert string
	At    time.Time
	Data  json.RawMessage
}
