package email

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"serin/internal/notify"
)

// post is a mail server that keeps what it takes. It takes mail from
// authenticated clients over TLS only.
type post struct {
	mu       sync.Mutex // guards the rest
	messages []string
	refuse   *smtp.SMTPError // for every receiver; nil = none
	hang     chan struct{}   // before the answer to DATA; nil = no
}

const password = "mail-secret"

type session struct {
	p    *post
	c    *smtp.Conn
	auth bool
}

func (p *post) NewSession(c *smtp.Conn) (smtp.Session, error) { return &session{p: p, c: c}, nil }
func (s *session) Reset()                                     {}
func (s *session) Logout() error                              { return nil }
func (s *session) AuthMechanisms() []string                   { return []string{sasl.Plain} }
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, pass string) error {
		if user != "serin" || pass != password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "authentication failed for " + pass}
		}
		s.auth = true
		return nil
	}), nil
}

func (s *session) Mail(string, *smtp.MailOptions) error {
	if _, encrypted := s.c.TLSConnectionState(); !encrypted || !s.auth {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "authentication required"}
	}
	return nil
}

func (s *session) Rcpt(string, *smtp.RcptOptions) error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.p.refuse != nil {
		return s.p.refuse
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.p.hang != nil {
		<-s.p.hang
	}
	s.p.messages = append(s.p.messages, string(data))
	return err
}

func (p *post) taken() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.messages...)
}

// serve starts a mail server; direct = TLS from the start, plain = no encryption.
func serve(t *testing.T, p *post, direct, plain bool) (Options, func()) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	made := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, made, made, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, TLS: direct, Username: "serin", Password: password,
		From: "serin <serin@example.com>", TLSConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	srv := smtp.NewServer(p)
	srv.Domain, srv.AllowInsecureAuth, srv.ErrorLog = "mail.example.com", false, silent{}
	if config := (&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}); direct {
		l = tls.NewListener(l, config)
	} else if !plain {
		srv.TLSConfig = config
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	stop := sync.OnceFunc(func() { _ = srv.Close(); _ = l.Close(); <-done })
	t.Cleanup(stop)
	return o, stop
}

type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

func open(t *testing.T, o Options) *Notifier {
	t.Helper()
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func notice(id string) notify.Notice {
	return notify.Notice{ID: id, Thread: "alert/x/1/mail", Address: "email:ann@example.com", Type: "alert.firing", Title: "X\r\nBcc: all@example.com", Text: "a <b>\nsecond",
		Rule: "count() > 5", Link: "https://serin.example/alerts/x?a=1&b=2", At: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
}

// parts reads a message: its header, its text, its HTML.
func parts(t *testing.T, raw string) (h mail.Header, text, html string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("%s, %v", kind, err)
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m.Header, text, html
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			html = string(body)
		} else {
			text = string(body)
		}
	}
}

func TestMessage(t *testing.T) {
	for _, direct := range []bool{false, true} {
		p := &post{}
		o, _ := serve(t, p, direct, false)
		e := open(t, o)
		for _, id := range []string{"alert/x/1/mail", "alert/x/2/mail"} {
			if err := e.Deliver(t.Context(), notice(id)); err != nil {
				t.Fatalf("TLS %v: %v", direct, err)
			}
		}
		got := p.taken()
		first, text, html := parts(t, got[0])
		second, _, _ := parts(t, got[1])
		if first.Get("Subject") != "[serin] X Bcc: all@example.com" || first.Get("Bcc") != "" || first.Get("To") != "<ann@example.com>" ||
			first.Get("Auto-Submitted") != "auto-generated" || first.Get("List-Id") != "<notices.example.com>" || first.Get("In-Reply-To") != "" {
			t.Errorf("header %v", first)
		}
		if id := first.Get("Message-Id"); id == "" || second.Get("In-Reply-To") != id || second.Get("References") != id || second.Get("Message-Id") == id {
			t.Errorf("Message-ID %q, then %q in reply to %q", id, second.Get("Message-Id"), second.Get("In-Reply-To"))
		}
		if !strings.Contains(text, "a <b>\r\nsecond") && !strings.Contains(text, "a <b>\nsecond") || !strings.Contains(text, "Rule: count() > 5") {
			t.Errorf("text %q", text)
		}
		if !strings.Contains(html, "a &lt;b&gt;") || !strings.Contains(html, `href="https://serin.example/alerts/x?a=1&amp;b=2"`) {
			t.Errorf("html %q", html)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		name      string
		change    func(*Options, *post)
		plain     bool
		temporary bool
	}{
		{"wrong password", func(o *Options, _ *post) { o.Password = "guess-secret" }, false, false},
		{"no such receiver", func(_ *Options, p *post) { p.refuse = &smtp.SMTPError{Code: 550, Message: "no such user"} }, false, false},
		{"greylisted", func(_ *Options, p *post) { p.refuse = &smtp.SMTPError{Code: 451, Message: "later"} }, false, true},
		{"unknown certificate", func(o *Options, _ *post) { o.TLSConfig = nil }, false, true},
		{"no STARTTLS", func(*Options, *post) {}, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := &post{}
			o, _ := serve(t, p, false, tc.plain)
			tc.change(&o, p)
			err := open(t, o).Deliver(t.Context(), notice("a"))
			if _, temporary := notify.Temporary(err); err == nil || temporary != tc.temporary || strings.Contains(err.Error(), o.Password) {
				t.Errorf("Deliver = %v, temporary %v; want temporary %v and no password", err, temporary, tc.temporary)
			}
			if n := len(p.taken()); n != 0 {
				t.Errorf("%d messages were taken", n)
			}
		})
	}
}

func TestNobodyThereAndSlow(t *testing.T) {
	p := &post{}
	o, stop := serve(t, p, false, false)
	stop()
	if _, temporary := notify.Temporary(open(t, o).Deliver(t.Context(), notice("a"))); !temporary {
		t.Error("nobody there: want a temporary error")
	}
	release := make(chan struct{})
	p = &post{hang: release}
	o, _ = serve(t, p, false, false)
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, temporary := notify.Temporary(open(t, o).Deliver(ctx, notice("a"))); !temporary {
		t.Error("a server that hangs: want a temporary error at the end of the context")
	}
}

func TestReceivers(t *testing.T) {
	e := open(t, Options{Host: "127.0.0.1", From: "serin@example.com", Domains: []string{"Example.com"}})
	for address, ok := range map[string]bool{
		"email:ann@example.com": true, "email:ann@other.example": false, "email:ann": false, "email:": false, "slack:ann@example.com": false, "email:Ann <ann@example.com>": false,
	} {
		if _, err := e.receiver(address); (err == nil) != ok {
			t.Errorf("receiver(%q) = %v, want accepted: %v", address, err, ok)
		}
	}
	for _, o := range []Options{{Host: "a"}, {From: "serin@example.com"}, {Host: "a", From: "nobody"}} {
		if _, err := New(o); err == nil {
			t.Errorf("New(%+v) took it", o)
		}
	}
}

// After 60 messages in an hour the rest waits and goes as one digest.
func TestDigest(t *testing.T) {
	p := &post{}
	o, _ := serve(t, p, false, false)
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	o.Now = func() time.Time { return now }
	e := open(t, o)
	address := notice("a").Address
	for i := range perHour {
		if err := e.Deliver(t.Context(), notice(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
	if e.Held(address) {
		t.Error("held before the limit")
	}
	err := e.Deliver(t.Context(), notice("more"))
	if after, temporary := notify.Temporary(err); !temporary || after != 59*time.Minute || !e.Held(address) {
		t.Errorf("one more: %v, after %v, held %v", err, after, e.Held(address))
	}
	now = now.Add(59 * time.Minute)
	var waiting []notify.Notice
	for i := range listed + 10 {
		n := notice(fmt.Sprintf("late/%d", i))
		n.Title = fmt.Sprintf("late %d.", i)
		waiting = append(waiting, n)
	}
	if err := e.Digest(t.Context(), waiting); err != nil || e.Held(address) {
		t.Fatalf("Digest = %v, held %v", err, e.Held(address))
	}
	all := p.taken()
	h, text, _ := parts(t, all[len(all)-1])
	if len(all) != perHour+1 || h.Get("Subject") != "[serin] 60 notices" {
		t.Errorf("%d messages, the last %q", len(all), h.Get("Subject"))
	}
	for i := range waiting {
		if !strings.Contains(text, fmt.Sprintf("late %d.", i)) {
			t.Errorf("the digest lacks notice %d", i)
		}
	}
}
