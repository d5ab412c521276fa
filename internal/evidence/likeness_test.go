package evidence

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/clock"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// TestLikenessOfShares: how alike the trials of a user are is known over the whole
// attempt, as the blocks that it deflates are: it stays at a raise, when nothing new
// has happened, and after a restart.
func TestLikenessOfShares(t *testing.T) {
	g := newRig(t, nil)
	for i := range 100 {
		for range 4 {
			g.send(g.page(fmt.Sprint("u", i), 1000))
		}
	}
	for i := range 4 {
		for range 20 {
			g.send(g.failure(g.userOf(telemetry.New, i), "error"))
		}
	}
	for i := range 2 {
		for range 10 {
			g.send(g.failure(g.userOf(telemetry.Old, i), "error"))
		}
	}
	g.clock.Advance(10 * time.Minute)
	phi := func() float64 { return g.view().Tests("error_rate").Phi }
	first := phi()
	// 80 + 20 errors of six users, all others have none: about Σx²/Σx = 18, less as
	// errors are more than a tenth of the trials.
	if first < 10 || first > 18 {
		t.Errorf("phi %g, want 10 to 18", first)
	}
	g.target.Split = g.target.Plan.Split(75_000)
	g.target.Stage = 1
	g.target.Intervals = append(g.target.Intervals, Interval{Attempt: 1, Stage: 1, Odds: 3, From: g.clock.Now()})
	g.watch()
	if got := phi(); got != first {
		t.Errorf("after a raise phi %g, before %g", got, first)
	}
	g.send(g.page("u1", 1000))
	more := phi()
	g.clock.Advance(time.Minute)
	g.restart()
	if got := phi(); math.Abs(got-more) > 1e-9 {
		t.Errorf("after a restart phi %g, before %g", got, more)
	}
}

// bursts is a rig in which one user of the new variant has nearly all errors.
func bursts(t *testing.T) (g *rig, user string, phi func(e *Engine) float64) {
	g = newRig(t, nil)
	for i := range 100 {
		for range 4 {
			g.send(g.page(fmt.Sprint("u", i), 1000))
		}
	}
	g.clock.Advance(time.Minute)
	user = g.userOf(telemetry.New, 0)
	for range 40 {
		g.send(g.failure(user, "error"))
	}
	return g, user, func(e *Engine) float64 {
		t.Helper()
		v, err := e.View("demo-1")
		if err != nil {
			t.Fatal(err)
		}
		return v.Tests("error_rate").Phi
	}
}

// TestLikenessSurvives what comes in the middle of a minute: a revision, and a crash
// after which only what was acknowledged is there; and that the user is forgotten.
func TestLikenessSurvives(t *testing.T) {
	g, user, phi := bursts(t)
	before := phi(g.e)
	if before < 20 {
		t.Fatalf("phi %g of a burst of 40", before)
	}
	near := func(what string, got float64) {
		t.Helper()
		if got < 0.9*before || got > 1.1*before {
			t.Errorf("%s: phi %g, before %g", what, got, before)
		}
	}
	crashed := New(Options{Store: g.store, Clock: clock.NewManual(g.clock.Now()), Subjects: g.names})
	if err := crashed.Watch(g.target); err != nil {
		t.Fatal(err)
	}
	near("after a crash", phi(crashed))
	revised := *g.target.Plan
	revised.Hash = "revised"
	g.target.Plan = &revised
	g.watch()
	near("after a revision", phi(g.e))
	if _, err := g.e.ForgetUser(context.Background(), "1", user, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	near("with the user forgotten", phi(g.e))
	if text := g.stored(); !strings.Contains(text, namelessMark) || strings.Contains(text, `"`+user+`"`) {
		t.Errorf("the user is still stored, or what is kept without a name is not")
	}
	g.clock.Advance(time.Minute)
	g.restart()
	near("after a restart", phi(g.e))
}

// TestRequestsBegin: the first request of all does not take back what was compared by
// page loads before it, neither going on nor after a restart.
func TestRequestsBegin(t *testing.T) {
	g := newRig(t, nil)
	pages := func() {
		for i := range 20 {
			g.send(g.page(fmt.Sprint("u", i), 1000))
		}
		g.send(g.failure(g.userOf(telemetry.New, 0), "error"))
		g.clock.Advance(5 * time.Minute)
	}
	pages()
	pages()
	before := g.view().Tests("error_rate").Blocks
	request := func() {
		g.seq++
		g.send(telemetry.Event{Kind: telemetry.KindRequest, Project: "1", ID: fmt.Sprint("r", g.seq), User: "u1"})
	}
	request()
	pages()
	request()
	g.clock.Advance(10 * time.Minute)
	after := g.view().Tests("error_rate").Blocks
	if len(before) < 2 || len(after) <= len(before) {
		t.Fatalf("%d blocks, then %d", len(before), len(after))
	}
	if diff := cmp.Diff(before, after[:len(before)]); diff != "" {
		t.Errorf("closed blocks have changed:\n%s", diff)
	}
	if last := after[len(after)-1]; last.New+last.Old != 1 {
		t.Errorf("the last block is %+v, want the one request", last)
	}
	g.restart()
	if diff := cmp.Diff(after, g.view().Tests("error_rate").Blocks); diff != "" {
		t.Errorf("after a restart:\n%s", diff)
	}
}

// TestLikenessOfStarts: a burst after a raise is as much alike as it is, however many
// users had one error each before; a restart finds the same.
func TestLikenessOfStarts(t *testing.T) {
	g := newRig(t, nil)
	for i := range 400 {
		g.send(g.page(fmt.Sprint("u", i), 1000), g.page(fmt.Sprint("u", i), 1000))
		if i%2 == 0 {
			g.send(g.failure(fmt.Sprint("u", i), "error"))
		}
	}
	g.clock.Advance(10 * time.Minute)
	g.target.Split, g.target.Stage = g.target.Plan.Split(75_000), 1
	g.target.Intervals = append(g.target.Intervals, Interval{Attempt: 1, Stage: 1, Odds: 3, From: g.clock.Now()})
	g.watch()
	for i := range 400 {
		g.send(g.page(fmt.Sprint("u", i), 1000))
	}
	for range 60 {
		g.send(g.failure(g.userOf(telemetry.New, 3), "error"))
	}
	first := g.view().Tests("error_rate")
	if len(first.PhiSince) != 2 || first.PhiSince[1] < 1.5*first.PhiSince[0] || first.PhiSince[0] != first.Phi {
		t.Fatalf("phi %g, since the starts %v", first.Phi, first.PhiSince)
	}
	g.clock.Advance(time.Minute)
	g.restart()
	again := g.view().Tests("error_rate")
	for i, want := range first.PhiSince {
		if math.Abs(again.PhiSince[i]-want) > 1e-9 {
			t.Errorf("after a restart %v, before %v", again.PhiSince, first.PhiSince)
		}
	}
}
