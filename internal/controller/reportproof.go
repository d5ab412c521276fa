package controller

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// success are the verdicts of the last stage: those that the advance to the
// clean-up rested on, else the newest ones while the last stage runs.
func (b *reporter) success() {
	last := len(b.p.Stages) - 1
	out := &b.r.Success
	out.Stage = b.p.Stages[last].Name
	var verdicts []judge.Verdict
	switch {
	case b.judge != nil:
		verdicts = b.judge.Verdicts
		out.Judged, out.At, out.Note = true, b.judge.At, "as of the end of "+out.Stage
		if b.judge.Overridden {
			out.Note += ", which was overridden"
		}
	case b.s.Attempt > 0 && b.s.Stage == last && b.s.Exposure > 0 && len(b.view.Proceed) > 0 && b.view.State.Attempt == b.s.Attempt:
		verdicts = b.view.Proceed
		out.At, out.Note = b.view.At, "not yet judged: "+out.Stage+" has not ended, these are the newest verdicts"
	default:
		out.Note = "not yet judged: " + out.Stage + " was not reached"
		if b.s.Stage == last && b.s.Attempt > 0 {
			out.Note = "not judged: " + out.Stage + " did not end"
		}
		for _, r := range b.p.Stages[last].Proceed {
			out.Rules = append(out.Rules, ReportRule{Rule: r.Text, Metric: r.Metric, Title: b.title(r.Metric), Limit: written(r.Text), Word: "not judged"})
		}
	}
	for _, v := range verdicts {
		rule := b.rule(v)
		out.Rules = append(out.Rules, rule)
		switch v.Status {
		case judge.Met:
			out.Met++
		case judge.NotMet:
			out.NotMet++
		default:
			out.Unknown++
		}
	}
}

// rule puts a verdict into a row.
func (b *reporter) rule(v judge.Verdict) ReportRule {
	r := ReportRule{Rule: v.Rule, Metric: v.Metric, Title: b.title(v.Metric), Limit: written(v.Rule), Word: "unknown", Why: v.Why, Verdict: &v}
	switch v.Status {
	case judge.Met:
		r.Word = "met"
	case judge.NotMet:
		r.Word = "not met"
	}
	if v.Value == nil {
		return r
	}
	r.Value = valueText(v)
	fixed := v.Ref == plan.None && v.Limit != 0
	r.Near = fixed && v.Status == judge.Met && math.Abs(*v.Value-v.Limit) < math.Abs(v.Limit)/10
	return r
}

// written is the limit of a rule as its author wrote it: all behind the metric.
func written(rule string) string {
	_, limit, _ := strings.Cut(rule, " ")
	return limit
}

func (b *reporter) title(metric string) string {
	if m := b.p.Metrics[metric]; m != nil && m.Title != "" {
		return m.Title
	}
	return metric
}

// openConfirmations are what the last stage still asks of people.
func (b *reporter) openConfirmations() {
	last := len(b.p.Stages) - 1
	if b.r.Final || b.judge != nil || b.s.Attempt == 0 || b.s.Stage != last || b.s.Exposure == 0 {
		return
	}
	for _, text := range b.p.Stages[last].Confirm {
		if markOf(b.s.Confirmed, text, b.s.Attempt, last) == nil {
			b.r.Confirmed = append(b.r.Confirmed, ReportMark{Attempt: b.s.Attempt, Stage: b.p.Stages[last].Name, Item: text, Open: true})
		}
	}
}

// measuredBy is the state of the telemetry that an event carries, or nil.
func measuredBy(e rollout.Event) *judge.Data {
	switch e.Type {
	case rollout.RolledBackEvent, rollout.Advanced, rollout.Finished, rollout.CancelledEvent:
	default:
		return nil
	}
	var d judge.Data
	if len(e.Extra) == 0 || json.Unmarshal(e.Extra, &d) != nil {
		return nil
	}
	return &d
}

// attribution is how it stood at the end of the last stage, else when the
// last attempt ended, else as it stands.
func (b *reporter) attribution() {
	a := ReportAttribution{At: b.view.At, Stage: b.stage(b.s.Stage), Data: b.view.Data}
	from := b.judge
	if from == nil || measuredBy(*from) == nil {
		from = b.last
	}
	switch {
	case from != nil && (b.judge != nil || b.r.Final || b.s.Exposure == 0):
		a.At, a.Stage, a.Data = from.At, b.stage(from.Stage), *measuredBy(*from)
	case b.r.Final || b.s.Attempt == 0:
		return
	}
	a.Events = a.Attributed + a.Unattributable
	if a.Events > 0 {
		a.Known = float64(a.Attributed) / float64(a.Events)
	}
	if n := float64(a.Attributed); n > 0 {
		a.ByReport, a.ByBoth = float64(a.Reported)/n, float64(a.Both)/n
		a.ByHash = max(0, float64(a.Attributed-a.Reported-a.Both)/n)
	}
	a.Words = fmt.Sprintf("%s of %d events were known to be of new or old; %s of these had reported another variant than the one assigned; %d of exposed users were outside the pages or tags that rules count.",
		share(a.Known), a.Events, share(a.Conflicts), a.NotCounted)
	if a.Events == 0 {
		a.Words = "No telemetry in scope was seen in this stage."
	}
	b.r.Attribution = &a
}

// share writes 0..1 as percent.
func share(x float64) string { return judge.Format(math.Round(x*1e4)/1e4, "%") }
