package ofrep

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"serin/internal/flag"
	"serin/internal/hub"
)

// keys knows two keys and refuses one origin.
type keys struct{}

func (keys) FlagKey(_ context.Context, key, origin string) (Key, error) {
	switch {
	case origin == "https://evil.example":
		return Key{}, ErrForbidden
	case key == "server":
		return Key{Server: true, ID: "k1"}, nil
	case key == "page":
		return Key{ID: "k2"}, nil
	case key == "busy":
		return Key{}, &LimitedError{RetryAfter: 1500 * time.Millisecond}
	}
	return Key{}, ErrUnknownKey
}

// observed counts what the observer was told.
type observed struct {
	mu   sync.Mutex
	seen []string
}

func (o *observed) Evaluated(_ context.Context, key string, _ flag.Context, e flag.Evaluation, _ bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, key+"="+e.Variant)
}

func (o *observed) Unchanged(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, key+" unchanged")
}

func (o *observed) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := o.seen
	o.seen = nil
	return out
}

const testFlags = `{"metadata":{"flagSetId":"web"},"flags":{
	"on":{"state":"ENABLED","variants":{"yes":true,"no":false},"defaultVariant":"yes","metadata":{"client":true}},
	"team/key":{"state":"ENABLED","variants":{"x":"a\"b"},"defaultVariant":"x"},
	"nl":{"state":"ENABLED","variants":{"yes":1,"no":0},"defaultVariant":"no","targeting":{"if":[{"==":[{"var":"country"},"NL"]},"yes"]},"metadata":{"client":true}},
	"off":{"state":"DISABLED","variants":{"x":1},"defaultVariant":"x"},
	"bad":{"state":"ENABLED","variants":{"x":1},"defaultVariant":"x","targeting":{"if":[true,"gone"]}},
	"parse":{"state":"ENABLED","variants":{"x":1},"defaultVariant":"x","targeting":{"bogus":1}}}}`

func compileFlags(t testing.TB, revision int64, text string) *flag.Ruleset {
	t.Helper()
	doc, err := flag.ParseDocument([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	rs, err := flag.Compile(revision, doc)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

type fixture struct {
	t   testing.TB
	hub *hub.Hub
	obs *observed
	url string
}

func start(t testing.TB, flags string, edit func(*Options)) *fixture {
	f := &fixture{t: t, hub: hub.New(), obs: &observed{}}
	f.hub.Publish(compileFlags(t, 1, flags))
	opt := Options{Hub: f.hub, Keys: keys{}, Observer: f.obs, Registry: prometheus.NewRegistry(),
		Now: func() time.Time { return time.Unix(1_760_000_000, 0) }}
	if edit != nil {
		edit(&opt)
	}
	srv := httptest.NewServer(New(opt))
	t.Cleanup(srv.Close)
	t.Cleanup(f.hub.Close)
	f.url = srv.URL
	return f
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (f *fixture) do(method, path, body string, header ...string) answer {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer server")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

func TestSingle(t *testing.T) {
	f := start(t, testFlags, nil)
	const base = "/ofrep/v1/evaluate/flags/"
	tests := []struct {
		name, path, body string
		header           []string
		status           int
		want             string
	}{
		{"static", "on", `{"context":{"targetingKey":"u"}}`, nil, 200, `{"key":"on","value":true,"reason":"STATIC","variant":"yes","metadata":{"client":true,"flagSetId":"web"}}`},
		{"slash after", "on/", `{}`, nil, 200, `{"key":"on","value":true,"reason":"STATIC","variant":"yes","metadata":{"client":true,"flagSetId":"web"}}`},
		{"escaped", "team%2Fkey", `{}`, nil, 200, `{"key":"team/key","value":"a\"b","reason":"STATIC","variant":"x","metadata":{"flagSetId":"web"}}`},
		{"not escaped", "team/key", `{}`, nil, 200, `{"key":"team/key","value":"a\"b","reason":"STATIC","variant":"x","metadata":{"flagSetId":"web"}}`},
		{"zero value", "nl", `{"context":{}}`, nil, 200, `{"key":"nl","value":0,"reason":"DEFAULT","variant":"no","metadata":{"client":true,"flagSetId":"web"}}`},
		{"match", "nl", `{"context":{"country":"NL"}}`, nil, 200, `{"key":"nl","value":1,"reason":"TARGETING_MATCH","variant":"yes","metadata":{"client":true,"flagSetId":"web"}}`},
		{"empty body", "nl", ``, nil, 200, `{"key":"nl","value":0,"reason":"DEFAULT","variant":"no","metadata":{"client":true,"flagSetId":"web"}}`},
		{"disabled", "off", `{}`, nil, 200, `{"key":"off","reason":"DISABLED","metadata":{"flagSetId":"web"}}`},
		{"general", "bad", `{}`, nil, 400, `{"key":"bad","errorCode":"GENERAL","errorDetails":"targeting yields \"gone\", which is not a variant","metadata":{"flagSetId":"web"}}`},
		{"parse", "parse", `{}`, nil, 400, `{"key":"parse","errorCode":"PARSE_ERROR","errorDetails":"unknown operator \"bogus\" in targeting","metadata":{"flagSetId":"web"}}`},
		{"unknown", "zz", `{}`, nil, 404, `{"key":"zz","errorCode":"FLAG_NOT_FOUND","errorDetails":"flag \"zz\" not found"}`},
		{"hidden from pages", "off", `{}`, []string{"Authorization", "Bearer page"}, 404, `{"key":"off","errorCode":"FLAG_NOT_FOUND","errorDetails":"flag \"off\" not found"}`},
		{"shown to pages", "on", `{}`, []string{"Authorization", "", "X-API-Key", "page"}, 200, `{"key":"on","value":true,"reason":"STATIC","variant":"yes","metadata":{"client":true,"flagSetId":"web"}}`},
		{"not JSON", "on", `{"context":`, nil, 400, `{"key":"on","errorCode":"INVALID_CONTEXT","errorDetails":"the body is not {\"context\": {…}}: unexpected end of JSON input"}`},
		{"no key", "on", `{}`, []string{"Authorization", ""}, 401, `{"errorDetails":"unknown key: send a flags key as Authorization: Bearer or X-API-Key"}`},
		{"origin", "on", `{}`, []string{"Origin", "https://evil.example"}, 403, `{"errorDetails":"this key may not read flags here"}`},
		{"limited", "on", `{}`, []string{"Authorization", "Bearer busy"}, 429, `{"errorDetails":"too many requests"}`},
		{"too large", "on", `{"context":{"x":"` + strings.Repeat("x", 1<<20) + `"}}`, nil, 413, `{"errorDetails":"the body is larger than 1 MB"}`},
		{"selector", "on", `{}`, []string{"Flagd-Selector", "flagSetId=other"}, 404, `{"key":"on","errorCode":"FLAG_NOT_FOUND","errorDetails":"flag \"on\" not found"}`},
		{"bad selector", "on", `{}`, []string{"Flagd-Selector", "x=1"}, 400, `{"errorCode":"GENERAL","errorDetails":"Flagd-Selector: unknown key \"x\", use flagSetId or source"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := f.do("POST", base+tt.path, tt.body, tt.header...)
			if diff := cmp.Diff(tt.want, got.body); diff != "" || got.status != tt.status {
				t.Errorf("status %d, want %d: %s", got.status, tt.status, diff)
			}
			if got.header.Get("Content-Type") != "application/json" || !json.Valid([]byte(got.body)) {
				t.Errorf("not JSON: %s %s", got.header.Get("Content-Type"), got.body)
			}
			if got.status == 429 && got.header.Get("Retry-After") != "2" {
				t.Errorf("Retry-After: got %q, want 2", got.header.Get("Retry-After"))
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	f := start(t, testFlags, nil)
	tests := []struct {
		method, path string
		want         int
	}{
		{"GET", "/ofrep/v1/configuration", 404}, {"GET", "/ofrep/v1/evaluate/flags", 405}, {"GET", "/ofrep/v1/evaluate/flags/on", 405},
		{"POST", "/ofrep/v1/stream", 405}, {"POST", "/ofrep/v1/evaluate/flagsx", 404}, {"OPTIONS", "/ofrep/v1/evaluate/flags", 204}, {"POST", "/ofrep/v1/evaluate/flags/", 200},
	}
	for _, tt := range tests {
		if got := f.do(tt.method, tt.path, "", "Origin", "https://shop.example"); got.status != tt.want ||
			got.header.Get("Access-Control-Allow-Origin") != "*" || got.header.Get("Vary") != "Origin" {
			t.Errorf("%s %s: got %d %v, want %d", tt.method, tt.path, got.status, got.header, tt.want)
		}
	}
	pre := f.do("OPTIONS", "/ofrep/v1/evaluate/flags", "", "Origin", "https://shop.example").header
	if !strings.Contains(pre.Get("Access-Control-Allow-Headers"), "If-None-Match") {
		t.Errorf("preflight: %v", pre)
	}
}

func TestAllowedOrigins(t *testing.T) {
	f := start(t, testFlags, func(o *Options) { o.AllowOrigins = []string{"https://shop.example"} })
	for origin, want := range map[string]string{"https://shop.example": "https://shop.example", "https://other.example": ""} {
		if got := f.do("POST", "/ofrep/v1/evaluate/flags", "", "Origin", origin).header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: got %q, want %q", origin, got, want)
		}
	}
}

const bulkPath = "/ofrep/v1/evaluate/flags"

func TestBulk(t *testing.T) {
	f := start(t, testFlags, nil)
	got := f.do("POST", bulkPath, `{"context":{"country":"NL"}}`, "Authorization", "Bearer page")
	want := `{"flags":[{"key":"nl","value":1,"reason":"TARGETING_MATCH","variant":"yes","metadata":{"client":true,"flagSetId":"web"}},` +
		`{"key":"on","value":true,"reason":"STATIC","variant":"yes","metadata":{"client":true,"flagSetId":"web"}}],"metadata":{"flagSetId":"web"},` +
		`"eventStreams":[{"type":"sse","endpoint":{"requestUri":"/ofrep/v1/stream?token=page"},"inactivityDelaySec":120}]}`
	if diff := cmp.Diff(want, got.body); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"nl=yes", "on=yes"}, f.obs.take()); diff != "" {
		t.Error(diff)
	}
	all := f.do("POST", bulkPath, ``)
	if n := strings.Count(all.body, `"key":`); n != 6 || strings.Contains(all.body, "token=server") || !json.Valid([]byte(all.body)) {
		t.Errorf("server key: %s", all.body)
	}
	if bad := f.do("POST", bulkPath, `[]`); bad.status != 400 || strings.Contains(bad.body, `"key"`) {
		t.Errorf("got %d %s", bad.status, bad.body)
	}
}

// TestMissesAreTold: the observer hears of keys that are no flag for the caller.
func TestMissesAreTold(t *testing.T) {
	f := start(t, testFlags, nil)
	f.do("POST", bulkPath+"/zz", `{}`)
	f.do("POST", bulkPath+"/off", `{}`, "Authorization", "Bearer page")
	if diff := cmp.Diff([]string{"zz=", "off="}, f.obs.take()); diff != "" {
		t.Error(diff)
	}
}

func TestETag(t *testing.T) {
	f := start(t, testFlags, nil)
	const ctx = `{"context":{"targetingKey":"u","country":"NL","n":{"a":1,"b":[2]}}}`
	first := f.do("POST", bulkPath, ctx)
	tag := first.header.Get("ETag")
	f.obs.take()
	tests := []struct {
		name, query, body string
		header            []string
		want              int
	}{
		{"same", "", ctx, []string{"If-None-Match", tag}, 304},
		{"keys in another order", "", `{"context":{"n":{"b":[2],"a":1},"country":"NL","targetingKey":"u"}}`, []string{"If-None-Match", tag}, 304},
		{"in a list", "", ctx, []string{"If-None-Match", `"x", ` + tag}, 304},
		{"star", "", ctx, []string{"If-None-Match", "*"}, 200},
		{"other attribute", "", `{"context":{"targetingKey":"u","country":"DE","n":{"a":1,"b":[2]}}}`, []string{"If-None-Match", tag}, 200},
		{"other key", "", ctx, []string{"If-None-Match", tag, "Authorization", "Bearer page"}, 200},
		{"other selector", "", ctx, []string{"If-None-Match", tag, "Flagd-Selector", "flagSetId=web"}, 200},
		{"told of this configuration", "?flagConfigEtag=" + f.hub.Current().ETag(), ctx, []string{"If-None-Match", tag}, 304},
		{"told of one not here yet", "?flagConfigEtag=2-abc", ctx, []string{"If-None-Match", tag}, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := f.do("POST", bulkPath+tt.query, tt.body, tt.header...)
			if got.status != tt.want {
				t.Errorf("got %d, want %d", got.status, tt.want)
			}
			if got.status == 304 && (got.body != "" || got.header.Get("ETag") != tag) {
				t.Error("a 304 has a tag and no body")
			}
			if told := f.obs.take(); got.status == 304 && !slices.Equal(told, []string{"bad unchanged", "nl unchanged", "off unchanged", "on unchanged", "parse unchanged", "team/key unchanged"}) {
				t.Errorf("a 304 evaluates nothing and tells of what the client goes on with, got %v", told)
			}
			f.obs.take()
		})
	}
	f.hub.Publish(compileFlags(t, 2, testFlags))
	if got := f.do("POST", bulkPath, ctx, "If-None-Match", tag); got.status != 200 {
		t.Errorf("after a change: got %d, want 200", got.status)
	}
}

// events reads a stream line by line.
func (f *fixture) events(path string, header ...string) (<-chan string, func()) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", f.url+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	if ct := res.Header.Get("Content-Type"); res.StatusCode != 200 || ct != "text/event-stream" || res.Header.Get("X-Accel-Buffering") != "no" {
		f.t.Fatalf("stream: %d %v", res.StatusCode, res.Header)
	}
	lines := make(chan string, 64)
	go func() {
		defer close(lines)
		defer res.Body.Close()
		for s := bufio.NewScanner(res.Body); s.Scan(); {
			lines <- s.Text()
		}
	}()
	if l := <-lines; l != ": connected" {
		f.t.Fatalf("first line %q", l)
	}
	<-lines
	return lines, cancel
}

func TestStream(t *testing.T) {
	f := start(t, testFlags, nil)
	lines, cancel := f.events("/ofrep/v1/stream?token=page")
	defer cancel()
	f.hub.Publish(compileFlags(t, 2, testFlags))
	want := []string{
		"id: 2", "event: message",
		`data: {"type":"refetchEvaluation","etag":"` + f.hub.Current().ETag() + `","lastModified":1760000000}`, "",
	}
	for _, w := range want {
		if got := <-lines; got != w {
			t.Errorf("got %q, want %q", got, w)
		}
	}
	behind, stop := f.events("/ofrep/v1/stream?token=page", "Last-Event-ID", "1")
	if got := <-behind; got != "id: 2" {
		t.Errorf("after a gap: got %q", got)
	}
	stop()
	level, stop := f.events("/ofrep/v1/stream", "Last-Event-ID", "2", "X-API-Key", "server")
	f.hub.Close()
	if got, open := <-level; open {
		t.Errorf("nothing was missed, got %q", got)
	}
	stop()
}

func TestStreamTokenOfServerKey(t *testing.T) {
	f := start(t, testFlags, nil)
	var body struct {
		EventStreams []struct{ Endpoint struct{ RequestURI string } }
	}
	if err := json.Unmarshal([]byte(f.do("POST", bulkPath, "").body), &body); err != nil {
		t.Fatal(err)
	}
	uri := body.EventStreams[0].Endpoint.RequestURI
	_, cancel := f.events(uri)
	cancel()
	if got := f.do("GET", uri+"x", "", "Authorization", ""); got.status != 401 {
		t.Errorf("a changed token: got %d, want 401", got.status)
	}
	if got := f.do("GET", "/ofrep/v1/stream?token=stream..k1", "", "Authorization", ""); got.status != 401 {
		t.Errorf("a token without signature: got %d, want 401", got.status)
	}
}

func TestHeartbeatAndLimit(t *testing.T) {
	f := start(t, testFlags, func(o *Options) { o.Heartbeat, o.MaxStreams = time.Millisecond, 1 })
	lines, cancel := f.events("/ofrep/v1/stream?token=page")
	defer cancel()
	if got := <-lines; got != ": " {
		t.Errorf("got %q, want a comment", got)
	}
	if got := f.do("GET", "/ofrep/v1/stream?token=page", ""); got.status != 429 || got.header.Get("Retry-After") == "" {
		t.Errorf("second stream: got %d, want 429", got.status)
	}
}

func TestAppendText(t *testing.T) {
	for _, s := range []string{"", "plain", `q"\`, "\x00\n\x1f", "ünïcødé-鍵", "bad\xffend", "\u2028", "�"} {
		var got string
		if err := json.Unmarshal(appendText(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
