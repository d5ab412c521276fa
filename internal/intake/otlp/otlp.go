package otlp

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"

	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"serin/internal/intake"
	"serin/internal/intake/loosejson"
	"serin/internal/telemetry"
)

// Source is what Event.Source says of everything decoded here.
const Source = "otlp"

// Limits of one request; texts are cut, records beyond the limit rejected.
// The collector's batches have at most 8192 records unless told otherwise.
const (
	maxRecords      = 10_000
	maxItemBytes    = 1 << 20 // a span, log record or metric
	maxAttributes   = 100
	maxFlags        = 100
	maxExposures    = 100 // of one span
	maxTextChars    = 200 // keys and values of attributes, names
	maxMessageChars = 8192
	maxTitleChars   = 200
	maxURLChars     = 2048
	maxValueChars   = 1024 // an exception's message
	maxTypeChars    = 128
	maxBuckets      = 1000 // of one histogram point
)

// Reasons in Result.Invalid.
const (
	invalidField    = "field_invalid"
	invalidTooLarge = "too_large"
	invalidTooMany  = "too_many"
	invalidPoint    = "point_invalid"
	invalidPublic   = "gauge_of_page"
)

// Decoder implements intake.Decoder and intake.Replier. The zero value is ready.
type Decoder struct {
	// NoErrors takes no error events from logs, for servers whose errors come
	// by Sentry's SDKs too and would count twice.
	NoErrors bool
}

// Decode implements intake.Decoder. Its error says what is wrong with the
// body, for the client to read.
func (dec Decoder) Decode(r intake.Request) (intake.Result, error) {
	d := &decoding{Decoder: dec, req: r, json: isJSON(r)}
	d.out.Skipped, d.out.Invalid = map[string]int{}, map[string]int{}
	var err error
	switch r.Endpoint {
	case intake.EndpointTraces:
		m := &trace.TracesData{} // as ExportTraceServiceRequest, whose package needs gRPC
		if err = d.read(m, func(v loosejson.Value) { d.jsonTraces(v, m) }); err == nil {
			d.traces(m)
		}
	case intake.EndpointMetrics:
		m := &metrics.MetricsData{}
		if err = d.read(m, func(v loosejson.Value) { d.jsonMetrics(v, m) }); err == nil {
			d.metrics(m)
		}
	case intake.EndpointLogs:
		m := &logs.LogsData{}
		if err = d.read(m, func(v loosejson.Value) { d.jsonLogs(v, m) }); err == nil {
			d.logs(m)
		}
	default:
		err = fmt.Errorf("OTLP has no %s: send to /v1/traces, /v1/metrics or /v1/logs", r.Endpoint)
	}
	if err != nil {
		return intake.Result{Skipped: d.out.Skipped, Invalid: d.out.Invalid}, err
	}
	d.answer()
	return d.out, nil
}

// isJSON tells the encoding by the Content-Type, else by the body: no message
// of OTLP begins with a brace.
func isJSON(r intake.Request) bool {
	switch mediaType(r.Header) {
	case typeJSON:
		return true
	case typeProtobuf:
		return false
	}
	return bytes.HasPrefix(bytes.TrimLeft(r.Body, " \t\r\n"), []byte("{"))
}

func mediaType(h http.Header) string {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// decoding is the state of one Decode.
type decoding struct {
	Decoder
	req  intake.Request
	out  intake.Result
	json bool

	records  int    // seen so far
	rejected int    // of them
	why      string // the first reason
}

// read fills m from the body.
func (d *decoding) read(m proto.Message, fromJSON func(loosejson.Value)) error {
	if !d.json {
		// Unknown fields are not kept: nobody reads them again.
		if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(d.req.Body, m); err != nil {
			return fmt.Errorf("the body is no OTLP in protobuf: %w", err)
		}
		return nil
	}
	doc, err := loosejson.Parse(d.req.Body)
	if err != nil {
		return fmt.Errorf("the body is no OTLP in JSON: %w", err)
	}
	defer doc.Free()
	if doc.Root().Kind() != loosejson.Object {
		return errors.New("the body is no OTLP in JSON: an object is needed")
	}
	fromJSON(doc.Root())
	return nil
}

// take counts one record and reports whether it is within the limits.
func (d *decoding) take(m proto.Message) bool {
	d.records++
	switch {
	case d.records > maxRecords:
		d.reject(invalidTooMany, fmt.Sprintf("only %d records are taken at once: send smaller batches", maxRecords))
		return false
	case len(d.req.Body) > maxItemBytes && proto.Size(m) > maxItemBytes:
		d.reject(invalidTooLarge, fmt.Sprintf("a record is over %d bytes: send less of it", maxItemBytes))
		return false
	}
	return true
}

// reject counts a record that the answer tells of as rejected.
func (d *decoding) reject(reason, why string) {
	d.out.Invalid[reason]++
	d.rejected++
	if d.why == "" {
		d.why = why
	}
}

func (d *decoding) emit(e telemetry.Event) { d.out.Events = append(d.out.Events, e) }
