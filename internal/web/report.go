package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"serin/internal/controller"
	"serin/internal/rollout"
)

// reportView is the report as its page shows it.
type reportView struct {
	controller.Report
	Class, Icon, Sub string
	As               string // "Final report, …" or "As of …"
	Stats            []stat
	Rules            []reportRule
	RuleSum          string
	Said             []saidRow // what people confirmed
	Overridden       []overrideRow
	Accepts          []saidRow
	Ways             []limitRow
	Clocks           []clockRow
	Timeline         []entry
	Incidents        []incidentRow
	Attr             *attrView
	Stays            []stayRow
	Bars             []barPart
	WallText         string
	From, To         stamp
	Tasks            []listRow
	TaskSum          string
	Changes          []changeRow
	Lost             []noticeRow
	Sent             string // notices
	Team             []ruled
	Files            []fileLink
}

type reportRule struct {
	Title, Rule, Value, Limit, Why string
	Pill                           pill
}

// saidRow is what a person confirmed, approved or accepted.
type saidRow struct {
	Item, Who, Reason, Stage string
	Evidence                 proof
	At                       stamp
	Pill                     pill
}

type overrideRow struct {
	Head, Who, Reason string
	At                stamp
	Passed            []string
}

type limitRow struct {
	Action, Words, Limit, Used, Worst string
	Pill                              pill
}

type clockRow struct {
	Action, Who, Words string
	At                 stamp
	Pill               pill
	URL                string
}

type incidentRow struct {
	ID, Text string
	Words    []string
	Pill     pill
}

// attrView is how much telemetry was known to belong to an arm.
type attrView struct {
	Pill   pill
	Words  string
	KnownW string // of the bar, 0..100
	LostW  string
	Rows   [][2]string
}

// stayRow is a stay at a stage.
type stayRow struct {
	Name, Traffic, Wall, Bake, Rest, End, Class string
	From                                        stamp
	Sum                                         bool
	Head                                        string // of an attempt: a row of its own
	Checks                                      string
}

// barPart is a share of the time on the bar and in its key.
type barPart struct {
	Class, Swatch, Words, Share, Time string
	X, W                              string // 0..100
}

type changeRow struct {
	N           int
	Who, Reason string
	At          stamp
	Looser      bool
	Changes     []string
}

type fileLink struct{ Name, URL string }

func (s *server) report(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	b := s.frame(v, visitOf(r.Context()), "report", r)
	rep, err := s.Rollouts.Report(r.Context(), v.ID)
	var refused *rollout.Refusal
	switch {
	case errors.As(err, &refused):
		b.PlanError = upper(refused.Why) + "."
	case err != nil:
		s.fail(w, r, err)
		return
	default:
		b.Report = reportOf(rep, s.Now())
	}
	b.CLI = []string{"serin report " + v.ID + " --format markdown"}
	s.render(w, r, http.StatusOK, "report", page{Title: v.Plan + ", report", Crumb: v.ID, Record: true, Dock: len(b.Dock) > 0, Body: b})
}

// reportForms are the downloads of a report: how each is written, and its type.
var reportForms = map[string]struct {
	kind  string
	write func(controller.Report) ([]byte, error)
}{
	"md":   {"text/markdown; charset=utf-8", func(r controller.Report) ([]byte, error) { return r.Markdown(), nil }},
	"html": {"text/html; charset=utf-8", controller.Report.HTML},
	"json": {"application/json", func(r controller.Report) ([]byte, error) { return json.MarshalIndent(r, "", "  ") }},
}

// reportFile sends the report as a file. It is a download, never a page: its
// text is not of this server's making.
func (s *server) reportFile(form string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, ok := s.view(w, r)
		if !ok {
			return
		}
		rep, err := s.Rollouts.Report(r.Context(), v.ID)
		var refused *rollout.Refusal
		if errors.As(err, &refused) {
			s.problem(w, r, http.StatusConflict, "There is no report", upper(refused.Why)+".")
			return
		}
		f := reportForms[form]
		var body []byte
		if err == nil {
			body, err = f.write(rep)
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", f.kind)
		w.Header().Set("Content-Disposition", `attachment; filename="report-`+slug(v.ID)+"."+form+`"`)
		if _, err := w.Write(body); err != nil {
			s.Logger.Debug("send report", "error", err)
		}
	}
}

// outcomes are colour and icon of each outcome.
var outcomes = map[controller.ReportOutcome][2]string{
	controller.OutcomeSucceeded: {"pass", "pass"}, controller.OutcomeCleaning: {"info", "broom"}, controller.OutcomeUnderWay: {"plain", "play"},
	controller.OutcomeRolledBack: {"fail", "back"}, controller.OutcomeCancelled: {"plain", "cross"}, controller.OutcomePreflight: {"plain", "wait"},
}

func reportOf(rep controller.Report, now time.Time) *reportView {
	out := &reportView{Report: rep, Class: "plain", Icon: "wait", Sub: rep.Success.Note, Timeline: brief(rep.Timeline, now)}
	if o, ok := outcomes[rep.Outcome]; ok {
		out.Class, out.Icon = o[0], o[1]
	}
	out.As = "As of " + onDay(rep.At, now).Text + " UTC, plan revision " + strconv.Itoa(rep.Revision) + ". It goes on with the rollout."
	if rep.Final {
		out.As = "Final report, as of " + onDay(rep.At, now).Text + " UTC, plan revision " + strconv.Itoa(rep.Revision) + ". Nothing changes it any more."
	}
	out.Stats = reportStats(rep)
	for _, r := range rep.Success.Rules {
		out.Rules = append(out.Rules, reportRuleOf(r))
	}
	if n := len(rep.Success.Rules); n > 0 && rep.Success.Met+rep.Success.NotMet+rep.Success.Unknown > 0 {
		out.RuleSum = fmt.Sprintf("%d of %d met", rep.Success.Met, n)
		for _, part := range [...]struct {
			n    int
			word string
		}{{rep.Success.NotMet, "not met"}, {rep.Success.Unknown, "unknown"}} {
			if part.n > 0 {
				out.RuleSum += fmt.Sprintf(", %d %s", part.n, part.word)
			}
		}
	}
	for _, m := range rep.Confirmed {
		out.Said = append(out.Said, saidOf(m, "Confirmed", now))
	}
	for _, m := range rep.Accepted {
		out.Accepts = append(out.Accepts, saidOf(m, "Accepted", now))
	}
	for _, o := range rep.Overrides {
		out.Overridden = append(out.Overridden, overrideOf(o, now))
	}
	out.waysOf(rep, now)
	for _, i := range rep.Incidents {
		out.Incidents = append(out.Incidents, incidentOf(i, now))
	}
	out.Attr = attrOf(rep.Attribution)
	out.timeOf(rep, now)
	out.rest(rep, now)
	return out
}

// brief is the timeline without the numbers that each raise rested on: the
// journal and the explanations have them.
func brief(list []controller.Entry, now time.Time) []entry {
	out := entries(list, now)
	for i := range out {
		first, _, more := strings.Cut(out[i].Text, "\n")
		if out[i].Text = clip(first, 160); more {
			out[i].Text = ""
		}
	}
	return out
}

func reportStats(rep controller.Report) []stat {
	n := rep.Numbers
	whole := stat{"Start to now", inDays(n.Wall), ""}
	if rep.Final {
		whole.Name = "Start to end"
	}
	if n.Planned > 0 {
		whole.Note = "bakes " + inDays(n.Planned)
	}
	full := stat{"From 0 to 100%", dash, ""}
	if n.ToFull > 0 {
		full.Value = inDays(n.ToFull)
	}
	checks := stat{"Checks", count(int64(n.Checks)), ""}
	if n.RedChecks > 0 {
		checks.Note = count(int64(n.RedChecks)) + " red"
	}
	return []stat{full, whole, checks, {"Waited or paused", duration(n.Stood), ""},
		{"Rollbacks", count(int64(n.Rollbacks)), plural(int64(n.Attempts), "attempt") + ", " + plural(int64(n.Overrides), "override")}}
}

// inDays writes a long duration with days: "5d 15h".
func inDays(d time.Duration) string {
	const day = 24 * time.Hour
	if d = d.Round(time.Hour); d < 2*day {
		return duration(d)
	}
	text := strconv.Itoa(int(d/day)) + "d"
	if h := d % day / time.Hour; h > 0 {
		text += " " + strconv.Itoa(int(h)) + "h"
	}
	return text
}

// rulePills are the verdicts of a report's rules.
var rulePills = map[string]pill{"met": {"pass", "pass", "Met"}, "not met": {"fail", "fail", "Not met"}, "unknown": {"wait", "wait", "Unknown"}}

func reportRuleOf(r controller.ReportRule) reportRule {
	out := reportRule{Title: orElse(r.Title, orElse(r.Metric, r.Rule)), Rule: r.Rule, Value: orElse(r.Value, dash), Limit: orElse(r.Limit, dash), Why: r.Why}
	p, ok := rulePills[r.Word]
	if !ok {
		p = pill{"wait", "wait", upper(r.Word)}
	}
	if r.Near && r.Word == "met" {
		p = pill{"warn", "warn", "Met, near"}
	}
	out.Pill = p
	return out
}

func saidOf(m controller.ReportMark, word string, now time.Time) saidRow {
	out := saidRow{Item: upper(m.Item), Who: who(m.By, m.Role), Reason: m.Reason, Stage: m.Stage, Evidence: evidenceOf(m.Evidence), At: onDay(m.At, now), Pill: pill{"pass", "person", word}}
	if m.Attempt > 1 {
		out.Stage += ", attempt " + strconv.Itoa(m.Attempt)
	}
	if m.Open {
		out.Pill, out.Who = pill{"wait", "person", "Open"}, ""
	}
	return out
}

// who is a person and the role they acted in; nobody is serin itself.
func who(by, role string) string {
	by = orElse(by, "serin")
	if role != "" && role != by {
		return by + " as " + role
	}
	return by
}

func overrideOf(o controller.ReportOverride, now time.Time) overrideRow {
	out := overrideRow{Head: o.From + " to " + o.To, Who: who(o.By, o.Role), Reason: o.Reason, At: onDay(o.At, now)}
	if o.Bake < o.Planned {
		out.Passed = append(out.Passed, "bake "+duration(o.Bake)+" of "+duration(o.Planned))
	}
	for _, r := range o.Passed {
		out.Passed = append(out.Passed, r.Rule+": "+r.Word)
	}
	return out
}

// actionNames are the ways back in words.
var actionNames = map[string]string{"rollback": "Roll back", "reduce": "Reduce", "hotfix": "Hotfix", "revert": "Revert the code"}

func actionName(a string) string { return orElse(actionNames[a], upper(a)) }

// clockPills are what became of a way back against its limit.
var clockPills = map[string]pill{"in time": {"pass", "pass", "In time"}, "late": {"fail", "fail", "Late"}, "no client": {"wait", "wait", "No client"},
	"running": {"hold", "wait", "Running"}, "not measured": {"wait", "wait", "Not measured"}}

func (out *reportView) waysOf(rep controller.Report, now time.Time) {
	for _, l := range rep.Limits {
		row := limitRow{Action: actionName(l.Action), Words: l.Words, Limit: dash, Used: "not used", Worst: dash, Pill: pill{"wait", "dot", "Not used"}}
		if l.Limit > 0 {
			row.Limit = duration(l.Limit)
		}
		if l.Used > 0 {
			row.Used, row.Pill = plural(int64(l.Used), "use"), pill{"wait", "wait", "Not measured"}
		}
		if l.Worst > 0 {
			row.Worst, row.Pill = precise(l.Worst), clockPills["in time"]
			if l.Limit > 0 && l.Worst > l.Limit {
				row.Pill = clockPills["late"]
			}
		}
		out.Ways = append(out.Ways, row)
	}
	for _, c := range rep.Clock {
		p, ok := clockPills[c.State]
		if !ok {
			p = pill{"wait", "wait", upper(c.State)}
		}
		row := clockRow{Action: actionName(c.Action), Who: who(c.By, ""), Words: upper(c.Words), At: onDay(c.At, now), Pill: p}
		if c.Pos > 0 {
			row.URL = explainURL(rep.Rollout, c.Pos)
		}
		out.Clocks = append(out.Clocks, row)
	}
}

// precise is a short duration, below a second in milliseconds.
func precise(d time.Duration) string {
	if d < time.Second {
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	}
	if d < time.Minute {
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	}
	return duration(d)
}

func incidentOf(i controller.ReportIncident, now time.Time) incidentRow {
	out := incidentRow{ID: i.ID, Words: i.Words, Pill: pill{"fail", "fail", "Open"}, Text: "opened " + onDay(i.Opened, now).Text + " by " + who(i.By, "")}
	if !i.Resolved.IsZero() {
		out.Pill, out.Text = pill{"warn", "wait", "Resolved"}, out.Text+", resolved after "+duration(i.Resolved.Sub(i.Opened))
	}
	if !i.Closed.IsZero() {
		out.Pill = pill{"pass", "pass", "Closed"}
	}
	return out
}

func attrOf(a *controller.ReportAttribution) *attrView {
	if a == nil {
		return nil
	}
	known := unit(a.Known)
	out := &attrView{Pill: pill{"pass", "pass", value(known, "%") + " known"}, Words: a.Words, KnownW: coord(100 * known), LostW: coord(100 * (1 - known))}
	if a.Unattributed > .05 {
		out.Pill.Class, out.Pill.Icon = "warn", "warn"
	}
	out.Rows = [][2]string{{"Measured at", orElse(a.Stage, dash)}, {"Events", count(a.Events)}, {"Unknown, left out of comparisons", value(a.Unattributed, "%")},
		{"Reported and assigned disagree", value(a.Conflicts, "%")}, {"Not counted by fixed limits", count(a.NotCounted)}}
	split := "even"
	if a.Mismatch {
		split = "uneven"
	}
	out.Rows = append(out.Rows, [2]string{"Split check", split})
	return out
}

// rest fills in what stands at the end: clean-up, plan, notices, people, files.
func (out *reportView) rest(rep controller.Report, now time.Time) {
	out.TaskSum = fmt.Sprintf("%d done, %d open", rep.Cleanup.Done, rep.Cleanup.Open)
	for _, t := range rep.Cleanup.Tasks {
		row := listRow{ID: t.ID, Do: orElse(t.Do, t.ID), Role: t.Role, Evidence: evidenceOf(t.Evidence), At: onDay(t.At, now), Pill: pill{"wait", "box", "Open"}, Irreversible: t.Irreversible}
		switch {
		case rep.Cleanup.Began.IsZero() && !t.Done:
			row.Pill = pill{"wait", "wait", "To come"}
		case t.Idle:
			row.Pill = pill{"wait", "dot", "Not chosen"}
		case t.Done:
			row.Pill, row.Who = pill{"pass", "pass", "Done"}, who(t.By, "")
		}
		if t.Choice != "" {
			row.Via = "chosen: " + t.Choice
		}
		out.Tasks = append(out.Tasks, row)
	}
	for _, r := range rep.Revisions {
		out.Changes = append(out.Changes, changeRow{N: r.Number, Who: who(r.By, ""), Reason: r.Reason, At: onDay(r.At, now), Looser: r.Looser, Changes: r.Changes})
	}
	for _, l := range rep.Notices.Lost {
		out.Lost = append(out.Lost, noticeRow{Title: l.Title, Channel: l.Channel, At: onDay(l.At, now), State: clip(l.Error, 160), Class: "fail"})
	}
	out.Sent = fmt.Sprintf("%s sent, %d given up, %d waiting.", plural(int64(rep.Notices.Sent), "notice"), rep.Notices.Failed, rep.Notices.Waiting)
	for _, p := range rep.People {
		out.Team = append(out.Team, ruled{p.Name, strings.Join(append(append([]string{}, p.Roles...), plural(int64(p.Actions), "action")), ", ")})
	}
	base := "/rollouts/" + rep.Rollout + "/report."
	out.Files = []fileLink{{"Markdown", base + "md"}, {"HTML", base + "html"}, {"JSON", base + "json"}}
}
