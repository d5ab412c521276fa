package paging

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"serin/internal/notify"
	"serin/internal/oncall"
	"serin/internal/store"
)

// Subject is what notices about the same thing share: "alert/RULE" for an
// alert rule, else the thread, else the notice itself.
func Subject(n notify.Notice) string {
	text := cmp.Or(n.Thread, n.ID)
	if rest, ok := strings.CutPrefix(text, "alert/"); ok {
		rule, _, _ := strings.Cut(rest, "/")
		return "alert/" + rule
	}
	return text
}

// Deliver implements notify.Notifier for "oncall:NAME" and, where the server
// has no such PagerDuty service, "pagerduty:NAME": news begin a page of that
// rota, further news of the same join it, and what tells of an
// acknowledgement or an end acknowledges or ends it. The same notice again
// changes nothing.
func (e *Engine) Deliver(ctx context.Context, n notify.Notice) error {
	_, name, _ := strings.Cut(n.Address, ":")
	e.mu.Lock()
	_, known := e.rotas[name]
	e.mu.Unlock()
	if !known {
		return fmt.Errorf("there is no rota %s: make it with serin oncall set and send the notice again", name)
	}
	var err error
	switch n.Phase() {
	case notify.Acked:
		_, err = e.Acked(ctx, Subject(n), "somebody in "+n.Channel)
	case notify.Closed:
		_, err = e.Resolve(ctx, Subject(n))
	default:
		var escalates []string
		if e.o.Escalates != nil && n.Rollout != "" {
			escalates = e.o.Escalates(n.Rollout, name)
		}
		err = e.begin(ctx, name, e.chainOf(name, n, escalates), n)
	}
	if err != nil {
		return &notify.RetryError{Err: err}
	}
	return nil
}

// chainOf is the chain of a page; a test is told once.
func (e *Engine) chainOf(name string, n notify.Notice, escalates []string) oncall.Chain {
	if n.Type == "test" {
		c := oncall.Default()
		c.Rounds = 1
		return c
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.rotas[name].Chain; len(c.Links) > 0 {
		return c
	}
	return oncall.Default(escalates...)
}

// Page tells who, in turn, until somebody acknowledges: the first of who at
// once, each further one five minutes later together with those before; five
// rounds. Entries of who are "@person", "oncall:NAME" or "pagerduty:NAME". n's
// Thread (else its ID) is what Ack and Resolve call it.
func (e *Engine) Page(ctx context.Context, n notify.Notice, who ...string) error {
	c := oncall.Chain{Rounds: oncall.MaxRounds}
	for i := range who {
		c.Links = append(c.Links, oncall.Link{Tell: slices.Clone(who[:i+1])})
	}
	if len(c.Links) == 0 {
		return fmt.Errorf("%w: a page names nobody", oncall.ErrInvalid)
	}
	return e.begin(ctx, "", c, n)
}

// begin begins a page, or adds the news to the open one about the same: after
// an acknowledgement its chain begins anew only for what fires worse, which is
// all that an alert rule tells then.
func (e *Engine) begin(ctx context.Context, rota string, c oncall.Chain, n notify.Notice) error {
	id, subject, now := notify.Digest(rota + " " + n.ID)[:12], Subject(n), e.o.Clock.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.open {
		if p.Rota != rota || p.Subject != subject {
			continue
		}
		if p.ID == id {
			return nil // the same notice again
		}
		if p.Joined == n.ID {
			return nil
		}
		joined := *p
		joined.Joined = n.ID
		if !p.State.Spent.IsZero() || !p.State.Acked.IsZero() && n.Phase() == notify.Opened {
			joined.Again, joined.State = p.Again+1, oncall.State{}
		}
		return e.step(ctx, joined, oncall.Input{Now: now}, Entry{At: now, Text: "Told again: " + n.Title})
	}
	if _, err := e.o.Store.Page(ctx, id); err == nil {
		return nil // it is over by now
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	p := Page{ID: id, Rota: rota, Subject: subject, Project: e.rotas[rota].Project, Notice: n, Chain: c}
	return e.step(ctx, p, oncall.Input{Now: now}, Entry{At: now, Text: "Paged: " + n.Title})
}

// Ack acknowledges the open pages about a subject, or the one with that id, in
// the name of by.Who, audits it, and returns how many there were. Nobody is
// told of them any more; a page that was acknowledged before is none. What the
// pages are about is acknowledged too (Options.Acked): an error of that comes
// with the pages acknowledged.
func (e *Engine) Ack(ctx context.Context, key string, by store.AuditEntry) (int, error) {
	by.Who = cmp.Or(by.Who, "somebody")
	subjects, err := e.end(ctx, key, oncall.Input{Ack: by.Who}, "Acknowledged by "+by.Who+".", by)
	if err != nil || e.o.Acked == nil {
		return len(subjects), err
	}
	n := len(subjects)
	slices.Sort(subjects)
	for _, subject := range slices.Compact(subjects) {
		if told := e.o.Acked(ctx, subject, by); told != nil {
			err = errors.Join(err, fmt.Errorf("the page is acknowledged, what it is about is not: %w", told))
		}
	}
	return n, err
}

// Acked acknowledges pages as Ack does, where somebody acknowledged what they
// are about: that is in the audit log already.
func (e *Engine) Acked(ctx context.Context, key, by string) (int, error) {
	by = cmp.Or(by, "somebody")
	subjects, err := e.end(ctx, key, oncall.Input{Ack: by}, "Acknowledged by "+by+".")
	return len(subjects), err
}

// Resolve ends the open pages about a subject, or the one with that id: those
// who were told are told that it is over. It returns how many there were.
func (e *Engine) Resolve(ctx context.Context, key string) (int, error) {
	subjects, err := e.end(ctx, key, oncall.Input{Resolve: true}, "Over.")
	return len(subjects), err
}

// end gives in to the pages that key means, and returns what each is about.
func (e *Engine) end(ctx context.Context, key string, in oncall.Input, text string, by ...store.AuditEntry) (subjects []string, err error) {
	in.Now = e.o.Clock.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, p := range e.open {
		if id != key && p.Subject != key || !in.Resolve && !p.State.Open() {
			continue
		}
		var audit []store.AuditEntry
		for _, a := range by {
			a.At, a.Verb, a.Target = in.Now, "acknowledge page", "page "+id
			a.After, _ = json.Marshal(map[string]string{"about": p.Subject, "rota": p.Rota, "title": p.Notice.Title})
			audit = append(audit, a)
		}
		if err := e.audited(ctx, *p, in, audit, Entry{At: in.Now, Text: text}); err != nil {
			return subjects, err
		}
		subjects = append(subjects, p.Subject)
	}
	return subjects, nil
}

// Pages lists pages, newest first; sees says of which projects.
func (e *Engine) Pages(ctx context.Context, limit int, sees func(project string) bool) ([]Page, error) {
	rows, err := e.o.Store.Pages(ctx, false, 0)
	if err != nil {
		return nil, err
	}
	out := []Page{}
	for _, row := range rows {
		var p Page
		if err := json.Unmarshal(row.Data, &p); err != nil {
			return nil, fmt.Errorf("read page %s: %w", row.ID, err)
		}
		if sees(p.Project) {
			out = append(out, p)
		}
		if limit > 0 && len(out) == limit {
			break
		}
	}
	return out, nil
}

// Log is what happened to the pages about a subject, oldest first: what an
// incident's timeline shows of them.
func (e *Engine) Log(ctx context.Context, subject string) ([]Entry, error) {
	pages, err := e.Pages(ctx, 0, func(string) bool { return true })
	var out []Entry
	for _, p := range pages {
		if p.Subject == subject {
			out = append(out, p.Log...)
		}
	}
	slices.SortStableFunc(out, func(a, b Entry) int { return a.At.Compare(b.At) })
	return out, err
}
