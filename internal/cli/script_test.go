package cli_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"serin/internal/cli"
)

// TestMain lets scripts run the command line as a program of its own, as
// cmd/serin does.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"serin": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		os.Exit(cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Getenv))
	}})
}

// TestScript runs testdata/script: whole sessions against a server of their own.
//
// Beyond testscript's commands there are
//
//	exits N COMMAND...   runs a command, which must end with status N
//	server DIR [ENV]     waits until "serin serve --data DIR &" runs; sets URL, ADDR, TOKEN, KEY
//	answers URL          waits until a server answers there
//	keep NAME [REGEXP]   keeps the last output, or the expression's first group, in an environment variable
//	counts N TEXT        the last output has TEXT N times
//	becomes REGEXP COMMAND...   runs a command until its output has a line like that
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("GORACE", noExitSleep)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "server": waitForServer, "answers": answers, "keep": keep, "counts": counts, "becomes": becomes,
		},
	})
}

// noExitSleep spares a program built with the race detector the second that
// it waits for late races before it ends.
const noExitSleep = "atexit_sleep_ms=10"

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		got = ended.ExitCode()
	case err != nil:
		ts.Fatalf("%s: %v", args[1], err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d\n%s%s", got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// patience is how long a server may take to start.
const patience = 30 * time.Second

func waitForServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: server DIR")
	}
	file := ts.MkAbs(args[0] + "/bootstrap.json")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		text, err := os.ReadFile(file)
		if err == nil && strings.HasSuffix(string(text), "}\n") { // whole
			for name, key := range map[string]string{"URL": "url", "TOKEN": "admin_token", "KEY": "flag_key"} {
				ts.Setenv(name, group(ts, string(text), `"`+key+`": "([^"]*)"`))
			}
			ts.Setenv("ADDR", strings.TrimPrefix(ts.Getenv("URL"), "http://"))
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("no server came up in %s: %v", args[0], err)
		}
	}
}

func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: answers URL")
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		resp, err := http.Get(args[0] + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("no server answers at %s: %v", args[0], err)
		}
	}
}

func becomes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: becomes REGEXP COMMAND...")
	}
	want := regexp.MustCompile(`(?m)` + args[0])
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("no %s: %v\n%s%s", args[0], err, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
		}
	}
}

func keep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: keep NAME [REGEXP]")
	}
	text := strings.TrimSpace(ts.ReadFile("stdout"))
	if len(args) == 2 {
		text = group(ts, text, args[1])
	}
	ts.Setenv(args[0], text)
}

func group(ts *testscript.TestScript, text, expression string) string {
	m := regexp.MustCompile(`(?m)` + expression).FindStringSubmatch(text)
	if len(m) != 2 {
		ts.Fatalf("no %s in %q", expression, text)
	}
	return m[1]
}

func counts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: counts N TEXT")
	}
	if got := strings.Count(ts.ReadFile("stdout"), args[1]); strconv.Itoa(got) != args[0] {
		ts.Fatalf("%q is there %d times, want %s\n%s", args[1], got, args[0], ts.ReadFile("stdout"))
	}
}
