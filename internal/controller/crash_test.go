package controller_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/controller"
	"serin/internal/rollout"
)

// outcome is what is left of a short rollout: what its people and its users
// could tell of it.
type outcome struct {
	Journal  []string // without bake, in words
	Status   rollout.Status
	Stage    int
	Flag     string // as stored
	Owner    string
	Served   string // as served
	Notices  []string
	Repeated []string // titles of the messages that came twice, with the same id
}

// crash says where a process ends: at a point of the first commit, or of the
// first delivery, that follows the decision's cause.
type crash struct{ decision, point string }

// trigger fires once, at the point that it is set to.
type trigger struct{ point atomic.Pointer[string] }

func (t *trigger) set(point string) { t.point.Store(&point) }

func (t *trigger) fires(point string) bool {
	at := t.point.Load()
	return at != nil && *at == point && t.point.CompareAndSwap(at, nil)
}

// TestCrashPoints ends the process at each point of each decision, starts it
// again on the same store and compares all that is left with a run that
// nothing disturbed.
func TestCrashPoints(t *testing.T) {
	var undisturbed outcome
	synctest.Test(t, func(t *testing.T) { undisturbed = short(t, crash{}) })
	if len(undisturbed.Journal) != 4 || len(undisturbed.Notices) != 3 {
		t.Fatalf("the undisturbed run is not what this test is about: %+v", undisturbed)
	}
	for _, decision := range []string{"start", "advance", "rollback"} {
		for _, point := range []string{"before commit", "after commit", "after publish", "after send"} {
			t.Run(decision+" "+point, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					got := short(t, crash{decision, point})
					want := undisturbed
					if point == "after send" { // nobody knows that it was accepted
						want.Repeated = []string{map[string]string{
							"start": want.Notices[0], "advance": want.Notices[1], "rollback": want.Notices[2]}[decision]}
					}
					if d := cmp.Diff(want, got); d != "" {
						t.Errorf("the crash left a trace (-undisturbed +crashed):\n%s", d)
					}
				})
			})
		}
	}
}

// short starts a rollout, lets it advance once and rolls it back, with a crash
// on the way.
func short(t *testing.T, c crash) outcome {
	r := bareRig(t, warmUp)
	armed := &trigger{}
	r.fault = func(point string) {
		if armed.fires(point) {
			r.cancel()
			runtime.Goexit() // nothing of this goroutine happens any more
		}
	}
	r.source = rigPlan
	r.up()
	if _, err := r.c.Create(t.Context(), "", []byte(r.source), "lead", "api"); err != nil {
		t.Fatal(err)
	}
	r.drive("0:00")
	r.crashing(c, "start", armed, func() error {
		_, err := r.as("lead", rollout.Start, commandID("start-1"))
		return err
	})
	r.drive("1:59")
	time.Sleep(2 * sendSecond / 3) // the tick of 1:59 is over
	r.crashing(c, "advance", armed, func() error {
		time.Sleep(time.Minute)
		synctest.Wait()
		return nil
	})
	r.minute++
	r.drive("2:10")
	events := r.p1(6)
	r.crashing(c, "rollback", armed, func() error {
		r.send(events...)
		events = nil
		time.Sleep(time.Second)
		synctest.Wait()
		return nil
	})
	r.drive("2:15")
	return r.outcome()
}

// crashing does what causes a decision. If the process has to end by it, the
// process is started again, and a command that was cut off is repeated.
func (r *rig) crashing(c crash, decision string, armed *trigger, do func() error) {
	r.Helper()
	if c.decision != decision {
		if err := do(); err != nil {
			r.Errorf("%s: %v", decision, err)
		}
		return
	}
	armed.set(c.point)
	err := do()
	synctest.Wait()
	if armed.fires(c.point) {
		r.Fatalf("%s never came to %q", decision, c.point)
	}
	if err != nil && !errors.Is(err, controller.ErrStopped) {
		r.Errorf("%s: %v, want to hear that serin stops", decision, err)
	}
	r.down()
	r.up()
	if decision == "start" {
		if err := do(); err != nil {
			r.Errorf("the repeated command: %v", err)
		}
	}
}

func (r *rig) outcome() outcome {
	r.Helper()
	v := r.view()
	o := outcome{Status: v.State.Status, Stage: v.State.Stage}
	for _, e := range r.journal() {
		if e.Type != rollout.Baked && e.Type != rollout.Checked && e.Type != rollout.ServedEvent {
			o.Journal = append(o.Journal, e.At.Sub(rigBegin).Round(slack).String()+" "+words(e))
		}
	}
	f, err := r.c.Flags().Get(r.Context(), "rig")
	if err != nil {
		r.Fatal(err)
	}
	o.Flag, o.Owner = string(f.Definition.Targeting), f.Owner
	o.Served = fmt.Sprint(len(r.onNew()), " on new")
	seen := map[string]bool{}
	for _, n := range r.team.messages() {
		title, _, _ := strings.Cut(n.Title, ":")
		if seen[n.ID] {
			o.Repeated = append(o.Repeated, title)
			continue
		}
		seen[n.ID] = true
		o.Notices = append(o.Notices, title)
	}
	return o
}

// TestCrashAfterARevision: the plan in force is stored with the decision.
func TestCrashAfterARevision(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:10")
		armed := &trigger{}
		r.fault = func(point string) {
			if armed.fires(point) {
				r.cancel()
				runtime.Goexit()
			}
		}
		r.restart()
		armed.set("after commit")
		revised := edited(t, r.source, "{ key: rig }", "{ key: rig, include: { users: [boss] } }")
		cmd := rollout.Command{By: "lead", Role: "lead", May: []string{"revise", "approve"}}
		if _, err := r.c.Revise(r.Context(), "rig", []byte(revised), cmd); !errors.Is(err, controller.ErrStopped) {
			t.Fatalf("the revision that was cut off answers %v", err)
		}
		r.fault = nil
		r.down()
		r.up()
		if source, err := r.c.PlanSource(r.Context(), "rig"); err != nil || string(source) != revised {
			t.Errorf("the plan in force is not the revised one (%v)", err)
		}
		if got := r.evaluate("boss"); got != "new" {
			t.Errorf("the included user is on %s", got)
		}
	})
}
