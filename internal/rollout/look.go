package rollout

import (
	"strings"

	"serin/internal/judge"
	"serin/internal/plan"
)

// Outcome is what came of one look of a decision.
type Outcome string

// The outcomes.
const (
	Decided Outcome = "decided" // it ended the decision; nothing after it mattered
	Took    Outcome = "done"    // it happened, and the decision went on
	Holds   Outcome = "holds"   // it would have kept the rollout too: an earlier look had decided
	Clear   Outcome = "clear"   // nothing stood there
	Skipped Outcome = "skipped" // not looked at, Text says why
)

// Look is one of the things that a decision looks at, in the order of the
// state machine: the lowering rules, the command, the status, the gates and
// the advance.
type Look struct {
	// Name is rollback, silence, reduce, command, status, a kind of Waiting
	// (no data, blind, data incomplete, unattributed, telemetry loss by arm,
	// srm, judge version, bake, criteria, evidence or decision, incident, confirm, checklist,
	// window, approval) or advance.
	Name    string   `json:"name"`
	Outcome Outcome  `json:"outcome"`
	Text    string   `json:"text"`            // what was seen: "31h/48h", "none of 3 rules is met"
	Rules   []Ruling `json:"rules,omitempty"` // what was judged, in the order of the plan
}

// Ruling is one rule in a look.
type Ruling struct {
	judge.Verdict
	Decides bool   `json:"decides,omitempty"` // this rule is why the look holds
	Note    string `json:"note,omitempty"`    // why the verdict does not count here, "" = it does
}

// The names of looks that are no gate.
const (
	lookRollback = "rollback"
	lookSilence  = "silence"
	lookReduce   = "reduce"
	lookCommand  = "command"
	lookStatus   = "status"
	lookAdvance  = "advance"
)

// looksDown are the looks that come first in every state: what takes traffic back.
func (d *decision) looksDown() []Look {
	return []Look{d.lookRollback(), d.lookSilence(), d.lookReduce()}
}

func (d *decision) lookRollback() Look {
	l := Look{Name: lookRollback, Outcome: Clear, Text: noneMet(len(d.in.Rollback))}
	met := d.metRollback()
	l.Rules = d.guards(d.p.Rollback, d.in.Rollback, met)
	switch {
	case !d.guarded():
		l.Outcome, l.Text = Skipped, "nobody is on new"
	case d.in.Rollback == nil:
		l.Outcome, l.Text = Skipped, "not judged"
	case met != nil && d.s.Irreversible:
		l.Outcome, l.Text = Holds, why(met)+"; the old code is gone, so a person is asked to revert, at most once an hour"
	case met != nil:
		l.Outcome, l.Text = Holds, why(met)
	}
	return l
}

func (d *decision) lookSilence() Look {
	l := Look{Name: lookSilence, Outcome: Clear, Text: "data is arriving"}
	silent := d.in.Data.NoData
	switch {
	case !d.guarded() || d.s.Status == Cleanup:
		l.Outcome, l.Text = Skipped, "not in this state"
	case d.p.Judge.NoData.Then != thenRollback:
		l.Outcome, l.Text = Skipped, "the plan does not say that silence rolls back"
	case d.tooSilent():
		l.Outcome, l.Text = Holds, "no data for "+short(d.now.Sub(d.silence()))
	case silent:
		l.Text = "no data for " + short(d.now.Sub(d.silence())) + ", it rolls back after " + short(d.p.Judge.NoData.After)
	}
	return l
}

func (d *decision) lookReduce() Look {
	l := Look{Name: lookReduce, Outcome: Clear, Text: noneMet(len(d.in.Reduce))}
	met := d.metReduce()
	l.Rules = d.guards(d.p.Reduce, d.in.Reduce, met)
	switch {
	case len(d.p.Reduce) == 0:
		l.Outcome, l.Text = Skipped, "the plan has no reduce rules"
	case !d.guarded() || d.s.Status == Cleanup:
		l.Outcome, l.Text = Skipped, "not in this state"
	case d.in.Reduce == nil:
		l.Outcome, l.Text = Skipped, "not judged"
	case met != nil && d.s.Exposure <= d.p.Actions.ReduceTraffic:
		l.Text = why(met) + "; traffic is at " + percent(d.s.Exposure) + " already"
	case met != nil:
		l.Outcome, l.Text = Holds, why(met)
	}
	return l
}

// guards are the verdicts of rules that act, with what keeps one from acting.
func (d *decision) guards(rules []*plan.Rule, verdicts []judge.Verdict, met *judge.Verdict) []Ruling {
	out := make([]Ruling, len(verdicts))
	for i := range verdicts {
		v := &verdicts[i]
		out[i] = Ruling{Verdict: *v, Decides: v == met}
		switch {
		case v.Dry:
			out[i].Note = noteDry
		case v.Status == judge.Met && onBaseline(rules, i, v):
			out[i].Note = "rests on the baseline: it never acts, it holds and pages"
		}
	}
	return out
}

const noteDry = "dry: it never counts"

// looksUp are the looks at status, gates and advance.
func (d *decision) looksUp() []Look {
	status := Look{Name: lookStatus, Outcome: Clear, Text: "running at " + stageName(d.p, d.s.Stage) + " " + percent(d.s.Exposure)}
	if d.s.Status != Running {
		status.Outcome, status.Text = Holds, d.standsAs()
	}
	out := []Look{status}
	for g := gateNoData; g < open; g++ {
		out = append(out, d.lookGate(g))
	}
	last := Look{Name: lookAdvance, Outcome: Skipped, Text: "only a running rollout rises"}
	if d.s.Status == Running {
		last.Text = "next is " + d.nextPlace()
	}
	return append(out, last)
}

// standsAs says what a rollout that does not run waits for.
func (d *decision) standsAs() string {
	text := strings.ReplaceAll(string(d.s.Status), "_", " ")
	if d.s.Reason != "" {
		text += " (" + d.s.Reason + ")"
	}
	switch d.s.Status {
	case Preflight:
		if n := len(d.startMissing(nil)); n > 0 {
			return text + ": a start lacks " + strings.Join(d.startMissing(nil), "; ")
		}
		return text + ": nothing is missing, a person starts it"
	case Paused, Reduced:
		return text + ": until somebody resumes"
	case RolledBack:
		return text + ": until somebody restarts it"
	case Cleanup:
		if missing := d.finishMissing(); len(missing) > 0 {
			return text + ": open are " + strings.Join(missing, "; ")
		}
	}
	return text
}

// nextPlace names where an advance leads.
func (d *decision) nextPlace() string {
	if d.next() == nil {
		return "clean-up at " + percent(everyone)
	}
	return d.next().Name + " " + percent(d.p.Exposure(d.s.Stage+1))
}

func (d *decision) lookGate(g gate) Look {
	l := Look{Name: d.kind(g), Outcome: Clear}
	if d.s.Status != Running {
		l.Outcome, l.Text = Skipped, "only a running rollout rises"
		return l
	}
	switch g {
	case gateBlind:
		l.Rules = d.blindRulings()
	case gateCriteria:
		l.Rules = d.criteriaRulings()
	case gateEvidence:
		l.Rules = d.unknownRulings()
	}
	if d.holds(g) {
		l.Outcome, l.Text = Holds, d.describe(g).Text
		return l
	}
	l.Text = d.clearText(g)
	return l
}

// clearText says why a gate does not hold.
func (d *decision) clearText(g gate) string {
	switch g {
	case gateNoData:
		if d.in.Data.Quiet {
			return "quiet: the pipeline lives, nobody is in scope"
		}
		return "data is arriving"
	case gateBlind:
		return "every guard can be judged"
	case gateIncomplete, gateUnattributed, gateLoss, gateMismatch:
		if badQuality(g, d.in.Data) {
			return strings.TrimSpace(gateKinds[g]+" "+d.detail(g)) + ", accepted"
		}
		if g == gateUnattributed {
			return d.detail(g) + " of telemetry, more than 5% would wait"
		}
		return "nothing to see"
	case gateJudge:
		return "version " + itoa(d.s.JudgeVersion()) + ", as the attempt began"
	case gateBake:
		return d.detail(g)
	case gateCriteria:
		return "none of " + itoa(len(d.in.Proceed)) + " is not met"
	case gateEvidence:
		if d.anyUnknown() {
			return "what is unknown was accepted, or the plan lets it pass"
		}
		return "all are known"
	case gateIncident:
		return "none is open"
	case gateConfirm:
		return doneOf(len(d.stage().Confirm), "confirmed", "nothing to confirm")
	case gateChecklist:
		if d.next() == nil {
			return "no stage follows"
		}
		return doneOf(len(d.next().Before), "done", "the next stage asks for nothing")
	case gateWindow:
		return "open"
	}
	if d.next() == nil || len(d.next().Approve) == 0 {
		return "none is needed"
	}
	return "given"
}

func doneOf(n int, done, none string) string {
	if n == 0 {
		return none
	}
	return "all " + itoa(n) + " " + done
}

func noneMet(n int) string {
	if n == 0 {
		return "there is no such rule"
	}
	return "none of " + itoa(n) + " is met"
}

func (d *decision) blindRulings() (out []Ruling) {
	for _, list := range [2][]judge.Verdict{d.in.Rollback, d.in.Reduce} {
		for i := range list {
			if isBlind(&list[i]) {
				out = append(out, Ruling{Verdict: list[i], Decides: true})
			}
		}
	}
	return out
}

// criteriaRulings are the criteria, and the guards that keep the stage
// although they do not act.
func (d *decision) criteriaRulings() (out []Ruling) {
	for i := range d.in.Proceed {
		v := &d.in.Proceed[i]
		r := Ruling{Verdict: *v, Decides: v.Status == judge.NotMet && !v.Dry}
		switch {
		case v.Dry:
			r.Note = noteDry
		case v.Status == judge.Unknown && !d.unknown(i):
			r.Note = "a default rule whose metric never had data: it does not apply"
		}
		out = append(out, r)
	}
	for i := range d.in.Rollback {
		switch v := &d.in.Rollback[i]; {
		case v.Harm && !v.Dry:
			out = append(out, Ruling{Verdict: *v, Decides: true, Note: "rollback rule: harm is shown below its limit"})
		case d.held(i):
			out = append(out, Ruling{Verdict: *v, Decides: true, Note: "rollback rule, met against the baseline only"})
		}
	}
	return out
}

// unknownRulings are the criteria that are unknown and matter.
func (d *decision) unknownRulings() (out []Ruling) {
	for i := range d.in.Proceed {
		if d.unknown(i) {
			out = append(out, Ruling{Verdict: d.in.Proceed[i], Decides: !d.cleared()})
		}
	}
	return out
}
