package alerting_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/alert"
	"serin/internal/alerting"
	"serin/internal/clock"
	"serin/internal/evidence"
	"serin/internal/store"
	"serin/internal/store/memory"
	"serin/internal/telemetry"
)

var monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// rig is an engine over real evidence and the store in memory.
type rig struct {
	t        *testing.T
	clock    *clock.Manual
	store    *memory.Store
	evidence *evidence.Engine
	alerts   *alerting.Engine
	rollouts []alerting.Rollout
	arrived  map[string]bool
	opened   *opened
	under    func(name string) []alerting.Named
	heard    func(ctx context.Context, counts []alert.Count, told ...string) error
	n        int
	stop     func()
}

// opened remembers what it was told, and fails while broken.
type opened struct {
	broken  bool
	changes []alert.Change
}

func (o *opened) AlertChanged(_ context.Context, c alert.Change) error {
	if o.broken {
		return errors.New("broken")
	}
	o.changes = append(o.changes, c)
	return nil
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, clock: clock.NewManual(monday), store: memory.New(), opened: &opened{}}
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

// start begins anew on what is stored, as after a restart.
func (r *rig) start() {
	r.t.Helper()
	r.arrived = map[string]bool{}
	r.evidence = evidence.New(evidence.Options{Store: r.store, Clock: r.clock})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.evidence.Run(ctx) }()
	r.stop = func() { cancel(); <-done }
	var err error
	r.alerts, err = alerting.New(r.t.Context(), alerting.Options{Store: r.store, Evidence: r.evidence, Clock: r.clock, Key: evidence.AlertKey,
		Keep: evidence.KeptAlertCounts, Rollouts: func() []alerting.Rollout { return r.rollouts }, Opened: r.opened, Under: r.named, Heard: r.count, BaseURL: "https://serin.example"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.evidence.OnArrival(func(id string) { r.arrived[id] = true }) // by the one committer, before Accept's caller goes on to read it
}

func (r *rig) named(name string) []alerting.Named {
	if r.under == nil {
		return nil
	}
	return r.under(name)
}

func (r *rig) count(ctx context.Context, counts []alert.Count, told ...string) error {
	if r.heard == nil {
		return r.evidence.AlertsHeard(ctx, counts, told...)
	}
	return r.heard(ctx, counts, told...)
}

// waiting are the notices in the outbox, oldest first.
func (r *rig) waiting() []store.Outgoing {
	r.t.Helper()
	found, err := r.store.Due(r.t.Context(), r.clock.Now(), 0)
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

func (r *rig) restart() {
	r.stop()
	r.start()
}

func (r *rig) put(rule alert.Rule) alerting.View {
	r.t.Helper()
	v, err := r.alerts.Put(r.t.Context(), rule, store.AuditEntry{Who: "anna", Via: "api"})
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

// send makes n error events of an environment durable, and looks at what they touched.
func (r *rig) send(n int, environment string) {
	r.t.Helper()
	var events []telemetry.Event
	for range n {
		r.n++
		events = append(events, telemetry.Event{Kind: telemetry.KindError, Project: "1", ID: fmt.Sprintf("e%d", r.n), Received: r.clock.Now(), Time: r.clock.Now(),
			Level: "error", Title: "TypeError", Environment: environment, User: fmt.Sprintf("u%d", r.n%3), Tags: map[string]string{"feature": "checkout"}})
	}
	if err := r.evidence.Accept(r.t.Context(), events); err != nil {
		r.t.Fatal(err)
	}
	r.alerts.Round(r.t.Context(), map[string]bool{r.key(): true})
}

// key is the source of the rule "errors" of rule().
func (r *rig) key() string {
	v, err := r.alerts.Get("errors")
	if err != nil {
		return ""
	}
	return evidence.AlertKey(v.Rule)
}

// wait lets time pass with a look each minute.
func (r *rig) wait(d time.Duration) {
	for range int(d / time.Minute) {
		r.clock.Advance(time.Minute)
		r.alerts.Round(r.t.Context(), nil)
	}
}

func (r *rig) phase() alert.Phase {
	r.t.Helper()
	v, err := r.alerts.Get("errors")
	if err != nil {
		r.t.Fatal(err)
	}
	return v.Phase
}

// notices are the titles in the outbox, oldest first.
func (r *rig) notices() (out []string) {
	r.t.Helper()
	all, err := r.store.Notices(r.t.Context(), "", 0)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range all {
		out = append(out, all[len(all)-1-i].Title)
	}
	return out
}

// deliver accepts every notice.
func (r *rig) deliver() {
	r.t.Helper()
	all, err := r.store.Notices(r.t.Context(), "", 0)
	for _, n := range all {
		err = errors.Join(err, r.store.Delivered(r.t.Context(), n.ID, r.clock.Now()))
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func rule() alert.Rule {
	return alert.Rule{ID: "errors", Name: "Errors of the checkout", Query: "tags[feature]:checkout level:[error, fatal]", Limit: 5,
		Notify: []alert.Channel{{Address: "slack:#team"}}}
}

// keepAlive sends signs of life, so that silence is no matter of these tests.
func (r *rig) keepAlive() {
	r.n++
	_ = r.evidence.Accept(r.t.Context(), []telemetry.Event{{Kind: telemetry.KindCheckIn, Project: "1", Received: r.clock.Now(), Time: r.clock.Now()}})
}

func TestSixthEventFires(t *testing.T) {
	r := newRig(t)
	r.put(rule())
	r.send(5, "production")
	if got := r.phase(); got != alert.OK {
		t.Fatalf("five events: %s, want ok", got)
	}
	r.send(1, "production")
	if got := r.phase(); got != alert.Firing {
		t.Fatalf("the sixth event: %s, want firing", got)
	}
	want := []string{"P2 firing: Errors of the checkout"}
	if diff := cmp.Diff(want, r.notices()); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
	if len(r.opened.changes) != 1 || r.opened.changes[0].Kind != alert.Fired || r.opened.changes[0].Incident != 1 || *r.opened.changes[0].Value != 6 {
		t.Errorf("told %+v", r.opened.changes)
	}
	r.deliver()
	for range 21 {
		r.wait(time.Minute)
		r.keepAlive()
	}
	if got := r.phase(); got != alert.Resolved {
		t.Fatalf("after 21 minutes: %s, want resolved", got)
	}
	want = append(want, "Resolved: Errors of the checkout")
	if diff := cmp.Diff(want, r.notices()); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

// TestRestart: windows and states are read back; nothing fires or is told twice.
func TestRestart(t *testing.T) {
	r := newRig(t)
	r.put(rule())
	r.send(4, "production")
	r.restart()
	r.send(2, "production")
	if got := r.phase(); got != alert.Firing {
		t.Fatalf("four events before a restart and two after: %s, want firing", got)
	}
	r.wait(time.Minute) // what was told is noted with the next look: a crash before it tells again
	r.restart()
	r.wait(time.Minute)
	r.send(3, "production")
	if got := r.phase(); got != alert.Firing {
		t.Errorf("after the restart: %s, want firing", got)
	}
	if got := r.notices(); len(got) != 1 {
		t.Errorf("notices %q, want one", got)
	}
	if got := len(r.opened.changes); got != 1 {
		t.Errorf("%d changes told, want one", got)
	}
}

func TestGroupsFireForThemselves(t *testing.T) {
	r := newRig(t)
	one := rule()
	one.By, one.Limit = []string{"environment"}, 1
	r.put(one)
	r.send(2, "production")
	r.send(1, "staging")
	v, err := r.alerts.Get("errors")
	if err != nil || len(v.Groups) != 1 || v.Groups[0].Labels.String() != "environment=production" {
		t.Fatalf("groups %+v, %v", v.Groups, err)
	}
	if got := r.notices(); len(got) != 0 {
		t.Errorf("notices %q before the group wait is over", got)
	}
	r.send(1, "staging")
	r.wait(time.Minute)
	if got := r.notices(); len(got) != 1 {
		t.Errorf("notices %q, want one for both groups", got)
	}
	v, _ = r.alerts.Get("errors")
	if len(v.Groups) != 2 {
		t.Errorf("%d groups, want 2", len(v.Groups))
	}
}

func TestCommands(t *testing.T) {
	r := newRig(t)
	ctx, by := t.Context(), store.AuditEntry{Who: "anna", Via: "cli", Reason: "looking"}
	r.put(rule())
	if _, err := r.alerts.Ack(ctx, "errors", nil, by); !errors.Is(err, alert.ErrNotFiring) {
		t.Errorf("acknowledge what does not fire: %v", err)
	}
	if _, err := r.alerts.Silence(ctx, "errors", nil, r.clock.Now().Add(10*time.Minute), by); err != nil {
		t.Fatal(err)
	}
	r.send(6, "production")
	if got := r.notices(); len(got) != 0 {
		t.Errorf("notices %q during a silence", got)
	}
	if _, err := r.alerts.Unsilence(ctx, "errors", nil, by); err != nil {
		t.Fatal(err)
	}
	if got := r.notices(); len(got) != 1 {
		t.Errorf("notices %q after the silence, want one", got)
	}
	if v, err := r.alerts.Ack(ctx, "errors", nil, by); err != nil || v.Groups[0].AckedBy != "anna" {
		t.Errorf("acknowledged: %+v, %v", v.Groups, err)
	}
	if _, err := r.alerts.Ack(ctx, "errors", nil, store.AuditEntry{Who: "ben"}); err != nil {
		t.Errorf("acknowledge again: %v", err)
	}
	if got := r.notices(); len(got) != 2 || got[1] != "Acknowledged: Errors of the checkout" {
		t.Errorf("notices %q after two acknowledgements, want one that tells of the first", got)
	}
	if n := r.waiting()[1]; n.Type != "alert.acked" || n.Thread != r.waiting()[0].ID || n.Text != "By anna. It still fires." || len(n.Actions) > 0 {
		t.Errorf("the notice of the acknowledgement: %+v", n)
	}
	if err := r.alerts.Delete(ctx, "errors", by); err != nil {
		t.Fatal(err)
	}
	if _, err := r.alerts.Get("errors"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a deleted rule: %v", err)
	}
	last := r.opened.changes[len(r.opened.changes)-1]
	if last.Kind != alert.Ended {
		t.Errorf("the last change told is %s, want that it resolved", last.Kind)
	}
	audit, err := r.store.AuditEntries(ctx, "alert errors", 0)
	if err != nil || len(audit) != 6 {
		t.Errorf("%d audit entries, want 6: put, silence, end, acknowledge twice, delete (%v)", len(audit), err)
	}
	r.restart()
	if got := r.alerts.List(func(string) bool { return true }); len(got) != 0 {
		t.Errorf("after a restart there is %+v", got)
	}
}

func TestWhyAndBacktest(t *testing.T) {
	r := newRig(t)
	r.put(rule())
	r.send(3, "production")
	why, err := r.alerts.Why(t.Context(), "errors", time.Time{})
	if err != nil || !strings.Contains(strings.Join(why.Lines, "\n"), "count() is 3 over 10m, limit 5") {
		t.Errorf("why it does not fire: %q, %v", why.Lines, err)
	}
	r.clock.Advance(30 * time.Minute)
	r.send(8, "production")
	at := r.clock.Now()
	r.clock.Advance(60 * time.Minute)
	for _, tt := range []struct {
		trial alerting.Trial
		want  int
	}{{alerting.Trial{}, 1}, {trialOf(2), 2}, {trialOf(10), 0}} {
		got, err := r.alerts.Backtest(t.Context(), "errors", 2*time.Hour, tt.trial)
		if err != nil || len(got.Episodes) != tt.want {
			t.Errorf("trial %+v: %+v, %v, want %d episodes", tt.trial, got, err, tt.want)
		}
	}
	past, err := r.alerts.Why(t.Context(), "errors", at.Add(time.Minute))
	if err != nil || len(past.Readings) != 1 || *past.Readings[0].Value != 8 || !past.Readings[0].Holds {
		t.Errorf("why at a past time: %+v, %v", past.Readings, err)
	}
	if _, err := r.alerts.Why(t.Context(), "errors", r.clock.Now().Add(time.Hour)); !errors.Is(err, alert.ErrInvalid) {
		t.Errorf("why in the future: %v", err)
	}
}

func trialOf(limit float64) alerting.Trial { return alerting.Trial{Limit: &limit} }

// TestNoData: silence resolves nothing, and people hear of it once.
func TestNoData(t *testing.T) {
	r := newRig(t)
	r.put(rule())
	r.send(6, "production")
	r.wait(90 * time.Minute)
	if got := r.phase(); got != alert.Firing {
		t.Errorf("in the silence: %s, want firing", got)
	}
	want := []string{"P2 firing: Errors of the checkout", "No data: Errors of the checkout"}
	if diff := cmp.Diff(want, r.notices()); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

// TestOpenedIsToldLater: what could not be told is told at the next look, also
// after a restart.
func TestOpenedIsToldLater(t *testing.T) {
	r := newRig(t)
	r.put(rule())
	r.opened.broken = true
	r.send(6, "production")
	r.restart()
	r.opened.broken = false
	r.wait(time.Minute)
	if len(r.opened.changes) != 1 || r.opened.changes[0].Kind != alert.Fired {
		t.Errorf("told %+v, want that it fired", r.opened.changes)
	}
}
