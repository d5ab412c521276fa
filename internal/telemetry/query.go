package telemetry

import (
	"slices"
	"strings"
	"time"
)

// Dataset says what a Query counts.
type Dataset string

// The datasets.
const (
	Events    Dataset = "events" // errors and messages
	IssueList Dataset = "issues" // groups of errors
	PageLoads Dataset = "pageloads"
	Requests  Dataset = "requests" // of servers
	Sessions  Dataset = "sessions"
	Feedback  Dataset = "feedback" // and answers to surveys
)

// Aggregate is what a Query tells of the records it finds.
type Aggregate struct {
	Fn    string // count, count_unique, avg, p50, p75, p90, p95, p99
	Field string // of count_unique: user.id; of avg and quantiles: the field in milliseconds
}

// String is the aggregate as it is written: count(), p75(measurements.lcp).
func (a Aggregate) String() string { return a.Fn + "(" + a.Field + ")" }

// What a Compare: clause compares with, in canonical form.
const (
	CompareControl = "canary vs control"
	CompareStage   = "stage start vs before"
)

// Query is a compiled panel query: a search with the clauses around it. The
// zero value counts all error events. It is immutable.
type Query struct {
	Dataset   Dataset
	Filter    Filter
	Aggregate Aggregate
	By        []string // search keys; empty = no groups
	Grouped   bool     // By was written, not inferred
	// Earlier is the age of the time that is compared with; 0 = none asked for.
	Earlier time.Duration
	Against string // CompareControl, CompareStage or ""
	Notes   []Translation

	keys    []foundKey
	implied bool // the fields tell the dataset
	told    bool // the aggregate was written
}

// Translation is a loose form and what it was read as.
type Translation struct {
	Column   int // 1-based, in characters
	From, To string
}

// String returns the query in canonical form, which ParseQuery reads back. It
// leaves out a dataset, an aggregate and groups that follow from the search.
func (q Query) String() string {
	parts := make([]string, 0, 6)
	named := q.Dataset != Events && q.Dataset != "" && !q.implied
	if named {
		parts = append(parts, string(q.Dataset)+" WHERE")
	}
	if !q.Filter.Empty() {
		text := q.Filter.String()
		if _, either := q.Filter.root.(some); either && named {
			text = "(" + text + ")"
		}
		parts = append(parts, text)
	}
	if q.Grouped || q.told && (q.Aggregate.Fn != "count" || q.measured() != "") {
		parts = append(parts, q.Aggregate.String())
	}
	if q.Grouped {
		quoted := make([]string, len(q.By))
		for i, k := range q.By {
			quoted[i] = quoteKey(k)
		}
		parts = append(parts, "group by "+strings.Join(quoted, ", "))
	}
	switch {
	case q.Against != "":
		parts = append(parts, "Compare: "+q.Against)
	case q.Earlier > 0:
		parts = append(parts, "Compare: "+formatAge(float64(q.Earlier.Milliseconds())))
	}
	return strings.Join(parts, " ")
}

// measured is the one measurement that the filter limits, or "".
func (q Query) measured() string {
	found := ""
	for _, k := range q.keys {
		if !strings.HasPrefix(k.key, "measurements.") || k.key == found {
			continue
		}
		if found != "" {
			return ""
		}
		found = k.key
	}
	return found
}

// limitedAbove reports whether a top-level term of the filter limits field
// from above.
func (f Filter) limitedAbove(field string) bool {
	terms := all{f.root}
	if list, ok := f.root.(all); ok {
		terms = list
	}
	return slices.ContainsFunc(terms, func(t node) bool {
		n, ok := t.(*numberTerm)
		return ok && n.key == field && (n.op == "<" || n.op == "<=")
	})
}

// ByName is the search key that a bare name in a plan's `by` stands for: a
// field of that name, else the tag.
func ByName(name string) string {
	key := canonicalKey(strings.TrimSpace(name))
	if strings.HasPrefix(key, "tags[") || strings.HasPrefix(key, "measurements.") {
		return key
	}
	if _, known := fieldTypes[key]; known {
		return key
	}
	return "tags[" + key + "]"
}
