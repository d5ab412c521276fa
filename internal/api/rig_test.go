package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"serin/internal/api"
	"serin/internal/auth"
	"serin/internal/clock"
	"serin/internal/controller"
	"serin/internal/evidence"
	"serin/internal/hub"
	"serin/internal/store"
	"serin/internal/store/memory"
	"serin/internal/symbolicate"
	"serin/internal/telemetry"
)

// planFile is the plan of the tests: two roles, one item to complete, raises
// at any hour.
const planFile = `serin: 1
plan: checkout
timezone: UTC
flag: { key: newCheckout }
calendar: { raise: ["daily 00:00-24:00"] }
roles:
  lead: { who: "@lead", may: [start, approve, promote, override, accept, resume, restart, revise] }
  qa:   { who: "@qa",   may: [start] }
preflight:
  - { id: staging, do: "Try it in staging", by: qa }
stages:
  - { stage: canary, traffic: 10%,  bake: 48h }
  - { stage: half,   traffic: 50%,  bake: 24h, approve: lead }
  - { stage: full,   traffic: 100%, bake: 72h }
`

// rig is the operator API before a whole engine on a store in memory.
type rig struct {
	*testing.T
	store  *memory.Store
	engine *evidence.Engine
	people *auth.Auth
	feed   *hub.Feed
	http   *httptest.Server
	cookie auth.Principal // who a request with the cookie "session" is; zero = nobody
	tokens map[auth.Scope]string

	mu   sync.Mutex        // guards what follows
	last []telemetry.Event // of the last Accept through the API
}

// recorder passes events on to the engine and keeps the last.
type recorder struct {
	*evidence.Engine
	r *rig
}

func (e recorder) Accept(ctx context.Context, events []telemetry.Event) error {
	e.r.mu.Lock()
	e.r.last = events
	e.r.mu.Unlock()
	return e.Engine.Accept(ctx, events)
}

// watcher gives the evidence engine to the controller, as the server does.
type watcher struct{ *evidence.Engine }

func (w watcher) Watch(c controller.Watch) error {
	return w.Engine.Watch(evidence.Target{
		Rollout: c.Rollout, Plan: c.Plan, Split: c.Split, Attempt: c.Attempt, Stage: c.Stage, Active: c.Active,
		StageAt: c.StageAt, AttemptAt: c.AttemptAt, RolloutAt: c.StartedAt,
	})
}

func (w watcher) Series(string, string, time.Time, time.Time, int) ([]controller.Point, error) {
	v := 1.5
	return []controller.Point{{T: time.Unix(60, 0), Canary: &v}}, nil
}

// desk decides about issues, as the server's does, without the audit log.
type desk struct {
	*symbolicate.Symbolicator
	engine *evidence.Engine
}

func (d desk) Triage(ctx context.Context, _ auth.Principal, id, _ string, c evidence.IssueChange) error {
	return d.engine.TriageIssue(ctx, id, c)
}

// maps keeps source maps, as the server does.
type maps struct {
	*symbolicate.Symbolicator
	store store.Artifacts
	now   clock.Clock
}

func (m maps) Upload(ctx context.Context, project, release string, files []symbolicate.File, a store.AuditEntry) ([]store.Artifact, error) {
	return m.Symbolicator.Upload(ctx, project, release, files, m.now.Now(), a)
}

func (m maps) List(ctx context.Context, project, release string) ([]store.Artifact, error) {
	return m.store.Artifacts(ctx, project, release)
}

func (m maps) Delete(ctx context.Context, project, release string, a store.AuditEntry) (int64, error) {
	return m.store.DeleteArtifacts(ctx, project, release, a)
}

// Principal says who a page is signed in as.
func (r *rig) Principal(req *http.Request) (auth.Principal, bool) {
	c, err := req.Cookie("session")
	return r.cookie, err == nil && c.Value == "good"
}

// newRig starts the API with a token for each scope, until the test ends.
func newRig(t *testing.T) *rig { return newRigAt(t, clock.Real()) }

// newRigAt is newRig with a clock of the test's.
func newRigAt(t *testing.T, now clock.Clock) *rig {
	t.Helper()
	r := &rig{T: t, store: memory.New(), feed: hub.NewFeed(100, 4), tokens: map[auth.Scope]string{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r.engine = evidence.New(evidence.Options{Store: r.store, Clock: now})
	flags := hub.New()
	control, err := controller.New(ctx, controller.Options{Store: r.store, Evidence: watcher{r.engine}, Publisher: flags, Feed: r.feed, Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { ended <- r.engine.Run(ctx) }()
	go func() { ended <- control.Run(ctx) }()
	r.people = auth.New(auth.Options{Store: r.store})
	stacks := symbolicate.New(r.store, slog.New(slog.DiscardHandler))
	r.http = httptest.NewServer(api.New(api.Options{Issues: desk{stacks, r.engine}, SourceMaps: maps{stacks, r.store, now},
		Controller: control, Store: r.store, Evidence: recorder{r.engine, r}, Flags: flags, Auth: r.people, Sessions: r, Feed: r.feed,
		Now: time.Now, Version: "dev", Beat: 5 * time.Millisecond,
	}))
	t.Cleanup(func() {
		r.feed.Close()
		r.http.Close()
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("engine ended with: %v", err)
			}
		}
	})
	for _, scope := range []auth.Scope{auth.Read, auth.Operate, auth.Approve, auth.Admin} {
		r.tokens[scope] = r.token(auth.NewToken{Name: string(scope), Kind: auth.KindOperator, Scopes: []string{string(scope)}})
	}
	return r
}

// token makes a token or key.
func (r *rig) token(n auth.NewToken) string {
	r.Helper()
	secret, _, err := r.people.CreateToken(r.Context(), auth.Principal{Name: "rig", Scopes: []string{"admin"}}, n)
	if err != nil {
		r.Fatal(err)
	}
	return secret
}

// answer is what the API said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// problem is the answer's problem document.
func (a answer) problem(t *testing.T) (detail string) {
	t.Helper()
	var p struct {
		Title  string
		Status int
		Detail string
		Errors []struct{ Message, Location string }
	}
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("a refusal has content type %q", got)
	}
	if p.Status != a.status || p.Title != http.StatusText(a.status) {
		t.Errorf("the problem says %d %q, the status is %d", p.Status, p.Title, a.status)
	}
	for _, e := range p.Errors {
		p.Detail += "\n" + e.Message + " (" + e.Location + ")"
	}
	return p.Detail
}

// decode reads a JSON answer.
func decode[T any](t *testing.T, a answer) (v T) {
	t.Helper()
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%v in %d %s", err, a.status, a.body)
	}
	return v
}

// request builds a request under the API's prefix. A body of string is sent
// as written, everything else as JSON; headers come in pairs.
func (r *rig) request(method, path, token string, body any, header ...string) *http.Request {
	r.Helper()
	var data []byte
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case string:
		data = []byte(b)
		if !strings.HasPrefix(b, "{") && !strings.HasPrefix(b, "[") {
			kind = "application/yaml"
		}
	default:
		var err error
		if data, err = json.Marshal(b); err != nil {
			r.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(r.Context(), method, r.http.URL+api.Prefix+path, bytes.NewReader(data))
	if err != nil {
		r.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

// send does one request.
func (r *rig) send(method, path, token string, body any, header ...string) answer {
	r.Helper()
	resp, err := http.DefaultClient.Do(r.request(method, path, token, body, header...))
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.Fatal(err)
	}
	if got := resp.Header.Get("Cache-Control"); got != "no-store" {
		r.Errorf("%s %s: Cache-Control is %q", method, path, got)
	}
	return answer{resp.StatusCode, resp.Header, data}
}

// as does one request with the token of a scope and expects the status.
func (r *rig) as(scope auth.Scope, status int, method, path string, body any, header ...string) answer {
	r.Helper()
	a := r.send(method, path, r.tokens[scope], body, header...)
	if a.status != status {
		r.Fatalf("%s %s: got %d, want %d: %s", method, path, a.status, status, a.body)
	}
	return a
}

// refused expects a refusal whose words contain text.
func (r *rig) refused(scope auth.Scope, status int, text, method, path string, body any, header ...string) {
	r.Helper()
	if got := r.as(scope, status, method, path, body, header...).problem(r.T); !strings.Contains(got, text) {
		r.Errorf("%s %s: %q does not say %q", method, path, got, text)
	}
}
