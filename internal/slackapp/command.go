package slackapp

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/rollout"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// usage is the answer to "/serin help".
const usage = "`/serin status [PLAN]` where rollouts stand\n" +
	"`/serin record complaint|failure|escalation|revert|critical USER NOTE` what a user told you; USER - for nobody in particular\n" +
	"`/serin pause|reduce|rollback PLAN [REASON]` less traffic, or none\n" +
	"`/serin link CODE` says who you are; the code is made under Settings, Your account\n" +
	"Traffic is raised on serin's pages, or by the buttons of its messages."

// lowering are the verbs that a slash command may have, and what is said once one was done.
var lowering = map[string]string{string(rollout.Pause): "Paused", string(rollout.Reduce): "Reduced", string(rollout.Rollback): "Rolled back"}

// commanded is the job of a slash command. Its answer is seen by its user only.
func (a *App) commanded(s slash) job {
	return func(ctx context.Context) {
		conn, _ := a.connection()
		if conn.API == nil {
			return
		}
		answer, err := a.command(ctx, conn.API, s)
		if err != nil {
			answer = a.excuse(ctx, err)
		}
		a.tell(ctx, conn.API, s.Response, answer)
	}
}

// command carries a slash command out and returns the answer, as markup.
func (a *App) command(ctx context.Context, api API, s slash) (string, error) {
	words := strings.Fields(s.Text)
	verb := "help"
	if len(words) > 0 {
		verb, words = strings.ToLower(words[0]), words[1:]
	}
	if verb == "help" {
		return usage, nil
	}
	if verb == "link" && len(words) == 1 {
		p, err := a.o.People.LinkSlack(ctx, s.user(), words[0])
		if err != nil {
			return "", err
		}
		return "You are " + escape(p.Name, 100) + " here now. `/serin help` says what you can do.", nil
	}
	p, err := a.person(ctx, api, s.user())
	if err != nil {
		return "", err
	}
	switch {
	case verb == "status" && len(words) <= 1:
		return a.status(ctx, p, words)
	case verb == "record" && len(words) > 2:
		return a.record(ctx, p, s, words)
	case lowering[verb] != "" && len(words) > 0:
		return a.lower(ctx, p, s, rollout.Verb(verb), words[0], strings.Join(words[1:], " "))
	}
	if verb == "approve" || verb == "promote" || verb == "resume" || verb == "start" || verb == "accept" {
		return "Nothing was done: a slash command raises no traffic. Use the buttons of a message, or serin's pages.", nil
	}
	return "Nothing was done: `/serin " + escape(strings.ReplaceAll(s.Text, "`", ""), 100) + "` is no command.\n" + usage, nil
}

// shown bounds the rollouts of a status.
const shown = 10

// status tells where rollouts stand: those that need somebody first.
func (a *App) status(ctx context.Context, p auth.Principal, words []string) (string, error) {
	if !p.Can(auth.Read) {
		return "", lacks(auth.Read)
	}
	if len(words) == 1 {
		v, err := a.view(ctx, p, words[0])
		if err != nil {
			return "", err
		}
		return a.line(v), nil
	}
	views, err := a.o.Rollouts.Views(ctx)
	if err != nil {
		return "", err
	}
	views = slices.DeleteFunc(views, func(v controller.View) bool { return !p.InProject(v.Project) || store.Over(v.State.Status) })
	if len(views) == 0 {
		return "No rollout is under way.", nil
	}
	var lines []string
	for i, v := range views {
		if i == shown {
			lines = append(lines, fmt.Sprintf("and %d more", len(views)-i))
			break
		}
		lines = append(lines, a.line(v))
	}
	return strings.Join(lines, "\n"), nil
}

// line is where a rollout stands, with its page.
func (a *App) line(v controller.View) string {
	const most = 240
	text := escape(strings.ReplaceAll(standing(v), "\n", "; "), most)
	if a.o.BaseURL == "" {
		return text
	}
	return text + " <" + strings.TrimSuffix(a.o.BaseURL, "/") + "/rollouts/" + v.ID + "|open>"
}

// view finds a rollout of the person's projects by its id, or by a plan's name.
func (a *App) view(ctx context.Context, p auth.Principal, name string) (controller.View, error) {
	v, err := a.o.Rollouts.View(ctx, name)
	if err == nil && !p.InProject(v.Project) {
		err = store.ErrNotFound
	}
	if err != nil {
		return controller.View{}, fmt.Errorf("rollout %q: %w", name, err)
	}
	return v, nil
}

// lower pauses, reduces or rolls back.
func (a *App) lower(ctx context.Context, p auth.Principal, s slash, verb rollout.Verb, name, reason string) (string, error) {
	v, err := a.view(ctx, p, name)
	if err != nil {
		return "", err
	}
	if !p.Can(auth.VerbScope(verb)) {
		return "", lacks(auth.VerbScope(verb))
	}
	cmd := rollout.Command{ID: s.key(), Verb: verb, By: p.Name, Via: Via, Reason: reason, Percent: -1} // reduce: the plan's own share
	if err := a.o.Rollouts.Authorize(ctx, v.ID, controller.Actor{Name: p.Name, Role: p.Role, Admin: p.Can(auth.Admin), Handles: p.Handles}, &cmd); err != nil {
		return "", err
	}
	if _, err := a.o.Rollouts.Do(ctx, v.ID, cmd); err != nil {
		return "", err
	}
	if v, err = a.o.Rollouts.View(ctx, v.ID); err != nil {
		return "", err
	}
	return lowering[string(verb)] + ". " + a.line(v), nil
}

// kinds are the words of record and the kinds of feedback that they mean.
var kinds = map[string]string{"complaint": "complaint", "failure": "failure", "escalation": "escalation", "revert": "revert_request", "critical": "complaint"}

// record takes down what a user told somebody.
func (a *App) record(ctx context.Context, p auth.Principal, s slash, words []string) (string, error) {
	kind, user := strings.ToLower(words[0]), words[1]
	switch {
	case kinds[kind] == "":
		return "Nothing was recorded: write complaint, failure, escalation, revert or critical, then the user and a note.", nil
	case !p.Can(auth.Operate):
		return "", lacks(auth.Operate)
	case p.Home() == "":
		return "Nothing was recorded: you are in several projects. Use serin's pages, or serin record --project.", nil
	}
	if user == "-" {
		user = ""
	}
	const maxUser, maxNote = 200, 10000
	note := strings.Join(words[2:], " ")
	if len(user) > maxUser || len(note) > maxNote {
		return "Nothing was recorded: the user's id or the note is too long.", nil
	}
	now := a.o.Now()
	e := telemetry.ByHand(telemetry.Manual{ID: s.key(), Project: p.Home(), Kind: kinds[kind], User: user, Message: note, Critical: kind == "critical", By: p.Name}, now)
	if err := a.o.Accept(ctx, []telemetry.Event{e}); err != nil {
		return "", err
	}
	if err := a.o.Audit(ctx, store.AuditEntry{At: now, Who: p.Name, Via: Via, Address: "slack " + s.user().String(), Verb: "record feedback", Target: "feedback " + kinds[kind]}); err != nil {
		return "", err
	}
	return "Recorded: " + kind + ".", nil
}
