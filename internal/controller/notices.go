package controller

import (
	"encoding/json"
	"fmt"
	"strings"

	"serin/internal/judge"
	"serin/internal/notify"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// notices are the outbox rows of a decision: one for each event that people
// are told of and each channel, with an id that makes it unique.
func (w *worker) notices(before rollout.State, events []rollout.Event) []notify.Notice {
	var out []notify.Notice
	for _, e := range events {
		if !rollout.Announce(e, before) {
			continue
		}
		title, text := rollout.Title(w.plan, e)
		n := notify.Notice{Rollout: w.id, Type: string(e.Type), Title: title, Text: text, At: e.At, Rule: e.Rule, For: meant(w.plan, e)}
		if v := e.Verdict; v != nil {
			n.Limit = limitText(*v)
			if v.Value != nil {
				n.Value = valueText(*v)
			}
		}
		if w.c.o.BaseURL != "" {
			n.Link = strings.TrimSuffix(w.c.o.BaseURL, "/") + "/rollouts/" + w.id
		}
		for _, ch := range receivers(w.plan, e) {
			n.ID = fmt.Sprintf("%s/%d/%s", w.id, e.Pos, ch.Name)
			n.Channel, n.Address = ch.Name, ch.Address
			out = append(out, n)
		}
	}
	return out
}

// receivers are the channels that hear of an event. Transitions go to every
// channel that no alert names, so that a pager and a ticket system hear only
// of alerts; where every channel is an alert's, to those that are not a
// pager or a ticket system. What pages goes to the pagers, where there is one.
func receivers(p *plan.Plan, e rollout.Event) []plan.Channel {
	alerted := map[string]bool{}
	for _, a := range p.Alerts {
		for _, name := range a.Notify {
			alerted[name] = true
		}
	}
	var quiet, talk, page []plan.Channel
	for _, ch := range p.Channels {
		scheme, _, _ := strings.Cut(ch.Address, ":")
		switch {
		case scheme == "pagerduty" || scheme == "oncall":
			page = append(page, ch)
		case scheme == "jira":
		case alerted[ch.Name]:
			talk = append(talk, ch)
		default:
			quiet = append(quiet, ch)
		}
	}
	if rollout.ToWhom(e) == rollout.Page && len(page) > 0 {
		return page
	}
	if len(quiet) > 0 {
		return quiet
	}
	return talk
}

// meant are the roles that a notice is for, with who they are: the owner of
// the stage, or whom judge.no_data.page names.
func meant(p *plan.Plan, e rollout.Event) []string {
	audience := rollout.ToWhom(e)
	if audience == rollout.Team || e.Stage >= len(p.Stages) {
		return nil
	}
	roles := p.Stages[e.Stage].Owner
	if page := p.Judge.NoData.Page; audience == rollout.Page && page != "" {
		roles = []string{page}
	}
	out := make([]string, 0, len(roles))
	for _, name := range roles {
		if r, ok := p.Role(name); ok && r.Who != "" {
			name += " (" + r.Who + ")"
		}
		out = append(out, name)
	}
	return out
}

// valueText is a verdict's value in words.
func valueText(v judge.Verdict) string {
	if v.Ref != plan.None && v.Ref != plan.Expected {
		return fmt.Sprintf("%+.0f%%", *v.Value*100)
	}
	return judge.Format(*v.Value, v.Unit)
}

// limitText is a verdict's limit in words.
func limitText(v judge.Verdict) string {
	if v.Ref != plan.None && v.Ref != plan.Expected {
		return fmt.Sprintf("%+.0f%%", v.Limit*100)
	}
	return judge.Format(v.Limit, v.Unit)
}

// audit is one entry for each event that a person caused or that moved traffic.
func (w *worker) audit(events []rollout.Event) []store.AuditEntry {
	var out []store.AuditEntry
	for _, e := range events {
		switch e.Type {
		case rollout.Baked, rollout.Checked, rollout.Noticed, rollout.NoticeFailed:
			continue
		}
		who, via := e.By, e.Via
		if who == "" {
			who, via = "serin", "plan"
		}
		a := store.AuditEntry{At: e.At, Who: who, Via: via, Verb: string(e.Type), Target: "rollout " + w.id, Reason: e.Reason}
		a.After, _ = json.Marshal(map[string]any{"pos": e.Pos, "stage": e.Stage, "exposure": e.Exposure, "item": e.Item, "rule": e.Rule})
		out = append(out, a)
	}
	return out
}
