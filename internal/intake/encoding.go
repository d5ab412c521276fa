package intake

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Why a body was not read. Any other error of readBody is a broken stream.
var (
	errTooLarge = errors.New("body too large")
	errBomb     = errors.New("body decompresses too far")
	errEncoding = errors.New("unknown Content-Encoding")
	errEmpty    = errors.New("empty body")
)

// buffers hold bodies; one that grew beyond maxPooledBytes is let go, so that
// a few giants do not stay for ever.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const maxPooledBytes = 1 << 20

func giveBack(b *bytes.Buffer) {
	if b.Cap() <= maxPooledBytes {
		b.Reset()
		buffers.Put(b)
	}
}

// readBody fills buf with the decompressed body. Limits hold while reading.
func (d *door) readBody(buf *bytes.Buffer, r *http.Request, endpoint string) error {
	wire, decoded := d.limits.of(endpoint)
	out, release, err := plainOf(r, wire, decoded)
	if err != nil {
		return err
	}
	defer release()
	if _, err := buf.ReadFrom(out); err != nil {
		return err
	}
	if buf.Len() == 0 && !isOTLP(endpoint) { // an empty message of protobuf has no bytes
		return errEmpty
	}
	return nil
}

// plainOf reads a body decompressed, within limits. release must be called once.
func plainOf(r *http.Request, wire, decoded int64) (out *plainReader, release func(), err error) {
	if r.ContentLength > wire {
		return nil, nil, fmt.Errorf("%w: %d bytes sent, at most %d are taken: send less at once", errTooLarge, r.ContentLength, wire)
	}
	in := &wireReader{r: r.Body, limit: wire}
	plain, release, err := decompress(r.Header.Get("Content-Encoding"), in)
	if err != nil {
		return nil, nil, err
	}
	return &plainReader{r: plain, wire: in, limit: decoded, ratio: plain != io.Reader(in)}, release, nil
}

// wireReader counts and bounds what is read from the network.
type wireReader struct {
	r        io.Reader
	n, limit int64
}

func (w *wireReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if w.n += int64(n); w.n > w.limit {
		return 0, fmt.Errorf("%w: at most %d bytes are taken: send less at once", errTooLarge, w.limit)
	}
	return n, err
}

// plainReader bounds what comes out of the decompressor, by size and ratio.
type plainReader struct {
	r        io.Reader
	wire     *wireReader
	n, limit int64
	ratio    bool
	failed   error // what Read returned but for the end
}

func (p *plainReader) Read(b []byte) (int, error) {
	n, err := p.read(b)
	if err != nil && err != io.EOF {
		p.failed = err
	}
	return n, err
}

func (p *plainReader) read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.n += int64(n)
	switch {
	case p.n > p.limit:
		return 0, fmt.Errorf("%w: at most %d bytes after decompression are taken: send less at once", errTooLarge, p.limit)
	case p.ratio && p.n > ratioAfterBytes && p.n > maxRatio*p.wire.n:
		return 0, fmt.Errorf("%w: over %d:1: send it with less compression", errBomb, maxRatio)
	}
	return n, err
}

var (
	gzips   sync.Pool // of *gzip.Reader
	zstds   sync.Pool // of *zstd.Decoder
	brotlis sync.Pool // of *brotli.Reader
)

// maxZstdWindow bounds the decoder's memory (RFC 8878, 3.1.1.1.2 recommends
// to support at least 8 MiB).
const maxZstdWindow = 8 << 20

// decompress wraps in by its Content-Encoding. release gives the decompressor
// back to its pool and must be called once.
func decompress(encoding string, in io.Reader) (plain io.Reader, release func(), err error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return in, func() {}, nil
	case "gzip", "x-gzip":
		return gunzip(in)
	case "deflate":
		return inflate(in)
	case "br":
		z, _ := brotlis.Get().(*brotli.Reader)
		if z == nil {
			z = brotli.NewReader(nil)
		}
		if err := z.Reset(in); err != nil {
			return nil, nil, err
		}
		return z, func() { brotlis.Put(z) }, nil
	case "zstd":
		return unzstd(in)
	default:
		return nil, nil, fmt.Errorf("%w: use one of %s", errEncoding, acceptedEncodings)
	}
}

// acceptedEncodings goes into the 415's Accept-Encoding (RFC 9110, 15.5.16).
const acceptedEncodings = "gzip, deflate, br, zstd, identity"

func gunzip(in io.Reader) (io.Reader, func(), error) {
	z, _ := gzips.Get().(*gzip.Reader)
	if z == nil {
		z = new(gzip.Reader)
	}
	if err := z.Reset(in); err != nil {
		gzips.Put(z)
		return nil, nil, err
	}
	return z, func() { gzips.Put(z) }, nil
}

// inflate reads zlib (RFC 1950), which is what "deflate" means, and the bare
// deflate stream that some clients send instead.
func inflate(in io.Reader) (io.Reader, func(), error) {
	b := bufio.NewReader(in)
	head, err := b.Peek(2)
	if err != nil {
		return nil, nil, err
	}
	const deflateMethod, headerCheck = 8, 31
	if head[0]&0x0f == deflateMethod && (uint(head[0])<<8|uint(head[1]))%headerCheck == 0 {
		z, err := zlib.NewReader(b)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { _ = z.Close() }, nil
	}
	z := flate.NewReader(b)
	return z, func() { _ = z.Close() }, nil
}

func unzstd(in io.Reader) (io.Reader, func(), error) {
	z, _ := zstds.Get().(*zstd.Decoder)
	if z == nil {
		var err error
		// Concurrency 1 decodes in the caller: no goroutines to leak.
		z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, err
		}
	}
	release := func() {
		if z.Reset(nil) == nil {
			zstds.Put(z)
		}
	}
	if err := z.Reset(in); err != nil {
		release()
		return nil, nil, err
	}
	return z, release, nil
}

// bodyRefused is the answer for an error of readBody.
func (d *door) bodyRefused(err error) answer {
	switch {
	case errors.Is(err, errTooLarge):
		return refuse(http.StatusRequestEntityTooLarge, "too_large", err.Error())
	case errors.Is(err, errBomb):
		return refuse(http.StatusBadRequest, "bomb", err.Error())
	case errors.Is(err, errEncoding):
		a := refuse(http.StatusUnsupportedMediaType, "encoding", err.Error())
		a.acceptEncoding = acceptedEncodings
		return a
	case errors.Is(err, errEmpty):
		return refuse(http.StatusBadRequest, "empty", "the body is empty: send an envelope")
	case errors.Is(err, context.Canceled):
		return answer{status: statusClientGone, reason: "client_gone"}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return refuse(http.StatusBadRequest, "cut_off", "the body ends too early: send it again whole")
	default:
		return refuse(http.StatusBadRequest, "undecodable", "the body does not fit its Content-Encoding: "+err.Error())
	}
}
