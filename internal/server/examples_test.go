package server_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"serin/internal/clock"
	"serin/internal/controller"
	"serin/internal/server"
	"serin/internal/store"
)

// adminPlan is the rollout that the examples take part in: half of the admins
// at first, then all.
const adminPlan = `serin: 1
plan: admin-workbench
title: AdminWorkBench
timezone: UTC
flag: { key: adminWorkBench, variants: { new: AdminWorkBench, old: ExecutiveDashboard }, audience: role = admin }
scope: { tags: { feature: admin-workbench }, pages: [/admin/users] }
calendar: { raise: ["daily 00:00-24:00"] }
preflight:
  - { id: sign-off, do: Tried out by hand in staging }
criteria:
  healthy: [new_issues = 0, adoption > 10%, satisfaction > 3, complaints < 5]
stages:
  - { stage: canary, traffic: 50%,  bake: 72h, proceed: healthy }
  - { stage: full,   traffic: 100%, bake: 72h, proceed: healthy }
rollback: [p1 > 50 over 6h]
`

// modulesOf returns a copy of an example, outside the source tree, with the
// packages of its lock file. The copy is kept in the user's cache from run to
// run; npm is asked again when the lock file changed. Tests of other processes
// wait meanwhile. Without npm, or without its registry, the test is skipped.
func modulesOf(t *testing.T, example string) string {
	t.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skipf("no npm in PATH: examples/%s is not tried out", example)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("no cache directory for the packages of examples/%s: %v", example, err)
	}
	dir := filepath.Join(cache, "serin-examples", example)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	alone(t, dir+".lock")
	digest := mirror(t, filepath.Join("../../examples", example), dir)
	if stamped(dir, "installed", digest["package-lock.json"]) {
		return dir
	}
	began := time.Now()
	out, err := command(t, dir, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund").CombinedOutput()
	if err != nil {
		if noNetwork.Match(out) {
			t.Skipf("npm cannot reach its registry: examples/%s is not tried out\n%s", example, out)
		}
		t.Fatalf("npm ci in examples/%s: %v\n%s", example, err, out)
	}
	t.Logf("npm ci of examples/%s took %v", example, time.Since(began).Round(time.Second))
	stamp(t, dir, "installed", digest["package-lock.json"])
	return dir
}

// noNetwork is how npm says that the registry was not reached.
var noNetwork = regexp.MustCompile(`ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH`)

// alone waits for a lock that other processes take too, and holds it until
// the test ends.
func alone(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatalf("lock %s: %v", path, err)
	}
}

// foreign are the folders of an example that tools make.
var foreign = map[string]bool{"node_modules": true, ".next": true}

// mirror makes dir hold the files of an example and no others of its own, and
// returns the digest of each and, under "", of all.
func mirror(t *testing.T, from, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !foreign[e.Name()] && !strings.HasPrefix(e.Name(), ".stamp-") {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	digests, all := map[string]string{}, sha256.New()
	err = fs.WalkDir(os.DirFS(from), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && foreign[d.Name()]:
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, name), 0o755)
		}
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		digests[name] = fmt.Sprintf("%x", sha256.Sum256(data))
		fmt.Fprintln(all, name, digests[name])
		return os.WriteFile(filepath.Join(dir, name), data, 0o644)
	})
	if err != nil {
		t.Fatalf("copy %s: %v", from, err)
	}
	digests[""] = fmt.Sprintf("%x", all.Sum(nil))
	return digests
}

// stamped says whether a step was done for this digest; stamp notes that it was.
func stamped(dir, step, digest string) bool {
	data, err := os.ReadFile(filepath.Join(dir, ".stamp-"+step))
	return err == nil && string(data) == digest
}

func stamp(t *testing.T, dir, step, digest string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, ".stamp-"+step), []byte(digest), 0o644); err != nil {
		t.Fatal(err)
	}
}

// command prepares a program that ends with the test, with variables in
// addition to those of this process.
func command(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NEXT_TELEMETRY_DISABLED=1")
	return cmd
}

// transcript keeps what a program printed.
type transcript struct{ path string }

func (l transcript) String() string {
	data, _ := os.ReadFile(l.path) // what was not printed is empty
	return string(data)
}

// runApp starts a program that serves HTTP at a free port of its own choice of
// variable PORT, waits until it answers and returns its base URL.
func runApp(t *testing.T, cmd *exec.Cmd, port string, env ...string) (base string, log transcript) {
	t.Helper()
	log = transcript{filepath.Join(t.TempDir(), "log")}
	f, err := os.Create(log.path)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(append(cmd.Environ(), "PORT="+port), env...)
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		_ = f.Close()
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(cmd.Path), log)
		}
	})
	base = "http://127.0.0.1:" + port
	eventually(t, "the app answers", func() error {
		resp, err := http.Get(base + "/")
		if err != nil {
			return fmt.Errorf("%w; it printed:\n%s", err, log)
		}
		return resp.Body.Close()
	})
	return base, log
}

// freePort is a port that nobody listened on a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// silent is the address of a server that takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return "http://" + l.Addr().String()
}

// startStoppable is start of a server that the test can stop before its end.
func startStoppable(t *testing.T) (s *site, stop func()) {
	t.Helper()
	srv, err := server.New(t.Context(), server.Options{Data: t.TempDir(), Listen: "127.0.0.1:0", Clock: clock.Fast(monday, 1), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := srv.Run(ctx); err != nil {
			t.Errorf("server ended with: %v", err)
		}
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return &site{t: t, url: srv.URL(), boot: *srv.Bootstrap()}, stop
}

// keyOf makes a key for flags of this kind and returns its secret.
func (s *site) keyOf(kind string, origins ...string) string {
	s.t.Helper()
	var key struct{ Public, Secret string }
	s.ask(http.MethodPost, "/tokens", map[string]any{"name": "example " + kind, "kind": kind, "origins": origins}, &key)
	return cmp.Or(key.Public, key.Secret) // publishable keys have both
}

// onlyNew says what is missing until one issue with this title has happened on
// the new arm of a rollout and nowhere else.
func (s *site) onlyNew(id, title string) error {
	var issues []store.Issue
	s.ask(http.MethodGet, "/issues?rollout="+id, nil, &issues)
	for _, i := range issues {
		if !strings.Contains(i.Title, title) {
			continue
		}
		if n := i.Arms[id+"/new"]; n.Events != 1 || n.Users != 1 || len(i.Arms) != 1 {
			return fmt.Errorf("arms of %q: %+v, want one event of one user on new alone", i.Title, i.Arms)
		}
		return nil
	}
	return errors.New("no issue with the title " + title)
}

// told says what is missing until each of these metrics has a value on the
// new arm of a rollout.
func (s *site) told(id string, metrics ...string) error {
next:
	for _, m := range metrics {
		var series controller.Series
		s.ask(http.MethodGet, "/rollouts/"+id+"/series/"+m, nil, &series)
		for _, v := range series.Canary {
			if v != nil && *v > 0 {
				continue next
			}
		}
		return fmt.Errorf("no %s on the new arm", m)
	}
	return nil
}
