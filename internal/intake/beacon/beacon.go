// Package beacon reads serin's own telemetry format: JSON that a page sends
// with navigator.sendBeacon, or a server or build with any HTTP client. It
// carries what no SDK reports: time to interactive, survey scores, feedback,
// usage, logins, exposures, heartbeats and build reports. Decoder implements
// intake.Decoder; it is stateless and does no I/O.
//
// A body is a batch object, one Metric object of the web-vitals library, or a
// list of either. For the bare metrics user, page, release, environment and
// flag.KEY=VARIANT come from the query; the page else from navigationURL, else
// from the Referer.
//
//	metrics    KindVital, one for each value
//	load       KindPage, once per id
//	surveys    KindSurvey, scaled to 5
//	feedback   KindFeedback with the tags kind, severity, sentiment
//	actions    KindAction
//	exposures  KindExposure
//	heartbeat  KindCheckIn
//	values     KindValue, with a server key only
//
// # Page loads and their metrics
//
// The metrics of one load arrive in several beacons, and a later value of the
// same metric id replaces the earlier. So each value is a KindVital whose
// Segment says which page load it belongs to, and whoever joins vitals keeps
// the last value per Segment and metric:
//
//   - with "load": {"id": ...} in the batch (any text that is one page load's,
//     for instance crypto.randomUUID() made at its begin), Segment is "load-ID",
//     and the batch also yields a KindPage with that Segment and ID, which
//     deduplication counts once;
//   - without it, Segment is "metric-" and the metric's own id, so that every
//     metric counts once per load. The load is counted by its LCP alone: a
//     KindPage with the LCP's id.
//
// Either way p75 of lcp has one value per load, and loads are counted once. A
// Segment of a beacon never equals one of Sentry's, which are 16 hexadecimal
// digits. The ID of a vital is its metric id and value: the same value sent
// twice is dropped by deduplication, a new value is not.
//
// The answer is {"accepted": n, "rejected": [{"index", "in", "reason"}]}, where
// index numbers the records in the order of the body's list, or of the table
// above inside a batch, and in names the place. Only a body that is no JSON, or
// neither object nor list, is an error.
package beacon

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"serin/internal/intake"
	"serin/internal/intake/loosejson"
	"serin/internal/telemetry"
)

// Source is what Event.Source says of everything decoded here.
const Source = "beacon"

// Limits; texts are cut, records beyond the limit rejected.
const (
	maxRecords      = 1000
	maxNameChars    = 200
	maxMessageChars = 8192
	maxURLChars     = 2048
	maxEntries      = 100 // of tags, flags and attributes each
)

// Reasons in Result.Invalid.
const (
	invalidRecord  = "beacon_rejected"
	invalidField   = "field_invalid"
	invalidTooMany = "too_many"
)

// Decoder implements intake.Decoder for the endpoint beacon. The zero value
// is ready.
type Decoder struct{}

// Decode implements intake.Decoder. Its error says what is wrong with the
// body, for the client to read.
func (Decoder) Decode(r intake.Request) (intake.Result, error) {
	d := &decoding{req: r}
	d.out.Skipped, d.out.Invalid = map[string]int{}, map[string]int{}
	doc, err := loosejson.Parse(r.Body)
	if err != nil {
		return d.out, fmt.Errorf("the beacon cannot be read: %w", err)
	}
	defer doc.Free()
	root := doc.Root()
	switch root.Kind() {
	case loosejson.Object:
		d.element(root, "")
	case loosejson.Array:
		i := 0
		for v := range root.Items() {
			d.element(v, fmt.Sprintf("[%d].", i))
			i++
		}
	default:
		return d.out, errors.New("the beacon is neither a JSON object nor a list of them")
	}
	return d.answered()
}

// decoding is the state of one Decode.
type decoding struct {
	req      intake.Request
	out      intake.Result
	records  int // seen so far: the next index
	accepted int
	rejected []rejection
}

// rejection is a record that was not taken, as the client is told.
type rejection struct {
	Index  int    `json:"index"`
	In     string `json:"in"`
	Reason string `json:"reason"`
}

func (d *decoding) answered() (intake.Result, error) {
	if d.rejected == nil {
		d.rejected = []rejection{}
	}
	answer, err := json.Marshal(struct {
		Accepted int         `json:"accepted"`
		Rejected []rejection `json:"rejected"`
	}{d.accepted, d.rejected})
	if err != nil {
		return d.out, fmt.Errorf("write the beacon's answer: %w", err)
	}
	d.out.Answer = answer
	return d.out, nil
}

// record counts one record and keeps what became of it: why = "" accepts.
func (d *decoding) record(in, why string, events ...telemetry.Event) {
	index := d.records
	d.records++
	switch {
	case index >= maxRecords:
		d.out.Invalid[invalidTooMany]++
		if index == maxRecords {
			d.rejected = append(d.rejected, rejection{index, in, fmt.Sprintf("only %d records are taken at once; the rest was dropped", maxRecords)})
		}
	case why != "":
		d.out.Invalid[invalidRecord]++
		d.rejected = append(d.rejected, rejection{index, in, why})
	default:
		d.accepted++
		d.out.Events = append(d.out.Events, events...)
	}
}

// element decodes a batch or a bare metric.
func (d *decoding) element(v loosejson.Value, in string) {
	if v.Kind() != loosejson.Object {
		d.record(strings.TrimSuffix(in, "."), "not an object")
		return
	}
	if !v.Get("name").Absent() && v.Get("metrics").Absent() {
		d.bareMetric(v, strings.TrimSuffix(in, "."))
		return
	}
	b := d.batch(v, in)
	b.each("metrics", func(m loosejson.Value, in string) { d.metric(b.base, m, b.load, in) })
	b.loads()
	b.each("surveys", b.survey)
	b.each("feedback", b.feedback)
	b.each("actions", b.action)
	b.each("exposures", b.exposure)
	b.heartbeat()
	b.values()
}

// batch is one batch object with what it says of all its records.
type batch struct {
	d    *decoding
	v    loosejson.Value
	in   string
	load string // Segment of its page load, "" = not told
	base telemetry.Event
}

func (d *decoding) batch(v loosejson.Value, in string) *batch {
	e := d.newEvent()
	e.User = d.user(v.Get("user"), &e)
	e.Page = orElse(pathOf(d.text(v.Get("page"), maxURLChars)), d.referer())
	e.Release = d.text(v.Get("release"), maxNameChars)
	e.Environment = d.text(v.Get("environment"), maxNameChars)
	e.Tags = d.entries(v.Get("tags"))
	e.Flags = d.entries(v.Get("flags"))
	for key, value := range d.entries(v.Get("attributes")) {
		put(&e.Attributes, key, value)
	}
	b := &batch{d: d, v: v, in: in, base: e}
	if id := d.loadID(v.Get("load")); id != "" {
		b.load = "load-" + id
	}
	return b
}

func (d *decoding) newEvent() telemetry.Event {
	return telemetry.Event{
		Source: Source, Project: d.req.Project, Received: d.req.Received,
		Time: d.req.Received, Claimed: d.req.Publishable,
	}
}

// event is a record's event of this kind. Its maps are its own.
func (b *batch) event(k telemetry.Kind) telemetry.Event { return clone(b.base, k) }

func (d *decoding) loadID(v loosejson.Value) string {
	if v.Kind() == loosejson.Object {
		v = v.Get("id")
	}
	return d.text(v, maxNameChars)
}

// user reads an id, or an object with an id whose other plain fields are
// attributes (user.role).
func (d *decoding) user(v loosejson.Value, e *telemetry.Event) string {
	if v.Kind() != loosejson.Object {
		return d.text(v, maxNameChars)
	}
	for key, value := range d.entries(v) {
		if key != "id" {
			put(&e.Attributes, "user."+key, value)
		}
	}
	return d.text(v.Get("id"), maxNameChars)
}

func (d *decoding) referer() string {
	if d.req.Header == nil {
		return ""
	}
	return pathOf(d.req.Header.Get("Referer"))
}

// text is a scalar as text, cut; other kinds are dropped and counted.
func (d *decoding) text(v loosejson.Value, n int) string {
	if v.Absent() {
		return ""
	}
	s, ok := v.Text()
	if !ok {
		d.out.Invalid[invalidField]++
	}
	return cut(s, n)
}

// entries reads an object of scalars; nil if there are none.
func (d *decoding) entries(v loosejson.Value) map[string]string {
	var m map[string]string
	if !v.Absent() && v.Kind() != loosejson.Object {
		d.out.Invalid[invalidField]++
	}
	for key, value := range v.Fields() {
		if value.Absent() {
			continue
		}
		s, ok := value.Text()
		if !ok || len(m) >= maxEntries {
			d.out.Invalid[invalidField]++
			continue
		}
		put(&m, cut(key, maxNameChars), cut(s, maxNameChars))
	}
	return m
}

func put(m *map[string]string, key, value string) {
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// cut shortens s to at most n characters.
func cut(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// pathOf is the path of a URL, or of a text that is a path already.
func pathOf(raw string) string {
	if raw == "" {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || !strings.HasPrefix(u.Path, "/") {
		if err == nil && u.Host != "" {
			return "/"
		}
		return ""
	}
	return u.Path
}
