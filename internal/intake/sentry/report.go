package sentry

import (
	"strings"

	"serin/internal/intake/loosejson"
	"serin/internal/telemetry"
)

// Kinds of feedback and how they feel; a kind that is not listed is a
// complaint, as are all reports without the tag kind.
var sentiments = map[string]string{
	"complaint": "negative", "failure": "negative", "revert_request": "negative",
	"escalation": "negative", "praise": "positive", "other": "neutral",
}

// grade sets the tags kind and sentiment that feedback is searched by, and
// severity if the tag critical is true.
func grade(e *telemetry.Event) {
	if e.Tags == nil {
		e.Tags = map[string]string{}
	}
	kind := strings.ToLower(e.Tags["kind"])
	if sentiments[kind] == "" {
		kind = "complaint"
	}
	e.Tags["kind"], e.Tags["sentiment"] = kind, sentiments[kind]
	if e.Tags["critical"] == "true" {
		e.Tags["severity"] = "critical"
	}
}

// feedback decodes an event with contexts.feedback.
func (d *decoding) feedback(v loosejson.Value) {
	e := d.newEvent(telemetry.KindFeedback)
	d.common(&e, v)
	f := v.At("contexts", "feedback")
	e.Message = d.text(firstPresent(f.Get("message"), v.Get("message")), maxMessageChars)
	e.Title = firstLine(e.Message)
	if e.Page == "" {
		e.URL = d.text(f.Get("url"), maxURLChars)
		e.Page = pathOf(e.URL)
	}
	setAttribute(&e, "associated_event_id", d.id(f.Get("associated_event_id")))
	grade(&e)
	d.emit(e)
}

// userReport decodes the feedback of older SDKs. Its event_id is the id of
// the error it speaks of, so its own gets a prefix.
func (d *decoding) userReport(v loosejson.Value) {
	e := d.newEvent(telemetry.KindFeedback)
	about := orElse(d.id(v.Get("event_id")), d.head.eventID)
	if about != "" {
		e.ID = "report-" + about
		if d.out.ID == "" {
			d.out.ID = about
		}
	}
	e.Release, e.Environment, e.Trace = d.head.release, d.head.environment, d.head.trace
	e.Message = d.text(v.Get("comments"), maxMessageChars)
	e.Title = firstLine(e.Message)
	setAttribute(&e, "associated_event_id", about)
	grade(&e)
	d.emit(e)
}

// checkIn decodes a monitor's sign of life. in_progress and the later ok or
// error share an id, so the status is part of the deduplication key.
func (d *decoding) checkIn(v loosejson.Value) {
	e := d.newEvent(telemetry.KindCheckIn)
	status := d.text(v.Get("status"), maxTypeChars)
	if id := d.text(v.Get("check_in_id"), maxTypeChars); id != "" && strings.Trim(id, "0-") != "" {
		e.ID = "check-in-" + id + "-" + status
	}
	e.Op = d.text(v.Get("monitor_slug"), maxNameChars)
	e.OK = status != "error"
	e.DurationMS = max(0, d.num(v.Get("duration"))*1e3)
	e.Release = orElse(d.text(v.Get("release"), maxNameChars), d.head.release)
	e.Environment = orElse(d.text(v.Get("environment"), maxNameChars), d.head.environment)
	e.Trace = orElse(d.hexID(v.At("contexts", "trace", "trace_id"), 32), d.head.trace)
	setAttribute(&e, "status", status)
	d.emit(e)
}

// lossReasons are the reasons of a client report that mean data was lost.
// The others (sample_rate, before_send, event_processor, no_parent_span ...)
// are the application's own wish. Source: sentry-docs, telemetry/client-reports.
var lossReasons = map[string]bool{
	"queue_overflow": true, "cache_overflow": true, "ratelimit_backoff": true, "network_error": true,
	"send_error": true, "internal_sdk_error": true, "backpressure": true,
}

// clientReport decodes what a client lost: Op is the category, Value the
// quantity, Message the reason.
func (d *decoding) clientReport(v loosejson.Value) {
	const maxRows = 100
	n := 0
	for row := range v.Get("discarded_events").Items() {
		if n++; n > maxRows {
			d.invalid(invalidTooMany)
			continue
		}
		reason := d.text(row.Get("reason"), maxTypeChars)
		if !lossReasons[reason] {
			d.out.Skipped["client_report"]++
			continue
		}
		e := d.newEvent(telemetry.KindLoss)
		d.stamp(&e, v.Get("timestamp"))
		e.Op = d.text(row.Get("category"), maxTypeChars)
		e.Value = min(max(d.num(row.Get("quantity")), 0), maxReportQuantity)
		e.Message = reason
		e.Release, e.Environment = d.head.release, d.head.environment
		d.emit(e)
	}
	if n == 0 {
		d.out.Skipped["client_report"]++
	}
}
