package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

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
				User     string `json:"user,omitempty"`
				Message  string `json:"message"`
				Critical bool   `json:"critical,omitempty"`
			}
		}) (*struct{}, error) {
			return nil, s.fail(s.Evidence.Accept(ctx, []telemetry.Event{s.feedback(ctx, in.Body.Kind, in.Body.User, in.Body.Message, in.Body.Critical)}))
		})
	huma.Register(api, op(http.MethodPost, "/values", "push-values", operate, "Push values such as bundle_size or ci"),
		func(ctx context.Context, in *struct {
			Body map[string]string `doc:"name to value"`
		}) (*struct{}, error) {
			for k, v := range in.Body {
				if err := s.Evidence.Push(ctx, k, v); err != nil {
					return nil, s.fail(err)
				}
			}
			return nil, nil
		})
	huma.Register(api, op(http.MethodPost, "/sources/{name}/confirm", "confirm-source", operate, "Confirm that a channel is open and empty"),
		func(ctx context.Context, in *struct {
			Name string `path:"name" enum:"feedback,survey,usage"`
		}) (*struct{}, error) {
			return nil, s.fail(s.Evidence.ConfirmOpen(ctx, in.Name))
		})
	huma.Register(api, op(http.MethodPost, "/releases", "report-release", operate, "Report a deployment to every rollout that is under way"),
		func(ctx context.Context, in *struct {
			Body struct {
				Release string `json:"release"`
				Commit  string `json:"commit,omitempty"`
			}
		}) (*struct{}, error) {
			return nil, s.fail(s.deployed(ctx, in.Body.Release, in.Body.Commit))
		})
	huma.Register(api, op(http.MethodGet, "/issues", "list-issues", read, "Groups of errors, last seen first"),
		func(ctx context.Context, in *struct {
			Rollout string `query:"rollout"`
			Status  string `query:"status"`
			Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		}) (*body[[]store.Issue], error) {
			i, err := s.Store.Issues(ctx, store.IssueQuery{Rollout: in.Rollout, Status: in.Status, Limit: in.Limit})
			return ok(i), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/issues/{id}", "get-issue", read, "One issue with its latest events"),
		func(ctx context.Context, in *RolloutID) (*body[issueAnswer], error) {
			i, err := s.Store.Issue(ctx, in.ID)
			if err != nil {
				return nil, s.fail(err)
			}
			events, err := s.Store.Events(ctx, in.ID, 20)
			return ok(issueAnswer{Issue: i, Latest: events}), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/telemetry", "get-telemetry", read, "Counters of telemetry taken in"),
		func(context.Context, *struct{}) (*body[map[string]int64], error) {
			return ok(s.Evidence.Counters()), nil
		})
}

type issueAnswer struct {
	store.Issue
	Latest []telemetry.Event `json:"latest"`
}

// feedback is a record made by hand.
func (s *server) feedback(ctx context.Context, kind, user, message string, critical bool) telemetry.Event {
	now := s.Now()
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand
	tags := map[string]string{"kind": kind, "sentiment": feedbackKinds[kind], "recorded_by": who(ctx).Name}
	if critical {
		tags["severity"] = "critical"
	}
	return telemetry.Event{Kind: telemetry.KindFeedback, Project: "1", ID: hex.EncodeToString(id[:]), Source: "manual",
		Time: now, Received: now, User: user, Message: message, Tags: tags}
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
		if _, err := s.Controller.Do(ctx, v.ID, rollout.Command{Verb: rollout.Deploy, By: who(ctx).Name, Via: "api", Release: release, Commit: commit}); err != nil {
			return err
		}
	}
	return nil
}
