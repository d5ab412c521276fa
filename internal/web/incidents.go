package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"serin/internal/auth"
	"serin/internal/flag"
	"serin/internal/incident"
	"serin/internal/judge"
	"serin/internal/response"
	"serin/internal/store"
)

// Incidents is what the pages about incidents show and change. Errors wrap
// store.ErrNotFound, or are a *rollout.Refusal that says why something was not
// done.
type Incidents interface {
	List(sees func(project string) bool, all bool) []response.View
	Get(ctx context.Context, id string) (response.View, error)
	// Do carries out a command as p, with what p may do in the incident's rollout.
	Do(ctx context.Context, id string, p Person, c incident.Command) (response.View, error)
	PostMortem(ctx context.Context, id string) (string, error)
	// Open opens one by hand as p; one command id opens one.
	Open(ctx context.Context, p Person, o response.Opened) (response.View, error)
	// Project is the project of an incident, or store.ErrNotFound.
	Project(id string) (string, error)
}

// incidentsBody is the list of incidents.
type incidentsBody struct {
	Lead   string
	States []link
	Rows   []incidentLine
	CLI    string
	May    bool // open one
}

// incidentLine is one incident in the list.
type incidentLine struct {
	ID, URL, Title, Severity, Rollout, RolloutURL, For, Affected, Review string
	Pill                                                                 pill
	Clocks                                                               []dueRow
	Opened                                                               stamp
}

// dueRow is one clock: where it stands and, while it runs, until when.
type dueRow struct {
	Name, Limit, Text string
	Pill              pill
	Until             int64 // Unix time in milliseconds; 0 = it does not run
}

// incidentStates are the lists that /incidents?state= shows; the first is the default.
var incidentStates = []string{"all", "open", "resolved", "closed"}

func (s *server) incidents(w http.ResponseWriter, r *http.Request) {
	now := s.Now().UTC()
	state := orElse(r.URL.Query().Get("state"), incidentStates[0])
	all := s.Options.Incidents.List(visitOf(r.Context()).Person.Principal.InProject, true)
	b := incidentsBody{CLI: "serin incident --all", Lead: incidentsLead(all), May: by(r).Can(auth.Operate)}
	for _, name := range incidentStates {
		b.States = append(b.States, link{upper(name), "/incidents?state=" + name, name == state})
	}
	for _, v := range all {
		if state == incidentStates[0] || string(v.Status) == state {
			b.Rows = append(b.Rows, incidentLineOf(v, now))
		}
	}
	s.render(w, r, http.StatusOK, "incidents", page{Title: "Incidents", Section: "incidents", Live: true, Body: b})
}

// incidentsLead counts what is open and the clocks that were missed.
func incidentsLead(all []response.View) string {
	var open, missed, asked int64
	for _, v := range all {
		open += int64(b2i(v.Status == incident.Open))
		for _, c := range v.Clocks {
			asked += int64(b2i(c.State == response.ClockKept || c.State == response.ClockMissed))
			missed += int64(b2i(c.State == response.ClockMissed))
		}
	}
	text := plural(int64(len(all)), "incident") + ", " + count(open) + " open."
	if asked > 0 {
		text += " " + count(asked-missed) + " of " + plural(asked, "clock") + " met."
	}
	return text
}

func incidentLineOf(v response.View, now time.Time) incidentLine {
	row := incidentLine{ID: v.ID, URL: incidentURL(v.ID), Title: v.Title, Severity: v.Severity, Rollout: v.Rollout, Pill: incidentPill(v),
		For: duration(v.For), Affected: affected(v.Live), Clocks: dueRows(v), Opened: at(v.OpenedAt, now), Review: "open"}
	if v.Rollout != "" {
		row.RolloutURL = "/rollouts/" + url.PathEscape(v.Rollout)
	}
	switch {
	case v.Text != "":
		row.Review = "written by " + v.TextBy
	case v.Status != incident.Open:
		row.Review = "not written yet"
	}
	return row
}

func incidentURL(id string) string { return "/incidents/" + url.PathEscape(id) }

// incidentPill is where an incident stands.
func incidentPill(v response.View) pill {
	switch {
	case v.Status == incident.Closed:
		return pill{"pass", "pass", "Closed"}
	case v.Status == incident.Resolved:
		return pill{"info", "pass", "Resolved"}
	case v.Decided() != nil && v.Decided().Pending():
		return pill{"fail", "fail", "Acting"}
	case v.Decided() != nil:
		return pill{"fail", "fail", "Decided"}
	case !v.AckedAt.IsZero():
		return pill{"fail", "fail", "Deciding"}
	}
	return pill{"fail", "fail", "Open"}
}

// affected is how many users an incident reached, a dash where nobody knows.
func affected(i incident.Impact) string {
	if !i.Known {
		return dash
	}
	return count(i.Affected)
}

func dueRows(v response.View) (out []dueRow) {
	for _, c := range v.Clocks {
		row := dueRow{Name: upper(string(c.Clock)), Limit: duration(c.Limit)}
		switch c.State {
		case response.ClockKept:
			row.Pill, row.Text = pill{"pass", "pass", "Met"}, "in "+duration(c.Took)
		case response.ClockMissed:
			row.Pill, row.Text = pill{"fail", "fail", "Missed"}, "not yet"
			if !c.Done.IsZero() {
				row.Text = "in " + duration(c.Took)
			}
		case response.ClockVoid:
			row.Pill, row.Text = pill{"", "dot", "Not needed"}, dash
		default:
			row.Pill, row.Until, row.Text = pill{"warn", "wait", "Runs"}, c.Due.UnixMilli(), duration(c.Left)+" left"
		}
		out = append(out, row)
	}
	return out
}

// incidentBody is one incident.
type incidentBody struct {
	View              response.View
	Pill              pill
	Clocks            []dueRow
	Opened            stamp
	By                string
	Affected, P1, For string
	New, Old, Exposed string
	Tree              []treeRow
	Timeline          []timelineRow
	Grades            []string // that the severity can be
	Draft             string
	Wrong             string
	May, Open, Closed bool
	Other             []link // outcomes that are not proposed
	CLI               string
}

// treeRow is one branch of the decision tree with its answer now.
type treeRow struct {
	If, Do, Value, Why, URL, Users string
	Then                           []string
	Pill                           pill
	Proposed                       bool
}

// timelineRow is one event of the timeline.
type timelineRow struct {
	At          stamp
	Title, Text string
	By          string
}

func (s *server) incident(w http.ResponseWriter, r *http.Request) {
	s.showIncident(w, r, http.StatusOK, "")
}

// incidentOf finds an incident that the visitor may see, or answers that there is none.
func (s *server) incidentOf(w http.ResponseWriter, r *http.Request) (response.View, bool) {
	v, err := s.Options.Incidents.Get(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !visitOf(r.Context()).Person.Principal.InProject(v.Project):
		s.missing(w, r)
	case err != nil:
		s.fail(w, r, err)
	default:
		return v, true
	}
	return v, false
}

func (s *server) showIncident(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	v, ok := s.incidentOf(w, r)
	if !ok {
		return
	}
	draft, err := s.Options.Incidents.PostMortem(r.Context(), v.ID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	b := incidentBodyOf(v, s.Now().UTC())
	b.Draft, b.Wrong = draft, wrong
	b.May = visitOf(r.Context()).Person.Principal.Can(auth.Operate)
	s.render(w, r, status, "incident", page{Title: v.ID, Crumb: v.ID, Section: "incidents", Record: true, Live: status == http.StatusOK, Dock: b.Open, Body: b})
}

func incidentBodyOf(v response.View, now time.Time) incidentBody {
	b := incidentBody{View: v, Grades: []string{"p1", "p2", "p3", "p4"}, Pill: incidentPill(v), Clocks: dueRows(v), Opened: at(v.OpenedAt, now), By: orElse(v.OpenedBy, "serin"),
		Affected: affected(v.Live), P1: dash, New: dash, Old: dash, For: duration(v.For), Exposed: exposureOf(v.Live.Exposure),
		Open: v.Status == incident.Open, Closed: v.Status == incident.Closed, CLI: "serin incident show " + v.ID}
	if v.Live.Known {
		b.P1, b.New, b.Old = count(v.Live.P1), count(v.Live.New), count(v.Live.Old)
	}
	for _, a := range v.Tree {
		b.Tree = append(b.Tree, treeRowOf(v, a))
	}
	for _, do := range incident.Outcomes {
		if (v.Rollout != "" || do == incident.Hold) && (v.Proposed == nil || v.Proposed.Do != do) {
			b.Other = append(b.Other, link{Text: upper(do), URL: incidentURL(v.ID) + "/decide?do=" + do})
		}
	}
	for _, e := range v.Timeline {
		row := timelineRow{At: at(e.At, now), Title: e.Title, Text: e.Text, By: orElse(e.By, "serin")}
		if e.Type == incident.Written {
			row.Text = "" // the text stands in the post-mortem
		}
		b.Timeline = append(b.Timeline, row)
	}
	return b
}

func treeRowOf(v response.View, a incident.Answer) treeRow {
	row := treeRow{If: orElse(a.If, "otherwise"), Do: outcome(a.Do, a.Percent), Value: a.Value, Why: a.Why, Proposed: a.Proposed,
		URL: incidentURL(v.ID) + "/decide", Users: "about " + plural(a.Users, "user") + " stay on the new variant"}
	for _, t := range a.Then {
		row.Then = append(row.Then, thenWords(t.Text, t.Flag, t.To))
	}
	switch a.Status {
	case judge.Met:
		row.Pill = pill{"pass", "check", "Holds"}
	case judge.NotMet:
		row.Pill = pill{"", "cross", "Does not hold"}
	default:
		row.Pill = pill{"warn", "wait", "Unknown"}
	}
	return row
}

func thenWords(text, name, to string) string {
	if name == "" {
		return text
	}
	return "flag " + name + " is set to " + to + " for the users on the new variant"
}

// outcome is what is decided in words: "Reduce to 5%".
func outcome(do string, to flag.Percent) string {
	if do == incident.Reduce {
		return "Reduce to " + exposureOf(to)
	}
	return upper(strings.ReplaceAll(do, "rollback", "roll back"))
}

// exposureText writes a share of users, "5%".
func exposureOf(p flag.Percent) string { return percent(float64(p) * 100 / float64(flag.Everyone)) }
