package server_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"serin/internal/rollout"
)

// canaryCheckout starts a rollout of the checkout and returns a user on each side.
func canaryCheckout(s *site) (id, in, out string) {
	s.t.Helper()
	s.ask(http.MethodPut, "/flags/newCheckout", `{"state":"ENABLED","variants":{"new":true,"old":false},"defaultVariant":"old","metadata":{"client":true}}`, nil)
	id = s.create(checkoutPlan)
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	in, out = s.users("newCheckout")
	return id, in, out
}

// checkoutFor is the status and the line that a shop answers a user.
func checkoutFor(t *testing.T, base, user, cart string) (status int, line string, err error) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/?"+url.Values{"user": {user}, "cart": {cart}}.Encode(), nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(data)), err
}

// getsCheckout waits until a shop answers a user with this line.
func getsCheckout(t *testing.T, base, user, want string) {
	t.Helper()
	eventually(t, user+" gets the "+want, func() error {
		status, line, err := checkoutFor(t, base, user, "")
		if err != nil || status != http.StatusOK || line != want {
			return errors.Join(err, fmt.Errorf("got %d %q, want %q", status, line, want))
		}
		return nil
	})
}

// useShop uses a shop of the examples through a rollout: both arms, an error of
// the new one, a rollback.
func useShop(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	s := start(t, 1)
	id, in, out := canaryCheckout(s)
	base, _ := runApp(t, cmd, freePort(t), "SERIN_URL="+s.url, "SERIN_DSN="+s.boot.DSN, "SERIN_SERVER_KEY="+s.keyOf("flags-server"))
	gets := func(user, want string) { t.Helper(); getsCheckout(t, base, user, want) }
	gets(in, "new checkout")
	gets(out, "old checkout")
	if status, line, err := checkoutFor(t, base, in, "broken"); err != nil || status != http.StatusInternalServerError {
		t.Errorf("a broken cart on new: got %d %q, %v, want status 500", status, line, err)
	}
	if status, line, err := checkoutFor(t, base, out, "broken"); err != nil || status != http.StatusOK {
		t.Errorf("a broken cart on old: got %d %q, %v, want status 200", status, line, err)
	}
	eventually(t, "the error is an issue of the new checkout alone", func() error { return s.onlyNew(id, "cart is broken") })
	s.do(id, rollout.Rollback, "reason", "enough seen")
	gets(in, "old checkout")
}

// loseServer stops serin under a shop while everybody is on the new checkout:
// who was seen before gets seen, and everybody else the old one.
func loseServer(t *testing.T, cmd *exec.Cmd, seen string) {
	t.Helper()
	s, stopServer := startStoppable(t)
	s.ask(http.MethodPut, "/flags/newCheckout", `{"state":"ENABLED","variants":{"new":true,"old":false},"defaultVariant":"new"}`, nil)
	base, _ := runApp(t, cmd, freePort(t), "SERIN_URL="+s.url, "SERIN_SERVER_KEY="+s.keyOf("flags-server"))
	getsCheckout(t, base, "ada", "new checkout")
	stopServer()
	getsCheckout(t, base, "ada", seen)
	getsCheckout(t, base, "somebody-else", "old checkout")
}

// TestGoExample builds and uses examples/go.
func TestGoExample(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "shop")
	if out, err := command(t, "../..", "go", "build", "-o", bin, "./examples/go").CombinedOutput(); err != nil {
		t.Fatalf("build examples/go: %v\n%s", err, out)
	}
	useShop(t, command(t, t.TempDir(), bin))
	loseServer(t, command(t, t.TempDir(), bin), "new checkout") // the provider keeps its last answers
}

// TestNodeExample uses examples/node with the packages of its lock file.
func TestNodeExample(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node in PATH: examples/node is not tried out")
	}
	dir := modulesOf(t, "node")
	useShop(t, command(t, dir, node, "server.mjs"))
	loseServer(t, command(t, dir, node, "server.mjs"), "old checkout")
}

// TestBrowserExample opens the static page of examples/browser, whose packages
// the browser loads file by file.
func TestBrowserExample(t *testing.T) {
	b := open(t)
	dir := modulesOf(t, "browser")
	s := start(t, 1)
	id, in, out := canaryCheckout(s)
	var key string
	nobody := silent(t)
	files := http.FileServer(http.Dir(dir))
	mux := http.NewServeMux()
	mux.Handle("/", files)
	mux.HandleFunc("/settings.json", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"serin":%q,"pageKey":%q,"dsn":%q}`, s.url, key, s.boot.DSN)
	})
	mux.HandleFunc("/away/settings.json", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"serin":%q,"pageKey":"","dsn":""}`, nobody)
	})
	mux.Handle("/away/", http.StripPrefix("/away", files))
	app := httptest.NewServer(mux)
	t.Cleanup(app.Close)
	key = s.keyOf("flags", app.URL)

	shows := func(b *tab, which string) {
		t.Helper()
		b.see("the "+which+" checkout", fmt.Sprintf(`document.body.dataset.checkout === %q && document.querySelector("section:not([hidden])").id === %q`, which, which))
	}
	second := b.another()
	second.visit(app.URL + "/?user=" + out)
	shows(second, "old")
	b.visit(app.URL + "/?user=" + in)
	shows(b, "new")
	if wrong := append(b.errors(), second.errors()...); len(wrong) > 0 {
		t.Errorf("on the pages: %q", wrong)
	}
	b.must("window.sameDocument = true", nil)
	b.do("pay", chromedp.Click(chromedp.CSS("#pay")))
	eventually(t, "the error is an issue of the new checkout alone", func() error { return s.onlyNew(id, "cart is undefined") })
	s.do(id, rollout.Promote, "reason", "the test wants everybody on it", "to", "full")
	shows(second, "new")
	s.do(id, rollout.Rollback, "reason", "enough seen")
	shows(second, "old")
	shows(b, "old")
	b.see("the same document", "window.sameDocument")

	// Where serin does not answer, the old checkout stays.
	b.visit(app.URL + "/away/?user=" + in)
	b.see("the old checkout without an answer", `document.body.dataset.checkout === "old"`)
}
