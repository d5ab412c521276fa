package rollout

import (
	"encoding/json"
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
)

// Type names a journal event.
type Type string

// The journal events.
const (
	Created          Type = "created"
	Revised          Type = "revised"
	Completed        Type = "completed"
	Reopened         Type = "reopened"
	Started          Type = "started"
	Baked            Type = "baked"
	Checked          Type = "checked"
	Approved         Type = "approved"
	Confirmed        Type = "confirmed"
	Accepted         Type = "accepted"
	Asked            Type = "asked"
	Advanced         Type = "advanced"
	PausedEvent      Type = "paused"
	Resumed          Type = "resumed"
	ReducedEvent     Type = "reduced"
	RolledBackEvent  Type = "rolled_back"
	RevertNeeded     Type = "revert_needed"
	Restarted        Type = "restarted"
	IrreversibleDone Type = "irreversible"
	Finished         Type = "finished"
	CancelledEvent   Type = "cancelled"
	IncidentOpened   Type = "incident_opened"
	IncidentDecided  Type = "incident_decided"
	IncidentResolved Type = "incident_resolved"
	IncidentClosed   Type = "incident_closed"
	NoData           Type = "no_data"
	DataBack         Type = "data_back"
	BlindEvent       Type = "blind"
	Sighted          Type = "sighted"
	DataQuality      Type = "data_quality"
	FlagSet          Type = "flag_set"
	Deployed         Type = "deployed"
	ServedEvent      Type = "served"
	RevertBegun      Type = "revert_begun"
	Reverted         Type = "reverted"
	Noticed          Type = "notice"
	NoticeFailed     Type = "notice_failed"
	DeployBegun      Type = "deploy_begun"
	DeployEnded      Type = "deploy_ended"
)

// Event is one journal entry. It is flat: each Type fills the fields that
// docs/formats/journal.md names for it.
type Event struct {
	Pos        int64           `json:"pos"` // set by Step, from 1
	Type       Type            `json:"type"`
	At         time.Time       `json:"at"`
	Mono       time.Duration   `json:"mono,omitempty"`
	Command    string          `json:"command,omitempty"` // command id
	By         string          `json:"by,omitempty"`      // person or token; "" = serin
	Role       string          `json:"role,omitempty"`
	Via        string          `json:"via,omitempty"` // web, api, cli, slack, plan
	Reason     string          `json:"reason,omitempty"`
	Stage      int             `json:"stage"` // index after the event
	Attempt    int             `json:"attempt,omitempty"`
	Exposure   flag.Percent    `json:"exposure"` // after the event
	Item       string          `json:"item,omitempty"`
	Choice     string          `json:"choice,omitempty"`
	Evidence   string          `json:"evidence,omitempty"` // link given by a person
	Duration   time.Duration   `json:"duration,omitempty"` // baked, deploy_ended
	Kind       string          `json:"kind,omitempty"`     // accounting key, data-quality kind, incident id
	N          int             `json:"n,omitempty"`
	Red        []string        `json:"red,omitempty"` // checked: rules not met
	Since      time.Time       `json:"since,omitzero"`
	Paged      bool            `json:"paged,omitempty"`
	Overridden bool            `json:"overridden,omitempty"`
	Looser     bool            `json:"looser,omitempty"`
	Rule       string          `json:"rule,omitempty"`
	Verdict    *judge.Verdict  `json:"verdict,omitempty"`  // the one that decided
	Verdicts   []judge.Verdict `json:"verdicts,omitempty"` // what a raise or check rested on
	PlanHash   string          `json:"plan_hash,omitempty"`
	Flag       string          `json:"flag,omitempty"`
	Project    string          `json:"project,omitempty"` // created: whose rollout it is; left out = the first
	To         string          `json:"to,omitempty"`
	Extra      json.RawMessage `json:"extra,omitempty"`  // rolled_back, advanced to the clean-up, finished, cancelled: the judge.Data of then
	Show       []string        `json:"show,omitempty"`   // revert_begun: the commands as they were shown; deploy_ended: the end of the output
	Served     *Service        `json:"served,omitempty"` // served, reverted
	// Account says where the time since the last event went; its parts sum
	// to the difference of the two At. Keys as in State.Account.
	Account map[string]time.Duration `json:"account,omitempty"`
	Keep    []string                 `json:"keep,omitempty"`  // revised: blind rules that the new plan still has
	Fresh   []string                 `json:"fresh,omitempty"` // revised: metrics whose comparisons begin empty
	// Judge is the version of the judge that the attempt is under from now on:
	// started, restarted, accepted and resumed; 0 = as before.
	Judge int `json:"judge,omitempty"`
}
