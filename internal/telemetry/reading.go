package telemetry

import "strings"

// Reading is an event as it is attributed to many targets: what does not
// depend on the target is found once. It holds for as long as the event does
// not change, and any number of goroutines may use it.
type Reading struct {
	event *Event
	user  string
	path  string // as OnPage compares it
	mute  bool   // neither tags nor attributes speak of any flag
}

// Read makes the reading of an event, which stays the caller's.
func Read(e *Event) Reading {
	return Reading{event: e, user: e.user(), path: strings.TrimSuffix(e.path(), "/"), mute: mute(e)}
}

// The names of tags that tell a flag's variant begin so.
const (
	flagTag        = "flag."
	featureFlagTag = "feature_flag."
)

func mute(e *Event) bool {
	for name := range e.Tags {
		if speaks(strings.TrimPrefix(name, "tags.")) || speaks(name) {
			return false
		}
	}
	for name := range e.Attributes {
		if speaks(name) {
			return false
		}
	}
	return true
}

func speaks(name string) bool {
	return strings.HasPrefix(name, flagTag) || strings.HasPrefix(name, featureFlagTag)
}

// Audience reports what the event's own attributes show of its user: whether
// they meet the target's audience, and whether they tell enough to say so (see
// Meets). It depends on nothing of the target but the terms of its audience.
func (r *Reading) Audience(t *Target) (met, known bool) {
	return Meets(t.Split.Audience.Terms, func(k string) (string, bool) { return contextField(r.event, k) })
}

// OnPage is Target.OnPage of the event.
func (r *Reading) OnPage(t *Target) bool { return t.onPath(r.path) }

// Attribute is the function of that name for the event. met and known are what
// Audience says for the target.
func (r *Reading) Attribute(t *Target, met, known bool, member func(user string) bool) Attribution {
	var a Attribution
	if !t.InEnvironment(r.event) {
		a.Why = WhyEnvironment
		return a
	}
	var sent bool
	a.Reported, a.How, sent = t.reported(r)
	user := r.user
	if user != "" {
		a.Member = met && known || member != nil && member(r.event.name())
	}
	switch a.Included = t.Named(r.event, user); {
	case a.Included:
	case user == "":
		a.Why = WhyNoUser
	case a.Member:
		a.Assigned = t.Assign(user)
	case known && !met:
		a.Why = WhyOutside
	default:
		a.Why = WhyNotMember
	}
	if a.How == "" && a.Assigned != Unknown {
		a.How = "hash"
	}
	if sent && a.Reported == Unknown && a.Assigned == Unknown {
		a.Why = WhyBadVariant
	}
	if a.Arm() != Unknown {
		a.Why = ""
	}
	a.Conflict = a.Assigned != Unknown && a.Reported != Unknown && a.Assigned != a.Reported
	return a
}
