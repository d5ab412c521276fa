package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"serin/internal/controller"
	"serin/internal/rollout"
)

// axeTags are the rules that every page keeps: WCAG 2.2 AA and good practice.
const axeTags = `["wcag2a","wcag2aa","wcag21a","wcag21aa","wcag22aa","best-practice"]`

// looks are the sizes and colours in which every page is tried.
var looks = []struct {
	name          string
	width, height int64
	colours       string
}{
	{"desktop light", 1440, 900, "light"}, {"desktop dark", 1440, 900, "dark"},
	{"phone dark", 390, 844, "dark"}, {"phone light", 390, 844, "light"},
}

// narrow is the width at which nothing may need sideways scrolling: 400 %
// zoom of a 1280 px window (WCAG 2.2, 1.4.10 Reflow).
const narrow = 320

// TestPagesAreAccessible runs axe over every kind of page in light and dark,
// on a desktop and on a phone.
func TestPagesAreAccessible(t *testing.T) {
	axe, err := os.ReadFile(installed(t, "axe-core/axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	b := open(t)
	s := start(t, 20)
	a := &audit{t: t, b: b, s: s, axe: string(axe)}
	if _, err := chromedp.Call(b.ctx, page.SetBypassCSP, page.SetBypassCSPParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	a.page("sign-in", "/login?next=/rollouts/x-1")
	a.awake()
	b.signIn(s.boot.SignIn)
	a.page("welcome", "/")

	preflight := s.inState("waiting", rollout.Preflight)
	running := s.inState("running", rollout.Running)
	a.page("rollout in preflight", "/rollouts/"+preflight)
	a.page("rollout under way", "/rollouts/"+running)
	for _, id := range []string{"d-rollback", "d-promote", "palette", "keys"} {
		a.dialog(id)
	}
	for _, status := range []rollout.Status{rollout.Paused, rollout.Reduced, rollout.RolledBack, rollout.Cleanup, rollout.Done, rollout.Cancelled} {
		a.page("rollout "+string(status), "/rollouts/"+s.inState(strings.ReplaceAll(string(status), "_", "-"), status))
	}
	a.page("overview", "/")
	a.page("journal", "/rollouts/"+running+"/journal")
	a.page("plan", "/rollouts/"+running+"/plan")
	a.page("plan before the start", "/rollouts/"+preflight+"/plan")
	a.page("runbook", "/rollouts/"+running+"/runbook")
	a.page("panels", "/rollouts/"+running+"/panels")
	s.ask(http.MethodPost, "/incidents", map[string]any{"title": "Search fails", "rollout": running}, nil)
	a.page("incidents", "/incidents")
	a.page("incident", "/incidents/INC-1")
	a.page("decide", "/incidents/INC-1/decide?do=hold")
	a.page("open an incident", "/incidents/new?rollout="+preflight)
	a.page("rollout whose raises wait", "/rollouts/"+running)
	a.page("standup", "/standup")
	a.page("reviews", "/rollouts/"+running+"/reviews")
	var stored controller.PlanStored
	s.ask(http.MethodPost, "/plans", strings.NewReplacer("plan: checkout", "plan: running", "newCheckout", "flag-running", "p1 > 50", "p1 > 60").Replace(checkoutPlan), &stored)
	a.page("plans", "/plans")
	a.page("a plan", "/plans/running")
	a.page("plans compared", "/plans/running/diff?from=1&to=2")
	a.page("a draft of a plan", "/plans/running/diff?to=draft")
	for _, id := range []string{preflight, running, "cleanup-1"} {
		for _, path := range []string{"/checklist", "/cleanup", "/explain", "/explain?at=2", "/report"} {
			a.page(path+" of "+id, "/rollouts/"+id+path)
		}
	}
	s.ask(http.MethodPut, "/people/ann", map[string]any{"role": "approver", "email": "ann@shop.example", "handles": []string{"team-lead"}}, nil)
	for _, path := range []string{"/settings", "/settings/people", "/settings/people/ann", "/settings/me", "/settings/tokens/first-ingest"} {
		a.page(path, path)
	}
	a.page("welcome, following a user", "/welcome?user=u1&flag=newCheckout")
	a.page("emergency runbook", "/rollouts/"+running+"/emergency")
	a.page("baseline", "/plans/running/baseline")
	for _, path := range []string{"/settings/storage", "/settings/forget", "/settings/oncall"} {
		a.page(path, path)
	}
	s.envelope(minifiedCrash(strings.Repeat("a", 32), "web@1"))
	s.upload("web@1", "~/static/app.js", "../sourcemap/testdata/app.js.map")
	a.page("errors", "/issues")
	a.page("a search with a fault", "/issues?q=level:%3E%3D%3E")
	a.page("a search without a find", "/issues?q=is:ignored")
	a.page("an issue", "/issues/SERIN-1")
	a.page("audit log", "/audit")
	a.page("audit log of nobody", "/audit?who=nobody&target=rollout+"+running)
	a.page("confirm rollback", "/rollouts/"+running+"/rollback")
	a.page("confirm reduce", "/rollouts/"+running+"/reduce")
	a.page("confirm locked start", "/rollouts/"+preflight+"/start")
	a.page("complete an item", "/rollouts/"+preflight+"/complete?item=sign-off")
	a.page("not possible now", "/rollouts/"+running+"/restart")
	a.page("not found", "/rollouts/nobody-1")
}

// inState makes a rollout of its own and brings it to a state.
func (s *site) inState(name string, want rollout.Status) string {
	s.t.Helper()
	key := "flag-" + name
	file := strings.NewReplacer("plan: checkout", "plan: "+name, "newCheckout", key).Replace(checkoutPlan)
	if want == rollout.Cleanup {
		file += `cleanup:
  tasks:
    - { id: legacy, do: Delete the old checkout, verify: path gone src/old/, irreversible: true }
    - { id: flag, do: Retire the flag, choose: { a: remove it, b: keep it } }
    - { id: wrapper, do: Remove the wrapper, when: flag = a }
`
	}
	id := s.create(file)
	if want == rollout.Preflight {
		return id
	}
	if want == rollout.Cancelled {
		s.do(id, rollout.Cancel, "reason", "made twice")
		return id
	}
	s.do(id, rollout.Complete, "item", "sign-off", "evidence", "https://ci.example/1")
	s.do(id, rollout.Start)
	if want == rollout.Running || want == rollout.Cleanup || want == rollout.Done {
		s.traffic(key, 40)
	}
	switch want {
	case rollout.Paused:
		s.do(id, rollout.Pause, "reason", "looking at the errors")
	case rollout.Reduced:
		s.do(id, rollout.Reduce, "percent", 5.0, "reason", "fewer users for a while")
	case rollout.RolledBack:
		s.do(id, rollout.Rollback, "reason", "carts are empty")
	case rollout.Cleanup, rollout.Done:
		s.promote(id)
		s.promote(id)
	}
	if got := s.view(id).State.Status; got != want {
		s.t.Fatalf("%s: got %s, want %s", id, got, want)
	}
	return id
}

// promote raises a rollout past open gates as soon as its data has been judged.
func (s *site) promote(id string) {
	s.t.Helper()
	eventually(s.t, "promote "+id, func() error {
		a := s.api(http.MethodPost, "/rollouts/"+id+"/promote", map[string]any{"version": s.view(id).Version, "reason": "tried elsewhere"})
		if a.status != http.StatusOK {
			return errors.New(a.detail())
		}
		return nil
	})
}

// audit looks over pages.
type audit struct {
	t   *testing.T
	b   *tab
	s   *site
	axe string
}

// page opens a page and looks it over.
func (a *audit) page(name, path string) {
	a.t.Helper()
	a.b.look(looks[0].width, looks[0].height, looks[0].colours)
	a.b.visit(a.s.url + path)
	a.b.must(a.axe, nil)
	a.over(name)
	a.b.look(narrow, 800, "light")
	var wide []string
	a.b.must(`(() => {
		if (document.documentElement.scrollWidth <= `+fmt.Sprint(narrow)+`) return [];
		return [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > `+fmt.Sprint(narrow)+` + 0.5).slice(0, 6).map(e => e.outerHTML.slice(0, 120));
	})()`, &wide)
	if len(wide) > 0 {
		a.t.Errorf("%s scrolls sideways at %d px: %s", name, narrow, strings.Join(wide, "\n\t"))
	}
}

// dialog opens a dialog of the page that the tab is on and looks it over.
func (a *audit) dialog(id string) {
	a.t.Helper()
	a.b.look(looks[0].width, looks[0].height, looks[0].colours)
	a.b.must(fmt.Sprintf("document.getElementById(%q).showModal()", id), nil)
	a.over("dialog " + id)
	a.b.must(fmt.Sprintf("document.getElementById(%q).close()", id), nil)
}

// violation is a rule that axe found broken.
type violation struct {
	ID, Help string
	Nodes    []struct{ HTML, FailureSummary string }
}

func (a *audit) run() (found []violation) {
	a.t.Helper()
	var raw string
	a.b.must(`axe.run(document, {runOnly: {type: "tag", values: `+axeTags+`}, resultTypes: ["violations"], preload: false}).then(r => JSON.stringify(r.violations))`, &raw)
	if err := json.Unmarshal([]byte(raw), &found); err != nil {
		a.t.Fatal(err)
	}
	return found
}

// awake checks that a fault is found: an image without a text.
func (a *audit) awake() {
	a.t.Helper()
	a.b.must(`document.querySelector("main").insertAdjacentHTML("beforeend", '<img src="data:,">')`, nil)
	for _, v := range a.run() {
		if v.ID == "image-alt" {
			return
		}
	}
	a.t.Error("axe did not find an image without a text: what it says of the pages means nothing")
}

// over runs axe in every look.
func (a *audit) over(name string) {
	a.t.Helper()
	for _, l := range looks {
		a.b.look(l.width, l.height, l.colours)
		a.b.see("the page is "+l.colours, fmt.Sprintf("document.documentElement.dataset.theme === %q", l.colours))
		for _, v := range a.run() {
			for _, n := range v.Nodes {
				a.t.Errorf("%s, %s: %s: %s\n\t%s\n\t%s", name, l.name, v.ID, v.Help, n.HTML, n.FailureSummary)
			}
		}
	}
}

// TestEveryAnswerHasThePolicy: pages, redirects, errors and files alike.
func TestEveryAnswerHasThePolicy(t *testing.T) {
	s := start(t, 1)
	for _, path := range []string{"/", "/login", "/rollouts/x-1", "/nothing", "/static/x/js/main.js"} {
		a := s.must(http.MethodGet, path, nil)
		if got := a.header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") {
			t.Errorf("%s: policy %q", path, got)
		}
	}
}
