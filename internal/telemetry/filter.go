package telemetry

import (
	"fmt"
	"strings"
	"time"
)

// Record is what a Filter can be asked about. *Event is one; a list of issues
// brings its own.
type Record interface {
	// Field returns a text field by its search key; false = the record has
	// no such field. The key "is:STATUS" is present when the status applies.
	Field(key string) (string, bool)
	// Number returns a numeric field; durations are in milliseconds.
	Number(key string) (float64, bool)
	// Instant returns a date field.
	Instant(key string) (time.Time, bool)
}

// Filter is a compiled search text. The zero value matches everything. It is
// immutable and may be used by many goroutines.
//
// Text compares without case, except in fields that name one thing exactly
// (user, trace, release, paths). `*` stands for any characters.
type Filter struct {
	root node
}

// SyntaxError says where a search text is wrong and what to do about it.
type SyntaxError struct {
	Text   string
	Column int // 1-based, in characters
	What   string
	Do     string
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("filter %q, column %d: %s: %s", e.Text, e.Column, e.What, e.Do)
}

// Match reports whether e passes; now is what relative dates count from.
func (f Filter) Match(e *Event, now time.Time) bool { return f.MatchRecord(e, now) }

// MatchRecord is Match for any record.
func (f Filter) MatchRecord(r Record, now time.Time) bool {
	return f.root == nil || f.root.match(r, now)
}

// Empty reports whether the filter matches everything.
func (f Filter) Empty() bool { return f.root == nil }

// String returns the filter in canonical form; ParseFilter reads it back to
// an equal filter. It is "" for the zero value.
func (f Filter) String() string {
	if f.root == nil {
		return ""
	}
	var b strings.Builder
	f.root.write(&b, false)
	return b.String()
}

// Terms returns the parts that must all hold, each in canonical form; none
// when the text is no plain list of terms, for it has an OR at its top.
func (f Filter) Terms() []string {
	parts := all{f.root}
	switch n := f.root.(type) {
	case nil, some:
		return nil
	case all:
		parts = n
	}
	out := make([]string, len(parts))
	for i, p := range parts {
		var b strings.Builder
		p.write(&b, true)
		out[i] = b.String()
	}
	return out
}

// node is a part of the expression.
type node interface {
	match(r Record, now time.Time) bool
	// write appends the canonical form, in brackets when inner is true and the
	// part is more than one term.
	write(b *strings.Builder, inner bool)
}

type (
	all  []node // AND
	some []node // OR
	not  struct{ node }
)

func (n all) match(r Record, now time.Time) bool {
	for _, c := range n {
		if !c.match(r, now) {
			return false
		}
	}
	return true
}

func (n some) match(r Record, now time.Time) bool {
	for _, c := range n {
		if c.match(r, now) {
			return true
		}
	}
	return false
}

func (n not) match(r Record, now time.Time) bool { return !n.node.match(r, now) }

func writeJoined(b *strings.Builder, nodes []node, sep string, inner bool) {
	if inner {
		b.WriteByte('(')
	}
	for i, c := range nodes {
		if i > 0 {
			b.WriteString(sep)
		}
		c.write(b, true)
	}
	if inner {
		b.WriteByte(')')
	}
}

func (n all) write(b *strings.Builder, inner bool)  { writeJoined(b, n, " ", inner) }
func (n some) write(b *strings.Builder, inner bool) { writeJoined(b, n, " OR ", inner) }
func (n not) write(b *strings.Builder, _ bool)      { b.WriteByte('!'); n.node.write(b, true) }

// Graded is one grade of a severity scale.
type Graded struct {
	Name   string
	Filter Filter
}

// Grade returns the name of the first grade whose filter matches e, or "".
// Only error events are graded.
func Grade(scale []Graded, e *Event) string {
	if e.Kind != KindError {
		return ""
	}
	for _, g := range scale {
		if g.Filter.Match(e, e.Received) {
			return g.Name
		}
	}
	return ""
}
