// Package plan is the plan file: its types, its parser with line-numbered
// errors, its lint, its defaults and its built-in metric vocabulary. The file
// format is described in docs/reference/plan.md.
//
// Parse reads a file into a Plan with every default filled in, or returns all
// errors that can be told without a server; Lint adds the warnings, and on a
// server's facts the rest. Timeline, RaiseOpen, StageWindow and CheckAt answer
// what the clock allows; Compare and Revise judge a revision; Show writes the
// plan out in full. All are pure: a Plan is never changed after Parse, and the
// time is always an argument. Only the IANA zone database is read, by Parse.
package plan

import (
	"time"

	"serin/internal/flag"
)

// Plan is a parsed plan with every default filled in. It is immutable once
// Parse has returned it and may be read by many goroutines.
type Plan struct {
	Name        string
	Title       string
	Owners      []string
	Environment string // D "production"
	Timezone    string // IANA name
	Location    *time.Location
	Start       time.Time // earliest start; zero = when a person starts it
	Target      Target
	Flag        Flag
	Scope       Scope
	Severity    []Severity         // p1..p4 in order, first that matches
	Metrics     map[string]*Metric // built in and own; every metric that a rule may name
	Judge       Judge
	Capacity    Capacity
	Roles       []Role // as written
	Channels    []Channel
	Calendar    Calendar
	Preflight   []Task
	Criteria    []Criteria
	Stages      []Stage
	Rollback    []*Rule
	Reduce      []*Rule
	Actions     Actions
	Cleanup     Cleanup
	AfterAlerts time.Duration // D 14 d
	Alerts      []Alert
	Incident    Incident
	Reports     []Report
	Dashboard   Dashboard

	File   string // the name of the file, for problems
	Source []byte // the file as read
	Hash   string // hex SHA-256 of Source
	// Positions are the places of the keys that were written, by path such
	// as "target.end" or "stages.2.bake".
	Positions map[string]Position
}

// Position is a place in the file, from 1. The zero Position is none.
type Position struct{ Line, Column int }

// Target is what was promised; only lint reads it. Zero times = not given.
type Target struct {
	Start, End time.Time
	Length     time.Duration
}

// Flag names the flag and who is asked.
type Flag struct {
	Key              string
	By               string // D "targetingKey"
	Env              string
	New, Old         string // variant names, D "new", "old"; for a boolean flag the names of true and false
	Audience         flag.Condition
	Include, Exclude flag.Subjects
	Holdback         flag.Percent
	Salt             string // D Key
}

// Scope is which telemetry counts. A nil Tags and Pages mean all of the audience's.
type Scope struct {
	Tags  map[string]string
	Pages []string
	Spans string // filter
}

// Severity grades error events.
type Severity struct {
	Name   string // p1..p4
	Filter string
}

// Kind is how a metric is computed.
type Kind string

// The kinds of metric.
const (
	Count    Kind = "count"    // number of Of that match Where
	Users    Kind = "users"    // distinct users of them
	Ratio    Kind = "ratio"    // Of and Per name two metrics
	Quantile Kind = "quantile" // Q of Field
	Average  Kind = "avg"
	Gauge    Kind = "gauge"
	Slope    Kind = "slope" // of metric Of, over Over, in % an hour
	Age      Kind = "age"
	Computed Kind = "computed" // adoption, concurrent, crash_free, logins, uptime: defined by name
)

// Metric is one definition of the vocabulary.
type Metric struct {
	Name    string
	Title   string // for people: "Page load (LCP) p75"
	Kind    Kind
	Of      string            // events issues spans (requests too) pages requests sessions feedback survey actions; for Ratio and Slope a metric's name; for Gauge the gauge or PromQL
	Per     string            // Ratio: the denominator metric
	Field   string            // Quantile, Average: measurements.lcp, duration, score ...; Age of a pushed value: the word that counts, "" = any
	Q       float64           // 0..1
	Where   string            // filter
	Source  string            // telemetry feedback survey usage prometheus probe push
	Query   string            // PromQL
	Queries map[string]string // PromQL for each user group, "new" and "old", in place of Query
	Unit    string            // "ms", "%", "B", "" ...: the unit of values, see Rule.Value
	Over    time.Duration
	UpGood  bool
	User    bool // per user group: can be compared with control (u); else system (s)
	Weight  float64
	Dry     bool
	All     bool // scope: all
	BuiltIn bool
	Line    int
}

// Judge is the judge's settings. Shares are ratios 0..1.
type Judge struct {
	FalseRollback float64       // D 0.01
	FalseProceed  float64       // D 0.05
	Margin        float64       // D 0.05
	Baseline      time.Duration // D 7 d
	EnoughUsers   int           // D 20
	EnoughFor     time.Duration // D 1 h
	NoData        NoData
	Inconclusive  Inconclusive
	Overrun       time.Duration // D 48 h
}

// NoData is what silence means.
type NoData struct {
	Grace time.Duration // D 10 m
	Then  string        // hold or rollback, D hold
	After time.Duration // D 1 h
	Page  string        // role; "" = the stage's owner
}

// Inconclusive is what an unknown criterion at the end of bake does.
type Inconclusive string

// The choices; D Ask.
const (
	Ask  Inconclusive = "ask"
	Hold Inconclusive = "hold"
	Pass Inconclusive = "pass"
)

// Capacity is the load expected at 100 %. Zero = not given.
type Capacity struct {
	Concurrent int
	Pool       int
	Per        string
}

// Role is a role and what it may do.
type Role struct {
	Name        string
	Who         string // "@person" or "pagerduty:schedule"
	Covers      time.Duration
	May         []string
	EscalatesTo string
	Does        []string
	Line        int
}

// Channel is a named place to tell people.
type Channel struct {
	Name    string
	Address string // "slack:#x", "dashboard" ...
	Line    int
}

// Calendar limits raises.
type Calendar struct {
	Raise  []Window
	Freeze []Freeze
}

// Window is a weekly window. Begin and End are minutes of the day, End up to 1440.
type Window struct {
	Text       string
	Days       [7]bool // by time.Weekday
	Begin, End int
}

// Freeze is a time without raises.
type Freeze struct {
	From, To time.Time
	Why      string
}

// Task is a checklist item of preflight or clean-up.
type Task struct {
	ID, Do, By   string
	Done         bool
	Verify       *Fact
	When         *When
	NotBefore    time.Duration
	HasNotBefore bool
	Choose       []Choice
	Irreversible bool
	Line         int
}

// Choice is one option of a task that chooses.
type Choice struct{ Key, Text string }

// When makes a task depend on a choice.
type When struct{ Task, Choice string }

// Fact is what a machine verifies: a rule over metrics, or a named fact with arguments.
type Fact struct {
	Text string
	Rule *Rule  // non-nil for a rule
	Name string // "flag exists", "path exists", "path gone", "refs gone", "role filled", "incidents closed", "pushed"
	Arg  string // path, symbol, role, pushed key
	Want string // pushed: the word
}

// FlagGone is the fact that code names a plan's flag no more. Every plan has
// it: it decides nothing, and says when the flag itself can go.
func FlagGone(p *Plan) *Fact {
	return &Fact{Text: "refs gone " + p.Flag.Key, Name: "refs gone", Arg: p.Flag.Key}
}

// Criteria is a named set.
type Criteria struct {
	Name  string
	Rules []*Rule // sets expanded, in order, each once
	Line  int
}

// Stage is one step of the ramp.
type Stage struct {
	Name         string
	Traffic      flag.Percent
	Bake         time.Duration
	Owner        []string
	Before       []string
	Approve      []string // roles, any of which; empty = none needed
	At           *Clock
	Checks       []Check
	Proceed      []*Rule
	Confirm      []string
	Early        *Early
	Inconclusive Inconclusive // the judge's unless overridden
	Line         int
}

// Clock is a daily window in the plan's zone, minutes of the day. An End past
// 1440 is on the next day.
type Clock struct {
	Text       string
	Begin, End int
}

// Early lets bake count as done.
type Early struct {
	After time.Duration
	At    *Clock
}

// Check is one entry of a stage's cadence; For 0 = to the end of the stage.
type Check struct {
	For, Every time.Duration
	Expect     []*Rule
	Line       int
}

// Actions are the lowering moves and the restart.
type Actions struct {
	RollbackWithin time.Duration // D 5 m
	ReduceTraffic  flag.Percent  // D 1 %
	ReduceWithin   time.Duration // D 15 m
	Revert         Revert
	RestartFrom    string // stage, D the first
	RestartAfter   time.Duration
	RestartNeeds   []string // cause, approval
}

// Revert is only shown.
type Revert struct {
	Show   []string
	Within time.Duration
	By     string
}

// Cleanup is what follows the last stage.
type Cleanup struct {
	Owner  string // the first of Owners
	Owners []string
	Within time.Duration
	Tasks  []Task
}

// Alert is an alert rule.
type Alert struct {
	Name     string
	If       *Rule
	Severity string
	Notify   []string
	Line     int
}

// Incident is the plan's incident block.
type Incident struct {
	OpenAlerts []string // severities: "p1" of "alert p1"
	Opens      []*Rule
	Severe     *Rule
	Respond    time.Duration // D 5 m
	Decide     time.Duration // D 15 m
	Act        time.Duration // D 30 m
	Steps      []string
	Tree       []Branch
	Close      []string
}

// Branch is one row of the decision tree.
type Branch struct {
	If      *Rule  // nil: always
	Do      string // rollback, reduce, pause, hold, hotfix
	Traffic flag.Percent
	Then    []Then
	Line    int
}

// Then is a text or a companion flag.
type Then struct{ Text, Flag, To string }

// Report is a scheduled report.
type Report struct {
	Name  string
	Daily *Clock
	Every time.Duration
	To    string
	Of    []string
}

// Dashboard is the plan's own panels and targets.
type Dashboard struct {
	Targets []Targets
	Panels  []Panel
}

// Targets are rules looked at every Every.
type Targets struct {
	Every time.Duration
	Rules []*Rule
}

// Panel is one chart.
type Panel struct {
	Title, Query, Metric, By string
	Compare                  time.Duration
	Line                     int
}

// Role returns the role called name.
func (p *Plan) Role(name string) (Role, bool) {
	for _, r := range p.Roles {
		if r.Name == name {
			return r, true
		}
	}
	return Role{}, false
}

// StageIndex returns the index of the stage called name, or -1.
func (p *Plan) StageIndex(name string) int {
	for i, s := range p.Stages {
		if s.Name == name {
			return i
		}
	}
	return -1
}

// Exposure is the share of the audience on the new variant in stage i: the
// stage's traffic, at most what the holdback leaves.
func (p *Plan) Exposure(i int) flag.Percent {
	return min(p.Stages[i].Traffic, flag.Everyone-p.Flag.Holdback)
}

// Split is the targeting of the plan's flag at an exposure.
func (p *Plan) Split(exposure flag.Percent) flag.Split {
	return flag.Split{
		Flag: p.Flag.Key, By: p.Flag.By, Salt: p.Flag.Salt, New: p.Flag.New, Old: p.Flag.Old,
		Exposure: exposure, Audience: p.Flag.Audience, Include: p.Flag.Include, Exclude: p.Flag.Exclude,
	}
}
