package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"serin/internal/controller"
	"serin/internal/dashboard"
	"serin/internal/judge"
	"serin/internal/panel"
	"serin/internal/plan"
	"serin/internal/store"
)

// Panels answers a plan's dashboard. Errors are those of Rollouts.
type Panels interface {
	View(ctx context.Context, id string, r dashboard.Range) (dashboard.View, error)
}

// panelsView is a rollout's dashboard as its page shows it.
type panelsView struct {
	Ranges  []option
	Compare string // "7 days"; "" = nothing is compared
	Targets []targetRow
	Panels  []panelCard
}

// targetRow is a rule that is read every now and then.
type targetRow struct {
	Rule                       string
	Pill                       pill
	Why, Now, Was, Change, How string
}

// panelCard is one panel.
type panelCard struct {
	dashboard.PanelView
	ID, URL, Label    string
	Head, Was, Clause string // what it tells in a word; By, as written
	Earlier           string
	Empty             string // why there is nothing to draw
	Rows              []panelRow
	Bars              []panelBar
	List              []issueLine
	Limit             string
}

type panelRow struct {
	At       stamp
	Now, Was string
}

// panelBar is one group. Fresh and Rest are widths of 100.
type panelBar struct {
	Name, Text, Was, Share, WasShare, Users string
	Fresh, Rest                             float64
}

type issueLine struct {
	URL, Title, Events, Users string
	First                     stamp
}

// panelRanges are the spans of the page; the plan's whole rollout is one.
var panelRanges = []struct{ key, text string }{{"24h", "24h"}, {"48h", "48h"}, {"7d", "7d"}, {"rollout", "Rollout"}}

const (
	panelRange   = "48h"
	panelCompare = "7d"
)

// panelRangeOf reads the range of an address; what is not understood is the default.
func panelRangeOf(r *http.Request) (key string, out dashboard.Range) {
	key = orElse(r.URL.Query().Get("range"), panelRange)
	if key != "rollout" {
		var err error
		if out.Back, err = controller.ParseRange(key); err != nil {
			key, out.Back = panelRange, 48*time.Hour
		}
	}
	if out.Compare, _ = controller.ParseRange(orElse(r.URL.Query().Get("compare"), panelCompare)); out.Compare > panel.Kept {
		out.Compare = panel.Kept
	}
	return key, out
}

func (s *server) panelsPage(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	key, span := panelRangeOf(r)
	if s.Panels == nil {
		s.fail(w, r, store.ErrNotFound)
		return
	}
	found, err := s.Panels.View(r.Context(), v.ID, span)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	b := s.frame(v, visitOf(r.Context()), "panels", r)
	b.Panels = panelsOf(found, v, key, s.Now())
	b.CLI = []string{"serin rollout panels " + v.ID + panelFlags(key, span)}
	s.render(w, r, http.StatusOK, "panels", page{Title: v.Plan + ", panels", Crumb: v.ID, Panels: true, Charts: true, Dock: len(b.Dock) > 0, Body: b})
}

// panelFlags are the flags of the same view in a terminal.
func panelFlags(key string, r dashboard.Range) string {
	return " --range=" + key + " --compare=" + compareKey(r)
}

func compareKey(r dashboard.Range) string {
	if r.Compare == 0 {
		return "none"
	}
	return plan.FormatDuration(r.Compare)
}

// panelSeries answers the data of one panel's chart, as series does.
func (s *server) panelSeries(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	_, span := panelRangeOf(r)
	if s.Panels == nil {
		http.Error(w, "panels are not available", http.StatusNotFound)
		return
	}
	found, err := s.Panels.View(r.Context(), v.ID, span)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 0 || n >= len(found.Panels) {
		http.Error(w, "no such panel", http.StatusNotFound)
		return
	}
	p := found.Panels[n]
	w.Header().Set("Content-Type", "application/json")
	err = json.NewEncoder(w).Encode(struct {
		T     []int64    `json:"t"`
		Now   []*float64 `json:"a"`
		Was   []*float64 `json:"c"`
		Limit *float64   `json:"limit,omitempty"`
	}{p.T, p.Values, p.Before, p.Limit})
	if err != nil {
		s.Logger.Debug("send panel", "error", err)
	}
}

func panelsOf(found dashboard.View, v controller.View, key string, now time.Time) *panelsView {
	out := &panelsView{}
	if found.Compare > 0 {
		out.Compare = duration(found.Compare)
	}
	for _, r := range panelRanges {
		if r.key != "rollout" || v.State.Attempt > 0 {
			out.Ranges = append(out.Ranges, option{r.key, r.text, r.key == key})
		}
	}
	for _, t := range found.Targets {
		out.Targets = append(out.Targets, targetOf(t, now))
	}
	for i, p := range found.Panels {
		out.Panels = append(out.Panels, cardOf(p, i, v.ID, key, compareKey(dashboard.Range{Compare: found.Compare}), now))
	}
	return out
}

// targetOf is a target in words.
func targetOf(t dashboard.Target, now time.Time) targetRow {
	row := targetRow{Rule: t.Rule, Pill: pill{"wait", "wait", "Not read yet"}, Now: dash, Was: dash, Change: dash, How: "every " + duration(t.Every)}
	if !t.Next.IsZero() {
		row.How += ", next in " + duration(max(t.Next.Sub(now), 0).Round(time.Minute))
	}
	verdict := t.Verdict
	if verdict == nil {
		return row
	}
	row.Why = verdict.Why
	switch verdict.Status {
	case judge.Met:
		row.Pill = pill{"pass", "pass", "Met"}
	case judge.NotMet:
		row.Pill = pill{"fail", "fail", "Not met"}
	default:
		row.Pill = pill{"wait", "wait", "Needs data"}
	}
	if verdict.Value != nil {
		row.Now = judge.Format(*verdict.Value, verdict.Unit)
		if verdict.Ref != plan.None && verdict.Ref != plan.Expected {
			row.Now = fmt.Sprintf("%+.1f%%", *verdict.Value*100)
		}
	}
	if t.Before != nil {
		row.Was = judge.Format(*t.Before, verdict.Unit)
		row.Change = change(verdict.Value, t.Before, verdict.Unit)
	}
	return row
}

// change is how far now is from before: in percent, counts by the difference.
func change(now, before *float64, unit string) string {
	switch {
	case now == nil || before == nil:
		return dash
	case unit == "" || *before == 0:
		return signed(judge.Format(*now-*before, unit), *now-*before)
	}
	return fmt.Sprintf("%+.1f%%", (*now / *before - 1)*100)
}

func signed(text string, v float64) string {
	if v > 0 {
		return "+" + text
	}
	return text
}

func cardOf(p dashboard.PanelView, i int, id, key, compare string, now time.Time) panelCard {
	c := panelCard{PanelView: p, ID: "panel-" + strconv.Itoa(i), Head: headOf(p, p.Now), Limit: ""}
	c.URL = fmt.Sprintf("/rollouts/%s/panels/%d?range=%s&compare=%s", id, i, key, compare)
	if p.Earlier > 0 {
		c.Earlier = duration(p.Earlier) + " before"
	}
	if p.Was != nil {
		c.Was = "was " + headOf(p, *p.Was)
	}
	if p.By != "" {
		c.Clause = " · by " + p.By
	}
	c.Label = fmt.Sprintf("%s: %s now. %s Use left and right arrow keys to read values.", p.Title, c.Head, wasSentence(c.Was, c.Earlier))
	c.Empty = emptyPanel(p, now)
	switch p.Shape {
	case dashboard.Bars, dashboard.Shares:
		c.Bars = barsOf(p)
	case dashboard.List:
		for _, row := range p.Issues {
			c.List = append(c.List, issueLine{"/issues/" + row.ID, row.Title, whole(row.Events), whole(row.Users), at(row.First, now)})
		}
	default:
		c.Rows = rowsOf(p, now)
	}
	return c
}

func wasSentence(was, earlier string) string {
	if was == "" {
		return ""
	}
	return upper(was) + " " + earlier + "."
}

// headOf is what a panel tells in a word.
func headOf(p dashboard.PanelView, v panel.Value) string {
	if p.Shape == dashboard.Line && v.Value != nil {
		return judge.Format(*v.Value, p.Unit)
	}
	if p.Shape == dashboard.Line && (p.Unit != "" || p.Metric != "") {
		return dash
	}
	return whole(v.N)
}

func whole(n int64) string { return judge.Format(float64(n), "") }

// emptyPanel says why a panel has nothing to show, and what was there last.
func emptyPanel(p dashboard.PanelView, now time.Time) string {
	found := p.Now.N > 0 || p.Now.Value != nil && *p.Now.Value != 0
	switch {
	case p.Problem != "":
		return upper(p.Problem) + "."
	case p.Shape == dashboard.List && p.Now.N == 0:
		return "No issue fits now."
	case p.Shape == dashboard.List, found, len(p.Groups) > 0:
		return ""
	case p.Was != nil && p.Was.N > 0:
		return ""
	case !p.Last.IsZero():
		return "Nothing in this span. Last seen " + ago(p.Last, now) + "."
	case !p.Since.IsZero():
		return "Nothing yet: counted since " + ago(p.Since, now) + "."
	}
	return "Nothing in this span."
}

// maxPanelRows bounds the table beneath a chart.
const maxPanelRows = 72

func rowsOf(p dashboard.PanelView, now time.Time) (rows []panelRow) {
	for i := len(p.T) - 1; i >= 0 && len(rows) < maxPanelRows; i-- {
		row := panelRow{At: at(time.Unix(p.T[i], 0), now), Now: cell(p.Values, i, p.Unit), Was: cell(p.Before, i, p.Unit)}
		if row.Now != dash || row.Was != dash {
			rows = append(rows, row)
		}
	}
	return rows
}

// barsOf are the groups; the longest bar is full.
func barsOf(p dashboard.PanelView) (bars []panelBar) {
	most := int64(1)
	for _, g := range p.Groups {
		most = max(most, g.N)
	}
	for _, g := range p.Groups {
		b := panelBar{Name: g.Name, Text: whole(g.N), Users: dash, Share: partOf(g.N, g.All), WasShare: dash,
			Fresh: 100 * float64(g.Fresh) / float64(most), Rest: 100 * float64(g.N-g.Fresh) / float64(most)}
		if g.Users > 0 {
			b.Users = whole(g.Users)
		}
		if g.Was != nil {
			b.Was, b.WasShare = "was "+whole(g.Was.N), partOf(g.Was.N, g.Was.All)
		}
		bars = append(bars, b)
	}
	return bars
}

func partOf(n, all int64) string {
	if all <= 0 {
		return dash
	}
	return judge.Format(float64(n)/float64(all), "%")
}
