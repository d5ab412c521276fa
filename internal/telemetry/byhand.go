package telemetry

import "time"

// Manual is what a person records of what a user told them.
type Manual struct {
	ID       string // of the event: the same twice is one record
	Project  string
	Kind     string // complaint, failure, revert_request, escalation, praise or other
	User     string // who told it; "" = it belongs to no arm
	Message  string
	Critical bool
	By       string // who records it
}

// sentiments of the kinds of feedback.
var sentiments = map[string]string{"complaint": "negative", "failure": "negative", "revert_request": "negative",
	"escalation": "negative", "praise": "positive", "other": "neutral"}

// ByHand is a record made by hand at now. It is no page's claim, so it is
// attributed as what a server sends: by the user's assignment.
func ByHand(m Manual, now time.Time) Event {
	tags := map[string]string{"kind": m.Kind, "sentiment": sentiments[m.Kind], "recorded_by": m.By}
	if m.Critical {
		tags["severity"] = "critical"
	}
	return Event{Kind: KindFeedback, Project: m.Project, ID: m.ID, Source: "manual", Time: now, Received: now, User: m.User, Message: m.Message, Tags: tags}
}
