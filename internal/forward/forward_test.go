package forward_test

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"serin/internal/clock"
	"serin/internal/forward"
	"serin/internal/intake"
	"serin/internal/intake/sentry"
	"serin/internal/telemetry"
)

// ourKey and ourProject are those of the recordings.
const (
	ourKey     = "0123456789abcdef0123456789abcdef"
	ourProject = "42"
)

var monday = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

const patience = 30 * time.Second

// running is a Forwarder at work.
type running struct {
	*forward.Forwarder
	stop func()
}

// run starts a Forwarder to the upstream with a clock that is fast, so that a
// pause of minutes takes milliseconds.
func run(t testing.TB, dir, dsn string, change ...func(*forward.Spec)) *running {
	t.Helper()
	to, err := forward.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	spec := forward.Spec{Project: ourProject, DSN: to, AllowPrivate: true}
	for _, c := range change {
		c(&spec)
	}
	f := forward.New(forward.Options{Dir: dir, Clock: clock.Fast(monday, 500)})
	if err := f.Set([]forward.Spec{spec}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop := sync.OnceFunc(func() {
		cancel()
		ended.Wait()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return &running{f, stop}
}

// until waits for a state of the line.
func (r *running) until(t testing.TB, what string, is func(forward.Status) bool) forward.Status {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		s := r.Status()[0]
		if is(s) {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("not %s: %+v", what, s)
		}
	}
}

func empty(s forward.Status) bool { return s.Queued == 0 }

func (r *running) give(body string) {
	r.Accept(forward.Request{Project: ourProject, Endpoint: "envelope", Key: ourKey, Body: []byte(body), Received: monday.Add(time.Hour), Header: http.Header{}})
}

const (
	event   = "{\"type\":\"event\"}\n{\"message\":\"no\"}\n"
	session = "{\"type\":\"session\"}\n{\"sid\":\"1\"}\n"
)

type keys struct{}

func (keys) IngestKey(_ context.Context, key, project, _ string) (intake.Key, error) {
	if key != ourKey || project != ourProject {
		return intake.Key{}, intake.ErrUnknownKey
	}
	return intake.Key{ID: "k"}, nil
}

type sink struct{ err error }

func (s sink) Accept(context.Context, []telemetry.Event) error { return s.err }

// passOn is the joint between door and Forwarder, as the server has it.
type passOn struct{ *running }

func (p passOn) Forward(f intake.Forwarded) {
	p.Accept(forward.Request{Project: f.Project, Endpoint: f.Endpoint, Key: f.Key, Address: "203.0.113.7", Header: f.Request.Header, Query: f.Request.URL.Query(),
		Body: f.Body, Received: f.Received})
}

func door(f *running, s intake.Sink) http.Handler { return doorOf(passOn{f}, s) }

// intakeDoor is a door that gives what it took to a Forwarder.
func intakeDoor(to intake.Forwarder) http.Handler { return doorOf(to, sink{}) }

func doorOf(to intake.Forwarder, s intake.Sink) http.Handler {
	return intake.New(intake.Options{Sink: s, Keys: keys{}, Forward: to,
		Decoders: map[string]intake.Decoder{"envelope": sentry.Decoder{}, "store": sentry.Decoder{}, "security": sentry.Decoder{}}})
}

// recorded is one request that a real client sent.
type recorded struct {
	name    string
	headers []byte
	body    []byte
}

// recordings are those of package sentry's tests.
func recordings(t testing.TB) (all []recorded) {
	archive, err := zip.OpenReader("../intake/sentry/testdata/fixtures.zip")
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
	for line := range strings.Lines(string(read("INDEX.tsv"))) {
		name := strings.Split(line, "\t")[0]
		if name != "name" && !strings.HasPrefix(name, "otlp") && !strings.HasPrefix(name, "webvitals") {
			all = append(all, recorded{name, read(name + ".headers"), read(name + ".body")})
		}
	}
	return all
}

// request is the recorded one; its body is as it was on the wire.
func (r recorded) request(t testing.TB) *http.Request {
	head, _, _ := strings.Cut(string(bytes.TrimSpace(r.headers)), "\r\n\r\n")
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\r\n\r\n")))
	if err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(r.body)), int64(len(r.body))
	return req
}

// plain is the body decompressed.
func (r recorded) plain(t testing.TB, encoding string) []byte {
	in := io.Reader(bytes.NewReader(r.body))
	var err error
	switch encoding {
	case "gzip":
		in, err = gzip.NewReader(in)
	case "deflate":
		in, err = zlib.NewReader(in)
	case "br":
		in = brotli.NewReader(in)
	case "zstd":
		in, err = zstd.NewReader(in)
	}
	if err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	out, err := io.ReadAll(in)
	if err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	return out
}

// TestByteIdentity sends every recorded request through the real door: the
// upstream gets each that was answered 200 and no other, every item's header
// line and payload byte for byte.
func TestByteIdentity(t *testing.T) {
	up := newDouble(t)
	f := run(t, t.TempDir(), up.dsn())
	d := door(f, sink{})
	compared, items := 0, 0
	for _, rec := range recordings(t) {
		req := rec.request(t)
		encoding := req.Header.Get("Content-Encoding")
		_, endpoint, _ := intake.Match(req.URL.Path)
		before := len(up.arrived())
		w := httptest.NewRecorder()
		d.ServeHTTP(w, req)
		s := f.until(t, "empty", empty)
		got := up.arrived()[before:]
		if w.Code != http.StatusOK || endpoint == "beacon" {
			if len(got) > 0 {
				t.Errorf("%s: answered %d and yet forwarded", rec.name, w.Code)
			}
			continue
		}
		if len(got) != 1 {
			t.Fatalf("%s: %d requests came, want one: %+v", rec.name, len(got), s)
		}
		compared++
		plain := rec.plain(t, encoding)
		if got[0].endpoint != endpoint || got[0].header.Get("User-Agent") != req.Header.Get("User-Agent") {
			t.Errorf("%s: got /%s/ from %q", rec.name, got[0].endpoint, got[0].header.Get("User-Agent"))
		}
		if endpoint != "envelope" {
			if !bytes.Equal(got[0].body, plain) {
				t.Errorf("%s: the body differs", rec.name)
			}
			continue
		}
		_, wantRest, _ := bytes.Cut(plain, []byte("\n"))
		gotHead, gotRest, _ := bytes.Cut(got[0].body, []byte("\n"))
		if !bytes.Equal(gotRest, wantRest) {
			t.Errorf("%s: the items differ:\n%s", rec.name, cmp.Diff(string(wantRest), string(gotRest)))
		}
		if bytes.Contains(gotHead, []byte(ourKey)) {
			t.Errorf("%s: the header still has our key: %s", rec.name, gotHead)
		}
		_, found, err := split(got[0].body)
		if err != nil {
			t.Fatal(err)
		}
		items += len(found)
	}
	if compared < 80 || items < 100 {
		t.Errorf("only %d requests with %d items were compared", compared, items)
	}
	t.Logf("%d recorded requests, %d items, all byte for byte", compared, items)
}

// TestWhatGoesOn: address, query, headers and authentication of what is sent.
func TestWhatGoesOn(t *testing.T) {
	up := newDouble(t)
	f := run(t, t.TempDir(), up.dsn())
	d := door(f, sink{})
	send := func(path, body string, header ...string) {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		if d.ServeHTTP(w, r); w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		f.until(t, "empty", empty)
	}
	send("/some/prefix/api/42/security/?sentry_key="+ourKey+"&sentry_release=shop%401", `{"csp-report":{}}`, "Content-Type", "application/csp-report", "Origin", "https://shop.example")
	send("/api/42/envelope", "{}\n"+session, "X-Sentry-Auth", "Sentry sentry_key="+ourKey+", sentry_client=sdk/1.2, sentry_version=7", "X-Forwarded-For", "198.51.100.1, 10.0.0.1", "Cookie", "a=b", "User-Agent", "sdk/1")
	send("/api/42/envelope/?sentry_client=js%2F9&sentry_version=7", fmt.Sprintf("{\"dsn\":\"http://%s@serin.example/42\",\"trace\":{\"public_key\":%q}}\n{\"type\":\"replay_video\",\"length\":5}\n\x00\xff\n\r\n\n", ourKey, ourKey))
	got := up.arrived()
	if len(got) != 3 {
		t.Fatalf("%d came", len(got))
	}
	if got[0].query != "sentry_release=shop%401" || got[0].header.Get("Origin") != "https://shop.example" || got[0].header.Get("Content-Type") != "application/csp-report" || got[0].header.Get("X-Forwarded-For") != "203.0.113.7" {
		t.Errorf("security: %q %v", got[0].query, got[0].header)
	}
	if a := got[1].header.Get("X-Sentry-Auth"); !strings.Contains(a, "sentry_client=sdk/1.2") || got[1].header.Get("X-Forwarded-For") != "198.51.100.1, 10.0.0.1" || got[1].header.Get("User-Agent") != "sdk/1" {
		t.Errorf("header: %v", got[1].header)
	}
	want := fmt.Sprintf("{\"dsn\":%q,\"trace\":{\"public_key\":%q}}\n{\"type\":\"replay_video\",\"length\":5}\n\x00\xff\n\r\n\n", up.dsn(), theirKey)
	if diff := cmp.Diff(want, string(got[2].body)); diff != "" || !strings.Contains(got[2].header.Get("X-Sentry-Auth"), "sentry_client=js/9") {
		t.Errorf("header's dsn and trace, %q (-want +got):\n%s", got[2].header.Get("X-Sentry-Auth"), diff)
	}
}

// TestDoorAnswers: what was refused under overload goes on, as nobody sends it
// again; what serin could not store or read does not.
func TestDoorAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		body   string
		status int
		want   int64
	}{
		{"taken", nil, "{}\n" + event, http.StatusOK, 1},
		{"overload", intake.ErrOverload, "{}\n" + event, http.StatusTooManyRequests, 1},
		{"unavailable", intake.ErrUnavailable, "{}\n" + event, http.StatusServiceUnavailable, 0},
		{"malformed", nil, "{}\n{\"type\":\"event\",\"length\":99}\n{}", http.StatusBadRequest, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := run(t, t.TempDir(), newDouble(t).dsn())
			w := httptest.NewRecorder()
			door(f, sink{tt.err}).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/42/envelope/?sentry_key="+ourKey, strings.NewReader(tt.body)))
			if s := f.until(t, "empty", empty); w.Code != tt.status || s.Sent != tt.want {
				t.Errorf("answered %d, %d sent; want %d, %d: %s", w.Code, s.Sent, tt.status, tt.want, w.Body)
			}
		})
	}
}

// TestLimits: the upstream's limits by category are obeyed towards it.
func TestLimits(t *testing.T) {
	up := newDouble(t)
	up.before = func(w http.ResponseWriter, n int) bool {
		if n == 1 {
			w.Header().Set("X-Sentry-Rate-Limits", "40000:error;transaction:organization:quota, junk, 1:")
			w.WriteHeader(http.StatusTooManyRequests)
		}
		return n == 1
	}
	f := run(t, t.TempDir(), up.dsn())
	f.give("{}\n" + event + session)
	s := f.until(t, "sent without its error", func(s forward.Status) bool { return s.Sent == 1 })
	f.give("{}\n" + event)
	s = f.until(t, "held back", func(s forward.Status) bool { return s.Queued == 0 && s.Lost["limited"] == 1 })
	if got := up.arrived(); len(got) != 1 || string(got[0].body) != "{}\n"+session || s.Held["error"] != 2 || s.State != forward.Limited {
		t.Errorf("got %q, %+v", got, s)
	}
}

// TestBare429: a 429 without categories makes everything wait; nothing is lost.
func TestBare429(t *testing.T) {
	up := newDouble(t)
	up.before = func(w http.ResponseWriter, n int) bool {
		if n <= 2 {
			w.Header().Set("Retry-After", strconv.Itoa(n))
			w.WriteHeader(http.StatusTooManyRequests)
		}
		return n <= 2
	}
	f := run(t, t.TempDir(), up.dsn())
	f.give("{}\n" + event)
	if s := f.until(t, "sent", func(s forward.Status) bool { return s.Sent == 1 }); len(s.Lost) > 0 {
		t.Errorf("lost %v", s.Lost)
	}
}

// TestBrokenUpstream: what may go better later is tried again in order, what
// will not is lost and counted.
func TestBrokenUpstream(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		times  int
		lost   int64
	}{
		{"down for a while", 503, 6, 0}, {"no such thing", 400, 1, 1}, {"too large", 413, 1, 1},
		{"wrong key put right", 403, 4, 0}, {"wrong key", 403, 5, 1}, {"redirect to a page", 302, 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up := newDouble(t)
			up.before = func(w http.ResponseWriter, n int) bool {
				if n <= tt.times {
					w.Header().Set("Location", "/login")
					w.WriteHeader(tt.status)
				}
				return n <= tt.times
			}
			if tt.status == http.StatusFound {
				up.before = func(w http.ResponseWriter, n int) bool {
					switch n {
					case 1:
						w.Header().Set("Location", "/login")
						w.WriteHeader(tt.status)
					case 2: // the page that the redirect leads to
						fmt.Fprint(w, "<p>Sign in</p>")
					}
					return n <= 2
				}
			}
			f := run(t, t.TempDir(), up.dsn())
			f.give("{}\n" + event)
			s := f.until(t, "settled", empty)
			if s.Lost["refused"] != tt.lost || s.Sent != 1-tt.lost || s.LastError == "" {
				t.Errorf("got %+v, want %d lost", s, tt.lost)
			}
		})
	}
}

// TestPrivateUpstream: a private address is called only where it is allowed.
func TestPrivateUpstream(t *testing.T) {
	up := newDouble(t)
	f := run(t, t.TempDir(), up.dsn(), func(s *forward.Spec) { s.AllowPrivate = false })
	f.give("{}\n" + event)
	s := f.until(t, "failing", func(s forward.Status) bool { return s.State == forward.Failing })
	if !strings.Contains(s.LastError, "not public") || len(up.arrived()) > 0 {
		t.Errorf("got %+v", s)
	}
}

// TestExpired: what waited too long is dropped and counted.
func TestExpired(t *testing.T) {
	up := newDouble(t)
	f := run(t, t.TempDir(), up.dsn(), func(s *forward.Spec) { s.Keep = time.Hour })
	f.Accept(forward.Request{Project: ourProject, Endpoint: "store", Received: monday.Add(-2 * time.Hour), Body: []byte("{}"), Query: url.Values{}})
	if s := f.until(t, "settled", empty); s.Lost["expired"] != 1 || len(up.arrived()) > 0 {
		t.Errorf("got %+v", s)
	}
}

// TestRestart: what waits outlives the Forwarder, and goes to the upstream of
// then, in order; without an upstream it is removed.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	down := newDouble(t)
	down.before = func(w http.ResponseWriter, _ int) bool { w.WriteHeader(http.StatusBadGateway); return true }
	f := run(t, dir, down.dsn())
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprintf("{\"n\":%d}\n%s", i, session))
		f.give(want[i])
	}
	f.until(t, "failing", func(s forward.Status) bool { return s.State == forward.Failing })
	f.stop()
	up := newDouble(t)
	f = run(t, dir, up.dsn())
	f.until(t, "empty", empty)
	got := up.arrived()
	if len(got) != len(want) {
		t.Fatalf("%d came, want %d", len(got), len(want))
	}
	place := map[string]int{}
	for i, a := range got {
		place[string(a.body)] = i
	}
	for i, body := range want {
		if p, ok := place[body]; !ok || p < i-32 || p > i+32 {
			t.Errorf("request %d came as number %d, further off than a batch", i, p)
		}
	}
	f.give(want[0])
	if err := f.Set(nil); err != nil {
		t.Fatal(err)
	}
	f.give(want[0]) // nobody's
	if s := f.Status(); len(s) > 0 {
		t.Errorf("got %+v", s)
	}
	f.stop()
	f = run(t, dir, up.dsn())
	if s := f.Status()[0]; s.Queued > 0 {
		t.Errorf("what waited for no upstream is still there: %+v", s)
	}
}

// TestSetWhileSending: the upstream may change at any moment.
func TestSetWhileSending(t *testing.T) {
	one, two := newDouble(t), newDouble(t)
	f := run(t, t.TempDir(), one.dsn())
	var sending sync.WaitGroup
	sending.Go(func() {
		for range 300 {
			f.give("{}\n" + session)
		}
	})
	for i := range 10 {
		to, err := forward.ParseDSN([]*double{one, two}[i%2].dsn())
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Set([]forward.Spec{{Project: ourProject, DSN: to, AllowPrivate: true}}); err != nil {
			t.Fatal(err)
		}
	}
	sending.Wait()
	s := f.until(t, "empty", empty)
	if n := len(one.arrived()) + len(two.arrived()); n < 300 || len(s.Lost) > 0 {
		t.Errorf("%d came of 300, %+v", n, s)
	}
}
