package api_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/api"
	"serin/internal/auth"
	"serin/internal/store"
)

// operations reads method and path of all operations from the document, with
// the scope that their descriptions name.
func operations(t *testing.T, r *rig) map[string]auth.Scope {
	t.Helper()
	doc := decode[struct {
		Paths map[string]map[string]struct{ Description string }
	}](t, r.send(http.MethodGet, "/openapi.json", "", nil))
	out := map[string]auth.Scope{}
	for path, methods := range doc.Paths {
		for method, o := range methods {
			if path == api.Prefix+"/plans/schema" && method == "get" {
				continue // open to all, see TestPlanSchema
			}
			_, rest, ok := strings.Cut(o.Description, "Needs the scope ")
			scope, _, _ := strings.Cut(rest, ".")
			if !ok {
				t.Errorf("%s %s names no scope", method, path)
			}
			path, _ = strings.CutPrefix(path, api.Prefix)
			path = strings.NewReplacer("{id}", "checkout", "{plan}", "checkout", "{key}", "newCheckout", "{metric}", "lcp", "{name}", "feedback").Replace(path)
			out[strings.ToUpper(method)+" "+path] = auth.Scope(scope)
		}
	}
	return out
}

// rank orders the scopes.
var rank = map[auth.Scope]int{auth.Read: 1, auth.Operate: 2, auth.Approve: 3, auth.Admin: 4}

func TestEveryOperationNeedsItsScope(t *testing.T) {
	r := newRig(t)
	all := operations(t, r)
	if len(all) < 35 {
		t.Fatalf("only %d operations", len(all))
	}
	for name, need := range all {
		method, path, _ := strings.Cut(name, " ")
		if a := r.send(method, path, "", nil); a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s without a token: %d, %q", name, a.status, a.header.Get("WWW-Authenticate"))
		}
		if path == "/stream" {
			continue // does not end; see TestStream
		}
		for scope, token := range r.tokens {
			a := r.send(method, path, token, nil)
			if refused := a.status == http.StatusForbidden; refused != (rank[scope] < rank[need]) {
				t.Errorf("%s needs %s; with %s: %d %s", name, need, scope, a.status, a.body)
			}
			if a.status == http.StatusForbidden && !strings.Contains(a.problem(t), "it needs scope "+string(need)) {
				t.Errorf("%s: %s does not name the scope", name, a.body)
			}
		}
	}
}

// TestScopes pins what each scope opens, apart from the document.
func TestScopes(t *testing.T) {
	r := newRig(t)
	for name, want := range map[string]auth.Scope{
		"GET /rollouts": auth.Read, "POST /rollouts": auth.Operate, "POST /rollouts/checkout/rollback": auth.Operate,
		"POST /rollouts/checkout/approve": auth.Approve, "POST /rollouts/checkout/promote": auth.Approve,
		"POST /rollouts/checkout/restart": auth.Approve, "PUT /flags/newCheckout": auth.Operate, "POST /values": auth.Operate,
		"POST /plans/lint": auth.Read, "POST /plans": auth.Operate, "POST /plans/checkout/diff": auth.Read, "POST /rollouts/checkout/revise": auth.Approve, "GET /stream": auth.Read, "GET /tokens": auth.Admin, "POST /tokens": auth.Admin, "DELETE /tokens/checkout": auth.Admin,
	} {
		if got := operations(t, r)[name]; got != want {
			t.Errorf("%s needs %q, want %q", name, got, want)
		}
	}
}

func TestAuthentication(t *testing.T) {
	r := newRig(t)
	expired := r.token(auth.NewToken{Name: "old", Kind: auth.KindOperator, Scopes: []string{"admin"}, TTL: time.Nanosecond})
	for name, header := range map[string]string{
		"unknown": "Bearer serin_op_0000", "expired": "Bearer " + expired, "basic": "Basic " + r.tokens[auth.Read],
		"flag key":   "Bearer " + r.token(auth.NewToken{Name: "f", Kind: auth.KindFlagsServer}),
		"ingest key": "Bearer " + r.token(auth.NewToken{Name: "i", Kind: auth.KindIngest, Project: "1"}),
		"sign-in":    "Bearer " + r.token(auth.NewToken{Name: "s", Kind: auth.KindSignIn, Scopes: []string{"admin"}, Person: "p"}),
	} {
		if a := r.send(http.MethodGet, "/rollouts", "", nil, "Authorization", header); a.status != http.StatusUnauthorized {
			t.Errorf("%s: got %d", name, a.status)
		} else {
			a.problem(t)
		}
	}
	me := decode[map[string]any](t, r.as(auth.Approve, 200, http.MethodGet, "/me", nil))
	if d := cmp.Diff(map[string]any{"id": me["id"], "name": "approve", "kind": "token", "scopes": []any{"approve"}}, me); d != "" {
		t.Error(d)
	}
}

// TestPagesOnlyRead: a session's cookie opens reads, and never a change, which
// another site could make the browser send.
func TestPagesOnlyRead(t *testing.T) {
	r := newRig(t)
	r.cookie = auth.Principal{Name: "ada", Kind: "session", Scopes: []string{"read"}}
	for _, tt := range []struct {
		method, path, cookie string
		want                 int
	}{
		{http.MethodGet, "/rollouts", "session=good", 200},
		{http.MethodGet, "/rollouts", "session=bad", 401},
		{http.MethodGet, "/tokens", "session=good", 403},
		{http.MethodPost, "/values", "session=good", 401},
		{http.MethodDelete, "/flags/x", "session=good", 401},
	} {
		if a := r.send(tt.method, tt.path, "", nil, "Cookie", tt.cookie); a.status != tt.want {
			t.Errorf("%s %s with %s: got %d, want %d", tt.method, tt.path, tt.cookie, a.status, tt.want)
		}
	}
}

func TestGuessingIsLockedOut(t *testing.T) {
	r := newRig(t)
	r.as(auth.Operate, 200, http.MethodGet, "/me", nil)
	locked := answer{}
	for range 100 {
		if locked = r.send(http.MethodGet, "/me", "serin_op_guess", nil); locked.status != http.StatusUnauthorized {
			break
		}
	}
	if locked.status != http.StatusTooManyRequests {
		t.Fatalf("after 100 wrong tokens: %d", locked.status)
	}
	if after, err := strconv.Atoi(locked.header.Get("Retry-After")); err != nil || after < 1 || after > 60 {
		t.Errorf("Retry-After is %q", locked.header.Get("Retry-After"))
	}
	if got := locked.problem(t); !strings.Contains(got, "too many wrong tokens") {
		t.Error(got)
	}
	// The people on call are not kept out by somebody who guesses behind the
	// same proxy, whether their token was used before or not.
	r.as(auth.Operate, 200, http.MethodGet, "/me", nil)
	if a := r.send(http.MethodGet, "/me", r.tokens[auth.Admin], nil); a.status != 200 {
		t.Errorf("a right token gets %d from a locked address", a.status)
	}
}

func TestTokens(t *testing.T) {
	r := newRig(t)
	for name, body := range map[string]any{
		"no name":    map[string]any{"kind": "operator", "scopes": []string{"read"}},
		"no scope":   map[string]any{"name": "x"},
		"bad scope":  map[string]any{"name": "x", "scopes": []string{"root"}},
		"bad kind":   map[string]any{"name": "x", "kind": "golden", "scopes": []string{"read"}},
		"bad origin": map[string]any{"name": "x", "kind": "flags", "origins": []string{"shop"}},
		"past":       map[string]any{"name": "x", "kind": "flags", "ttl_seconds": -1},
		"typo":       map[string]any{"name": "x", "kind": "flags", "originz": []string{}},
	} {
		if a := r.as(auth.Admin, 422, http.MethodPost, "/tokens", body); a.problem(t) == "" {
			t.Errorf("%s: the refusal says nothing", name)
		}
	}
	type token struct {
		store.Token
		Secret string
	}
	made := decode[token](t, r.as(auth.Admin, 200, http.MethodPost, "/tokens",
		map[string]any{"name": "ci", "scopes": []string{"operate"}, "role": "qa", "ttl_seconds": 3600}))
	if a := r.send(http.MethodGet, "/me", made.Secret, nil); a.status != 200 || decode[map[string]any](t, a)["role"] != "qa" {
		t.Errorf("the new token gets %d %s", a.status, a.body)
	}
	page := decode[token](t, r.as(auth.Admin, 200, http.MethodPost, "/tokens", map[string]any{"name": "page", "kind": "flags", "origins": []string{"https://shop.example"}}))
	if page.Public == "" || page.Public != page.Secret {
		t.Errorf("a publishable key is %q, and %q as a secret", page.Public, page.Secret)
	}
	link := decode[token](t, r.as(auth.Admin, 200, http.MethodPost, "/tokens", map[string]any{"name": "ada", "kind": "sign-in", "scopes": []string{"read"}}))
	if link.Person != "ada" || link.ExpiresAt.IsZero() {
		t.Errorf("a sign-in link is for %q until %v", link.Person, link.ExpiresAt)
	}
	list := r.as(auth.Admin, 200, http.MethodGet, "/tokens", nil)
	for _, secret := range []string{made.Secret, link.Secret, `"hash"`, `"secret"`} {
		if strings.Contains(string(list.body), secret) {
			t.Errorf("the list tells %s", secret)
		}
	}
	if got := len(decode[[]store.Token](t, list)); got != 7 {
		t.Errorf("%d tokens, want 7", got)
	}
	r.as(auth.Admin, 204, http.MethodDelete, "/tokens/"+made.ID+"?reason=left+the+team", nil)
	r.refused(auth.Admin, 404, "not found", http.MethodDelete, "/tokens/"+made.ID, nil)
	if a := r.send(http.MethodGet, "/me", made.Secret, nil); a.status != 401 {
		t.Errorf("a revoked token gets %d", a.status)
	}
	audit := decode[[]store.AuditEntry](t, r.as(auth.Read, 200, http.MethodGet, "/audit?target=token+"+made.ID, nil))
	if len(audit) != 2 || audit[0].Verb != "revoke" || audit[0].Reason != "left the team" || audit[0].Address != "127.0.0.1" || audit[0].Who != "admin" {
		t.Errorf("audit: %+v", audit)
	}
	r.refused(auth.Read, 422, "limit", http.MethodGet, "/audit?limit=0", nil)
}

// TestNotAvailable: what is not built says so as a problem, whatever the path.
func TestNotAvailable(t *testing.T) {
	r := newRig(t)
	r.as(auth.Operate, 200, http.MethodPost, "/rollouts", planFile)
	for _, request := range []string{
		"GET /rollouts/checkout/evidence",
		"GET /standup?rollout=checkout", "GET /events/search?query=x",
		"POST /facts", "POST /rollouts/checkout/explode", "PATCH /flags/x", "GET /", "GET /a%22%5C%01%F0%9F%90%A6b",
	} {
		method, path, _ := strings.Cut(request, " ")
		a := r.as(auth.Admin, 404, method, path, nil)
		if got := a.problem(t); !strings.Contains(got, "not available") {
			t.Errorf("%s: %q", request, got)
		}
		if !json.Valid(a.body) {
			t.Errorf("%s: no JSON: %s", request, a.body)
		}
	}
}
