package sentry_test

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/clock"
	"serin/internal/intake"
	"serin/internal/intake/sentry"
	"serin/internal/telemetry"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The key and project of all recordings.
const (
	recordedKey     = "0123456789abcdef0123456789abcdef"
	recordedProject = "42"
)

// fixture is one recorded request and the status it must get.
type fixture struct {
	name          string
	headers, body []byte
	chunked       bool
	status        int
}

// fixtures reads testdata/fixtures.zip: NAME.headers, NAME.body and INDEX.tsv
// as its README.md says.
func fixtures(t testing.TB) []fixture {
	t.Helper()
	archive, err := zip.OpenReader("testdata/fixtures.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	read := func(name string) []byte {
		f, err := archive.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var all []fixture
	for line := range strings.Lines(string(read("INDEX.tsv"))) {
		col := strings.Split(line, "\t")
		if col[0] == "name" || strings.HasPrefix(col[0], "otlp") || strings.HasPrefix(col[0], "webvitals") {
			continue
		}
		status, err := strconv.Atoi(col[8])
		if err != nil {
			t.Fatalf("INDEX.tsv: %s: %v", col[0], err)
		}
		all = append(all, fixture{
			name: col[0], headers: read(col[0] + ".headers"), body: read(col[0] + ".body"),
			chunked: col[5] == "chunked", status: status,
		})
	}
	return all
}

// request rebuilds the request from its bytes on the wire.
func (f fixture) request(t testing.TB) *http.Request {
	t.Helper()
	var wire bytes.Buffer
	wire.Write(bytes.TrimSpace(f.headers))
	wire.WriteString("\r\n\r\n")
	if f.chunked {
		fmt.Fprintf(&wire, "%x\r\n%s\r\n0\r\n\r\n", len(f.body), f.body)
	} else {
		wire.Write(f.body)
	}
	r, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatalf("%s: %v", f.name, err)
	}
	return r
}

var sentAt = regexp.MustCompile(`"sent_at":"([^"]+)"`)

// received is when the request arrived: shortly after it was sent, or the day
// the hand-made ones were written.
func (f fixture) received(t testing.TB) time.Time {
	m := sentAt.FindSubmatch(f.body)
	if m == nil {
		if strings.HasPrefix(f.name, "raw-") {
			return time.Date(2026, 2, 7, 12, 0, 0, 0, time.UTC)
		}
		if strings.HasPrefix(f.name, "node11-") { // compressed
			return time.Date(2026, 11, 22, 17, 54, 26, 600e6, time.UTC)
		}
		return time.Date(2026, 11, 22, 17, 56, 17, 500e6, time.UTC)
	}
	sent, err := time.Parse(time.RFC3339Nano, string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return sent.Add(50 * time.Millisecond)
}

type keys struct{}

func (keys) IngestKey(_ context.Context, key, project, _ string) (intake.Key, error) {
	if key != recordedKey || project != recordedProject {
		return intake.Key{}, intake.ErrUnknownKey
	}
	return intake.Key{ID: "k", Publishable: true}, nil
}

// recorder is the Sink and, around the real one, the Decoder of the door.
type recorder struct {
	mu     sync.Mutex // guards the fields below
	events []telemetry.Event
	result intake.Result
}

func (r *recorder) Accept(_ context.Context, events []telemetry.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, events...)
	return nil
}

func (r *recorder) Decode(req intake.Request) (intake.Result, error) {
	res, err := sentry.Decoder{}.Decode(req)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result = res
	return res, err
}

// goldenCase is what one request led to.
type goldenCase struct {
	Name    string           `json:"name"`
	Status  int              `json:"status"`
	Answer  json.RawMessage  `json:"answer"`
	Events  []map[string]any `json:"events,omitempty"`
	Skipped map[string]int   `json:"skipped,omitempty"`
	Invalid map[string]int   `json:"invalid,omitempty"`
}

func replay(t testing.TB, f fixture) goldenCase {
	t.Helper()
	rec := &recorder{}
	door := intake.New(intake.Options{
		Sink: rec, Keys: keys{}, Clock: clock.NewManual(f.received(t)),
		Decoders: map[string]intake.Decoder{"envelope": rec, "store": rec, "security": rec},
	})
	w := httptest.NewRecorder()
	door.ServeHTTP(w, f.request(t))
	c := goldenCase{Name: f.name, Status: w.Code, Answer: w.Body.Bytes(), Skipped: rec.result.Skipped, Invalid: rec.result.Invalid}
	for _, e := range rec.events {
		c.Events = append(c.Events, plain(e))
	}
	return c
}

// plain is an event without its empty fields, for reading.
func plain(e telemetry.Event) map[string]any {
	m := map[string]any{"Kind": e.Kind.String()}
	v := reflect.ValueOf(e)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; name != "Kind" && !v.Field(i).IsZero() {
			m[name] = v.Field(i).Interface()
		}
	}
	return m
}

// TestRecordedRequests sends what real clients sent through the real door and
// compares statuses with INDEX.tsv, events with testdata/golden.
func TestRecordedRequests(t *testing.T) {
	groups := map[string][]goldenCase{}
	for _, f := range fixtures(t) {
		c := replay(t, f)
		if c.Status != f.status {
			t.Errorf("%s: got status %d want %d: %s", f.name, c.Status, f.status, c.Answer)
		}
		group := f.name[:strings.LastIndexByte(f.name, '-')]
		if strings.HasPrefix(group, "raw-") {
			group = "raw"
		}
		groups[group] = append(groups[group], c)
	}
	for group, cases := range groups {
		t.Run(group, func(t *testing.T) {
			slices.SortFunc(cases, func(a, b goldenCase) int { return strings.Compare(a.Name, b.Name) })
			got, err := json.MarshalIndent(cases, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			path := filepath.Join("testdata", "golden", group+".json")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("golden differs (-want +got):\n%s", diff)
			}
		})
	}
}
