package reporting

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"serin/internal/notify"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/standup"
	"serin/internal/store"
)

// build reads the facts of a report and makes it.
func (e *Engine) build(ctx context.Context, r Rollout, p plan.Report, slot standup.Slot, now time.Time) (standup.Report, error) {
	id := r.Standing.ID
	journal, err := e.o.Rollouts.Journal(ctx, id)
	if err != nil {
		return standup.Report{}, fmt.Errorf("read journal of %s: %w", id, err)
	}
	issues, err := e.issues(ctx, r.Standing)
	if err != nil {
		return standup.Report{}, err
	}
	var failed error
	out := standup.Build(standup.Facts{
		Plan: r.Plan, Report: p, Slot: slot, At: now, Standing: r.Standing, Issues: issues, Open: e.o.Incidents(id), Journal: journal,
		Measure: func(metric string, from, to time.Time) standup.Measured {
			m, err := e.o.Measure(id, metric, from, to)
			if err != nil && !errors.Is(err, store.ErrNotFound) && failed == nil {
				failed = fmt.Errorf("read %s of %s: %w", metric, id, err)
			}
			return m
		},
	})
	return out, failed
}

// issues are those that the new variant of a rollout had in this attempt.
func (e *Engine) issues(ctx context.Context, s standup.Standing) ([]standup.IssueFacts, error) {
	found, err := e.o.Store.Issues(ctx, store.IssueQuery{Rollout: s.ID})
	if err != nil {
		return nil, fmt.Errorf("read issues of %s: %w", s.ID, err)
	}
	var out []standup.IssueFacts
	for _, i := range found {
		arm, ok := i.Arms[s.ID+"/new"]
		if !ok || i.Status != "unresolved" || arm.First.Before(s.State.AttemptAt) {
			continue
		}
		out = append(out, standup.IssueFacts{
			Issue: standup.Issue{ID: i.ID, Title: i.Title, Level: i.Level, First: arm.First.UTC(), Events: arm.Events, Users: arm.Users},
			Seen:  i.FirstSeen, Last: i.LastSeen, Hours: i.Hours,
		})
	}
	return out, nil
}

// finish makes the final report of a rollout that is over. The caller holds mu.
func (e *Engine) finish(ctx context.Context, r Rollout, now time.Time) error {
	id, s := r.Standing.ID, r.Standing.State
	if e.over[id] {
		return nil
	}
	if s.StartedAt.IsZero() {
		e.over[id] = true
		return nil
	}
	last, err := e.last(ctx, id, finalName)
	if err != nil {
		return err
	}
	journal, err := e.o.Rollouts.Journal(ctx, id)
	if err != nil {
		return fmt.Errorf("read journal of %s: %w", id, err)
	}
	ended := endOf(journal)
	if !last.IsZero() || ended.IsZero() || now.Sub(ended) > finalWithin {
		e.over[id] = true
		return nil
	}
	f, err := e.o.Rollouts.Finished(ctx, id)
	if err != nil {
		return fmt.Errorf("report of %s: %w", id, err)
	}
	out := standup.Report{
		ID: id + "/" + finalName, Kind: standup.Final, Name: finalName, Project: r.Standing.Project, Rollout: id, Plan: r.Plan.Name,
		Title: r.Plan.Title, Timezone: r.Plan.Location.String(), Day: ended.In(r.Plan.Location).Format(time.DateOnly), Due: ended, At: now,
		From: s.StartedAt, To: ended, Status: s.Status, Outcome: f.Outcome, Summary: f.Lines, Link: "/rollouts/" + url.PathEscape(id) + "/report",
	}
	if len(f.Lines) > 0 {
		out.Headline = f.Lines[0]
	}
	if err := e.commit(ctx, out, finalChannels(r.Plan), nil); err != nil {
		return err
	}
	e.over[id] = true
	return nil
}

// endOf is when a rollout ended; zero = it has not.
func endOf(journal []rollout.Event) time.Time {
	for _, x := range slices.Backward(journal) {
		if x.Type == rollout.Finished || x.Type == rollout.CancelledEvent {
			return x.At
		}
	}
	return time.Time{}
}

// finalChannels are who gets a final report: the channels of the plan's
// reports; of a plan that has none those that are neither a pager nor a ticket
// system nor an alert's, and where all are an alert's, those.
func finalChannels(p *plan.Plan) (out []plan.Channel) {
	named := map[string]bool{}
	for _, r := range p.Reports {
		named[r.To] = true
	}
	alerted := map[string]bool{}
	for _, a := range p.Alerts {
		for _, name := range a.Notify {
			alerted[name] = true
		}
	}
	var talk []plan.Channel
	for _, ch := range p.Channels {
		scheme, _, _ := strings.Cut(ch.Address, ":")
		quiet := scheme == "pagerduty" || scheme == "oncall" || scheme == "jira"
		switch {
		case len(named) > 0 && named[ch.Name], len(named) == 0 && !quiet && !alerted[ch.Name]:
			out = append(out, ch)
		case len(named) == 0 && !quiet:
			talk = append(talk, ch)
		}
	}
	if len(out) == 0 {
		return talk
	}
	return out
}

// noticeID is the id of the notice of a report to a channel.
func noticeID(report, channel string) string { return "report/" + report + "/" + channel }

// notice is a report as a message to a channel.
func (e *Engine) notice(r standup.Report, ch plan.Channel) notify.Notice {
	n := notify.Notice{
		ID: noticeID(r.ID, ch.Name), Channel: ch.Name, Address: ch.Address, Rollout: r.Rollout, Type: "report." + string(r.Kind),
		Title: r.Heading(), Text: r.Text(), At: r.At,
	}
	if e.o.BaseURL != "" {
		n.Link = strings.TrimSuffix(e.o.BaseURL, "/") + pathOf(r)
	}
	return n
}

// pathOf is the page of a report.
func pathOf(r standup.Report) string {
	switch r.Kind {
	case standup.Final:
		return r.Link
	case standup.Review:
		return "/rollouts/" + url.PathEscape(r.Rollout) + "/reviews"
	}
	return "/standup/" + r.Day
}
