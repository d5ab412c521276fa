package response

import (
	"fmt"
	"slices"
	"strings"

	"serin/internal/incident"
	"serin/internal/notify"
	"serin/internal/plan"
)

// The types of notices.
const (
	noticeOpened    = "incident.opened"
	noticeSeverity  = "incident.severity"
	noticeSevere    = "incident.severe"
	noticeEscalated = "incident.escalated"
	noticeDecided   = "incident.decided"
	noticeRefused   = "incident.refused"
	noticeResolved  = "incident.resolved"
	noticeReopened  = "incident.reopened"
)

var noticeTypes = map[incident.Type]string{
	incident.Opened: noticeOpened, incident.SeverityEvent: noticeSeverity, incident.SevereEvent: noticeSevere, incident.Escalated: noticeEscalated,
	incident.DecidedEvent: noticeDecided, incident.Refused: noticeRefused, incident.ResolvedEvent: noticeResolved, incident.Reopened: noticeReopened,
}

// notices are the outbox rows of a step. An incident about no rollout has no
// plan and so no channels.
func (e *Engine) notices(p *plan.Plan, before, next incident.State, events []incident.Event) (out []notify.Notice) {
	if p == nil {
		return nil
	}
	for _, x := range events {
		kind := noticeTypes[x.Type]
		if kind == "" {
			continue
		}
		n := e.notice(p, next, x)
		n.Type = kind
		for _, ch := range channels(p, next, x) {
			n.ID = fmt.Sprintf("incident/%s/%d/%s", next.ID, x.Pos, ch.Name)
			n.Channel, n.Address = ch.Name, ch.Address
			out = append(out, n)
		}
	}
	return out
}

// pages reports whether an address calls a person, and tickets whether it keeps tickets.
func pages(address string) bool {
	return strings.HasPrefix(address, "pagerduty:") || strings.HasPrefix(address, "oncall:")
}

func tickets(address string) bool { return strings.HasPrefix(address, "jira:") }

// channels are who hears of an event: the plan's channels that people talk in.
// Pagers hear of what no alert has paged for, of a reopened one, and of an
// escalation to a role that is one; and, of those that may have heard, of the end.
func channels(p *plan.Plan, s incident.State, x incident.Event) (out []plan.Channel) {
	page := x.Type == incident.Opened && x.Alert == nil || x.Type == incident.Reopened || x.Type == incident.ResolvedEvent && len(s.Alerts) == 0
	for _, ch := range p.Channels {
		if !pages(ch.Address) && !tickets(ch.Address) || page && pages(ch.Address) {
			out = append(out, ch)
		}
	}
	if x.Type == incident.Escalated && pages(x.Who) {
		out = append(out, plan.Channel{Name: x.To, Address: x.Who})
	}
	if x.Type == incident.ResolvedEvent && s.Escalated > 0 {
		for _, r := range p.Roles {
			if pages(r.Who) && !slices.ContainsFunc(out, func(ch plan.Channel) bool { return ch.Address == r.Who }) {
				out = append(out, plan.Channel{Name: r.Name, Address: r.Who})
			}
		}
	}
	return out
}

// notice writes a notice; its id and channel are the caller's.
func (e *Engine) notice(p *plan.Plan, s incident.State, x incident.Event) notify.Notice {
	n := notify.Notice{Rollout: s.Rollout, At: x.At, Thread: s.ID, Severity: s.Severity, Severe: !s.Severe.IsZero(), Room: room(p, s)}
	n.Title = notify.OneLine(fmt.Sprintf("%s %s: %s", strings.ToUpper(s.Severity), s.ID, headline(s, x)), 300)
	lines := []string{s.Title}
	switch x.Type {
	case incident.Opened, incident.SevereEvent, incident.Reopened, incident.SeverityEvent:
		lines = append(lines, impactLine(s), fmt.Sprintf("Respond until %s, decide until %s, act until %s.",
			clockText(s, incident.Respond), clockText(s, incident.Decide), clockText(s, incident.Act)), "Acknowledge: serin incident ack "+s.ID)
	case incident.Escalated:
		n.For = []string{strings.TrimSpace(x.To + " " + bracket(x.Who))}
		lines = append(lines, impactLine(s), "Acknowledge: serin incident ack "+s.ID)
	case incident.DecidedEvent:
		lines = append(lines, decisionLines(*x.Decision)...)
	case incident.Refused, incident.ResolvedEvent:
		lines = append(lines, x.Text)
	}
	n.Text = strings.Join(lines, "\n")
	if s.Status == incident.Open && s.AckedAt.IsZero() && x.Type != incident.DecidedEvent {
		n.Actions = []notify.Action{{Label: "Acknowledge", Verb: notify.VerbAcknowledge, Value: notify.Target{Incident: s.ID}.Encode()}}
	}
	if n.Severe {
		n.Topic = fmt.Sprintf("%s %s, decide until %s", strings.ToUpper(s.Severity), s.Rollout, clockText(s, incident.Decide))
		for _, r := range p.Roles {
			if strings.HasPrefix(r.Who, "@") {
				n.Invite = append(n.Invite, r.Who)
			}
		}
	}
	if e.o.BaseURL != "" {
		n.Link = strings.TrimSuffix(e.o.BaseURL, "/") + "/incidents/" + s.ID
	}
	return n
}

func headline(s incident.State, x incident.Event) string {
	if x.Type == incident.Opened {
		return "opened for " + s.Rollout
	}
	return incident.Title(x)
}

func bracket(who string) string {
	if who == "" {
		return ""
	}
	return "(" + who + ")"
}

func clockText(s incident.State, c incident.Clock) string {
	return s.Due(c).UTC().Format("15:04:05 UTC")
}

func impactLine(s incident.State) string {
	if !s.Impact.Known {
		return "How many users are affected is not known."
	}
	return fmt.Sprintf("%d users affected, %d P1 events.", s.Impact.Affected, s.Impact.P1)
}

// decisionLines say why and what comes with a decision.
func decisionLines(d incident.Decision) (out []string) {
	if d.Reason != "" {
		out = append(out, d.Reason)
	}
	if d.Branch < 0 && d.Proposed != "" {
		out = append(out, "The plan proposed "+d.Proposed+".")
	}
	for _, t := range d.Then {
		switch {
		case t.Flag != "":
			out = append(out, fmt.Sprintf("With it: flag %s is set to %s for the users on the new variant.", t.Flag, t.To))
		default:
			out = append(out, "Then: "+t.Text)
		}
	}
	return out
}

// maxRoom bounds the name of a channel (docs.slack.dev, conversations.create).
const maxRoom = 80

// room is what a severe incident's own channel is called: "inc-42-admin-workbench".
func room(p *plan.Plan, s incident.State) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, strings.ToLower(s.ID+"-"+p.Name))
	return name[:min(len(name), maxRoom)]
}
