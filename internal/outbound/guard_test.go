package outbound

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// TestPermits: what is not the public internet is refused, in every spelling.
func TestPermits(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false,
		"0.0.0.0": false, "255.255.255.255": false, "224.0.0.1": false, "198.18.0.1": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "ff02::1": false, "fec0::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "2001:0:7f00:1::": false,
	} {
		if got := (Guard{}).Permits(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
	open := Guard{Allow: Private}
	for text, want := range map[string]bool{"127.0.0.1": true, "::ffff:10.0.0.1": true, "169.254.169.254": false, "fe80::1": false} {
		if got := open.Permits(netip.MustParseAddr(text)); got != want {
			t.Errorf("private networks allowed, %s: got %v, want %v", text, got, want)
		}
	}
}

// TestDialRefuses: addresses in disguise lead nowhere, whatever resolves them.
func TestDialRefuses(t *testing.T) {
	called := new(atomic.Int64)
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	defer inner.Close()
	_, port, err := net.SplitHostPort(inner.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1.", "LOCALHOST"} {
		client := &http.Client{Transport: &http.Transport{DialContext: Guard{}.Dial}, Timeout: 10 * time.Second}
		resp, err := client.Get("http://" + host + ":" + port + "/")
		if err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s was reached", host)
		}
	}
	if n := called.Load(); n != 0 {
		t.Errorf("the inner service was called %d times", n)
	}
}

// TestDialIsNotRebound: a name is looked up once, and what was checked is what
// is called: a name server that answers otherwise the next time changes nothing.
func TestDialIsNotRebound(t *testing.T) {
	reached := make(chan struct{}, 8)
	good, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = good.Close() }()
	go func() {
		for {
			c, err := good.Accept()
			if err != nil {
				return
			}
			reached <- struct{}{}
			_ = c.Close()
		}
	}()
	_, port, err := net.SplitHostPort(good.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	names := fickle(t, [4]byte{127, 0, 0, 1}, [4]byte{127, 0, 0, 2})
	old := net.DefaultResolver
	defer func() { net.DefaultResolver = old }()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", names.address)
	}}
	g := Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	conn, err := g.Dial(t.Context(), "tcp", "hooks.example.:"+port)
	if err != nil {
		t.Fatal(err)
	}
	if host, _, _ := net.SplitHostPort(conn.RemoteAddr().String()); host != "127.0.0.1" {
		t.Errorf("called %s", host)
	}
	_ = conn.Close()
	<-reached
	if n := names.asked.Load(); n != 1 {
		t.Errorf("the name was looked up %d times", n)
	}
	if _, err := g.Dial(t.Context(), "tcp", "hooks.example.:"+port); !errors.Is(err, ErrForbidden) {
		t.Errorf("the second answer: got %v, want ErrForbidden", err)
	}
}

// names is a name server.
type names struct {
	address string
	asked   atomic.Int64 // for A records
}

// fickle answers the first question for an A record with first, all later ones
// with then, and has no AAAA record.
func fickle(t *testing.T, first, then [4]byte) *names {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	s := &names{address: socket.LocalAddr().String()}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := socket.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Authoritative, m.Additionals = true, true, nil
			if q.Type == dnsmessage.TypeA {
				a := first
				if s.asked.Add(1) > 1 {
					a = then
				}
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: a}}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = socket.WriteTo(out, from)
			}
		}
	}()
	return s
}
