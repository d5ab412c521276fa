package storetest

import (
	"testing"
	"time"

	"serin/internal/store"
)

// testSlackThreads: a thread belongs to an address and is replaced whole.
func testSlackThreads(t *testing.T, s store.Store) {
	ctx := t.Context()
	_, err := s.SlackThread(ctx, "slack:#team", "alert/a/1/team")
	wantErr(t, err, store.ErrNotFound)
	one := store.SlackThread{Address: "slack:#team", Thread: "alert/a/1/team", Channel: "C1", TS: "1.2", Last: "alert/a/1/team", At: start}
	other := one
	other.Address, other.Channel = "slack:#ops", "C2"
	must(t, s.PutSlackThread(ctx, one))
	must(t, s.PutSlackThread(ctx, other))
	one.Last, one.Room, one.RoomTS, one.RoomLast, one.At = "alert/a/2/team", "C9", "3.4", "alert/a/2/team", start.Add(time.Minute)
	must(t, s.PutSlackThread(ctx, one))
	for _, want := range []store.SlackThread{one, other} {
		got, err := s.SlackThread(ctx, want.Address, want.Thread)
		must(t, err)
		same(t, "thread", got, want)
	}
}

// testSlackLinks: a user of Slack is one person, a person may be several users.
func testSlackLinks(t *testing.T, s store.Store) {
	ctx := t.Context()
	_, err := s.SlackLink(ctx, "T1", "U1")
	wantErr(t, err, store.ErrNotFound)
	link := func(team, user, person string, after time.Duration) store.SlackLink {
		l := store.SlackLink{Team: team, User: user, Person: person, How: "code", At: start.Add(after)}
		must(t, s.PutSlackLink(ctx, l, auditOf("link Slack", "person "+person)))
		return l
	}
	a := link("T1", "U1", "ann", 0)
	b := link("T2", "U1", "ann", time.Minute)
	c := link("T1", "U2", "bob", 2*time.Minute)
	got, err := s.SlackLink(ctx, "T2", "U1")
	must(t, err)
	same(t, "link", got, b)
	list, err := s.SlackLinks(ctx, "ann")
	must(t, err)
	same(t, "links of ann", list, []store.SlackLink{a, b})
	a = link("T1", "U1", "bob", 3*time.Minute) // somebody else's account now
	list, err = s.SlackLinks(ctx, "")
	must(t, err)
	same(t, "all links", list, []store.SlackLink{b, c, a})

	must(t, s.DeleteSlackLink(ctx, "T1", "U1", auditOf("unlink Slack", "person bob")))
	wantErr(t, s.DeleteSlackLink(ctx, "T1", "U1", auditOf("unlink Slack", "person bob")), store.ErrNotFound)
	audit, err := s.AuditEntries(ctx, "person bob", 0)
	must(t, err)
	same(t, "audit entries", len(audit), 3)
}
