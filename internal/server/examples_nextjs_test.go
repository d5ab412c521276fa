package server_test

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"serin/internal/judge"
	"serin/internal/rollout"
)

// nextApp builds examples/nextjs where that was not done yet.
func nextApp(t *testing.T) (dir, node string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node in PATH: examples/nextjs is not tried out")
	}
	dir = modulesOf(t, "nextjs")
	digest := mirror(t, "../../examples/nextjs", dir)[""]
	if stamped(dir, "built", digest) {
		return dir, node
	}
	began := time.Now()
	if out, err := command(t, dir, node, nextCLI, "build").CombinedOutput(); err != nil {
		t.Fatalf("next build: %v\n%s", err, out)
	}
	t.Logf("next build took %v", time.Since(began).Round(time.Second))
	stamp(t, dir, "built", digest)
	return dir, node
}

var nextCLI = filepath.Join("node_modules", "next", "dist", "bin", "next")

// shopTab is a browser tab in the example's shop.
type shopTab struct {
	*tab
	base string
}

// enter signs an admin in, which loads the dashboard as a new document.
func (b *shopTab) enter(user string) {
	b.t.Helper()
	b.visit(b.base + "/")
	b.do("sign in as "+user, chromedp.SendKeys(chromedp.CSS("input[name=user]"), user),
		chromedp.Click(chromedp.CSS("form button")))
}

// shows waits until one dashboard, and only that, is on the page, and the page
// has heard what the flag is ("" = whatever).
func (b *shopTab) shows(which, heard string) {
	b.t.Helper()
	live := ""
	if heard != "" {
		live = fmt.Sprintf(` && document.querySelector("[data-shown]").dataset.live === %q`, heard)
	}
	b.see(which+" dashboard", fmt.Sprintf(`document.querySelectorAll("#old, #new").length === 1 && document.querySelector("#%s")`, which)+live)
}

// follow clicks a link of the navigation and waits until its page is there.
func (b *shopTab) follow(link string) {
	b.t.Helper()
	b.must(fmt.Sprintf(`[...document.querySelectorAll("nav a")].find(a => a.textContent === %q).click()`, link), nil)
	b.see(link, fmt.Sprintf(`document.querySelector("h1").textContent === %q`, link))
}

// choose picks an option of a list, as a person does.
func (b *shopTab) choose(name, value string) {
	b.t.Helper()
	b.must(fmt.Sprintf(`(() => {
		const list = document.querySelector("[name=%s]");
		list.value = %q;
		list.dispatchEvent(new Event("change", { bubbles: true }));
	})()`, name, value), nil)
}

// clean fails the test for each error or warning on the page but the expected.
func (b *shopTab) clean(expected ...string) {
	b.t.Helper()
next:
	for _, wrong := range b.errors() {
		for _, e := range expected {
			if strings.Contains(wrong, e) {
				continue next
			}
		}
		b.t.Errorf("on the page: %s", wrong)
	}
}

// TestNextExample builds the example with the packages of its lock file, runs
// it against a server and uses it in a browser through a whole rollout.
func TestNextExample(t *testing.T) {
	first := open(t)
	dir, node := nextApp(t)
	s := start(t, 1)
	s.ask(http.MethodPut, "/flags/adminWorkBench", `{"state":"ENABLED","variants":{"AdminWorkBench":true,"ExecutiveDashboard":false},"defaultVariant":"ExecutiveDashboard","metadata":{"client":true}}`, nil)
	id := s.create(adminPlan)
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	in, out := s.users("adminWorkBench")

	port := freePort(t)
	began := time.Now()
	base, log := runApp(t, command(t, dir, node, nextCLI, "start", "--hostname", "127.0.0.1"), port,
		"SERIN_URL="+s.url, "SERIN_DSN="+s.boot.DSN, "SERIN_SERVER_KEY="+s.keyOf("flags-server"), "SERIN_PAGE_KEY="+s.keyOf("flags", "http://127.0.0.1:"+port))
	shop := func() *shopTab {
		b := &shopTab{first.another(), base}
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the browser said %q", b.errors())
			}
		})
		return b
	}
	old, canary := shop(), shop()

	// The server's page has the dashboard in it, and hydration does not touch it.
	for user, want := range map[string]string{in: "new", out: "old"} {
		if got := dashboardIn(t, base, user+"|admin"); got != want {
			t.Errorf("dashboard in the document for %s: got %q, want %q", user, got, want)
		}
	}
	if got := dashboardIn(t, base, in+"|buyer"); got != "old" {
		t.Errorf("dashboard in the document for a buyer: got %q, want old", got)
	}
	old.enter(out)
	old.shows("old", "old")
	canary.enter(in)
	canary.shows("new", "new")
	old.clean()
	canary.clean()

	// Errors of the new dashboard are issues of canary alone, which its stage
	// counts, and the old dashboard steps in.
	broken := shop()
	broken.enter(in)
	broken.shows("new", "new")
	broken.do("break it", chromedp.Click(chromedp.CSS("#break")))
	broken.shows("old", "new")
	eventually(t, "the error arrives with its arm", func() error { return s.onlyNew(id, "tasks") })
	eventually(t, "a new issue on canary", func() error {
		for _, v := range s.view(id).Proceed {
			if v.Metric == "new_issues" && v.Status == judge.NotMet && v.Value != nil && *v.Value == 1 {
				return nil
			}
		}
		return fmt.Errorf("verdicts: %+v", s.view(id).Proceed)
	})
	broken.clean("reading 'tasks'")

	// A raise is heard in the open page, and waits for the next navigation.
	s.do(id, rollout.Promote, "reason", "the test wants everybody on it", "to", "full")
	old.shows("old", "new")
	old.follow("Reports")
	old.follow("Users")
	old.shows("new", "new")
	if n := old.documents(); n != 2 {
		t.Errorf("documents loaded: got %d, want 2: sign-in and dashboard", n)
	}

	// What the page tells arrives: adoption, a survey, feedback.
	old.choose("score", "4")
	old.choose("kind", "complaint")
	old.do("complain", chromedp.SendKeys(chromedp.CSS("textarea"), "slow"), chromedp.Click(chromedp.CSS("#feedback button:not([type=button])")))
	old.see("thanks", `document.querySelector("[role=status]").textContent.includes("Thank you")`)
	eventually(t, "the beacons arrive", func() error { return s.told(id, "adoption", "satisfaction", "complaints") })

	// A rollback changes an idle page at once and spares a half-filled form.
	idle := shop()
	idle.enter(in)
	idle.shows("new", "new")
	elsewhere := shop()
	elsewhere.enter(in)
	elsewhere.shows("new", "new")
	elsewhere.follow("Reports")
	canary.do("type half a note", chromedp.SendKeys(chromedp.CSS("textarea"), "the filter does"))
	canary.must("window.sameDocument = true", nil)
	s.do(id, rollout.Rollback, "reason", "enough seen")
	lowered := time.Now()
	idle.shows("old", "old")
	if took := time.Since(lowered); took > 5*time.Second {
		t.Errorf("a lowering took %v", took)
	}
	canary.shows("new", "old")
	canary.see("the notice", `document.querySelector(".notice")`)
	canary.see("what was typed", `document.querySelector("textarea").value === "the filter does"`)
	canary.do("finish the note", chromedp.SendKeys(chromedp.CSS("textarea"), " not work"))
	canary.see("the whole note", `document.querySelector("textarea").value === "the filter does not work"`)
	canary.do("send it", chromedp.Click(chromedp.CSS("#feedback button:not([type=button])")))
	canary.shows("old", "old")
	canary.see("the same document", `window.sameDocument && document.querySelector("[role=status]").textContent.includes("Thank you")`)
	eventually(t, "the note arrives", func() error {
		if n := s.counters()["counted:feedback"]; n != 2 {
			return fmt.Errorf("%d records of feedback, want 2", n)
		}
		return nil
	})

	// The browser's cache does not bring the new dashboard back.
	elsewhere.must("history.back()", nil)
	elsewhere.shows("old", "old")
	for _, b := range []*shopTab{old, idle, canary, elsewhere} {
		b.clean()
	}

	t.Logf("the run took %v after the build", time.Since(began).Round(time.Second))
	if strings.Contains(log.String(), "Error:") {
		t.Errorf("the app printed:\n%s", log)
	}
}

// TestNextExampleWithoutSerin serves the old dashboard within a second where
// serin was stopped, and where it takes connections and does not answer.
func TestNextExampleWithoutSerin(t *testing.T) {
	dir, node := nextApp(t)
	s, stopServer := startStoppable(t)
	s.ask(http.MethodPut, "/flags/adminWorkBench", `{"state":"ENABLED","variants":{"new":true,"old":false},"defaultVariant":"new"}`, nil)
	stopped, _ := runApp(t, command(t, dir, node, nextCLI, "start", "--hostname", "127.0.0.1"), freePort(t), "SERIN_URL="+s.url, "SERIN_SERVER_KEY="+s.keyOf("flags-server"))
	if got := dashboardIn(t, stopped, "ada|admin"); got != "new" {
		t.Fatalf("dashboard with serin: got %q, want new", got)
	}
	stopServer()
	mute, _ := runApp(t, command(t, dir, node, nextCLI, "start", "--hostname", "127.0.0.1"), freePort(t), "SERIN_URL="+silent(t))
	if got := dashboardIn(t, mute, "ada|buyer"); got != "old" { // loads the page's code, asks for no flag
		t.Errorf("dashboard for a buyer: got %q, want old", got)
	}
	for what, base := range map[string]string{"stopped": stopped, "mute": mute} {
		began := time.Now()
		if got := dashboardIn(t, base, "ada|admin"); got != "old" {
			t.Errorf("%s: dashboard: got %q, want old", what, got)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: the dashboard took %v, want at most a second", what, took)
		}
	}
}

// dashboardIn is the dashboard in the document that the app serves to a
// session: new, old, or what else it said.
func dashboardIn(t *testing.T, base, session string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/admin/users", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: "demo_user", Value: session})
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	isOld, isNew := strings.Contains(string(page), `id="old"`), strings.Contains(string(page), `id="new"`)
	switch {
	case isOld && !isNew:
		return "old"
	case isNew && !isOld:
		return "new"
	}
	return fmt.Sprintf("%s: %s", resp.Status, page)
}
