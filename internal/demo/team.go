package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// team is the scripted people of the demo: they look at the rollout through
// the public API and do what it waits for, each in their role.
type team struct {
	d     *demo
	admin API
	roles map[string]API
	done  map[string]bool // what was told to a person already, by text
}

// view is what the team reads of a rollout.
type view struct {
	ID      string
	Version int64
	State   struct {
		Status  string
		Stage   int
		Attempt int
	}
	Stages []struct {
		Name    string
		Traffic float64
		Bake    time.Duration
		Baked   time.Duration
	}
	Waiting   []struct{ Kind, Text string }
	Checklist []item
	Before    []item
	Confirm   []item
	Tasks     []item
}

type item struct {
	ID, Do, By, Verify string
	Done               bool
}

// stage is the name of the current stage.
func (v view) stage() string {
	if v.State.Stage < len(v.Stages) {
		return v.Stages[v.State.Stage].Name
	}
	return ""
}

// ended reports whether the rollout went as far as the demo watches it.
func (v view) ended() bool {
	return v.State.Status == "rolled_back" || v.State.Status == "cleanup" || v.State.Status == "done"
}

// team makes a token for each role.
func (d *demo) team(ctx context.Context) (*team, error) {
	t := &team{d: d, admin: d.API(d.Admin), roles: map[string]API{}, done: map[string]bool{}}
	for _, role := range []string{"team-lead", "qa", "on-call"} {
		var out struct{ Secret string }
		body := map[string]any{"name": role, "role": role, "scopes": []string{"approve"}}
		if err := t.admin.Call(ctx, http.MethodPost, "/tokens", body, &out); err != nil {
			return nil, fmt.Errorf("make a token for %s: %w", role, err)
		}
		t.roles[role] = d.API(out.Secret)
	}
	return t, nil
}

// prepareFlag makes the flag readable by the shop's page.
func (t *team) prepareFlag(ctx context.Context) error {
	var flags []struct{ Key string }
	if err := t.admin.Call(ctx, http.MethodGet, "/flags", nil, &flags); err != nil {
		return err
	}
	for _, f := range flags {
		if f.Key == flagKey {
			return t.pageKey(ctx)
		}
	}
	definition := json.RawMessage(`{"state":"ENABLED","variants":{"new":true,"old":false},"defaultVariant":"old","metadata":{"client":true}}`)
	if err := t.admin.Call(ctx, http.MethodPut, "/flags/"+flagKey+"?reason=demo", definition, nil); err != nil {
		return err
	}
	return t.pageKey(ctx)
}

// pageKey makes a publishable key for the shop's page.
func (t *team) pageKey(ctx context.Context) error {
	var out struct{ Public string }
	if err := t.admin.Call(ctx, http.MethodPost, "/tokens", map[string]any{"name": "shop page", "kind": "flags"}, &out); err != nil {
		return err
	}
	t.d.shop.page["Key"] = out.Public
	return nil
}

// begin creates the rollout, or takes up the one that is under way, and
// starts it once its checklist is complete.
func (t *team) begin(ctx context.Context) (string, error) {
	var all []view
	if err := t.admin.Call(ctx, http.MethodGet, "/rollouts", nil, &all); err != nil {
		return "", err
	}
	for _, v := range all {
		if strings.HasPrefix(v.ID, planName+"-") && !v.ended() && v.State.Status != "cancelled" {
			t.d.out.event("taken up", "%s is %s in stage %s", v.ID, v.State.Status, v.stage())
			if v.State.Status != "preflight" {
				return v.ID, nil
			}
			return v.ID, t.start(ctx, v.ID)
		}
	}
	var created struct{ State struct{ ID string } }
	if err := t.admin.Call(ctx, http.MethodPost, "/rollouts", t.d.Plan, &created); err != nil {
		return "", err
	}
	id := created.State.ID
	t.d.out.line("rollout    %s/rollouts/%s", t.d.URL, id)
	return id, t.start(ctx, id)
}

// start works through the checklist and starts.
func (t *team) start(ctx context.Context, id string) error {
	if err := t.admin.Call(ctx, http.MethodPost, "/values", map[string]string{"ci": "pass"}, nil); err != nil {
		return err
	}
	// Nobody complains for long in a healthy shop: say once that the channel is open.
	if err := t.admin.Call(ctx, http.MethodPost, "/sources/feedback/confirm", nil, nil); err != nil {
		return err
	}
	deadline := time.Now().Add(setupTime)
	for {
		v, err := t.look(ctx, id)
		if err != nil {
			return err
		}
		var open []string
		for _, it := range v.Checklist {
			if it.Done {
				continue
			}
			open = append(open, it.Do)
			if it.By == "qa" && t.once(it.ID) {
				if err := t.do(ctx, "qa", id, "complete", map[string]any{"item": it.ID, "evidence": "tried by hand in staging"}); err != nil {
					return err
				}
			}
		}
		if len(open) == 0 {
			err := t.do(ctx, "team-lead", id, "start", map[string]any{"version": v.Version})
			if err == nil {
				return nil
			}
			if time.Now().After(deadline) {
				return err
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the checklist stays open: %s", strings.Join(open, "; "))
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// answer does what the rollout waits for, if it waits for a person.
func (t *team) answer(ctx context.Context, v view) error {
	if len(v.Waiting) == 0 {
		return nil
	}
	at := fmt.Sprintf("%d/%d/", v.State.Attempt, v.State.Stage)
	switch v.Waiting[0].Kind {
	case "checklist":
		for _, it := range v.Before {
			if !it.Done {
				return t.do(ctx, "team-lead", v.ID, "complete", map[string]any{"item": it.ID})
			}
		}
	case "confirm":
		for _, it := range v.Confirm {
			if !it.Done {
				return t.do(ctx, "team-lead", v.ID, "confirm", map[string]any{"item": it.ID, "version": v.Version})
			}
		}
	case "incident":
		return t.respond(ctx, v.ID)
	case "approval":
		return t.do(ctx, "team-lead", v.ID, "approve", map[string]any{"version": v.Version})
	case "decision":
		if t.once(at + v.Waiting[0].Text) {
			return t.do(ctx, "team-lead", v.ID, "accept", map[string]any{"version": v.Version, "reason": "looked at by hand: " + v.Waiting[0].Text})
		}
	}
	return nil
}

// respond is what on-call does about an open incident by which the rollout
// waits at a gate: serin has watched its rules for all of the bake by then.
func (t *team) respond(ctx context.Context, id string) error {
	var list []struct{ ID, Rollout, Status, Title string }
	if err := t.admin.Call(ctx, http.MethodGet, "/incidents", nil, &list); err != nil {
		return err
	}
	for _, in := range list {
		if in.Rollout != id || in.Status != "open" || !t.once("incident "+in.ID) {
			continue
		}
		t.d.out.event("incident", "%s: %s", in.ID, in.Title)
		for _, step := range []struct {
			verb string
			body map[string]any
		}{
			{"acknowledge", map[string]any{}},
			{"decide", map[string]any{"do": "hold", "text": "no rule of the rollout is met: the stage has baked under it"}},
			{"resolve", map[string]any{"text": "errors that the old dashboard has too"}},
		} {
			if err := t.roles["on-call"].Call(ctx, http.MethodPost, "/incidents/"+url.PathEscape(in.ID)+"/"+step.verb, step.body, nil); err != nil {
				return fmt.Errorf("on-call %s %s: %w", step.verb, in.ID, err)
			}
		}
	}
	return nil
}

func (t *team) once(what string) bool {
	first := !t.done[what]
	t.done[what] = true
	return first
}

// do sends one command in a role. A refusal because something changed
// meanwhile is no error: the next look sees the new state.
func (t *team) do(ctx context.Context, role, id, verb string, body map[string]any) error {
	err := t.roles[role].Call(ctx, http.MethodPost, "/rollouts/"+url.PathEscape(id)+"/"+verb, body, nil)
	var answer interface{ HTTPStatus() int }
	if errors.As(err, &answer) && answer.HTTPStatus() == http.StatusConflict && verb != "start" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", role, verb, err)
	}
	return nil
}

func (t *team) look(ctx context.Context, id string) (view, error) {
	var v view
	err := t.admin.Call(ctx, http.MethodGet, "/rollouts/"+url.PathEscape(id), nil, &v)
	return v, err
}

// pause waits in real time.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
