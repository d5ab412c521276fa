package telemetry

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// fieldType says which values and operators a search key takes.
type fieldType uint8

const (
	textField     fieldType = iota // no order operators
	openField                      // any tag or attribute by bare name
	numberField                    // k, m, b are factors
	durationField                  // milliseconds; m is minutes
	dateField
)

var fieldTypes = map[string]fieldType{
	"duration": durationField, "transaction.duration": durationField, "span.duration": durationField,
	"http.status_code": numberField, "score": numberField,
	"errors": numberField, "users": numberField, "events": numberField,
	"measurements.cls": numberField,
	"timestamp":        dateField, "received": dateField, "firstSeen": dateField, "lastSeen": dateField,
	"level": textField, "error.unhandled": textField, "error.type": textField, "error.value": textField,
	"message": textField, "title": textField, "culprit": textField, "platform": textField, "release": textField,
	"environment": textField, "transaction": textField, "url": textField, "url.path": textField, "op": textField,
	"db.system": textField, "user.id": textField, "trace": textField, "kind": textField, "severity": textField,
	"sentiment": textField, "feature": textField, "source": textField, "id": textField, "issue": textField,
	"action": textField, "ok": textField, "session.status": textField, "type": textField, "span": textField,
}

// exactFields name one thing: they compare with case.
var exactFields = map[string]bool{
	"user.id": true, "trace": true, "span": true, "release": true, "url": true, "url.path": true, "id": true,
}

// aliases are the loose names of fields, lower case.
var aliases = map[string]string{
	"user": "user.id", "status": "http.status_code", "http.status": "http.status_code",
	"http.response.status_code": "http.status_code", "span.op": "op", "transaction.op": "op",
	"trace_id": "trace", "span_id": "span", "first_seen": "firstSeen", "last_seen": "lastSeen",
	"firstseen": "firstSeen", "lastseen": "lastSeen", "tags.environment": "environment",
	"measurements.largest_contentful_paint": "measurements.lcp", "measurements.first_contentful_paint": "measurements.fcp",
	"measurements.cumulative_layout_shift": "measurements.cls", "measurements.interaction_to_next_paint": "measurements.inp",
	"measurements.time_to_first_byte": "measurements.ttfb", "measurements.time_to_interactive": "measurements.tti",
	"lcp": "measurements.lcp", "fcp": "measurements.fcp", "cls": "measurements.cls", "inp": "measurements.inp",
	"ttfb": "measurements.ttfb", "tti": "measurements.tti",
}

// canonicalKey resolves aliases: tags.X is tags[X], long vital names are short.
func canonicalKey(key string) string {
	lower := strings.ToLower(key)
	if a, ok := aliases[lower]; ok {
		return a
	}
	if x, ok := cutFold(key, "tags."); ok && x != "" {
		return "tags[" + x + "]"
	}
	if _, ok := fieldTypes[lower]; ok {
		return lower
	}
	if strings.HasPrefix(lower, "measurements.") {
		return lower
	}
	return key
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

func typeOf(key string) fieldType {
	if t, ok := fieldTypes[key]; ok {
		return t
	}
	if strings.HasPrefix(key, "measurements.") {
		return durationField
	}
	if strings.HasPrefix(key, "tags[") {
		return textField
	}
	return openField
}

// Field returns a text field of the event by its search key: the fields of
// the search grammar, tags[NAME], and any attribute or tag by its bare name.
func (e *Event) Field(key string) (string, bool) {
	if name, ok := strings.CutPrefix(key, "tags["); ok {
		return e.tag(strings.TrimSuffix(name, "]"))
	}
	if s, known := e.builtin(key); known {
		return s, s != ""
	}
	if strings.HasPrefix(key, "measurements.") {
		v, ok := e.Number(key)
		return strconv.FormatFloat(v, 'f', -1, 64), ok
	}
	if s, ok := e.Attributes[key]; ok {
		return s, true
	}
	return e.tag(key)
}

// builtin returns the fields that are members of Event; known is false for
// other keys, whose value is an attribute or a tag.
func (e *Event) builtin(key string) (s string, known bool) {
	switch key {
	case "level":
		if e.Level == "" && e.Kind == KindError {
			return "error", true // INTAKE 6: an absent level is error
		}
		return e.Level, true
	case "error.unhandled":
		if e.Kind != KindError {
			return "", true
		}
		return strconv.FormatBool(e.Unhandled), true
	case "error.type":
		if e.Exception != nil {
			return e.Exception.Type, true
		}
	case "error.value":
		if e.Exception != nil {
			return e.Exception.Value, true
		}
	case "message":
		return e.Message, true
	case "title":
		return e.Title, true
	case "culprit":
		return e.Culprit, true
	case "platform":
		return e.Platform, true
	case "release":
		return e.Release, true
	case "environment":
		return e.Environment, true
	case "url":
		return e.URL, true
	case "url.path":
		return e.path(), true
	case "user.id":
		return e.user(), true
	case "trace":
		return e.Trace, true
	case "span":
		return e.SpanID, true
	case "id":
		return e.ID, true
	case "source":
		return e.Source, true
	case "type":
		return e.Kind.String(), true
	case "op":
		if e.Op == "" && e.Kind == KindRequest {
			return "http.server", true
		}
		return e.Op, true
	default:
		return e.derived(key)
	}
	return "", false
}

// derived returns fields that are computed from several members.
func (e *Event) derived(key string) (s string, known bool) {
	switch key {
	case "http.status_code":
		if e.Status != 0 {
			return strconv.Itoa(e.Status), true
		}
	case "kind":
		if s, ok := e.tag("kind"); ok || e.Kind != KindFeedback {
			return s, ok
		}
		return "complaint", true // INTAKE 10: feedback without a kind
	case "sentiment":
		if s, ok := e.tag("sentiment"); ok || e.Kind != KindFeedback {
			return s, ok
		}
		return sentiment(e.Tags["kind"]), true
	case "action":
		return e.Action, e.Kind == KindAction
	case "ok":
		return strconv.FormatBool(e.OK), e.Kind == KindAction
	case "session.status":
		if e.Session != nil {
			return e.Session.Status, true
		}
	case "duration", "transaction.duration", "span.duration", "score", "value":
		if v, ok := e.Number(key); ok {
			return strconv.FormatFloat(v, 'f', -1, 64), true
		}
	}
	return "", false
}

func sentiment(kind string) string {
	switch strings.ToLower(kind) {
	case "praise":
		return "positive"
	case "other":
		return "neutral"
	}
	return "negative"
}

func (e *Event) tag(name string) (string, bool) {
	if s, ok := e.Tags[name]; ok {
		return s, true
	}
	if s, ok := e.Attributes[name]; ok { // span attributes stand for tags
		return s, true
	}
	s, ok := e.Tags["tags."+name]
	return s, ok
}

// user is the id of the event's user, as it was sent; "" = none.
func (e *Event) user() string {
	if e.Key != "" {
		return e.Key
	}
	return e.name()
}

func (e *Event) path() string {
	if e.Page != "" || e.URL == "" {
		return e.Page
	}
	u, err := url.Parse(e.URL)
	if err != nil {
		return ""
	}
	return u.Path
}

// Number returns a numeric field: durations in milliseconds, a survey's score
// of 5, any field or tag whose text is a number.
func (e *Event) Number(key string) (float64, bool) {
	if name, ok := strings.CutPrefix(key, "measurements."); ok {
		v, ok := e.Measurements[name]
		return v, ok
	}
	switch key {
	case "duration", "transaction.duration", "span.duration":
		timed := e.Kind == KindPage || e.Kind == KindRequest || e.Kind == KindSpan
		return e.DurationMS, timed
	case "http.status_code":
		if e.Status != 0 {
			return float64(e.Status), true
		}
	case "score":
		return e.Value, e.Kind == KindSurvey
	case "value":
		return e.Value, e.Kind == KindSurvey || e.Kind == KindValue || e.Kind == KindLoss
	}
	s, known := "", false
	if s, known = e.Attributes[key], e.Attributes[key] != ""; !known {
		s, known = e.tag(strings.TrimSuffix(strings.TrimPrefix(key, "tags["), "]"))
	}
	if !known {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

// Instant returns the event's dates: timestamp (event time) and received.
func (e *Event) Instant(key string) (time.Time, bool) {
	switch key {
	case "timestamp":
		return e.Time, !e.Time.IsZero()
	case "received":
		return e.Received, !e.Received.IsZero()
	}
	return time.Time{}, false
}
