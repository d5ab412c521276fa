package rollout

import (
	"fmt"
	"strings"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
)

// gate is one reason why a running rollout may not rise, in the order in which they are told.
type gate uint8

const (
	gateNoData gate = iota
	gateBlind
	gateIncomplete
	gateUnattributed
	gateLoss
	gateMismatch
	gateJudge
	gateBake
	gateCriteria
	gateEvidence // told as decision where a person is asked
	gateIncident
	gateConfirm
	gateChecklist
	gateWindow
	gateApproval
	open // none holds
)

// decisionKind is the kind of gateEvidence once a person is asked.
const decisionKind = "decision"

var gateKinds = [...]string{"no data", "blind", "data incomplete", "unattributed", "telemetry loss by arm", "srm", kindJudge,
	accountBake, "criteria", "evidence", "incident", "confirm", "checklist", "window", "approval"}

// accountKeys spares the hot path the concatenation.
var accountKeys = func() map[string]string {
	keys := map[string]string{decisionKind: "waiting:" + decisionKind}
	for _, k := range gateKinds {
		keys[k] = "waiting:" + k
	}
	return keys
}()

// maxUnattributed is the share of telemetry without a known arm above which
// raises wait.
const maxUnattributed = 0.05

// first is the first gate that holds, or open.
func (d *decision) first() gate {
	for g := gateNoData; g < open; g++ {
		if d.holds(g) {
			return g
		}
	}
	return open
}

// holds reports whether g keeps the running rollout where it is.
func (d *decision) holds(g gate) bool {
	st, next := d.stage(), d.next()
	switch g {
	case gateNoData:
		return d.in.Data.NoData
	case gateBlind:
		return d.blind()
	case gateIncomplete, gateUnattributed, gateLoss, gateMismatch, gateJudge:
		return d.doubtful(g)
	case gateBake:
		return !d.bakeDone()
	case gateCriteria:
		return d.anyNotMet() || d.anyHarm() || d.heldRule() >= 0
	case gateEvidence:
		return d.unjudged() || d.anyUnknown() && !d.cleared()
	case gateIncident:
		return d.unresolved() != ""
	case gateConfirm:
		return missingMark(d.s.Confirmed, st.Confirm, &d.s) != ""
	case gateChecklist:
		return next != nil && missingMark(d.s.Completed, next.Before, &d.s) != ""
	case gateWindow:
		ok, _ := d.window()
		return !ok
	case gateApproval:
		return next != nil && len(next.Approve) > 0 && !marked(d.s.Approved, "", &d.s)
	}
	return false
}

// doubtful reports whether a gate that a person may accept holds.
func (d *decision) doubtful(g gate) bool {
	if g == gateJudge {
		return d.judgeGone()
	}
	return badQuality(g, d.in.Data) && !d.s.Accepts(gateKinds[g])
}

func badQuality(g gate, data judge.Data) bool {
	switch g {
	case gateIncomplete:
		return data.Incomplete
	case gateUnattributed:
		return data.Unattributed > maxUnattributed
	case gateLoss:
		return data.LossByArm
	case gateMismatch:
		return data.Mismatch
	}
	return false
}

// Accepts reports whether a person has accepted the data quality kind for
// this gate of this attempt.
func (s *State) Accepts(kind string) bool { return marked(s.Accepted, kind, s) }

// MismatchAccepted reports whether a person has accepted that the groups of this run
// are not of the sizes that were allocated. It holds for all of the run, as what is
// compared does; a raise asks again.
func (s *State) MismatchAccepted() bool { return s.Runs > 0 && s.MismatchRun == s.Runs }

// marked reports whether item bears a mark of the current attempt and stage.
func marked(marks []Mark, item string, s *State) bool {
	for i := range marks {
		if m := &marks[i]; m.Item == item && m.Attempt == s.Attempt && m.Stage == s.Stage {
			return true
		}
	}
	return false
}

// missingMark is the first of items without a mark, or "".
func missingMark(marks []Mark, items []string, s *State) string {
	for _, item := range items {
		if !marked(marks, item, s) {
			return item
		}
	}
	return ""
}

func (d *decision) blind() bool {
	for i := range d.in.Rollback {
		if isBlind(&d.in.Rollback[i]) {
			return true
		}
	}
	for i := range d.in.Reduce {
		if isBlind(&d.in.Reduce[i]) {
			return true
		}
	}
	return d.in.Rollback == nil && d.in.Reduce == nil && len(d.s.Blind) > 0
}

func isBlind(v *judge.Verdict) bool {
	return v.Status == judge.Unknown && v.Cause == judge.CauseBlind && !v.Dry
}

// bakeDone reports whether the stage's bake is complete, or its early end reached.
func (d *decision) bakeDone() bool { return d.baked() >= d.stage().Bake || d.early() }

// early reports whether bake counts as done before its time: no check of the
// stage was red and every criterion is met.
func (d *decision) early() bool {
	e := d.stage().Early
	return e != nil && d.baked() >= e.After && !d.s.WasRed && !d.unjudged() && !d.anyNotMet() && !d.anyUnknown()
}

func (d *decision) anyNotMet() bool {
	for i := range d.in.Proceed {
		if v := &d.in.Proceed[i]; v.Status == judge.NotMet && !v.Dry {
			return true
		}
	}
	return false
}

// anyHarm reports harm proved on a rollback metric below its own limit.
func (d *decision) anyHarm() bool {
	for i := range d.in.Rollback {
		if v := &d.in.Rollback[i]; v.Harm && !v.Dry {
			return true
		}
	}
	return false
}

// unknown reports whether verdict i of the stage's criteria is unknown and
// matters. A default rule on a metric that never had data does not apply.
func (d *decision) unknown(i int) bool {
	v := &d.in.Proceed[i]
	if v.Status != judge.Unknown || v.Dry {
		return false
	}
	rules := d.stage().Proceed
	return v.Cause != judge.CauseNoSource || i >= len(rules) || !rules[i].Default
}

func (d *decision) anyUnknown() bool {
	for i := range d.in.Proceed {
		if d.unknown(i) {
			return true
		}
	}
	return false
}

// unjudged reports whether rules have no verdict: that is unknown, and
// nobody can accept it.
func (d *decision) unjudged() bool {
	return len(d.in.Proceed) < len(d.stage().Proceed) || d.guardsUnjudged()
}

func (d *decision) guardsUnjudged() bool {
	return len(d.in.Rollback) < len(d.p.Rollback) || len(d.in.Reduce) < len(d.p.Reduce)
}

// cleared reports whether unknown criteria are passed, by a person or by the plan.
func (d *decision) cleared() bool {
	return d.stage().Inconclusive == plan.Pass || marked(d.s.Accepted, "", &d.s)
}

// unresolved is the id of the first incident that is not resolved, or "".
func (d *decision) unresolved() string {
	for _, i := range d.s.Incidents {
		if !i.Resolved {
			return i.ID
		}
	}
	return ""
}

// window reports whether calendar and the next stage's clock let traffic
// rise now, else when they do next.
func (d *decision) window() (bool, time.Time) {
	if d.next() == nil {
		ok, at, _ := d.p.RaiseOpen(d.now)
		return ok, at
	}
	if st := d.stage(); st.Early != nil && st.Early.At != nil && d.baked() < st.Bake && d.early() {
		at := d.p.NextEntry(st.Early.At, d.now)
		return at.Equal(d.now), at
	}
	return d.p.StageWindow(d.s.Stage+1, d.now)
}

// kind is the word for g now.
func (d *decision) kind(g gate) string {
	if g == gateEvidence && d.stage().Inconclusive == plan.Ask && d.bakeDone() && !d.unjudged() {
		return decisionKind
	}
	return gateKinds[g]
}

// Waits lists why a running rollout stands still, main reason first. It is
// empty for one that does not run, and for one that is about to advance.
func Waits(p *plan.Plan, s State, in Input) []Waiting {
	d := begin(p, s, in)
	if d.s.Status != Running {
		return nil
	}
	return d.waits()
}

func (d *decision) waits() []Waiting {
	var out []Waiting
	for g := gateNoData; g < open; g++ {
		if d.holds(g) {
			out = append(out, d.describe(g))
		}
	}
	return out
}

// describe puts a gate that holds into the words of every page.
func (d *decision) describe(g gate) Waiting {
	w := Waiting{Kind: d.kind(g), Detail: d.detail(g)}
	w.Text = w.Kind
	if w.Detail != "" {
		w.Text += " " + w.Detail
	}
	if g == gateBlind {
		w.Text = w.Kind + ": " + w.Detail
	}
	return w
}

func (d *decision) detail(g gate) string {
	switch g {
	case gateNoData:
		return short(d.now.Sub(d.silence()))
	case gateBlind:
		return strings.Join(d.blindMetrics(), ", ")
	case gateUnattributed:
		return fmt.Sprintf("%.0f%%", 100*d.in.Data.Unattributed)
	case gateJudge:
		return d.judgeText()
	case gateBake:
		return progress(d.baked(), d.stage().Bake)
	case gateCriteria:
		return strings.Join(d.failing(), ", ")
	case gateEvidence:
		return strings.Join(d.unknowns(), ", ")
	case gateIncident:
		return d.unresolved()
	case gateWindow:
		_, at := d.window()
		return d.clock(at)
	case gateApproval:
		return strings.Join(d.next().Approve, " or ")
	}
	return ""
}

func (d *decision) blindMetrics() []string {
	var out []string
	for _, v := range append(append([]judge.Verdict{}, d.in.Rollback...), d.in.Reduce...) {
		if isBlind(&v) {
			out = appendNew(out, v.Metric)
		}
	}
	if out == nil {
		for _, b := range d.s.Blind {
			metric, _, _ := strings.Cut(b.Rule, " ")
			out = appendNew(out, metric)
		}
	}
	return out
}

// failing names the metrics of the criteria that keep the stage.
func (d *decision) failing() []string {
	var out []string
	for _, v := range d.in.Proceed {
		if v.Status == judge.NotMet && !v.Dry {
			out = appendNew(out, v.Metric)
		}
	}
	for i, v := range d.in.Rollback {
		if v.Dry {
			continue
		}
		if v.Harm || d.held(i) {
			out = appendNew(out, v.Metric)
		}
	}
	return out
}

func (d *decision) unknowns() []string {
	var out []string
	for i := range d.in.Proceed {
		if d.unknown(i) {
			out = appendNew(out, d.in.Proceed[i].Metric)
		}
	}
	if len(out) == 0 && d.unjudged() {
		out = append(out, "not judged yet")
	}
	return out
}

func appendNew(list []string, s string) []string {
	for _, o := range list {
		if o == s {
			return list
		}
	}
	return append(list, s)
}

// clock is a time in the plan's zone: the weekday within a week, else the date.
func (d *decision) clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	if d.p.Location != nil {
		t = t.In(d.p.Location)
	}
	if t.Sub(d.now) > 6*24*time.Hour {
		return t.Format("2 Jan 15:04")
	}
	return t.Format("Mon 15:04")
}
