package evidence

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Deduplication of event ids: durable for an hour, from memory for a day
// while there is room.
const (
	seenDurable = time.Hour
	seenMemory  = 24 * time.Hour
	maxSeen     = 4_000_000
)

// seenSet remembers event hashes in the order of their arrival.
type seenSet struct {
	hashes map[uint64]struct{}
	order  []seenAt // oldest first
}

type seenAt struct {
	hash uint64
	at   int64 // Unix ms
}

func newSeenSet() seenSet { return seenSet{hashes: make(map[uint64]struct{})} }

func (s *seenSet) known(hash uint64) bool { _, ok := s.hashes[hash]; return ok }

// add notes a hash and reports whether it was known.
func (s *seenSet) add(hash uint64, now time.Time) bool {
	if _, ok := s.hashes[hash]; ok {
		return true
	}
	s.hashes[hash] = struct{}{}
	s.order = append(s.order, seenAt{hash, toMS(now)})
	return false
}

// expire forgets what is older than a day, and than an hour if there is too much.
func (s *seenSet) expire(now time.Time) {
	n := 0
	for n < len(s.order) {
		age := time.Duration(toMS(now)-s.order[n].at) * time.Millisecond
		if age <= seenDurable || age <= seenMemory && len(s.order)-n <= maxSeen {
			break
		}
		delete(s.hashes, s.order[n].hash)
		n++
	}
	if n > 0 {
		s.order = append([]seenAt(nil), s.order[n:]...)
	}
}

// eventHash is the first 8 bytes of SHA-256 over project, 0 and id.
func eventHash(project, id string) uint64 {
	b := make([]byte, 0, len(project)+len(id)+1)
	b = append(append(append(b, project...), 0), id...)
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:])
}

// userHash is the same over the user id. It is never 0.
func userHash(user string) uint64 {
	if user == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(user))
	return binary.BigEndian.Uint64(sum[:]) | 1
}
