// Package server puts the program together: it is the only place that knows
// every part. New opens the store, recovers what was going on and listens;
// Run serves until its context ends and then stops the parts in reverse.
package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"serin/internal/alerting"
	"serin/internal/api"
	"serin/internal/auth"
	"serin/internal/clock"
	"serin/internal/config"
	"serin/internal/controller"
	"serin/internal/dashboard"
	"serin/internal/evidence"
	"serin/internal/flag"
	"serin/internal/forward"
	"serin/internal/health"
	"serin/internal/hooks"
	"serin/internal/hub"
	"serin/internal/intake"
	"serin/internal/intake/beacon"
	"serin/internal/intake/otlp"
	"serin/internal/intake/sentry"
	"serin/internal/notify/alertmanager"
	"serin/internal/ofrep"
	"serin/internal/paging"
	"serin/internal/poll"
	"serin/internal/reporting"
	"serin/internal/response"
	"serin/internal/slackapp"
	"serin/internal/store"
	"serin/internal/store/sqlite"
	"serin/internal/symbolicate"
	"serin/internal/upkeep"
	"serin/internal/web"
)

// DefaultListen is where serin listens until told otherwise: this machine only.
const DefaultListen = "127.0.0.1:8750"

// DefaultData is where serin keeps its data until told otherwise.
const DefaultData = "serin-data"

// DatabaseFile is the name of the store's file in the data directory.
const DatabaseFile = "serin.db"

// Options say where the data is and how to listen. A zero Options keeps data
// in DefaultData and listens on DefaultListen.
type Options struct {
	Data    string // data directory; "" = the configuration's
	Listen  string // host:port, port 0 picks one; "" = the configuration's
	Clock   clock.Clock
	Logger  *slog.Logger
	Config  config.Config
	Version string
	Limits  evidence.Limits // of the telemetry that waits to be stored; zero = its defaults
	// Fault is called at the controller's crash points; only crash tests set it.
	Fault func(point string)
	// Durable, when set, stands between the evidence and its store; only crash
	// tests set it, to show what they are for.
	Durable func(evidence.Store) evidence.Store
}

// Server is a serin server. Make it with New, serve with Run.
type Server struct {
	o         Options
	entrances []*entrance // the first is for clients
	proxies   proxies
	store     store.Store
	verify    func(context.Context) error // reads the whole database
	evidence  *evidence.Engine
	control   *controller.Controller
	alerts    *alerting.Engine
	paging    *paging.Engine
	rotas     rotaDoors // their addresses at the courier
	incidents *response.Engine
	panels    *dashboard.Dashboard
	reports   *reporting.Engine
	// alertmanager keeps what fires alive at the Alertmanagers of the configuration.
	alertmanager *alertmanager.Notifier
	people       *auth.Auth
	slack        *slackapp.App
	bootstrap    *Bootstrap
	keeper       *upkeep.Keeper
	health       *health.Checker
	poller       *poll.Poller
	forward      *forward.Forwarder
	stage        *stage
	limits       limits
	feed         *hub.Feed
	endStreams   func() // lets go of connected clients
	// certificates are those that the listeners serve; nil = no TLS.
	certificates *health.Certificates
	closers      []closer // in the order of opening
}

type closer struct {
	name  string
	close func() error
}

// New opens everything and listens. The caller must call Run, or Close.
func New(ctx context.Context, o Options) (_ *Server, err error) {
	if o.Data == "" {
		o.Data = cmp.Or(o.Config.Data, DefaultData)
	}
	if o.Listen == "" {
		o.Listen = cmp.Or(o.Config.Listen, DefaultListen)
	}
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, stage: newStage(), limits: newLimits(o.Config.Limits)}
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
	room := reserve(filepath.Join(o.Data, reserveFile))
	room.fill(o.Logger)
	db, err := sqlite.Open(ctx, filepath.Join(o.Data, DatabaseFile), sqlite.Options{Logger: o.Logger, Spare: room.free})
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	s.store, s.verify = db, db.Verify
	s.onClose("store", db.Close)

	if err := s.listen(); err != nil {
		return err
	}
	trusted, err := o.Config.Proxies()
	if err != nil {
		return err
	}
	s.proxies.set(trusted)

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
	subjects, scrub, err := private(ctx, db, o.Config.Privacy)
	if err != nil {
		return err
	}
	flags, feed := hub.New(), hub.NewFeed(time.Now().UnixMilli(), 0)
	s.endStreams = func() { feed.Close(); flags.Close() }
	s.feed = feed
	durable := evidence.Store(db)
	if o.Durable != nil {
		durable = o.Durable(durable)
	}
	s.evidence = evidence.New(evidence.Options{Store: durable, Clock: o.Clock, Logger: o.Logger, Registry: reg, Limits: o.Limits, Subjects: subjects})
	sources, err := sourcesOf(o.Config)
	if err != nil {
		return err
	}
	s.poller = poll.New(poll.Options{Evidence: measured{s.evidence}, Clock: o.Clock, Logger: o.Logger})
	s.poller.Set(sources)
	forwards, err := forwardsOf(o.Config)
	if err != nil {
		return err
	}
	s.forward = forward.New(forward.Options{Dir: filepath.Join(o.Data, forwardDir), Clock: o.Clock, Logger: o.Logger, Registry: reg})
	s.onClose("forwarding", s.forward.Close)
	if err := s.forward.Set(forwards); err != nil {
		return err
	}
	s.control, err = controller.New(ctx, controller.Options{
		Sources: s.poller.Configured, OnCall: duties{s}, PlansChanged: func() { s.panels.Changed() }, Moved: func(id string) { s.incidents.Moved(id) },
		Store: db, Evidence: watcher{s.evidence}, Publisher: flags, Feed: feed, Clock: o.Clock,
		Logger: o.Logger, Registry: reg, BaseURL: s.DashboardURL(), Site: s.site(), Fault: o.Fault,
	})
	if err != nil {
		return err
	}
	s.evidence.OnArrival(s.control.Arrived)
	s.panels = s.dashboards(db)
	if s.paging, err = s.pagingEngine(ctx, db); err != nil {
		return fmt.Errorf("read on-call: %w", err)
	}
	if s.alerts, err = s.alertEngine(ctx, db); err != nil {
		return fmt.Errorf("read alerts: %w", err)
	}
	s.evidence.OnArrival(s.alerts.Arrived)
	if s.incidents, err = s.responder(ctx, db); err != nil {
		return fmt.Errorf("read incidents: %w", err)
	}
	s.evidence.OnArrival(s.incidents.Arrived)
	s.reports = s.reporter(db)
	if s.alertmanager, err = alertmanager.New(alertmanager.Options{Logger: o.Logger, Now: o.Clock.Now}); err != nil {
		return err
	}
	s.people, s.slack = people, s.slackApp(people, scrub, slackapp.Options{Registry: reg})
	if err := s.notifiers(o.Config, config.Config{}); err != nil {
		return err
	}

	keeping, err := policy(o.Config)
	if err != nil {
		return err
	}
	s.keeper = upkeep.New(upkeep.Options{Store: db, Clock: o.Clock, Policy: keeping, Left: left(o.Data),
		Hourly: func() { room.fill(o.Logger) }, Logger: o.Logger, Registry: reg})
	if s.health, err = s.checks(ctx, reg); err != nil {
		return fmt.Errorf("read rollouts: %w", err)
	}

	signedIn := sessions{people}
	stacks := symbolicate.New(s.store, o.Logger)
	issues := issueDesk{stacks, s.store, s.evidence, o.Clock.Now}
	site, err := web.New(web.Options{Incidents: incidentPages{s.incidents, s.control}, Panels: s.panels, Standups: standupPages{s.reports, s.control}, Issues: issues, Alerts: s.alerts,
		Rollouts: pages{s.control}, Sessions: signedIn, Now: o.Clock.Now, Logger: o.Logger, Version: o.Version,
		Connect: s.connect(ctx), PlainHTTP: !strings.HasPrefix(s.DashboardURL(), "https://"), Provider: s.provider(people),
		Access: people, Arrived: s.arrived, Doctor: doctor(api.Doctor{Flags: flags, Auth: people, Evidence: s.evidence, Now: o.Clock.Now}), Outbox: db, Reach: s.control.Courier().Reach, Channels: s.control, Slack: s.slackDoor, OnCall: s.paging, Forgetter: s.evidence,
		Storage: s.keeper.Report, Health: s.health.Report, Sources: s.poller, Forwarding: s.forward,
	})
	if err != nil {
		return fmt.Errorf("build pages: %w", err)
	}
	operator := api.New(api.Options{OnCall: s.paging, Panels: s.panels, Forwarding: s.forward, Sources: s.poller, Issues: issues, Alerts: s.alerts, Incidents: s.incidents, Standups: s.reports, SourceMaps: sourceMaps{stacks, s.store, o.Clock.Now},
		Controller: s.control, Store: db, Evidence: s.evidence, Flags: flags, Auth: people, Sessions: signedIn,
		Feed: feed, Now: o.Clock.Now, Logger: o.Logger, Version: o.Version, Storage: s.keeper.Report, Scrub: scrub,
	})
	spans := otlp.Decoder{NoErrors: !o.Config.OTLP.TakesErrors()}
	telemetry := intake.New(intake.Options{Forward: passedOn{s.forward},
		Sink: sink{s.evidence, scrub}, Keys: ingestKeys{people, s.limits.telemetry}, Clock: o.Clock, Logger: o.Logger, Registry: reg,
		Decoders: map[string]intake.Decoder{
			"envelope": sentry.Decoder{}, "store": sentry.Decoder{}, "security": sentry.Decoder{}, "beacon": beacon.Decoder{},
			intake.EndpointTraces: spans, intake.EndpointMetrics: spans, intake.EndpointLogs: spans,
		},
	})
	served := ofrep.New(ofrep.Options{Hub: flags, Keys: flagKeys{people, s.limits.flags}, Observer: s.evidence, Now: o.Clock.Now, Logger: o.Logger, Registry: reg, StreamSecret: streamSecret})

	answers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "serin_server_answers_total", Help: "Answers of the operator API and the pages by status.",
	}, []string{"door", "code"})
	reg.MustRegister(answers)
	counted := func(door string, h http.Handler) http.Handler {
		return promhttp.InstrumentHandlerCounter(answers.MustCurryWith(prometheus.Labels{"door": door}), h)
	}

	alive := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }
	clients := http.NewServeMux()
	clients.Handle("/ofrep/v1/", withAddress(served))
	clients.HandleFunc("GET /healthz", alive)
	fromOutside := withAddress(hooks.New(hooks.Options{Key: hookKeys(people), Hear: s.alerts.Hear, Now: o.Clock.Now, Logger: o.Logger, Registry: reg}))
	clients.Handle("/hooks/alertmanager/", fromOutside)
	clients.Handle("/hooks/sentry/", fromOutside)
	clients.Handle("/hooks/slack", s.slack)
	operators := http.NewServeMux()
	operators.Handle(api.Prefix+"/", counted("api", operator))
	operators.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	operators.HandleFunc("GET /healthz", alive)
	operators.Handle("GET /readyz", s.health)
	operators.Handle("/", counted("web", withAddress(site)))
	s.serve(clients, operators, withAddress(telemetry))
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

// connect is what the first page tells a newcomer to put into an app.
func (s *Server) connect(ctx context.Context) web.ConnectInfo {
	info := web.ConnectInfo{URL: s.URL(), Dashboard: s.DashboardURL()}
	tokens, err := s.store.Tokens(ctx)
	if err != nil {
		return info
	}
	for _, t := range tokens {
		if t.Kind == auth.KindIngest && flag.ProjectOf(t.Project) == flag.FirstProject && t.Public != "" {
			info.DSN = DSN(s.URL(), t.Public, t.Project)
		}
	}
	return info
}

// arrived is what apps sent so far, for the first page.
func (s *Server) arrived() web.Arrived {
	used, _ := s.evidence.Usage()
	out := web.Arrived{Telemetry: s.evidence.Counters()["counted"] > 0}
	for _, u := range used {
		out.Flag = out.Flag || !u.Last.IsZero()
	}
	return out
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
