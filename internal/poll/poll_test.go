package poll

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/clock"
	"serin/internal/source"
)

// kept is an evidence that remembers what it was given.
type kept struct {
	asks []Ask

	mu     sync.Mutex // guards the fields below
	got    []Got
	pushed []string
}

func (k *kept) Pulls() []Ask                { return k.asks }
func (k *kept) Projects() []string          { return []string{"1", "shop"} }
func (k *kept) ProbeKey(name string) string { return "probe " + name }

func (k *kept) Fetched(_ context.Context, answers []Got) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.got = append(k.got, answers...)
	return nil
}

func (k *kept) Push(_ context.Context, project, key, text string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pushed = append(k.pushed, project+" "+key+"="+text)
	return nil
}

func (k *kept) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.got)
}

// fake is a source that answers by a function.
type fake func(ctx context.Context, q source.Query) (source.Value, error)

func (f fake) Fetch(ctx context.Context, queries []source.Query) []source.Answer {
	out := make([]source.Answer, len(queries))
	for i, q := range queries {
		out[i].Value, out[i].Err = f(ctx, q)
	}
	return out
}

func number(n float64) fake {
	return func(context.Context, source.Query) (source.Value, error) {
		return source.Value{Number: n, Count: 1}, nil
	}
}

// hang answers when its context ends.
func hang(ctx context.Context, _ source.Query) (source.Value, error) {
	<-ctx.Done()
	return source.Value{}, ctx.Err()
}

func spec(name, kind string, s source.Source) Spec {
	return Spec{Name: name, Kind: kind, Every: 30 * time.Second, Timeout: 10 * time.Second, Source: s}
}

// run plays with a running poller in virtual time.
func run(t *testing.T, e *kept, specs []Spec, play func(p *Poller)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Evidence: e, Clock: clock.Real()})
		p.Set(specs)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()
		synctest.Wait()
		play(p)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func stateOf(p *Poller, name string) Status {
	for _, s := range p.Status() {
		if s.Name == name {
			return s
		}
	}
	return Status{}
}

// TestHangDelaysNobody: a source that never answers ends each round at its
// limit, is shown as failing, and the other goes on at its pace.
func TestHangDelaysNobody(t *testing.T) {
	e := &kept{}
	run(t, e, []Spec{spec("bad", Probe, fake(hang)), spec("good", Probe, number(1))}, func(p *Poller) {
		time.Sleep(5*time.Minute + 6*time.Second)
		synctest.Wait()
		good, bad := 0, 0
		for _, g := range e.got {
			if g.Key == "probe good" && g.Err == nil {
				good++
			} else if g.Err != nil {
				bad++
			}
		}
		if good != 2*11 { // two projects
			t.Errorf("%d good answers in 5 minutes, want 22", good)
		}
		if bad != 2*4 { // a round is 40 s and 30 s of waiting
			t.Errorf("%d failures, want 8", bad)
		}
		if s := stateOf(p, "bad"); s.State != Failing || s.Error == "" || !s.Good.IsZero() {
			t.Errorf("bad: %+v", s)
		}
		if s := stateOf(p, "good"); s.State != Answering || s.Error != "" || s.Good.IsZero() {
			t.Errorf("good: %+v", s)
		}
	})
}

// TestOwnPrometheus: a project's own server answers in place of everybody's.
func TestOwnPrometheus(t *testing.T) {
	e := &kept{asks: []Ask{{Project: "1", Key: "a", Query: "up"}, {Project: "shop", Key: "b", Query: "up"}}}
	own := spec("own", Prometheus, number(2))
	own.Project = "shop"
	run(t, e, []Spec{spec("all", Prometheus, number(1)), own}, func(p *Poller) {
		time.Sleep(6 * time.Second)
		synctest.Wait()
		got := map[string]float64{}
		for _, g := range e.got {
			got[g.Project+" "+g.Key] = g.Number
		}
		if diff := cmp.Diff(map[string]float64{"1 a": 1, "shop b": 2}, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[string]bool{Prometheus: true}, p.Configured("1")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReportIsPushed(t *testing.T) {
	e := &kept{}
	s := spec("ci", Report, fake(func(_ context.Context, q source.Query) (source.Value, error) {
		if q.Text == "/bytes" {
			return source.Value{Number: 412000, Text: "412000"}, nil
		}
		return source.Value{}, fmt.Errorf("nothing at %s: %w", q.Text, source.ErrEmpty)
	}))
	s.Project, s.Values = "1", map[string]string{"bundle_size": "/bytes", "ci": "/state"}
	run(t, e, []Spec{s}, func(p *Poller) {
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]string{"1 bundle_size=412000"}, e.pushed); diff != "" {
			t.Error(diff)
		}
		if s := stateOf(p, "ci"); s.State != Partly || len(s.Answers) != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// TestSet: a reload cancels what is under way, keeps the state of what stays
// and starts what is new.
func TestSet(t *testing.T) {
	e := &kept{}
	run(t, e, []Spec{spec("a", Probe, number(1)), spec("z", Probe, fake(hang))}, func(p *Poller) {
		time.Sleep(6 * time.Second)
		synctest.Wait()
		before := stateOf(p, "a")
		p.Set([]Spec{spec("a", Probe, number(1)), spec("b", Probe, number(1))})
		if after := stateOf(p, "a"); !after.Good.Equal(before.Good) || after.State != Answering {
			t.Errorf("a after the reload: %+v", after)
		}
		if s := stateOf(p, "z"); s.Name != "" {
			t.Errorf("z is still there: %+v", s)
		}
		n := e.count()
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if e.count() != n+4 { // two sources, two projects
			t.Errorf("%d answers after the reload, want 4", e.count()-n)
		}
	})
}

func TestTestKeepsNothing(t *testing.T) {
	e := &kept{}
	run(t, e, []Spec{spec("p", Prometheus, number(7))}, func(p *Poller) {
		s, err := p.Test(context.Background(), "p")
		if err != nil || s.State != Answering || len(s.Answers) != 1 || s.Answers[0].Value != "7" {
			t.Errorf("got %+v, %v", s, err)
		}
		if e.count() != 0 || stateOf(p, "p").State != Waiting {
			t.Errorf("a test left something: %+v", stateOf(p, "p"))
		}
		if _, err := p.Test(context.Background(), "nobody"); !errors.Is(err, ErrNoSource) {
			t.Errorf("no such source: %v", err)
		}
	})
}
