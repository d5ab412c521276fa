package evidence

import (
	"encoding/binary"

	"serin/internal/plan"
	"serin/internal/store"
)

// sessionLifeMS is how long updates of a session are accepted: five days.
const sessionLifeMS = 5 * 24 * hourMS

// ranks order session states; a session keeps the highest it was seen in.
var ranks = map[string]byte{"ok": 1, "exited": 2, "errored": 3, "abnormal": 4, "unhandled": 5, "crashed": 6}

// crashedRank is the first state that counts as a crash: newer browser SDKs
// say unhandled where older ones said crashed.
const crashedRank = 5

// sessionState is what is remembered of a session.
type sessionState struct {
	rank byte
	// in are the groups that it counts in, one bit each; 0 while no update said
	// of which user it is.
	in byte
	at int64 // Unix ms of the last update
}

// everyGroup stands for the groups of a session that was stored before they
// were: it counts where its updates say.
const everyGroup = 1<<groups - 1

func decodeSession(data []byte) (sessionState, error) {
	r := reader{data: data}
	r.byte()
	s := sessionState{rank: r.byte(), at: int64(r.uvarint()), in: everyGroup}
	if len(r.data) > 0 {
		s.in = r.byte()
	}
	return s, r.err
}

func encodeSession(s sessionState) []byte {
	return append(binary.AppendUvarint([]byte{rowVersion, s.rank}, uint64(s.at)), s.in)
}

// inGroups are the groups of the event, one bit each.
func (x *adder) inGroups() (in byte) {
	for g, member := range x.in {
		if member {
			in |= 1 << g
		}
	}
	return in
}

// session counts one session or one bucket of an aggregate. Of a known session
// only what changed is counted. A session of which no user was known counts
// from the update on that names the user, as a new one in its worst state so
// far (browser SDKs before 10 begin it before the page knows who is there); an
// update that names nobody counts where the session does.
func (x *adder) session() {
	s := x.e.Session
	if s == nil {
		return
	}
	rank, n := max(ranks[s.Status], 1), int64(max(s.Count, 1))
	if s.ID == "" {
		x.sessionCounts(0, 0, rank, n)
		return
	}
	known := x.r.sessions[s.ID]
	if known.rank == 0 && len(x.r.sessions) >= x.r.maxSessions {
		x.sessionCounts(0, 0, rank, 1)
		return
	}
	next := sessionState{rank: max(rank, known.rank), in: known.in, at: x.at}
	counted := known.rank
	switch own := x.inGroups(); {
	case known.in == 0 && own != 0:
		next.in, counted = own, 0
	case rank <= known.rank:
		return
	case own == 0:
		for g := range x.in {
			x.in[g] = known.in != everyGroup && known.in&(1<<g) != 0
		}
	}
	x.r.sessions[s.ID] = next
	x.b.Users = append(x.b.Users, store.UserRow{Rollout: x.r.target.Rollout, Metric: rowSession, User: s.ID, Data: encodeSession(next)})
	x.sessionCounts(counted, known.rank, next.rank, 1)
}

// sessionCounts adds n sessions that rose from rank counted (0: new) to rank;
// metrics of everybody, which ask for no user, knew them at rank all.
func (x *adder) sessionCounts(counted, all, rank byte, n int64) {
	for _, d := range x.r.defs {
		was := counted
		if d.m.All {
			was = all
		}
		switch {
		case d.m.Name == "crash_free" && d.m.Kind == plan.Computed:
			if was == 0 {
				x.count(d, d.m.Name+allSuffix, sample{n: n})
			}
			if rank >= crashedRank && was < crashedRank {
				x.count(d, crashSeries, sample{n: n})
			}
		case d.m.Of == "sessions" && (d.m.Kind == plan.Count || d.m.Kind == plan.Users):
			if x.matches(d, rank) && !x.matches(d, was) {
				x.count(d, d.m.Name, sample{n: n})
			}
		}
	}
}

// crashSeries counts crashed sessions; crash_free is what is left of all.
const crashSeries = "~crashed"

// matches reports whether the metric takes the session in the state of this
// rank; rank 0 is no session yet.
func (x *adder) matches(d *definition, rank byte) bool {
	for status, r := range ranks {
		if r == rank {
			e, state := *x.e, *x.e.Session
			state.Status = status
			e.Session = &state
			return d.filter.Match(&e, x.e.Received)
		}
	}
	return false
}

// expireSessions forgets sessions that can no longer be updated.
func (r *rollout) expireSessions(now int64) {
	for id, s := range r.sessions {
		if now-s.at > sessionLifeMS {
			delete(r.sessions, id)
		}
	}
}
