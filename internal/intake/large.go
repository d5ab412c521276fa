package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/klauspost/compress/gzip"
)

// Where a project's telemetry is forwarded, envelopes may be as large as the
// upstream takes them: attachments and replays that serin passes over. Such a
// body is decoded while it is read and written, compressed, to a file, which
// the Forwarder gets in place of the bytes. No more than one item of it is in
// memory, and only maxLarge such bodies are read at once; others wait.

// A StreamDecoder can decode an envelope while it is read. An error of body
// comes back as it is; Request.Body is empty.
type StreamDecoder interface {
	DecodeStream(r Request, body io.Reader) (Result, error)
}

// A LargeForwarder takes large bodies as files.
type LargeForwarder interface {
	Forwarder
	// Room is the directory for a project's bodies; "" where the project is
	// not forwarded. The Forwarder removes the files it was given.
	Room(project string) (dir string)
}

// LargePattern is what the files of large bodies are called (os.CreateTemp).
const LargePattern = "large-*.tmp"

// Limits of bodies that are forwarded (INTAKE 13), and what is large.
const (
	largeWireBytes    = 50 << 20
	largeDecodedBytes = 200 << 20
	largeAfterBytes   = 1 << 20 // decompressed: smaller bodies are read as ever
	maxLarge          = 2
)

// roomFor is where a large envelope of a project may go; "" = nowhere.
func (d *door) roomFor(project, endpoint string, decoder Decoder) string {
	f, forwards := d.forward.(LargeForwarder)
	if _, streams := decoder.(StreamDecoder); !forwards || !streams || endpoint != endpointEnvelope {
		return ""
	}
	return f.Room(project)
}

// body is a request's body: all of it in start, or, if it is large, its start
// and how to read the rest.
type body struct {
	start *bytes.Buffer
	rest  *plainReader // nil: there is none
	close func()
}

// readStart fills buf with a body of at most largeAfterBytes, or with so much of it.
func (d *door) readStart(buf *bytes.Buffer, r *http.Request) (b body, err error) {
	b = body{start: buf, close: func() {}}
	wire, decoded := max(d.limits.WireBytes, largeWireBytes), max(d.limits.DecodedBytes, largeDecodedBytes)
	out, release, err := plainOf(r, wire, decoded)
	if err != nil {
		return b, err
	}
	switch _, err = io.CopyN(buf, out, largeAfterBytes); {
	case errors.Is(err, io.EOF):
		release()
		if buf.Len() == 0 {
			return b, errEmpty
		}
		return b, nil
	case err != nil:
		release()
		return b, err
	}
	b.rest, b.close = out, release
	return b, nil
}

// diskWriter remembers the first error, which is the server's and not the client's.
type diskWriter struct {
	w   io.Writer
	err error
}

func (d *diskWriter) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	if d.err == nil {
		d.err = err
	}
	return n, err
}

// takeLarge decodes a large envelope and makes it durable.
func (d *door) takeLarge(r *http.Request, project string, key Key, sent string, decoder Decoder, b body, dir string) answer {
	select {
	case d.large <- struct{}{}:
		defer func() { <-d.large }()
	case <-r.Context().Done():
		return failed(r.Context(), r.Context().Err())
	}
	file, err := os.CreateTemp(dir, LargePattern)
	if err != nil {
		return unavailable(err)
	}
	kept := false
	defer func() {
		_ = file.Close()
		if !kept {
			_ = os.Remove(file.Name())
		}
	}()
	disk := &diskWriter{w: file}
	z, _ := gzip.NewWriterLevel(disk, gzip.BestSpeed) // the level is a constant
	tee := io.TeeReader(io.MultiReader(bytes.NewReader(b.start.Bytes()), b.rest), z)
	res, err := decoder.(StreamDecoder).DecodeStream(d.request(r, project, endpointEnvelope, key, nil), tee)
	if err == nil {
		_, err = io.Copy(io.Discard, tee)
	}
	if b.rest.failed != nil {
		return d.bodyRefused(b.rest.failed)
	}
	_ = z.Close() // its errors are those of disk
	if disk.err != nil {
		return unavailable(fmt.Errorf("write a large body: %w", disk.err))
	}
	a := d.acceptResult(r, res, err, key)
	if a.forwarded() {
		kept = true
		d.forward.Forward(Forwarded{Project: project, Endpoint: endpointEnvelope, Key: sent, File: file.Name(), Request: r, Received: d.clock.Now()})
	}
	return a
}
