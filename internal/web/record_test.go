package web

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"serin/internal/controller"
	"serin/internal/judge"
	"serin/internal/rollout"
	"serin/internal/store"
)

// explained is a decision that waited for a criterion.
func explained() controller.Explanation {
	rule := func(v judge.Verdict, decides bool, note string) rollout.Ruling {
		return rollout.Ruling{Verdict: v, Decides: decides, Note: note}
	}
	v := full()
	clear := func(name, text string) rollout.Look {
		return rollout.Look{Name: name, Outcome: rollout.Clear, Text: text}
	}
	return controller.Explanation{Rollout: v.ID, First: 1490, Last: 1491, At: fixed.Add(-22 * time.Minute), Earlier: 1489, Later: 1492, PlanHash: "ab12", Revision: 7,
		Before: controller.Standing{Status: rollout.Running, Stage: "ramp-25", Traffic: 25}, After: controller.Standing{Status: rollout.Running, Stage: "ramp-25", Traffic: 25},
		Stored: true, Same: true, Sentence: "Why still at 25%: criteria new_issues", Decided: "criteria",
		Steps: []rollout.Look{
			{Name: "rollback", Outcome: rollout.Clear, Text: "none of 4 is met", Rules: []rollout.Ruling{rule(v.Rollback[0], false, ""), rule(v.Rollback[1], false, ""), rule(v.Rollback[3], false, "dry: it never counts")}},
			{Name: "silence", Outcome: rollout.Skipped, Text: "the plan does not say that silence rolls back"},
			clear("status", "running at ramp-25 25%"), clear("no data", "data is arriving"), clear("unattributed", "2.1% of telemetry, more than 5% would wait"), clear("bake", "24h/24h"),
			{Name: "criteria", Outcome: rollout.Decided, Text: "criteria new_issues", Rules: []rollout.Ruling{rule(v.Proceed[0], false, ""), rule(v.Proceed[1], true, ""), rule(v.Proceed[4], false, ""), rule(v.Proceed[5], false, "")}},
			{Name: "evidence", Outcome: rollout.Holds, Text: "evidence satisfaction", Rules: []rollout.Ruling{rule(v.Proceed[5], true, "")}},
			clear("incident", "none is open"), clear("window", "open"), {Name: "approval", Outcome: rollout.Holds, Text: "approval team-lead"}, {Name: "advance", Outcome: rollout.Skipped, Text: "next is ramp-50 50%"},
		},
		Next:   []string{"evidence satisfaction", "approval team-lead"},
		Events: []controller.Entry{{Event: rollout.Event{Pos: 1490, Type: rollout.Checked, At: fixed.Add(-22 * time.Minute), Red: []string{"new_issues = 0"}}, Title: "Check 12: 1 rule not met", Text: "new_issues = 0"}},
		Input:  &controller.ExplainedInput{NewUsers: 52, OldUsers: 156, Unattributed: .021, Covered: 5 * time.Minute, Facts: map[string]bool{"a": true, "b": false}},
	}
}

const whyPage = one + "/explain?at=1490"

func TestExplainPage(t *testing.T) {
	f := records()
	f.why = explained()
	w := get(t, newWeb(t, f), whyPage)
	if w.Code != http.StatusOK || f.moment != "1490" || w.Header().Get("Content-Security-Policy") != policy {
		t.Fatalf("status %d, asked for %q", w.Code, f.moment)
	}
	body := w.Body.String()
	shows(t, body, []string{"Why still at 25%: criteria new_issues", "Positions 1490 to 1491 of the journal", "plan revision 7", "Computed again: same events", "running at ramp-25, 25%",
		`href="/rollouts/admin-workbench-1/explain?at=1489"`, `href="/rollouts/admin-workbench-1/explain?at=1492"`, "Would hold too", "Not looked at", "Rollback rules", "none of 4 is met",
		"4 rules: 2 met, 1 not met, 1 unknown", "1 new error pattern on canary only", "dry: it never counts", "Evidence satisfaction", "<small>satisfaction</small>", "Check 12: 1 rule not met", "1 of 2 hold", "2.1%",
		"serin rollout explain admin-workbench-1 --at 1490", `aria-current="page">Journal`}, nil)
	if strings.Index(body, ">Rollback rules<") > strings.Index(body, ">Criteria<") {
		t.Error("the steps are not in the order of looking")
	}
	if n := strings.Count(body, `aria-current="step"`); n != 1 {
		t.Errorf("%d steps decided, want 1", n)
	}
	if frag := get(t, newWeb(t, f), whyPage+"&fragment=page"); !strings.Contains(body, frag.Body.String()) || frag.Body.Len() < 500 {
		t.Error("the fragment is no part of the page")
	}
}

// TestExplainStates: now, without stored inputs, with differences, raised by a person.
func TestExplainStates(t *testing.T) {
	now := explained()
	now.Now, now.First, now.Last, now.Later, now.Events = true, 0, 0, 0, nil
	bare := explained()
	bare.Stored, bare.Missing, bare.Steps, bare.Input = false, "what this decision rested on was not stored", []rollout.Look{}, nil
	other := explained()
	other.Same, other.Differences = false, []string{"checked: N is 12, computed 13"}
	raised := explained()
	raised.After, raised.Steps = controller.Standing{Status: rollout.Running, Stage: "ramp-50", Traffic: 50}, []rollout.Look{{Name: "command", Outcome: rollout.Decided, Text: "promote by ann: done"}, {Name: "new one", Outcome: "odd"}}
	for _, gate := range []string{"no data", "bake", "advance"} {
		raised.Steps = append(raised.Steps, rollout.Look{Name: gate, Outcome: rollout.Skipped, Text: "only a running rollout rises"})
	}
	raised.Decided, raised.Next = "command", []string{"what stood before"}
	raised.Command = &controller.CommandView{Verb: rollout.Promote, By: "ann", Role: "team-lead", Via: "cli", Reason: "launch day"}
	for name, tt := range map[string]struct {
		x           controller.Explanation
		want, lacks []string
	}{
		"now":       {now, []string{"What the next look would decide", "As of now", "What would be journalled", "it goes on waiting"}, []string{"Later decision", "Computed again", "osition 0"}},
		"bare":      {bare, []string{"Inputs not stored", "What this decision rested on was not stored.", "The looks were not stored."}, []string{"What was known besides"}},
		"different": {other, []string{"Computed again: other events", "checked: N is 12, computed 13"}, []string{"same events"}},
		"raised":    {raised, []string{"running at ramp-50, 50%", "What a person asked for", "promote by ann: done", "launch day", "New one", "Odd", "3 more, not looked at"}, []string{"What would come next"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := records()
			f.why = tt.x
			shows(t, get(t, newWeb(t, f), whyPage).Body.String(), tt.want, tt.lacks)
		})
	}
}

func TestExplainRefusals(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code int
		want string
	}{
		{store.ErrNotFound, 404, "no such decision"},
		{&rollout.Refusal{Kind: rollout.Missing, Why: "at \"x\": write a position"}, 422, "write a position"},
		{&rollout.Refusal{Kind: rollout.Barred, Why: "the plan of that time cannot be read"}, 409, "The plan of that time cannot be read."},
		{errors.New("disk is gone"), 500, "Something failed"},
	} {
		f := records()
		f.noWhy = tt.err
		if w := get(t, newWeb(t, f), one+"/explain?at=x"); w.Code != tt.code || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%v: status %d, want %d and %q", tt.err, w.Code, tt.code, tt.want)
		}
	}
}

// TestExplainLinks: every row of the journal and the sentence of the overview
// lead to what explains them.
func TestExplainLinks(t *testing.T) {
	s := newWeb(t, records())
	shows(t, get(t, s, one+"/journal").Body.String(), []string{`href="/rollouts/admin-workbench-1/explain?at=1490"`, `href="/rollouts/admin-workbench-1/explain?at=1"`}, nil)
	shows(t, get(t, s, one).Body.String(), []string{`href="/rollouts/admin-workbench-1/explain">Why?`}, nil)
}

// reported is the report of a rollout with something in every part.
func reported() controller.Report {
	h := time.Hour
	at := func(days float64) time.Time { return fixed.Add(-time.Duration(days * 24 * float64(h))) }
	part := func(key, words string, d time.Duration) controller.ReportPart {
		return controller.ReportPart{Key: key, Words: words, Time: d, Share: float64(d) / float64(216*h)}
	}
	rule := func(title, rule, value, limit, word, why string, near bool) controller.ReportRule {
		return controller.ReportRule{Title: title, Rule: rule, Metric: "m", Value: value, Limit: limit, Word: word, Why: why, Near: near}
	}
	stage := func(name string, pct float64, from float64, wall, bake time.Duration, end, words string, rest ...controller.ReportPart) controller.ReportStage {
		return controller.ReportStage{Name: name, Traffic: pct, Began: at(from), Wall: wall, Bake: bake, Planned: bake, Rest: rest, Checks: 60, End: end, Words: words}
	}
	first := stage("canary", 10, 9, 30*h, 30*h, "rolled_back", "rolled back: p1 6 over 1h, limit 5")
	first.Planned, first.RedChecks = 48*h, 2
	return controller.Report{Rollout: "admin-tidy-1", Plan: "admin-tidy", Revision: 7, Title: "New dashboard", Flag: "adminWorkBench", Timezone: "UTC", Status: rollout.Cleanup, Outcome: controller.OutcomeCleaning,
		Headline: "Successful: 5 of 6 rules met, 2 of 3 confirmations; 3 clean-up tasks are open", At: fixed, Started: at(9), Full: at(3),
		Numbers: controller.ReportSum{ToFull: 135 * h, Wall: 216 * h, Planned: 207 * h, Checks: 304, RedChecks: 2, Stood: 69 * time.Minute, Rollbacks: 1, Overrides: 1, Attempts: 2},
		People:  []controller.ReportPerson{{Name: "ann", Roles: []string{"team-lead"}, Actions: 12}, {Name: "bob", Actions: 1}},
		Attempts: []controller.ReportAttempt{
			{Number: 1, Began: at(9), Ended: at(7.75), End: "rolled back: p1 6 over 1h, limit 5", Stages: []controller.ReportStage{first}},
			{Number: 2, Began: at(6.75), Cause: "null check", Stages: []controller.ReportStage{stage("canary", 10, 6.75, 48*h, 48*h, "advanced", "advanced"),
				stage("ramp-50", 50, 4.75, 39*h, 24*h, "overridden", "overridden by ann", part("waiting:window", "waiting for the window", 14*h+35*time.Minute), part("paused", "paused", 25*time.Minute)),
				stage("stabilization", 100, 3, 72*h, 72*h, "advanced", "advanced")}}},
		Success: controller.ReportSuccess{Stage: "stabilization", Judged: true, Note: "as of the end of stabilization", Met: 4, Unknown: 1, NotMet: 1, Rules: []controller.ReportRule{
			rule("Errors, total", "errors < 5", "3", "< 5", "met", "3 of at most 5 over 72h", false), rule("Database p95", "db_p95 < 200ms", "188ms", "< 200ms", "met", "188 ms in 143,902 spans", true),
			rule("LCP against reference", "lcp <= +5% vs reference", "+1.4%", "<= +5%", "met", "−0.6% to +3.3% in 19,870 loads", false), rule("Satisfaction", "satisfaction > 4.5", "", "> 4.5", "unknown", "needs data: 23 of 50 answers", false),
			rule("P1 errors", "p1 = 0", "1", "= 0", "not met", "1 error", false), rule("Adoption", "adoption > 98%", "98.6%", "> 98%", "met", "205 of 208 admins", false)}},
		Confirmed: []controller.ReportMark{{Attempt: 2, Stage: "stabilization", Item: "The feature works as designed", By: "qa", Role: "qa", At: at(.2), Evidence: "https://ci.example/9 41 s to 26 s"}, {Attempt: 2, Stage: "stabilization", Item: "Surveys are positive", Open: true}},
		Time: controller.ReportTime{Wall: 216 * h, Sum: "216h = bake 174h + waiting for the window 14h 35m + paused 25m + rolled back 24h + down 3h", Parts: []controller.ReportPart{part("bake", "bake", 174*h), part("waiting:window", "waiting for the window", 14*h+35*time.Minute),
			part("paused", "paused", 25*time.Minute), part("rolled_back", "rolled back", 24*h), part("down", "down", 3*h)}},
		Clock: []controller.ReportClock{{Action: "rollback", Pos: 120, At: at(7.75), Limit: 5 * time.Minute, Served: 1400 * time.Millisecond, State: "in time", Words: "published after 0.1 s, served after 1.4 s, within 5m"},
			{Action: "reduce", Pos: 130, At: at(5), By: "ann", State: "no client", Words: "no client has fetched the flag since"}},
		Limits: []controller.ReportLimit{{Action: "rollback", Words: "flag off for everybody", Limit: 5 * time.Minute, Used: 1, Worst: 1400 * time.Millisecond}, {Action: "reduce", Words: "to 1%", Limit: 15 * time.Minute, Used: 1},
			{Action: "revert", Words: "the code, by hand", Limit: 2 * time.Minute}},
		Overrides: []controller.ReportOverride{{Attempt: 2, From: "ramp-50", To: "stabilization", By: "ann", Role: "team-lead", At: at(3), Reason: "launch day", Bake: 24 * h, Planned: 30 * h, Passed: []controller.ReportRule{rule("", "lcp < 2.5s", "", "", "unknown", "", false)}}},
		Accepted:  []controller.ReportMark{{Attempt: 2, Stage: "ramp-50", By: "ann", Reason: "too few users to prove it", At: at(3.1)}},
		Incidents: []controller.ReportIncident{{ID: "INC-44", Opened: at(5), Resolved: at(4.9), Closed: at(4), By: "on-call", Words: []string{"pool of globex at 83%"}}},
		Attribution: &controller.ReportAttribution{At: fixed, Stage: "stabilization", Known: .987, Events: 48211, Words: "98.7% of 48,211 events are known to be new or old.",
			Data: judge.Data{Unattributed: .013, Conflicts: .0002}},
		Notices:   controller.ReportNotices{Sent: 40, Failed: 1, Lost: []controller.ReportLost{{Title: "Promoted", Channel: "slack:#x", At: at(2), Error: "410 gone"}}},
		Revisions: []controller.ReportRevision{{Number: 1, At: at(10), By: "ci"}, {Number: 2, At: at(7), By: "ann", Reason: "a tighter limit", Looser: true, Changes: []string{"proceed: lcp < 2.5s was lcp < 2.3s"}}},
		Timeline:  timeline(),
		Cleanup: controller.ReportCleanup{Began: at(.4), Done: 1, Open: 1, Tasks: []controller.ReportTask{{ID: "legacy", Do: "Delete the old dashboard", Irreversible: true}, {ID: "flag", Do: "Retire the flag", Done: true, By: "ann", At: at(.1), Choice: "b"},
			{ID: "wrapper", Do: "Remove the wrapper", Idle: true}}},
	}
}

const reportPage = "/rollouts/admin-tidy-1/report"

func TestReportPage(t *testing.T) {
	f := records()
	f.report = reported()
	w := get(t, newWeb(t, f), reportPage)
	if w.Code != http.StatusOK || w.Header().Get("Content-Security-Policy") != policy {
		t.Fatalf("status %d, policy %q", w.Code, w.Header().Get("Content-Security-Policy"))
	}
	shows(t, w.Body.String(), []string{"Successful: 5 of 6 rules met", "As of Fri 21 Feb 12:12 UTC, plan revision 7", "5d 15h", "9d", "bakes 8d 15h", "304", "2 red", "2 attempts, 1 override",
		"4 of 6 met, 1 not met, 1 unknown", "Met, near", "3 of at most 5 over 72h", "as of the end of stabilization", "Confirmed by a person", "The feature works as designed", `href="https://ci.example/9"`,
		"216h = bake 174h &#43; waiting", "80.6%", "Attempt 1: rolled back: p1 6 over 1h, limit 5", "the window 14h 35m, paused 25m", "30h of 48h", "Sum of the stages", "189h",
		"1.4 s", "In time", "No client", `href="/rollouts/admin-tidy-1/explain?at=120"`, "passed: bake 24h of 30h", "passed: lcp &lt; 2.5s: unknown", "launch day", "too few users to prove it",
		"INC-44", "opened Sun 16 Feb 12:12 by on-call, resolved after 2h 24m", "98.7% known", "48,211", "chosen: b", "Not chosen", "proceed: lcp &lt; 2.5s was lcp &lt; 2.3s", "looser", "team-lead, 12 actions", "410 gone",
		`href="/rollouts/admin-tidy-1/report.md"`, `href="/rollouts/admin-tidy-1/report.html"`, `href="/rollouts/admin-tidy-1/report.json"`, `aria-current="page">Report`, "<h2>Successful"}, []string{"Nothing changes it any more"})
	f.report.Final, f.report.Outcome = true, controller.OutcomeSucceeded
	shows(t, get(t, newWeb(t, f), reportPage).Body.String(), []string{"Final report, as of", "Nothing changes it any more", `class="verdict pass"`, "Start to end"}, nil)
}

// TestReportOfNothing: before the start, and where the plan cannot be read.
func TestReportOfNothing(t *testing.T) {
	f := records()
	f.report = controller.Report{Rollout: "admin-users-1", Plan: "admin-users", Outcome: controller.OutcomePreflight, Headline: "Not started", At: fixed, Revision: 1}
	shows(t, get(t, newWeb(t, f), "/rollouts/admin-users-1/report").Body.String(), []string{"Nothing is judged yet", "It has not started.", "No way back was taken.", "None: every raise had all of its gates.", "Nothing was measured.", "None was opened."}, nil)
	f.unread = &rollout.Refusal{Why: "nobody knows what the plan says"}
	shows(t, get(t, newWeb(t, f), reportPage).Body.String(), []string{"Nobody knows what the plan says."}, []string{"Success criteria"})
}

// withRecordAttack makes every text of explanation and report an attack or too long.
func withRecordAttack(f *fakeRollouts) *fakeRollouts {
	bad := `"><script>alert(1)</script>` + strings.Repeat("x", 3000)
	all := []string{bad, ""}
	worst := judge.Verdict{Rule: bad, Metric: bad, Why: bad, Unit: bad, Value: num(math.NaN()), Limit: math.Inf(-1)}
	f.why = controller.Explanation{First: -1, Last: 3, Earlier: 5, Later: -2, Before: controller.Standing{Status: rollout.Status(bad), Stage: bad, Traffic: math.NaN()}, Stored: true, Differences: all, Missing: bad, Sentence: bad, Next: all,
		Steps:   []rollout.Look{{Name: bad, Outcome: rollout.Outcome(bad), Text: bad, Rules: []rollout.Ruling{{Verdict: worst, Decides: true, Note: bad}, {}}}, {}},
		Command: &controller.CommandView{Verb: rollout.Verb(bad), By: bad, Role: bad, Via: bad, Reason: bad}, Events: []controller.Entry{{Title: bad, Text: bad}, {}},
		Input: &controller.ExplainedInput{Unattributed: math.NaN(), Covered: -time.Hour, Facts: map[string]bool{bad: true}}}
	rule := controller.ReportRule{Rule: bad, Metric: bad, Title: bad, Value: bad, Limit: bad, Word: bad, Why: bad}
	mark := controller.ReportMark{Attempt: 9, Stage: bad, Item: bad, By: bad, Role: bad, Reason: bad, Evidence: "javascript:" + bad}
	parts := []controller.ReportPart{{Key: bad, Words: bad, Time: -time.Hour, Share: math.NaN()}, {Share: math.Inf(1)}}
	stage := controller.ReportStage{Name: bad, Traffic: math.NaN(), Wall: -1, Rest: parts, End: bad, Words: bad, By: bad, Reason: bad}
	f.report = controller.Report{Rollout: bad, Plan: bad, Outcome: controller.ReportOutcome(bad), Headline: bad, People: []controller.ReportPerson{{Name: bad, Roles: all}, {}},
		Attempts: []controller.ReportAttempt{{End: bad, Stages: []controller.ReportStage{stage, {}}}, {}}, Success: controller.ReportSuccess{Note: bad, Rules: []controller.ReportRule{rule, {}}},
		Confirmed: []controller.ReportMark{mark, {}}, Accepted: []controller.ReportMark{mark, {}}, Time: controller.ReportTime{Parts: parts, Sum: bad},
		Clock: []controller.ReportClock{{Action: bad, By: bad, State: bad, Words: bad, Pos: 4}, {}}, Limits: []controller.ReportLimit{{Action: bad, Words: bad, Limit: -1, Used: 3}, {}},
		Overrides: []controller.ReportOverride{{From: bad, To: bad, By: bad, Role: bad, Reason: bad, Planned: 1, Passed: []controller.ReportRule{rule, {}}}, {}}, Incidents: []controller.ReportIncident{{ID: bad, By: bad, Words: all}, {}},
		Attribution: &controller.ReportAttribution{Stage: bad, Known: math.NaN(), Words: bad, Data: judge.Data{Conflicts: math.NaN()}}, Notices: controller.ReportNotices{Lost: []controller.ReportLost{{Title: bad, Channel: bad, Error: bad}, {}}},
		Revisions: []controller.ReportRevision{{By: bad, Reason: bad, Changes: all}, {}}, Timeline: []controller.Entry{{Title: bad, Text: bad}, {}},
		Cleanup: controller.ReportCleanup{Tasks: []controller.ReportTask{{ID: bad, Do: bad, By: bad, Evidence: bad, Choice: bad, Done: true}, {}}}}
	return f
}

// TestReportFiles: three downloads, to people who are signed in only.
func TestReportFiles(t *testing.T) {
	f := records()
	f.report = reported()
	s := newWeb(t, f)
	for form, want := range map[string][2]string{"md": {"text/markdown", "# "}, "html": {"text/html", "<html"}, "json": {"application/json", `"outcome": "cleaning_up"`}} {
		w := get(t, s, reportPage+"."+form)
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), want[0]) || !strings.Contains(w.Body.String(), want[1]) ||
			w.Header().Get("Content-Disposition") != `attachment; filename="report-admin-tidy-1.`+form+`"` {
			t.Errorf("%s: status %d, %s, %s, %d bytes", form, w.Code, w.Header().Get("Content-Type"), w.Header().Get("Content-Disposition"), w.Body.Len())
		}
	}
	r := httptest.NewRequest(http.MethodGet, reportPage+".json", nil)
	w := httptest.NewRecorder()
	if s.routes().ServeHTTP(w, r); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/login?next=%2Frollouts%2Fadmin-tidy-1%2Freport.json" {
		t.Errorf("without a session: status %d to %q", w.Code, w.Header().Get("Location"))
	}
	f.unread = &rollout.Refusal{Why: "nobody knows"}
	if w := get(t, s, reportPage+".md"); w.Code != http.StatusConflict {
		t.Errorf("no plan: status %d", w.Code)
	}
}
