package controller_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"serin/internal/clock"
	"serin/internal/controller"
	"serin/internal/evidence"
	"serin/internal/flag"
	"serin/internal/hub"
	"serin/internal/judge"
	"serin/internal/store"
	"serin/internal/store/memory"
	"serin/internal/telemetry"
)

// rigPlan is the plan that every scenario starts from.
const rigPlan = `serin: 1
plan: rig
timezone: UTC
flag: { key: rig }
calendar: { raise: ["daily 00:00-24:00"] }
roles: { lead: { who: "@lead", may: [start, approve, promote, override, accept, resume, restart] } }
channels: { team: "slack:#team" }
judge: { enough: { users: 10, for: 10m }, no_data: { grace: 10m, then: hold, after: 1h, page: lead }, overrun: 2h }
criteria: { ok: [p1 = 0, errors < 5, lcp < 2.5s] }
stages:
  - { stage: c10,  traffic: 10%,  bake: 2h, owner: lead, proceed: ok, checks: [{ every: 15m, expect: ok }] }
  - { stage: r25,  like: c10, traffic: 25%,  bake: 1h }
  - { stage: r50,  like: c10, traffic: 50%,  bake: 1h }
  - { stage: r75,  like: c10, traffic: 75%,  bake: 1h }
  - { stage: full, like: c10, traffic: 100%, bake: 3h }
rollback: [p1 > 5 over 1h, lcp > +30% vs reference over 1h]
`

const (
	rigUsers = 1000
	loads    = 6 // page loads of a user in an hour
	hourly   = time.Hour / loads
	few      = 4 // every fourth user is enough where nothing is proved by numbers
	// Within each minute the rig ticks at :05, sends telemetry at :30 and
	// commands at :00, so that no two things happen at one instant.
	tickSecond = 5 * time.Second
	sendSecond = 30 * time.Second
)

// rigBegin is T = 0.
var rigBegin = time.Date(2025, 3, 3, 9, 0, 0, 0, time.UTC)

// rigLoads are the LCPs of the page loads, ms: load i of user n is at n*6+i.
var rigLoads = sync.OnceValue(func() []float64 {
	out := make([]float64, rigUsers*loads)
	for k := range out {
		p := math.Mod(float64(k)*0.618034, 1)
		z := math.Sqrt2 * math.Erfinv(2*max(p, 1e-9)-1)
		out[k] = 1000 * math.Exp(0.3559+0.5*z)
	}
	return out
})

// rig is the whole service in a bubble: it drives time, sends telemetry, gives
// commands and looks at what comes of it.
type rig struct {
	*testing.T
	store  *flakyStore
	team   *receiver
	hub    *hub.Hub
	engine *evidence.Engine
	c      *controller.Controller
	fault  func(point string)
	cancel context.CancelFunc
	done   sync.WaitGroup

	source string // the plan file as created or last revised
	minute int    // the next minute since T to send
	ids    int

	faulty  atomic.Bool                  // View panics
	blinded atomic.Pointer[error]        // what reading the evidence answers
	pool    atomic.Pointer[judge.Source] // what a double of Prometheus says of the metric pool
	every   int                          // of how many users one comes
	silent  bool                         // nothing is sent
	skip    [2]int                       // minutes since T, from and up to, in which nothing is sent either
	office  bool                         // users come from 08:00 to 18:00 only; a check-in every 5 min
	checkIn bool                         // whether the check-ins of office are sent
	slower  float64                      // factor on the LCP of users on new
}

// warmest is the longest warm-up, in minutes.
const warmest = 30 * 24 * 60

// warmUp is how many minutes before T the service runs and users come: without
// them the rollout would start in a silence.
const warmUp = 12

// newRig starts a service in the bubble of t, creates the rollout rig-1 and
// drives to T. edits are pairs of old and new text of the plan.
func newRig(t *testing.T, edits ...string) *rig { return newRigAfter(t, warmUp, nil, edits...) }

// newRigAfter is newRig with some minutes of telemetry before T; prepare, if
// not nil, changes the rig before.
func newRigAfter(t *testing.T, minutes int, prepare func(*rig), edits ...string) *rig {
	r := bareRig(t, minutes)
	if prepare != nil {
		prepare(r)
	}
	r.source = edited(t, rigPlan, edits...)
	r.up()
	if _, err := r.c.Create(t.Context(), []byte(r.source), "lead", "api"); err != nil {
		t.Fatalf("create: %v", err)
	}
	r.drive("0:00")
	return r
}

// bareRig waits for the beginning of the warm-up; nothing runs yet.
func bareRig(t *testing.T, minutes int) *rig {
	r := &rig{T: t, store: &flakyStore{Store: memory.New()}, team: &receiver{}, slower: 1, every: few, checkIn: true, minute: -minutes}
	time.Sleep(time.Until(rigBegin.Add(tickSecond - time.Duration(minutes)*time.Minute)))
	t.Cleanup(r.down)
	return r
}

func edited(t *testing.T, source string, edits ...string) string {
	t.Helper()
	for i := 0; i+1 < len(edits); i += 2 {
		if !strings.Contains(source, edits[i]) {
			t.Fatalf("the plan has no %q", edits[i])
		}
		source = strings.Replace(source, edits[i], edits[i+1], 1)
	}
	return source
}

// flakyStore is a store whose flags cannot be read for a while.
type flakyStore struct {
	*memory.Store
	unreadable atomic.Pointer[error]
	newer      atomic.Pointer[string] // hash of a plan that a newer serin wrote
}

func (s *flakyStore) Flags(ctx context.Context) ([]store.FlagRecord, int64, error) {
	if err := s.unreadable.Load(); err != nil {
		return nil, 0, *err
	}
	return s.Store.Flags(ctx)
}

// watcher gives the evidence engine to the controller, as the server does.
type watcher struct {
	*evidence.Engine
	rig *rig
}

func (w watcher) Watch(c controller.Watch) error {
	t := evidence.Target{
		Rollout: c.Rollout, Plan: c.Plan, Split: c.Split, Attempt: c.Attempt, Stage: c.Stage, Active: c.Active,
		StageAt: c.StageAt, AttemptAt: c.AttemptAt, RolloutAt: c.StartedAt,
	}
	for _, i := range c.Intervals {
		t.Intervals = append(t.Intervals, evidence.Interval(i))
	}
	return w.Engine.Watch(t)
}

func (w watcher) View(id string) (judge.Evidence, error) {
	if err := w.rig.blinded.Load(); err != nil {
		return nil, *err
	}
	if w.rig.faulty.Load() {
		panic("a fault in the evidence")
	}
	ev, err := w.Engine.View(id)
	if source := w.rig.pool.Load(); err == nil && source != nil {
		ev = pooled{ev, *source}
	}
	return ev, err
}

// pooled is evidence with a double of Prometheus, which answers 40 % or fails.
type pooled struct {
	judge.Evidence
	source judge.Source
}

func (p pooled) Source(metric string) judge.Source {
	if metric == "pool" {
		return p.source
	}
	return p.Evidence.Source(metric)
}

func (p pooled) Window(metric string, g judge.Group, from, to time.Time) judge.Window {
	if metric == "pool" {
		return judge.Window{Value: 0.4, Known: true, Count: 1, Last: to}
	}
	return p.Evidence.Window(metric, g, from, to)
}

func (w watcher) Series(id, metric string, from, to time.Time, points int) ([]controller.Point, error) {
	found, err := w.Engine.Series(id, metric, from, to, points)
	out := make([]controller.Point, len(found))
	for i, p := range found {
		out[i] = controller.Point(p)
	}
	return out, err
}

// up starts the process on what is stored.
func (r *rig) up() {
	r.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.hub = cancel, hub.New()
	clk := clock.Real()
	r.engine = evidence.New(evidence.Options{Store: r.store, Clock: clk})
	r.done.Go(func() {
		if err := r.engine.Run(ctx); err != nil {
			r.Errorf("evidence: %v", err)
		}
	})
	var err error
	r.c, err = controller.New(ctx, controller.Options{Sources: map[string]bool{"prometheus": true},
		Store: r.store, Evidence: watcher{r.engine, r}, Publisher: r.hub, Feed: hub.NewFeed(0, 0), Clock: clk, Fault: r.fault,
		BaseURL: "https://serin.test",
	})
	if err != nil {
		r.Fatalf("start the controller: %v", err)
	}
	r.engine.OnArrival(r.c.Arrived)
	r.c.Courier().Use("slack", r.team)
	r.done.Go(func() {
		if err := r.c.Run(ctx); err != nil {
			r.Errorf("controller: %v", err)
		}
	})
	synctest.Wait()
}

// down stops the process. The flags it served last stay served: clients keep
// what they have.
func (r *rig) down() {
	if r.cancel != nil {
		r.cancel()
		r.done.Wait()
		r.cancel, r.engine, r.c = nil, nil, nil
	}
}

// restart stops the process and starts it again in the same minute.
func (r *rig) restart() {
	r.down()
	time.Sleep(tickSecond)
	r.up()
}

// clockTime reads "2:30" as a time after T.
func clockTime(text string) time.Time {
	var h, m int
	if _, err := fmt.Sscanf(text, "%d:%d", &h, &m); err != nil {
		panic(fmt.Sprintf("time %q: %v", text, err))
	}
	return rigBegin.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute)
}

// drive moves to a time after T, minute by minute, with each minute's traffic.
func (r *rig) drive(to string) {
	r.Helper()
	end := clockTime(to)
	for {
		at := rigBegin.Add(time.Duration(r.minute)*time.Minute + sendSecond)
		if !at.Before(end) {
			break
		}
		r.sleepTo(at)
		if events := r.traffic(r.minute); r.engine != nil && len(events) > 0 {
			r.send(events...)
		}
		r.minute++
	}
	r.sleepTo(end)
	synctest.Wait()
}

func (r *rig) sleepTo(t time.Time) { time.Sleep(time.Until(t)) }

// traffic is what users send in a minute after T.
func (r *rig) traffic(minute int) (out []telemetry.Event) {
	if r.silent || minute >= r.skip[0] && minute < r.skip[1] {
		return nil
	}
	minute, hour := minute+warmest, rigBegin.Add(time.Duration(minute)*time.Minute).Hour()
	if r.office {
		if minute%5 == 0 && r.checkIn {
			out = append(out, telemetry.Event{Kind: telemetry.KindCheckIn, Project: "1", ID: "nightly"})
		}
		if hour < 8 || hour >= 18 {
			return out
		}
	}
	slot := int(hourly / time.Minute)
	i := minute / slot % loads
	for second := minute % slot * 60; second < minute%slot*60+60; second++ {
		for n := second; n < rigUsers; n += slot * 60 {
			if n%r.every > 0 {
				continue
			}
			out = append(out, r.load(n, i))
			if i == 0 {
				out = append(out, r.session(n, minute/60))
			}
		}
	}
	return out
}

func user(n int) string { return fmt.Sprintf("u%04d", n) }

func (r *rig) load(n, i int) telemetry.Event {
	lcp, variant := rigLoads()[n*loads+i], r.variant(n)
	if variant == "new" {
		lcp *= r.slower
	}
	e := r.event(telemetry.KindPage, user(n), variant)
	e.Page, e.Measurements = "/", map[string]float64{"lcp": lcp}
	return e
}

func (r *rig) session(n, hour int) telemetry.Event {
	e := r.event(telemetry.KindSession, user(n), r.variant(n))
	e.Session = &telemetry.Session{ID: fmt.Sprintf("s%d-%d", n, hour), Status: "ok", Count: 1}
	return e
}

func (r *rig) event(kind telemetry.Kind, user, variant string) telemetry.Event {
	r.ids++
	return telemetry.Event{Kind: kind, Project: "1", ID: fmt.Sprintf("e%d", r.ids), User: user,
		Environment: "production", Flags: map[string]string{"rig": variant}}
}

// variant is what the service answers for a user.
func (r *rig) variant(n int) string { return r.evaluate(user(n)) }

func (r *rig) evaluate(key string) string {
	return r.hub.Current().EvaluateAt("rig", flag.Context{"targetingKey": key}, time.Now().Unix()).Variant
}

// send hands events to the service, which have arrived now.
func (r *rig) send(events ...telemetry.Event) {
	r.Helper()
	now := time.Now().UTC()
	for i := range events {
		if events[i].Time.IsZero() {
			events[i].Time = now
		}
		events[i].Received = now
		events[i].Late = now.Sub(events[i].Time) > 10*time.Minute
	}
	if err := r.engine.Accept(r.Context(), events); err != nil {
		r.Fatalf("send: %v", err)
	}
}

// p1 are k serious errors from k different users on new.
func (r *rig) p1(k int) (out []telemetry.Event) {
	for n := 0; n < rigUsers && len(out) < k; n++ {
		if r.variant(n) != "new" {
			continue
		}
		e := r.event(telemetry.KindError, user(n), "new")
		e.Level, e.Title, e.Message, e.Tags = "error", "Error: boom", "boom", map[string]string{"severity": "p1"}
		out = append(out, e)
	}
	if len(out) < k {
		r.Fatalf("only %d users on new", len(out))
	}
	return out
}

// onNew are the users who are on new, by evaluation.
func (r *rig) onNew() map[int]bool {
	out := map[int]bool{}
	for n := range rigUsers {
		if r.variant(n) == "new" {
			out[n] = true
		}
	}
	return out
}
