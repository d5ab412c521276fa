package controller_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/controller"
	"serin/internal/notify"
	"serin/internal/rollout"
	"serin/internal/store"
)

// hookDouble is a deploy hook that runs nothing: it takes its time, journals
// as a real one does, and keeps what it was to deploy.
type hookDouble struct {
	variable string
	takes    time.Duration
	retries  int

	mu       sync.Mutex // guards the fields below
	c        *controller.Controller
	fails    int      // of the runs to come
	deployed []string // the objects, of runs that ended
	runs     []string // the newest notice's type of each run that began
}

// attach gives the hook to a process; a nil hook is none.
func (h *hookDouble) attach(c *controller.Controller) {
	if h == nil {
		return
	}
	h.mu.Lock()
	h.c = c
	h.mu.Unlock()
	c.Courier().UseHook(h.variable, h)
}

func (h *hookDouble) Limit() time.Duration { return time.Hour }

func (h *hookDouble) Run(ctx context.Context, waiting []notify.Notice, try int) error {
	h.mu.Lock()
	c, fails := h.c, h.fails > 0
	h.fails = max(0, h.fails-1)
	newest := waiting[len(waiting)-1]
	h.runs = append(h.runs, newest.Type)
	h.mu.Unlock()
	object, err := c.BuildObject(ctx, h.variable)
	if err != nil {
		return &notify.RetryError{Err: err}
	}
	record := func(e rollout.Event) {
		e.Item = h.variable
		_ = c.Record(ctx, newest.Rollout, e) // a server that stops takes nothing down
	}
	record(rollout.Event{Type: rollout.DeployBegun, To: string(object), N: try, Reason: newest.Title})
	select {
	case <-time.After(h.takes):
	case <-ctx.Done():
		return ctx.Err()
	}
	h.mu.Lock()
	h.deployed = append(h.deployed, string(object))
	h.mu.Unlock()
	if !fails {
		record(rollout.Event{Type: rollout.DeployEnded, Kind: rollout.HookDone, Duration: h.takes})
		return nil
	}
	last := try > h.retries
	record(rollout.Event{Type: rollout.DeployEnded, Kind: rollout.HookFailed, N: 1, Reason: "exit status 1", Show: []string{"no quota"}, Duration: h.takes, Paged: last})
	if err = errors.New("exit status 1"); last {
		return err
	}
	return &notify.RetryError{Err: err, After: 30 * time.Second}
}

func (h *hookDouble) seen() (runs, deployed []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.runs...), append([]string(nil), h.deployed...)
}

const (
	variableOff    = `{"rig":false,"rig_canary":false}`
	variableCanary = `{"rig":true,"rig_canary":true}`
)

// inVariable makes the plan name a build variable.
var inVariable = []string{"{ key: rig }", "{ key: rig, env: APP_FLAGS }"}

// hookBubble is bubble with a deploy hook.
func hookBubble(t *testing.T, h *hookDouble, f func(r *rig)) {
	t.Helper()
	bubble(t, func(r *rig) {
		r.hook = h
		h.attach(r.c)
		f(r)
	}, inVariable...)
}

// outbox are the notices to the hook and to channels.
func (r *rig) outbox() []store.Outgoing {
	r.Helper()
	list, err := r.store.Notices(context.Background(), r.id, 0)
	if err != nil {
		r.Fatal(err)
	}
	return list
}

// deployState is what the page says of the variable.
func deployState(r *rig) string {
	r.Helper()
	d := r.view().Deploy
	if d == nil {
		r.Fatal("the view says nothing of the build variable")
	}
	return d.State
}

// TestDeployStates: from the start to the report that it is live, and back down.
func TestDeployStates(t *testing.T) {
	h := &hookDouble{variable: "APP_FLAGS", takes: 10 * time.Minute}
	hookBubble(t, h, func(r *rig) {
		is := func(at, want string) {
			t.Helper()
			r.drive(at)
			if got := deployState(r); got != want {
				t.Errorf("%s: %q, want %q", at, got, want)
			}
		}
		is("0:00", controller.DeployUnchanged)
		r.lead(rollout.Start)
		version := r.view().Version
		is("0:05", controller.DeployRuns)
		if n := len(r.told("started")); n != 1 {
			t.Errorf("%d notices of the start while the hook runs, want 1: it must not hold them up", n)
		}
		is("0:12", controller.DeployWaits)
		if got := r.view().Version; got != version {
			t.Errorf("version %d, was %d: a run of the hook makes what a person saw stale", got, version)
		}
		r.lead(rollout.Deploy, func(c *rollout.Command) { c.Release = "1.4.2" })
		is("0:13", controller.DeployLive)
		r.lead(rollout.Rollback, func(c *rollout.Command) { c.Reason = "support is flooded" })
		is("0:15", controller.DeployRuns)
		is("0:30", controller.DeployWaits)
		runs, deployed := h.seen()
		if d := cmp.Diff([]string{"started", "rolled_back"}, runs); d != "" {
			t.Errorf("runs (-want +got):\n%s", d)
		}
		if d := cmp.Diff([]string{variableCanary, variableOff}, deployed); d != "" {
			t.Errorf("deployed (-want +got):\n%s", d)
		}
	})
}

// TestDeployRetries: a hook that fails is tried again; when it is given up the
// channels hear of it and the page says what to run.
func TestDeployRetries(t *testing.T) {
	h := &hookDouble{variable: "APP_FLAGS", takes: time.Second, retries: 2, fails: 3}
	hookBubble(t, h, func(r *rig) {
		r.lead(rollout.Start)
		time.Sleep(10 * time.Second)
		if got := deployState(r); got != controller.DeployRetries {
			t.Errorf("after the first run: %q", got)
		}
		r.drive("0:10")
		if got := deployState(r); got != controller.DeployFailed {
			t.Errorf("after three runs: %q", got)
		}
		if d := r.view().Deploy; len(d.Commands) != 3 || !strings.Contains(d.Commands[0], "serin flag env --name APP_FLAGS") {
			t.Errorf("commands %q", d.Commands)
		}
		if n := r.told("deploy hook"); len(n) != 1 || !strings.Contains(n[0], "not tried again") {
			t.Errorf("told %q, want one notice that it is given up", n)
		}
		if runs, _ := h.seen(); len(runs) != 3 {
			t.Errorf("%d runs, want 3", len(runs))
		}
		if e := r.of(rollout.DeployBegun); len(e) != 3 || e[2].N != 3 {
			t.Errorf("begun: %+v", e)
		}
	})
}

// TestDeployNewest: what waits behind a run is carried out by one more run,
// with the newest object; a rollback does not wait for a raise's back-off.
func TestDeployNewest(t *testing.T) {
	h := &hookDouble{variable: "APP_FLAGS", takes: 5 * time.Minute, retries: 3}
	hookBubble(t, h, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:01")
		r.lead(rollout.Reduce, func(c *rollout.Command) { c.Hotfix = true })
		r.drive("0:02")
		r.lead(rollout.Deploy, func(c *rollout.Command) { c.Release = "1.4.3" })
		r.lead(rollout.Resume)
		r.drive("0:03")
		r.lead(rollout.Rollback)
		r.drive("0:20")
		_, deployed := h.seen()
		if d := cmp.Diff([]string{variableCanary, variableOff}, deployed); d != "" {
			t.Errorf("deployed (-want +got):\n%s", d)
		}
		for _, n := range r.outbox() {
			if n.Delivered.IsZero() {
				t.Errorf("%s waits for ever: %+v", n.ID, n)
			}
		}
	})
}

// TestDeployRollbackAtOnce: the back-off of a failed run does not hold up what
// comes after it.
func TestDeployRollbackAtOnce(t *testing.T) {
	h := &hookDouble{variable: "APP_FLAGS", takes: time.Second, retries: 9, fails: 1}
	hookBubble(t, h, func(r *rig) {
		r.lead(rollout.Start)
		time.Sleep(5 * time.Second) // it failed, and waits for half a minute
		r.lead(rollout.Rollback)
		time.Sleep(5 * time.Second)
		runs, deployed := h.seen()
		if d := cmp.Diff([]string{"started", "rolled_back"}, runs); d != "" || deployed[1] != variableOff {
			t.Errorf("deployed %q, runs (-want +got):\n%s", deployed, d)
		}
	})
}

// TestDeployRestart: a run that the end of the server cut short is run again.
func TestDeployRestart(t *testing.T) {
	h := &hookDouble{variable: "APP_FLAGS", takes: 10 * time.Minute}
	hookBubble(t, h, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:05")
		r.restart()
		if got := deployState(r); got != controller.DeployRuns {
			t.Errorf("after the start: %q", got)
		}
		r.drive("0:30")
		if got := deployState(r); got != controller.DeployWaits {
			t.Errorf("at the end: %q", got)
		}
		if runs, deployed := h.seen(); len(runs) != 2 || len(deployed) != 1 {
			t.Errorf("%d runs, %d of them ended; want 2 and 1", len(runs), len(deployed))
		}
	})
}

// TestDeployByHand: without a hook the channels and the page hold the commands.
func TestDeployByHand(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:05")
		d := r.view().Deploy
		if d == nil || d.State != controller.DeployByHand || d.Hook || len(d.Commands) != 3 || !d.On || !d.Canary {
			t.Fatalf("%+v", d)
		}
		want := `export APP_FLAGS="$(serin flag env --name APP_FLAGS)"`
		told := false
		for _, n := range r.team.messages() {
			told = told || n.Type == "started" && strings.Contains(n.Text, want)
		}
		if !told {
			t.Errorf("no notice of the start holds %q", want)
		}
		for _, n := range r.outbox() {
			if n.Delivered.IsZero() || strings.HasPrefix(n.Address, notify.DeployScheme) {
				t.Errorf("%s waits, or is for a hook that is not there: %+v", n.ID, n)
			}
		}
		r.lead(rollout.Deploy, func(c *rollout.Command) { c.Release = "1.4.2" })
		if got := deployState(r); got != controller.DeployLive {
			t.Errorf("after the report: %q", got)
		}
	}, inVariable...)
}

// TestBuildObject: a rollout that was not started says nothing of a flag that
// another has brought to everybody.
func TestBuildObject(t *testing.T) {
	bubble(t, func(r *rig) {
		object := func(want string) {
			t.Helper()
			got, err := r.c.BuildObject(t.Context(), "APP_FLAGS")
			if err != nil || string(got) != want {
				t.Errorf("object %s, %v; want %s", got, err, want)
			}
		}
		object(variableOff)
		r.lead(rollout.Start)
		object(variableCanary)
		other := strings.Replace(r.source, "plan: rig", "plan: other", 1)
		if _, err := r.c.Create(t.Context(), "", []byte(other), "lead", "api"); err != nil {
			t.Fatal(err)
		}
		object(variableCanary)
		r.lead(rollout.Rollback)
		object(variableOff)
		if _, err := r.c.BuildObject(t.Context(), "NO_SUCH"); !errors.Is(err, controller.ErrNoVariable) {
			t.Errorf("NO_SUCH: %v", err)
		}
	}, inVariable...)
}

// TestDeployHookTakenAway: what waits for a hook that is gone is given up, and
// said so.
func TestDeployHookTakenAway(t *testing.T) {
	h := &hookDouble{variable: "APP_FLAGS", takes: time.Second, retries: 9, fails: 1}
	hookBubble(t, h, func(r *rig) {
		r.lead(rollout.Start)
		time.Sleep(5 * time.Second) // it failed, and waits for half a minute
		r.c.Courier().UseHook("APP_FLAGS", nil)
		r.drive("0:02")
		if got := deployState(r); got != controller.DeployFailed {
			t.Errorf("state %q", got)
		}
		dead := 0
		for _, n := range r.outbox() {
			if n.Dead && strings.Contains(n.Error, "no deploy hook for APP_FLAGS: deploy by hand") {
				dead++
			}
		}
		if dead != 1 {
			t.Errorf("%d notices given up, want 1: %+v", dead, r.outbox())
		}
	})
}

// TestDeployOddVariable: what a plan writes for a variable is not put into
// commands that people paste into a shell.
func TestDeployOddVariable(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:01")
		if text := strings.Join(r.view().Deploy.Commands, "\n"); strings.Contains(text, "rm -rf") {
			t.Errorf("commands %q", text)
		}
		for _, n := range r.team.messages() {
			if strings.Contains(n.Text, "export") || strings.Contains(n.Text, "--name") {
				t.Errorf("%s holds a command with it: %q", n.ID, n.Text)
			}
		}
	}, inVariable[0], `{ key: rig, env: "A; rm -rf ." }`)
}
