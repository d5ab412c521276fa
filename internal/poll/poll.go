// Package poll asks the sources of the configuration in turn: Prometheus for
// the queries of the rollouts under way, probes for whether an address
// answers, reports for their values. What they answer goes to the evidence and
// is durable there before it counts.
//
// Poller is the main type. Each source has one goroutine and at most one
// request under way, so that a slow one delays no other; a round ends after
// its limit, whatever the source does. Sources begin at different moments (by
// their name), so that they do not all ask at once. A failure is kept with its
// time until the next good answer, for pages, API and command line; that a
// rule is blinded by it is the judge's to say.
//
// Nothing is stored here. Poller's methods may be called at the same time.
package poll

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"serin/internal/clock"
	"serin/internal/source"
)

// The kinds of sources.
const (
	Prometheus = "prometheus"
	Probe      = "probe"
	Report     = "report"
)

// maxQueries bounds what one source is asked in a round.
const maxQueries = 200

// spread is within how much of a period the first rounds of all sources lie.
const spread = 5 * time.Second

// roundTimes is how many time-outs a round with several queries may last.
const roundTimes = 4

// ErrNoSource: no source of that name is configured.
var ErrNoSource = errors.New("no such source in the server's configuration")

// Ask is a query that rollouts need an answer to.
type Ask struct {
	Project    string
	Key        string // of the answer
	Query      string // PromQL
	LowIsWorse bool
	Metrics    []string // who asks, "checkout-1 pool"
}

// Got is an answer, or why there is none.
type Got struct {
	Project string
	Key     string
	Number  float64
	Note    string
	Age     time.Duration
	Err     error
}

// Evidence takes what sources answer.
type Evidence interface {
	// Pulls are the queries that are needed now, Projects whose rollouts are watched.
	Pulls() []Ask
	Projects() []string
	// ProbeKey is the key of a probe's answers.
	ProbeKey(name string) string
	// Fetched makes numbers durable, Push a value of a report.
	Fetched(ctx context.Context, answers []Got) error
	Push(ctx context.Context, project, key, text string) error
}

// Spec is one configured source.
type Spec struct {
	Name    string
	Kind    string // Prometheus, Probe or Report
	Project string // whose it is; "" = every project's
	Address string // for people: without secrets
	Every   time.Duration
	Timeout time.Duration // of one request, in real time
	Source  source.Source
	Values  map[string]string // of a report: name of the value -> JSON pointer
}

// Options are what a Poller needs; all but Logger are required.
type Options struct {
	Evidence Evidence
	Clock    clock.Clock
	Logger   *slog.Logger
}

// Poller asks sources. Make it with New, start it with Run.
type Poller struct {
	o Options

	mu    sync.Mutex // guards the fields below
	run   context.Context
	loops []*loop

	owned atomic.Pointer[map[string]bool] // projects with a Prometheus of their own
}

// New makes a poller without sources.
func New(o Options) *Poller {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Poller{o: o}
	p.owned.Store(&map[string]bool{})
	return p
}

// Run asks until ctx ends and returns when nothing is under way any more.
func (p *Poller) Run(ctx context.Context) error {
	p.mu.Lock()
	p.run = ctx
	for _, l := range p.loops {
		l.start(ctx)
	}
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.loops {
		l.stop()
	}
	p.run = nil
	return nil
}

// Set puts sources in place of those before, in order of their names. What
// is under way of the old ones is cancelled and waited for; the state of a
// source that stays where it is stays too.
func (p *Poller) Set(specs []Spec) {
	specs = slices.SortedFunc(slices.Values(specs), func(a, b Spec) int { return cmp.Compare(a.Name, b.Name) })
	p.mu.Lock()
	defer p.mu.Unlock()
	before := map[string]*loop{}
	for _, l := range p.loops {
		l.stop()
		before[l.spec.Name] = l
	}
	p.loops = nil
	owned := map[string]bool{}
	for _, s := range specs {
		if s.Kind == Prometheus && s.Project != "" {
			owned[s.Project] = true
		}
	}
	p.owned.Store(&owned)
	for _, s := range specs {
		l := &loop{p: p, spec: s, state: Status{Name: s.Name, Kind: s.Kind, Project: s.Project, Address: s.Address, Every: s.Every, State: Waiting}}
		if old := before[s.Name]; old != nil && old.spec.Kind == s.Kind && old.spec.Address == s.Address && old.spec.Project == s.Project {
			l.state = old.status()
			l.state.Every = s.Every
		}
		p.loops = append(p.loops, l)
		if p.run != nil {
			l.start(p.run)
		}
	}
}

// Status tells the state of every source, in order of their names.
func (p *Poller) Status() []Status {
	out := []Status{}
	for _, l := range p.all() {
		out = append(out, l.status())
	}
	return out
}

// Len is how many sources there are.
func (p *Poller) Len() int { return len(p.all()) }

func (p *Poller) all() []*loop {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.loops)
}

// Configured are the kinds of sources that a project can ask.
func (p *Poller) Configured(project string) map[string]bool {
	out := map[string]bool{}
	for _, l := range p.all() {
		if l.spec.Project == "" || l.spec.Project == project {
			out[l.spec.Kind] = true
		}
	}
	return out
}

// Test asks a source once, now, and keeps nothing of the answer. The error is
// ErrNoSource, or the context's; what the source says is in the answers.
func (p *Poller) Test(ctx context.Context, name string) (Status, error) {
	for _, l := range p.all() {
		if l.spec.Name == name {
			return l.test(ctx)
		}
	}
	return Status{}, ErrNoSource
}

// after is when a source's first round is, from its start.
func after(name string, every time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // it never fails
	return time.Duration(h.Sum32()) % min(spread, max(every, time.Millisecond))
}
