package otlp

import (
	"encoding/hex"
	"hash/fnv"
	"strconv"
	"strings"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"

	"serin/internal/telemetry"
)

func (d *decoding) logs(m *logs.LogsData) {
	for _, rl := range m.GetResourceLogs() {
		o := originOf(rl.GetResource())
		for _, sl := range rl.GetScopeLogs() {
			for _, r := range sl.GetLogRecords() {
				if d.take(r) {
					d.log(&o, r)
				}
			}
		}
	}
}

func (d *decoding) log(o *origin, r *logs.LogRecord) {
	attrs := r.GetAttributes()
	name := r.GetEventName()
	if name == "" {
		name = get(attrs, "event.name") // before there was a field for it
	}
	severity := r.GetSeverityNumber()
	switch {
	case name == eventEvaluation:
		d.logEvaluation(o, r)
	case severity >= logs.SeverityNumber_SEVERITY_NUMBER_ERROR || get(attrs, "exception.type") != "":
		if d.NoErrors {
			d.out.Skipped["log_error"]++
			return
		}
		d.logError(o, r)
	default:
		d.out.Skipped["log"]++
	}
}

// logEvent is what both kinds of records share.
func (d *decoding) logEvent(k telemetry.Kind, o *origin, r *logs.LogRecord) telemetry.Event {
	e := d.newEvent(k, o)
	e.Trace, e.SpanID = id(r.GetTraceId(), traceIDBytes), id(r.GetSpanId(), spanIDBytes)
	e.ID = d.logID(o, r)
	describe(&e, r.GetAttributes())
	nanos := r.GetTimeUnixNano()
	if nanos == 0 {
		nanos = r.GetObservedTimeUnixNano()
	}
	d.stamp(&e, nanos)
	return e
}

// logID makes an id for a record, which has none: a batch that is sent again
// gives it again. Equal records of one batch differ by their place.
func (d *decoding) logID(o *origin, r *logs.LogRecord) string {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
	if err != nil {
		return "" // text that is no UTF-8 cannot be a message's
	}
	h := fnv.New128a()
	h.Write(b)
	h.Write([]byte(strconv.FormatUint(o.hash, 16) + "/" + strconv.Itoa(d.records)))
	return "log-" + hex.EncodeToString(h.Sum(nil))
}

func (d *decoding) logEvaluation(o *origin, r *logs.LogRecord) {
	e := d.logEvent(telemetry.KindExposure, o, r)
	if len(e.Flags) == 0 {
		d.out.Invalid[invalidField]++
		return
	}
	d.emit(e)
}

func (d *decoding) logError(o *origin, r *logs.LogRecord) {
	e := d.logEvent(telemetry.KindError, o, r)
	attrs := r.GetAttributes()
	e.Level = levelOf(r.GetSeverityNumber())
	if s, ok := text(r.GetBody()); ok {
		e.Message = cut(s, maxMessageChars)
	}
	title := e.Message
	if get(attrs, "exception.type", "exception.message") != "" {
		e.Exception = exceptionOf(attrs)
		if title = e.Exception.Type + ": " + e.Exception.Value; e.Exception.Type == "" {
			title = e.Exception.Value
		}
		if e.Message == "" {
			e.Message = e.Exception.Value
		}
		setAttribute(&e, "error.type", e.Exception.Type)
	}
	e.Title = firstLine(title)
	d.emit(e)
}

// levelOf is the level of a severity number (OpenTelemetry logs data model,
// SeverityNumber): each range of four is a level.
func levelOf(n logs.SeverityNumber) string {
	switch {
	case n >= logs.SeverityNumber_SEVERITY_NUMBER_FATAL:
		return "fatal"
	case n >= logs.SeverityNumber_SEVERITY_NUMBER_ERROR, n <= 0:
		return "error" // an exception without a severity too
	case n >= logs.SeverityNumber_SEVERITY_NUMBER_WARN:
		return "warning"
	case n >= logs.SeverityNumber_SEVERITY_NUMBER_INFO:
		return "info"
	default:
		return "debug"
	}
}

// exceptionOf reads exception.*. The stack is a text in the language's own
// form; errors are grouped by type and message.
func exceptionOf(attrs []*common.KeyValue) *telemetry.Exception {
	return &telemetry.Exception{
		Type: cut(get(attrs, "exception.type"), maxTypeChars), Value: cut(get(attrs, "exception.message"), maxValueChars),
	}
}

// firstLine is the title of a longer text.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return cut(strings.TrimSpace(line), maxTitleChars)
}
