package storetest

import (
	"testing"
	"time"

	"serin/internal/store"
)

func testTokens(t *testing.T, s store.Store) {
	ctx := t.Context()
	one, two := tokenOf("t1"), tokenOf("t2")
	two.Kind, two.Public, two.Environment, two.ExpiresAt = "ingest", "abc", "prod", start.Add(time.Hour)
	must(t, s.PutToken(ctx, one, auditOf("create", "token t1")))
	must(t, s.PutToken(ctx, two, auditOf("create", "token t2")))
	one.Name, one.Scopes[0] = "renamed", "admin"
	must(t, s.PutToken(ctx, one, auditOf("change", "token t1")))
	want := one
	want.Scopes = []string{"admin", "operate"}
	one.Scopes[0] = "changed by the caller"

	got, err := s.TokenByHash(ctx, one.Hash)
	must(t, err)
	same(t, "token", got, want)
	list, err := s.Tokens(ctx)
	must(t, err)
	same(t, "tokens", list, []store.Token{want, two})

	thief := tokenOf("t3")
	thief.Hash = one.Hash
	wantErr(t, s.PutToken(ctx, thief, auditOf("create", "token t3")), store.ErrConflict)
	_, err = s.TokenByHash(ctx, "nobody")
	wantErr(t, err, store.ErrNotFound)

	// Deleting is how a one-time secret is used up: one of many wins.
	ok, errs := race(8, func(int) error { return s.DeleteToken(ctx, "t1", auditOf("use", "token t1")) })
	if ok != 1 {
		t.Errorf("%d callers deleted the token, want 1", ok)
	}
	for _, err := range errs {
		wantErr(t, err, store.ErrNotFound)
	}
	_, err = s.TokenByHash(ctx, one.Hash)
	wantErr(t, err, store.ErrNotFound)
	audit, err := s.AuditEntries(ctx, "token t1", 0)
	must(t, err)
	same(t, "audit entries", len(audit), 3)
}

func testSessionsSettings(t *testing.T, s store.Store) {
	ctx := t.Context()
	v := store.Session{Hash: "h", Person: "ann", Role: "owner", Scopes: []string{"read"}, CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
	must(t, s.PutSession(ctx, v))
	v.ExpiresAt = start.Add(2 * time.Hour)
	must(t, s.PutSession(ctx, v))
	got, err := s.SessionByHash(ctx, "h")
	must(t, err)
	same(t, "session", got, v)
	must(t, s.DeleteSession(ctx, "h"))
	must(t, s.DeleteSession(ctx, "h"))
	_, err = s.SessionByHash(ctx, "h")
	wantErr(t, err, store.ErrNotFound)

	_, err = s.Setting(ctx, "k")
	wantErr(t, err, store.ErrNotFound)
	for _, want := range []string{"1", "", "2"} {
		must(t, s.PutSetting(ctx, "k", want))
		got, err := s.Setting(ctx, "k")
		must(t, err)
		same(t, "setting", got, want)
	}
}

func testAudit(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, target := range []string{"flag a", "flag b", "flag a"} {
		must(t, s.PutAudit(ctx, auditOf("put", target)))
	}
	all, err := s.AuditEntries(ctx, "", 0)
	must(t, err)
	if len(all) != 3 || all[0].ID <= all[1].ID || all[1].ID <= all[2].ID {
		t.Fatalf("entries %+v, want 3, newest first", all)
	}
	want := auditOf("put", "flag a")
	want.ID = all[0].ID
	list, err := s.AuditEntries(ctx, "flag a", 1)
	must(t, err)
	same(t, "entries of flag a, one", list, []store.AuditEntry{want})
}
