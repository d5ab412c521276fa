package rollout

import (
	"slices"
	"strconv"
	"strings"

	"serin/internal/judge"
	"serin/internal/plan"
)

// The items of approvals that are not for the next stage.
const (
	itemRestart = "restart"
	itemRevise  = "revise"
)

func itoa(n int) string { return strconv.Itoa(n) }

func isMet(v *judge.Verdict) bool { return v.Status == judge.Met && !v.Dry }

// approve gives the approval that is asked for: for the next stage while
// running, for the first one in preflight, for a restart when rolled back,
// and with Item "revise" for a looser revision. An approval of a restart
// names its item too: a late click that meant the next stage is none, and
// any other item approves nothing.
func (d *decision) approve(c *Command) *Refusal {
	item, roles, why := d.approvable(c.Item)
	if why != "" {
		return refuse(Barred, "%s", why)
	}
	if c.Item != item {
		return refuse(Missing, "there is no approval of %q: leave the item out for the next raise, or name %s", c.Item, itemRevise)
	}
	if item != "" {
		if r := d.allowed(c, "approve"); r != nil {
			return r
		}
	} else if !slices.Contains(roles, c.Role) {
		return refuse(Forbidden, "approval by %s is asked for%s", strings.Join(roles, " or "), acting(c))
	}
	if marked(d.s.Approved, item, &d.s) {
		return refuse(Barred, "that is approved already")
	}
	e := d.by(c, Approved)
	e.Item = item
	d.emit(e)
	return nil
}

// approvable says which approval is asked for and of whom, or why none is.
func (d *decision) approvable(item string) (mark string, roles []string, why string) {
	if item == itemRevise {
		return itemRevise, nil, ""
	}
	if item == itemRestart && d.s.Status != RolledBack {
		return "", nil, d.unless(false, "only a rolled-back rollout can be approved for a restart")
	}
	switch d.s.Status {
	case RolledBack:
		if !slices.Contains(d.p.Actions.RestartNeeds, "approval") {
			return "", nil, "a restart of this plan needs no approval"
		}
		if item != itemRestart {
			return "", nil, "it is rolled back, there is no raise to approve; for a new attempt approve the item " + itemRestart
		}
		return itemRestart, nil, ""
	case Preflight:
		roles = d.p.Stages[0].Approve
	case Running:
		if next := d.next(); next != nil {
			roles = next.Approve
		}
	default:
		return "", nil, d.unless(false, "an approval is for a running rollout")
	}
	if len(roles) == 0 {
		return "", nil, "no approval is asked for here"
	}
	return "", roles, ""
}

// accept lets raises go on over what nobody can prove: open data quality at
// any time, unknown criteria from the end of bake.
func (d *decision) accept(c *Command) *Refusal {
	kinds, criteria, why := d.acceptable()
	if why != "" {
		return refuse(Barred, "%s", why)
	}
	if strings.TrimSpace(c.Reason) == "" {
		return refuse(Missing, "accept needs a reason: it is shown in every report")
	}
	if c.Item != "" {
		if !slices.Contains(kinds, c.Item) {
			return refuse(Barred, "%s is not what the rollout waits for", c.Item)
		}
		kinds, criteria = []string{c.Item}, false
	}
	for _, kind := range kinds {
		e := d.by(c, Accepted)
		e.Item = kind
		if kind == kindJudge {
			e.Judge = d.in.Judge
		}
		d.emit(e)
	}
	if criteria {
		e := d.by(c, Accepted)
		e.Verdicts = d.evidence()
		d.emit(e)
	}
	return nil
}

// acceptable is what an accept would accept now: kinds of data quality, and
// whether the unknown criteria; or why nothing.
func (d *decision) acceptable() (kinds []string, criteria bool, why string) {
	for g := gateIncomplete; g <= gateJudge; g++ {
		if d.holds(g) {
			kinds = append(kinds, gateKinds[g])
		}
	}
	criteria = d.bakeDone() && !d.unjudged() && d.anyUnknown() && !d.cleared() && d.stage().Inconclusive != plan.Hold
	if criteria && d.anyNotMet() {
		criteria = false
	}
	for _, g := range [...]gate{gateNoData, gateBlind} {
		if d.holds(g) {
			return nil, false, "accept does not pass this: " + d.bar(g)
		}
	}
	switch {
	case len(kinds) > 0 || criteria:
		return kinds, criteria, ""
	case !d.bakeDone():
		why = "bake is not over: accept is for the end of a stage"
	case d.anyNotMet():
		why = "not met: " + strings.Join(d.failing(), ", ") + "; accept clears what is unknown, never what is not met"
	case d.anyUnknown() && d.stage().Inconclusive == plan.Hold:
		why = "the plan says hold: unknown criteria cannot be accepted"
	default:
		why = "nothing is unknown: there is nothing to accept"
	}
	return nil, false, why
}

// confirm says that a text of the stage's confirm list is so.
func (d *decision) confirm(c *Command) *Refusal {
	var openItems []string
	for _, text := range d.stage().Confirm {
		if !marked(d.s.Confirmed, text, &d.s) {
			openItems = append(openItems, text)
		}
	}
	item := c.Item
	switch {
	case len(d.stage().Confirm) == 0:
		return refuse(Barred, "%s asks for no confirmation", d.stage().Name)
	case item == "" && len(openItems) == 1:
		item = openItems[0]
	case len(openItems) == 0 || slices.Contains(d.stage().Confirm, item) && !slices.Contains(openItems, item):
		return refuse(Barred, "that is confirmed already")
	case !slices.Contains(openItems, item):
		return refuse(Missing, "name what is confirmed, one of: %s", strings.Join(openItems, "; "))
	}
	e := d.by(c, Confirmed)
	e.Item = item
	d.emit(e)
	return nil
}

// tick completes or reopens an item of the list that is in force.
func (d *decision) tick(c *Command) *Refusal {
	t := d.task(c.Item)
	if t == nil && !slices.Contains(d.before(), c.Item) {
		return refuse(Missing, "there is no item %q here: %s", c.Item, strings.Join(d.items(), "; "))
	}
	if t != nil && t.By != "" && len(d.p.Roles) > 0 && c.Role != t.By {
		return refuse(Forbidden, "%q is for the role %s%s", t.ID, t.By, acting(c))
	}
	done := marked(d.s.Completed, c.Item, &d.s)
	if c.Verb == Reopen {
		return d.reopen(c, t, done)
	}
	if done {
		return refuse(Barred, "%q is done already", c.Item)
	}
	if t != nil {
		if r := d.completable(c, t); r != nil {
			return r
		}
	}
	e := d.by(c, Completed)
	e.Item = c.Item
	if t != nil && len(t.Choose) > 0 {
		e.Choice = c.To
	}
	d.emit(e)
	if t != nil && t.Irreversible {
		d.passIrreversible(c, t)
	}
	return nil
}

func (d *decision) reopen(c *Command, t *plan.Task, done bool) *Refusal {
	if !done {
		return refuse(Barred, "%q is open", c.Item)
	}
	if t != nil && t.Irreversible {
		return refuse(Barred, "%q cannot be undone", c.Item)
	}
	e := d.by(c, Reopened)
	e.Item = c.Item
	d.emit(e)
	return nil
}

// completable refuses what cannot be done yet by hand.
func (d *decision) completable(c *Command, t *plan.Task) *Refusal {
	if !d.applies(t) {
		return refuse(Barred, "%q does not apply: %s = %s was not chosen", t.ID, t.When.Task, t.When.Choice)
	}
	if holds, known := d.in.Facts[t.ID]; t.Verify != nil && (known && !holds || t.Irreversible && !known) {
		return refuse(Barred, "%q cannot be verified: %s does not hold", t.ID, t.Verify.Text)
	}
	if !d.ripe(t) {
		return refuse(Barred, "%q is not due before %s", t.ID, d.clock(d.s.CleanupAt.Add(t.NotBefore)))
	}
	if len(t.Choose) > 0 && !slices.ContainsFunc(t.Choose, func(o plan.Choice) bool { return o.Key == c.To }) {
		return refuse(Missing, "choose for %q one of: %s", t.ID, choices(t))
	}
	return nil
}

func choices(t *plan.Task) string {
	var out []string
	for _, o := range t.Choose {
		out = append(out, o.Key+" ("+o.Text+")")
	}
	return strings.Join(out, ", ")
}

// ripe reports whether the task's not_before has passed.
func (d *decision) ripe(t *plan.Task) bool {
	return d.s.Status != Cleanup || !d.now.Before(d.s.CleanupAt.Add(t.NotBefore))
}

func (d *decision) passIrreversible(c *Command, t *plan.Task) {
	if d.s.Status != Cleanup || d.s.Irreversible {
		return
	}
	e := d.event(IrreversibleDone)
	if c != nil {
		e = d.by(c, IrreversibleDone)
	}
	e.Item = t.ID
	d.emit(e)
}

// tasks are the tasks of the list that is in force.
func (d *decision) tasks() []plan.Task {
	switch d.s.Status {
	case Preflight:
		return d.p.Preflight
	case Cleanup:
		return d.p.Cleanup.Tasks
	}
	return nil
}

func (d *decision) task(id string) *plan.Task {
	tasks := d.tasks()
	for i := range tasks {
		if tasks[i].ID == id {
			return &tasks[i]
		}
	}
	return nil
}

// before is the checklist of the stage to come.
func (d *decision) before() []string {
	switch d.s.Status {
	case Preflight:
		return d.p.Stages[0].Before
	case Running, Paused, Reduced:
		if next := d.next(); next != nil {
			return next.Before
		}
	}
	return nil
}

func (d *decision) items() []string {
	out := slices.Clone(d.before())
	for _, t := range d.tasks() {
		out = append(out, t.ID)
	}
	if len(out) == 0 {
		return []string{"no list is open"}
	}
	return out
}

// applies reports whether the task's condition is chosen.
func (d *decision) applies(t *plan.Task) bool {
	if t.When == nil {
		return true
	}
	for i := range d.s.Completed {
		m := &d.s.Completed[i]
		if m.Item == t.When.Task && m.Choice == t.When.Choice && m.Attempt == d.s.Attempt && m.Stage == d.s.Stage {
			return true
		}
	}
	return false
}

// asWritten completes the tasks that the plan calls done.
func (d *decision) asWritten(tasks []plan.Task) {
	for i := range tasks {
		if t := &tasks[i]; t.Done && !marked(d.s.Completed, t.ID, &d.s) {
			e := d.event(Completed)
			e.Item, e.Via = t.ID, "plan"
			d.emit(e)
		}
	}
}

// verify completes and reopens the tasks that a machine verifies.
func (d *decision) verify() {
	if len(d.in.Facts) == 0 {
		return
	}
	tasks := d.tasks()
	for i := range tasks {
		t := &tasks[i]
		holds, known := d.in.Facts[t.ID]
		done := marked(d.s.Completed, t.ID, &d.s)
		if t.Verify == nil || !known || holds == done || len(t.Choose) > 0 {
			continue
		}
		e := d.event(Reopened)
		e.Item, e.Kind, e.Reason = t.ID, "verified", t.Verify.Text
		if holds {
			if !d.applies(t) || !d.ripe(t) {
				continue
			}
			e.Type = Completed
		} else if t.Irreversible {
			continue
		}
		d.emit(e)
		if holds && t.Irreversible {
			d.passIrreversible(nil, t)
		}
	}
}

// PreflightOpen lists what is missing in preflight: every task that is not
// complete or whose verification fails, with who can give it.
func PreflightOpen(p *plan.Plan, s State, in Input) []string {
	d := begin(p, s, in)
	return d.preflightOpen()
}

func (d *decision) preflightOpen() []string {
	var missing []string
	for i := range d.p.Preflight {
		t := &d.p.Preflight[i]
		holds, known := d.in.Facts[t.ID]
		done := marked(d.s.Completed, t.ID, &d.s)
		switch {
		case t.Verify != nil && known && !holds:
			missing = append(missing, t.ID+": "+t.Verify.Text+" does not hold")
		case done || t.Verify != nil && known && holds:
		case t.By != "":
			missing = append(missing, t.ID+": "+t.Do+" ("+t.By+")")
		default:
			missing = append(missing, t.ID+": "+t.Do)
		}
	}
	return missing
}

// unclosed is the id of the first incident without post-mortem, or "".
func (d *decision) unclosed() string {
	for _, i := range d.s.Incidents {
		if !i.Closed {
			return i.ID
		}
	}
	return ""
}

func (d *decision) finish(c *Command) *Refusal {
	if missing := d.finishMissing(); len(missing) > 0 {
		return refuse(Barred, "cannot finish: %s", strings.Join(missing, "; "))
	}
	d.emit(d.by(c, Finished))
	return nil
}

func (d *decision) finishMissing() []string {
	var missing []string
	for i := range d.p.Cleanup.Tasks {
		t := &d.p.Cleanup.Tasks[i]
		if d.applies(t) && !marked(d.s.Completed, t.ID, &d.s) {
			missing = append(missing, t.ID+": "+t.Do)
		}
	}
	if id := d.unclosed(); id != "" {
		missing = append(missing, "incident "+id+" is not closed: it needs its post-mortem")
	}
	return missing
}
