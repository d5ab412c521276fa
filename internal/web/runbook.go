package web

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// runbookView is the runbook as its page shows it.
type runbookView struct {
	controller.Runbook
	Windows    string
	Rows       []phaseRow
	Duties     []duty
	Ways       []way
	Steps      []step
	CleanOwner string
	CleanTasks string
}

type phaseRow struct {
	Name, Traffic, Bake, Checks, Go string
	Rules                           []string // in full, for the details
	First                           []string
	Owner, Approve                  string
	Pill                            pill
	On                              bool
}

type duty struct {
	Name, Who, Initials, May, Escalates, Covers string
	Does                                        []string
}

// way is a way back, step a step of an incident; both stand in numbered lists.
type way struct {
	Head, Text, Within string
	CLI                string
	Raw                []string // by hand, shown only
}

type step struct {
	Head, Within string
	Lines        []ruled
}

// ruled is a rule, which may be missing, and what follows from it.
type ruled struct{ Rule, Text string }

func (s *server) runbook(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	rb, err := s.Rollouts.Runbook(r.Context(), v.ID)
	b := s.frame(v, visitOf(r.Context()), "runbook", r)
	var refused *rollout.Refusal
	switch {
	case errors.As(err, &refused):
		b.PlanError = upper(refused.Why) + "."
	case err != nil:
		s.fail(w, r, err)
		return
	default:
		b.Runbook = runbookOf(rb, v)
	}
	b.CLI = []string{"serin rollout runbook " + v.ID}
	s.render(w, r, http.StatusOK, "runbook", page{Title: v.Plan + ", runbook", Crumb: v.ID, Dock: len(b.Dock) > 0, Body: b})
}

func runbookOf(rb controller.Runbook, v controller.View) *runbookView {
	out := &runbookView{Runbook: rb, Windows: strings.Join(rb.Raise, ", "), CleanOwner: strings.Join(rb.Cleanup.Owners, ", "),
		CleanTasks: plural(int64(len(rb.Cleanup.Tasks)), "task")}
	for i, p := range rb.Phases {
		row := phaseRow{Name: p.Name, Traffic: percent(p.Traffic), Bake: duration(p.Bake), Checks: strings.Join(p.Checks, ", then "), Rules: p.Proceed,
			First: p.Before, Owner: orElse(strings.Join(p.Owner, ", "), dash), Approve: orElse(strings.Join(p.Approve, " or "), dash)}
		row.Go = goOn(p)
		row.Pill, row.On = phasePill(v, i)
		out.Rows = append(out.Rows, row)
	}
	for _, r := range rb.Roles {
		d := duty{Name: r.Name, Who: r.Who, Initials: initials(r.Name), May: strings.Join(r.May, ", "), Escalates: r.EscalatesTo, Does: r.Does}
		if r.Covers > 0 {
			d.Covers = duration(r.Covers)
		}
		out.Duties = append(out.Duties, d)
	}
	out.Ways, out.Steps = ways(rb), steps(rb.Incident)
	return out
}

// goOn is what must hold to go on, in a few words.
func goOn(p controller.RunbookPhase) string {
	text := plural(int64(len(p.Proceed)), "rule")
	if n := len(p.Confirm); n > 0 {
		text += ", " + plural(int64(n), "confirmation")
	}
	return text
}

// phasePill says where the rollout stands with a phase.
func phasePill(v controller.View, i int) (pill, bool) {
	if i >= len(v.Stages) {
		return pill{"wait", "wait", "To come"}, false
	}
	switch v.Stages[i].State {
	case "done":
		return pill{"pass", "pass", "Done"}, false
	case "current":
		if s := v.State.Status; s == rollout.RolledBack || s == rollout.Cancelled {
			return pillOf(v), false
		}
		return pillOf(v), true
	}
	return pill{"wait", "wait", "To come"}, false
}

func ways(rb controller.Runbook) []way {
	a := rb.Actions
	out := []way{
		{Head: "Roll back: flag to 0%", Text: "The default. Everybody has the old version again; nobody needs to be asked.", Within: within(a.RollbackWithin), CLI: "serin rollout rollback " + rb.Rollout},
		{Head: "Reduce to " + percent(a.ReduceTo), Text: "Keeps a trickle to study the fault. Needs no approval.", Within: within(a.ReduceWithin),
			CLI: "serin rollout reduce " + rb.Rollout + " --to " + percent(a.ReduceTo)},
	}
	if len(a.Revert) > 0 {
		text := "Where the flag does not help. Shown only, never run by serin."
		if a.RevertBy != "" {
			text = "Where the flag does not help, by " + a.RevertBy + ". Shown only, never run by serin."
		}
		out = append(out, way{Head: "Revert the code, by hand", Text: text, Within: within(a.RevertWithin), Raw: a.Revert})
	}
	again := way{Head: "Then try again, from " + a.RestartFrom + " at the furthest", CLI: "serin rollout restart " + rb.Rollout + ` --cause "..."`}
	again.Text = "Needs: " + orElse(strings.Join(a.RestartNeeds, ", "), "nothing but the command") + "."
	if a.RestartAfter > 0 {
		again.Within = "after " + duration(a.RestartAfter)
	}
	return append(out, again)
}

func within(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return "within " + duration(d)
}

func steps(in controller.RunbookIncident) []step {
	if len(in.Tree) == 0 && len(in.Opens) == 0 && len(in.Steps) == 0 {
		return nil
	}
	var opens, respond, decide, end []ruled
	for _, rule := range in.Opens {
		opens = append(opens, ruled{Rule: rule})
	}
	for _, text := range in.Steps {
		respond = append(respond, ruled{Text: text})
	}
	if in.Severe != "" {
		respond = append(respond, ruled{in.Severe, "severe"})
	}
	for _, b := range in.Tree {
		r := ruled{b.If, b.Do}
		if b.If == "" {
			r.Text = "otherwise: " + b.Do
		}
		decide = append(decide, r)
	}
	for _, text := range in.Close {
		end = append(end, ruled{Text: text})
	}
	return []step{{"Opens", "", opens}, {"Respond", within(in.Respond), respond}, {"Decide, first that holds", within(in.Decide), decide},
		{"Act: carry it out, write it down", within(in.Act), nil}, {"Close", "", end}}
}

// planLine is a line of the plan's text with what lint says of it.
type planLine struct {
	N    int
	Text string
	Mark string // class of the worst finding: fail, warn; "" = none
}

// finding is what lint says of a line.
type finding struct {
	Class, Icon, Word, Code, What, Fix string
	Line                               int
	URL                                string
	Excerpt                            string // the line, shortened
}

// calendarView is the calendar of a rollout as the plan page shows it.
type calendarView struct {
	Lead     string
	End      stamp
	Rows     []calendarRow
	Timezone string
	Raise    string
	From, To string // of the bars
	Now      string // place of the present on the bars, 0..100; "" = outside
}

type calendarRow struct {
	Name, Traffic string
	Begin, Baked  stamp
	Past, On      bool
	Wait          string
	Checks        []string
	First         []string
	Duty          []string // who is on duty
	Approve       string
	X, W          string // of the bar, 0..100
	WaitX, WaitW  string // of the wait before it; "" = none
}

// mostExcerpt is how many letters of its line a finding shows.
const mostExcerpt = 160

// planLines numbers the text and marks the lines of findings.
func planLines(text string, found []plan.Problem) ([]planLine, []finding) {
	raw := strings.Split(strings.TrimRight(strings.ToValidUTF8(text, "\uFFFD"), "\n"), "\n")
	lines := make([]planLine, len(raw))
	for i, t := range raw {
		lines[i] = planLine{N: i + 1, Text: t}
	}
	var out []finding
	for _, p := range found {
		f := finding{Class: "warn", Icon: "warn", Word: "Warning", Code: p.Code, What: p.What, Fix: p.Fix, Line: p.Line,
			Excerpt: clip(strings.TrimSpace(strings.ToValidUTF8(p.Excerpt, "\uFFFD")), mostExcerpt)}
		if p.Severity == plan.Error {
			f.Class, f.Icon, f.Word = "fail", "fail", "Error"
		}
		if p.Line >= 1 && p.Line <= len(lines) {
			f.URL = "#line-" + strconv.Itoa(p.Line)
			if l := &lines[p.Line-1]; l.Mark != "fail" {
				l.Mark = f.Class
			}
		}
		out = append(out, f)
	}
	return lines, out
}

// lintSum is the one line over the findings.
func lintSum(found []finding) string {
	errors := 0
	for _, f := range found {
		errors += b2i(f.Class == "fail")
	}
	return plural(int64(errors), "error") + ", " + plural(int64(len(found)-errors), "warning")
}

// calendarOf makes a row of each stage that began or is to come.
func calendarOf(c controller.Calendar, now time.Time) *calendarView {
	out := &calendarView{Timezone: c.Timezone, Raise: strings.Join(c.Raise, ", "), End: onDay(c.End, now)}
	switch {
	case c.Assumes != "":
		out.Lead = "at the earliest, if " + c.Assumes
	case !c.End.IsZero():
		out.Lead = "at the earliest, if every gate opens at once"
	default:
		out.Lead = "as it came"
	}
	spans := stageSpans(c, now)
	if len(spans) == 0 {
		return out
	}
	from, to := spans[0].begin.Add(-spans[0].wait), spans[len(spans)-1].end
	for _, s := range spans {
		s.row.Begin, s.row.Baked = onDay(s.begin, now), onDay(s.baked, now)
		s.row.X, s.row.W = place(s.begin, from, to), share(s.end.Sub(s.begin), to.Sub(from))
		if s.wait > 0 {
			s.row.Wait = duration(s.wait)
			s.row.WaitX, s.row.WaitW = place(s.begin.Add(-s.wait), from, to), share(s.wait, to.Sub(from))
		}
		out.Rows = append(out.Rows, s.row)
	}
	if now.After(from) && now.Before(to) {
		out.Now = place(now, from, to)
	}
	out.From, out.To = onDay(from, now).Text, onDay(to, now).Text
	return out
}

// onDay is at with the day in it, for times that are compared.
func onDay(t, now time.Time) stamp {
	s := at(t, now)
	if s.Text != "" {
		s.Text = t.UTC().Format("Mon 2 Jan 15:04")
	}
	return s
}

// span is a stage in time; baked is zero where it is not known.
type span struct {
	row               calendarRow
	begin, baked, end time.Time
	wait              time.Duration
}

func stageSpans(c controller.Calendar, now time.Time) []span {
	var out []span
	for _, e := range c.Events {
		switch {
		case e.Kind == plan.StageStart:
			if n := len(out); n > 0 && out[n-1].baked.IsZero() {
				out[n-1].end = e.At
			}
			out = append(out, span{begin: e.At, end: e.At, wait: e.Wait, row: calendarRow{Name: e.Stage, Traffic: percent(e.Traffic), Past: e.Past,
				First: e.Before, Duty: e.Owner, Approve: strings.Join(e.Approve, " or ")}})
		case len(out) == 0:
		case e.Kind == plan.StageCheck:
			_, text, _ := strings.Cut(e.Text, ": checks ")
			out[len(out)-1].row.Checks = append(out[len(out)-1].row.Checks, text)
		case e.Kind == plan.StageBaked:
			s := &out[len(out)-1]
			s.baked, s.end = e.At, e.At
			s.row.On = s.row.Past
		}
	}
	if n := len(out); n > 0 && out[n-1].baked.IsZero() {
		out[n-1].end = now
	}
	return out
}

// place is where t lies between from and to, share how much of whole d is,
// both 0..100.
func place(t, from, to time.Time) string { return share(t.Sub(from), to.Sub(from)) }

func share(d, whole time.Duration) string {
	if whole <= 0 {
		return "0"
	}
	return strconv.FormatFloat(100*min(1, max(0, float64(d)/float64(whole))), 'f', 2, 64)
}
