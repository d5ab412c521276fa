package telemetry

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/murmur3"

	"serin/internal/flag"
)

// Target is one rollout's flag as attribution needs it: the split that was
// served when an event arrived, and the scope. It is immutable in use.
type Target struct {
	Split       flag.Split
	Environment string            // "" = any
	Tags        map[string]string // scope.tags; empty = none given
	Pages       []string          // scope.pages: paths, * is a wildcard; empty = all
	Spans       Filter            // scope.spans
	Feature     string            // the flag's feature tag, "" = none
	// NewValues and OldValues are further spellings of the variants, besides
	// their names: the values the flag definition gives them. "true", "on"
	// and "false", "off" are understood where neither side claims them.
	NewValues, OldValues []string
}

// Attribution says which rollout arm an event belongs to and how that is
// known. The zero value is an event nothing is known of.
type Attribution struct {
	Assigned Arm    // by hash, for users known to be in the audience
	Reported Arm    // by the client
	Member   bool   // the user is known to be in the audience
	Included bool   // named by flag.include or flag.exclude: outside comparisons
	Conflict bool   // assigned and reported differ
	How      string // "tag", "flags" or "hash"; "" = not attributed
	Why      string // reason when neither arm is known
}

// Arm is what fixed rules, alerts and exposed counts use: reported, else assigned.
func (a Attribution) Arm() Arm {
	if a.Reported != Unknown {
		return a.Reported
	}
	return a.Assigned
}

// The reasons of an event that could not be attributed.
const (
	WhyNoUser      = "no user id"
	WhyNotMember   = "not known to be in the audience"
	WhyOutside     = "outside the audience"
	WhyBadVariant  = "unknown variant reported"
	WhyEnvironment = "other environment"
)

// Attribute finds the arms of e for t. member tells whether a user, by the
// name that is stored, is known to be in the audience by a recorded
// evaluation; nil knows nobody. The
// event's own attributes count too.
func Attribute(t *Target, e *Event, member func(user string) bool) Attribution {
	r := Read(e)
	met, known := r.Audience(t)
	return r.Attribute(t, met, known, member)
}

// InEnvironment reports whether e belongs to the target's environment. An
// event that names none does.
func (t *Target) InEnvironment(e *Event) bool {
	return t.Environment == "" || e.Environment == "" || strings.EqualFold(e.Environment, t.Environment)
}

// Tagged reports whether e carries all of scope.tags; false where none are given.
func (t *Target) Tagged(e *Event) bool {
	for k, want := range t.Tags {
		if got, ok := e.tag(k); !ok || got != want {
			return false
		}
	}
	return len(t.Tags) > 0
}

// OnPage reports whether e lies on scope.pages; true where none are given.
func (t *Target) OnPage(e *Event) bool { return t.onPath(strings.TrimSuffix(e.path(), "/")) }

// onPath is OnPage of a path without a final slash.
func (t *Target) onPath(path string) bool {
	if len(t.Pages) == 0 {
		return true
	}
	for _, page := range t.Pages {
		page = strings.TrimSuffix(page, "/")
		if path == page || mayMatch(page, path) && wildcard(page, path) {
			return true
		}
	}
	return false
}

// mayMatch reports whether page has a wildcard and what stands before it
// begins path: a cheap test for the many pages of other rollouts.
func mayMatch(page, path string) bool {
	star := strings.IndexByte(page, '*')
	return star >= 0 && (strings.HasPrefix(path, page[:star]) || strings.IndexByte(page[:star], '\\') >= 0)
}

func wildcard(text, s string) bool {
	p := newPattern(text, true, true)
	return p.match(s)
}

// Assign returns the arm of a user of the audience by the split: murmur3
// (x86, 32 bit, seed 0) of salt and user, scaled to the 100,000 weights of
// flagd's fractional operation, version 2.
func (t *Target) Assign(user string) Arm {
	salt := t.Split.Salt
	if salt == "" {
		salt = t.Split.Flag
	}
	if uint64(murmur3.StringSum32(salt+user))*uint64(flag.Everyone)>>32 < uint64(max(t.Split.Exposure, 0)) {
		return New
	}
	return Old
}

// Named reports whether flag.include or flag.exclude names the event's user,
// tenant or one of its groups (comma-separated).
func (t *Target) Named(e *Event, user string) bool {
	in, out := &t.Split.Include, &t.Split.Exclude
	if user != "" && (slices.Contains(in.Users, user) || slices.Contains(out.Users, user)) {
		return true
	}
	if len(in.Tenants)+len(out.Tenants) > 0 {
		if tenant, ok := contextField(e, "tenant"); ok && (slices.Contains(in.Tenants, tenant) || slices.Contains(out.Tenants, tenant)) {
			return true
		}
	}
	if len(in.Groups)+len(out.Groups) == 0 {
		return false
	}
	groups, _ := contextField(e, "groups")
	for g := range strings.SplitSeq(groups, ",") {
		g = strings.TrimSpace(g)
		if slices.Contains(in.Groups, g) || slices.Contains(out.Groups, g) {
			return true
		}
	}
	return false
}

// contextField finds an evaluation attribute on an event: user.X or X among
// its attributes, else a tag X.
func contextField(e *Event, key string) (string, bool) {
	if key == "targetingKey" {
		return e.user(), e.user() != ""
	}
	if s, ok := e.Attributes["user."+key]; ok {
		return s, true
	}
	return e.tag(key)
}

// Meets evaluates an audience's terms. known is false when an attribute that
// decides is missing; a term that fails decides by itself.
func Meets(terms []flag.Term, lookup func(attribute string) (string, bool)) (met, known bool) {
	known = true
	for _, term := range terms {
		s, ok := lookup(term.Attribute)
		if !ok {
			known = false
			continue
		}
		if slices.Contains(term.Values, s) == term.Not {
			return false, true
		}
	}
	return known, known
}

// ContextLookup reads attributes of an evaluation context as text, for Meets.
func ContextLookup(c flag.Context) func(string) (string, bool) {
	return func(key string) (string, bool) {
		switch v := c[key].(type) {
		case nil:
			return "", false
		case string:
			return v, true
		case bool:
			return strconv.FormatBool(v), true
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64), true
		default:
			return fmt.Sprint(v), true
		}
	}
}

// reported is the client's own word, by the first source that speaks of the
// flag. sent is true when it spoke, even of a variant that is neither arm.
func (t *Target) reported(r *Reading) (arm Arm, how string, sent bool) {
	e, key := r.event, t.Split.Flag
	if !r.mute {
		for _, prefix := range [...]string{featureFlagTag, flagTag} {
			if v, ok := e.tag(prefix + key); ok {
				return t.found(v, "tag")
			}
		}
	}
	if t.Feature != "" {
		if f, ok := e.tag("feature"); ok && f == t.Feature {
			if v, ok := e.tag("variant"); ok {
				return t.found(v, "tag")
			}
		}
	}
	if v, ok := e.Flags[key]; ok {
		return t.found(v, "flags")
	}
	if !r.mute {
		if v, ok := e.tag(flagTag + "evaluation." + key); ok {
			return t.found(v, "flags")
		}
	}
	return Unknown, "", false
}

func (t *Target) found(value, how string) (Arm, string, bool) {
	arm := t.ArmOf(value)
	if arm == Unknown {
		how = ""
	}
	return arm, how, true
}

// ArmOf maps a variant's name, or its value as text, to the arm.
func (t *Target) ArmOf(value string) Arm {
	switch {
	case value == "":
		return Unknown
	case value == t.Split.New:
		return New
	case value == t.Split.Old:
		return Old
	case slices.Contains(t.NewValues, value):
		return New
	case slices.Contains(t.OldValues, value):
		return Old
	}
	switch strings.ToLower(value) {
	case "true", "on":
		return New
	case "false", "off":
		return Old
	}
	return Unknown
}
