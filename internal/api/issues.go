package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/evidence"
	"serin/internal/store"
	"serin/internal/symbolicate"
	"serin/internal/telemetry"
)

// Issues is what is asked and decided about groups of errors; the pages use
// the same.
type Issues interface {
	// Triage is a person's decision; it is audited. Errors are
	// store.ErrNotFound and evidence.ErrStatus, or others.
	Triage(ctx context.Context, by auth.Principal, id, via string, c evidence.IssueChange) error
	// Stack reads the stack of an event by its source maps; see symbolicate.
	Stack(ctx context.Context, e *telemetry.Event) (frames []symbolicate.Frame, missing string)
}

// latestEvents is how many events of an issue are shown.
const latestEvents = 20

// searchedIssues is how many issues, last seen first, a search looks through.
const searchedIssues = 10_000

// issues registers what is asked and decided about groups of errors.
func (s *server) issues(api huma.API) {
	huma.Register(api, inProjects(op(http.MethodGet, "/issues", "list-issues", read, "Groups of errors, last seen first")),
		func(ctx context.Context, in *struct {
			InProject
			Rollout string `query:"rollout"`
			Status  string `query:"status" enum:"unresolved,resolved,ignored"`
			Query   string `query:"query" maxLength:"2000" doc:"search in Sentry's syntax: is:for_review level:[error, fatal] tags[feature]:checkout arm:canary firstSeen:-24h"`
			Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		}) (*body[[]store.Issue], error) {
			f, err := telemetry.ParseFilter(in.Query)
			if err != nil {
				return nil, huma.NewError(http.StatusUnprocessableEntity, err.Error())
			}
			i, err := s.findIssues(ctx, in.InProject, store.IssueQuery{Rollout: in.Rollout, Status: in.Status, Limit: in.Limit}, f)
			return list(i), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/issues/{id}", "get-issue", read, "One issue with its latest events"),
		func(ctx context.Context, in *IssueID) (*body[issueAnswer], error) {
			i, err := s.Store.Issue(ctx, in.ID)
			if err != nil {
				return nil, s.fail(err)
			}
			i.State = nil // the evidence's own
			events, err := s.Store.Events(ctx, in.ID, latestEvents)
			return ok(issueAnswer{Issue: i, Latest: s.eventViews(ctx, events)}), s.fail(err)
		})
	huma.Register(api, op(http.MethodPatch, "/issues/{id}", "triage-issue", operate, "Decide about an issue: resolve, accept as known, open again, acknowledge, assign"),
		func(ctx context.Context, in *struct {
			IssueID
			Body triageRequest
		}) (*struct{}, error) {
			b := in.Body
			return nil, s.fail(s.Issues.Triage(ctx, who(ctx), in.ID, via(ctx), evidence.IssueChange{Status: b.Status, Owner: b.Owner,
				Until: b.Until, NextRelease: b.NextRelease, Reviewed: b.Reviewed, By: who(ctx).Name}))
		})
}

// IssueID is the path of everything about one issue; exported as RolloutID is.
type IssueID struct {
	ID string `path:"id" doc:"such as SERIN-12"`
}

type triageRequest struct {
	Status      string    `json:"status,omitempty" enum:"unresolved,resolved,ignored"`
	Owner       *string   `json:"owner,omitempty" maxLength:"100" doc:"who looks after it; \"\" = nobody"`
	Until       time.Time `json:"until,omitzero" doc:"with ignored: the first event after it counts again"`
	NextRelease bool      `json:"next_release,omitempty" doc:"with resolved: events of releases seen by now do not bring it back"`
	Reviewed    bool      `json:"reviewed,omitempty" doc:"acknowledge it; every other decision does so too"`
}

// findIssues are those of a query that match a search and are of the caller's
// projects.
func (s *server) findIssues(ctx context.Context, in InProject, q store.IssueQuery, f telemetry.Filter) ([]store.Issue, error) {
	p, most, now := who(ctx), q.Limit, s.Now()
	if !p.WholeServer() || in.Project != "" || !f.Empty() {
		q.Limit = searchedIssues // others' do not count
	}
	found, err := s.Store.Issues(ctx, q)
	found = slices.DeleteFunc(found, func(i store.Issue) bool {
		return !in.sees(p, i.Project) || !f.MatchRecord(evidence.IssueRecord{Issue: &i, Now: now}, now)
	})
	found = found[:min(len(found), most)]
	for n := range found {
		found[n].State = nil // the evidence's own
	}
	return found, err
}

type issueAnswer struct {
	store.Issue
	Latest []eventView `json:"latest"`
}

// eventView is an event of an issue as the API shows it.
type eventView struct {
	ID          string                 `json:"id"`
	At          time.Time              `json:"at" doc:"event time"`
	Received    time.Time              `json:"received"`
	User        string                 `json:"user,omitempty"`
	Environment string                 `json:"environment,omitempty"`
	Release     string                 `json:"release,omitempty"`
	Platform    string                 `json:"platform,omitempty"`
	Level       string                 `json:"level,omitempty"`
	Title       string                 `json:"title"`
	Message     string                 `json:"message,omitempty"`
	Culprit     string                 `json:"culprit,omitempty"`
	URL         string                 `json:"url,omitempty"`
	Trace       string                 `json:"trace,omitempty"`
	Tags        map[string]string      `json:"tags,omitempty"`
	Flags       map[string]string      `json:"flags,omitempty" doc:"evaluations as reported: flag to variant or value"`
	Stack       []string               `json:"stack,omitempty" doc:"frames, the one that crashed first, read by source maps where there are any"`
	Minified    string                 `json:"minified,omitempty" doc:"what keeps the stack from being read"`
	Before      []telemetry.Breadcrumb `json:"before,omitempty" doc:"what happened before, oldest first"`
}

func (s *server) eventViews(ctx context.Context, events []telemetry.Event) []eventView {
	out := make([]eventView, len(events))
	for i, e := range events {
		out[i] = eventView{ID: e.ID, At: e.Time, Received: e.Received, User: e.User, Environment: e.Environment, Release: e.Release,
			Platform: e.Platform, Level: e.Level, Title: e.Title, Message: e.Message, Culprit: e.Culprit, URL: e.URL, Trace: e.Trace,
			Tags: e.Tags, Flags: e.Flags, Before: e.Breadcrumbs}
		frames, missing := s.Issues.Stack(ctx, &e)
		out[i].Minified = missing
		for _, f := range frames {
			place := cmp.Or(f.File, f.Module) + ":" + strconv.Itoa(f.Line)
			out[i].Stack = append(out[i].Stack, fmt.Sprintf("%s (%s)", cmp.Or(f.Function, "?"), place))
		}
	}
	return out
}
