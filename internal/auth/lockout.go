package auth

import (
	"cmp"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

const (
	// lockAfter wrong tries within lockWindow lock an address for the rest of the window.
	lockAfter  = 20
	lockWindow = time.Minute
	// maxAddresses bounds the memory.
	maxAddresses = 4096
)

// LockedError says that an address has tried too many wrong tokens.
type LockedError struct {
	After time.Duration // when to try again
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("too many wrong tokens from this address: try again in %v", e.After.Round(time.Second))
}

// lockout counts wrong tries by address. The zero value is ready.
type lockout struct {
	mu        sync.Mutex // guards addresses
	addresses map[string]tries
	after     int           // 0 = lockAfter
	window    time.Duration // 0 = lockWindow
}

type tries struct {
	n     int
	until time.Time // end of the window
}

// check returns a *LockedError if address is locked.
func (l *lockout) check(address string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.addresses[network(address)]
	if t.n < cmp.Or(l.after, lockAfter) || !now.Before(t.until) {
		return nil
	}
	return &LockedError{After: t.until.Sub(now)}
}

// fail counts a wrong try.
func (l *lockout) fail(address string, now time.Time) {
	if address == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := network(address)
	t := l.addresses[key]
	if !now.Before(t.until) {
		t = tries{until: now.Add(cmp.Or(l.window, lockWindow))}
	}
	t.n++
	if l.addresses == nil {
		l.addresses = map[string]tries{}
	}
	makeRoom(l.addresses, maxAddresses, func(t tries) bool { return !now.Before(t.until) })
	l.addresses[key] = t
}

// makeRoom removes from a full map what is stale, else one arbitrary entry.
func makeRoom[K comparable, V any](m map[K]V, limit int, stale func(V) bool) {
	if len(m) < limit {
		return
	}
	for k, v := range m {
		if stale(v) {
			delete(m, k)
		}
	}
	for k := range m {
		if len(m) < limit {
			return
		}
		delete(m, k)
	}
}

// network returns what counts as one caller: the address without its port,
// and of IPv6 the first 64 bits, which one host has to itself.
func network(address string) string {
	ap, err := netip.ParseAddrPort(address)
	a := ap.Addr()
	if err != nil {
		if a, err = netip.ParseAddr(address); err != nil {
			return address
		}
	}
	a = a.Unmap().WithZone("")
	if a.Is6() {
		const hostBits = 64
		return netip.PrefixFrom(a, hostBits).Masked().String()
	}
	return a.String()
}
