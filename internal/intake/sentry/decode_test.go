package sentry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"serin/internal/intake"
	"serin/internal/intake/intaketest"
	"serin/internal/intake/sentry"
	"serin/internal/telemetry"
)

func decode(t testing.TB, endpoint, body string) intake.Result {
	t.Helper()
	res, err := sentry.Decoder{}.Decode(intaketest.Request(endpoint, []byte(body)))
	if err != nil {
		t.Fatalf("%.200s: %v", body, err)
	}
	return res
}

// one decodes an item of this type and expects one event.
func one(t testing.TB, kind, payload string) telemetry.Event {
	t.Helper()
	res := decode(t, "envelope", "{}\n{\"type\":\""+kind+"\"}\n"+payload)
	if len(res.Events) != 1 {
		t.Fatalf("%s: got %d events, want 1 (%v %v)", payload, len(res.Events), res.Skipped, res.Invalid)
	}
	return res.Events[0]
}

func TestFraming(t *testing.T) {
	const ev = `{"level":"info"}`
	for _, c := range []struct {
		name, body string
		events     int
		err        string
	}{
		{"empty envelope", "{}", 0, ""},
		{"empty envelope, newline", "{}\n", 0, ""},
		{"blank lines", "{}\n\n\n{\"type\":\"event\"}\n" + ev + "\n\n", 1, ""},
		{"length", "{}\n{\"type\":\"event\",\"length\":16}\n" + ev, 1, ""},
		{"length, newline", "{}\n{\"type\":\"event\",\"length\":16}\n" + ev + "\n", 1, ""},
		{"payload over lines", "{}\n{\"type\":\"event\",\"length\":17}\n{\"level\":\n\"info\"}\n", 1, ""},
		{"empty payload with length", "{}\n{\"type\":\"attachment\",\"length\":0}\n\n{\"type\":\"event\"}\n" + ev, 1, ""},
		{"empty payload without", "{}\n{\"type\":\"attachment\"}\n\n{\"type\":\"event\"}\n" + ev, 1, ""},
		{"empty payload at the end", "{}\n{\"type\":\"attachment\",\"length\":0}", 0, ""},
		{"carriage return in header", "{}\r\n{\"type\":\"event\"}\r\n" + ev + "\r\n", 1, ""},
		{"carriage return is payload", "{}\n{\"type\":\"attachment\",\"length\":3}\nab\r\n{\"type\":\"event\"}\n" + ev, 1, ""},
		{"unknown type", "{}\n{\"type\":\"new\"}\n\x00\xff\n{\"type\":\"event\"}\n" + ev, 1, ""},
		{"no type", "{}\n{}\nx\n{\"type\":\"event\"}\n" + ev, 1, ""},
		{"too short", "{}\n{\"type\":\"event\",\"length\":17}\n" + ev, 0, "shorter than its length"},
		{"too long", "{}\n{\"type\":\"event\",\"length\":15}\n" + ev, 0, "longer than its length"},
		{"negative length", "{}\n{\"type\":\"event\",\"length\":-1}\n" + ev, 0, "whole number"},
		{"fractional length", "{}\n{\"type\":\"event\",\"length\":1.5}\n" + ev, 0, "whole number"},
		{"huge length", "{}\n{\"type\":\"event\",\"length\":1e300}\n" + ev, 0, "shorter than its length"},
		{"header no JSON", "hello\n", 0, "not valid JSON"},
		{"header no object", "[]\n", 0, "not a JSON object"},
		{"item header no JSON", "{}\nhello\n", 0, "item 1"},
		{"long header", `{"x":"` + strings.Repeat("x", 16<<10) + "\"}\n", 0, "over 16384 bytes"},
		{"only item is no JSON", "{}\n{\"type\":\"event\"}\n{\"level\":\n", 0, "item 1, event"},
		{"broken beside a good one", "{}\n{\"type\":\"feedback\"}\n{\n{\"type\":\"event\"}\n" + ev, 1, ""},
		{"second event dropped", "{}\n{\"type\":\"event\"}\n" + ev + "\n{\"type\":\"event\"}\n" + ev, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := sentry.Decoder{}.Decode(intaketest.Request("envelope", []byte(c.body)))
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Fatalf("error: got %v want %q", err, c.err)
			}
			if len(res.Events) != c.events && err == nil {
				t.Errorf("got %d events want %d", len(res.Events), c.events)
			}
		})
	}
}

func TestLenientEvent(t *testing.T) {
	for _, c := range []struct {
		name, payload string
		get           func(telemetry.Event) any
		want          any
	}{
		{"tags as object", `{"tags":{"a":"b","n":1.50,"t":true,"x":null}}`, tags, map[string]string{"a": "b", "n": "1.50", "t": "true"}},
		{"tags as pairs", `{"tags":[["a","b"],["n",1],["x",null],null,["odd"]]}`, tags, map[string]string{"a": "b", "n": "1"}},
		{"tags of wrong type", `{"tags":"x"}`, tags, map[string]string(nil)},
		{"tag of wrong type", `{"tags":{"a":[1],"b":"c"}}`, tags, map[string]string{"b": "c"}},
		{"user id number", `{"user":{"id":42}}`, user, "42"},
		{"user id of wrong type", `{"user":{"id":{}}}`, user, ""},
		{"user of wrong type", `{"user":"x"}`, user, ""},
		{"user null", `{"user":null}`, user, ""},
		{"message text", `{"message":"hi"}`, message, "hi"},
		{"message object", `{"message":{"message":"hi %s","formatted":"hi you","params":["you"]}}`, message, "hi you"},
		{"message unformatted", `{"message":{"message":"hi %s"}}`, message, "hi %s"},
		{"logentry text", `{"logentry":"hi"}`, message, "hi"},
		{"logentry null", `{"logentry":null,"message":"hi"}`, message, "hi"},
		{"duplicate keys", `{"level":"info","level":"fatal"}`, level, "fatal"},
		{"level absent", `{}`, level, "error"},
		{"level unknown", `{"level":"panic"}`, level, "error"},
		{"level of wrong type", `{"level":7}`, level, "error"},
		{"level upper case", `{"level":"WARNING"}`, level, "warning"},
		{"fingerprint with numbers", `{"fingerprint":["a",1,true]}`, func(e telemetry.Event) any { return e.Fingerprint }, []string{"a", "1", "true"}},
		{"invalid UTF-8", "{\"message\":\"a\xffb\"}", message, "a\uFFFDb"},
		{"null in contexts", `{"contexts":{"trace":null,"flags":null,"os":null}}`, user, ""},
		{"contexts of wrong type", `{"contexts":[]}`, user, ""},
		{"flags, last wins", `{"contexts":{"flags":{"values":[{"flag":"f","result":true},{"flag":"f","result":"off"},{"flag":"g"},null]}}}`, flags, map[string]string{"f": "off"}},
		{"flags in trace data", `{"contexts":{"trace":{"data":{"flag.evaluation.f":"on"}}}}`, flags, map[string]string{"f": "on"}},
		{"role in user", `{"user":{"id":"u","role":"admin","data":{"plan":"pro"},"ip_address":"{{auto}}"}}`, attributes, map[string]string{"user.role": "admin", "user.plan": "pro"}},
		{"role in extra", `{"extra":{"user.role":"admin","other":"x"}}`, attributes, map[string]string{"user.role": "admin"}},
		{"bare exception list", `{"exception":[{"type":"A","value":"cause"},{"type":"B","value":"main"}]}`, title, "B: main"},
		{"exception values", `{"exception":{"values":[{"type":"A","value":"cause"},{"type":"B","value":"main"},null]}}`, title, "B: main"},
		{"exception values null", `{"exception":{"values":null},"message":"m"}`, title, "m"},
		{"exception of wrong type", `{"exception":"x","message":"m"}`, title, "m"},
		{"stacktrace null", `{"exception":[{"type":"A","stacktrace":null}]}`, title, "A"},
		{"frames null", `{"exception":[{"type":"A","stacktrace":{"frames":null}}]}`, title, "A"},
		{"synthetic message", `{"level":"info","exception":{"values":[{"value":"hi","mechanism":{"synthetic":true,"handled":true}}]}}`, func(e telemetry.Event) any { return []any{e.Title, e.Level, e.Exception == nil} }, []any{"hi", "info", true}},
		{"unhandled cause", `{"exception":[{"type":"A","mechanism":{"handled":false}},{"type":"B","mechanism":{"handled":true}}]}`, func(e telemetry.Event) any { return e.Unhandled }, true},
		{"dashed id", `{"event_id":"9EC79C33-EC99-42AB-8353-589FCB2E04DC"}`, func(e telemetry.Event) any { return e.ID }, "9ec79c33ec9942ab8353589fcb2e04dc"},
		{"bad id", `{"event_id":"zzz"}`, func(e telemetry.Event) any { return e.ID }, ""},
		{"headers as pairs", `{"request":{"url":"http://h/a/b?c","headers":[["Cookie","x"]],"cookies":"x","data":"x"}}`, func(e telemetry.Event) any { return e.Page }, "/a/b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.get(one(t, "event", c.payload))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func tags(e telemetry.Event) any       { return e.Tags }
func flags(e telemetry.Event) any      { return e.Flags }
func user(e telemetry.Event) any       { return e.User }
func message(e telemetry.Event) any    { return e.Message }
func level(e telemetry.Event) any      { return e.Level }
func title(e telemetry.Event) any      { return e.Title }
func attributes(e telemetry.Event) any { return e.Attributes }

func TestTime(t *testing.T) {
	at := func(d time.Duration) string { return intaketest.Received.Add(d).Format(time.RFC3339Nano) }
	for _, c := range []struct {
		name, sent, stamp string
		want              time.Duration // from arrival
		late              bool
	}{
		{"recent", at(0), at(-2 * time.Second), -2 * time.Second, false},
		{"no sent_at", "", at(-2 * time.Second), -2 * time.Second, false},
		{"ten minutes", at(0), at(-10 * time.Minute), -10 * time.Minute, false},
		{"late, from an offline queue", at(0), at(-11 * time.Minute), -11 * time.Minute, true},
		{"clock an hour behind", at(-time.Hour), at(-time.Hour - 2*time.Second), -2 * time.Second, false},
		{"clock an hour ahead", at(time.Hour), at(time.Hour - 2*time.Second), -2 * time.Second, false},
		{"behind, and late", at(-time.Hour), at(-time.Hour - 20*time.Minute), -20 * time.Minute, true},
		{"ahead without sent_at", "", at(time.Hour), time.Minute, false},
		{"years ago", at(0), "1999-01-01T00:00:00Z", -30 * 24 * time.Hour, true},
		{"nonsense", at(0), "yesterday", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			head := "{}"
			if c.sent != "" {
				head = `{"sent_at":"` + c.sent + `"}`
			}
			e := decode(t, "envelope", head+"\n{\"type\":\"event\"}\n{\"timestamp\":\""+c.stamp+"\"}").Events[0]
			if got := e.Time.Sub(intaketest.Received); got != c.want || e.Late != c.late {
				t.Errorf("got %v, late %v; want %v, %v", got, e.Late, c.want, c.late)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		name, contexts string
		want           int
	}{
		{"response first", `"response":{"status_code":404},"trace":{"op":"http.server","status":"ok","data":{"http.response.status_code":200}}`, 404},
		{"then trace data", `"trace":{"op":"http.server","status":"internal_error","data":{"http.response.status_code":201}}`, 201},
		{"then the old name", `"trace":{"op":"http.server","status":"internal_error","data":{"http.status_code":"202"}}`, 202},
		{"then trace status", `"trace":{"op":"http.server","status":"internal_error"}`, 500},
		{"nothing", `"trace":{"op":"http.server"}`, 0},
	} {
		e := one(t, "transaction", `{"contexts":{`+c.contexts+`}}`)
		if e.Kind != telemetry.KindRequest || e.Status != c.want {
			t.Errorf("%s: got %s with status %d, want request with %d", c.name, e.Kind, e.Status, c.want)
		}
	}
}

func TestSessions(t *testing.T) {
	for _, c := range []struct {
		status string
		sent   int
		errors int
	}{{"ok", 0, 0}, {"exited", 0, 0}, {"errored", 0, 1}, {"abnormal", 0, 0}, {"unhandled", 0, 1}, {"crashed", 3, 3}} {
		e := one(t, "session", fmt.Sprintf(`{"sid":"s","did":7,"status":%q,"errors":%d,"attrs":{"release":"r"}}`, c.status, c.sent))
		want := &telemetry.Session{ID: "s", Status: c.status, Errors: c.errors, Count: 1}
		if diff := cmp.Diff(want, e.Session); diff != "" || e.SessionUser != "7" {
			t.Errorf("%s (-want +got):\n%s", c.status, diff)
		}
	}
	res := decode(t, "envelope", "{}\n{\"type\":\"sessions\"}\n"+`{"attrs":{"release":"r"},"aggregates":[{"started":"2026-11-22T17:54:00Z","did":"u","exited":5,"errored":2,"crashed":1,"abnormal":null}]}`)
	got := map[string]int{}
	for _, e := range res.Events {
		got[e.Session.Status] += e.Session.Count
	}
	if diff := cmp.Diff(map[string]int{"exited": 5, "errored": 2, "crashed": 1}, got); diff != "" {
		t.Errorf("aggregates (-want +got):\n%s", diff)
	}
	if res := decode(t, "envelope", "{}\n{\"type\":\"session\"}\n{\"sid\":\"s\",\"status\":\"weird\"}"); len(res.Events) != 0 || res.Invalid["session_invalid"] != 1 {
		t.Errorf("unknown status: got %d events, %v", len(res.Events), res.Invalid)
	}
}

func TestClientReport(t *testing.T) {
	res := decode(t, "envelope", "{}\n{\"type\":\"client_report\"}\n"+
		`{"discarded_events":[{"reason":"ratelimit_backoff","category":"error","quantity":3},{"reason":"sample_rate","category":"transaction","quantity":9}]}`)
	if len(res.Events) != 1 {
		t.Fatalf("got %d events, want the loss alone", len(res.Events))
	}
	if e := res.Events[0]; e.Kind != telemetry.KindLoss || e.Op != "error" || e.Value != 3 || e.Message != "ratelimit_backoff" {
		t.Errorf("got %+v", e)
	}
}

func TestFlagsOfOneSegmentAreShared(t *testing.T) {
	span := func(id, op, extra string, segment bool) string {
		return fmt.Sprintf(`{"span_id":%q,"trace_id":"0123456789abcdef0123456789abcdef","is_segment":%v,"start_timestamp":1795370066.1,"end_timestamp":1795370066.2,"status":"error",
"attributes":{"sentry.op":{"value":%q},"sentry.segment.id":{"value":"aaaaaaaaaaaaaaaa"}%s}}`, id, segment, op, extra)
	}
	payload := strings.ReplaceAll(`{"version":2,"items":[`+span("bbbbbbbbbbbbbbbb", "db.query", "", false)+`,`+
		span("cccccccccccccccc", "function", `,"flag.evaluation.f":{"value":true}`, false)+`,`+
		span("aaaaaaaaaaaaaaaa", "http.server", `,"user.role":{"value":"admin"}`, true)+`,`+
		span("dddddddddddddddd", "http.client", "", true)+`]}`, "\n", "")
	res := decode(t, "envelope", "{}\n{\"type\":\"span\",\"content_type\":\"application/vnd.sentry.items.span.v2+json\"}\n"+payload)
	if len(res.Events) != 2 || res.Skipped["span"] != 2 {
		t.Fatalf("got %d events, %v skipped; want 2 and 2", len(res.Events), res.Skipped)
	}
	for _, e := range res.Events {
		if e.Flags["f"] != "true" || e.Segment != "aaaaaaaaaaaaaaaa" {
			t.Errorf("%s: flags %v, segment %q", e.Op, e.Flags, e.Segment)
		}
	}
	if e := res.Events[1]; e.Kind != telemetry.KindRequest || e.Status != 500 || e.Attributes["user.role"] != "admin" {
		t.Errorf("got %+v", e)
	}
}

func TestLimits(t *testing.T) {
	long := strings.Repeat("é", 5000)
	e := one(t, "event", `{"exception":[{"type":"`+long+`","value":"`+long+`","stacktrace":{"frames":[`+strings.Repeat(`{"function":"f"},`, 500)+`{"function":"crash"}]}}],"tags":{"`+long+`":"`+long+`"}}`)
	if got := []int{len([]rune(e.Exception.Type)), len([]rune(e.Exception.Value)), len(e.Exception.Frames)}; !slices.Equal(got, []int{128, 1024, 128}) {
		t.Errorf("type, value, frames: got %v", got)
	}
	if last := e.Exception.Frames[127].Function; last != "crash" {
		t.Errorf("the crash end was cut off: last frame %q", last)
	}
	for k, v := range e.Tags {
		if len([]rune(k)) != 200 || len([]rune(v)) != 200 {
			t.Errorf("tag: got %d and %d characters, want 200", len([]rune(k)), len([]rune(v)))
		}
	}
	var many strings.Builder
	for i := range 150 {
		fmt.Fprintf(&many, `"k%d":"v",`, i)
	}
	if e := one(t, "event", `{"tags":{`+many.String()+`"z":"v"}}`); len(e.Tags) != 100 {
		t.Errorf("got %d tags, want 100", len(e.Tags))
	}
	for _, c := range []struct {
		name, body, reason string
		events, count      int
	}{
		{"large event", "{}\n{\"type\":\"event\"}\n{\"message\":\"" + strings.Repeat("x", 1<<20) + "\"}", "too_large", 0, 1},
		{"large client report", "{}\n{\"type\":\"client_report\"}\n{\"x\":\"" + strings.Repeat("x", 16<<10) + "\"}", "too_large", 0, 1},
		{"many items", "{}\n" + strings.Repeat("{\"type\":\"check_in\"}\n{}\n", 1005), "too_many", 1000, 5},
		{"many sessions", "{}\n" + strings.Repeat("{\"type\":\"session\"}\n{\"sid\":\"s\",\"attrs\":{\"release\":\"r\"}}\n", 101), "too_many", 100, 1},
		{"deep beside a good one", "{}\n{\"type\":\"check_in\"}\n{}\n{\"type\":\"event\"}\n{\"extra\":" + strings.Repeat("[", 65) + strings.Repeat("]", 65) + "}", "too_deep", 1, 1},
	} {
		res := decode(t, "envelope", c.body)
		if len(res.Events) != c.events || res.Invalid[c.reason] != c.count {
			t.Errorf("%s: got %d events, %v; want %d, %s %d", c.name, len(res.Events), res.Invalid, c.events, c.reason, c.count)
		}
	}
}

// TestSamples decodes error events of many SDKs, some of which break the
// documented schema, from a directory that is not part of the project.
func TestSamples(t *testing.T) {
	dir := os.Getenv("SERIN_SAMPLES")
	if dir == "" {
		dir = "../../../../shared/telemetry/samples"
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no samples in %s: set SERIN_SAMPLES to a copy of bugsink/event-samples", dir)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			res := decode(t, "store", string(body))
			var raw struct {
				EventID string `json:"event_id"`
			}
			if err := json.Unmarshal(body, &raw); err != nil {
				t.Fatal(err)
			}
			if len(res.Events) != 1 || res.Events[0].Title == "(no message)" || res.Events[0].Level != "error" || res.ID != strings.ReplaceAll(raw.EventID, "-", "") {
				t.Errorf("got id %q, events %+v", res.ID, res.Events)
			}
			if len(res.Invalid) > 0 {
				t.Logf("dropped: %v", res.Invalid)
			}
		})
	}
}

// plainBodies are the recorded envelopes after decompression.
func plainBodies(t testing.TB) (envelopes [][]byte) {
	for _, f := range fixtures(t) {
		body := f.body
		if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if _, err := b.ReadFrom(z); err != nil {
				t.Fatal(err)
			}
			body = b.Bytes()
		}
		if f.status == 200 && bytes.HasPrefix(body, []byte("{")) && !strings.Contains(f.name, "store") {
			envelopes = append(envelopes, body)
		}
	}
	return envelopes
}

func TestConformance(t *testing.T) {
	intaketest.Run(t, sentry.Decoder{}, "envelope", plainBodies(t)...)
	intaketest.Run(t, sentry.Decoder{}, "store", []byte(`{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","message":"hello"}`))
}

func FuzzEnvelope(f *testing.F) {
	for _, body := range plainBodies(f) {
		f.Add(body)
	}
	f.Add([]byte("{\"sent_at\":1e300}\n{\"type\":\"sessions\"}\n{\"aggregates\":[{\"exited\":1e300,\"started\":-5}]}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		intaketest.Check(t, sentry.Decoder{}, intaketest.Request("envelope", body))
	})
}

func FuzzStore(f *testing.F) {
	f.Add([]byte(`{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","tags":[["a","b"]],"message":{"formatted":"x"},"exception":[{"type":"A"}]}`))
	f.Add([]byte(`{"type":"transaction","contexts":{"trace":{"op":"http.server"}},"spans":[{"op":"db"}],"timestamp":1e308}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		intaketest.Check(t, sentry.Decoder{}, intaketest.Request("store", body))
	})
}

func BenchmarkDecode(b *testing.B) {
	named := map[string][]byte{}
	for _, f := range fixtures(b) {
		switch f.name {
		case "browser11-004":
			named["error 2 KB"] = f.body
		case "browser11-002":
			named["spans 20 KB"] = f.body
		case "browser11-001":
			named["session 0.5 KB"] = f.body
		}
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		b.Run(name, func(b *testing.B) {
			r := intaketest.Request("envelope", named[name])
			b.SetBytes(int64(len(r.Body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := (sentry.Decoder{}).Decode(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
