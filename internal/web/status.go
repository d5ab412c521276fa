package web

import (
	"fmt"
	"strings"
	"time"

	"serin/internal/controller"
	"serin/internal/judge"
	"serin/internal/rollout"
)

// pill is a verdict as shape, word and colour.
type pill struct{ Class, Icon, Word string }

// passable are the reasons to wait that an override passes
// (bake, criteria and window, nothing else: see rollout.Promote); the approval is
// given by the promotion itself.
var passable = map[string]bool{"bake": true, "criteria": true, "evidence": true, "decision": true, "window": true, "approval": true}

// waitWords are the short words of each reason to wait, as shown in pills.
var waitWords = map[string]pill{
	"no data":               {"warn", "warn", "No data"},
	"blind":                 {"warn", "warn", "Blind"},
	"data incomplete":       {"warn", "warn", "Data incomplete"},
	"unattributed":          {"warn", "warn", "Unattributed data"},
	"telemetry loss by arm": {"warn", "warn", "Telemetry loss"},
	"srm":                   {"warn", "warn", "Uneven split"},
	"judge version":         {"warn", "warn", "Judge changed"},
	"bake":                  {"pass", "pass", "On track"},
	"criteria":              {"hold", "hold", "Holding"},
	"evidence":              {"wait", "wait", "Needs data"},
	"decision":              {"hold", "hold", "Needs a decision"},
	"incident":              {"fail", "fail", "Incident"},
	"unreadable":            {"fail", "fail", "Cannot be read"},
	"confirm":               {"wait", "person", "Needs a person"},
	"checklist":             {"wait", "person", "Checklist"},
	"window":                {"wait", "wait", "Waits for its time"},
	"approval":              {"wait", "person", "Needs approval"},
}

// needKinds are the main reasons that only a person can clear.
var needKinds = map[string]bool{"no data": true, "blind": true, "data incomplete": true, "unattributed": true,
	"telemetry loss by arm": true, "srm": true, "judge version": true, "criteria": true, "decision": true, "incident": true, "confirm": true,
	"checklist": true, "approval": true, "unreadable": true}

// pillOf is a rollout's state in one pill.
func pillOf(v controller.View) pill {
	switch v.State.Status {
	case rollout.Preflight:
		return pill{"wait", "wait", "Not started"}
	case rollout.Paused:
		return pill{"hold", "hold", "Paused"}
	case rollout.Reduced:
		if v.State.Hotfix {
			return pill{"warn", "warn", "Hotfix, flag off"}
		}
		return pill{"warn", "down", "Reduced"}
	case rollout.RolledBack:
		return pill{"fail", "back", "Rolled back"}
	case rollout.Cleanup:
		return pill{"info", "broom", "Clean-up"}
	case rollout.Done:
		return pill{"pass", "pass", "Done"}
	case rollout.Cancelled:
		return pill{"wait", "cross", "Cancelled"}
	}
	if len(v.Waiting) > 0 {
		if p, ok := waitWords[v.Waiting[0].Kind]; ok {
			return p
		}
		return pill{"wait", "wait", upper(v.Waiting[0].Kind)}
	}
	return pill{"pass", "pass", "On track"}
}

// stageName is where a rollout stands in two words.
func stageName(v controller.View) string {
	switch v.State.Status {
	case rollout.Preflight:
		return "Not started"
	case rollout.Cleanup:
		return "100%, clean-up"
	}
	return percent(v.Exposure)
}

// current is the stage a rollout stands in; nil before the start.
func current(v controller.View) *controller.StageView {
	if v.State.Attempt == 0 || v.State.Stage < 0 || v.State.Stage >= len(v.Stages) {
		return nil
	}
	return &v.Stages[v.State.Stage]
}

// bakeText is "bake 3h 12m/24h", empty where nothing bakes.
func bakeText(v controller.View) string {
	st := current(v)
	if st == nil || st.Bake <= 0 || v.State.Status != rollout.Running && v.State.Status != rollout.Paused {
		return ""
	}
	return "bake " + duration(min(st.Baked, st.Bake)) + "/" + duration(st.Bake)
}

// ended reports whether nothing will happen to a rollout any more.
func ended(v controller.View) bool {
	return v.State.Status == rollout.Done || v.State.Status == rollout.Cancelled
}

// verdictPill is a gate's verdict. Met gates that near their limit say so.
func verdictPill(v judge.Verdict) pill {
	switch {
	case v.Status == judge.NotMet:
		return pill{"fail", "fail", "Not met"}
	case v.Status == judge.Unknown && v.Cause == judge.CauseEvidence:
		return pill{"wait", "wait", "Needs data"}
	case v.Status == judge.Unknown:
		return pill{"wait", "wait", "Unknown"}
	case v.Harm:
		return pill{"hold", "hold", "Harm shown"}
	case near(v):
		return pill{"warn", "warn", "Met, near"}
	}
	return pill{"pass", "pass", "Met"}
}

// near reports whether a fixed limit is less than a tenth away.
func near(v judge.Verdict) bool {
	if v.Value == nil || v.Ref != "" || v.Limit <= 0 || !finite(*v.Value) {
		return false
	}
	switch {
	case strings.Contains(v.Rule, " < "), strings.Contains(v.Rule, " <= "):
		return *v.Value >= .9*v.Limit
	case strings.Contains(v.Rule, " > "), strings.Contains(v.Rule, " >= "):
		return *v.Value <= 1.02*v.Limit
	}
	return false
}

// sentence says why a rollout waits: what comes first, then all that is left.
type sentence struct {
	Class, Icon, Head, Text string
	Rest                    []string
	Link, LinkText, Dialog  string
}

// sentenceOf is the one sentence under the rail.
func sentenceOf(v controller.View, now time.Time) sentence {
	s := sentence{Class: "plain", Icon: "wait"}
	base := "/rollouts/" + v.ID
	act := func(verb rollout.Verb, text string) {
		if a := find(v.Actions, verb); a != nil {
			s.Link, s.LinkText, s.Dialog = base+"/"+string(verb), text, "d-"+string(verb)
		}
	}
	switch v.State.Status {
	case rollout.Preflight:
		open := openItems(v.Checklist)
		s.Head = "Not started."
		if open > 0 {
			s.Text = fmt.Sprintf("The checklist has %s open; after that a person starts it.", plural(int64(open), "item"))
			s.Link, s.LinkText = base+"/checklist", "See the checklist"
		} else {
			s.Text = "The checklist is complete. A start puts " + firstStage(v) + " of the audience on new."
			act(rollout.Start, "Start")
		}
	case rollout.Paused:
		s.Class, s.Icon, s.Head = "hold", "hold", "Paused by a person."
		s.Text = reasonText(v) + "No raise until someone resumes; checks and automatic rollback stay active."
		act(rollout.Resume, "Resume")
	case rollout.Reduced:
		s.Class, s.Icon, s.Head = "warn", "warn", "Reduced to "+percent(v.Exposure)+"."
		s.Text = reasonText(v) + "A person resumes the stage when the cause is gone; its bake starts again."
		act(rollout.Resume, "Resume")
	case rollout.RolledBack:
		s.Class, s.Icon, s.Head = "fail", "back", "Rolled back to 0%."
		s.Text = reasonText(v) + "Everybody has the old version. Note the cause, then restart or cancel."
		act(rollout.Restart, "Restart")
	case rollout.Cleanup:
		s.Class, s.Icon, s.Head = "ok", "broom", "Everybody has the new version."
		done, all := tally(v.Tasks)
		s.Text = fmt.Sprintf("Clean-up: %d of %d tasks are done.", done, all)
		if act(rollout.Finish, "Finish"); done < all {
			s.Link, s.LinkText, s.Dialog = base+"/cleanup", "See the tasks", ""
		}
	case rollout.Done:
		s.Class, s.Icon, s.Head, s.Text = "ok", "pass", "Done.", "The rollout is finished; everybody has the new version."
	case rollout.Cancelled:
		s.Icon, s.Head, s.Text = "cross", "Cancelled.", reasonText(v)+"Nobody has the new version through this rollout."
	default:
		return waitSentence(v, s, act)
	}
	return s
}

// waitSentence words the waiting list of a running rollout.
func waitSentence(v controller.View, s sentence, act func(rollout.Verb, string)) sentence {
	next := nextStage(v)
	if len(v.Waiting) == 0 {
		s.Class, s.Icon, s.Head, s.Text = "ok", "pass", "Every gate is open.", "serin goes on to "+next+" at its next look."
		return s
	}
	first := v.Waiting[0]
	for _, w := range v.Waiting[1:] {
		s.Rest = append(s.Rest, w.Text)
	}
	s.Class, s.Icon = "hold", "hold"
	d := first.Detail
	switch first.Kind {
	case "bake":
		s.Class, s.Icon, s.Head, s.Text = "ok", "pass", "On track.", "The stage has baked "+d+"; then serin goes on to "+next+" if every gate holds."
	case "criteria":
		s.Head, s.Text = "Holding.", "A gate is not met: "+d+". serin goes on to "+next+" once every gate holds."
		s.Link, s.LinkText = "#gates", "See the gates"
	case "evidence":
		s.Class, s.Icon, s.Head, s.Text = "plain", "wait", "Needs data.", "There is not enough evidence for "+d+" yet. Unknown never raises traffic."
		s.Link, s.LinkText = "#gates", "See the gates"
	case "decision":
		s.Head, s.Text = "Needs a decision.", "The bake is over and "+d+" is still unknown. Accept it with a reason, wait, or roll back."
		act(rollout.Accept, "Accept or wait")
	case "approval":
		s.Icon, s.Head, s.Text = "person", "Needs approval.", "Everything else holds; "+next+" starts with the approval of "+d+"."
		act(rollout.Approve, "Review and approve")
	case "confirm":
		s.Icon, s.Head, s.Text = "person", "Needs a person.", "No metric can say this: "+openText(v.Confirm)+"."
		act(rollout.Confirm, "Confirm")
	case "checklist":
		s.Icon, s.Head, s.Text = "person", "Needs a person.", "Before "+next+": "+openText(v.Before)+"."
		s.Link, s.LinkText = "#checklist", "See the checklist"
	case "incident":
		s.Class, s.Icon, s.Head, s.Text = "fail", "fail", "Incident "+d+" is open.", "Nothing is raised until it is resolved."
	case "unreadable":
		s.Class, s.Icon, s.Head, s.Text = "fail", "fail", "Cannot be read.", "It is not judged and nothing of it rises; it can be rolled back. "+upper(d)
	case "window":
		s.Class, s.Icon, s.Head, s.Text = "plain", "wait", "Waits for its time.", "Every gate is open; "+next+" may start "+d+"."
	case "no data":
		s.Class, s.Icon, s.Head, s.Text = "warn", "warn", "No data.", "Telemetry has been silent for "+d+". Unknown never raises traffic."
	case "blind":
		s.Class, s.Icon, s.Head, s.Text = "warn", "warn", "A guard is blind.", "The source of "+d+" fails, so its rollback rule cannot be judged."
	default:
		s.Class, s.Icon, s.Head, s.Text = "warn", "warn", upper(first.Text)+".", "The data cannot be trusted for a raise until this is cleared or accepted."
	}
	return s
}

func reasonText(v controller.View) string {
	r := strings.TrimSpace(v.State.Reason)
	if r == "" {
		return ""
	}
	return "Reason: " + strings.TrimRight(clip(r, 300), ".") + ". "
}

func firstStage(v controller.View) string {
	if len(v.Stages) == 0 {
		return "nobody"
	}
	return percent(v.Stages[0].Traffic)
}

// nextStage names what follows the current stage.
func nextStage(v controller.View) string {
	if i := v.State.Stage + 1; v.State.Attempt > 0 && i < len(v.Stages) {
		return percent(v.Stages[i].Traffic)
	} else if v.State.Attempt == 0 {
		return firstStage(v)
	}
	return "clean-up"
}

// openItems counts the items that are left to do.
func openItems(items []controller.ItemView) int {
	done, all := tally(items)
	return all - done
}

// openText lists the open items in one line.
func openText(items []controller.ItemView) string {
	var open []string
	for _, it := range items {
		if !it.Done {
			open = append(open, clip(orElse(it.Do, it.ID), 80))
		}
	}
	if len(open) == 0 {
		return "an item is open"
	}
	return strings.Join(open, ", ")
}

// find returns the action of a verb, nil if the rollout does not offer it.
func find(list []controller.Action, verb rollout.Verb) *controller.Action {
	for i := range list {
		if list[i].Verb == verb {
			return &list[i]
		}
	}
	return nil
}
