package web

import (
	"fmt"
	"time"

	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// deployCard is what the page of a rollout says of its build variable.
type deployCard struct {
	Variable, Text string
	Holds          []string // key = value
	Pill           pill
	Since          stamp // zero where nothing was ever to deploy
	Run            string
	Commands       []string
	Hand           bool // the commands are for a person, now
}

// deployPills are the words and looks of controller.DeployView.State.
var deployPills = map[string]pill{
	controller.DeployUnchanged: {"wait", "dot", "Nothing yet"}, controller.DeployByHand: {"hold", "hand", "By hand"},
	controller.DeployQueued: {"wait", "wait", "Queued"}, controller.DeployRuns: {"info", "up", "Deploying"},
	controller.DeployRetries: {"warn", "warn", "Trying again"}, controller.DeployFailed: {"fail", "cross", "Failed"},
	controller.DeployWaits: {"hold", "hold", "Not reported live"}, controller.DeployLive: {"pass", "pass", "Live"},
}

// deployOf is nil for a plan without a build variable.
func deployOf(v controller.View, now time.Time) *deployCard {
	d := v.Deploy
	if d == nil {
		return nil
	}
	c := &deployCard{Variable: d.Variable, Text: d.Text, Pill: deployPills[d.State], Commands: d.Commands, Since: at(d.Since, now),
		Holds: []string{fmt.Sprintf("%s: %v", v.Flag, d.On), fmt.Sprintf("%s_canary: %v", v.Flag, d.Canary)},
		Hand:  d.State == controller.DeployByHand || d.State == controller.DeployFailed}
	if d.Run != nil {
		c.Run = runText(*d.Run)
	}
	return c
}

// runText is a run of the deploy hook in one line.
func runText(r rollout.HookRun) string {
	text := fmt.Sprintf("try %d", r.Try)
	switch {
	case r.Ended.IsZero():
		return text + ", under way"
	case r.How == rollout.HookDone:
		text += ", ended well"
	default:
		text += ", " + r.How
	}
	if r.Took >= time.Second {
		text += " after " + plan.FormatDuration(r.Took.Round(time.Second))
	}
	if r.Why != "" {
		text += ": " + clip(r.Why, 120)
	}
	return text
}
