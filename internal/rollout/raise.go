package rollout

import (
	"slices"
	"strings"
)

// start begins attempt 1 at stage 0.
func (d *decision) start(c *Command) *Refusal {
	if missing := d.startMissing(c); len(missing) > 0 {
		return refuse(Barred, "cannot start: %s", strings.Join(missing, "; "))
	}
	e := d.by(c, Started)
	e.Stage, e.Attempt, e.Exposure, e.To = 0, 1, d.p.Exposure(0), d.p.Stages[0].Name
	e.Verdicts, e.Judge = slices.Clone(d.in.Rollback), d.in.Judge
	d.emit(e)
	return nil
}

// startMissing is what keeps a rollout in preflight; c is who wants to start it, or nil.
func (d *decision) startMissing(c *Command) []string {
	missing := d.preflightOpen()
	first := &d.p.Stages[0]
	for _, text := range first.Before {
		if !marked(d.s.Completed, text, &d.s) {
			missing = append(missing, "checklist: "+text)
		}
	}
	if d.in.LintErrors > 0 {
		missing = append(missing, "the plan has lint errors: see serin lint")
	}
	if d.now.Before(d.p.Start) {
		missing = append(missing, "the plan starts at "+d.clock(d.p.Start)+" at the earliest")
	}
	if d.unresolved() != "" {
		missing = append(missing, d.bar(gateIncident))
	}
	n := len(missing)
	missing = d.calendarMissing(missing)
	if ok, at := d.p.StageWindow(0, d.now); !ok && len(missing) == n {
		missing = append(missing, "window "+d.clock(at))
	}
	if len(first.Approve) > 0 && !marked(d.s.Approved, "", &d.s) && (c == nil || !slices.Contains(first.Approve, c.Role)) {
		missing = append(missing, "approval by "+strings.Join(first.Approve, " or "))
	}
	return missing
}

func (d *decision) calendarMissing(missing []string) []string {
	if ok, at, why := d.p.RaiseOpen(d.now); !ok {
		text := "the calendar lets traffic rise again " + d.clock(at)
		if why != "" {
			text += " (" + why + ")"
		}
		missing = append(missing, text)
	}
	return missing
}

// overridable are the gates that an override passes, and nothing else.
func overridable(g gate) bool {
	return g == gateBake || g == gateCriteria || g == gateEvidence || g == gateWindow
}

// promote raises by hand, one event a stage. What an override does not pass
// is barred; what it passes takes the role and a reason.
func (d *decision) promote(c *Command) *Refusal {
	to := d.s.Stage + 1
	if c.To != "" && (c.To != string(Cleanup) || d.p.StageIndex(c.To) >= 0) {
		to = d.p.StageIndex(c.To)
		if to < 0 {
			return refuse(Missing, "the plan has no stage %q: name one of it", c.To)
		}
	} else if c.To != "" {
		to = len(d.p.Stages)
	}
	if to <= d.s.Stage {
		return refuse(Barred, "promote only raises: the rollout is at %s", d.stage().Name)
	}
	for first := true; d.s.Status == Running && d.s.Stage < to; first = false {
		if r := d.promoteOne(c, first); r != nil {
			return r
		}
	}
	d.cleanUp()
	return nil
}

func (d *decision) promoteOne(c *Command, first bool) *Refusal {
	approves := d.next() != nil && slices.Contains(d.next().Approve, c.Role)
	passes, barred := d.promoteBars(approves)
	if !first {
		passes = true // the verdicts of the stage before say nothing about this one
	}
	if passes && !may(d.p, c, "override") {
		return refuse(Forbidden, "passing %s needs a role that may override (%s)%s",
			d.gatesNow(overridable), whoMay(d.p, "override"), acting(c))
	}
	if passes && strings.TrimSpace(c.Reason) == "" {
		return refuse(Missing, "passing %s needs a reason", d.gatesNow(overridable))
	}
	if len(barred) > 0 {
		return refuse(Barred, "cannot promote from %s: %s", d.stage().Name, strings.Join(barred, "; "))
	}
	if approves && !marked(d.s.Approved, "", &d.s) {
		d.emit(d.by(c, Approved))
	}
	e := d.by(c, Advanced)
	e.Overridden = passes
	d.advance(e)
	return nil
}

// promoteBars says whether a promotion would pass a gate, and what no
// override passes. approves: the person is the approval asked for.
func (d *decision) promoteBars(approves bool) (passes bool, barred []string) {
	for g := gateNoData; g < open; g++ {
		if !d.holds(g) || g == gateApproval && approves {
			continue
		}
		if overridable(g) {
			passes = true
			continue
		}
		barred = append(barred, d.bar(g))
	}
	return passes, barred
}

func (d *decision) gatesNow(of func(gate) bool) string {
	var out []string
	for g := gateNoData; g < open; g++ {
		if of(g) && d.holds(g) {
			out = append(out, d.describe(g).Text)
		}
	}
	if len(out) == 0 {
		return "a whole stage"
	}
	return strings.Join(out, ", ")
}

// bar says what is missing at a gate and who can give it.
func (d *decision) bar(g gate) string {
	text := d.describe(g).Text
	switch g {
	case gateNoData:
		return text + ": only data mends it"
	case gateBlind:
		return text + ": mended by the source, or by a revised plan (" + whoMay(d.p, "revise") + ")"
	case gateIncomplete, gateUnattributed, gateLoss, gateMismatch, gateJudge:
		return text + ": accept it with a reason (" + whoMay(d.p, "accept") + ")"
	case gateIncident:
		return text + ": resolve it first"
	case gateConfirm:
		return "confirm: " + missingMark(d.s.Confirmed, d.stage().Confirm, &d.s) + " (" + whoMay(d.p, "approve") + ")"
	case gateChecklist:
		return "checklist: " + missingMark(d.s.Completed, d.next().Before, &d.s)
	}
	return text
}

// resume goes on from paused, or raises again from reduced.
func (d *decision) resume(c *Command) *Refusal {
	if missing := d.resumeMissing(); len(missing) > 0 {
		return refuse(Barred, "cannot resume: %s", strings.Join(missing, "; "))
	}
	e := d.by(c, Resumed)
	if d.s.Status == Reduced {
		e.Exposure, e.Verdicts = d.p.Exposure(d.s.Stage), slices.Clone(d.in.Rollback)
		if d.judgeGone() { // evidence begins anew, and a person asks for it
			e.Judge = d.in.Judge
		}
	}
	d.emit(e)
	return nil
}

// resumeMissing are the bars of every raise; going on from paused is none.
func (d *decision) resumeMissing() []string {
	if d.s.Status != Reduced {
		return nil
	}
	var missing []string
	if d.s.Hotfix && !d.s.Redeployed {
		missing = append(missing, "no deployment was reported since the hotfix: serin deployed --release VERSION")
	}
	for i := range d.in.Reduce {
		if v := &d.in.Reduce[i]; isMet(v) {
			missing = append(missing, v.Rule+" is met")
		}
	}
	if v := d.metRollback(); v != nil {
		missing = append(missing, v.Rule+" is met")
	}
	if d.s.Exposure > 0 && d.guardsUnjudged() {
		missing = append(missing, "the rollback rules are not judged yet")
	}
	for _, g := range [...]gate{gateNoData, gateBlind, gateIncident} {
		if d.holds(g) {
			missing = append(missing, d.bar(g))
		}
	}
	return d.calendarMissing(missing)
}

// restart begins a new attempt.
func (d *decision) restart(c *Command) *Refusal {
	to := 0
	if c.To != "" {
		if to = d.p.StageIndex(c.To); to < 0 {
			return refuse(Missing, "the plan has no stage %q: name one of it", c.To)
		}
	}
	if missing := d.restartMissing(to); len(missing) > 0 {
		return refuse(Barred, "cannot restart: %s", strings.Join(missing, "; "))
	}
	if slices.Contains(d.p.Actions.RestartNeeds, "approval") && !may(d.p, c, "approve") && !marked(d.s.Approved, itemRestart, &d.s) {
		return refuse(Forbidden, "a restart needs an approval (%s): ask for one of the item restart first%s", whoMay(d.p, "approve"), acting(c))
	}
	if slices.Contains(d.p.Actions.RestartNeeds, "cause") && strings.TrimSpace(c.Cause) == "" {
		return refuse(Missing, "say the cause of the rollback and what was done about it")
	}
	e := d.by(c, Restarted)
	e.Stage, e.Attempt, e.Exposure, e.To = to, d.s.Attempt+1, d.p.Exposure(to), d.p.Stages[to].Name
	e.Judge = d.in.Judge
	if c.Cause != "" {
		e.Reason = c.Cause
	}
	d.emit(e)
	return nil
}

// restartMissing is what bars a restart at stage to, whoever asks.
func (d *decision) restartMissing(to int) []string {
	var missing []string
	if furthest := max(0, d.p.StageIndex(d.p.Actions.RestartFrom)); to > furthest {
		missing = append(missing, "restart.from allows "+d.p.Stages[furthest].Name+" at the furthest, not "+d.p.Stages[to].Name)
	}
	if to > d.s.Reached {
		missing = append(missing, d.p.Stages[to].Name+" was not reached by attempt "+itoa(d.s.Attempt))
	}
	if at := d.s.LoweredAt.Add(d.p.Actions.RestartAfter); d.now.Before(at) {
		missing = append(missing, "restart.after has not passed: not before "+d.clock(at))
	}
	if id := d.unresolved(); id != "" {
		missing = append(missing, d.bar(gateIncident))
	}
	return d.calendarMissing(missing)
}
