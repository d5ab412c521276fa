package server_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"serin/internal/server"
)

// TestDamagedPage: a server on a database whose last page is damaged either
// refuses to start and says what to do, or it serves flags and says that it is
// not well. It acknowledges nothing that it does not store.
func TestDamagedPage(t *testing.T) {
	p := build(t)
	p.serve()
	s := p.site()
	s.api(http.MethodPut, "/flags/other", `{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on"}`)
	const before = 60
	for n := range before {
		if a := s.envelope(errorEvent(n * 100)); a.status != http.StatusOK { // each a new issue with a sample
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	p.stop()
	path := filepath.Join(p.data, server.DatabaseFile)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	const page = 8192
	if _, err := f.WriteAt([]byte(strings.Repeat("\xa5", page)), info.Size()-page); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	cmd := exec.CommandContext(t.Context(), p.path, "serve", "--data", p.data, "--listen", p.listen)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	refused := false
	eventually(t, "the server tells of the damage", func() error {
		select {
		case <-ended:
			refused = true
			return nil
		default:
		}
		a, err := s.send(http.MethodGet, "/readyz", nil)
		if err == nil && (a.status != http.StatusServiceUnavailable || !strings.Contains(string(a.body), "store_damaged")) {
			err = fmt.Errorf("%d %s", a.status, a.body)
		}
		return err
	})
	if refused {
		if !strings.Contains(said.String(), "damaged") || !strings.Contains(said.String(), "restore a backup") {
			t.Errorf("it refused to start and said: %s", said.String())
		}
		return
	}
	defer func() {
		_ = cmd.Process.Kill()
		<-ended
	}()
	if on, _ := s.flagOf("other", "anna"); !on {
		t.Error("flags are not served")
	}
	counted := s.counters()["counted"]
	for n := range 20 {
		if a := s.envelope(errorEvent(1_000_000 + n*100)); a.status == http.StatusOK {
			counted++
		} else if a.status != http.StatusServiceUnavailable {
			t.Errorf("telemetry: %d %s", a.status, a.body)
		}
	}
	if c := s.counters(); c["counted"] != counted {
		t.Errorf("%d events were acknowledged, %d are counted", counted, c["counted"])
	}
}

// TestReadOnlyDirectory: a server that may not write its data directory does
// not start, and says why.
func TestReadOnlyDirectory(t *testing.T) {
	p := build(t)
	p.serve()
	p.kill()
	shut(t, p.data)
	cmd := exec.CommandContext(t.Context(), p.path, "serve", "--data", p.data, "--listen", p.listen)
	cmd.Env = []string{"HOME=/"}
	if os.Getuid() == 0 { // whom no mode keeps out
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		for dir := filepath.Dir(p.path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "data directory") || !strings.Contains(string(out), "permission denied") {
		t.Errorf("it ended with %v and said: %s", err, out)
	}
}

// shut takes the right to write a directory and its files from everybody,
// until the test ends.
func shut(t *testing.T, dir string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if err := os.Chmod(filepath.Join(dir, e.Name()), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
}
