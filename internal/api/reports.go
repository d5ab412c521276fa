package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/rollout"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// feedbackKinds are what a person can record.
var feedbackKinds = map[string]string{"complaint": "negative", "failure": "negative", "revert_request": "negative",
	"escalation": "negative", "praise": "positive", "other": "neutral"}

// reports registers what is reported by people and pipelines, and what was found.
func (s *server) reports(api huma.API) {
	huma.Register(api, op(http.MethodPost, "/feedback", "record-feedback", operate, "Record what a user told somebody"),
		func(ctx context.Context, in *struct {
			Body struct {
				Kind     string `json:"kind" enum:"complaint,failure,revert_request,escalation,praise,other"`
				User     string `json:"user,omitempty" maxLength:"200" doc:"id of the user who told it; without one it belongs to no arm"`
				Message  string `json:"message" minLength:"1" maxLength:"10000"`
				Critical bool   `json:"critical,omitempty"`
			}
		}) (*struct{}, error) {
			b := in.Body
			if err := s.Evidence.Accept(ctx, []telemetry.Event{s.feedback(ctx, b.Kind, b.User, b.Message, b.Critical)}); err != nil {
				return nil, s.fail(err)
			}
			return nil, s.audit(ctx, "record feedback", "feedback "+b.Kind, nil)
		})
	huma.Register(api, op(http.MethodPost, "/values", "push-values", operate, "Push values such as bundle_size or ci"),
		func(ctx context.Context, in *struct {
			Body map[string]string `doc:"name to value"`
		}) (*struct{}, error) {
			return nil, s.push(ctx, in.Body)
		})
	huma.Register(api, op(http.MethodPost, "/sources/{name}/confirm", "confirm-source", operate, "Confirm that a channel is open and empty"),
		func(ctx context.Context, in *struct {
			Name string `path:"name" enum:"feedback,survey,usage"`
		}) (*struct{}, error) {
			if err := s.Evidence.ConfirmOpen(ctx, in.Name); err != nil {
				return nil, s.fail(err)
			}
			return nil, s.audit(ctx, "confirm open and empty", "source "+in.Name, nil)
		})
	huma.Register(api, op(http.MethodPost, "/releases", "report-release", operate, "Report a deployment to every rollout that is under way"),
		func(ctx context.Context, in *struct {
			Body struct {
				Release string `json:"release" minLength:"1" maxLength:"200"`
				Commit  string `json:"commit,omitempty" maxLength:"200"`
			}
		}) (*struct{}, error) {
			return nil, s.fail(s.deployed(ctx, in.Body.Release, in.Body.Commit))
		})
	huma.Register(api, op(http.MethodGet, "/issues", "list-issues", read, "Groups of errors, last seen first"),
		func(ctx context.Context, in *struct {
			Rollout string `query:"rollout"`
			Status  string `query:"status" enum:"unresolved,resolved,ignored"`
			Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		}) (*body[[]store.Issue], error) {
			i, err := s.Store.Issues(ctx, store.IssueQuery{Rollout: in.Rollout, Status: in.Status, Limit: in.Limit})
			for n := range i {
				i[n].State = nil // the evidence's own
			}
			return list(i), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/issues/{id}", "get-issue", read, "One issue with its latest events"),
		func(ctx context.Context, in *struct {
			ID string `path:"id" doc:"such as SERIN-12"`
		}) (*body[issueAnswer], error) {
			i, err := s.Store.Issue(ctx, in.ID)
			if err != nil {
				return nil, s.fail(err)
			}
			i.State = nil // the evidence's own
			events, err := s.Store.Events(ctx, in.ID, latestEvents)
			return ok(issueAnswer{Issue: i, Latest: eventViews(events)}), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/telemetry", "get-telemetry", read, "Counters of telemetry taken in"),
		func(context.Context, *struct{}) (*body[map[string]int64], error) {
			return ok(s.Evidence.Counters()), nil
		})
}

// latestEvents is how many events of an issue are shown.
const latestEvents = 20

type issueAnswer struct {
	store.Issue
	Latest []eventView `json:"latest"`
}

// eventView is an event of an issue as the API shows it.
type eventView struct {
	ID          string            `json:"id"`
	At          time.Time         `json:"at" doc:"event time"`
	Received    time.Time         `json:"received"`
	User        string            `json:"user,omitempty"`
	Environment string            `json:"environment,omitempty"`
	Release     string            `json:"release,omitempty"`
	Platform    string            `json:"platform,omitempty"`
	Level       string            `json:"level,omitempty"`
	Title       string            `json:"title"`
	Message     string            `json:"message,omitempty"`
	Culprit     string            `json:"culprit,omitempty"`
	URL         string            `json:"url,omitempty"`
	Trace       string            `json:"trace,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Flags       map[string]string `json:"flags,omitempty" doc:"evaluations as reported: flag to variant or value"`
	Stack       []string          `json:"stack,omitempty" doc:"frames, the one that crashed first"`
}

func eventViews(events []telemetry.Event) []eventView {
	out := make([]eventView, len(events))
	for i, e := range events {
		out[i] = eventView{ID: e.ID, At: e.Time, Received: e.Received, User: e.User, Environment: e.Environment, Release: e.Release,
			Platform: e.Platform, Level: e.Level, Title: e.Title, Message: e.Message, Culprit: e.Culprit, URL: e.URL, Trace: e.Trace,
			Tags: e.Tags, Flags: e.Flags}
		if e.Exception != nil {
			for _, f := range slices.Backward(e.Exception.Frames) {
				out[i].Stack = append(out[i].Stack, fmt.Sprintf("%s (%s:%d)", cmp.Or(f.Function, "?"), cmp.Or(f.File, f.Module), f.Line))
			}
		}
	}
	return out
}

// valueName is what a pushed value may be called. Other keys are the
// evidence's own, such as those that say which sources have delivered.
var valueName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,99}$`)

// factName is a fact about code as plans write it, which "serin facts" sends.
var factName = regexp.MustCompile(`^(path exists|path gone|refs gone) [!-~\x{00A0}-\x{10FFFF}]{1,500}$`)

// maxValue bounds the text of a pushed value.
const maxValue = 1000

// push takes in all values or, where a name or value will not do, none.
func (s *server) push(ctx context.Context, values map[string]string) error {
	names := slices.Sorted(maps.Keys(values))
	for _, name := range names {
		switch {
		case factName.MatchString(name):
			if v := values[name]; v != "true" && v != "false" {
				return huma.NewError(http.StatusUnprocessableEntity, fmt.Sprintf("fact %q: write true or false", name))
			}
		case !valueName.MatchString(name):
			return huma.NewError(http.StatusUnprocessableEntity, fmt.Sprintf("value name %q: write a letter, then letters, digits, dots, dashes and underscores", name))
		case values[name] == "" || len(values[name]) > maxValue:
			return huma.NewError(http.StatusUnprocessableEntity, fmt.Sprintf("value %s: write 1 to %d bytes", name, maxValue))
		}
	}
	for _, name := range names {
		if err := s.Evidence.Push(ctx, name, values[name]); err != nil {
			return s.fail(err)
		}
		if err := s.audit(ctx, "push value", "value "+name, values[name]); err != nil {
			return err
		}
	}
	return nil
}

// audit writes down what a caller reported; the rest is audited where it is done.
func (s *server) audit(ctx context.Context, verb, target string, after any) error {
	e := store.AuditEntry{At: s.Now(), Who: who(ctx).Name, Via: via(ctx), Address: auth.Address(ctx), Verb: verb, Target: target}
	if after != nil {
		var err error
		if e.After, err = json.Marshal(after); err != nil {
			return s.fail(err)
		}
	}
	return s.fail(s.Store.PutAudit(ctx, e))
}

// feedback is a record made by hand. It is no page's claim, so it is
// attributed as what a server sends: by the user's assignment.
func (s *server) feedback(ctx context.Context, kind, user, message string, critical bool) telemetry.Event {
	now := s.Now()
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand
	tags := map[string]string{"kind": kind, "sentiment": feedbackKinds[kind], "recorded_by": who(ctx).Name}
	if critical {
		tags["severity"] = "critical"
	}
	e := telemetry.Event{Kind: telemetry.KindFeedback, Project: project, ID: hex.EncodeToString(id[:]), Source: "manual",
		Time: now, Received: now, User: user, Message: message, Tags: tags}
	telemetry.Scrub(&e, telemetry.ScrubOptions{})
	return e
}

// deployed tells every rollout that has begun and not ended.
func (s *server) deployed(ctx context.Context, release, commit string) error {
	views, err := s.Controller.Views(ctx)
	if err != nil {
		return err
	}
	for _, v := range views {
		if v.State.Status == rollout.Done || v.State.Status == rollout.Cancelled {
			continue
		}
		if _, err := s.Controller.Do(ctx, v.ID, rollout.Command{Verb: rollout.Deploy, By: who(ctx).Name, Via: via(ctx), Release: release, Commit: commit}); err != nil {
			if no, ok := rollout.AsRefusal(err); ok && no.Kind == rollout.Barred {
				continue // it has ended meanwhile, or cannot be read: the others are told
			}
			return err
		}
	}
	return nil
}
