package evidence

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"time"
)

// Deduplication of event ids: durable for an hour, from memory for a day
// while there is room.
const (
	seenDurable = time.Hour
	seenMemory  = 24 * time.Hour
	maxSeen     = 4_000_000
)

// A generation of hashes is over after freshFor with at least freshHashes, or
// after oldFor. Generations are forgotten whole.
const (
	freshFor    = 5 * time.Minute
	freshHashes = 1 << 16
	oldFor      = time.Hour
)

// seenSet remembers event hashes, at about ten bytes each.
type seenSet struct {
	generations []*generation // oldest first; the last one grows
	size, limit int           // hashes; how many are kept beyond an hour
}

// generation holds the hashes of a span of time, Unix ms.
type generation struct {
	hashTable
	first, last int64
}

func newSeenSet(limit int) seenSet { return seenSet{limit: limit} }

func (s *seenSet) known(hash uint64) bool {
	for i := len(s.generations) - 1; i >= 0; i-- { // repetitions are mostly young
		if s.generations[i].has(hash) {
			return true
		}
	}
	return false
}

// add notes a hash and reports whether it was known.
func (s *seenSet) add(hash uint64, now time.Time) bool {
	if s.known(hash) {
		return true
	}
	at := toMS(now)
	n := len(s.generations)
	if n == 0 || s.generations[n-1].over(at) {
		if n > 0 {
			s.generations[n-1].resize(s.generations[n-1].n * 5 / 4)
		}
		s.generations, n = append(s.generations, &generation{first: at}), n+1
	}
	g := s.generations[n-1]
	g.last = max(g.last, at)
	g.put(hash)
	s.size++
	return false
}

func (g *generation) over(at int64) bool {
	age := time.Duration(at-g.first) * time.Millisecond
	return age >= oldFor || age >= freshFor && g.n >= freshHashes
}

// expire forgets what is older than a day, and than an hour if there is too much.
func (s *seenSet) expire(now time.Time) {
	for len(s.generations) > 0 {
		age := time.Duration(toMS(now)-s.generations[0].last) * time.Millisecond
		if age <= seenDurable || age <= seenMemory && s.size <= s.limit {
			return
		}
		s.size -= s.generations[0].n
		s.generations[0] = nil
		s.generations = s.generations[1:]
	}
}

// hashTable is a set of evenly distributed hashes with open addressing.
type hashTable struct {
	slots []uint64 // 0 = empty
	n     int
}

// slotOf is where a hash belongs in n slots; hash 0 counts as 1.
func slotOf(hash uint64, n int) (uint64, int) {
	hash = max(hash, 1)
	at, _ := bits.Mul64(hash, uint64(n))
	return hash, int(at)
}

func (t *hashTable) has(hash uint64) bool {
	if t.n == 0 {
		return false
	}
	hash, i := slotOf(hash, len(t.slots))
	for t.slots[i] != 0 {
		if t.slots[i] == hash {
			return true
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
	return false
}

// put adds a hash that the table does not have.
func (t *hashTable) put(hash uint64) {
	if t.n >= len(t.slots)*4/5 {
		t.resize(max(1024, 2*len(t.slots)))
	}
	hash, i := slotOf(hash, len(t.slots))
	for t.slots[i] != 0 {
		if i++; i == len(t.slots) {
			i = 0
		}
	}
	t.slots[i] = hash
	t.n++
}

// resize gives the table size slots, or as many as its hashes need.
func (t *hashTable) resize(size int) {
	old := t.slots
	t.slots, t.n = make([]uint64, max(size, t.n*5/4+1)), 0
	for _, h := range old {
		if h == 0 {
			continue
		}
		h, i := slotOf(h, len(t.slots))
		for t.slots[i] != 0 {
			if i++; i == len(t.slots) {
				i = 0
			}
		}
		t.slots[i] = h
		t.n++
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
