package storetest

import (
	"testing"
	"time"

	"serin/internal/flag"
	"serin/internal/store"
)

func testProjects(t *testing.T, s store.Store) {
	ctx := t.Context()
	list, err := s.Projects(ctx)
	must(t, err)
	if len(list) != 1 || list[0].ID != flag.FirstProject || list[0].Name == "" || !list[0].CreatedAt.IsZero() {
		t.Fatalf("projects of a new store: %+v, want the first alone", list)
	}
	two := store.Project{ID: "10", Name: "shop", CreatedAt: start}
	must(t, s.PutProject(ctx, two, auditOf("create", "project 10")))
	must(t, s.PutProject(ctx, store.Project{ID: "2", Name: "admin", CreatedAt: start}, auditOf("create", "project 2")))
	must(t, s.PutProject(ctx, store.Project{ID: "10", Name: "web shop", CreatedAt: start.Add(time.Hour)}, auditOf("rename", "project 10")))
	two.Name = "web shop"
	list, err = s.Projects(ctx)
	must(t, err)
	same(t, "projects", list[1:], []store.Project{two, {ID: "2", Name: "admin", CreatedAt: start}})
	audit, err := s.AuditEntries(ctx, "project 10", 0)
	must(t, err)
	same(t, "audit entries", len(audit), 2)

	// A flag keeps where it is at home, in its history too.
	rec := recordOf("f", "", 0)
	rec.Place = flag.Place{Project: "10", Environment: "production"}
	_, err = s.PutFlag(ctx, *rec, 0, auditOf("put", "flag f"))
	must(t, err)
	flags, _, err := s.Flags(ctx)
	must(t, err)
	versions, err := s.FlagHistory(ctx, "f", 0)
	must(t, err)
	same(t, "places", []flag.Place{flags[0].Place, versions[0].Place}, []flag.Place{rec.Place, rec.Place})

	// A plan's name is its project's.
	_, err = s.PutPlan(ctx, "10", "p", []byte("plan: p\n"), start, auditOf("put", "plan p"))
	must(t, err)
	_, err = s.PutPlan(ctx, "2", "p", []byte("plan: p\nnext\n"), start, auditOf("put", "plan p"))
	wantErr(t, err, store.ErrConflict)
	names, err := s.PlanNames(ctx)
	must(t, err)
	all, err := s.PlanVersions(ctx, "p")
	must(t, err)
	if len(all) != 1 || names[0].Project != "10" || all[0].Project != "10" {
		t.Errorf("plans %+v, versions %+v: want one of project 10", names, all)
	}
}

func testTokenUsed(t *testing.T, s store.Store) {
	ctx := t.Context()
	token := tokenOf("t1")
	token.Projects = []string{"1", "2"}
	must(t, s.PutToken(ctx, token, auditOf("create", "token t1")))
	must(t, s.TokenUsed(ctx, "t1", start))
	must(t, s.TokenUsed(ctx, "gone", start))
	token.Name = "renamed"
	must(t, s.PutToken(ctx, token, auditOf("change", "token t1"))) // its use stays
	token.LastUsed = start
	got, err := s.TokenByHash(ctx, token.Hash)
	must(t, err)
	same(t, "token", got, token)
	list, err := s.Tokens(ctx)
	must(t, err)
	same(t, "tokens", list, []store.Token{token})
}
