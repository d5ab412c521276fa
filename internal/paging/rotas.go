package paging

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"serin/internal/oncall"
	"serin/internal/store"
)

// View is a rota with what it says now.
type View struct {
	oncall.Rota
	On     []string       `json:"on"`             // who is on duty now; empty = nobody
	Until  time.Time      `json:"until,omitzero"` // of the next hand-over; zero = none is known
	Shifts []oncall.Shift `json:"shifts"`         // of the next two weeks
	Gaps   []oncall.Shift `json:"gaps"`           // of the same time
	// Unreached are the people of the rota without an address that this server can deliver to.
	Unreached []string `json:"unreached"`
}

// Ahead is how far a View looks.
const Ahead = 14 * 24 * time.Hour

// MaxRotas bounds the rotas of a server.
const MaxRotas = 100

// maxAddresses bounds the addresses of a person.
const maxAddresses = 10

// contactForm are the addresses that a person can have.
var contactForm = regexp.MustCompile(`^(email:[^\s@]+@[^\s@]+|slack:[#@]?\S+|webhook:\S+)$`)

// Rotas lists the rotas by name; sees says of which projects. A rota of the
// whole server is seen by all.
func (e *Engine) Rotas(ctx context.Context, sees func(project string) bool) []View {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := []View{}
	for _, name := range slices.Sorted(maps.Keys(e.rotas)) {
		if r := e.rotas[name]; r.Project == "" || sees(r.Project) {
			out = append(out, e.view(ctx, r))
		}
	}
	return out
}

// Rota is one rota, or store.ErrNotFound.
func (e *Engine) Rota(ctx context.Context, name string) (View, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.rotas[name]
	if !ok {
		return View{}, fmt.Errorf("rota %q: %w", name, store.ErrNotFound)
	}
	return e.view(ctx, r), nil
}

// view looks at a rota now. The caller holds mu.
func (e *Engine) view(ctx context.Context, r oncall.Rota) View {
	now := e.o.Clock.Now()
	v := View{Rota: r, On: append([]string{}, r.On(now)...), Shifts: r.Shifts(now, now.Add(Ahead)), Gaps: append([]oncall.Shift{}, r.Gaps(now, now.Add(Ahead))...), Unreached: []string{}}
	if next, ok := r.Next(now); ok {
		v.Until = next.From
	}
	for _, p := range r.Names() {
		if len(e.reach(ctx, p)) == 0 {
			v.Unreached = append(v.Unreached, p)
		}
	}
	return v
}

// Put creates or replaces a rota. Errors wrap oncall.ErrInvalid, or
// store.ErrConflict where the name is another project's.
func (e *Engine) Put(ctx context.Context, r oncall.Rota, by store.AuditEntry) (View, error) {
	if err := r.Check(); err != nil {
		return View{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.put(ctx, r, "put rota", by)
}

// put writes a rota that was checked. The caller holds mu.
func (e *Engine) put(ctx context.Context, r oncall.Rota, verb string, by store.AuditEntry) (View, error) {
	old, there := e.rotas[r.Name]
	switch {
	case there && old.Project != r.Project:
		return View{}, fmt.Errorf("%w: rota %s is another project's", store.ErrConflict, r.Name)
	case !there && len(e.rotas) >= MaxRotas:
		return View{}, fmt.Errorf("%w: this server has %d rotas, which is the most: delete one first", oncall.ErrInvalid, MaxRotas)
	}
	data, err := json.Marshal(r)
	if err != nil {
		return View{}, fmt.Errorf("encode rota %s: %w", r.Name, err)
	}
	by.At, by.Verb, by.Target, by.After = e.o.Clock.Now(), verb, "rota "+r.Name, data
	if there {
		by.Before, _ = json.Marshal(old)
	}
	if err := e.o.Store.CommitOnCall(ctx, store.OnCallCommit{PutRotas: []store.OnCallRow{{Name: r.Name, Data: data, At: by.At}}, Audit: []store.AuditEntry{by}}); err != nil {
		return View{}, err
	}
	e.rotas[r.Name] = r
	e.serve()
	e.changed()
	return e.view(ctx, r), nil
}

// Override puts somebody on duty for a time. Errors wrap oncall.ErrInvalid or store.ErrNotFound.
func (e *Engine) Override(ctx context.Context, name string, o oncall.Override, by store.AuditEntry) (View, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.rotas[name]
	if !ok {
		return View{}, fmt.Errorf("rota %q: %w", name, store.ErrNotFound)
	}
	r, err := r.WithOverride(o, e.o.Clock.Now())
	if err != nil {
		return View{}, err
	}
	return e.put(ctx, r, "override rota", by)
}

// Import makes the events of a calendar the only layer of a rota that is
// there; person says who is meant. Errors wrap oncall.ErrInvalid or store.ErrNotFound.
func (e *Engine) Import(ctx context.Context, name, calendar string, person func(attendee, summary string) string, by store.AuditEntry) (View, error) {
	events, err := oncall.ParseCalendar(calendar, person)
	if err != nil {
		return View{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.rotas[name]
	if !ok {
		return View{}, fmt.Errorf("rota %q: %w", name, store.ErrNotFound)
	}
	r.Layers = []oncall.Layer{{Events: events}}
	if err := r.Check(); err != nil {
		return View{}, err
	}
	return e.put(ctx, r, "import rota", by)
}

// Delete removes a rota. Its open pages go on and tell nobody on duty any more.
func (e *Engine) Delete(ctx context.Context, name string, by store.AuditEntry) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	old, ok := e.rotas[name]
	if !ok {
		return fmt.Errorf("rota %q: %w", name, store.ErrNotFound)
	}
	by.At, by.Verb, by.Target = e.o.Clock.Now(), "delete rota", "rota "+name
	by.Before, _ = json.Marshal(old)
	if err := e.o.Store.CommitOnCall(ctx, store.OnCallCommit{DeleteRotas: []string{name}, Audit: []store.AuditEntry{by}}); err != nil {
		return err
	}
	delete(e.rotas, name)
	e.serve()
	e.changed()
	return nil
}

// Contact is how a person is reached; without addresses it is unknown.
func (e *Engine) Contact(person string) Contact {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.contacts[person]
	c.Person, c.Addresses = person, append([]string{}, c.Addresses...)
	return c
}

// PutContact says how a person is reached; no addresses remove it. unreached
// are those that this server cannot deliver to now. Errors wrap oncall.ErrInvalid.
func (e *Engine) PutContact(ctx context.Context, c Contact, by store.AuditEntry) (unreached []string, err error) {
	if len(c.Addresses) > maxAddresses {
		return nil, fmt.Errorf("%w: %d addresses: at most %d", oncall.ErrInvalid, len(c.Addresses), maxAddresses)
	}
	for _, a := range c.Addresses {
		if !contactForm.MatchString(a) || len(a) > 200 {
			return nil, fmt.Errorf("%w: address %q: write email:ben@example.org, slack:@ben or webhook:NAME", oncall.ErrInvalid, a)
		}
		if e.o.Knows != nil && !e.o.Knows(a) {
			unreached = append(unreached, a)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	by.At, by.Verb, by.Target = e.o.Clock.Now(), "put contact", "person "+c.Person
	by.Before, _ = json.Marshal(e.contacts[c.Person].Addresses)
	by.After, _ = json.Marshal(c.Addresses)
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode contacts of %s: %w", c.Person, err)
	}
	commit := store.OnCallCommit{PutContacts: []store.OnCallRow{{Name: c.Person, Data: data, At: by.At}}, Audit: []store.AuditEntry{by}}
	if len(c.Addresses) == 0 {
		commit.PutContacts, commit.DeleteContacts = nil, []string{c.Person}
	}
	if err := e.o.Store.CommitOnCall(ctx, commit); err != nil {
		return nil, err
	}
	e.contacts[c.Person] = c
	e.changed()
	return unreached, nil
}

// Filled reports whether somebody who can be reached is on duty now by a
// rota, and says who; known is false where there is no such rota.
func (e *Engine) Filled(ctx context.Context, name string) (who []string, reached, known bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, known := e.rotas[name]
	who = r.On(e.o.Clock.Now())
	for _, p := range who {
		reached = reached || len(e.reach(ctx, p)) > 0
	}
	return who, reached, known
}

// Gaps are the times of [from, to) in which nobody is on duty by a rota; known
// is false where there is no such rota.
func (e *Engine) Gaps(name string, from, to time.Time) (gaps []oncall.Shift, known bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, known := e.rotas[name]
	if !known {
		return nil, false
	}
	return r.Gaps(from, to), true
}
