package upkeep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"serin/internal/clock"
	"serin/internal/rollout"
	"serin/internal/store"
	"serin/internal/store/sqlite"
	"serin/internal/telemetry"
)

var noon = time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC)

// rig is a Keeper on a real store.
type rig struct {
	*Keeper
	db    *sqlite.Store
	clock *clock.Manual
	log   *bytes.Buffer
	left  int64
	reg   *prometheus.Registry
}

func newRig(t *testing.T, p Policy) *rig {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "serin.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	r := &rig{db: db, clock: clock.NewManual(noon), log: &bytes.Buffer{}, left: 1 << 40, reg: prometheus.NewRegistry()}
	r.Keeper = New(Options{Store: db, Clock: r.clock, Policy: p, Left: func() (int64, error) { return r.left, nil },
		Logger: slog.New(slog.NewTextHandler(r.log, nil)), Registry: r.reg})
	return r
}

// fill stores a rollout of a status with an input, n samples and n cells of 1 KB each.
func (r *rig) fill(t *testing.T, id string, status rollout.Status, n int) {
	t.Helper()
	st := rollout.State{ID: id, Status: status, Pos: 1, At: r.clock.Now()}
	if err := r.db.Commit(t.Context(), store.Commit{State: st, Events: []rollout.Event{{Pos: 1}}, Input: []byte("i")}); err != nil {
		t.Fatal(err)
	}
	b := store.Batch{Users: []store.UserRow{{Rollout: id, User: "u"}}}
	for i := range n {
		b.Cells = append(b.Cells, store.Cell{Rollout: id, Metric: "m", Minute: int64(i), Data: make([]byte, 1024)})
		b.Samples = append(b.Samples, store.Sample{Issue: id, Event: telemetry.Event{ID: fmt.Sprintf("%s-%d", id, i), Received: r.clock.Now(), Message: strings.Repeat("x", 1024)}})
	}
	if err := r.db.AppendEvidence(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// has counts what is left of a rollout.
func (r *rig) has(t *testing.T, id string) (cells, samples, journal int) {
	t.Helper()
	if err := r.db.LoadCells(t.Context(), id, 0, func(store.Cell) error { cells++; return nil }); err != nil {
		t.Fatal(err)
	}
	events, err := r.db.Events(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := r.db.Journal(t.Context(), id, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return cells, len(events), len(entries)
}

func (r *rig) look(t *testing.T) Report {
	t.Helper()
	if err := r.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	report, err := r.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestAges: each class goes when its own time has come, and nothing of a
// rollout that runs but its samples.
func TestAges(t *testing.T) {
	day := 24 * time.Hour
	r := newRig(t, Policy{Ages: Ages{Evidence: 10 * day, Inputs: 20 * day, Samples: 5 * day, Audit: 30 * day}})
	r.fill(t, "over-1", rollout.Done, 10)
	r.fill(t, "on-1", rollout.Running, 10)
	if err := r.db.PutAudit(t.Context(), store.AuditEntry{At: noon, Who: "Anna", Verb: "start", Target: "rollout on-1"}); err != nil {
		t.Fatal(err)
	}
	type left struct{ Cells, Samples, OnCells, Inputs, Audit int }
	got := map[int]left{}
	for _, days := range []int{0, 6, 11, 21, 31} {
		r.clock.Advance(noon.Add(time.Duration(days) * day).Sub(r.clock.Now()))
		r.look(t)
		var l left
		l.Cells, l.Samples, _ = r.has(t, "over-1")
		l.OnCells, _, _ = r.has(t, "on-1")
		for _, id := range []string{"over-1", "on-1"} {
			if _, err := r.db.Decision(t.Context(), id, 1); err == nil {
				l.Inputs++
			}
		}
		entries, err := r.db.AuditEntries(t.Context(), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		l.Audit = len(entries)
		got[days] = l
	}
	want := map[int]left{0: {10, 10, 10, 2, 1}, 6: {10, 0, 10, 2, 1}, 11: {0, 0, 10, 2, 1}, 21: {0, 0, 10, 1, 1}, 31: {0, 0, 10, 1, 0}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("left after days (-want +got)\n%s", d)
	}
}

// TestBudget sheds samples, then evidence of what is over, the oldest first,
// and stops there; it says what it did.
func TestBudget(t *testing.T) {
	r := newRig(t, Policy{})
	r.rows = 200
	r.fill(t, "first-1", rollout.Done, 300)
	r.clock.Advance(time.Hour)
	r.fill(t, "second-1", rollout.Cancelled, 300)
	r.fill(t, "on-1", rollout.Running, 300)
	full := r.look(t)
	if full.Level != OK || len(full.Shed) != 0 {
		t.Fatalf("without a budget: %+v", full)
	}

	// A little over: samples are enough.
	r.SetPolicy(Policy{Room: Room{Budget: full.Used - 1, Warn: full.Used / 2}})
	report := r.look(t)
	if report.Used >= full.Used || report.Level != Warning || len(report.Shed) != 1 || report.Shed[0].Samples == 0 || report.Shed[0].Evidence != 0 || report.Shed[0].Bytes <= 0 {
		t.Errorf("a little over: %+v", report)
	}
	if cells, samples, _ := r.has(t, "first-1"); cells != 300 || samples == 300 {
		t.Errorf("first-1 has %d cells, %d samples", cells, samples)
	}
	if _, samples, _ := r.has(t, "on-1"); samples != 300 {
		t.Errorf("the newest samples went first: %d left", samples)
	}

	// So little that the evidence of the first rollout has to go.
	r.SetPolicy(Policy{Room: Room{Budget: full.Log + (full.Used-full.Log)*45/100}})
	report = r.look(t)
	if len(report.Shed) != 2 || report.Shed[0].Evidence == 0 || report.Shed[0].Rollouts[0] != "first-1" {
		t.Errorf("far over: %+v", report.Shed)
	}

	// Nothing is enough: what must stay stays, and it is said.
	r.SetPolicy(Policy{Room: Room{Budget: 1}})
	report = r.look(t)
	if report.Level != Over || !strings.Contains(report.Warnings[0].Text, "raise the budget") {
		t.Errorf("a budget of nothing: %+v", report)
	}
	for _, id := range []string{"first-1", "second-1", "on-1"} {
		cells, samples, journal := r.has(t, id)
		if want := map[string]int{"on-1": 300}[id]; cells != want || samples != 0 || journal != 1 {
			t.Errorf("%s has %d cells (want %d), %d samples, %d journal entries", id, cells, want, samples, journal)
		}
	}
	sheddings := len(report.Shed)
	if again := r.look(t); len(again.Shed) != sheddings {
		t.Errorf("nothing was left to shed, and an entry was made: %+v", again.Shed)
	}
	if got := testValue(t, r.reg, "serin_store_removed_rows_total"); got != 900+600+2 {
		t.Errorf("%v rows counted", got)
	}
}

// TestWarnsOnce: one line when it begins, one when it ends.
func TestWarnsOnce(t *testing.T) {
	r := newRig(t, Policy{Room: Room{Floor: 1000}})
	for _, left := range []int64{5000, 999, 998, 997, 1000, 5000} {
		r.left = left
		report := r.look(t)
		if warned := len(report.Warnings) == 1 && report.Warnings[0].Kind == ShortDisk; warned != (left < 1000) {
			t.Errorf("%d bytes left: %v", left, report.Warnings)
		}
	}
	if n := strings.Count(r.log.String(), "short of room"); n != 1 {
		t.Errorf("warned %d times:\n%s", n, r.log)
	}
	if n := strings.Count(r.log.String(), "room again"); n != 1 {
		t.Errorf("told %d times that it is over:\n%s", n, r.log)
	}
	if got := testValue(t, r.reg, "serin_disk_free_bytes"); got != 5000 {
		t.Errorf("serin_disk_free_bytes = %v", got)
	}
}

// TestRun looks at each minute until it is told to end.
func TestRun(t *testing.T) {
	hours := make(chan struct{}, 10)
	r := newRig(t, Policy{})
	r.o.Hourly = func() { hours <- struct{}{} }
	driven := clock.NewDriven(noon)
	r.o.Clock = driven
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	for range 122 {
		if err := driven.AwaitArmed(ctx, 1); err != nil {
			t.Fatal(err)
		}
		driven.Advance(driven.Now().Add(look))
	}
	if err := driven.AwaitArmed(ctx, 1); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-ended; err != nil || len(hours) != 3 {
		t.Errorf("ended with %v after %d prunings, want 3", err, len(hours))
	}
}

// TestFaults: what cannot be measured or written is an error, not a zero.
func TestFaults(t *testing.T) {
	r := newRig(t, Policy{Room: Room{Budget: 1}})
	r.o.Left = func() (int64, error) { return 0, errors.New("no such mount") }
	if _, err := r.Report(t.Context()); err == nil || !strings.Contains(err.Error(), "no such mount") {
		t.Errorf("Report: %v", err)
	}
	if err := r.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Look(t.Context()); err == nil {
		t.Error("a closed store is no error")
	}
}

func TestBytes(t *testing.T) {
	want := map[int64]string{0: "0 B", 999: "999 B", 1000: "1.00 KB", 12_345: "12.3 KB", 999_499: "999 KB", 999_700: "1.00 MB", 10e9: "10.0 GB", 256 << 20: "268 MB"}
	got := map[int64]string{}
	for n := range want {
		got[n] = Bytes(n)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// testValue sums the series of a metric.
func testValue(t *testing.T, reg *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
