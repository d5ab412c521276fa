package evidence

import (
	"fmt"
	"strings"
	"time"

	"serin/internal/store"
	"serin/internal/telemetry"
)

// sealAfter is how long a page load waits for further vitals.
const sealAfter = 10 * time.Minute

// pageLoad is a page load whose vitals may still come or change. What came
// with the load, or can be attributed by itself, is counted at once; a newer
// value takes its place until the load is sealed.
type pageLoad struct {
	ID    string
	Due   time.Time
	keys  []loadKey // of contents.Keys
	dirty bool
	vault vault // the rest, read by open
}

// loadKey is what finds a page load: the event hash of a join key, by which
// also the key of a sealed load is remembered, and whether it names one load
// (a trace may hold several).
type loadKey struct {
	hash uint64
	one  bool
}

// joinKey is a loadKey with its text.
type joinKey struct {
	text string
	loadKey
}

func newJoinKey(text string) joinKey {
	return joinKey{text, loadKey{eventHash("", sealedPrefix+text), ofOneLoad(text)}}
}

// loads are the unsealed page loads, found by any of their keys.
type loads struct {
	byID   map[string]*pageLoad
	byKey  map[uint64]*pageLoad // by loadKey.hash
	packer packer
	dirty  []*pageLoad
	sealed []string
	limit  int
	// measured: loads keep all their vitals, for panels count them.
	measured bool
}

func newLoads(limit int) loads {
	return loads{byID: map[string]*pageLoad{}, byKey: map[uint64]*pageLoad{}, limit: limit}
}

// joinKeys are the ids by which records of one page load find each other,
// best first: the page-load span, the segment, the trace, the vital's own id.
func joinKeys(e *telemetry.Event) []joinKey {
	var keys []joinKey
	for _, k := range [...]struct{ kind, id string }{{"s", e.Segment}, {"s", e.SpanID}, {"t", e.Trace}} {
		if k.id != "" {
			keys = append(keys, newJoinKey(e.Project+"/"+k.kind+"/"+k.id))
		}
	}
	if len(keys) == 0 && e.Kind == telemetry.KindVital && e.ID != "" {
		keys = append(keys, newJoinKey(e.Project+"/v/"+e.ID))
	}
	return keys
}

func (l *loads) find(keys []joinKey) *pageLoad {
	for _, k := range keys {
		if p := l.byKey[k.hash]; p != nil {
			return p
		}
	}
	return nil
}

func (l *loads) put(p *pageLoad) {
	l.byID[p.ID] = p
	for _, k := range p.keys {
		l.byKey[k.hash] = p
	}
}

func (l *loads) change(p *pageLoad) {
	if !p.dirty {
		p.dirty = true
		l.dirty = append(l.dirty, p)
	}
}

// claim finds what came before a page load of keys, or the load itself. Another
// load of the same trace is neither: pages from a cache share a trace.
func (l *loads) claim(keys []joinKey) *pageLoad {
	for _, k := range keys {
		if p := l.byKey[k.hash]; p != nil && (!p.vault.loaded || k.one) {
			return p
		}
	}
	return nil
}

// obtain returns p, the page load found for keys, with keys it did not have; if
// it is nil it makes one, or returns nil when there is no room.
func (l *loads) obtain(p *pageLoad, keys []joinKey, now time.Time) *pageLoad {
	if p != nil {
		for _, k := range keys {
			if l.byKey[k.hash] == nil {
				l.byKey[k.hash] = p
				p.join(k)
			}
		}
		return p
	}
	if len(keys) == 0 || len(l.byID) >= l.limit {
		return nil
	}
	p = &pageLoad{ID: keys[0].text, Due: now.Add(sealAfter), keys: make([]loadKey, 0, len(keys)), vault: newVault(contents{})}
	for _, k := range keys {
		p.join(k)
	}
	l.put(p)
	return p
}

// join gives a page load a further key.
func (p *pageLoad) join(k joinKey) {
	p.keys = append(p.keys, k.loadKey)
	in := p.vault.open()
	in.Keys = append(in.Keys, k.text)
}

// open remembers a page load for the vitals that follow.
// It is false where there is no room, or nothing by which vitals could find it.
func (l *loads) open(e *telemetry.Event, places []place, now time.Time) bool {
	keys := joinKeys(e)
	p := l.obtain(l.claim(keys), keys, now)
	if p == nil {
		return false
	}
	in := p.vault.open()
	in.Load, in.Places, p.Due = contextOf(e), append(in.Places, places...), now.Add(sealAfter)
	if l.measured {
		in.Load.Measurements, in.Load.DurationMS = e.Measurements, e.DurationMS
		if in.Seen != nil {
			in.Load.Measurements, in.Seen = withVitals(e.Measurements, in.Seen.Measurements), nil
		}
	}
	p.vault.loaded = true
	l.change(p)
	return true
}

// contextOf keeps of a page load what attribution of its vitals needs.
func contextOf(e *telemetry.Event) *telemetry.Event {
	return &telemetry.Event{
		Kind: e.Kind, Project: e.Project, User: e.User, Key: e.Key, Environment: e.Environment, Release: e.Release,
		Platform: e.Platform, Tags: e.Tags, Flags: e.Flags, Attributes: e.Attributes, Page: e.Page, URL: e.URL, Trace: e.Trace,
	}
}

// join fills an event's user, flags and page from its page load, where the
// event says nothing of its own.
func (l *loads) join(e *telemetry.Event) *telemetry.Event {
	if e.Kind == telemetry.KindPage || e.User != "" && (len(e.Flags) > 0 || e.Page != "") {
		return e
	}
	p := l.find(joinKeys(e))
	if p == nil || !p.vault.loaded {
		return e
	}
	return fill(e, p.vault.peek().Load)
}

func fill(e, load *telemetry.Event) *telemetry.Event {
	out := *e
	if out.User == "" && load.User != "" {
		out.User, out.Key = load.User, load.Key
	}
	if len(out.Flags) == 0 && out.User == load.User {
		out.Flags = load.Flags
	}
	if out.Page == "" && out.URL == "" {
		out.Page, out.URL = load.Page, load.URL
	}
	if out.Environment == "" {
		out.Environment = load.Environment
	}
	if len(out.Tags) == 0 && e.Kind == telemetry.KindVital {
		out.Tags = load.Tags
	}
	if len(out.Attributes) == 0 && e.Kind == telemetry.KindVital {
		out.Attributes = load.Attributes
	}
	return &out
}

// vital counts a web vital: replacing an older value of its load, at once
// when load or user is known, else when the load is sealed.
func (e *Engine) vital(b *batch, ev *telemetry.Event) {
	keys := joinKeys(ev)
	for _, k := range keys {
		if e.seen.known(k.hash) {
			b.count(countVitalLate, 1)
			return
		}
	}
	p := e.loads.obtain(e.loads.find(keys), keys, b.now)
	if p == nil {
		e.addEverywhere(b, ev)
		return
	}
	e.loads.change(p)
	in := p.vault.open()
	if e.loads.measured {
		in.measure(ev)
	}
	if in.Load != nil {
		ev = fill(ev, in.Load)
	} else if ev.User == "" {
		in.Waiting, p.vault.waits = mergeVital(in.Waiting, ev), true
		return
	}
	fresh := e.replaceValues(in.Places, ev)
	if len(fresh.Measurements) > 0 {
		in.Places = append(in.Places, e.addEverywhere(b, fresh)...)
	}
}

// measure keeps a vital for the panels: with its load, or with what is known
// of the load by its vitals.
func (c *contents) measure(ev *telemetry.Event) {
	at := &c.Load
	if *at == nil && ev.User == "" {
		return // it waits
	}
	if *at == nil {
		at = &c.Seen
	}
	if *at == nil {
		*at = contextOf(ev)
	}
	(*at).Measurements = withVitals((*at).Measurements, ev.Measurements)
}

// replaceValues puts newer values in the place of those that were counted and
// returns the event with only the measurements that are new.
func (e *Engine) replaceValues(places []place, ev *telemetry.Event) *telemetry.Event {
	fresh := *ev
	fresh.Measurements = make(map[string]float64, len(ev.Measurements))
	for name, v := range ev.Measurements {
		replaced := false
		for i := range places {
			at := &places[i]
			if at.Field != "measurements."+name {
				continue
			}
			replaced = true
			if at.Value != v && e.replace(at, v) {
				at.Value = v
			}
		}
		if !replaced {
			fresh.Measurements[name] = v
		}
	}
	return &fresh
}

// replace changes a counted value where it was counted.
func (e *Engine) replace(at *place, v float64) bool {
	if strings.HasPrefix(at.Rollout, hoursPrefix) {
		return e.hours.replace(at, v)
	}
	r := e.rollouts[at.Rollout]
	return r != nil && r.replace(at, v)
}

// replace changes a counted value in its cell.
func (r *rollout) replace(at *place, v float64) bool {
	s := r.peek(at.Metric, at.Group)
	if s == nil {
		return false
	}
	c := s.replace(at.Minute, at.Attempt, at.Interval, at.Value, v)
	if c == nil {
		return false
	}
	r.dirtyCells = append(r.dirtyCells, dirtyCell{at.Metric, uint8(at.Group), c})
	return true
}

// mergeVital keeps the last value of each vital.
func mergeVital(old, ev *telemetry.Event) *telemetry.Event {
	if old == nil {
		copied := *ev
		copied.Measurements = make(map[string]float64, len(ev.Measurements))
		old = &copied
	}
	for k, v := range ev.Measurements {
		old.Measurements[k] = v
	}
	return old
}

// sealedPrefix marks the hashes of keys whose page load is sealed.
const sealedPrefix = "sealed/"

// seal counts what still waits in page loads that are due, once.
func (e *Engine) seal(b *batch) {
	for id, p := range e.loads.byID {
		if p.Due.After(b.now) {
			continue
		}
		if p.vault.waits {
			in := p.vault.open()
			w := in.Waiting
			if in.Load != nil {
				w = fill(w, in.Load)
			}
			w.Received = b.now
			if fresh := e.replaceValues(in.Places, w); len(fresh.Measurements) > 0 {
				e.addEverywhere(b, fresh)
			}
		}
		if e.loads.measured {
			if record := panelRecord(p); record != nil {
				e.panelAdd(b, record)
			}
		}
		for _, k := range p.keys {
			if k.one && !e.seen.add(k.hash, b.now) {
				b.Seen = append(b.Seen, store.Seen{Hash: k.hash, At: b.now})
			}
			if e.loads.byKey[k.hash] == p {
				delete(e.loads.byKey, k.hash)
			}
		}
		delete(e.loads.byID, id)
		e.loads.sealed = append(e.loads.sealed, id)
		p.dirty = false
	}
}

// ofOneLoad reports whether a join key names one page load; a trace may hold several.
func ofOneLoad(key string) bool {
	_, rest, _ := strings.Cut(key, "/")
	return !strings.HasPrefix(rest, "t/")
}

// collect moves changed and sealed page loads into the batch.
func (l *loads) collect(b *batch) error {
	for _, p := range l.dirty {
		if !p.dirty {
			continue
		}
		p.dirty = false
		data, err := p.vault.seal(&l.packer)
		if err != nil {
			return fmt.Errorf("encode page load %s: %w", p.ID, err)
		}
		b.Pending = append(b.Pending, store.Pending{ID: p.ID, Due: p.Due, Data: data})
	}
	b.Sealed = append(b.Sealed, l.sealed...)
	l.dirty, l.sealed = l.dirty[:0], nil
	return nil
}
