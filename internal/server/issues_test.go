package server_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"

	"serin/internal/server"
	"serin/internal/store"
)

// minifiedCrash is an envelope as @sentry/browser sends it, of a bundle whose
// source map is in sourcemap's test data.
func minifiedCrash(id, release string) []byte {
	event := fmt.Sprintf(`{"event_id":%q,"platform":"javascript","level":"error","release":%q,"environment":"production","user":{"id":"u1"},"tags":{"feature":"admin-workbench"},
"exception":{"values":[{"type":"TypeError","value":"Cannot read properties of undefined (reading 'map')","mechanism":{"handled":false},"stacktrace":{"frames":[
{"filename":"https://shop.example/static/app.js","function":"async o","lineno":2,"colno":271,"in_app":true},
{"filename":"https://shop.example/static/app.js","function":"r","lineno":1,"colno":30,"in_app":true}]}}]},
"breadcrumbs":[{"timestamp":1772442000.5,"category":"fetch","data":{"method":"GET","url":"/api/widgets?token=s3cret","status_code":200}},{"timestamp":1772442001,"category":"ui.click","message":"button#open"}]}`, id, release)
	event = strings.ReplaceAll(event, "\n", "")
	return []byte(`{"event_id":"` + id + "\"}\n{\"type\":\"event\"}\n" + event + "\n")
}

// TestIssueIsReadAndDecided: a minified crash comes in, a build's source map
// makes its stack readable, people search for it and decide about it.
func TestIssueIsReadAndDecided(t *testing.T) {
	s := startWith(t, server.Options{})
	crash := func(id, release string) {
		t.Helper()
		if a := s.envelope(minifiedCrash(id, release)); a.status != http.StatusOK {
			t.Fatalf("envelope: %d %s", a.status, a.body)
		}
	}
	crash(strings.Repeat("a", 32), "web@1")
	type answer struct {
		store.Issue
		Latest []struct {
			Stack    []string
			Minified string
			Before   []struct{ Category, Message string }
		}
	}
	var got answer
	s.ask(http.MethodGet, "/issues/SERIN-1", nil, &got)
	if m := got.Latest[0].Minified; !strings.HasPrefix(m, "no source map of release web@1") {
		t.Errorf("before the upload: %q", m)
	}
	if b := got.Latest[0].Before; len(b) != 2 || b[0].Message != "GET /api/widgets?token=[Filtered] 200" || b[1].Message != "button#open" {
		t.Errorf("what came before: %+v", b)
	}

	s.upload("web@1", "~/static/app.js", "../sourcemap/testdata/app.js.map")
	got = answer{}
	s.ask(http.MethodGet, "/issues/SERIN-1", nil, &got)
	want := []string{"renderWidgets (src/widget.ts:5)", "async o (src/main.ts:10)"}
	if stack := got.Latest[0].Stack; len(stack) != 2 || !strings.HasPrefix(stack[0], "renderWidgets (src/widget.ts:") || !strings.Contains(stack[1], "src/main.ts:") || got.Latest[0].Minified != "" {
		t.Errorf("stack %q, want about %q", stack, want)
	}

	found := func(search string) int {
		t.Helper()
		var list []store.Issue
		s.ask(http.MethodGet, "/issues?query="+strings.ReplaceAll(search, " ", "%20"), nil, &list)
		return len(list)
	}
	for search, n := range map[string]int{"is:for_review tags.feature:admin-workbench error.type:TypeError": 1, "level:fatal": 0, "firstSeen:-1d release:web@1": 1} {
		if got := found(search); got != n {
			t.Errorf("%s finds %d, want %d", search, got, n)
		}
	}
	if a := s.api(http.MethodGet, "/issues?query=level:%3E%3D%3E", nil); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.detail(), "column") {
		t.Errorf("a wrong search: %d %s", a.status, a.body)
	}

	s.ask(http.MethodPatch, "/issues/SERIN-1", map[string]any{"status": "resolved", "next_release": true, "owner": "anna"}, nil)
	crash(strings.Repeat("b", 32), "web@1")
	if found("is:resolved assigned:anna events:2") != 1 {
		t.Error("an event of the old release opened the issue again, or was not counted")
	}
	crash(strings.Repeat("c", 32), "web@2")
	if found("is:unresolved is:for_review") != 1 {
		t.Error("an event of the next release did not open the issue again")
	}
	for _, body := range []map[string]any{{"status": "gone"}, {"status": "resolved", "until": "2026-01-01T00:00:00Z"}} {
		if a := s.api(http.MethodPatch, "/issues/SERIN-1", body); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%v: %d %s", body, a.status, a.body)
		}
	}
	if a := s.api(http.MethodPatch, "/issues/SERIN-7", map[string]any{"reviewed": true}); a.status != http.StatusNotFound {
		t.Errorf("an unknown issue: %d", a.status)
	}
	var audit []store.AuditEntry
	s.ask(http.MethodGet, "/audit?target=issue%20SERIN-1", nil, &audit)
	if len(audit) != 1 || !strings.Contains(string(audit[0].After), `"next_release":true`) {
		t.Errorf("audit: %+v", audit)
	}
}

// upload sends one source map as the command line does.
func (s *site) upload(release, name, file string) {
	s.t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, err := w.CreateFormFile(name, "map")
	if err == nil {
		_, err = part.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	a := s.must(http.MethodPost, "/api/v1/sourcemaps?release="+release, body.Bytes(), "Authorization", "Bearer "+s.boot.AdminToken, "Content-Type", w.FormDataContentType())
	if a.status != http.StatusOK {
		s.t.Fatalf("upload: %d %s", a.status, a.body)
	}
}
