package evidence

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"serin/internal/clock"
	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/store"
	"serin/internal/store/memory"
	"serin/internal/telemetry"
)

// slowStore takes delay for each append and can fail. Appends are made with a
// lock held, and a lock waited for stops the clock of a synctest bubble: delay is
// for tests in which nobody but the commit asks for that lock.
type slowStore struct {
	*memory.Store
	delay   time.Duration
	appends atomic.Int64
	fail    atomic.Bool
}

func (s *slowStore) AppendEvidence(ctx context.Context, b store.Batch) error {
	s.appends.Add(1)
	time.Sleep(s.delay)
	if s.fail.Load() {
		return store.ErrFull
	}
	return s.Store.AppendEvidence(ctx, b)
}

func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{Store: memory.New(), delay: time.Second}
		e := New(Options{Store: s, Clock: clock.NewManual(t0)})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		var group sync.WaitGroup
		var acknowledged atomic.Int64
		for i := range 100 {
			group.Go(func() {
				ev := telemetry.Event{Kind: telemetry.KindError, Project: "1", ID: fmt.Sprint(i % 60), Message: "m"}
				if err := e.Accept(context.Background(), []telemetry.Event{ev, {Kind: telemetry.KindCheckIn}}); err != nil {
					t.Error(err)
				}
				acknowledged.Add(2)
			})
		}
		group.Wait()
		if n := s.appends.Load(); n > 3 {
			t.Errorf("%d commits for 100 callers at once, want at most 3", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		stored, err := s.Counters(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if stored[countAcknowledged] != acknowledged.Load() || stored[countDuplicate] != 40 || stored[countCounted] != 160 {
			t.Errorf("callers got %d acknowledgements, the store says %v", acknowledged.Load(), stored)
		}
		if err := e.Accept(context.Background(), []telemetry.Event{{Kind: telemetry.KindCheckIn}}); !errors.Is(err, ErrUnavailable) {
			t.Errorf("after the end: got %v, want ErrUnavailable", err)
		}
	})
}

func TestShutdownCommitsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{Store: memory.New(), delay: time.Second}
		e := New(Options{Store: s, Clock: clock.NewManual(t0)})
		ctx, cancel := context.WithCancel(context.Background())
		result := make(chan error, 1)
		go func() {
			result <- e.Accept(context.Background(), []telemetry.Event{{Kind: telemetry.KindError, ID: "1"}})
		}()
		synctest.Wait()
		cancel()
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
		if err := <-result; err != nil {
			t.Errorf("queued before the end: %v", err)
		}
	})
}

func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{Store: memory.New(), Clock: clock.NewManual(t0), Limits: Limits{Queue: 4}})
		ctx, cancel := context.WithCancel(context.Background())
		go e.Accept(ctx, make([]telemetry.Event, 4)) //nolint:errcheck // it waits for ever
		synctest.Wait()
		if err := e.Accept(ctx, []telemetry.Event{{Kind: telemetry.KindSession}, {Kind: telemetry.KindError}}); !errors.Is(err, ErrOverload) {
			t.Errorf("got %v, want ErrOverload", err)
		}
		go e.Accept(ctx, []telemetry.Event{{Kind: telemetry.KindSession}}) //nolint:errcheck // it has room, and waits
		synctest.Wait()
		if err := e.Accept(ctx, []telemetry.Event{{Kind: telemetry.KindSession}}); !errors.Is(err, ErrOverload) {
			t.Errorf("beyond the reserve: got %v, want ErrOverload", err)
		}
		if n := e.Counters()[countRefused]; n != 3 {
			t.Errorf("refused: %d, want 3", n)
		}
		cancel()
		synctest.Wait()
	})
}

func TestFailedCommitLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{Store: memory.New()}
		g := &rig{t: t, clock: clock.NewManual(t0), store: s}
		p := testPlan()
		g.target = Target{Rollout: "demo-1", Plan: p, Split: p.Split(50_000), Attempt: 1, Active: true,
			Intervals: []Interval{{Attempt: 1, Odds: 1, From: t0}}}
		g.start()
		var arrivals atomic.Int64
		g.e.OnArrival(func(string) { arrivals.Add(1) })
		n := g.userOf(telemetry.New, 0)
		g.send(g.failure(n, "error"))
		lost := g.failure(n, "error")
		lost.Received = t0
		s.fail.Store(true)
		err := g.e.Accept(context.Background(), []telemetry.Event{lost})
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, store.ErrFull) {
			t.Errorf("got %v, want ErrUnavailable that wraps ErrFull", err)
		}
		if _, err := g.e.View("demo-1"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("view after a failure: got %v, want ErrUnavailable", err)
		}
		if c := g.e.Counters(); c[countAcknowledged] != 1 || c[countCounted] != 1 {
			t.Errorf("counters after a failure tell of what is not stored: %v", c)
		}
		s.fail.Store(false)
		g.send(lost) // the client tries again: no duplicate
		if w := g.window("errors", judge.AssignedNew, time.Hour); w.Count != 2 || w.Users != 1 {
			t.Errorf("got %d events of %d users, want 2 of 1", w.Count, w.Users)
		}
		if c := g.e.Counters(); c[countAcknowledged] != 2 || c[countDuplicate] != 0 {
			t.Errorf("counters %v", c)
		}
		synctest.Wait() // who waits for arrivals is told after the sender
		if arrivals.Load() != 2 {
			t.Errorf("%d arrivals, want 2", arrivals.Load())
		}
		g.stop()
	})
}

// TestFailedCommitKeepsMembers: a membership learned from an evaluation
// outlives a commit that failed and the reading back that follows.
func TestFailedCommitKeepsMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{Store: memory.New()}
		g := &rig{t: t, clock: clock.NewManual(t0), store: s}
		p := testPlan()
		p.Flag.Audience = flag.Condition{Terms: []flag.Term{{Attribute: "role", Values: []string{"admin"}}}}
		g.target = Target{Rollout: "demo-1", Plan: p, Split: p.Split(50_000), Attempt: 1, Active: true,
			Intervals: []Interval{{Attempt: 1, Odds: 1, From: t0}}}
		g.start()
		n := g.userOf(telemetry.New, 0)
		s.fail.Store(true)
		g.e.Evaluated(context.Background(), "f", flag.Context{"targetingKey": n, "role": "admin"}, flag.Evaluation{}, true)
		synctest.Wait()
		s.fail.Store(false)
		for range 2 {
			g.send(g.failure(n, "error"))
			g.restart()
		}
		if w := g.window("errors", judge.AssignedNew, time.Hour); w.Count != 2 {
			t.Errorf("%d events of the member, want 2", w.Count)
		}
		g.stop()
	})
}

// TestRefusedIsLost: events turned away make the data incomplete.
func TestRefusedIsLost(t *testing.T) {
	g := newRig(t, nil)
	g.send(g.failure(g.userOf(telemetry.New, 0), "error"))
	g.e.queue.giveBack(nil, 3)
	g.send(telemetry.Event{Kind: telemetry.KindCheckIn})
	if d := g.view().Data(); !d.Incomplete || g.e.Counters()[countRefused] != 3 {
		t.Errorf("after a refusal: %+v, counters %v", d, g.e.Counters())
	}
}
