package rollout

import (
	"fmt"
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
)

// Input is everything a decision depends on besides plan and state. It is
// stored with the decision as JSON, but for the plan of a revision, which is
// known by its hash.
type Input struct {
	Wall time.Time     `json:"wall"` // server wall time
	Mono time.Duration `json:"mono"` // engine's monotonic time, restarts with the process
	// Fresh is true for the first input after a start of the process: Mono
	// cannot be compared with the state's, the time between is Down unless
	// telemetry was taken in.
	Fresh bool `json:"fresh,omitempty"`

	Rollback []judge.Verdict `json:"rollback,omitzero"` // one per rule of plan.Rollback, in order; nil = not judged now
	Reduce   []judge.Verdict `json:"reduce,omitzero"`
	Proceed  []judge.Verdict `json:"proceed,omitzero"` // of the current stage
	Checks   []judge.Verdict `json:"checks,omitzero"`  // of the current check entry
	Data     judge.Data      `json:"data"`
	Covered  time.Duration   `json:"covered,omitempty"` // covered time since the last baked event, at most

	// Facts that are verified outside: task id -> holds. A missing task has
	// not been looked at.
	Facts map[string]bool `json:"facts,omitempty"`
	// LintErrors is how many errors the plan has on this server; a start needs 0.
	LintErrors int `json:"lint_errors,omitempty"`
	// Judge is the newest version of the judge that the program has, which an
	// attempt begins with; 0 = the first. JudgeGone is set when the version that
	// the attempt is under is not in the program: what is judged is by Judge then.
	Judge     int  `json:"judge,omitempty"`
	JudgeGone bool `json:"judge_gone,omitempty"`
	// Clock is how long the ways back under way have taken.
	Clock Clocks `json:"clock,omitzero"`

	// Record is what other parts of the engine have to journal: incident_*,
	// flag_set, notice, notice_failed and deploy_*. Their own fields are kept; place
	// and time are filled in. Other types are left out.
	Record []Event `json:"record,omitempty"`

	Command *Command `json:"command,omitempty"`
}

// Command is what a person (or a scripted client) asks for.
type Command struct {
	ID     string   `json:"id,omitempty"` // idempotency key; "" = none
	Verb   Verb     `json:"verb"`
	By     string   `json:"by,omitempty"`
	Role   string   `json:"role,omitempty"` // the plan's role the person acts in; "" = operator
	May    []string `json:"may,omitempty"`  // what that role may do: start approve promote override accept resume restart revise
	Via    string   `json:"via,omitempty"`
	Reason string   `json:"reason,omitempty"`
	// Version is State.Version as last seen by the person; 0 = not told. A
	// raising verb with another version than the newest is stale. Not told is
	// refused for Via "web", where a page always knows it, and allowed for
	// scripted clients. Lowering verbs, complete, reopen, cancel and deployed
	// ignore it.
	Version int64  `json:"version,omitempty"`
	To      string `json:"to,omitempty"` // stage name (promote, restart), or a task's choice
	// Percent is where reduce goes to. 0 is 0 % and a hotfix: whoever reads
	// the command fills in the plan's own percentage when none was given.
	Percent flag.Percent `json:"percent,omitempty"`
	Hotfix  bool         `json:"hotfix,omitempty"` // reduce to 0 % whatever Percent says
	// Item is the id or text of complete, reopen and confirm ("" = the only
	// open one), the rollout's id of create, and what is approved where that
	// is no raise: "restart", or "revise" for a looser revision.
	Item     string `json:"item,omitempty"`
	Evidence string `json:"evidence,omitempty"`
	Cause    string `json:"cause,omitempty"`     // restart
	PlanHash string `json:"plan_hash,omitempty"` // revise
	Project  string `json:"project,omitempty"`   // create: whose rollout it is; "" = flag.FirstProject
	// Plan is the new plan of a revise; it is compared with the one in force.
	Plan    *plan.Plan `json:"-"`
	Looser  bool       `json:"looser,omitempty"`
	Release string     `json:"release,omitempty"` // deployed
	Commit  string     `json:"commit,omitempty"`  // deployed
	Done    bool       `json:"done,omitempty"`    // revert: it is live; else it begins
	// Incident is the id of the incident that the command answers, which is
	// journalled with it; "" = none. Set are other flags to be set for the
	// exposed users until that incident is resolved or nobody is exposed.
	Incident string      `json:"incident,omitempty"`
	Set      []Companion `json:"set,omitempty"`
}

// Verb is a command's verb, the same word in button, CLI and API.
type Verb string

// The verbs.
const (
	Create   Verb = "create"
	Start    Verb = "start"
	Approve  Verb = "approve"
	Accept   Verb = "accept"
	Confirm  Verb = "confirm"
	Complete Verb = "complete"
	Reopen   Verb = "reopen"
	Promote  Verb = "promote"
	Pause    Verb = "pause"
	Resume   Verb = "resume"
	Reduce   Verb = "reduce"
	Rollback Verb = "rollback"
	Restart  Verb = "restart"
	Revise   Verb = "revise"
	Cancel   Verb = "cancel"
	Finish   Verb = "finish"
	Deploy   Verb = "deployed"
	Revert   Verb = "revert"
)

// Lowers reports whether v can only lower traffic: it needs no version and no approval.
func (v Verb) Lowers() bool { return v == Pause || v == Reduce || v == Rollback }

// Refusal is why a command was not done.
type Refusal struct {
	Kind RefusalKind
	Why  string // a sentence that says what is missing and who can give it
}

// RefusalKind maps to an HTTP status.
type RefusalKind uint8

// The kinds of refusal.
const (
	Barred    RefusalKind = iota + 1 // 409: the state does not allow it
	Stale                            // 409: the version seen is not the newest
	Forbidden                        // 403: the role may not
	Missing                          // 422: a field is missing or wrong
)

func (r *Refusal) Error() string { return r.Why }

func refuse(k RefusalKind, format string, args ...any) *Refusal {
	return &Refusal{Kind: k, Why: fmt.Sprintf(format, args...)}
}

// Waiting is one reason why a running rollout stands still.
type Waiting struct {
	Kind   string `json:"kind"`   // no data, blind, bake, criteria, evidence, decision, incident, confirm, checklist, window, approval, data incomplete, unattributed, telemetry loss by arm, srm, judge version
	Detail string `json:"detail"` // "31h/48h", the metric, the role ...
	Text   string `json:"text"`   // Kind and Detail in one line, the words of every page
}
