package intake_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"serin/internal/clock"
	"serin/internal/intake"
	"serin/internal/intake/beacon"
	"serin/internal/intake/intaketest"
	"serin/internal/intake/otlp"
	"serin/internal/intake/sentry"
	"serin/internal/telemetry"
)

// anyProject has the keys of package intake_test; for OTLP they name project 42.
type anyProject struct{ keys }

func (a anyProject) IngestKey(ctx context.Context, k, project, origin string) (intake.Key, error) {
	if project == "" {
		project = "42"
	}
	found, err := a.keys.IngestKey(ctx, k, project, origin)
	found.Project = project
	return found, err
}

// protocols is the door with the real decoders.
func protocols(s *sink) (http.Handler, *prometheus.Registry) {
	reg := prometheus.NewRegistry()
	spans := otlp.Decoder{}
	return intake.New(intake.Options{
		Sink: s, Keys: anyProject{}, Clock: clock.NewManual(intaketest.Received), Registry: reg,
		Decoders: map[string]intake.Decoder{
			"envelope": sentry.Decoder{}, "store": sentry.Decoder{}, "security": sentry.Decoder{}, "beacon": beacon.Decoder{},
			intake.EndpointTraces: spans, intake.EndpointMetrics: spans, intake.EndpointLogs: spans,
		},
	}), reg
}

// fact is one line of what clients may rely on.
type fact struct {
	name, path, body string
	headers          []string // of the request
	full             []telemetry.Kind
	status           int
	answer           string   // part of the answer's body; "" = anything
	answered         []string // headers of the answer; "*" = anything, "" = none
	events           string   // what was taken, as summary says
	skipped          string   // what was counted, as counted says
}

// summary is the kinds of events in order, with what tells them apart.
func summary(events []telemetry.Event) string {
	var all []string
	for _, e := range events {
		s := e.Kind.String()
		switch {
		case e.Session != nil:
			s += fmt.Sprintf(" %s %d", e.Session.Status, e.Session.Count)
		case e.Kind == telemetry.KindError:
			s += " " + e.Level
		case e.Kind == telemetry.KindFeedback:
			s += " " + e.Tags["kind"] + " " + e.Tags["sentiment"]
		case e.Kind == telemetry.KindRequest:
			s += fmt.Sprintf(" %d", e.Status)
		case e.Kind == telemetry.KindSurvey, e.Kind == telemetry.KindLoss, e.Kind == telemetry.KindValue:
			s += fmt.Sprintf(" %g", e.Value)
		case e.Kind == telemetry.KindAction:
			s += fmt.Sprintf(" %s %v", e.Action, e.OK)
		}
		for _, name := range slices.Sorted(maps.Keys(e.Measurements)) {
			s += fmt.Sprintf(" %s=%g", name, e.Measurements[name])
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

// counted is what serin_intake_items_total counts as anything but accepted.
func counted(t *testing.T, reg *prometheus.Registry) string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range families {
		if f.GetName() != "serin_intake_items_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["outcome"] != "accepted" {
				all = append(all, fmt.Sprintf("%s %s %g", labels["outcome"], labels["type"], m.GetCounter().GetValue()))
			}
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// envelope is an envelope of items, each its header and its payload.
func envelope(parts ...string) string { return "{}\n" + strings.Join(parts, "\n") }

const (
	anID     = "9ec79c33ec9942ab8353589fcb2e04dc"
	beaconed = "/api/42/beacon/?sentry_key=" + key
	spansV2  = `{"type":"span","content_type":"application/vnd.sentry.items.span.v2+json"}`
)

var facts = []fact{
	// Routes and keys.
	{name: "envelope", path: keyed, body: envelope(`{"type":"event"}`, `{"message":"m"}`), status: 200, events: "error error"},
	{name: "store", path: "/api/42/store/?sentry_key=" + key, body: `{"event_id":"` + anID + `"}`, status: 200, answer: `{"id":"` + anID + `"}`, events: "error error"},
	{name: "security reports are counted and dropped", path: "/api/42/security/?sentry_key=" + key, body: `{"csp-report":{}}`, status: 200, skipped: "skipped security 1"},
	{name: "a prefix, no final slash", path: "/a/prefix/api/42/envelope?sentry_key=" + key, body: "{}", status: 200, answer: `{"id":""}`},
	{name: "OTLP, the key names the project", path: "/v1/traces", headers: []string{"Authorization", "Bearer " + key, "Content-Type", "application/json"}, body: `{}`, status: 200, answer: "{}"},
	{name: "OTLP of a project", path: "/api/42/otlp/v1/logs/", headers: []string{"X-Sentry-Auth", "Sentry sentry_key=" + key, "Content-Type", "application/json"}, body: `{}`, status: 200, answer: "{}"},
	{name: "OTLP as a DSN names it", path: "/api/42/integration/otlp/v1/metrics", headers: []string{"X-Sentry-Auth", "Sentry sentry_key=" + key, "Content-Type", "application/json"}, body: `{}`, status: 200, answer: "{}"},
	{name: "key first, as Python sends it", path: "/api/42/envelope/", headers: []string{"X-Sentry-Auth", "Sentry sentry_key=" + key + ", sentry_version=7, sentry_client=x"}, body: "{}", status: 200},
	{name: "Authorization in place of X-Sentry-Auth", path: "/api/42/envelope/", headers: []string{"Authorization", "Sentry sentry_version=7, sentry_key=" + key}, body: "{}", status: 200},
	{name: "dsn of the envelope, another host, a secret", path: "/api/42/envelope/", body: `{"dsn":"https://` + key + `:old@elsewhere/p/42"}`, status: 200},
	{name: "keys disagree", path: keyed, body: `{"dsn":"https://` + pageKey + `@h/42"}`, status: 403, answer: "disagree", answered: []string{"X-Sentry-Error", "*"}},
	{name: "projects disagree", path: keyed, body: `{"dsn":"https://` + key + `@h/43"}`, status: 403, answer: "another project"},
	{name: "no key", path: "/api/42/envelope/", body: "{}", status: 403, answer: "no key"},
	{name: "unknown key", path: "/api/42/envelope/?sentry_key=x", body: "{}", status: 403, answer: "no such key"},

	// Statuses.
	{name: "the event's id is the answer", path: keyed, body: `{"event_id":"` + anID + `"}` + "\n{\"type\":\"event\"}\n{}", status: 200, answer: `{"id":"` + anID + `"}`, events: "error error"},
	{name: "empty body", path: keyed, status: 400, answer: "empty"},
	{name: "header no JSON", path: keyed, body: "hello", status: 400, answer: `{"detail":`},
	{name: "payload shorter than its length", path: keyed, body: envelope(`{"type":"event","length":99}`, `{}`), status: 400, answer: `{"detail":`},
	{name: "undecodable body", path: keyed, headers: []string{"Content-Encoding", "gzip"}, body: "plain text, not compressed", status: 400, answer: "Content-Encoding"},
	{name: "unknown encoding", path: keyed, headers: []string{"Content-Encoding", "lzma"}, body: "x", status: 415, answered: []string{"Accept-Encoding", "gzip, deflate, br, zstd, identity"}},
	{name: "over the limit", path: beaconed, body: strings.Repeat(" ", 64<<10) + "{}", status: 413, answer: `{"detail":`},
	{name: "overload refuses the dearest alone", path: keyed, full: []telemetry.Kind{telemetry.KindRequest},
		body:   envelope(`{"type":"transaction"}`, `{"contexts":{"trace":{"op":"http.server"}}}`, `{"type":"session"}`, `{"sid":"s","status":"ok","attrs":{"release":"r"}}`),
		status: 429, answered: []string{"X-Sentry-Rate-Limits", "30:transaction:project:overload", "Retry-After", "30"}, events: "session ok 1", skipped: "refused request 1"},
	{name: "sessions are never limited", path: keyed, full: []telemetry.Kind{telemetry.KindSession}, body: envelope(`{"type":"session"}`, `{"sid":"s","attrs":{"release":"r"}}`), status: 503, answered: []string{"Retry-After", "30", "X-Sentry-Rate-Limits", ""}},
	{name: "any page may read the answer", path: keyed, headers: []string{"Origin", "https://any.example"}, body: "{}", status: 200, answered: []string{"Access-Control-Allow-Origin", "*", "Access-Control-Expose-Headers", "x-sentry-error, x-sentry-rate-limits, retry-after"}},
	{name: "a beacon's answer is for its origin", path: beaconed, headers: []string{"Origin", "https://any.example"}, body: "{}", status: 200, answered: []string{"Access-Control-Allow-Origin", "https://any.example", "Access-Control-Allow-Credentials", "true"}},
	{name: "an origin that the key does not list", path: "/api/42/envelope/?sentry_key=" + pageKey, headers: []string{"Origin", "https://any.example"}, body: "{}", status: 403, answered: []string{"Access-Control-Allow-Origin", ""}},

	// Framing.
	{name: "any content type, a form's too", path: keyed, headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, body: envelope(`{"type":"event"}`, `{}`), status: 200, events: "error error"},
	{name: "length and none, blank lines, an empty payload", path: keyed,
		body: envelope(`{"type":"attachment","length":3}`, "a\nb", "", `{"type":"event"}`, `{"level":"fatal"}`, `{"type":"attachment"}`, ""), status: 200, events: "error fatal", skipped: "skipped attachment 2"},
	{name: "unknown types are skipped with their payload", path: keyed, body: envelope(`{"type":"news","length":16}`, `{"type":"event"}`, `{"type":"event"}`, `{}`), status: 200, events: "error error", skipped: "skipped other 1"},
	{name: "a carriage return is the payload's", path: keyed, body: envelope(`{"type":"event"}`, "{}\r"), status: 200, events: "error error"},

	// Limits.
	{name: "too large an item", path: keyed, body: envelope(`{"type":"event"}`, `{"message":"`+strings.Repeat("x", 1<<20)+`"}`, `{"type":"check_in"}`, `{}`), status: 200, events: "check_in", skipped: "invalid too_large 1"},
	{name: "a header line over 16 KiB", path: keyed, body: `{"a":"` + strings.Repeat("x", 16<<10) + `"}`, status: 400, answer: `{"detail":`},
	{name: "a thousand items", path: keyed, body: envelope(strings.Repeat("{\"type\":\"attachment\"}\n\n", 1002)), status: 200, skipped: "invalid too_many 2, skipped attachment 1000"},
	{name: "a hundred buckets", path: keyed, body: envelope(`{"type":"sessions"}`, `{"attrs":{"release":"r"},"aggregates":[`+strings.TrimSuffix(strings.Repeat(`{"exited":0},`, 101), ",")+`]}`), status: 200, skipped: "invalid too_many 1"},

	// Item types.
	{name: "a page load", path: keyed, body: envelope(`{"type":"transaction"}`, `{"contexts":{"trace":{"op":"pageload"}},"measurements":{"lcp":{"value":900,"unit":"millisecond"},"cls":{"value":0.1,"unit":""}}}`), status: 200, events: "page cls=0.1 lcp=900"},
	{name: "a server's transaction", path: keyed, body: envelope(`{"type":"transaction"}`, `{"contexts":{"trace":{"op":"http.server","status":"internal_error"}},"spans":[{"op":"db.query"},{"op":"http"}]}`), status: 200, events: "request 500, span"},
	{name: "a second event", path: keyed, body: envelope(`{"type":"event"}`, `{}`, `{"type":"transaction"}`, `{"contexts":{"trace":{"op":"pageload"}}}`), status: 200, events: "error error", skipped: "invalid second_event 1"},
	{name: "INP alone", path: keyed, body: envelope(`{"type":"span"}`, `{"op":"ui.interaction.click","measurements":{"inp":{"value":88}}}`), status: 200, events: "vital inp=88"},
	{name: "spans of SDK 11", path: keyed, body: envelope(spansV2, `{"version":2,"items":[{"is_segment":true,"status":"ok","attributes":{"sentry.op":{"value":"http.server"},"http.response.status_code":{"value":204}}},{"attributes":{"sentry.op":{"value":"ui.webvital.cls"},"browser.web_vital.cls.value":{"value":0.25}}},{"is_segment":true,"attributes":{"sentry.op":{"value":"http.client"}}}]}`),
		status: 200, events: "request 204, vital cls=0.25", skipped: "skipped span 1"},
	{name: "feedback", path: keyed, body: envelope(`{"type":"feedback"}`, `{"contexts":{"feedback":{"message":"bad"}}}`), status: 200, events: "feedback complaint negative"},
	{name: "feedback with a kind", path: keyed, body: envelope(`{"type":"feedback"}`, `{"tags":{"kind":"praise"},"contexts":{"feedback":{"message":"good"}}}`), status: 200, events: "feedback praise positive"},
	{name: "user report", path: keyed, body: envelope(`{"type":"user_report"}`, `{"event_id":"`+anID+`","comments":"bad"}`), status: 200, events: "feedback complaint negative"},
	{name: "check-in", path: keyed, body: envelope(`{"type":"check_in"}`, `{"check_in_id":"`+anID+`","monitor_slug":"m","status":"ok"}`), status: 200, events: "check_in"},
	{name: "logs, metrics, replays, profiles", path: keyed, body: envelope(`{"type":"log","item_count":3}`, `{"items":[]}`, `{"type":"trace_metric"}`, `{}`, `{"type":"replay_event"}`, `{}`, `{"type":"profile"}`, `{}`, `{"type":"statsd"}`, `x`),
		status: 200, skipped: "skipped log 3, skipped profile 1, skipped replay_event 1, skipped statsd 1, skipped trace_metric 1"},

	// Fields.
	{name: "a field of a wrong type", path: keyed, body: envelope(`{"type":"event"}`, `{"tags":7,"level":"info"}`), status: 200, events: "error info", skipped: "invalid field_invalid 1"},
	{name: "nested too deep, alone", path: keyed, body: envelope(`{"type":"event"}`, `{"extra":`+strings.Repeat("[", 65)+strings.Repeat("]", 65)+`}`), status: 400, answer: "nest", skipped: "invalid too_deep 1"},
	{name: "level of captureMessage", path: keyed, body: envelope(`{"type":"event"}`, `{"level":"info","exception":{"values":[{"value":"hi","mechanism":{"synthetic":true}}]}}`), status: 200, events: "error info"},

	// Sessions.
	{name: "a session", path: keyed, body: envelope(`{"type":"session"}`, `{"sid":"s","init":false,"status":"unhandled","attrs":{"release":"r"}}`), status: 200, events: "session unhandled 1"},
	{name: "aggregates", path: keyed, body: envelope(`{"type":"sessions"}`, `{"attrs":{"release":"r"},"aggregates":[{"started":"2026-11-22T17:54:00Z","exited":5,"unhandled":1,"crashed":2}]}`), status: 200, events: "session exited 5, session unhandled 1, session crashed 2"},

	// Client reports.
	{name: "reasons that mean loss", path: keyed, body: envelope(`{"type":"client_report"}`, `{"discarded_events":[`+losses("queue_overflow", "cache_overflow", "ratelimit_backoff", "network_error", "send_error", "internal_sdk_error", "backpressure")+`]}`),
		status: 200, events: strings.TrimSuffix(strings.Repeat("loss 3, ", 7), ", ")},
	{name: "reasons that are meant", path: keyed, body: envelope(`{"type":"client_report"}`, `{"discarded_events":[`+losses("sample_rate", "before_send", "event_processor", "no_parent_span")+`]}`), status: 200, skipped: "skipped client_report 4"},

	// The beacon.
	{name: "a beacon", path: beaconed, body: `{"v":1,"user":"u","page":"/x","metrics":[{"name":"lcp","value":728,"id":"v6-1"}],"surveys":[{"question":"csat","score":8,"max":10}],"feedback":[{"kind":"escalation","message":"m"}],
"actions":[{"feature":"f","action":"open"},{"action":"login","ok":true}],"exposures":[{"flag":"f","variant":"on"}],"heartbeat":true}`,
		status: 200, answer: `"rejected":[]`, events: "page, vital lcp=728, survey 4, feedback escalation negative, action open true, action login true, exposure, check_in"},
	{name: "what is wrong is named by its place", path: beaconed, body: `[{"name":"LCP","value":1,"id":"a"},{"name":"FID","value":1,"id":"b"}]`, status: 200, answer: `"rejected":[{"index":1,`, events: "page, vital lcp=1", skipped: "invalid beacon_rejected 1"},
	{name: "no JSON", path: beaconed, body: `{"v":`, status: 400, answer: `{"detail":`},
	{name: "a build report needs a server's key", path: "/api/42/beacon/?sentry_key=" + pageKey, body: `{"v":1,"values":{"bundle_size":421888}}`, status: 200, answer: `"accepted":0`, skipped: "invalid beacon_rejected 1"},
	{name: "a build report", path: beaconed, body: `{"v":1,"values":{"bundle_size":421888}}`, status: 200, answer: `"accepted":1`, events: "value 421888"},
}

func losses(reasons ...string) string {
	all := make([]string, len(reasons))
	for i, r := range reasons {
		all[i] = fmt.Sprintf(`{"reason":%q,"category":"error","quantity":3}`, r)
	}
	return strings.Join(all, ",")
}

// TestFacts holds the door with its real decoders to what clients rely on: for
// each request the answer, what was taken, and what was counted instead.
func TestFacts(t *testing.T) {
	for _, f := range facts {
		t.Run(f.name, func(t *testing.T) {
			s := &sink{full: map[telemetry.Kind]bool{}}
			for _, k := range f.full {
				s.full[k] = true
			}
			h, reg := protocols(s)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, post(f.path, f.body, f.headers...))
			if w.Code != f.status || !strings.Contains(w.Body.String(), f.answer) {
				t.Errorf("answer %d %s, want %d with %s", w.Code, w.Body, f.status, f.answer)
			}
			for i := 0; i+1 < len(f.answered); i += 2 {
				got, want := w.Header().Get(f.answered[i]), f.answered[i+1]
				if got != want && (want != "*" || got == "") {
					t.Errorf("%s: %q, want %q", f.answered[i], got, want)
				}
			}
			if diff := cmp.Diff(f.events, summary(s.events)); diff != "" {
				t.Errorf("taken (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(f.skipped, counted(t, reg)); diff != "" {
				t.Errorf("counted (-want +got)\n%s", diff)
			}
		})
	}
}
