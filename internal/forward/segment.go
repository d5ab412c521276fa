package forward

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// magic begins every segment file and names the format.
const magic = "serinfw1"

// frameBytes is the head of a record: length and CRC-32C of what follows,
// both 32 bits, little-endian.
const frameBytes = 8

// maxRecordBytes bounds what a length may claim: no body is larger.
const maxRecordBytes = 256 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errCorrupt: the bytes are no record. Torn ends of files after a crash look so.
var errCorrupt = errors.New("damaged record")

// meta is what a record says about its body.
type meta struct {
	At       time.Time         `json:"at"`
	Endpoint string            `json:"endpoint"`
	Query    string            `json:"query,omitempty"`  // without what authenticates
	Key      string            `json:"key"`              // the client's: what is rewritten
	Client   string            `json:"client,omitempty"` // sentry_client
	Header   map[string]string `json:"header,omitempty"`
	Gzip     bool              `json:"gzip,omitempty"`  // the body is compressed
	Large    bool              `json:"large,omitempty"` // it is not to be read into memory
}

// encode is a whole record: frame, length of the meta, meta, body.
func encode(m meta, body []byte) ([]byte, error) {
	head, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write record: %w", err)
	}
	b := make([]byte, frameBytes, frameBytes+4+len(head)+len(body))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(head)))
	b = append(append(b, head...), body...)
	binary.LittleEndian.PutUint32(b, uint32(len(b)-frameBytes))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[frameBytes:], castagnoli))
	return b, nil
}

// readRecord reads the record at an offset of a file of size bytes. next is
// the offset after it. io.EOF: none follows; errCorrupt: what follows is damaged.
func readRecord(r io.ReaderAt, offset, size int64) (m meta, body []byte, next int64, err error) {
	n, sum, err := readFrame(r, offset, size)
	if err != nil {
		return m, nil, offset, err
	}
	b := make([]byte, n)
	if _, err := r.ReadAt(b, offset+frameBytes); err != nil && !errors.Is(err, io.EOF) {
		return m, nil, offset, err
	}
	next = offset + frameBytes + n
	if crc32.Checksum(b, castagnoli) != sum || len(b) < 4 {
		return m, nil, next, errCorrupt
	}
	head := int64(binary.LittleEndian.Uint32(b))
	if head > n-4 || json.Unmarshal(b[4:4+head], &m) != nil {
		return m, nil, next, errCorrupt
	}
	return m, b[4+head:], next, nil
}

// readFrame reads a record's head. A length beyond the file is damage.
func readFrame(r io.ReaderAt, offset, size int64) (n int64, sum uint32, err error) {
	if offset >= size {
		return 0, 0, io.EOF
	}
	var frame [frameBytes]byte
	if offset+frameBytes > size {
		return 0, 0, errCorrupt
	}
	if _, err := r.ReadAt(frame[:], offset); err != nil && !errors.Is(err, io.EOF) {
		return 0, 0, err
	}
	n = int64(binary.LittleEndian.Uint32(frame[:]))
	if n < 4 || n > maxRecordBytes || offset+frameBytes+n > size {
		return 0, 0, errCorrupt
	}
	return n, binary.LittleEndian.Uint32(frame[4:]), nil
}

// countRecords walks the frames of a segment from an offset, bodies unread.
func countRecords(r io.ReaderAt, offset, size int64) (n int) {
	for {
		length, _, err := readFrame(r, offset, size)
		if err != nil {
			return n
		}
		n++
		offset += frameBytes + length
	}
}
