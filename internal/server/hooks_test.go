package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"serin/internal/config"
)

func TestCheckDeployHooks(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "deploy"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes"), []byte("plain\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		hook config.DeployHook
		want string // "" = fine
	}{
		{"in PATH", config.DeployHook{Command: []string{"sh", "-c", "true"}}, ""},
		{"beside", config.DeployHook{Command: []string{"./deploy"}, Dir: dir}, ""},
		{"absolute", config.DeployHook{Command: []string{filepath.Join(dir, "deploy")}, Timeout: "60m", Retries: -1}, ""},
		{"elsewhere", config.DeployHook{Command: []string{"./deploy"}}, "command: "},
		{"no program", config.DeployHook{Command: []string{"./notes"}, Dir: dir}, "permission denied"},
		{"no directory", config.DeployHook{Command: []string{"sh"}, Dir: filepath.Join(dir, "gone")}, "dir: stat "},
		{"a file", config.DeployHook{Command: []string{"sh"}, Dir: filepath.Join(dir, "notes")}, "is no directory"},
		{"no time", config.DeployHook{Command: []string{"sh"}, Timeout: "-1s"}, `timeout "-1s"`},
		{"too long", config.DeployHook{Command: []string{"sh"}, Timeout: "61m"}, "at most 1h0m0s"},
		{"a value", config.DeployHook{Command: []string{"sh"}, Env: []string{"TOKEN=x"}}, "write names only"},
		{"no command", config.DeployHook{}, "command is missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := CheckDeployHooks(config.Config{DeployHooks: map[string]config.DeployHook{"APP_FLAGS": tc.hook}})
			got := fmt.Sprint(err)
			if (err == nil) != (tc.want == "") || !strings.Contains(got, tc.want) || err != nil && !strings.Contains(got, "deploy_hooks.APP_FLAGS: ") {
				t.Errorf("CheckDeployHooks = %v, want %q", err, tc.want)
			}
		})
	}
}

// TestReloadHooks takes deploy hooks over and away, and nothing of a faulty
// configuration.
func TestReloadHooks(t *testing.T) {
	with := func(name string, h config.DeployHook) config.Config {
		return config.Config{Listen: "127.0.0.1:0", DeployHooks: map[string]config.DeployHook{name: h}}
	}
	s, err := New(t.Context(), Options{Data: t.TempDir(), Config: with("OLD", config.DeployHook{Command: []string{"no-such-program"}})})
	if err != nil {
		t.Fatalf("a hook whose program is missing keeps the server from starting: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	hooked := func(want string) {
		t.Helper()
		got := ""
		for _, name := range []string{"OLD", "NEW"} {
			if s.control.Courier().Hooked(name) {
				got += name
			}
		}
		if got != want {
			t.Errorf("hooks of %q, want %q", got, want)
		}
	}
	hooked("OLD")
	if err := s.Reload(with("NEW", config.DeployHook{Command: []string{"sh"}, Retries: 99})); err == nil {
		t.Error("a hook with 99 retries is taken over")
	}
	hooked("OLD")
	if err := s.Reload(with("NEW", config.DeployHook{Command: []string{"sh"}})); err != nil {
		t.Fatal(err)
	}
	hooked("NEW")
	if s.control.Courier().Knows("deploy:NEW") {
		t.Error("a hook is a channel that test notices can be sent to")
	}
}
