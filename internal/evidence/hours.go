package evidence

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"serin/internal/plan"
	"serin/internal/stats"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// The bounds of the hourly summaries.
const (
	keptHours   = 15 * 24 // two weeks and a day
	keptGauges  = 50      // pushed numbers of an hour
	hoursPrefix = "~hour "
)

// hours sums up the built-in metrics of users by project, hour (UTC) and
// environment, and pushed numbers, whether or not a rollout is watched: the
// baseline of a rollout that is yet to come. Only events with a user count,
// as only these are ever assigned to an arm.
type hours struct {
	kinds map[telemetry.Kind][]*definition
	same  map[string]string               // metric -> the metric that has its values
	rings map[string]*[keptHours]*hourSum // by region, see regionOf
	last  *hourSum
	made  int64 // hours made so far: an import makes hours of the past
}

// hourSum is one hour of one environment. It is stored as JSON.
type hourSum struct {
	Env     string                 `json:"env"`
	Hour    int64                  `json:"hour"` // Unix hours
	Users   distinct               `json:"users,omitempty"`
	Metrics map[string]*hourMetric `json:"metrics,omitempty"`
	Gauges  map[string]*hourMetric `json:"gauges,omitempty"` // by key of the pushed value

	dirty bool
}

// hourMetric is one metric in an hour: N events, the Sum of their values, the
// last of them, distinct users, and for quantiles the sketch.
type hourMetric struct {
	N      int64    `json:"n"`
	Sum    float64  `json:"sum,omitempty"`
	Last   float64  `json:"last,omitempty"`
	Users  distinct `json:"users,omitempty"`
	Packed []byte   `json:"sketch,omitempty"` // as stored

	sketch *stats.Sketch
}

func newHours() hours {
	h := hours{kinds: map[telemetry.Kind][]*definition{}, same: map[string]string{}, rings: map[string]*[keptHours]*hourSum{}}
	first := map[string]string{}
	builtin := plan.Builtin()
	names := make([]string, 0, len(builtin))
	for name := range builtin {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		m := builtin[name]
		measured := m.Kind == plan.Quantile || m.Kind == plan.Average
		if !m.User || m.Of == "issues" || m.Of == "sessions" || !measured && m.Kind != plan.Count && m.Kind != plan.Users {
			continue
		}
		if measured { // api_p50 and api_p95 are quantiles of one distribution
			key := m.Of + "\x00" + m.Field + "\x00" + m.Where
			if first[key] == "" {
				first[key] = name
			}
			if h.same[name] = first[key]; first[key] != name {
				continue
			}
		}
		f, err := telemetry.ParseFilter(m.Where)
		if err != nil {
			panic("evidence: built-in metric " + name + ": " + err.Error())
		}
		def := &definition{m: m, filter: f}
		for k := telemetry.KindError; k <= telemetry.KindValue; k++ {
			if of(m.Of, k) || measured && m.Of == "pages" && k == telemetry.KindVital {
				h.kinds[k] = append(h.kinds[k], def)
			}
		}
	}
	return h
}

// add counts an event in the hour it arrived and returns where the values of
// a page load went, so that newer ones can take their place.
func (h *hours) add(e *telemetry.Event) (places []place) {
	defs := h.kinds[e.Kind]
	if e.Late || e.Kind == telemetry.KindCheckIn || e.Kind == telemetry.KindLoss || e.Kind == telemetry.KindValue {
		return nil
	}
	user := e.User
	if user == "" {
		user = e.SessionUser
	}
	if user == "" {
		return nil
	}
	at := h.at(e.Project, e.Environment, toMS(e.Received)/hourMS)
	if at == nil {
		return nil
	}
	hash := dailyHash(user)
	at.Users, at.dirty = at.Users.add(hash), true
	for _, d := range defs {
		value, measured, ok := d.measure(e)
		if !ok {
			continue
		}
		m := at.metric(d.m.Name)
		if m.N++; !measured {
			m.Users = m.Users.add(hash)
		} else if m.Sum += value; d.m.Kind == plan.Quantile {
			m.sketch = addTo(m.sketch, value)
		}
		if measured && isPage(e) {
			places = append(places, place{Rollout: hoursPrefix + at.Env, Metric: d.m.Name, Minute: at.Hour * 60, Field: d.m.Field, Value: value})
		}
	}
	if e.Kind == telemetry.KindPage {
		at.metric("requests"+pagesSuffix).N++
	}
	return places
}

// gauge notes a pushed number of a project; pushes name no environment.
func (h *hours) gauge(project, key string, value float64, ms int64) {
	at := h.at(project, "", ms/hourMS)
	if at == nil {
		return
	}
	m := at.Gauges[key]
	if m == nil {
		if len(at.Gauges) >= keptGauges || len(key) > longestTag {
			return
		}
		if at.Gauges == nil {
			at.Gauges = map[string]*hourMetric{}
		}
		m = &hourMetric{}
		at.Gauges[strings.Clone(key)] = m
	}
	m.N, m.Sum, m.Last, at.dirty = m.N+1, m.Sum+value, value, true
}

// replace puts a newer value of a page load in the place of an older one.
func (h *hours) replace(p *place, v float64) bool {
	ring := h.rings[strings.TrimPrefix(p.Rollout, hoursPrefix)]
	if ring == nil {
		return false
	}
	at := ring[p.Minute/60%keptHours]
	if at == nil || at.Hour != p.Minute/60 || at.Metrics[p.Metric] == nil {
		return false
	}
	m := at.Metrics[p.Metric]
	m.Sum += v - p.Value
	if m.sketch != nil {
		m.sketch = swap(m.sketch, p.Value, v)
	}
	at.dirty = true
	return true
}

func (s *hourSum) metric(name string) *hourMetric {
	m := s.Metrics[name]
	if m == nil {
		if s.Metrics == nil {
			s.Metrics = map[string]*hourMetric{}
		}
		m = &hourMetric{}
		s.Metrics[name] = m
	}
	return m
}

// at finds or makes an hour; nil where it is not kept.
func (h *hours) at(project, env string, number int64) *hourSum {
	name := regionOf(project, env)
	if l := h.last; l != nil && l.Hour == number && l.Env == name {
		return l
	}
	ring := h.rings[name]
	if ring == nil {
		if number < 0 || !roomFor(h.rings, name) {
			return nil
		}
		ring = new([keptHours]*hourSum)
		h.rings[name] = ring
	}
	slot := &ring[number%keptHours]
	if *slot == nil || (*slot).Hour < number {
		*slot = &hourSum{Env: name, Hour: number}
		h.made++
	}
	if (*slot).Hour != number {
		return nil // an arrival older than the ring
	}
	h.last = *slot
	return *slot
}

// collect writes the hours that changed.
func (h *hours) collect(b *batch) error {
	for env, ring := range h.rings {
		for slot, at := range ring {
			if at == nil || !at.dirty {
				continue
			}
			for _, m := range at.Metrics {
				if m.sketch == nil {
					continue
				}
				packed, err := m.sketch.MarshalBinary()
				if err != nil {
					return fmt.Errorf("encode hour %d: %w", at.Hour, err)
				}
				m.Packed = packed
			}
			text, err := json.Marshal(at)
			if err != nil {
				return fmt.Errorf("encode hour %d: %w", at.Hour, err)
			}
			b.Values = append(b.Values, store.KeyValue{Key: hourKey(env, slot), Value: store.Value{Text: string(text), At: b.now}})
			at.dirty = false
		}
	}
	return nil
}

func hourKey(env string, slot int) string { return hoursPrefix + strconv.Itoa(slot) + " " + env }

// take moves what collect wrote out of stored values. An hour that cannot be
// read is left out: the baseline is that much shorter, and says so.
func (h *hours) take(values map[string]store.Value, log *slog.Logger) {
	for key, v := range values {
		if !strings.HasPrefix(key, hoursPrefix) {
			continue
		}
		delete(values, key)
		at := &hourSum{}
		err := json.Unmarshal([]byte(v.Text), at)
		if err == nil {
			err = at.unpack()
		}
		if err != nil || at.Hour < 0 || hourKey(at.Env, int(at.Hour%keptHours)) != key {
			log.Warn("hourly summary of telemetry cannot be read: it is left out", "key", key, "error", err)
			continue
		}
		ring := h.rings[at.Env]
		if ring == nil {
			ring = new([keptHours]*hourSum)
			h.rings[at.Env] = ring
		}
		ring[at.Hour%keptHours] = at
	}
}

// unpack reads the sketches and checks the rest.
func (s *hourSum) unpack() error {
	ok := s.Users.valid()
	for _, set := range [2]map[string]*hourMetric{s.Metrics, s.Gauges} {
		for name, m := range set {
			if m == nil || !m.Users.valid() {
				return fmt.Errorf("%w: metric %s of an hour", errCell, name)
			}
			if len(m.Packed) == 0 {
				continue
			}
			m.sketch = new(stats.Sketch)
			if err := m.sketch.UnmarshalBinary(m.Packed); err != nil {
				return fmt.Errorf("%w: %w", errCell, err)
			}
		}
	}
	if !ok {
		return fmt.Errorf("%w: users of an hour", errCell)
	}
	return nil
}
