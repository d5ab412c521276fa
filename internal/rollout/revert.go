package rollout

import (
	"slices"
	"strings"
	"time"

	"serin/internal/plan"
)

// Reverting is actions.revert of a plan as a person is shown it now. serin
// never runs it: a person does, and says so.
type Reverting struct {
	Commands []string      `json:"commands"`          // $commit filled in where it is known
	Release  string        `json:"release,omitempty"` // what is to be reverted, as it was last reported
	Commit   string        `json:"commit,omitempty"`
	Missing  string        `json:"missing,omitempty"` // why $commit is not filled in, and how to report it
	Within   time.Duration `json:"within,omitempty"`  // real time; 0 = the plan names none
	By       string        `json:"by,omitempty"`      // role; "" = every role
	Begun    *Clock        `json:"begun,omitempty"`   // the revert under way; nil = none
}

// variable is what a plan writes for the commit that was last deployed.
const variable = "$commit"

// ShowRevert is the plan's revert for state s. While one is under way it
// shows what was deployed when that began.
func ShowRevert(p *plan.Plan, s State) Reverting {
	r := Reverting{Release: s.Release, Commit: s.Commit, Within: p.Actions.Revert.Within, By: p.Actions.Revert.By, Begun: s.Revert}
	if s.Revert != nil {
		r.Release, r.Commit = s.Revert.Release, s.Revert.Commit
	}
	r.Commands = fillIn(p.Actions.Revert.Show, r.Commit)
	if slices.ContainsFunc(r.Commands, func(c string) bool { return strings.Contains(c, variable) }) {
		r.Missing = commitMissing(r)
	}
	return r
}

func commitMissing(r Reverting) string {
	report := variable + " is not known: report each deployment with serin deployed --release VERSION --commit COMMIT"
	switch {
	case r.Commit != "":
		return "the commit reported for " + r.Release + " is no plain commit id, so it is not filled in: look it up yourself"
	case r.Release != "":
		return "release " + r.Release + " came without a commit; " + report
	}
	return "no deployment was reported; " + report
}

// fillIn puts the commit into the commands. People paste them into a shell,
// so only what a shell takes for one plain word is put in.
func fillIn(show []string, commit string) []string {
	out := slices.Clone(show)
	if !plainCommit(commit) {
		return out
	}
	for i := range out {
		out[i] = strings.ReplaceAll(out[i], variable, commit)
	}
	return out
}

// plainCommit reports whether s is a commit, tag or branch of harmless letters.
func plainCommit(s string) bool {
	if s == "" || len(s) > 200 || s[0] == '-' {
		return false
	}
	for _, r := range s {
		if !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("._/-", r)) {
			return false
		}
	}
	return true
}

// Urgent reports whether v is done also where the evidence cannot be read: what
// lowers traffic, and a revert by hand.
func (v Verb) Urgent() bool { return v.Lowers() || v == Revert }

// revertible says why nobody can begin or end a revert now, or "". It is open
// while code of the new variant may run: also after a rollback, when the flag
// is off and the code is still there, and when the old code is gone.
func (d *decision) revertible() string {
	s := d.s.Status
	switch {
	case !live(s) && s != RolledBack:
		return d.unless(false, "there is nothing to revert")
	case len(d.p.Actions.Revert.Show) == 0 && !d.s.Irreversible:
		return "the plan does not say how to revert: write actions.revert, or roll back"
	}
	return ""
}

// revert notes that a person reverts by hand, or that it is done. It never
// changes exposure.
func (d *decision) revert(c *Command) *Refusal {
	if !d.mayRevert(c) {
		return refuse(Forbidden, "the plan lets %s revert%s", d.p.Actions.Revert.By, acting(c))
	}
	if why := d.revertBarred(c.Done); why != "" {
		return refuse(Barred, "%s", why)
	}
	if c.Done {
		d.emit(d.reverted(d.by(c, Reverted)))
		return nil
	}
	e := d.by(c, RevertBegun)
	e.Item, e.To, e.Show = d.s.Release, d.s.Commit, ShowRevert(d.p, d.s).Commands
	d.emit(e)
	return nil
}

func (d *decision) mayRevert(c *Command) bool {
	by := d.p.Actions.Revert.By
	return by == "" || len(d.p.Roles) == 0 || c.Role == by
}

func (d *decision) revertBarred(done bool) string {
	r := d.s.Revert
	switch {
	case done && r == nil:
		return "no revert is under way: begin it first, serin rollout revert " + d.s.ID
	case !done && r != nil:
		return "a revert is under way since " + d.clock(r.At) + ", begun by " + nobody(r.By) + ": end it with serin rollout revert " + d.s.ID + " --done"
	}
	return ""
}

func nobody(by string) string {
	if by == "" {
		return "serin"
	}
	return by
}

// reverted completes an event that ends the revert under way. It took at
// least a nanosecond: 0 would say that it is not live.
func (d *decision) reverted(e Event) Event {
	c, lap := d.s.Revert, d.in.Clock.Revert
	if lap.Pos != c.Pos {
		lap = Lap{Pos: c.Pos, Passed: d.now.Sub(c.At), AtMost: true} // nobody has measured it
	}
	lap.Evaluated = max(1, lap.Passed)
	s := d.service(c, lap)
	e.Served, e.Paged = &s, s.Late() && !c.Told
	return e
}

// revertLive ends the revert under way when another commit than the one that
// was to be reverted is reported as deployed.
func (d *decision) revertLive(c *Command) {
	r := d.s.Revert
	if r == nil || !otherCode(r, c) {
		return
	}
	e := d.reverted(d.by(c, Reverted))
	e.Item, e.To, e.Kind = c.Release, c.Commit, reportedLive
	d.emit(e)
}

// reportedLive is the kind of a reverted event that a deployment brought about.
const reportedLive = "reported live"

// otherCode reports whether the deployment is known to be of other code than
// what ran when the revert began.
func otherCode(r *Clock, c *Command) bool {
	if r.Commit != "" && c.Commit != "" {
		return r.Commit != c.Commit
	}
	return r.Release != "" && c.Release != "" && r.Release != c.Release
}

// titleReverting puts the begin and the end of a revert into words.
func titleReverting(e Event) (string, string) {
	if e.Type == RevertBegun {
		what := "revert by hand begun"
		if e.To != "" {
			what += ": commit " + e.To
		} else if e.Item != "" {
			what += ": release " + e.Item
		}
		return by(what, e), strings.TrimSpace(e.Reason + "\n" + strings.Join(e.Show, "\n"))
	}
	what := "reverted by hand"
	if e.Kind == reportedLive {
		what = "revert reported live: " + firstOf(e.To, e.Item)
	}
	what = by(what, e)
	if s := e.Served; s != nil {
		what += " after " + atMost(s) + exact(s.Evaluated)
		if s.Limit > 0 {
			what += ", limit " + exact(s.Limit)
		}
	}
	return what, e.Reason
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
