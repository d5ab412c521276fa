package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/auth"
	"serin/internal/store"
	"serin/internal/telemetry"
)

func TestFeedbackByHand(t *testing.T) {
	r := started(t)
	r.refused(auth.Operate, 422, "kind", http.MethodPost, "/feedback", map[string]any{"kind": "insult", "message": "m"})
	r.refused(auth.Operate, 422, "message", http.MethodPost, "/feedback", map[string]any{"kind": "complaint", "message": ""})
	r.as(auth.Operate, 204, http.MethodPost, "/feedback",
		map[string]any{"kind": "complaint", "user": "u1", "message": "slow for ada@example.com", "critical": true})
	r.mu.Lock()
	got := r.last[0]
	r.mu.Unlock()
	want := telemetry.Event{Kind: telemetry.KindFeedback, Project: "1", Source: "manual", User: "u1",
		Tags: map[string]string{"kind": "complaint", "sentiment": "negative", "severity": "critical", "recorded_by": "operate"}}
	if strings.Contains(got.Message, "ada@") || len(got.ID) != 32 || got.Time.IsZero() || !got.Received.Equal(got.Time) {
		t.Errorf("got %+v", got)
	}
	got.ID, got.Message, got.Time, got.Received = "", "", time.Time{}, time.Time{}
	if d := cmp.Diff(want, got); d != "" { // above all: no page's claim
		t.Errorf("(-want +got)\n%s", d)
	}
	r.as(auth.Operate, 204, http.MethodPost, "/feedback", map[string]any{"kind": "complaint", "message": "slow"})
	counters := decode[map[string]int64](t, r.as(auth.Read, 200, http.MethodGet, "/telemetry", nil))
	if counters["counted"] != 2 {
		t.Errorf("counters: %v", counters)
	}
	audit := decode[[]store.AuditEntry](t, r.as(auth.Read, 200, http.MethodGet, "/audit?target=feedback+complaint", nil))
	if len(audit) != 2 || audit[0].Who != "operate" || len(audit[0].After) != 0 {
		t.Errorf("audit: %+v", audit)
	}
}

func TestValues(t *testing.T) {
	r := newRig(t)
	r.as(auth.Operate, 204, http.MethodPost, "/values", map[string]string{"ci": "pass", "bundle_size": "412kB"})
	values, err := r.store.Values(t.Context())
	if err != nil || values["ci"].Text != "pass" || values["bundle_size"].Text != "412kB" {
		t.Fatalf("stored %v, %v", values, err)
	}
	for name, body := range map[string]any{
		"the engine's own key": map[string]string{"source:feedback": "delivered"},
		"no name":              map[string]string{"": "1"},
		"no value":             map[string]string{"ci": ""},
		"too long":             map[string]string{"ci": strings.Repeat("x", 1001)},
		"one of two":           map[string]string{"aa": "1", "b b": "1"},
	} {
		if a := r.as(auth.Operate, 422, http.MethodPost, "/values", body); a.problem(t) == "" {
			t.Errorf("%s: the refusal says nothing", name)
		}
	}
	if values, err = r.store.Values(t.Context()); err != nil || len(values) != 2 {
		t.Errorf("what was refused left %v, %v", values, err)
	}
	r.as(auth.Operate, 204, http.MethodPost, "/sources/feedback/confirm", nil)
	r.refused(auth.Operate, 422, "name", http.MethodPost, "/sources/prometheus/confirm", nil)
	if values, err = r.store.Values(t.Context()); err != nil || values["source:feedback"].Text != "confirmed" {
		t.Errorf("confirmed %v, %v", values, err)
	}
	audit := decode[[]store.AuditEntry](t, r.as(auth.Read, 200, http.MethodGet, "/audit?target=value+ci", nil))
	if len(audit) != 1 || string(audit[0].After) != `"pass"` || audit[0].Via != "api" {
		t.Errorf("audit: %+v", audit)
	}
}

func TestFactsAboutCode(t *testing.T) {
	r := newRig(t)
	facts := map[string]string{"refs gone useAdminWorkBenchFeature": "true", "path gone src/app/old/": "false", "path exists src/app/[id]/page.tsx": "true"}
	r.as(auth.Operate, 204, http.MethodPost, "/values", facts)
	values, err := r.store.Values(t.Context())
	if err != nil || len(values) != len(facts) {
		t.Fatalf("stored %v, %v", values, err)
	}
	for name, want := range facts {
		if got := values[name].Text; got != want {
			t.Errorf("%s is stored as %q, want %q", name, got, want)
		}
	}
	for name, value := range map[string]string{"refs gone": "true", "refs gone a b": "true", "role filled x": "true", "path gone x": "yes", "path gone \n": "true"} {
		if a := r.as(auth.Operate, 422, http.MethodPost, "/values", map[string]string{name: value}); a.problem(t) == "" {
			t.Errorf("%q = %q: the refusal says nothing", name, value)
		}
	}
}

func TestReleases(t *testing.T) {
	r := started(t)
	r.refused(auth.Operate, 422, "release", http.MethodPost, "/releases", map[string]any{"commit": "abc"})
	r.as(auth.Operate, 204, http.MethodPost, "/releases", map[string]any{"release": "1.2", "commit": "abc"}, "User-Agent", "serin/1.0")
	if v := r.view(); v.State.Release != "1.2" {
		t.Errorf("release is %q", v.State.Release)
	}
	audit := decode[[]store.AuditEntry](t, r.as(auth.Read, 200, http.MethodGet, "/audit?target=rollout+checkout-1", nil))
	i := slices.IndexFunc(audit, func(a store.AuditEntry) bool { return a.Verb == "deployed" })
	if i < 0 || audit[i].Via != "cli" {
		t.Errorf("serin's own command line comes by %+v", audit)
	}
}

func TestIssues(t *testing.T) {
	r := newRig(t)
	if a := r.as(auth.Read, 200, http.MethodGet, "/issues", nil); strings.TrimSpace(string(a.body)) != "[]" {
		t.Errorf("no issues are %s, want []", a.body)
	}
	now := time.Now()
	err := r.engine.Accept(t.Context(), []telemetry.Event{{
		Kind: telemetry.KindError, Project: "1", ID: "e1", Time: now, Received: now, User: "u1", Level: "error", Title: "TypeError: x",
		Exception: &telemetry.Exception{Type: "TypeError", Value: "x", Frames: []telemetry.Frame{{Function: "main", File: "app.js", Line: 1}, {Function: "pay", File: "pay.js", Line: 7}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	issues := decode[[]store.Issue](t, r.as(auth.Read, 200, http.MethodGet, "/issues", nil))
	if len(issues) != 1 || issues[0].Events != 1 || issues[0].Title != "TypeError: x" || issues[0].State != nil {
		t.Fatalf("issues: %+v", issues)
	}
	got := decode[struct {
		store.Issue
		Latest []struct {
			ID, User string
			Stack    []string
		}
	}](t, r.as(auth.Read, 200, http.MethodGet, "/issues/"+issues[0].ID, nil))
	if len(got.Latest) != 1 || got.Latest[0].User != "u1" || len(got.Latest[0].Stack) != 2 || got.Latest[0].Stack[0] != "pay (pay.js:7)" {
		t.Errorf("latest: %+v", got.Latest)
	}
	r.refused(auth.Read, 404, "not found", http.MethodGet, "/issues/SERIN-999", nil)
	r.refused(auth.Read, 422, "status", http.MethodGet, "/issues?status=odd", nil)
	if a := r.as(auth.Read, 200, http.MethodGet, "/issues?status=resolved", nil); strings.TrimSpace(string(a.body)) != "[]" {
		t.Errorf("resolved issues: %s", a.body)
	}
}
