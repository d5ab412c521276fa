package rollout

import (
	"strings"

	"serin/internal/flag"
	"serin/internal/plan"
)

// Choice is a verb and whether it is open now.
type Choice struct {
	Verb    Verb     `json:"verb"`
	Open    bool     `json:"open"`
	Missing []string `json:"missing,omitempty"` // what bars it and who can give it
}

// verbs are all verbs of an existing rollout, in the order of buttons.
var verbs = [...]Verb{Start, Approve, Accept, Confirm, Complete, Reopen, Promote, Pause, Resume, Reduce, Rollback,
	Restart, Revise, Cancel, Finish, Deploy, Revert}

// Open says of every verb whether it is open now and what is missing. With
// in.Command set, its role is the person who looks, and a right that the role
// lacks is missing too; without, only the state counts. Promote is open also
// where it would be an override: Missing then names what it would pass.
func Open(p *plan.Plan, s State, in Input) []Choice {
	d := begin(p, s, in)
	person := in.Command
	out := make([]Choice, 0, len(verbs))
	for _, v := range verbs {
		out = append(out, d.choice(v, person))
	}
	return out
}

func (d *decision) choice(v Verb, person *Command) Choice {
	c := Choice{Verb: v}
	if d.s.Status == "" {
		c.Missing = []string{"there is no such rollout yet"}
		return c
	}
	if why := d.wrongState(v); why != "" {
		c.Missing = []string{why}
		return c
	}
	c.Missing = d.missing(v, person)
	if right := rights[v]; right != "" && person != nil && !may(d.p, person, right) {
		c.Missing = append(c.Missing, "a role that may "+right+" ("+whoMay(d.p, right)+")")
	}
	c.Open = len(c.Missing) == 0
	if v == Promote && c.Open {
		if passes, _ := d.promoteBars(true); passes {
			c.Missing = []string{"override: passes " + d.gatesNow(overridable) + " (" + whoMay(d.p, "override") + ", with a reason)"}
			c.Open = person == nil || may(d.p, person, "override")
		}
	}
	return c
}

// missing is what the state lacks for the verb, apart from its status.
func (d *decision) missing(v Verb, person *Command) []string {
	switch v {
	case Start:
		return d.startMissing(person)
	case Approve:
		return d.approveMissing(person)
	case Accept:
		if _, _, why := d.acceptable(); why != "" {
			return []string{why}
		}
	case Confirm:
		if missingMark(d.s.Confirmed, d.stage().Confirm, &d.s) == "" {
			return []string{"no confirmation is open"}
		}
	case Complete, Reopen:
		if len(d.tasks()) == 0 && len(d.before()) == 0 {
			return []string{"no list is open"}
		}
	case Promote:
		approves := person == nil || d.next() != nil && contains(d.next().Approve, person.Role)
		_, barred := d.promoteBars(approves)
		return barred
	case Resume:
		return d.resumeMissing()
	case Restart:
		return d.restartMissing(0)
	case Finish:
		return d.finishMissing()
	case Revert:
		if person != nil && !d.mayRevert(person) {
			return []string{"the role " + d.p.Actions.Revert.By}
		}
	}
	return nil
}

func (d *decision) approveMissing(person *Command) []string {
	item := ""
	if d.s.Status == RolledBack {
		item = itemRestart // the only thing to approve there
	}
	item, roles, why := d.approvable(item)
	switch {
	case why != "":
		return []string{why}
	case marked(d.s.Approved, item, &d.s):
		return []string{"approved already"}
	case item != "":
		if person != nil && !may(d.p, person, "approve") {
			return []string{"a role that may approve (" + whoMay(d.p, "approve") + ")"}
		}
	case person != nil && !contains(roles, person.Role):
		return []string{"the role " + strings.Join(roles, " or ")}
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, o := range list {
		if o == s {
			return true
		}
	}
	return false
}

// Exposure is the share of the audience on the new variant that a state has
// by its status: State.Exposure, which the journal carries, must equal it.
//
//	preflight, rolled_back, cancelled   0
//	running, paused                     the stage's traffic, at most 100 % - holdback
//	reduced                             what it was reduced to
//	cleanup, done                       100 %
func Exposure(p *plan.Plan, s State) flag.Percent {
	switch s.Status {
	case Running, Paused:
		return p.Exposure(min(s.Stage, len(p.Stages)-1))
	case Reduced:
		return s.Exposure
	case Cleanup, Done:
		return everyone
	}
	return 0
}
