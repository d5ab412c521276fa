package storetest

import (
	"testing"
	"time"

	"serin/internal/store"
)

func testArtifacts(t *testing.T, s store.Store) {
	ctx := t.Context()
	file := func(release, name, data string, at time.Time) store.Artifact {
		return store.Artifact{Project: "1", Release: release, Name: name, Debug: "id of " + name, Hash: "h", Bytes: 100, At: at, Data: []byte(data)}
	}
	old := []store.Artifact{file("web@1", "~/b.js", "b", start), file("web@1", "~/a.js", "a", start)}
	must(t, s.PutArtifacts(ctx, old, auditOf("upload", "release web@1")))
	later := file("web@2", "~/a.js", "first", start.Add(time.Hour))
	must(t, s.PutArtifacts(ctx, []store.Artifact{later}, auditOf("upload", "release web@2")))
	later.Data = []byte("again")
	must(t, s.PutArtifacts(ctx, []store.Artifact{later}, auditOf("upload", "release web@2")))

	data, err := s.ArtifactData(ctx, "1", "web@2", "~/a.js")
	must(t, err)
	same(t, "data after it was replaced", string(data), "again")
	_, err = s.ArtifactData(ctx, "2", "web@2", "~/a.js")
	wantErr(t, err, store.ErrNotFound)

	listed := func(a store.Artifact) store.Artifact {
		a.Stored, a.Data = int64(len(a.Data)), nil
		return a
	}
	all, err := s.Artifacts(ctx, "1", "")
	must(t, err)
	same(t, "all files", all, []store.Artifact{listed(later), listed(old[1]), listed(old[0])})
	one, err := s.Artifacts(ctx, "1", "web@1")
	must(t, err)
	same(t, "files of a release", one, []store.Artifact{listed(old[1]), listed(old[0])})

	n, err := s.DeleteArtifacts(ctx, "1", "web@1", auditOf("delete", "release web@1"))
	must(t, err)
	same(t, "deleted files", n, int64(2))
	_, err = s.DeleteArtifacts(ctx, "1", "web@1", auditOf("delete", "release web@1"))
	wantErr(t, err, store.ErrNotFound)
	all, err = s.Artifacts(ctx, "1", "")
	must(t, err)
	same(t, "files after the deletion", all, []store.Artifact{listed(later)})
	audit, err := s.AuditEntries(ctx, "release web@1", 0)
	must(t, err)
	same(t, "audit entries", len(audit), 2)
}
