package evidence

import (
	"maps"
	"slices"
	"strings"
	"time"

	"serin/internal/flag"
	"serin/internal/plan"
)

// leastMeasured is how long telemetry must have arrived before its rates say
// anything: a day has its quiet hours.
const leastMeasured = 24 * time.Hour

// Facts are what a project's telemetry tells lint of a plan: which attributes and sources
// ever arrived, how often the tags of its scope are set, and the rates of the
// built-in counts in the plan's baseline before until. They are of the plan's
// environment, counted by whole days (UTC); today counts while until is now.
// Rates are given after 24 hours of telemetry. They are of everybody, or, for
// a plan with an audience, of the share of events whose user is in it, where
// events say so; where they do not, rates are left out. A metric that the plan
// defines anew, and p1 and p2 under a severity of its own, have none.
func (e *Engine) Facts(project string, p *plan.Plan, until time.Time) plan.ServerFacts {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.clock.Now()
	last := dayOf(until)
	if now.Sub(until) < time.Minute {
		last++
	}
	baseline := max(int64(p.Judge.Baseline/(24*time.Hour)), 1)
	s := summary{p: p, days: e.daily.between(project, p.Environment, last-baseline, last), until: until}
	out := plan.ServerFacts{Carried: e.carried(project), Arrived: e.arrivedSources(project), Tagged: map[string]int{}, PerHour: map[string]float64{}, Users: map[string]float64{}}
	for _, at := range s.days {
		out.Events += int(at.Events)
	}
	for key, value := range p.Scope.Tags {
		if n, known := s.tagged(key, value); known {
			out.Tagged[key+":"+value] = int(n)
		}
	}
	s.rates(&out)
	return out
}

// carried are the attributes that the telemetry of any kept day of a project
// had, or the context of any flag of the server.
func (e *Engine) carried(project string) []string {
	keys := map[string]bool{}
	for region, ring := range e.daily.days {
		if !inRegion(project, region) {
			continue
		}
		for _, at := range ring {
			if at == nil {
				continue
			}
			for key := range at.Tags {
				keys[strings.TrimPrefix(key, userPrefix)] = true
			}
		}
	}
	for _, key := range e.usage.attributes() {
		keys[key] = true
	}
	return slices.Sorted(maps.Keys(keys))
}

// arrivedSources are a project's sources and pushed values that ever delivered.
func (e *Engine) arrivedSources(project string) map[string]bool {
	out := map[string]bool{}
	for stored := range e.values {
		if of, key := cutValueKey(stored); of == flag.ProjectOf(project) {
			out[strings.TrimPrefix(key, sourcePrefix)] = true
			if name, ok := strings.CutPrefix(key, alertGauge); ok {
				out["alert "+name] = true
			}
		}
	}
	for region := range e.daily.days {
		if inRegion(project, region) {
			out["telemetry"] = true
		}
	}
	return out
}

// summary adds up the days of a baseline.
type summary struct {
	p     *plan.Plan
	days  []*day
	until time.Time
}

// tagged is how many events carried a tag. It is not known where a day had
// too many values of the key to keep them.
func (s summary) tagged(key, value string) (n int64, known bool) {
	for _, at := range s.days {
		t := at.Tags[key]
		switch {
		case t == nil:
			if len(at.Tags) >= keptTags {
				return 0, false
			}
		case t.Many:
			return 0, false
		case t.Values[value] != nil:
			n += *t.Values[value]
		}
	}
	return n, true
}

// rates fills in how often the built-in counts happen.
func (s summary) rates(out *plan.ServerFacts) {
	first, end := s.covered()
	hours := float64(end-first) / hourMS
	share, known := s.audience()
	if hours < leastMeasured.Hours() || !known {
		return
	}
	for name, m := range s.p.Metrics {
		if !m.BuiltIn || m.Kind != plan.Count && m.Kind != plan.Users || m.Of == "issues" || s.graded(name) {
			continue
		}
		var events int64
		for _, at := range s.days {
			if t := at.Counts[name]; t != nil {
				events += t.N
			}
		}
		out.PerHour[name] = share * float64(events) / hours
		out.Users[name] = share * s.daily(name, first, end)
	}
}

// daily is the mean number of distinct users with an event on a day, of the
// days at least half of which lies in [first, end).
func (s summary) daily(metric string, first, end int64) float64 {
	users := map[int64]distinct{}
	for _, at := range s.days {
		from, to := max(first, at.Day*24*hourMS), min(end, (at.Day+1)*24*hourMS)
		if to-from < 12*hourMS {
			continue
		}
		users[at.Day] = users[at.Day].merge(nil)
		if t := at.Counts[metric]; t != nil {
			users[at.Day] = users[at.Day].merge(t.Users)
		}
	}
	sum := 0.0
	for _, d := range users {
		sum += d.estimate()
	}
	if len(users) == 0 {
		return 0
	}
	return sum / float64(len(users))
}

// graded reports whether a severity of the plan's own decides a metric.
func (s summary) graded(metric string) bool {
	return (metric == "p1" || metric == "p2") && s.p.Positions["severity"].Line > 0
}

// covered is the time that the days cover, in Unix ms: from the first event
// on, and not beyond until.
func (s summary) covered() (first, end int64) {
	for i, at := range s.days {
		if i == 0 || at.First < first {
			first = at.First
		}
		end = max(end, (at.Day+1)*24*hourMS)
	}
	return first, max(first, min(end, toMS(s.until)))
}

// audience is the share of events whose user is in the plan's audience, as if
// its terms were independent; not known where events do not tell.
func (s summary) audience() (share float64, known bool) {
	share = 1
	for _, term := range s.p.Flag.Audience.Terms {
		part, ok := s.term(term)
		if !ok {
			return 0, false
		}
		share *= part
	}
	return share, true
}

func (s summary) term(term flag.Term) (share float64, known bool) {
	for _, key := range []string{userPrefix + term.Attribute, term.Attribute} {
		var matched, all int64
		for _, at := range s.days {
			if t := at.Tags[key]; t != nil && t.Many {
				return 0, false
			} else if t != nil {
				all += t.N
			}
		}
		if all == 0 {
			continue
		}
		for _, value := range term.Values {
			n, _ := s.tagged(key, value)
			matched += n
		}
		if term.Not {
			matched = all - matched
		}
		return float64(matched) / float64(all), true
	}
	return 0, false
}
