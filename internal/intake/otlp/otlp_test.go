package otlp_test

import (
	"archive/zip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"serin/internal/intake"
	"serin/internal/intake/intaketest"
	"serin/internal/intake/otlp"
	"serin/internal/telemetry"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// recording is one request of an unmodified SDK.
type recording struct{ name, endpoint, contentType, body string }

// recordings are requests of otel-go 1.47.0 and OpenTelemetry JS 0.223.1.
func recordings(t testing.TB) []recording {
	t.Helper()
	archive, err := zip.OpenReader("testdata/fixtures.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	read := func(name string) string {
		f, err := archive.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var all []recording
	for _, f := range archive.File {
		name, ok := strings.CutSuffix(f.Name, ".body")
		if !ok {
			continue
		}
		headers := read(name + ".headers")
		path := strings.Fields(headers)[1]
		_, endpoint, _ := intake.Match(path)
		r := recording{name, endpoint, "application/json", read(f.Name)}
		if strings.Contains(headers, "application/x-protobuf") {
			r.contentType = "application/x-protobuf"
		}
		all = append(all, r)
	}
	return all
}

// arrival is when the recordings were made, about.
var arrival = time.Date(2026, 11, 22, 18, 14, 20, 0, time.UTC)

func request(endpoint, contentType, body string) intake.Request {
	r := intaketest.Request(endpoint, []byte(body))
	r.Header = http.Header{"Content-Type": {contentType}}
	r.Received = arrival
	r.Age = func(t time.Time) time.Duration { return arrival.Sub(t) }
	return r
}

func TestRecorded(t *testing.T) {
	for _, rec := range recordings(t) {
		t.Run(rec.name, func(t *testing.T) {
			res, err := otlp.Decoder{}.Decode(request(rec.endpoint, rec.contentType, rec.body))
			if err != nil {
				t.Fatal(err)
			}
			if res.AnswerType != rec.contentType {
				t.Errorf("answer of %s, want %s", res.AnswerType, rec.contentType)
			}
			got, err := json.MarshalIndent(res, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", "golden", rec.name+".json")
			if *update {
				if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestConformance(t *testing.T) {
	bodies := map[string][][]byte{}
	for _, rec := range recordings(t) {
		bodies[rec.endpoint] = append(bodies[rec.endpoint], []byte(rec.body))
	}
	for endpoint, all := range bodies {
		t.Run(endpoint, func(t *testing.T) { intaketest.Run(t, otlp.Decoder{}, endpoint, all...) })
	}
}

// inJSON writes a message as OTLP does: protobuf's JSON with hexadecimal ids
// and enums as integers.
func inJSON(t testing.TB, m proto.Message) []byte {
	b, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	hexIDs(tree)
	if b, err = json.Marshal(tree); err != nil {
		t.Fatal(err)
	}
	return b
}

func hexIDs(v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			hexIDs(x)
		}
	case map[string]any:
		for key, x := range v {
			if s, ok := x.(string); ok && slices.Contains([]string{"traceId", "spanId", "parentSpanId"}, key) {
				b, _ := base64.StdEncoding.DecodeString(s)
				v[key] = hex.EncodeToString(b)
			}
			hexIDs(x)
		}
	}
}

func text(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
}

func attributes(t *rapid.T) []*common.KeyValue {
	key := rapid.SampledFrom([]string{"user.id", "feature_flag.key", "feature_flag.result.variant", "http.route", "http.response.status_code", "db.system", "exception.type", "feature", "state"})
	var all []*common.KeyValue
	for range rapid.IntRange(0, 5).Draw(t, "attributes") {
		a := &common.KeyValue{Key: key.Draw(t, "key"), Value: &common.AnyValue{}}
		switch rapid.IntRange(0, 4).Draw(t, "type") {
		case 0:
			a.Value.Value = &common.AnyValue_IntValue{IntValue: rapid.Int64().Draw(t, "int")}
		case 1:
			a.Value.Value = &common.AnyValue_DoubleValue{DoubleValue: rapid.Float64().Draw(t, "double")}
		case 2:
			a.Value.Value = &common.AnyValue_BoolValue{BoolValue: rapid.Bool().Draw(t, "bool")}
		case 3:
			a.Value.Value = &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: []*common.AnyValue{text("", "x").Value}}}
		default:
			a.Value.Value = &common.AnyValue_StringValue{StringValue: rapid.StringN(0, 12, -1).Draw(t, "text")}
		}
		all = append(all, a)
	}
	return all
}

// TestEncodingsAgree: the same data in JSON and in protobuf are the same events.
func TestEncodingsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		res := &resource.Resource{Attributes: attributes(t)}
		at := uint64(arrival.UnixNano()) - rapid.Uint64Range(0, 1e12).Draw(t, "age")
		ids := func(n int) []byte { return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "id") }
		var m proto.Message
		endpoint := rapid.SampledFrom([]string{intake.EndpointTraces, intake.EndpointMetrics, intake.EndpointLogs}).Draw(t, "endpoint")
		switch endpoint {
		case intake.EndpointTraces:
			s := &trace.Span{TraceId: ids(16), SpanId: ids(8), Name: "GET /x", Kind: trace.Span_SpanKind(rapid.IntRange(0, 5).Draw(t, "kind")),
				StartTimeUnixNano: at - 5e6, EndTimeUnixNano: at, Attributes: attributes(t), Status: &trace.Status{Code: trace.Status_StatusCode(rapid.IntRange(0, 2).Draw(t, "code"))},
				Events: []*trace.Span_Event{{Name: rapid.SampledFrom([]string{"feature_flag.evaluation", "exception", "x"}).Draw(t, "event"), TimeUnixNano: at, Attributes: attributes(t)}}}
			m = &trace.TracesData{ResourceSpans: []*trace.ResourceSpans{{Resource: res, ScopeSpans: []*trace.ScopeSpans{{Spans: []*trace.Span{s}}}}}}
		case intake.EndpointLogs:
			r := &logs.LogRecord{TimeUnixNano: at, SeverityNumber: logs.SeverityNumber(rapid.IntRange(0, 24).Draw(t, "severity")), Body: text("", "it broke").Value, Attributes: attributes(t), TraceId: ids(16), SpanId: ids(8)}
			m = &logs.LogsData{ResourceLogs: []*logs.ResourceLogs{{Resource: res, ScopeLogs: []*logs.ScopeLogs{{LogRecords: []*logs.LogRecord{r}}}}}}
		default:
			temporality := metrics.AggregationTemporality(rapid.IntRange(0, 2).Draw(t, "temporality"))
			counts := rapid.SliceOfN(rapid.Uint64Range(0, 1e9), 3, 3).Draw(t, "counts")
			point := &metrics.HistogramDataPoint{Attributes: attributes(t), StartTimeUnixNano: at - 1e9, TimeUnixNano: at, BucketCounts: counts, ExplicitBounds: []float64{0.2, 0.5}, Max: proto.Float64(3)}
			grown := &metrics.ExponentialHistogramDataPoint{Attributes: attributes(t), TimeUnixNano: at, Scale: rapid.Int32Range(-12, 22).Draw(t, "scale"), ZeroCount: 2,
				Positive: &metrics.ExponentialHistogramDataPoint_Buckets{Offset: rapid.Int32Range(-50, 50).Draw(t, "offset"), BucketCounts: counts}}
			gauge := &metrics.NumberDataPoint{Attributes: attributes(t), TimeUnixNano: at, Value: &metrics.NumberDataPoint_AsDouble{AsDouble: rapid.Float64().Draw(t, "value")}}
			name := rapid.SampledFrom([]string{"process.memory.usage", "db.client.connection.count", "db.client.connection.max", "queue"}).Draw(t, "name")
			m = &metrics.MetricsData{ResourceMetrics: []*metrics.ResourceMetrics{{Resource: res, ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: []*metrics.Metric{
				{Name: "http.server.request.duration", Unit: "s", Data: &metrics.Metric_Histogram{Histogram: &metrics.Histogram{AggregationTemporality: temporality, DataPoints: []*metrics.HistogramDataPoint{point}}}},
				{Name: "db.client.operation.duration", Unit: "s", Data: &metrics.Metric_ExponentialHistogram{ExponentialHistogram: &metrics.ExponentialHistogram{AggregationTemporality: temporality, DataPoints: []*metrics.ExponentialHistogramDataPoint{grown}}}},
				{Name: name, Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: []*metrics.NumberDataPoint{gauge}}}},
			}}}}}}
		}
		wire, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		one, err1 := otlp.Decoder{}.Decode(request(endpoint, "application/x-protobuf", string(wire)))
		b, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var tree any
		if err := json.Unmarshal(b, &tree); err != nil {
			t.Fatal(err)
		}
		hexIDs(tree)
		if b, err = json.Marshal(tree); err != nil {
			t.Fatal(err)
		}
		two, err2 := otlp.Decoder{}.Decode(request(endpoint, "application/json", string(b)))
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if diff := cmp.Diff(one.Events, two.Events); diff != "" {
			t.Fatalf("%s\n(-protobuf +JSON)\n%s", b, diff)
		}
	})
}

// TestBadBodies are refused as a whole, with a reason.
func TestBadBodies(t *testing.T) {
	for _, c := range []struct{ name, endpoint, contentType, body string }{
		{"no JSON", intake.EndpointTraces, "application/json", `{"resourceSpans":[`},
		{"empty JSON", intake.EndpointTraces, "application/json", ``},
		{"a list", intake.EndpointLogs, "application/json", `[]`},
		{"no protobuf", intake.EndpointTraces, "application/x-protobuf", "\x0a\xff\xff"},
		{"JSON as protobuf", intake.EndpointTraces, "application/x-protobuf", `{"resourceSpans":[]}`},
		{"text that is no UTF-8", intake.EndpointTraces, "application/x-protobuf", "\x0a\x09\x12\x07\x12\x05\x2a\x03\xff\xfe\xfd"},
		{"another signal", "v1/profiles", "application/json", `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if res, err := (otlp.Decoder{}).Decode(request(c.endpoint, c.contentType, c.body)); err == nil || len(res.Events) > 0 {
				t.Errorf("got %v and %d events, want an error", err, len(res.Events))
			}
		})
	}
}

// TestRejected: what cannot be counted is told as partial success.
func TestRejected(t *testing.T) {
	point := func(p string) string {
		return `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"http.server.request.duration","histogram":{"aggregationTemporality":2,"dataPoints":[` + p + `]}}]}]}]}`
	}
	const gauge = `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"process.memory.usage","gauge":{"dataPoints":[{"asInt":"7"}]}}]}]}]}`
	for _, c := range []struct {
		name, body, why string
		public          bool
	}{
		{"counts and bounds", point(`{"bucketCounts":[1,2],"explicitBounds":[1,2]}`), "number of bounds", false},
		{"bounds that fall", point(`{"bucketCounts":[1,2,3],"explicitBounds":[2,1]}`), "ascend", false},
		{"a bound without value", point(`{"bucketCounts":[1,2],"explicitBounds":["NaN"]}`), "ascend", false},
		{"a count that cannot be", point(`{"bucketCounts":["18446744073709551615"]}`), "too many", false},
		{"a gauge of a page", gauge, "no page carries", true},
		{"a sum since the last point", strings.ReplaceAll(gauge, `"gauge":{`, `"sum":{"aggregationTemporality":1,`), "cumulative temporality", false},
		{"a value that is none", strings.ReplaceAll(gauge, `"asInt":"7"`, `"asDouble":"NaN"`), "no finite value", false},
		{"a scale out of range", strings.ReplaceAll(point(`{"scale":99,"positive":{"bucketCounts":[1]}}`), `"histogram"`, `"exponentialHistogram"`), "scale", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(intake.EndpointMetrics, "application/json", c.body)
			r.Publishable = c.public
			res, err := otlp.Decoder{}.Decode(r)
			if err != nil || len(res.Events) != 0 || !strings.Contains(string(res.Answer), `"rejectedDataPoints":"1"`) || !strings.Contains(string(res.Answer), c.why) {
				t.Errorf("got %v, %d events, %s", err, len(res.Events), res.Answer)
			}
		})
	}
	if res, err := (otlp.Decoder{}).Decode(request(intake.EndpointMetrics, "application/json", gauge)); err != nil || len(res.Events) != 1 || string(res.Answer) != "{}" {
		t.Errorf("a gauge of a server: %v %v", res, err)
	}
}

// TestErrorsMayBeLeftOut: where Sentry sends the same errors.
func TestErrorsMayBeLeftOut(t *testing.T) {
	const body = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":17,"body":{"stringValue":"x"}},{"severityNumber":9},{"severityNumber":9,"attributes":[{"key":"exception.type","value":{"stringValue":"E"}}]}]}]}]}`
	for _, off := range []bool{false, true} {
		res, err := otlp.Decoder{NoErrors: off}.Decode(request(intake.EndpointLogs, "application/json", body))
		var kinds []telemetry.Kind
		for _, e := range res.Events {
			kinds = append(kinds, e.Kind)
		}
		if want := map[bool]int{false: 2, true: 0}[off]; err != nil || len(kinds) != want || res.Skipped["log"] != 1 {
			t.Errorf("off %v: %v %v %v", off, kinds, res.Skipped, err)
		}
	}
}

// TestReply: a refusal is a Status in the request's encoding.
func TestReply(t *testing.T) {
	for contentType, want := range map[string]string{
		"application/json":       `{"code":3,"message":"no"}`,
		"application/x-protobuf": "\x08\x03\x12\x02no",
	} {
		body, got := otlp.Decoder{}.Reply(http.Header{"Content-Type": {contentType}}, http.StatusBadRequest, "no")
		if string(body) != want || got != contentType {
			t.Errorf("%s: %q of %s", contentType, body, got)
		}
	}
}

func BenchmarkSpans(b *testing.B) {
	const spans = 500
	all := make([]*trace.Span, spans)
	for i := range all {
		all[i] = &trace.Span{TraceId: []byte("0123456789abcdef"), SpanId: []byte{1, 2, 3, 4, 5, 6, byte(i >> 8), byte(i)}, Name: "GET /admin/users", Kind: trace.Span_SPAN_KIND_SERVER,
			StartTimeUnixNano: uint64(arrival.UnixNano()) - 2e9, EndTimeUnixNano: uint64(arrival.UnixNano()) - 1e9,
			Attributes: []*common.KeyValue{text("http.route", "/admin/users"), text("user.id", "user-1042"), text("feature_flag.key", "adminWorkBench"), text("feature_flag.result.variant", "on")}}
	}
	m := &trace.TracesData{ResourceSpans: []*trace.ResourceSpans{{Resource: &resource.Resource{Attributes: []*common.KeyValue{text("service.name", "shop")}}, ScopeSpans: []*trace.ScopeSpans{{Spans: all}}}}}
	wire, err := proto.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	for name, r := range map[string]intake.Request{"protobuf": request(intake.EndpointTraces, "application/x-protobuf", string(wire)), "json": request(intake.EndpointTraces, "application/json", string(inJSON(b, m)))} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if res, err := (otlp.Decoder{}).Decode(r); err != nil || len(res.Events) != spans {
					b.Fatal(len(res.Events), err)
				}
			}
			b.ReportMetric(float64(b.N)*spans/b.Elapsed().Seconds(), "spans/s")
		})
	}
}
