package rollout

import (
	"fmt"
	"slices"
	"strings"

	"serin/internal/flag"
	"serin/internal/plan"
)

const everyone = flag.Everyone

// viaWeb is the door whose commands always know the version they saw.
const viaWeb = "web"

// rights names what a role must be allowed for a verb (plan.Role.May); a
// verb that is missing is open to everybody, or depends on the item.
var rights = map[Verb]string{
	Start: "start", Cancel: "start", Finish: "start", Confirm: "approve", Promote: "promote", Accept: "accept",
	Resume: "resume", Restart: "restart", Revise: "revise",
}

// versioned reports whether v must rest on the newest version.
func (v Verb) versioned() bool {
	switch v {
	case Start, Approve, Accept, Confirm, Promote, Resume, Restart, Revise, Finish:
		return true
	}
	return false
}

// command does c, or says why not. seen is the version that c had to know.
// A verb that the state bars is refused as such before anything else, so that
// a late click is told what happened meanwhile.
func (d *decision) command(c *Command, seen int64) *Refusal {
	if why := d.wrongState(c.Verb); why != "" {
		return refuse(Barred, "%s", why)
	}
	if c.Verb.versioned() {
		if c.Version == 0 && c.Via == viaWeb {
			return refuse(Missing, "say which version was seen: the newest is %d", seen)
		}
		if c.Version != 0 && c.Version != seen {
			return refuse(Stale, "the rollout changed meanwhile: version %d was seen, %d is the newest; look again", c.Version, seen)
		}
	}
	if right := rights[c.Verb]; right != "" {
		if r := d.allowed(c, right); r != nil {
			return r
		}
	}
	if r := d.do(c); r != nil {
		return r
	}
	d.answer(c)
	return nil
}

// answer journals which incident a command answers, and the flags set with it.
func (d *decision) answer(c *Command) {
	if c.Incident != "" {
		e := d.by(c, IncidentDecided)
		e.Kind = c.Incident
		d.emit(e)
	}
	for _, set := range c.Set {
		if d.s.Exposure == 0 {
			return // nobody is exposed
		}
		e := d.by(c, FlagSet)
		e.Flag, e.To, e.Kind = set.Flag, set.To, c.Incident
		d.emit(e)
	}
}

func (d *decision) do(c *Command) *Refusal {
	switch c.Verb {
	case Start:
		return d.start(c)
	case Approve:
		return d.approve(c)
	case Accept:
		return d.accept(c)
	case Confirm:
		return d.confirm(c)
	case Complete, Reopen:
		return d.tick(c)
	case Promote:
		return d.promote(c)
	case Pause:
		d.emit(d.by(c, PausedEvent))
		return nil
	case Resume:
		return d.resume(c)
	case Reduce:
		return d.reduce(c)
	case Rollback:
		e := d.by(c, RolledBackEvent)
		e.Exposure = 0
		d.emit(e)
		return nil
	case Restart:
		return d.restart(c)
	case Revise:
		return d.revise(c)
	case Cancel:
		d.emit(d.by(c, CancelledEvent))
		return nil
	case Finish:
		return d.finish(c)
	case Deploy:
		return d.deployed(c)
	case Revert:
		return d.revert(c)
	}
	return refuse(Missing, "there is no command %q", c.Verb)
}

// create begins the journal. Everything but create is refused before it.
func (d *decision) create(c *Command) *Refusal {
	if c == nil {
		return nil
	}
	if c.Verb != Create {
		return refuse(Barred, "there is no such rollout yet: create it first")
	}
	e := d.by(c, Created)
	e.Item, e.To, e.Flag, e.PlanHash, e.Project = c.Item, d.p.Name, d.p.Flag.Key, d.p.Hash, c.Project
	if e.Item == "" {
		e.Item = d.p.Name + "-1"
	}
	d.emit(e)
	d.asWritten(d.p.Preflight)
	return nil
}

// by begins an event that a person brings about.
func (d *decision) by(c *Command, t Type) Event {
	e := d.event(t)
	e.Command, e.By, e.Role, e.Via, e.Reason, e.Evidence = c.ID, c.By, c.Role, c.Via, c.Reason, c.Evidence
	return e
}

// allowed refuses a person whose role may not. Without roles in the plan
// everybody whom the server lets in may.
func (d *decision) allowed(c *Command, right string) *Refusal {
	if may(d.p, c, right) {
		return nil
	}
	return refuse(Forbidden, "%s needs a role that may %s (%s)%s", c.Verb, right, whoMay(d.p, right), acting(c))
}

func may(p *plan.Plan, c *Command, right string) bool {
	return len(p.Roles) == 0 || slices.Contains(c.May, right)
}

// whoMay names the roles that hold a right.
func whoMay(p *plan.Plan, right string) string {
	var names []string
	for _, r := range p.Roles {
		if slices.Contains(r.May, right) {
			names = append(names, r.Name)
		}
	}
	if len(names) == 0 {
		return "no role of this plan does"
	}
	return strings.Join(names, ", ")
}

func acting(c *Command) string {
	if c.Role == "" {
		return ", you act in none of the plan's roles"
	}
	return ", you act as " + c.Role
}

// wrongState says why the status alone bars the verb, or "".
func (d *decision) wrongState(v Verb) string {
	s := d.s.Status
	ended := s == Done || s == Cancelled
	switch v {
	case Create:
		return "the rollout exists already"
	case Start:
		return d.unless(s == Preflight, "only a rollout in preflight can be started")
	case Approve:
		return d.unless(!ended, "nothing is left to approve")
	case Accept, Confirm, Promote, Pause:
		return d.unless(s == Running, fmt.Sprintf("%s needs a running rollout", v))
	case Resume:
		return d.unless(s == Paused || s == Reduced, "only a paused or reduced rollout can be resumed")
	case Reduce:
		if s == Reduced && d.s.Exposure == 0 {
			return "nobody is on the new variant: there is nothing to reduce"
		}
		return d.unless(s == Running || s == Paused || s == Reduced, "only a running, paused or reduced rollout can be reduced")
	case Rollback:
		if live(s) && d.s.Irreversible {
			return "the old code is gone: there is nothing to roll back to, revert by hand"
		}
		return d.unless(live(s), "there is nothing to roll back")
	case Restart:
		return d.unless(s == RolledBack, "only a rolled-back rollout can be restarted")
	case Cancel:
		return d.unless(s == Preflight || s == RolledBack, "only a rollout in preflight or rolled back can be cancelled: roll it back first")
	case Finish:
		return d.unless(s == Cleanup, "only a rollout in clean-up can be finished")
	case Complete, Reopen, Revise, Deploy:
		return d.unless(!ended, "the rollout has ended")
	case Revert:
		return d.revertible()
	}
	return ""
}

// unless returns "" if ok, else why together with the state that bars it.
func (d *decision) unless(ok bool, why string) string {
	if ok {
		return ""
	}
	is := "it is " + strings.ReplaceAll(string(d.s.Status), "_", " ")
	if d.s.Reason != "" {
		is += " (" + d.s.Reason + ")"
	}
	return why + "; " + is
}

// reduce lowers to a percentage; 0 is the hotfix.
func (d *decision) reduce(c *Command) *Refusal {
	to := c.Percent
	if c.Hotfix {
		to = 0
	}
	if to < 0 {
		return refuse(Missing, "reduce to a share of 0 %% or more, not %s", percent(to))
	}
	if to >= d.s.Exposure {
		return refuse(Barred, "reduce only lowers: %s are on the new variant, %s is not less", percent(d.s.Exposure), percent(to))
	}
	e := d.by(c, ReducedEvent)
	e.Exposure = to
	switch {
	case to == 0 && c.Via == ViaRestore:
		e.Kind = kindRestored
	case to == 0:
		e.Kind = "hotfix"
		if e.Reason == "" {
			e.Reason = "hotfix"
		}
	}
	d.emit(e)
	return nil
}

// ViaRestore is Command.Via of the reduction to 0 % with which a restored
// server begins: it is no hotfix, so that resume asks for no new release. No
// door fills it in.
const ViaRestore = "restore"

// kindRestored is Event.Kind of such a reduction.
const kindRestored = "restored"

func (d *decision) deployed(c *Command) *Refusal {
	if c.Release == "" && c.Commit == "" {
		return refuse(Missing, "say which release or commit was deployed")
	}
	if c.By == "" && c.Release == d.s.Release {
		return nil // seen before in telemetry: nothing new
	}
	e := d.by(c, Deployed)
	e.Item, e.To = c.Release, c.Commit
	if e.Item == "" {
		e.Item = c.Commit
	}
	d.emit(e)
	d.revertLive(c)
	return nil
}
