package controller_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"serin/internal/clock"
	"serin/internal/controller"
	"serin/internal/evidence"
	"serin/internal/flag"
	"serin/internal/hub"
	"serin/internal/judge"
	"serin/internal/notify"
	"serin/internal/rollout"
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
	store  *memory.Store
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

	pool    *judge.Source // what a double of Prometheus says of the metric pool; nil = nothing
	silent  bool          // nothing is sent
	office  bool          // users come from 08:00 to 18:00 only; a check-in every 5 min
	checkIn bool          // whether the check-ins of office are sent
	slower  float64       // factor on the LCP of users on new
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
	r := &rig{T: t, store: memory.New(), team: &receiver{}, slower: 1, checkIn: true, minute: -minutes}
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

// watcher gives the evidence engine to the controller, as the server does.
type watcher struct {
	*evidence.Engine
	pool **judge.Source
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
	ev, err := w.Engine.View(id)
	if err == nil && *w.pool != nil {
		ev = pooled{ev, **w.pool}
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
	r.c, err = controller.New(ctx, controller.Options{
		Store: r.store, Evidence: watcher{r.engine, &r.pool}, Publisher: r.hub, Feed: hub.NewFeed(0, 0), Clock: clk, Fault: r.fault,
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
	if r.silent {
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

// exposure checks the share on new of 1,000 evaluations, of users who are not
// those of the telemetry: ±2.5 points, exact at 0 and 100 %.
func (r *rig) exposure(percent float64) {
	r.Helper()
	var got float64
	for n := range 1000 {
		if r.evaluate(fmt.Sprintf("visitor-%d", n)) == "new" {
			got += 0.1
		}
	}
	got = math.Round(got*10) / 10
	tolerance := 2.5
	if percent == 0 || percent == 100 {
		tolerance = 0
	}
	if math.Abs(got-percent) > tolerance {
		r.Errorf("%s: exposure is %.1f %%, want %v %%", r.now(), got, percent)
	}
}

// now is the time since T as "2:30".
func (r *rig) now() string { return sinceBegin(time.Now()) }

func sinceBegin(t time.Time) string {
	d := t.Sub(rigBegin)
	return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

// option changes a command.
type option func(*rollout.Command)

func reason(text string) option  { return func(c *rollout.Command) { c.Reason = text } }
func cause(text string) option   { return func(c *rollout.Command) { c.Cause = text } }
func to(stage string) option     { return func(c *rollout.Command) { c.To = stage } }
func commandID(id string) option { return func(c *rollout.Command) { c.ID = id } }
func item(text string) option    { return func(c *rollout.Command) { c.Item = text } }
func release(v, commit string) option {
	return func(c *rollout.Command) { c.Release, c.Commit = v, commit }
}
func percent(p flag.Percent) option { return func(c *rollout.Command) { c.Percent = p } }
func hotfix(c *rollout.Command)     { c.Hotfix = true }

// as gives a command in a role, with the last version seen.
func (r *rig) as(role string, verb rollout.Verb, options ...option) (controller.Result, error) {
	r.Helper()
	v := r.view()
	cmd := rollout.Command{Verb: verb, Via: "api", Version: v.Version}
	for _, o := range options {
		o(&cmd)
	}
	if err := r.c.Authorize(r.Context(), "rig", controller.Actor{Name: role, Role: role}, &cmd); err != nil {
		return controller.Result{}, err
	}
	res, err := r.c.Do(r.Context(), "rig", cmd)
	synctest.Wait()
	return res, err
}

// lead gives a command that must be done.
func (r *rig) lead(verb rollout.Verb, options ...option) controller.Result {
	r.Helper()
	res, err := r.as("lead", verb, options...)
	if err != nil {
		r.Errorf("%s: lead: %s: %v", r.now(), verb, err)
	}
	return res
}

// refused gives a command that must be refused with an HTTP status, for a
// reason that contains why.
func (r *rig) refused(status int, why string, role string, verb rollout.Verb, options ...option) {
	r.Helper()
	_, err := r.as(role, verb, options...)
	if got := statusOf(err); got != status {
		r.Errorf("%s: %s: %s: got %d (%v), want %d", r.now(), role, verb, got, err, status)
	} else if !strings.Contains(err.Error(), why) {
		r.Errorf("%s: %s: %s: refused because %q, want it to say %q", r.now(), role, verb, err, why)
	}
}

// statusOf is the HTTP status that an error of a command becomes.
func statusOf(err error) int {
	refusal, ok := rollout.AsRefusal(err)
	switch {
	case err == nil:
		return 200
	case !ok:
		return 500
	case refusal.Kind == rollout.Forbidden:
		return 403
	case refusal.Kind == rollout.Missing:
		return 422
	}
	return 409
}

// revise puts a changed plan in force.
func (r *rig) revise(edits ...string) {
	r.Helper()
	source := edited(r.T, r.source, edits...)
	cmd := rollout.Command{Verb: rollout.Revise, Via: "api", Version: r.view().Version}
	err := r.c.Authorize(r.Context(), "rig", controller.Actor{Name: "lead", Role: "lead"}, &cmd)
	if err == nil {
		_, err = r.c.Revise(r.Context(), "rig", []byte(source), cmd)
	}
	if err != nil {
		r.Errorf("%s: revise: %v", r.now(), err)
		return
	}
	r.source = source
	synctest.Wait()
}

// account compares where the time went; each part may be 5 minutes off.
func (r *rig) account(want map[string]time.Duration) {
	r.Helper()
	s := r.view().State
	var sum time.Duration
	for k, d := range s.Account {
		sum += d
		if _, ok := want[k]; !ok && d > slack {
			r.Errorf("account: %v of %s, want none", d, k)
		}
	}
	for k, d := range want {
		if got := s.Account[k]; (got - d).Abs() > slack {
			r.Errorf("account: %v of %s, want %v", got, k, d)
		}
	}
	if wall := s.At.Sub(s.StartedAt); (wall - sum).Abs() > time.Minute {
		r.Errorf("account: the parts sum to %v, the wall time is %v", sum, wall)
	}
}

// verdict is the newest one of a rule of a list.
func (r *rig) verdict(list []judge.Verdict, rule string) judge.Verdict {
	r.Helper()
	for _, v := range list {
		if v.Rule == rule {
			return v
		}
	}
	r.Errorf("%s: no verdict of %q", r.now(), rule)
	return judge.Verdict{}
}

func (r *rig) view() controller.View {
	r.Helper()
	v, err := r.c.View(r.Context(), "rig")
	if err != nil {
		r.Fatal(err)
	}
	return v
}

// waiting checks the main reason for which the rollout stands still.
func (r *rig) waiting(want string) {
	r.Helper()
	v := r.view()
	if len(v.Waiting) == 0 {
		r.Errorf("%s: %s waits for nothing, want %q", r.now(), v.State.Status, want)
	} else if got := v.Waiting[0].Text; !strings.HasPrefix(got, want) {
		r.Errorf("%s: waiting[0] = %q, want %q", r.now(), got, want)
	}
}

// journal is the rollout's whole journal.
func (r *rig) journal() []rollout.Event {
	r.Helper()
	events, err := r.store.Journal(context.Background(), "rig-1", 0, 0)
	if err != nil {
		r.Fatal(err)
	}
	return events
}

// of are the events of a type.
func (r *rig) of(t rollout.Type) (out []rollout.Event) {
	for _, e := range r.journal() {
		if e.Type == t {
			out = append(out, e)
		}
	}
	return out
}

// words puts an event into one line, without its time.
func words(e rollout.Event) string {
	out := []string{string(e.Type)}
	add := func(s ...string) { out = append(out, s...) }
	switch e.Type {
	case rollout.Started, rollout.Advanced:
		add(e.To)
	case rollout.Restarted:
		add(e.To, fmt.Sprintf("attempt %d", e.Attempt))
	case rollout.RolledBackEvent:
		add(e.Rule)
	case rollout.ReducedEvent:
		add(e.Exposure.String(), e.Kind)
	case rollout.NoData:
		add(map[bool]string{true: "paged"}[e.Paged])
	case rollout.BlindEvent:
		add(e.Item, map[bool]string{true: "paged"}[e.Paged])
	case rollout.Asked:
		add(strings.Join(e.Red, ", "), map[int]string{2: "again"}[e.N])
	case rollout.DataQuality:
		add(e.Kind, e.To)
	}
	if e.Overridden {
		add("overridden")
	}
	if e.By != "" && e.Type != rollout.Started {
		add("by " + e.By)
	}
	return strings.Join(strings.Fields(strings.Join(out, " ")), " ")
}

// slack is how far an event may be from the time given for it.
const slack = 5 * time.Minute

// events compares the journal, without what only counts time, with lines such
// as "2:00 advanced r25" and "2:10-2:30 rolled_back"; times are ±5 min.
func (r *rig) events(want string) {
	r.Helper()
	var got []rollout.Event
	for _, e := range r.journal() {
		switch e.Type {
		case rollout.Created, rollout.Baked, rollout.Checked:
		default:
			got = append(got, e)
		}
	}
	var problems []string
	lines := nonEmpty(want)
	for i := range max(len(got), len(lines)) {
		switch {
		case i >= len(got):
			problems = append(problems, "missing: "+lines[i])
		case i >= len(lines):
			problems = append(problems, "unexpected: "+sinceBegin(got[i].At)+" "+words(got[i]))
		default:
			span, rest, _ := strings.Cut(lines[i], " ")
			from, end, ranged := strings.Cut(span, "-")
			if !ranged {
				end = from
			}
			first, last := clockTime(from), clockTime(end)
			if !ranged {
				first, last = first.Add(-slack), last.Add(slack)
			}
			if words(got[i]) != strings.TrimSpace(rest) || got[i].At.Before(first) || got[i].At.After(last.Add(time.Minute)) {
				problems = append(problems, fmt.Sprintf("got %s %s, want %s", sinceBegin(got[i].At), words(got[i]), lines[i]))
			}
		}
	}
	if len(problems) > 0 {
		r.Errorf("journal at %s:\n  %s", r.now(), strings.Join(problems, "\n  "))
	}
}

// notices compares the titles of the messages that the team accepted.
func (r *rig) notices(want string) {
	r.Helper()
	var got []string
	for _, n := range r.team.messages() {
		got = append(got, n.Title)
	}
	lines := nonEmpty(want)
	same := len(got) == len(lines)
	for i := 0; same && i < len(lines); i++ {
		same = strings.HasPrefix(got[i], lines[i])
	}
	if !same {
		r.Errorf("%s: the team accepted\n  %s\nwant\n  %s", r.now(), strings.Join(got, "\n  "), strings.Join(lines, "\n  "))
	}
}

func nonEmpty(text string) (out []string) {
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// receiver is a service that takes notices. It refuses each new one `fails`
// times, for a moment.
type receiver struct {
	mu       sync.Mutex // guards the fields below
	fails    int
	tries    map[string]int
	asked    []string // ids, in the order of the requests
	accepted []notify.Notice
	onAccept func(notify.Notice)
}

func (d *receiver) Deliver(_ context.Context, n notify.Notice) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tries == nil {
		d.tries = map[string]int{}
	}
	d.asked = append(d.asked, n.ID)
	if d.tries[n.ID]++; d.tries[n.ID] <= d.fails {
		return &notify.RetryError{Err: errors.New("500 Internal Server Error")}
	}
	d.accepted = append(d.accepted, n)
	if d.onAccept != nil {
		d.onAccept(n)
	}
	return nil
}

func (d *receiver) messages() []notify.Notice {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]notify.Notice(nil), d.accepted...)
}
