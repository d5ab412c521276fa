package otlp_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"serin/internal/clock"
	"serin/internal/intake"
	"serin/internal/intake/otlp"
	"serin/internal/telemetry"
)

// desk is a sink and the keys of two projects.
type desk struct {
	full   bool
	events []telemetry.Event
}

func (d *desk) Accept(_ context.Context, events []telemetry.Event) error {
	if d.full {
		return intake.ErrOverload
	}
	d.events = append(d.events, events...)
	return nil
}

func (*desk) IngestKey(_ context.Context, key, project, _ string) (intake.Key, error) {
	of := map[string]string{"a": "7", "b": "8"}[key]
	if of == "" || project != "" && project != of {
		return intake.Key{}, intake.ErrUnknownKey
	}
	return intake.Key{ID: key, Project: of}, nil
}

// TestDoor: the routes, the key's places and the refusals of OTLP/HTTP.
func TestDoor(t *testing.T) {
	const span = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":2,"startTimeUnixNano":"1","endTimeUnixNano":2}]}]}]}`
	for _, c := range []struct {
		name, path, auth, contentType, body string
		full                                bool
		status                              int
		project, answer                     string
	}{
		{"the key names the project", "/v1/traces", "Bearer a", "application/json", span, false, 200, "7", "{}"},
		{"final slash, a prefix", "/telemetry/v1/traces/", "bearer b", "application/json; charset=utf-8", span, false, 200, "8", "{}"},
		{"the path too", "/api/7/otlp/v1/traces", "Bearer a", "application/json", span, false, 200, "7", "{}"},
		{"by a DSN", "/api/7/integration/otlp/v1/traces", "Sentry sentry_version=7, sentry_key=a", "application/json", span, false, 200, "7", "{}"},
		{"an empty message", "/v1/metrics", "Bearer a", "application/x-protobuf", "", false, 200, "", ""},
		{"another's project", "/api/8/otlp/v1/traces", "Bearer a", "application/json", span, false, 403, "", `"code":7`},
		{"an unknown key", "/v1/logs", "Bearer x", "application/json", span, false, 403, "", `"code":7`},
		{"no key", "/v1/logs", "", "application/x-protobuf", "", false, 403, "", "\x08\x07"},
		{"malformed", "/v1/traces", "Bearer a", "application/x-protobuf", "\xff", false, 400, "", "\x08\x03"},
		{"malformed JSON", "/v1/traces", "Bearer a", "application/json", "{", false, 400, "", `"code":3,"message":"the body is no OTLP`},
		{"overload", "/v1/traces", "Bearer a", "application/json", span, true, 429, "", `"code":8`},
		{"no bearer key elsewhere", "/api/7/envelope/", "Bearer a", "text/plain", "{}", false, 404, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &desk{full: c.full}
			dec := otlp.Decoder{}
			h := intake.New(intake.Options{Sink: d, Keys: d, Decoders: map[string]intake.Decoder{
				intake.EndpointTraces: dec, intake.EndpointMetrics: dec, intake.EndpointLogs: dec,
			}})
			r := httptest.NewRequest(http.MethodPost, c.path, strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.contentType)
			r.Header.Set("Authorization", c.auth)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			answer, err := io.ReadAll(w.Result().Body)
			if err != nil || w.Code != c.status || !strings.Contains(string(answer), c.answer) {
				t.Fatalf("%d %q, want %d with %q", w.Code, answer, c.status, c.answer)
			}
			if kind, _, _ := strings.Cut(c.contentType, ";"); c.status != 404 && w.Header().Get("Content-Type") != kind {
				t.Errorf("answer of %s to %s", w.Header().Get("Content-Type"), kind)
			}
			if c.status == 429 && w.Header().Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
			switch {
			case c.project == "" && len(d.events) > 0:
				t.Errorf("took %d events", len(d.events))
			case c.project != "" && (len(d.events) != 1 || d.events[0].Project != c.project):
				t.Errorf("events %+v, want one of project %s", d.events, c.project)
			}
		})
	}
}

// TestRecordedThroughDoor: what SDKs sent is taken whole, and answered as they
// read it.
func TestRecordedThroughDoor(t *testing.T) {
	for _, rec := range recordings(t) {
		t.Run(rec.name, func(t *testing.T) {
			d := &desk{}
			dec := otlp.Decoder{}
			h := intake.New(intake.Options{Sink: d, Keys: d, Clock: clock.NewManual(arrival), Decoders: map[string]intake.Decoder{
				intake.EndpointTraces: dec, intake.EndpointMetrics: dec, intake.EndpointLogs: dec,
			}})
			r := httptest.NewRequest(http.MethodPost, "/"+rec.endpoint, strings.NewReader(rec.body))
			r.Header.Set("Content-Type", rec.contentType)
			r.Header.Set("Authorization", "Bearer a")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			empty := map[string]string{"application/json": "{}", "application/x-protobuf": ""}[rec.contentType]
			if w.Code != http.StatusOK || w.Body.String() != empty || w.Header().Get("Content-Type") != rec.contentType {
				t.Errorf("answer %d %q of %s", w.Code, w.Body, w.Header().Get("Content-Type"))
			}
			want, err := dec.Decode(request(rec.endpoint, rec.contentType, rec.body))
			if err != nil {
				t.Fatal(err)
			}
			for i := range want.Events {
				want.Events[i].Project = "7"
			}
			if diff := cmp.Diff(want.Events, d.events); diff != "" {
				t.Errorf("taken (-decoded +taken)\n%s", diff)
			}
		})
	}
}
