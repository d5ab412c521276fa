package controller

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"serin/internal/notify"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// deployChannel is the channel of notices that a build variable changed.
const deployChannel = "deploy"

// switched are the build variables that a decision changes, by name. A key
// that a variable lacks is one that is false there: a rollout that begins at
// 0 % changes nothing that a build could tell.
func (w *worker) switched(p *plan.Plan, next rollout.State) []string {
	if w.unread != nil || w.plan.Flag.Env == "" && p.Flag.Env == "" {
		return nil // nobody knows its plan, or no build holds the flag
	}
	with := func(list []holding, p *plan.Plan, s rollout.State) map[string]map[string]bool {
		mine := holding{w.id, p, s}
		if i := slices.IndexFunc(list, func(o holding) bool { return o.id == w.id }); i >= 0 {
			list = slices.Clone(list)
			list[i] = mine
		} else {
			list = append(slices.Clip(list), mine)
		}
		out := map[string]map[string]bool{}
		for _, v := range variables(list) {
			object := v.Object()
			maps.DeleteFunc(object, func(_ string, on bool) bool { return !on })
			out[v.Name] = object
		}
		return out
	}
	list := w.c.holdings()
	before, after := with(list, w.plan, w.state), with(list, p, next)
	var out []string
	for _, name := range slices.Compact(slices.Sorted(slices.Values([]string{w.plan.Flag.Env, p.Flag.Env}))) {
		if name != "" && !maps.Equal(before[name], after[name]) {
			out = append(out, name)
		}
	}
	return out
}

// withDeploys adds to the notices of a decision those for the build variables
// that it changes: one for each to its deploy hook, where there is one, and
// words about it to the notice of each channel about the event that changed it.
// A decision of a stopped server leaves it to the next start to know the hook.
func (w *worker) withDeploys(told []notify.Notice, names []string, events []rollout.Event) []notify.Notice {
	if len(names) == 0 {
		return told
	}
	e := cause(events, w.state)
	for _, name := range names {
		told = w.tellDeploy(told, name, e)
		if !w.c.courier.Hooked(name) && !w.c.stopped() {
			continue
		}
		title, _ := rollout.Title(w.plan, e)
		told = append(told, notify.Notice{
			ID: fmt.Sprintf("%s/%d/%s%s", w.id, e.Pos, notify.DeployScheme, name), Channel: deployChannel, Address: notify.DeployScheme + name,
			Rollout: w.id, Flag: w.plan.Flag.Key, Type: string(e.Type), Title: title, Text: e.Reason, At: e.At,
		})
	}
	return told
}

// stopped reports whether Run is not under way.
func (c *Controller) stopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.run == nil
}

// cause is the event of a decision that changed the exposure last, else its last one.
func cause(events []rollout.Event, before rollout.State) rollout.Event {
	out, was := events[len(events)-1], before.Exposure
	for _, e := range events {
		if e.Exposure != was {
			out, was = e, e.Exposure
		}
	}
	return out
}

// tellDeploy says in the notices about e what has to be deployed, and by whom.
func (w *worker) tellDeploy(told []notify.Notice, name string, e rollout.Event) []notify.Notice {
	text := "Build variable " + name + " changes: the deploy hook deploys it."
	if !w.c.courier.Hooked(name) {
		text = "Build variable " + name + " changes. No deploy hook is configured, deploy by hand:\n" + strings.Join(deployCommands(name), "\n")
	}
	prefix := fmt.Sprintf("%s/%d/", w.id, e.Pos)
	for i := range told {
		if strings.HasPrefix(told[i].ID, prefix) {
			told[i].Text = strings.TrimSpace(told[i].Text + "\n" + text)
		}
	}
	return told
}

// plainVariable is what a shell takes for the name of a variable.
var plainVariable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// deployCommands are what a person runs who deploys a build variable by hand;
// between the first and the last the application is built and deployed in
// its own way.
func deployCommands(name string) []string {
	if !plainVariable.MatchString(name) { // a plan may write anything, and people paste this into a shell
		return []string{"# the plan's flag.env is no name of a variable: mend it", "serin flag env", "serin deployed --release VERSION --commit COMMIT"}
	}
	return []string{
		"export " + name + `="$(serin flag env --name ` + name + `)"`,
		"# build and deploy with it, such as: vercel deploy --prod",
		"serin deployed --release VERSION --commit COMMIT",
	}
}

// DeployView is how far the builds are that hold the flag in a variable.
type DeployView struct {
	Variable string           `json:"variable"`
	On       bool             `json:"on"`     // what the variable holds under the flag's key
	Canary   bool             `json:"canary"` // and under KEY_canary
	Hook     bool             `json:"hook"`   // the server has a deploy hook for it
	State    string           `json:"state" enum:"unchanged,by hand,queued,deploying,retrying,failed,waiting,live"`
	Text     string           `json:"text"` // the state in a sentence
	Since    time.Time        `json:"since,omitzero"`
	Run      *rollout.HookRun `json:"run,omitempty"`      // the hook's last run since the change
	Commands []string         `json:"commands,omitempty"` // what a person has to run; none where the hook does it
}

// The states of a DeployView.
const (
	DeployUnchanged = "unchanged" // nobody was ever on new, or it was over before builds were looked after
	DeployByHand    = "by hand"   // no hook: a person deploys
	DeployQueued    = "queued"    // the hook is about to run
	DeployRuns      = "deploying"
	DeployRetries   = "retrying" // it failed and is tried again
	DeployFailed    = "failed"   // it failed and is not tried again
	DeployWaits     = "waiting"  // it ended well; nobody reported the deployment live
	DeployLive      = "live"     // serin deployed said so
)

// deployView is nil for a plan that names no build variable.
func deployView(p *plan.Plan, s rollout.State, hook bool) *DeployView {
	if p.Flag.Env == "" {
		return nil
	}
	v := &DeployView{Variable: p.Flag.Env, On: s.Exposure > 0, Canary: s.Exposure > 0 && s.Exposure < everyone, Hook: hook}
	b := s.Build
	if b == nil {
		v.State, v.Text = DeployUnchanged, "Nothing to deploy: nobody was on the new variant yet."
		if s.Attempt > 0 {
			v.Text = "Nothing is known of its builds: it was over before they were looked after."
		}
		return v
	}
	v.Since, v.Run = b.At, b.Run
	switch r := b.Run; {
	case !b.Live.IsZero() && (r == nil || !r.Ended.IsZero()):
		v.State, v.Since, v.Text = DeployLive, b.Live, "Live: release "+b.Release+" was reported."
	case r == nil && hook:
		v.State, v.Text = DeployQueued, "The deploy hook is about to run. It does not run for what changed before it was configured."
	case r == nil, r.Ended.IsZero() && !hook:
		v.State, v.Text = DeployByHand, "Deploy it by hand and report it: the server has no deploy hook for this variable."
	case r.Ended.IsZero():
		v.State, v.Since, v.Text = DeployRuns, r.Began, "The deploy hook runs."
	case r.How == rollout.HookDone:
		v.State, v.Since, v.Text = DeployWaits, r.Ended, "The deploy hook ended well. It is live once serin deployed reports it."
	case r.Last || !hook:
		v.State, v.Since, v.Text = DeployFailed, r.Ended, "The deploy hook "+r.How+" and is not tried again: deploy by hand and report it."
	default:
		v.State, v.Since, v.Text = DeployRetries, r.Ended, "The deploy hook "+r.How+": serin tries again."
	}
	switch v.State {
	case DeployByHand, DeployFailed, DeployQueued:
		v.Commands = deployCommands(v.Variable)
	case DeployWaits:
		v.Commands = deployCommands(v.Variable)[2:]
	}
	return v
}

// Record journals an event of another part of the engine, as Input.Record
// describes: it never moves traffic by itself, though the decision that takes
// it down may. The id is a rollout's. ErrStopped says that the server is
// shutting down.
func (c *Controller) Record(ctx context.Context, id string, e rollout.Event) error {
	w, err := c.find(id)
	if err != nil {
		return err
	}
	if w.unread != nil {
		return fmt.Errorf("%s cannot be read, so nothing is journalled: %w", id, w.unread)
	}
	_, err = w.ask(ctx, request{record: &e})
	return err
}
