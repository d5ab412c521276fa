package web

import (
	"cmp"
	"fmt"

	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// wayBack is one of the ways back, beside the others.
type wayBack struct {
	Verb     rollout.Verb
	Number   int
	Title    string
	Limit    string // "within 5m"; "" = the plan names none
	Here     bool   // the form that shows it
	Open     bool
	URL      string
	Commands []string
	Note     string
}

// waysOf are the ways back that the form of a lowering, or of a revert, shows
// side by side.
func waysOf(v controller.View, verb rollout.Verb) []wayBack {
	if verb != rollout.Rollback && verb != rollout.Reduce && verb != rollout.Revert || len(v.Ways) < 2 {
		return nil
	}
	var out []wayBack
	for i, w := range v.Ways {
		x := wayBack{Verb: w.Verb, Number: i + 1, Title: w.Title, Here: w.Verb == verb, Open: w.Open,
			URL: "/rollouts/" + v.ID + "/" + string(w.Verb), Commands: w.Commands, Note: w.Note}
		if w.Within > 0 {
			x.Limit = "within " + plan.FormatDuration(w.Within)
		}
		out = append(out, x)
	}
	return out
}

// describeRevert words the begin and the end of a revert by hand.
func describeRevert(a *action, v controller.View) {
	var w controller.WayBack
	for _, x := range v.Ways {
		if x.Verb == rollout.Revert {
			w = x
		}
	}
	who := ""
	if w.Role != "" {
		who = " The plan gives it to " + w.Role + "."
	}
	a.Note = "Traffic stays as it is"
	if w.Begun == nil {
		a.Question = "Revert " + v.Plan + " by hand?"
		a.Text = "serin runs nothing: copy the commands, and say here that you are doing it. The time is measured from then on." + who
		a.Fields = []field{reason("Reason, kept in the journal", false)}
		return
	}
	a.Question, a.Label, a.Submit = "Is the revert live?", "Revert is live", "It is live"
	a.Text = fmt.Sprintf("%s began at %s UTC. Say so once the reverted code is deployed; serin deployed with another commit says it too.",
		cmp.Or(w.Begun.By, "Somebody"), w.Begun.At.UTC().Format("15:04")) + who
	a.Fields = []field{{Name: "done", Label: "What happened", Kind: "select", Required: true, Options: []option{{"yes", "The reverted code is live", true}}}}
}

// describeRestartApproval words the approval that a new attempt needs.
func describeRestartApproval(a *action, title string) {
	a.Question, a.Submit, a.Label = "Approve a new attempt of "+title+"?", "Approve the restart", "Approve restart"
	a.Text = "Your approval is recorded with your name. Traffic does not move: somebody who may restart still has to."
	a.Fields = []field{{Name: "item", Label: "What is approved", Kind: "select", Required: true,
		Options: []option{{"restart", "A restart after the rollback", true}, {"revise", "A looser revision of the plan", false}}}}
}

// onlyOpen reports whether the head of the page leaves the verb out where it
// is barred: most plans have no use for it there.
func onlyOpen(v rollout.Verb) bool { return v == rollout.Approve || v == rollout.Revert }

// withRevert adds the revert to the buttons where it is what there is to do:
// one is under way, or the flag no longer helps.
func withRevert(v controller.View, verbs []rollout.Verb) []rollout.Verb {
	if v.State.Revert == nil && v.State.Status != rollout.RolledBack && !v.State.Irreversible {
		return verbs
	}
	return append([]rollout.Verb{rollout.Revert}, verbs...)
}
