package telemetry

import (
	"fmt"
	"slices"
	"strings"
)

// Holds reports whether records of a kind are of the dataset. Issues are kept
// elsewhere: they hold none.
func (d Dataset) Holds(k Kind) bool {
	switch d {
	case Events:
		return k == KindError
	case PageLoads:
		return k == KindPage
	case Requests:
		return k == KindRequest
	case Sessions:
		return k == KindSession
	case Feedback:
		return k == KindFeedback || k == KindSurvey
	}
	return false
}

// datasetWords name what a dataset holds, many of them.
var datasetWords = map[Dataset]string{
	Events: "events", IssueList: "issues", PageLoads: "page loads", Requests: "requests", Sessions: "sessions", Feedback: "feedback",
}

// quantiles are the shares below the values that aggregates name.
var quantiles = map[string]float64{"p50": .5, "p75": .75, "p90": .9, "p95": .95, "p99": .99}

// Quantile is the share of values below the aggregate's, 0.75 for p75; false
// for one that is no quantile.
func (a Aggregate) Quantile() (q float64, ok bool) {
	q, ok = quantiles[a.Fn]
	return q, ok
}

// Measures reports whether the aggregate is of a field's values.
func (a Aggregate) Measures() bool { return a.Fn == "avg" || quantiles[a.Fn] > 0 }

// CountsUsers reports whether distinct users are asked for.
func (a Aggregate) CountsUsers() bool { return a.Fn == "count_unique" }

// Base is the query's filter without its limits on measurements, of which a
// count of page loads is told as a share; false for a query that tells none.
func (q Query) Base() (Filter, bool) {
	if q.Dataset != PageLoads || q.Aggregate.Fn != "count" || q.measured() == "" {
		return Filter{}, false
	}
	terms := all{q.Filter.root}
	if list, ok := q.Filter.root.(all); ok {
		terms = list
	}
	kept := slices.DeleteFunc(slices.Clone(terms), func(t node) bool {
		n, ok := t.(*numberTerm)
		return ok && strings.HasPrefix(n.key, "measurements.")
	})
	if len(kept) == 0 {
		return Filter{}, true
	}
	return Filter{root: kept}, true
}

// Words says in a sentence how the query is read.
func (q Query) Words() string {
	var b strings.Builder
	records := datasetWords[q.Dataset]
	field := strings.TrimPrefix(q.Aggregate.Field, "measurements.")
	switch share, quantile := q.Aggregate.Quantile(); {
	case quantile:
		fmt.Fprintf(&b, "%.0fth percentile of %s of %s", share*100, field, records)
	case q.Aggregate.Fn == "avg":
		fmt.Fprintf(&b, "mean %s of %s", field, records)
	case q.Aggregate.CountsUsers():
		b.WriteString("users of " + records)
	default:
		b.WriteString(records)
	}
	if !q.Filter.Empty() {
		b.WriteString(" with " + q.Filter.String())
	}
	for i, key := range q.By {
		b.WriteString([]string{", grouped by ", " and "}[min(i, 1)] + keyWords(key))
	}
	if _, shared := q.Base(); shared {
		b.WriteString(", and their share of all loads")
	}
	return b.String()
}

// keyWords names a search key for people.
func keyWords(key string) string {
	if tag, ok := strings.CutPrefix(key, "tags["); ok {
		return "tag " + strings.TrimSuffix(tag, "]")
	}
	return key
}
