package evidence

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"serin/internal/flag"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// The metric names of user rows that are no metric's.
const (
	rowMember  = ""
	rowSession = "~session"
)

// member is a user who is known to be in a rollout's audience.
type member struct{ rollout, user string }

func (m member) row() store.UserRow {
	return store.UserRow{Rollout: m.rollout, Metric: rowMember, User: m.user, Data: []byte{rowVersion}}
}

// audience is what Evaluated reads of a rollout, without a lock; immutable.
type audience struct {
	rollout, by string
	project     string
	terms       []flag.Term
	members     *memberSet
	exposed     *exposures
}

// memberSet is safe for concurrent use: flag evaluations write it.
type memberSet struct{ users sync.Map }

func newMemberSet() *memberSet { return &memberSet{} }

func (s *memberSet) has(user string) bool { _, ok := s.users.Load(user); return ok }

// add reports whether the user is new.
func (s *memberSet) add(user string) bool {
	_, loaded := s.users.LoadOrStore(user, struct{}{})
	return !loaded
}

// learn notes the user of an evaluation as a member of the watched audiences
// that the context shows.
func (e *Engine) learn(flagKey string, c flag.Context) {
	watching := (*e.watched.Load())[flagKey]
	if len(watching) == 0 {
		return
	}
	lookup := telemetry.ContextLookup(c)
	for _, r := range watching {
		user, ok := lookup(r.by)
		if !ok || user == "" {
			continue
		}
		name := e.subjects.Name(r.project, user)
		r.expose(user, name, lookup, e.usage.now.Load())
		if len(r.terms) == 0 || r.members.has(name) {
			continue
		}
		if met, known := telemetry.Meets(r.terms, lookup); !met || !known {
			continue
		}
		if e.queue.pushMember(member{r.rollout, name}) {
			r.members.add(name)
		}
	}
}

const rowVersion = 1

// userRow is what is remembered of one user and metric.
type userRow struct {
	attempt int
	counted []countedIn // once per stage and revision, in order, of this attempt
	events  int64       // in the stage counted last
	loads   int64       // of a quantile control's, all attempts; of a share the attempt's trials
	above   int64       // of these, above the threshold of their time, or bad
	waits   bool        // in slowUsers
	means   []meanIn    // of averages and shares: by allocation interval, in order, of this attempt
}

// meanIn is what a user's values of an average add up to in an interval; of a share
// n is the trials and sum the bad ones.
type meanIn struct {
	interval int
	arm      telemetry.Arm
	n        int64
	sum      float64
}

// countedIn says where a user counted as affected.
type countedIn struct {
	interval, stage int
	arm             telemetry.Arm
}

// meanIn finds or makes what is in an interval and an arm, the newest.
func (u *userRow) meanIn(interval int, arm telemetry.Arm) *meanIn {
	if n := len(u.means); n == 0 || u.means[n-1].interval != interval || u.means[n-1].arm != arm {
		u.means = append(u.means, meanIn{interval: interval, arm: arm})
	}
	return &u.means[len(u.means)-1]
}

// lastStage is the stage in which the user counted last, from an interval on; -1 =
// not yet.
func (u *userRow) lastStage(from int) int {
	if n := len(u.counted); n > 0 && u.counted[n-1].interval >= from {
		return u.counted[n-1].stage
	}
	return -1
}

func (u *userRow) encode() []byte {
	b := append(make([]byte, 0, 16+4*len(u.counted)), rowVersion)
	b = binary.AppendUvarint(b, uint64(u.attempt))
	b = binary.AppendUvarint(b, uint64(len(u.counted)))
	for _, c := range u.counted {
		b = binary.AppendUvarint(b, uint64(c.interval))
		b = binary.AppendUvarint(b, uint64(c.stage))
		b = append(b, byte(c.arm))
	}
	for _, n := range []int64{u.events, u.loads, u.above} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	if len(u.means) == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(u.means)))
	for _, m := range u.means {
		b = binary.AppendUvarint(b, uint64(m.interval))
		b = append(b, byte(m.arm))
		b = binary.AppendUvarint(b, uint64(m.n))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(m.sum))
	}
	return b
}

func decodeUser(data []byte) (*userRow, error) {
	r := reader{data: data}
	if v := r.byte(); v != rowVersion && r.err == nil {
		return nil, fmt.Errorf("%w: version %d of a user row", errCell, v)
	}
	u := &userRow{attempt: int(r.uvarint())}
	u.counted = make([]countedIn, r.length(3))
	for i := range u.counted {
		u.counted[i] = countedIn{int(r.uvarint()), int(r.uvarint()), telemetry.Arm(min(r.byte(), byte(telemetry.New)))}
	}
	u.events, u.loads, u.above = int64(r.uvarint()), int64(r.uvarint()), int64(r.uvarint())
	if len(r.data) > 0 {
		u.means = make([]meanIn, r.length(11))
		for i := range u.means {
			u.means[i] = meanIn{int(r.uvarint()), telemetry.Arm(min(r.byte(), byte(telemetry.New))), int64(r.uvarint()), math.Float64frombits(r.uint64())}
		}
	}
	return u, r.err
}

func (r *rollout) loadUser(row store.UserRow) error {
	switch row.Metric {
	case rowMember:
		r.members.add(row.User)
		return nil
	case rowSession:
		s, err := decodeSession(row.Data)
		if err != nil {
			return fmt.Errorf("session: %w", err)
		}
		r.sessions[row.User] = s
		return nil
	}
	u, err := decodeUser(row.Data)
	if err != nil {
		return fmt.Errorf("user row of %s: %w", row.Metric, err)
	}
	r.userMap(row.Metric)[row.User] = u
	return nil
}

func (r *rollout) userMap(metric string) map[string]*userRow {
	m := r.users[metric]
	if m == nil {
		m = map[string]*userRow{}
		r.users[metric] = m
	}
	return m
}

func (r *rollout) userRow(metric, user string) *userRow {
	m := r.userMap(metric)
	u := m[user]
	if u == nil {
		u = &userRow{attempt: r.target.Attempt}
		m[user] = u
	}
	return u
}
