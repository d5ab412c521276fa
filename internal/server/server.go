// Package server puts the program together: it is the only place that knows
// every part. New opens the store, recovers what was going on and listens;
// Run serves until its context ends and then stops the parts in reverse.
package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"serin/internal/api"
	"serin/internal/auth"
	"serin/internal/clock"
	"serin/internal/config"
	"serin/internal/controller"
	"serin/internal/evidence"
	"serin/internal/hub"
	"serin/internal/intake"
	"serin/internal/intake/beacon"
	"serin/internal/intake/sentry"
	"serin/internal/notify/slack"
	"serin/internal/notify/webhook"
	"serin/internal/ofrep"
	"serin/internal/store"
	"serin/internal/store/sqlite"
	"serin/internal/web"
)

// DefaultListen is where serin listens until told otherwise: this machine only.
const DefaultListen = "127.0.0.1:8750"

// Options say where the data is and how to listen. A zero Options keeps data
// in ./serin-data and listens on DefaultListen.
type Options struct {
	Data    string // data directory
	Listen  string // host:port; port 0 picks one
	Clock   clock.Clock
	Logger  *slog.Logger
	Config  config.Config
	Version string
	Limits  evidence.Limits // of the telemetry that waits to be stored; zero = its defaults
	// Fault is called at the controller's crash points; only crash tests set it.
	Fault func(point string)
}

// Server is a serin server. Make it with New, serve with Run.
type Server struct {
	o          Options
	listener   net.Listener
	http       *http.Server
	store      store.Store
	evidence   *evidence.Engine
	control    *controller.Controller
	bootstrap  *Bootstrap
	endStreams func()   // lets go of connected clients
	closers    []closer // in the order of opening
}

type closer struct {
	name  string
	close func() error
}

// Bootstrap is what the first start prints and writes to DIR/bootstrap.json.
type Bootstrap struct {
	URL        string `json:"url"`
	AdminToken string `json:"admin_token"`
	Project    string `json:"project"`
	PublicKey  string `json:"public_key"`
	DSN        string `json:"dsn"`
	FlagKey    string `json:"flag_key"`
	// SignIn is a link that signs the first person in, once.
	SignIn string `json:"sign_in,omitempty"`
}

// BootstrapFile is the name of the file in the data directory that holds the
// first tokens. It is removed when the first person has signed in.
const BootstrapFile = "bootstrap.json"

// New opens everything and listens. The caller must call Run, or Close.
func New(ctx context.Context, o Options) (_ *Server, err error) {
	if o.Data == "" {
		o.Data = "serin-data"
	}
	if o.Listen == "" {
		o.Listen = DefaultListen
	}
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	return s, s.setup(ctx)
}

// setup wires the parts together, from the store up to the doors. It is one
// long straight line on purpose: this is where one reads how serin is put together.
func (s *Server) setup(ctx context.Context) error {
	o := s.o
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	unlock, err := lock(filepath.Join(o.Data, "lock"))
	if err != nil {
		return err
	}
	s.onClose("data directory", unlock)
	room := reserve(filepath.Join(o.Data, "reserve"))
	room.fill(o.Logger)
	db, err := sqlite.Open(ctx, filepath.Join(o.Data, "serin.db"), sqlite.Options{Logger: o.Logger, Spare: room.free})
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	s.store = db
	s.onClose("store", db.Close)

	s.listener, err = net.Listen("tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", o.Listen, err)
	}
	s.onClose("listener", s.listener.Close)

	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	people := auth.New(auth.Options{Store: db, Logger: o.Logger, OnSignIn: func(context.Context, auth.Principal) { s.forgetBootstrap() }})
	if err := s.firstStart(ctx, people); err != nil {
		return err
	}
	streamSecret, err := secret(ctx, db, "ofrep.stream_secret")
	if err != nil {
		return err
	}
	flags, feed := hub.New(), hub.NewFeed(time.Now().UnixMilli(), 0)
	s.endStreams = func() { feed.Close(); flags.Close() }
	s.evidence = evidence.New(evidence.Options{Store: db, Clock: o.Clock, Logger: o.Logger, Registry: reg, Limits: o.Limits})
	s.control, err = controller.New(ctx, controller.Options{
		Store: db, Evidence: watcher{s.evidence}, Publisher: flags, Feed: feed, Clock: o.Clock,
		Logger: o.Logger, Registry: reg, BaseURL: s.URL(), Fault: o.Fault,
	})
	if err != nil {
		return err
	}
	s.evidence.OnArrival(s.control.Arrived)
	if err := s.notifiers(); err != nil {
		return err
	}

	signedIn := sessions{people}
	dashboard, err := web.New(web.Options{
		Rollouts: pages{s.control}, Sessions: signedIn, Now: o.Clock.Now, Logger: o.Logger, Version: o.Version,
		Connect: s.connect(ctx), PlainHTTP: !strings.HasPrefix(s.URL(), "https://"),
	})
	if err != nil {
		return fmt.Errorf("build pages: %w", err)
	}
	operator := api.New(api.Options{
		Controller: s.control, Store: db, Evidence: s.evidence, Flags: flags, Auth: people, Sessions: signedIn,
		Feed: feed, Now: o.Clock.Now, Logger: o.Logger, Version: o.Version,
	})
	telemetry := intake.New(intake.Options{
		Sink: sink{s.evidence}, Keys: ingestKeys{people}, Clock: o.Clock, Logger: o.Logger, Registry: reg,
		Decoders: map[string]intake.Decoder{
			"envelope": sentry.Decoder{}, "store": sentry.Decoder{}, "security": sentry.Decoder{}, "beacon": beacon.Decoder{},
		},
	})
	served := ofrep.New(ofrep.Options{Hub: flags, Keys: flagKeys{people}, Observer: s.evidence, Now: o.Clock.Now, Logger: o.Logger, Registry: reg, StreamSecret: streamSecret})

	answers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "serin_server_answers_total", Help: "Answers of the operator API and the pages by status.",
	}, []string{"door", "code"})
	reg.MustRegister(answers)
	counted := func(door string, h http.Handler) http.Handler {
		return promhttp.InstrumentHandlerCounter(answers.MustCurryWith(prometheus.Labels{"door": door}), h)
	}

	mux := http.NewServeMux()
	mux.Handle(api.Prefix+"/", counted("api", operator))
	mux.Handle("/ofrep/v1/", served)
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("/", counted("web", withAddress(dashboard)))
	s.http = &http.Server{
		Handler:           route(mux, telemetry, bodyLimit),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	return nil
}

// bodyLimit is how long a client may take to send a request's body, so that
// those who send slowly cannot hold all connections.
const bodyLimit = 30 * time.Second

// route gives the Sentry protocol's paths, which may have any prefix (a DSN
// may), to telemetry and the rest to mux. The operator API's own paths have
// the same shape and come first. A body has to arrive within limit; streams,
// which outlast it, lift it themselves.
func route(mux, telemetry http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Not every ResponseWriter can: then the idle limits have to do.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit))
		if _, _, ok := intake.Match(r.URL.Path); ok && !strings.HasPrefix(r.URL.Path, api.Prefix+"/") {
			telemetry.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// notifiers connects the channels of the configuration.
func (s *Server) notifiers() error {
	c := s.o.Config
	if c.Slack.Token != "" {
		s.control.Courier().Use("slack", slack.New(slack.Options{Token: c.Slack.Token, BaseURL: c.Slack.APIURL, Channels: c.Slack.Channels, Logger: s.o.Logger}))
	}
	for name, w := range c.Webhooks {
		options := webhook.Options{Endpoints: map[string]webhook.Endpoint{name: {URL: w.URL, Secrets: []string{w.Secret}}}, Logger: s.o.Logger}
		if w.AllowPrivate {
			options.Allow = privateRanges
		}
		n, err := webhook.New(options)
		if err != nil {
			return fmt.Errorf("webhook %s: %w", name, err)
		}
		s.control.Courier().Use("webhook:"+name, n)
	}
	return nil
}

// privateRanges are the addresses that allow_private opens to a webhook.
var privateRanges = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("fc00::/7"),
}

// firstStart makes project, keys and the first sign-in link, once.
func (s *Server) firstStart(ctx context.Context, people *auth.Auth) error {
	if _, _, err := people.Bootstrap(ctx, s.keepBootstrap); err != nil {
		return fmt.Errorf("first start: %w", err)
	}
	return nil
}

// keepBootstrap writes the first secrets to a new file that only its owner
// reads; one that an interrupted start, or anybody, left there goes first.
func (s *Server) keepBootstrap(b auth.Credentials) error {
	u := s.URL()
	s.bootstrap = &Bootstrap{
		URL: u, AdminToken: b.AdminToken, Project: b.Project, PublicKey: b.PublicKey, FlagKey: b.FlagKey,
		DSN: DSN(u, b.PublicKey, b.Project), SignIn: u + "/login#token=" + b.SignIn,
	}
	data, err := json.MarshalIndent(s.bootstrap, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(s.o.Data, BootstrapFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("replace %s: %w", BootstrapFile, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", BootstrapFile, err)
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", BootstrapFile, err)
	}
	return nil
}

// secret returns a random secret of this installation, made when first asked
// for, so that what it signs stays valid over a restart.
func secret(ctx context.Context, db store.Access, key string) ([]byte, error) {
	text, err := db.Setting(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		text = rand.Text()
		err = db.PutSetting(ctx, key, text)
	}
	if err != nil {
		return nil, fmt.Errorf("read setting %s: %w", key, err)
	}
	return []byte(text), nil
}

// forgetBootstrap removes the file with the first tokens.
func (s *Server) forgetBootstrap() {
	if err := os.Remove(filepath.Join(s.o.Data, BootstrapFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.o.Logger.Warn("remove first tokens", "file", BootstrapFile, "err", err)
	}
}

// DSN is the address that Sentry SDKs send to.
func DSN(url, key, project string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	return scheme + "://" + key + "@" + rest + "/" + project
}

// connect is what the first page tells a newcomer to put into an app.
func (s *Server) connect(ctx context.Context) web.ConnectInfo {
	info := web.ConnectInfo{URL: s.URL()}
	tokens, err := s.store.Tokens(ctx)
	if err != nil {
		return info
	}
	for _, t := range tokens {
		if t.Kind == "ingest" && t.Public != "" {
			info.DSN = DSN(s.URL(), t.Public, t.Project)
		}
	}
	return info
}

// URL is where the server is reached, without a final slash.
func (s *Server) URL() string {
	if u := s.o.Config.PublicURL; u != "" {
		return strings.TrimSuffix(u, "/")
	}
	return "http://" + s.listener.Addr().String()
}

// Bootstrap returns what the first start made; nil at every later start.
func (s *Server) Bootstrap() *Bootstrap { return s.bootstrap }

// ready answers 200 while the store can write.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.store.Check(r.Context()); err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

// How long what is no longer needed is kept.
const (
	keepSeen     = 2 * time.Hour        // event hashes; they count for an hour
	keepEvidence = 400 * 24 * time.Hour // cells of finished rollouts, samples, audit
	pruneEvery   = time.Hour
)

// retain removes what is older than it is kept for, once an hour.
func (s *Server) retain(ctx context.Context) error {
	old, ok := s.store.(store.Retention)
	if !ok {
		return nil
	}
	for {
		due, stop := s.o.Clock.After(pruneEvery)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-due:
		}
		now := s.o.Clock.Now()
		if _, err := old.PruneSeen(ctx, now.Add(-keepSeen)); err != nil && ctx.Err() == nil {
			s.o.Logger.Error("prune event hashes", "err", err)
		}
		if _, err := old.Prune(ctx, now.Add(-keepEvidence)); err != nil && ctx.Err() == nil {
			s.o.Logger.Error("prune evidence", "err", err)
		}
		reserve(filepath.Join(s.o.Data, "reserve")).fill(s.o.Logger) // after it was used
	}
}

// stopLimit is how long requests under way may take after the end was asked for.
const stopLimit = 5 * time.Second

// Run serves until ctx ends: then the doors close, requests under way get
// their answers, the engine commits what it holds, and the store is closed.
func (s *Server) Run(ctx context.Context) error {
	engine, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	defer stopEngine()
	var group errgroup.Group
	failed, fail := context.WithCancelCause(ctx)
	run := func(name string, f func(context.Context) error) {
		group.Go(func() error {
			if err := f(engine); err != nil {
				err = fmt.Errorf("%s: %w", name, err)
				fail(err)
				return err
			}
			return nil
		})
	}
	run("evidence", s.evidence.Run)
	run("controller", s.control.Run)
	run("retention", s.retain)
	group.Go(func() error {
		select {
		case <-s.control.Running():
		case <-engine.Done():
			return nil
		}
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			fail(err)
			return err
		}
		return nil
	})
	<-failed.Done()
	s.endStreams() // they would outlast any limit
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	if err := s.http.Shutdown(limit); err != nil {
		_ = s.http.Close()
	}
	stopEngine()
	return errors.Join(group.Wait(), s.Close())
}

func (s *Server) onClose(name string, f func() error) {
	s.closers = append(s.closers, closer{name, f})
}

// Close releases what New opened, in reverse. Run calls it.
func (s *Server) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		if err := s.closers[i].close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("close %s: %w", s.closers[i].name, err))
		}
	}
	s.closers = nil
	return errors.Join(errs...)
}
