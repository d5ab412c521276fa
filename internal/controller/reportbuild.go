package controller

import (
	"context"
	"fmt"
	"slices"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// reportNotices is how many notices of a rollout a report looks through.
const reportNotices = 100_000

// Report says what became of a rollout; the id may be a plan's name. A
// *rollout.Refusal says that the plan cannot be read.
func (c *Controller) Report(ctx context.Context, id string) (Report, error) {
	w, err := c.find(id)
	if err != nil {
		return Report{}, err
	}
	if err := w.planKnown(); err != nil {
		return Report{}, err
	}
	events, err := c.o.Store.Journal(ctx, w.id, 0, 0)
	if err != nil {
		return Report{}, fmt.Errorf("read journal of %s: %w", w.id, err)
	}
	sent, err := c.o.Store.Notices(ctx, w.id, reportNotices)
	if err != nil {
		return Report{}, fmt.Errorf("read notices of %s: %w", w.id, err)
	}
	plans, err := c.reportPlans(ctx, events)
	if err != nil {
		return Report{}, err
	}
	b := reporter{plans: plans, view: *w.view.Load()}
	for _, e := range events {
		b.add(e)
	}
	b.finish(rollout.Input{Wall: c.o.Clock.Now(), Mono: c.o.Clock.Mono()})
	b.r.Notices = delivered(sent)
	return b.r, nil
}

// reportPlans are the plans that were in force at some time, by hash.
func (c *Controller) reportPlans(ctx context.Context, events []rollout.Event) (map[string]*plan.Plan, error) {
	reader, name := c.planReader(), ""
	for _, e := range events {
		if e.Type == rollout.Created {
			name = e.To
		}
		if e.PlanHash == "" {
			continue
		}
		if _, err := reader.read(ctx, name, e.PlanHash); err != nil {
			return nil, err
		}
	}
	return reader.parsed, nil
}

// reporter reads a journal once, from its first event on.
type reporter struct {
	plans map[string]*plan.Plan
	view  View          // as it stands; of a rollout that is over nothing of it is used
	p     *plan.Plan    // in force so far
	s     rollout.State // so far
	r     Report
	red   []string       // of the last check
	roles map[string]int // person -> index in r.People
	full  rollout.Event  // that reached 100 % last; zero = not there now
	judge *rollout.Event // the advance to the clean-up of the attempt; nil = none
	last  *rollout.Event // the last event that carries what was measured
}

// add takes one event; b.s is the state before it.
func (b *reporter) add(e rollout.Event) {
	if e.PlanHash != "" {
		b.revised(e)
	}
	b.person(e)
	b.spent(e)
	b.judgedBy(e)
	switch e.Type {
	case rollout.Started, rollout.Restarted:
		b.attempt(e)
	case rollout.Advanced:
		b.advanced(e)
	case rollout.RolledBackEvent:
		b.r.Numbers.Rollbacks++
		b.endStage(e, "rolled_back", rolledBack)
		b.endAttempt(e)
	case rollout.Finished:
		b.endAttempt(e)
	case rollout.Checked:
		b.checked(e)
	case rollout.Approved, rollout.Accepted, rollout.Confirmed:
		b.mark(e)
	case rollout.IncidentOpened, rollout.IncidentDecided, rollout.IncidentResolved, rollout.IncidentClosed:
		b.incident(e)
	}
	b.clock(e)
	if e.Exposure == 0 || e.Exposure < b.s.Exposure {
		b.full = rollout.Event{}
	}
	if e.Exposure == everyone && b.full.Pos == 0 {
		b.full = e
	}
	if measuredBy(e) != nil {
		b.last = &e
	}
	if notable(e, &b.red) {
		title, text := rollout.Title(b.p, e)
		b.r.Timeline = append(b.r.Timeline, Entry{Event: e, Title: title, Text: text})
	}
	b.s = rollout.Apply(b.s, e)
}

// notable reports whether an event is a line of a timeline: no baked, and of
// the checks only those that changed what is red.
func notable(e rollout.Event, red *[]string) bool {
	if e.Type == rollout.Checked {
		same := slices.Equal(e.Red, *red)
		*red = e.Red
		return !same
	}
	return e.Type != rollout.Baked
}

func (b *reporter) revised(e rollout.Event) {
	next := b.plans[e.PlanHash]
	v := ReportRevision{Number: len(b.r.Revisions) + 1, Hash: e.PlanHash, At: e.At, By: e.By, Reason: e.Reason, Looser: e.Looser}
	if b.p != nil {
		for _, c := range plan.Compare(b.p, next).Changes {
			v.Changes = append(v.Changes, c.String())
		}
	}
	b.r.Revisions, b.p = append(b.r.Revisions, v), next
}

func (b *reporter) person(e rollout.Event) {
	if e.By == "" {
		return
	}
	i, known := b.roles[e.By]
	if !known {
		if b.roles == nil {
			b.roles = map[string]int{}
		}
		i = len(b.r.People)
		b.roles[e.By], b.r.People = i, append(b.r.People, ReportPerson{Name: e.By})
	}
	p := &b.r.People[i]
	p.Actions++
	if e.Role != "" && !slices.Contains(p.Roles, e.Role) {
		p.Roles = append(p.Roles, e.Role)
	}
}

// current are the attempt and the stay at a stage that are under way, or nil.
func (b *reporter) current() (*ReportAttempt, *ReportStage) {
	n := len(b.r.Attempts)
	if n == 0 || !b.r.Attempts[n-1].Ended.IsZero() {
		return nil, nil
	}
	a := &b.r.Attempts[n-1]
	if m := len(a.Stages); m > 0 && a.Stages[m-1].Ended.IsZero() {
		return a, &a.Stages[m-1]
	}
	return a, nil
}

func (b *reporter) attempt(e rollout.Event) {
	a := ReportAttempt{Number: e.Attempt, Began: e.At, Stages: []ReportStage{}, Judges: []int{max(e.Judge, judge.FirstVersion)}}
	if e.Type == rollout.Restarted {
		a.Cause = e.Reason
	}
	b.judge = nil
	b.r.Attempts = append(b.r.Attempts, a)
	b.enter(e)
}

func (b *reporter) enter(e rollout.Event) {
	st := b.p.Stages[e.Stage]
	a, _ := b.current()
	a.Stages = append(a.Stages, ReportStage{Name: st.Name, Traffic: percent(b.p.Exposure(e.Stage)), Began: e.At, Planned: st.Bake, Owner: st.Owner})
}

func (b *reporter) advanced(e rollout.Event) {
	end, words := "advanced", "advanced"
	if e.Overridden {
		end, words = "overridden", "overridden"
		b.override(e)
	}
	b.endStage(e, end, words)
	if e.Kind == string(rollout.Cleanup) {
		b.judge = &e
		return
	}
	b.enter(e)
}

const rolledBack = "rolled back"

// endStage ends the stay at a stage, if there is one: none in the clean-up.
func (b *reporter) endStage(e rollout.Event, end, words string) {
	_, st := b.current()
	if st == nil {
		return
	}
	if e.By != "" {
		words += " by " + e.By
	}
	st.Ended, st.End, st.Words, st.By, st.Reason = e.At, end, words, e.By, e.Reason
}

func (b *reporter) endAttempt(e rollout.Event) {
	if a, _ := b.current(); a != nil {
		a.Ended, a.By = e.At, e.By
		a.End, _ = rollout.Title(b.p, e)
	}
}

// judgedBy notes that a person put the attempt under another version of the judge.
func (b *reporter) judgedBy(e rollout.Event) {
	if a, _ := b.current(); a != nil && e.Judge > 0 && (e.Type == rollout.Accepted || e.Type == rollout.Resumed) {
		a.Judges = append(a.Judges, e.Judge)
	}
}

// spent adds the time up to e to the stage it was spent in; the time after a
// rollback and in the clean-up belongs to none.
func (b *reporter) spent(e rollout.Event) {
	if _, st := b.current(); st != nil {
		for key, d := range e.Account {
			st.Wall += d
			if key == "bake" {
				st.Bake += d
				continue
			}
			st.Rest = addPart(st.Rest, key, d)
		}
	}
}

func (b *reporter) checked(e rollout.Event) {
	b.r.Checks.Done++
	_, st := b.current()
	if st != nil {
		st.Checks++
	}
	if len(e.Red) > 0 {
		b.r.Checks.Red++
		if st != nil {
			st.RedChecks++
		}
	}
}

func (b *reporter) override(e rollout.Event) {
	o := ReportOverride{Attempt: e.Attempt, From: b.stage(b.s.Stage), To: e.To, By: e.By, Role: e.Role, At: e.At, Reason: e.Reason,
		Bake: b.s.Bake, Planned: b.p.Stages[b.s.Stage].Bake, Passed: []ReportRule{}}
	for _, v := range e.Verdicts {
		if v.Status != judge.Met && !v.Dry {
			o.Passed = append(o.Passed, b.rule(v))
		}
	}
	b.r.Numbers.Overrides++
	b.r.Overrides = append(b.r.Overrides, o)
}

func (b *reporter) stage(i int) string {
	if i < 0 || i >= len(b.p.Stages) {
		return ""
	}
	return b.p.Stages[i].Name
}

func (b *reporter) mark(e rollout.Event) {
	m := ReportMark{Attempt: e.Attempt, Stage: b.stage(e.Stage), Item: e.Item, By: e.By, Role: e.Role, At: e.At, Reason: e.Reason,
		Evidence: e.Evidence, Verdicts: e.Verdicts}
	switch e.Type {
	case rollout.Approved:
		if m.Item == "" {
			m.Item = "the start"
			if b.s.Attempt > 0 {
				m.Item = "the raise to " + b.stage(e.Stage+1)
				if _, st := b.current(); st != nil {
					st.ApprovedBy = append(st.ApprovedBy, e.By)
				}
			}
		}
		b.r.Approved = append(b.r.Approved, m)
	case rollout.Accepted:
		if m.Item == "" {
			m.Item = "criteria that are unknown"
		}
		b.r.Accepted = append(b.r.Accepted, m)
	default:
		b.r.Confirmed = append(b.r.Confirmed, m)
	}
}

func (b *reporter) incident(e rollout.Event) {
	i := slices.IndexFunc(b.r.Incidents, func(i ReportIncident) bool { return i.ID == e.Kind })
	if i < 0 {
		i, b.r.Incidents = len(b.r.Incidents), append(b.r.Incidents, ReportIncident{ID: e.Kind, Opened: e.At, By: e.By})
	}
	in := &b.r.Incidents[i]
	switch e.Type {
	case rollout.IncidentOpened:
		in.Resolved, in.Closed = time.Time{}, time.Time{} // it may have been opened again
	case rollout.IncidentResolved:
		in.Resolved = e.At
	case rollout.IncidentClosed:
		in.Closed = e.At
	}
	title, text := rollout.Title(b.p, e)
	if text != "" {
		title += ": " + text
	}
	in.Words = append(in.Words, title)
}

// delivered counts what became of the notices.
func delivered(sent []store.Outgoing) ReportNotices {
	var n ReportNotices
	for _, o := range sent {
		switch {
		case !o.Delivered.IsZero():
			n.Sent++
		case o.Dead:
			n.Failed++
			n.Lost = append(n.Lost, ReportLost{Title: o.Title, Channel: o.Channel, At: o.At, Error: o.Error})
		default:
			n.Waiting++
		}
	}
	return n
}
