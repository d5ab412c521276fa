package response_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"serin/internal/alert"
	"serin/internal/alerting"
	"serin/internal/clock"
	"serin/internal/controller"
	"serin/internal/evidence"
	"serin/internal/flag"
	"serin/internal/hub"
	"serin/internal/incident"
	"serin/internal/notify"
	"serin/internal/response"
	"serin/internal/rollout"
	"serin/internal/store"
	"serin/internal/store/memory"
	"serin/internal/telemetry"
)

const shop = `serin: 1
plan: shop
timezone: UTC
flag: { key: shop }
scope: { tags: { feature: shop } }
channels: { team: "slack:#team", pager: "pagerduty:main" }
roles:
  on-call: { who: "@anna", may: [start, resume], escalates_to: lead }
  lead: { who: "pagerduty:main" }
calendar: { raise: ["daily 00:00-24:00"] }
criteria: { ok: [error_rate < 99%] }
stages:
  - { stage: half, traffic: 50%, bake: 72h, owner: on-call, proceed: ok }
  - { stage: full, like: half, traffic: 100% }
rollback: [p1 > 500 over 6h]
incident:
  opens: [alert p1]
  severe: affected_users >= 50
  decide:
    - { if: p1 > 10 over stage, do: rollback }
    - { if: traffic = 100%, do: hotfix }
    - { if: affected_users < 5, do: hotfix }
    - { do: reduce 5%, then: [{ set: { flag: debug, to: "on" } }, find the cause] }
  close: [root cause, post-mortem]
`

// desk is a controller with its evidence, and the incidents of it.
type desk struct {
	*testing.T
	ctx    context.Context
	cancel context.CancelFunc
	store  *memory.Store
	ev     *evidence.Engine
	c      *controller.Controller
	e      *response.Engine
	hub    *hub.Hub
	fault  func(point string)
	sent   int
	bad    int // errors of crash
	// alerts and doors are there in a story: the alert rules of the plan are
	// looked at, and what is told is taken by doubles.
	alerts *alerting.Engine
	doors  map[string]*double
}

// under is the controller as the server hands it to incidents.
type under struct{ *controller.Controller }

func (u under) Standing(id string) (response.Rollout, error) {
	p, err := u.Controller.Standing(id)
	if err != nil {
		return response.Rollout{}, err
	}
	v, err := u.View(context.Background(), p.Rollout)
	return response.Rollout{ID: p.Rollout, Project: p.Project, Plan: p.Plan, Place: p.Place, Judge: p.Judge, State: v.State, Seen: v.Users.NewSeen}, err
}

func (u under) Standings() (out []response.Rollout) {
	for _, p := range u.Controller.Standings() {
		if r, err := u.Standing(p.Rollout); err == nil {
			out = append(out, r)
		}
	}
	return out
}

func (u under) Do(ctx context.Context, id string, cmd rollout.Command) ([]rollout.Event, error) {
	res, err := u.Controller.Do(ctx, id, cmd)
	return res.Events, err
}

// watched gives the evidence to the controller.
type watched struct{ *evidence.Engine }

func (w watched) Watch(c controller.Watch) error {
	t := evidence.Target{Rollout: c.Rollout, Project: c.Project, Plan: c.Plan, Split: c.Split, Attempt: c.Attempt, Stage: c.Stage, Active: c.Active,
		StageAt: c.StageAt, AttemptAt: c.AttemptAt, RolloutAt: c.StartedAt}
	for _, i := range c.Intervals {
		t.Intervals = append(t.Intervals, evidence.Interval(i))
	}
	return w.Engine.Watch(t)
}

func (w watched) Series(id, metric string, from, to time.Time, points int) ([]controller.Point, error) {
	found, err := w.Engine.Series(id, metric, from, to, points)
	out := make([]controller.Point, len(found))
	for i, p := range found {
		out[i] = controller.Point(p)
	}
	return out, err
}

// bubble runs fn with a started rollout of shop, in its own time.
func bubble(t *testing.T, source string, fn func(d *desk)) {
	t.Helper()
	play(t, source, nil, fn)
}

// play is bubble with doubles of the services that are told, nil = none and no
// alert rules.
func play(t *testing.T, source string, doors map[string]*double, fn func(d *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{T: t, store: memory.New(), hub: hub.New(), doors: doors}
		d.up()
		defer func() { d.cancel() }()
		debug := flag.Definition{Key: "debug", State: "ENABLED", DefaultVariant: "off", Variants: map[string]json.RawMessage{"on": json.RawMessage("true"), "off": json.RawMessage("false")}}
		if _, err := d.c.Flags().Put(t.Context(), "", debug, 0, "anna", "cli", ""); err != nil {
			t.Fatal(err)
		}
		if _, err := d.c.Create(t.Context(), "", []byte(source), "anna", "cli"); err != nil {
			t.Fatal(err)
		}
		d.errors(0, 40) // somebody is there
		d.roll(rollout.Command{Verb: rollout.Start, By: "anna", Role: "on-call", May: []string{"start"}})
		fn(d)
	})
}

// deaf takes every notice.
type deaf struct{}

func (deaf) Deliver(context.Context, notify.Notice) error { return nil }

// up starts the process.
func (d *desk) up() {
	d.Helper()
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.ev = evidence.New(evidence.Options{Store: d.store, Clock: clock.Real()})
	go func() { _ = d.ev.Run(d.ctx) }()
	var err error
	var e atomic.Pointer[response.Engine]
	moved := func(id string) {
		if e := e.Load(); e != nil {
			e.Moved(id)
		}
	}
	d.c, err = controller.New(d.ctx, controller.Options{Store: d.store, Evidence: watched{d.ev}, Publisher: d.hub, Feed: hub.NewFeed(0, 0), Clock: clock.Real(), Moved: moved})
	if err != nil {
		d.Fatal(err)
	}
	for _, scheme := range []string{"slack", "pagerduty", "jira"} {
		var n notify.Notifier = deaf{}
		if d.doors != nil {
			n = d.doors[scheme]
		}
		d.c.Courier().Use(scheme, n)
	}
	go func() { _ = d.c.Run(d.ctx) }()
	d.e, err = response.New(d.ctx, response.Options{Store: d.store, Rollouts: under{d.c}, Evidence: watched{d.ev}, Clock: clock.Real(), Fault: d.fault})
	if err != nil {
		d.Fatal(err)
	}
	e.Store(d.e)
	synctest.Wait()
	if d.doors != nil {
		d.watch()
	}
	go func() { _ = d.e.Run(d.ctx) }()
	synctest.Wait()
}

// restart stops the process and starts it again.
func (d *desk) restart() {
	d.Helper()
	d.cancel()
	synctest.Wait()
	d.up()
}

func (d *desk) roll(cmd rollout.Command) {
	d.Helper()
	if _, err := d.c.Do(d.ctx, "shop-1", cmd); err != nil {
		d.Fatalf("%s: %v", cmd.Verb, err)
	}
}

// errors sends n page views and bad errors of the first users on new.
func (d *desk) errors(n, loads int) {
	d.Helper()
	var list []telemetry.Event
	add := func(kind telemetry.Kind, user int, variant string) telemetry.Event {
		d.sent++
		return telemetry.Event{Kind: kind, Project: "1", ID: fmt.Sprintf("e%d", d.sent), User: fmt.Sprintf("u%d", user), Environment: "production", Time: time.Now(), Received: time.Now(),
			Flags: map[string]string{"shop": variant}, Tags: map[string]string{"feature": "shop"}}
	}
	for i := range loads {
		list = append(list, add(telemetry.KindPage, i, d.hub.Current().Evaluate("shop", flag.Context{"targetingKey": fmt.Sprintf("u%d", i)}).Variant))
	}
	for i := 0; n > 0; i++ {
		if d.hub.Current().Evaluate("shop", flag.Context{"targetingKey": fmt.Sprintf("u%d", i)}).Variant == "new" {
			e := add(telemetry.KindError, i, "new")
			e.Level, e.Title, e.Message = "error", "Error: boom", "boom"
			e.Tags["severity"] = "p1"
			list = append(list, e)
			n--
		}
	}
	if err := d.ev.Accept(d.ctx, list); err != nil {
		d.Fatal(err)
	}
}

// fires opens or joins by an alert.
func (d *desk) fires(n int64, kind alert.Kind, severity string) {
	d.Helper()
	c := alert.Change{Rule: "shop-1.errors", Name: "Errors", Project: "1", Rollout: "shop-1", Kind: kind, Incident: n, Severity: severity, Why: "errors are 6 over 10m", At: time.Now()}
	if err := d.e.AlertChanged(d.ctx, c); err != nil {
		d.Fatal(err)
	}
}

func (d *desk) do(c incident.Command) response.View {
	d.Helper()
	v, err := d.e.Do(d.ctx, "INC-1", d.anna(), c)
	if err != nil {
		d.Fatalf("%s: %v", c.Verb, err)
	}
	return v
}

func (d *desk) anna() response.Person {
	return response.Person{Name: "anna", Via: "web", Authorize: func(ctx context.Context, id string, cmd *rollout.Command) error {
		return d.c.Authorize(ctx, id, controller.Actor{Name: "anna", Handles: []string{"anna"}}, cmd)
	}}
}

// served lets a client evaluate the flag.
func (d *desk) served() {
	rs := d.hub.Current()
	d.hub.Served(rs, "shop")
	synctest.Wait()
}

func (d *desk) state() rollout.State {
	d.Helper()
	v, err := d.c.View(d.ctx, "shop-1")
	if err != nil {
		d.Fatal(err)
	}
	return v.State
}

// told are the types of the notices to a channel, oldest first.
func (d *desk) told(channel string) (out []string) {
	d.Helper()
	all, err := d.store.Notices(d.ctx, "shop-1", 0)
	if err != nil {
		d.Fatal(err)
	}
	for _, n := range slices.Backward(all) {
		if n.Channel == channel && n.Thread == "INC-1" {
			out = append(out, strings.TrimPrefix(n.Type, "incident."))
		}
	}
	return out
}

// TestIncidentOfThePlan plays the plan's incident: alert, clocks, reduction to
// 5 % with the companion flag, resolution, post-mortem.
func TestIncidentOfThePlan(t *testing.T) {
	bubble(t, shop, func(d *desk) {
		time.Sleep(time.Minute)
		d.errors(6, 40)
		d.fires(1, alert.Fired, "p1")
		d.fires(1, alert.Fired, "p1") // told again
		v, err := d.e.Get(d.ctx, "INC-1")
		if err != nil {
			d.Fatal(err)
		}
		if v.Severity != "p1" || v.Live.Affected != 6 || v.Live.P1 != 6 || v.Proposed == nil || v.Proposed.Do != incident.Reduce || v.Impact.FirstBad.IsZero() {
			d.Errorf("opened: %+v, proposed %+v", v.Live, v.Proposed)
		}
		if in := d.state().Incidents; len(in) != 1 || in[0].ID != "INC-1" || in[0].Resolved {
			d.Errorf("journal: %+v", in)
		}
		time.Sleep(2*time.Minute + 41*time.Second)
		d.do(incident.Command{Verb: incident.DoAcknowledge})
		v = d.do(incident.Command{ID: "k", Verb: incident.DoDecide, Percent: -1})
		if s := d.state(); s.Exposure != 5_000 || s.Status != rollout.Reduced || len(s.Companions) != 1 {
			d.Errorf("after the decision: %s %v %+v", s.Status, s.Exposure, s.Companions)
		}
		if again := d.do(incident.Command{ID: "k", Verb: incident.DoDecide, Percent: -1}); again.Pos < v.Pos || len(again.Decisions) != 1 {
			d.Errorf("the same key: %+v", again.Decisions)
		}
		time.Sleep(time.Minute + 10*time.Second)
		d.served()
		time.Sleep(time.Second) // at once, not with the next tick
		v, _ = d.e.Get(d.ctx, "INC-1")
		for _, c := range v.Clocks {
			if c.State != response.ClockKept {
				d.Errorf("%s is %s", c.Clock, c.State)
			}
		}
		d.fires(1, alert.Ended, "p1")
		if v, _ := d.e.Get(d.ctx, "INC-1"); v.Status != incident.Open {
			d.Error("an alert resolved the incident")
		}
		d.do(incident.Command{Verb: incident.DoResolve, Text: "hits without title"})
		if s := d.state(); len(s.Companions) != 0 || !s.Incidents[0].Resolved {
			d.Errorf("resolved: %+v %+v", s.Companions, s.Incidents)
		}
		d.do(incident.Command{Verb: incident.DoWrite, Text: "- contract test"})
		d.do(incident.Command{Verb: incident.DoClose})
		if s := d.state(); !s.Incidents[0].Closed {
			d.Errorf("closed: %+v", s.Incidents)
		}
		text, err := d.e.PostMortem(d.ctx, "INC-1")
		for _, want := range []string{"Users affected: 6 of", "alert Errors", "anna decided reduce 5%", "flag debug set to on", "flag debug set back", "hits without title", "- contract test"} {
			if err != nil || !strings.Contains(text, want) {
				d.Errorf("the post-mortem has no %q: %v\n%s", want, err, text)
			}
		}
		if got := d.told("team"); !slices.Equal(got, []string{"opened", "decided", "resolved"}) {
			d.Errorf("told: %v", got)
		}
		if got := d.told("pager"); len(got) != 0 {
			d.Errorf("paged for what an alert had paged for: %v", got)
		}
	})
}

// TestClocksGoOnAfterARestart: nothing is opened or told twice, and who does
// not answer in time is passed over.
func TestClocksGoOnAfterARestart(t *testing.T) {
	bubble(t, shop, func(d *desk) {
		d.fires(1, alert.Fired, "p1")
		time.Sleep(4 * time.Minute)
		d.restart()
		d.fires(1, alert.Fired, "p1")
		time.Sleep(2 * time.Minute)
		d.restart()
		time.Sleep(30 * time.Second)
		if got := d.told("team"); !slices.Equal(got, []string{"opened", "escalated"}) {
			d.Errorf("team: %v", got)
		}
		if got := d.told("lead"); !slices.Equal(got, []string{"escalated"}) {
			d.Errorf("the lead's pager: %v", got)
		}
		if v := d.e.List(func(string) bool { return true }, true); len(v) != 1 || v[0].Clocks[0].State != response.ClockMissed {
			d.Errorf("%+v", v)
		}
	})
}

// errCrash is where a test ends the process.
var errCrash = errors.New("crash")

// TestStoresConverge: a crash between the two transactions is mended, and
// counts once.
func TestStoresConverge(t *testing.T) {
	for _, point := range []string{"before incident commit", "after incident commit", "after incident journal", "after incident action"} {
		t.Run(point, func(t *testing.T) {
			bubble(t, shop, func(d *desk) {
				time.Sleep(time.Minute)
				d.errors(12, 40)
				for step, act := range []func(){
					func() { d.fires(1, alert.Fired, "p1") },
					func() { d.do(incident.Command{ID: "k", Verb: incident.DoDecide}) },
					func() { d.do(incident.Command{ID: "r", Verb: incident.DoResolve, Text: "found"}) },
				} {
					armed := true
					d.fault = func(at string) {
						if armed && at == point {
							armed = false
							panic(errCrash)
						}
					}
					d.restart()
					crash(act)
					d.fault = nil
					d.restart()
					if armed && point != "after incident action" && point != "after incident journal" {
						d.Errorf("step %d never came to %s", step, point)
					}
					act()
					time.Sleep(2 * time.Minute)
				}
				s := d.state()
				if s.Status != rollout.RolledBack || len(s.Incidents) != 1 || !s.Incidents[0].Resolved {
					d.Errorf("%s, %+v", s.Status, s.Incidents)
				}
				count := map[rollout.Type]int{}
				journal, err := d.c.Journal(d.ctx, "shop-1", 0, 0)
				if err != nil {
					d.Fatal(err)
				}
				for _, e := range journal {
					count[e.Type]++
				}
				for _, want := range []rollout.Type{rollout.IncidentOpened, rollout.IncidentDecided, rollout.IncidentResolved, rollout.RolledBackEvent} {
					if count[want] != 1 {
						d.Errorf("%s is %d times in the journal", want, count[want])
					}
				}
				if got := d.told("team"); !slices.Equal(got, []string{"opened", "decided", "resolved"}) {
					d.Errorf("told: %v", got)
				}
			})
		})
	}
}

// crash runs act until the process ends.
func crash(act func()) {
	defer func() {
		if r := recover(); r != nil && r != any(errCrash) {
			panic(r)
		}
	}()
	act()
}

// TestRefusals: a second incident of a rollout, and one that there is not.
func TestRefusals(t *testing.T) {
	bubble(t, shop, func(d *desk) {
		v, err := d.e.Open(d.ctx, d.anna(), response.Opened{Rollout: "shop", Title: "Search is slow", Command: "o"})
		if err != nil || v.ID != "INC-1" || v.Lead != "anna" || v.OpenedBy != "anna" {
			d.Fatalf("%+v %v", v, err)
		}
		if again, err := d.e.Open(d.ctx, d.anna(), response.Opened{Rollout: "shop", Title: "Search is slow", Command: "o"}); err != nil || again.ID != "INC-1" {
			d.Errorf("the same key: %s %v", again.ID, err)
		}
		var refusal *rollout.Refusal
		if _, err := d.e.Open(d.ctx, d.anna(), response.Opened{Rollout: "shop-1", Title: "again"}); !errors.As(err, &refusal) {
			d.Errorf("a second one: %v", err)
		}
		if _, err := d.e.Get(d.ctx, "INC-9"); !errors.Is(err, store.ErrNotFound) {
			d.Errorf("one that there is not: %v", err)
		}
		if got := d.told("pager"); !slices.Equal(got, []string{"opened"}) {
			d.Errorf("the pager hears of one that no alert paged for: %v", got)
		}
		if v, err := d.e.Open(d.ctx, d.anna(), response.Opened{Title: "Office network", Severity: "p3"}); err != nil || v.ID != "INC-2" || v.Rollout != "" {
			d.Errorf("about no rollout: %+v %v", v, err)
		}
		if _, err := d.e.Do(d.ctx, "INC-2", d.anna(), incident.Command{Verb: incident.DoDecide, Do: incident.Rollback, Text: "x"}); !errors.As(err, &refusal) {
			d.Errorf("nothing to roll back: %v", err)
		}
	})
}
