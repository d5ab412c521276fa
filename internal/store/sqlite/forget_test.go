package sqlite

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"serin/internal/store"
	"serin/internal/telemetry"
)

// TestForgetOnDisk: what is removed is not in the files any more.
func TestForgetOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "serin.db")
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const user, text = "anna-0123456789", "what Anna wrote"
	var b store.Batch
	for i := range 20 {
		name := user
		if i%2 == 0 {
			name = "ben"
		}
		b.Users = append(b.Users, store.UserRow{Rollout: "r", Metric: string(rune('a' + i)), User: name, Data: []byte{1}})
		b.Samples = append(b.Samples, store.Sample{Issue: "SERIN-1", Event: telemetry.Event{ID: string(rune('a' + i)), User: name, Message: text, Received: time.Unix(1, 0)}})
	}
	for i := range b.Samples {
		if b.Samples[i].Event.User == "ben" {
			b.Samples[i].Event.Message = "another text"
		}
	}
	if err := s.AppendEvidence(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	on := func() (found []string) {
		files, err := filepath.Glob(path + "*")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{user, text} {
				if bytes.Contains(data, []byte(secret)) {
					found = append(found, filepath.Base(f)+": "+secret)
				}
			}
		}
		return found
	}
	if len(on()) == 0 {
		t.Fatal("the user is nowhere before the deletion: this test looks at the wrong place")
	}
	out, err := s.Forget(t.Context(), store.Forget{Users: []string{user}, Audit: store.AuditEntry{Verb: "forget user", Target: "subject 1"}})
	if err != nil || out.Samples != 10 || out.UserRows != 10 {
		t.Fatalf("forgot %+v, %v; want 10 samples and 10 rows", out, err)
	}
	if found := on(); len(found) > 0 {
		t.Errorf("still there after the deletion: %v", found)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if found := on(); len(found) > 0 {
		t.Errorf("still there after the end: %v", found)
	}
}
