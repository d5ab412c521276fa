package storetest

import (
	"testing"
	"time"

	"serin/internal/store"
)

func testPeople(t *testing.T, s store.Store) {
	ctx := t.Context()
	ann := store.Person{Name: "ann", Email: "ann@example.com", Subject: "https://id.example 1", Password: "$argon2id$x", Role: "approver",
		Handles: []string{"team-lead"}, Projects: []string{"1"}, CreatedAt: start}
	bob := store.Person{Name: "bob", Role: "viewer", CreatedAt: start}
	must(t, s.PutPerson(ctx, bob, auditOf("create", "person bob")))
	must(t, s.PutPerson(ctx, ann, auditOf("create", "person ann")))
	ann.Role, ann.Disabled = "operator", true
	must(t, s.PutPerson(ctx, ann, auditOf("change", "person ann")))
	got, err := s.Person(ctx, "ann")
	must(t, err)
	same(t, "person", got, ann)
	list, err := s.People(ctx)
	must(t, err)
	same(t, "people", list, []store.Person{ann, bob})
	_, err = s.Person(ctx, "nobody")
	wantErr(t, err, store.ErrNotFound)

	bob.Subject = ann.Subject
	wantErr(t, s.PutPerson(ctx, bob, auditOf("change", "person bob")), store.ErrConflict)

	first := store.Session{Hash: "h1", Person: "ann", Scopes: []string{"read"}, CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
	second, other := first, first
	second.Hash, second.CreatedAt = "h2", start.Add(time.Minute)
	other.Hash, other.Person = "h3", "bob"
	for _, v := range []store.Session{first, second, other} {
		must(t, s.PutSession(ctx, v))
	}
	sessions, err := s.Sessions(ctx, "ann")
	must(t, err)
	same(t, "sessions of ann", sessions, []store.Session{second, first})
	must(t, s.PutSlackLink(ctx, store.SlackLink{Team: "T1", User: "U1", Person: "ann", How: "code", At: start}, auditOf("link Slack", "slack user U1")))
	must(t, s.DeletePerson(ctx, "ann", auditOf("delete", "person ann")))
	wantErr(t, s.DeletePerson(ctx, "ann", auditOf("delete", "person ann")), store.ErrNotFound)
	links, err := s.SlackLinks(ctx, "")
	must(t, err)
	same(t, "links after ann is gone", links, []store.SlackLink{})
	sessions, err = s.Sessions(ctx, "")
	must(t, err)
	same(t, "sessions after ann is gone", sessions, []store.Session{other})
	audit, err := s.AuditEntries(ctx, "person ann", 0)
	must(t, err)
	same(t, "audit entries", len(audit), 3)
}
