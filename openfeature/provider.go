// Package openfeature is serin's provider for the OpenFeature Go SDK. It
// speaks OFREP (the OpenFeature Remote Evaluation Protocol), so it works with
// every OFREP server; with serin's event stream it is also quick and cheap:
//
//	p := openfeature.NewProvider(openfeature.Options{BaseURL: "http://localhost:8750", Key: key})
//	err := sdk.SetProviderAndWait(p)
//
// Each evaluation is one request, and its answer is kept per flag and
// context. While the stream is up, an answer is good until the server says
// that flags changed (at most MaxAge, for rules that read the time); then the
// provider emits PROVIDER_CONFIGURATION_CHANGED. While it is down an answer is
// good for TTL only. When the server cannot be reached the last known answer
// is given, with reason CACHED, until it is older than MaxStale; after that
// the code default with an error.
package openfeature

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	of "github.com/open-feature/go-sdk/openfeature"
)

// Options configure a provider; only BaseURL is needed.
type Options struct {
	BaseURL    string       // of the server, without /ofrep/v1
	Key        string       // flags key, sent as a bearer token; "" = none
	HTTPClient *http.Client // nil = one of its own
	Logger     *slog.Logger // nil = discarded

	Timeout   time.Duration // of one evaluation; 0 = 2 s
	TTL       time.Duration // of an answer while the stream is down; 0 = 5 s
	MaxAge    time.Duration // of an answer while the stream is up; 0 = 1 min
	MaxStale  time.Duration // of an answer while the server cannot be reached; 0 = 10 min
	CacheSize int           // answers kept; 0 = 10,000
	NoStream  bool          // do not listen for changes
}

const (
	providerName = "serin"
	maxBodyBytes = 4 << 20
	// retryPause is how long evaluations go without asking after the server
	// did not answer, so that an outage does not cost each its timeout.
	retryPause = time.Second
	// eventsKept is how many events wait for the SDK.
	eventsKept = 64
)

// Provider implements the SDK's FeatureProvider, ContextAwareStateHandler and
// EventHandler. Its methods may be called at the same time.
type Provider struct {
	opt        Options
	client     *http.Client
	streaming  *http.Client // without a timeout
	events     chan of.Event
	cache      *cache
	generation atomic.Uint64 // grows when kept answers may be outdated
	streamUp   atomic.Bool
	pausedTill atomic.Int64 // Unix nanoseconds

	mu   sync.Mutex // guards stop
	stop func()     // nil when not running
}

var (
	_ of.FeatureProvider          = (*Provider)(nil)
	_ of.ContextAwareStateHandler = (*Provider)(nil)
	_ of.EventHandler             = (*Provider)(nil)
)

// NewProvider returns a provider; nothing is sent before Init or the first
// evaluation.
func NewProvider(opt Options) *Provider {
	opt.BaseURL = strings.TrimRight(opt.BaseURL, "/")
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&opt.Timeout, 2*time.Second)
	setDefault(&opt.TTL, 5*time.Second)
	setDefault(&opt.MaxAge, time.Minute)
	setDefault(&opt.MaxStale, 10*time.Minute)
	setDefault(&opt.CacheSize, 10_000)
	client := opt.HTTPClient
	if client == nil {
		client = &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 32, IdleConnTimeout: 90 * time.Second,
		}}
	}
	streaming := *client
	streaming.Timeout = 0
	return &Provider{
		opt: opt, client: client, streaming: &streaming,
		events: make(chan of.Event, eventsKept), cache: newCache(opt.CacheSize),
	}
}

func setDefault[T ~int | ~int64](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Metadata implements FeatureProvider.
func (p *Provider) Metadata() of.Metadata { return of.Metadata{Name: providerName} }

// Hooks implements FeatureProvider; there are none.
func (p *Provider) Hooks() []of.Hook { return nil }

// EventChannel implements EventHandler.
func (p *Provider) EventChannel() <-chan of.Event { return p.events }

// Init implements StateHandler.
func (p *Provider) Init(evaluation of.EvaluationContext) error {
	return p.InitWithContext(context.Background(), evaluation)
}

// InitWithContext starts listening for changes and waits for the first
// answer of the server. A refused key is fatal. A server that cannot be
// reached is an error, but the provider goes on trying and emits
// PROVIDER_READY when it is there.
func (p *Provider) InitWithContext(ctx context.Context, _ of.EvaluationContext) error {
	if p.opt.NoStream {
		return nil
	}
	p.mu.Lock()
	if p.stop != nil {
		p.mu.Unlock()
		return nil
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &stream{p: p, first: make(chan error, 1)}
	var wg sync.WaitGroup
	wg.Go(func() { s.run(running) })
	p.stop = func() { cancel(); wg.Wait() }
	p.mu.Unlock()

	wait, done := context.WithTimeout(ctx, p.opt.Timeout)
	defer done()
	select {
	case err := <-s.first:
		return err
	case <-wait.Done():
		if !s.decided.CompareAndSwap(false, true) {
			return <-s.first
		}
		return &of.ProviderInitError{ErrorCode: of.GeneralCode, Message: "serin: no answer from " + p.opt.BaseURL + ": " + wait.Err().Error()}
	}
}

// Shutdown implements StateHandler: it ends the provider's goroutines.
func (p *Provider) Shutdown() { _ = p.ShutdownWithContext(context.Background()) }

// ShutdownWithContext implements ContextAwareStateHandler. The stream ends at
// once, so ctx is not needed.
func (p *Provider) ShutdownWithContext(context.Context) error {
	p.mu.Lock()
	stop := p.stop
	p.stop = nil
	p.mu.Unlock()
	if stop != nil {
		stop()
	}
	p.streamUp.Store(false)
	if p.opt.HTTPClient == nil {
		p.client.CloseIdleConnections()
	}
	return nil
}

// emit hands an event to the SDK; when the SDK does not listen the oldest
// event makes room.
func (p *Provider) emit(kind of.EventType, message string) {
	e := of.Event{ProviderName: providerName, EventType: kind, ProviderEventDetails: of.ProviderEventDetails{Message: message}}
	for {
		select {
		case p.events <- e:
			return
		default:
		}
		select {
		case <-p.events:
		default:
		}
	}
}
