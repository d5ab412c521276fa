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
	at   int64 // Unix ms of the last update
}

func decodeSession(data []byte) (sessionState, error) {
	r := reader{data: data}
	r.byte()
	s := sessionState{rank: r.byte(), at: int64(r.uvarint())}
	return s, r.err
}

// session counts one session or one bucket of an aggregate. An update of a
// known session counts only what changed.
func (x *adder) session() {
	s := x.e.Session
	if s == nil {
		return
	}
	rank, n, was := ranks[s.Status], int64(max(s.Count, 1)), byte(0)
	if rank == 0 {
		rank = 1
	}
	if s.ID != "" {
		known := x.r.sessions[s.ID]
		if was = known.rank; rank <= was {
			return
		}
		n = 1
		if was == 0 && len(x.r.sessions) >= x.r.maxSessions {
			x.sessionCounts(0, rank, n)
			return
		}
		x.r.sessions[s.ID] = sessionState{rank, x.at}
		data := binary.AppendUvarint([]byte{rowVersion, rank}, uint64(x.at))
		x.b.Users = append(x.b.Users, store.UserRow{Rollout: x.r.target.Rollout, Metric: rowSession, User: s.ID, Data: data})
	}
	x.sessionCounts(was, rank, n)
}

// sessionCounts adds n sessions that rose from rank was (0: new) to rank.
func (x *adder) sessionCounts(was, rank byte, n int64) {
	for _, d := range x.r.defs {
		switch {
		case d.m.Name == "crash_free" && d.m.Kind == plan.Computed:
			if was == 0 {
				x.count(d, d.m.Name+allSuffix, sample{n: n})
			}
			if rank >= crashedRank && was < crashedRank {
				x.count(d, crashSeries, sample{n: n})
			}
		case d.m.Of == "sessions" && (d.m.Kind == plan.Count || d.m.Kind == plan.Users):
			if d.filter.Match(x.e, x.e.Received) && !x.matchedBefore(d, was) {
				x.count(d, d.m.Name, sample{n: n})
			}
		}
	}
}

// crashSeries counts crashed sessions; crash_free is what is left of all.
const crashSeries = "~crashed"

// matchedBefore reports whether the session already counted in its last state.
func (x *adder) matchedBefore(d *definition, was byte) bool {
	if was == 0 {
		return false
	}
	for status, rank := range ranks {
		if rank == was {
			before, state := *x.e, *x.e.Session
			state.Status = status
			before.Session = &state
			return d.filter.Match(&before, x.e.Received)
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
