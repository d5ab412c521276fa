package controller

import (
	"time"

	"serin/internal/judge"
	"serin/internal/rollout"
)

// Report is what became of a rollout: whether it succeeded, on which numbers,
// who decided what, and where the time went. Pages, API and CLI show the same
// value; Markdown and HTML write it out.
//
// It is computed from the journal and the plan files that the journal names.
// While the rollout is under way the newest verdicts and times are added;
// once it is over (Final) nothing but the journal and what the outbox did
// counts, so a report that was read stays as it was.
type Report struct {
	Rollout  string         `json:"rollout"`
	Plan     string         `json:"plan"`
	PlanHash string         `json:"plan_hash"` // of the plan in force at the end
	Revision int            `json:"revision"`  // of the plan in this rollout, from 1
	Title    string         `json:"title"`
	Flag     string         `json:"flag"`
	Timezone string         `json:"timezone"` // of the plan; all times here are UTC
	Status   rollout.Status `json:"status"`
	Outcome  ReportOutcome  `json:"outcome"`
	Headline string         `json:"headline"` // the verdict in one sentence, plain text
	// Final says that the rollout is over: the report does not change any more.
	Final   bool           `json:"final"`
	At      time.Time      `json:"at"`               // as of when; of a final report the end
	Started time.Time      `json:"started,omitzero"` // attempt 1; zero = it never started
	Ended   time.Time      `json:"ended,omitzero"`   // zero = it is under way
	Full    time.Time      `json:"full,omitzero"`    // when 100 % of the audience was reached for good; zero = it was not
	Numbers ReportSum      `json:"numbers"`          // the row of large numbers
	Owners  []string       `json:"owners,omitempty"` // of the plan
	Roles   []RunbookRole  `json:"roles"`            // as the plan in force has them
	People  []ReportPerson `json:"people"`           // who acted, in the order of their first action

	Attempts    []ReportAttempt    `json:"attempts"` // oldest first
	Success     ReportSuccess      `json:"success"`
	Confirmed   []ReportMark       `json:"confirmed"` // what people confirmed, every attempt, oldest first
	Time        ReportTime         `json:"time"`
	Clock       []ReportClock      `json:"clock"`  // each lowering and revert against its limit, oldest first
	Limits      []ReportLimit      `json:"limits"` // what the plan allows each way back
	Overrides   []ReportOverride   `json:"overrides"`
	Accepted    []ReportMark       `json:"accepted"` // what was accepted without proof
	Approved    []ReportMark       `json:"approved"`
	Checks      ReportChecks       `json:"checks"`
	Incidents   []ReportIncident   `json:"incidents"`
	Attribution *ReportAttribution `json:"attribution,omitempty"` // nil = nothing was measured
	Notices     ReportNotices      `json:"notices"`
	Revisions   []ReportRevision   `json:"revisions"` // of the plan, oldest first; the first is the one it was created with
	Timeline    []Entry            `json:"timeline"`  // transitions in words, oldest first
	Cleanup     ReportCleanup      `json:"cleanup"`
}

// ReportOutcome is the verdict in a word, for colours and filters.
type ReportOutcome string

// The outcomes.
const (
	OutcomeSucceeded  ReportOutcome = "succeeded"   // done: 100 %, cleaned up
	OutcomeCleaning   ReportOutcome = "cleaning_up" // 100 %, tasks are open
	OutcomeUnderWay   ReportOutcome = "under_way"
	OutcomeRolledBack ReportOutcome = "rolled_back" // a restart is possible
	OutcomeCancelled  ReportOutcome = "cancelled"
	OutcomePreflight  ReportOutcome = "preflight" // not started
)

// ReportSum are the numbers at the head of a report. Durations are server
// time; 0 where there is nothing to tell.
type ReportSum struct {
	ToFull    time.Duration `json:"to_full,omitempty"` // from the start to 100 %
	Wall      time.Duration `json:"wall"`              // from the start to the end, or to now
	Planned   time.Duration `json:"planned,omitempty"` // the bakes of the plan's stages
	Checks    int           `json:"checks"`            // done
	RedChecks int           `json:"red_checks"`
	Stood     time.Duration `json:"stood"` // waiting and paused
	Rollbacks int           `json:"rollbacks"`
	Overrides int           `json:"overrides"`
	Attempts  int           `json:"attempts"`
}

// ReportPerson is somebody who acted.
type ReportPerson struct {
	Name    string   `json:"name"`
	Roles   []string `json:"roles,omitempty"` // that they acted in
	Actions int      `json:"actions"`         // journal entries that they brought about
}

// ReportAttempt is one attempt from start or restart on.
type ReportAttempt struct {
	Number int           `json:"number"` // from 1
	Began  time.Time     `json:"began"`
	Ended  time.Time     `json:"ended,omitzero"`  // rolled back, finished; zero = it is the one under way
	End    string        `json:"end"`             // how it ended, in words: "rolled back: p1 6 over 1h, limit 5"
	By     string        `json:"by,omitempty"`    // who ended it; "" = serin
	Cause  string        `json:"cause,omitempty"` // of a restart: what was wrong before
	Stages []ReportStage `json:"stages"`
	// Judges are the versions of the judge that the attempt was under: the one
	// that it began with, then any that a person put it under.
	Judges []int `json:"judges"`
}

// ReportStage is one stay at a stage, in the order of the attempt.
type ReportStage struct {
	Name      string        `json:"name"`
	Traffic   float64       `json:"traffic"` // percent of the audience on new
	Began     time.Time     `json:"began"`
	Ended     time.Time     `json:"ended,omitzero"`
	Wall      time.Duration `json:"wall"`
	Bake      time.Duration `json:"bake"`           // counted
	Planned   time.Duration `json:"planned"`        // bake that the plan asks for
	Rest      []ReportPart  `json:"rest,omitempty"` // Wall without Bake, longest first; with Bake it sums to Wall
	Checks    int           `json:"checks"`
	RedChecks int           `json:"red_checks"`
	// End is how it ended: advanced, overridden, rolled_back, current, or
	// ended (the rollout was over).
	End        string   `json:"end"`
	Words      string   `json:"words"`            // End in words
	By         string   `json:"by,omitempty"`     // who ended it; "" = serin
	Reason     string   `json:"reason,omitempty"` // of an override, or of the rollback
	Owner      []string `json:"owner,omitempty"`
	ApprovedBy []string `json:"approved_by,omitempty"` // who approved the raise that ended it
}

// ReportSuccess is the judgement on the last stage: its criteria as they stood
// when the clean-up began.
type ReportSuccess struct {
	Stage string `json:"stage"` // name of the last stage
	// Judged says that these are the verdicts of the advance to the clean-up;
	// else they are the newest ones of the last stage, or there are none yet.
	Judged  bool         `json:"judged"`
	At      time.Time    `json:"at,omitzero"` // of the verdicts
	Note    string       `json:"note"`        // "as of the end of full", or why nothing is judged yet
	Rules   []ReportRule `json:"rules"`       // in the order of the plan
	Met     int          `json:"met"`
	NotMet  int          `json:"not_met"`
	Unknown int          `json:"unknown"`
}

// ReportRule is a rule with what it came to.
type ReportRule struct {
	Rule    string         `json:"rule"` // as written
	Metric  string         `json:"metric"`
	Title   string         `json:"title"`             // of the metric
	Value   string         `json:"value"`             // in words: "2.1s", "+1.4%"; "" = none
	Limit   string         `json:"limit"`             // in words: "< 2.5s"
	Word    string         `json:"word"`              // met, not met, unknown
	Near    bool           `json:"near,omitempty"`    // met with less than a tenth of the limit to spare
	Why     string         `json:"why"`               // the evidence in a sentence
	Verdict *judge.Verdict `json:"verdict,omitempty"` // nil = not judged yet
}

// ReportMark is what a person said of a gate: approved, accepted, confirmed.
type ReportMark struct {
	Attempt  int             `json:"attempt"`
	Stage    string          `json:"stage"` // where the rollout stood
	Item     string          `json:"item"`  // what, in words
	By       string          `json:"by"`
	Role     string          `json:"role,omitempty"`
	At       time.Time       `json:"at"`
	Reason   string          `json:"reason,omitempty"`
	Evidence string          `json:"evidence,omitempty"` // link or note
	Verdicts []judge.Verdict `json:"verdicts,omitempty"` // what was unknown and accepted
	Open     bool            `json:"open,omitempty"`     // a confirmation that the last stage still asks for
}

// ReportOverride is a promotion past open gates.
type ReportOverride struct {
	Attempt int           `json:"attempt"`
	From    string        `json:"from"` // stage that was left
	To      string        `json:"to"`
	By      string        `json:"by"`
	Role    string        `json:"role,omitempty"`
	At      time.Time     `json:"at"`
	Reason  string        `json:"reason"`
	Bake    time.Duration `json:"bake"`    // counted of
	Planned time.Duration `json:"planned"` // what the plan asks for
	Passed  []ReportRule  `json:"passed"`  // criteria that were not met or unknown then
}

// ReportTime is where the time went. The parts sum to Wall, to a minute.
type ReportTime struct {
	Wall  time.Duration `json:"wall"` // from the start to the end, or to now
	Parts []ReportPart  `json:"parts"`
	Sum   string        `json:"sum"` // "10h 40m = bake 8h + waiting for approval 1h + ..."
}

// ReportPart is a share of the time.
type ReportPart struct {
	Key   string        `json:"key"`   // as in the state's account: bake, waiting:no data, paused, reduced, rolled_back, cleanup, down
	Words string        `json:"words"` // "waiting for approval"
	Time  time.Duration `json:"time"`
	Share float64       `json:"share"` // of the wall time, 0..1
}

// ReportClock is one use of a way back: how long it took, in real time, until
// clients were served, against the limit of the plan.
type ReportClock struct {
	Action    string        `json:"action"` // rollback, reduce, hotfix, revert
	Pos       int64         `json:"pos"`    // journal position of the action
	At        time.Time     `json:"at"`
	By        string        `json:"by,omitempty"`        // "" = serin
	Limit     time.Duration `json:"limit,omitempty"`     // 0 = the plan names none
	Published time.Duration `json:"published,omitempty"` // until clients were told
	Served    time.Duration `json:"served,omitempty"`    // until the first evaluation that was answered anew; revert: until it was live
	AtMost    bool          `json:"at_most,omitempty"`   // serin was restarted in between: the true times may be shorter
	// State is in time, late, no client (nobody has fetched the flag within
	// the limit, nor since), running, or not measured.
	State  string   `json:"state"`
	Words  string   `json:"words"`            // all of it in a sentence
	Show   []string `json:"show,omitempty"`   // revert: the commands as they were shown
	Commit string   `json:"commit,omitempty"` // revert: what was to be reverted
}

// ReportLimit is what the plan allows one way back.
type ReportLimit struct {
	Action string        `json:"action"` // rollback, reduce, revert
	Words  string        `json:"words"`  // "flag off for everybody"
	Limit  time.Duration `json:"limit,omitempty"`
	Used   int           `json:"used"`
	Worst  time.Duration `json:"worst,omitempty"` // longest time measured; 0 = none
}

// ReportChecks counts the checks of all attempts.
type ReportChecks struct {
	Done int `json:"done"`
	Red  int `json:"red"`
}

// ReportIncident is an incident of the rollout as the journal has it.
type ReportIncident struct {
	ID       string    `json:"id"`
	Opened   time.Time `json:"opened"`
	Resolved time.Time `json:"resolved,omitzero"`
	Closed   time.Time `json:"closed,omitzero"`
	By       string    `json:"by,omitempty"` // who opened it; "" = serin
	Words    []string  `json:"words"`        // its entries, oldest first
}

// ReportAttribution is how much of the telemetry was known to belong to new or
// old: of the stage in which it was measured. Shares are 0..1.
type ReportAttribution struct {
	At    time.Time `json:"at"`    // of the measurement
	Stage string    `json:"stage"` // name; the numbers are since it began
	judge.Data
	// By are shares of the attributed events: by the client's word alone, by
	// the hash of the user alone, by both.
	ByReport float64 `json:"by_report"`
	ByHash   float64 `json:"by_hash"`
	ByBoth   float64 `json:"by_both"`
	Known    float64 `json:"known"`  // attributed, of what could be
	Events   int64   `json:"events"` // attributed and not
	Words    string  `json:"words"`  // in a sentence
}

// ReportNotices counts the notices by what became of them.
type ReportNotices struct {
	Sent    int `json:"sent"`
	Failed  int `json:"failed"`  // given up
	Waiting int `json:"waiting"` // to be tried again
	// Lost are those that were given up, newest first.
	Lost []ReportLost `json:"lost,omitempty"`
}

// ReportLost is a notice that did not arrive.
type ReportLost struct {
	Title   string    `json:"title"`
	Channel string    `json:"channel"`
	At      time.Time `json:"at"`
	Error   string    `json:"error"`
}

// ReportRevision is one version of the plan in this rollout.
type ReportRevision struct {
	Number  int       `json:"number"` // from 1
	Hash    string    `json:"hash"`
	At      time.Time `json:"at"`
	By      string    `json:"by,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Looser  bool      `json:"looser,omitempty"`
	Changes []string  `json:"changes,omitempty"` // against the version before, in words
}

// ReportCleanup is what was done after the last stage.
type ReportCleanup struct {
	Began  time.Time     `json:"began,omitzero"`
	Within time.Duration `json:"within,omitempty"` // what the plan promises
	Owners []string      `json:"owners,omitempty"`
	Choice string        `json:"choice,omitempty"` // what was chosen, in words
	Tasks  []ReportTask  `json:"tasks"`
	Done   int           `json:"done"` // of those that apply
	Open   int           `json:"open"`
}

// ReportTask is a task of the clean-up.
type ReportTask struct {
	ID           string    `json:"id"`
	Do           string    `json:"do"`
	Role         string    `json:"role,omitempty"` // that the plan names
	Done         bool      `json:"done"`
	By           string    `json:"by,omitempty"` // "" = serin, which saw the fact
	At           time.Time `json:"at,omitzero"`
	Evidence     string    `json:"evidence,omitempty"`
	Choice       string    `json:"choice,omitempty"`
	Idle         bool      `json:"idle,omitempty"` // it does not apply: another option was chosen
	Irreversible bool      `json:"irreversible,omitempty"`
}
