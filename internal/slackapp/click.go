package slackapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"serin/internal/alert"
	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/notify"
	"serin/internal/rollout"
	"serin/internal/store"
)

// errNothing is the answer for a rollout or an alert that is not there, or is
// of a project that the person is not in.
var errNothing = errors.New("there is nothing of that name here any more")

// notLinked says how somebody becomes known.
const notLinked = "You are not linked to an account of serin, so nothing was done. Sign in to serin, make a code under Settings, Your account, and send `/serin link CODE` here. " +
	"An account with the e-mail address that Slack knows you by is linked by itself."

// clicked is the job of a button.
func (a *App) clicked(c click) job {
	return func(ctx context.Context) {
		conn, _ := a.connection()
		if conn.API == nil {
			return
		}
		target, err := notify.ParseTarget(c.value)
		var p auth.Principal
		if err == nil {
			p, err = a.person(ctx, conn.API, c.by)
		}
		if err == nil {
			err = a.press(ctx, conn.API, p, c, target)
		}
		if err != nil {
			a.tell(ctx, conn.API, c.at.Response, a.excuse(ctx, err))
		}
	}
}

// person is who a user of Slack is.
func (a *App) person(ctx context.Context, api API, u auth.SlackUser) (auth.Principal, error) {
	return a.o.People.Slack(ctx, u, func(ctx context.Context) (string, error) {
		own, err := a.workspace(ctx, api)
		if err != nil || own != u.Team { // another workspace's word is not taken
			return "", err
		}
		return api.Email(ctx, u.ID)
	})
}

// workspace is the id of the app's own workspace.
func (a *App) workspace(ctx context.Context, api API) (string, error) {
	a.mu.Lock()
	team := a.team
	a.mu.Unlock()
	if team != "" {
		return team, nil
	}
	team, err := api.Team(ctx)
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	a.team = team
	a.mu.Unlock()
	return team, nil
}

// excuse is what somebody is told of an error.
func (a *App) excuse(ctx context.Context, err error) string {
	var no *rollout.Refusal
	var locked *auth.LockedError
	switch {
	case errors.As(err, &no):
		return "Not done: " + no.Why
	case errors.Is(err, auth.ErrUnauthenticated):
		return notLinked
	case errors.As(err, &locked):
		return "Too many wrong codes: try again in " + locked.After.Round(time.Second).String() + "."
	case errors.Is(err, store.ErrNotFound), errors.Is(err, errNothing):
		return "There is nothing of that name here any more."
	case errors.Is(err, alert.ErrNotFiring):
		return "Nothing of this alert fires any more."
	}
	a.o.Logger.ErrorContext(ctx, "carry out what somebody asked for in slack", "err", err)
	return "That did not work, and nothing was done: try again, or on serin's pages."
}

// press carries a button out.
func (a *App) press(ctx context.Context, api API, p auth.Principal, c click, t notify.Target) error {
	switch {
	case t.Rollout != "":
		return a.pressRollout(ctx, api, p, c, t)
	case t.Alert != "" && c.verb == notify.VerbAcknowledge:
		return a.acknowledge(ctx, api, p, c, t)
	case t.Incident != "" && a.o.Incident == nil:
		return &rollout.Refusal{Kind: rollout.Barred, Why: "incidents are not available by buttons on this server; use its pages"}
	case t.Incident != "":
		if !p.Can(auth.Operate) {
			return lacks(auth.Operate)
		}
		done, err := a.o.Incident(ctx, p, t.Incident, c.verb)
		if err != nil {
			return err
		}
		a.rewrite(ctx, api, c.at, by(done, p.Name, a.o.Now()))
		return nil
	}
	return errNothing
}

func lacks(scope auth.Scope) error {
	return &rollout.Refusal{Kind: rollout.Forbidden, Why: fmt.Sprintf("you lack the scope “%s”; ask an admin for it", scope)}
}

// verbs are the buttons of rollouts, and what is said once one was pressed.
var verbs = map[string]string{string(rollout.Approve): "Approved", string(rollout.Accept): "Accepted", string(rollout.Rollback): "Rolled back"}

// pressRollout carries out a button of a rollout.
func (a *App) pressRollout(ctx context.Context, api API, p auth.Principal, c click, t notify.Target) error {
	v, err := a.o.Rollouts.View(ctx, t.Rollout)
	if err != nil {
		return err
	}
	verb := rollout.Verb(c.verb)
	switch {
	case verbs[c.verb] == "" || !p.InProject(v.Project):
		return errNothing
	case !p.Can(auth.VerbScope(verb)):
		return lacks(auth.VerbScope(verb))
	case verb == rollout.Accept && c.reason == "":
		return a.askReason(ctx, api, c, v)
	}
	cmd := rollout.Command{ID: c.key(), Verb: verb, By: p.Name, Via: Via, Reason: c.reason}
	if !verb.Lowers() {
		cmd.Version = t.Version
	}
	if err := a.o.Rollouts.Authorize(ctx, v.ID, controller.Actor{Name: p.Name, Role: p.Role, Admin: p.Can(auth.Admin), Handles: p.Handles}, &cmd); err != nil {
		return err
	}
	res, err := a.o.Rollouts.Do(ctx, v.ID, cmd)
	var no *rollout.Refusal
	if errors.As(err, &no) && (no.Kind == rollout.Stale || no.Kind == rollout.Barred) {
		a.renew(ctx, api, c, v.ID, "Not done for "+p.Name+": "+no.Why)
		return nil
	}
	if err != nil {
		return err
	}
	who, at := p.Name, a.o.Now()
	for _, e := range res.Events { // of the first click, when this is the second
		if e.By != "" {
			who, at = e.By, e.At
			break
		}
	}
	a.rewrite(ctx, api, c.at, by(verbs[c.verb], who, at))
	return nil
}

// acknowledge says that somebody looks after what fires of an alert.
func (a *App) acknowledge(ctx context.Context, api API, p auth.Principal, c click, t notify.Target) error {
	v, err := a.o.Alerts.Get(t.Alert)
	if err != nil {
		return err
	}
	if !p.InProject(v.Project) {
		return errNothing
	}
	if !p.Can(auth.Operate) {
		return lacks(auth.Operate)
	}
	now, err := a.o.Alerts.Ack(ctx, t.Alert, nil, store.AuditEntry{Who: p.Name, Via: Via, Reason: c.reason, Address: "slack " + c.by.String()})
	if errors.Is(err, alert.ErrNotFiring) {
		a.rewrite(ctx, api, c.at, "Nothing of this alert fires any more.")
		return nil
	}
	if err != nil {
		return err
	}
	who, at := p.Name, a.o.Now()
	for _, g := range now.Groups {
		if !g.Acked.IsZero() && g.Acked.Before(at) {
			who, at = g.AckedBy, g.Acked
		}
	}
	a.rewrite(ctx, api, c.at, by("Acknowledged", who, at))
	return nil
}

// by says who did what and when.
func by(done, who string, at time.Time) string {
	return fmt.Sprintf("%s by %s, %s", done, who, at.UTC().Format("2 Jan 2006 15:04:05 UTC"))
}

// The form that asks for the reason of an accept.
const (
	acceptForm  = "serin.accept"
	reasonInput = "reason"
	maxReason   = 1000
)

// askReason opens the form: an accept is shown with its reason in every report.
func (a *App) askReason(ctx context.Context, api API, c click, v controller.View) error {
	at := c.at
	meta, err := json.Marshal(formMetadata{Value: c.value, At: at})
	if err != nil {
		return fmt.Errorf("encode a form: %w", err)
	}
	const maxMetadata, maxQuestion = 3000, 150
	if len(meta) > maxMetadata {
		return fmt.Errorf("the form of an accept would carry %d bytes, at most %d", len(meta), maxMetadata)
	}
	view, err := json.Marshal(map[string]any{
		"type": "modal", "callback_id": acceptForm, "private_metadata": string(meta),
		"title": plain("Accept the unknown"), "submit": plain("Accept"), "close": plain("Cancel"),
		"blocks": []any{map[string]any{
			"type": "input", "block_id": reasonInput, "label": plain(notify.OneLine("Why may "+v.ID+" go on without knowing?", maxQuestion)),
			"hint":    plain("Kept in the journal and shown in every report."),
			"element": map[string]any{"type": "plain_text_input", "action_id": reasonInput, "multiline": true, "min_length": 1, "max_length": maxReason},
		}},
	})
	if err != nil {
		return fmt.Errorf("encode a form: %w", err)
	}
	return api.OpenView(ctx, c.trigger, view)
}

func plain(s string) map[string]any { return map[string]any{"type": "plain_text", "text": s} }

func mrkdwn(s string) map[string]any { return map[string]any{"type": "mrkdwn", "text": s} }

// escape writes s as Slack wants text that is no markup, at most limit
// characters before that.
func escape(s string, limit int) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(notify.Cut(s, limit))
}

// tell says something that only the user sees.
func (a *App) tell(ctx context.Context, api API, address, text string) {
	if address == "" {
		return
	}
	const maxText = 2800 // of the 3000 of a section, with room for escapes
	if err := api.Respond(ctx, address, map[string]any{"response_type": "ephemeral", "replace_original": false, "text": notify.Cut(text, maxText)}); err != nil {
		a.o.Logger.WarnContext(ctx, "answer somebody in slack", "err", err)
	}
}

// rewrite lets a message's buttons give way to what was done. Its other blocks
// stay as they were.
func (a *App) rewrite(ctx context.Context, api API, at place, done string) {
	var blocks []json.RawMessage
	for _, b := range at.Blocks {
		var kind struct {
			Type string `json:"type"`
		}
		if json.Unmarshal(b, &kind) == nil && kind.Type != "actions" {
			blocks = append(blocks, b)
		}
	}
	a.replace(ctx, api, at, done, blocks)
}

// renew rewrites a message with the state that the rollout is in now.
func (a *App) renew(ctx context.Context, api API, c click, id, why string) {
	v, err := a.o.Rollouts.View(ctx, id)
	if err != nil {
		a.tell(ctx, api, c.at.Response, why)
		return
	}
	const maxState = 2500
	state, err := json.Marshal(map[string]any{"type": "section", "text": mrkdwn(escape(standing(v), maxState))})
	if err != nil {
		return
	}
	blocks := []json.RawMessage{state}
	if b := api.Buttons(v.ID, a.o.Rollouts.Buttons(v.ID)); b != nil {
		blocks = append(blocks, b)
	}
	a.replace(ctx, api, c.at, why, blocks)
}

// replace puts blocks and a last line in the place of a message: by the
// interaction's own address, else by chat.update.
func (a *App) replace(ctx context.Context, api API, at place, line string, blocks []json.RawMessage) {
	const maxBlocks, maxLine = 50, 1500
	last, err := json.Marshal(map[string]any{"type": "context", "elements": []any{mrkdwn(escape(line, maxLine))}})
	if err != nil {
		return
	}
	blocks = append(blocks[:min(len(blocks), maxBlocks-1)], last)
	if at.Response != "" {
		if err = api.Respond(ctx, at.Response, map[string]any{"replace_original": true, "text": line, "blocks": blocks}); err == nil {
			return
		}
	}
	all, merr := json.Marshal(blocks)
	if merr == nil && at.TS != "" {
		err = api.Update(ctx, at.Channel, at.TS, line, all)
	}
	if err != nil {
		a.o.Logger.WarnContext(ctx, "rewrite a message in slack", "channel", at.Channel, "err", err)
	}
}

// standing is where a rollout stands, in a few lines.
func standing(v controller.View) string {
	lines := []string{fmt.Sprintf("%s is %s at %g%%", v.ID, strings.ReplaceAll(string(v.State.Status), "_", " "), v.Exposure)}
	if i := v.State.Stage; i >= 0 && i < len(v.Stages) && v.State.Status == rollout.Running {
		lines[0] += ", stage " + v.Stages[i].Name
	}
	for i, w := range v.Waiting {
		const most = 3
		if i == most {
			break
		}
		lines = append(lines, "waits: "+w.Text)
	}
	return strings.Join(lines, "\n")
}
