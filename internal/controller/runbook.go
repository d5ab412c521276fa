package controller

import (
	"context"
	"fmt"
	"strings"
	"time"

	"serin/internal/plan"
)

// Runbook is who does what and when, from the plan in force alone.
type Runbook struct {
	Rollout   string          `json:"rollout"`
	Plan      string          `json:"plan"`
	Title     string          `json:"title"`
	Revision  int             `json:"revision"`
	Timezone  string          `json:"timezone"`
	Raise     []string        `json:"raise"` // windows in which traffic may rise
	Preflight []RunbookTask   `json:"preflight"`
	Phases    []RunbookPhase  `json:"phases"`
	Roles     []RunbookRole   `json:"roles"`
	Rollback  []string        `json:"rollback"` // rules: any one takes the canary back
	Reduce    []string        `json:"reduce"`   // rules: any one reduces the traffic
	Actions   RunbookActions  `json:"actions"`
	Alerts    []RunbookAlert  `json:"alerts"`
	Incident  RunbookIncident `json:"incident"`
	Cleanup   RunbookCleanup  `json:"cleanup"`
	Text      string          `json:"text"` // the whole runbook as plain text
}

// RunbookPhase is a stage as people work through it.
type RunbookPhase struct {
	Name         string        `json:"name"`
	Traffic      float64       `json:"traffic"` // percent of the audience on new
	Bake         time.Duration `json:"bake"`
	Enter        string        `json:"enter,omitempty"` // time of the day
	Owner        []string      `json:"owner,omitempty"`
	Before       []string      `json:"before,omitempty"`
	Approve      []string      `json:"approve,omitempty"` // any one of them
	Checks       []string      `json:"checks"`
	Proceed      []string      `json:"proceed"` // rules: all must be met
	Confirm      []string      `json:"confirm,omitempty"`
	Inconclusive string        `json:"inconclusive"` // ask, hold or pass
}

// RunbookRole is what a role may and does.
type RunbookRole struct {
	Name        string        `json:"name"`
	Who         string        `json:"who,omitempty"`
	Covers      time.Duration `json:"covers,omitempty"`
	May         []string      `json:"may,omitempty"`
	Does        []string      `json:"does,omitempty"`
	EscalatesTo string        `json:"escalates_to,omitempty"`
}

// RunbookTask is an item of the checklist or of the clean-up.
type RunbookTask struct {
	Do           string `json:"do"`
	By           string `json:"by,omitempty"`
	Verify       string `json:"verify,omitempty"` // the rule or fact that proves it
	Irreversible bool   `json:"irreversible,omitempty"`
}

// RunbookActions are the ways back and the way on from there.
type RunbookActions struct {
	RollbackWithin time.Duration `json:"rollback_within"`
	ReduceTo       float64       `json:"reduce_to"` // percent
	ReduceWithin   time.Duration `json:"reduce_within"`
	Revert         []string      `json:"revert,omitempty"` // by hand, never run by serin
	RevertWithin   time.Duration `json:"revert_within,omitempty"`
	RevertBy       string        `json:"revert_by,omitempty"`
	RestartFrom    string        `json:"restart_from"`
	RestartAfter   time.Duration `json:"restart_after,omitempty"`
	RestartNeeds   []string      `json:"restart_needs,omitempty"`
}

// RunbookAlert is an alert and who is told.
type RunbookAlert struct {
	Name     string   `json:"name"`
	If       string   `json:"if"`
	Severity string   `json:"severity,omitempty"`
	Notify   []string `json:"notify"`
}

// RunbookIncident is what people do in an incident.
type RunbookIncident struct {
	Opens   []string      `json:"opens"`
	Severe  string        `json:"severe,omitempty"`
	Respond time.Duration `json:"respond"`
	Decide  time.Duration `json:"decide"`
	Act     time.Duration `json:"act"`
	Steps   []string      `json:"steps"`
	Tree    []RunbookStep `json:"tree"` // the first that holds
	Close   []string      `json:"close"`
}

// RunbookStep is a row of the decision tree.
type RunbookStep struct {
	If string `json:"if,omitempty"` // "" = otherwise
	Do string `json:"do"`
}

// RunbookCleanup is what follows the last stage.
type RunbookCleanup struct {
	Owners []string      `json:"owners,omitempty"`
	Within time.Duration `json:"within,omitempty"`
	Tasks  []RunbookTask `json:"tasks"`
}

// Runbook returns the runbook of a rollout's plan in force; the id may be a
// plan's name. A *rollout.Refusal says that the plan cannot be read.
func (c *Controller) Runbook(_ context.Context, id string) (Runbook, error) {
	w, err := c.find(id)
	if err != nil {
		return Runbook{}, err
	}
	if err := w.planKnown(); err != nil {
		return Runbook{}, err
	}
	r := runbook(w.inForce.Load())
	r.Rollout, r.Revision = w.id, w.view.Load().State.Revision
	return r, nil
}

func runbook(p *plan.Plan) Runbook {
	a := p.Actions
	r := Runbook{
		Plan: p.Name, Title: p.Title, Timezone: p.Timezone, Raise: windows(p), Preflight: tasks(p.Preflight),
		Phases: phases(p), Roles: []RunbookRole{}, Rollback: rules(p.Rollback), Reduce: rules(p.Reduce), Alerts: []RunbookAlert{},
		Actions: RunbookActions{RollbackWithin: a.RollbackWithin, ReduceTo: percent(a.ReduceTraffic), ReduceWithin: a.ReduceWithin,
			Revert: a.Revert.Show, RevertWithin: a.Revert.Within, RevertBy: a.Revert.By,
			RestartFrom: a.RestartFrom, RestartAfter: a.RestartAfter, RestartNeeds: a.RestartNeeds},
		Incident: incident(p.Incident),
		Cleanup:  RunbookCleanup{Owners: p.Cleanup.Owners, Within: p.Cleanup.Within, Tasks: tasks(p.Cleanup.Tasks)},
		Text:     plan.Runbook(p),
	}
	for _, role := range p.Roles {
		r.Roles = append(r.Roles, RunbookRole{Name: role.Name, Who: role.Who, Covers: role.Covers, May: role.May, Does: role.Does, EscalatesTo: role.EscalatesTo})
	}
	for _, alert := range p.Alerts {
		r.Alerts = append(r.Alerts, RunbookAlert{Name: alert.Name, If: alert.If.Text, Severity: alert.Severity, Notify: alert.Notify})
	}
	return r
}

func phases(p *plan.Plan) []RunbookPhase {
	out := make([]RunbookPhase, len(p.Stages))
	for i, s := range p.Stages {
		out[i] = RunbookPhase{Name: s.Name, Traffic: percent(p.Exposure(i)), Bake: s.Bake, Owner: s.Owner, Before: s.Before, Approve: s.Approve,
			Checks: []string{}, Proceed: rules(s.Proceed), Confirm: s.Confirm, Inconclusive: string(s.Inconclusive)}
		if s.At != nil {
			out[i].Enter = s.At.Text
		}
		for _, c := range s.Checks {
			text := "every " + plan.FormatDuration(c.Every)
			if c.For > 0 {
				text += " for " + plan.FormatDuration(c.For)
			}
			out[i].Checks = append(out[i].Checks, text)
		}
	}
	return out
}

func rules(list []*plan.Rule) []string {
	out := make([]string, len(list))
	for i, r := range list {
		out[i] = r.Text
	}
	return out
}

func tasks(list []plan.Task) []RunbookTask {
	out := make([]RunbookTask, len(list))
	for i, t := range list {
		out[i] = RunbookTask{Do: t.Do, By: t.By, Irreversible: t.Irreversible}
		if t.Verify != nil {
			out[i].Verify = t.Verify.Text
		}
	}
	return out
}

func incident(in plan.Incident) RunbookIncident {
	out := RunbookIncident{Opens: []string{}, Respond: in.Respond, Decide: in.Decide, Act: in.Act,
		Steps: append([]string{}, in.Steps...), Tree: []RunbookStep{}, Close: append([]string{}, in.Close...)}
	for _, severity := range in.OpenAlerts {
		out.Opens = append(out.Opens, "alert "+severity)
	}
	out.Opens = append(out.Opens, rules(in.Opens)...)
	if in.Severe != nil {
		out.Severe = in.Severe.Text
	}
	for _, b := range in.Tree {
		out.Tree = append(out.Tree, RunbookStep{Do: decision(b)})
		if b.If != nil {
			out.Tree[len(out.Tree)-1].If = b.If.Text
		}
	}
	return out
}

// decision is what a row of the decision tree does, in words.
func decision(b plan.Branch) string {
	words := map[string]string{"rollback": "roll back", "reduce": "reduce to " + b.Traffic.String(), "hotfix": "hotfix: flag off, stage kept"}
	parts := []string{b.Do}
	if text, ok := words[b.Do]; ok {
		parts[0] = text
	}
	for _, t := range b.Then {
		if t.Flag != "" {
			parts = append(parts, fmt.Sprintf("flag %s to %s", t.Flag, t.To))
			continue
		}
		parts = append(parts, t.Text)
	}
	return strings.Join(parts, ", then ")
}
