package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"serin/internal/rollout"
)

// checkoutPlan is a small plan with one item that a person completes.
const checkoutPlan = `serin: 1
plan: checkout
title: New checkout
timezone: UTC
flag: { key: newCheckout, audience: role = admin }
calendar: { raise: ["daily 00:00-24:00"] }
preflight:
  - { id: sign-off, do: Tried out by hand in staging }
criteria:
  healthy: [error_rate < 90%, lcp < 10s]
stages:
  - { stage: canary, traffic: 50%,  bake: 72h, proceed: healthy }
  - { stage: full,   traffic: 100%, bake: 72h, proceed: healthy }
rollback: [p1 > 50 over 6h]
`

// TestPageIsLiveAndRollsBack uses the dashboard as somebody on call does:
// sign in by the link, watch a rollout change without loading the page again,
// and take it back by hand.
func TestPageIsLiveAndRollsBack(t *testing.T) {
	b := open(t)
	s := start(t, 60)
	b.signIn(s.boot.SignIn)
	id := s.create(checkoutPlan)
	b.visit(s.url + "/rollouts/" + id)
	b.see("preflight", `document.getElementById("status").innerText.trim() !== ""`)
	assertPolicy(t, b)

	// A raise that is barred is locked and says why.
	b.see("start is locked", `document.querySelector('.desk [data-open="d-start"]').classList.contains("blocked")`)
	b.do("ask to start", chromedp.Click(chromedp.CSS(`.desk [data-open="d-start"]`)))
	b.see("the reason", `document.getElementById("d-start").open && document.querySelector("#d-start .missing").innerText.includes("sign-off")`)
	b.see("no way round", `document.querySelector("#d-start button[type=submit]").disabled`)
	b.do("close", chromedp.KeyEvent(kb.Escape))

	documents := b.documents()
	b.must(`window.sameDocument = true`, nil)
	b.see("live", `document.getElementById("live-text").textContent === "Live"`)
	s.do(id, rollout.Complete, "item", "sign-off")
	b.see("start is open, though it has the focus", `!document.querySelector('.desk [data-open="d-start"]').classList.contains("blocked")`)
	s.do(id, rollout.Start)
	b.see("the buttons of a running rollout", `[...document.querySelectorAll(".desk .btn[data-open]")].map(a => a.firstChild.nextSibling.textContent).join() === "Pause,Reduce,Promote,Roll back"`)
	s.traffic("newCheckout", 40)
	b.see("charts with both arms", `[...document.querySelectorAll("figure[data-chart]")].some(f => f.querySelector("[data-v=a]")?.textContent.match(/\d/) && f.querySelector("[data-v=c]")?.textContent.match(/\d/) && f.querySelector("canvas"))`)
	in, _ := s.users("newCheckout")

	// The other tab promotes past open gates: only with the name typed and a
	// reason, and not by Enter. The first tab shows it.
	second := b.another()
	second.visit(s.url + "/rollouts/" + id)
	second.do("ask to promote", press("n"))
	second.see("the dialog", `document.getElementById("d-promote").open && document.activeElement.name === "typed"`)
	const promote = "#d-promote button[type=submit]"
	second.see("not without the name", `document.querySelector("`+promote+`").disabled`)
	second.do("type the name and press Enter", chromedp.KeyEvent(id), chromedp.KeyEvent(kb.Enter))
	second.see("Enter does not raise", `document.getElementById("d-promote").open && !document.querySelector("`+promote+`").disabled`)
	second.do("say why and promote", chromedp.SendKeys(chromedp.CSS("#promote-reason"), "seen enough"), chromedp.Click(chromedp.CSS(promote)))
	second.see("promoted", `document.querySelector(".callout.done")?.innerText.includes("100%")`)
	b.see("promoted in the first tab", `document.getElementById("page").innerText.includes("100%\non canary")`)

	// What is half typed survives what comes in meanwhile.
	b.do("open the dialog by its key", press("x"))
	b.see("the dialog", `document.getElementById("d-rollback").open && document.activeElement.name === "reason"`)
	b.do("type half a reason", chromedp.KeyEvent("carts are em"))
	s.do(id, rollout.Pause, "reason", "looking at it")
	b.see("paused behind the dialog", `document.getElementById("status").innerText.match(/paused/i)`)
	b.see("the field is untouched", `document.getElementById("d-rollback").open && document.activeElement.name === "reason" && document.activeElement.value === "carts are em"`)
	var same bool
	if b.must(`window.sameDocument === true`, &same); !same || b.documents() != documents {
		t.Errorf("the page was loaded again: %d documents, then %d", documents, b.documents())
	}

	b.do("finish the reason and confirm", chromedp.KeyEvent("pty"), chromedp.KeyEvent(kb.Enter))
	b.see("the page says rolled back", `document.getElementById("status").innerText.match(/rolled back/i)`)
	second.see("the other tab agrees", `document.getElementById("status").innerText.match(/rolled back/i)`)
	if on, variant := s.flagOf("newCheckout", in); on || variant != "old" {
		t.Errorf("flag of %s after the rollback: got %v %q, want old", in, on, variant)
	}
	v := s.view(id)
	if v.State.Status != rollout.RolledBack || v.Exposure != 0 || v.State.Reason != "carts are empty" {
		t.Errorf("after the rollback: got %s at %g%%, reason %q", v.State.Status, v.Exposure, v.State.Reason)
	}

	// A browser has six connections for a server: pages that were left hold none.
	for range 8 {
		second.visit(s.url + "/rollouts/" + id)
	}
	second.see("live after many pages", `document.getElementById("live-text").textContent === "Live"`)
	for _, page := range []*tab{b, second} {
		if wrong := page.errors(); len(wrong) > 0 {
			t.Errorf("errors on the page:\n%s", strings.Join(wrong, "\n"))
		}
	}
}

// assertPolicy checks the headers of the page that the tab is on.
func assertPolicy(t *testing.T, b *tab) {
	t.Helper()
	var h struct{ Policy, Sniff, Cache string }
	b.must(`fetch(location.href).then(r => ({policy: r.headers.get("Content-Security-Policy"), sniff: r.headers.get("X-Content-Type-Options"), cache: r.headers.get("Cache-Control")}))`, &h)
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(h.Policy, want) {
			t.Errorf("Content-Security-Policy %q: want %q in it", h.Policy, want)
		}
	}
	if strings.Contains(h.Policy, "unsafe") || h.Sniff != "nosniff" || !strings.Contains(h.Cache, "private") {
		t.Errorf("headers: got %+v", h)
	}
}

// TestSignInLinkWorksOnce: the link is used up by the first sign-in, and the
// file with the first tokens goes with it.
func TestSignInLinkWorksOnce(t *testing.T) {
	s := start(t, 1)
	_, token, _ := strings.Cut(s.boot.SignIn, "#token=")
	form := []byte("token=" + token)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for i, want := range []int{http.StatusSeeOther, http.StatusUnauthorized} {
		resp, err := client.Post(s.url+"/login", "application/x-www-form-urlencoded", strings.NewReader(string(form)))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("sign-in %d: got %d, want %d", i+1, resp.StatusCode, want)
		}
	}
}

// TestSimulationTellsHowFarItIs: the form of a plan's page shows a bar while the
// server plays, and then its answer, whose seed is the one that was asked for.
func TestSimulationTellsHowFarItIs(t *testing.T) {
	b := open(t)
	s := start(t, 20)
	s.ask(http.MethodPost, "/plans", checkoutPlan, nil)
	b.signIn(s.boot.SignIn)
	b.visit(s.boot.URL + "/plans/checkout")
	b.must(`(() => {
		const form = document.querySelector("#simulation form");
		form.querySelector("[name=seed]").value = "17";
		form.querySelector("[name=views_per_day]").value = "2,000";
		const line = form.querySelector(".played");
		new MutationObserver(() => { if (!line.hidden) sessionStorage.setItem("told", line.innerText); }).observe(line, { attributes: true, childList: true, subtree: true });
		form.requestSubmit();
	})()`, nil)
	b.see("the answer", `document.querySelector("#simulation dl.stats") && document.body.innerText.includes("seed 17")`)
	b.see("a bar was shown before", `/runs|core/.test(sessionStorage.getItem("told"))`)
	if errs := b.errors(); len(errs) > 0 {
		t.Errorf("the page went wrong with %q", errs)
	}
}
