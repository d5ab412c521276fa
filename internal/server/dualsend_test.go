package server_test

import (
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDualSend runs the examples of docs/guide/keep-sentry.md as they stand:
// the error reaches Sentry and serin.
func TestDualSend(t *testing.T) {
	page, err := os.ReadFile("../../docs/guide/keep-sentry.md")
	if err != nil {
		t.Fatal(err)
	}
	example := func(language string) []byte {
		_, after, ok := strings.Cut(string(page), "```"+language+"\n")
		code, _, closed := strings.Cut(after, "```\n")
		if !ok || !closed {
			t.Fatalf("no example in %s", language)
		}
		return []byte(code)
	}
	send := func(t *testing.T, name string, code []byte, env string, program ...string) {
		u, s := newUpstream(t), start(t, 1)
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, code, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), program[0], append(program[1:], file)...)
		cmd.Env = append(os.Environ(), "SENTRY_DSN="+u.dsn, "SERIN_DSN="+s.boot.DSN, env)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		eventually(t, "both have it", func() error {
			if u.has("cart is broken") == 0 {
				return errors.New("the upstream has not")
			}
			if s.counters()["counted"] == 0 {
				return errors.New("serin has not")
			}
			return nil
		})
		u.check(t)
	}
	t.Run("go", func(t *testing.T) { send(t, "main.go", example("go"), "GOFLAGS=-mod=readonly", "go", "run") })
	t.Run("browser", func(t *testing.T) {
		page := pageWith(t, "newest", "dual.js")
		b, u, s := open(t), newUpstream(t), start(t, 1)
		b.visit(page + "/checkout?" + url.Values{"sentry": {u.dsn}, "dsn": {s.boot.DSN}}.Encode())
		b.see("the page is ready", `document.body.dataset.ready`)
		eventually(t, "both have it", func() error {
			if u.has("cart is broken") == 0 || s.counters()["counted:error"] == 0 {
				return errors.New("not both yet")
			}
			return nil
		})
	})
	t.Run("node", func(t *testing.T) {
		packages := installedAt(t, "newest/node_modules")
		send(t, "app.cjs", example("js"), "NODE_PATH="+packages, inPath(t, "node"))
	})
}
