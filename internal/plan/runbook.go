package plan

import (
	"fmt"
	"strings"
	"time"
)

// timelineText writes the timeline for people. A plan without a start is shown
// as if it began on a Monday at the first minute in which traffic may rise.
func timelineText(p *Plan) string {
	var b strings.Builder
	start, layout := p.Start, "Mon 2006-01-02 15:04"
	if start.IsZero() {
		monday := wallTime(p.Location, 2024, time.January, 1, 0)
		start, layout = p.NextRaise(monday), "Mon 15:04"
		fmt.Fprintf(&b, "Timeline (%s), if started on %s:\n", p.Timezone, start.In(p.Location).Format(layout))
	} else {
		fmt.Fprintf(&b, "Timeline (%s), at the earliest:\n", p.Timezone)
	}
	for _, e := range p.Timeline(start) {
		fmt.Fprintf(&b, "  %s  %5dh  %s\n", e.At.Format(layout), int(e.At.Sub(start).Hours()), e.Text)
		if e.Kind == StageStart {
			for _, note := range p.entryNotes(e, start, layout) {
				fmt.Fprintf(&b, "  %*s          %s\n", len(e.At.Format(layout)), "", note)
			}
		}
	}
	return b.String()
}

// entryNotes are what people need for the start of a stage: why it waits, what
// is done and approved before, and who is on duty while it lasts.
func (p *Plan) entryNotes(e Event, start time.Time, layout string) (notes []string) {
	s := p.Stages[e.Stage]
	if e.Wait > 0 {
		notes = append(notes, "waits "+FormatDuration(e.Wait.Round(time.Minute))+" for its window")
	}
	if len(s.Before) > 0 {
		notes = append(notes, "first: "+strings.Join(s.Before, "; "))
	}
	if len(s.Approve) > 0 {
		notes = append(notes, "approval: "+p.people(s.Approve, " or "))
	}
	duty := p.people(s.Owner, ", ")
	if duty == "" {
		duty = "nobody named"
	}
	notes = append(notes, "on duty: "+duty)
	for _, name := range s.Owner {
		role, _ := p.Role(name)
		if until := start.Add(role.Covers).In(p.Location); role.Covers > 0 && until.Before(e.At.Add(s.Bake)) {
			notes = append(notes, fmt.Sprintf("%s covers until %s, which is before it ends", name, until.Format(layout)))
		}
	}
	return notes
}

// people names roles with who fills them: "lead (@ann)".
func (p *Plan) people(roles []string, sep string) string {
	texts := make([]string, len(roles))
	for i, name := range roles {
		texts[i] = name
		if role, ok := p.Role(name); ok && role.Who != "" {
			texts[i] += " (" + role.Who + ")"
		}
	}
	return strings.Join(texts, sep)
}

// Runbook returns what people do in each stage, when traffic falls and at the
// end, as plain text.
func Runbook(p *Plan) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("Runbook: %s", p.Title)
	for _, role := range p.Roles {
		line("  %s (%s): %s", role.Name, role.Who, orNone(role.Does))
	}
	for _, t := range p.Preflight {
		line("  before start: %s%s", t.Do, taskNotes(t))
	}
	for i, s := range p.Stages {
		line("%d. %s: %s for %s, owner %s", i+1, s.Name, exposureText(p, i), FormatDuration(s.Bake), orNone(s.Owner))
		stageLines(s, line)
	}
	line("Traffic goes to 0%% within %s, without asking, if any one is met:", FormatDuration(p.Actions.RollbackWithin))
	for _, r := range p.Rollback {
		line("  %s", r.Text)
	}
	if len(p.Reduce) > 0 {
		line("Traffic goes to %s within %s if any one is met:", p.Actions.ReduceTraffic, FormatDuration(p.Actions.ReduceWithin))
		for _, r := range p.Reduce {
			line("  %s", r.Text)
		}
	}
	if rv := p.Actions.Revert; len(rv.Show) > 0 {
		line("By hand, where the flag does not help: %s", strings.Join(rv.Show, "; "))
	}
	line("A new attempt from %s at the furthest, after %s, needs: %s", p.Actions.RestartFrom, FormatDuration(p.Actions.RestartAfter), orNone(p.Actions.RestartNeeds))
	incidentLines(p.Incident, line)
	for _, t := range p.Cleanup.Tasks {
		line("  clean-up: %s%s", t.Do, taskNotes(t))
	}
	return b.String()
}

func orNone(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

func stageLines(s Stage, line func(string, ...any)) {
	if s.At != nil {
		line("   enter at %s", s.At.Text)
	}
	if len(s.Before) > 0 {
		line("   first: %s", strings.Join(s.Before, "; "))
	}
	if len(s.Approve) > 0 {
		line("   approval: %s", strings.Join(s.Approve, " or "))
	}
	for _, c := range s.Checks {
		until := "then on"
		if c.For > 0 {
			until = "for " + FormatDuration(c.For)
		}
		line("   every %s %s look at: %s", FormatDuration(c.Every), until, ruleTexts(c.Expect))
	}
	line("   go on if: %s", ruleTexts(s.Proceed))
	if len(s.Confirm) > 0 {
		line("   confirm: %s", strings.Join(s.Confirm, "; "))
	}
	line("   no proof either way: %s", s.Inconclusive)
}

func ruleTexts(rules []*Rule) string {
	texts := make([]string, len(rules))
	for i, r := range rules {
		texts[i] = r.Text
	}
	return orNone(texts)
}

func incidentLines(in Incident, line func(string, ...any)) {
	if len(in.Tree) == 0 {
		return
	}
	line("Incident: respond within %s, decide within %s, act within %s", FormatDuration(in.Respond), FormatDuration(in.Decide), FormatDuration(in.Act))
	for _, b := range in.Tree {
		when := "otherwise"
		if b.If != nil {
			when = "if " + b.If.Text
		}
		line("  %s: %s", when, b.action())
	}
}

func taskNotes(t Task) string {
	var notes []string
	if t.By != "" {
		notes = append(notes, "by "+t.By)
	}
	if t.Verify != nil {
		notes = append(notes, "verified by "+t.Verify.Text)
	}
	if t.When != nil {
		notes = append(notes, "when "+t.When.Task+" = "+t.When.Choice)
	}
	if t.Irreversible {
		notes = append(notes, "no rollback after it")
	}
	if len(notes) == 0 {
		return ""
	}
	return " (" + strings.Join(notes, ", ") + ")"
}
