package store

import (
	"context"
	"encoding/json"
	"time"

	"serin/internal/notify"
)

// Reports holds the reports that were made, and what was said about them. Data
// is the reporting package's own; the store only keeps it.
type Reports interface {
	// CommitReport writes all of c or nothing. A report that is there is
	// ErrConflict: it is not written again; a note of one that is not there is
	// ErrNotFound.
	CommitReport(ctx context.Context, c ReportCommit) error
	// Report returns one or ErrNotFound.
	Report(ctx context.Context, id string) (ReportRow, error)
	// Reports lists reports, the one that was due last first.
	Reports(ctx context.Context, q ReportQuery) ([]ReportRow, error)
	// DropReports removes reports of a kind that were due before a time, with
	// their notes, and returns how many.
	DropReports(ctx context.Context, kind string, before time.Time) (int, error)
}

// ReportRow is one report. It is frozen: only notes are added to it.
type ReportRow struct {
	ID      string
	Project string
	Rollout string
	Name    string // in the plan
	Kind    string // stand-up, review, final
	Day     string // in the plan's zone, such as 2025-02-21
	Due     time.Time
	Data    json.RawMessage
	Notes   []json.RawMessage // oldest first; CommitReport leaves them out
}

// ReportQuery selects reports; zero fields do not restrict.
type ReportQuery struct {
	Rollout, Name, Kind, Day string
	Limit                    int
}

// ReportCommit is a new report, or a note to one, in one transaction.
type ReportCommit struct {
	Put     *ReportRow // nil = none
	Report  string     // whose note it is
	Note    json.RawMessage
	Notices []notify.Notice // outbox rows, unique by ID; an ID already there is left alone
	Audit   []AuditEntry
}
