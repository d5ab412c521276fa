package controller

import (
	"strings"
	"sync"
	"time"
)

// allowance is how often a service may be called: one message in every, on
// average, and at most burst at once. Within any minute that is at most
// burst + 1m/every messages.
type allowance struct {
	every time.Duration // real time; 0 = no bound
	burst int
	whole bool // one allowance for all addresses of the scheme
}

// allowances by address scheme. Slack documents one message a second and
// channel (docs.slack.dev, rate limits), PagerDuty 120 events a minute and
// integration key (community.pagerduty.com). Jira, mail servers, Alertmanager
// and webhooks document none that holds for all: theirs are our own choice.
var allowances = map[string]allowance{
	"slack":        {every: time.Second, burst: 1},
	"slackhook":    {every: time.Second, burst: 1},
	"pagerduty":    {every: 520 * time.Millisecond, burst: 4},
	"jira":         {every: time.Second, burst: 5, whole: true},
	"email":        {every: 500 * time.Millisecond, burst: 10, whole: true},
	"alertmanager": {every: 100 * time.Millisecond, burst: 20},
	"webhook":      {every: 100 * time.Millisecond, burst: 20},
}

// summaryPause is how long a channel rests after a summary, so that what a
// storm brings meanwhile goes into the next one.
const summaryPause = 10 * time.Second

// pace spaces deliveries out. Times are durations of the server's monotonic
// clock, so that a step of the wall clock neither stops nor floods a channel.
// The zero value is ready.
type pace struct {
	mu      sync.Mutex               // guards the fields below
	full    map[string]time.Duration // when the allowance of a key will be whole again
	resting map[string]time.Duration // until when an address is left alone
}

// keyOf names whose allowance a delivery to address takes from.
func keyOf(address string) (string, allowance) {
	scheme, _, _ := strings.Cut(address, ":")
	a := allowances[scheme]
	if a.whole {
		return scheme, a
	}
	return address, a
}

// wait is how long address has to wait at now; scale turns real time into the
// clock's.
func (p *pace) wait(address string, now time.Duration, scale func(time.Duration) time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.short(address, now, scale)
}

// short is what is missing until one message may go; the caller holds mu.
func (p *pace) short(address string, now time.Duration, scale func(time.Duration) time.Duration) time.Duration {
	key, a := keyOf(address)
	return max(0, p.resting[address]-now, p.full[key]-now-scale(a.every)*time.Duration(max(a.burst-1, 0)))
}

// take uses up one message of the allowance, or returns how long to wait.
func (p *pace) take(address string, now time.Duration, scale func(time.Duration) time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if wait := p.short(address, now, scale); wait > 0 {
		return wait
	}
	if p.full == nil {
		p.full = map[string]time.Duration{}
	}
	delete(p.resting, address)
	key, a := keyOf(address)
	p.full[key] = max(p.full[key], now) + scale(a.every)
	return 0
}

// rest lets an address wait for d from now on, whatever its allowance is.
func (p *pace) rest(address string, now, d time.Duration, scale func(time.Duration) time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.resting == nil {
		p.resting = map[string]time.Duration{}
	}
	p.resting[address] = now + scale(d)
}

// Readings of the outbox: at most readBurst in readGap, and after each a pause
// of readShare times as long as it took, so that a storm of wake-ups and a full
// outbox take a fifth of a core at most.
const (
	readGap   = 50 * time.Millisecond
	readBurst = 8
	readShare = 4
)

// readings spaces the courier's readings of the outbox out, in real time. For
// one goroutine; the zero value is ready.
type readings struct {
	window time.Time // when n began to count
	n      int
	began  time.Time // the last one
	took   time.Duration
}

// wait begins a reading and returns 0, or how long to wait for it.
func (r *readings) wait() time.Duration {
	now := time.Now()
	if now.Sub(r.window) >= readGap {
		r.window, r.n = now, 0
	}
	wait := r.began.Add(r.took * (1 + readShare)).Sub(now)
	if r.n >= readBurst {
		wait = max(wait, r.window.Add(readGap).Sub(now))
	}
	if wait > 0 {
		return min(wait, firstRetry)
	}
	r.began, r.n = now, r.n+1
	return 0
}

// done ends a reading.
func (r *readings) done() { r.took = min(time.Since(r.began), firstRetry/(1+readShare)) }
