package sentry

import (
	"strings"

	"serin/internal/intake/loosejson"
	"serin/internal/telemetry"
)

// span decodes one span item of version 1: SDKs 8 to 10 send INP so, and with
// their standalone option CLS and LCP. It has neither user nor flags: its
// page load is found by Segment or else by Trace.
func (d *decoding) span(v loosejson.Value) {
	op := d.text(v.Get("op"), maxTypeChars)
	data := v.Get("data")
	e := d.newEvent(telemetry.KindSpan)
	e.Op = op
	e.Trace = orElse(d.hexID(v.Get("trace_id"), 32), d.head.trace)
	e.SpanID = d.hexID(v.Get("span_id"), 16)
	e.ID = spanID(e.Trace, e.SpanID)
	d.stamp(&e, v.Get("timestamp"))
	e.DurationMS = d.millis(v.Get("start_timestamp"), v.Get("timestamp"))
	e.User = d.text(data.Get("user.id"), maxNameChars)
	e.Release = orElse(d.text(firstPresent(data.Get("release"), data.Get("sentry.release")), maxNameChars), d.head.release)
	e.Environment = orElse(d.text(firstPresent(data.Get("environment"), data.Get("sentry.environment")), maxNameChars), d.head.environment)
	e.SampleRate = d.rate(data.Get("sentry.sample_rate"))
	if e.SampleRate == 0 {
		e.SampleRate = d.head.sampleRate
	}
	e.Segment = d.joinKey(e.SpanID, data.Get("sentry.pageload.span_id"), v.Get("segment_id"))
	for key, value := range data.Fields() {
		attribute(&e, key, value)
	}
	name := d.text(data.Get("transaction"), maxNameChars)
	setAttribute(&e, "transaction", name)
	if strings.HasPrefix(name, "/") {
		e.Page = name
	}
	d.measurements(&e, v.Get("measurements"))
	switch {
	case len(e.Measurements) > 0 && isVital(op):
		e.Kind = telemetry.KindVital
		d.emit(e)
	case isDB(op):
		d.emit(e)
	default:
		d.out.Skipped["span"]++
	}
}

// joinKey is the id of the page-load segment: the first that is given and is
// not the span itself.
func (d *decoding) joinKey(self string, candidates ...loosejson.Value) string {
	for _, c := range candidates {
		if id := d.hexID(c, 16); id != "" && id != self {
			return id
		}
	}
	return ""
}

func isVital(op string) bool {
	return strings.HasPrefix(op, "ui.webvital.") || strings.HasPrefix(op, "ui.interaction")
}

// spanContainer decodes {"version": 2, "items": [...]}, which holds all
// performance data of SDK 11. Flags sit on the segment or on the span that
// was active when a flag was evaluated, so those of one segment are shared by
// its spans in the same container.
func (d *decoding) spanContainer(v loosejson.Value) {
	flags := map[string]map[string]string{} // by segment id
	first := len(d.out.Events)
	n := 0
	for s := range v.Get("items").Items() {
		if n++; n > maxSpans {
			d.invalid(invalidTooMany)
			continue
		}
		if len(s.Raw()) > maxItemBytes {
			d.invalid(invalidTooLarge)
			continue
		}
		if s.Kind() != loosejson.Object {
			d.invalid(invalidField)
			continue
		}
		d.spanV2(s, flags)
	}
	for i := first; i < len(d.out.Events); i++ {
		e := &d.out.Events[i]
		for flag, value := range flags[e.Segment] {
			if _, own := e.Flags[flag]; !own {
				setFlag(e, flag, value)
			}
		}
	}
}

// spanV2 decodes one span of a container.
func (d *decoding) spanV2(s loosejson.Value, flags map[string]map[string]string) {
	attrs := s.Get("attributes")
	get := func(key string) loosejson.Value { return attrs.At(key, "value") }
	op := d.text(get("sentry.op"), maxTypeChars)
	e := d.newEvent(telemetry.KindSpan)
	e.Op = op
	e.Trace = orElse(d.hexID(s.Get("trace_id"), 32), d.head.trace)
	e.SpanID = d.hexID(s.Get("span_id"), 16)
	e.ID = spanID(e.Trace, e.SpanID)
	segment, _ := s.Get("is_segment").Bool()
	e.Segment = d.joinKey("", get("sentry.pageload.span_id"), get("sentry.segment.id"))
	if segment && !isVital(op) {
		e.Segment = e.SpanID
	}
	for key, a := range attrs.Fields() {
		attribute(&e, key, a.Get("value"))
		if vital, ok := vitalName(key); ok {
			if x, ok := a.Get("value").Num(); ok {
				setMeasurement(&e, vital, x)
			}
		}
	}
	if len(e.Flags) > 0 && e.Segment != "" {
		flags[e.Segment] = e.Flags
	}
	if e.Kind = spanKind(op, segment, len(e.Measurements) > 0); e.Kind == 0 {
		d.out.Skipped["span"]++
		return
	}
	d.spanFields(&e, s, get)
	d.emit(e)
}

// vitalName is lcp for browser.web_vital.lcp.value.
func vitalName(key string) (string, bool) {
	rest, ok := strings.CutPrefix(key, "browser.web_vital.")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, ".value")
}

// spanKind says what a span of version 2 is; 0 = of no use.
func spanKind(op string, segment, measured bool) telemetry.Kind {
	switch {
	case isVital(op):
		if measured {
			return telemetry.KindVital
		}
		return 0
	case isDB(op):
		return telemetry.KindSpan
	case segment:
		return segmentKind(op)
	default:
		return 0
	}
}

// spanFields fills the rest of a span of version 2.
func (d *decoding) spanFields(e *telemetry.Event, s loosejson.Value, get func(string) loosejson.Value) {
	d.stamp(e, s.Get("end_timestamp"))
	e.DurationMS = d.millis(s.Get("start_timestamp"), s.Get("end_timestamp"))
	e.User = d.text(get("user.id"), maxNameChars)
	e.Release = orElse(d.text(get("sentry.release"), maxNameChars), d.head.release)
	e.Environment = orElse(d.text(get("sentry.environment"), maxNameChars), d.head.environment)
	e.SampleRate = d.rate(get("sentry.sample_rate"))
	if e.SampleRate == 0 {
		e.SampleRate = d.head.sampleRate
	}
	name := d.text(firstPresent(get("sentry.segment.name"), s.Get("name")), maxNameChars)
	setAttribute(e, "transaction", name)
	if e.Kind == telemetry.KindPage || e.Kind == telemetry.KindRequest {
		e.URL = d.text(get("url.full"), maxURLChars)
		e.Page = orElse(d.text(get("url.path"), maxURLChars), pathOf(e.URL))
	}
	if e.Kind == telemetry.KindRequest {
		e.Culprit = name
		setStatus(e, d.spanStatus(s, get))
	}
}

// spanStatus is the HTTP status of a server segment: its attribute, else what
// the span's status stands for.
func (d *decoding) spanStatus(s loosejson.Value, get func(string) loosejson.Value) int {
	for _, key := range []string{"http.response.status_code", "http.status_code"} {
		if x, ok := get(key).Num(); ok && x >= 100 && x <= 599 {
			return int(x)
		}
	}
	if word, ok := get("sentry.status.message").Text(); ok {
		if status := statusOf(word); status != 0 {
			return status
		}
	}
	word, _ := s.Get("status").Text()
	return statusOf(word)
}
