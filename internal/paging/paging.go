// Package paging pages people: it keeps the rotas and how people are reached,
// begins a page when a notice reaches "oncall:NAME", and tells one person after
// the other until somebody acknowledges. Its main type is Engine, which is a
// notify.Notifier of the courier.
//
// Promises: a page's state is stored in one transaction with the notices of
// its step, so that a restart neither repeats nor skips one; every notice has
// an id made of the page and the step. Nobody is told after an
// acknowledgement. What is about the same, by its alert rule or its thread, is
// one page of a rota. Every step is in the page's log.
//
// Stored through store.OnCall: a row a rota, a person and a page, as JSON of
// this package and of package oncall. docs/guide/on-call.md describes how
// people use it.
package paging

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"serin/internal/clock"
	"serin/internal/notify"
	"serin/internal/oncall"
	"serin/internal/store"
)

// Scheme begins the addresses that this package serves, "oncall:NAME".
const Scheme = "oncall"

// idle is the longest wait of the loop, in server time.
const idle = time.Minute

// Options are what an Engine needs; Store and Clock are required.
type Options struct {
	Store  store.OnCall
	Clock  clock.Clock
	Logger *slog.Logger              // nil = discard
	Wake   func()                    // wakes the courier; nil = it looks by itself
	Knows  func(address string) bool // whether notices to it can be delivered; nil = all
	// Handle is the account that plans and rotas mean by a name or handle; ""
	// = there is none. nil = every name is an account's.
	Handle func(ctx context.Context, handle string) (person string, err error)
	// Escalates lists whom a rollout's plan escalates to from a rota, in
	// order, as in oncall.Link.Tell; nil = nobody.
	Escalates func(rollout, rota string) []string
	// Acked is told that somebody acknowledged a page, and what it is about: that
	// is acknowledged in their name too; nil = nobody is told. It may call the Engine.
	Acked func(ctx context.Context, subject string, by store.AuditEntry) error
	// Serve is told the names of all rotas at the start and after a change of
	// them; nil = nobody connects them. Like Changed it must not call the Engine.
	Serve func(names []string)
	// Changed is called after a rota, a contact or a page changed; nil = nobody looks.
	Changed func()
	BaseURL string // for links; "" = none
}

// Contact is how a person is reached: addresses as in a plan.
type Contact struct {
	Person    string   `json:"person"`
	Addresses []string `json:"addresses"`
}

// Entry is one line of a page's log.
type Entry struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
	// Told are the people and addresses of a step; empty for other entries.
	Told []string `json:"told,omitempty"`
}

// Page is one page: what it is about, where its chain stands and its log.
type Page struct {
	ID      string        `json:"id"`
	Rota    string        `json:"rota,omitempty"` // "" = only people were named
	Subject string        `json:"subject"`        // what it is about: "alert/RULE", an incident's id or a notice's
	Project string        `json:"project,omitempty"`
	Notice  notify.Notice `json:"notice"` // the news that began it
	Chain   oncall.Chain  `json:"chain"`
	State   oncall.State  `json:"state"`
	Log     []Entry       `json:"log"` // oldest first
	// Again counts how often the chain began anew: for news that are worse than
	// what was acknowledged, or that come after every round is over.
	Again int `json:"again,omitempty"`
	// Joined is the id of the newest notice that joined it; "" = none did.
	Joined string `json:"joined,omitempty"`
	// Reached are the addresses that were told, to be told again when it is over.
	Reached []string `json:"reached,omitempty"`
}

// maxLog bounds a page's log; the oldest news of it are left out first.
const maxLog = 200

// Engine keeps rotas, contacts and pages. Its methods may be called at the
// same time.
type Engine struct {
	o    Options
	log  *slog.Logger
	wake chan struct{}

	mu       sync.Mutex // guards the fields below
	rotas    map[string]oncall.Rota
	contacts map[string]Contact
	open     map[string]*Page // by id
}

// New reads rotas, contacts and open pages from the store. It starts no goroutine.
func New(ctx context.Context, o Options) (*Engine, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Engine{o: o, log: o.Logger, wake: make(chan struct{}, 1), rotas: map[string]oncall.Rota{}, contacts: map[string]Contact{}, open: map[string]*Page{}}
	rotas, err := o.Store.Rotas(ctx)
	if err != nil {
		return nil, err
	}
	contacts, err := o.Store.Contacts(ctx)
	if err != nil {
		return nil, err
	}
	pages, err := o.Store.Pages(ctx, true, 0)
	if err != nil {
		return nil, err
	}
	for _, row := range rotas {
		var r oncall.Rota
		if err := json.Unmarshal(row.Data, &r); err != nil {
			return nil, fmt.Errorf("read rota %s: %w", row.Name, err)
		}
		e.rotas[r.Name] = r
	}
	for _, row := range contacts {
		var c Contact
		if err := json.Unmarshal(row.Data, &c); err != nil {
			return nil, fmt.Errorf("read contacts of %s: %w", row.Name, err)
		}
		e.contacts[c.Person] = c
	}
	for _, row := range pages {
		var p Page
		if err := json.Unmarshal(row.Data, &p); err != nil {
			return nil, fmt.Errorf("read page %s: %w", row.ID, err)
		}
		e.open[p.ID] = &p
	}
	e.serve()
	return e, nil
}

// serve tells which rotas there are. The caller holds mu, or is New.
func (e *Engine) serve() {
	if e.o.Serve != nil {
		e.o.Serve(slices.Sorted(maps.Keys(e.rotas)))
	}
}

// Run carries pages on until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	for {
		wait, stop := e.o.Clock.After(e.round(ctx))
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-wait:
		case <-e.wake:
		}
		stop()
	}
}

// round carries every page on and returns how long to wait for the next.
func (e *Engine) round(ctx context.Context) time.Duration {
	now, wait := e.o.Clock.Now(), idle
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(e.open)) {
		p := e.open[id]
		if ctx.Err() != nil {
			return wait
		}
		if p.State.Due.IsZero() || now.Before(p.State.Due) {
			continue
		}
		if err := e.step(ctx, *p, oncall.Input{Now: now}); err != nil && ctx.Err() == nil {
			e.log.Error("carry a page on", "page", id, "err", err)
		}
	}
	for _, p := range e.open {
		if d := p.State.Due.Sub(now); !p.State.Due.IsZero() && d > 0 {
			wait = min(wait, d)
		}
	}
	return wait
}

// step gives in to a page's chain and stores what comes of it. The caller
// holds mu; p is a copy that is taken over only when it was stored.
func (e *Engine) step(ctx context.Context, p Page, in oncall.Input, entries ...Entry) error {
	return e.audited(ctx, p, in, nil, entries...)
}

// audited is step with entries of the audit log.
func (e *Engine) audited(ctx context.Context, p Page, in oncall.Input, audit []store.AuditEntry, entries ...Entry) error {
	before := p.State
	next, told := oncall.Step(p.Chain, p.State, in)
	p.State = next
	p.Log = append(slices.Clone(p.Log), entries...)
	p.Reached = slices.Clone(p.Reached)
	var notices []notify.Notice
	switch {
	case told != nil:
		notices = e.tell(ctx, &p, *told, in.Now)
	case in.Resolve && before.Ended.IsZero():
		notices = e.over(&p, in.Now)
	case !next.Spent.IsZero() && before.Spent.IsZero():
		p.Log = append(p.Log, Entry{At: in.Now, Text: "Nobody acknowledged: every round is over. The page stays open until somebody does."})
	}
	if n := len(p.Log); n > maxLog {
		p.Log = append(p.Log[:1:1], p.Log[n-maxLog+1:]...)
	}
	if err := e.store(ctx, p, notices, audit...); err != nil {
		return err
	}
	if e.open[p.ID] = &p; !p.State.Ended.IsZero() {
		delete(e.open, p.ID)
	}
	if len(notices) > 0 && e.o.Wake != nil {
		e.o.Wake()
	}
	e.changed()
	return nil
}

// store writes a page with its notices. An acknowledged page stays open, so
// that what is told of it again begins no second one, until it is over.
func (e *Engine) store(ctx context.Context, p Page, notices []notify.Notice, audit ...store.AuditEntry) error {
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode page %s: %w", p.ID, err)
	}
	return e.o.Store.CommitOnCall(ctx, store.OnCallCommit{
		PutPages: []store.PageRow{{ID: p.ID, Open: p.State.Ended.IsZero(), At: p.State.Began, Data: data}}, Notices: notices, Audit: audit})
}

func (e *Engine) changed() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
	if e.o.Changed != nil {
		e.o.Changed()
	}
}

// tell writes the notices of one step into the outbox and a line into the log.
func (e *Engine) tell(ctx context.Context, p *Page, t oncall.Told, now time.Time) (out []notify.Notice) {
	entry := Entry{At: now}
	var lost []string
	for _, person := range e.people(p.Rota, t.Targets, now) {
		addresses := e.reach(ctx, person)
		if len(addresses) == 0 {
			lost = append(lost, person)
			continue
		}
		for _, address := range addresses {
			entry.Told = append(entry.Told, person+" at "+address)
			n := p.Notice
			n.ID = fmt.Sprintf("page/%s/%d.%d.%d/%s/%s", p.ID, p.Again, t.Round, t.Link, person, address)
			n.Channel, n.Address, n.For, n.At = "on-call", address, []string{"@" + person}, now
			n.Thread = "page/" + p.ID
			n.Text = strings.TrimSpace(fmt.Sprintf("%s\nAcknowledge: serin oncall ack %s", n.Text, p.ID))
			out = append(out, n)
			if !slices.Contains(p.Reached, address) {
				p.Reached = append(p.Reached, address)
			}
		}
	}
	entry.Text = fmt.Sprintf("Round %d, step %d of %d", t.Round, t.Link, len(p.Chain.Links))
	switch {
	case len(entry.Told) == 0 && len(lost) == 0:
		entry.Text += ": nobody is on call"
	case len(entry.Told) == 0:
		entry.Text += ": nobody could be told"
	}
	if len(lost) > 0 {
		entry.Text += "; no address of " + strings.Join(lost, ", ") + " can be reached"
	}
	p.Log = append(p.Log, entry)
	return out
}

// over tells everybody who was paged that it is over.
func (e *Engine) over(p *Page, now time.Time) (out []notify.Notice) {
	for _, address := range p.Reached {
		n := p.Notice
		n.ID, n.Channel, n.Address, n.At = fmt.Sprintf("page/%s/over/%s", p.ID, address), "on-call", address, now
		n.Type, n.Title, n.Text, n.Thread = "alert.resolved", "Over: "+p.Notice.Title, "What you were paged for is over.", "page/"+p.ID
		out = append(out, n)
	}
	return out
}

// people are who is meant by targets, each once, in order.
func (e *Engine) people(rota string, targets []string, now time.Time) (out []string) {
	for _, t := range targets {
		scheme, name, _ := strings.Cut(t, ":")
		found := []string{oncall.Person(t)}
		switch {
		case t == oncall.OwnRota:
			found = e.rotas[rota].On(now)
		case scheme == Scheme || scheme == "pagerduty":
			found = e.rotas[name].On(now)
		}
		for _, p := range found {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// reach are the addresses of a person that this server can deliver to.
func (e *Engine) reach(ctx context.Context, handle string) []string {
	return slices.DeleteFunc(slices.Clone(e.contactOf(ctx, handle).Addresses), func(address string) bool {
		return e.o.Knows != nil && !e.o.Knows(address)
	})
}

// contactOf is how the person behind a name or handle is reached.
func (e *Engine) contactOf(ctx context.Context, handle string) Contact {
	if e.o.Handle != nil {
		person, err := e.o.Handle(ctx, handle)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			e.log.Error("look up a person", "handle", handle, "err", err)
		}
		if person != "" {
			handle = person
		}
	}
	return e.contacts[handle]
}
