package cli_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shellBlocks returns the blocks of a page that are marked sh, in order.
func shellBlocks(page string) string {
	var b strings.Builder
	for _, m := range regexp.MustCompile("(?ms)^ *```sh\n(.*?)^ *```$").FindAllStringSubmatch(page, -1) {
		b.WriteString(m[1])
	}
	return b.String()
}

// freeAddress is an address where nobody listens now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// TestDocsRun runs the shell blocks of each page, one after the other in one
// shell, as a reader pastes them; only the port is another.
func TestDocsRun(t *testing.T) {
	pages, err := filepath.Glob("../../docs/guide/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no guides: %v", err)
	}
	for _, page := range append(pages, "../../README.md") {
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel() // they wait for servers more than they work
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			if script := shellBlocks(string(text)); script != "" {
				runShell(t, strings.ReplaceAll(script, "127.0.0.1:8750", freeAddress(t)))
			}
		})
	}
}

// runShell runs a script in an empty directory; serin is in its PATH (TestMain).
func runShell(t *testing.T, script string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-eu")
	cmd.Stdin = strings.NewReader("set -x\n" + script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir, "GORACE="+noExitSleep, "SERIN_URL=", "SERIN_TOKEN=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it left running ends with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // nothing is left, if all went well
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
