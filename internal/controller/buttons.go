package controller

import (
	"slices"
	"strconv"

	"serin/internal/flag"
	"serin/internal/notify"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// Buttons are what a person may do about a rollout that stands at s, as
// buttons of a message: approve the next stage where its approval is missing,
// accept what is unknown where asked says that a person is asked, and roll
// back while anybody is on the new variant.
func Buttons(p *plan.Plan, s rollout.State, asked bool) []notify.Action {
	value := notify.Target{Rollout: s.ID, Stage: s.Stage, Attempt: s.Attempt, Version: s.Version}.Encode()
	var out []notify.Action
	next := s.Stage + 1
	if s.Status == rollout.Running && p != nil && next < len(p.Stages) && len(p.Stages[next].Approve) > 0 && !approved(s) {
		out = append(out, notify.Action{Label: "Approve " + shareText(p.Stages[next].Traffic), Verb: notify.VerbApprove, Value: value})
	}
	if asked && s.Status == rollout.Running {
		out = append(out, notify.Action{Label: "Accept", Verb: notify.VerbAccept, Value: value})
	}
	if s.Exposure > 0 && !s.Irreversible && !slices.Contains([]rollout.Status{rollout.Done, rollout.Cancelled, rollout.RolledBack}, s.Status) {
		out = append(out, notify.Action{Label: "Roll back", Verb: notify.VerbRollback, Value: value})
	}
	return out
}

// approved reports whether the raise out of the stage was approved.
func approved(s rollout.State) bool {
	return slices.ContainsFunc(s.Approved, func(m rollout.Mark) bool {
		return m.Item == "" && m.Attempt == s.Attempt && m.Stage == s.Stage
	})
}

func shareText(p flag.Percent) string {
	return strconv.FormatFloat(float64(p)*100/float64(flag.Everyone), 'f', -1, 64) + "%"
}

// withButtons gives the notices of a decision what a person may do about it.
func withButtons(list []notify.Notice, p *plan.Plan, next rollout.State) []notify.Notice {
	for i, n := range list {
		asked := n.Type == string(rollout.Asked) && n.Rule == "" || n.Type == string(rollout.DataQuality)
		list[i].Actions = Buttons(p, next, asked)
	}
	return list
}

// Buttons are those of a rollout as it stands now, without accepting: what is
// unknown is accepted by who was asked.
func (c *Controller) Buttons(id string) []notify.Action {
	w, err := c.find(id)
	if err != nil {
		return nil
	}
	return Buttons(w.inForce.Load(), w.view.Load().State, false)
}
