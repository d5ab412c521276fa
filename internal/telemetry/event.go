// Package telemetry is what serin knows about the things users' browsers and
// servers report: one Event type whatever protocol it came by, the arm of a
// rollout it belongs to, and search filters over it.
package telemetry

import "time"

// Arm is a side of a rollout. The zero value is Unknown.
type Arm uint8

// The arms.
const (
	Unknown Arm = iota
	Old         // control: the old variant
	New         // canary: the new variant
)

// String returns "unknown", "old" or "new".
func (a Arm) String() string { return [...]string{"unknown", "old", "new"}[a] }

// Kind says what an Event is.
type Kind uint8

// The kinds. Each names the fields of Event that it fills.
const (
	KindError    Kind = iota + 1 // an error or message event: Level, Exception, Message
	KindPage                     // a page load: Page, DurationMS, Measurements
	KindRequest                  // a server request (op http.server): DurationMS, Status
	KindSpan                     // any other span: Op, DurationMS
	KindSession                  // one session: Session
	KindFeedback                 // what a user told: Tags kind, severity, sentiment; Message
	KindSurvey                   // an answer: Value scaled to 5
	KindAction                   // usage: Action, OK
	KindExposure                 // a recorded flag evaluation: Flags
	KindVital                    // a late web vital to be joined to its page load: Measurements, JoinKeys
	KindCheckIn                  // a sign of life: check-in or heartbeat
	KindLoss                     // a client's report of lost data: Value events of Op lost, Message = reason
	KindValue                    // a pushed value: Op = name, Value
	KindMetric                   // a data point of OpenTelemetry: Op, Metric
)

var kindNames = [...]string{"unknown", "error", "page", "request", "span", "session", "feedback", "survey", "action", "exposure", "vital", "check_in", "loss", "value", "metric"}

// String returns the kind's lower-case name, "unknown" for no kind.
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		k = 0
	}
	return kindNames[k]
}

// Event is one thing reported. Decoders fill it; nobody changes it after it
// was handed to the evidence. Empty fields mean "not sent".
type Event struct {
	Kind     Kind
	Project  string
	ID       string    // deduplication key within the project; "" = none
	Source   string    // "sentry", "beacon", "otlp", "manual", "push"
	Time     time.Time // event time, clamped to received -30 d ... +1 min: charts
	Received time.Time // arrival, server time: rules and windows
	Late     bool      // stamped more than 10 min before arrival: charts only

	User        string // user.id: what the flag is hashed by
	SessionUser string // a session's did when User is empty
	// Key is what the flag is hashed by where User and SessionUser are
	// pseudonyms (Subjects); "" = User or SessionUser. It is never stored.
	Key         string `json:"-"`
	Environment string
	Release     string
	Platform    string
	Tags        map[string]string
	Flags       map[string]string // reported evaluations: flag key -> value or variant as sent
	Attributes  map[string]string // other searchable fields: user.role, error.type, http.status_code, db.system ...

	Page    string // path of the page, "/admin/users"
	URL     string
	Trace   string
	SpanID  string
	Segment string // id of the page-load segment this belongs to, if any

	Level       string // fatal error warning info debug log
	Title       string // "TypeError: x is undefined"
	Culprit     string // where: function or transaction
	Message     string
	Exception   *Exception
	Fingerprint []string
	Unhandled   bool
	Breadcrumbs []Breadcrumb `json:",omitempty"` // what happened before the error, oldest first

	Op           string
	DurationMS   float64
	Status       int                // HTTP status; 0 = unknown
	Measurements map[string]float64 // lcp, fcp, cls, tti, inp, ttfb ... ms; cls without unit

	Session *Session
	Action  string // login, open ...
	OK      bool
	Value   float64
	// Weight is how many requests or spans the record stands for; 0 = itself alone.
	Weight int64   `json:",omitempty"`
	Metric *Metric `json:",omitempty"`
	// SampleRate is the client's rate for this record, 0 = not told. Display only.
	SampleRate float64
	// Claimed is true when the record came with a publishable key alone.
	Claimed bool
}

// Exception is the main exception of an error event, for grouping and display.
type Exception struct {
	Type, Value string
	Frames      []Frame // caller first, crash frame last
}

// Frame is one stack frame.
type Frame struct {
	Function, Module, File string
	Line, Column           int
	InApp                  bool
	// Debug is the debug id of the file (a UUID in lower case with dashes) that
	// names its source map; "" = not told.
	Debug string `json:",omitempty"`
	// Source is the line's text with the lines around it, where they are known.
	Source *Source `json:",omitempty"`
}

// Source is a line of code and its surroundings.
type Source struct {
	Before []string `json:",omitempty"`
	Line   string
	After  []string `json:",omitempty"`
}

// Breadcrumb is one thing that happened before an error.
type Breadcrumb struct {
	Time     time.Time `json:",omitzero"` // by the client's clock
	Category string    // "navigation", "fetch", "ui.click" ...
	Level    string    // as of an event; "" = info
	Message  string
}

// Session is a release-health session, or one bucket of an aggregate.
type Session struct {
	ID     string // "" for an aggregate
	Status string // ok exited errored abnormal unhandled crashed
	Errors int
	Count  int // sessions in this bucket; 1 for a single session
}
