// Package oncall knows who is on call and whom to page next. Its main types
// are Rota and Chain; both are values, and all functions are pure: the time is
// given to them.
//
// A Rota has layers of people who hand over at a clock time of its time zone,
// layers read from a calendar (iCalendar, RFC 5545), and overrides. A later
// layer takes over from the earlier ones while it has somebody; an override
// takes over from all layers. Hand-overs follow the wall clock: a time that
// daylight saving skips is the next valid minute, a doubled one the first, as
// in plans.
//
// A Chain says who is told, how long to wait for an acknowledgement and who is
// told next; Step carries it out. Nobody is told after an acknowledgement, and
// no step comes before its time.
package oncall

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"serin/internal/plan"
)

// ErrInvalid is what every error about a rota, an override or a calendar wraps.
var ErrInvalid = errors.New("invalid")

func bad(what, mend string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrInvalid, fmt.Sprintf(what, args...), mend)
}

// The bounds of a rota, so that every question about it has an answer in
// milliseconds.
const (
	MaxLayers    = 20
	MaxPeople    = 50   // of a layer
	MaxOverrides = 500  // of a rota
	MaxEvents    = 1000 // of a calendar
	MaxDays      = 366  // of a turn
)

// Rota is who is on call when. The zero value has nobody.
type Rota struct {
	Name     string  `json:"name,omitempty"`    // as in "oncall:NAME"
	Project  string  `json:"project,omitempty"` // "" = of the whole server
	Timezone string  `json:"timezone"`          // IANA
	Layers   []Layer `json:"layers"`
	// Overrides are sorted by From; where two overlap, the later one in the list counts.
	Overrides []Override `json:"overrides,omitempty"`
	// Chain is how a page of this rota goes on; without steps it is Default.
	Chain Chain `json:"chain,omitzero"`
}

// Layer is people who take turns, or the events of a calendar.
type Layer struct {
	People []string `json:"people,omitempty"` // names or handles, without the "@"
	// Starts is the day of the first turn, "2026-03-02"; with Weekday the first
	// such day from then on. Nobody is on duty by this layer before it.
	Starts  string `json:"starts,omitempty"`
	Weekday string `json:"weekday,omitempty"` // of the hand-over, "mon"; needs turns of whole weeks
	Clock   string `json:"clock,omitempty"`   // of the hand-over, "09:00"; "" = 00:00
	Days    int    `json:"days,omitempty"`    // length of a turn; 0 = 7
	// Hours limit the layer to weekly windows, "mon-fri 09:00-17:00"; empty = always.
	Hours  []string `json:"hours,omitempty"`
	Events []Event  `json:"events,omitempty"` // of a calendar; then People is empty
}

// Override puts somebody on duty from From to To, whatever the layers say.
type Override struct {
	Person string    `json:"person"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Why    string    `json:"why,omitempty"`
}

// Shift is a time with the same people on duty.
type Shift struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	People []string  `json:"people"` // sorted; empty = nobody
}

var (
	nameForm   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,59}$`)
	personForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
	clockForm  = regexp.MustCompile(`^([01][0-9]|2[0-3]):([0-5][0-9])$`)
)

// weekdays are the names of days, by time.Weekday.
var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// Check says what is wrong with a rota; nil = nothing. Errors wrap ErrInvalid.
func (r Rota) Check() error {
	if !nameForm.MatchString(r.Name) {
		return bad("name %q", "use small letters, digits and -, a letter first, at most 60", r.Name)
	}
	if _, err := time.LoadLocation(r.Timezone); err != nil || r.Timezone == "" || r.Timezone == "Local" {
		return bad("timezone %q of %s", "write an IANA name such as Europe/Berlin", r.Timezone, r.Name)
	}
	if len(r.Layers) > MaxLayers || len(r.Overrides) > MaxOverrides {
		return bad("%d layers and %d overrides of %s", "at most 20 and 500", len(r.Layers), len(r.Overrides), r.Name)
	}
	for i, l := range r.Layers {
		if err := l.check(); err != nil {
			return fmt.Errorf("layer %d of %s: %w", i+1, r.Name, err)
		}
	}
	for _, o := range r.Overrides {
		if err := o.check(); err != nil {
			return fmt.Errorf("override of %s: %w", r.Name, err)
		}
	}
	return r.Chain.check()
}

func (o Override) check() error {
	if !personForm.MatchString(o.Person) {
		return bad("person %q", "write the name without the @, such as ben", o.Person)
	}
	if span := o.To.Sub(o.From); span <= 0 || span > MaxDays*24*time.Hour {
		return bad("from %s to %s", "end after the begin, at most a year later", o.From.Format(time.RFC3339), o.To.Format(time.RFC3339))
	}
	return nil
}

func (l Layer) check() error {
	if len(l.Events) > 0 {
		return l.checkEvents()
	}
	if len(l.People) == 0 || len(l.People) > MaxPeople {
		return bad("%d people", "name 1 to 50", len(l.People))
	}
	for _, p := range l.People {
		if !personForm.MatchString(p) {
			return bad("person %q", "write the name without the @, such as ben", p)
		}
	}
	if _, err := time.Parse(time.DateOnly, l.Starts); err != nil {
		return bad("starts %q", "write the day of the first turn, such as 2026-03-02", l.Starts)
	}
	if l.Clock != "" && !clockForm.MatchString(l.Clock) {
		return bad("clock %q", "write the time of the hand-over, such as 09:00", l.Clock)
	}
	switch {
	case l.Days < 0 || l.Days > MaxDays:
		return bad("days %d", "1 to 366; left out: 7", l.Days)
	case l.Weekday != "" && !slices.Contains(weekdays, l.Weekday):
		return bad("weekday %q", "write mon, tue, wed, thu, fri, sat or sun", l.Weekday)
	case l.Weekday != "" && l.length()%7 != 0:
		return bad("weekday %s with turns of %d days", "leave weekday out, or make the turns whole weeks", l.Weekday, l.Days)
	}
	return l.checkHours()
}

func (l Layer) checkHours() error {
	if len(l.Hours) > 20 {
		return bad("%d hours", "at most 20 windows", len(l.Hours))
	}
	for _, h := range l.Hours {
		if _, err := plan.ParseWindow(h); err != nil {
			return bad("hours %q", "write mon-fri 09:00-17:00; a night is two windows", h)
		}
	}
	return nil
}

func (l Layer) checkEvents() error {
	if len(l.People) > 0 || len(l.Events) > MaxEvents {
		return bad("%d people and %d events", "a layer is people or a calendar of at most 1000 events", len(l.People), len(l.Events))
	}
	for _, e := range l.Events {
		if err := e.check(); err != nil {
			return err
		}
	}
	return l.checkHours()
}

// length is how many days a turn has.
func (l Layer) length() int {
	if l.Days == 0 {
		return 7
	}
	return l.Days
}

// location is the rota's time zone; UTC for one that is not known, which Check refuses.
func (r Rota) location() *time.Location {
	if loc, err := time.LoadLocation(r.Timezone); err == nil {
		return loc
	}
	return time.UTC
}

// Names lists everybody whom a rota names, sorted.
func (r Rota) Names() []string {
	var out []string
	for _, l := range r.Layers {
		out = append(out, l.People...)
		for _, e := range l.Events {
			out = append(out, e.Person)
		}
	}
	for _, o := range r.Overrides {
		out = append(out, o.Person)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// WithOverride is r with one more override; overrides that ended before now
// are left out of it. Errors wrap ErrInvalid.
func (r Rota) WithOverride(o Override, now time.Time) (Rota, error) {
	if err := o.check(); err != nil {
		return r, err
	}
	kept := slices.DeleteFunc(slices.Clone(r.Overrides), func(old Override) bool { return !old.To.After(now) })
	r.Overrides = append(kept, o)
	slices.SortStableFunc(r.Overrides, func(a, b Override) int { return a.From.Compare(b.From) })
	return r, r.Check()
}

// Person is a name without what plans put in front of it.
func Person(who string) string { return strings.TrimPrefix(who, "@") }
