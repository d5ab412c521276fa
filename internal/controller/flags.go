package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// Flags is the set of flag definitions: it publishes what is stored, and
// refuses hand edits of a flag whose split a rollout owns.
type Flags struct {
	o Options

	// write is held from reading a record to storing its successor, so that a
	// decision and a hand edit never undo each other. It is taken before mu.
	write sync.Mutex

	mu      sync.RWMutex // guards the fields below
	records map[string]store.FlagRecord
	stale   bool // what is stored may be newer than what is served
}

func newFlags(ctx context.Context, o Options) (*Flags, error) {
	f := &Flags{o: o}
	return f, f.reload(ctx)
}

// reload reads the stored flags, compiles and publishes them. An unreadable
// or uncompilable set leaves the last good one served.
func (f *Flags) reload(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stale = true
	records, revision, err := f.o.Store.Flags(ctx)
	if err != nil {
		return fmt.Errorf("read flags: %w", err)
	}
	doc := flag.Document{Places: homes(records)}
	byKey := make(map[string]store.FlagRecord, len(records))
	for _, r := range records {
		doc.Flags = append(doc.Flags, r.Definition)
		byKey[r.Definition.Key] = r
	}
	rs, err := flag.Compile(revision, doc)
	if err != nil {
		return fmt.Errorf("compile flags: %w", err)
	}
	f.records, f.stale = byKey, false
	f.o.Publisher.Publish(rs)
	f.o.Feed.Send("flag", map[string]any{"revision": revision})
	return nil
}

// heal publishes again what could not be published when it was stored.
func (f *Flags) heal(ctx context.Context) error {
	f.mu.RLock()
	stale := f.stale
	f.mu.RUnlock()
	if !stale {
		return nil
	}
	return f.reload(ctx)
}

// List returns all flags and the set's revision.
func (f *Flags) List(ctx context.Context) ([]store.FlagRecord, int64, error) {
	return f.o.Store.Flags(ctx)
}

// Get returns one flag or store.ErrNotFound.
func (f *Flags) Get(_ context.Context, key string) (store.FlagRecord, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	r, ok := f.records[key]
	if !ok {
		return store.FlagRecord{}, fmt.Errorf("flag %q: %w", key, store.ErrNotFound)
	}
	return r, nil
}

// History returns the versions of a flag, newest first.
func (f *Flags) History(ctx context.Context, key string, limit int) ([]store.FlagRecord, error) {
	return f.o.Store.FlagHistory(ctx, key, limit)
}

// Put writes a flag by hand. expect is the revision last seen (0 = new, -1 =
// any). A flag that a rollout owns keeps its targeting, variants and state:
// only its metadata may change, else the edit is refused. project is where a
// new flag belongs ("" = the first); of one that is there it must be the
// flag's own, or "".
func (f *Flags) Put(ctx context.Context, project string, d flag.Definition, expect int64, by, via, reason string) (int64, error) {
	f.write.Lock()
	defer f.write.Unlock()
	old, err := f.Get(ctx, d.Key)
	exists := err == nil
	if exists && project != "" {
		if err := otherProject("flag", d.Key, old.Place.Project, project); err != nil {
			return 0, err
		}
	}
	if exists && old.Owner != "" && !sameSplit(old.Definition, d) {
		return 0, &rollout.Refusal{Kind: rollout.Barred, Why: fmt.Sprintf(
			"flag %s is owned by rollout %s: change its traffic there (pause, reduce, rollback), or finish or cancel that rollout first", d.Key, old.Owner)}
	}
	if _, err := flag.Compile(0, flag.Document{Flags: []flag.Definition{d}}); err != nil {
		return 0, &rollout.Refusal{Kind: rollout.Missing, Why: err.Error()}
	}
	now := f.o.Clock.Now()
	rec := store.FlagRecord{Definition: d, UpdatedAt: now, UpdatedBy: by, Place: flag.Place{Project: flag.ProjectOf(project)}}
	audit := store.AuditEntry{At: now, Who: by, Via: via, Verb: "put flag", Target: "flag " + d.Key, Reason: reason}
	audit.After, _ = json.Marshal(d)
	if exists {
		rec.Owner, rec.Pos, rec.Place = old.Owner, old.Pos, old.Place
		audit.Before, _ = json.Marshal(old.Definition)
	}
	revision, err := f.o.Store.PutFlag(ctx, rec, expect, audit)
	if err != nil {
		return 0, fmt.Errorf("write flag %s: %w", d.Key, err)
	}
	return revision, f.reload(ctx)
}

// Delete removes a flag that no rollout owns.
func (f *Flags) Delete(ctx context.Context, key, by, via, reason string) error {
	f.write.Lock()
	defer f.write.Unlock()
	old, err := f.Get(ctx, key)
	if err != nil {
		return err
	}
	if old.Owner != "" {
		return &rollout.Refusal{Kind: rollout.Barred, Why: fmt.Sprintf("flag %s is owned by rollout %s: finish or cancel it first", key, old.Owner)}
	}
	audit := store.AuditEntry{At: f.o.Clock.Now(), Who: by, Via: via, Verb: "delete flag", Target: "flag " + key, Reason: reason}
	audit.Before, _ = json.Marshal(old.Definition)
	if _, err := f.o.Store.DeleteFlag(ctx, key, audit); err != nil {
		return fmt.Errorf("delete flag %s: %w", key, err)
	}
	return f.reload(ctx)
}

func sameSplit(a, b flag.Definition) bool {
	a.Metadata, b.Metadata = nil, nil
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func (f *Flags) exists(key string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	r, ok := f.records[key]
	return ok && r.Definition.State == "ENABLED"
}

// off reports whether a flag is there and disabled.
func (f *Flags) off(key string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	r, ok := f.records[key]
	return ok && r.Definition.State == flag.StateOff
}

func (f *Flags) owner(key string) string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.records[key].Owner
}

// fits refuses a plan whose flag is another project's, or exists with other
// variants.
func (f *Flags) fits(project string, p *plan.Plan) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	r, ok := f.records[p.Flag.Key]
	if !ok {
		return nil
	}
	if err := otherProject("flag", p.Flag.Key, r.Place.Project, project); err != nil {
		return err
	}
	for _, v := range []string{p.Flag.New, p.Flag.Old} {
		if _, ok := r.Definition.Variants[v]; !ok {
			return &rollout.Refusal{Kind: rollout.Missing, Why: fmt.Sprintf(
				"flag %s has no variant %q: name its variants in the plan, flag.variants: { new: ..., old: ... }", p.Flag.Key, v)}
		}
	}
	return nil
}

// change is the flag record that goes with a decision, or nil when the
// decision does not touch the flag. Creating a rollout creates a missing
// flag; from the start on the rollout owns the targeting, until it is done or
// cancelled.
func (f *Flags) change(p *plan.Plan, before, next rollout.State) *store.FlagRecord {
	f.mu.RLock()
	defer f.mu.RUnlock()
	old, exists := f.records[p.Flag.Key]
	rec := old
	rec.Pos, rec.UpdatedBy, rec.UpdatedAt = next.Pos, "rollout "+next.ID, next.At
	switch {
	case !exists:
		rec.Definition, rec.Place = newFlag(p), place(next, p.Environment)
	case next.Status == rollout.Preflight:
		return nil
	case before.Exposure == next.Exposure && before.Status == next.Status && before.PlanHash == next.PlanHash:
		return nil
	}
	switch next.Status {
	case rollout.Preflight:
		return &rec
	case rollout.Done, rollout.Cancelled:
		rec.Owner = ""
		if before.Status == rollout.Preflight {
			return nil // never owned it
		}
	default:
		rec.Owner, rec.Place.Environment = next.ID, p.Environment
	}
	rec.Definition.Targeting = p.Split(rollout.Exposure(p, next)).Targeting()
	return &rec
}

// newFlag is the boolean flag that a plan without one gets: new is true, old
// is false and the default. Pages may read it only after `serin flag set KEY --client`.
func newFlag(p *plan.Plan) flag.Definition {
	return flag.Definition{
		Key: p.Flag.Key, State: "ENABLED", DefaultVariant: p.Flag.Old,
		Variants: map[string]json.RawMessage{p.Flag.New: json.RawMessage("true"), p.Flag.Old: json.RawMessage("false")},
	}
}
