package webhook

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"serin/internal/notify"
	"serin/internal/notify/notifytest"
	"serin/internal/outbound"
)

var (
	secretA = "whsec_" + base64.StdEncoding.EncodeToString([]byte("the current secret, 32 bytes....."))
	secretB = "whsec_" + base64.StdEncoding.EncodeToString([]byte("the former secret, 32 bytes......"))
	local   = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
)

func open(t *testing.T, url string, allow []netip.Prefix) *Notifier {
	t.Helper()
	n, err := New(Options{Endpoints: map[string]Endpoint{"ci": {URL: url, Secrets: []string{secretA, secretB}}}, Allow: allow})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func notice() notify.Notice {
	return notify.Notice{ID: "demo-1/7/ci", Address: "webhook:ci", Rollout: "demo-1", Type: "rolled_back", Title: "a <b> & c",
		At: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
}

func TestConformance(t *testing.T) {
	notifytest.Run(t, notifytest.Service{
		Open:    func(t *testing.T, url string) notify.Notifier { return open(t, url+"/url-secret", local) },
		Address: "webhook:ci", Secret: "url-secret",
		Accept: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	})
}

// TestSignature verifies what is sent with the project's own Go library, with either secret.
func TestSignature(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		for _, secret := range []string{secretA, secretB} {
			wh, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := wh.Verify(body, r.Header); err != nil {
				t.Errorf("verify: %v", err)
			}
			if err := wh.Verify(append(body, ' '), r.Header); err == nil {
				t.Error("a changed body was verified")
			}
		}
		if got := r.Header.Get("webhook-id"); got != notice().ID {
			t.Errorf("webhook-id = %q, want %q", got, notice().ID)
		}
		if want := `{"type":"rollout.rolled_back","timestamp":"2026-03-02T09:00:00Z","data":{"id":"demo-1/7/ci"`; !strings.HasPrefix(string(body), want) {
			t.Errorf("body = %s, want it to begin with %s", body, want)
		}
	}))
	defer srv.Close()
	if err := open(t, srv.URL, local).Deliver(t.Context(), notice()); err != nil {
		t.Error(err)
	}
}

func TestGone(t *testing.T) {
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { calls++; w.WriteHeader(http.StatusGone) }))
	defer srv.Close()
	n := open(t, srv.URL, local)
	for range 2 {
		err := n.Deliver(t.Context(), notice())
		if _, temporary := notify.Temporary(err); !errors.Is(err, ErrGone) || temporary {
			t.Errorf("Deliver = %v, want ErrGone for good", err)
		}
	}
	if calls != 1 {
		t.Errorf("%d calls, want 1", calls)
	}
}

func TestRedirect(t *testing.T) {
	followed := false
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer target.Close()
	srv := httptest.NewServer(http.RedirectHandler(target.URL, http.StatusTemporaryRedirect))
	defer srv.Close()
	err := open(t, srv.URL, local).Deliver(t.Context(), notice())
	if _, temporary := notify.Temporary(err); !temporary || followed {
		t.Errorf("Deliver = %v, followed %v; want a temporary error, not followed", err, followed)
	}
}

func TestGuard(t *testing.T) {
	called := false
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer srv.Close()
	for _, url := range []string{srv.URL, strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)} {
		err := open(t, url, nil).Deliver(t.Context(), notice())
		if _, temporary := notify.Temporary(err); !errors.Is(err, outbound.ErrForbidden) || temporary || called {
			t.Errorf("Deliver to %s = %v, called %v; want refused for good", url, err, called)
		}
	}
	for address, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700:4700::1111": true, "::ffff:8.8.8.8": true,
		"127.0.0.1": false, "127.9.9.9": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "255.255.255.255": false, "224.0.0.1": false,
		"::1": false, "::": false, "fe80::1%eth0": false, "fd00::1": false, "::ffff:127.0.0.1": false, "::127.0.0.1": false,
		"64:ff9b::7f00:1": false, "2002:7f00:1::": false, "ff02::1": false,
	} {
		if got := (outbound.Guard{}).Permits(netip.MustParseAddr(address)); got != want {
			t.Errorf("permits(%s) = %v, want %v", address, got, want)
		}
	}
	if !(outbound.Guard{Allow: local}).Permits(netip.MustParseAddr("::ffff:127.0.0.1")) {
		t.Error("an allowed network is refused in its IPv6 form")
	}
}

func TestOptionsRefused(t *testing.T) {
	for name, e := range map[string]Endpoint{
		"no URL":       {URL: "ci.example", Secrets: []string{secretA}},
		"scheme":       {URL: "file:///etc/passwd", Secrets: []string{secretA}},
		"no secret":    {URL: "https://ci.example"},
		"short secret": {URL: "https://ci.example", Secrets: []string{"whsec_c2hvcnQ="}},
		"no prefix":    {URL: "https://ci.example", Secrets: []string{strings.TrimPrefix(secretA, "whsec_")}},
	} {
		if _, err := New(Options{Endpoints: map[string]Endpoint{"ci": e}}); err == nil || !strings.Contains(err.Error(), "webhook ci") {
			t.Errorf("%s: error %v, want one that names the webhook", name, err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	m := notice()
	m.Text = strings.Repeat("x", maxBodyBytes)
	err := open(t, "http://127.0.0.1:1", local).Deliver(t.Context(), m)
	if _, temporary := notify.Temporary(err); err == nil || temporary {
		t.Errorf("Deliver = %v, want a permanent error", err)
	}
}

// TestTypes: the type of a body is about a rollout, unless it says otherwise.
func TestTypes(t *testing.T) {
	for kind, want := range map[string]string{"rolled_back": "rollout.rolled_back", "alert.firing": "alert.firing", "incident.opened": "incident.opened"} {
		if got := bodyType(kind); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}
