package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"time"

	"serin/internal/controller"
	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/rollout"
)

func escapeQuery(s string) string { return url.QueryEscape(s) }

// overviewBody is the list of rollouts.
type overviewBody struct {
	Lead     string
	Projects []link // of more than one
	Needs    []need
	Filters  []link
	Rows     []row
	Past     []row
	Stats    []stat
	Error    string // the list could not be read
	Connect  ConnectInfo
	Spark    string // name of the metric in the small chart
}

// need is a card of something that only a person can clear.
type need struct {
	Class, Tone, Icon, Title, Text, URL, Button, Since string
}

// row is a rollout in the table.
type row struct {
	ID, Name, Sub, Kind string
	Stage, Bake         string
	Pips                []string
	Pill                pill
	Why                 string
	Spark               spark
	Rate, Delta         string
	Users               string
	Next                string
	Until               int64
	NextAt              stamp
}

type stat struct{ Name, Value, Note string }

func (s *server) toOverview(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/"+query(r.URL.RawQuery), http.StatusFound)
}

func (s *server) overview(w http.ResponseWriter, r *http.Request) {
	now := s.Now()
	views, err := s.Rollouts.Views(r.Context())
	b := overviewBody{Connect: s.Connect}
	if err != nil {
		s.Logger.Error("read rollouts", "error", err)
		b.Error = "Rollouts could not be read. Flags are still served, and the command line may still work."
		s.render(w, r, http.StatusInternalServerError, "overview", page{Title: "Rollouts", Live: true, Body: b})
		return
	}
	if len(views) == 0 {
		s.firstSteps(w, r, false)
		return
	}
	show := r.URL.Query().Get("show")
	kinds, names := map[string]int{}, s.projectNames(r)
	if id := r.URL.Query().Get("project"); id != "" {
		views = only(views, func(v controller.View) bool { return flag.ProjectOf(v.Project) == id })
	}
	b.Projects = s.projectTabs(r, show)
	sort.SliceStable(views, func(i, j int) bool { return urgency(views[i]) < urgency(views[j]) })
	for _, v := range views {
		line := s.row(r.Context(), v, now)
		if name := names[v.Project]; name != "" {
			line.Sub += ", " + name
		}
		kinds[line.Kind]++
		if line.Kind == "past" {
			b.Past = append(b.Past, line)
			continue
		}
		if n, ok := needOf(v, now); ok {
			b.Needs = append(b.Needs, n)
		}
		if show == "" || show == "all" || show == line.Kind {
			b.Rows = append(b.Rows, line)
		}
	}
	for _, f := range []option{{"all", "All", false}, {"needs", "Needs a person", false}, {"ok", "On track", false}, {"wait", "Not started", false}} {
		f.Selected = f.Value == show || show == "" && f.Value == "all"
		b.Filters = append(b.Filters, link{Text: f.Text, URL: overviewURL(f.Value, r.URL.Query().Get("project")), Current: f.Selected})
	}
	b.Lead, b.Stats, b.Spark = lead(kinds, views, now), statsOf(views, now), sparkTitle(views)
	s.render(w, r, http.StatusOK, "overview", page{Title: "Rollouts", Live: true, Body: b})
}

// kindOf groups a rollout for the filter: needs, ok, wait or past.
func kindOf(v controller.View) string {
	switch v.State.Status {
	case rollout.Done, rollout.Cancelled:
		return "past"
	case rollout.Preflight:
		return "wait"
	case rollout.RolledBack, rollout.Reduced, rollout.Paused:
		return "needs"
	}
	if len(v.Waiting) > 0 && needKinds[v.Waiting[0].Kind] {
		return "needs"
	}
	return "ok"
}

// urgency orders the table, worst first.
func urgency(v controller.View) int {
	switch kind := kindOf(v); {
	case v.State.Status == rollout.RolledBack:
		return 1
	case len(v.Waiting) > 0 && v.Waiting[0].Kind == "incident":
		return 0
	case kind == "needs":
		return 2
	case kind == "ok":
		return 3
	case kind == "wait":
		return 4
	}
	return 5
}

// sparkMetric picks the chart that a row shows: errors, else the first.
func sparkMetric(v controller.View) *controller.ChartView {
	for _, want := range []string{"error_rate", "errors"} {
		for i := range v.Charts {
			if v.Charts[i].Metric == want {
				return &v.Charts[i]
			}
		}
	}
	if len(v.Charts) > 0 {
		return &v.Charts[0]
	}
	return nil
}

// sparkTitle heads the column of small charts.
func sparkTitle(views []controller.View) string {
	title := ""
	for _, v := range views {
		if c := sparkMetric(v); c != nil {
			if t := orElse(c.Title, c.Metric); title == "" {
				title = t
			} else if title != t {
				return "Main metric"
			}
		}
	}
	return orElse(title, "Error rate")
}

func (s *server) row(ctx context.Context, v controller.View, now time.Time) row {
	out := row{ID: v.ID, Name: v.Plan, Sub: v.Flag, Kind: kindOf(v), Stage: stageName(v), Bake: bakeText(v), Pill: pillOf(v),
		Why: why(v), Rate: dash, Users: count(v.Users.NewSeen), Next: next(v)}
	for i, st := range v.Stages {
		out.Pips = append(out.Pips, pip(v, i, st))
	}
	if v.State.Status == rollout.Running && !v.NextCheck.IsZero() && out.Kind == "ok" {
		out.Next, out.Until, out.NextAt = "Check in", v.NextCheck.UnixMilli(), at(v.NextCheck, now)
	}
	c := sparkMetric(v)
	if c == nil || out.Kind == "wait" || out.Kind == "past" {
		return out
	}
	out.Rate = optional(c.Now, c.Unit)
	if c.Now != nil && c.Ref != nil && finite(*c.Now) && finite(*c.Ref) {
		out.Delta = difference(*c.Now-*c.Ref, c.Unit)
	}
	data, err := s.Rollouts.Series(ctx, v.ID, c.Metric, now.Add(-24*time.Hour), now, sparkPoints)
	if err != nil {
		s.Logger.Error("read series", "rollout", v.ID, "metric", c.Metric, "error", err)
		return out
	}
	out.Spark = sparkOf(data.Canary, data.Control)
	return out
}

// difference writes canary minus control; shares differ by percentage points.
func difference(d float64, unit string) string {
	sign := "+"
	if d < 0 {
		sign, d = "-", -d
	}
	text := value(d, unit)
	if strings.HasSuffix(text, "%") {
		text = strings.TrimSuffix(text, "%") + " pp"
	}
	return sign + text
}

func pip(v controller.View, i int, st controller.StageView) string {
	switch {
	case v.State.Status == rollout.Done || v.State.Status == rollout.Cleanup:
		return "all"
	case st.State == "done":
		return "done"
	case st.State == "current" && v.State.Status == rollout.RolledBack:
		return "bad"
	case st.State == "current":
		return "now"
	}
	return ""
}

// why is the reason under a row's verdict.
func why(v controller.View) string {
	switch v.State.Status {
	case rollout.Preflight:
		if n := len(v.Checklist); n > 0 {
			return fmt.Sprintf("%d of %d items ready", n-openItems(v.Checklist), n)
		}
		return "ready to start"
	case rollout.Paused, rollout.Reduced, rollout.RolledBack, rollout.Cancelled:
		return clip(v.State.Reason, 80)
	case rollout.Cleanup:
		done, all := tally(v.Tasks)
		return fmt.Sprintf("%d of %d tasks done", done, all)
	case rollout.Done:
		return ""
	}
	if len(v.Waiting) > 0 && v.Waiting[0].Kind != "bake" {
		return clip(v.Waiting[0].Text, 80)
	}
	met := 0
	for _, d := range v.Proceed {
		met += b2i(d.Status == judge.Met)
	}
	if len(v.Proceed) == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %s met", met, plural(int64(len(v.Proceed)), "gate"))
}

// next is what happens next, in a few words.
func next(v controller.View) string {
	switch v.State.Status {
	case rollout.Preflight:
		if n := openItems(v.Checklist); n > 0 {
			return plural(int64(n), "item") + " open"
		}
		return "Start"
	case rollout.Paused, rollout.Reduced:
		return "Resume"
	case rollout.RolledBack:
		return "Restart or cancel"
	case rollout.Cleanup:
		return plural(int64(openItems(v.Tasks)), "task") + " open"
	case rollout.Done, rollout.Cancelled:
		return ""
	}
	if len(v.Waiting) > 0 {
		return upper(clip(v.Waiting[0].Text, 40))
	}
	return "Then " + nextStage(v)
}

// needOf is the card of a rollout that waits for a person.
func needOf(v controller.View, now time.Time) (need, bool) {
	if kindOf(v) != "needs" && (v.State.Status != rollout.Preflight || openItems(v.Checklist) > 0) {
		return need{}, false
	}
	sen := sentenceOf(v, now)
	n := need{Icon: sen.Icon, Tone: orElse(map[string]string{"fail": "fail", "warn": "warn", "hold": "hold"}[sen.Class], "hold"), Title: v.Plan + ": " + strings.ToLower(strings.TrimSuffix(sen.Head, ".")), Text: sen.Text,
		URL: "/rollouts/" + v.ID, Button: "Review"}
	if sen.Class == "fail" {
		n.Class = "bad"
	}
	if sen.Dialog != "" {
		n.URL, n.Button = sen.Link, sen.LinkText
	}
	since := v.State.At
	if v.State.Status == rollout.RolledBack || v.State.Status == rollout.Reduced {
		since = v.State.LoweredAt
	}
	if !since.IsZero() {
		n.Since = ago(since, now)
	}
	return n, true
}

func lead(kinds map[string]int, views []controller.View, now time.Time) string {
	var parts []string
	if n := kinds["needs"]; n == 1 {
		parts = append(parts, "1 needs a person")
	} else if n > 1 {
		parts = append(parts, fmt.Sprintf("%d need a person", n))
	} else {
		parts = append(parts, "Nothing needs you")
	}
	if n := kinds["ok"]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d on track", n))
	}
	if n := kinds["wait"]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d not started", n))
	}
	back := 0
	for _, v := range views {
		back += b2i(rolledBackSince(v.State, now.Add(-24*time.Hour)))
	}
	tail := "Nothing rolled back in the last 24 hours."
	if back > 0 {
		tail = fmt.Sprintf("%d rolled back in the last 24 hours.", back)
	}
	return strings.Join(parts, ", ") + ". " + tail
}

// rolledBackSince reports whether s was rolled back after since, also where
// somebody has cancelled it or begun a new attempt in the meantime. What was
// reduced in a newer attempt hides the rollback of an older one.
func rolledBackSince(s rollout.State, since time.Time) bool {
	if !s.LoweredAt.After(since) {
		return false
	}
	switch s.Status {
	case rollout.RolledBack, rollout.Cancelled: // a started rollout is cancelled only when rolled back
		return true
	}
	return s.Attempt > 1 && !s.LoweredAt.After(s.AttemptAt)
}

// statDays is how far the numbers under the table look back.
const statDays = 30

// statsOf sums up the last 30 days from the states alone.
func statsOf(views []controller.View, now time.Time) []stat {
	since := now.Add(-statDays * 24 * time.Hour)
	var finished, begun, back, users int64
	for _, v := range views {
		begun += int64(b2i(v.State.StartedAt.After(since)))
		finished += int64(b2i(v.State.FinishedAt.After(since) && v.State.Status == rollout.Done))
		back += int64(b2i(rolledBackSince(v.State, since)))
		if !ended(v) {
			users += v.Users.NewSeen
		}
	}
	return []stat{{"Rollouts started", count(begun), ""}, {"Finished", count(finished), ""},
		{"Rolled back now", count(back), "everybody on old"}, {"Users on canary now", count(users), "seen in this attempt"}}
}
