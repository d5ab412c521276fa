package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"serin/internal/store"
	"serin/internal/telemetry"
)

// Statuses of an issue.
const (
	Unresolved = "unresolved"
	Resolved   = "resolved" // until it comes back
	Ignored    = "ignored"  // known and accepted
)

// IssueChange is a person's decision about an issue. Nil and zero fields leave
// what is there.
type IssueChange struct {
	Status string  // one of the statuses
	Owner  *string // "" = nobody
	// Until goes with Ignored: the first event after it counts again.
	Until time.Time
	// NextRelease goes with Resolved: events of releases seen by now do not bring it back.
	NextRelease bool
	// Reviewed acknowledges the issue; every other change does so too.
	Reviewed bool
	By       string // who decides
}

// ErrStatus is returned by TriageIssue for a change that makes no sense.
var ErrStatus = errors.New("issue status: use unresolved, resolved or ignored")

// triage is a change on its way to the committer.
type triage struct {
	id     string
	change IssueChange
	err    error
}

// TriageIssue makes a person's decision about an issue durable. It returns
// store.ErrNotFound, ErrStatus, or Accept's errors.
func (e *Engine) TriageIssue(ctx context.Context, id string, c IssueChange) error {
	switch {
	case c.Status != "" && !slices.Contains([]string{Unresolved, Resolved, Ignored}, c.Status):
		return fmt.Errorf("%q: %w", c.Status, ErrStatus)
	case !c.Until.IsZero() && c.Status != Ignored:
		return fmt.Errorf("%w; a time to ignore it until goes with ignored", ErrStatus)
	case c.NextRelease && c.Status != Resolved:
		return fmt.Errorf("%w; the next release goes with resolved", ErrStatus)
	}
	change := &triage{id: id, change: c}
	r := &request{triage: change, done: make(chan error, 1)}
	if err := e.queue.push(r, e.limits, shareRest); err != nil {
		return err
	}
	if err := wait(ctx, r); err != nil {
		return err
	}
	return change.err
}

func (s *issues) triage(id string, c IssueChange, now time.Time) error {
	it := s.byID[id]
	if it == nil {
		return fmt.Errorf("issue %s: %w", id, store.ErrNotFound)
	}
	if c.Status != "" {
		it.Status, it.Until, it.NextRelease = c.Status, c.Until, c.NextRelease
	}
	if c.Owner != nil {
		it.Owner = *c.Owner
	}
	if it.Reviewed.IsZero() {
		it.Reviewed, it.ReviewedBy = now, c.By
	}
	s.change(it)
	return nil
}

// comeBack opens an issue again that was resolved, or whose time of being
// ignored is over; then it is for review again.
func (it *issue) comeBack(ev *telemetry.Event) {
	switch {
	case it.Status == Resolved && !(it.NextRelease && slices.Contains(it.own.Releases, ev.Release)):
	case it.Status == Ignored && !it.Until.IsZero() && ev.Received.After(it.Until):
	default:
		return
	}
	it.Status, it.Triage, it.Regressed = Unresolved, store.Triage{Owner: it.Owner}, ev.Received
}

// Bounds of what an issue remembers.
const (
	issueHours    = 24
	issueReleases = 20 // the last ones
	issueTags     = 20
)

// issueState is Issue.State.
type issueState struct {
	Hour     int64    `json:"hour,omitempty"`     // of the last of Hours: Unix hours
	Releases []string `json:"releases,omitempty"` // that had events, the last one last
}

// restore reads what count keeps.
func (it *issue) restore() {
	if json.Unmarshal(it.State, &it.own) != nil {
		it.own = issueState{} // of an older serin, or none: it serves display only
	}
	it.State = nil
	it.Hours = slices.Clone(it.Hours)
}

// count notes an event in the last 24 hours and what it tells of itself.
func (it *issue) count(ev *telemetry.Event) {
	hour := ev.Received.Unix() / 3600
	if len(it.Hours) != issueHours || hour-it.own.Hour >= issueHours {
		it.Hours, it.own.Hour = make([]int64, issueHours), hour
	}
	if n := hour - it.own.Hour; n > 0 {
		it.Hours = append(it.Hours[n:], make([]int64, n)...)
		it.own.Hour = hour
	}
	if at := issueHours - 1 - (it.own.Hour - hour); at >= 0 {
		it.Hours[at]++
	}
	if r := ev.Release; r != "" && !slices.Contains(it.own.Releases, r) {
		it.own.Releases = append(it.own.Releases, r)
		it.own.Releases = it.own.Releases[max(len(it.own.Releases)-issueReleases, 0):]
	}
	it.Environment, it.Platform, it.Page, it.Tags, it.Unhandled = ev.Environment, ev.Platform, ev.Page, ev.Tags, ev.Unhandled
	if len(ev.Tags) > issueTags {
		it.Tags = make(map[string]string, issueTags)
		for _, k := range slices.Sorted(maps.Keys(ev.Tags))[:issueTags] {
			it.Tags[k] = ev.Tags[k]
		}
	}
}
