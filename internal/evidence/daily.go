package evidence

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/murmur3"

	"serin/internal/plan"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// The bounds of the daily summaries. Together with the days they are bounded
// in memory and in the store: a day that leaves the ring is written over.
const (
	keptDays     = 29    // the days of four weeks, and today
	keptEnvs     = 4     // of a project, environments beside the unnamed; others are not summed up
	keptTags     = 200   // keys of tags in a day
	keptValues   = 50    // values of one key: a key with more keeps none
	keptPairs    = 1_000 // values of all keys in a day
	longestTag   = 64    // bytes of a key or a value; longer ones are not kept
	dailyPrefix  = "~day "
	reservedMark = "~" // begins the keys of values that nobody can push
)

// daily sums up the telemetry of each project by day (UTC) and environment,
// whether or not a rollout is watched: lint asks it what a plan can expect.
type daily struct {
	kinds map[telemetry.Kind][]*definition // built-in counts, by what they count
	days  map[string]*[keptDays]*day       // by region, see regionOf
	last  *day                             // of the event before: the next one is mostly its
}

// day is what arrived on one day in one environment. It is stored as JSON.
type day struct {
	Env    string            `json:"env"`    // its region, see regionOf
	Day    int64             `json:"day"`    // days since 1970-01-01
	First  int64             `json:"first"`  // Unix ms of the first event
	Events int64             `json:"events"` // of users and servers, without signs of life
	Users  distinct          `json:"users"`
	Counts map[string]*tally `json:"counts,omitempty"` // by built-in metric
	Tags   map[string]*tag   `json:"tags,omitempty"`
	Pairs  int               `json:"pairs,omitempty"` // values in Tags

	dirty bool
}

// tally is one count of a day and its distinct users.
type tally struct {
	N     int64    `json:"n"`
	Users distinct `json:"users,omitempty"`
}

// tag is one key of a day. Values is nil where they are too many to keep, or
// would be personal.
type tag struct {
	N      int64             `json:"n"`
	Values map[string]*int64 `json:"values,omitempty"`
	Many   bool              `json:"many,omitempty"` // has values that are not in Values
}

func newDaily() daily {
	d := daily{kinds: map[telemetry.Kind][]*definition{}, days: map[string]*[keptDays]*day{}}
	for _, m := range plan.Builtin() {
		if m.Kind != plan.Count && m.Kind != plan.Users || m.Of == "issues" {
			continue
		}
		f, err := telemetry.ParseFilter(m.Where)
		if err != nil {
			panic("evidence: built-in metric " + m.Name + ": " + err.Error())
		}
		def := &definition{m: m, filter: f}
		for k := telemetry.KindError; k <= telemetry.KindValue; k++ {
			if of(m.Of, k) {
				d.kinds[k] = append(d.kinds[k], def)
			}
		}
	}
	return d
}

// add counts an event on the day it arrived.
func (d *daily) add(e *telemetry.Event) {
	if e.Kind == telemetry.KindCheckIn || e.Kind == telemetry.KindLoss || e.Kind == telemetry.KindValue || e.Late {
		return
	}
	at := d.at(e.Project, e.Environment, toMS(e.Received))
	if at == nil {
		return
	}
	user := e.User
	if user == "" {
		user = e.SessionUser
	}
	hash := dailyHash(user)
	at.Events++
	at.dirty = true
	if hash != 0 {
		at.Users = at.Users.add(hash)
	}
	for _, def := range d.kinds[e.Kind] {
		if def.filter.Match(e, e.Received) {
			at.count(def.m.Name, hash)
		}
	}
	for k, v := range e.Tags {
		at.tag(k, v)
	}
	for k, v := range e.Attributes {
		if strings.HasPrefix(k, userPrefix) {
			at.tag(k, v)
		}
	}
}

// dailyHash is evenly distributed and cheaper than what the tests of metrics
// need: nobody gains by making users collide. 0 is no user.
func dailyHash(user string) uint64 {
	if user == "" {
		return 0
	}
	return murmur3.StringSum64(user) | 1
}

// userPrefix begins the attributes that describe an event's user.
const userPrefix = "user."

// at finds or makes the day of an arrival; nil where it is not kept.
func (d *daily) at(project, env string, ms int64) *day {
	number := ms / (24 * hourMS)
	name := regionOf(project, env)
	if l := d.last; l != nil && l.Day == number && l.Env == name {
		return l
	}
	ring := d.days[name]
	if ring == nil {
		if !roomFor(d.days, name) {
			return nil
		}
		ring = new([keptDays]*day)
		d.days[name] = ring
	}
	slot := &ring[number%keptDays]
	if *slot == nil || (*slot).Day < number {
		*slot = &day{Env: name, Day: number, First: ms}
	}
	if (*slot).Day != number {
		return nil // an arrival older than the ring
	}
	d.last = *slot
	return *slot
}

func (d *day) count(metric string, user uint64) {
	t := d.Counts[metric]
	if t == nil {
		if d.Counts == nil {
			d.Counts = map[string]*tally{}
		}
		t = &tally{}
		d.Counts[metric] = t
	}
	t.N++
	if user != 0 {
		t.Users = t.Users.add(user)
	}
}

// tag counts one tag. A key with many values names things or people, and
// keeps none of them.
func (d *day) tag(key, value string) {
	t := d.Tags[key]
	if t == nil {
		if len(d.Tags) >= keptTags || len(key) > longestTag {
			return
		}
		if d.Tags == nil {
			d.Tags = map[string]*tag{}
		}
		t = &tag{Many: slices.Contains(personal, key)}
		d.Tags[strings.Clone(key)] = t
	}
	t.N++
	if t.Many {
		return
	}
	if n := t.Values[value]; n != nil {
		*n++
		return
	}
	if len(t.Values) >= keptValues || d.Pairs >= keptPairs || len(value) > longestTag {
		d.Pairs -= len(t.Values)
		t.Values, t.Many = nil, true
		return
	}
	if t.Values == nil {
		t.Values = map[string]*int64{}
	}
	n := int64(1)
	t.Values[strings.Clone(value)] = &n
	d.Pairs++
}

// personal are the attributes whose values name a person.
var personal = []string{"user", "user.id", "user.email", "user.username", "user.name", "user.ip", "user.ip_address", "email", "username"}

// collect writes the days that changed.
func (d *daily) collect(b *batch) error {
	for env, ring := range d.days {
		for slot, at := range ring {
			if at == nil || !at.dirty {
				continue
			}
			text, err := json.Marshal(at)
			if err != nil {
				return fmt.Errorf("encode day %d: %w", at.Day, err)
			}
			b.Values = append(b.Values, store.KeyValue{Key: dailyKey(env, slot), Value: store.Value{Text: string(text), At: b.now}})
			at.dirty = false
		}
	}
	return nil
}

func dailyKey(env string, slot int) string { return dailyPrefix + strconv.Itoa(slot) + " " + env }

// take moves what collect wrote out of stored values. A day that cannot be
// read is left out: it is a help for lint, and nothing is decided by it.
func (d *daily) take(values map[string]store.Value, log *slog.Logger) {
	for key, v := range values {
		if !strings.HasPrefix(key, dailyPrefix) {
			continue
		}
		delete(values, key)
		at := &day{}
		if err := json.Unmarshal([]byte(v.Text), at); err != nil || !at.readable() || dailyKey(at.Env, int(at.Day%keptDays)) != key {
			log.Warn("daily summary of telemetry cannot be read: it is left out", "key", key, "error", err)
			continue
		}
		ring := d.days[at.Env]
		if ring == nil {
			ring = new([keptDays]*day)
			d.days[at.Env] = ring
		}
		ring[at.Day%keptDays] = at
	}
}

func (d *day) readable() bool {
	ok := d.Day >= 0 && d.Users.valid()
	for _, t := range d.Counts {
		ok = ok && t != nil && t.Users.valid()
	}
	for _, t := range d.Tags {
		ok = ok && t != nil
		if t != nil {
			for _, n := range t.Values {
				ok = ok && n != nil
			}
		}
	}
	return ok
}

// between returns the days of a project's environment, and of no named one, that lie
// in [from, to) or, with the last day still open, up to it.
func (d *daily) between(project, env string, from, to int64) []*day {
	var all []*day
	for _, name := range []string{regionOf(project, env), regionOf(project, "")} {
		if ring := d.days[name]; ring != nil {
			for _, at := range ring {
				if at != nil && at.Day >= from && at.Day < to {
					all = append(all, at)
				}
			}
		}
		if env == "" {
			break
		}
	}
	return all
}

// dayOf is the day of a time.
func dayOf(t time.Time) int64 { return toMS(t) / (24 * hourMS) }
