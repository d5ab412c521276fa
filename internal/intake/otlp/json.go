package otlp

import (
	"encoding/base64"
	"encoding/hex"
	"math"
	"strconv"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"serin/internal/intake/loosejson"
)

// This file reads the JSON encoding of OTLP, which is that of protobuf but for
// ids, which are hexadecimal, and enums, which are integers. Keys that it does
// not know are left out; a field of a wrong type is dropped and counted.

// dropped counts a field that is there and cannot be read.
func (d *decoding) dropped(v loosejson.Value) {
	if !v.Absent() {
		d.out.Invalid[invalidField]++
	}
}

func (d *decoding) jsonText(v loosejson.Value) string {
	s, ok := v.Str()
	if !ok {
		d.dropped(v)
	}
	return s
}

// jsonID reads an id of n bytes.
func (d *decoding) jsonID(v loosejson.Value, n int) []byte {
	s, _ := v.Str()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != n {
		if s != "" || v.Kind() != loosejson.String {
			d.dropped(v)
		}
		return nil
	}
	return b
}

// scalar is the text of a number or of a number in a string.
func scalar(v loosejson.Value) string {
	if k := v.Kind(); k != loosejson.Number && k != loosejson.String {
		return ""
	}
	return string(v.Raw())
}

func (d *decoding) jsonUint(v loosejson.Value) uint64 {
	s := scalar(v)
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n
	}
	// 1e3 and 3.0 are integers too.
	if x, err := strconv.ParseFloat(s, 64); err == nil && x >= 0 && x < math.MaxUint64 && x == math.Trunc(x) {
		return uint64(x)
	}
	d.dropped(v)
	return 0
}

func (d *decoding) jsonInt(v loosejson.Value) int64 {
	s := scalar(v)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	if x, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(x) < math.MaxInt64 && x == math.Trunc(x) {
		return int64(x)
	}
	d.dropped(v)
	return 0
}

func (d *decoding) jsonInt32(v loosejson.Value) int32 {
	n := d.jsonInt(v)
	if n < math.MinInt32 || n > math.MaxInt32 {
		d.dropped(v)
		return 0
	}
	return int32(n)
}

// jsonFloat reads a double; protobuf writes NaN and the infinities as text.
func (d *decoding) jsonFloat(v loosejson.Value) float64 {
	x, err := strconv.ParseFloat(scalar(v), 64)
	if err != nil {
		d.dropped(v)
		return 0
	}
	return x
}

func (d *decoding) jsonAttributes(v loosejson.Value) []*common.KeyValue {
	var all []*common.KeyValue
	for a := range v.Items() {
		all = append(all, &common.KeyValue{Key: d.jsonText(a.Get("key")), Value: d.jsonValue(a.Get("value"))})
	}
	return all
}

// jsonValue reads an AnyValue. The parser bounds its depth.
func (d *decoding) jsonValue(v loosejson.Value) *common.AnyValue {
	for key, x := range v.Fields() {
		if x.Absent() {
			continue
		}
		switch key {
		case "stringValue":
			return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: d.jsonText(x)}}
		case "boolValue":
			b, ok := x.Bool()
			if !ok {
				d.dropped(x)
				return nil
			}
			return &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: b}}
		case "intValue":
			return &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: d.jsonInt(x)}}
		case "doubleValue":
			return &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: d.jsonFloat(x)}}
		case "bytesValue":
			b, err := base64.StdEncoding.DecodeString(d.jsonText(x))
			if err != nil {
				d.dropped(x)
				return nil
			}
			return &common.AnyValue{Value: &common.AnyValue_BytesValue{BytesValue: b}}
		case "arrayValue":
			list := &common.ArrayValue{}
			for item := range x.Get("values").Items() {
				list.Values = append(list.Values, d.jsonValue(item))
			}
			return &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: list}}
		case "kvlistValue":
			list := &common.KeyValueList{Values: d.jsonAttributes(x.Get("values"))}
			return &common.AnyValue{Value: &common.AnyValue_KvlistValue{KvlistValue: list}}
		}
	}
	return nil
}

func (d *decoding) jsonResource(v loosejson.Value) *resource.Resource {
	return &resource.Resource{Attributes: d.jsonAttributes(v.Get("attributes"))}
}

func (d *decoding) jsonScope(v loosejson.Value) *common.InstrumentationScope {
	return &common.InstrumentationScope{Name: d.jsonText(v.Get("name"))}
}

func (d *decoding) jsonTraces(root loosejson.Value, m *trace.TracesData) {
	for rv := range root.Get("resourceSpans").Items() {
		rs := &trace.ResourceSpans{Resource: d.jsonResource(rv.Get("resource"))}
		for sv := range rv.Get("scopeSpans").Items() {
			ss := &trace.ScopeSpans{}
			for v := range sv.Get("spans").Items() {
				ss.Spans = append(ss.Spans, d.jsonSpan(v))
			}
			rs.ScopeSpans = append(rs.ScopeSpans, ss)
		}
		m.ResourceSpans = append(m.ResourceSpans, rs)
	}
}

func (d *decoding) jsonSpan(v loosejson.Value) *trace.Span {
	s := &trace.Span{
		TraceId: d.jsonID(v.Get("traceId"), traceIDBytes), SpanId: d.jsonID(v.Get("spanId"), spanIDBytes),
		Name: d.jsonText(v.Get("name")), Kind: trace.Span_SpanKind(d.jsonInt32(v.Get("kind"))),
		StartTimeUnixNano: d.jsonUint(v.Get("startTimeUnixNano")), EndTimeUnixNano: d.jsonUint(v.Get("endTimeUnixNano")),
		Attributes: d.jsonAttributes(v.Get("attributes")),
	}
	for ev := range v.Get("events").Items() {
		s.Events = append(s.Events, &trace.Span_Event{
			Name: d.jsonText(ev.Get("name")), TimeUnixNano: d.jsonUint(ev.Get("timeUnixNano")), Attributes: d.jsonAttributes(ev.Get("attributes")),
		})
	}
	if st := v.Get("status"); !st.Absent() {
		s.Status = &trace.Status{Code: trace.Status_StatusCode(d.jsonInt32(st.Get("code"))), Message: d.jsonText(st.Get("message"))}
	}
	return s
}

func (d *decoding) jsonLogs(root loosejson.Value, m *logs.LogsData) {
	for rv := range root.Get("resourceLogs").Items() {
		rl := &logs.ResourceLogs{Resource: d.jsonResource(rv.Get("resource"))}
		for sv := range rv.Get("scopeLogs").Items() {
			sl := &logs.ScopeLogs{}
			for v := range sv.Get("logRecords").Items() {
				sl.LogRecords = append(sl.LogRecords, &logs.LogRecord{
					TimeUnixNano: d.jsonUint(v.Get("timeUnixNano")), ObservedTimeUnixNano: d.jsonUint(v.Get("observedTimeUnixNano")),
					SeverityNumber: logs.SeverityNumber(d.jsonInt32(v.Get("severityNumber"))),
					Body:           d.jsonValue(v.Get("body")), Attributes: d.jsonAttributes(v.Get("attributes")),
					TraceId: d.jsonID(v.Get("traceId"), traceIDBytes), SpanId: d.jsonID(v.Get("spanId"), spanIDBytes),
					EventName: d.jsonText(v.Get("eventName")),
				})
			}
			rl.ScopeLogs = append(rl.ScopeLogs, sl)
		}
		m.ResourceLogs = append(m.ResourceLogs, rl)
	}
}
