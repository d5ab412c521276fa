package slackapp

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"serin/internal/alert"
	"serin/internal/alerting"
	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/notify"
	"serin/internal/rollout"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// Via is the door's name in journals and the audit log.
const Via = "slack"

const (
	// workers is how many interactions are carried out at the same time, queue
	// how many may wait, jobLimit how long one may take.
	workers  = 4
	queue    = 256
	jobLimit = 30 * time.Second
)

// API is what the door calls of Slack; slack.Client is one.
type API interface {
	// Team is the id of the workspace that the app is installed in.
	Team(ctx context.Context) (string, error)
	// Email is a user's address that Slack has verified; "" = none.
	Email(ctx context.Context, user string) (string, error)
	// Update replaces a message.
	Update(ctx context.Context, channel, ts, text string, blocks json.RawMessage) error
	// OpenView shows a form.
	OpenView(ctx context.Context, trigger string, view json.RawMessage) error
	// Respond answers at the address that came with an interaction.
	Respond(ctx context.Context, address string, body any) error
	// Buttons is the block of a message with actions.
	Buttons(title string, actions []notify.Action) json.RawMessage
}

// Connection is what the door needs of the configuration.
type Connection struct {
	API API // nil = there is no Slack app
	// Secret is the app's signing secret; "" = nothing is taken by HTTP.
	Secret string
	// Socket asks for the address of a new connection of Socket Mode; nil = no Socket Mode.
	Socket func(ctx context.Context) (string, error)
	// Client opens the connections; nil = http.DefaultClient.
	Client *http.Client
}

// Rollouts is the controller.
type Rollouts interface {
	View(ctx context.Context, id string) (controller.View, error)
	Views(ctx context.Context) ([]controller.View, error)
	Authorize(ctx context.Context, id string, a controller.Actor, cmd *rollout.Command) error
	Do(ctx context.Context, id string, cmd rollout.Command) (controller.Result, error)
	Buttons(id string) []notify.Action
}

// Alerts is the engine of alerts.
type Alerts interface {
	Get(id string) (alerting.View, error)
	Ack(ctx context.Context, id string, labels alert.Labels, by store.AuditEntry) (alerting.View, error)
}

// People knows who a user of Slack is.
type People interface {
	Slack(ctx context.Context, u auth.SlackUser, email func(context.Context) (string, error)) (auth.Principal, error)
	LinkSlack(ctx context.Context, u auth.SlackUser, code string) (auth.Principal, error)
}

// Options are what an App needs: all but Incident, BaseURL, Logger and Registry.
type Options struct {
	Rollouts Rollouts
	Alerts   Alerts
	People   People
	// Accept takes in what people record, durably.
	Accept func(ctx context.Context, events []telemetry.Event) error
	Audit  func(ctx context.Context, e store.AuditEntry) error
	// Incident carries out a verb on an incident and says what was done in a
	// few words, such as "Acknowledged"; a *rollout.Refusal says why not.
	// nil = there are no incidents.
	Incident func(ctx context.Context, p auth.Principal, id, verb string) (done string, err error)
	Now      func() time.Time // the server's clock
	BaseURL  string           // for links; "" = none
	// Pause is before the second try to open a connection; it doubles up to a
	// minute. 0 = 1 s.
	Pause    time.Duration
	Logger   *slog.Logger // nil = silent
	Registry prometheus.Registerer
}

// App is the door. Make it with New; Run must run for anything to be done.
type App struct {
	o       Options
	jobs    chan job
	payload *prometheus.CounterVec
	recent  recent

	mu     sync.Mutex // guards the fields below
	conn   Connection
	team   string        // of conn; "" = not asked yet
	change chan struct{} // closed when conn was replaced
	health Health
}

// job is an interaction that was acknowledged and is to be carried out.
type job func(ctx context.Context)

// errBusy says that an interaction was not taken; Slack shows that it failed.
var errBusy = errors.New("too many interactions wait: try again in a moment")

// New returns an App that is not connected to anything; see Use.
func New(o Options) *App {
	if o.Pause == 0 {
		o.Pause = firstWait
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &App{o: o, jobs: make(chan job, queue), change: make(chan struct{}), payload: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "serin_slackapp_interactions_total", Help: "Interactions of people in Slack, by the way they came and what became of them.",
	}, []string{"way", "outcome"})}
	if o.Registry != nil {
		o.Registry.MustRegister(a.payload, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "serin_slackapp_connected", Help: "1 while a connection of Socket Mode is open.",
		}, func() float64 {
			if a.Health().Connected {
				return 1
			}
			return 0
		}))
	}
	return a
}

// Use takes over another configuration. A connection of the one before is left.
func (a *App) Use(c Connection) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conn, a.team = c, ""
	a.health = Health{Socket: c.Socket != nil, HTTP: c.Secret != ""}
	close(a.change)
	a.change = make(chan struct{})
}

// connection is the configuration in force; changed is closed when it is not any more.
func (a *App) connection() (c Connection, changed <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.conn, a.change
}

// Health is how the door does.
type Health struct {
	HTTP      bool // signed requests are taken
	Socket    bool // Socket Mode is configured
	Connected bool // a connection of it is open
	// Since is when the present state of the connection began; zero = nothing
	// was tried yet. Error is why the last try failed; "" while connected.
	Since time.Time
	Error string
}

// Health says how the door does.
func (a *App) Health() Health {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.health
}

// Run carries interactions out and keeps a connection of Socket Mode open
// until ctx ends. What was acknowledged before is finished.
func (a *App) Run(ctx context.Context) error {
	var group sync.WaitGroup
	for range workers {
		group.Go(func() { a.work(ctx) })
	}
	a.sockets(ctx)
	group.Wait()
	return nil
}

// work carries out jobs until ctx ends and none waits.
func (a *App) work(ctx context.Context) {
	for {
		select {
		case j := <-a.jobs:
			a.carry(ctx, j)
			continue
		default:
		}
		select {
		case j := <-a.jobs:
			a.carry(ctx, j)
		case <-ctx.Done():
			if len(a.jobs) == 0 {
				return
			}
		}
	}
}

// carry does one job; a stop of the server does not cut it off.
func (a *App) carry(ctx context.Context, j job) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), jobLimit)
	defer cancel()
	j(ctx)
}

// enqueue takes a job, unless it is known by key already. way is "http" or
// "socket", for the metrics.
func (a *App) enqueue(way, key string, j job) error {
	if !a.recent.first(key, time.Now()) {
		a.payload.WithLabelValues(way, "repeated").Inc()
		return nil
	}
	select {
	case a.jobs <- j:
		a.payload.WithLabelValues(way, "taken").Inc()
		return nil
	default:
		a.recent.forget(key)
		a.payload.WithLabelValues(way, "refused").Inc()
		return errBusy
	}
}

// remembered is how long an interaction is known again: longer than Slack
// sends one again, and than a signature counts.
const remembered = 2 * maxAge

// recent knows the interactions of the last minutes. The zero value is ready.
type recent struct {
	mu   sync.Mutex // guards seen
	seen map[string]time.Time
}

// first reports whether key is new, and remembers it.
func (r *recent) first(key string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string]time.Time{}
	}
	if at, known := r.seen[key]; known && now.Sub(at) < remembered {
		return false
	}
	const sweepAt = 1024
	if len(r.seen) >= sweepAt {
		for k, at := range r.seen {
			if now.Sub(at) >= remembered {
				delete(r.seen, k)
			}
		}
	}
	r.seen[key] = now
	return true
}

func (r *recent) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, key)
}
