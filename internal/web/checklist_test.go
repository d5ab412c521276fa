package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/controller"
	"serin/internal/rollout"
)

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

// waiting is a rollout before its start with an item of every kind.
func waiting() controller.View {
	v := fleet()[2]
	hour := func(n float64) time.Time { return fixed.Add(-time.Duration(n * float64(time.Hour))) }
	v.ID, v.Plan, v.State.ID = "admin-users-1", "admin-users", "admin-users-1"
	v.Checklist = []controller.ItemView{
		{ID: "code", Do: "Phases 1-7 complete: code, unit tests, E2E tests", Done: true, Who: "frontend", When: hour(21), Evidence: "https://ci.example/run/8812 412 unit, 38 E2E"},
		{ID: "flag", Do: "Flag adminWorkBench ready", Done: true, When: hour(3), Verify: "flag exists", Holds: yes(), SeenAt: fixed},
		{ID: "sentry", Do: "DSN set, error tracking on", Done: true, When: hour(3), Verify: "telemetry_age < 1h", Holds: yes(), Seen: "41 s", SeenAt: fixed},
		{ID: "rollback", Do: "Rollback plan; legacy code kept", Done: true, When: hour(3), Verify: "path exists src/app/admin/users/legacy/", Holds: yes(), Seen: "true", SeenAt: hour(3)},
		{ID: "team", Do: "Team told in #engineering", Done: true, Who: "team-lead", When: hour(5), Evidence: "javascript:alert(1)"},
		{ID: "on-call", Do: "On-call assigned, first 72 h", Done: true, When: hour(3), Verify: "role filled on-call", Holds: yes(), Seen: "pagerduty:web-primary", SeenAt: fixed},
		{ID: "dashboard", Do: "Monitoring dashboard prepared", Done: true, Who: "on-call", When: hour(2)},
		{ID: "told", Do: "Support knows whom to ask", By: "on-call"},
		{ID: "staging", Do: "Staging tested: manual QA sign-off", By: "qa"},
		{ID: "ci", Do: "The build passed its tests", Verify: "pushed ci = pass", Holds: no(), Stale: true, Seen: "pass", SeenAt: hour(26)},
		{ID: "bundle", Do: "The bundle is small", Verify: "pushed bundle = ok"},
		{ID: "backups", Do: "Production backup automated", By: "on-call", Verify: "backup_age < 24h", Holds: no(), Seen: "31h", SeenAt: fixed},
	}
	v.Before = []controller.ItemView{{ID: "read the runbook", Do: "read the runbook"}}
	v.Users.OldSeen = 208
	v.Actions = every(v.ID, "3", map[rollout.Verb][]string{rollout.Start: {"staging: Staging tested: manual QA sign-off (qa)", "backups: backup_age < 24h does not hold"}})
	return v
}

// tidying is a rollout in its clean-up with a task of every kind.
func tidying() controller.View {
	v := with("admin-tidy-1", rollout.Cleanup, 100)
	v.State.Attempt, v.State.Stage, v.State.CleanupAt = 1, 4, fixed.Add(-10*time.Hour)
	v.Tasks = []controller.ItemView{
		{ID: "legacy", Do: "Delete the old dashboard", Verify: "path gone src/app/admin/users/legacy/", Holds: no(), Seen: "false", SeenAt: fixed.Add(-3 * time.Hour), Irreversible: true},
		{ID: "flag", Do: "Retire the flag", Choose: []controller.ChoiceView{{Key: "a", Text: "export default AdminWorkBench (no flag)"}, {Key: "b", Text: "keep the flag, default on (safer)"}}},
		{ID: "wrapper", Do: "Remove the flag wrapper", If: "flag = a", Idle: true, Verify: "refs gone useAdminWorkBenchFeature", Seen: "false", SeenAt: fixed.Add(-30 * time.Hour)},
		{ID: "later", Do: "Archive the old guides", After: 14 * 24 * time.Hour, Due: fixed.Add(13 * 24 * time.Hour)},
		{ID: "readme", Do: "README: drop the legacy UI; add “AdminWorkBench is now the standard dashboard”", Done: true, Who: "frontend", When: fixed.Add(-time.Hour), Evidence: "https://git.example/commit/41c9d07"},
		{ID: "perf", Do: "npm run test:thresholds", Done: true, Verify: "pushed ci_thresholds = pass", Holds: yes(), Seen: "pass", SeenAt: fixed.Add(-20 * time.Minute)},
		{ID: "docs", Do: "Onboarding docs updated", By: "docs"},
		{ID: "retro", Do: "Post-mortem of every incident", Done: true, Verify: "incidents closed", Holds: yes(), Seen: "0 of 1 open", SeenAt: fixed},
	}
	v.Actions = every(v.ID, "1480", map[rollout.Verb][]string{rollout.Finish: {"legacy: Delete the old dashboard", "flag: Retire the flag", "docs: Onboarding docs updated"}})
	return v
}

// records are rollouts for the pages of lists, with a plan that goes with them.
func records() *fakeRollouts {
	f := withPlan(&fakeRollouts{views: append([]controller.View{waiting(), tidying()}, fleet()...)})
	f.runbook.Phases[0].Before = []string{"read the runbook"}
	f.runbook.Phases[2].Before, f.runbook.Phases[2].Approve = []string{"Review the last 24h", "Stand-up all clear"}, []string{"team-lead"}
	f.entries = append(timeline(),
		controller.Entry{Event: rollout.Event{Pos: 1200, Type: rollout.Completed, By: "ann", Item: "look together", Attempt: 1, Stage: 0, At: fixed.Add(-9 * time.Hour)}},
		controller.Entry{Event: rollout.Event{Pos: 2, Type: rollout.Completed, By: "bob", Item: "read the runbook", At: fixed.Add(-60 * time.Hour)}})
	return f
}

// shows checks that a page has texts and lacks others.
func shows(t *testing.T, body string, want, lacks []string) {
	t.Helper()
	for _, text := range want {
		if !strings.Contains(body, text) {
			t.Errorf("the page does not show %q", text)
		}
	}
	for _, text := range lacks {
		if strings.Contains(body, text) {
			t.Errorf("the page shows %q near %q", text, around(body, strings.Index(body, text)))
		}
	}
	checkMarkup(t, body)
}

func TestChecklistBeforeTheStart(t *testing.T) {
	w := get(t, newWeb(t, records()), "/rollouts/admin-users-1/checklist")
	if w.Code != http.StatusOK || w.Header().Get("Content-Security-Policy") != policy {
		t.Fatalf("status %d, policy %q", w.Code, w.Header().Get("Content-Security-Policy"))
	}
	shows(t, w.Body.String(), []string{
		"7 of 12 completed, 4 of 6 machine checks verified",
		`href="https://ci.example/run/8812"`, "412 unit, 38 E2E", "javascript:alert(1)",
		"Verified just now", "Verified 3h ago", "Stale, 26h ago", "Does not hold", "31h", "verified by serin", "By a person", "Not looked at",
		"waits for qa", "waits to be said again", "waits until it holds", "waits to be told",
		"Start is locked.", "staging: Staging tested: manual QA sign-off (qa)", "lint, line 3: no such channel: configure it",
		"0% to 10%", "about 21 of 208 users", "15m after the start", "pagerduty:web, 72h", "1 rollback rule, from the first user on", "roll back, within 5m",
		`action="/rollouts/admin-users-1/reopen"`, `<option value="told">`, `<option value="read the runbook">`, `name="csrf" value="` + goodCSRF + `"`,
		`aria-current="page">Checklist`, "locked: see what is missing", "read the runbook", "approval of team-lead",
	}, []string{`href="javascript`, `<option value="backups">`, `<option value="staging">`, `<option value="ci">`})
}

// TestChecklistUnderWay: what was done before the stages that are past, what
// is asked now, and nothing to click on the list of the start.
func TestChecklistUnderWay(t *testing.T) {
	body := get(t, newWeb(t, records()), one+"/checklist").Body.String()
	shows(t, body, []string{"Checklist before the start", "Started Wed 19 Feb 09:12.", "Review the last 24h", "Stand-up all clear", "look together", "No user complained",
		"bob", "ann", `data-open="d-confirm"`, `href="/rollouts/admin-workbench-1/confirm?item=No&#43;user&#43;complained&amp;back=checklist"`, `<option value="Review the last 24h">`},
		[]string{"Ready to start?", `?item=backup&amp;back`})
}

// TestChecklistOfNothing: a plan without lists, and one that cannot be read.
func TestChecklistOfNothing(t *testing.T) {
	bare := controller.View{ID: "bare-1", Plan: "bare", State: rollout.State{Status: rollout.Preflight}, Actions: every("bare-1", "1", nil)}
	f := &fakeRollouts{views: []controller.View{bare}}
	body := get(t, newWeb(t, f), "/rollouts/bare-1/checklist").Body.String()
	shows(t, body, []string{"Plan has no checklist.", "No stage of the plan asks people for anything.", "Ready."}, []string{"Start is locked"})
	f.unread = &rollout.Refusal{Why: "nobody knows what the plan says"}
	shows(t, get(t, newWeb(t, f), "/rollouts/bare-1/checklist").Body.String(), []string{"Nobody knows what the plan says."}, []string{"What start does"})
	shows(t, get(t, newWeb(t, f), "/rollouts/bare-1/cleanup").Body.String(), []string{"Nobody knows what the plan says.", "Plan has no clean-up tasks"}, nil)
}

func TestCleanup(t *testing.T) {
	body := get(t, newWeb(t, records()), "/rollouts/admin-tidy-1/cleanup").Body.String()
	shows(t, body, []string{
		"3 of 7 done, 1 not chosen", "“Delete the old dashboard” is the point of no return", "counts as done as soon as serin is told",
		`name="to" value="a"`, "Then also: Remove the flag wrapper", "Record the choice", "Only with A", "Not yet due", "waits until Thu 6 Mar 12:12",
		"Finish is locked.", "docs: Onboarding docs updated", "2 of 2 facts received, last 3h ago, 1 stale", "Still there", "no way back after it",
		"serin facts DIR --plan admin-tidy.yaml", "serin scan DIR --plan admin-tidy.yaml", "serin rollout complete admin-tidy-1 flag --choose a",
		`href="https://git.example/commit/41c9d07"`, `aria-current="page">Clean-up`, "waits for docs",
	}, []string{"No facts about the code", "has not begun"})
}

// TestCleanupElsewhere: the page says when the clean-up begins, that it is
// over, and that nothing was received.
func TestCleanupElsewhere(t *testing.T) {
	f := records()
	chosen := tidying()
	chosen.Tasks[1].Done, chosen.Tasks[1].Choice, chosen.Tasks[1].Who, chosen.State.Irreversible = true, "b", "ann", true
	chosen.Tasks[0].Done, chosen.Tasks[0].When, chosen.Tasks[0].Seen, chosen.Tasks[2].Seen = true, fixed.Add(-time.Hour), "", ""
	f.views[1] = chosen
	shows(t, get(t, newWeb(t, f), "/rollouts/admin-tidy-1/cleanup").Body.String(),
		[]string{"Chosen: b", "Choose again", "The point of no return is passed", "git revert $commit", "No facts about the code were received yet", "Not received", "never received"}, []string{"Record the choice"})
	early := full()
	early.Tasks = tidying().Tasks
	f.views[2] = early
	shows(t, get(t, newWeb(t, f), one+"/cleanup").Body.String(),
		[]string{"The clean-up has not begun.", "at the earliest on", "2025-02-26T12:12:00Z", "it is chosen in the clean-up", "To come"}, []string{"Record the choice", `data-item="legacy"`})
	done := chosen
	done.State.Status, done.State.FinishedAt = rollout.Done, fixed
	f.views[1] = done
	shows(t, get(t, newWeb(t, f), "/rollouts/admin-tidy-1/cleanup").Body.String(), []string{"Finished Fri 21 Feb 12:12.", "The rollout has ended"}, []string{"Finish is locked", "Choose again"})
}

// TestItemForms: what each item's own page asks, and where its form returns to.
func TestItemForms(t *testing.T) {
	s := newWeb(t, records())
	for path, want := range map[string][]string{
		"/rollouts/admin-users-1/complete?item=staging&back=checklist": {"the role qa", "disabled", `href="/rollouts/admin-users-1/checklist"`},
		"/rollouts/admin-users-1/complete?item=backups":                {"backup_age &lt; 24h does not hold", "disabled"},
		"/rollouts/admin-users-1/complete?item=told&back=checklist":    {`name="back" value="checklist"`, `<option value="told" selected>`},
		"/rollouts/admin-users-1/complete?item=told&back=//evil":       {`href="/rollouts/admin-users-1" data-close`},
		"/rollouts/admin-tidy-1/complete?item=flag":                    {"Choose: Retire the flag", `<select class="inp" id="complete-to" name="to" required>`, "b: keep the flag, default on (safer)"},
		"/rollouts/admin-tidy-1/complete?item=legacy":                  {"Pass the point of no return?", `data-confirm="admin-tidy-1"`, "path gone src/app/admin/users/legacy/ does not hold"},
		"/rollouts/admin-tidy-1/complete?item=later":                   {"it is not due before Thu 6 Mar 12:12 UTC"},
	} {
		w := get(t, s, path)
		if w.Code != http.StatusOK {
			t.Errorf("%s: status %d", path, w.Code)
		}
		shows(t, w.Body.String(), want, nil)
	}
}

func TestItemActions(t *testing.T) {
	may := onCall().person.May
	plain := controller.ItemView{ID: "legacy", Do: "Delete it", Irreversible: true}
	tests := []struct {
		name, path, back string
		form             url.Values
		code             int
		want             *rollout.Command
	}{
		{"evidence", "/rollouts/admin-users-1/complete", "/rollouts/admin-users-1/checklist?done=complete", url.Values{"item": {"told"}, "evidence": {" https://x "}, "back": {"checklist"}}, 303,
			&rollout.Command{Verb: rollout.Complete, Item: "told", Evidence: "https://x"}},
		{"reopen", "/rollouts/admin-users-1/reopen", "/rollouts/admin-users-1/checklist?done=reopen", url.Values{"item": {"code"}, "back": {"checklist"}}, 303, &rollout.Command{Verb: rollout.Reopen, Item: "code"}},
		{"choice", "/rollouts/admin-tidy-1/complete", "/rollouts/admin-tidy-1/cleanup?done=complete", url.Values{"item": {"flag"}, "to": {"b"}, "back": {"cleanup"}}, 303, &rollout.Command{Verb: rollout.Complete, Item: "flag", To: "b"}},
		{"back to elsewhere", "/rollouts/admin-users-1/complete", "/rollouts/admin-users-1?done=complete", url.Values{"item": {"told"}, "back": {"//evil.example"}}, 303, &rollout.Command{Verb: rollout.Complete, Item: "told"}},
		{"no way back, not typed", "/rollouts/admin-tidy-1/complete", "", url.Values{"item": {"legacy"}, "back": {"cleanup"}}, 422, nil},
		{"no way back, typed", "/rollouts/admin-tidy-1/complete", "/rollouts/admin-tidy-1/cleanup?done=complete", url.Values{"item": {"legacy"}, "typed": {"admin-tidy-1"}, "back": {"cleanup"}}, 303,
			&rollout.Command{Verb: rollout.Complete, Item: "legacy"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := records()
			f.views[1].Tasks[0] = plain
			tt.form.Set("csrf", goodCSRF)
			w := post(t, newWeb(t, f), tt.path, tt.form)
			if got := w.Header().Get("Location"); w.Code != tt.code || got != tt.back {
				t.Errorf("answered %d to %q, want %d to %q", w.Code, got, tt.code, tt.back)
			}
			if tt.want == nil {
				if len(f.commands) > 0 || !strings.Contains(w.Body.String(), "there is no rollback any more") {
					t.Errorf("did %+v", f.commands)
				}
				return
			}
			tt.want.By, tt.want.Role, tt.want.May, tt.want.Via = "on-call", "on-call", may, "web"
			if diff := cmp.Diff([]rollout.Command{*tt.want}, f.commands); diff != "" {
				t.Error(diff)
			}
		})
	}
	f := records()
	if w := post(t, newWeb(t, f), "/rollouts/admin-users-1/complete", url.Values{"item": {"told"}, "csrf": {"other"}}); w.Code != http.StatusForbidden || len(f.commands) > 0 {
		t.Errorf("another session's token: status %d, did %v", w.Code, f.commands)
	}
}

// TestReader: who may only read finds the buttons locked and no form.
func TestReader(t *testing.T) {
	s := newWebFor(t, records(), &fakeSessions{Person{Name: "guest", Scopes: []string{"read"}}})
	for _, path := range []string{"/rollouts/admin-users-1/checklist", "/rollouts/admin-tidy-1/cleanup"} {
		shows(t, get(t, s, path).Body.String(), []string{"locked: see what is missing"}, []string{"Record the choice", "/reopen", `id="open-item"`})
	}
}

// TestRoleOfNobody: who is signed in without a role may hold one by a handle
// of the plan, so nothing is locked that the server decides.
func TestRoleOfNobody(t *testing.T) {
	for _, p := range []Person{{Name: "quinn", Handles: []string{"qa"}, Scopes: []string{"operate"}}, {Name: "root", Role: "admin", Scopes: []string{"admin"}}} {
		s := newWebFor(t, records(), &fakeSessions{person: p})
		shows(t, get(t, s, "/rollouts/admin-users-1/checklist").Body.String(), []string{`<option value="staging">`}, nil)
		shows(t, get(t, s, "/rollouts/admin-users-1/complete?item=staging").Body.String(), nil, []string{"the role qa", "disabled"})
	}
}

func TestEvidence(t *testing.T) {
	for text, want := range map[string]proof{
		"https://ci.example/run/1 all green": {URL: "https://ci.example/run/1", Link: "ci.example/run/1", Note: "all green"},
		"see http://x.example/":              {URL: "http://x.example/", Link: "x.example", Note: "see"},
		"javascript:alert(1)":                {Note: "javascript:alert(1)"},
		"data:text/html,hi":                  {Note: "data:text/html,hi"},
		"https:///path":                      {Note: "https:///path"},
		"https://user:secret@host.example/":  {Note: "https://user:secret@host.example/"},
		" a note ":                           {Note: "a note"},
		"":                                   {},
	} {
		if got := evidenceOf(text); got != want {
			t.Errorf("%q: got %+v, want %+v", text, got, want)
		}
	}
}
