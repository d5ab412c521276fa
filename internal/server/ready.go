package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"serin/internal/health"
	"serin/internal/store"
	"serin/internal/upkeep"
)

// The phases of a server's life.
const (
	starting int32 = iota
	serving
	stopping
)

// stage is the phase of a server, and holds requests until it serves.
type stage struct {
	phase atomic.Int32
	open  chan struct{} // closed when it serves
	over  chan struct{} // closed when it will not serve any more
}

func newStage() *stage { return &stage{open: make(chan struct{}), over: make(chan struct{})} }

// serve lets requests in.
func (s *stage) serve() {
	s.phase.CompareAndSwap(starting, serving)
	close(s.open)
}

// stop is called once, at the end.
func (s *stage) stop() {
	s.phase.Store(stopping)
	close(s.over)
}

// hold keeps a request waiting while the server takes up what was going on;
// that takes a second or so. Only questions about health are answered meanwhile.
func (s *stage) hold(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz", "/readyz", "/metrics":
			next.ServeHTTP(w, r)
			return
		}
		select {
		case <-s.open:
		case <-r.Context().Done():
			return
		case <-s.over:
		}
		select {
		case <-s.open: // also when it is over since
			next.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "the server stops before it has started", http.StatusServiceUnavailable)
		}
	})
}

// check is a health.Check.
func (s *stage) check(context.Context) []health.Reason {
	switch s.phase.Load() {
	case starting:
		return []health.Reason{{Name: health.Starting, Level: health.Error, Text: "What was going on before the start is being taken up again: wait."}}
	case stopping:
		return []health.Reason{{Name: health.Stopping, Level: health.Error, Text: "The server is shutting down: requests under way get their answers."}}
	}
	return nil
}

// Limits of what is told as a reason.
const (
	// stuckAfter is how old a notice is, in real time, that should have been
	// delivered: after this many tries of the courier it is no hiccup.
	stuckAfter = 15 * time.Minute
	// refusedLately is how long a refusal for overload is told of.
	refusedLately = time.Minute
)

// checks makes the checks of the server's health.
func (s *Server) checks(ctx context.Context, reg prometheus.Registerer) (*health.Checker, error) {
	states, err := s.store.States(ctx)
	if err != nil {
		return nil, err
	}
	var seen time.Time
	for _, st := range states {
		if st.At.After(seen) {
			seen = st.At
		}
	}
	checks := []health.Check{s.stage.check, s.checkStore, s.checkRoom, s.checkPlans, s.checkQueue, health.NewWall(s.o.Clock, seen).Check, s.checkOutbox, s.checkSlack}
	if s.certificates != nil {
		checks = append(checks, s.certificates.Check)
		reg.MustRegister(s.certificates)
	}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "serin_evidence_queue_events", Help: "Telemetry events that wait for a commit.",
	}, func() float64 { return float64(s.evidence.Backlog().Waiting) }))
	return health.New(reg, checks...), nil
}

// checkStore writes.
func (s *Server) checkStore(ctx context.Context) []health.Reason {
	if s.stage.phase.Load() == stopping {
		return nil // it is being closed
	}
	switch err := s.store.Check(ctx); {
	case errors.Is(err, store.ErrFull):
		return []health.Reason{{Name: health.DiskFull, Level: health.Error, Text: "The disk of the data directory is full: flags are served on and rollbacks use a reserve, nothing else is stored. Make room."}}
	case errors.Is(err, store.ErrReadOnly):
		return []health.Reason{{Name: health.ReadOnly, Level: health.Error, Text: "The data directory can only be read: flags are served on, nothing is stored. Look for a fault of the disk (dmesg) and at the owner of the files, then make it writable."}}
	case errors.Is(err, store.ErrDamaged):
		return []health.Reason{{Name: health.Damaged, Level: health.Error, Text: "The database is damaged: flags are served on. Stop serin, keep the data directory, and restore the last backup."}}
	case err != nil:
		return []health.Reason{{Name: health.Store, Level: health.Error, Text: fmt.Sprintf("The store cannot write: %v.", err)}}
	}
	return nil
}

// checkRoom measures.
func (s *Server) checkRoom(ctx context.Context) (out []health.Reason) {
	if _, err := os.Stat(filepath.Join(s.o.Data, reserveFile)); errors.Is(err, os.ErrNotExist) {
		out = append(out, health.Reason{Name: health.ReserveUsed, Level: health.Warning,
			Text: "The room kept in reserve for rollbacks on a full disk is used: make room; serin takes a reserve again within an hour."})
	}
	if s.stage.phase.Load() == stopping {
		return out
	}
	report, err := s.keeper.Report(ctx)
	if err != nil {
		return append(out, health.Reason{Name: health.DiskLow, Level: health.Warning, Text: fmt.Sprintf("The room cannot be measured: %v.", err)})
	}
	for _, n := range report.Warnings {
		name := health.StoreBudget
		if n.Kind == upkeep.ShortDisk {
			name = health.DiskLow
		}
		out = append(out, health.Reason{Name: name, Level: health.Warning, Text: n.Text})
	}
	return out
}

// checkPlans counts rollouts; who may see which is not for everybody.
func (s *Server) checkPlans(ctx context.Context) []health.Reason {
	ids, err := s.control.Unreadable(ctx)
	if err != nil || len(ids) == 0 {
		return nil
	}
	return []health.Reason{{Name: health.Plan, Level: health.Warning,
		Text: fmt.Sprintf("Rollouts whose plan or journal cannot be read, which are not judged: %d. The overview shows them; start a serin that can read them, or take them back.", len(ids))}}
}

// checkQueue looks at the telemetry that waits.
func (s *Server) checkQueue(context.Context) []health.Reason {
	b := s.evidence.Backlog()
	if b.Waiting < b.Limit && (b.Refused.IsZero() || time.Since(b.Refused) > refusedLately) {
		return nil
	}
	return []health.Reason{{Name: health.Queue, Level: health.Warning,
		Text: fmt.Sprintf("Telemetry comes faster than it can be stored: %d of %d events wait, more are refused with 429. See what the disk bears, or sample in the SDKs.", b.Waiting, b.Limit)}}
}

// checkOutbox looks for notices that should be delivered by now, and for those
// that were given up.
func (s *Server) checkOutbox(ctx context.Context) (out []health.Reason) {
	if s.stage.phase.Load() == stopping {
		return nil
	}
	channels, err := s.control.Courier().Health(ctx)
	if err != nil {
		return nil // the store's own check tells
	}
	now := s.o.Clock.Now()
	old := now.Add(-time.Duration(float64(stuckAfter) * s.o.Clock.Rate()))
	var stuck, waiting, dead int64
	for _, c := range channels {
		dead += c.Dead
		if c.Waiting > 0 && c.Oldest.Before(old) {
			stuck, waiting = stuck+1, waiting+c.Waiting
		}
	}
	if stuck > 0 {
		out = append(out, health.Reason{Name: health.Outbox, Level: health.Warning,
			Text: fmt.Sprintf("Channels with notices that are not delivered for more than %s: %d, in all %d notices wait. Settings, Channels shows which and why.", stuckAfter, stuck, waiting)})
	}
	if dead > 0 {
		out = append(out, health.Reason{Name: health.DeadLetters, Level: health.Warning,
			Text: fmt.Sprintf("Notices that were given up: %d. Settings, Channels shows where and why, and sends them again; so does serin notify retry.", dead)})
	}
	return out
}
