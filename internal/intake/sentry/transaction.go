package sentry

import (
	"maps"
	"strings"

	"serin/internal/intake/loosejson"
	"serin/internal/telemetry"
)

// Operations of segments (sentry-docs, span operations).
const (
	opPageload   = "pageload"
	opNavigation = "navigation"
	opServer     = "http.server"
)

// segmentKind is the kind of a transaction or segment; 0 = of no use here.
// http.client segments of node 11 are the calling side of requests: counting
// them would count those twice.
func segmentKind(op string) telemetry.Kind {
	switch op {
	case opPageload, opNavigation:
		return telemetry.KindPage
	case opServer:
		return telemetry.KindRequest
	default:
		return 0
	}
}

func isDB(op string) bool { return op == "db" || strings.HasPrefix(op, "db.") }

// transaction decodes a transaction and its db spans.
func (d *decoding) transaction(v loosejson.Value) {
	if d.second() {
		return
	}
	trace := v.At("contexts", "trace")
	op := d.text(firstPresent(trace.Get("op"), trace.At("data", "sentry.op")), maxTypeChars)
	e := d.newEvent(segmentKind(op))
	d.common(&e, v)
	e.Op, e.Segment = op, e.SpanID
	e.DurationMS = d.millis(v.Get("start_timestamp"), v.Get("timestamp"))
	e.SampleRate = d.rate(trace.At("data", "sentry.sample_rate"))
	if e.SampleRate == 0 {
		e.SampleRate = d.head.sampleRate
	}
	name := d.text(v.Get("transaction"), maxNameChars)
	setAttribute(&e, "transaction", name)
	switch e.Kind {
	case telemetry.KindPage:
		d.measurements(&e, v.Get("measurements"))
		source, _ := v.At("transaction_info", "source").Str()
		e.Page = pagePath(op, name, source, e.Page)
	case telemetry.KindRequest:
		status := d.responseStatus(v)
		if status == 0 {
			word, _ := trace.Get("status").Text()
			status = statusOf(word)
		}
		setStatus(&e, status)
		e.Culprit = name
	}
	if e.Kind != 0 {
		d.emit(e)
	} else {
		d.out.Skipped["transaction"]++
	}
	d.childSpans(e, v.Get("spans"))
}

// pagePath chooses between a transaction named by its URL and the path of
// request.url. A page load's URL is read when it ends, perhaps after the next
// navigation began, so its name is better; a navigation's name may be still
// the page it came from (measured with SDK 8), so its URL is better.
func pagePath(op, name, source, urlPath string) string {
	named := ""
	if strings.HasPrefix(name, "/") && (source == "url" || source == "") {
		named = name
	}
	if op == opPageload {
		return orElse(named, urlPath)
	}
	return orElse(urlPath, named)
}

// childSpans emits a transaction's db spans; they inherit who and where.
func (d *decoding) childSpans(parent telemetry.Event, spans loosejson.Value) {
	n := 0
	for s := range spans.Items() {
		if n++; n > maxSpans {
			d.invalid(invalidTooMany)
			continue
		}
		if op, _ := s.Get("op").Str(); isDB(op) {
			d.emit(d.childSpan(parent, s, op))
		}
	}
}

func (d *decoding) childSpan(parent telemetry.Event, s loosejson.Value, op string) telemetry.Event {
	e := parent
	e.Kind, e.Op = telemetry.KindSpan, cut(op, maxTypeChars)
	e.Attributes, e.Measurements, e.Status, e.Culprit = nil, nil, 0, ""
	e.Tags, e.Flags = maps.Clone(parent.Tags), maps.Clone(parent.Flags) // scrubbing changes maps in place
	e.Trace = orElse(d.hexID(s.Get("trace_id"), 32), parent.Trace)
	e.SpanID = d.hexID(s.Get("span_id"), 16)
	e.ID = spanID(e.Trace, e.SpanID)
	d.stamp(&e, s.Get("timestamp"))
	e.DurationMS = d.millis(s.Get("start_timestamp"), s.Get("timestamp"))
	setAttribute(&e, "transaction", parent.Attributes["transaction"])
	for key, value := range parent.Attributes {
		if strings.HasPrefix(key, "user.") {
			setAttribute(&e, key, value)
		}
	}
	for key, value := range s.Get("data").Fields() {
		attribute(&e, key, value)
	}
	return e
}

// spanID is the deduplication key of items that have no id of their own.
func spanID(trace, span string) string {
	if trace == "" || span == "" {
		return ""
	}
	return trace + "-" + span
}

// measurements reads {"lcp": {"value": 728, "unit": "millisecond"}}; values
// become milliseconds where the unit is a time. connection.rtt and
// ttfb.requestTime, which the SDK adds by itself, are left out.
func (d *decoding) measurements(e *telemetry.Event, v loosejson.Value) {
	for name, m := range v.Fields() {
		if name == "connection.rtt" || name == "ttfb.requestTime" {
			continue
		}
		value := m
		if m.Kind() == loosejson.Object {
			value = m.Get("value")
		}
		x, ok := value.Num()
		if !ok {
			d.invalid(invalidField)
			continue
		}
		unit, _ := m.Get("unit").Str()
		setMeasurement(e, name, x*millisPer(unit))
	}
}

func millisPer(unit string) float64 {
	switch unit {
	case "nanosecond":
		return 1e-6
	case "microsecond":
		return 1e-3
	case "second":
		return 1e3
	case "minute":
		return 60e3
	default: // millisecond, none, and units that are no time
		return 1
	}
}

func setMeasurement(e *telemetry.Event, name string, x float64) {
	if e.Measurements == nil {
		e.Measurements = map[string]float64{}
	}
	if len(e.Measurements) < maxMeasurements && x >= 0 {
		e.Measurements[strings.ToLower(cut(name, maxTypeChars))] = x
	}
}
