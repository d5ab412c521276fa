package evidence

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSeenSet(t *testing.T) {
	const perMinute, minutes, limit = 200, 26 * 60, 200_000
	s := newSeenSet(limit)
	id := func(minute, i int) uint64 { return eventHash("1", fmt.Sprint(minute, "/", i)) }
	for m := range minutes {
		now := t0.Add(time.Duration(m) * time.Minute)
		for i := range perMinute {
			if s.add(id(m, i), now) {
				t.Fatalf("minute %d: a new hash was known", m)
			}
		}
		s.expire(now)
		for _, back := range []int{0, 1, 30, 59} {
			if back <= m && !s.known(id(m-back, m%perMinute)) {
				t.Fatalf("minute %d: a hash %d minutes old was forgotten", m, back)
			}
		}
	}
	if s.size > limit || s.known(id(0, 0)) || !s.known(id(minutes-10*60, 0)) {
		t.Errorf("%d hashes after %d minutes; of the first: %v", s.size, minutes, s.known(id(0, 0)))
	}
	if s.add(0, t0) || !s.add(0, t0) {
		t.Error("hash 0 is a hash like others")
	}
	slots := 0
	for _, g := range s.generations {
		slots += len(g.slots)
	}
	if bytes := slots * 8 / s.size; bytes > 12 {
		t.Errorf("%d bytes for each hash", bytes)
	}
}

// TestHourUsers: the users of aged minutes are counted once an hour.
func TestHourUsers(t *testing.T) {
	h := &hour{}
	h.gather([]cellUser{{hash: 9}, {hash: 3}, {hash: 5}})
	h.gather([]cellUser{{hash: 5}, {hash: 1}, {hash: 12}, {hash: 4}})
	h.gather(nil)
	if d := cmp.Diff([]uint64{1, 3, 4, 5, 9, 12}, h.users); d != "" || !slices.IsSorted(h.users) {
		t.Error(d)
	}
}

// TestAgedMinutes: minutes with many users keep their counts, users and values
// when their lists were cut, before and after a restart.
func TestAgedMinutes(t *testing.T) {
	g := newRig(t, nil)
	for m := range 130 { // minutes; 40 of 60 users in each
		for i := range 40 {
			g.send(g.page(fmt.Sprint("u", (m+i)%60), float64(1000+m)))
		}
		g.clock.Advance(time.Minute)
	}
	now := g.clock.Now()
	g.send(g.page("u1", 1))
	for range 2 {
		open, past := g.view().Window("lcp", 0, t0.Add(-time.Minute), now), g.view().Window("lcp", 0, t0.Add(-time.Minute), t0.Add(119*time.Minute))
		all := g.view().Window("lcp", 1, time.Time{}, now)
		if open.Count != all.Count || open.Users != all.Users || open.Users == 0 || past.Users != open.Users {
			t.Errorf("two hours: %d loads of %d, past %d, all %d loads of %d", open.Count, open.Users, past.Users, all.Count, all.Users)
		}
		if v, ok := past.Sketch.Quantile(0.5); !ok || v < 1040 || v > 1080 {
			t.Errorf("median of the past: %v %v", v, ok)
		}
		g.restart()
	}
}
