package otlp

import (
	"encoding/hex"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"

	"serin/internal/telemetry"
)

// Lengths of ids (W3C Trace Context).
const (
	traceIDBytes = 16
	spanIDBytes  = 8
)

// cut shortens s to at most n characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// text is a scalar as text; lists, maps and bytes have none.
func text(v *common.AnyValue) (string, bool) {
	switch x := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return x.StringValue, true
	case *common.AnyValue_BoolValue:
		return strconv.FormatBool(x.BoolValue), true
	case *common.AnyValue_IntValue:
		return strconv.FormatInt(x.IntValue, 10), true
	case *common.AnyValue_DoubleValue:
		return strconv.FormatFloat(x.DoubleValue, 'g', -1, 64), true
	}
	return "", false
}

// get is an attribute's text, "" if there is none; of several keys the first
// that is given counts, so that newer names go before older ones.
func get(attrs []*common.KeyValue, keys ...string) string {
	for _, key := range keys {
		for _, a := range attrs {
			if a.GetKey() == key {
				if s, ok := text(a.GetValue()); ok && s != "" {
					return s
				}
			}
		}
	}
	return ""
}

// id is a trace or span id as hexadecimal digits; "" if it is none: wrong
// length or all zero.
func id(b []byte, n int) string {
	if len(b) != n || strings.Trim(string(b), "\x00") == "" {
		return ""
	}
	return hex.EncodeToString(b)
}

// origin is what a resource says of all its records.
type origin struct {
	service, release, environment, platform string
	attrs                                   []*common.KeyValue
	hash                                    uint64
}

func originOf(r *resource.Resource) origin {
	attrs := r.GetAttributes()
	return origin{
		service: cut(get(attrs, "service.name"), maxTextChars), release: cut(get(attrs, "service.version"), maxTextChars),
		environment: cut(get(attrs, "deployment.environment.name", "deployment.environment"), maxTextChars),
		platform:    platformOf(get(attrs, "telemetry.sdk.language")), attrs: attrs, hash: hashOf(attrs),
	}
}

// platformOf is the platform by the name that Sentry's SDKs give it.
func platformOf(language string) string {
	switch language {
	case "nodejs":
		return "node"
	case "webjs":
		return "javascript"
	case "dotnet":
		return "csharp"
	}
	return cut(language, maxTextChars)
}

// newEvent is an event of a resource, with what the resource says.
func (d *decoding) newEvent(k telemetry.Kind, o *origin) telemetry.Event {
	e := telemetry.Event{
		Kind: k, Source: Source, Project: d.req.Project, Received: d.req.Received, Time: d.req.Received, Claimed: d.req.Publishable,
		Release: o.release, Environment: o.environment, Platform: o.platform,
	}
	setAttribute(&e, "service.name", o.service)
	return e
}

// Bounds of an event's time, and from when on it counts in charts only.
const (
	maxPast   = 30 * 24 * time.Hour
	maxFuture = time.Minute
	lateAfter = 10 * time.Minute
)

// stamp sets Time and Late from nanoseconds since 1970; 0 = not told.
func (d *decoding) stamp(e *telemetry.Event, nanos uint64) {
	if nanos == 0 || nanos > math.MaxInt64 {
		return
	}
	age := min(max(d.req.Age(time.Unix(0, int64(nanos))), -maxFuture), maxPast)
	e.Time = d.req.Received.Add(-age)
	e.Late = age > lateAfter
}

// set writes one of several lazily made maps, bounded.
func set(m *map[string]string, key, value string, limit int) {
	key, value = cut(key, maxTextChars), cut(value, maxTextChars)
	if key == "" || value == "" {
		return
	}
	if _, again := (*m)[key]; !again && len(*m) >= limit {
		return
	}
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
}

func setAttribute(e *telemetry.Event, key, value string) {
	set(&e.Attributes, key, value, maxAttributes)
}

// machinery are attributes that instrumentation sets on each record, and
// nobody asks a rollout's telemetry for. What is read from them has fields of
// its own.
var machinery = []string{
	"http.request.", "http.response", "http.url", "http.target", "http.host", "http.scheme", "http.flavor", "http.user_agent",
	"http.status", "http.method", "network.", "net.", "url.", "user_agent.", "server.", "client.", "thread.", "code.", "otel.",
	"telemetry.", "exception.", "user.id", "enduser.id", "event.name", "db.query.text", "db.statement", "feature_flag.result.",
	"feature_flag.provider", "feature_flag.context.", "feature_flag.set.", "feature_flag.evaluation.", "feature_flag.error.",
}

func kept(key string) bool {
	switch key {
	case "http.request.method":
		return true
	case "feature_flag.key", "feature_flag.variant", "feature_flag.version", "transaction":
		return false
	}
	for _, prefix := range machinery {
		if strings.HasPrefix(key, prefix) {
			return false
		}
	}
	return true
}

// describe files a record's attributes: user, flag, and what a search or an
// audience may ask for.
func describe(e *telemetry.Event, attrs []*common.KeyValue) {
	e.User = userOf(attrs)
	setFlag(e, attrs)
	for _, a := range attrs {
		if s, ok := text(a.GetValue()); ok && kept(a.GetKey()) {
			setAttribute(e, a.GetKey(), s)
		}
	}
	if system := get(attrs, "db.system.name", "db.system"); system != "" {
		setAttribute(e, "db.system", system)
	}
}

// userOf is the user that a record names: by itself, by the older convention,
// or as what a flag was evaluated for.
func userOf(attrs []*common.KeyValue) string {
	return cut(get(attrs, "user.id", "enduser.id", "feature_flag.context.id"), maxTextChars)
}

// flagOf is the evaluation in attributes: the variant, else the value.
func flagOf(attrs []*common.KeyValue) (key, variant string) {
	return get(attrs, "feature_flag.key"), get(attrs, "feature_flag.result.variant", "feature_flag.variant", "feature_flag.result.value")
}

// setFlag records the evaluation in attributes and reports whether there is one.
func setFlag(e *telemetry.Event, attrs []*common.KeyValue) bool {
	key, variant := flagOf(attrs)
	if key == "" || variant == "" {
		return false
	}
	set(&e.Flags, key, variant, maxFlags)
	return true
}

// pathOf is a URL's path, or "" if it has none.
func pathOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || !strings.HasPrefix(u.Path, "/") {
		return ""
	}
	return u.Path
}
