package evidence

import (
	"strconv"
	"strings"
	"time"

	"serin/internal/store"
	"serin/internal/telemetry"
)

// IssueRecord makes an issue searchable (telemetry.Filter). Beside its own
// fields it has the tags, environment and page of its last event, and
//
//	arm       canary, control or both: whose users had it, over all rollouts
//	assigned  its owner
//	is:       its status; for_review = unresolved and nobody acknowledged it
type IssueRecord struct {
	*store.Issue
	Now time.Time // for ignored issues whose time is over
}

// status is the status at Now: an issue that was ignored for a time is open
// again from then on, though only its next event writes that down.
func (r IssueRecord) status() string {
	if r.Status == Ignored && !r.Until.IsZero() && r.Now.After(r.Until) {
		return Unresolved
	}
	return r.Status
}

// arm says whose users had the issue.
func (r IssueRecord) arm() string {
	var canary, control bool
	for key, c := range r.Arms {
		if c.Events > 0 {
			canary = canary || strings.HasSuffix(key, "/"+telemetry.New.String())
			control = control || strings.HasSuffix(key, "/"+telemetry.Old.String())
		}
	}
	switch {
	case canary && control:
		return "both"
	case canary:
		return "canary"
	case control:
		return "control"
	}
	return ""
}

// Field implements telemetry.Record.
func (r IssueRecord) Field(key string) (string, bool) {
	if status, ok := strings.CutPrefix(key, "is:"); ok {
		now := r.status()
		return status, status == now || status == "for_review" && now == Unresolved && r.Reviewed.IsZero()
	}
	if name, ok := strings.CutPrefix(key, "tags["); ok {
		s, ok := r.Tags[strings.TrimSuffix(name, "]")]
		return s, ok
	}
	s := ""
	switch key {
	case "id", "issue":
		s = r.ID
	case "level":
		s = r.Level
	case "title", "message":
		s = r.Title
	case "error.type":
		s, _, _ = strings.Cut(r.Title, ":")
	case "culprit":
		s = r.Culprit
	case "release":
		s = r.Release
	case "environment":
		s = r.Environment
	case "platform":
		s = r.Platform
	case "url.path", "url":
		s = r.Page
	case "arm":
		s = r.arm()
	case "assigned", "owner":
		s = r.Owner
	default:
		s = r.Tags[key]
	}
	return s, s != ""
}

// Number implements telemetry.Record.
func (r IssueRecord) Number(key string) (float64, bool) {
	switch key {
	case "events", "errors":
		return float64(r.Events), true
	case "users":
		return float64(r.Users), true
	}
	v, err := strconv.ParseFloat(r.Tags[key], 64)
	return v, err == nil
}

// Instant implements telemetry.Record.
func (r IssueRecord) Instant(key string) (time.Time, bool) {
	switch key {
	case "firstSeen":
		return r.FirstSeen, true
	case "lastSeen", "timestamp", "received":
		return r.LastSeen, true
	}
	return time.Time{}, false
}
