package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/rollout"
)

// crashPlan is a rollout that does everything within an hour.
const crashPlan = `serin: 1
plan: crash
timezone: UTC
flag: { key: crash }
calendar: { raise: ["daily 00:00-24:00"] }
roles: { lead: { who: "@lead", may: [start, approve, promote, override, accept, resume, restart] } }
channels: { team: "webhook:team" }
judge: { enough: { users: 3, for: 2m }, no_data: { grace: 10m, then: hold, after: 1h, page: lead } }
criteria: { ok: [p1 = 0] }
stages:
  - { stage: a, traffic: 20%,  bake: 3m, owner: lead, proceed: ok }
  - { stage: b, like: a, traffic: 60%,  bake: 3m }
  - { stage: c, like: a, traffic: 100%, bake: 3m }
actions: { restart: { from: a, after: 0m, needs: [cause] } }
cleanup: { owner: lead, tasks: [{ id: docs, do: Docs }] }
rollback: [p1 > 2 over 10m]
`

// crashPoints are those of a decision and of its notices: nothing happened;
// committed and told to nobody; served; sent and not marked as sent.
var crashPoints = []string{"before commit", "after commit", "after publish", "after send"}

// sampled is how many crash points lie between two that every test run tries;
// SERIN_CRASH=all tries each.
const sampled = 5

// crashAtEveryPoint kills the built program, by SIGKILL, at each of the
// four points of each of its decisions, starts it again on the same data and
// drives the rollout to its end: what is left is what a run leaves that nobody
// disturbed.
func crashAtEveryPoint(t *testing.T, path string) {
	began := time.Now()
	quiet := newLife(t, path, "")
	quiet.live()
	t.Logf("a run takes %v, its points are passed %v; it leaves\n%+v", time.Since(began).Round(time.Millisecond), quiet.points, quiet.left)
	if want := 12; len(quiet.steps) != want || len(quiet.left.Notices) < want || len(quiet.hook.repeated) > 0 {
		t.Fatalf("the undisturbed run is not what this test is about: steps %q, notices %q", quiet.steps, quiet.left.Notices)
	}
	every := sampled
	if os.Getenv("SERIN_CRASH") == "all" {
		every = 1
	}
	for i, point := range crashPoints {
		if quiet.points[point] == 0 {
			t.Errorf("%q is never passed", point)
		}
		for n := 1 + i%every; n <= int(quiet.points[point]); n += every {
			fault := fmt.Sprintf("%s#%d", point, n)
			t.Run(fault, func(t *testing.T) {
				t.Parallel()
				l := newLife(t, path, fault)
				l.shares = quiet.shares
				l.live()
				l.compare(quiet, point)
			})
		}
	}
}

// left is what is left of a rollout.
type left struct {
	Journal []string // in words, without what only counts time
	Status  rollout.Status
	Flag    string   // as stored, and whose it is
	Notices []string // titles in the order in which they were accepted, each id once
	Shares  []string // of users on new, after each step
}

// life is a rollout from its beginning to its end, with a crash on the way.
type life struct {
	*driven
	fault  string
	died   bool
	steps  []string
	minute int
	errors []map[string]any
	points map[string]int64
	shares map[rollout.Status]map[string]string // who is on new, by status and exposure
	times  []time.Time                          // of the journal that is left
	left   left
}

// newLife is a life in which only the crowd is fixed.
func newLife(t *testing.T, path, fault string) *life {
	l := &life{driven: newDriven(t, path, "crash", scenarioBegin.Add(tickSecond)), fault: fault, shares: map[rollout.Status]map[string]string{}}
	l.crowd.every = 20
	return l
}

// live goes through the life: start, advance, reduce, resume, rollback,
// restart, pause, resume, advance, advance, clean-up, finish.
func (l *life) live() {
	l.Helper()
	l.survive(func() error { return l.start(l.nextFault()) })
	l.step("create", func() error {
		err := l.ask("lead", http.MethodPost, "/rollouts", []byte(crashPlan), nil)
		if l.died && errors.As(err, new(*refusal)) { // it was committed before the crash
			return l.ask("lead", http.MethodGet, "/rollouts/crash-1", nil, nil)
		}
		return err
	})
	l.drives(3)
	l.does("start", rollout.Start, nil)
	l.until("b", 1)
	l.does("reduce", rollout.Reduce, map[string]any{"percent": 5})
	l.drives(2)
	l.does("resume", rollout.Resume, nil)
	l.drives(1)
	l.step("rollback", l.regress)
	l.drives(1)
	l.does("restart", rollout.Restart, map[string]any{"cause": "mended"})
	l.drives(1)
	l.does("pause", rollout.Pause, nil)
	l.drives(1)
	l.does("resume from a pause", rollout.Resume, nil)
	l.until("b", 2)
	l.step("stage b", nil)
	l.until("c", 2)
	l.step("stage c", nil)
	l.untilStatus(rollout.Cleanup)
	l.does("complete", rollout.Complete, map[string]any{"item": "docs"})
	l.does("finish", rollout.Finish, nil)
	l.drives(2) // until the final report is made
	l.gather()
}

// nextFault is the fault of the first process.
func (l *life) nextFault() string {
	if l.died {
		return ""
	}
	return l.fault
}

// survive does something that can be done again. When the process dies of the
// fault meanwhile, it is started again at the next tick, and what was cut off
// is done again.
func (l *life) survive(do func() error) {
	l.Helper()
	err := do()
	if errors.Is(err, errGone) && l.fault != "" && !l.died {
		l.died = true
		l.buried()
		next := l.now.Truncate(time.Minute).Add(tickSecond)
		if next.Before(l.now) {
			next = next.Add(time.Minute)
		}
		l.now = next
		if err := l.start(""); err != nil {
			l.Fatalf("start after the crash: %v; it said %s", err, l.log)
		}
		l.served()
		err = do()
	}
	if err != nil {
		l.Fatalf("step %d: %v", len(l.steps)+1, err)
	}
}

// step does something and notes who is on new after it.
func (l *life) step(name string, do func() error) {
	l.Helper()
	if do != nil {
		l.survive(do)
	}
	l.steps = append(l.steps, name)
	l.survive(func() error { return l.drive(l.now) }) // what it sets off is over
	status, users := l.served()
	l.left.Shares = append(l.left.Shares, fmt.Sprintf("%s: %s, %s", name, status, users))
}

// does gives a command of lead; its key is the step's.
func (l *life) does(name string, verb rollout.Verb, fields map[string]any) {
	l.Helper()
	l.step(name, func() error {
		_, err := l.command("lead", "crash-1", verb, "key of "+name, fields)
		return err
	})
}

// regress sends three errors, which roll back on their arrival.
func (l *life) regress() error {
	if l.errors == nil {
		var err error
		if l.errors, err = l.crowd.p1(3, 0); err != nil {
			return err
		}
	}
	if err := l.crowd.report(l.errors); err != nil {
		return err
	}
	for deadline := time.Now().Add(soon); ; {
		v, err := l.state()
		if err != nil || v.Status == rollout.RolledBack {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it is still %s", v.Status)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (l *life) state() (rollout.State, error) {
	var v struct{ State rollout.State }
	err := l.ask("lead", http.MethodGet, "/rollouts/crash-1", nil, &v)
	return v.State, err
}

// drives goes on by minutes, with the telemetry of each.
func (l *life) drives(minutes int) {
	l.Helper()
	for range minutes {
		to := l.now.Truncate(time.Minute).Add(sendSecond)
		if !to.After(l.now) {
			to = to.Add(time.Minute)
		}
		l.survive(func() error {
			if to.Before(l.now) {
				to = l.now
			}
			return l.drive(to)
		})
		l.survive(func() error { return l.crowd.minute(l.minute) })
		l.minute++
	}
}

// until drives until a stage of an attempt is reached.
func (l *life) until(stage string, attempt int) {
	l.Helper()
	l.reaches(stage, func(s rollout.State) bool {
		return s.Status == rollout.Running && s.Attempt == attempt && s.Stage == strings.Index("abc", stage)
	})
}

func (l *life) untilStatus(want rollout.Status) {
	l.Helper()
	l.reaches(string(want), func(s rollout.State) bool { return s.Status == want })
}

func (l *life) reaches(what string, there func(rollout.State) bool) {
	l.Helper()
	for range 15 {
		l.drives(1)
		var s rollout.State
		l.survive(func() (err error) { s, err = l.state(); return err })
		if there(s) {
			return
		}
	}
	l.Fatalf("%s is not reached", what)
}

// served asks for the flag of sixty users and compares with who is on new in
// this status and exposure otherwise: the flag that is served is that of the
// state, at each moment at which one can ask.
func (l *life) served() (rollout.Status, string) {
	l.Helper()
	var s rollout.State
	var on []string
	ask := func() error {
		var err error
		if s, err = l.state(); err != nil {
			if no := new(refusal); errors.As(err, &no) && no.status == http.StatusNotFound {
				return nil // not created yet
			}
			return err
		}
		on = nil
		for n := range 60 {
			v, err := l.evaluate("crash", userName(n))
			if err != nil {
				return err
			}
			if v == "new" {
				on = append(on, userName(n))
			}
		}
		return nil
	}
	l.survive(ask)
	users := strings.Join(on, " ")
	key := s.Exposure.String()
	if l.shares[s.Status] == nil && l.fault == "" {
		l.shares[s.Status] = map[string]string{}
	}
	if before, known := l.shares[s.Status][key]; !known && l.fault == "" {
		l.shares[s.Status][key] = users
	} else if known && before != users {
		l.Errorf("%s at %s serves new to %q, want %q", s.Status, key, users, before)
	}
	if (s.Exposure == 0) != (len(on) == 0) {
		l.Errorf("%s at %s serves new to %q", s.Status, key, users)
	}
	return s.Status, users
}

// gather collects what is left.
func (l *life) gather() {
	l.Helper()
	l.survive(func() error {
		a, err := l.request(http.MethodPost, l.rig+"/rig/clock", []byte("{}"))
		if err != nil {
			return err
		}
		l.points = pointsOf(l.T, a)
		return nil
	})
	for i, e := range l.journal("crash-1") {
		if e.Pos != int64(i)+1 {
			l.Errorf("event %d has position %d", i+1, e.Pos)
		}
		if !countsTime(e) {
			l.left.Journal = append(l.left.Journal, inWords(e))
			l.times = append(l.times, e.At)
		}
	}
	l.left.Status = l.view("crash-1").State.Status
	var f struct {
		Definition json.RawMessage
		Owner      string
	}
	l.look("/flags/crash", &f)
	l.left.Flag = fmt.Sprintf("%s of %q", f.Definition, f.Owner)
	l.left.Notices = l.hook.titles()
}

// compare compares a life that was cut off with one that was not. A notice
// that was sent and not marked comes again, with its id; nothing else does.
func (l *life) compare(quiet *life, point string) {
	l.Helper()
	if !l.died {
		l.Fatalf("%s was never passed", l.fault)
	}
	if d := cmp.Diff(quiet.left, l.left); d != "" {
		l.Errorf("the crash left a trace (-undisturbed +crashed):\n%s", d)
		return
	}
	for i, at := range l.times {
		if off := at.Sub(quiet.times[i]); off.Abs() > slack {
			l.Errorf("%s is %v off", l.left.Journal[i], off)
		}
	}
	most := 0
	if point == "after send" {
		most = 1
	}
	if n := len(l.hook.repeated); n != most || len(l.hook.problems) > 0 {
		l.Errorf("%d notices came again, want %d: %q; %q", n, most, l.hook.repeated, l.hook.problems)
	}
	slices.Sort(l.starts)
	l.Logf("starts took %v", l.starts)
}
