package web

import (
	"slices"
	"strings"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/rollout"
)

// action is a verb as a button, a dialog and a confirm page show it.
type action struct {
	Verb       rollout.Verb
	Label      string // of the button that opens the dialog
	Icon, Key  string
	Class      string // of that button
	URL        string
	Open       bool     // the submit works
	Missing    []string // what bars it
	Override   bool     // needs the typed id and a reason
	Final      bool     // needs the typed id: there is no way back
	Back       string   // the page to return to, see backTo
	Question   string
	Text       string
	Submit     string
	SubmitKind string // class of the submit button
	Keep       string // the safe choice
	Note       string // beside the buttons
	CLI        string
	Now, After string // exposure before and after; empty = no change
	NowUsers   string
	AfterUsers string
	Version    int64 // raising verbs only
	ID         string
	Fields     []field
	CSRF       string
	Error      string // why the last try was refused
	Changes    []entry
	Ways       []wayBack // where a lowering is offered
}

// field is one input of an action's form.
type field struct {
	Name, Label, Kind, Value, Hint string // Kind: text, select, item, confirm
	Required                       bool
	Options                        []option
}

type option struct {
	Value, Text string
	Selected    bool
}

// look is how a verb looks and reads.
type look struct{ label, icon, key, class, submit, kind string }

var looks = map[rollout.Verb]look{
	rollout.Start:    {"Start", "play", "n", "pri", "Start", "pri"},
	rollout.Approve:  {"Approve", "hand", "", "", "Approve", "pri"},
	rollout.Accept:   {"Accept", "hand", "", "", "Accept the unknown", "pri"},
	rollout.Confirm:  {"Confirm", "check", "", "", "Confirm", "pri"},
	rollout.Complete: {"Complete", "check", "", "", "Complete", "pri"},
	rollout.Reopen:   {"Reopen", "back", "", "", "Reopen", "pri"},
	rollout.Promote:  {"Promote", "up", "n", "", "Promote", "pri"},
	rollout.Pause:    {"Pause", "pause", "p", "ghost", "Pause", "pri"},
	rollout.Resume:   {"Resume", "play", "p", "", "Resume", "pri"},
	rollout.Reduce:   {"Reduce", "down", "d", "", "Reduce", "pri"},
	rollout.Rollback: {"Roll back", "back", "x", "danger", "Roll back now", "solid-danger"},
	rollout.Restart:  {"Restart", "play", "n", "pri", "Restart", "pri"},
	rollout.Cancel:   {"Cancel rollout", "cross", "", "ghost", "Cancel the rollout", "solid-danger"},
	rollout.Finish:   {"Finish", "check", "n", "pri", "Finish", "pri"},
	rollout.Revert:   {"Revert by hand", "back", "", "ghost", "I am doing it", "pri"},
}

// barOrder is which verbs the head of the page offers in each state, the
// order of the buttons; roll back is always last.
var barOrder = map[rollout.Status][]rollout.Verb{
	rollout.Preflight:  {rollout.Cancel, rollout.Start},
	rollout.Running:    {rollout.Pause, rollout.Reduce, rollout.Promote, rollout.Rollback},
	rollout.Paused:     {rollout.Resume, rollout.Reduce, rollout.Promote, rollout.Rollback},
	rollout.Reduced:    {rollout.Resume, rollout.Reduce, rollout.Rollback},
	rollout.RolledBack: {rollout.Cancel, rollout.Approve, rollout.Restart},
	rollout.Cleanup:    {rollout.Finish, rollout.Rollback},
}

// carriesVersion reports whether a verb's form says which version was seen.
func carriesVersion(v rollout.Verb) bool {
	return !v.Urgent() && v != rollout.Cancel && v != rollout.Complete && v != rollout.Reopen
}

// actionOf builds verb's form for a view; false if the rollout does not offer
// the verb. item preselects one of several items.
func (s *server) actionOf(v controller.View, who visit, verb rollout.Verb, item string) (action, bool) {
	offered, l := find(v.Actions, verb), looks[verb]
	if offered == nil || l.label == "" {
		return action{}, false
	}
	a := action{Verb: verb, Label: l.label, Icon: l.icon, Key: l.key, Class: l.class, Submit: l.submit, SubmitKind: l.kind,
		URL: "/rollouts/" + v.ID + "/" + string(verb), Open: offered.Open, Missing: offered.Missing, CLI: offered.CLI,
		Keep: "Cancel", ID: v.ID, CSRF: s.Sessions.CSRF(who.Cookie)}
	if carriesVersion(verb) {
		a.Version = v.Version
	}
	if !who.Person.may(verb) {
		a.Open, a.Missing = false, append(slices.Clone(a.Missing), "you lack the scope “"+string(auth.VerbScope(verb))+"”; ask an admin for it")
	}
	describe(&a, v, who.Person, item)
	a.Ways = waysOf(v, verb)
	return a, true
}

// ofItem reports whether the verb is about an item of a list.
func (a action) ofItem() bool {
	return a.Verb == rollout.Complete || a.Verb == rollout.Reopen || a.Verb == rollout.Confirm
}

// Cancelled is where the safe choice leads.
func (a action) Cancelled() string { return pageOf(a.ID, a.Back) }

// describe words the form of each verb.
func describe(a *action, v controller.View, p Person, item string) {
	title, keep := v.Plan, "Keep "+percent(v.Exposure)
	next := nextStage(v)
	switch a.Verb {
	case rollout.Rollback:
		a.Question, a.Keep, a.Note = "Roll back "+title+"?", keep, "Less exposure: one confirmation"
		a.Text = "Everybody goes back to the old version. Streaming clients follow within a second, polling ones at their next poll."
		a.effect(v, 0)
		a.Fields = []field{reason("Reason, kept in the journal", false)}
	case rollout.Reduce:
		a.Question, a.Keep, a.Note = "Reduce traffic?", keep, "Less exposure: one confirmation"
		a.Text = "Users above the new share leave the canary; the ones below stay, so nobody flips twice."
		a.Fields = []field{shares(v), reason("Reason, kept in the journal", false)}
	case rollout.Pause:
		a.Question, a.Keep = "Pause at "+percent(v.Exposure)+"?", "Cancel"
		a.Text = "No raise until someone resumes; paused time is no bake. Checks and automatic rollback stay active."
		a.Fields = []field{reason("Reason, kept in the journal", false)}
	case rollout.Promote:
		describePromote(a, v, p, next)
	case rollout.Start:
		a.Question, a.Text = "Start "+title+"?", "The first "+next+" of the audience gets the new version."
		if len(v.Stages) > 0 {
			a.effect(v, v.Stages[0].Traffic)
		}
	case rollout.Resume:
		a.Question, a.Text = "Resume "+title+"?", "The rollout goes on where it stood."
		if st := current(v); st != nil && v.State.Status == rollout.Reduced {
			a.Text = "The stage starts again: its bake is 0 and approvals are void."
			a.effect(v, st.Traffic)
		}
	case rollout.Restart:
		a.Question, a.Text = "Restart "+title+"?", "A new attempt with new evidence. Say what was wrong and what was done about it."
		a.Fields = []field{{Name: "cause", Label: "Cause of the rollback", Kind: "text", Required: true}, stageField(v)}
	case rollout.Approve:
		if v.State.Status == rollout.RolledBack {
			describeRestartApproval(a, title)
			break
		}
		a.Question, a.Text = "Approve "+next+"?", "Your approval is recorded with your name. The stage starts once every gate holds."
	case rollout.Accept:
		a.Question, a.Text = "Accept what is unknown?", "The unknown gates of this stage no longer hold it back; gates that are not met still do."
		a.Fields = []field{reason("Reason, kept in the journal", true)}
		for _, d := range v.Proceed {
			if d.Status == 0 {
				a.Missing = append(a.Missing, strings.TrimSpace(d.Rule+": "+d.Why))
			}
		}
		if a.Open {
			a.Note, a.Text = "Needs a reason", a.Text+" Unknown now: "+strings.Join(a.Missing, "; ")
			a.Missing = nil
		}
	case rollout.Confirm, rollout.Complete, rollout.Reopen:
		describeItem(a, v, p, item)
	case rollout.Cancel:
		a.Question, a.Text, a.Keep = "Cancel "+title+"?", "The rollout ends. A new one of the same plan can be created later.", "Keep it"
		a.Fields = []field{reason("Reason, kept in the journal", false)}
	case rollout.Revert:
		describeRevert(a, v)
	case rollout.Finish:
		a.Question, a.Text = "Finish "+title+"?", "The rollout is closed; its journal stays."
	}
}

// describePromote words a raise. Open gates need the typed id and a reason,
// and a role that may override; what no override passes stays barred.
func describePromote(a *action, v controller.View, p Person, next string) {
	a.Question = "Promote to " + next + "?"
	a.Text = "Every gate holds. More traffic, one confirmation."
	to := 100.0
	if i := v.State.Stage + 1; i < len(v.Stages) {
		to = v.Stages[i].Traffic
	}
	a.effect(v, to)
	a.Submit = "Promote to " + next
	var open, barred []string
	for _, w := range v.Waiting {
		switch {
		case !passable[w.Kind]:
			barred = append(barred, w.Text)
		case w.Kind != "approval":
			open = append(open, w.Text)
		}
	}
	if v.State.Status != rollout.Running || len(open)+len(barred) == 0 {
		return
	}
	a.Question, a.Override = "Promote past open gates?", true
	a.Text = "Open: " + strings.Join(append(slices.Clone(open), barred...), ", ") + ". An override passes bake, criteria and window, and is " +
		"recorded with your name and reason. It never passes a checklist, a confirmation, an open incident, a met rollback rule or missing data."
	a.Fields = []field{{Name: "typed", Label: "Type " + v.ID + " to override", Kind: "confirm", Value: v.ID, Required: true}, reason("Reason, kept in the journal", true)}
	switch {
	case len(barred) > 0:
		a.Open, a.Missing = false, barred
	case p.May != nil && !slices.Contains(p.May, "override"):
		a.Open, a.Missing = false, append([]string{"an override needs a role with “may: override”"}, open...)
	default:
		a.Open, a.Missing = true, nil
	}
}

// describeItem words the form of an item. Without an item it lists those that
// need no more than a click; an item of its own brings its own questions.
func describeItem(a *action, v controller.View, p Person, item string) {
	var list []controller.ItemView
	switch {
	case a.Verb == rollout.Confirm:
		a.Question, a.Text, list = "Confirm by a person", "Something no metric says. It is recorded with your name.", v.Confirm
	default:
		a.Question, a.Text = "Complete an item", "It is recorded with your name; evidence may be a link."
		list = itemsNow(v)
	}
	done := a.Verb == rollout.Reopen
	if done {
		a.Question, a.Text = "Reopen an item", "The item counts as open again."
	}
	f := field{Name: "item", Label: "Item", Kind: "select", Required: true}
	var chosen *controller.ItemView
	for i, it := range list {
		if it.Done != done || item == "" && !done && a.Verb != rollout.Confirm && (special(it) || len(itemBars(it, p, v.At)) > 0) {
			continue
		}
		if it.ID == item {
			chosen = &list[i]
		}
		f.Options = append(f.Options, option{it.ID, clip(it.Do, 90), it.ID == item})
	}
	if chosen != nil && a.Verb == rollout.Complete {
		f.Options = []option{{item, clip(chosen.Do, 90), true}}
	}
	a.Fields = []field{f}
	if !done {
		a.Fields = append(a.Fields, field{Name: "evidence", Label: "Evidence, a link or a note", Kind: "text"})
	}
	if len(f.Options) == 0 {
		a.Open, a.Missing = false, append(slices.Clone(a.Missing), "there is no such item")
	}
	if chosen != nil && a.Verb == rollout.Complete {
		describeChosen(a, v, p, *chosen)
	}
}

// itemsNow are the items of the lists that are open now.
func itemsNow(v controller.View) []controller.ItemView {
	switch v.State.Status {
	case rollout.Preflight:
		return slices.Concat(v.Checklist, v.Before)
	case rollout.Cleanup:
		return v.Tasks
	}
	return v.Before
}

// describeChosen words the completion of one item: what bars it, what it
// chooses, and that there is no way back from it.
func describeChosen(a *action, v controller.View, p Person, it controller.ItemView) {
	a.CLI = "serin rollout complete " + v.ID + " " + it.ID
	if bars := itemBars(it, p, v.At); len(bars) > 0 {
		a.Open, a.Missing = false, append(slices.Clone(a.Missing), bars...)
	}
	if len(it.Choose) > 0 {
		a.Question, a.Submit = "Choose: "+clip(it.Do, 90), "Record the choice"
		a.Text = "It decides which tasks apply. It can be changed until the rollout is finished."
		f := field{Name: "to", Label: "Option", Kind: "select", Required: true}
		for _, c := range it.Choose {
			f.Options = append(f.Options, option{c.Key, c.Key + ": " + c.Text, false})
		}
		a.Fields = append(a.Fields, f)
		a.CLI += " --choose " + it.Choose[0].Key
	}
	if it.Irreversible {
		a.Question, a.Final, a.SubmitKind, a.Submit = "Pass the point of no return?", true, "solid-danger", "It is done, for good"
		a.Text = "“" + clip(it.Do, 200) + "” leaves nothing to roll back to. Say so only when it is done: from then on serin can page, and not roll back."
		a.Fields = append(a.Fields, field{Name: "typed", Label: "Type " + v.ID + " to confirm", Kind: "confirm", Value: v.ID, Required: true})
	}
}

func reason(label string, required bool) field {
	return field{Name: "reason", Label: label, Kind: "text", Required: required}
}

// shares offers the shares below the present one.
func shares(v controller.View) field {
	f := field{Name: "percent", Label: "New share of users", Kind: "select", Required: true}
	all := v.Users.NewSeen + v.Users.OldSeen
	for _, p := range []float64{75, 50, 25, 10, 5, 1} {
		if p < v.Exposure {
			text := percent(p)
			if all > 0 {
				text += " (about " + plural(int64(float64(all)*p/100+.5), "user") + ")"
			}
			f.Options = append(f.Options, option{percent(p), text, false})
		}
	}
	f.Options = append(f.Options, option{"hotfix", "0%, hotfix: flag off for all, stage kept", false})
	for i := range f.Options { // the middle one, rather than the nearest
		f.Options[i].Selected = i == (len(f.Options)-1)/2
	}
	return f
}

func stageField(v controller.View) field {
	f := field{Name: "to", Label: "Begin again at", Kind: "select"}
	for i, st := range v.Stages {
		if i <= v.State.Reached {
			f.Options = append(f.Options, option{st.Name, percent(st.Traffic), i == 0})
		}
	}
	return f
}

// effect fills in now → after, in percent and users seen.
func (a *action) effect(v controller.View, to float64) {
	a.Now, a.After = percent(v.Exposure), percent(to)
	all := v.Users.NewSeen + v.Users.OldSeen
	if all == 0 {
		return
	}
	a.NowUsers, a.AfterUsers = plural(v.Users.NewSeen, "user"), "about "+plural(int64(float64(all)*to/100+.5), "user")
	if to == 0 {
		a.AfterUsers = "0 users"
	}
}

// bar returns the buttons of the page's head.
func (s *server) bar(v controller.View, who visit) []action {
	var out []action
	for _, verb := range withRevert(v, barOrder[v.State.Status]) {
		if a, ok := s.actionOf(v, who, verb, ""); ok && (a.Open || !onlyOpen(verb)) {
			out = append(out, a)
		}
	}
	return out
}

// dialogs returns every form that the page may open.
func (s *server) dialogs(v controller.View, who visit) []action {
	out := s.bar(v, who)
	for _, verb := range []rollout.Verb{rollout.Approve, rollout.Accept, rollout.Confirm, rollout.Complete, rollout.Reopen, rollout.Revert} {
		if slices.ContainsFunc(out, func(a action) bool { return a.Verb == verb }) {
			continue
		}
		if a, ok := s.actionOf(v, who, verb, ""); ok && (a.Open || verb == rollout.Approve && v.State.Status == rollout.Running) {
			out = append(out, a)
		}
	}
	return out
}
