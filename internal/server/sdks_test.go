package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"serin/internal/controller"
	"serin/internal/rollout"
	"serin/internal/server"
	"serin/internal/store"
)

// sdkFiles holds programs that use unmodified SDKs, and the lock files of
// their oldest and newest releases that still install.
const sdkFiles = "testdata/sdks"

// sdkPlan uses each metric that an SDK can bring.
const sdkPlan = `serin: 1
plan: checkout
title: New checkout
timezone: UTC
flag: { key: newCheckout, audience: role = admin }
calendar: { raise: ["daily 00:00-24:00"] }
preflight:
  - { id: sign-off, do: Tried out by hand in staging }
criteria:
  healthy: [errors < 1000, p2 < 1000, error_rate < 1000%, http_5xx < 1000, requests > 0, api_p95 < 60s, db_p95 < 60s,
    sessions > 0, crash_free > 0%, complaints < 1000, lcp < 60s, fcp < 60s, ttfb < 60s, cls < 10, inp < 60s]
stages:
  - { stage: canary, traffic: 50%,  bake: 72h, proceed: healthy }
  - { stage: full,   traffic: 100%, bake: 72h, proceed: healthy }
rollback: [p1 > 1000 over 6h]
`

// shop is a rollout of newCheckout on a server of its own, and a user on each side.
type shop struct {
	*site
	id      string
	in, out string
}

func openShop(t *testing.T) *shop {
	t.Helper()
	return openShopWith(t, sdkPlan)
}

// openShopWith is openShop for another plan of newCheckout.
func openShopWith(t *testing.T, planFile string) *shop {
	t.Helper()
	s := startWith(t, server.Options{}) // the machine's clock, as the SDKs'
	s.ask(http.MethodPut, "/flags/newCheckout", `{"state":"ENABLED","variants":{"new":true,"old":false},"defaultVariant":"old","metadata":{"client":true}}`, nil)
	id := s.create(planFile)
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	in, out := s.users("newCheckout")
	return &shop{s, id, in, out}
}

// installedAt is the path of something that a tool fetches below sdkFiles; the
// test is skipped where it did not.
func installedAt(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(sdkFiles, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s: make setup fetches it where there is npm", filepath.Join(sdkFiles, name))
	}
	return path
}

// inPath is the path of a program; the test is skipped where there is none.
func inPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s in PATH: its SDKs are not tried out", name)
	}
	return path
}

// both runs a program for a user of each arm, at the same time. The new one
// may end with an error of its own.
func (s *shop) both(dsn string, prepare func(context.Context) *exec.Cmd) {
	s.t.Helper()
	type ended struct {
		variant, out string
		err          error
	}
	results := make(chan ended, 2)
	for variant, user := range map[string]string{"new": s.in, "old": s.out} {
		ctx, cancel := context.WithTimeout(s.t.Context(), patience)
		defer cancel()
		cmd := prepare(ctx)
		cmd.WaitDelay = time.Second
		cmd.Env = append(append(os.Environ(), cmd.Env...), "DSN="+dsn, "USER_ID="+user, "VARIANT="+variant, "SERIN="+s.url, "KEY="+s.boot.PublicKey)
		go func() {
			out, err := cmd.CombinedOutput()
			results <- ended{variant, string(out), err}
		}()
	}
	for range 2 {
		r := <-results
		if died := new(exec.ExitError); r.err != nil && (r.variant == "old" || !errors.As(r.err, &died) || died.ExitCode() < 0) {
			s.t.Errorf("the program of %s: %v\n%s", r.variant, r.err, r.out)
		}
		if strings.TrimSpace(r.out) != "" {
			s.t.Logf("the program of %s printed:\n%s", r.variant, r.out)
		}
	}
}

// want is what a metric must be in each arm; absent says that it has no value.
type want struct {
	metric          string
	canary, control float64
}

const (
	absent   = -1
	positive = -2 // any value above 0
)

// found waits until the API tells each metric as wanted.
func (s *shop) found(metrics ...want) {
	s.t.Helper()
	for _, w := range metrics {
		eventually(s.t, w.metric+" by arm", func() error {
			var series controller.Series
			s.ask(http.MethodGet, "/rollouts/"+s.id+"/series/"+w.metric, nil, &series)
			got := [2]float64{told(w.metric, series.Canary), told(w.metric, series.Control)}
			for i, v := range [2]float64{w.canary, w.control} {
				if got[i] != v && !(v == positive && got[i] > 0) {
					return fmt.Errorf("%s: got new %v, old %v; want %v, %v", w.metric, got[0], got[1], w.canary, w.control)
				}
			}
			return nil
		})
	}
}

// told is a series as one number: the sum of counts, the last of the others.
func told(metric string, points []*float64) float64 {
	counts := []string{"errors", "p1", "p2", "http_5xx", "requests", "sessions", "complaints"}
	sum, last := 0.0, float64(absent)
	for _, v := range points {
		if v != nil {
			sum += *v
			last = *v
		}
	}
	if slices.Contains(counts, metric) {
		return sum
	}
	return last
}

// issues waits until the errors with these titles happened so often in each
// arm, and no others did.
func (s *shop) issues(expected map[string][2]int) {
	s.t.Helper()
	eventually(s.t, "the issues and their arms", func() error {
		var issues []store.Issue
		s.ask(http.MethodGet, "/issues?rollout="+s.id, nil, &issues)
		got := map[string][2]int{}
		for _, i := range issues {
			n := got[i.Title]
			n[0] += int(i.Arms[s.id+"/new"].Events)
			n[1] += int(i.Arms[s.id+"/old"].Events)
			got[i.Title] = n
		}
		if fmt.Sprint(got) != fmt.Sprint(expected) {
			return fmt.Errorf("got %v, want %v", got, expected)
		}
		return nil
	})
}

// sessions waits until sessions arrived, of whichever arm.
func (s *shop) sessions() {
	s.t.Helper()
	eventually(s.t, "sessions", func() error {
		if s.metric(`serin_intake_items_total{outcome="accepted",type="session"}`) == 0 {
			return errors.New("none accepted")
		}
		return nil
	})
}

// checkIns waits until so many check-ins are counted.
func (s *shop) checkIns(n int64) {
	s.t.Helper()
	eventually(s.t, "check-ins", func() error {
		if got := s.counters()["counted:check_in"]; got != n {
			return fmt.Errorf("got %d, want %d", got, n)
		}
		return nil
	})
}

// noNetworkGo is how the go command says that a module was not to be had.
var noNetworkGo = regexp.MustCompile(`dial tcp|no such host|i/o timeout|module lookup disabled|connection refused|proxyconnect`)

// TestGoSDKs sends with Sentry's SDK for Go. It has neither sessions nor
// feedback. The oldest release sends its errors to /store/.
func TestGoSDKs(t *testing.T) {
	for _, c := range []struct {
		release string
		build   []string
	}{
		{"newest", nil},
		{"oldest", []string{"-modfile=oldest.mod", "-tags=oldest"}},
	} {
		t.Run(c.release, func(t *testing.T) {
			t.Parallel()
			bin := filepath.Join(t.TempDir(), "sdk")
			out, err := command(t, filepath.Join(sdkFiles, "go"), "go", append(append([]string{"build"}, c.build...), "-o", bin, ".")...).CombinedOutput()
			if err != nil && noNetworkGo.Match(out) {
				t.Skipf("sentry-go is not here and cannot be fetched:\n%s", out)
			} else if err != nil {
				t.Fatalf("build: %v\n%s", err, out)
			}
			s := openShop(t)
			s.both(s.boot.DSN, func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, bin) })
			s.issues(map[string][2]int{"*fmt.wrapError: load cart: cart is slow": {1, 1}, "cart is broken": {1, 0}})
			s.found(want{"errors", 2, 1}, want{"p1", 1, 0}, want{"requests", 2, 2}, want{"api_p95", positive, positive})
			if c.release == "newest" { // the oldest tells no status of requests
				s.found(want{"http_5xx", 1, 0})
			}
		})
	}
}

// TestNodeSDKs sends with Sentry's SDK for Node.js.
func TestNodeSDKs(t *testing.T) {
	for _, release := range []string{"oldest", "newest"} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			node := inPath(t, "node")
			packages := filepath.Dir(installedAt(t, release+"/node_modules"))
			s := openShop(t)
			s.both(s.boot.DSN, func(ctx context.Context) *exec.Cmd {
				return exec.CommandContext(ctx, node, filepath.Join(sdkFiles, "node.cjs"), packages)
			})
			s.issues(map[string][2]int{"RangeError: cart is slow": {1, 1}, "TypeError: cart is broken": {1, 0}})
			s.found(want{"errors", 2, 1}, want{"http_5xx", 1, 0}, want{"requests", 2, 2}, want{"api_p95", positive, positive})
			s.sessions() // aggregates without a user: of no arm
			if release == "newest" {
				s.found(want{"complaints", 1, 1})
				s.checkIns(2)
			}
		})
	}
}

// TestPythonSDK sends with the SDK for Python of this machine, whichever it is.
func TestPythonSDK(t *testing.T) {
	t.Parallel()
	python := ""
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if out, err := exec.CommandContext(t.Context(), name, "-c", "import sentry_sdk; print(sentry_sdk.VERSION)").Output(); err == nil {
			python = name
			t.Logf("%s has sentry-sdk %s", name, strings.TrimSpace(string(out)))
			break
		}
	}
	if python == "" {
		t.Skip("no Python with sentry-sdk: make setup installs it where there is apt")
	}
	s := openShop(t)
	s.both(s.boot.DSN, func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, python, filepath.Join(sdkFiles, "service.py"))
	})
	s.issues(map[string][2]int{"ValueError: cart is slow": {1, 1}, "TypeError: cart is broken": {1, 0}})
	s.found(want{"errors", 2, 1}, want{"http_5xx", 1, 0}, want{"requests", 2, 2}, want{"api_p95", positive, positive})
}

// pageWith bundles a page of sdkFiles with the packages of a release and
// serves it.
func pageWith(t *testing.T, release, script string) string {
	t.Helper()
	packages := installedAt(t, release+"/node_modules")
	bundle := filepath.Join(t.TempDir(), "app.js")
	cmd := exec.CommandContext(t.Context(), installed(t, ".bin/esbuild"), script, "--bundle", "--format=iife", "--target=es2022", "--log-level=warning",
		"--alias:tracing-of-this-sdk=./"+release+"/tracing.js", "--outfile="+bundle)
	cmd.Dir, cmd.Env = sdkFiles, append(os.Environ(), "NODE_PATH="+packages)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("bundle %s with %s packages: %v\n%s", script, release, err, out)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkout", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,"><h1>Checkout</h1><p>Three things in your cart.</p>
<button id="cart">Cart</button> <button id="pay">Pay</button> <button id="complain">Complain</button> <button id="slow">Count</button><script>
slow.onclick = () => { for (const end = performance.now() + 120; performance.now() < end;); slow.textContent = "Counted"; };
const shift = () => { const ad = document.createElement("p"); ad.style.height = "90px"; ad.id = "ad"; document.body.prepend(ad); }; // pushes the page down
</script><script defer src="/app.js"></script>`)
	})
	mux.HandleFunc("GET /left", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /app.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, bundle) })
	app := httptest.NewServer(mux)
	t.Cleanup(app.Close)
	return app.URL
}

// use opens the page as a user, presses buttons and leaves it.
func (s *shop) use(b *tab, page, user, variant string, buttons ...string) {
	s.t.Helper()
	loads := s.metric(`serin_intake_items_total{outcome="accepted",type="page"}`)
	b.visit(page + "/checkout?" + url.Values{"user": {user}, "variant": {variant}, "dsn": {s.boot.DSN},
		"serin": {s.url}, "project": {s.boot.Project}, "key": {s.boot.PublicKey}}.Encode())
	b.see("the page is ready", `document.body.dataset.ready`)
	b.see("the page is painted", `performance.getEntriesByName("first-contentful-paint").length`) // input ends the search for LCP
	b.must("shift()", nil)
	b.must("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))", nil)
	for _, button := range buttons {
		b.do("press "+button, chromedp.Click(chromedp.CSS("#"+button)))
		if button == "slow" { // its paint ends the interaction
			b.see("it has counted", `slow.textContent === "Counted"`)
			b.must("new Promise(r => setTimeout(() => requestAnimationFrame(() => setTimeout(() => r(true), 100)), 100))", nil)
		}
	}
	if slices.Contains(buttons, "cart") {
		eventually(s.t, "the page load is told", func() error {
			if s.metric(`serin_intake_items_total{outcome="accepted",type="page"}`) <= loads {
				return errors.New("not yet")
			}
			return nil
		})
		b.must("window.flushed().then(() => true)", nil)
	}
	b.visit(page + "/left") // what is told when a page is left
}

// TestBrowserSDKs sends with Sentry's SDK for browsers.
func TestBrowserSDKs(t *testing.T) {
	for _, release := range []string{"oldest", "newest"} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			page := pageWith(t, release, "browser.js")
			b := open(t)
			s := openShop(t)
			s.use(b, page, s.in, "new", "slow", "cart", "pay", "complain")
			s.use(b, page, s.out, "old", "slow", "cart", "pay", "complain")
			s.issues(map[string][2]int{"RangeError: cart is slow": {1, 1}, "TypeError: cart is broken": {1, 0}})
			s.found(want{"errors", 2, 1}, want{"p2", 1, 0}, want{"crash_free", 0, 1}, want{"lcp", positive, positive}, want{"fcp", positive, positive}, want{"ttfb", positive, positive})
			if release == "newest" {
				s.found(want{"complaints", 1, 1}, want{"cls", positive, positive}, want{"inp", positive, positive})
			}
		})
	}
}

// TestWebVitals sends with the library web-vitals.
func TestWebVitals(t *testing.T) {
	for _, release := range []string{"oldest", "newest"} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			page := pageWith(t, release, "vitals.js")
			b := open(t)
			s := openShop(t)
			s.use(b, page, s.in, "new", "slow")
			s.use(b, page, s.out, "old", "slow")
			s.found(want{"lcp", positive, positive}, want{"fcp", positive, positive}, want{"ttfb", positive, positive}, want{"cls", positive, positive}, want{"inp", positive, positive})
		})
	}
}
