package sentry

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"serin/internal/intake/loosejson"
)

// framer cuts an envelope: Headers { "\n" Item } [ "\n" ], where an item is a
// header line and a payload (sentry-docs, data-model/envelopes).
type framer struct {
	rest []byte
	n    int // items so far, for messages
}

// item is one framed item. payload points into the body.
type item struct {
	kind        string
	contentType string
	count       int // item_count of a container, 0 = not told
	payload     []byte
	size        int64 // of the payload as sent; a stream leaves out what is not of use
}

const spanContainerType = "application/vnd.sentry.items.span.v2+json"

func (it item) isContainer() bool { return strings.HasPrefix(it.contentType, spanContainerType) }

// line cuts one line of the rest. A carriage return before the newline
// belongs to the line; in a header it is JSON's white space.
func (f *framer) line() []byte {
	line, rest, _ := bytes.Cut(f.rest, []byte("\n"))
	f.rest = rest
	return line
}

// header is the envelope's first line.
func (f *framer) header() ([]byte, error) { return headerLine(f.line()) }

// headerLine checks the envelope's first line.
func headerLine(line []byte) ([]byte, error) {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil, errors.New("the envelope has no header: its first line must be a JSON object")
	}
	if len(line) > maxHeaderBytes {
		return nil, fmt.Errorf("the envelope's header line is over %d bytes", maxHeaderBytes)
	}
	return line, nil
}

// next is the next item; ok is false at the end. Blank lines between items
// are legal.
func (f *framer) next() (it item, ok bool, err error) {
	var line []byte
	for len(bytes.TrimSpace(line)) == 0 {
		if len(f.rest) == 0 {
			return it, false, nil
		}
		line = f.line()
	}
	f.n++
	it, doc, err := itemHeader(line, f.n)
	if err != nil {
		return it, false, err
	}
	defer doc.Free()
	it.payload, err = f.payload(doc.Root().Get("length"))
	it.size = int64(len(it.payload))
	return it, err == nil, err
}

// itemHeader reads the header line of the n-th item. The caller frees doc.
func itemHeader(line []byte, n int) (it item, doc *loosejson.Doc, err error) {
	if len(line) > maxHeaderBytes {
		return it, nil, fmt.Errorf("the header line of item %d is over %d bytes", n, maxHeaderBytes)
	}
	if doc, err = loosejson.Parse(line); err != nil {
		return it, nil, fmt.Errorf("the header line of item %d: %w", n, err)
	}
	h := doc.Root()
	if h.Kind() != loosejson.Object {
		doc.Free()
		return it, nil, fmt.Errorf("the header line of item %d is not a JSON object", n)
	}
	it.kind, _ = h.Get("type").Str()
	it.contentType, _ = h.Get("content_type").Str()
	if n, ok := h.Get("item_count").Num(); ok && n > 0 && n <= maxReportQuantity {
		it.count = int(n)
	}
	return it, doc, nil
}

// payload cuts exactly length bytes and the newline after them or, without a
// length, up to the next newline.
func (f *framer) payload(length loosejson.Value) ([]byte, error) {
	if length.Absent() {
		return f.line(), nil
	}
	n, ok := length.Num()
	if !ok || n < 0 || n != math.Trunc(n) {
		return nil, fmt.Errorf("the length of item %d is not a whole number", f.n)
	}
	if n > float64(len(f.rest)) {
		return nil, fmt.Errorf("the payload of item %d is shorter than its length: %d of %.0f bytes", f.n, len(f.rest), n)
	}
	payload := f.rest[:int(n)]
	f.rest = f.rest[int(n):]
	if len(f.rest) > 0 {
		if f.rest[0] != '\n' {
			return nil, fmt.Errorf("the payload of item %d is longer than its length %.0f: no newline follows", f.n, n)
		}
		f.rest = f.rest[1:]
	}
	return payload, nil
}

// header is what the envelope's header says of all items.
type header struct {
	eventID string
	idTaken bool
	// drift is how far the client's clock is behind; 0 below a minute.
	drift       time.Duration
	trace       string
	release     string
	environment string
	transaction string
	sampleRate  float64
}

// minDrift is the smallest difference taken for a wrong clock rather than a
// slow network (relay: MINIMUM_CLOCK_DRIFT, 55 s).
const minDrift = time.Minute

func (d *decoding) readHeader(line []byte) error {
	doc, err := loosejson.Parse(line)
	if err != nil {
		return fmt.Errorf("the envelope's header: %w", err)
	}
	defer doc.Free()
	h := doc.Root()
	if h.Kind() != loosejson.Object {
		return errors.New("the envelope's header is not a JSON object")
	}
	d.head.eventID = d.id(h.Get("event_id"))
	if sent, ok := d.time(h.Get("sent_at")); ok {
		if drift := d.req.Age(sent); drift.Abs() >= minDrift {
			d.head.drift = drift
		}
	}
	dsc := h.Get("trace")
	d.head.trace = d.hexID(dsc.Get("trace_id"), 32)
	d.head.release = d.text(dsc.Get("release"), maxNameChars)
	d.head.environment = d.text(dsc.Get("environment"), maxNameChars)
	d.head.transaction = d.text(dsc.Get("transaction"), maxNameChars)
	d.head.sampleRate = d.rate(dsc.Get("sample_rate"))
	return nil
}
