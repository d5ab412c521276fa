package api_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// started creates the rollout checkout-1 and starts it.
func started(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.as(auth.Operate, 200, http.MethodPost, "/rollouts", planFile)
	r.as(auth.Admin, 200, http.MethodPost, "/rollouts/checkout/complete", map[string]any{"item": "staging"})
	r.as(auth.Admin, 200, http.MethodPost, "/rollouts/checkout/start", map[string]any{"version": 1})
	return r
}

// view reads the rollout.
func (r *rig) view() controller.View {
	r.Helper()
	return decode[controller.View](r.T, r.as(auth.Read, 200, http.MethodGet, "/rollouts/checkout", nil))
}

func TestCreate(t *testing.T) {
	r := newRig(t)
	if a := r.as(auth.Read, 200, http.MethodGet, "/rollouts", nil); strings.TrimSpace(string(a.body)) != "[]" {
		t.Errorf("no rollouts are %s, want []", a.body)
	}
	r.refused(auth.Operate, 422, "error E", http.MethodPost, "/rollouts", "serin: 1\nplan: checkout\n")
	r.refused(auth.Operate, 422, "error", http.MethodPost, "/rollouts", "a: [")
	r.refused(auth.Operate, 413, "", http.MethodPost, "/rollouts", "# "+strings.Repeat("x", 2<<20))
	res := decode[controller.Result](t, r.as(auth.Operate, 200, http.MethodPost, "/rollouts", planFile))
	if res.State.ID != "checkout-1" || res.State.Status != rollout.Preflight || len(res.Events) == 0 || res.Events[0].By != "operate" || res.Events[0].Via != "api" {
		t.Errorf("created %+v", res)
	}
	r.refused(auth.Operate, 409, "still preflight", http.MethodPost, "/rollouts", planFile)
	for _, id := range []string{"checkout", "checkout-1"} {
		if v := decode[controller.View](t, r.as(auth.Read, 200, http.MethodGet, "/rollouts/"+id, nil)); v.ID != "checkout-1" {
			t.Errorf("%s is %q", id, v.ID)
		}
	}
	r.refused(auth.Read, 404, "not found", http.MethodGet, "/rollouts/checkout-2", nil)
	if got := decode[[]controller.View](t, r.as(auth.Read, 200, http.MethodGet, "/rollouts", nil)); len(got) != 1 {
		t.Errorf("%d rollouts", len(got))
	}
	a := r.as(auth.Read, 200, http.MethodGet, "/rollouts/checkout/plan", nil)
	if string(a.body) != planFile || !strings.HasPrefix(a.header.Get("Content-Type"), "application/yaml") {
		t.Errorf("the plan in force is %s %q", a.header.Get("Content-Type"), a.body)
	}
	plans := decode[[]store.PlanVersion](t, r.as(auth.Read, 200, http.MethodGet, "/plans", nil))
	if len(plans) != 1 || plans[0].Name != "checkout" || plans[0].Number != 1 {
		t.Errorf("plans: %+v", plans)
	}
}

func TestVerbs(t *testing.T) {
	r := newRig(t)
	r.as(auth.Operate, 200, http.MethodPost, "/rollouts", planFile)
	const path = "/rollouts/checkout/"
	r.refused(auth.Admin, 409, "Try it in staging", http.MethodPost, path+"start", map[string]any{})
	r.refused(auth.Admin, 422, "staging", http.MethodPost, path+"complete", map[string]any{"item": "nothing"})
	r.refused(auth.Operate, 403, "has no role lead", http.MethodPost, path+"start", map[string]any{"as": "lead"})
	r.refused(auth.Admin, 422, `no role "chef": its roles are lead, qa`, http.MethodPost, path+"start", map[string]any{"as": "chef"})
	r.as(auth.Admin, 200, http.MethodPost, path+"complete", map[string]any{"item": "staging", "evidence": "https://ci.example/7"})
	r.refused(auth.Operate, 403, "needs a role that may start (lead, qa), you act in none", http.MethodPost, path+"start", map[string]any{})

	// A version that is not the newest is told where the rollout is.
	r.refused(auth.Admin, 409, "checkout-1 is preflight at 0%, version 1", http.MethodPost, path+"start", map[string]any{"version": 99})
	res := decode[controller.Result](t, r.as(auth.Admin, 200, http.MethodPost, path+"start", map[string]any{"version": 1, "reason": "go"}))
	if res.State.Status != rollout.Running || res.State.Exposure != 10_000 {
		t.Errorf("started: %+v", res.State)
	}
	r.refused(auth.Admin, 409, "only a rollout in preflight can be started; it is running", http.MethodPost, path+"start", nil)
	r.refused(auth.Admin, 409, "finish", http.MethodPost, path+"finish", nil)
	r.refused(auth.Admin, 422, "error E", http.MethodPost, path+"revise", map[string]any{"plan": "serin: 1"})
	r.refused(auth.Admin, 404, "not found", http.MethodPost, "/rollouts/other/pause", nil)

	// Lowering needs no version, no role and, but for the scope, no rights.
	r.as(auth.Operate, 200, http.MethodPost, path+"pause", nil)
	r.as(auth.Admin, 200, http.MethodPost, path+"resume", map[string]any{})
	r.refused(auth.Operate, 409, "reduce only lowers", http.MethodPost, path+"reduce", map[string]any{"percent": 50})
	r.refused(auth.Operate, 422, "percent", http.MethodPost, path+"reduce", map[string]any{"percent": 101})
	for _, step := range []struct {
		body map[string]any
		want float64
	}{{map[string]any{"percent": 2.5}, 2.5}, {map[string]any{}, 1}, {map[string]any{"hotfix": true}, 0}} {
		r.as(auth.Operate, 200, http.MethodPost, path+"reduce", step.body)
		if v := r.view(); v.Exposure != step.want || v.State.Status != rollout.Reduced {
			t.Errorf("reduce %v: %v at %v", step.body, v.State.Status, v.Exposure)
		}
	}
	r.refused(auth.Admin, 409, "no deployment was reported", http.MethodPost, path+"resume", nil)
	r.as(auth.Operate, 204, http.MethodPost, "/releases", map[string]any{"release": "1.2"})
	r.as(auth.Operate, 200, http.MethodPost, path+"rollback", map[string]any{"reason": "flooded"})
	r.refused(auth.Operate, 409, "it is rolled back (flooded)", http.MethodPost, path+"rollback", nil)
	r.refused(auth.Admin, 409, "cannot restart", http.MethodPost, path+"restart", map[string]any{"cause": ""})
	r.as(auth.Admin, 200, http.MethodPost, path+"cancel", nil)
}

// TestOverrideNeedsAReason: what goes past a gate says why.
func TestOverrideNeedsAReason(t *testing.T) {
	r := started(t)
	r.refused(auth.Admin, 422, "reason", http.MethodPost, "/rollouts/checkout/promote", map[string]any{"as": "lead"})
	if v := r.view(); v.Exposure != 10 {
		t.Errorf("exposure is %v", v.Exposure)
	}
}

func TestIdempotencyKey(t *testing.T) {
	r := started(t)
	const path = "/rollouts/checkout/reduce"
	first := decode[controller.Result](t, r.as(auth.Operate, 200, http.MethodPost, path, map[string]any{"percent": 5}, "Idempotency-Key", "k1"))
	again := decode[controller.Result](t, r.as(auth.Operate, 200, http.MethodPost, path, map[string]any{"percent": 5}, "Idempotency-Key", "k1"))
	if again.State.Pos != first.State.Pos {
		t.Errorf("the second came to position %d, the first to %d", again.State.Pos, first.State.Pos)
	}
	r.refused(auth.Operate, 409, "reduce only lowers", http.MethodPost, path, map[string]any{"percent": 5}, "Idempotency-Key", "k2")
}

// TestIdempotencyKeyOfAnotherVerb: a key names one command, and a verb is part
// of it. A rollback whose key was used for something else is carried out.
func TestIdempotencyKeyOfAnotherVerb(t *testing.T) {
	r := started(t)
	const path = "/rollouts/checkout/"
	r.as(auth.Operate, 200, http.MethodPost, path+"pause", nil, "Idempotency-Key", "k1")
	r.as(auth.Operate, 200, http.MethodPost, path+"rollback", nil, "Idempotency-Key", "k1")
	if v := r.view(); v.Exposure != 0 {
		t.Errorf("exposure is %v after a rollback that was answered 200", v.Exposure)
	}
}

func TestReading(t *testing.T) {
	r := started(t)
	journal := decode[[]rollout.Event](t, r.as(auth.Read, 200, http.MethodGet, "/rollouts/checkout/journal", nil))
	if len(journal) < 3 || journal[0].Type != rollout.Created || journal[0].Pos != 1 {
		t.Fatalf("journal: %+v", journal)
	}
	rest := decode[[]rollout.Event](t, r.as(auth.Read, 200, http.MethodGet, "/rollouts/checkout/journal?after=1&limit=1", nil))
	if len(rest) != 1 || rest[0].Pos != 2 {
		t.Errorf("after 1: %+v", rest)
	}
	timeline := decode[[]controller.Entry](t, r.as(auth.Read, 200, http.MethodGet, "/rollouts/checkout/timeline?limit=1", nil))
	if len(timeline) != 1 || !strings.HasPrefix(timeline[0].Title, "started: canary 10 %") {
		t.Errorf("timeline: %+v", timeline)
	}
	if a := r.as(auth.Read, 200, http.MethodGet, "/rollouts/checkout/notices", nil); !strings.HasPrefix(string(a.body), "[") {
		t.Errorf("notices: %s", a.body)
	}
	series := decode[map[string]any](t, r.as(auth.Read, 200, http.MethodGet, "/rollouts/checkout/series/lcp?range=7d", nil))
	if series["metric"] != "lcp" || len(series["t"].([]any)) != 1 {
		t.Errorf("series: %v", series)
	}
	r.refused(auth.Read, 422, "range", http.MethodGet, "/rollouts/checkout/series/lcp?range=forever", nil)
	r.refused(auth.Read, 422, "no metric", http.MethodGet, "/rollouts/checkout/series/nothing", nil)
	for _, sub := range []string{"", "/journal", "/timeline", "/notices", "/plan", "/series/lcp"} {
		r.refused(auth.Read, 404, "not found", http.MethodGet, "/rollouts/other"+sub, nil)
	}
	r.refused(auth.Read, 422, "limit", http.MethodGet, "/rollouts/checkout/journal?limit=-1", nil)
}

// TestNames pins how nested parts are written: snake_case, words for statuses.
func TestNames(t *testing.T) {
	r := started(t)
	body := string(r.as(auth.Read, 200, http.MethodGet, "/rollouts/checkout", nil).body)
	for _, want := range []string{`"no_data":true`, `"loss_by_arm":false`, `"sample_mismatch":false`, `"control_users":0`, `"status":"unknown"`, `"traffic":10,`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in %s", want, body)
		}
	}
	var upper []string
	for _, field := range strings.Split(body, `"`) {
		if len(field) > 0 && field[0] >= 'A' && field[0] <= 'Z' && strings.Contains(body, `"`+field+`":`) {
			upper = append(upper, field)
		}
	}
	if len(upper) > 0 {
		t.Errorf("names in capitals: %v", upper)
	}
}

func TestLint(t *testing.T) {
	r := newRig(t)
	type lint struct {
		OK       bool
		Problems []plan.Problem
		Skipped  []string
	}
	good := decode[lint](t, r.as(auth.Read, 200, http.MethodPost, "/plans/lint", planFile))
	if !good.OK || good.Problems == nil || len(good.Skipped) == 0 {
		t.Errorf("a good plan: %+v", good)
	}
	a := r.as(auth.Read, 200, http.MethodPost, "/plans/lint", strings.Replace(planFile, "48h", "long", 1))
	bad := decode[lint](t, a)
	if bad.OK || len(bad.Problems) != 1 || bad.Problems[0].Line != 12 || bad.Problems[0].Severity != plan.Error {
		t.Errorf("a bad plan: %+v", bad)
	}
	if !strings.Contains(string(a.body), `"line":12,`) {
		t.Errorf("names of a problem: %s", a.body)
	}
}

// TestStrictBodies: what is misspelt, misplaced or of another kind is refused
// by name.
func TestStrictBodies(t *testing.T) {
	r := started(t)
	for name, tt := range map[string]struct {
		body, kind string
		status     int
		text       string
	}{
		"unknown field": {`{"raeson":"x"}`, "application/json", 422, "unexpected property"},
		"wrong type":    {`{"reason":7}`, "application/json", 422, "expected string"},
		"no JSON":       {`{"reason"`, "application/json", 400, ""},
		"other content": {`reason=x`, "application/x-www-form-urlencoded", 415, ""},
		"too long":      {`{"reason":"` + strings.Repeat("x", 2<<20) + `"}`, "application/json", 413, ""},
	} {
		req := r.request(http.MethodPost, "/rollouts/checkout/pause", r.tokens[auth.Admin], tt.body)
		req.Header.Set("Content-Type", tt.kind)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != tt.status || !strings.Contains(string(text), tt.text) {
			t.Errorf("%s: got %d, want %d with %q: %s %v", name, resp.StatusCode, tt.status, tt.text, text, err)
		}
	}
	if v := r.view(); v.State.Status != rollout.Running {
		t.Errorf("a refused body came to %v", v.State.Status)
	}
}

func TestReport(t *testing.T) {
	r := started(t)
	const path = "/rollouts/checkout/report"
	got := decode[controller.Report](t, r.as(auth.Read, 200, http.MethodGet, path, nil))
	if got.Rollout != "checkout-1" || got.Outcome != controller.OutcomeUnderWay || got.Final || len(got.Attempts) != 1 {
		t.Errorf("report: %+v", got)
	}
	for format, begin := range map[string]string{"markdown": "# checkout: report of checkout-1\n", "html": "<!doctype html>"} {
		a := r.as(auth.Read, 200, http.MethodGet, path+"?format="+format, nil)
		if !strings.HasPrefix(string(a.body), begin) || !strings.HasPrefix(a.header.Get("Content-Type"), "text/"+format) ||
			!strings.HasPrefix(a.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %s, %.60s", format, a.header.Get("Content-Type"), a.body)
		}
	}
	r.refused(auth.Read, 422, "format", http.MethodGet, path+"?format=pdf", nil)
	r.refused(auth.Read, 404, "not found", http.MethodGet, "/rollouts/other/report", nil)
}

func TestRevert(t *testing.T) {
	r := newRig(t)
	r.as(auth.Operate, 200, http.MethodPost, "/rollouts", strings.Replace(planFile, "stages:",
		"actions: { revert: { show: [git revert $commit], within: 2m, by: qa } }\nstages:", 1))
	const path = "/rollouts/checkout/"
	r.refused(auth.Admin, 409, "there is nothing to revert; it is preflight", http.MethodPost, path+"revert", nil)
	r.as(auth.Admin, 200, http.MethodPost, path+"complete", map[string]any{"item": "staging"})
	r.as(auth.Admin, 200, http.MethodPost, path+"start", nil)
	r.as(auth.Operate, 204, http.MethodPost, "/releases", map[string]any{"release": "1.2", "commit": "abc"})
	r.refused(auth.Operate, 403, "the plan lets qa revert", http.MethodPost, path+"revert", nil)
	r.refused(auth.Admin, 409, "no revert is under way", http.MethodPost, path+"revert", map[string]any{"done": true})
	begun := decode[controller.Result](t, r.as(auth.Admin, 200, http.MethodPost, path+"revert", nil, "Idempotency-Key", "k"))
	again := decode[controller.Result](t, r.as(auth.Admin, 200, http.MethodPost, path+"revert", nil, "Idempotency-Key", "k"))
	if n := len(again.Events); n != 1 || again.Events[0].Pos != begun.Events[len(begun.Events)-1].Pos || again.Events[0].Show[0] != "git revert abc" {
		t.Errorf("begun %+v, again %+v", begun.Events, again.Events)
	}
	ways := r.view().Ways
	if len(ways) != 3 || ways[2].Begun == nil || ways[2].Commands[0] != "git revert abc" || !strings.HasSuffix(ways[2].CLI, "revert checkout-1 --done") {
		t.Errorf("ways back: %+v", ways)
	}
	r.as(auth.Admin, 200, http.MethodPost, path+"revert", map[string]any{"done": true})
	if v := r.view(); v.State.Revert != nil || v.Exposure != 10 {
		t.Errorf("after the revert: %+v at %v", v.State.Revert, v.Exposure)
	}
}
