package web

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"serin/internal/judge"
	"serin/internal/reporting"
	"serin/internal/standup"
)

// reportCard is a stand-up or a review.
type reportCard struct {
	standup.Report
	Head, Lead string
	Now, Was   string // heads of the columns
	Pill       pill
	Rows       []metricRow
	Feedback   []metricRow
	New        []foundRow
	Spikes     []foundRow
	Slow       []string
	Incidents  []openRow
	Happened   []saidLine
	Sent       []string
	Text       string
	HasIssues, HasSpikes, HasSlow,
	HasFeedback, HasIncidents bool
}

// metricRow is a metric of a report.
type metricRow struct {
	Title, Now, Before, Control, Rule, Why string
	Pill                                   pill
}

type foundRow struct{ URL, Title, Text string }

type openRow struct{ ID, URL, Severity, Title, Text string }

func reportCardOf(v reporting.View, now time.Time) reportCard {
	c := reportCard{Report: v.Report, Head: v.Plan + " at " + percent(v.Exposure), Lead: v.Span(), Pill: cardPill(v.Report), Text: v.Text,
		HasIssues: v.Has(standup.NewIssues), HasSpikes: v.Has(standup.Spikes), HasSlow: v.Has(standup.SlowDowns),
		HasFeedback: v.Has(standup.Complaints) || v.Has(standup.Sentiment), HasIncidents: v.Has(standup.Incidents) || len(v.Report.Incidents) > 0}
	c.Rows = metricRows(slices.Concat(v.Metrics, v.Ungated()))
	c.Now, c.Was = duration(v.To.Sub(v.From)), "Before"
	if v.Kind == standup.Daily {
		c.Was = "Day before"
	}
	c.Feedback = metricRows(v.Report.Feedback)
	for _, i := range v.Issues {
		c.New = append(c.New, foundRow{"/issues/" + url.PathEscape(i.ID), i.Title, plural(i.Events, "event") + ", " + plural(i.Users, "user")})
	}
	for _, x := range v.Report.Spikes {
		row := foundRow{Text: x.Words()}
		if x.Issue != "" {
			row.URL, row.Title = "/issues/"+url.PathEscape(x.Issue), x.Issue
		}
		c.Spikes = append(c.Spikes, row)
	}
	for _, x := range v.Report.Slow {
		c.Slow = append(c.Slow, x.Words())
	}
	for _, i := range v.Report.Incidents {
		row := openRow{ID: i.ID, URL: incidentURL(i.ID), Severity: i.Severity, Title: i.Title, Text: "somebody is on it"}
		if i.Needs != "" {
			row.Text = "nobody has: " + i.Needs
		}
		c.Incidents = append(c.Incidents, row)
	}
	for _, m := range v.Moves {
		c.Happened = append(c.Happened, saidLine{Who: orElse(m.By, "serin"), Text: m.Text, At: at(m.At, now)})
	}
	for _, n := range v.Sent {
		text := n.Channel + " (" + n.Address + "): " + n.State
		if n.Error != "" {
			text += ", " + n.Error
		}
		c.Sent = append(c.Sent, text)
	}
	return c
}

// cardPill is a report in one pill: what is wrong comes before what is not
// known.
func cardPill(r standup.Report) pill {
	wrong, watch, n := len(r.Incidents)+len(r.Spikes), len(r.Issues)+len(r.Slow), r.Unmeasured()
	for _, row := range r.Metrics {
		wrong += b2i(row.Word == judge.NotMet.String())
	}
	for _, row := range r.Ungated() {
		if row.Now == nil || *row.Now == 0 {
			continue
		}
		wrong, watch = wrong+b2i(row.Metric == "p1"), watch+b2i(row.Metric != "p1")
	}
	switch {
	case wrong > 0:
		return pill{"fail", "fail", strconv.Itoa(wrong) + " to look at"}
	case watch > 0:
		return pill{"warn", "warn", strconv.Itoa(watch) + " to watch"}
	case n > 0:
		return pill{"wait", "wait", strconv.Itoa(n) + " not measured"}
	}
	return pill{"pass", "pass", "All clear"}
}

func metricRows(list []standup.Row) (out []metricRow) {
	for _, r := range list {
		row := metricRow{Title: r.Title, Now: r.Value(r.Now), Before: r.Value(r.Before), Control: r.Value(r.Control), Rule: orElse(r.Rule, dash), Why: r.Why}
		switch {
		case r.Word == judge.Met.String():
			row.Pill = pill{"pass", "pass", "Met"}
		case r.Word == judge.NotMet.String():
			row.Pill = pill{"fail", "fail", "Not met"}
		case r.Word != "" || r.Now == nil:
			row.Pill = pill{"wait", "wait", "Unknown"}
		}
		out = append(out, row)
	}
	return out
}
