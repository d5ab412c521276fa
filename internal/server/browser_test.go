package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browserNames are what Chromium is called, in the order tried.
var browserNames = []string{"chromium", "chromium-browser", "google-chrome"}

// tab is a page of a real browser that remembers what went wrong on it.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex // guards the fields below
	wrong  []string   // console errors and warnings, page errors, policy violations
	loaded int        // documents that the tab has loaded
}

// open starts a browser with one empty tab, for the time of the test.
func open(t *testing.T) *tab {
	t.Helper()
	var path string
	for _, name := range browserNames {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skipf("no browser: none of %s is in PATH; make setup installs Chromium", strings.Join(browserNames, ", "))
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	allocator, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), flags...)
	t.Cleanup(stop)
	return newTab(t, allocator)
}

// another opens a second tab of the same browser, with the same cookies.
func (b *tab) another() *tab {
	b.t.Helper()
	return newTab(b.t, b.ctx)
}

func newTab(t *testing.T, parent context.Context) *tab {
	t.Helper()
	b := &tab{t: t}
	ctx, stop := chromedp.NewContext(parent, chromedp.WithListener(b.heard))
	t.Cleanup(stop)
	b.ctx = ctx
	// The browser lives as long as the context of the first call.
	const violations = `addEventListener("securitypolicyviolation", e => console.error("policy: " + e.violatedDirective + " " + e.blockedURI))`
	if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: violations}); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	b.look(1440, 900, "light")
	return b
}

// heard notes what the browser tells of the page. It must not call the browser.
func (b *tab) heard(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		b.wrong = append(b.wrong, "page error: "+text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			b.wrong = append(b.wrong, fmt.Sprintf("console %s: %s", e.Type, said(e.Args)))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.wrong = append(b.wrong, fmt.Sprintf("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL))
		}
	case *page.EventFrameNavigated:
		if e.Frame.ParentID == "" {
			b.loaded++
		}
	}
}

func said(args []*runtime.RemoteObject) string {
	var text []string
	for _, a := range args {
		if a.Description != "" {
			text = append(text, a.Description)
		} else {
			text = append(text, string(a.Value))
		}
	}
	return strings.Join(text, " ")
}

// errors returns what went wrong so far.
func (b *tab) errors() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.wrong...)
}

// documents is how many documents the tab has loaded.
func (b *tab) documents() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.loaded
}

// do runs steps within the patience of a test.
func (b *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v; the page said %q and went wrong with %q", what, err, b.text(), b.errors())
	}
}

func (b *tab) visit(url string) {
	b.t.Helper()
	b.do("open "+url, chromedp.Navigate(url))
}

// eval evaluates an expression, waits if it is a promise, and decodes it into out.
func (b *tab) eval(expression string, out any) error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	data, err := chromedp.Run(ctx, chromedp.Evaluate[[]byte](expression, chromedp.EvalAwaitPromise))
	if err != nil || out == nil || len(data) == 0 {
		return err
	}
	return json.Unmarshal(data, out)
}

// must is eval of something that has to work.
func (b *tab) must(expression string, out any) {
	b.t.Helper()
	if err := b.eval(expression, out); err != nil {
		b.t.Fatalf("evaluate %s: %v", expression, err)
	}
}

// text is what a person reads on the page, "" while there is none.
func (b *tab) text() string {
	var s string
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	s, _ = chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	return s
}

// see waits until an expression holds on the page. A page that is just being
// replaced does not answer, which is the same as no.
func (b *tab) see(what, expression string) {
	b.t.Helper()
	eventually(b.t, what, func() error {
		var ok bool
		if err := b.eval("!!("+expression+")", &ok); err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%s does not hold; the page says %q", expression, b.text())
		}
		return nil
	})
}

// signIn signs in as a person does who was sent the link.
func (b *tab) signIn(link string) {
	b.t.Helper()
	b.visit(link)
	b.see("the link fills in the form", `document.getElementById("token")?.value.length > 20`)
	b.do("sign in", chromedp.Click(chromedp.CSS(`#link button[type=submit]`)))
	b.see("signed in", `location.pathname === "/" && document.querySelector("h1")`)
}

// look sets the size of the window and the colours that the system asks for.
func (b *tab) look(width, height int64, colours string) {
	b.t.Helper()
	media := chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: colours}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
		return err
	})
	b.do("set window", chromedp.EmulateViewport(width, height), media)
}

// press is a letter key as the keyboard sends it: one event, so that a page
// which handles the key keeps the letter out of the field that it focuses.
func press(key string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		code := "Key" + strings.ToUpper(key)
		for _, e := range []input.DispatchKeyEventParams{
			{Type: input.DispatchKeyEventTypeKeyDown, Key: key, Code: code, Text: key, WindowsVirtualKeyCode: int64(strings.ToUpper(key)[0])},
			{Type: input.DispatchKeyEventTypeKeyUp, Key: key, Code: code, WindowsVirtualKeyCode: int64(strings.ToUpper(key)[0])},
		} {
			if _, err := chromedp.Call(ctx, input.DispatchKeyEvent, e); err != nil {
				return err
			}
		}
		return nil
	})
}
