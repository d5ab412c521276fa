// Package alert is the pure core of alert rules: what a rule is, how it goes
// from ok to firing and back, and when people are told. It has no clock, no
// I/O and no goroutine; the time and what was counted are given.
//
// Rule is its main type, Step its main function:
//
//	ok ── holds ──▶ pending ── for ──▶ firing ── calm for resolve_after ──▶ resolved
//
// A rule may be grouped by labels; each set of labels has a state and an
// incident of its own. Acknowledged and silenced are marks on what fires, not
// states. No data is a state of the whole rule: it never resolves what fires,
// and a value that holds all the same still fires. Decide says whether a
// receiver is told now, and by which named reason.
//
// What it promises: Step is a function of state, evidence and time alone. It
// does not know whether an arrival or a timer called, so both give the same
// verdict, and calling it twice at one instant changes nothing the second
// time. State is plain data: it is stored as JSON and read back after a
// restart, and nothing fires or is told twice for it.
//
// Windows are (now-over, now] of arrival time. Counting them is the business
// of package evidence. The order of reasons in Decide is that of
// Alertmanager's needsUpdate (notify/dedup_stage.go); waits and repeats have
// its defaults.
package alert

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"serin/internal/plan"
	"serin/internal/telemetry"
)

// The defaults of a rule.
const (
	DefaultOver          = 10 * time.Minute
	DefaultResolveAfter  = 10 * time.Minute
	DefaultRepeat        = 4 * time.Hour
	DefaultRepeatP1      = 30 * time.Minute
	DefaultNoDataAfter   = time.Hour
	DefaultSeverity      = "p2"
	DefaultGroupWait     = 30 * time.Second // grouped rules only: alone there is nothing to wait for
	DefaultGroupInterval = 5 * time.Minute
)

// Bounds of a rule.
const (
	// MaxGroups is how many sets of labels of one rule are followed at a time.
	MaxGroups = 100
	maxBy     = 4
	// MinOver and MaxOver bound the window.
	MinOver  = time.Minute
	MaxOver  = 24 * time.Hour
	maxText  = 2000
	maxSpan  = 30 * 24 * time.Hour
	maxNames = 20
)

// Channel is a receiver of a rule's notices.
type Channel struct {
	Name    string `json:"name"`
	Address string `json:"address"` // "slack:#team"
}

// Rule is one alert rule. A rule with a Rollout is of its plan: what it asks is
// in Text and the judge answers it. Any other is stand-alone: it asks for Value
// over the events of Project that Query selects.
type Rule struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Project string `json:"project"`
	Rollout string `json:"rollout,omitempty"`
	// Outside is the system that tells of this rule's alerts, Alertmanager or
	// Sentry; its labels tell them apart. "" = serin looks itself.
	Outside string `json:"outside,omitempty"`
	Text    string `json:"if"` // of a plan's rule as written; of a stand-alone one made from the fields below

	Query       string   `json:"query,omitempty"` // in Sentry's syntax; "" = every event of Of
	Of          string   `json:"of,omitempty"`    // events, requests, spans, pages, feedback or actions
	Value       string   `json:"value,omitempty"` // count(), count_unique(user), rate(), avg(f), p50(f) … p99(f)
	Environment string   `json:"environment,omitempty"`
	By          []string `json:"by,omitempty"` // labels: fields such as environment or tags[component]
	Op          plan.Op  `json:"op,omitempty"`
	Unit        string   `json:"unit,omitempty"` // of value and limit, as plan.Metric has it: "" = a number, "ms", "%" of 0..1
	Limit       float64  `json:"limit"`
	Also        *Also    `json:"also,omitempty"` // a second condition; nil = none
	// Critical is the limit from which on the severity is CriticalSeverity; nil = none.
	Critical         *float64 `json:"critical,omitempty"`
	CriticalSeverity string   `json:"critical_severity,omitempty"`
	// Resolve is the value from which on it is calm; nil = where it does not hold.
	Resolve *float64 `json:"resolve,omitempty"`

	Over         time.Duration `json:"over,omitempty"`
	For          time.Duration `json:"for,omitempty"` // 0 = at once
	ResolveAfter time.Duration `json:"resolve_after"`
	NoDataAfter  time.Duration `json:"no_data_after,omitempty"` // when people are told that it cannot see; 0 = they are told elsewhere

	Severity      string        `json:"severity"` // p1 … p4
	Notify        []Channel     `json:"notify"`
	Repeat        time.Duration `json:"repeat"`
	GroupWait     time.Duration `json:"group_wait,omitempty"`
	GroupInterval time.Duration `json:"group_interval"`
	Quiet         bool          `json:"quiet_resolve,omitempty"` // resolving is not told
	// InhibitedBy names rules whose firing keeps this one's notices back, for
	// groups whose common labels agree.
	InhibitedBy []string `json:"inhibited_by,omitempty"`
}

// ErrInvalid is wrapped by the errors of Complete and of commands.
var ErrInvalid = errors.New("alert rule")

var (
	idForm    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,59}$`)
	valueForm = regexp.MustCompile(`^(count\(\)|rate\(\)|count_unique\(user\)|(avg|p50|p75|p90|p95|p99)\(([a-z][a-z0-9_.]*)\))$`)
	labelForm = regexp.MustCompile(`^([A-Za-z0-9_.-]+|tags\[[A-Za-z0-9_.-]+\])$`)
	gradeForm = regexp.MustCompile(`^p[1-4]$`)
	addrForm  = regexp.MustCompile(`^[a-z]+(:\S+)?$`)
)

// datasets are what a stand-alone rule can count.
var datasets = []string{"events", "requests", "spans", "pages", "feedback", "actions"}

// WithDefaults fills in what was left out.
func (r Rule) WithDefaults() Rule {
	r.Severity = cmp.Or(r.Severity, DefaultSeverity)
	if r.Outside == "" { // who tells of it has waited already
		r.ResolveAfter = cmp.Or(r.ResolveAfter, DefaultResolveAfter)
	}
	r.GroupInterval = cmp.Or(r.GroupInterval, DefaultGroupInterval)
	if r.Repeat == 0 {
		r.Repeat = DefaultRepeat
		if r.Severity == "p1" {
			r.Repeat = DefaultRepeatP1
		}
	}
	if len(r.By) > 0 {
		r.GroupWait = cmp.Or(r.GroupWait, DefaultGroupWait)
	}
	if r.Critical != nil {
		r.CriticalSeverity = cmp.Or(r.CriticalSeverity, "p1")
	}
	switch {
	case r.Outside != "":
		r.Name, r.Text = cmp.Or(r.Name, r.ID), "told by "+r.Outside
	case r.Rollout == "":
		r.Of, r.Value = cmp.Or(r.Of, "events"), cmp.Or(r.Value, "count()")
		r.Op, r.Over = cmp.Or(r.Op, plan.GT), cmp.Or(r.Over, DefaultOver)
		r.NoDataAfter = cmp.Or(r.NoDataAfter, DefaultNoDataAfter)
		r.Name = cmp.Or(r.Name, r.ID)
		r.Unit = ""
		if r.field() == "duration" {
			r.Unit = "ms"
		}
		if r.Also != nil {
			a := *r.Also
			a.Of, a.Value, a.Op = cmp.Or(a.Of, "events"), cmp.Or(a.Value, "count()"), cmp.Or(a.Op, plan.GT)
			r.Also = &a
		}
		r.Text = r.sentence()
	}
	return r
}

// sentence writes a stand-alone rule as one line.
func (r Rule) sentence() string {
	text := fmt.Sprintf("%s %s %s over %s", r.Value, r.Op, strconv.FormatFloat(r.Limit, 'g', -1, 64), plan.FormatDuration(r.Over))
	if a := r.Also; a != nil {
		text = fmt.Sprintf("%s %s %s %s %s of %s %s %s over %s", r.Value, r.Op, strconv.FormatFloat(r.Limit, 'g', -1, 64), a.Join,
			a.Value, cmp.Or(a.Query, a.Of), a.Op, strconv.FormatFloat(a.Limit, 'g', -1, 64), plan.FormatDuration(r.Over))
	}
	if r.For > 0 {
		text += " for " + plan.FormatDuration(r.For)
	}
	if len(r.By) > 0 {
		text += " by " + strings.Join(r.By, ", ")
	}
	return text
}

// Complete fills in the defaults of a stand-alone rule and checks it; errors
// wrap ErrInvalid and say what to write.
func (r Rule) Complete() (Rule, error) {
	r = r.WithDefaults()
	bad := func(what, do string, args ...any) error {
		return fmt.Errorf("%w: %s: %s", ErrInvalid, fmt.Sprintf(what, args...), do)
	}
	switch {
	case !idForm.MatchString(r.ID):
		return r, bad("id %q", "use small letters, digits and -, a letter first, at most 60", r.ID)
	case len(r.Name) > 200 || len(r.Query) > maxText:
		return r, bad("name or query of %s", "at most 200 and 2000 bytes", r.ID)
	case !slices.Contains(datasets, r.Of):
		return r, bad("of %q", "use "+strings.Join(datasets, ", "), r.Of)
	case !valueForm.MatchString(r.Value):
		return r, bad("value %q", "use count(), count_unique(user), rate(), avg(FIELD) or p50, p75, p90, p95, p99 of a field", r.Value)
	case r.Of == "pages" && strings.HasPrefix(r.field(), "measurements."):
		return r, bad("value %q", "vitals of a page load change until it is sealed: write such a rule in a plan", r.Value)
	case !slices.Contains([]plan.Op{plan.GT, plan.GE, plan.LT, plan.LE}, r.Op):
		return r, bad("op %q", "use >, >=, < or <=", r.Op)
	case r.Critical != nil && !r.worse(*r.Critical, r.Limit):
		return r, bad("critical %v", "it must lie beyond limit", *r.Critical)
	case r.Resolve != nil && r.Op.Compare(*r.Resolve, r.Limit):
		return r, bad("resolve %v", "at that value the rule holds: take one at which it does not", *r.Resolve)
	case r.Over < MinOver || r.Over > MaxOver:
		return r, bad("over %s", "between 1m and 24h", r.Over)
	case min(r.For, r.ResolveAfter, r.Repeat, r.GroupWait, r.GroupInterval, r.NoDataAfter) < 0 || max(r.For, r.ResolveAfter, r.Repeat) > maxSpan:
		return r, bad("a duration of %s", "between 0 and 30d", r.ID)
	case !gradeForm.MatchString(r.Severity), r.Critical != nil && !gradeForm.MatchString(r.CriticalSeverity):
		return r, bad("severity of %s", "use p1, p2, p3 or p4", r.ID)
	case len(r.By) > maxBy:
		return r, bad("%d labels", "at most 4", len(r.By))
	case len(r.Notify) > maxNames || len(r.InhibitedBy) > maxNames:
		return r, bad("notify or inhibited_by of %s", "at most 20", r.ID)
	}
	for _, label := range r.By {
		if !labelForm.MatchString(label) {
			return r, bad("by %q", "use a field such as environment or tags[component]", label)
		}
	}
	for i, c := range r.Notify {
		if !addrForm.MatchString(c.Address) || len(c.Address) > 200 {
			return r, bad("notify %q", "write an address as in a plan, such as slack:#team or webhook:name", c.Address)
		}
		r.Notify[i].Name = cmp.Or(c.Name, c.Address)
	}
	if _, err := telemetry.ParseFilter(r.Query); err != nil {
		return r, fmt.Errorf("%w: query of %s: %w", ErrInvalid, r.ID, err)
	}
	return r, r.checkAlso()
}

// field is the field of a value such as p95(duration), "" for none.
func (r Rule) field() string {
	if m := valueForm.FindStringSubmatch(r.Value); m != nil {
		return m[3]
	}
	return ""
}

// Metric is what a stand-alone rule counts, in the words of a plan.
func (r Rule) Metric() *plan.Metric {
	m := &plan.Metric{Name: r.ID, Kind: plan.Count, Of: r.Of, Where: r.Query, Source: "telemetry"}
	switch name, _, _ := strings.Cut(r.Value, "("); name {
	case "count", "rate":
	case "count_unique":
		m.Kind = plan.Users
	case "avg":
		m.Kind, m.Field = plan.Average, r.field()
	default:
		q, _ := strconv.Atoi(strings.TrimPrefix(name, "p"))
		m.Kind, m.Q, m.Field = plan.Quantile, float64(q)/100, r.field()
	}
	return m
}

// Rate reports whether the value is a count by the minute.
func (r Rule) Rate() bool { return r.Value == "rate()" }

// worse reports whether a lies further beyond the limit than b.
func (r Rule) worse(a, b float64) bool {
	if r.Op == plan.LT || r.Op == plan.LE {
		return a < b
	}
	return a > b
}

// CountsOf names what a stand-alone rule counts: rules with the same name read
// the same counts, whatever their limits are.
func (r Rule) CountsOf() string {
	value := r.Value
	if r.Rate() {
		value = "count()"
	}
	return strings.Join([]string{r.Project, r.Environment, r.Of, value, r.Query, strings.Join(r.By, ",")}, "\n")
}

// worst returns the graver of two severities; p1 is the gravest, "" none.
func worst(a, b string) string {
	if a == "" || b != "" && b < a {
		return b
	}
	return a
}
