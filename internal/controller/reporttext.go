package controller

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"serin/internal/plan"
)

// document is a report as text: what Markdown and HTML have in common.
type document struct {
	Title    string
	Lead     string   // the headline
	Facts    []string // lines under it
	Sections []section
}

// section is a heading with what belongs to it; empty parts are left out.
type section struct {
	Heading string
	Text    []string // paragraphs
	Tables  []table
	Code    []string // lines of a block to copy
}

// table is a table of plain text.
type table struct {
	Caption string // "" = none
	Head    []string
	Rows    [][]string
}

// utc writes a time of a report.
func utc(t time.Time) string {
	if t.IsZero() {
		return none
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// none stands where a table has nothing to say.
const none = "–"

// document writes the report out. All text in it is plain and on one line.
func (r Report) document() document {
	d := document{Title: cmp.Or(r.Title, r.Plan) + ": report of " + r.Rollout, Lead: r.Headline, Facts: r.facts()}
	for _, s := range []section{r.successSection(), r.stagesSection(), r.timeSection(), r.clockSection(), r.decisionsSection(),
		r.incidentsSection(), r.attributionSection(), r.cleanupSection(), r.planSection(), r.noticesSection(), r.timelineSection()} {
		if len(s.Text)+len(s.Tables)+len(s.Code) > 0 {
			d.Sections = append(d.Sections, s)
		}
	}
	return d.plain()
}

func (r Report) facts() []string {
	state := "As of " + utc(r.At) + " UTC; the rollout is " + words(string(r.Status)) + ", so this changes still."
	if r.Final {
		state = "Final: the rollout was " + words(string(r.Status)) + " at " + utc(r.At) + " UTC, and this changes no more."
	}
	facts := []string{state, fmt.Sprintf("Plan %s, revision %d; flag %s; times are UTC.", r.Plan, r.Revision, r.Flag)}
	if !r.Started.IsZero() {
		n := r.Numbers
		facts = append(facts, fmt.Sprintf("%s in all, %s of it planned bake; %s; %s, %d of them red; stood still for %s.",
			span(n.Wall), span(n.Planned), counted(n.Attempts, "attempt"), counted(n.Checks, "check"), n.RedChecks, span(n.Stood)))
	}
	return facts
}

func words(s string) string { return strings.ReplaceAll(s, "_", " ") }

func (r Report) successSection() section {
	s := section{Heading: "Success criteria", Text: []string{upperFirst(r.Success.Note) + "."}}
	t := table{Head: []string{"Rule", "Value", "Limit", "Verdict", "Evidence"}}
	for _, rule := range r.Success.Rules {
		word := rule.Word
		if rule.Near {
			word += ", near the limit"
		}
		t.Rows = append(t.Rows, []string{rule.Title, cmp.Or(rule.Value, none), rule.Limit, word, cmp.Or(rule.Why, none)})
	}
	c := table{Caption: "Confirmed by people", Head: []string{"What", "By", "When", "Note"}}
	for _, m := range r.Confirmed {
		if m.Open {
			c.Rows = append(c.Rows, []string{m.Item, "open", none, none})
			continue
		}
		c.Rows = append(c.Rows, []string{m.Item, byRole(m.By, m.Role), utc(m.At), cmp.Or(note(m.Reason, m.Evidence), none)})
	}
	s.Tables = filled(t, c)
	return s
}

// filled are the tables that have rows.
func filled(tables ...table) (out []table) {
	for _, t := range tables {
		if len(t.Rows) > 0 {
			out = append(out, t)
		}
	}
	return out
}

func byRole(by, role string) string {
	if role == "" || role == by {
		return cmp.Or(by, "serin")
	}
	return cmp.Or(by, "serin") + " (" + role + ")"
}

func note(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, "; ")
}

func (r Report) stagesSection() section {
	s := section{Heading: "Stages"}
	for _, a := range r.Attempts {
		t := table{Caption: fmt.Sprintf("Attempt %d, from %s: %s; judge version %s", a.Number, utc(a.Began), a.End, versions(a.Judges)),
			Head: []string{"Stage", "Traffic", "Began", "Ended", "Wall time", "Bake", "Rest", "How it ended", "Checks"}}
		for _, st := range a.Stages {
			t.Rows = append(t.Rows, []string{st.Name, percentText(st.Traffic), utc(st.Began), utc(st.Ended), span(st.Wall),
				span(st.Bake) + " of " + span(st.Planned), cmp.Or(partsText(st.Rest), none),
				note(st.Words, st.Reason, approvedBy(st.ApprovedBy)), fmt.Sprintf("%d, %d red", st.Checks, st.RedChecks)})
		}
		if a.Cause != "" {
			s.Text = append(s.Text, fmt.Sprintf("Attempt %d was begun after: %s", a.Number, a.Cause))
		}
		s.Tables = append(s.Tables, t)
	}
	return s
}

// versions are the versions of the judge of an attempt: "1", "1, then 3".
func versions(judges []int) string {
	out := make([]string, len(judges))
	for i, v := range judges {
		out[i] = strconv.Itoa(v)
	}
	return strings.Join(out, ", then ")
}

func approvedBy(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "approved by " + strings.Join(names, ", ")
}

func percentText(p float64) string { return strconv.FormatFloat(p, 'f', -1, 64) + " %" }

func partsText(parts []ReportPart) string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = p.Words + " " + span(p.Time)
	}
	return strings.Join(out, ", ")
}

func (r Report) timeSection() section {
	if len(r.Time.Parts) == 0 {
		return section{}
	}
	t := table{Head: []string{"Part", "Time", "Share"}}
	for _, p := range r.Time.Parts {
		t.Rows = append(t.Rows, []string{p.Words, span(p.Time), share(p.Share)})
	}
	t.Rows = append(t.Rows, []string{"Sum", span(r.Time.Wall), "100%"})
	return section{Heading: "Where the time went", Text: []string{r.Time.Sum + "."}, Tables: []table{t}}
}

func (r Report) clockSection() section {
	s := section{Heading: "Ways back"}
	t := table{Head: []string{"Way", "Limit", "Used", "Longest"}}
	for _, l := range r.Limits {
		t.Rows = append(t.Rows, []string{l.Action + ": " + l.Words, limitOf(l.Limit), strconv.Itoa(l.Used), exactOr(l.Worst)})
	}
	u := table{Caption: "Used (real time, from the decision to the first client served)", Head: []string{"When", "Way", "By", "Result", "Detail"}}
	for _, c := range r.Clock {
		u.Rows = append(u.Rows, []string{utc(c.At), c.Action, cmp.Or(c.By, "serin"), c.State, c.Words})
		if len(c.Show) > 0 {
			s.Code = append(s.Code, c.Show...)
		}
	}
	s.Tables = filled(t, u)
	return s
}

func limitOf(d time.Duration) string {
	if d == 0 {
		return none
	}
	return plan.FormatDuration(d)
}

func exactOr(d time.Duration) string {
	switch {
	case d == 0:
		return none
	case d < time.Second:
		return max(d.Round(time.Millisecond), time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func (r Report) decisionsSection() section {
	s := section{Heading: "Decisions of people"}
	o := table{Caption: "Overrides", Head: []string{"When", "By", "From", "To", "Bake", "Passed", "Reason"}}
	for _, x := range r.Overrides {
		var passed []string
		for _, rule := range x.Passed {
			passed = append(passed, rule.Rule+" was "+rule.Word)
		}
		o.Rows = append(o.Rows, []string{utc(x.At), byRole(x.By, x.Role), x.From, x.To, span(x.Bake) + " of " + span(x.Planned),
			cmp.Or(strings.Join(passed, ", "), none), x.Reason})
	}
	marks := func(caption string, list []ReportMark) table {
		t := table{Caption: caption, Head: []string{"When", "By", "What", "At", "Reason"}}
		for _, m := range list {
			t.Rows = append(t.Rows, []string{utc(m.At), byRole(m.By, m.Role), m.Item, m.Stage, cmp.Or(note(m.Reason, m.Evidence), none)})
		}
		return t
	}
	p := table{Caption: "Who acted", Head: []string{"Person", "Roles", "Journal entries"}}
	for _, x := range r.People {
		p.Rows = append(p.Rows, []string{x.Name, cmp.Or(strings.Join(x.Roles, ", "), none), strconv.Itoa(x.Actions)})
	}
	s.Tables = filled(o, marks("Accepted without proof", r.Accepted), marks("Approvals", r.Approved), p)
	return s
}

func (r Report) incidentsSection() section {
	t := table{Head: []string{"Incident", "Opened", "Resolved", "Closed", "What happened"}}
	for _, in := range r.Incidents {
		t.Rows = append(t.Rows, []string{in.ID, utc(in.Opened), utc(in.Resolved), utc(in.Closed), strings.Join(in.Words, "; ")})
	}
	return section{Heading: "Incidents", Tables: filled(t)}
}

func (r Report) attributionSection() section {
	a := r.Attribution
	if a == nil {
		return section{}
	}
	s := section{Heading: "Attribution quality", Text: []string{fmt.Sprintf("In stage %s, as of %s: %s", a.Stage, utc(a.At), a.Words)}}
	t := table{Head: []string{"What", "Number"}, Rows: [][]string{
		{"events not attributable", strconv.FormatInt(a.Unattributable, 10)}, {"events attributed", strconv.FormatInt(a.Attributed, 10)},
		{"of these by the client and the hash of the user", share(a.ByBoth)}, {"by the client alone", share(a.ByReport)}, {"by the hash alone", share(a.ByHash)},
		{"users seen, assigned new", strconv.FormatInt(a.Exposed, 10)}, {"users seen, assigned old", strconv.FormatInt(a.ControlUsers, 10)},
		{"events of exposed users not counted by fixed rules", strconv.FormatInt(a.NotCounted, 10)},
		{"reported and assigned variant differ", share(a.Conflicts)},
		{"split of users as planned", yesNo(!a.Mismatch)}, {"telemetry complete", yesNo(!a.Incomplete)}}}
	s.Tables = []table{t}
	return s
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (r Report) cleanupSection() section {
	s := section{Heading: "Clean-up"}
	if len(r.Cleanup.Tasks) == 0 {
		return s
	}
	s.Text = append(s.Text, fmt.Sprintf("%d of %d tasks done.", r.Cleanup.Done, r.Cleanup.Done+r.Cleanup.Open))
	if r.Cleanup.Choice != "" {
		s.Text = append(s.Text, "Chosen: "+r.Cleanup.Choice)
	}
	t := table{Head: []string{"Task", "State", "By", "When", "Evidence"}}
	for _, x := range r.Cleanup.Tasks {
		state, by := "open", cmp.Or(x.Role, none)
		switch {
		case x.Idle:
			state = "does not apply"
		case x.Done:
			state, by = "done", cmp.Or(x.By, "serin")
		}
		t.Rows = append(t.Rows, []string{x.Do, state, by, utc(x.At), cmp.Or(note(x.Choice, x.Evidence), none)})
	}
	s.Tables = []table{t}
	return s
}

func (r Report) planSection() section {
	s := section{Heading: "Plan"}
	t := table{Caption: "Revisions", Head: []string{"Revision", "When", "By", "What changed", "Reason"}}
	for _, v := range r.Revisions {
		what := strings.Join(v.Changes, "; ")
		if v.Looser {
			what = note("looser", what)
		}
		t.Rows = append(t.Rows, []string{strconv.Itoa(v.Number), utc(v.At), cmp.Or(v.By, "serin"), cmp.Or(what, none), cmp.Or(v.Reason, none)})
	}
	roles := table{Caption: "Roles", Head: []string{"Role", "Who", "Does"}}
	for _, x := range r.Roles {
		roles.Rows = append(roles.Rows, []string{x.Name, cmp.Or(x.Who, none), cmp.Or(strings.Join(x.Does, ", "), none)})
	}
	s.Tables = filled(t, roles)
	return s
}

func (r Report) noticesSection() section {
	n := r.Notices
	s := section{Heading: "Notices", Text: []string{fmt.Sprintf("%d sent, %d given up, %d waiting.", n.Sent, n.Failed, n.Waiting)}}
	t := table{Caption: "Given up", Head: []string{"When", "Notice", "Channel", "Why"}}
	for _, l := range n.Lost {
		t.Rows = append(t.Rows, []string{utc(l.At), l.Title, l.Channel, l.Error})
	}
	s.Tables = filled(t)
	return s
}

func (r Report) timelineSection() section {
	t := table{Head: []string{"When", "What", "Detail"}}
	for _, e := range r.Timeline {
		t.Rows = append(t.Rows, []string{utc(e.At), e.Title, cmp.Or(e.Text, none)})
	}
	return section{Heading: "Timeline", Tables: filled(t)}
}

// plain makes all text one line without control characters.
func (d document) plain() document {
	d.Title, d.Lead = plainLine(d.Title), plainLine(d.Lead)
	plainAll(d.Facts)
	for i := range d.Sections {
		s := &d.Sections[i]
		plainAll(s.Text)
		for j, line := range s.Code { // a line to copy is not reworded, only kept on its line
			s.Code[j] = plainLine(line)
		}
		for j := range s.Tables {
			s.Tables[j].Caption = plainLine(s.Tables[j].Caption)
			for _, row := range s.Tables[j].Rows {
				plainAll(row)
			}
		}
	}
	return d
}

func plainAll(list []string) {
	for i := range list {
		list[i] = plainLine(list[i])
	}
}

// plainLine takes out what would break a line, or make it read otherwise than
// it is: control characters and those that turn the writing direction.
func plainLine(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}
