package server

import (
	"cmp"
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"serin/internal/auth"
	"serin/internal/config"
)

// perSecond is how often one address may come with a publishable key, where
// the configuration does not say: more than an office behind one address
// sends, and no flood.
const perSecond = 500

// throttle bounds the requests of publishable keys by key and address. The
// zero value lets everybody through. It counts in real time, also where the
// server's clock runs fast.
type throttle struct{ rate *atomic.Pointer[auth.Rate] }

// newThrottle takes a limit as the configuration has it: 0 = the default,
// negative = none.
func newThrottle(limit int) throttle {
	t := throttle{new(atomic.Pointer[auth.Rate])}
	t.set(limit)
	return t
}

// set begins to count anew with another limit.
func (t throttle) set(limit int) { t.rate.Store(auth.NewRate(cmp.Or(limit, perSecond))) }

// limits are the throttles of the doors that publishable keys open.
type limits struct{ flags, telemetry throttle }

func newLimits(c config.Limits) limits {
	return limits{newThrottle(c.Flags), newThrottle(c.Telemetry)}
}

// wait counts a request of a key and returns how long its sender is to wait,
// 0 = not at all. The machine itself is never kept waiting: a proxy there that
// is not trusted stands for everybody.
func (t throttle) wait(ctx context.Context, key string) time.Duration {
	if t.rate == nil {
		return 0
	}
	address := auth.Address(ctx)
	if a, err := netip.ParseAddr(address); err == nil && a.Unmap().IsLoopback() {
		return 0
	}
	return t.rate.Load().Take(key, address, time.Now())
}
