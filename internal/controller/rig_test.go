package controller_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"serin/internal/clock"
	"serin/internal/controller"
	"serin/internal/evidence"
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

// rig is the whole service in a bubble: it drives time, sends telemetry, gives
// commands and looks at what comes of it.
type rig struct {
	*testing.T
	name, id string               // of the plan and of the rollout that is looked at
	begin    time.Time            // T = 0
	flag     string               // the flag's key
	failed   func(problem string) // in place of failing the test; nil = the test fails

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
	cutOff  bool                         // no client reaches the service: what is evaluated here is the test's own
	skip    [2]int                       // minutes since T, from and up to, in which nothing is sent either
	office  bool                         // users come from 08:00 to 18:00 only; a check-in every 5 min
	checkIn bool                         // whether the check-ins of office are sent
	slower  float64                      // factor on the LCP of users on new
	coarse  int                          // minutes between two ticks, and between two sendings of telemetry
	world   world                        // what else users do
	sources map[string]bool              // pulled sources that the server is set up for
	judges  judge.Releases               // versions of the judge in the process; nil = as shipped
	doubles []string                     // schemes of channels for which there is a double besides slack
	hook    *hookDouble                  // double of a deploy hook; nil = the server has none
	stepped atomic.Int64                 // ns by which the wall clock was stepped
	clk     clock.Clock                  // the process's clock
}

// Errorf notes that the service did not do as it should.
func (r *rig) Errorf(format string, args ...any) {
	if r.failed != nil {
		r.failed(fmt.Sprintf(format, args...))
		return
	}
	r.T.Helper()
	r.T.Errorf(format, args...)
}

// steppedClock is the machine's clock with steps of the wall time.
type steppedClock struct {
	clock.Clock
	by     *atomic.Int64
	coarse int // minutes between two ticks
}

func (c steppedClock) Now() time.Time { return c.Clock.Now().Add(time.Duration(c.by.Load())) }

// After lets a rig with a coarse tick look less often.
func (c steppedClock) After(d time.Duration) (<-chan time.Time, func()) {
	if d == controller.Tick {
		d *= time.Duration(c.coarse)
	}
	return c.Clock.After(d)
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
	if _, err := r.c.Create(t.Context(), "", []byte(r.source), "lead", "api"); err != nil {
		t.Fatalf("create: %v", err)
	}
	r.drive("0:00")
	return r
}

// bareRig waits for the beginning of the warm-up; nothing runs yet.
func bareRig(t *testing.T, minutes int) *rig {
	r := emptyRig(t)
	r.waitFor(minutes)
	return r
}

// emptyRig is a rig at whose T nobody has looked yet.
func emptyRig(t *testing.T) *rig {
	r := &rig{T: t, store: &flakyStore{Store: memory.New()}, team: &receiver{}, slower: 1, every: few, checkIn: true, coarse: 1,
		name: "rig", id: "rig-1", flag: "rig", begin: rigBegin, sources: map[string]bool{"prometheus": true}}
	t.Cleanup(r.down)
	return r
}

// waitFor waits until some minutes before T.
func (r *rig) waitFor(minutes int) {
	r.minute = -minutes
	time.Sleep(time.Until(r.begin.Add(tickSecond - time.Duration(minutes)*time.Minute)))
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
	forgetful  atomic.Bool            // the inputs of decisions are not found
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

// Source fails once the last answer is older than the grace of ten minutes.
func (p pooled) Source(metric string) judge.Source {
	if metric != "pool" {
		return p.Evidence.Source(metric)
	}
	if p.source.State == judge.Failing && time.Since(p.source.Since) <= 10*time.Minute {
		return judge.Source{State: judge.Delivering, Name: p.source.Name}
	}
	return p.source
}

func (p pooled) Window(metric string, g judge.Group, from, to time.Time) judge.Window {
	if metric != "pool" {
		return p.Evidence.Window(metric, g, from, to)
	}
	if p.source.State == judge.Failing {
		to = p.source.Since
	}
	return judge.Window{Value: 0.4, Known: true, Count: 1, Last: to}
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
	r.clk = steppedClock{clock.Real(), &r.stepped, r.coarse}
	clk := r.clk
	r.engine = evidence.New(evidence.Options{Store: r.store, Clock: clk})
	r.done.Go(func() {
		if err := r.engine.Run(ctx); err != nil {
			r.Errorf("evidence: %v", err)
		}
	})
	var err error
	r.c, err = controller.New(ctx, controller.Options{Sources: func(string) map[string]bool { return r.sources }, Judges: r.judges,
		Store: r.store, Evidence: watcher{r.engine, r}, Publisher: r.hub, Feed: hub.NewFeed(0, 0), Clock: clk, Fault: r.fault,
		BaseURL: "https://serin.test",
	})
	if err != nil {
		r.Fatalf("start the controller: %v", err)
	}
	r.engine.OnArrival(r.c.Arrived)
	for _, scheme := range append([]string{"slack"}, r.doubles...) {
		r.c.Courier().Use(scheme, r.team)
	}
	r.hook.attach(r.c)
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
func clockTime(text string) time.Time { return rigBegin.Add(sinceT(text)) }

// sinceT reads "2:30" as a duration.
func sinceT(text string) time.Duration {
	var h, m int
	if _, err := fmt.Sscanf(text, "%d:%d", &h, &m); err != nil {
		panic(fmt.Sprintf("time %q: %v", text, err))
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
}

// drive moves to a time after T, minute by minute, with each minute's traffic.
func (r *rig) drive(to string) {
	r.Helper()
	r.driveTo(r.begin.Add(sinceT(to)))
}

// driveTo is drive with a time.
func (r *rig) driveTo(end time.Time) {
	r.Helper()
	var unsent []telemetry.Event
	for {
		at := r.begin.Add(time.Duration(r.minute)*time.Minute + sendSecond)
		if !at.Before(end) {
			break
		}
		if r.coarse == 1 || (r.minute+1+warmest)%r.coarse == 0 {
			r.sleepTo(at)
		}
		unsent = append(unsent, r.traffic(r.minute)...)
		r.minute++
		if (r.minute+warmest)%r.coarse > 0 {
			continue
		}
		if r.engine != nil && len(unsent) > 0 {
			r.send(unsent...)
		}
		unsent = nil
	}
	r.sleepTo(end)
	synctest.Wait()
}

func (r *rig) sleepTo(t time.Time) { time.Sleep(time.Until(t)) }
