package deployhook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"serin/internal/notify"
	"serin/internal/rollout"
)

const (
	variable = "NEXT_PUBLIC_FEATURE_FLAGS"
	object   = `{"newCheckout":true,"newCheckout_canary":true}`
)

// journal collects what a Runner records.
type journal struct {
	events []rollout.Event
	where  []string // the rollouts, in order
	fails  error
}

func (j *journal) record(_ context.Context, id string, e rollout.Event) error {
	j.events, j.where = append(j.events, e), append(j.where, id)
	return j.fails
}

// shell returns a Runner of a shell script, with the changes of edit.
func shell(t *testing.T, j *journal, script string, edit func(*Options)) *Runner {
	t.Helper()
	o := Options{
		Hook:   Hook{Variable: variable, Command: []string{"sh", "-c", script}, Dir: t.TempDir(), Timeout: time.Minute},
		Object: func(context.Context, string) ([]byte, error) { return []byte(object), nil },
		Record: j.record,
		Getenv: func(name string) string {
			return map[string]string{"PATH": os.Getenv("PATH"), "TOKEN": "hunter2-hunter2", "OTHER": "not given"}[name]
		},
	}
	if edit != nil {
		edit(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.grace = 100 * time.Millisecond
	return r
}

func notice(id string) notify.Notice {
	return notify.Notice{ID: id + "/7/deploy:" + variable, Rollout: id, Flag: "newCheckout", Type: "rolled_back", Address: notify.DeployScheme + variable,
		Title: "rolled back by ben", Text: "support is\nflooded"}
}

func TestRun(t *testing.T) {
	begun := rollout.Event{Type: rollout.DeployBegun, Item: variable, To: object, N: 1, Reason: "rolled back by ben"}
	ended := func(kind string, exit int, why string, show ...string) rollout.Event {
		return rollout.Event{Type: rollout.DeployEnded, Item: variable, Kind: kind, N: exit, Reason: why, Show: show}
	}
	for _, tc := range []struct {
		name, script string
		edit         func(*Options)
		want         rollout.Event
		retried      bool
	}{
		{"well", `echo deployed >&2; echo done`, nil, ended("done", 0, "", "deployed", "done"), false},
		{"given the object", `test "$` + variable + `" = "$(cat)" && echo "$` + variable + `"`, nil, ended("done", 0, "", object), false},
		{"given the reason", `echo "$SERIN_VARIABLE $SERIN_ROLLOUT $SERIN_FLAG: $SERIN_REASON"`, nil,
			ended("done", 0, "", variable+" shop-1 newCheckout: rolled back by ben: support is flooded"), false},
		{"given nothing else", `env | cut -d= -f1 | grep -vE '^(_|PWD|SHLVL|OLDPWD)$' | sort | tr '\n' ' '`, func(o *Options) { o.Hook.Env = []string{"TOKEN", "MISSING"} },
			ended("done", 0, "", variable+" PATH SERIN_FLAG SERIN_REASON SERIN_ROLLOUT SERIN_VARIABLE TOKEN"), false},
		{"fails", `echo no quota; exit 3`, nil, ended("failed", 3, "exit status 3", "no quota"), true},
		{"killed", `kill -9 $$`, nil, ended("failed", -1, "signal: killed"), true},
		{"secret", `echo "token $TOKEN and $TOKEN"; exit 1`, func(o *Options) { o.Hook.Env = []string{"TOKEN"} },
			ended("failed", 1, "exit status 1", "token [hidden] and [hidden]"), true},
		{"colours", `printf 'a\033[31mred\033[0m\n10%%\r100%%\n\n'`, nil, ended("done", 0, "", "ared", "100%"), false},
		{"no program", "", func(o *Options) { o.Hook.Command = []string{"no-such-program"} },
			ended("not run", -1, `exec: "no-such-program": executable file not found in $PATH`), true},
		{"no directory", "", func(o *Options) { o.Hook.Dir = "/no/such/directory" },
			ended("not run", -1, "stat /no/such/directory: no such file or directory"), true},
		{"too slow", `echo waiting; exec sleep 60`, func(o *Options) { o.Hook.Timeout = 100 * time.Millisecond },
			ended("timed out", -1, "it did not end within 100ms", "waiting"), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			j := &journal{}
			err := shell(t, j, tc.script, tc.edit).Run(t.Context(), []notify.Notice{notice("shop-1")}, 1)
			if _, retried := notify.Temporary(err); retried != tc.retried || (err == nil) == tc.retried {
				t.Errorf("Run = %v; tried again %v, want %v", err, retried, tc.retried)
			}
			if d := cmp.Diff([]rollout.Event{begun, tc.want}, j.events, cmpopts.IgnoreFields(rollout.Event{}, "Duration")); d != "" {
				t.Errorf("journalled (-want +got):\n%s", d)
			}
			if tc.retried && !strings.Contains(err.Error(), "deploy hook of "+variable) {
				t.Errorf("the error %q does not say where", err)
			}
		})
	}
}

// TestRetries: the last try says that it is the last.
func TestRetries(t *testing.T) {
	for _, tc := range []struct {
		retries, try int
		last         bool
	}{{0, DefaultRetries, false}, {0, DefaultRetries + 1, true}, {-1, 1, true}, {1, 1, false}, {1, 2, true}} {
		j := &journal{}
		err := shell(t, j, "exit 1", func(o *Options) { o.Hook.Retries = tc.retries }).Run(t.Context(), []notify.Notice{notice("shop-1")}, tc.try)
		if _, again := notify.Temporary(err); err == nil || again == tc.last || j.events[1].Paged != tc.last {
			t.Errorf("retries %d, try %d: Run = %v, tried again %v, paged %v; want last %v", tc.retries, tc.try, err, again, j.events[1].Paged, tc.last)
		}
	}
}

// TestOneRunForAll: one run is journalled in each rollout whose change waits.
func TestOneRunForAll(t *testing.T) {
	j := &journal{fails: errors.New("no journal")}
	waiting := []notify.Notice{notice("shop-1"), notice("cart-2"), notice("shop-1")}
	if err := shell(t, j, "true", nil).Run(t.Context(), waiting, 1); err != nil {
		t.Errorf("Run = %v, want nil: what cannot be journalled is deployed all the same", err)
	}
	if d := cmp.Diff([]string{"shop-1", "cart-2", "shop-1", "cart-2"}, j.where); d != "" {
		t.Errorf("journalled in (-want +got):\n%s", d)
	}
}

// TestNothingToDeploy: without the object nothing runs.
func TestNothingToDeploy(t *testing.T) {
	j := &journal{}
	r := shell(t, j, "true", func(o *Options) {
		o.Object = func(context.Context, string) ([]byte, error) { return nil, errors.New("database is locked") }
	})
	err := r.Run(t.Context(), []notify.Notice{notice("shop-1")}, 1)
	if _, again := notify.Temporary(err); !again || len(j.events) > 0 {
		t.Errorf("Run = %v, tried again %v, events %v; want to try again and no event", err, again, j.events)
	}
}

// TestChildrenEnd: neither the time-out nor the end of the server nor a good
// end leaves a child of the command behind.
func TestChildrenEnd(t *testing.T) {
	const spawn = `sleep 300 & echo $! > child; `
	for _, tc := range []struct {
		name, script string
		stop         bool // the server ends
		how          string
	}{
		{"time-out", spawn + `trap '' TERM; wait; sleep 300`, false, rollout.HookTimedOut},
		{"server ends", spawn + `wait`, true, ""},
		{"good end", spawn + `exit 0`, false, rollout.HookDone},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			j, dir := &journal{}, t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r := shell(t, j, tc.script, func(o *Options) {
				o.Hook.Dir = dir
				if tc.how == rollout.HookTimedOut {
					o.Hook.Timeout = 300 * time.Millisecond
				}
			})
			if tc.stop {
				go func() {
					child(t, dir)
					cancel()
				}()
			}
			err := r.Run(ctx, []notify.Notice{notice("shop-1")}, 1)
			pid := child(t, dir)
			if !gone(pid) {
				t.Errorf("child %d is still there (Run = %v)", pid, err)
			}
			if tc.stop {
				if err == nil || len(j.events) != 1 {
					t.Errorf("Run = %v with %d events, want an error and only the begin: the next server runs it again", err, len(j.events))
				}
				return
			}
			if got := j.events[1].Kind; got != tc.how {
				t.Errorf("ended %q (%v), want %q", got, err, tc.how)
			}
		})
	}
}

// child waits for the pid that the script wrote.
func child(t *testing.T, dir string) int {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(dir, "child"))
		if pid, e := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && e == nil {
			return pid
		}
	}
	t.Error("the script did not begin")
	return 0
}

// gone reports whether a process has ended; its parent may be slow to notice.
func gone(pid int) bool {
	for range 1000 {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return true
		}
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(text), ") Z ") {
			return true // killed, and nobody has waited for it
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

func TestHugeOutput(t *testing.T) {
	j := &journal{}
	r := shell(t, j, `i=0; while [ $i -lt 3000 ]; do echo "$TOKEN line $i of a very long build log that nobody reads"; i=$((i+1)); done; echo the end`,
		func(o *Options) { o.Hook.Env = []string{"TOKEN"} })
	if err := r.Run(t.Context(), []notify.Notice{notice("shop-1")}, 1); err != nil {
		t.Fatal(err)
	}
	show := j.events[1].Show
	text := strings.Join(show, "\n")
	if len(show) != shownLines || len(text) > shownBytes+10 || show[len(show)-1] != "the end" || strings.Contains(text, "hunter2") {
		t.Errorf("%d lines of %d bytes, last %q; want %d lines of at most %d bytes, without the secret", len(show), len(text), show[len(show)-1], shownLines, shownBytes)
	}
}

func TestHookCheck(t *testing.T) {
	for _, tc := range []struct {
		h    Hook
		want string // "" = fine
	}{
		{Hook{Variable: "APP_FLAGS", Command: []string{"deploy"}}, ""},
		{Hook{Variable: "APP_FLAGS", Command: []string{"deploy"}, Dir: "/srv/app", Env: []string{"TOKEN"}, Timeout: time.Hour, Retries: -1}, ""},
		{Hook{Variable: "app flags", Command: []string{"deploy"}}, "no name of a variable"},
		{Hook{Variable: "PATH", Command: []string{"deploy"}}, "needs another name"},
		{Hook{Variable: "SERIN_REASON", Command: []string{"deploy"}}, "needs another name"},
		{Hook{Variable: "LD_PRELOAD", Command: []string{"deploy"}}, "needs another name"},
		{Hook{Variable: "A"}, "command is missing"},
		{Hook{Variable: "A", Command: []string{"a", "b\x00"}}, "zero byte"},
		{Hook{Variable: "A", Command: []string{"deploy"}, Dir: "app"}, "absolute path"},
		{Hook{Variable: "A", Command: []string{"deploy"}, Env: []string{"A=b"}}, "write names only"},
		{Hook{Variable: "A", Command: []string{"deploy"}, Timeout: time.Hour + 1}, "at most 1h0m0s"},
		{Hook{Variable: "A", Command: []string{"deploy"}, Retries: 11}, "write 1 to 10"},
	} {
		_, err := New(Options{Hook: tc.h})
		if got := fmt.Sprint(err); (err == nil) != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%+v: %v, want %q", tc.h, err, tc.want)
		}
	}
}
