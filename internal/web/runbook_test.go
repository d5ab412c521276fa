package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// withPlan gives every rollout a runbook, a calendar and an audit log.
func withPlan(f *fakeRollouts) *fakeRollouts {
	day := 24 * time.Hour
	f.runbook = controller.Runbook{
		Rollout: "admin-workbench-1", Plan: "admin-workbench", Title: "New dashboard", Revision: 7, Timezone: "UTC", Raise: []string{"daily 00:00-19:00"},
		Preflight: []controller.RunbookTask{{Do: "Tried in staging", By: "qa", Verify: "pushed ci = pass"}},
		Phases: []controller.RunbookPhase{
			{Name: "canary", Traffic: 10, Bake: 2 * day, Owner: []string{"on-call"}, Checks: []string{"every 15m for 8h", "every 1h"}, Proceed: []string{"errors < 2", "p1 = 0"}, Inconclusive: "ask"},
			{Name: "ramp-25", Traffic: 25, Bake: day, Before: []string{"look together"}, Approve: []string{"team-lead"}, Proceed: []string{"errors < 2"}, Confirm: []string{"No user complained"}},
			{Name: "ramp-50", Traffic: 50, Bake: day}, {Name: "ramp-75", Traffic: 75, Bake: day}, {Name: "full", Traffic: 100, Bake: 3 * day}, {Name: "more", Traffic: 100}},
		Roles:    []controller.RunbookRole{{Name: "on-call", Who: "pagerduty:web", Covers: 72 * time.Hour, May: []string{"resume"}, Does: []string{"watch"}, EscalatesTo: "team-lead"}, {Name: "qa"}},
		Rollback: []string{"p1 > 5 over 1h"}, Reduce: []string{"errors > 5 over 10m"},
		Actions: controller.RunbookActions{RollbackWithin: 5 * time.Minute, ReduceTo: 1, ReduceWithin: 15 * time.Minute, Revert: []string{"git revert $commit"},
			RevertWithin: 2 * time.Minute, RevertBy: "on-call", RestartFrom: "canary", RestartAfter: day, RestartNeeds: []string{"cause"}},
		Alerts: []controller.RunbookAlert{{Name: "Errors", If: "errors > 5 over 10m", Severity: "p1", Notify: []string{"team", "pager"}}},
		Incident: controller.RunbookIncident{Opens: []string{"alert p1"}, Severe: "p1 > 10", Respond: 5 * time.Minute, Decide: 15 * time.Minute, Act: 30 * time.Minute,
			Steps: []string{"page on-call"}, Tree: []controller.RunbookStep{{If: "p1 > 10 over stage", Do: "roll back"}, {Do: "reduce to 5%"}}, Close: []string{"post-mortem"}},
		Cleanup: controller.RunbookCleanup{Owners: []string{"frontend"}, Tasks: []controller.RunbookTask{{Do: "Delete the old tab", Irreversible: true}}},
		Text:    "Runbook: New dashboard\n",
	}
	began := fixed.Add(-51 * time.Hour)
	f.calendar = controller.Calendar{Rollout: "admin-workbench-1", Timezone: "UTC", From: fixed, Raise: []string{"daily 00:00-19:00"}, End: fixed.Add(5 * day),
		Events: []controller.CalendarEvent{
			{At: began, Kind: plan.StageStart, Stage: "canary", Traffic: 10, Past: true}, {At: began.Add(2 * day), Kind: plan.StageStart, Stage: "ramp-25", Traffic: 25, Past: true},
			{At: fixed.Add(21 * time.Hour), Kind: plan.StageBaked, Stage: "ramp-25", Traffic: 25},
			{At: fixed.Add(36 * time.Hour), Kind: plan.StageStart, Stage: "ramp-50", Traffic: 50, Wait: 15 * time.Hour, Before: []string{"look together"}, Approve: []string{"team-lead"}},
			{At: fixed.Add(36 * time.Hour), Kind: plan.StageCheck, Stage: "ramp-50", Text: "ramp-50: checks every 15m for 4h, 16 in all"},
			{At: fixed.Add(5 * day), Kind: plan.StageBaked, Stage: "ramp-50", Traffic: 50}, {At: fixed.Add(5 * day), Kind: plan.PlanEnd}},
		Problems: []plan.Problem{{Line: 3, Severity: plan.Warning, Code: "W05", What: "the stage waits 15h", Fix: "start it later"},
			{Line: 3, Severity: plan.Error, Code: "E14", What: "no such channel", Fix: "configure it"}, {Line: 900, Severity: plan.Warning, Code: "W02", What: "elsewhere", Fix: "look"}},
		Skipped: []string{"W01"}}
	f.audited = []store.AuditEntry{
		{ID: 4, At: fixed, Who: "ann lee", Via: "web", Address: "10.0.0.9", Verb: "rolled_back", Target: "rollout admin-workbench-1", Reason: "carts are empty", After: json.RawMessage(`{"exposure":10000,"pos":9}`)},
		{ID: 3, At: fixed.Add(-time.Hour), Who: "serin", Via: "plan", Verb: "advanced", Target: "rollout admin-workbench-1", After: json.RawMessage(`{"rule":"p1 > 5"}`)},
		{ID: 2, At: fixed.Add(-day), Who: "ci", Via: "api", Verb: "put flag", Target: "flag x", Before: json.RawMessage(`{"state":"OFF"}`), After: json.RawMessage(`{"state":"ON"}`)},
		{ID: 1, At: fixed.Add(-400 * day), Verb: "create token", Target: "token 9", After: json.RawMessage(`null`)}}
	return f
}

// withAttack makes every text of them an attack or too long.
func withAttack(f *fakeRollouts) *fakeRollouts {
	bad := `"><script>alert(1)</script>` + strings.Repeat("x", 10_000)
	all := []string{bad, ""}
	task := []controller.RunbookTask{{Do: bad, By: bad, Verify: bad}, {}}
	f.runbook = controller.Runbook{Rollout: bad, Plan: bad, Title: bad, Timezone: bad, Raise: all, Preflight: task, Rollback: all, Reduce: all, Text: bad,
		Phases:   []controller.RunbookPhase{{Name: bad, Bake: -time.Hour, Owner: all, Before: all, Approve: all, Checks: all, Proceed: all, Confirm: all}, {}},
		Roles:    []controller.RunbookRole{{Name: bad, Who: bad, May: all, Does: all, EscalatesTo: bad}, {}},
		Actions:  controller.RunbookActions{Revert: all, RevertBy: bad, RestartFrom: bad, RestartNeeds: all},
		Alerts:   []controller.RunbookAlert{{Name: bad, If: bad, Severity: bad, Notify: all}, {}},
		Incident: controller.RunbookIncident{Opens: all, Severe: bad, Steps: all, Tree: []controller.RunbookStep{{If: bad, Do: bad}, {}}, Close: all},
		Cleanup:  controller.RunbookCleanup{Owners: all, Tasks: task}}
	f.calendar = controller.Calendar{Timezone: bad, Assumes: bad, Raise: all, End: fixed, Skipped: all,
		Events:   []controller.CalendarEvent{{Kind: plan.StageCheck}, {At: fixed, Kind: plan.StageStart, Stage: bad, Text: bad, Before: all, Approve: all, Wait: time.Hour}, {Kind: plan.StageCheck, Text: bad}},
		Problems: []plan.Problem{{Line: 2, Code: bad, What: bad, Fix: bad, Severity: plan.Level(bad)}, {Line: -4}}}
	f.audited = []store.AuditEntry{{ID: -1, At: fixed, Who: bad, Via: bad, Address: bad, Verb: bad, Target: "rollout " + bad, Reason: bad, Before: json.RawMessage(bad), After: json.RawMessage(`{"item":"<script>alert(2)</script>"}`)}, {}}
	return f
}

func TestPlanPagesShow(t *testing.T) {
	f := withPlan(&fakeRollouts{views: fleet()})
	s := newWeb(t, f)
	for path, want := range map[string][]string{
		"/rollouts/admin-workbench-1/runbook": {"2 rules", "every 15m for 8h, then every 1h", "p1 &gt; 5 over 1h", "Escalates to team-lead", "pagerduty:web, 72h", "git revert $commit",
			"within 15m", "otherwise: reduce to 5%", "serin rollout runbook admin-workbench-1", "1 rule, 1 confirmation", "no rollback after it", `aria-current="page">Runbook`},
		"/rollouts/admin-workbench-1/plan": {"1 error, 2 warnings", `href="#line-3"`, `id="line-3" class="mk-fail"`, "waits 15h for its window", "approval of team-lead", "first: look together",
			"every 15m for 4h, 16 in all", `datetime="2025-02-22T09:12:00Z"`, "at the earliest, if every gate opens at once"},
		"/audit": {"Today, Fri 21 Feb", "Thu 20 Feb", "10.0.0.9", "rolled back", "at 10%", "carts are empty", `&#34;state&#34;: &#34;OFF&#34;`, `href="/audit?who=ann&#43;lee"`, `href="/rollouts/admin-workbench-1"`, "4 shown", `aria-current="page"><svg`},
	} {
		w := get(t, s, path)
		for _, text := range want {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s: status %d, does not show %q", path, w.Code, text)
			}
		}
	}
	if body := get(t, s, "/rollouts/admin-workbench-1/plan").Body.String(); strings.Contains(body, "#line-900") {
		t.Error("a finding outside of the text is linked")
	}
}

// TestAuditFilters: the address says what is asked for, within bounds.
func TestAuditFilters(t *testing.T) {
	for path, want := range map[string]controller.AuditQuery{
		"/audit":                                 {Limit: 101},
		"/audit?who=+ann+&target=flag+x&limit=2": {Who: "ann", Target: "flag x", Limit: 3},
		"/audit?limit=999999":                    {Limit: 1001},
		"/audit?limit=-1":                        {Limit: 101},
	} {
		f := withPlan(&fakeRollouts{views: fleet()})
		w := get(t, newWeb(t, f), path)
		if w.Code != http.StatusOK || f.asked.Who != want.Who || f.asked.Target != want.Target || f.asked.Limit != want.Limit || f.asked.Sees != nil {
			t.Errorf("%s: status %d, asked for %+v, want %+v", path, w.Code, f.asked, want)
		}
	}
	f := withPlan(&fakeRollouts{views: fleet()})
	body := get(t, newWeb(t, f), "/audit?who=o%27neil&limit=2").Body.String()
	for _, want := range []string{"2 shown", `href="/audit?limit=6&amp;who=o%27neil"`, `serin audit --who &#39;o&#39;\&#39;&#39;neil&#39;`, `value="o&#39;neil"`} {
		if !strings.Contains(body, want) {
			t.Errorf("a filtered page does not show %q", want)
		}
	}
}

// TestUnreadablePlan: both pages say so, and the text is still shown.
func TestUnreadablePlan(t *testing.T) {
	s := newWeb(t, &fakeRollouts{views: fleet(), unread: &rollout.Refusal{Why: "nobody knows what the plan says"}})
	for path, want := range map[string]string{"/runbook": "Nobody knows what the plan says.", "/plan": "bake: 48h"} {
		w := get(t, s, "/rollouts/admin-workbench-1"+path)
		if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, want) || !strings.Contains(body, "Nobody knows what the plan says.") || strings.Contains(body, ">Lint<") {
			t.Errorf("%s: status %d, or it does not show %q", path, w.Code, want)
		}
	}
}
