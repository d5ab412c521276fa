package server

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"serin/internal/alert"
	"serin/internal/config"
	"serin/internal/incident"
	"serin/internal/notify"
	"serin/internal/paging"
	"serin/internal/plan"
	"serin/internal/response"
	"serin/internal/rollout"
	"serin/internal/store"
)

// pagingEngine wires the rotas to the outbox and to the plans' roles.
func (s *Server) pagingEngine(ctx context.Context, db store.Store) (*paging.Engine, error) {
	return paging.New(ctx, paging.Options{
		Store: db, Clock: s.o.Clock, Logger: s.o.Logger, BaseURL: s.DashboardURL(),
		Wake: s.control.WakeCourier, Knows: s.control.Courier().Knows,
		Handle:    func(ctx context.Context, handle string) (string, error) { return personOf(ctx, db, handle) },
		Escalates: s.escalates,
		Acked:     s.pageAcked,
		Serve:     func(names []string) { s.connectRotas(append([]string{}, names...), nil) },
		Changed:   func() { s.feed.Send("oncall", struct{}{}) },
	})
}

// personOf is the account that plans know by a handle; "" = there is none.
func personOf(ctx context.Context, db store.People, handle string) (string, error) {
	people, err := db.People(ctx)
	if err != nil {
		return "", err
	}
	for _, p := range people {
		if p.Name == handle && !p.Disabled {
			return p.Name, nil
		}
	}
	for _, p := range people {
		if slices.Contains(p.Handles, handle) && !p.Disabled {
			return p.Name, nil
		}
	}
	return "", nil
}

// escalates is whom the plan of a rollout escalates to from a rota: the chain
// of escalates_to from the role whose people the rota's are.
func (s *Server) escalates(rollout, rota string) (out []string) {
	for _, p := range s.control.AlertPlans() {
		if p.Rollout == rollout {
			return escalation(p.Plan, rota)
		}
	}
	return nil
}

// escalation follows escalates_to through a plan's roles.
func escalation(p *plan.Plan, rota string) (out []string) {
	for _, r := range p.Roles {
		if scheme, name, _ := strings.Cut(r.Who, ":"); name != rota || scheme != paging.Scheme && scheme != "pagerduty" {
			continue
		}
		seen := map[string]bool{r.Name: true}
		for next := r.EscalatesTo; next != "" && !seen[next]; {
			seen[next] = true
			role, ok := p.Role(next)
			if !ok {
				break
			}
			if role.Who != "" {
				out = append(out, role.Who)
			}
			next = role.EscalatesTo
		}
		return out
	}
	return nil
}

// alertTold hands a change of an alert to the pages and the incidents.
func (s *Server) alertTold(ctx context.Context, c alert.Change) error {
	return errors.Join(s.acknowledged(ctx, c), s.alertChanged(ctx, c))
}

// rotaDoors are the addresses that rotas have at the courier.
type rotaDoors struct {
	mu     sync.Mutex // guards the fields below
	names  []string
	pagers map[string]bool // PagerDuty services of the configuration
	served []string        // addresses that the rotas have now
}

// deliver is a notify.Notifier that is made before what it leads to.
type deliver func(ctx context.Context, n notify.Notice) error

// Deliver implements notify.Notifier.
func (d deliver) Deliver(ctx context.Context, n notify.Notice) error { return d(ctx, n) }

// connectRotas gives each rota its address at the courier, and the PagerDuty
// service of its name where the configuration has none; nil leaves the rotas
// or the configuration as they were.
func (s *Server) connectRotas(names []string, pagers map[string]config.PagerDuty) {
	d, courier := &s.rotas, s.control.Courier()
	d.mu.Lock()
	defer d.mu.Unlock()
	if names != nil {
		d.names = names
	} else {
		d.pagers = map[string]bool{}
		for name := range pagers {
			d.pagers[name] = true
		}
	}
	var now []string
	for _, name := range d.names {
		now = append(now, paging.Scheme+":"+name)
		if !d.pagers[name] {
			now = append(now, "pagerduty:"+name)
		}
	}
	for _, address := range d.served {
		if _, name, _ := strings.Cut(address, ":"); !slices.Contains(now, address) && !(strings.HasPrefix(address, "pagerduty:") && d.pagers[name]) {
			courier.Use(address, nil)
		}
	}
	for _, address := range now {
		courier.Use(address, deliver(func(ctx context.Context, n notify.Notice) error { return s.paging.Deliver(ctx, n) }))
	}
	d.served = now
}

// acknowledged tells the pages what became of an alert: who acknowledges it
// acknowledges its page, and the end of all that fires ends it.
func (s *Server) acknowledged(ctx context.Context, c alert.Change) error {
	var err error
	switch c.Kind {
	case alert.Acked:
		_, err = s.paging.Acked(ctx, "alert/"+c.Rule, c.By)
	case alert.Ended:
		if v, none := s.alerts.Get(c.Rule); none == nil && v.Phase == alert.Firing {
			return nil
		}
		_, err = s.paging.Resolve(ctx, "alert/"+c.Rule)
	}
	return err
}

// pageAcked acknowledges what a page is about in the name of who acknowledged
// the page. What is over by now, or acknowledged, is left alone.
func (s *Server) pageAcked(ctx context.Context, subject string, by store.AuditEntry) error {
	if rule, ofAlert := strings.CutPrefix(subject, "alert/"); ofAlert {
		by.Reason = "acknowledged its page"
		_, err := s.alerts.Ack(ctx, rule, nil, by)
		if errors.Is(err, alert.ErrNotFiring) || errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	}
	_, err := s.incidents.Do(ctx, subject, response.Person{Name: by.Who, Via: by.Via, Address: by.Address}, incident.Command{Verb: incident.DoAcknowledge})
	var no *rollout.Refusal
	if errors.Is(err, store.ErrNotFound) || errors.As(err, &no) {
		return nil
	}
	return err
}

// incidentAcked acknowledges the pages about an incident.
func (s *Server) incidentAcked(ctx context.Context, id, by string) {
	if _, err := s.paging.Acked(ctx, id, by); err != nil {
		s.o.Logger.Error("acknowledge the page of an incident", "incident", id, "err", err)
	}
}

// duties are the rotas as plans ask for them. They are made after the controller.
type duties struct{ s *Server }

// rota is the rota behind an address; "" = none, or PagerDuty knows it.
func (d duties) rota(address string) string {
	scheme, name, _ := strings.Cut(address, ":")
	d.s.rotas.mu.Lock()
	defer d.s.rotas.mu.Unlock()
	if d.s.paging == nil || scheme != paging.Scheme && (scheme != "pagerduty" || d.s.rotas.pagers[name]) {
		return ""
	}
	return name
}

// Filled implements controller.OnCall.
func (d duties) Filled(ctx context.Context, address string) (who []string, reached, known bool) {
	if name := d.rota(address); name != "" {
		return d.s.paging.Filled(ctx, name)
	}
	return nil, false, false
}

// Uncovered implements plan.OnCall.
func (d duties) Uncovered(address string, from, to time.Time) (gaps []plan.Gap, known bool) {
	name := d.rota(address)
	if name == "" {
		return nil, false
	}
	found, known := d.s.paging.Gaps(name, from, to)
	for _, g := range found {
		gaps = append(gaps, plan.Gap{From: g.From, To: g.To})
	}
	return gaps, known
}
