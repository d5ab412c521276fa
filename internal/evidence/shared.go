package evidence

import (
	"encoding/json"

	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/telemetry"
)

// shared holds what many rollouts ask of one event, found once for all: the
// rollouts of an organisation mostly have the same audience and count by the
// same filters. Questions have numbers, which sharedIDs gives out.
type shared struct {
	reading telemetry.Reading
	event   *telemetry.Event
	// The answers so far, by question.
	audiences, filters []answer
}

// answer is what a question about the event found.
type answer uint8

const (
	notAsked answer = iota
	no
	yes
	unclear // of an audience: the event tells too little
)

// begin forgets the event before.
func (s *shared) begin(e *telemetry.Event) {
	s.event, s.reading = e, telemetry.Read(e)
	clear(s.audiences)
	clear(s.filters)
}

// at returns the place of an answer, of which there may be more than before.
func at(list *[]answer, id int) *answer {
	for len(*list) <= id {
		*list = append(*list, notAsked)
	}
	return &(*list)[id]
}

// audience says whether the event shows its user to be in the audience of r,
// and whether it tells enough to say.
func (s *shared) audience(r *rollout) (met, known bool) {
	a := at(&s.audiences, r.audienceID)
	if *a == notAsked {
		*a = unclear
		if met, known := s.reading.Audience(&r.attr); known && met {
			*a = yes
		} else if known {
			*a = no
		}
	}
	return *a == yes, *a != unclear
}

// matches says whether the filter of d takes the event.
func (s *shared) matches(d *definition) bool {
	a := at(&s.filters, d.filterID)
	if *a == notAsked {
		*a = no
		if d.filter.Match(s.event, s.event.Received) {
			*a = yes
		}
	}
	return *a == yes
}

// sharedIDs numbers the questions that events are asked. Equal ones have the
// same number for as long as the engine lives.
type sharedIDs map[string]int

func (ids *sharedIDs) of(question string) int {
	if *ids == nil {
		*ids = sharedIDs{}
	}
	id, ok := (*ids)[question]
	if !ok {
		id = len(*ids)
		(*ids)[question] = id
	}
	return id
}

// audienceText is the same for audiences that every event answers alike.
func audienceText(terms []flag.Term) string {
	text, _ := json.Marshal(terms) // cannot fail: texts
	return string(text)
}

// takes reports whether the metric may take events of a kind.
func (d *definition) takes(k telemetry.Kind) bool {
	switch d.m.Kind {
	case plan.Computed:
		return true
	case plan.Quantile, plan.Average:
		return of(d.m.Of, k) || d.m.Of == "pages" && k == telemetry.KindVital
	}
	return of(d.m.Of, k) || d.countsPages(k)
}

// countsPages reports whether page loads count beside what the metric takes:
// they stand in for requests where none arrive.
func (d *definition) countsPages(k telemetry.Kind) bool {
	return k == telemetry.KindPage && d.m.Kind == plan.Count && d.m.Of == "requests" && d.m.Name == "requests"
}

// defsOf are the definitions that may take events of a kind.
type defsOf [telemetry.KindMetric + 1][]*definition

func (r *rollout) sortDefs() {
	for k := range r.taking {
		for _, d := range r.defs {
			if !d.takes(telemetry.Kind(k)) {
				continue
			}
			r.taking[k] = append(r.taking[k], d)
			if d.m.All {
				r.unscoped[k] = append(r.unscoped[k], d)
			}
		}
	}
}
