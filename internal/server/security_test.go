package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"serin/internal/clock"
	"serin/internal/config"
	"serin/internal/rollout"
	"serin/internal/server"
	"serin/internal/store"
	"serin/internal/web"
)

// The attacks that a door of this kind is tried with, one test each, against
// a running server:
//
//	session fixation              TestSessionFixation
//	forged forms                  TestLoginForgery; TestEveryFormIsGuarded
//	secrets in logs and lists     TestSecretsAreNotLogged
//	open redirect                 TestOpenRedirect; of the provider: web TestSignInByProvider
//	header injection              TestHeaderInjection, TestLineBreaksGoNowhere
//	path traversal                TestPathTraversal; of uploads: symbolicate TestUploadRefused, their names are keys and
//	                              never paths; a backup is one database file, no archive is unpacked
//	calls into the own network    TestForgedTargets; disguised and rebound addresses: outbound TestDialRefuses, TestDialIsNotRebound
//	bombs                         TestBombs
//	deep and huge JSON            TestDeepAndHugeJSON
//	malformed input               TestBadInput
//	script in telemetry           TestHostileTelemetry; in plans: web TestHostilePlans
//	framing, caches               TestAnswersAreNotFramedNorKept; TestEveryAnswerHasThePolicy
//	cookies                       TestCookieOverTLS, TestSessionFixation
//	timing                        TestTimingOfPasswords; of tokens and signatures: auth TestTimingOfSecrets
//	personal data and secrets     TestNoSensitiveValueIsStored, TestForgetAUser, TestForgetForm
//	floods, slow bodies           TestKeysAreLimited, TestSlowBodies, TestOverload
//	a forged address              TestClientAddress

// hire makes a person with a password.
func (s *site) hire(name, role string) {
	s.t.Helper()
	s.ask(http.MethodPut, "/people/"+name, map[string]any{"role": role}, nil)
	s.ask(http.MethodPost, "/people/"+name+"/password", map[string]any{"password": goodPassword}, nil)
}

// TestSessionFixation: a cookie that somebody else put into the browser is
// worth nothing after sign-in, and a session ends where its person's password
// or rights do.
func TestSessionFixation(t *testing.T) {
	s := start(t, 1)
	s.hire("ann", "admin")
	planted := strings.Repeat("ab", 32)
	a := s.submit("/login", planted, url.Values{"name": {"ann"}, "password": {goodPassword}})
	cookies := (&http.Response{Header: a.header}).Cookies()
	if a.status != http.StatusSeeOther || len(cookies) != 1 || cookies[0].Value == planted || len(cookies[0].Value) < 64 {
		t.Fatalf("sign in: %d, cookies %v; want one new cookie", a.status, cookies)
	}
	if c := cookies[0]; !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Domain != "" {
		t.Errorf("cookie %v: want HttpOnly, SameSite=Lax and no domain", c)
	}
	in := func(cookie string) bool {
		return s.direct(http.MethodGet, "/settings/me", "", "Cookie", web.CookieName+"="+cookie).status == http.StatusOK
	}
	if in(planted) || !in(cookies[0].Value) {
		t.Errorf("the planted cookie is in: %v, the new one: %v", in(planted), in(cookies[0].Value))
	}
	s.ask(http.MethodPost, "/people/ann/password", map[string]any{"password": "another long password"}, nil)
	if in(cookies[0].Value) {
		t.Error("a session outlives the password that opened it")
	}
}

// TestLoginForgery: another site cannot sign somebody in to an account of its
// own, nor send any other form; see TestEveryFormIsGuarded for the rest.
func TestLoginForgery(t *testing.T) {
	s := start(t, 1)
	s.hire("ann", "viewer")
	form := url.Values{"name": {"ann"}, "password": {goodPassword}}
	if a := s.submit("/login", "", form, "Sec-Fetch-Site", "cross-site"); a.status != http.StatusForbidden || a.header.Get("Set-Cookie") != "" {
		t.Errorf("from another site: %d, cookie %q", a.status, a.header.Get("Set-Cookie"))
	}
	old := s.direct(http.MethodPost, "/login", form.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Origin", "https://evil.example")
	if old.status != http.StatusForbidden {
		t.Errorf("from a page of another origin, by an old browser: %d", old.status)
	}
	for _, path := range []string{"/logout", "/settings/me/password", "/settings/tokens"} {
		if a := s.direct(http.MethodGet, path, "", "Cookie", web.CookieName+"="+s.signIn("ann")); a.status == http.StatusOK || a.status == http.StatusSeeOther && path == "/logout" {
			t.Errorf("GET %s: %d; a link must change nothing", path, a.status)
		}
	}
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestSecretsAreNotLogged uses every secret there is, rightly and wrongly, and
// looks for them where people look: the log in full, the metrics, the audit
// log, the lists.
func TestSecretsAreNotLogged(t *testing.T) {
	var log syncBuffer
	s := startWith(t, server.Options{Clock: clock.Fast(monday, 1), Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	s.hire("ann", "admin")
	link := strings.TrimPrefix(s.boot.SignIn[strings.Index(s.boot.SignIn, "#"):], "#token=")
	secrets := map[string]string{"admin token": s.boot.AdminToken, "flag key": s.boot.FlagKey, "password": goodPassword, "sign-in link": link,
		"new token": s.token(map[string]any{"name": "ci", "kind": "operator", "scopes": []string{"read"}}), "session": s.signIn("ann")}
	if a := s.submit("/login", "", url.Values{"token": {link}}); a.status != http.StatusSeeOther {
		t.Fatalf("sign in by link: %d", a.status)
	}
	for _, secret := range secrets { // each where it does not belong
		s.direct(http.MethodGet, "/api/v1/me", "", "Authorization", "Bearer "+secret)
		s.direct(http.MethodPost, "/api/1/envelope/?sentry_key="+url.QueryEscape(secret), "{}\n")
		s.direct(http.MethodPost, "/ofrep/v1/evaluate/flags", "{", "X-API-Key", secret)
		s.direct(http.MethodGet, "/ofrep/v1/stream?token="+url.QueryEscape(secret), "")
		s.submit("/login", secret, url.Values{"name": {"ann"}, "password": {secret + "x"}})
		s.submit("/login", "", url.Values{"token": {secret}})
	}
	cookie := s.signIn("ann")
	places := map[string]string{"log": log.String()}
	for _, path := range []string{"/metrics", "/api/v1/audit?limit=1000", "/api/v1/tokens", "/api/v1/people", "/api/v1/sessions", "/settings", "/settings/people", "/audit"} {
		a := s.direct(http.MethodGet, path, "", "Authorization", "Bearer "+s.boot.AdminToken, "Cookie", web.CookieName+"="+cookie)
		if a.status != http.StatusOK {
			t.Fatalf("%s: %d", path, a.status)
		}
		places[path] = string(a.body)
	}
	if !strings.Contains(places["log"], "ann") {
		t.Error("the log says nothing of ann: this test looks at the wrong place")
	}
	for place, text := range places {
		for name, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds the %s", place, name)
			}
		}
		if strings.Contains(text, "argon2id") {
			t.Errorf("%s holds a password's hash", place)
		}
	}
}

// TestOpenRedirect: sign-in leads to a page of this server, whatever it was asked.
func TestOpenRedirect(t *testing.T) {
	s := start(t, 1)
	s.hire("ann", "viewer")
	for next, want := range map[string]string{
		"/settings/me": "/settings/me", "/plans?x=1": "/plans?x=1",
		"https://evil.example": "/", "//evil.example": "/", "/\\evil.example": "/", "\\\\evil.example": "/", "http:evil.example": "/", "javascript:alert(1)": "/",
		"/\t/evil.example": "/", "///evil.example": "/", "@evil.example": "/", "": "/", ".evil.example": "/",
	} {
		a := s.submit("/login", "", url.Values{"name": {"ann"}, "password": {goodPassword}, "next": {next}})
		if got := a.header.Get("Location"); a.status != http.StatusSeeOther || got != want {
			t.Errorf("next=%q leads to %q (%d), want %q", next, got, a.status, want)
		}
	}
	a := s.direct(http.MethodGet, "//evil.example/%2e%2e", "")
	if got := a.header.Get("Location"); strings.HasPrefix(got, "//") || strings.Contains(got, "://") {
		t.Errorf("a path with two slashes leads to %q", got)
	}
}

// TestHeaderInjection: what a request says cannot add headers to an answer.
func TestHeaderInjection(t *testing.T) {
	s := start(t, 1)
	s.hire("ann", "viewer")
	const bad = "/plans\r\nX-Evil: 1\r\n\r\nbody"
	answers := map[string]answer{
		"next":     s.submit("/login", "", url.Values{"name": {"ann"}, "password": {goodPassword}, "next": {bad}}),
		"to login": s.direct(http.MethodGet, "/plans%0d%0aX-Evil:%201?x=%0d%0aX-Evil:%201", ""),
		"envelope": s.direct(http.MethodPost, "/api/1/envelope/?sentry_key="+s.boot.PublicKey, "{\"dsn\":\"\\r\\nX-Evil: 1\"}\n{\"type\":\"\\r\\nX-Evil: 1\"}\n"),
		"flag":     s.direct(http.MethodPost, "/ofrep/v1/evaluate/flags/x%0d%0aX-Evil:%201", "{}", "X-API-Key", s.boot.FlagKey),
		"api":      s.direct(http.MethodGet, "/api/v1/rollouts/x%0d%0aX-Evil:%201", "", "Authorization", "Bearer "+s.boot.AdminToken),
		"report":   s.direct(http.MethodGet, "/rollouts/x%0d%0aX-Evil:%201/report.md", "", "Cookie", web.CookieName+"="+s.signIn("ann")),
	}
	for name, a := range answers {
		if a.header.Get("X-Evil") != "" {
			t.Errorf("%s: the answer has a header of the request's", name)
		}
		for key, values := range a.header {
			for _, v := range values {
				if strings.ContainsAny(v, "\r\n") {
					t.Errorf("%s: header %s is %q", name, key, v)
				}
			}
		}
	}
	if a := answers["next"]; a.header.Get("Location") != "/" {
		t.Errorf("next with a line break leads to %q", a.header.Get("Location"))
	}
}

// TestPathTraversal: names in addresses and in what is sent in reach no file
// outside of the pages' own.
func TestPathTraversal(t *testing.T) {
	s := start(t, 1)
	s.hire("ann", "admin")
	cookie := s.signIn("ann")
	for _, path := range []string{"/static/../../../../etc/passwd", "/static/x/..%2f..%2f..%2f..%2fetc%2fpasswd", "/static/x/%2e%2e/%2e%2e/bootstrap.json", "/static/x/..%5c..%5cserin.db",
		"/rollouts/..%2f..%2fbootstrap.json/report.json", "/plans/..%2f..%2fbootstrap.json", "/rollouts/..%2fx/plan"} {
		a := s.direct(http.MethodGet, path, "", "Cookie", web.CookieName+"="+cookie)
		if a.status == http.StatusOK || strings.Contains(string(a.body), "root:") || strings.Contains(string(a.body), s.boot.AdminToken) {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	for _, name := range []string{"../../serin-traversal", "/tmp/serin-traversal", "..\\serin-traversal", "a/../../serin-traversal"} {
		file := strings.NewReplacer("plan: checkout", "plan: "+name, "newCheckout", "trav").Replace(checkoutPlan)
		if a := s.api(http.MethodPost, "/plans", file); a.status/100 == 2 {
			t.Errorf("a plan is called %q: %s", name, a.body)
		}
	}
	if a := s.api(http.MethodPut, "/flags/"+url.PathEscape("../../evil"), `{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on"}`); a.status == http.StatusInternalServerError {
		t.Errorf("a flag with dots: %d", a.status)
	}
	if found, _ := filepath.Glob(filepath.Join(os.TempDir(), "serin-traversal*")); len(found) > 0 {
		t.Errorf("files were written: %v", found)
	}
}

// TestForgedTargets: a plan cannot make the server call into its own network;
// only the configuration opens that. Sources and probes call through the same guard.
func TestForgedTargets(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		t.Run(fmt.Sprintf("private networks allowed %v", allowed), func(t *testing.T) {
			var called atomic.Int64
			inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
			defer inner.Close()
			secret := "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("s"), 32))
			s := startWith(t, server.Options{Clock: clock.Fast(monday, 1), Config: config.Config{Webhooks: map[string]config.Webhook{"inner": {URL: inner.URL, Secret: secret, AllowPrivate: allowed}}}})
			if a := s.api(http.MethodPost, "/plans/lint", checkoutPlan+`channels: { raw: "webhook:`+inner.URL+`" }`+"\n"); !strings.Contains(string(a.body), "E14") {
				t.Errorf("a plan that names an address itself: %d %s", a.status, a.body)
			}
			id := s.create(checkoutPlan + `channels: { ops: "webhook:inner" }` + "\n")
			s.do(id, rollout.Complete, "item", "sign-off")
			s.do(id, rollout.Start)
			eventually(t, "notices are tried", func() error {
				var all []store.Outgoing
				s.ask(http.MethodGet, "/rollouts/"+id+"/notices", nil, &all)
				for _, n := range all {
					if n.Tries == 0 && n.Delivered.IsZero() && !n.Dead {
						return fmt.Errorf("%s to %s is under way", n.ID, n.Address)
					}
					if delivered := !n.Delivered.IsZero(); delivered != (allowed && n.Address == "webhook:inner") {
						return fmt.Errorf("%s to %s: delivered %v, %s", n.ID, n.Address, delivered, n.Error)
					}
				}
				if len(all) == 0 {
					return fmt.Errorf("nobody was told anything")
				}
				return nil
			})
			if got := called.Load() > 0; got != allowed {
				t.Errorf("the inner service was called: %v, want %v", got, allowed)
			}
		})
	}
}

// TestBombs: a small body that unpacks into a giant costs little and is
// refused, in every encoding; archives are taken nowhere.
func TestBombs(t *testing.T) {
	s := start(t, 1)
	giant := bytes.Repeat([]byte{' '}, 256<<20)
	var gz, br bytes.Buffer
	z := gzip.NewWriter(&gz)
	_, _ = z.Write(giant)
	_ = z.Close()
	b := brotli.NewWriterLevel(&br, 3)
	_, _ = b.Write(giant)
	_ = b.Close()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	zs := enc.EncodeAll(giant, nil)
	giant = nil
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, body := range map[string][]byte{"gzip": gz.Bytes(), "br": br.Bytes(), "zstd": zs} {
		if a := s.envelope(body, "Content-Encoding", name); a.status != http.StatusBadRequest && a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s of %d bytes: %d, want a refusal", name, len(body), a.status)
		}
	}
	runtime.ReadMemStats(&after)
	if cost := after.TotalAlloc - before.TotalAlloc; cost > 128<<20 {
		t.Errorf("refusing three bombs of 256 MiB took %d MiB", cost>>20)
	}
	if a := s.must(http.MethodPost, "/api/1/envelope/?sentry_key="+s.boot.PublicKey, []byte("PK\x03\x04"), "Content-Encoding", "zip"); a.status != http.StatusUnsupportedMediaType {
		t.Errorf("zip: %d, want 415", a.status)
	}
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 9), ","))
	}
	begin := time.Now()
	if a := s.api(http.MethodPost, "/plans/lint", "serin: 1\n"+bomb); a.status >= 500 || time.Since(begin) > patience/3 {
		t.Errorf("a plan of aliases: %d after %v", a.status, time.Since(begin))
	}
}

// TestTimingOfPasswords: an unknown name takes as long as a wrong password, so
// that the time tells nobody who has an account. A lookup without the hash
// would be hundreds of times faster.
func TestTimingOfPasswords(t *testing.T) {
	s := guarded(t, config.Config{})
	s.hire("ann", "viewer")
	s.ask(http.MethodPut, "/people/bob", map[string]any{"role": "viewer"}, nil) // has no password
	fastest := func(name string) time.Duration {                                // a busy machine only adds to it
		least := time.Hour
		for i := range 7 {
			begin := time.Now()
			if a := s.submit("/login", "", url.Values{"name": {name}, "password": {"wrong password!"}}, "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i)); a.status != http.StatusUnauthorized {
				t.Fatalf("%s: %d", name, a.status)
			}
			least = min(least, time.Since(begin))
		}
		return least
	}
	known := fastest("ann")
	for _, name := range []string{"nobody", "bob"} {
		if other := fastest(name); other < known/4 || other > known*4 {
			t.Errorf("%s takes %v, somebody with a password %v", name, other, known)
		}
	}
}
