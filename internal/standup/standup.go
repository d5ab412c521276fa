// Package standup builds the reports that a plan asks for under `reports`: the
// daily stand-up, the review of the last hours, and the notice that closes a
// rollout. It is pure: Slots says when a report is due in the plan's zone,
// Build makes a Report of Facts, and Report writes itself as text, for
// messages, and as Markdown.
//
// A report is of a span (From, To] and of how the rollout stood at At. It does
// not change any more once it was built: what people decide afterwards is kept
// beside it.
//
// Which sections a report has is the plan's word, `of`; without it a daily
// report has those of a stand-up and any other those of a review. A word that
// is none of Sections is named in the report rather than passed over.
//
// What counts as a spike or a slow-down is said in trend.go; both are for
// reading and move no traffic. A number that nobody measured is missing, never
// zero.
package standup

import (
	"slices"
	"strings"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// Kind is what a report is for.
type Kind string

// The kinds.
const (
	Daily  Kind = "stand-up" // once a day: with a decision
	Review Kind = "review"   // every so often: what is new since the last one
	Final  Kind = "final"    // the rollout is over
)

// KindOf is the kind of a plan's report.
func KindOf(r plan.Report) Kind {
	if r.Daily != nil {
		return Daily
	}
	return Review
}

// Section is a part of a report, as `of` names it.
type Section string

// The sections.
const (
	Metrics    Section = "metrics"
	Severe     Section = "p1 and p2"
	Complaints Section = "complaints"
	Incidents  Section = "incidents"
	Decision   Section = "decision"
	NewIssues  Section = "new issues"
	Spikes     Section = "spikes"
	Sentiment  Section = "sentiment"
	SlowDowns  Section = "slow-downs"
)

// Sections are all of them, in the order in which a report has them.
var Sections = []Section{Metrics, Severe, NewIssues, Spikes, SlowDowns, Complaints, Sentiment, Incidents, Decision}

// usual are the sections of a report that names none.
var usual = map[Kind][]Section{
	Daily:  {Metrics, Severe, NewIssues, Complaints, Incidents, Decision},
	Review: {NewIssues, Spikes, SlowDowns, Sentiment},
}

// SectionsOf are the sections that a report asks for, in the order of
// Sections, and the words of `of` that are none.
func SectionsOf(r plan.Report) (list []Section, unknown []string) {
	asked := map[Section]bool{}
	for _, word := range r.Of {
		s := Section(strings.ToLower(strings.Join(strings.Fields(word), " ")))
		if s == "complaints/feedback" || s == "feedback" {
			s = Complaints
		}
		if !slices.Contains(Sections, s) {
			unknown = append(unknown, word)
			continue
		}
		asked[s] = true
	}
	if len(r.Of) == 0 {
		for _, s := range usual[KindOf(r)] {
			asked[s] = true
		}
	}
	for _, s := range Sections {
		if asked[s] {
			list = append(list, s)
		}
	}
	return list, unknown
}

// Report is one report. It is a snapshot: nobody changes it. Sections that were
// not asked for are empty; Has tells them from those in which nothing was found.
type Report struct {
	ID       string         `json:"id"`
	Kind     Kind           `json:"kind"`
	Name     string         `json:"name"` // in the plan
	Project  string         `json:"project"`
	Rollout  string         `json:"rollout"`
	Plan     string         `json:"plan"`
	Title    string         `json:"title"` // of the plan
	Timezone string         `json:"timezone" doc:"of the plan; all times here are UTC"`
	Day      string         `json:"day" doc:"in that zone, such as 2025-02-21"`
	Due      time.Time      `json:"due"`
	At       time.Time      `json:"at" doc:"when it was made: the rollout stood so then"`
	From     time.Time      `json:"from"`
	To       time.Time      `json:"to"`
	Late     string         `json:"late,omitempty" doc:"why it came late, and which reports before it were not made"`
	Status   rollout.Status `json:"status"`
	Stage    string         `json:"stage"`
	Exposure float64        `json:"exposure" doc:"percent of the audience on new"`
	Sections []Section      `json:"sections"`
	Unknown  []string       `json:"unknown,omitempty" doc:"words of 'of' that are no section"`
	Headline string         `json:"headline"`

	Metrics   []Row      `json:"metrics,omitempty"`
	Severe    []Row      `json:"severe,omitempty"`
	Feedback  []Row      `json:"feedback,omitempty" doc:"complaints, or sentiment"`
	Issues    []Issue    `json:"issues,omitempty" doc:"seen for the first time, and on new"`
	Spikes    []Spike    `json:"spikes,omitempty"`
	Slow      []Slow     `json:"slow,omitempty"`
	Incidents []Incident `json:"incidents,omitempty" doc:"open ones"`
	Moves     []Move     `json:"moves,omitempty" doc:"what moved the rollout in the time of the report, oldest first"`
	Decision  *Question  `json:"decision,omitempty"`
	Against   string     `json:"against,omitempty" doc:"what spikes and slow-downs were compared with"`
	// Outcome, Summary and Link are those of a final report.
	Outcome string   `json:"outcome,omitempty"`
	Summary []string `json:"summary,omitempty"`
	Link    string   `json:"link,omitempty"`
}

// Ungated are the severe errors that are not among the metrics of the gates,
// so that nothing is shown twice.
func (r Report) Ungated() []Row {
	return slices.DeleteFunc(slices.Clone(r.Severe), func(x Row) bool {
		return slices.ContainsFunc(r.Metrics, func(m Row) bool { return m.Metric == x.Metric })
	})
}

// Has reports whether the report has a section.
func (r Report) Has(s Section) bool { return slices.Contains(r.Sections, s) }

// Row is a metric over the time of the report, of users on the new variant as
// fixed limits count them. Nil is not measured.
type Row struct {
	Metric  string   `json:"metric"`
	Title   string   `json:"title"`
	Unit    string   `json:"unit,omitempty"`
	Now     *float64 `json:"now"`
	Before  *float64 `json:"before" doc:"over as long a time before"`
	Control *float64 `json:"control" doc:"of users on the old variant; counts are not scaled to the size of the arm"`
	Rule    string   `json:"rule,omitempty" doc:"the gate of the stage on this metric"`
	Word    string   `json:"word,omitempty" doc:"met, not met, unknown"`
	Why     string   `json:"why,omitempty" doc:"of the verdict, or why nothing was measured"`
}

// Issue is a group of errors.
type Issue struct {
	ID     string    `json:"id"`
	Title  string    `json:"title"`
	Level  string    `json:"level"`
	First  time.Time `json:"first" doc:"on the new variant"`
	Events int64     `json:"events" doc:"on the new variant"`
	Users  int64     `json:"users"`
}

// Spike is a kind of error that came more often than before.
type Spike struct {
	What   string        `json:"what"` // title of a metric, or of an issue
	Issue  string        `json:"issue,omitempty"`
	Events int64         `json:"events"` // in the time of the report
	Before int64         `json:"before"` // in the time that it is compared with
	Over   time.Duration `json:"over" doc:"how long that was, in nanoseconds"`
	Factor float64       `json:"factor" doc:"by which the rate rose; 0 = there were none before"`
}

// Slow is a metric of time that got worse.
type Slow struct {
	Metric  string   `json:"metric"`
	Title   string   `json:"title"`
	Unit    string   `json:"unit"`
	Now     float64  `json:"now"`
	Before  float64  `json:"before"`
	Change  float64  `json:"change" doc:"as a share: 0.1 = 10% slower"`
	Control *float64 `json:"control,omitempty" doc:"change of the old variant in the same time"`
}

// Incident is one that is open.
type Incident struct {
	ID       string    `json:"id"`
	Title    string    `json:"title"`
	Severity string    `json:"severity"`
	Opened   time.Time `json:"opened"`
	Needs    string    `json:"needs,omitempty"` // acknowledge, decide; "" = somebody is on it
}

// Move is an entry of the journal in words.
type Move struct {
	At   time.Time `json:"at"`
	By   string    `json:"by,omitempty"` // "" = serin
	Text string    `json:"text"`
}

// Advice is what serin would do.
type Advice string

// The advices.
const (
	AdviseProceed  Advice = "proceed"
	AdviseHold     Advice = "hold"
	AdviseRollback Advice = "roll back"
)

// Question is what is to be decided.
type Question struct {
	Text   string `json:"text"` // "10% to 25%"
	Advice Advice `json:"advice"`
	Why    string `json:"why"`
	Needs  []Need `json:"needs,omitempty"` // what only a person can give
	// Version is of the rollout as the report saw it.
	Version int64 `json:"version"`
}

// Need is something that waits for a person.
type Need struct {
	Kind string       `json:"kind"` // of rollout.Waiting
	Text string       `json:"text"`
	Verb rollout.Verb `json:"verb,omitempty"` // that gives it; "" = it is given elsewhere
}

// Facts are what a report is made of.
type Facts struct {
	Plan     *plan.Plan
	Report   plan.Report
	Slot     Slot
	At       time.Time // now
	Standing Standing
	Measure  Measure
	Issues   []IssueFacts // of the rollout
	Open     []Incident   // incidents of the rollout
	Journal  []rollout.Event
}

// Standing is how a rollout stands.
type Standing struct {
	ID, Project string
	State       rollout.State
	Waiting     []rollout.Waiting
	Proceed     []judge.Verdict
	Rollback    []judge.Verdict
	Checklist   []string // open items, before the start
	Next        string   // what the next stage is: "25%"; "" = there is none
}

// Measured is a metric over a span. Nil is not measured.
type Measured struct {
	New, Control *float64
	N            int64  // events of New
	Silent       string // why nothing can be told: nothing was ever delivered; "" = it was
}

// Measure reads a metric over (from, to].
type Measure func(metric string, from, to time.Time) Measured

// IssueFacts is an issue with what spikes are found by.
type IssueFacts struct {
	Issue
	Seen  time.Time // for the first time, anywhere
	Last  time.Time
	Hours []int64 // events by the hour (UTC) up to that of Last, oldest first
}
