package server

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"serin/internal/config"
)

// authority makes certificates for 127.0.0.1.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	n    int64
	life time.Duration // of what it signs; 0 = an hour
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key, _ = a.sign(nil)
	return a
}

// sign makes a certificate: the authority's own (nil), or one for a server.
func (a *authority) sign(addresses []net.IP) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.n++
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(a.n), Subject: pkix.Name{CommonName: "test"}, IPAddresses: addresses,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(cmp.Or(a.life, time.Hour)),
		IsCA: addresses == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	parent, signer := tmpl, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key, der
}

// issue writes a certificate for 127.0.0.1 and returns its serial number.
func (a *authority) issue(certFile, keyFile string) int64 {
	a.t.Helper()
	cert, key, der := a.sign([]net.IP{net.IPv4(127, 0, 0, 1)})
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return cert.SerialNumber.Int64()
}

func (a *authority) client() *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
}

// TestTwoEntrances: with TLS and a listener for operators, clients reach flags
// and telemetry only, and operators the rest.
func TestTwoEntrances(t *testing.T) {
	dir, ca := t.TempDir(), newAuthority(t)
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	ca.issue(cert, key)
	s, err := New(t.Context(), Options{Data: dir, Config: config.Config{
		Listen: "127.0.0.1:0", OperatorListen: "localhost:0", TLS: config.TLS{Cert: cert, Key: key},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if s.Bootstrap().URL != s.DashboardURL() || s.URL() == s.DashboardURL() {
		t.Errorf("first tokens say %s; clients %s, operators %s", s.Bootstrap().URL, s.URL(), s.DashboardURL())
	}
	client := ca.client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, tt := range []struct {
		url, path string
		want      int
	}{
		{s.URL(), "/healthz", 200}, {s.URL(), "/ofrep/v1/evaluate/flags", 405}, {s.URL(), "/api/1/envelope/", 405},
		{s.URL(), "/", 404}, {s.URL(), "/login", 404}, {s.URL(), "/metrics", 404}, {s.URL(), "/readyz", 404},
		{s.URL(), "/api/v1/rollouts", 404},
		{s.DashboardURL(), "/healthz", 200}, {s.DashboardURL(), "/readyz", 200}, {s.DashboardURL(), "/metrics", 200},
		{s.DashboardURL(), "/login", 200}, {s.DashboardURL(), "/api/v1/rollouts", 401},
		{s.DashboardURL(), "/ofrep/v1/evaluate/flags", 303}, {s.DashboardURL(), "/api/1/envelope/", 303},
	} {
		resp, err := client.Get(tt.url + tt.path)
		if err != nil {
			t.Fatalf("%s%s: %v", tt.url, tt.path, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s%s: %s, want %d", tt.url, tt.path, resp.Status, tt.want)
		}
	}
}

// TestRenewedCertificate: new files are served without a restart; a damaged
// pair is not.
func TestRenewedCertificate(t *testing.T) {
	dir, ca := t.TempDir(), newAuthority(t)
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	first := ca.issue(cert, key)
	now := time.Now()
	c := &certificate{cert: cert, key: key, log: slog.New(slog.DiscardHandler), now: func() time.Time { return now }}
	serial := func() int64 {
		pair, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.Int64()
	}
	if got := serial(); got != first {
		t.Fatalf("serial %d, want %d", got, first)
	}
	second := ca.issue(cert, key)
	later := now.Add(time.Minute)
	for _, file := range []string{cert, key} {
		if err := os.Chtimes(file, later, later); err != nil {
			t.Fatal(err)
		}
	}
	if got := serial(); got != first {
		t.Errorf("looked again at once: serial %d", got)
	}
	now = now.Add(lookAgain)
	if got := serial(); got != second {
		t.Errorf("serial %d after the renewal, want %d", got, second)
	}
	if err := os.WriteFile(key, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(lookAgain)
	if got := serial(); got != second {
		t.Errorf("serial %d with a damaged key, want %d still", got, second)
	}
}

func TestSecure(t *testing.T) {
	if c, err := secure(config.TLS{}, t.TempDir(), nil); c != nil || err != nil {
		t.Errorf("no TLS: %v, %v", c, err)
	}
	if _, err := secure(config.TLS{Cert: "none.pem", Key: "none.pem"}, t.TempDir(), nil); err == nil {
		t.Error("a certificate that is not there is no error")
	}
	c, err := secure(config.TLS{ACME: config.ACME{Hosts: []string{"serin.example.com"}, Directory: "https://127.0.0.1:1/dir"}}, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetCertificate(&tls.ClientHelloInfo{ServerName: "evil.example.com"}); err == nil {
		t.Error("ACME asks for a certificate of a host that is not in the list")
	}
}

// TestReload takes channels and proxies over, and nothing after a fault.
func TestReload(t *testing.T) {
	before := config.Config{Listen: "127.0.0.1:0", Webhooks: map[string]config.Webhook{"old": {URL: "https://old.example", Secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}}}
	s, err := New(t.Context(), Options{Data: t.TempDir(), Config: before})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	courier := s.control.Courier()
	next := config.Config{TrustedProxies: []string{"10.0.0.1"}, Slack: config.Slack{Token: "xoxb-1"},
		Webhooks: map[string]config.Webhook{"new": {URL: "https://new.example", Secret: "not base64 !"}}}
	if err := s.Reload(next); err == nil || !courier.Knows("webhook:old") || courier.Knows("slack:#ops") {
		t.Errorf("a faulty configuration: %v; old webhook known: %v, slack: %v", err, courier.Knows("webhook:old"), courier.Knows("slack:#ops"))
	}
	next.Webhooks["new"] = config.Webhook{URL: "https://new.example", Secret: before.Webhooks["old"].Secret}
	if err := s.Reload(next); err != nil {
		t.Fatal(err)
	}
	if courier.Knows("webhook:old") || !courier.Knows("webhook:new") || !courier.Knows("slack:#ops") || len(*s.proxies.trusted.Load()) != 1 {
		t.Error("the new channels and proxies are not taken over")
	}
	if err := s.Reload(before); err != nil || courier.Knows("slack:#ops") {
		t.Errorf("Reload: %v; slack still known: %v", err, courier.Knows("slack:#ops"))
	}
}
