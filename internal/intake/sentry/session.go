package sentry

import (
	"serin/internal/intake/loosejson"
	"serin/internal/telemetry"
)

// sessionStatuses are the statuses of release health, best first, as they
// rank when updates of one session come out of order. SDK 11 says unhandled
// where older ones say crashed. Source: sentry-docs, telemetry/sessions.
var sessionStatuses = []string{"ok", "exited", "errored", "abnormal", "unhandled", "crashed"}

func isSessionStatus(s string) bool {
	for _, known := range sessionStatuses {
		if s == known {
			return true
		}
	}
	return false
}

// hasErrors reports whether a session of this status had an error, whatever
// its counter says.
func hasErrors(status string) bool {
	return status == "errored" || status == "unhandled" || status == "crashed"
}

// session decodes one update of a session. It has no ID to deduplicate by:
// updates come out of order and twice, and whoever keeps sessions joins them
// by Session.ID, keeping the worse status.
func (d *decoding) session(v loosejson.Value) {
	if d.sessions++; d.sessions > maxSessions {
		d.invalid(invalidTooMany)
		return
	}
	status := d.text(v.Get("status"), maxTypeChars)
	if status == "" {
		status = "ok"
	}
	sid := d.text(v.Get("sid"), maxTypeChars)
	if sid == "" || !isSessionStatus(status) {
		d.invalid(invalidSession)
		return
	}
	e := d.sessionEvent(v)
	d.stamp(&e, firstPresent(v.Get("timestamp"), v.Get("started")))
	e.SessionUser = d.text(v.Get("did"), maxNameChars)
	e.DurationMS = max(0, d.num(v.Get("duration"))*1e3)
	errors := int(min(max(d.num(v.Get("errors")), 0), maxReportQuantity))
	if hasErrors(status) {
		errors = max(errors, 1)
	}
	e.Session = &telemetry.Session{ID: sid, Status: status, Errors: errors, Count: 1}
	d.emit(e)
}

func (d *decoding) sessionEvent(v loosejson.Value) telemetry.Event {
	e := d.newEvent(telemetry.KindSession)
	attrs := v.Get("attrs")
	e.Release = d.text(attrs.Get("release"), maxNameChars)
	e.Environment = d.text(attrs.Get("environment"), maxNameChars)
	if e.Release == "" {
		d.invalid(invalidField) // required, but crash-free rates do without
	}
	return e
}

// sessionAggregates decodes counts per minute, as servers send them: one
// event for each status that occurred in a bucket.
func (d *decoding) sessionAggregates(v loosejson.Value) {
	n := 0
	for bucket := range v.Get("aggregates").Items() {
		if n++; n > maxBuckets {
			d.invalid(invalidTooMany)
			continue
		}
		for _, status := range sessionStatuses {
			count := int(min(max(d.num(bucket.Get(status)), 0), maxReportQuantity))
			if count == 0 || status == "ok" {
				continue
			}
			e := d.sessionEvent(v)
			d.stamp(&e, bucket.Get("started"))
			e.SessionUser = d.text(bucket.Get("did"), maxNameChars)
			e.Session = &telemetry.Session{Status: status, Count: count}
			if hasErrors(status) {
				e.Session.Errors = count
			}
			d.emit(e)
		}
	}
}
