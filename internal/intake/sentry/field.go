package sentry

import (
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"serin/internal/intake/loosejson"
	"serin/internal/telemetry"
)

// cut shortens s to at most n characters.
func cut(s string, n int) string {
	if len(s) <= n { // at least as many bytes as characters
		return s
	}
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// text is a scalar as text of at most n characters. Other kinds are dropped
// and counted; null and missing fields are just empty.
func (d *decoding) text(v loosejson.Value, n int) string {
	if v.Absent() {
		return ""
	}
	s, ok := v.Text()
	if !ok {
		d.invalid(invalidField)
	}
	return cut(s, n)
}

func (d *decoding) num(v loosejson.Value) float64 {
	if v.Absent() {
		return 0
	}
	x, ok := v.Num()
	if !ok {
		d.invalid(invalidField)
	}
	return x
}

// rate is a sampling rate in (0, 1]; 0 = not told.
func (d *decoding) rate(v loosejson.Value) float64 {
	if x, ok := v.Num(); ok && x > 0 && x <= 1 {
		return x
	}
	return 0
}

// hexID is a trace id (32 digits) or span id (16).
func (d *decoding) hexID(v loosejson.Value, digits int) string {
	if v.Absent() {
		return ""
	}
	s, _ := v.Str()
	s = strings.ToLower(strings.ReplaceAll(s, "-", ""))
	if len(s) != digits || !isHex(s) {
		d.invalid(invalidField)
		return ""
	}
	return s
}

// list is a list given as {"values": [...]} or bare.
func list(v loosejson.Value) loosejson.Value {
	if v.Kind() == loosejson.Object {
		return v.Get("values")
	}
	return v
}

// time reads epoch seconds, as a number or text, or RFC 3339; a stamp without
// a zone is UTC, as old Python SDKs send it.
func (d *decoding) time(v loosejson.Value) (t time.Time, ok bool) {
	if v.Absent() {
		return t, false
	}
	if s, isText := v.Str(); isText {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999"} {
			if t, err := time.Parse(layout, s); err == nil {
				return t.UTC(), true
			}
		}
	}
	x, ok := v.Num()
	const maxEpoch = 1 << 38 // year 10680
	if !ok || x <= 0 || x > maxEpoch {
		d.invalid(invalidField)
		return t, false
	}
	sec, frac := math.Modf(x)
	// A float64 of today's epoch seconds is exact to about 0.24 µs.
	return time.Unix(int64(sec), int64(math.Round(frac*1e6))*1e3).UTC(), true
}

// Bounds of an event's time, and from when on it counts in charts only.
const (
	maxPast   = 30 * 24 * time.Hour
	maxFuture = time.Minute
	lateAfter = 10 * time.Minute
)

// stamp sets Time and Late from a client's time. Age is in the client's
// seconds; with the drift taken off it is the span between the event and its
// sending, so an event that waited in an offline queue is still told as late.
func (d *decoding) stamp(e *telemetry.Event, v loosejson.Value) {
	t, ok := d.time(v)
	if !ok {
		return
	}
	age := min(max(d.req.Age(t)-d.head.drift, -maxFuture), maxPast)
	e.Time = d.req.Received.Add(-age)
	e.Late = age > lateAfter
}

// millis is the time from start to end; 0 if either is missing or they are
// the wrong way round.
func (d *decoding) millis(start, end loosejson.Value) float64 {
	from, ok1 := d.time(start)
	to, ok2 := d.time(end)
	if !ok1 || !ok2 {
		return 0
	}
	if to.Before(from) {
		d.invalid(invalidField)
		return 0
	}
	return float64(to.Sub(from)) / float64(time.Millisecond)
}

// tags reads an object or a list of pairs; values of any scalar type, null
// dropped.
func (d *decoding) tags(v loosejson.Value) map[string]string {
	tags := map[string]string{}
	put := func(key string, value loosejson.Value) {
		if key == "" || value.Absent() {
			return
		}
		s, ok := value.Text()
		key = cut(key, maxTagChars)
		if _, again := tags[key]; !ok || len(tags) >= maxTags && !again {
			d.invalid(invalidField)
			return
		}
		tags[key] = cut(s, maxTagChars)
	}
	switch v.Kind() {
	case loosejson.Object:
		for key, value := range v.Fields() {
			put(key, value)
		}
	case loosejson.Array:
		for pair := range v.Items() {
			d.pair(pair, put)
		}
	case loosejson.Missing, loosejson.Null:
	default:
		d.invalid(invalidField)
	}
	if len(tags) == 0 {
		return nil
	}
	return tags
}

// pair reads ["key", value] and {"key": ..., "value": ...}.
func (d *decoding) pair(pair loosejson.Value, put func(string, loosejson.Value)) {
	if pair.Kind() == loosejson.Object {
		key, _ := pair.Get("key").Text()
		put(key, pair.Get("value"))
		return
	}
	var parts [2]loosejson.Value
	n := 0
	for part := range pair.Items() {
		if n < len(parts) {
			parts[n] = part
		}
		n++
	}
	if n != len(parts) {
		if !pair.Absent() {
			d.invalid(invalidField)
		}
		return
	}
	key, _ := parts[0].Text()
	put(key, parts[1])
}

// set writes one of several lazily made maps, bounded.
func set(m *map[string]string, key, value string, limit int) {
	if value == "" || key == "" || len(*m) >= limit {
		return
	}
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
}

// setAttribute records a searchable field; empty values are not kept.
func setAttribute(e *telemetry.Event, key, value string) {
	set(&e.Attributes, cut(key, maxTagChars), cut(value, maxTagChars), maxAttributes)
}

// flagPrefix begins the span attributes which hold a flag's evaluation.
const flagPrefix = "flag.evaluation."

// setFlag records an evaluation; a later one for the same flag wins.
func setFlag(e *telemetry.Event, key, value string) {
	if _, again := e.Flags[key]; again {
		e.Flags[key] = cut(value, maxTagChars)
		return
	}
	set(&e.Flags, cut(key, maxTagChars), cut(value, maxTagChars), maxFlags)
}

// flags reads contexts.flags: {"values": [{"flag": ..., "result": ...}]}.
func (d *decoding) flags(e *telemetry.Event, v loosejson.Value) {
	for f := range list(v).Items() {
		key, ok1 := f.Get("flag").Text()
		result, ok2 := f.Get("result").Text()
		if !ok1 || !ok2 {
			if !f.Absent() {
				d.invalid(invalidField)
			}
			continue
		}
		setFlag(e, key, result)
	}
}

// attribute files one attribute of a span, or of a transaction's trace data:
// flag evaluations, and what a search or an audience may ask for.
func attribute(e *telemetry.Event, key string, v loosejson.Value) {
	if flag, ok := strings.CutPrefix(key, flagPrefix); ok {
		if s, ok := v.Text(); ok {
			setFlag(e, flag, s)
		}
		return
	}
	if !keep(key) {
		return
	}
	if s, ok := v.Text(); ok {
		setAttribute(e, key, s)
	}
}

// machinery are the attributes that SDKs set on each span and nobody asks for.
var machinery = []string{
	"sentry.", "browser.", "device.", "os.", "network.", "net.", "culture.", "process.", "app.",
	"http.request.", "http.response", "http.url", "http.target", "http.host", "http.scheme", "http.flavor",
	"http.user_agent", "http.status", "http.method", "http.query", "http.fragment", "url.", "user_agent.", "server.", "client.",
	"thread.", "otel.", "performance.", "lcp.", "cls.", "inp.", "cloud.", "telemetry.", "service.",
	"user.id", "user.name", "user.geo",
}

func keep(key string) bool {
	switch key {
	case "http.request.method":
		return true
	case "url", "type", "effectiveConnectionType", "deviceMemory", "hardwareConcurrency", "transaction", "release", "environment":
		return false
	}
	for _, prefix := range machinery {
		if strings.HasPrefix(key, prefix) {
			return false
		}
	}
	return true
}

// autoIP asks for the client's address to be filled in; it is dropped.
const autoIP = "{{auto}}"

// user fills User and the attributes user.*: plain fields of the user object
// and of its data, such as a role. E-mail and address are among them until
// telemetry's scrubbing, which knows what the project keeps.
func (d *decoding) user(e *telemetry.Event, v loosejson.Value) {
	if v.Absent() {
		return
	}
	if v.Kind() != loosejson.Object {
		d.invalid(invalidField)
		return
	}
	e.User = d.text(v.Get("id"), maxNameChars)
	for _, fields := range []loosejson.Value{v.Get("data"), v} {
		for key, value := range fields.Fields() {
			if s, ok := value.Text(); ok && s != autoIP && keep("user."+key) {
				setAttribute(e, "user."+key, s)
			}
		}
	}
}

// pathOf is a URL's path, or "" if it has none.
func pathOf(raw string) string {
	if raw == "" {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Path == "" && u.Host == "" {
		return ""
	}
	if u.Path == "" {
		return "/"
	}
	if !strings.HasPrefix(u.Path, "/") {
		return ""
	}
	return cut(u.Path, maxURLChars)
}

// setStatus records an HTTP status where both rules and searches find it.
func setStatus(e *telemetry.Event, status int) {
	if status < 100 || status > 599 {
		return
	}
	e.Status = status
	setAttribute(e, "http.status_code", strconv.Itoa(status))
}

// statusOf is the HTTP status that a span status stands for (sentry-docs,
// span status; the codes are gRPC's), 0 for unknown words.
func statusOf(word string) int {
	switch strings.ToLower(word) {
	case "ok":
		return 200
	case "internal_error", "unknown_error", "unknown", "data_loss", "error":
		return 500
	case "unimplemented":
		return 501
	case "unavailable":
		return 503
	case "deadline_exceeded":
		return 504
	case "invalid_argument", "failed_precondition", "out_of_range":
		return 400
	case "unauthenticated":
		return 401
	case "permission_denied":
		return 403
	case "not_found":
		return 404
	case "already_exists", "aborted":
		return 409
	case "resource_exhausted":
		return 429
	case "cancelled":
		return 499
	default:
		return 0
	}
}

// firstLine is the title of a longer text.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return cut(strings.TrimSpace(line), maxTitleChars)
}
