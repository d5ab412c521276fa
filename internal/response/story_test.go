package response_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/alerting"
	"serin/internal/clock"
	"serin/internal/evidence"
	"serin/internal/flag"
	"serin/internal/incident"
	"serin/internal/notify"
	"serin/internal/response"
	"serin/internal/rollout"
	"serin/internal/telemetry"
)

// source is the source plan's way through a P1: the alert at the sixth error
// in ten minutes, a page, a ticket, the clocks, the decision tree. Its
// rollback rule stands far off, so that the tree is asked.
const source = `serin: 1
plan: shop
timezone: UTC
flag: { key: shop }
scope: { tags: { feature: shop } }
channels: { team: "slack:#team", page: "pagerduty:main", ticket: "jira:OPS/P1" }
roles:
  on-call: { who: "@anna", may: [start, resume], does: [read the stack traces], escalates_to: lead }
  lead: { who: "@ben", escalates_to: director }
  director: { who: "@cleo" }
calendar: { raise: ["daily 00:00-24:00"] }
criteria: { ok: [error_rate < 99%] }
stages:
  - { stage: half, traffic: 50%, bake: 24h, owner: on-call, proceed: ok }
  - { stage: full, like: half, traffic: 100%, bake: 72h }
rollback: [p1 > 500 over 6h]
alerts:
  - { alert: Errors, if: errors > 5 over 10m, severity: p1, notify: [page, ticket] }
incident:
  opens: [alert p1]
  severe: affected_users >= 50
  clocks: { respond: 5m, decide: 15m, act: 30m }
  decide:
    - { if: p1 > 10 over stage, do: rollback }
    - { if: traffic = 100%, do: hotfix, then: [test in staging, deploy, resume] }
    - { if: affected_users < 5, do: hotfix, then: [test in staging, deploy, resume] }
    - { do: reduce 5%, then: [{ set: { flag: debug, to: "on" } }, find the root cause] }
  close: [timeline, root cause, post-mortem]
`

// double is a service that takes every notice and keeps them.
type double struct {
	mu    sync.Mutex // guards taken
	taken []notify.Notice
}

// Deliver implements notify.Notifier.
func (s *double) Deliver(_ context.Context, n notify.Notice) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = append(s.taken, n)
	return nil
}

// types are those of the notices, in order. All are about one thread: begun
// once, and updated.
func (s *double) types(t *testing.T) (out []string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.taken {
		out = append(out, n.Type)
		if n.Thread != s.taken[0].Thread || n.Thread == "" {
			t.Errorf("%s is of %q, the first one of %q", n.Type, n.Thread, s.taken[0].Thread)
		}
	}
	return out
}

// watch lets the plan's alert rules be looked at, as the server does.
func (d *desk) watch() {
	d.Helper()
	var err error
	d.alerts, err = alerting.New(d.ctx, alerting.Options{Store: d.store, Evidence: d.ev, Clock: clock.Real(), Key: evidence.AlertKey, Opened: d.e, Wake: d.c.WakeCourier,
		Rollouts: func() (out []alerting.Rollout) {
			for _, p := range d.c.AlertPlans() {
				out = append(out, alerting.Rollout(p))
			}
			return out
		}})
	if err != nil {
		d.Fatal(err)
	}
	d.ev.OnArrival(d.c.Arrived)
	d.ev.OnArrival(d.alerts.Arrived)
	d.ev.OnArrival(d.e.Arrived)
	go func() { _ = d.alerts.Run(d.ctx) }()
}

// story plays fn on a started rollout of the source plan with doubles of
// Slack, PagerDuty and Jira.
func story(t *testing.T, plan string, fn func(d *desk)) {
	t.Helper()
	play(t, plan, map[string]*double{"slack": {}, "pagerduty": {}, "jira": {}}, fn)
}

// crash sends n P1 errors, spread over so many users of the new variant.
func (d *desk) crash(n, users int) {
	d.Helper()
	var hit []string
	for i := 0; len(hit) < users; i++ {
		if u := fmt.Sprintf("u%d", i); d.hub.Current().Evaluate("shop", flag.Context{"targetingKey": u}).Variant == "new" {
			hit = append(hit, u)
		}
	}
	var list []telemetry.Event
	for range n {
		d.sent++
		d.bad++
		list = append(list, telemetry.Event{Kind: telemetry.KindError, Project: "1", ID: fmt.Sprintf("e%d", d.sent), User: hit[d.bad%users], Environment: "production", Time: time.Now(), Received: time.Now(),
			Flags: map[string]string{"shop": "new"}, Tags: map[string]string{"feature": "shop", "severity": "p1"}, Level: "error", Title: "Error: boom", Message: "boom"})
	}
	if err := d.ev.Accept(d.ctx, list); err != nil {
		d.Fatal(err)
	}
	time.Sleep(time.Second)
}

// visit lets users come for a while, so that the telemetry is not silent.
func (d *desk) visit(long time.Duration) {
	d.Helper()
	for ; long > 0; long -= time.Minute {
		d.errors(0, 40)
		time.Sleep(min(long, time.Minute))
	}
}

// opened is the one incident, nil = there is none.
func (d *desk) opened() *response.View {
	d.Helper()
	all := d.e.List(func(string) bool { return true }, true)
	if len(all) > 1 {
		d.Fatalf("%d incidents, want one", len(all))
	}
	if len(all) == 0 {
		return nil
	}
	return &all[0]
}

// sixth sends five errors, which open nothing, and the sixth, which pages,
// opens a ticket and an incident.
func (d *desk) sixth(users int) response.View {
	d.Helper()
	d.visit(2 * time.Minute)
	d.crash(5, users)
	if v := d.opened(); v != nil || len(d.doors["pagerduty"].taken)+len(d.doors["jira"].taken) > 0 {
		d.Fatalf("the fifth error opened %+v", v)
	}
	d.crash(1, users)
	v := d.opened()
	if v == nil || v.Severity != "p1" || v.Status != incident.Open || v.Origin != "alert Errors" {
		d.Fatalf("the sixth error opened %+v", v)
	}
	for _, name := range []string{"pagerduty", "jira"} {
		if got := d.doors[name].types(d.T); !slices.Equal(got, []string{"alert.firing"}) {
			d.Errorf("%s was told %v, want one alert.firing", name, got)
		}
	}
	if in := d.state().Incidents; len(in) != 1 || in[0].ID != v.ID {
		d.Errorf("the rollout's journal has %+v", in)
	}
	whole, err := d.e.Get(d.ctx, v.ID)
	if err != nil {
		d.Fatal(err)
	}
	return whole
}

// refused expects a refusal of a command on the rollout that says why.
func (d *desk) refused(cmd rollout.Command, why string) {
	d.Helper()
	_, err := d.c.Do(d.ctx, "shop-1", cmd)
	var no *rollout.Refusal
	if !errors.As(err, &no) || !strings.Contains(no.Why, why) {
		d.Errorf("%s: %v, want a refusal with %q", cmd.Verb, err, why)
	}
}

func resume() rollout.Command {
	return rollout.Command{Verb: rollout.Resume, By: "anna", Role: "on-call", May: []string{"resume"}}
}

func promote(version int64) rollout.Command {
	return rollout.Command{Verb: rollout.Promote, By: "ben", Role: "lead", May: []string{"promote", "override"}, Reason: "known good", Version: version}
}

func deployed(release string) rollout.Command {
	return rollout.Command{Verb: rollout.Deploy, By: "ben", Via: "cli", Release: release}
}

// end resolves and closes the incident, and returns the post-mortem.
func (d *desk) end() string {
	d.Helper()
	d.do(incident.Command{Verb: incident.DoResolve, Text: "a hit without title"})
	if s := d.state(); len(s.Companions) > 0 {
		d.Errorf("flags that are still switched: %+v", s.Companions)
	}
	d.do(incident.Command{Verb: incident.DoItem, Item: "timeline"})
	d.do(incident.Command{Verb: incident.DoWrite, Text: "- Contract test (Ben)"})
	if v := d.do(incident.Command{Verb: incident.DoClose}); v.Status != incident.Closed || len(v.Needs) > 0 {
		d.Errorf("closed: %s, it needs %v", v.Status, v.Needs)
	}
	text, err := d.e.PostMortem(d.ctx, "INC-1")
	if err != nil {
		d.Fatal(err)
	}
	return text
}

func (d *desk) wants(text string, wanted ...string) {
	d.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			d.Errorf("the post-mortem has no %q:\n%s", want, text)
		}
	}
}

// TestStory is the source plan's incident from the sixth error to the
// post-mortem: nobody answers in time, so that it escalates; then it is
// reduced to 5 % with detailed logging, the cause is found, and the rollout
// goes on.
func TestStory(t *testing.T) {
	story(t, source, func(d *desk) {
		v := d.sixth(6)
		if v.Proposed == nil || v.Proposed.Do != incident.Reduce || v.Proposed.Percent != 5_000 || v.Live.Affected != 6 || v.Live.P1 != 6 || v.Unsure {
			d.Errorf("the tree proposes %+v, measured is %+v", v.Proposed, v.Live)
		}
		people := []response.RoleView{{Role: "on-call", Who: "@anna", Does: []string{"read the stack traces"}, To: "lead", Lead: true}, {Role: "lead", Who: "@ben", To: "director"}, {Role: "director", Who: "@cleo"}}
		if diff := cmp.Diff(people, v.People); diff != "" {
			d.Error(diff)
		}
		var answers []string
		for _, a := range v.Tree {
			answers = append(answers, strings.TrimSpace(a.If+" "+a.Status.String()))
		}
		if diff := cmp.Diff([]string{"p1 > 10 over stage not met", "traffic = 100% not met", "affected_users < 5 not met", "met"}, answers); diff != "" {
			d.Error(diff)
		}
		d.refused(promote(d.state().Version), "INC-1")
		d.visit(5*time.Minute - 2*time.Second)
		if got := d.told("team"); !slices.Equal(got, []string{"opened"}) {
			d.Errorf("before five minutes: %v", got)
		}
		time.Sleep(2 * time.Second)
		if got := d.told("team"); !slices.Equal(got, []string{"opened", "escalated"}) {
			d.Errorf("nobody answered for five minutes: %v", got)
		}
		d.do(incident.Command{Verb: incident.DoAcknowledge})
		d.visit(5 * time.Minute)
		d.do(incident.Command{ID: "k", Verb: incident.DoDecide, Percent: -1})
		if s := d.state(); s.Exposure != 5_000 || s.Status != rollout.Reduced || len(s.Companions) != 1 {
			d.Errorf("decided: %s at %v, %+v", s.Status, s.Exposure, s.Companions)
		}
		d.served()
		d.visit(12 * time.Minute) // the errors are over: so is the alert, and not the incident
		d.refused(resume(), "INC-1")
		clocks := []string{}
		v, _ = d.e.Get(d.ctx, "INC-1")
		for _, c := range v.Clocks {
			clocks = append(clocks, string(c.Clock)+" "+c.State)
		}
		if diff := cmp.Diff([]string{"respond missed", "decide kept", "act kept"}, clocks); diff != "" || v.Status != incident.Open || v.Alerts[0].Over.IsZero() {
			d.Errorf("%s, alerts %+v, clocks %s", v.Status, v.Alerts, diff)
		}
		for _, name := range []string{"pagerduty", "jira"} {
			if got := d.doors[name].types(d.T); !slices.Equal(got, []string{"alert.firing", "alert.resolved"}) {
				d.Errorf("%s was told %v", name, got)
			}
		}
		text := d.end()
		d.roll(resume())
		if s := d.state(); s.Status != rollout.Running || s.Exposure != 50_000 || s.Attempt != 1 {
			d.Errorf("resumed: %s at %v, attempt %d", s.Status, s.Exposure, s.Attempt)
		}
		if got := d.told("team"); !slices.Equal(got, []string{"opened", "escalated", "decided", "resolved"}) {
			d.Errorf("the team was told %v", got)
		}
		d.wants(text, "Users affected: 6 of", "Error events: 6 on the new variant, 0 on the old one; P1: 6", "Traffic at the worst: 50%", "First bad event: ", "Alert Errors: ",
			"| respond | 5m | 5m", "| no |", "| decide | 15m | 10m", "anna decided reduce 5%", "p1 > 10 over stage: not met", "otherwise: met (otherwise), proposed",
			"escalated to lead (@ben): nobody responded in time", "flag debug set to on", "flag debug set back", "alert is over: Errors", "traffic is 5%", "a hit without title", "- Contract test (Ben)")
	})
}

// TestBranches takes each way of the tree, and the ways beside it, to its end.
func TestBranches(t *testing.T) {
	hotfix := func(d *desk, stage int, exposure flag.Percent) {
		d.Helper()
		if s := d.state(); s.Status != rollout.Reduced || s.Exposure != 0 || !s.Hotfix {
			d.Errorf("hotfix: %s at %v, %v", s.Status, s.Exposure, s.Hotfix)
		}
		d.refused(resume(), "no deployment was reported since the hotfix")
		d.visit(10 * time.Minute)
		d.roll(deployed("shop@2"))
		time.Sleep(time.Minute)
		d.refused(resume(), "INC-1")
		d.wants(d.end(), "anna decided hotfix", "traffic is 0%", "release shop@2 is deployed", "| act | 30m | ")
		d.roll(resume())
		s := d.state()
		if s.Status != rollout.Running || s.Exposure != exposure || s.Stage != stage || s.Attempt != 1 || s.Hotfix {
			d.Errorf("resumed: %s at %v, stage %d, attempt %d", s.Status, s.Exposure, s.Stage, s.Attempt)
		}
	}
	for _, tt := range []struct {
		name     string
		everyone bool // it is at 100 %
		users    int  // with an error
		more     int  // errors besides the six
		proposed string
		command  incident.Command
		decided  string
		after    func(d *desk)
	}{
		{name: "rollback", users: 6, more: 5, proposed: "rollback", decided: "rollback",
			after: func(d *desk) {
				if s := d.state(); s.Status != rollout.RolledBack || s.Exposure != 0 {
					d.Errorf("%s at %v", s.Status, s.Exposure)
				}
				d.wants(d.end(), "anna decided rollback", "p1 > 10 over stage: met", "P1: 11", "traffic is 0%")
			}},
		{name: "hotfix at 100 %", everyone: true, users: 6, proposed: "hotfix", decided: "hotfix", after: func(d *desk) { hotfix(d, 1, flag.Everyone) }},
		{name: "hotfix for few", users: 3, proposed: "hotfix", decided: "hotfix", after: func(d *desk) { hotfix(d, 0, 50_000) }},
		{name: "monitor", users: 6, proposed: "reduce", command: incident.Command{Do: incident.Hold, Text: "one client, it is known"}, decided: "hold",
			after: func(d *desk) {
				if s := d.state(); s.Status != rollout.Running || s.Exposure != 50_000 {
					d.Errorf("hold moved to %s at %v", s.Status, s.Exposure)
				}
				d.visit(time.Hour)
				if v := d.opened(); v.Status != incident.Open || v.Escalated > 0 {
					d.Errorf("%s, escalated %d times: somebody decided", v.Status, v.Escalated)
				}
				d.wants(d.end(), "anna decided hold: one client, it is known", "the tree proposed reduce 5%")
			}},
		{name: "pause", users: 6, proposed: "reduce", command: incident.Command{Do: incident.Pause, Text: "look first"}, decided: "pause",
			after: func(d *desk) {
				if s := d.state(); s.Status != rollout.Paused || s.Exposure != 50_000 {
					d.Errorf("%s at %v", s.Status, s.Exposure)
				}
				d.wants(d.end(), "anna decided pause: look first")
				d.roll(resume())
			}},
		{name: "reduce further", users: 6, proposed: "reduce", command: incident.Command{Do: incident.Reduce, Percent: 1_000, Text: "too many still"}, decided: "reduce 1%",
			after: func(d *desk) {
				if s := d.state(); s.Status != rollout.Reduced || s.Exposure != 1_000 || len(s.Companions) != 0 {
					d.Errorf("%s at %v with %+v", s.Status, s.Exposure, s.Companions)
				}
				d.wants(d.end(), "anna decided reduce 1%: too many still", "the tree proposed reduce 5%")
				d.roll(resume())
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			story(t, source, func(d *desk) {
				if tt.everyone {
					d.roll(promote(d.state().Version))
				}
				v := d.sixth(tt.users)
				if tt.more > 0 {
					d.crash(tt.more, tt.users)
					v, _ = d.e.Get(d.ctx, "INC-1")
				}
				if v.Proposed == nil || v.Proposed.Do != tt.proposed {
					d.Fatalf("proposed %+v at %v, measured %+v", v.Proposed, d.state().Exposure, v.Live)
				}
				c := tt.command
				if c.Verb = incident.DoDecide; c.Do == "" {
					c.Percent = -1
				}
				v = d.do(c)
				if got := v.Decided(); got == nil || got.Words() != tt.decided {
					d.Errorf("decided %+v", got)
				}
				d.served()
				time.Sleep(2 * time.Second)
				if v = *d.opened(); v.Clocks[2].State != response.ClockKept {
					d.Errorf("act is %s", v.Clocks[2].State)
				}
				tt.after(d)
			})
		})
	}
}

// TestNothingProposed: a tree that answers nothing leaves the choice to a
// person, and nobody's choice runs all clocks out.
func TestNothingProposed(t *testing.T) {
	plan := source[:strings.Index(source, "    - { if: traffic = 100%")] + "  close: [timeline]\n"
	story(t, plan, func(d *desk) {
		if v := d.sixth(6); v.Proposed != nil || v.Unsure || len(v.Tree) != 1 {
			d.Errorf("proposed %+v", v.Proposed)
		}
		_, err := d.e.Do(d.ctx, "INC-1", d.anna(), incident.Command{Verb: incident.DoDecide, Percent: -1})
		var no *rollout.Refusal
		if !errors.As(err, &no) || !strings.Contains(no.Why, "the tree proposes nothing") {
			d.Errorf("decide what is not proposed: %v", err)
		}
		begin := time.Now()
		d.visit(40 * time.Minute)
		v, err := d.e.Get(d.ctx, "INC-1")
		var got []string
		for _, e := range slices.Backward(v.Timeline) {
			if e.Type == incident.Breached || e.Type == incident.Escalated {
				got = append(got, fmt.Sprintf("%s %s", e.At.Sub(begin).Round(time.Minute), e.Title))
			}
		}
		want := []string{"5m0s the time to respond is over", "5m0s escalated to lead (@ben): nobody responded in time",
			"10m0s escalated to director (@cleo): nobody responded in time",
			"15m0s the time to decide is over", "15m0s escalated to director (@cleo): nobody decided in time",
			"30m0s the time to act is over", "30m0s escalated to director (@cleo): nobody acted in time"}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			d.Error(err, diff)
		}
		entries, err := d.store.AuditEntries(d.ctx, "incident INC-1", 1000)
		if err != nil || len(entries) != len(v.Timeline) {
			d.Errorf("%d entries in the audit log for %d events: %v", len(entries), len(v.Timeline), err)
		}
	})
}
