package otlp

import (
	"maps"
	"strconv"
	"strings"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"serin/internal/telemetry"
)

// Names of events (semantic conventions for feature flags and exceptions).
const (
	eventEvaluation = "feature_flag.evaluation"
	eventException  = "exception"
)

// internalError is the status of a failed request that names none.
const internalError = 500

// known is what the spans of one trace say of who asked.
type known struct {
	user  string
	mixed bool // several users: nobody inherits
	flags map[string]string
}

func (d *decoding) traces(m *trace.TracesData) {
	byTrace := map[string]*known{}
	first := len(d.out.Events)
	for _, rs := range m.GetResourceSpans() {
		o := originOf(rs.GetResource())
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				if d.take(s) {
					d.span(&o, s, byTrace)
				}
			}
		}
	}
	for i := first; i < len(d.out.Events); i++ {
		inherit(&d.out.Events[i], byTrace)
	}
}

// inherit fills who and which flags from other spans of the trace.
func inherit(e *telemetry.Event, byTrace map[string]*known) {
	k := byTrace[e.Trace]
	if k == nil || k.mixed || e.Kind == telemetry.KindExposure {
		return
	}
	if e.User == "" {
		e.User = k.user
	}
	if len(e.Flags) == 0 {
		e.Flags = maps.Clone(k.flags) // scrubbing changes maps in place
	}
}

// learn notes what a span says for the others of its trace.
func learn(e *telemetry.Event, byTrace map[string]*known) {
	if e.Trace == "" || e.User == "" && len(e.Flags) == 0 {
		return
	}
	k := byTrace[e.Trace]
	if k == nil {
		k = &known{}
		byTrace[e.Trace] = k
	}
	k.mixed = k.mixed || k.user != "" && e.User != "" && k.user != e.User
	if k.user == "" {
		k.user = e.User
	}
	for key, variant := range e.Flags {
		set(&k.flags, key, variant, maxFlags)
	}
}

func (d *decoding) span(o *origin, s *trace.Span, byTrace map[string]*known) {
	attrs := s.GetAttributes()
	e := d.newEvent(spanKind(s), o)
	e.Trace, e.SpanID = id(s.GetTraceId(), traceIDBytes), id(s.GetSpanId(), spanIDBytes)
	if e.Trace != "" && e.SpanID != "" {
		e.ID = e.Trace + "-" + e.SpanID
	}
	describe(&e, attrs)
	if end, start := s.GetEndTimeUnixNano(), s.GetStartTimeUnixNano(); end >= start && start > 0 {
		e.DurationMS = float64(end-start) / nanosInMS
	} else {
		d.out.Invalid[invalidField]++
	}
	d.stamp(&e, s.GetEndTimeUnixNano())
	setAttribute(&e, "transaction", s.GetName())
	evaluated := d.spanEvents(o, &e, s)
	learn(&e, byTrace)
	switch e.Kind {
	case telemetry.KindRequest:
		request(&e, s)
		d.emit(e)
	case telemetry.KindSpan:
		e.Op = telemetry.MetricQueries
		d.emit(e)
	default:
		if len(e.Flags) > 0 && e.User != "" && !evaluated { // its attributes are the evaluation
			e.Kind, e.DurationMS = telemetry.KindExposure, 0
			d.emit(e)
			return
		}
		d.out.Skipped["span"]++
	}
}

const nanosInMS = 1e6

// spanKind says what a span is; 0 = of no use by itself.
func spanKind(s *trace.Span) telemetry.Kind {
	switch s.GetKind() {
	case trace.Span_SPAN_KIND_SERVER:
		return telemetry.KindRequest
	case trace.Span_SPAN_KIND_CLIENT:
		if get(s.GetAttributes(), "db.system.name", "db.system") != "" {
			return telemetry.KindSpan
		}
	}
	return 0
}

// request fills what a server's span says of its answer. A span that failed
// without an HTTP status counts as a 500, as a panic ends.
func request(e *telemetry.Event, s *trace.Span) {
	attrs := s.GetAttributes()
	e.Op, e.Culprit = telemetry.MetricRequests, cut(s.GetName(), maxTextChars)
	route := get(attrs, "http.route")
	page := get(attrs, "url.path")
	if page == "" {
		page = pathOf(get(attrs, "url.full", "http.target", "http.url"))
	}
	if page == "" && strings.HasPrefix(route, "/") {
		page = route
	}
	e.Page = cut(page, maxURLChars)
	status, err := strconv.Atoi(get(attrs, "http.response.status_code", "http.status_code"))
	if err != nil && s.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR {
		status = internalError
	}
	setStatus(e, status)
}

// setStatus records an HTTP status where both rules and searches find it.
func setStatus(e *telemetry.Event, status int) {
	if status < 100 || status > 599 {
		return
	}
	e.Status = status
	setAttribute(e, "http.status_code", strconv.Itoa(status))
}

// spanEvents files a span's events: evaluations are exposures of their own and
// flags of the span, an exception is a detail of the span. It reports whether
// there was an evaluation.
func (d *decoding) spanEvents(o *origin, e *telemetry.Event, s *trace.Span) (evaluated bool) {
	n := 0
	for _, ev := range s.GetEvents() {
		attrs := ev.GetAttributes()
		switch ev.GetName() {
		case eventEvaluation, "feature_flag": // the latter by semantic conventions before 1.32
			if n++; n > maxExposures {
				d.out.Invalid[invalidTooMany]++
				continue
			}
			x := d.newEvent(telemetry.KindExposure, o)
			x.Trace, x.SpanID = e.Trace, e.SpanID
			describe(&x, s.GetAttributes())
			own := userOf(attrs)
			if own != "" {
				x.User = own
			}
			x.Flags = nil
			if !setFlag(&x, attrs) {
				d.out.Invalid[invalidField]++
				continue
			}
			evaluated = true
			if e.ID != "" {
				x.ID = e.ID + "-evaluation-" + strconv.Itoa(n)
			}
			d.stamp(&x, ev.GetTimeUnixNano())
			if e.User == "" {
				e.User = own
			}
			setFlag(e, attrs)
			d.emit(x)
		case eventException:
			e.Exception = exceptionOf(attrs)
			e.Message = e.Exception.Value
			setAttribute(e, "error.type", e.Exception.Type)
		}
	}
	return evaluated
}
