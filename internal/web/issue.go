package web

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/evidence"
	"serin/internal/stats"
	"serin/internal/store"
	"serin/internal/symbolicate"
	"serin/internal/telemetry"
)

// issueEvents is how many events of an issue its page can show.
const issueEvents = 20

// issueBody is one issue.
type issueBody struct {
	Issue    store.Issue
	Severity string
	Marks    []issueMark
	First    stamp
	Status   string // in words, "" = open
	Holds    bool   // it holds the rollout
	Rollout  issueRollout
	Frames   []frameView
	Library  int // frames that are left out
	Minified string
	Tabs     []link
	Crumbs   []crumbView
	Arms     []armLine
	Chance   string // what chance alone would do, in words
	Facts    []kv
	Feedback []quote
	Event    *telemetry.Event
	Others   []link // other events of it
	CSRF     string
	May      bool // triage
	Wrong    string
	CLI      string
}

// issueRollout is a rollout in a sentence.
type issueRollout struct{ ID, URL, Text string }

// frameView is a frame with its source lines.
type frameView struct {
	Function, Place, Raw string
	InApp, Open, Bare    bool
	Lines                []codeLine
}

type codeLine struct {
	N    int
	Text string
	Hit  bool
}

// crumbView is something that happened before the error, latest first.
type crumbView struct {
	Class, Icon, Text, Note, At string
}

// armLine is one arm's rate as a bar.
type armLine struct {
	Class, Fill, Name, Text string
	Width                   int
}

type kv struct {
	Name, Value string
	Mono        bool
}

type quote struct{ Text, Note string }

func (s *server) issue(w http.ResponseWriter, r *http.Request) {
	s.showIssue(w, r, http.StatusOK, "")
}

func (s *server) showIssue(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	who := visitOf(r.Context()).Person
	i, err := s.Issues.Issue(r.Context(), who.Principal, r.PathValue("id"))
	if errors.Is(err, store.ErrNotFound) {
		s.missing(w, r)
		return
	}
	var events []telemetry.Event
	var views []controller.View
	if err == nil {
		events, err = s.Issues.Events(r.Context(), i.ID, issueEvents)
	}
	if err == nil {
		views, err = s.Rollouts.Views(r.Context())
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	now := s.Now().UTC()
	share := shareOf(&i, views)
	b := issueBody{Issue: i, Severity: severityOf(&i), Marks: marksOf(&i, share), First: at(i.FirstSeen, now), Holds: share.Holds(&i), Status: statusText(&i, now),
		May: who.Principal.Can(auth.Operate), Wrong: wrong, CLI: "serin issues show " + i.ID}
	b.First.Text = ago(i.FirstSeen, now)
	if share.Known {
		b.Rollout = issueRollout{share.View.ID, "/rollouts/" + url.PathEscape(share.View.ID), share.View.ID + " at " + percent(share.View.Exposure)}
		b.Arms, b.Chance = compareArms(&i, share)
	}
	s.fillEvent(r, &b, events)
	s.render(w, r, status, "issue", page{Title: i.Title, Crumb: i.ID, Section: "errors", Live: true, Body: b})
}

// fillEvent shows the event that is asked for, else the latest.
func (s *server) fillEvent(r *http.Request, b *issueBody, events []telemetry.Event) {
	wanted, frames := r.URL.Query().Get("event"), orElse(r.URL.Query().Get("frames"), "app")
	for n := range events {
		e := &events[n]
		if b.Event == nil && (wanted == "" || e.ID == wanted) {
			b.Event = e
		}
		b.Others = append(b.Others, link{e.Received.UTC().Format("2 Jan 15:04:05"), "?event=" + url.QueryEscape(e.ID), e.ID == wanted || wanted == "" && n == 0})
	}
	if b.Event == nil {
		b.Facts = factsOf(&b.Issue, nil)
		return
	}
	stack, missing := s.Issues.Stack(r.Context(), b.Event)
	b.Frames, b.Library = framesOf(stack, frames)
	b.Minified = missing
	for _, o := range [][2]string{{"app", "App frames"}, {"all", "All"}, {"raw", "Raw"}} {
		q := url.Values{"frames": {o[0]}}
		if wanted != "" {
			q.Set("event", wanted)
		}
		b.Tabs = append(b.Tabs, link{o[1], "?" + q.Encode(), o[0] == frames})
	}
	b.Crumbs = crumbsOf(b.Event)
	b.Facts = factsOf(&b.Issue, b.Event)
}

// framesOf are the frames to show, the one that crashed first; which is app,
// all or raw. Where none is the application's own, all are shown.
func framesOf(stack []symbolicate.Frame, which string) (out []frameView, library int) {
	own := 0
	for _, f := range stack {
		own += b2i(f.InApp)
	}
	for _, f := range stack {
		if which == "app" && own > 0 && !f.InApp {
			library++
			continue
		}
		shown := f.Frame
		if which == "raw" {
			shown, shown.Source = f.Raw, nil
		}
		v := frameView{Function: orElse(shown.Function, "(anonymous)"), Place: placeOf(shown), InApp: shown.InApp, Lines: linesOf(shown)}
		if f.Mapped && which != "raw" {
			v.Raw = placeOf(f.Raw)
		}
		v.Bare = len(v.Lines) == 0
		v.Open = len(out) == 0 && !v.Bare
		out = append(out, v)
	}
	return out, library
}

func placeOf(f telemetry.Frame) string {
	place := orElse(f.File, f.Module)
	if f.Line > 0 {
		place += fmt.Sprintf(":%d", f.Line)
		if f.Column > 0 {
			place += fmt.Sprintf(":%d", f.Column)
		}
	}
	return place
}

func linesOf(f telemetry.Frame) (out []codeLine) {
	if f.Source == nil {
		return nil
	}
	n := f.Line - len(f.Source.Before)
	for _, text := range f.Source.Before {
		out = append(out, codeLine{N: n, Text: text})
		n++
	}
	out = append(out, codeLine{N: n, Text: f.Source.Line, Hit: true})
	for _, text := range f.Source.After {
		n++
		out = append(out, codeLine{N: n, Text: text})
	}
	return out
}

// crumbsOf is the error and what happened before it, latest first.
func crumbsOf(e *telemetry.Event) []crumbView {
	if len(e.Breadcrumbs) == 0 {
		return nil
	}
	out := []crumbView{{Class: "fail", Icon: "fail", Text: e.Title, At: clockOf(e.Time)}}
	for n := len(e.Breadcrumbs) - 1; n >= 0; n-- {
		c := e.Breadcrumbs[n]
		v := crumbView{Icon: "dot", Text: orElse(c.Message, c.Category), Note: c.Category, At: clockOf(c.Time)}
		switch {
		case c.Level == "error" || c.Level == "fatal":
			v.Icon, v.Class = "fail", "fail"
		case strings.HasPrefix(c.Category, "ui."):
			v.Icon = "person"
		case c.Category == "navigation":
			v.Icon = "next"
		case c.Category == "fetch" || c.Category == "xhr" || c.Category == "http":
			v.Icon = "link"
		}
		if v.Note == v.Text {
			v.Note = ""
		}
		out = append(out, v)
	}
	return out
}

func clockOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("15:04:05.000")
}

// compareArms is the rate of both arms, and what chance alone would do. The
// latter is told only for an issue that began in this stage, as the users that
// are counted are those of the stage.
func compareArms(i *store.Issue, s armShare) (lines []armLine, chance string) {
	u := s.View.Users
	rate := func(c store.ArmCount, users int64) (float64, string) {
		if users == 0 {
			return float64(c.Events), plural(c.Events, "event")
		}
		v := 1000 * float64(c.Users) / float64(users)
		digits := 2
		if v >= 10 {
			digits = 0
		}
		return v, fmt.Sprintf("%.*f users of 1,000", digits, v)
	}
	a, at := rate(s.Canary, u.NewSeen)
	c, ct := rate(s.Control, u.OldSeen)
	most := max(a, c)
	width := func(v float64) int {
		if most == 0 {
			return 0
		}
		return int(100 * v / most)
	}
	lines = []armLine{{"c-canary", "f-canary", "Canary", at, width(a)}, {"c-control", "f-control", "Control", ct, width(c)}}
	if u.NewSeen == 0 || u.OldSeen == 0 || s.View.State.StageAt.IsZero() || i.FirstSeen.Before(s.View.State.StageAt) {
		return lines, ""
	}
	n := s.Canary.Users + s.Control.Users
	p := float64(u.NewSeen) / float64(u.NewSeen+u.OldSeen)
	tail := stats.BinomialTail(n, s.Canary.Users, p)
	chance = fmt.Sprintf("%s of %s on canary, %s of %s on control. ", plural(s.Canary.Users, "user"), count(u.NewSeen), count(s.Control.Users), count(u.OldSeen))
	switch {
	case s.Canary.Users == 0:
		chance += "It is not the canary's."
	case tail < 0.001:
		chance += "Chance alone would hardly ever put so many on the canary."
	default:
		chance += fmt.Sprintf("Chance alone would put as many on the canary %s of the time", percent(100*tail))
		if tail > 0.05 {
			chance += ", so it proves nothing yet"
		}
		chance += "."
	}
	return lines, chance
}

func statusText(i *store.Issue, now time.Time) string {
	r := evidence.IssueRecord{Issue: i, Now: now}
	by := ""
	if i.ReviewedBy != "" {
		by = " by " + i.ReviewedBy
	}
	switch {
	case i.Status == evidence.Resolved && i.NextRelease:
		return "Resolved in the next release" + by + ": events of releases seen before do not bring it back."
	case i.Status == evidence.Resolved:
		return "Resolved" + by + ": the next event brings it back."
	case i.Status == evidence.Ignored && i.Until.IsZero():
		return "Accepted as known" + by + "."
	case i.Status == evidence.Ignored:
		if _, open := r.Field("is:" + evidence.Unresolved); open {
			return "It was accepted until " + i.Until.UTC().Format("2 Jan 15:04 MST") + " and counts again."
		}
		return "Accepted as known" + by + " until " + i.Until.UTC().Format("2 Jan 15:04 MST") + "."
	}
	return ""
}

func factsOf(i *store.Issue, e *telemetry.Event) []kv {
	out := []kv{{"Events", count(i.Events), false}, {"Users", count(i.Users), false}}
	add := func(name, value string, mono bool) {
		if value != "" {
			out = append(out, kv{name, value, mono})
		}
	}
	if e == nil {
		add("Release", i.Release, true)
		return out
	}
	add("User", e.User, true)
	add("Page", orElse(e.Page, e.URL), true)
	add("Browser", strings.TrimSpace(e.Attributes["browser.name"]+" "+e.Attributes["browser.version"]), false)
	add("Component", e.Tags["component"], true)
	add("Tenant", e.Tags["tenant"], false)
	add("Platform", e.Platform, false)
	add("Release", e.Release, true)
	add("Environment", e.Environment, false)
	add("Trace", e.Trace, true)
	for _, k := range slices.Sorted(maps.Keys(e.Flags)) {
		add("Flag "+k, e.Flags[k], true)
	}
	for _, k := range slices.Sorted(maps.Keys(e.Tags)) {
		if k != "component" && k != "tenant" {
			add(k, e.Tags[k], true)
		}
	}
	return out
}

// triage carries out a person's decision about an issue.
func (s *server) triage(w http.ResponseWriter, r *http.Request) {
	if !s.checkCSRF(w, r) {
		return
	}
	who := visitOf(r.Context()).Person
	if _, err := s.Issues.Issue(r.Context(), who.Principal, r.PathValue("id")); errors.Is(err, store.ErrNotFound) {
		s.missing(w, r)
		return
	}
	if !who.Principal.Can(auth.Operate) {
		s.problem(w, r, http.StatusForbidden, "You may not do this", "It needs the scope “operate”, which you do not have.")
		return
	}
	c, err := triageOf(r, s.Now())
	c.By = who.Name
	if err == nil {
		err = s.Issues.Triage(r.Context(), who.Principal, r.PathValue("id"), "web", c)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		s.missing(w, r)
	case errors.Is(err, evidence.ErrStatus):
		s.showIssue(w, r, http.StatusUnprocessableEntity, err.Error())
	case err != nil:
		s.fail(w, r, err)
	default:
		http.Redirect(w, r, "/issues/"+url.PathEscape(r.PathValue("id"))+"?done=triage", http.StatusSeeOther)
	}
}

// acceptDays are for how long an issue can be accepted; 0 = for good.
var acceptDays = map[string]time.Duration{"1d": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour, "": 0}

// triageOf reads the form.
func triageOf(r *http.Request, now time.Time) (c evidence.IssueChange, err error) {
	switch do := r.FormValue("do"); do {
	case "resolve":
		c.Status = evidence.Resolved
	case "resolve-next":
		c.Status, c.NextRelease = evidence.Resolved, true
	case "reopen":
		c.Status = evidence.Unresolved
	case "review":
		c.Reviewed = true
	case "accept":
		c.Status = evidence.Ignored
		d, ok := acceptDays[r.FormValue("for")]
		if !ok {
			return c, fmt.Errorf("%w; accept it for 1d, 7d, 30d or for good", evidence.ErrStatus)
		}
		if d > 0 {
			c.Until = now.Add(d)
		}
	case "assign":
		owner := strings.TrimSpace(r.FormValue("owner"))
		if len(owner) > 100 {
			return c, fmt.Errorf("%w; a name has at most 100 characters", evidence.ErrStatus)
		}
		c.Owner = &owner
	default:
		return c, fmt.Errorf("%w; %q is none", evidence.ErrStatus, do)
	}
	return c, nil
}
