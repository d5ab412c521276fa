package alerting

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"serin/internal/alert"
	"serin/internal/judge"
	"serin/internal/notify"
	"serin/internal/plan"
	"serin/internal/store"
)

// decide asks for each channel whether it is told now, notes what it knows
// then, and writes the notices. The caller holds mu.
func (e *Engine) decide(ctx context.Context, w *watched, next *alert.State, now time.Time) (notices []notify.Notice, entries []alert.Change, said map[string]alert.Decision) {
	said = map[string]alert.Decision{}
	sent := map[string]alert.Sent{}
	version := next.Version + 1
	for _, ch := range w.rule.Notify {
		told := next.Sent[ch.Name]
		d := alert.Decide(w.rule, *next, told, e.delivery(ctx, *next, told), e.inhibited(w), now)
		said[ch.Name] = d
		switch {
		case d.Send:
			n := e.notice(w.rule, d, ch, now)
			n.ID = fmt.Sprintf("alert/%s/%d/%s", w.rule.ID, version, ch.Name)
			n.Thread = cmp.Or(told.Notice, n.ID) // the first notice about what fires
			notices = append(notices, n)
			next.Version = version
			told = told.Told(d, *next, n.ID, now)
			entries = append(entries, alert.Change{Rule: w.rule.ID, Name: w.rule.Name, Project: w.rule.Project, Rollout: w.rule.Rollout,
				Kind: alert.Notified, Limit: w.rule.Limit, Why: ch.Name + ": " + string(d.Reason), At: now})
		case d.Drop:
			told = alert.Sent{}
		}
		if len(told.Firing) > 0 {
			sent[ch.Name] = told
		}
	}
	next.Sent = sent
	return notices, entries, said
}

// delivery is what became of the first notice about what fires. It matters
// only once nothing fires any more.
func (e *Engine) delivery(ctx context.Context, s alert.State, told alert.Sent) alert.Delivery {
	if told.Notice == "" || s.Fires() {
		return alert.Waiting
	}
	o, err := e.o.Store.Notice(ctx, told.Notice)
	switch {
	case errors.Is(err, store.ErrNotFound): // it was kept for as long as notices are
		return alert.Dead
	case err != nil:
		e.log.Error("read a notice", "notice", told.Notice, "err", err)
		return alert.Waiting
	case !o.Delivered.IsZero():
		return alert.Delivered
	case o.Dead:
		return alert.Dead
	case o.Tries > 0:
		return alert.Late
	}
	return alert.Waiting
}

// inhibited says which groups of a rule are kept back by others that fire.
func (e *Engine) inhibited(w *watched) func(alert.Labels) bool {
	return func(l alert.Labels) bool {
		for _, id := range w.rule.InhibitedBy {
			by := e.rules[id]
			if by == nil || by == w || by.rule.Project != w.rule.Project {
				continue
			}
			for _, g := range by.state.Firing() {
				if g.Labels.Agree(l) {
					return true
				}
			}
		}
		return false
	}
}

// linesShown is how many groups a notice names.
const linesShown = 10

// notice writes one notice; its id is the caller's.
func (e *Engine) notice(r alert.Rule, d alert.Decision, ch alert.Channel, now time.Time) notify.Notice {
	n := e.bare(r, ch, now)
	severity, firing := r.Severity, len(d.Firing) > 0
	list := d.Firing
	if !firing {
		list = d.Resolved
	}
	if len(list) > 0 {
		severity = list[0].Severity
	}
	n.Severity = severity
	n.Type, n.Title = "alert.resolved", "Resolved: "+r.Name
	if firing {
		n.Type, n.Title = "alert.firing", strings.ToUpper(severity)+" firing: "+r.Name
	}
	if r.Rollout != "" {
		n.Title += " (" + r.Rollout + ")"
	}
	lines := []string{}
	for i, g := range d.Firing {
		if i == linesShown {
			lines = append(lines, fmt.Sprintf("and %d more", len(d.Firing)-i))
			break
		}
		lines = append(lines, line(g)+", since "+g.Since.UTC().Format("2 Jan 15:04:05 UTC"))
	}
	for i, g := range d.Resolved {
		if i == linesShown {
			break
		}
		lines = append(lines, strings.TrimSpace("Resolved "+g.Labels.String()))
	}
	if d.Reason != alert.First && d.Reason != alert.AllResolved && d.Reason != alert.OverBefore {
		lines = append(lines, "Told because: "+string(d.Reason)+".")
	}
	if firing {
		lines = append(lines, "Acknowledge: serin alert ack "+r.ID)
		if slices.ContainsFunc(d.Firing, func(g alert.Group) bool { return g.Acked.IsZero() }) {
			n.Actions = []notify.Action{{Label: "Acknowledge", Verb: notify.VerbAcknowledge, Value: notify.Target{Alert: r.ID}.Encode()}}
		}
		if g := d.Firing[0]; g.Known {
			n.Value = judge.Format(g.Value, r.Unit)
		}
	}
	n.Text = strings.Join(lines, "\n")
	return n
}

// line is a group in one line.
func line(g alert.Group) string {
	text := cmp.Or(g.Why, g.Labels.String(), "it fires")
	if len(g.Labels) > 0 && g.Why != "" && !strings.Contains(g.Why, g.Labels.String()) {
		text += " (" + notify.OneLine(g.Labels.String(), 300) + ")"
	}
	if !g.Acked.IsZero() {
		text += " (acknowledged by " + g.AckedBy + ")"
	}
	return text
}

// bare is a notice about a rule to a channel.
func (e *Engine) bare(r alert.Rule, ch alert.Channel, now time.Time) notify.Notice {
	n := notify.Notice{Channel: ch.Name, Address: ch.Address, Rollout: r.Rollout, Rule: r.Text, Limit: judge.Format(r.Limit, r.Unit), At: now}
	if e.o.BaseURL != "" {
		n.Link = strings.TrimSuffix(e.o.BaseURL, "/") + "/alerts/" + url.PathEscape(r.ID)
	}
	return n
}

// hearAcks are the schemes of channels in which an open message, page or ticket
// is changed by an acknowledgement that came elsewhere. Who gets mail or looks
// at Alertmanager is not told again.
var hearAcks = []string{"slack", "pagerduty", "jira", "webhook"}

// acked tells the channels that were told of a rule that somebody looks after
// all that fires.
func (e *Engine) acked(r alert.Rule, next *alert.State, by string, now time.Time) (out []notify.Notice) {
	for _, g := range next.Firing() {
		if g.Acked.IsZero() {
			return nil
		}
	}
	version := next.Version + 1
	for _, ch := range r.Notify {
		told := next.Sent[ch.Name]
		scheme, _, _ := strings.Cut(ch.Address, ":")
		if told.Notice == "" || !slices.Contains(hearAcks, scheme) {
			continue
		}
		next.Version = version
		n := e.bare(r, ch, now)
		n.ID, n.Thread, n.Type, n.Severity = fmt.Sprintf("alert/%s/%d/%s", r.ID, version, ch.Name), told.Notice, "alert.acked", r.Severity
		n.Title, n.Text = "Acknowledged: "+r.Name, "By "+by+". It still fires."
		if r.Rollout != "" {
			n.Title += " (" + r.Rollout + ")"
		}
		out = append(out, n)
	}
	return out
}

// blind tells once that a rule cannot see, and once that it can again.
func (e *Engine) blind(r alert.Rule, before alert.State, next *alert.State, now time.Time) (out []notify.Notice) {
	word, kind, text := "", "", ""
	switch {
	case r.NoDataAfter > 0 && !next.Blind.IsZero() && !next.BlindTold && now.Sub(next.Blind) >= r.NoDataAfter:
		next.BlindTold = true
		word, kind = "No data: ", "alert.no_data"
		text = fmt.Sprintf("For %s this rule could not have fired: %s.", plan.FormatDuration(now.Sub(next.Blind).Truncate(time.Minute)), next.BlindWhy)
	case before.BlindTold && next.Blind.IsZero():
		word, kind, text = "Data is back: ", "alert.data_back", "The rule is looked at again."
	default:
		return nil
	}
	next.Version++
	for _, ch := range r.Notify {
		n := e.bare(r, ch, now)
		n.ID, n.Type, n.Title, n.Text = fmt.Sprintf("alert/%s/%d/%s", r.ID, next.Version, ch.Name), kind, word+r.Name, text
		out = append(out, n)
	}
	return out
}
