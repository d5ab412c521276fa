package forward

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/gzip"
)

// A large body comes as a file, becomes a segment of its own, and goes to the
// upstream as it is read from there: it is never in memory as a whole.

const (
	// maxMetaBytes bounds what a record may say of its body.
	maxMetaBytes = 1 << 20
	// maxLineBytes bounds the lines of an envelope that are read whole: its
	// header, and those of items. The intake takes none that are longer.
	maxLineBytes = 64 << 10
	// unfinished is what files are called that are not yet segments.
	unfinished = "*.tmp"
)

// Room is where the large bodies of a project may be written; "" where it is
// not forwarded.
func (f *Forwarder) Room(project string) string {
	if l := (*f.lines.Load())[project]; l != nil {
		return l.queue.dir
	}
	return ""
}

// appendFile adds a record whose body, compressed, is in a file, which is
// removed. The queue is not held up while it is copied.
func (q *queue) appendFile(m meta, body string) error {
	defer func() { _ = os.Remove(body) }()
	made, size, err := q.segmentOf(m, body)
	if err != nil {
		return fmt.Errorf("write queue: %w", err)
	}
	if err := q.adopt(m, made, size); err != nil {
		_ = made.Close()
		_ = os.Remove(made.Name())
		return fmt.Errorf("write queue: %w", err)
	}
	return nil
}

// segmentOf writes a segment of one record.
func (q *queue) segmentOf(m meta, body string) (f *os.File, size int64, err error) {
	in, err := os.Open(body)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = in.Close() }()
	head, err := json.Marshal(m)
	if err != nil {
		return nil, 0, err
	}
	if f, err = os.CreateTemp(q.dir, "segment-"+unfinished); err != nil {
		return nil, 0, err
	}
	sum := crc32.New(castagnoli)
	start := append([]byte(magic), make([]byte, frameBytes)...)
	_, err = f.Write(start)
	var n int64
	if err == nil {
		out := io.MultiWriter(f, sum)
		_, err = out.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(head))), head...))
		if err == nil {
			n, err = io.Copy(out, in)
		}
	}
	n += int64(4 + len(head))
	frame := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(n)), sum.Sum32())
	if err == nil && n > maxRecordBytes {
		err = errors.New("the body is too large")
	}
	if err == nil {
		_, err = f.WriteAt(frame, int64(len(magic)))
	}
	if err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, 0, err
	}
	return f, int64(len(start)) + n, nil
}

// adopt makes a file that segmentOf made the newest segment. The queue closes it.
func (q *queue) adopt(m meta, f *os.File, size int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if size > q.max {
		q.lost(lostFull, 1)
		_ = f.Close()
		return os.Remove(f.Name())
	}
	q.retire()
	q.makeRoom(size)
	id := q.nextID()
	if err := os.Rename(f.Name(), q.path(id)); err != nil {
		return err
	}
	q.retired = append(q.retired, f)
	q.segments = append(q.segments, &segment{id: id, size: size, records: 1, first: m.At})
	q.settle()
	return nil
}

// largeBody is the body of a record that stays in its file.
type largeBody struct {
	path       string
	offset     int64 // of the record
	size, from int64 // of the file; where the body begins
}

// readHead reads the meta of a record of n bytes and leaves its body.
func readHead(f *os.File, path string, offset, n, size int64) (m meta, b *largeBody, err error) {
	var length [4]byte
	if _, err := f.ReadAt(length[:], offset+frameBytes); err != nil {
		return m, nil, err
	}
	head := int64(binary.LittleEndian.Uint32(length[:]))
	if head > n-4 || head > maxMetaBytes {
		return m, nil, errCorrupt
	}
	text := make([]byte, head)
	if _, err := f.ReadAt(text, offset+frameBytes+4); err != nil {
		return m, nil, err
	}
	if json.Unmarshal(text, &m) != nil {
		return m, nil, errCorrupt
	}
	return m, &largeBody{path: path, offset: offset, size: size, from: offset + frameBytes + 4 + head}, nil
}

// open checks the record and returns its body as it was sent by the client.
func (b *largeBody) open(packed bool) (in *bufio.Reader, done func(), err error) {
	f, err := os.Open(b.path)
	if err != nil {
		return nil, nil, err
	}
	n, sum, err := readFrame(f, b.offset, b.size)
	if err == nil {
		got := crc32.New(castagnoli)
		if _, err = io.Copy(got, io.NewSectionReader(f, b.offset+frameBytes, n)); err == nil && got.Sum32() != sum {
			err = errCorrupt
		}
	}
	var plain io.Reader
	if err == nil {
		plain = io.NewSectionReader(f, b.from, b.offset+frameBytes+n-b.from)
		if packed {
			plain, err = gzip.NewReader(plain)
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, fmt.Errorf("read queue: %w", err)
	}
	return bufio.NewReaderSize(plain, maxLineBytes), func() { _ = f.Close() }, nil
}

// largeRequest is request for a body that stays in its file.
func (l *line) largeRequest(ctx context.Context, e entry, limited func(category string) bool, limits bool) (*http.Request, map[string]int, error) {
	drop := func(string) bool { return false }
	var held map[string]int
	if limits && e.meta.Endpoint == endpointEnvelope {
		left := false
		held = map[string]int{}
		err := l.readLarge(e, func(in *bufio.Reader) error {
			return walk(in, func(category string) io.Writer {
				if limited(category) {
					held[category]++
				} else {
					left = true
				}
				return io.Discard
			}, io.Discard)
		})
		if err != nil {
			return nil, nil, err
		}
		if len(held) > 0 {
			if !left {
				return nil, held, nil
			}
			drop = limited
		}
	}
	in, done, err := e.large.open(e.meta.Gzip)
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.spec.DSN.endpoint(e.meta.Endpoint, e.meta.Query), nil)
	if err != nil {
		done()
		return nil, nil, errors.New("the upstream's address cannot be used")
	}
	to := l.spec.DSN
	req.Body = pipe(func(w io.Writer) error {
		defer done()
		return copyEnvelope(w, in, e.meta.Key, to, drop)
	})
	l.head(req, e.meta, true)
	return req, held, nil
}

// readLarge reads an envelope from after its first line on.
func (l *line) readLarge(e entry, read func(*bufio.Reader) error) error {
	in, done, err := e.large.open(e.meta.Gzip)
	if err != nil {
		return err
	}
	defer done()
	if _, err := in.ReadSlice('\n'); err != nil {
		return nil // nothing follows, or nothing that can be followed: it goes on as it is
	}
	return read(in)
}

// copyEnvelope writes an envelope with its header rewritten and without the
// items of dropped categories.
func copyEnvelope(w io.Writer, in *bufio.Reader, ours string, to DSN, drop func(category string) bool) error {
	line, err := in.ReadSlice('\n')
	if err == nil {
		end := len(line) - 1
		line = append(rewriteHeader(line[:end:end], ours, to), '\n')
	}
	if _, err := w.Write(line); err != nil {
		return err
	}
	return walk(in, func(category string) io.Writer {
		if drop(category) {
			return io.Discard
		}
		return w
	}, w)
}

// walk reads the items of an envelope and writes each, header line, payload
// and the newlines after them, to what visit gives for its category. Where the
// framing cannot be followed the rest goes to rest as it is.
func walk(in *bufio.Reader, visit func(category string) io.Writer, rest io.Writer) error {
	to := rest
	for {
		line, err := in.ReadSlice('\n')
		blank := len(bytes.TrimSpace(line)) == 0
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		var head struct {
			Type   string `json:"type"`
			Length *int64 `json:"length"`
		}
		if !blank && json.Unmarshal(line, &head) != nil || errors.Is(err, bufio.ErrBufferFull) {
			if _, err := rest.Write(line); err != nil {
				return err
			}
			_, err := io.Copy(rest, in)
			return err
		}
		if !blank {
			to = visit(categoryOf(head.Type))
		}
		if _, err := to.Write(line); err != nil {
			return err
		}
		if err != nil { // the end
			return nil
		}
		if blank {
			continue
		}
		if head.Length != nil {
			_, err = io.CopyN(to, in, max(*head.Length, 0))
		}
		if err == nil {
			err = copyLine(to, in)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// copyLine copies up to and with the next newline; io.EOF if none came.
func copyLine(to io.Writer, in *bufio.Reader) error {
	for {
		part, err := in.ReadSlice('\n')
		if _, err := to.Write(part); err != nil {
			return err
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// pipe is a request's body, compressed, that write writes while it is read.
// Its Close waits for write to end.
func pipe(write func(io.Writer) error) io.ReadCloser {
	r, w := io.Pipe()
	p := &pipeBody{PipeReader: r, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		z := gzips.Get().(*gzip.Writer)
		defer gzips.Put(z)
		z.Reset(w)
		err := write(z)
		if err == nil {
			err = z.Close()
		}
		_ = w.CloseWithError(err)
	}()
	return p
}

type pipeBody struct {
	*io.PipeReader
	ended chan struct{}
}

func (p *pipeBody) Close() error {
	err := p.PipeReader.Close()
	<-p.ended
	return err
}

// removeUnfinished removes what the end of the program left half done.
func removeUnfinished(dir string) {
	names, _ := filepath.Glob(filepath.Join(dir, unfinished)) // the pattern is a constant
	for _, name := range names {
		_ = os.Remove(name)
	}
}
