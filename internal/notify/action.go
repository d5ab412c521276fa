package notify

import (
	"encoding/json"
	"fmt"
)

// The verbs of Action. Those of a rollout are the words of package rollout.
const (
	VerbAcknowledge = "acknowledge" // what fires of an alert, or an incident
	VerbApprove     = "approve"
	VerbAccept      = "accept"
	VerbRollback    = "rollback"
)

// Action is a button of a notice: a verb and what it is about.
type Action struct {
	Label string `json:"label"` // on the button: "Roll back"
	Verb  string `json:"verb"`
	Value string `json:"value"` // a Target as Encode writes it
}

// Target is what an Action is about: a rollout as it stood, an alert, or an
// incident.
type Target struct {
	Rollout string `json:"rollout,omitempty"`
	Stage   int    `json:"stage,omitempty"`   // from 0
	Attempt int    `json:"attempt,omitempty"` // from 1
	// Version is the rollout's when the notice was written: what raises traffic
	// is refused when it is no longer the newest.
	Version  int64  `json:"version,omitempty"`
	Alert    string `json:"alert,omitempty"` // all of it that fires
	Incident string `json:"incident,omitempty"`
}

// maxTarget bounds an encoded Target: Slack takes 2000 characters
// (docs.slack.dev, block kit, button element, value).
const maxTarget = 2000

// Encode writes t for Action.Value.
func (t Target) Encode() string {
	data, _ := json.Marshal(t) // strings and numbers: never fails
	return string(data)
}

// ParseTarget reads what Encode wrote.
func ParseTarget(value string) (Target, error) {
	var t Target
	if len(value) > maxTarget {
		return t, fmt.Errorf("the button's value has %d characters, at most %d are serin's", len(value), maxTarget)
	}
	if err := json.Unmarshal([]byte(value), &t); err != nil {
		return t, fmt.Errorf("read the button's value: %w", err)
	}
	if t.Rollout == "" && t.Alert == "" && t.Incident == "" {
		return t, fmt.Errorf("the button's value %.100q names nothing", value)
	}
	return t, nil
}
