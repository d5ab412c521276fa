package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"serin/internal/auth"
	"serin/internal/reporting"
	"serin/internal/rollout"
	"serin/internal/standup"
	"serin/internal/store"
)

// Standups is what the pages of stand-ups and reviews show and record. Errors
// wrap store.ErrNotFound, or are a *rollout.Refusal that says why something was
// not done.
type Standups interface {
	Standup(ctx context.Context, q reporting.Query) (reporting.Standup, error)
	Reviews(ctx context.Context, q reporting.Query, limit int) ([]reporting.View, error)
	// Decide records the word of p, and carries it out with what p may do there.
	Decide(ctx context.Context, p Person, d reporting.Decision) (reporting.View, error)
}

// standupBody is the stand-up of a day.
type standupBody struct {
	Title, Lead, Wrong string
	Days               []link // of the days around
	Asks               []askRow
	AsksSum            string
	Reports            []reportCard
	May                bool
	CLI                string
	Markdown           string // address
}

// askRow is what is to be decided about a rollout.
type askRow struct {
	ID, URL, Post, Text, Why string
	Class, Icon              string
	Needs                    []string
	Day                      string
	Version                  int64
	Said                     []saidLine // what was recorded
	Buttons                  bool       // the newest stand-up takes a word about it
	Back                     string     // the page that asks before it rolls back; "" = there is nobody to roll back
}

// saidLine is what somebody said or did after the report.
type saidLine struct {
	Who, Text string
	Pill      pill
	At        stamp
}

func (s *server) standup(w http.ResponseWriter, r *http.Request) {
	s.showStandup(w, r, http.StatusOK, "")
}

func (s *server) showStandup(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	who := visitOf(r.Context()).Person
	q := reporting.Query{Day: r.PathValue("day"), Rollout: r.URL.Query().Get("rollout"), Sees: who.Principal.InProject}
	if _, err := time.Parse(time.DateOnly, q.Day); q.Day != "" && err != nil {
		s.missing(w, r)
		return
	}
	day, err := s.Standups.Standup(r.Context(), q)
	switch {
	case errors.Is(err, store.ErrNotFound):
		s.missing(w, r)
		return
	case err != nil:
		s.fail(w, r, err)
		return
	}
	b := standupBodyOf(day, q, s.Now().UTC())
	b.Wrong, b.May = wrong, who.Principal.Can(auth.Operate)
	p := page{Title: b.Title, Section: "standup", Record: true, Live: status == http.StatusOK && q.Day == "", Body: b}
	if q.Day != "" {
		p.Crumb = q.Day
	}
	s.render(w, r, status, "standup", p)
}

func standupBodyOf(day reporting.Standup, q reporting.Query, now time.Time) standupBody {
	b := standupBody{Title: "Stand-up", CLI: "serin standup", Markdown: "/api/v1/standup?format=markdown"}
	if q.Day != "" {
		b.CLI += " --date " + q.Day
		b.Markdown += "&date=" + q.Day
	}
	if q.Rollout != "" {
		b.CLI += " --rollout " + q.Rollout
		b.Markdown += "&rollout=" + url.QueryEscape(q.Rollout)
	}
	for _, v := range day.Reports {
		b.Reports = append(b.Reports, reportCardOf(v, now))
	}
	switch {
	case len(day.Reports) > 0 && (q.Day != "" || len(day.Reports) == 1):
		b.Title += ", " + day.Reports[0].Weekday()
		b.Lead = "Covers " + day.Reports[0].Span() + "."
	case len(day.Reports) > 0:
		b.Lead = "The newest of " + plural(int64(len(day.Reports)), "rollout") + "."
	}
	open := 0
	for _, o := range day.Open {
		row := askRowOf(o, day.Reports, now)
		open += b2i(len(row.Said) == 0)
		b.Asks = append(b.Asks, row)
	}
	if len(b.Asks) > 0 {
		b.AsksSum = count(int64(open)) + " of " + count(int64(len(b.Asks))) + " open"
	}
	b.Days = daysAround(day.Days, q)
	return b
}

// shownDays is how many days the page links.
const shownDays = 7

// daysAround are the newest days, and the one that is shown.
func daysAround(days []string, q reporting.Query) (out []link) {
	to := func(day string) string {
		address := "/standup"
		if day != "" {
			address += "/" + day
		}
		if q.Rollout != "" {
			address += "?rollout=" + url.QueryEscape(q.Rollout)
		}
		return address
	}
	out = append(out, link{"Newest", to(""), q.Day == ""})
	for i, day := range days {
		if i < shownDays || day == q.Day {
			out = append(out, link{shortDay(day), to(day), day == q.Day})
		}
	}
	return out
}

func shortDay(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return t.Format("Mon 2 Jan")
}

// askRowOf is a question with what its newest stand-up heard.
func askRowOf(o reporting.Open, reports []reporting.View, now time.Time) askRow {
	row := askRow{ID: o.Rollout, URL: "/rollouts/" + url.PathEscape(o.Rollout), Post: "/standup/" + url.PathEscape(o.Rollout), Text: o.Text,
		Why: upper(o.Why) + ". serin advises: " + string(o.Advice) + ".", Version: o.Version}
	if _, question, ok := strings.Cut(o.Text, ": "); ok { // without the plan's name: the rollout's stands before it
		row.Text = question
	}
	row.Class, row.Icon = "c-warn", "hold"
	switch o.Advice {
	case standup.AdviseProceed:
		row.Class, row.Icon = "c-pass", "pass"
	case standup.AdviseRollback:
		row.Class, row.Icon = "c-fail", "fail"
	}
	for _, n := range o.Needs {
		row.Needs = append(row.Needs, n.Text)
	}
	if slices.Contains([]rollout.Status{rollout.Running, rollout.Paused, rollout.Reduced}, o.Status) {
		row.Back = row.URL + "/rollback"
	}
	for _, v := range reports {
		if v.Rollout == o.Rollout && v.Kind == standup.Daily && row.Day == "" {
			row.Day, row.Buttons = v.Day, true
			row.Said = saidLines(v, now)
		}
	}
	return row
}

// saidLines are what was recorded of a stand-up, and what people did after it.
func saidLines(v reporting.View, now time.Time) (out []saidLine) {
	for _, n := range v.Notes {
		p := map[string]pill{reporting.Proceed: {"pass", "pass", "Proceed"}, reporting.Hold: {"hold", "hold", "Hold"}, reporting.Rollback: {"fail", "back", "Roll back"}}[n.Do]
		out = append(out, saidLine{Who: n.By, Text: n.Words(), Pill: p, At: at(n.At, now)})
	}
	for _, m := range v.Decided {
		out = append(out, saidLine{Who: m.By, Text: m.Text, Pill: pill{"", "person", "Done"}, At: at(m.At, now)})
	}
	return out
}

// decideStandup records what was posted and goes back to the stand-up.
func (s *server) decideStandup(w http.ResponseWriter, r *http.Request) {
	if !s.checkCSRF(w, r) {
		return
	}
	who := visitOf(r.Context()).Person
	if !who.Principal.Can(auth.Operate) {
		s.problem(w, r, http.StatusForbidden, "You may not do this", "It needs the scope “operate”, which you do not have.")
		return
	}
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	d := reporting.Decision{Rollout: v.ID, Day: r.FormValue("day"), Do: r.FormValue("do"), Reason: strings.TrimSpace(r.FormValue("reason"))}
	for _, name := range strings.Split(r.FormValue("present"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			d.Present = append(d.Present, name)
		}
	}
	d.Version, _ = strconv.ParseInt(r.FormValue("version"), 10, 64)
	_, err := s.Standups.Decide(r.Context(), who, d)
	var no *rollout.Refusal
	switch {
	case err == nil:
		http.Redirect(w, r, "/standup", http.StatusSeeOther)
	case errors.Is(err, store.ErrNotFound):
		s.missing(w, r)
	case errors.As(err, &no):
		s.showStandup(w, r, refusalStatus(no), upper(no.Why))
	default:
		s.fail(w, r, err)
	}
}

// reviewsBody is the reviews of a rollout, below what its pages share.
type reviewsBody struct {
	rolloutBody
	Cards    []reportCard
	Markdown string
}

func (s *server) reviews(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	who := visitOf(r.Context())
	list, err := s.Standups.Reviews(r.Context(), reporting.Query{Rollout: v.ID, Sees: who.Person.Principal.InProject}, 0)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	b := reviewsBody{rolloutBody: s.frame(v, who, "reviews", r), Markdown: "/api/v1/rollouts/" + url.PathEscape(v.ID) + "/reviews?format=markdown"}
	b.CLI = []string{"serin review " + v.ID}
	for _, x := range list {
		b.Cards = append(b.Cards, reportCardOf(x, s.Now().UTC()))
	}
	s.render(w, r, http.StatusOK, "reviews", page{Title: v.Plan + ", reviews", Crumb: v.ID, Record: true, Dock: len(b.Dock) > 0, Body: b})
}
