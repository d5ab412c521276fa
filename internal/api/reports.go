package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/rollout"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// reports registers what is reported by people and pipelines, and what was found.
func (s *server) reports(api huma.API) {
	huma.Register(api, inProjects(op(http.MethodPost, "/feedback", "record-feedback", operate, "Record what a user told somebody")),
		func(ctx context.Context, in *struct {
			ForProject
			Body struct {
				Kind     string `json:"kind" enum:"complaint,failure,revert_request,escalation,praise,other"`
				User     string `json:"user,omitempty" maxLength:"200" doc:"id of the user who told it; without one it belongs to no arm"`
				Message  string `json:"message" minLength:"1" maxLength:"10000"`
				Critical bool   `json:"critical,omitempty"`
			}
		}) (*struct{}, error) {
			b := in.Body
			project, err := s.home(ctx, in.Project)
			if err != nil {
				return nil, err
			}
			if err := s.Evidence.Accept(ctx, []telemetry.Event{s.feedback(ctx, project, b.Kind, b.User, b.Message, b.Critical)}); err != nil {
				return nil, s.fail(err)
			}
			return nil, s.audit(ctx, "record feedback", "feedback "+b.Kind, nil)
		})
	huma.Register(api, inProjects(op(http.MethodPost, "/values", "push-values", operate, "Push values such as bundle_size or ci")),
		func(ctx context.Context, in *struct {
			ForProject
			Body map[string]string `doc:"name to value"`
		}) (*struct{}, error) {
			project, err := s.home(ctx, in.Project)
			if err != nil {
				return nil, err
			}
			return nil, s.push(ctx, project, in.Body)
		})
	huma.Register(api, inProjects(op(http.MethodPost, "/sources/{name}/confirm", "confirm-source", operate, "Confirm that a channel is open and empty")),
		func(ctx context.Context, in *struct {
			ForProject
			Name string `path:"name" enum:"feedback,survey,usage"`
		}) (*struct{}, error) {
			project, err := s.home(ctx, in.Project)
			if err != nil {
				return nil, err
			}
			if err := s.Evidence.ConfirmOpen(ctx, project, in.Name); err != nil {
				return nil, s.fail(err)
			}
			return nil, s.audit(ctx, "confirm open and empty", "source "+in.Name, nil)
		})
	huma.Register(api, inProjects(op(http.MethodPost, "/releases", "report-release", operate, "Report a deployment to every rollout that is under way")),
		func(ctx context.Context, in *struct {
			InProject
			Body struct {
				Release string `json:"release" minLength:"1" maxLength:"200"`
				Commit  string `json:"commit,omitempty" maxLength:"200"`
			}
		}) (*struct{}, error) {
			return nil, s.fail(s.deployed(ctx, in.InProject, in.Body.Release, in.Body.Commit))
		})
	huma.Register(api, op(http.MethodGet, "/telemetry", "get-telemetry", read, "Counters of telemetry taken in"),
		func(context.Context, *struct{}) (*body[map[string]int64], error) {
			return ok(s.Evidence.Counters()), nil
		})
}

// valueName is what a pushed value may be called. Other keys are the
// evidence's own, such as those that say which sources have delivered.
var valueName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,99}$`)

// factName is a fact about code as plans write it, which "serin facts" sends.
var factName = regexp.MustCompile(`^(path exists|path gone|refs gone) [!-~\x{00A0}-\x{10FFFF}]{1,500}$`)

// maxValue bounds the text of a pushed value.
const maxValue = 1000

// push takes in all values of a project or, where a name or value will not do, none.
func (s *server) push(ctx context.Context, project string, values map[string]string) error {
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
		if err := s.Evidence.Push(ctx, project, name, values[name]); err != nil {
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
	var data json.RawMessage
	if after != nil {
		var err error
		if data, err = json.Marshal(after); err != nil {
			return s.fail(err)
		}
	}
	return s.fail(s.Store.PutAudit(ctx, s.entry(ctx, verb, target, data)))
}

// entry is an audit entry in the name of who asks.
func (s *server) entry(ctx context.Context, verb, target string, after json.RawMessage) store.AuditEntry {
	return store.AuditEntry{At: s.Now(), Who: who(ctx).Name, Via: via(ctx), Address: auth.Address(ctx), Verb: verb, Target: target, After: after}
}

// feedback is a record made by hand. It is no page's claim, so it is
// attributed as what a server sends: by the user's assignment.
func (s *server) feedback(ctx context.Context, project, kind, user, message string, critical bool) telemetry.Event {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand
	e := telemetry.ByHand(telemetry.Manual{ID: hex.EncodeToString(id[:]), Project: project, Kind: kind, User: user, Message: message, Critical: critical, By: who(ctx).Name}, s.Now())
	telemetry.Scrub(&e, s.Scrub)
	return e
}

// deployed tells every rollout of the caller's projects that has begun and not ended.
func (s *server) deployed(ctx context.Context, in InProject, release, commit string) error {
	views, err := s.Controller.Views(ctx)
	if err != nil {
		return err
	}
	for _, v := range views {
		if !in.sees(who(ctx), v.Project) || v.State.Status == rollout.Done || v.State.Status == rollout.Cancelled {
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
