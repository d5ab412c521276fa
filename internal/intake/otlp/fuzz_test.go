package otlp_test

import (
	"encoding/json"
	"net/http"
	"testing"

	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"serin/internal/intake"
	"serin/internal/intake/intaketest"
	"serin/internal/intake/otlp"
)

const (
	asProtobuf = "application/x-protobuf"
	asJSON     = "application/json"
)

// hostile are bodies that no SDK sends.
var hostile = map[string][]string{
	intake.EndpointTraces: {
		`{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":2,"startTimeUnixNano":"18446744073709551615","endTimeUnixNano":1e300,"traceId":"zz","events":[{"name":"feature_flag.evaluation","attributes":[{"key":"feature_flag.key","value":{"kvlistValue":{"values":[{"value":{"arrayValue":{"values":[{}]}}}]}}}]}]}]}]}]}`,
		`{"resourceSpans":[null,7,{"scopeSpans":{"spans":[]}},{"scopeSpans":[{"spans":[{"kind":-1,"status":[],"attributes":{"a":1}}]}]}]}`,
	},
	intake.EndpointMetrics: {
		`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"http.server.request.duration","unit":"s","histogram":{"aggregationTemporality":7,"dataPoints":[{"count":"-1","bucketCounts":["18446744073709551615",1],"explicitBounds":["NaN"],"max":"-Infinity"}]}}]}]}]}`,
		`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"http.server.request.duration","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"scale":-2147483648,"zeroThreshold":1e308,"positive":{"offset":2147483647,"bucketCounts":[1,2,3]},"negative":{"offset":-2147483648,"bucketCounts":[9]}}]}}]}]}]}`,
		`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"process.memory.usage","sum":{"aggregationTemporality":1,"dataPoints":[{"asInt":"-9223372036854775808"}]}},{"name":"process.memory.usage","sum":{"aggregationTemporality":2,"dataPoints":[{"asDouble":1e308},{"asDouble":1e308}]}},{"name":"process.memory.usage","gauge":{"dataPoints":[{"asDouble":"NaN"},{}]}}]}]}]}`,
	},
	intake.EndpointLogs: {
		`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":99,"timeUnixNano":"1","body":{"kvlistValue":{"values":[]}},"attributes":[{"key":"exception.type","value":{"intValue":"9223372036854775807"}}]},{"eventName":"feature_flag.evaluation","severityNumber":17}]}]}]}`,
	},
}

// fuzzed is the body of a fuzz target: one signal in one encoding, begun with
// what SDKs sent, written in that encoding, and what none would.
func fuzzed(f *testing.F, endpoint, contentType string, empty func() proto.Message) {
	for _, rec := range recordings(f) {
		if rec.endpoint != endpoint {
			continue
		}
		f.Add([]byte(rec.body))
		if rec.contentType == asProtobuf && contentType == asJSON {
			m := empty()
			if err := proto.Unmarshal([]byte(rec.body), m); err != nil {
				f.Fatal(err)
			}
			f.Add(inJSON(f, m))
		}
		if rec.contentType == asJSON && contentType == asProtobuf {
			f.Add(inProtobuf(f, []byte(rec.body), empty()))
		}
	}
	for _, body := range hostile[endpoint] {
		f.Add([]byte(body))
		m := empty()
		if contentType == asProtobuf && (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(body), m) == nil {
			wire, err := proto.Marshal(m)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(wire)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, page := range []bool{false, true} {
			r := intaketest.Request(endpoint, body)
			r.Header, r.Publishable = http.Header{"Content-Type": {contentType}}, page
			intaketest.Check(t, otlp.Decoder{}, r)
		}
	})
}

// inProtobuf reads OTLP's JSON, without its ids, and writes protobuf.
func inProtobuf(f *testing.F, body []byte, m proto.Message) []byte {
	var tree any
	if err := json.Unmarshal(body, &tree); err != nil {
		f.Fatal(err)
	}
	withoutIDs(tree)
	plain, err := json.Marshal(tree)
	if err != nil {
		f.Fatal(err)
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(plain, m); err != nil {
		f.Fatal(err)
	}
	wire, err := proto.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	return wire
}

func withoutIDs(v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			withoutIDs(x)
		}
	case map[string]any:
		for _, key := range []string{"traceId", "spanId", "parentSpanId"} {
			delete(v, key)
		}
		for _, x := range v {
			withoutIDs(x)
		}
	}
}

func FuzzTracesProtobuf(f *testing.F) {
	fuzzed(f, intake.EndpointTraces, asProtobuf, func() proto.Message { return &trace.TracesData{} })
}

func FuzzTracesJSON(f *testing.F) {
	fuzzed(f, intake.EndpointTraces, asJSON, func() proto.Message { return &trace.TracesData{} })
}

func FuzzMetricsProtobuf(f *testing.F) {
	fuzzed(f, intake.EndpointMetrics, asProtobuf, func() proto.Message { return &metrics.MetricsData{} })
}

func FuzzMetricsJSON(f *testing.F) {
	fuzzed(f, intake.EndpointMetrics, asJSON, func() proto.Message { return &metrics.MetricsData{} })
}

func FuzzLogsProtobuf(f *testing.F) {
	fuzzed(f, intake.EndpointLogs, asProtobuf, func() proto.Message { return &logs.LogsData{} })
}

func FuzzLogsJSON(f *testing.F) {
	fuzzed(f, intake.EndpointLogs, asJSON, func() proto.Message { return &logs.LogsData{} })
}
