package intake_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"serin/internal/clock"
	"serin/internal/intake"
	"serin/internal/intake/intaketest"
	"serin/internal/telemetry"
)

const (
	key     = "0123456789abcdef0123456789abcdef"
	pageKey = "fedcba9876543210fedcba9876543210" // lists https://shop.example
)

type keys struct{}

func (keys) IngestKey(_ context.Context, k, project, origin string) (intake.Key, error) {
	switch {
	case project != "42":
		return intake.Key{}, intake.ErrUnknownKey
	case k == key:
		return intake.Key{ID: "1"}, nil
	case k == pageKey && origin != "" && origin != "https://shop.example":
		return intake.Key{}, fmt.Errorf("%w: %s", intake.ErrForbiddenOrigin, origin)
	case k == pageKey:
		return intake.Key{ID: "2", Environment: "production", Publishable: true, Origins: true}, nil
	case k == "busy":
		return intake.Key{}, intake.ErrOverload
	case k == "down":
		return intake.Key{}, errors.New("disk on fire")
	}
	return intake.Key{}, intake.ErrUnknownKey
}

// words decodes a body of kinds, "error span session"; "bad" is an error.
type words struct{}

func (words) Decode(r intake.Request) (intake.Result, error) {
	res := intake.Result{ID: "abc", Skipped: map[string]int{"attachment": 1}, Invalid: map[string]int{"too_large": 2}}
	for w := range strings.FieldsSeq(string(r.Body)) {
		e := telemetry.Event{Environment: "staging", Claimed: r.Publishable}
		switch w {
		case "error":
			e.Kind = telemetry.KindError
		case "span":
			e.Kind = telemetry.KindSpan
		case "session":
			e.Kind = telemetry.KindSession
		case "bad":
			return res, errors.New("bad word: use another")
		default:
			continue
		}
		res.Events = append(res.Events, e)
	}
	return res, nil
}

// sink refuses the kinds in full, all at once, as a Sink does.
type sink struct {
	full   map[telemetry.Kind]bool
	err    error
	events []telemetry.Event
}

func (s *sink) Accept(_ context.Context, events []telemetry.Event) error {
	if s.err != nil {
		return s.err
	}
	for _, e := range events {
		if s.full[e.Kind] {
			return fmt.Errorf("queue: %w", intake.ErrOverload)
		}
	}
	s.events = append(s.events, events...)
	return nil
}

func open(s *sink) (http.Handler, *prometheus.Registry) {
	reg := prometheus.NewRegistry()
	return intake.New(intake.Options{
		Sink: s, Keys: keys{}, Clock: clock.NewManual(intaketest.Received), Registry: reg,
		Decoders: map[string]intake.Decoder{"envelope": words{}, "store": words{}, "beacon": words{}},
	}), reg
}

func post(path, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const keyed = "/api/42/envelope/?sentry_key=" + key

func TestMatch(t *testing.T) {
	for _, c := range []struct{ path, project, endpoint string }{
		{"/api/42/envelope/", "42", "envelope"},
		{"/api/42/store", "42", "store"},
		{"/a/b/api/42/beacon/", "42", "beacon"},
		{"/api/1/api/42/envelope/", "42", "envelope"},
		{"/api/42/", "", ""},
		{"/api//envelope/", "", ""},
		{"/42/envelope/", "", ""},
		{"/xapi/42/envelope/", "", ""},
		{"/api/4 2/envelope/", "", ""},
		{"/api/" + strings.Repeat("4", 65) + "/envelope/", "", ""},
	} {
		project, endpoint, ok := intake.Match(c.path)
		if project != c.project || endpoint != c.endpoint || ok != (c.project != "") {
			t.Errorf("%s: got %q %q %v", c.path, project, endpoint, ok)
		}
	}
}

func TestAuth(t *testing.T) {
	dsn := func(k, host, project string) string {
		return fmt.Sprintf(`{"dsn":"https://%s:secret@%s/prefix/%s"}`, k, host, project) + "\nerror"
	}
	const path = "/prefix/api/42/envelope/"
	for _, c := range []struct {
		name, path, body string
		headers          []string
		want             int
	}{
		{"header", path, "error", []string{"X-Sentry-Auth", "Sentry sentry_version=7, sentry_client=x/1, sentry_key=" + key}, 200},
		{"header, key first", path, "error", []string{"X-Sentry-Auth", "Sentry sentry_key=" + key + ",sentry_secret=x,sentry_version=7"}, 200},
		{"authorization", path, "error", []string{"Authorization", "sentry sentry_key=" + key}, 200},
		{"query", path + "?sentry_version=7&sentry_key=" + key, "error", nil, 200},
		{"no final slash", "/api/42/envelope?sentry_key=" + key, "error", nil, 200},
		{"dsn alone", path, dsn(key, "any.host", "42"), nil, 200},
		{"all agree", path + "?sentry_key=" + key, dsn(key, "other:1", "42"), []string{"X-Sentry-Auth", "Sentry sentry_key=" + key}, 200},
		{"foreign bearer token is not looked at", path + "?sentry_key=" + key, "error", []string{"Authorization", "Bearer x"}, 200},
		{"none", path, "error", nil, 403},
		{"none on store", "/api/42/store/", "error", nil, 403},
		{"unknown", path + "?sentry_key=x", "error", nil, 403},
		{"other project", "/api/7/envelope/?sentry_key=" + key, "error", nil, 403},
		{"header and query disagree", path + "?sentry_key=" + pageKey, "error", []string{"X-Sentry-Auth", "Sentry sentry_key=" + key}, 403},
		{"dsn and query disagree", path + "?sentry_key=" + key, dsn(pageKey, "h", "42"), nil, 403},
		{"dsn of another project", path + "?sentry_key=" + key, dsn(key, "h", "43"), nil, 403},
		{"dsn unreadable", path, `{"dsn":"nonsense"}`, nil, 403},
		{"origin not listed", path + "?sentry_key=" + pageKey, "error", []string{"Origin", "https://evil.example"}, 403},
		{"key's rate limit", path + "?sentry_key=busy", "error", nil, 429},
		{"keys unknown for now", path + "?sentry_key=down", "error", nil, 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &sink{}
			h, _ := open(s)
			w := serve(h, post(c.path, c.body, c.headers...))
			if w.Code != c.want {
				t.Fatalf("got %d %s want %d", w.Code, w.Body, c.want)
			}
			if c.want == 200 {
				if w.Body.String() != `{"id":"abc"}` || len(s.events) != 1 {
					t.Errorf("got %s, %d events", w.Body, len(s.events))
				}
				return
			}
			if !strings.HasPrefix(w.Body.String(), `{"detail":"`) || w.Header().Get("X-Sentry-Error") == "" || len(s.events) != 0 {
				t.Errorf("refusal without reason: %s, %v", w.Body, w.Header())
			}
			if strings.Contains(w.Body.String(), "fire") {
				t.Errorf("an internal error shows: %s", w.Body)
			}
		})
	}
}

func TestKeyDecidesEnvironmentAndClaim(t *testing.T) {
	s := &sink{}
	h, _ := open(s)
	serve(h, post(keyed, "error"))
	serve(h, post("/api/42/envelope/?sentry_key="+pageKey, "error"))
	if e := s.events[0]; e.Environment != "staging" || e.Claimed {
		t.Errorf("unbound server key: %+v", e)
	}
	if e := s.events[1]; e.Environment != "production" || !e.Claimed {
		t.Errorf("publishable key of an environment: %+v", e)
	}
}

// compressed is body in an encoding.
func compressed(t testing.TB, encoding string, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var z io.WriteCloser
	var err error
	switch encoding {
	case "gzip":
		z = gzip.NewWriter(&b)
	case "deflate":
		z = zlib.NewWriter(&b)
	case "raw deflate":
		z, err = flate.NewWriter(&b, flate.DefaultCompression)
	case "br":
		z = brotli.NewWriter(&b)
	case "zstd":
		z, err = zstd.NewWriter(&b)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEncodings(t *testing.T) {
	s := &sink{}
	h, _ := open(s)
	n := 0
	for range 2 { // the second round uses pooled decompressors
		for _, encoding := range []string{"gzip", "deflate", "raw deflate", "br", "zstd"} {
			header := strings.TrimPrefix(encoding, "raw ")
			body := compressed(t, encoding, []byte("error"))
			if w := serve(h, post(keyed, string(body), "Content-Encoding", header)); w.Code != 200 {
				t.Errorf("%s: got %d %s", encoding, w.Code, w.Body)
			}
			n++
			cut := compressed(t, encoding, bytes.Repeat([]byte("error span "), 5000))
			if w := serve(h, post(keyed, string(cut[:len(cut)/2]), "Content-Encoding", header)); w.Code != 400 {
				t.Errorf("%s cut off: got %d %s", encoding, w.Code, w.Body)
			}
			if w := serve(h, post(keyed, "error", "Content-Encoding", header)); w.Code != 400 {
				t.Errorf("%s, but it is not: got %d %s", encoding, w.Code, w.Body)
			}
		}
	}
	if w := serve(h, post(keyed, "error", "Content-Encoding", "identity")); w.Code != 200 {
		t.Errorf("identity: got %d", w.Code)
	}
	if len(s.events) != n+1 {
		t.Errorf("got %d events want %d", len(s.events), n+1)
	}
	w := serve(h, post(keyed, "error", "Content-Encoding", "lzma"))
	if w.Code != 415 || !strings.Contains(w.Header().Get("Accept-Encoding"), "zstd") {
		t.Errorf("unknown encoding: got %d %v", w.Code, w.Header())
	}
}

// unsized hides a body's length, as chunked requests do.
type unsized struct{ io.Reader }

func TestBodyLimits(t *testing.T) {
	h, reg := open(&sink{})
	zeros := func(n int) []byte { return make([]byte, n) }
	const over = 34 << 20
	sparse := zeros(over) // one random byte in 16: too large, but no bomb
	x := uint32(1)
	for i := 0; i < over; i += 16 {
		x = x*1664525 + 1013904223
		sparse[i] = byte(x >> 24)
	}
	for _, c := range []struct {
		name, path, encoding string
		body                 []byte
		want                 int
	}{
		{"empty", keyed, "", nil, 400},
		{"at the wire limit", keyed, "", zeros(8 << 20), 200},
		{"over the wire limit", keyed, "", zeros(8<<20 + 1), 413},
		{"over the decompressed limit", keyed, "zstd", compressed(t, "zstd", sparse), 413},
		{"bomb gzip", keyed, "gzip", compressed(t, "gzip", zeros(20<<20)), 400},
		{"bomb br", keyed, "br", compressed(t, "br", zeros(20<<20)), 400},
		{"bomb zstd", keyed, "zstd", compressed(t, "zstd", zeros(20<<20)), 400},
		{"small, however well compressed", keyed, "br", compressed(t, "br", zeros(1<<20)), 200},
		{"beacon", "/api/42/beacon/?sentry_key=" + key, "", zeros(64<<10 + 1), 413},
	} {
		for _, chunked := range []bool{false, true} {
			r := httptest.NewRequest(http.MethodPost, c.path, bytes.NewReader(c.body))
			if chunked {
				r = httptest.NewRequest(http.MethodPost, c.path, unsized{bytes.NewReader(c.body)})
			}
			r.Header.Set("Content-Encoding", c.encoding)
			if w := serve(h, r); w.Code != c.want {
				t.Errorf("%s, chunked %v: got %d %s want %d", c.name, chunked, w.Code, w.Body, c.want)
			}
		}
	}
	if got := testutil.ToFloat64(counter(t, reg, "serin_intake_rejected_total", "bomb")); got != 6 {
		t.Errorf("counted %v bombs, want 6", got)
	}
}

// counter is a gathered counter whose first label value is label.
func counter(t *testing.T, reg *prometheus.Registry, name, label string) prometheus.Collector {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "found"})
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetValue() == label {
					c.Add(m.GetCounter().GetValue())
				}
			}
		}
	}
	return c
}

// TestCutOffBody hangs up in the middle of a body, over a real connection.
func TestCutOffBody(t *testing.T) {
	s := &sink{}
	h, reg := open(s)
	done := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		done <- struct{}{}
	}))
	defer server.Close()
	for _, head := range []string{"Content-Length: 100\r\n\r\nerror", "Transfer-Encoding: chunked\r\n\r\n5\r\nerror\r\n50\r\nerr"} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\n%s", keyed, head)
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		<-done
		if !bytes.Contains(answer, []byte("400 Bad Request")) {
			t.Errorf("got %q, want 400", answer)
		}
	}
	if got := testutil.ToFloat64(counter(t, reg, "serin_intake_rejected_total", "cut_off")); got != 2 || len(s.events) != 0 {
		t.Errorf("counted %v, want 2; %d events accepted", got, len(s.events))
	}
}

func TestOverload(t *testing.T) {
	full := func(kinds ...telemetry.Kind) map[telemetry.Kind]bool {
		m := map[telemetry.Kind]bool{}
		for _, k := range kinds {
			m[k] = true
		}
		return m
	}
	for _, c := range []struct {
		name   string
		sink   sink
		want   int
		limits string
		events int
	}{
		{"all taken", sink{}, 200, "", 3},
		{"spans refused", sink{full: full(telemetry.KindSpan)}, 429, "30:span:project:overload", 2},
		{"spans and errors refused", sink{full: full(telemetry.KindSpan, telemetry.KindError)}, 429, "30:span;error:project:overload", 1},
		{"sessions refused", sink{full: full(telemetry.KindSession)}, 503, "", 0},
		{"unavailable", sink{err: intake.ErrUnavailable}, 503, "", 0},
		{"any other error", sink{err: errors.New("disk full")}, 503, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, _ := open(&c.sink)
			w := serve(h, post(keyed, "error span session"))
			if w.Code != c.want || w.Header().Get("X-Sentry-Rate-Limits") != c.limits || len(c.sink.events) != c.events {
				t.Errorf("got %d, limits %q, %d events durable; want %d, %q, %d", w.Code, w.Header().Get("X-Sentry-Rate-Limits"), len(c.sink.events), c.want, c.limits, c.events)
			}
			if got := w.Header().Get("Retry-After"); (got != "") != (c.want != 200) {
				t.Errorf("Retry-After: %q with status %d", got, c.want)
			}
		})
	}
}

func TestClientGone(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h, reg := open(&sink{err: context.Canceled})
	w := serve(h, post(keyed, "error").WithContext(ctx))
	if w.Body.Len() != 0 || testutil.ToFloat64(counter(t, reg, "serin_intake_requests_total", "499")) != 1 {
		t.Errorf("got %q; want no answer, counted as 499", w.Body)
	}
}

func TestMalformed(t *testing.T) {
	h, reg := open(&sink{})
	w := serve(h, post(keyed, "bad"))
	if w.Code != 400 || w.Body.String() != `{"detail":"bad word: use another"}` || w.Header().Get("X-Sentry-Error") != "bad word: use another" {
		t.Errorf("got %d %s %v", w.Code, w.Body, w.Header())
	}
	for _, c := range []struct {
		name, label string
		want        float64
	}{
		{"serin_intake_rejected_total", "malformed", 1},
		{"serin_intake_items_total", "attachment", 1},
		{"serin_intake_items_total", "too_large", 2},
		{"serin_intake_requests_total", "400", 1},
	} {
		if got := testutil.ToFloat64(counter(t, reg, c.name, c.label)); got != c.want {
			t.Errorf("%s %s: got %v want %v", c.name, c.label, got, c.want)
		}
	}
}

func TestRouting(t *testing.T) {
	h, _ := open(&sink{})
	if w := serve(h, post("/api/42/nothing/?sentry_key="+key, "error")); w.Code != 404 {
		t.Errorf("unknown endpoint: got %d", w.Code)
	}
	if w := serve(h, httptest.NewRequest(http.MethodGet, keyed, nil)); w.Code != 405 || w.Header().Get("Allow") != "POST, OPTIONS" {
		t.Errorf("GET: got %d %v", w.Code, w.Header())
	}
}

func TestCORS(t *testing.T) {
	const shop, evil = "https://shop.example", "https://evil.example"
	for _, c := range []struct {
		name, method, path, origin string
		want                       int
		allow, credentials         string
	}{
		{"any page", http.MethodPost, keyed, evil, 200, "*", ""},
		{"no origin", http.MethodPost, keyed, "", 200, "*", ""},
		{"preflight", http.MethodOptions, keyed, evil, 200, "*", ""},
		{"preflight without key", http.MethodOptions, "/api/42/envelope/", evil, 200, "*", ""},
		{"listed", http.MethodPost, "/api/42/envelope/?sentry_key=" + pageKey, shop, 200, shop, ""},
		{"listed preflight", http.MethodOptions, "/api/42/envelope/?sentry_key=" + pageKey, shop, 200, shop, ""},
		{"not listed", http.MethodPost, "/api/42/envelope/?sentry_key=" + pageKey, evil, 403, "", ""},
		{"not listed preflight", http.MethodOptions, "/api/42/envelope/?sentry_key=" + pageKey, evil, 403, "", ""},
		{"unknown key, so that the page can read why", http.MethodPost, "/api/42/envelope/?sentry_key=x", evil, 403, "*", ""},
		{"beacon", http.MethodPost, "/api/42/beacon/?sentry_key=" + key, shop, 200, shop, "true"},
		{"beacon preflight", http.MethodOptions, "/api/42/beacon/?sentry_key=" + key, shop, 200, shop, "true"},
		{"beacon not listed", http.MethodPost, "/api/42/beacon/?sentry_key=" + pageKey, evil, 403, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, _ := open(&sink{})
			r := httptest.NewRequest(c.method, c.path, strings.NewReader("error"))
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			w := serve(h, r)
			got := w.Header()
			if w.Code != c.want || got.Get("Access-Control-Allow-Origin") != c.allow || got.Get("Access-Control-Allow-Credentials") != c.credentials {
				t.Errorf("got %d %v", w.Code, got)
			}
			if c.allow != "*" && got.Get("Vary") != "Origin" {
				t.Errorf("the answer depends on Origin and does not say so: %v", got)
			}
			preflight := c.method == http.MethodOptions && c.allow != ""
			if (got.Get("Access-Control-Allow-Headers") != "") != preflight || (got.Get("Access-Control-Max-Age") == "3600") != preflight {
				t.Errorf("preflight headers: %v", got)
			}
			if c.allow != "" && got.Get("Access-Control-Expose-Headers") != "x-sentry-error, x-sentry-rate-limits, retry-after" {
				t.Errorf("expose: %v", got)
			}
		})
	}
}

func BenchmarkDoor(b *testing.B) {
	h, _ := open(&sink{full: map[telemetry.Kind]bool{}})
	for _, encoding := range []string{"identity", "gzip", "zstd"} {
		b.Run(encoding, func(b *testing.B) {
			body := bytes.Repeat([]byte("word "), 1000)
			wire := body
			if encoding != "identity" {
				wire = compressed(b, encoding, body)
			}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, keyed, bytes.NewReader(wire))
				r.Header.Set("Content-Encoding", encoding)
				if w := serve(h, r); w.Code != 200 {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}
