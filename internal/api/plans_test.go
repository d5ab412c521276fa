package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

func TestPlans(t *testing.T) {
	r := newRig(t)
	if a := r.as(auth.Read, 200, http.MethodGet, "/plans", nil); strings.TrimSpace(string(a.body)) != "[]" {
		t.Errorf("no plans are %s, want []", a.body)
	}
	r.refused(auth.Read, 403, "needs scope operate", http.MethodPost, "/plans", planFile)
	r.refused(auth.Operate, 422, "plan.yaml:1: error E02", http.MethodPost, "/plans", "serin: 1\nplan: checkout\n")
	stored := decode[controller.PlanStored](t, r.as(auth.Operate, 200, http.MethodPost, "/plans", planFile))
	if !stored.New || stored.Number != 1 || stored.Name != "checkout" || !stored.Check.OK {
		t.Errorf("stored %+v", stored)
	}
	if got := decode[[]controller.View](t, r.as(auth.Read, 200, http.MethodGet, "/rollouts", nil)); len(got) != 0 {
		t.Errorf("storing a plan made %d rollouts", len(got))
	}
	looser := strings.Replace(planFile, "bake: 24h, approve: lead", "bake: 12h", 1)
	r.as(auth.Operate, 200, http.MethodPost, "/plans", looser)

	text := decode[controller.PlanText](t, r.as(auth.Read, 200, http.MethodGet, "/plans/checkout", nil))
	if text.Number != 2 || text.Source != looser || !text.Latest || text.Calendar == nil || len(text.Versions) != 2 || !strings.Contains(text.Shown, "false_rollback") {
		t.Errorf("the latest is %+v", text.PlanVersion)
	}
	if text := decode[controller.PlanText](t, r.as(auth.Read, 200, http.MethodGet, "/plans/checkout?version=1", nil)); text.Number != 1 || text.Latest || text.Source != planFile {
		t.Errorf("version 1 is %+v", text.PlanVersion)
	}
	if v := decode[[]store.PlanVersion](t, r.as(auth.Read, 200, http.MethodGet, "/plans/checkout/versions", nil)); len(v) != 2 || v[0].Number != 2 {
		t.Errorf("versions %+v", v)
	}
	for _, path := range []string{"/plans/nix", "/plans/nix/versions", "/plans/nix/diff", "/plans/checkout?version=3", "/plans/checkout/diff?from=9"} {
		r.refused(auth.Read, 404, "not found", http.MethodGet, path, nil)
	}
	r.refused(auth.Read, 422, "version", http.MethodGet, "/plans/checkout?version=-1", nil)

	d := decode[controller.PlanDiff](t, r.as(auth.Read, 200, http.MethodGet, "/plans/checkout/diff?from=1", nil))
	if d.From.Number != 1 || d.To.Number != 2 || !d.Looser || len(d.Changes) != 2 || d.Revision != nil || !strings.Contains(d.Text, "\n-  - { stage: half,") {
		t.Errorf("diff %+v", d)
	}
	draft := decode[controller.PlanDiff](t, r.as(auth.Read, 200, http.MethodPost, "/plans/checkout/diff?from=2", planFile))
	if draft.To.Number != 0 || draft.Looser || len(draft.Changes) != 2 {
		t.Errorf("diff of a draft %+v", draft)
	}
	shown := decode[map[string]string](t, r.as(auth.Read, 200, http.MethodPost, "/plans/show", planFile))
	if shown["plan"] != "checkout" || !strings.Contains(shown["show"], "environment: production") {
		t.Errorf("shown %q", shown["show"])
	}
	r.refused(auth.Read, 422, "error E01", http.MethodPost, "/plans/show", "a: [")
}

// TestLintAsksTheServer: the answer rests on this server, and findings are no
// failure of the request.
func TestLintAsksTheServer(t *testing.T) {
	r := newRig(t)
	paged := planFile + `channels: { page: "pagerduty:nobody" }` + "\n"
	check := decode[controller.PlanCheck](t, r.as(auth.Read, 200, http.MethodPost, "/plans/lint", paged))
	found := false
	for _, p := range check.Problems {
		found = found || p.Code == "E14" && p.Line == 15 && p.Column > 1 && p.Fix != "" && strings.HasPrefix(p.Excerpt, "channels:")
	}
	if check.OK || check.Errors != 1 || !found {
		t.Errorf("got %+v, want E14 at line 15", check)
	}
	if check := decode[controller.PlanCheck](t, r.as(auth.Read, 200, http.MethodPost, "/plans/lint", "a: [")); check.OK || check.Errors != 1 || len(check.Skipped) == 0 {
		t.Errorf("no plan: %+v", check)
	}
}

// TestReviseSaysTheLines: a revision of the past is refused with its lines,
// and one that is taken says in the journal what it changed.
func TestReviseSaysTheLines(t *testing.T) {
	r := started(t)
	const path = "/rollouts/checkout/revise"
	v := decode[controller.View](t, r.as(auth.Read, 200, http.MethodGet, "/rollouts/checkout", nil)).Version
	revise := func(source string) map[string]any {
		return map[string]any{"version": v, "plan": source, "as": "lead", "reason": "half is too much"}
	}
	past := strings.Replace(planFile, "traffic: 10%", "traffic: 20%", 1)
	a := r.as(auth.Admin, 409, http.MethodPost, path, revise(past))
	var answer struct {
		Errors []struct{ Message, Location string }
	}
	if err := json.Unmarshal(a.body, &answer); err != nil || len(answer.Errors) != 1 || answer.Errors[0].Location != "line 12" ||
		!strings.Contains(answer.Errors[0].Message, `error E17: stage "canary" is under way: put line 12 back`) {
		t.Errorf("%v in %s", err, a.body)
	}
	r.as(auth.Admin, 200, http.MethodPost, path, revise(strings.Replace(planFile, "traffic: 50%", "traffic: 40%", 1)))
	events := decode[[]rollout.Event](t, r.as(auth.Read, 200, http.MethodGet, "/rollouts/checkout/journal", nil))
	var changes []plan.Change
	for _, e := range events {
		changes = append(changes, rollout.RevisionOf(e).Changes...)
	}
	if len(changes) != 1 || changes[0].String() != "stage half traffic: 50% -> 40% (stricter or equal)" {
		t.Errorf("the journal says %v", changes)
	}
}

// TestPlanSchema: editors read the schema without a token.
func TestPlanSchema(t *testing.T) {
	a := newRig(t).send(http.MethodGet, "/plans/schema", "", nil)
	if a.status != 200 || a.header.Get("Content-Type") != "application/schema+json" || !bytes.Equal(a.body, plan.Schema()) {
		t.Errorf("got %d %q", a.status, a.header.Get("Content-Type"))
	}
}
