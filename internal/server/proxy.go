package server

import (
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
)

// proxies know which peers may say for whom they speak. Everybody else's
// X-Forwarded-For is a claim and is not looked at.
type proxies struct {
	trusted atomic.Pointer[[]netip.Prefix]
}

func (p *proxies) set(trusted []netip.Prefix) { p.trusted.Store(&trusted) }

func (p *proxies) trusts(a netip.Addr) bool {
	list := p.trusted.Load()
	if list == nil {
		return false
	}
	for _, prefix := range *list {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// resolve makes RemoteAddr the address of the client: the last one in
// X-Forwarded-For that no trusted proxy has, read from the right, since each
// proxy appends the peer it saw.
func (p *proxies) resolve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client, ok := p.client(r); ok {
			r.RemoteAddr = netip.AddrPortFrom(client, 0).String()
		}
		next.ServeHTTP(w, r)
	})
}

func (p *proxies) client(r *http.Request) (netip.Addr, bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !p.trusts(peer.Addr().Unmap()) {
		return netip.Addr{}, false
	}
	var found netip.Addr
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		a, err := parseHop(strings.TrimSpace(hops[i]))
		if err != nil {
			break // what stands left of nonsense is nobody's word
		}
		found = a
		if !p.trusts(a) {
			break
		}
	}
	return found, found.IsValid()
}

// parseHop reads an address, with or without a port.
func parseHop(text string) (netip.Addr, error) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap(), nil
	}
	a, err := netip.ParseAddr(text)
	return a.Unmap(), err
}
