// Package health says whether a server can do its work, and if not, why.
//
// Checker is its main type: it asks a list of checks, each of which finds
// reasons. A reason of level "error" makes the server not ready; a warning
// does not, since taking the only server out of service would do more harm
// than what the warning is about. The answer is one line a reason for people
// and JSON for programs, and one metric a reason, also for those that do not
// hold now, so that an alarm can be written before its first fault.
//
// The checks are the caller's, but for those of package health that need
// nothing but a clock (Wall) or a certificate (Certificates).
package health

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Level is what a reason means for the server's readiness.
type Level string

// The levels.
const (
	Error   Level = "error"   // not ready
	Warning Level = "warning" // ready, and somebody should look
)

// Reason is something that is wrong.
type Reason struct {
	Name  string `json:"name"` // one of the constants below
	Level Level  `json:"level" enum:"error,warning"`
	Text  string `json:"text"` // what is wrong and what to do, without secrets
}

// The names of reasons.
const (
	Starting     = "starting"             // what was going on is being taken up again
	Stopping     = "stopping"             // requests under way get their answers, no others
	Store        = "store"                // the store cannot write
	DiskFull     = "disk_full"            // the store cannot write because the disk is full
	ReadOnly     = "store_read_only"      // the data directory cannot be written
	Damaged      = "store_damaged"        // the database is not what was written
	ReserveUsed  = "reserve_used"         // the room kept for rollbacks on a full disk is gone
	DiskLow      = "disk_low"             // the file system has little room left
	StoreBudget  = "store_budget"         // the store has taken much of its budget, or all
	Plan         = "plan_unreadable"      // rollouts that are not judged
	Queue        = "evidence_queue"       // telemetry is refused or about to be
	ClockBack    = "clock_back"           // the wall clock was set back
	CertExpired  = "certificate_expired"  // clients refuse to connect
	CertExpiring = "certificate_expiring" // in less than a week
	ACME         = "acme_failing"         // the authority gives no certificate
	Outbox       = "outbox_stuck"         // notices wait to be delivered
	DeadLetters  = "notices_dead"         // notices were given up
	Slack        = "slack_disconnected"   // buttons and /serin do not arrive
)

// Names are all of them, in the order in which they are told.
var Names = []string{Starting, Stopping, Store, DiskFull, ReadOnly, Damaged, ReserveUsed, DiskLow, StoreBudget, Plan, Queue, ClockBack, CertExpired, CertExpiring, ACME, Outbox, DeadLetters, Slack}

// A Check finds reasons; nil is that all is well. It must end with ctx.
type Check func(ctx context.Context) []Reason

// Report is what was found.
type Report struct {
	Ready   bool      `json:"ready"`
	At      time.Time `json:"at"` // in real time
	Reasons []Reason  `json:"reasons"`
}

const (
	// fresh is how long a Report is given out again, so that a flood of
	// questions is not one of writes to the store.
	fresh = 250 * time.Millisecond
	// checkLimit is how long all checks together may take.
	checkLimit = 3 * time.Second
)

// Checker asks checks. All methods may be called at the same time.
type Checker struct {
	checks []Check

	mu   sync.Mutex // guards last; held while the checks are asked
	last Report
}

// New makes a Checker of checks, which are asked in order. A reg that is not
// nil gets serin_health_ready and serin_health_reason.
func New(reg prometheus.Registerer, checks ...Check) *Checker {
	c := &Checker{checks: checks}
	if reg != nil {
		reg.MustRegister(gauges{c})
	}
	return c
}

// Report asks every check, or gives what was found a moment ago. The reasons
// are sorted by level, then by the order of Names.
func (c *Checker) Report(ctx context.Context) Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !c.last.At.IsZero() && now.Sub(c.last.At) < fresh {
		return c.last
	}
	// Who asks may go away; the next one gets what was found for them.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkLimit)
	defer cancel()
	r := Report{Ready: true, Reasons: []Reason{}}
	for _, check := range c.checks {
		r.Reasons = append(r.Reasons, check(ctx)...)
	}
	slices.SortStableFunc(r.Reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(slices.Index(Names, a.Name), slices.Index(Names, b.Name)))
	})
	for _, reason := range r.Reasons {
		r.Ready = r.Ready && reason.Level != Error
	}
	r.At = time.Now()
	c.last = r
	return r
}

// ServeHTTP answers 200 when ready, else 503: as JSON where Accept asks for
// it, else a line "ready" or "not ready" and then one for each reason.
func (c *Checker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	report := c.Report(r.Context())
	status := http.StatusOK
	if !report.Ready {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(report) // the client has gone
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprint(w, report.Text()) // the client has gone
}

// Text is the report for people.
func (r Report) Text() string {
	var b strings.Builder
	b.WriteString(map[bool]string{true: "ready\n", false: "not ready\n"}[r.Ready])
	for _, reason := range r.Reasons {
		fmt.Fprintf(&b, "%s %s: %s\n", reason.Level, reason.Name, strings.Join(strings.Fields(reason.Text), " "))
	}
	return b.String()
}

// gauges ask at each scrape.
type gauges struct{ c *Checker }

var (
	ready  = prometheus.NewDesc("serin_health_ready", "1 while the server is ready (/readyz).", nil, nil)
	reason = prometheus.NewDesc("serin_health_reason", "1 for each reason that /readyz tells now, 0 for the others.", []string{"reason"}, nil)
)

// Describe implements prometheus.Collector.
func (g gauges) Describe(out chan<- *prometheus.Desc) { out <- ready; out <- reason }

// Collect implements prometheus.Collector.
func (g gauges) Collect(out chan<- prometheus.Metric) {
	report := g.c.Report(context.Background())
	value := map[bool]float64{true: 1}
	out <- prometheus.MustNewConstMetric(ready, prometheus.GaugeValue, value[report.Ready])
	for _, name := range Names {
		holds := slices.ContainsFunc(report.Reasons, func(r Reason) bool { return r.Name == name })
		out <- prometheus.MustNewConstMetric(reason, prometheus.GaugeValue, value[holds], name)
	}
}
