package sentry

import (
	"strings"

	"serin/internal/intake/loosejson"
	"serin/internal/telemetry"
)

// event decodes an error or message. An envelope holds at most one event or
// transaction; a second is dropped, as it would share the first one's id.
func (d *decoding) event(v loosejson.Value) {
	if d.second() {
		return
	}
	e := d.newEvent(telemetry.KindError)
	d.common(&e, v)
	e.Level = level(v.Get("level"))
	e.Message = d.message(v)
	d.exceptions(&e, v.Get("exception"), d.debugIDs(v.At("debug_meta", "images")))
	e.Breadcrumbs = d.breadcrumbs(v, e.Time)
	for part := range v.Get("fingerprint").Items() {
		if s := d.text(part, maxTagChars); s != "" && len(e.Fingerprint) < maxFingerprint {
			e.Fingerprint = append(e.Fingerprint, s)
		}
	}
	name := d.text(v.Get("transaction"), maxNameChars)
	setAttribute(&e, "transaction", name)
	e.Title, e.Culprit = title(e), culprit(e, name)
	if e.Exception != nil {
		setAttribute(&e, "error.type", e.Exception.Type)
	}
	setStatus(&e, d.responseStatus(v))
	d.emit(e)
}

func (d *decoding) second() bool {
	if d.hasEvent {
		d.invalid(invalidEvent)
		return true
	}
	d.hasEvent = true
	return false
}

// common fills what events, transactions and feedback share.
func (d *decoding) common(e *telemetry.Event, v loosejson.Value) {
	e.ID = d.eventID(v)
	d.stamp(e, v.Get("timestamp"))
	e.Platform = d.text(v.Get("platform"), maxTypeChars)
	e.Release = orElse(d.text(v.Get("release"), maxNameChars), d.head.release)
	e.Environment = orElse(d.text(v.Get("environment"), maxNameChars), d.head.environment)
	e.Tags = d.tags(v.Get("tags"))
	d.user(e, v.Get("user"))
	for key, value := range v.Get("extra").Fields() {
		if s, ok := value.Text(); ok && strings.HasPrefix(key, "user.") && keep(key) {
			setAttribute(e, key, s)
		}
	}
	e.URL = d.text(v.At("request", "url"), maxURLChars)
	e.Page = pathOf(e.URL)
	contexts := v.Get("contexts")
	d.flags(e, contexts.Get("flags"))
	trace := contexts.Get("trace")
	e.Trace = orElse(d.hexID(trace.Get("trace_id"), 32), d.head.trace)
	e.SpanID = d.hexID(trace.Get("span_id"), 16)
	for key, value := range trace.Get("data").Fields() {
		attribute(e, key, value)
	}
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// level is the event's level in lower case; absent and unknown ones are error.
func level(v loosejson.Value) string {
	s, _ := v.Str()
	switch s = strings.ToLower(s); s {
	case "fatal", "error", "warning", "info", "debug", "log":
		return s
	case "critical":
		return "fatal"
	case "warn":
		return "warning"
	default:
		return "error"
	}
}

// message is message or logentry, each a string or {message, formatted}.
func (d *decoding) message(v loosejson.Value) string {
	for _, key := range []string{"logentry", "message"} {
		m := v.Get(key)
		if m.Kind() == loosejson.Object {
			m = firstPresent(m.Get("formatted"), m.Get("message"))
		}
		if s := d.text(m, maxMessageChars); s != "" {
			return s
		}
	}
	return ""
}

func firstPresent(a, b loosejson.Value) loosejson.Value {
	if a.Absent() {
		return b
	}
	return a
}

// exceptions takes the last exception, which is the main one; the others are
// its causes. One unhandled mechanism makes the event unhandled.
func (d *decoding) exceptions(e *telemetry.Event, v loosejson.Value, debug map[string]string) {
	var last loosejson.Value
	values := list(v)
	if !v.Absent() && values.Kind() != loosejson.Array && !values.Absent() {
		d.invalid(invalidField)
	}
	for x := range values.Items() {
		if x.Kind() != loosejson.Object {
			if !x.Absent() {
				d.invalid(invalidField)
			}
			continue
		}
		last = x
		if handled, ok := x.At("mechanism", "handled").Bool(); ok && !handled {
			e.Unhandled = true
		}
	}
	if last.Absent() {
		return
	}
	ex := telemetry.Exception{
		Type: d.text(last.Get("type"), maxTypeChars), Value: d.text(last.Get("value"), maxValueChars),
		Frames: d.frames(last.At("stacktrace", "frames"), debug),
	}
	// captureMessage of SDK 11 wraps the text into an exception without type,
	// for its stack; such an event is a message.
	if synthetic, _ := last.At("mechanism", "synthetic").Bool(); ex.Type == "" && (synthetic || e.Message != "") {
		e.Message = orElse(e.Message, ex.Value)
		return
	}
	e.Exception = &ex
}

// frames keeps the crash end of a long stack. debug names the source maps of files.
func (d *decoding) frames(v loosejson.Value, debug map[string]string) []telemetry.Frame {
	n := 0
	for range v.Items() {
		n++
	}
	if n == 0 {
		return nil
	}
	frames := make([]telemetry.Frame, 0, min(n, maxFrames))
	skip := n - maxFrames
	for f := range v.Items() {
		if skip--; skip >= 0 || f.Kind() != loosejson.Object {
			continue
		}
		inApp, _ := f.Get("in_app").Bool()
		frames = append(frames, telemetry.Frame{
			Function: d.text(f.Get("function"), maxFrameChars),
			Module:   d.text(f.Get("module"), maxFrameChars),
			File:     d.text(firstPresent(f.Get("filename"), f.Get("abs_path")), maxFrameChars),
			Line:     int(d.num(f.Get("lineno"))),
			Column:   int(d.num(f.Get("colno"))),
			InApp:    inApp,
			Source:   d.source(f),
			Debug:    debug[d.text(firstPresent(f.Get("abs_path"), f.Get("filename")), maxFrameChars)],
		})
	}
	return frames
}

func title(e telemetry.Event) string {
	x := e.Exception
	switch {
	case x == nil:
		return orElse(firstLine(e.Message), "(no message)")
	case x.Type == "":
		return orElse(firstLine(x.Value), "(no message)")
	case x.Value == "":
		return x.Type
	default:
		return firstLine(x.Type + ": " + x.Value)
	}
}

// culprit is the transaction, or else the last frame of the application's own
// code, or else the last frame.
func culprit(e telemetry.Event, transaction string) string {
	if transaction != "" || e.Exception == nil || len(e.Exception.Frames) == 0 {
		return transaction
	}
	frames := e.Exception.Frames
	at := frames[len(frames)-1]
	for i := len(frames) - 1; i >= 0; i-- {
		if frames[i].InApp {
			at = frames[i]
			break
		}
	}
	return cut(strings.Trim(orElse(at.Module, at.File)+"."+at.Function, "."), maxNameChars)
}

// responseStatus finds the HTTP status: contexts.response, then the trace
// data, new name before old.
func (d *decoding) responseStatus(v loosejson.Value) int {
	contexts := v.Get("contexts")
	data := contexts.At("trace", "data")
	for _, candidate := range []loosejson.Value{
		contexts.At("response", "status_code"), data.Get("http.response.status_code"), data.Get("http.status_code"),
	} {
		if x, ok := candidate.Num(); ok && x >= 100 && x <= 599 {
			return int(x)
		}
	}
	return 0
}
