// Package deployhook deploys a build variable: it runs a command of the
// server's own configuration, such as "vercel deploy --prod", when flags that a
// build holds have changed. A plan can name the variable only, never a command.
//
// The command is run without a shell, once at a time per variable. It is given
//
//   - the variable's JSON object as of the last stored decision, in the
//     environment under the variable's name and on standard input;
//   - SERIN_VARIABLE, SERIN_ROLLOUT, SERIN_FLAG and SERIN_REASON, which say
//     what the newest change was;
//   - PATH, HOME, LANG, TMPDIR and USER of the server, and those variables of its
//     environment that the configuration names; nothing else of it.
//
// It is over when it ends; what it left running in its process group is then
// killed. After its timeout the group gets SIGTERM and, grace later, SIGKILL.
// Standard output and error are read as one; their end is journalled, with the
// values of the configured variables masked.
//
// Each run is journalled twice, when it begins and when it ends, in every
// rollout whose change it carries out. A run that fails is tried again some
// times; one that was cut short by the end of the server is run again by the
// next: at least once, so a hook must bear being repeated. A server that was
// killed could not end its command, which may then still run beside the next.
package deployhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"serin/internal/notify"
	"serin/internal/rollout"
)

// Limits of a hook.
const (
	DefaultTimeout = 10 * time.Minute
	MaxTimeout     = 60 * time.Minute
	DefaultRetries = 3 // after the first run
	MaxRetries     = 10
)

const (
	// retryAfter is the least real time before a failed run is tried again.
	retryAfter = 30 * time.Second
	// grace is how long an ended hook may take to go by itself.
	grace = 5 * time.Second
	// around is what a run may take besides its timeout: its end and the journal.
	around = grace + time.Minute
)

// Hook is the command of one build variable.
type Hook struct {
	Variable string        // NEXT_PUBLIC_FEATURE_FLAGS
	Command  []string      // program and arguments; a program without "/" is looked up in PATH
	Dir      string        // working directory, absolute; "" = the server's
	Env      []string      // names of variables of the server's environment that it is given besides
	Timeout  time.Duration // 0 = DefaultTimeout
	Retries  int           // of a run that failed; 0 = DefaultRetries, -1 = none
}

// variableName is what a variable may be called.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,199}$`)

// Check says what is wrong with a hook, in the words of the configuration.
func (h Hook) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case !variableName.MatchString(h.Variable):
		bad("%q is no name of a variable: write letters, digits and underscores, as in the plan's flag.env", h.Variable)
	case slices.Contains(inherited, h.Variable) || strings.HasPrefix(h.Variable, "SERIN_") || strings.HasPrefix(h.Variable, "LD_") || strings.HasPrefix(h.Variable, "DYLD_"):
		bad("the hook itself needs %s: a build variable needs another name", h.Variable)
	}
	if len(h.Command) == 0 || h.Command[0] == "" {
		bad("command is missing: write program and arguments as a list, such as [vercel, deploy, --prod]")
	}
	if slices.ContainsFunc(h.Command, func(arg string) bool { return strings.ContainsRune(arg, 0) }) {
		bad("command: an argument holds a zero byte")
	}
	if h.Dir != "" && !filepath.IsAbs(h.Dir) {
		bad("dir %q: write an absolute path", h.Dir)
	}
	for _, name := range h.Env {
		if !variableName.MatchString(name) {
			bad("env: %q is no name of a variable: write names only, their values come from the server's environment", name)
		}
	}
	if h.Timeout < 0 || h.Timeout > MaxTimeout {
		bad("timeout %s: write at most %s", h.Timeout, MaxTimeout)
	}
	if h.Retries < -1 || h.Retries > MaxRetries {
		bad("retries %d: write 1 to %d, or -1 for none", h.Retries, MaxRetries)
	}
	return errors.Join(errs...)
}

// Options are what a Runner needs. Object and Record are required.
type Options struct {
	Hook Hook
	// Object is the variable's JSON object now.
	Object func(ctx context.Context, variable string) ([]byte, error)
	// Record journals an event in a rollout.
	Record func(ctx context.Context, rollout string, e rollout.Event) error
	Getenv func(string) string // of the server's environment; nil = none
	Logger *slog.Logger        // nil = silent
}

// Runner is the notify.Runner of one variable.
type Runner struct {
	o     Options
	grace time.Duration
}

var _ notify.Runner = (*Runner)(nil)

// New returns a Runner, or an error that says what is wrong with the hook.
func New(o Options) (*Runner, error) {
	if err := o.Hook.Check(); err != nil {
		return nil, err
	}
	if o.Hook.Timeout == 0 {
		o.Hook.Timeout = DefaultTimeout
	}
	switch o.Hook.Retries {
	case 0:
		o.Hook.Retries = DefaultRetries
	case -1:
		o.Hook.Retries = 0
	}
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Runner{o: o, grace: grace}, nil
}

// Limit implements notify.Runner.
func (r *Runner) Limit() time.Duration { return r.o.Hook.Timeout + around }

// Run implements notify.Runner. That the journal cannot be written keeps nothing
// from being deployed: it may be a rollback.
func (r *Runner) Run(ctx context.Context, waiting []notify.Notice, try int) error {
	name, newest := r.o.Hook.Variable, waiting[len(waiting)-1]
	object, err := r.o.Object(ctx, name)
	if err != nil {
		return &notify.RetryError{Err: fmt.Errorf("deploy hook of %s: read what to deploy: %w", name, err), After: retryAfter}
	}
	r.o.Logger.InfoContext(ctx, "deploy hook runs", "variable", name, "rollout", newest.Rollout, "try", try)
	r.record(ctx, waiting, rollout.Event{Type: rollout.DeployBegun, Item: name, To: string(object), N: try, Reason: newest.Title})
	got := r.execute(ctx, object, newest)
	if ctx.Err() != nil {
		return fmt.Errorf("deploy hook of %s: ended with the server: %w", name, ctx.Err())
	}
	last := got.how != rollout.HookDone && try > r.o.Hook.Retries
	r.o.Logger.InfoContext(ctx, "deploy hook ended", "variable", name, "how", got.how, "exit", got.exit, "took", got.took)
	r.record(ctx, waiting, rollout.Event{Type: rollout.DeployEnded, Item: name, Kind: got.how, N: got.exit, Duration: got.took,
		Reason: got.why, Show: got.output, Paged: last})
	if got.how == rollout.HookDone {
		return nil
	}
	err = fmt.Errorf("deploy hook of %s %s: %s", name, got.how, got.why)
	if last {
		return err
	}
	return &notify.RetryError{Err: err, After: retryAfter}
}

// record journals e in every rollout whose change is carried out.
func (r *Runner) record(ctx context.Context, waiting []notify.Notice, e rollout.Event) {
	done := map[string]bool{}
	for _, n := range waiting {
		if done[n.Rollout] {
			continue
		}
		done[n.Rollout] = true
		if err := r.o.Record(ctx, n.Rollout, e); err != nil {
			r.o.Logger.ErrorContext(ctx, "journal the deploy hook", "rollout", n.Rollout, "event", e.Type, "err", err)
		}
	}
}
