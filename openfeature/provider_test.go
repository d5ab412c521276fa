package openfeature

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	of "github.com/open-feature/go-sdk/openfeature"
	"go.uber.org/goleak"

	"serin/internal/flag"
	"serin/internal/hub"
	"serin/internal/ofrep"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type oneKey struct{}

func (oneKey) FlagKey(_ context.Context, key, _ string) (ofrep.Key, error) {
	if key != "secret" {
		return ofrep.Key{}, ofrep.ErrUnknownKey
	}
	return ofrep.Key{Server: true, ID: "k"}, nil
}

// server is the real door, with its evaluations counted.
type server struct {
	t     testing.TB
	hub   *hub.Hub
	http  *httptest.Server
	asked atomic.Int64
	down  atomic.Bool // answer 503
}

func serve(t testing.TB) *server {
	s := &server{t: t, hub: hub.New()}
	s.publish(1, "off")
	door := ofrep.New(ofrep.Options{Hub: s.hub, Keys: oneKey{}})
	s.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if r.Method == http.MethodPost {
			s.asked.Add(1)
		}
		door.ServeHTTP(w, r)
	}))
	t.Cleanup(s.close)
	return s
}

func (s *server) close() {
	s.hub.Close()
	s.http.Close()
}

func (s *server) publish(revision int64, variant string) {
	s.t.Helper()
	doc, err := flag.ParseDocument([]byte(`{"flags":{
		"b":{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"` + variant + `","metadata":{"owner":"web"}},
		"s":{"state":"ENABLED","variants":{"x":""},"defaultVariant":"x"},
		"i":{"state":"ENABLED","variants":{"x":0,"big":9007199254740993},"defaultVariant":"x","targeting":{"if":[{"==":[{"var":"plan"},"pro"]},"big"]}},
		"f":{"state":"ENABLED","variants":{"x":-2.75},"defaultVariant":"x"},
		"o":{"state":"ENABLED","variants":{"x":{"a":[1]}},"defaultVariant":"x"},
		"disabled":{"state":"DISABLED","variants":{"x":true},"defaultVariant":"x"},
		"bad":{"state":"ENABLED","variants":{"x":true},"targeting":{"bogus":1}},
		"team/x":{"state":"ENABLED","variants":{"x":true},"defaultVariant":"x"}}}`))
	if err != nil {
		s.t.Fatal(err)
	}
	rs, err := flag.Compile(revision, doc)
	if err != nil {
		s.t.Fatal(err)
	}
	s.hub.Publish(rs)
}

func (s *server) provider(edit func(*Options)) *Provider {
	opt := Options{BaseURL: s.http.URL + "/", Key: "secret"}
	if edit != nil {
		edit(&opt)
	}
	p := NewProvider(opt)
	s.t.Cleanup(p.Shutdown)
	return p
}

func noStream(o *Options) { o.NoStream = true }

func TestTypes(t *testing.T) {
	p := serve(t).provider(noStream)
	ctx := t.Context()
	pro := of.FlattenedContext{"targetingKey": "u", "plan": "pro"}

	b := p.BooleanEvaluation(ctx, "b", true, nil)
	if b.Value || b.Variant != "off" || b.Reason != of.StaticReason || b.Error() != nil {
		t.Errorf("a false value must arrive: %+v", b)
	}
	if diff := cmp.Diff(of.FlagMetadata{"owner": "web"}, b.FlagMetadata); diff != "" {
		t.Error(diff)
	}
	if got := p.StringEvaluation(ctx, "s", "d", nil); got.Value != "" || got.Error() != nil {
		t.Errorf("an empty string must arrive: %+v", got)
	}
	if got := p.IntEvaluation(ctx, "i", 7, nil); got.Value != 0 || got.Error() != nil {
		t.Errorf("a zero must arrive: %+v", got)
	}
	if got := p.IntEvaluation(ctx, "i", 7, pro); got.Value != 9007199254740993 || got.Reason != of.TargetingMatchReason {
		t.Errorf("large integers keep their last digit: %+v", got)
	}
	if got := p.IntEvaluation(ctx, "f", 7, nil); got.Value != -2 {
		t.Errorf("decimals are truncated: %+v", got)
	}
	if got := p.FloatEvaluation(ctx, "f", 7, nil); got.Value != -2.75 {
		t.Errorf("got %+v", got)
	}
	if diff := cmp.Diff(any(map[string]any{"a": []any{1.0}}), p.ObjectEvaluation(ctx, "o", nil, nil).Value); diff != "" {
		t.Error(diff)
	}
	if got := p.BooleanEvaluation(ctx, "disabled", true, nil); !got.Value || got.Reason != of.DisabledReason || got.Error() != nil {
		t.Errorf("no value means the code default: %+v", got)
	}
	if got := p.BooleanEvaluation(ctx, "team/x", false, nil); !got.Value {
		t.Errorf("a key with a slash: %+v", got)
	}
}

func TestErrors(t *testing.T) {
	s := serve(t)
	p := s.provider(noStream)
	ctx := t.Context()
	refused := s.provider(func(o *Options) { o.NoStream, o.Key = true, "wrong" })
	tests := []struct {
		name string
		got  of.BoolResolutionDetail
		want of.ErrorCode
	}{
		{"not found", p.BooleanEvaluation(ctx, "zz", true, nil), of.FlagNotFoundCode},
		{"parse", p.BooleanEvaluation(ctx, "bad", true, nil), of.ParseErrorCode},
		{"mismatch", p.BooleanEvaluation(ctx, "s", true, nil), of.TypeMismatchCode},
		{"key", refused.BooleanEvaluation(ctx, "b", true, nil), of.GeneralCode},
		{"context", p.BooleanEvaluation(ctx, "b", true, of.FlattenedContext{"x": func() {}}), of.InvalidContextCode},
	}
	for _, tt := range tests {
		if d := tt.got.ResolutionDetail(); d.ErrorCode != tt.want || !tt.got.Value || tt.got.Reason != of.ErrorReason {
			t.Errorf("%s: got %+v, want %s and the default", tt.name, tt.got, tt.want)
		}
	}
	if got := p.ObjectEvaluation(ctx, "b", 5, nil); got.Value != 5 || got.ResolutionDetail().ErrorCode != of.TypeMismatchCode {
		t.Errorf("a boolean is no object: %+v", got)
	}
}

func TestAnswersAreKeptUntilAChange(t *testing.T) {
	s := serve(t)
	p := s.provider(nil)
	if err := p.Init(of.EvaluationContext{}); err != nil {
		t.Fatal(err)
	}
	users := []of.FlattenedContext{{"targetingKey": "a", "x": 1, "y": 2}, {"y": 2, "x": 1, "targetingKey": "a"}, {"targetingKey": "b"}}
	for range 50 {
		for _, u := range users {
			if p.BooleanEvaluation(t.Context(), "b", true, u).Value {
				t.Fatal("got true, want false")
			}
		}
	}
	if got := s.asked.Load(); got != 2 {
		t.Errorf("asked %d times, want once for each flag and context: 2", got)
	}
	s.publish(2, "on")
	if e := <-p.EventChannel(); e.EventType != of.ProviderConfigChange {
		t.Errorf("got event %v", e)
	}
	if !p.BooleanEvaluation(t.Context(), "b", false, users[0]).Value {
		t.Error("the old value is served after the change was announced")
	}
}

func TestWithoutStreamAnswersAreShortLived(t *testing.T) {
	s := serve(t)
	p := s.provider(func(o *Options) { o.NoStream, o.TTL = true, time.Nanosecond })
	for range 3 {
		p.BooleanEvaluation(t.Context(), "b", true, nil)
	}
	if got := s.asked.Load(); got != 3 {
		t.Errorf("asked %d times, want 3", got)
	}
}

func TestOutage(t *testing.T) {
	s := serve(t)
	p := s.provider(func(o *Options) { o.NoStream, o.TTL = true, time.Nanosecond })
	p.BooleanEvaluation(t.Context(), "b", true, nil)
	s.down.Store(true)
	if got := p.BooleanEvaluation(t.Context(), "b", true, nil); got.Value || got.Reason != of.CachedReason {
		t.Errorf("the last known value must be given: %+v", got)
	}
	if got := p.BooleanEvaluation(t.Context(), "o", true, nil); !got.Value || got.ResolutionDetail().ErrorCode != of.GeneralCode {
		t.Errorf("nothing known: %+v", got)
	}
	p.opt.MaxStale = time.Nanosecond
	if got := p.BooleanEvaluation(t.Context(), "b", true, nil); !got.Value || got.Error() == nil {
		t.Errorf("too old: %+v", got)
	}
}

func TestReconnect(t *testing.T) {
	s := serve(t)
	p := s.provider(nil)
	if err := p.Init(of.EvaluationContext{}); err != nil {
		t.Fatal(err)
	}
	p.BooleanEvaluation(t.Context(), "b", true, nil)
	s.http.CloseClientConnections()
	want := []of.EventType{of.ProviderStale, of.ProviderReady, of.ProviderConfigChange}
	for _, w := range want {
		if e := <-p.EventChannel(); e.EventType != w {
			t.Errorf("got %s, want %s", e.EventType, w)
		}
	}
	asked := s.asked.Load()
	p.BooleanEvaluation(t.Context(), "b", true, nil)
	if s.asked.Load() != asked+1 {
		t.Error("what changed meanwhile is not known: the answer must be asked for again")
	}
}

func TestInitErrors(t *testing.T) {
	s := serve(t)
	var failed *of.ProviderInitError
	wrong := s.provider(func(o *Options) { o.Key = "wrong" })
	if err := wrong.Init(of.EvaluationContext{}); !errors.As(err, &failed) || failed.ErrorCode != of.ProviderFatalCode {
		t.Errorf("a refused key: got %v, want fatal", err)
	}
	s.down.Store(true)
	late := s.provider(nil)
	if err := late.Init(of.EvaluationContext{}); !errors.As(err, &failed) || failed.ErrorCode != of.GeneralCode {
		t.Errorf("no server: got %v", err)
	}
	s.down.Store(false)
	if e := <-late.EventChannel(); e.EventType != of.ProviderReady {
		t.Errorf("got %v, want ready when the server is there", e)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	plain := NewProvider(Options{BaseURL: other.URL})
	defer plain.Shutdown()
	if err := plain.Init(of.EvaluationContext{}); err != nil {
		t.Errorf("a server without the stream is usable: %v", err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(2)
	for _, key := range []string{"a", "b", "a", "c"} {
		if _, ok := c.get(key); !ok {
			c.put(entry{key: key, answer: &answer{}})
		}
	}
	if _, ok := c.get("b"); ok || len(c.entries) != 2 || c.order.Len() != 2 {
		t.Error("the least recently used answer must go")
	}
	c.put(entry{key: "a", answer: &answer{Variant: "new"}, generation: 2})
	c.put(entry{key: "a", answer: &answer{Variant: "late"}, generation: 1})
	if e, _ := c.get("a"); e.answer.Variant != "new" {
		t.Error("an answer that a change overtook replaced the newer one")
	}
}

// TestThroughTheSDK is how an application uses the provider.
func TestThroughTheSDK(t *testing.T) {
	s := serve(t)
	p := s.provider(nil)
	if err := of.SetProviderAndWait(p); err != nil {
		t.Fatal(err)
	}
	defer of.Shutdown()
	changed := make(chan struct{}, 1)
	handler := func(of.EventDetails) { changed <- struct{}{} }
	of.AddHandler(of.ProviderConfigChange, &handler)
	client := of.NewClient("shop")
	user := of.NewEvaluationContext("user-1", map[string]any{"plan": "pro"})
	if v, err := client.BooleanValue(t.Context(), "b", true, user); err != nil || v {
		t.Fatalf("got %v, %v", v, err)
	}
	s.publish(2, "on")
	<-changed
	if v, err := client.BooleanValue(t.Context(), "b", false, user); err != nil || !v {
		t.Errorf("after the change: got %v, %v", v, err)
	}
	if v, err := client.IntValue(t.Context(), "i", 1, user); err != nil || v != 9007199254740993 {
		t.Errorf("got %v, %v", v, err)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(200, `{"key":"b","value":true,"reason":"STATIC","variant":"on","metadata":{}}`)
	f.Add(404, `{"key":"b","errorCode":"FLAG_NOT_FOUND","errorDetails":"x"}`)
	f.Add(429, ``)
	p := NewProvider(Options{})
	f.Fuzz(func(t *testing.T, status int, body string) {
		a, err := p.readAnswer("b", &http.Response{StatusCode: status, Header: http.Header{}}, []byte(body))
		if (a == nil) == (err == nil) {
			t.Fatal("either an answer or an error")
		}
		if a != nil && a.Value != nil {
			_, _ = decodeInt(a.Value)
			if v, err := decodeObject(a.Value); err == nil && strings.TrimSpace(string(a.Value))[0] != '{' && strings.TrimSpace(string(a.Value))[0] != '[' {
				t.Fatalf("%v is no object", v)
			}
		}
	})
}

func BenchmarkCachedEvaluation(b *testing.B) {
	p := serve(b).provider(func(o *Options) { o.NoStream, o.TTL = true, time.Hour })
	user := of.FlattenedContext{"targetingKey": "user-1", "country": "NL", "plan": "pro"}
	b.ReportAllocs()
	for b.Loop() {
		p.BooleanEvaluation(b.Context(), "b", true, user)
	}
}
