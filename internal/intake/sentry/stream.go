package sentry

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"

	"serin/internal/intake"
	"serin/internal/intake/loosejson"
)

// maxContainerBytes bounds a container of spans in a stream; each of its spans
// is measured by itself. Elsewhere the body's own limit does.
const maxContainerBytes = 32 << 20

// DecodeStream implements intake.StreamDecoder: Decode of an envelope that is
// read as it comes. It holds one item at a time, and of those only what it
// reads: others are passed over. r.Body is not used. An error of body comes
// back as it is.
func (Decoder) DecodeStream(r intake.Request, body io.Reader) (intake.Result, error) {
	d := newDecoding(r)
	f := &streamFramer{in: bufio.NewReaderSize(body, maxHeaderBytes+2), d: d}
	err := d.envelope(f)
	return d.out, err
}

// streamFramer is framer for a body that is not in memory. The payload of an
// item is valid until the next.
type streamFramer struct {
	in  *bufio.Reader
	d   *decoding
	buf bytes.Buffer
	n   int
}

// line reads a header line; io.EOF is the end of the body.
func (f *streamFramer) line() ([]byte, error) {
	line, err := f.in.ReadSlice('\n')
	switch {
	case err == nil:
		return line[:len(line)-1], nil
	case errors.Is(err, io.EOF) && len(line) > 0:
		return line, nil
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("the header line of item %d is over %d bytes", f.n, maxHeaderBytes)
	}
	return nil, err
}

func (f *streamFramer) header() ([]byte, error) {
	line, err := f.line()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return headerLine(line)
}

func (f *streamFramer) next() (it item, ok bool, err error) {
	f.n++
	var line []byte
	for len(bytes.TrimSpace(line)) == 0 {
		line, err = f.line()
		if errors.Is(err, io.EOF) {
			return it, false, nil
		}
		if err != nil {
			return it, false, err
		}
	}
	it, doc, err := itemHeader(line, f.n)
	if err != nil {
		return it, false, err
	}
	defer doc.Free()
	err = f.payload(&it, doc.Root().Get("length"))
	return it, err == nil, err
}

// most is how many bytes of an item's payload are of use.
func (f *streamFramer) most(it item) int64 {
	switch {
	case f.d.reader(it) == nil:
		return 0
	case it.kind == "span" && it.isContainer():
		return maxContainerBytes
	}
	return int64(itemLimit(it.kind))
}

// payload reads an item's payload, or passes over one that is not wanted.
func (f *streamFramer) payload(it *item, length loosejson.Value) error {
	f.buf.Reset()
	most := f.most(*it)
	if length.Absent() {
		return f.toNewline(it, most)
	}
	n, ok := length.Num()
	if !ok || n < 0 || n != math.Trunc(n) || n > math.MaxInt64/2 {
		return fmt.Errorf("the length of item %d is not a whole number", f.n)
	}
	it.size = int64(n)
	into := io.Writer(io.Discard)
	if it.size <= most {
		into = &f.buf
	}
	if got, err := io.CopyN(into, f.in, it.size); errors.Is(err, io.EOF) {
		return fmt.Errorf("the payload of item %d is shorter than its length: %d of %.0f bytes", f.n, got, n)
	} else if err != nil {
		return err
	}
	it.payload = f.buf.Bytes()
	c, err := f.in.ReadByte()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil && c != '\n' {
		return fmt.Errorf("the payload of item %d is longer than its length %.0f: no newline follows", f.n, n)
	}
	return err
}

func (f *streamFramer) toNewline(it *item, most int64) error {
	for {
		part, err := f.in.ReadSlice('\n')
		ended := err == nil
		if ended {
			part = part[:len(part)-1]
		}
		if it.size += int64(len(part)); it.size <= most {
			f.buf.Write(part)
		}
		if ended || errors.Is(err, io.EOF) {
			if it.size <= most {
				it.payload = f.buf.Bytes()
			}
			return nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}
