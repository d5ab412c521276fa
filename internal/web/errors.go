package web

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/evidence"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
	"serin/internal/symbolicate"
	"serin/internal/telemetry"
)

// Issues is what the pages about errors show and change.
type Issues interface {
	// Issues lists the issues that somebody may see, last seen first.
	Issues(ctx context.Context, by auth.Principal) ([]store.Issue, error)
	// Issue returns one, or an error for which errors.Is(err, store.ErrNotFound) holds.
	Issue(ctx context.Context, by auth.Principal, id string) (store.Issue, error)
	// Events returns the latest events of an issue, newest first.
	Events(ctx context.Context, id string, limit int) ([]telemetry.Event, error)
	// Triage is a person's decision; it is audited. Errors are
	// store.ErrNotFound and evidence.ErrStatus, or others.
	Triage(ctx context.Context, by auth.Principal, id, via string, c evidence.IssueChange) error
	// Stack reads the stack of an event by its source maps; see symbolicate.
	Stack(ctx context.Context, e *telemetry.Event) (frames []symbolicate.Frame, missing string)
}

// Bounds of the list.
const (
	issuesPage = 50
	issuesMost = 1000
)

// errorsBody is the list of issues.
type errorsBody struct {
	Lead   string
	Query  string // the search text
	Whole  bool   // the text is edited whole, for it is no plain list of terms
	Tokens []searchToken
	Wrong  string // what cannot be understood of it, and where
	Sorts  []link
	Rows   []issueRow
	All    int
	More   string // address with more rows; "" = these are all
	Error  string
	CLI    string
}

// searchToken is a term of the search with the address of the page without it.
type searchToken struct{ Key, Value, Without string }

// link is one of several views of a page.
type link struct {
	Text, URL string
	Current   bool
}

// issueRow is an issue in the list.
type issueRow struct {
	ID, URL, Title, Where, Feature, Level string
	Severity                              string // p1, p2, p3
	Marks                                 []issueMark
	Spark                                 spark
	Rising                                bool
	Arms                                  armShare
	Events, Users                         string
	Seen                                  stamp
	Owner, Initials                       string
}

// issueMark is a short word about an issue: "new on canary", "came back".
type issueMark struct{ Class, Text string }

// defaultSearch is what the page shows when nothing is asked for.
const defaultSearch = "is:unresolved"

func (s *server) errors(w http.ResponseWriter, r *http.Request) {
	now, q := s.Now().UTC(), r.URL.Query()
	b := errorsBody{Query: strings.TrimSpace(q.Get("q"))}
	if !q.Has("q") {
		b.Query = defaultSearch
	}
	if more := strings.TrimSpace(q.Get("add")); more != "" {
		b.Query = strings.TrimSpace(b.Query + " " + more)
	}
	sort := orElse(q.Get("sort"), "unequal")
	b.CLI = "serin issues list " + quoted(b.Query)
	for _, o := range [][2]string{{"unequal", "Most unequal"}, {"new", "Newest"}, {"events", "Events"}, {"users", "Users"}} {
		b.Sorts = append(b.Sorts, link{o[1], issuesURL(b.Query, o[0], 0), o[0] == sort})
	}
	filter, err := telemetry.ParseFilter(b.Query)
	if err != nil {
		b.Wrong, b.Whole = wrongSearch(err), true
		s.renderErrors(w, r, http.StatusUnprocessableEntity, b)
		return
	}
	b.Tokens = tokensOf(filter, sort)
	b.Whole = len(b.Tokens) == 0 && b.Query != ""
	views, verr := s.Rollouts.Views(r.Context())
	all, err := s.Issues.Issues(r.Context(), visitOf(r.Context()).Person.Principal)
	if err = errors.Join(verr, err); err != nil {
		s.Logger.Error("read issues", "error", err)
		b.Error = "The issues could not be read. Errors are still taken in, and rollouts are still judged."
		s.renderErrors(w, r, http.StatusInternalServerError, b)
		return
	}
	b.Lead = issuesLead(all, views, now)
	found := slices.DeleteFunc(all, func(i store.Issue) bool {
		return !filter.MatchRecord(evidence.IssueRecord{Issue: &i, Now: now}, now)
	})
	shares := map[string]armShare{}
	for i := range found {
		shares[found[i].ID] = shareOf(&found[i], views)
	}
	slices.SortStableFunc(found, issueOrder(sort, shares))
	b.All = len(found)
	limit := issuesPage
	if q.Get("all") != "" {
		limit = issuesMost
	}
	if len(found) > limit {
		found, b.More = found[:limit], issuesURL(b.Query, sort, issuesMost)
	}
	for i := range found {
		b.Rows = append(b.Rows, issueRowOf(&found[i], shares[found[i].ID], now))
	}
	s.renderErrors(w, r, http.StatusOK, b)
}

func (s *server) renderErrors(w http.ResponseWriter, r *http.Request, status int, b errorsBody) {
	s.render(w, r, status, "errors", page{Title: "Errors", Section: "errors", Live: true, Body: b})
}

// wrongSearch says where a search text is wrong.
func wrongSearch(err error) string {
	var syntax *telemetry.SyntaxError
	if errors.As(err, &syntax) {
		return "At character " + count(int64(syntax.Column)) + ": " + syntax.What + ". " + upper(syntax.Do) + "."
	}
	return err.Error()
}

// issuesURL is the list with a search, an order and, above 0, all rows.
func issuesURL(search, sort string, all int) string {
	v := url.Values{"q": {search}}
	if sort != "" && sort != "unequal" {
		v.Set("sort", sort)
	}
	if all > 0 {
		v.Set("all", "1")
	}
	return "/issues?" + v.Encode()
}

// tokensOf are the terms of a search that is a plain list of terms.
func tokensOf(f telemetry.Filter, sort string) []searchToken {
	terms := f.Terms()
	var out []searchToken
	for i, t := range terms {
		rest := slices.Delete(slices.Clone(terms), i, i+1)
		key, value, ok := strings.Cut(t, ":")
		if !ok {
			key, value = "", t
		} else {
			key += ":"
		}
		out = append(out, searchToken{key, value, issuesURL(strings.Join(rest, " "), sort, 0)})
	}
	return out
}

func issuesLead(all []store.Issue, views []controller.View, now time.Time) string {
	open, canary := 0, 0
	for i := range all {
		r := evidence.IssueRecord{Issue: &all[i], Now: now}
		if _, yes := r.Field("is:" + evidence.Unresolved); !yes {
			continue
		}
		open++
		if arm, _ := r.Field("arm"); arm == "canary" {
			canary++
		}
	}
	running := 0
	for _, v := range views {
		running += b2i(!ended(v))
	}
	text := plural(int64(open), "open issue")
	if open > 0 && running > 0 {
		text += ", " + count(int64(canary)) + " of them seen only on canary"
	}
	return text + "."
}

// issueOrder orders the list.
func issueOrder(sort string, shares map[string]armShare) func(a, b store.Issue) int {
	latest := func(a, b store.Issue) int { return b.LastSeen.Compare(a.LastSeen) }
	switch sort {
	case "new":
		return func(a, b store.Issue) int { return b.FirstSeen.Compare(a.FirstSeen) }
	case "events":
		return func(a, b store.Issue) int { return cmp.Or(cmp.Compare(b.Events, a.Events), latest(a, b)) }
	case "users":
		return func(a, b store.Issue) int { return cmp.Or(cmp.Compare(b.Users, a.Users), latest(a, b)) }
	}
	return func(a, b store.Issue) int {
		return cmp.Or(cmp.Compare(shares[b.ID].Surprise, shares[a.ID].Surprise), latest(a, b))
	}
}

// armShare compares how an issue falls on the arms of the rollout that has
// most of its events, rollouts under way first.
type armShare struct {
	Known           bool // some rollout has seen it
	View            controller.View
	Canary, Control store.ArmCount
	// Percent is the canary's part of the rates per user, or of the events
	// where the number of users is not known; 0..100.
	Percent int
	// Surprise is by how many standard deviations the canary has more users
	// with it than its share of users explains; for the order of the list.
	Surprise float64
}

func shareOf(i *store.Issue, views []controller.View) (s armShare) {
	best := int64(-1)
	for _, v := range views {
		c, o := i.Arms[v.ID+"/new"], i.Arms[v.ID+"/old"]
		n := c.Events + o.Events
		if !ended(v) && n > 0 {
			n += math.MaxInt32
		}
		if n > 0 && n > best {
			best = n
			s = armShare{Known: true, View: v, Canary: c, Control: o}
		}
	}
	if !s.Known {
		return s
	}
	c, o := float64(s.Canary.Events), float64(s.Control.Events)
	if u := s.View.Users; u.NewSeen > 0 && u.OldSeen > 0 {
		c, o = c/float64(u.NewSeen), o/float64(u.OldSeen)
		p := float64(u.NewSeen) / float64(u.NewSeen+u.OldSeen)
		n := float64(s.Canary.Users + s.Control.Users)
		s.Surprise = (float64(s.Canary.Users) - n*p) / math.Sqrt(max(n, 1)*p*(1-p))
	}
	s.Percent = int(math.Round(100 * c / (c + o)))
	return s
}

// New reports whether the issue began with this attempt and on canary only.
func (s armShare) New(i *store.Issue) bool {
	return s.Known && s.Canary.Events > 0 && s.Control.Events == 0 && !i.FirstSeen.Before(s.View.State.AttemptAt)
}

// Rest is the control's part.
func (s armShare) Rest() int { return 100 - s.Percent }

// Holds reports whether the rollout counts it as a new issue now.
func (s armShare) Holds(i *store.Issue) bool {
	if !s.New(i) || i.Status != evidence.Unresolved || s.View.State.Status == rollout.Done || s.View.State.Status == rollout.Cancelled {
		return false
	}
	for _, v := range s.View.Proceed {
		if v.Metric == "new_issues" && v.Status != judge.Met {
			return true
		}
	}
	return false
}

func issueRowOf(i *store.Issue, share armShare, now time.Time) issueRow {
	row := issueRow{ID: i.ID, URL: "/issues/" + url.PathEscape(i.ID), Title: i.Title, Where: i.Culprit, Feature: i.Tags["feature"], Level: lvlOf(i.Level),
		Severity: severityOf(i), Marks: marksOf(i, share), Spark: sparkOfHours(i, now), Arms: share, Events: count(i.Events), Users: count(i.Users),
		Seen: at(i.LastSeen, now), Owner: i.Owner}
	row.Seen.Text = ago(i.LastSeen, now)
	if i.Owner != "" {
		row.Initials = initials(i.Owner)
	}
	row.Rising = len(row.Marks) > 0 && row.Marks[0].Class == "newc"
	return row
}

// lvlOf is the colour of a level: fatal, info, or the rest.
func lvlOf(level string) string {
	switch level {
	case "fatal":
		return "fatal"
	case "info", "debug", "log", "warning":
		return "info"
	}
	return ""
}

// scale is how plans grade errors that say nothing of severity.
var scale = func() (out []telemetry.Graded) {
	for _, s := range plan.DefaultSeverity() {
		f, err := telemetry.ParseFilter(s.Filter)
		if err != nil {
			panic(err) // a constant of the program
		}
		out = append(out, telemetry.Graded{Name: s.Name, Filter: f})
	}
	return out
}()

// severityOf grades an issue by its last event.
func severityOf(i *store.Issue) string {
	e := telemetry.Event{Kind: telemetry.KindError, Level: i.Level, Tags: i.Tags, Unhandled: i.Unhandled, Received: i.LastSeen}
	return orElse(telemetry.Grade(scale, &e), "p3")
}

func marksOf(i *store.Issue, share armShare) (out []issueMark) {
	if share.New(i) {
		out = append(out, issueMark{"newc", "new on canary"})
	}
	if !i.Regressed.IsZero() {
		out = append(out, issueMark{"", "came back"})
	}
	switch i.Status {
	case evidence.Resolved:
		out = append(out, issueMark{"", "resolved"})
	case evidence.Ignored:
		out = append(out, issueMark{"", "accepted"})
	default:
		if i.Reviewed.IsZero() {
			out = append(out, issueMark{"", "for review"})
		}
	}
	return out
}

// sparkOfHours draws the 24 hours up to now.
func sparkOfHours(i *store.Issue, now time.Time) spark {
	late := int(now.Unix()/3600 - i.LastSeen.Unix()/3600)
	col := make([]*float64, len(i.Hours))
	for h := range col {
		v := 0.0
		if from := h + late; from < len(i.Hours) {
			v = float64(i.Hours[from])
		}
		col[h] = &v
	}
	return sparkOf(col, nil)
}
