package rollout

import (
	"time"

	"serin/internal/flag"
)

// Status is where a rollout is.
type Status string

// The states.
const (
	Preflight  Status = "preflight"
	Running    Status = "running"
	Paused     Status = "paused"
	Reduced    Status = "reduced"
	RolledBack Status = "rolled_back"
	Cleanup    Status = "cleanup"
	Done       Status = "done"
	Cancelled  Status = "cancelled"
)

// StateFormat is the newest form of State. It rises when Apply keeps more than
// before: a stored state of an older form is made anew with Fold.
const StateFormat = 3

// State is everything that decisions depend on besides plan and input, and
// all that the engine needs to go on after a restart. It is a value: Apply
// returns a new one and never changes the maps of the old. The zero State is a
// rollout that has no event yet.
type State struct {
	Format   int          `json:"format,omitempty"`  // StateFormat when the journal was folded from its begin; 0 = before there was one
	ID       string       `json:"id"`                // <plan>-<n>
	Project  string       `json:"project,omitempty"` // for good; "" = flag.FirstProject
	Plan     string       `json:"plan"`              // plan name
	PlanHash string       `json:"plan_hash"`
	Revision int          `json:"revision"` // of the plan in this rollout, from 1
	Status   Status       `json:"status"`
	Stage    int          `json:"stage"`   // index of the current stage; 0 before start
	Reached  int          `json:"reached"` // furthest stage of this attempt
	Attempt  int          `json:"attempt"` // from 1 once started
	Exposure flag.Percent `json:"exposure"`
	Reason   string       `json:"reason,omitempty"` // of the last lowering or pause

	Bake      time.Duration `json:"bake"` // counted in this stage
	Approved  []Mark        `json:"approved,omitempty"`
	Accepted  []Mark        `json:"accepted,omitempty"`
	Confirmed []Mark        `json:"confirmed,omitempty"` // Item = the text
	// MismatchRun is the run whose sample ratio mismatch a person accepted last: its
	// comparisons with control count again to its end.
	MismatchRun int       `json:"mismatch_run,omitempty"`
	Completed   []Mark    `json:"completed,omitempty"` // checklist and tasks; Item = id, or the before-text
	Overridden  []int     `json:"overridden,omitempty"`
	Asked       int       `json:"asked,omitempty"`
	BakeEnd     time.Time `json:"bake_end,omitzero"` // when bake was first complete in this stage

	Irreversible bool        `json:"irreversible,omitempty"`
	Hotfix       bool        `json:"hotfix,omitempty"`
	Release      string      `json:"release,omitempty"` // last deployment reported or release seen
	ReleaseAt    time.Time   `json:"release_at,omitzero"`
	Commit       string      `json:"commit,omitempty"` // of that deployment; "" = not reported
	NoDataSince  time.Time   `json:"no_data_since,omitzero"`
	NoDataPaged  bool        `json:"no_data_paged,omitempty"`
	Blind        []Blind     `json:"blind,omitempty"`
	Quality      []string    `json:"quality,omitempty"` // open data-quality kinds, accepted ones removed
	Incidents    []Incident  `json:"incidents,omitempty"`
	Companions   []Companion `json:"companions,omitempty"` // flags that are set now
	Red          []string    `json:"red,omitempty"`        // rules of the last check that were not met
	Checks       int         `json:"checks,omitempty"`     // checks done in this stage
	CheckedAt    time.Time   `json:"checked_at,omitzero"`

	CreatedAt time.Time `json:"created_at,omitzero"`
	StartedAt time.Time `json:"started_at,omitzero"` // attempt 1
	AttemptAt time.Time `json:"attempt_at,omitzero"`
	StageAt   time.Time `json:"stage_at,omitzero"` // begin of the stage, or of its new start after a reduction
	// EvidenceAt is from when on evidence counts: the attempt's begin, or the
	// last resume from reduced.
	EvidenceAt time.Time `json:"evidence_at,omitzero"`
	LoweredAt  time.Time `json:"lowered_at,omitzero"` // last rollback or reduce
	FinishedAt time.Time `json:"finished_at,omitzero"`
	CleanupAt  time.Time `json:"cleanup_at,omitzero"`
	RevertAt   time.Time `json:"revert_at,omitzero"` // last revert_needed

	Lowering *Clock `json:"lowering,omitempty"` // the last lowering, until a client is served or traffic moves on
	Revert   *Clock `json:"revert,omitempty"`   // the revert by hand that is under way

	// Build is since when builds that hold the flag have to hold what they hold
	// now; nil = nobody was ever on new.
	Build *Build `json:"build,omitempty"`

	// Waiting is the accounting key of what the rollout has waited for since
	// the last event while running: "bake" or "waiting:<main reason>".
	Waiting    string   `json:"waiting,omitempty"`
	WasRed     bool     `json:"was_red,omitempty"`    // a check of this stage was red: no early end of bake
	Redeployed bool     `json:"redeployed,omitempty"` // a release came since the hotfix
	Held       []string `json:"held,omitempty"`       // rules met against the baseline only, told once a stage

	// Runs counts how often evidence began anew: at the start, at a restart,
	// and at each resume from a reduction. Intervals are the times of constant
	// exposure of the last run, cut where a revision let comparisons begin empty;
	// the last one is open.
	Runs      int        `json:"runs,omitempty"`
	Intervals []Interval `json:"intervals,omitempty"`
	// BegunHash is the plan under which the attempt began, Revisions how often
	// it was revised since: the budget for false rollbacks is divided by it.
	BegunHash string `json:"begun_hash,omitempty"`
	Revisions int    `json:"revisions,omitempty"`
	// Again are the metrics whose comparisons revisions of the attempt let begin
	// empty, by name: their budget of the begin is spent.
	Again []string `json:"again,omitempty"`
	// Judge is the version of the judge that the attempt is under; 0 = the
	// first, see JudgeVersion.
	Judge int `json:"judge,omitempty"`

	At      time.Time     `json:"at,omitzero"` // time of the last event
	Mono    time.Duration `json:"mono"`        // engine's monotonic time at the last event; meaningless after a restart
	Pos     int64         `json:"pos"`         // position of the last event, from 1
	Version int64         `json:"version"`     // position of the last event that is no baked, checked, completed, served, notice or deploy
	// Minutes by kind of time; the parts sum to wall time. Keys: "bake",
	// "waiting:<main reason>", "paused", "reduced", "rolled_back", "cleanup", "down".
	Account map[string]time.Duration `json:"account,omitempty"`
	// Commands are the ids of recent commands, so that a repeated one is answered and not done again.
	Commands []CommandID `json:"commands,omitempty"`
}

// Interval is a time of constant exposure in a run of evidence.
type Interval struct {
	Run      int          `json:"run"` // State.Runs when it began
	Stage    int          `json:"stage"`
	Exposure flag.Percent `json:"exposure"`
	From     time.Time    `json:"from"`
	// Fresh are the metrics whose comparisons count from this interval on only: a
	// revision added or changed their rules.
	Fresh []string `json:"fresh,omitempty"`
}

// Mark is an approval, acceptance, confirmation or completion, bound to an attempt and a stage.
type Mark struct {
	Item     string    `json:"item,omitempty"`
	By       string    `json:"by,omitempty"`
	Role     string    `json:"role,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Evidence string    `json:"evidence,omitempty"`
	Choice   string    `json:"choice,omitempty"` // of a task that chooses
	Attempt  int       `json:"attempt"`
	Stage    int       `json:"stage"`
	At       time.Time `json:"at"`
}

// Blind is a rollback or reduce rule whose source fails.
type Blind struct {
	Rule  string    `json:"rule"`
	Since time.Time `json:"since"`
	Paged bool      `json:"paged,omitempty"`
}

// Companion is another flag that is set for the exposed users while an
// incident lasts.
type Companion struct {
	Flag     string `json:"flag"`
	To       string `json:"to"`                 // variant
	Incident string `json:"incident,omitempty"` // its id
}

// Incident is an open or unresolved incident as the machine sees it.
type Incident struct {
	ID       string `json:"id"`
	Resolved bool   `json:"resolved,omitempty"`
	Closed   bool   `json:"closed,omitempty"`
}

// CommandID remembers a command's outcome.
type CommandID struct {
	ID  string `json:"id"`
	Pos int64  `json:"pos"`
}
