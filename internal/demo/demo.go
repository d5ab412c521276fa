// Package demo drives a running serin server as a real team and its users
// would: a small shop's admin area with an old and a new dashboard behind a
// flag, 208 admins as honest clients over real protocols (the OpenFeature SDK
// for flags, the Sentry SDK for errors and transactions, beacons for web
// vitals, logins and surveys), and a scripted team lead who works through the
// public API. It breaks the new dashboard at a random moment of the 25 %
// stage and measures how serin finds that and takes it back.
//
// It knows nothing of the server's inside: everything goes over HTTP.
package demo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// The demo's figures.
const (
	admins    = 208
	flagKey   = "adminWorkBench"
	planName  = "demo"
	breakAt   = "ramp-25" // stage in which the regression begins
	allowed   = 5 * time.Minute
	reloadAvg = 1500 * time.Millisecond // real time between two page loads of an admin
	setupTime = 30 * time.Second
)

// API is the operator API as one token sees it. Body and out are JSON values;
// a body of []byte is sent as it is.
type API interface {
	Call(ctx context.Context, method, path string, body, out any) error
}

// Options are what a demo needs of its server.
type Options struct {
	URL     string                 // of the server
	DSN     string                 // for Sentry SDKs
	FlagKey string                 // server key for flags
	API     func(token string) API // the operator API for a token
	Admin   string                 // admin token
	Plan    []byte                 // the plan file
	// Wall turns server time into real time, to compare with the clients' own clocks.
	Wall    func(server time.Time) time.Time
	Effect  float64 // strength of the regression: errors of the new dashboard are multiplied; 1 = none
	Healthy bool    // no regression; run to the clean-up
	Seed    uint64
	Out     io.Writer
	JSON    bool
	Logger  *slog.Logger
}

// Result is how a demo ended. Times are real milliseconds; -1 = did not happen.
type Result struct {
	Type                string  `json:"type"`    // "result"
	Outcome             string  `json:"outcome"` // rolled_back, cleanup, interrupted
	Rule                string  `json:"rule,omitempty"`
	Why                 string  `json:"why,omitempty"`
	Stage               string  `json:"stage"`
	Seed                uint64  `json:"seed"`
	Effect              float64 `json:"effect"`
	InjectToVerdictMS   float64 `json:"inject_to_verdict_ms"`
	FirstBadToVerdictMS float64 `json:"first_bad_to_verdict_ms"`
	EventToFlagOffMS    float64 `json:"event_to_flag_off_ms"`
	EventToLastMS       float64 `json:"event_to_last_client_ms"`
	HarmedUsers         int     `json:"harmed_users"`
	ClientsOnNew        int     `json:"clients_on_new"` // that had to be switched
	EventsAcknowledged  int64   `json:"events_acknowledged"`
	EventsCounted       int64   `json:"events_counted"`
	Seconds             float64 `json:"seconds"`
}

// How a demo can end.
const (
	outcomeRolledBack  = "rolled_back"
	outcomeCleanup     = "cleanup"
	outcomeInterrupted = "interrupted"
)

// Run runs the whole demo and returns how it ended. A cancelled ctx ends it
// cleanly with the outcome "interrupted".
func Run(ctx context.Context, o Options) (Result, error) {
	if o.Healthy {
		o.Effect = 1
	}
	d := &demo{Options: o, begin: time.Now(), random: rand.New(rand.NewPCG(o.Seed, 0x5e71)), out: newScreen(o.Out, o.JSON)}
	res, err := d.run(ctx)
	if err == nil && res.Outcome == outcomeInterrupted {
		d.out.done()
		d.report(res)
	}
	return res, err
}

// demo is one run.
type demo struct {
	Options
	begin  time.Time
	random *rand.Rand // of the director only; every admin has its own
	out    *screen
	shop   *shop
	crowd  []*visitor
	tally  tally
	http   *http.Client
	seen   int64 // position of the last journal entry printed

	mu       sync.Mutex // guards the fields below
	injected time.Time  // zero: not yet
	firstBad time.Time
	lastBad  []time.Time // when clients sent errors of the broken dashboard
	harmed   map[string]bool
	rollout  string
}

func (d *demo) run(ctx context.Context) (Result, error) {
	res := Result{Type: "result", Outcome: outcomeInterrupted, Seed: d.Seed, Effect: d.Effect,
		InjectToVerdictMS: -1, FirstBadToVerdictMS: -1, EventToFlagOffMS: -1, EventToLastMS: -1}
	d.harmed = map[string]bool{}
	d.http = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: admins, MaxConnsPerHost: 2 * admins}}
	var err error
	if d.shop, err = newShop(d); err != nil {
		return res, err
	}
	live, stop := context.WithCancel(ctx)
	group, live := errgroup.WithContext(live)
	defer func() { stop(); _ = group.Wait() }()
	group.Go(func() error { return d.shop.run(live) })
	d.out.line("shop       %s/admin/users?as=admin-017  (the page behind the flag)", d.shop.url)

	team, err := d.team(ctx)
	if err != nil {
		return res, d.ended(ctx, err)
	}
	before, err := team.counted(ctx) // of an earlier run in the same data directory
	if err != nil {
		return res, d.ended(ctx, err)
	}
	if err := team.prepareFlag(ctx); err != nil {
		return res, d.ended(ctx, fmt.Errorf("prepare the flag: %w", err))
	}
	if err := d.admit(live, group); err != nil {
		return res, d.ended(ctx, err)
	}
	if d.rollout, err = team.begin(ctx); err != nil {
		return res, d.ended(ctx, fmt.Errorf("begin the rollout: %w", err))
	}
	end, err := d.direct(ctx, team)
	if err != nil {
		return res, d.ended(ctx, err)
	}
	d.settle(ctx, &res, end)
	stop()
	_ = group.Wait()
	d.leave()
	now, err := team.counted(ctx)
	if err != nil {
		return res, d.ended(ctx, err)
	}
	res.EventsAcknowledged, res.EventsCounted = d.tally.total(), now-before
	res.Seconds = time.Since(d.begin).Seconds()
	d.report(res)
	return res, nil
}

// ended turns an error into nothing when the demo was interrupted.
func (d *demo) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// admit lets the admins in, spread over one reload time.
func (d *demo) admit(ctx context.Context, group *errgroup.Group) error {
	d.out.line("clients    %d admins: OpenFeature SDK over OFREP, Sentry SDK, beacons", admins)
	for i := range admins {
		v, err := d.newVisitor(i)
		if err != nil {
			return fmt.Errorf("admin %d: %w", i, err)
		}
		d.crowd = append(d.crowd, v)
		group.Go(func() error { v.run(ctx); return nil })
	}
	return nil
}

// leave closes the admins' flag providers.
func (d *demo) leave() {
	var wg sync.WaitGroup
	for _, v := range d.crowd {
		wg.Go(v.close)
	}
	wg.Wait()
}

// inject breaks the new dashboard.
func (d *demo) inject() {
	d.mu.Lock()
	d.injected = time.Now()
	d.mu.Unlock()
	d.shop.broken.Store(true)
	d.out.event("injected", "the new dashboard is broken from now on: errors ×%g", d.Effect)
}

// bad notes an error of the broken dashboard that a client is about to send.
func (d *demo) bad(user string, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.firstBad.IsZero() {
		d.firstBad = at
		d.out.event("first bad event", "%s saw %s", user, brokenError)
	}
	d.lastBad = append(d.lastBad, at)
	d.harmed[user] = true
}
