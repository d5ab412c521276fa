package forward

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The files of a queue.
const (
	segmentSuffix = ".seg"
	positionFile  = "position"
	// segmentShare is a segment's part of the whole bound: so much is dropped at once when it is full.
	segmentShare    = 32
	maxSegmentBytes = 8 << 20
	minSegmentBytes = 4 << 10
)

// place is where a record stands.
type place struct {
	segment uint64
	offset  int64
}

// segment is one file of the queue, oldest record first.
type segment struct {
	id      uint64
	size    int64 // what was written whole
	records int   // not yet taken off
	first   time.Time
}

// entry is a record that was read.
type entry struct {
	meta  meta
	body  []byte
	large *largeBody // in place of body
	next  place      // after it
	seg   uint64
}

// size is about how many bytes the body takes.
func (e *entry) size() int64 {
	if e.large != nil {
		return e.large.size - e.large.from
	}
	return int64(len(e.body))
}

// queue is a first-in, first-out queue in files of one directory. What was
// appended survives the end of the program however it comes; the end of the
// machine may take what sync had not reached. A position file says how far it
// was taken off; where that is lost, the queue begins at its oldest record, so
// a record may come twice and is never left out. All methods may be called at
// the same time; take and done by one goroutine.
type queue struct {
	dir string
	max int64

	syncing sync.Mutex // one sync at a time; taken before mu

	mu       sync.Mutex // guards the fields below
	segments []*segment // the last is written to if active is not nil
	active   *os.File
	retired  []*os.File // full, to be synced and closed
	dirty    bool
	at       place // the oldest record not taken off
	position *os.File
	lost     func(reason string, n int)
}

// openQueue reads what a directory holds; it is made if it is not there. lost
// is told of records that were dropped.
func openQueue(dir string, most int64, lost func(reason string, n int)) (*queue, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make queue: %w", err)
	}
	removeUnfinished(dir)
	q := &queue{dir: dir, max: most, lost: lost}
	var err error
	if q.position, err = os.OpenFile(filepath.Join(dir, positionFile), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("open queue: %w", err)
	}
	q.at = readPosition(q.position)
	if err := q.scan(); err != nil {
		_ = q.position.Close()
		return nil, err
	}
	return q, nil
}

// scan finds the segments and counts what is left in them.
func (q *queue) scan() error {
	files, err := os.ReadDir(q.dir)
	if err != nil {
		return fmt.Errorf("read queue: %w", err)
	}
	for _, f := range files {
		name, isSegment := strings.CutSuffix(f.Name(), segmentSuffix)
		id, err := strconv.ParseUint(name, 10, 64)
		if !isSegment || err != nil {
			continue
		}
		if id < q.at.segment {
			_ = os.Remove(q.path(id)) // taken off before the end
			continue
		}
		s, err := q.look(id)
		if err != nil {
			return err
		}
		q.segments = append(q.segments, s)
	}
	slices.SortFunc(q.segments, func(a, b *segment) int { return int(int64(a.id) - int64(b.id)) })
	q.settle()
	return nil
}

func (q *queue) look(id uint64) (*segment, error) {
	f, err := os.Open(q.path(id))
	if err != nil {
		return nil, fmt.Errorf("read queue: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read queue: %w", err)
	}
	s := &segment{id: id, size: info.Size(), first: info.ModTime()}
	from := int64(len(magic))
	if id == q.at.segment {
		from = max(from, q.at.offset)
	}
	s.records = countRecords(f, from, s.size)
	if m, _, _, err := readRecord(f, from, s.size); err == nil {
		s.first = m.At
	}
	return s, nil
}

func (q *queue) path(id uint64) string {
	return filepath.Join(q.dir, fmt.Sprintf("%016d%s", id, segmentSuffix))
}

// settle puts the position on a record that is there.
func (q *queue) settle() {
	if len(q.segments) > 0 && (q.at.segment < q.segments[0].id || q.at.offset < int64(len(magic))) {
		q.at = place{max(q.at.segment, q.segments[0].id), int64(len(magic))}
	}
}

// append adds a record and returns when it is with the operating system.
func (q *queue) append(m meta, body []byte) error {
	record, err := encode(m, body)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if int64(len(record)) > q.max {
		q.lost(lostFull, 1)
		return nil
	}
	if err := q.room(int64(len(record))); err != nil {
		return err
	}
	s := q.segments[len(q.segments)-1]
	if _, err := q.active.WriteAt(record, s.size); err != nil {
		// What came through is written over by the next record.
		return fmt.Errorf("write queue: %w", err)
	}
	if s.records == 0 {
		s.first = m.At
	}
	s.size += int64(len(record))
	s.records++
	q.dirty = true
	return nil
}

// room makes an active segment with room for n bytes, and drops the oldest
// segments until the bound holds. The caller holds mu.
func (q *queue) room(n int64) error {
	limit := min(max(q.max/segmentShare, minSegmentBytes), maxSegmentBytes)
	if q.active != nil && q.segments[len(q.segments)-1].size+n > limit {
		q.retire()
	}
	q.makeRoom(n + int64(len(magic)))
	if q.active != nil {
		return nil
	}
	id := q.nextID()
	f, err := os.OpenFile(q.path(id), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.WriteString(magic)
	}
	if err != nil {
		return fmt.Errorf("write queue: %w", err)
	}
	q.active = f
	q.segments = append(q.segments, &segment{id: id, size: int64(len(magic))})
	q.settle()
	return nil
}

// makeRoom drops the oldest segments until n bytes more are within the bound.
// The caller holds mu.
func (q *queue) makeRoom(n int64) {
	for len(q.segments) > 0 && q.bytes()+n > q.max {
		if len(q.segments) == 1 {
			q.retire()
		}
		q.lost(lostFull, q.segments[0].records)
		q.drop()
	}
}

// nextID is that of the next segment. The caller holds mu.
func (q *queue) nextID() uint64 {
	if n := len(q.segments); n > 0 {
		return q.segments[n-1].id + 1
	}
	return q.at.segment + 1
}

// retire ends the active segment; sync closes it. The caller holds mu.
func (q *queue) retire() {
	if q.active != nil {
		q.retired = append(q.retired, q.active)
		q.active = nil
	}
}

// drop removes the oldest segment, which is not the active one. The caller holds mu.
func (q *queue) drop() {
	_ = os.Remove(q.path(q.segments[0].id))
	q.at = place{segment: q.segments[0].id}
	q.segments = q.segments[1:]
	if len(q.segments) > 0 {
		q.at.segment = q.segments[0].id
	}
	q.settle()
	q.keep()
}

func (q *queue) bytes() (n int64) {
	for _, s := range q.segments {
		n += s.size
	}
	return n
}

// take reads up to n records, and no more than about most bytes, without
// taking them off. Damage ends a segment: the rest of it is lost and counted.
func (q *queue) take(n int, most int64) (out []entry, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at, seen := q.at, 0
	for i := 0; i < len(q.segments) && len(out) < n && most > 0; {
		s := q.segments[i]
		if s.id != at.segment {
			at, seen = place{s.id, int64(len(magic))}, 0
		}
		e, err := q.read(s, at.offset)
		switch {
		case err == nil:
			out = append(out, e)
			at, seen = e.next, seen+1
			most -= e.size()
			continue
		case !errors.Is(err, io.EOF) && !errors.Is(err, errCorrupt):
			return out, err
		case i == len(q.segments)-1 && q.active != nil && errors.Is(err, io.EOF):
			return out, nil
		case errors.Is(err, errCorrupt) && s.records > seen:
			q.lost(lostDamaged, s.records-seen)
			s.records = seen
		}
		if len(out) == 0 { // nothing of this segment is left
			if q.active != nil && i == len(q.segments)-1 {
				q.retire()
			}
			q.drop()
			at = q.at
			continue
		}
		i++
	}
	return out, nil
}

func (q *queue) read(s *segment, offset int64) (entry, error) {
	f := q.active
	if f == nil || s != q.segments[len(q.segments)-1] {
		var err error
		if f, err = os.Open(q.path(s.id)); err != nil {
			return entry{}, fmt.Errorf("read queue: %w", err)
		}
		defer func() { _ = f.Close() }()
	}
	// What came as a file has a segment of its own.
	if n, _, err := readFrame(f, offset, s.size); err == nil && offset == int64(len(magic)) && offset+frameBytes+n == s.size {
		m, large, err := readHead(f, q.path(s.id), offset, n, s.size)
		if err == nil && m.Large {
			return entry{meta: m, large: large, next: place{s.id, s.size}, seg: s.id}, nil
		}
	}
	m, body, next, err := readRecord(f, offset, s.size)
	return entry{meta: m, body: body, next: place{s.id, next}, seg: s.id}, err
}

// done takes off a batch that take returned. A record whose segment was
// dropped meanwhile was counted as lost; done returns how many those were.
func (q *queue) done(batch []entry) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range batch {
		i := slices.IndexFunc(q.segments, func(s *segment) bool { return s.id == e.seg })
		if i < 0 {
			dropped++
			continue
		}
		for ; i > 0; i-- { // all before it were taken off
			q.drop()
		}
		q.segments[0].records--
		q.at = e.next
	}
	q.keep()
	return dropped
}

// keep writes the position down. Where that fails records come twice. The caller holds mu.
func (q *queue) keep() {
	var b [positionBytes]byte
	binary.LittleEndian.PutUint64(b[:], q.at.segment)
	binary.LittleEndian.PutUint64(b[8:], uint64(q.at.offset))
	binary.LittleEndian.PutUint32(b[16:], crc32.Checksum(b[:16], castagnoli))
	_, _ = q.position.WriteAt(b[:], 0)
}

// positionBytes is the size of the position file: segment and offset, 64 bits
// each, and the CRC-32C of both.
const positionBytes = 20

func readPosition(r io.ReaderAt) place {
	var b [positionBytes]byte
	if n, _ := r.ReadAt(b[:], 0); n < positionBytes || crc32.Checksum(b[:16], castagnoli) != binary.LittleEndian.Uint32(b[16:]) {
		return place{}
	}
	return place{binary.LittleEndian.Uint64(b[:]), int64(binary.LittleEndian.Uint64(b[8:]))}
}

// sync makes durable what was appended, and removes the file of an empty
// queue. append does not wait for it.
func (q *queue) sync() error {
	q.syncing.Lock()
	defer q.syncing.Unlock()
	q.mu.Lock()
	if len(q.segments) == 1 && q.segments[0].records == 0 { // an empty queue keeps nothing of what was sent
		q.retire()
		q.drop()
	}
	full, active, dirty := q.retired, q.active, q.dirty
	q.retired, q.dirty = nil, false
	q.mu.Unlock()
	var errs []error
	for _, f := range full {
		errs = append(errs, f.Sync(), f.Close())
	}
	if active != nil && dirty {
		errs = append(errs, active.Sync()) // only sync closes files, one at a time
	}
	return errors.Join(errs...)
}

// size is how much waits, and since when.
func (q *queue) size() (records int, bytes int64, oldest time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range q.segments {
		if records == 0 && s.records > 0 {
			oldest = s.first
		}
		records += s.records
	}
	return records, q.bytes(), oldest
}

func (q *queue) setMax(n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.max = n
}

// close syncs and closes the files; the queue is not used afterwards.
func (q *queue) close() error {
	q.mu.Lock()
	q.retire()
	q.mu.Unlock()
	return errors.Join(q.sync(), q.position.Sync(), q.position.Close())
}
