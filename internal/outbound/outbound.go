// Package outbound keeps calls to addresses that people configure out of
// networks that they were not meant for (server-side request forgery). A Guard
// resolves a name itself, refuses addresses that are not on the public
// internet unless they are allowed, and connects to the very address that it
// has checked.
//
// The ranges are those of the IANA special-purpose address registries for IPv4
// and IPv6. The package imports nothing of ours; all of it may be used by many
// goroutines at the same time.
package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// ErrForbidden is the cause when a name leads into a network that is not public.
var ErrForbidden = errors.New("the address is not public: allow its network in the server's configuration")

// special are the ranges which netip calls global unicast and which are not
// the public internet (the IANA special-purpose address registries), and
// those that carry an IPv4 address within.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"),
	netip.MustParsePrefix("64:ff9b::/96"), // NAT64
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), // Teredo and others
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4
	netip.MustParsePrefix("fec0::/10"),
}

// Private are the loopback and private networks that a configuration opens
// with allow_private. Link-local addresses, where clouds keep their metadata,
// are not among them.
var Private = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("fc00::/7"),
}

// Guard decides which addresses may be called. The zero Guard permits public
// addresses only.
type Guard struct {
	Allow []netip.Prefix // permitted besides
}

// Permits reports whether a may be called.
func (g Guard) Permits(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range g.Allow {
		if p.Contains(a) {
			return true
		}
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsGlobalUnicast() && !a.IsPrivate()
}

// Dial resolves the host itself and connects to an address that it has
// checked, so that the name cannot lead elsewhere a moment later. Its error wraps
// ErrForbidden where no address of the host is permitted.
func (g Guard) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	err = fmt.Errorf("%s: %w", host, ErrForbidden)
	for _, a := range addrs {
		if !g.Permits(a) {
			continue
		}
		var (
			d    net.Dialer
			conn net.Conn
		)
		if conn, err = d.DialContext(ctx, network, net.JoinHostPort(a.Unmap().String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}
