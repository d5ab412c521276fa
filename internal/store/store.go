// Package store is the port to durable storage. Writes are declarative
// batches, each one transaction: Commit for a decision, AppendEvidence for
// telemetry, and small ones for flags, people and the outbox. Adapters are
// sqlite and memory; storetest is the suite that all of them pass.
//
// All methods may be called at the same time. Slices and byte slices that
// are returned belong to the caller; those passed in are not kept.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"serin/internal/flag"
	"serin/internal/notify"
	"serin/internal/rollout"
	"serin/internal/telemetry"
)

// The errors a caller may have to tell apart; test with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("conflict: somebody else was first")
	ErrFull     = errors.New("the disk is full")
	// ErrReadOnly: the data directory cannot be written: a file system that
	// went read-only after a fault, or files of another owner.
	ErrReadOnly = errors.New("the data directory can only be read")
	// ErrDamaged: what is stored is not what was written.
	ErrDamaged = errors.New("the database is damaged")
)

// Store is all of it; a consumer names the part it needs.
type Store interface {
	Rollouts
	Flags
	Plans
	Evidence
	Issues
	Forgets
	Artifacts
	Alerts
	Incidents
	Reports
	OnCall
	Outbox
	Slack
	Access
	People
	Audit
	// Check reports whether the store can write; nil = it can.
	Check(ctx context.Context) error
	Close() error
}

// Rollouts holds journals and states.
type Rollouts interface {
	// Commit writes a decision whole or not at all. It returns ErrConflict
	// when the journal's last position is not c.Expect, or when the stored
	// flag carries a newer position.
	Commit(ctx context.Context, c Commit) error
	// States returns the state of every rollout, oldest first.
	States(ctx context.Context) ([]rollout.State, error)
	// State returns one state or ErrNotFound.
	State(ctx context.Context, id string) (rollout.State, error)
	// Journal returns the events after position after, oldest first, at most limit (0 = all).
	Journal(ctx context.Context, id string, after int64, limit int) ([]rollout.Event, error)
	// Decision returns the decision that wrote position pos, with its input,
	// or ErrNotFound where no input was stored with it.
	Decision(ctx context.Context, id string, pos int64) (Decision, error)
}

// Decision is what was stored of one decision beside its journal events.
type Decision struct {
	First, Last int64  // positions of its events
	Input       []byte // as Commit.Input
}

// Commit is one decision: journal, state, flag and notices in one transaction.
type Commit struct {
	State  rollout.State   // after the events; its ID names the rollout
	Expect int64           // last position before; 0 creates the rollout
	Events []rollout.Event // positions Expect+1 ...
	Flag   *FlagRecord     // nil = unchanged
	// Companions are other flags that change with it; none may be owned by a rollout.
	Companions []FlagRecord
	Notices    []notify.Notice // outbox rows, unique by ID; an ID already there is left alone
	Audit      []AuditEntry
	// Plan, when set, is stored with the rollout as its plan from now on.
	Plan []byte
	// Input, when set, is what the decision rested on, in the controller's own
	// form; it is kept for Decision and needs at least one event.
	Input []byte
	// Lowers says that the decision takes traffic down. An adapter may keep
	// room in reserve for it, so that a full disk does not stand in its way.
	Lowers bool
}

// FlagRecord is a stored flag.
type FlagRecord struct {
	Definition flag.Definition
	Revision   int64  // of the whole set when this was written; set by the store
	Owner      string // rollout id that owns the split; "" = nobody
	// Place is the project whose flag it is, for good, and the environment of
	// the rollout that owned it last.
	Place     flag.Place
	Pos       int64 // journal position of the owner that wrote it; an older one is refused
	UpdatedAt time.Time
	UpdatedBy string
}

// Flags holds flag definitions. Every write raises the set's revision by one.
type Flags interface {
	// Flags returns all flags, by key, and the set's revision (0 = none yet).
	Flags(ctx context.Context) ([]FlagRecord, int64, error)
	// PutFlag writes a flag if its stored revision is expect (0 = must not
	// exist, -1 = any); else ErrConflict. It returns the new revision.
	PutFlag(ctx context.Context, f FlagRecord, expect int64, a AuditEntry) (int64, error)
	// DeleteFlag removes a flag; ErrNotFound.
	DeleteFlag(ctx context.Context, key string, a AuditEntry) (int64, error)
	// FlagHistory returns the versions of a flag, newest first, at most limit.
	FlagHistory(ctx context.Context, key string, limit int) ([]FlagRecord, error)
}

// Plans holds plan files.
type Plans interface {
	// PutPlan stores a new version of a plan's source and returns its number,
	// from 1. The same source again returns the same number. The first version
	// says whose plan it is; one of another project is ErrConflict.
	PutPlan(ctx context.Context, project, name string, source []byte, at time.Time, a AuditEntry) (int, error)
	// PlanSource returns the source with this hash (hex SHA-256), or ErrNotFound.
	PlanSource(ctx context.Context, hash string) ([]byte, error)
	// PlanNames lists the latest version of each plan.
	PlanNames(ctx context.Context) ([]PlanVersion, error)
	// PlanVersions lists every version of a plan, highest number first; none for a plan that is not known.
	PlanVersions(ctx context.Context, name string) ([]PlanVersion, error)
}

// PlanVersion is one stored version of a plan.
type PlanVersion struct {
	Project string    `json:"project"`
	Name    string    `json:"name"`
	Hash    string    `json:"hash"` // hex SHA-256 of the source
	Number  int       `json:"number"`
	At      time.Time `json:"at"`
}

// Evidence holds what was measured. Keys and values of cells are the
// evidence package's own (docs/formats/evidence.md); the store only keeps them.
type Evidence interface {
	// AppendEvidence makes one group of telemetry durable.
	AppendEvidence(ctx context.Context, b Batch) error
	// LoadCells calls fn for every cell of a rollout with minute >= since, oldest first.
	LoadCells(ctx context.Context, rollout string, since int64, fn func(Cell) error) error
	// LoadUsers calls fn for every user row of a rollout.
	LoadUsers(ctx context.Context, rollout string, fn func(UserRow) error) error
	// LoadSeen calls fn for every event hash first seen since.
	LoadSeen(ctx context.Context, since time.Time, fn func(Seen) error) error
	// Values returns pushed values and source states, by key.
	Values(ctx context.Context) (map[string]Value, error)
	// Counters returns the counters of acknowledged and refused telemetry, by name.
	Counters(ctx context.Context) (map[string]int64, error)
	// Pending returns the unsealed page loads.
	Pending(ctx context.Context) ([]Pending, error)
	// Events returns stored error samples, newest first, at most limit; issue "" = all.
	Events(ctx context.Context, issue string, limit int) ([]telemetry.Event, error)
}

// Batch is one group commit of telemetry. Everything in it is an upsert.
type Batch struct {
	Cells    []Cell
	Users    []UserRow
	Seen     []Seen
	Samples  []Sample
	Issues   []Issue
	Values   []KeyValue
	Counters map[string]int64 // added to what is there
	Pending  []Pending
	Sealed   []string // ids of pending page loads that are done with
}

// Cell is one minute of one series of a rollout.
type Cell struct {
	Rollout  string
	Attempt  int
	Metric   string
	Group    uint8 // judge.Group
	Interval int   // allocation interval
	Minute   int64 // Unix minutes, arrival time
	Data     []byte
}

// UserRow is what a rollout remembers of one user and metric. Metric "" is
// membership: the user is known to be in the audience.
type UserRow struct {
	Rollout string
	Metric  string
	User    string
	Data    []byte
}

// Seen is the hash of an event that was counted.
type Seen struct {
	Hash uint64
	At   time.Time
}

// Sample is a stored event of an issue.
type Sample struct {
	Issue string
	Event telemetry.Event
}

// Value is a pushed value or a source's state.
type Value struct {
	Text string
	At   time.Time
}

// KeyValue is a Value with its key.
type KeyValue struct {
	Key string
	Value
}

// Pending is a page load whose vitals are not sealed yet.
type Pending struct {
	ID   string
	Due  time.Time
	Data []byte
}

// Issues holds groups of error events.
type Issues interface {
	// Issues lists issues, last seen first.
	Issues(ctx context.Context, q IssueQuery) ([]Issue, error)
	// Issue returns one or ErrNotFound.
	Issue(ctx context.Context, id string) (Issue, error)
}

// IssueQuery selects issues; zero fields do not restrict.
type IssueQuery struct {
	Rollout string
	Status  string
	Limit   int
}

// Issue is a group of error events.
type Issue struct {
	ID        string    `json:"id"`   // short id, "SERIN-12"
	Hash      string    `json:"hash"` // grouping hash, unique in the project
	Project   string    `json:"project"`
	Title     string    `json:"title"`
	Culprit   string    `json:"culprit,omitempty"`
	Level     string    `json:"level"`
	Status    string    `json:"status"` // unresolved, resolved, ignored
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	Release   string    `json:"release,omitempty"` // in which it was first seen
	// Environment, Platform, Page and Tags are those of its last event; at most 20 tags.
	Environment string            `json:"environment,omitempty"`
	Platform    string            `json:"platform,omitempty"`
	Page        string            `json:"page,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Unhandled   bool              `json:"unhandled,omitempty"`
	Events      int64             `json:"events"`
	Users       int64             `json:"users"`
	// Arms counts events and users by rollout and arm: "demo-1/new" -> n.
	Arms map[string]ArmCount `json:"arms,omitempty"`
	Triage
	// Regressed is when it last came back after it was resolved or its time of
	// being ignored was over; zero = never.
	Regressed time.Time `json:"regressed,omitzero"`
	// Hours are the events of the last 24 hours up to that of LastSeen, oldest first.
	Hours []int64         `json:"hours,omitempty"`
	State json.RawMessage `json:"state,omitempty"` // the evidence package's own (user sets)
}

// Triage is what people decided about an issue.
type Triage struct {
	Owner string `json:"owner,omitempty"` // who looks after it; "" = nobody
	// Reviewed is when somebody first acknowledged it; zero = it is for review.
	Reviewed   time.Time `json:"reviewed,omitzero"`
	ReviewedBy string    `json:"reviewed_by,omitempty"`
	// Until is when an ignored issue counts again; zero = never.
	Until time.Time `json:"until,omitzero"`
	// NextRelease of a resolved issue: events of releases that had been seen by
	// then do not bring it back.
	NextRelease bool `json:"next_release,omitempty"`
}

// ArmCount is an issue's share of one arm.
type ArmCount struct {
	Events int64     `json:"events"`
	Users  int64     `json:"users"`
	First  time.Time `json:"first"` // first event in this attempt
}

// Access holds people, sessions, tokens and keys. Secrets are kept as hashes only.
type Access interface {
	PutToken(ctx context.Context, t Token, a AuditEntry) error
	// TokenByHash returns a token or ErrNotFound.
	TokenByHash(ctx context.Context, hash string) (Token, error)
	Tokens(ctx context.Context) ([]Token, error)
	DeleteToken(ctx context.Context, id string, a AuditEntry) error
	// TokenUsed notes when a token was last used; one that is gone is fine.
	TokenUsed(ctx context.Context, id string, at time.Time) error
	PutSession(ctx context.Context, s Session) error
	// SessionByHash returns a session or ErrNotFound.
	SessionByHash(ctx context.Context, hash string) (Session, error)
	DeleteSession(ctx context.Context, hash string) error
	// Setting returns a server-wide value or ErrNotFound.
	Setting(ctx context.Context, key string) (string, error)
	PutSetting(ctx context.Context, key, value string) error
	// Projects lists all projects in the order of their creation. A new store
	// has one, flag.FirstProject, which was created at no time.
	Projects(ctx context.Context) ([]Project, error)
	// PutProject creates or renames a project. The time of its creation stays.
	PutProject(ctx context.Context, p Project, a AuditEntry) error
}

// Project is what rollouts, flags, plans, keys, telemetry and issues belong to.
type Project struct {
	ID        string    `json:"id"` // decimal digits, as the path of a Sentry DSN ends
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at,omitzero"` // zero = with the server
}

// Token is an operator token or a publishable key.
type Token struct {
	ID          string    `json:"id"`
	Hash        string    `json:"-"` // hex SHA-256 of the secret
	Name        string    `json:"name"`
	Kind        string    `json:"kind"`               // operator, ingest, flags, flags-server, hook
	Project     string    `json:"project,omitempty"`  // of a key; "" = flag.FirstProject
	Projects    []string  `json:"projects,omitempty"` // of an operator token; empty = all
	Scopes      []string  `json:"scopes,omitempty"`   // read, operate, approve, admin
	Role        string    `json:"role,omitempty"`     // plan role the bearer acts in; "" = operator
	Person      string    `json:"person,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
	Environment string    `json:"environment,omitempty"`
	Origins     []string  `json:"origins,omitempty"`
	// Notify of a hook key are the addresses of who is told of its alerts.
	Notify []string `json:"notify,omitempty"`
	// Public is the key itself for publishable keys, which are no secrets.
	Public string `json:"public,omitempty"`
	// LastUsed is to the minute; zero = never. Only TokenUsed writes it.
	LastUsed time.Time `json:"last_used,omitzero"`
}

// Session is a person's sign-in.
type Session struct {
	Hash      string
	Person    string
	Role      string
	Scopes    []string
	Address   string // network address of the sign-in
	Agent     string // User-Agent of the sign-in
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Audit holds who changed what.
type Audit interface {
	PutAudit(ctx context.Context, a AuditEntry) error
	// AuditEntries lists entries, newest first, at most limit; target "" = all.
	AuditEntries(ctx context.Context, target string, limit int) ([]AuditEntry, error)
}

// AuditEntry is one change by somebody.
type AuditEntry struct {
	ID      int64           `json:"id"` // set by the store
	At      time.Time       `json:"at"`
	Who     string          `json:"who"`
	Via     string          `json:"via,omitempty"` // web, api, cli, plan
	Address string          `json:"address,omitempty"`
	Verb    string          `json:"verb"`
	Target  string          `json:"target"` // "rollout demo-1", "flag x"
	Reason  string          `json:"reason,omitempty"`
	Before  json.RawMessage `json:"before,omitempty"`
	After   json.RawMessage `json:"after,omitempty"`
}
