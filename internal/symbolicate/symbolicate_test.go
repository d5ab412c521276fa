package symbolicate

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/store"
	"serin/internal/store/memory"
	"serin/internal/telemetry"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func bundle(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("../sourcemap/testdata/app.js.map")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// crash is what V8 says when the bundle of sourcemap's test data is
// called with a tenant that has no widgets.
func crash(file, debug string) *telemetry.Event {
	return &telemetry.Event{Project: "1", Release: "web@2", Exception: &telemetry.Exception{Type: "TypeError", Frames: []telemetry.Frame{
		{Function: "async o", File: file, Line: 2, Column: 271, InApp: true, Debug: debug},
		{Function: "r", File: file, Line: 1, Column: 30, InApp: true, Debug: debug},
	}}}
}

func TestStack(t *testing.T) {
	ctx := t.Context()
	const debug = "5a4c9c3e-0f9c-4b8f-9b57-2b4d5b1b0c11"
	s := New(memory.New(), slog.New(slog.DiscardHandler))
	if _, missing := s.Stack(ctx, crash("https://shop.example/static/app.js?v=3", "")); missing != "no source map of release web@2 explains https://shop.example/static/app.js?v=3" {
		t.Errorf("before the upload: %q", missing)
	}
	if _, err := s.Upload(ctx, "1", "web@2", []File{{"~/static/app.js", bundle(t)}}, now, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	withID := append([]byte(`{"debugId":"`+debug+`",`), bundle(t)[1:]...)
	if _, err := s.Upload(ctx, "1", "web@1", []File{{"~/elsewhere.js", withID}}, now, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]*telemetry.Event{
		"release and address": crash("https://shop.example/static/app.js?v=3", ""),
		"release and path":    crash("/srv/app/static/app.js", ""),
		"debug id":            crash("https://cdn.example/x.js", debug),
	} {
		frames, missing := s.Stack(ctx, e)
		if missing != "" || len(frames) != 2 {
			t.Fatalf("%s: %d frames, %q", name, len(frames), missing)
		}
		top, below := frames[0], frames[1]
		if d := cmp.Diff([]any{"renderWidgets", "src/widget.ts", 5, true, "  return widgets!.map((widget) => renderCard(widget)).join('\\n')"},
			[]any{top.Function, top.File, top.Line, top.Mapped, top.Source.Line}); d != "" {
			t.Errorf("%s: the frame that crashed (-want +got):\n%s", name, d)
		}
		if below.File != "src/main.ts" || below.Line != 11 || below.Raw.Line != 2 {
			t.Errorf("%s: its caller is %+v", name, below)
		}
	}
	other := crash("https://shop.example/static/app.js", "")
	other.Project = "2"
	if frames, missing := s.Stack(ctx, other); missing == "" || frames[0].Mapped {
		t.Error("a map of another project was used")
	}
	go1 := &telemetry.Event{Project: "1", Exception: &telemetry.Exception{Frames: []telemetry.Frame{{Function: "main.main", File: "/src/main.go", Line: 3, Column: 1}}}}
	if frames, missing := s.Stack(ctx, go1); missing != "" || frames[0].Function != "main.main" {
		t.Errorf("a stack that needs no map: %+v %q", frames, missing)
	}
}

func TestUploadRefused(t *testing.T) {
	s := New(memory.New(), slog.New(slog.DiscardHandler))
	good := bundle(t)
	for _, tc := range []struct {
		release string
		files   []File
		want    string
	}{
		{"", []File{{"~/a.js", good}}, "release"},
		{"web@1\n", []File{{"~/a.js", good}}, "control characters"},
		{"web@1", nil, "1 to 500 files"},
		{"web@1", []File{{"/etc/passwd", good}}, "begin it with ~/"},
		{"web@1", []File{{"~/a.js", good}, {"~/b.js", []byte("{")}}, "~/b.js: source map"},
		{"web@1", []File{{"~/" + strings.Repeat("a", 600), good}}, "1 to 512 bytes"},
	} {
		_, err := s.Upload(t.Context(), "1", tc.release, tc.files, now, store.AuditEntry{Verb: "upload"})
		if !errors.Is(err, ErrUpload) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: got %v, want it to say %q", tc.release, err, tc.want)
		}
	}
	if held, _ := s.store.Artifacts(t.Context(), "1", ""); len(held) != 0 {
		t.Errorf("a refused upload left %d files", len(held))
	}
}

// TestCacheIsBounded: many maps do not stay in memory, the newest does.
func TestCacheIsBounded(t *testing.T) {
	c := newCache()
	for i := range 100 {
		c.put(entry{key: string(rune('a' + i)), bytes: 10 << 20})
	}
	if c.bytes > cacheBytes || c.used.Len() != len(c.byKey) || c.used.Len() != 6 {
		t.Errorf("%d maps, %d bytes", c.used.Len(), c.bytes)
	}
	c.put(entry{key: "huge", bytes: 10 * cacheBytes})
	if c.used.Len() != 1 || c.byKey["huge"] == nil {
		t.Errorf("%d maps after a huge one", c.used.Len())
	}
}
