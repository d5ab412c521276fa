//go:build rig

package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"serin/internal/clock"
	"serin/internal/evidence"
	"serin/internal/store"
)

// This file is in no released binary: it needs the build tag rig. A server
// built so runs on a clock that a test drives, and can end at a crash point:
//
//	SERIN_RIG_NOW     what the clock reads at the start, RFC 3339; required
//	SERIN_RIG_LISTEN  loopback address of the rig's own listener; default
//	                  127.0.0.1:0, its address is printed as "rig  http://…"
//	SERIN_FAULT       a point of controller.Options.Fault and its which time,
//	                  such as "after commit#17": there the process kills itself;
//	                  or "answer before commit": telemetry is acknowledged at
//	                  once and stored a tenth of a second later
//
// POST /rig/clock {"to": "2025-03-03T09:00:30Z"} drives the clock there and
// answers {"now": …, "points": {"after commit": 16, …}}, the crash points that
// were passed; {"advance": "1h"} drives by a duration; {} only waits.
// It goes from one timer to the next and lets everything that a timer sets
// off end before it goes on: every loop waits for the clock again, and the
// courier has no notice to try at this time. A notice whose next try lies on
// the way is tried at its time. When the call answers, that holds too. Not
// waited for is what telemetry sets off when it arrives (Controller.Arrived):
// it takes milliseconds of real time.

// rigPatience is how long, in real time, a tick may take.
const rigPatience = 30 * time.Second

// ownLoops are the loops of a server that wait for its clock besides one of
// each rollout and of each source: the evidence's housekeeping, the retention,
// the alerts, the panels, the incidents, the reports and the pages.
const ownLoops = 7

// rig drives a server.
type rig struct {
	server *Server
	clock  *clock.Driven
	points *faults
	one    sync.Mutex // one drive at a time
}

// NewRig is New with a driven clock and its listener, as the environment
// says. URL is where the clock is driven.
func NewRig(ctx context.Context, o Options, getenv func(string) string) (s *Server, url string, err error) {
	start, err := time.Parse(time.RFC3339, getenv("SERIN_RIG_NOW"))
	if err != nil {
		return nil, "", fmt.Errorf("SERIN_RIG_NOW: %w", err)
	}
	fault := getenv("SERIN_FAULT")
	if fault == answerEarly {
		fault, o.Durable = "", func(s evidence.Store) evidence.Store { return hasty{s} }
	}
	points, err := newFaults(fault)
	if err != nil {
		return nil, "", fmt.Errorf("SERIN_FAULT: %w", err)
	}
	l, err := listenLoopback(cmp.Or(getenv("SERIN_RIG_LISTEN"), "127.0.0.1:0"))
	if err != nil {
		return nil, "", fmt.Errorf("SERIN_RIG_LISTEN: %w", err)
	}
	r := &rig{clock: clock.NewDriven(start), points: points}
	o.Clock, o.Fault = r.clock, points.pass
	if s, err = New(ctx, o); err != nil {
		return nil, "", errors.Join(err, l.Close())
	}
	r.server = s
	mux := http.NewServeMux()
	mux.HandleFunc("POST /rig/clock", r.serveClock)
	door := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = door.Serve(l) // it ends with Close
	}()
	s.onClose("rig", func() error {
		err := door.Close()
		<-served
		return err
	})
	return s, "http://" + l.Addr().String(), nil
}

func listenLoopback(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%s is no loopback address", address)
	}
	return net.Listen("tcp", address)
}

// answerEarly is the fault without which a kill under load must lose nothing.
const answerEarly = "answer before commit"

// hasty is a store that says of telemetry that it is durable before it is.
type hasty struct{ evidence.Store }

// AppendEvidence implements store.Evidence, badly.
func (h hasty) AppendEvidence(ctx context.Context, b store.Batch) error {
	time.AfterFunc(100*time.Millisecond, func() { _ = h.Store.AppendEvidence(context.WithoutCancel(ctx), b) })
	return nil
}

// faults counts the crash points that are passed, and kills the process at one.
type faults struct {
	mu     sync.Mutex // guards passed
	passed map[string]int64
	point  string // where the process ends, "" = nowhere
	time   int64  // which time, from 1
}

// newFaults reads "after commit#17"; "" is no end.
func newFaults(text string) (*faults, error) {
	f := &faults{passed: map[string]int64{}}
	if text == "" {
		return f, nil
	}
	point, count, _ := strings.Cut(text, "#")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 {
		return nil, fmt.Errorf("%q: write a point and its which time, such as after commit#17", text)
	}
	f.point, f.time = point, n
	return f, nil
}

// pass is a controller.Options.Fault.
func (f *faults) pass(point string) {
	f.mu.Lock()
	f.passed[point]++
	dies := point == f.point && f.passed[point] == f.time
	f.mu.Unlock()
	if !dies {
		return
	}
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {} // the signal is on its way
}

// counts are how often each point was passed.
func (f *faults) counts() map[string]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.passed)
}

func (r *rig) serveClock(w http.ResponseWriter, req *http.Request) {
	var in struct {
		To      time.Time
		Advance string
	}
	err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 1<<10)).Decode(&in)
	r.one.Lock()
	defer r.one.Unlock()
	to := r.clock.Now()
	if err == nil && in.Advance != "" {
		var d time.Duration
		d, err = time.ParseDuration(in.Advance)
		to = to.Add(d)
	}
	if !in.To.IsZero() {
		to = in.To
	}
	if err == nil && to.Before(r.clock.Now()) {
		err = fmt.Errorf("the clock does not go back: it is %s", r.clock.Now())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := r.drive(req.Context(), to); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"now": r.clock.Now(), "points": r.points.counts()})
}

// drive moves the clock to to, timer by timer.
func (r *rig) drive(ctx context.Context, to time.Time) error {
	select {
	case <-r.server.control.Running():
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		try, err := r.settle(ctx)
		if err != nil {
			return err
		}
		next := to
		if !try.IsZero() && try.Before(to) {
			next = try
		}
		if !r.clock.Advance(next) && next.Equal(to) {
			_, err := r.settle(ctx)
			return err
		}
	}
}

// settle waits until nothing is under way, and answers when the courier has a
// notice to try again; zero = never.
func (r *rig) settle(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, rigPatience)
	defer cancel()
	rollouts, err := r.server.control.Views(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if err := r.clock.AwaitArmed(ctx, ownLoops+r.server.poller.Len()+len(rollouts)); err != nil {
		return time.Time{}, err
	}
	courier := r.server.control.Courier()
	for {
		at, waits, err := courier.Next(ctx)
		switch {
		case err != nil:
			return at, fmt.Errorf("wait for the courier: %w", err)
		case !waits:
			return time.Time{}, nil
		case at.After(r.clock.Now()):
			return at, nil
		}
		courier.Wake()
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return at, fmt.Errorf("notices of %s are not delivered: %w", at, ctx.Err())
		}
	}
}
