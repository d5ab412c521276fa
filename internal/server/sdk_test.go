package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"serin/internal/rollout"
	"serin/internal/store"
)

// browserFiles holds the page with the SDKs and what npm installed for it.
const browserFiles = "testdata/browser"

// installed is the path of a file that npm installs; the test is skipped
// where it did not.
func installed(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(browserFiles, "node_modules", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s: the packages of %s are not installed; make setup does that where there is npm", name, browserFiles)
	}
	return path
}

// application serves the page with the unmodified SDKs on an origin of its own.
func application(t *testing.T) string {
	t.Helper()
	bundle := filepath.Join(t.TempDir(), "app.js")
	cmd := exec.CommandContext(t.Context(), installed(t, ".bin/esbuild"), "app/app.js", "--bundle", "--format=esm", "--target=es2022", "--log-level=warning", "--outfile="+bundle)
	cmd.Dir = browserFiles
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("bundle the page: %v\n%s", err, out)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,"><p id="status">loading</p><button id="crash">Pay</button><script type="module" src="/app.js"></script>`)
	})
	mux.HandleFunc("GET /app.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, bundle) })
	app := httptest.NewServer(mux)
	t.Cleanup(app.Close)
	return app.URL
}

// TestUnmodifiedSDKs opens a page of another origin that uses OpenFeature's
// web SDK over OFREP and Sentry's browser SDK as they come from npm.
func TestUnmodifiedSDKs(t *testing.T) {
	shop := application(t)
	first := open(t)
	s := start(t, 1)
	s.ask(http.MethodPut, "/flags/newCheckout", `{"state":"ENABLED","variants":{"new":true,"old":false},"defaultVariant":"old","metadata":{"client":true}}`, nil)
	var key struct{ Public string }
	s.ask(http.MethodPost, "/tokens", map[string]any{"name": "shop page", "kind": "flags", "origins": []string{shop}}, &key)
	id := s.create(checkoutPlan)
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	in, out := s.users("newCheckout")

	page := func(b *tab, user, want string) {
		b.visit(shop + "/?" + url.Values{"user": {user}, "dsn": {s.boot.DSN}, "serin": {s.url}, "key": {key.Public}}.Encode())
		b.see(user+" gets the "+want+" checkout", fmt.Sprintf("document.getElementById('status').textContent === %q", want))
		b.must("window.sameDocument = true", nil)
		b.do("crash", chromedp.Click(chromedp.CSS("#crash")))
	}
	second := first.another()
	page(first, in, "new")
	page(second, out, "old")
	both := []*tab{first, second}
	for _, b := range both {
		eventually(t, "the page throws", func() error {
			if len(b.errors()) == 0 {
				return fmt.Errorf("nothing thrown yet")
			}
			return nil
		})
		b.must("window.flushed()", nil)
	}
	eventually(t, "the errors are issues of their arms", func() error { return crashes(s, id) })

	// The flag follows in open pages, up and down.
	s.do(id, rollout.Promote, "reason", "the test wants everybody on it", "to", "full")
	second.see("promoted", `document.getElementById("status").textContent === "new"`)
	s.do(id, rollout.Rollback, "reason", "enough seen")
	for _, b := range both {
		b.see("rolled back", `document.getElementById("status").textContent === "old"`)
		b.see("without a reload", `window.sameDocument === true`)
		for _, wrong := range b.errors() {
			if !strings.Contains(wrong, "checkout button for") {
				t.Errorf("error on the page: %s", wrong)
			}
		}
		if n := len(b.errors()); n != 1 {
			t.Errorf("errors on the page: got %d, want the thrown one: %q", n, b.errors())
		}
	}
}

// crashes says what is missing until both pages' errors are found, each once
// in its own arm.
func crashes(s *site, id string) error {
	var issues []store.Issue
	s.ask(http.MethodGet, "/issues?rollout="+id, nil, &issues)
	arms := map[string]store.ArmCount{}
	for _, i := range issues {
		if !strings.HasPrefix(i.Title, "TypeError: checkout button for ") {
			return fmt.Errorf("issue %s has the title %q", i.ID, i.Title)
		}
		for name, n := range i.Arms {
			sum := arms[name]
			arms[name] = store.ArmCount{Events: sum.Events + n.Events, Users: sum.Users + n.Users}
		}
	}
	one := store.ArmCount{Events: 1, Users: 1}
	if want := map[string]store.ArmCount{id + "/new": one, id + "/old": one}; !maps.Equal(arms, want) {
		return fmt.Errorf("arms of %d issues: got %+v, want %+v", len(issues), arms, want)
	}
	return nil
}
