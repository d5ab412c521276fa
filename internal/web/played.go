package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/simulate"
)

// What is here plays plans for the page. A page with scripts asks twice: for how far
// the server is, as a stream, and when that has ended for the page itself, by the
// form, whose answer is kept until then. Without scripts the form alone does it.

// streamType is what a page asks for that wants to be told how far the server is.
const streamType = "text/event-stream"

// tellEvery is how often it is told.
const tellEvery = 250 * time.Millisecond

// mostPlayed is how many simulations are kept.
const mostPlayed = 8

// played keeps the newest simulations: the same plan, figures and seed give the same
// answer. It is safe for concurrent use; the zero value is empty.
type played struct {
	mu   sync.Mutex // guards kept
	kept []playedOne
}

type playedOne struct {
	key    string
	result simulate.Result
}

// get plays a plan with the figures of the form, or finds what it came to. told is
// told of progress, see controller.Simulate, and how many runs there are.
func (k *played) get(ctx context.Context, v *simulationView, source string, told func(n, of int64)) (simulate.Result, error) {
	p, o, err := v.options(source)
	if err != nil {
		return simulate.Result{}, err
	}
	key := p.Hash + "\n" + v.key()
	if found, ok := k.find(key); ok {
		return found, nil
	}
	pieces := int64(o.Pieces(p))
	result, err := controller.Simulate(ctx, p, o, func(n int64) {
		if told != nil {
			told(n, pieces)
		}
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return simulate.Result{}, fmt.Errorf("the simulation did not end within %s: run it on your own machine with serin simulate", pageLimit)
	}
	if err == nil {
		k.keep(playedOne{key, result})
	}
	return result, err
}

func (k *played) find(key string) (simulate.Result, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range k.kept {
		if one.key == key {
			return one.result, true
		}
	}
	return simulate.Result{}, false
}

func (k *played) keep(one playedOne) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = append(slices.Clone(k.kept[max(0, len(k.kept)-mostPlayed+1):]), one)
}

// key is what the form asks, beside the plan.
func (v *simulationView) key() string {
	parts := []string{v.Seed, strconv.FormatBool(v.Grid), v.More}
	for _, f := range v.Fields {
		parts = append(parts, f.Value)
	}
	return strings.Join(parts, "\n")
}

// seed reads the seed of the form.
func (v *simulationView) seed() (uint64, error) {
	seed, err := strconv.ParseUint(v.Seed, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("seed %q: give a whole number", v.Seed)
	}
	return seed, nil
}

// options reads the form.
func (v *simulationView) options(source string) (*plan.Plan, simulate.Options, error) {
	o := simulate.Options{Runs: pageRuns}
	p, err := plan.Parse([]byte(source))
	if err != nil {
		return nil, o, errors.New("the plan has errors: mend them first")
	}
	t, err := v.traffic(simulate.DefaultTraffic())
	if err == nil { // counts that are not given go with the views
		t, err = v.traffic(simulate.DefaultFor(t.ViewsPerDay))
	}
	if err == nil {
		o.Seed, err = v.seed()
	}
	o.Traffic = t
	if v.Grid {
		o.GridRuns, o.Suggest = pageGridRuns, true
	}
	return p, o, err
}

// progress is one fact of the stream.
type progress struct {
	Played int64  `json:"played"`
	Of     int64  `json:"of"`
	Error  string `json:"error,omitempty"` // it will never end
	Done   bool   `json:"done,omitempty"`  // the page is there
}

// playing tells how far a simulation is until its page is there.
func (s *server) playing(ctx context.Context, w http.ResponseWriter, v *simulationView, source string) {
	h := w.Header()
	h.Set("Content-Type", streamType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{}) // the server's limit is for requests that end soon
	var now, of atomic.Int64
	ended := make(chan error, 1)
	go func() {
		_, err := s.played.get(ctx, v, source, func(n, pieces int64) {
			of.Store(pieces)
			for was := now.Load(); n > was && !now.CompareAndSwap(was, n); was = now.Load() {
			}
		})
		ended <- err
	}()
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		var fact progress
		select {
		case err := <-ended:
			if fact.Done = err == nil; err != nil {
				fact.Error = err.Error()
			}
		case <-tick.C:
		}
		fact.Played, fact.Of = now.Load(), of.Load()
		text, _ := json.Marshal(fact) // numbers and a text: never fails
		if _, err := fmt.Fprintf(w, "data: %s\n\n", text); err != nil || out.Flush() != nil {
			return // nobody reads: ctx ends with the request
		}
		if fact.Done || fact.Error != "" {
			return
		}
	}
}
