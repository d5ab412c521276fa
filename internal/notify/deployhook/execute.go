package deployhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"serin/internal/notify"
	"serin/internal/rollout"
)

// inherited are the variables of the server that every hook is given.
var inherited = []string{"PATH", "HOME", "LANG", "TMPDIR", "USER"}

// result is how one run went.
type result struct {
	how    string // a rollout.Hook word
	exit   int    // exit status, -1 = none
	why    string // of a failure, a sentence
	took   time.Duration
	output []string // the end of it
}

// execute runs the command to its end and kills what it leaves behind.
func (r *Runner) execute(ctx context.Context, object []byte, n notify.Notice) result {
	h := r.o.Hook
	if _, err := os.Stat(h.Dir); h.Dir != "" && err != nil {
		return result{how: rollout.HookUnable, exit: -1, why: err.Error()} // exec would blame the program
	}
	limited, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	env, secrets := r.environment(object, n)
	var out tail
	cmd := exec.CommandContext(limited, h.Command[0], h.Command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = h.Dir, env, bytes.NewReader(object), &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its children are ended with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = r.grace
	began := time.Now()
	err := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // an error says that nothing is left
	}
	got := result{how: rollout.HookFailed, exit: -1, took: time.Since(began), output: lines(out.text(secrets))}
	if cmd.ProcessState != nil {
		got.exit = cmd.ProcessState.ExitCode()
	}
	switch {
	case limited.Err() != nil && ctx.Err() == nil && !succeeded(cmd, err):
		got.how, got.why = rollout.HookTimedOut, fmt.Sprintf("it did not end within %s", h.Timeout)
	case cmd.ProcessState == nil:
		got.how, got.why = rollout.HookUnable, mask(fmt.Sprint(err), secrets)
	case succeeded(cmd, err):
		got.how = rollout.HookDone
	case got.exit >= 0:
		got.why = fmt.Sprintf("exit status %d", got.exit)
	default:
		got.why = cmd.ProcessState.String()
	}
	return got
}

// succeeded reports whether the command itself ended well. A child that keeps
// its output open does not change that.
func succeeded(cmd *exec.Cmd, err error) bool {
	return err == nil || errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Success()
}

// environment is what the command is given, and the values that must not be
// shown of it.
func (r *Runner) environment(object []byte, n notify.Notice) (env, secrets []string) {
	for _, name := range inherited {
		if v := r.o.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	for _, name := range r.o.Hook.Env {
		v := r.o.Getenv(name)
		if v == "" {
			continue
		}
		env = append(env, name+"="+v)
		if !slices.Contains(inherited, name) {
			secrets = append(secrets, v)
		}
	}
	set := func(name, value string) {
		env = append(env, name+"="+strings.ReplaceAll(value, "\x00", ""))
	}
	set("SERIN_VARIABLE", r.o.Hook.Variable)
	set("SERIN_ROLLOUT", n.Rollout)
	set("SERIN_FLAG", n.Flag)
	set("SERIN_REASON", reason(n))
	set(r.o.Hook.Variable, string(object))
	return env, secrets
}

// reason is why it is deployed, in one line.
func reason(n notify.Notice) string {
	text := n.Title
	if n.Text != "" && !strings.Contains(n.Title, n.Text) {
		text += ": " + n.Text
	}
	return strings.Join(strings.Fields(text), " ")
}
