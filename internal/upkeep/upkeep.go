// Package upkeep keeps a store from growing without end. Keeper is its main
// type: once a minute it measures what the store takes and what the file
// system has left, once an hour it removes what is older than it is kept for.
//
// A budget bounds the store. At a part of it, and when the file system has
// little room left, Keeper warns: in its Report, in metrics, and with one line
// in the log when that begins and one when it ends. Over the budget it sheds:
// first the error samples that came first, then the evidence of the rollouts
// that were over first, until a twentieth of the budget is free again. It
// never sheds journals, states, flags, plans, issues, audit entries, or what
// belongs to a rollout that is not over. Each shedding is an entry of the
// audit log (target "storage", verb "shed"), with what was removed.
//
// What is removed leaves free pages in the store's file, which are used
// before the file grows; the file itself does not shrink while a server runs.
package upkeep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"serin/internal/clock"
	"serin/internal/store"
)

// Ages are how long each class of data is kept; 0 = for ever.
type Ages struct {
	Evidence time.Duration `json:"evidence"` // cells and user rows, after the end of their rollout
	Inputs   time.Duration `json:"inputs"`   // what decisions rested on, after the end of their rollout
	Samples  time.Duration `json:"samples"`  // error samples, after they arrived
	Audit    time.Duration `json:"audit"`    // entries of the audit log
	Outbox   time.Duration `json:"outbox"`   // notices that were delivered or given up
}

// Room is what the store may take, in bytes.
type Room struct {
	Budget int64 `json:"budget"` // 0 = no bound
	Warn   int64 `json:"warn"`   // from here on to warn; 0 = never
	Floor  int64 `json:"floor"`  // least room that the file system should have left; 0 = any
}

// Policy is what a Keeper goes by.
type Policy struct {
	Ages Ages `json:"ages"`
	Room Room `json:"room"`
}

// Store is what a Keeper works on.
type Store interface {
	store.Retention
	store.Audit
}

// Options configure a Keeper. Store, Clock and Left are required.
type Options struct {
	Store  Store
	Clock  clock.Clock
	Policy Policy
	// Left measures how many bytes the file system of the store has left.
	Left     func() (int64, error)
	Hourly   func()                // called after each pruning; nil = nothing
	Logger   *slog.Logger          // nil: nothing is logged
	Registry prometheus.Registerer // nil: no metrics
}

const (
	look       = time.Minute         // between two measurements
	pruneEvery = time.Hour           // between two prunings
	keepSeen   = 2 * time.Hour       // event hashes; they count for an hour
	keepEnded  = 30 * 24 * time.Hour // sessions after they expired
	shedStep   = 2000                // rows between two measurements of a shedding
	// slack is the part of the budget that a shedding leaves free, so that it
	// is not needed again at once.
	slack = 20
)

// Keeper keeps one store. All methods may be called at the same time.
type Keeper struct {
	o       Options
	rows    int // between two measurements of a shedding
	removed *prometheus.CounterVec

	mu     sync.Mutex // guards the fields below
	policy Policy
	level  Level     // as last logged
	pruned time.Time // when the last pruning began
}

// New makes a Keeper. Run must be called for anything to be removed.
func New(o Options) *Keeper {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{o: o, rows: shedStep, policy: o.Policy, level: OK, removed: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "serin_store_removed_rows_total", Help: "Rows removed from the store by class, and why: their age, or the budget.",
	}, []string{"class", "why"})}
	for _, class := range []string{"samples", "evidence"} {
		k.removed.WithLabelValues(class, "budget")
	}
	if o.Registry != nil {
		o.Registry.MustRegister(k.removed, gauges{k})
	}
	return k
}

// SetPolicy makes the next look go by p.
func (k *Keeper) SetPolicy(p Policy) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.policy = p
}

// Policy returns what is gone by.
func (k *Keeper) Policy() Policy {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.policy
}

// Run looks once a minute of server time until ctx ends, and returns nil.
func (k *Keeper) Run(ctx context.Context) error {
	for {
		due, stop := k.o.Clock.After(look)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-due:
		}
		if err := k.Look(ctx); err != nil && ctx.Err() == nil {
			k.o.Logger.Error("look after the store", "err", err)
		}
	}
}

// Look does what is due now: prunes where the last pruning is an hour ago,
// sheds where the store is over its budget, and logs when a warning begins or
// ends. Run calls it; it is for callers that do not want to wait.
func (k *Keeper) Look(ctx context.Context) error {
	err := errors.Join(k.prune(ctx), k.shed(ctx))
	r, measured := k.Report(ctx)
	if measured != nil {
		return errors.Join(err, measured)
	}
	k.tell(r)
	return err
}

// prune removes what is older than it is kept for, once an hour.
func (k *Keeper) prune(ctx context.Context) error {
	now := k.o.Clock.Now()
	k.mu.Lock()
	ages, due := k.policy.Ages, k.pruned.IsZero() || now.Sub(k.pruned) >= pruneEvery || now.Before(k.pruned)
	if due {
		k.pruned = now
	}
	k.mu.Unlock()
	if !due {
		return nil
	}
	before := func(age time.Duration) time.Time {
		if age <= 0 {
			return time.Time{}
		}
		return now.Add(-age)
	}
	n, err := k.o.Store.Prune(ctx, store.Cutoffs{
		Evidence: before(ages.Evidence), Inputs: before(ages.Inputs), Samples: before(ages.Samples), Audit: before(ages.Audit),
		Outbox: before(ages.Outbox), Sessions: before(keepEnded), Seen: before(keepSeen),
	})
	for class, rows := range map[string]int64{
		"evidence": n.Cells + n.Users, "inputs": n.Inputs, "samples": n.Samples, "audit": n.Audit, "outbox": n.Notices + n.Alerts + n.Pages + n.Threads, "sessions": n.Sessions,
	} {
		k.removed.WithLabelValues(class, "age").Add(float64(rows))
	}
	if k.o.Hourly != nil {
		k.o.Hourly()
	}
	if err != nil {
		return fmt.Errorf("prune: %w", err)
	}
	return nil
}

// Shedding is what was removed once because the store was over its budget.
type Shedding struct {
	At       time.Time `json:"at"`
	Samples  int64     `json:"samples"`            // error samples
	Evidence int64     `json:"evidence"`           // cells and user rows
	Rollouts []string  `json:"rollouts,omitempty"` // whose evidence it was
	Bytes    int64     `json:"bytes"`              // that became free
}

// auditTarget is the target of the audit log's entries of sheddings.
const auditTarget = "storage"

// shed brings the store below its budget where it is above, and tells the
// audit log. Where nothing is left that may go it stops; Report says so.
func (k *Keeper) shed(ctx context.Context) error {
	budget := k.Policy().Room.Budget
	size, err := k.o.Store.Size(ctx)
	if err != nil || budget <= 0 || size.Used+size.Log <= budget {
		return err
	}
	out := Shedding{At: k.o.Clock.Now()}
	used, target := size.Used, budget-budget/slack-size.Log
	for size.Used > target {
		more, err := k.step(ctx, &out)
		if err != nil {
			return errors.Join(err, k.record(ctx, out))
		}
		if !more {
			break
		}
		if size, err = k.o.Store.Size(ctx); err != nil {
			return errors.Join(err, k.record(ctx, out))
		}
		out.Bytes = used - size.Used
	}
	return k.record(ctx, out)
}

// step removes some rows; false means that none are left that may go.
func (k *Keeper) step(ctx context.Context, out *Shedding) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	n, err := k.o.Store.ShedSamples(ctx, k.rows)
	out.Samples += n
	k.removed.WithLabelValues("samples", "budget").Add(float64(n))
	if err != nil || n > 0 {
		return n > 0, err
	}
	id, n, err := k.o.Store.ShedEvidence(ctx, k.rows)
	out.Evidence += n
	k.removed.WithLabelValues("evidence", "budget").Add(float64(n))
	if n > 0 && (len(out.Rollouts) == 0 || out.Rollouts[len(out.Rollouts)-1] != id) {
		out.Rollouts = append(out.Rollouts, id)
	}
	return n > 0, err
}

// record tells log and audit log what was shed, where anything was. It does
// so also when the server stops meanwhile.
func (k *Keeper) record(ctx context.Context, out Shedding) error {
	if out.Samples+out.Evidence == 0 {
		return nil
	}
	k.o.Logger.Warn("the store was over its budget: the oldest was removed", "samples", out.Samples, "evidence_rows", out.Evidence,
		"rollouts", out.Rollouts, "bytes", out.Bytes)
	after, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return k.o.Store.PutAudit(context.WithoutCancel(ctx), store.AuditEntry{At: out.At, Who: "serin", Via: "server", Verb: "shed", Target: auditTarget,
		Reason: "the store was over disk.budget", After: after})
}
