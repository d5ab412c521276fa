package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http/httptest"
	"net/mail"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"serin/internal/notify/slack/slacktest"
	"serin/internal/rollout"
)

// nightPlan tells every kind of channel of one alert.
const nightPlan = `serin: 1
plan: shop
timezone: UTC
flag: { key: shop }
calendar: { raise: ["daily 00:00-24:00"] }
roles: { lead: { who: "@lead", may: [start] } }
channels:
  team: "webhook:team"
  page: "pagerduty:main"
  ticket: "jira:OPS/P1"
  chat: "slack:#ops"
  post: "email:ops@example.com"
criteria: { ok: [error_rate < 99%] }
stages:
  - { stage: half, traffic: 50%,  bake: 72h, proceed: ok }
  - { stage: full, traffic: 100%, bake: 72h, proceed: ok }
rollback: [p1 > 500 over 6h]
alerts:
  - { alert: Errors, if: errors > 5 over 10m, severity: p1, notify: [page, ticket, chat, post, team] }
`

// pagePoints lie around the writing of an alert with its notices, the sending of
// each and the mark that it was sent.
var pagePoints = []string{"before alert commit", "after alert commit", "before send", "after send"}

// pagesSurvive kills the built program, by SIGKILL, at each point on the way
// of an alert to five kinds of channels, and starts it again on the same data.
// No page is lost. Whoever has a key sees one of each; Slack and mail, which
// have none, see one of them twice at most, and only where the crash lay
// between the sending and the mark.
func pagesSurvive(t *testing.T, path string) {
	quiet := newNight(t, path, "")
	quiet.live()
	t.Logf("points passed: %v; told: %+v", quiet.points, quiet.told())
	want := outcome{Pages: 1, Tickets: []string{"1 comments, done true"}, Hooks: quiet.hook.titles(), Chat: 3, Mails: 4} // two are of the rollout itself
	if d := cmp.Diff(want, quiet.told()); d != "" || len(want.Hooks) != 4 {
		t.Fatalf("the undisturbed night is not what this test is about (-want +got):\n%s", d)
	}
	every := 3
	if os.Getenv("SERIN_CRASH") == "all" {
		every = 1
	}
	for i, point := range pagePoints {
		if quiet.points[point] == 0 {
			t.Errorf("%q is never passed", point)
		}
		for n := 1 + i%every; n <= int(quiet.points[point]); n += every {
			fault := fmt.Sprintf("%s#%d", point, n)
			t.Run(fault, func(t *testing.T) {
				t.Parallel()
				l := newNight(t, path, fault)
				l.live()
				l.compare(want, strings.HasSuffix(point, "send")) // five channels are told at the same time
			})
		}
	}
}

// outcome is what people find after the night.
type outcome struct {
	Pages   int      // alerts at PagerDuty, open or not
	Tickets []string // in words
	Hooks   []string // titles of the webhook's, each id once
	Chat    int      // messages in the channel that begin a thread
	Mails   int      // different ones
}

// night is an alert on its way, with a crash somewhere.
type night struct {
	*driven
	fault   string
	died    bool
	points  map[string]int64
	pager   *pagerDouble
	tickets *ticketDouble
	chat    *slacktest.Server
	post    *mailbox
	errors  []map[string]any
	minute  int
}

func newNight(t *testing.T, path, fault string) *night {
	n := &night{driven: newDriven(t, path, "shop", scenarioBegin.Add(tickSecond-warmUp)), fault: fault, pager: &pagerDouble{open: map[string]bool{}},
		tickets: &ticketDouble{}, chat: slacktest.New(t), post: &mailbox{}, minute: -int(warmUp / time.Minute)}
	n.crowd.every = 20
	pager, site := httptest.NewServer(n.pager), httptest.NewServer(n.tickets.handler())
	t.Cleanup(pager.Close)
	t.Cleanup(site.Close)
	authority, port := n.post.serve(t)
	if err := os.WriteFile(n.file("ca.pem"), authority, 0o600); err != nil {
		t.Fatal(err)
	}
	n.env = []string{"SSL_CERT_FILE=" + n.file("ca.pem")}
	config, err := os.ReadFile(n.file("serin.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config = fmt.Appendf(config, `pagerduty: { main: { key: r0ut1ng, url: %q } }
jira: { url: %q, email: bot@example.com, token: t0ken, resolve: Done }
slack: { token: %q, api_url: %q, channels: { "#ops": C0OPS } }
email: { host: 127.0.0.1, port: %d, username: serin, password: s3cret, from: serin@example.com }
`, pager.URL, site.URL, slacktest.BotToken, n.chat.API(), port)
	if err := os.WriteFile(n.file("serin.yaml"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	return n
}

// live lets the alert fire, be told, be over and be told again.
func (n *night) live() {
	n.Helper()
	n.survive(func() error { return n.start(map[bool]string{false: n.fault}[n.died]) })
	n.survive(func() error {
		err := n.ask("lead", "POST", "/rollouts", []byte(nightPlan), nil)
		if n.died && errors.As(err, new(*refusal)) {
			return n.ask("lead", "GET", "/rollouts/shop-1", nil, nil)
		}
		return err
	})
	n.visit(-n.minute)
	n.survive(func() error {
		_, err := n.command("lead", "shop-1", rollout.Start, "the start", nil)
		return err
	})
	n.visit(2)
	n.survive(func() (err error) {
		if n.errors == nil {
			if n.errors, err = n.crowd.p1(6, 0); err != nil {
				return err
			}
		}
		return n.crowd.report(n.errors)
	})
	n.visit(25)
	n.survive(func() error {
		a, err := n.request("POST", n.rig+"/rig/clock", []byte("{}"))
		if err == nil {
			n.points = pointsOf(n.T, a)
		}
		return err
	})
}

// survive does something that can be done again; when the process dies of the
// fault meanwhile, the next one is started and it is done again.
func (n *night) survive(do func() error) {
	n.Helper()
	err := do()
	if errors.Is(err, errGone) && n.fault != "" && !n.died {
		n.died = true
		n.buried()
		if err := n.start(""); err != nil {
			n.Fatalf("start after the crash: %v; it said %s", err, n.log)
		}
		err = do()
	}
	if err != nil {
		n.Fatalf("minute %d: %v", n.minute, err)
	}
}

// visit lets so many minutes go by with users.
func (n *night) visit(minutes int) {
	n.Helper()
	for range minutes {
		at := scenarioBegin.Add(time.Duration(n.minute) * time.Minute)
		n.survive(func() error { return n.drive(later(n.now, at.Add(sendSecond))) })
		n.survive(func() error { return n.crowd.minute(n.minute) })
		n.minute++
		n.survive(func() error { return n.drive(later(n.now, at.Add(time.Minute))) })
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (n *night) told() outcome {
	n.pager.mu.Lock()
	pages := len(n.pager.open)
	n.pager.mu.Unlock()
	return outcome{Pages: pages, Tickets: n.tickets.standing(), Hooks: n.hook.titles(), Chat: len(n.threads()), Mails: len(n.post.ids())}
}

// threads are the messages that begin a thread.
func (n *night) threads() (out []slacktest.Message) {
	for _, m := range n.chat.Messages() {
		if m.ThreadTS == "" {
			out = append(out, m)
		}
	}
	return out
}

// compare compares the night with an undisturbed one; again allows one message
// twice where there is no key.
func (n *night) compare(want outcome, again bool) {
	n.Helper()
	if !n.died {
		n.Fatalf("%s was never passed", n.fault)
	}
	got, most := n.told(), 0
	if again {
		most = 1
	}
	if got.Chat == want.Chat+most {
		got.Chat = want.Chat
	}
	if d := cmp.Diff(want, got); d != "" {
		n.Errorf("the crash left a trace (-undisturbed +crashed):\n%s", d)
	}
	if _, open := n.pager.pages(); open != 0 {
		n.Errorf("%d pages are open after the alert is over", open)
	}
	if twice := len(n.post.mails()) - want.Mails; twice > most {
		n.Errorf("%d mails came again", twice)
	}
	if len(n.hook.problems) > 0 || len(n.hook.repeated) > most {
		n.Errorf("the webhook got %q again; %q", n.hook.repeated, n.hook.problems)
	}
}

// mailbox is a mail server with STARTTLS.
type mailbox struct {
	mu   sync.Mutex // guards kept
	kept []string   // Message-IDs, in the order of arrival
}

// serve starts it; authority is the certificate that its clients must trust.
func (b *mailbox) serve(t *testing.T) (authority []byte, port int) {
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := smtp.NewServer(b)
	srv.Domain, srv.ErrorLog = "mail.example.com", mute{}
	srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); _ = l.Close(); <-done })
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), l.Addr().(*net.TCPAddr).Port
}

func (b *mailbox) mails() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.kept)
}

// ids are the different mails.
func (b *mailbox) ids() []string {
	list := b.mails()
	slices.Sort(list)
	return slices.Compact(list)
}

// NewSession implements smtp.Backend.
func (b *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &delivery{b}, nil }

// delivery is one connection to a mailbox.
type delivery struct{ box *mailbox }

func (d *delivery) Reset()                               {}
func (d *delivery) Logout() error                        { return nil }
func (d *delivery) AuthMechanisms() []string             { return []string{sasl.Plain} }
func (d *delivery) Mail(string, *smtp.MailOptions) error { return nil }
func (d *delivery) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (d *delivery) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, password string) error {
		if password != "s3cret" {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (d *delivery) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil || strings.TrimSpace(m.Header.Get("Message-ID")) == "" {
		return &smtp.SMTPError{Code: 554, Message: "no message with an id"}
	}
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	d.box.kept = append(d.box.kept, m.Header.Get("Message-ID"))
	return nil
}

type mute struct{}

func (mute) Printf(string, ...any) {}
func (mute) Println(...any)        {}
