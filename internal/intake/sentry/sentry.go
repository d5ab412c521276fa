// Package sentry reads what Sentry's SDKs send: envelopes, and the old single
// events of /store/. Decoder implements intake.Decoder; it is stateless and
// does no I/O.
//
// What becomes of the item types of an envelope:
//
//	event            KindError
//	transaction      op pageload or navigation: KindPage, with its measurements;
//	                 op http.server: KindRequest; of both the db spans: KindSpan
//	span (v1)        web vitals sent on their own: KindVital; db: KindSpan
//	span (v2)        a container; segments as transactions, web-vital children:
//	                 KindVital, db spans: KindSpan
//	session(s)       KindSession, one for each session or (bucket, status)
//	feedback,
//	user_report      KindFeedback
//	check_in         KindCheckIn
//	client_report    KindLoss, for the reasons which mean loss
//	all others       skipped and counted
//
// The parser is lenient: a field of a wrong type is dropped and counted as
// field_invalid, and the event is kept. An item which is no JSON, nests over
// 64 levels or is too large is dropped and counted; if an envelope had nothing
// else to give, the client is told so with an error.
//
// Time: a client's stamp is corrected by its clock's drift, known from sent_at,
// once that is over a minute, and clamped to received -30 d ... +1 min. Cookies,
// request bodies and headers, and local variables are never read; everything
// else is scrubbed later, by telemetry.
//
// Sources: getsentry/sentry-docs develop-docs/sdk/data-model (envelopes,
// envelope-items, event payloads), telemetry/sessions, telemetry/spans;
// getsentry/relay relay-event-schema/src/protocol; and the recorded requests
// in testdata.
package sentry

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"serin/internal/intake"
	"serin/internal/intake/loosejson"
	"serin/internal/telemetry"
)

// Source is what Event.Source says of everything decoded here.
const Source = "sentry"

// Item limits, in bytes, as Sentry's relay has them or stricter.
const (
	maxItemBytes         = 1 << 20 // event, transaction, span and each span of a container
	maxCheckInBytes      = 100 << 10
	maxClientReportBytes = 16 << 10
	maxHeaderBytes       = 16 << 10 // one header line
)

// Count limits; what is beyond is dropped and counted.
const (
	maxItems        = 1000 // per envelope
	maxSessions     = 100  // session items per envelope
	maxBuckets      = 100  // aggregates per sessions item
	maxSpans        = 1000 // per container or transaction
	maxTags         = 100
	maxTagChars     = 200 // key and value each
	maxAttributes   = 100
	maxFlags        = 100
	maxMeasurements = 32
	maxFrames       = 128
	maxFingerprint  = 32
)

// Text limits, in characters.
const (
	maxNameChars      = 200
	maxTypeChars      = 128
	maxValueChars     = 1024
	maxMessageChars   = 8192
	maxURLChars       = 2048
	maxTitleChars     = 256
	maxFrameChars     = 256
	maxReportQuantity = 1e9
)

// Reasons in Result.Invalid.
const (
	invalidField    = "field_invalid"
	invalidJSON     = "json_invalid"
	invalidTooLarge = "too_large"
	invalidTooMany  = "too_many"
	invalidTooDeep  = "too_deep"
	invalidEvent    = "second_event"
	invalidSession  = "session_invalid"
)

// Decoder implements intake.Decoder for the endpoints envelope, store and
// security. The zero value is ready.
type Decoder struct{}

// Decode implements intake.Decoder. Its error says what is wrong with the
// request, for the client to read.
func (Decoder) Decode(r intake.Request) (intake.Result, error) {
	d := newDecoding(r)
	var err error
	switch r.Endpoint {
	case "store":
		err = d.store()
	case "security": // CSP and the like: browsers' reports, nothing a rollout reads
		d.out.Skipped["security"]++
	default:
		err = d.envelope(&framer{rest: r.Body})
	}
	return d.out, err
}

// decoding is the state of one Decode.
type decoding struct {
	req      intake.Request
	out      intake.Result
	head     header
	items    int
	sessions int
	hasEvent bool
	// broken is the last item's error; it is told if nothing was of use.
	broken error
}

func newDecoding(r intake.Request) *decoding {
	d := &decoding{req: r}
	d.out.Skipped, d.out.Invalid = map[string]int{}, map[string]int{}
	if d.req.Age == nil {
		d.req.Age = func(t time.Time) time.Duration { return r.Received.Sub(t) }
	}
	return d
}

func (d *decoding) invalid(reason string) { d.out.Invalid[reason]++ }

// store reads /store/: one event without an envelope.
func (d *decoding) store() error {
	if len(d.req.Body) > maxItemBytes {
		d.invalid(invalidTooLarge)
		return nil
	}
	doc, err := loosejson.Parse(d.req.Body)
	if err != nil {
		return fmt.Errorf("the event cannot be read: %w", err)
	}
	defer doc.Free()
	if doc.Root().Kind() != loosejson.Object {
		return errors.New("the event is not a JSON object")
	}
	// Old SDKs send transactions here too, told by their type field.
	if kind, _ := doc.Root().Get("type").Str(); kind == "transaction" {
		d.transaction(doc.Root())
	} else {
		d.event(doc.Root())
	}
	return nil
}

// envelope gives what is cut out of an envelope, see framer.
type envelope interface {
	header() ([]byte, error)
	next() (it item, ok bool, err error)
}

// envelope reads the header line and then each item. A broken frame is an
// error: what follows cannot be found.
func (d *decoding) envelope(f envelope) error {
	line, err := f.header()
	if err != nil {
		return err
	}
	if err := d.readHeader(line); err != nil {
		return err
	}
	d.out.ID = d.head.eventID
	for {
		it, ok, err := f.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if d.items++; d.items > maxItems {
			d.invalid(invalidTooMany)
			continue
		}
		d.item(it)
	}
	if d.broken != nil && len(d.out.Events) == 0 && len(d.out.Skipped) == 0 {
		return fmt.Errorf("no item of the envelope can be read: %w", d.broken)
	}
	return nil
}

// known are the types which are skipped under their own name; any other is
// counted as "other", as clients may not make up metric labels.
var known = map[string]bool{
	"attachment": true, "log": true, "trace_metric": true, "statsd": true, "metric_meta": true,
	"profile": true, "profile_chunk": true, "replay_event": true, "replay_recording": true,
	"replay_video": true, "raw_security": true, "nel": true, "unreal_report": true,
	"form_data": true, "otel_log": true, "otlp_traces": true,
}

func itemLimit(kind string) int {
	switch kind {
	case "check_in":
		return maxCheckInBytes
	case "client_report":
		return maxClientReportBytes
	default:
		return maxItemBytes
	}
}

// item decodes one item.
func (d *decoding) item(it item) {
	read := d.reader(it)
	if read == nil {
		kind := it.kind
		if !known[kind] {
			kind = "other"
		}
		d.out.Skipped[kind] += max(1, it.count)
		return
	}
	container := it.kind == "span" && it.isContainer() // each span is measured by itself
	limit := int64(itemLimit(it.kind))
	if container {
		limit = maxContainerBytes
	}
	if it.size > limit {
		d.invalid(invalidTooLarge)
		return
	}
	doc, err := loosejson.Parse(it.payload)
	if err != nil {
		d.broken = fmt.Errorf("item %d, %s: %w", d.items, it.kind, err)
		if errors.Is(err, loosejson.ErrDepth) {
			d.invalid(invalidTooDeep)
		} else {
			d.invalid(invalidJSON)
		}
		return
	}
	defer doc.Free()
	if doc.Root().Kind() != loosejson.Object {
		d.broken = fmt.Errorf("item %d, %s: not a JSON object", d.items, it.kind)
		d.invalid(invalidJSON)
		return
	}
	read(doc.Root())
}

// reader is the function that decodes items of this type; nil = skip them.
func (d *decoding) reader(it item) func(loosejson.Value) {
	switch it.kind {
	case "event":
		return d.event
	case "transaction":
		return d.transaction
	case "span":
		if it.isContainer() {
			return d.spanContainer
		}
		return d.span
	case "session":
		return d.session
	case "sessions":
		return d.sessionAggregates
	case "feedback":
		return d.feedback
	case "user_report":
		return d.userReport
	case "check_in":
		return d.checkIn
	case "client_report":
		return d.clientReport
	default:
		return nil
	}
}

// newEvent is an event of this kind with what the request says about all.
func (d *decoding) newEvent(k telemetry.Kind) telemetry.Event {
	return telemetry.Event{
		Kind: k, Source: Source, Project: d.req.Project, Received: d.req.Received,
		Claimed: d.req.Publishable, Time: d.req.Received,
	}
}

func (d *decoding) emit(e telemetry.Event) { d.out.Events = append(d.out.Events, e) }

// eventID takes the envelope's id for the first item that has one, as the
// envelope's wins over the payload's; later items keep their own.
func (d *decoding) eventID(payload loosejson.Value) string {
	own := d.id(payload.Get("event_id"))
	if d.head.eventID != "" && !d.head.idTaken {
		d.head.idTaken = true
		return d.head.eventID
	}
	if d.out.ID == "" {
		d.out.ID = own
	}
	return own
}

// id is a UUID, 32 hexadecimal digits with or without dashes, in lower case.
func (d *decoding) id(v loosejson.Value) string {
	if v.Absent() {
		return ""
	}
	s, _ := v.Str()
	s = strings.ToLower(strings.ReplaceAll(s, "-", ""))
	if len(s) != 32 || !isHex(s) {
		d.invalid(invalidField)
		return ""
	}
	return s
}

func isHex(s string) bool {
	for _, c := range s {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}
