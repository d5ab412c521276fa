package standup

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// onTime is how long after a report was due it counts as made on time.
const onTime = 2 * time.Minute

// Build makes a report of facts. The same facts give the same report.
func Build(f Facts) Report {
	s, p := f.Standing.State, f.Plan
	sections, unknown := SectionsOf(f.Report)
	r := Report{
		ID: f.Slot.ID, Kind: KindOf(f.Report), Name: f.Report.Name, Project: f.Standing.Project, Rollout: f.Standing.ID,
		Plan: p.Name, Title: cmp.Or(p.Title, p.Name), Timezone: p.Location.String(), Day: f.Slot.Day, Due: f.Slot.Due, At: f.At.UTC(),
		From: f.Slot.From, To: f.Slot.Due, Status: s.Status, Exposure: float64(s.Exposure) * 100 / float64(flag.Everyone),
		Sections: sections, Unknown: unknown, Late: late(f.Slot, f.At, KindOf(f.Report)),
	}
	if s.Stage >= 0 && s.Stage < len(p.Stages) {
		r.Stage = p.Stages[s.Stage].Name
	}
	f.fill(&r)
	r.Moves = moves(p, f.Journal, r.From, r.To)
	r.Headline = r.headline()
	return r
}

// fill answers the sections.
func (f Facts) fill(r *Report) {
	now := Span{r.From, r.To}
	was, words, compared := before(now, f.Standing.State.StageAt)
	if r.Has(Spikes) || r.Has(SlowDowns) {
		r.Against = words
	}
	for _, s := range r.Sections {
		switch s {
		case Metrics:
			r.Metrics = f.gates(now)
		case Severe:
			r.Severe = f.rows(now, "p1", "p2")
		case Complaints:
			r.Feedback = f.feedback(r.Feedback, now, "complaints", "critical_complaints", "failure_reports", "revert_requests", "escalations")
		case Sentiment:
			r.Feedback = f.feedback(r.Feedback, now, "complaints", "survey_negative", "satisfaction")
		case NewIssues:
			r.Issues = f.fresh(now)
		case Spikes:
			r.Spikes = f.spikes(now, was, compared)
		case SlowDowns:
			if compared {
				r.Slow = f.slow(now, was)
			}
		case Incidents:
			r.Incidents = f.Open
		case Decision:
			r.Decision, r.Incidents = Ask(f.Plan, f.Standing, f.Open), f.Open
		}
	}
}

// late says why a report is late, and what was not made before it.
func late(s Slot, at time.Time, k Kind) string {
	var out []string
	if d := at.Sub(s.Due); d > onTime {
		out = append(out, fmt.Sprintf("%s late: serin was not running at %s, or could not store it", strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s"), clock(s.Due)))
	}
	if s.Missed == 1 {
		out = append(out, fmt.Sprintf("the %s before it was not made", k))
	} else if s.Missed > 1 {
		out = append(out, fmt.Sprintf("%d %ss before it were not made", s.Missed, k))
	}
	return strings.Join(out, "; ")
}

// gates are the metrics of the gates of the stage, in the order of the plan;
// of several rules on a metric the worst tells.
func (f Facts) gates(now Span) (out []Row) {
	worst := map[string]judge.Verdict{}
	var order []string
	for _, v := range f.Standing.Proceed {
		have, known := worst[v.Metric]
		if !known {
			order = append(order, v.Metric)
		}
		if !known || rank(v.Status) < rank(have.Status) {
			worst[v.Metric] = v
		}
	}
	if len(order) == 0 && len(f.Plan.Stages) > 0 { // paused, rolled back, in clean-up
		stage := min(max(f.Standing.State.Stage, 0), len(f.Plan.Stages)-1)
		for _, rule := range f.Plan.Stages[stage].Proceed {
			if !slices.Contains(order, rule.Metric) {
				order = append(order, rule.Metric)
			}
		}
	}
	for _, row := range f.rows(now, order...) {
		if v, ok := worst[row.Metric]; ok {
			row.Rule, row.Word = v.Rule, v.Status.String()
			row.Why = cmp.Or(row.Why, v.Why)
		}
		out = append(out, row)
	}
	return out
}

func rank(s judge.Status) int {
	return slices.Index([]judge.Status{judge.NotMet, judge.Unknown, judge.Met}, s)
}

// rows read metrics over a span and over as long a time before.
func (f Facts) rows(now Span, names ...string) (out []Row) {
	for _, name := range names {
		m := f.Plan.Metrics[name]
		if m == nil {
			continue
		}
		n, was := f.Measure(name, now.From, now.To), f.Measure(name, now.From.Add(-now.length()), now.From)
		row := Row{Metric: name, Title: m.Title, Unit: m.Unit, Now: n.New, Before: was.New, Control: n.Control}
		if n.Silent != "" {
			row.Now, row.Before, row.Control, row.Why = nil, nil, nil, n.Silent
		}
		out = append(out, row)
	}
	return out
}

// feedback adds rows of what users said: the first always, the others where
// there is something to tell. None comes twice.
func (f Facts) feedback(have []Row, now Span, names ...string) []Row {
	for i, row := range f.rows(now, names...) {
		told := slices.ContainsFunc(have, func(r Row) bool { return r.Metric == row.Metric })
		said := row.Now != nil && (*row.Now != 0 || row.Before != nil && *row.Before != 0)
		if !told && (i == 0 || said) {
			have = append(have, row)
		}
	}
	return have
}

// maxIssues bounds the issues of a report; the worst come first.
const maxIssues = 20

// fresh are the issues that the new variant had for the first time in a span,
// and nobody before this attempt, as the metric new_issues counts them.
func (f Facts) fresh(now Span) (out []Issue) {
	for _, i := range f.Issues {
		if i.First.After(now.From) && !i.First.After(now.To) && !i.Seen.Before(f.Standing.State.AttemptAt) {
			out = append(out, i.Issue)
		}
	}
	slices.SortStableFunc(out, func(a, b Issue) int { return cmp.Or(cmp.Compare(b.Users, a.Users), cmp.Compare(b.Events, a.Events)) })
	return out[:min(len(out), maxIssues)]
}

// needs are the kinds of rollout.Waiting that only a person clears, with the
// verb that does.
var needs = map[string]rollout.Verb{
	"approval": rollout.Approve, "decision": rollout.Accept, "confirm": rollout.Confirm, "checklist": rollout.Complete, "incident": "",
}

// Ask is what there is to decide about a rollout now; nil = nothing, as it is
// over.
//
// What serin advises: to roll back where a rollback rule is met; to proceed
// where nothing but people's approval is missing; else to hold, and why.
func Ask(p *plan.Plan, s Standing, open []Incident) *Question {
	q := &Question{Text: p.Name + ": " + question(s), Advice: AdviseHold, Version: s.State.Version}
	for _, w := range s.Waiting {
		if verb, ok := needs[w.Kind]; ok {
			q.Needs = append(q.Needs, Need{w.Kind, w.Text, verb})
		}
	}
	switch s.State.Status {
	case rollout.Done, rollout.Cancelled:
		return nil
	case rollout.Preflight:
		for _, item := range s.Checklist {
			q.Needs = append(q.Needs, Need{"checklist", item, rollout.Complete})
		}
		q.Advice, q.Why = AdviseProceed, "its checklist is complete"
		if n := len(s.Checklist); n > 0 {
			q.Advice, q.Why = AdviseHold, plural(n, "item")+" of the checklist open"
		}
		return q
	case rollout.RolledBack:
		q.Why = "it was rolled back: a restart needs its cause"
		return q
	case rollout.Cleanup:
		q.Why = "everybody is on the new variant: the clean-up is open"
		return q
	}
	for _, v := range s.Rollback {
		if v.Status == judge.Met && !v.Dry {
			q.Advice, q.Why = AdviseRollback, "the rollback rule "+v.Rule+" is met: "+v.Why
			return q
		}
	}
	q.weigh(p, s, open)
	return q
}

// weigh advises for a rollout that is exposed and meets no rollback rule.
func (q *Question) weigh(p *plan.Plan, s Standing, open []Incident) {
	met := 0
	for _, v := range s.Proceed {
		if v.Status == judge.Met {
			met++
		}
	}
	gates, judged := fmt.Sprintf("%d of %s met", met, plural(len(s.Proceed), "gate")), true
	if len(s.Proceed) == 0 {
		gates = "the stage has no gates"
		if i := s.State.Stage; i >= 0 && i < len(p.Stages) && len(p.Stages[i].Proceed) > 0 {
			gates, judged = "its gates are not judged yet", false
		}
	}
	var reasons []string
	for _, w := range s.Waiting {
		if w.Kind != "approval" {
			reasons = append(reasons, w.Text)
		}
	}
	switch {
	case s.State.Status != rollout.Running:
		q.Why = "it is " + string(s.State.Status)
		if s.State.Reason != "" {
			q.Why += ": " + s.State.Reason
		}
	case len(open) > 0:
		q.Why = "incident " + open[0].ID + " is open"
	case len(reasons) > 0:
		q.Why = gates + "; waits for " + strings.Join(reasons, ", ")
	case !judged:
		q.Why = gates
	default:
		q.Advice, q.Why = AdviseProceed, gates
	}
}

func question(s Standing) string {
	now := share(float64(s.State.Exposure) * 100 / float64(flag.Everyone))
	switch {
	case s.State.Status == rollout.Preflight:
		return "start?"
	case s.State.Status == rollout.RolledBack:
		return "restart?"
	case s.State.Status == rollout.Cleanup:
		return "finish the clean-up"
	case s.State.Status == rollout.Paused || s.State.Status == rollout.Reduced:
		return "resume at " + now + "?"
	case s.Next == "":
		return now + " to the clean-up"
	}
	return now + " to " + s.Next
}

// told are the events that a report lists: what moved the rollout, and what
// people decided.
var told = []rollout.Type{
	rollout.Started, rollout.Advanced, rollout.PausedEvent, rollout.Resumed, rollout.ReducedEvent, rollout.RolledBackEvent, rollout.Restarted,
	rollout.Approved, rollout.Accepted, rollout.Asked, rollout.Revised, rollout.IncidentOpened, rollout.IncidentResolved, rollout.Finished,
}

// moves are the events of (from, to] that a report lists, in words.
func moves(p *plan.Plan, journal []rollout.Event, from, to time.Time) (out []Move) {
	for _, e := range journal {
		if !slices.Contains(told, e.Type) || !e.At.After(from) || e.At.After(to) {
			continue
		}
		title, _ := rollout.Title(p, e)
		out = append(out, Move{e.At.UTC(), e.By, title})
	}
	return out
}

// Decided are what people decided about a rollout's traffic after a report was
// made, oldest first.
func Decided(p *plan.Plan, journal []rollout.Event, after, until time.Time) (out []Move) {
	for _, e := range journal {
		if e.By == "" || e.Type == rollout.Asked || e.Type == rollout.Finished {
			continue
		}
		out = append(out, moves(p, []rollout.Event{e}, after, until)...)
	}
	return out
}
