package auth

import (
	"sync"
	"time"
)

// Rate bounds how often a caller may come: a token bucket each (the generic
// cell rate algorithm of ITU-T I.371 in its leaky-bucket form). Memory is
// bounded: when it is full, callers whose bucket is full are forgotten first,
// then any. All methods may be called at the same time; a nil Rate lets
// everybody through.
type Rate struct {
	perSecond, burst float64

	mu      sync.Mutex // guards buckets
	buckets map[rateKey]bucket
}

type rateKey struct{ key, network string }

// bucket is how much was left at a time.
type bucket struct {
	left float64
	at   time.Time
}

// rateBurst is how many seconds' worth may come at once.
const rateBurst = 10

// NewRate lets perSecond requests a second through, and at once ten times as
// many after a pause; 0 or less returns nil: no limit.
func NewRate(perSecond int) *Rate {
	if perSecond <= 0 {
		return nil
	}
	return &Rate{perSecond: float64(perSecond), burst: float64(perSecond) * rateBurst, buckets: map[rateKey]bucket{}}
}

// Take counts one request of a key from an address at now, and returns how
// long to wait if it is one too many, else 0.
func (r *Rate) Take(key, address string, now time.Time) time.Duration {
	if r == nil {
		return 0
	}
	k := rateKey{key, network(address)}
	r.mu.Lock()
	defer r.mu.Unlock()
	b, known := r.buckets[k]
	if !known {
		makeRoom(r.buckets, maxAddresses, func(b bucket) bool { return r.fill(b, now) >= r.burst })
		b = bucket{left: r.burst, at: now}
	}
	b = bucket{left: r.fill(b, now), at: now}
	if b.left < 1 {
		r.buckets[k] = b
		return max(time.Nanosecond, time.Duration((1-b.left)/r.perSecond*float64(time.Second))) // 0 would say that it passed
	}
	b.left--
	r.buckets[k] = b
	return 0
}

// fill is what a bucket holds at now. A clock that was set back adds nothing.
func (r *Rate) fill(b bucket, now time.Time) float64 {
	return min(r.burst, b.left+max(0, now.Sub(b.at).Seconds())*r.perSecond)
}
