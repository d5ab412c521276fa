package evidence

import (
	"fmt"
	"testing"
	"time"

	"serin/internal/judge"
	"serin/internal/telemetry"
)

// TestSessionsThatLearnTheirUserLate: browsers of SDK 7 to 9 begin a session
// before they know the user, and name the user with the first update. Such a
// session counts, once, in the arm of its user; updates may come in any order.
func TestSessionsThatLearnTheirUserLate(t *testing.T) {
	type update struct {
		user   bool
		status string
	}
	for _, c := range []struct {
		name    string
		updates []update
		want    float64 // crash_free of the one session
	}{
		{"user from the start", []update{{true, "ok"}, {true, "exited"}}, 1},
		{"user with an update of the same state", []update{{false, "ok"}, {true, "ok"}}, 1},
		{"user with the end", []update{{false, "ok"}, {true, "exited"}, {true, "exited"}}, 1},
		{"user with the crash", []update{{false, "ok"}, {true, "crashed"}, {true, "crashed"}}, 0},
		{"the crash came first", []update{{true, "crashed"}, {false, "ok"}}, 0},
		{"the crash without a user", []update{{false, "crashed"}, {true, "ok"}}, 0},
		{"told twice", []update{{true, "unhandled"}, {true, "crashed"}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newRig(t, nil)
			user := g.userOf(telemetry.New, 0)
			for _, u := range c.updates {
				e := telemetry.Event{Kind: telemetry.KindSession, Project: "1", Session: &telemetry.Session{ID: "s1", Status: u.status, Count: 1}}
				if u.user {
					e.SessionUser = user
				}
				g.send(e)
			}
			w := g.window("crash_free", judge.AssignedNew, time.Hour)
			if w.Sum != 1 || w.Value != c.want {
				t.Errorf("got %+v, want one session with a share of %g", w, c.want)
			}
			g.restart()
			if again := g.window("crash_free", judge.AssignedNew, time.Hour); fmt.Sprint(again) != fmt.Sprint(w) {
				t.Errorf("after a restart: got %+v, want %+v", again, w)
			}
		})
	}
}
