// Package email tells people by e-mail over SMTP submission (RFC 6409), always
// encrypted: by TLS from the start, or by STARTTLS, without which nothing is sent.
//
// A message has text and HTML, a Message-ID of its notice (a repeated delivery
// has the same), In-Reply-To and References to the first message of its thread,
// Auto-Submitted (RFC 3834) and List-Id (RFC 2919). A receiver gets at most 60
// messages in an hour; what comes beyond waits in the outbox and goes out as one
// digest. Answers of 5xx are permanent; 4xx and lost connections are tried again.
package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"

	"serin/internal/notify"
)

const (
	timeout = 10 * time.Second
	prefix  = "email:"
	// perHour is how many messages a receiver gets in an hour.
	perHour = 60
	// portTLS and portStartTLS are the defaults (RFC 8314, section 3.3).
	portTLS, portStartTLS = 465, 587
)

// Options configure a Notifier.
type Options struct {
	Host               string      // the mail server's name; required
	Port               int         // 0 = 465 with TLS, 587 else
	TLS                bool        // encrypted from the start; false = STARTTLS, which is required
	Username, Password string      // "" = no authentication
	From               string      // sender, such as "serin <serin@example.com>"; required
	Domains            []string    // receivers must be of one of these; empty = any
	TLSConfig          *tls.Config // nil = the system's certificates
	Now                func() time.Time
}

// Notifier is a notify.Digester for addresses "email:ann@example.com". It may
// be used by many goroutines at the same time.
type Notifier struct {
	o      Options
	from   *mail.Address
	domain string // of the sender, for ids

	mu   sync.Mutex // guards sent and held
	sent map[string][]time.Time
	held map[string]bool
}

var _ notify.Digester = (*Notifier)(nil)

// New returns a Notifier, or an error that says which option is wrong.
func New(o Options) (*Notifier, error) {
	from, err := mail.ParseAddress(o.From)
	if err != nil {
		return nil, fmt.Errorf("email: from %q: write it as serin@example.com or serin <serin@example.com>", o.From)
	}
	if o.Host == "" {
		return nil, errors.New("email: host is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Port == 0 {
		o.Port = portStartTLS
		if o.TLS {
			o.Port = portTLS
		}
	}
	if o.TLSConfig == nil {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	o.TLSConfig = o.TLSConfig.Clone()
	if o.TLSConfig.ServerName == "" {
		o.TLSConfig.ServerName = o.Host
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	return &Notifier{o: o, from: from, domain: domain, sent: map[string][]time.Time{}, held: map[string]bool{}}, nil
}

// Deliver implements notify.Notifier.
func (e *Notifier) Deliver(ctx context.Context, n notify.Notice) error {
	return e.deliver(ctx, []notify.Notice{n})
}

// Digest implements notify.Digester.
func (e *Notifier) Digest(ctx context.Context, waiting []notify.Notice) error {
	return e.deliver(ctx, waiting)
}

// Held implements notify.Digester.
func (e *Notifier) Held(address string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.held[address]
}

func (e *Notifier) deliver(ctx context.Context, waiting []notify.Notice) error {
	to, err := e.receiver(waiting[0].Address)
	if err != nil {
		return err
	}
	if wait := e.room(waiting[0].Address); wait > 0 {
		return &notify.RetryError{Err: fmt.Errorf("email: %s has had %d messages in an hour: what follows goes as one digest", to.Address, perHour), After: wait}
	}
	m, err := e.compose(to, waiting)
	if err != nil {
		return err
	}
	if err := e.send(ctx, m); err != nil {
		return err
	}
	e.note(waiting[0].Address)
	return nil
}

// receiver reads an address.
func (e *Notifier) receiver(address string) (*mail.Address, error) {
	text, ok := strings.CutPrefix(address, prefix)
	to, err := mail.ParseAddress(text)
	if !ok || err != nil || to.Address != text {
		return nil, fmt.Errorf("email: no receiver in %q: write email:ann@example.com", address)
	}
	_, domain, _ := strings.Cut(to.Address, "@")
	if len(e.o.Domains) > 0 && !slices.ContainsFunc(e.o.Domains, func(d string) bool { return strings.EqualFold(d, domain) }) {
		return nil, fmt.Errorf("email: %s is of no domain of the server's configuration, email.domains", to.Address)
	}
	return to, nil
}

// room is how long address has to wait for its next message; 0 = not at all.
func (e *Notifier) room(address string) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.o.Now()
	list := slices.DeleteFunc(e.sent[address], func(at time.Time) bool { return now.Sub(at) >= time.Hour })
	e.sent[address] = list
	if len(list) < perHour {
		return 0
	}
	e.held[address] = true
	return time.Hour - now.Sub(list[0])
}

// note counts a message that was sent.
func (e *Notifier) note(address string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent[address] = append(e.sent[address], e.o.Now())
	delete(e.held, address)
}

// send hands one message to the mail server. A connection that breaks after
// the server took the message is no error.
func (e *Notifier) send(ctx context.Context, m *gomail.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client, err := gomail.NewClient(e.o.Host, e.options(ctx)...)
	if err != nil {
		return fmt.Errorf("email: %w", err)
	}
	if err := client.DialWithContext(ctx); err != nil {
		return e.sorted("connect", err)
	}
	err = client.Send(m)
	_ = client.Close() // the message was taken or refused before
	if err != nil {
		return e.sorted("send", err)
	}
	return nil
}

// options are go-mail's; with STARTTLS whole ends the connection, whatever it waits for. The
// context that go-mail dials with ends with the dialling.
func (e *Notifier) options(whole context.Context) []gomail.Option {
	out := []gomail.Option{gomail.WithPort(e.o.Port), gomail.WithTimeout(timeout), gomail.WithTLSConfig(e.o.TLSConfig),
		gomail.WithHELO(e.domain), gomail.WithoutNoop(), gomail.WithTLSPolicy(gomail.TLSMandatory)}
	if e.o.Username != "" {
		out = append(out, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(e.o.Username), gomail.WithPassword(e.o.Password))
	}
	if e.o.TLS {
		return append(out, gomail.WithSSL()) // go-mail knows only of its own connections that they are encrypted
	}
	return append(out, gomail.WithDialContextFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(whole, func() { _ = conn.Close() })
		return conn, nil
	}))
}

// sorted says whether an error may go away: all but the server's 5xx.
func (e *Notifier) sorted(what string, err error) error {
	const permanent = 500
	var refused *textproto.Error
	var sending *gomail.SendError
	code := 0
	switch {
	case errors.As(err, &refused):
		code = refused.Code
	case errors.As(err, &sending):
		code = sending.ErrorCode()
	}
	text := err.Error()
	if e.o.Password != "" {
		text = strings.ReplaceAll(text, e.o.Password, "(password)")
	}
	told := fmt.Errorf("email: %s to %s: %s", what, e.o.Host, notify.OneLine(text, 1000))
	if code >= permanent {
		return told
	}
	return &notify.RetryError{Err: told}
}
