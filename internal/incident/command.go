package incident

import (
	"fmt"
	"slices"
	"strings"

	"serin/internal/flag"
	"serin/internal/rollout"
)

// command does what a person asks for, or says why not.
func (x *step) command(c Command) error {
	if err := x.mayDo(c); err != nil {
		return err
	}
	switch c.Verb {
	case DoAcknowledge:
		if x.s.AckedAt.IsZero() {
			x.emit(c.by(Acknowledged))
		}
	case DoNote:
		x.emit(c.by(Noted))
	case DoDecide:
		return x.decide(c)
	case DoHandover:
		e := c.by(HandedOver)
		e.To = strings.TrimSpace(c.To)
		x.emit(e)
	case DoSeverity:
		x.severity(c)
	case DoResolve:
		e := c.by(ResolvedEvent)
		if r := x.in.Reading; r != nil {
			e.Impact = &r.Impact
		}
		x.emit(e)
	case DoReopen:
		x.emit(c.by(Reopened))
	case DoItem:
		e := c.by(ItemDone)
		e.Item = c.Item
		x.emit(e)
	case DoWrite:
		x.emit(c.by(Written))
	case DoClose:
		x.emit(c.by(ClosedEvent))
	default:
		return refuse(rollout.Missing, "there is no command %q", c.Verb)
	}
	return nil
}

// mayDo refuses what the state bars and what lacks something.
func (x *step) mayDo(c Command) error {
	id, text := x.s.ID, strings.TrimSpace(c.Text)
	bound := MaxText
	if c.Verb == DoWrite {
		bound = MaxWrite
	}
	switch {
	case len(c.Text) > bound:
		return refuse(rollout.Missing, "the text has %d bytes: at most %d are kept", len(c.Text), bound)
	case x.s.Pos >= maxEntries && c.Verb != DoDecide && c.Verb != DoResolve && c.Verb != DoClose:
		return refuse(rollout.Barred, "%s has %d entries, which is the most: resolve and close it", id, x.s.Pos)
	case x.s.Status == Closed && c.Verb != DoNote:
		return refuse(rollout.Barred, "%s is closed: open a new one", id)
	}
	switch c.Verb {
	case DoAcknowledge, DoDecide, DoHandover, DoSeverity, DoResolve:
		if x.s.Status != Open {
			return refuse(rollout.Barred, "%s is resolved: reopen it first", id)
		}
	case DoReopen:
		if x.s.Status != Resolved {
			return refuse(rollout.Barred, "%s is open", id)
		}
	}
	switch {
	case c.Verb == DoNote && text == "":
		return refuse(rollout.Missing, "write what happened")
	case c.Verb == DoResolve && text == "":
		return refuse(rollout.Missing, "say what the cause was: it goes into the post-mortem")
	case c.Verb == DoHandover && (strings.TrimSpace(c.To) == "" || len(c.To) > 200):
		return refuse(rollout.Missing, "name the person or the role that leads from now on")
	case c.Verb == DoSeverity && !c.Severe && !grades[c.Severity]:
		return refuse(rollout.Missing, "severity %q: use p1, p2, p3 or p4", c.Severity)
	case c.Verb == DoItem:
		return x.mayTick(c.Item)
	case c.Verb == DoClose:
		return x.mayClose()
	}
	return nil
}

func (x *step) mayTick(item string) error {
	i := slices.IndexFunc(x.s.Items, func(i Item) bool { return i.Text == item })
	switch {
	case i < 0:
		return refuse(rollout.Missing, "%s needs no %q: it needs %s", x.s.ID, item, strings.Join(x.itemNames(), ", "))
	case isPostMortem(item) && x.s.Text == "":
		return refuse(rollout.Missing, "write the post-mortem: that is what completes %q", item)
	case isCause(item) && x.s.Cause == "":
		return refuse(rollout.Missing, "the cause is given when the incident is resolved")
	case !x.s.Items[i].Done.IsZero():
		return refuse(rollout.Barred, "%q is done", item)
	}
	return nil
}

func (x *step) itemNames() (out []string) {
	for _, i := range x.s.Items {
		out = append(out, i.Text)
	}
	return out
}

func (x *step) mayClose() error {
	if x.s.Status == Open {
		return refuse(rollout.Barred, "%s is not resolved yet", x.s.ID)
	}
	if missing := x.s.Missing(); len(missing) > 0 {
		return refuse(rollout.Barred, "%s still needs: %s", x.s.ID, strings.Join(missing, ", "))
	}
	return nil
}

// severity changes the grade, or makes the incident a severe one.
func (x *step) severity(c Command) {
	if grades[c.Severity] && c.Severity != x.s.Severity {
		e := c.by(SeverityEvent)
		e.Severity = c.Severity
		x.emit(e)
		c.ID = "" // one event carries it
	}
	if c.Severe && x.s.Severe.IsZero() {
		x.emit(c.by(SevereEvent))
	}
}

// decide records a decision. It is carried out by whoever hands it to the
// rollout; Result tells what became of it.
func (x *step) decide(c Command) error {
	if d := x.s.Decided(); d != nil && d.Pending() {
		return refuse(rollout.Barred, "%s is being carried out: wait until it is done", d.Words())
	}
	d := Decision{Number: len(x.s.Decisions) + 1, Do: c.Do, Percent: c.Percent, Branch: -1, Reason: strings.TrimSpace(c.Text), By: c.By, Role: c.Role, Via: c.Via, At: x.in.At}
	d.Command = fmt.Sprintf("%s/decide/%d", x.s.ID, d.Number)
	if r := x.in.Reading; r != nil {
		d.Tree, d.Impact = r.Tree, r.Impact
	}
	if err := x.choose(&d); err != nil {
		return err
	}
	switch {
	case x.s.Rollout == "" && d.Do != Hold:
		return refuse(rollout.Barred, "%s is about no rollout: only hold can be decided here", x.s.ID)
	case d.Do == Reduce && (d.Percent < 0 || d.Percent >= flag.Everyone):
		return refuse(rollout.Missing, "say where to reduce to, such as 5%%")
	case d.Branch < 0 && d.Reason == "":
		return refuse(rollout.Missing, "%s is not what the tree proposes%s: give a reason", d.Words(), proposedWords(d.Proposed))
	}
	e := c.by(DecidedEvent)
	e.Decision, e.Impact = &d, &d.Impact
	x.emit(e)
	return nil
}

// choose fills in what the decision left to the tree, and finds out whether it
// is what the tree proposes.
func (x *step) choose(d *Decision) error {
	a := Proposal(d.Tree)
	if a != nil {
		d.Proposed = words(a.Do, a.Percent)
	}
	if d.Do == "" {
		if a == nil {
			return refuse(rollout.Missing, "the tree proposes nothing: say what to do, one of %s", strings.Join(Outcomes, ", "))
		}
		d.Do, d.Percent = a.Do, a.Percent
	}
	if !slices.Contains(Outcomes, d.Do) {
		return refuse(rollout.Missing, "%q cannot be decided: use %s", d.Do, strings.Join(Outcomes, ", "))
	}
	if d.Do != Reduce {
		d.Percent = 0
	}
	if a != nil && a.Do == d.Do && (d.Do != Reduce || d.Percent < 0 || d.Percent == a.Percent) {
		d.Branch, d.Percent, d.Then = a.Branch, a.Percent, a.Then
		return nil
	}
	for _, other := range d.Tree { // another branch's companions go with its outcome
		if other.Do == d.Do && (d.Percent < 0 || other.Percent == d.Percent) {
			d.Percent, d.Then = other.Percent, other.Then
			return nil
		}
	}
	if d.Do == Reduce && d.Percent < 0 && x.p != nil {
		d.Percent = x.p.Actions.ReduceTraffic
	}
	return nil
}

func proposedWords(what string) string {
	if what == "" {
		return ", which is nothing"
	}
	return " (" + what + ")"
}
