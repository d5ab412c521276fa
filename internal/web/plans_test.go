package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"serin/internal/backtest"
	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/simulate"
	"serin/internal/store"
)

// fakePlans are the plans that fakeRollouts serves.
type fakePlans struct {
	baselines controller.BaselineReport
	measured  *simulate.Figures
	backtest  backtest.Result
	tried     []controller.BacktestOf
	no        error // of a backtest
	imported  []controller.BaselineImport
	notTaken  error // answer of ImportBaseline
	plans     []controller.PlanSummary
	text      controller.PlanText
	diff      controller.PlanDiff
	drafts    []string // compared
	created   []string // sources
	revised   []string // sources
	notDone   error    // answer of Create and Revise
	unreached error    // answer of every read
}

func (f *fakeRollouts) Plans(context.Context) ([]controller.PlanSummary, error) {
	return f.on.plans, cmp.Or(f.on.unreached, f.err)
}

func (f *fakeRollouts) Plan(_ context.Context, name string, number int) (controller.PlanText, error) {
	if name != f.on.text.Name || number > 0 && number != f.on.text.Number {
		return controller.PlanText{}, store.ErrNotFound
	}
	return f.on.text, cmp.Or(f.on.unreached, f.err)
}

func (f *fakeRollouts) ComparePlans(_ context.Context, name string, from, to int) (controller.PlanDiff, error) {
	if name != f.on.diff.Plan || max(from, to) > 9 {
		return controller.PlanDiff{}, store.ErrNotFound
	}
	return f.on.diff, cmp.Or(f.on.unreached, f.err)
}

func (f *fakeRollouts) CompareDraft(_ context.Context, name string, _ int, draft []byte) (controller.PlanDiff, error) {
	f.on.drafts = append(f.on.drafts, string(draft))
	d, err := f.ComparePlans(context.Background(), name, 0, 0)
	d.To = controller.PlanSide{Check: d.To.Check, End: d.To.End, Source: string(draft)}
	return d, err
}

func (f *fakeRollouts) Create(_ context.Context, _ string, source []byte, by, via string) (controller.Result, error) {
	f.on.created = append(f.on.created, by+" "+via+" "+string(source))
	return controller.Result{State: rollout.State{ID: "checkout-2"}}, f.on.notDone
}

func (f *fakeRollouts) Revise(_ context.Context, id string, source []byte, c rollout.Command) (controller.Result, error) {
	f.commands = append(f.commands, c)
	f.on.revised = append(f.on.revised, id+" "+string(source))
	return controller.Result{}, f.on.notDone
}

const (
	textBefore = "serin: 1 # format\nplan: admin-workbench\ntimezone: UTC\nflag: { key: \"adminWorkBench\" }\nstages:\n  - stage: canary\n    traffic: 10%\n    bake: 48h\n  - stage: full\n    traffic: 100%\n    at: \"00:00\"\nrollback:\n  - p1 > 5 over 1h\n"
	textAfter  = "serin: 1 # format\nplan: admin-workbench\ntimezone: UTC\nflag: { key: \"adminWorkBench\" }\nstages:\n  - stage: canary\n    traffic: 10%\n    bake: 48h\n  - stage: full\n    traffic: 100%\n    at: \"09:00\"\n    approve: lead\nrollback:\n  - p1 > 10 over 1h\n"
)

// planned is a server with a plan, two versions compared and a rollout under way.
func planned() *fakeRollouts {
	found := []plan.Problem{
		{Line: 3, Column: 1, Severity: plan.Warning, Code: "W13", What: "no control at 100 %", Fix: "holdback: 10%", Excerpt: "timezone: UTC"},
		{Line: 13, Column: 5, Severity: plan.Error, Code: "E14", What: `channel "page": the server has none`, Fix: "configure it", Excerpt: "  - p1 > 5 over 1h"},
	}
	check := controller.PlanCheck{Errors: 1, Warnings: 1, Problems: found, Skipped: []string{"W15"}}
	day := 24 * time.Hour
	cal := &controller.Calendar{Timezone: "UTC", Raise: []string{"daily 00:00-24:00"}, Assumes: "it is started now", From: fixed, End: fixed.Add(6 * day), Events: []controller.CalendarEvent{
		{At: fixed, Kind: plan.StageStart, Stage: "canary", Traffic: 10, Owner: []string{"on-call (@ann)"}},
		{At: fixed, Kind: plan.StageCheck, Stage: "canary", Traffic: 10, Checks: 192, Text: "canary: checks every 15m for 48h, 192 in all"},
		{At: fixed.Add(2 * day), Kind: plan.StageBaked, Stage: "canary", Traffic: 10},
		{At: fixed.Add(3 * day), Kind: plan.StageStart, Stage: "full", Traffic: 100, Wait: day, Approve: []string{"lead"}},
		{At: fixed.Add(6 * day), Kind: plan.StageBaked, Stage: "full", Traffic: 100},
	}}
	versions := []store.PlanVersion{{Name: "admin-workbench", Number: 2, Hash: "b", At: fixed.Add(-time.Hour)}, {Name: "admin-workbench", Number: 1, Hash: "a", At: fixed.Add(-30 * day)}}
	rollouts := []controller.PlanRollout{{ID: "admin-workbench-2", Status: rollout.Cancelled, Version: 2}, {ID: "admin-workbench-1", Status: rollout.Running, Exposure: 25, Version: 1}}
	f := &fakeRollouts{views: fleet()}
	f.on.plans = []controller.PlanSummary{
		{PlanVersion: versions[0], Title: "New admin dashboard", Flag: "adminWorkBench", Stages: 2, Check: check, Versions: 2, Rollouts: append(rollouts, rollouts...)},
		{PlanVersion: store.PlanVersion{Name: "old", Number: 1}, Check: controller.PlanCheck{Errors: 1}, Versions: 1},
		{PlanVersion: store.PlanVersion{Name: "fine", Number: 1}, Flag: "x", Check: controller.PlanCheck{OK: true}, Versions: 1},
	}
	f.on.text = controller.PlanText{PlanVersion: versions[0], Title: "New admin dashboard", Flag: "adminWorkBench", Latest: true, Source: textBefore, Shown: "serin: 1\nenvironment: production\n",
		Check: check, Calendar: cal, Versions: versions, Rollouts: rollouts}
	f.on.diff = controller.PlanDiff{Plan: "admin-workbench", Compared: true, Looser: true, Unchanged: []string{"errors < 5"},
		From: controller.PlanSide{Number: 1, Source: textBefore, Check: check, End: fixed.Add(6 * day)},
		To:   controller.PlanSide{Number: 2, Source: textAfter, At: fixed.Add(-time.Hour), Check: controller.PlanCheck{OK: true, Warnings: 1}, End: fixed.Add(6*day + 9*time.Hour)},
		Changes: []plan.Change{{What: "rollback", Rule: "p1 > 10 over 1h", Before: "p1 > 5 over 1h", After: "p1 > 10 over 1h", Looser: true},
			{What: "stage full approve", Before: "none", After: "lead"}, {What: "stage full at", Before: "00:00", After: "09:00"}},
		Calendar: []controller.StageMove{{Stage: "canary", Traffic: 10, Now: true, After: fixed, Moved: true},
			{Stage: "full", Traffic: 100, Before: fixed.Add(2 * day), After: fixed.Add(2*day + 9*time.Hour), Moved: true}},
		Gone: found[1:], Fresh: found[:1], Text: "--- a\n+++ b\n",
		Revision: &controller.Revision{Rollout: "admin-workbench-1", Version: 1480, InForce: 1, Status: rollout.Running, Stage: "canary", Exposure: 25,
			Possible: true, Looser: true, Revise: []string{"on-call"}, Approve: []string{"lead"}, Resets: []string{"the bake of canary counts from zero"}},
	}
	return f
}

// approver may revise.
func approver() *fakeSessions {
	return &fakeSessions{Person{Name: "ann", Role: "lead", Scopes: []string{"read", "operate", "approve"}}}
}

var planPaths = []string{"/plans", "/plans/admin-workbench", "/plans/admin-workbench?version=2", "/plans/admin-workbench/diff?from=1&to=2",
	"/plans/admin-workbench/diff?from=1&to=2&whole=1", "/plans/admin-workbench/diff?from=2&to=draft"}

// plain is what a page says, without its tags and with single spaces.
func plain(page string) string {
	page = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, " ")
	return strings.Join(strings.Fields(page), " ")
}

func TestPlanPages(t *testing.T) {
	s := newWebFor(t, planned(), approver())
	for path, want := range map[string][]string{
		"/plans": {"1 error", "Cannot be read", "Valid", "of 2 versions", "At 25%", "and 1 more"},
		"/plans/admin-workbench": {"1 error, 1 warning", "E14", "configure it", "p1 &gt; 5 over 1h", "line 13", "Not looked at, for want of figures about the past: W15",
			"6d from the first raise", "192 if it finishes when healthy", "on-call (@ann)", "waits 24h for its window", "approval of lead",
			"environment: production", "in force in admin-workbench-1", "admin-workbench-1 is not over: finish or cancel it, or revise it in flight", "lint finds 1 error", "Create admin-workbench-3"},
		"/plans/admin-workbench/diff?from=1&to=2": {"Needs approval", "Version 2 was stored 1h ago", "admin-workbench-1 is at 25%, in stage canary",
			"Applying starts the current stage again", "The bake of canary counts from zero", "Evidence of rules that did not change is kept",
			"rollback p1 &gt; 5 over 1h p1 &gt; 10 over 1h Looser", "Calendar", "1 new, 1 gone", "Past", "1 looser change: an approval too, by lead",
			"stages: full", "removed: at: &#34;00:00&#34;", "added: at: &#34;09:00&#34;", "Ends 9h later", "again, from now", "Put in force in admin-workbench-1",
			"Approve a looser revision"},
		"/plans/admin-workbench/diff?from=2&to=draft": {"Draft a revision of admin-workbench", "Compare with version 2", "Stored nowhere until it is put in force"},
	} {
		w := get(t, s, path)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d", path, w.Code)
		}
		text := plain(w.Body.String())
		for _, part := range want {
			if part == "Past" {
				part = "No stage is past yet"
			}
			if !strings.Contains(text, part) {
				t.Errorf("%s does not say %q\n%s", path, part, text)
			}
		}
	}
	// Errors come first, and findings stand at their lines.
	body := get(t, s, "/plans/admin-workbench").Body.String()
	if lint := body[strings.Index(body, `id="li-h"`):]; strings.Index(lint, "E14") > strings.Index(lint, "W13") {
		t.Error("the warning stands before the error")
	}
	if !regexp.MustCompile(`<div id="line-13" class="mk-fail">.*?</div><p class="yn c-fail"><span class="mono">E14</span>`).MatchString(body) {
		t.Error("no finding at line 13")
	}
}

func TestPlanStatus(t *testing.T) {
	s := newWebFor(t, planned(), approver())
	broken := planned()
	broken.on.unreached = errors.New("disk is gone")
	b := newWebFor(t, broken, approver())
	for _, c := range []struct {
		s    *server
		path string
		code int
		want string
	}{
		{s, "/plans/nix", 404, "There is no such plan"},
		{s, "/plans/admin-workbench?version=3", 404, "There is no such plan"},
		{s, "/plans/admin-workbench?version=-1", 404, "no such page"},
		{s, "/plans/admin-workbench?version=x", 404, "no such page"},
		{s, "/plans/admin-workbench/diff?from=x", 404, "no such page"},
		{s, "/plans/admin-workbench/diff?from=99", 404, "There is no such plan"},
		{s, "/plans/nix/diff?to=draft", 404, "There is no such plan"},
		{b, "/plans", 200, "The plans could not be read"},
		{b, "/plans/admin-workbench", 500, "Something failed"},
		{b, "/plans/admin-workbench/diff", 500, "Something failed"},
	} {
		w := get(t, c.s, c.path)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.want) || strings.Contains(w.Body.String(), "disk is gone") {
			t.Errorf("%s: got %d, want %d with %q", c.path, w.Code, c.code, c.want)
		}
	}
}

// TestHostilePlans: a plan's text and name are shown and never obeyed.
func TestHostilePlans(t *testing.T) {
	bad := `"></textarea><script>alert(1)</script>{{.}}` + "\u202e\x00\xff" + strings.Repeat("x", 10_000)
	f := planned()
	f.on.plans[0].Name, f.on.plans[0].Title, f.on.plans[0].Flag = bad, bad, bad
	f.on.text.Title, f.on.text.Flag, f.on.text.Source, f.on.text.Shown = bad, bad, strings.Repeat(bad+"\n", 20), bad
	f.on.text.Check.Problems = []plan.Problem{{Line: 1 << 40, Code: bad, What: bad, Fix: bad, Excerpt: bad, Severity: "x"}, {Line: -1}}
	f.on.text.Calendar.Events[0].Stage, f.on.text.Calendar.Events[0].Owner = bad, []string{bad}
	d := &f.on.diff
	d.Changes = append(d.Changes, plan.Change{What: bad, Before: bad, After: bad})
	d.From.Source, d.To.Source = bad, strings.ToUpper(bad)
	d.Calendar[0].Stage, d.Revision.Stage, d.Revision.Resets, d.Revision.Approve = bad, bad, []string{bad}, []string{bad}
	d.Revision.Problems, d.Revision.Possible = []plan.Problem{{Code: "E17", What: bad, Fix: bad}}, false
	for _, set := range []*fakeRollouts{f, {on: fakePlans{text: controller.PlanText{PlanVersion: store.PlanVersion{Name: "admin-workbench"}}, diff: controller.PlanDiff{Plan: "admin-workbench"}}}} {
		s := newWebFor(t, set, approver())
		for _, p := range planPaths {
			if set.on.text.Number != 2 && (strings.Contains(p, "version=2") || strings.Contains(p, "draft")) {
				continue
			}
			w := get(t, s, p)
			if body := w.Body.String(); w.Code != http.StatusOK || strings.Contains(body, "<script>alert") || strings.Contains(body, "ZgotmplZ") || strings.Contains(body, "%!") {
				t.Errorf("%s: %d, or obeyed", p, w.Code)
			}
			checkMarkup(t, w.Body.String())
		}
	}
	w := post(t, newWebFor(t, f, approver()), "/plans/admin-workbench/diff", url.Values{"csrf": {goodCSRF}, "from": {"1"}, "text": {bad}})
	if body := w.Body.String(); w.Code != http.StatusOK || strings.Contains(body, "<script>alert") {
		t.Errorf("a hostile draft: %d, or obeyed", w.Code)
	}
}

func TestDraft(t *testing.T) {
	f := planned()
	s := newWebFor(t, f, approver())
	draft := func(text string, change ...string) (int, string) {
		form := url.Values{"csrf": {goodCSRF}, "from": {"1"}, "text": {text}}
		for i := 0; i+1 < len(change); i += 2 {
			form.Set(change[i], change[i+1])
		}
		w := post(t, s, "/plans/admin-workbench/diff", form)
		return w.Code, w.Body.String()
	}
	code, body := draft(strings.ReplaceAll(textAfter, "\n", "\r\n")) // as forms send it
	if code != 200 || len(f.on.drafts) != 1 || f.on.drafts[0] != textAfter {
		t.Fatalf("%d, compared %q", code, f.on.drafts)
	}
	if !strings.Contains(body, `name="hash" value="`+hashOf(textAfter)+`"`) || !strings.Contains(body, "Version 1 to Draft") || !strings.Contains(body, "serin plan diff admin-workbench --from 1 --plan draft.yaml") {
		t.Error("the draft cannot be put in force from its page")
	}
	if len(f.commands)+len(f.on.revised)+len(f.on.created) > 0 {
		t.Error("a comparison changed something")
	}
	if code, _ := draft(textAfter, "csrf", "stale"); code != 403 {
		t.Errorf("without the session's token: %d", code)
	}
	if code, _ := draft(textAfter, "from", "x"); code != 404 {
		t.Errorf("from x: %d", code)
	}
	if code, _ := draft(strings.Repeat("# long\n", 30_000)); code != 200 {
		t.Errorf("210 KB: %d", code)
	}
	if code, body := draft(strings.Repeat("# long\n", 40_000)); code != 413 || !strings.Contains(body, "The plan is too long") {
		t.Errorf("280 KB: %d", code)
	}
}

func TestRevisePosts(t *testing.T) {
	barred := errors.Join(&rollout.Refusal{Kind: rollout.Barred, Why: "what is past must stay"}, plan.Problems{{Code: "E17"}})
	for _, c := range []struct {
		name   string
		who    *fakeSessions
		change []string
		err    error
		code   int
		want   string
		done   bool
	}{
		{"done", approver(), nil, nil, 303, "", true},
		{"line ends of a form", approver(), []string{"text", strings.ReplaceAll(textAfter, "\n", "\r\n")}, nil, 303, "", true},
		{"another text than was compared", approver(), []string{"text", textBefore}, nil, 422, "not the one that was compared", false},
		{"no version", approver(), []string{"version", ""}, nil, 422, "which version you saw", false},
		{"no token of the session", approver(), []string{"csrf", "x"}, nil, 403, "too old", false},
		{"may only operate", &fakeSessions{Person{Name: "bob", Scopes: []string{"read", "operate"}}}, nil, nil, 403, "may not revise", false},
		{"stale", approver(), nil, &rollout.Refusal{Kind: rollout.Stale, Why: "you saw version 1, now it is 1480"}, 409, "You saw version 1", true},
		{"forbidden", approver(), nil, &rollout.Refusal{Kind: rollout.Forbidden, Why: "a looser plan needs an approval too"}, 403, "A looser plan needs an approval", true},
		{"past", approver(), nil, barred, 409, "What is past must stay", true},
		{"errors", approver(), nil, plan.Problems{{Code: "E03"}}, 422, "mend the lines", true},
		{"failed", approver(), nil, errors.New("disk is gone"), 500, "Something failed", true},
	} {
		f := planned()
		f.on.notDone = c.err
		form := url.Values{"csrf": {goodCSRF}, "version": {"1480"}, "from": {"1"}, "text": {textAfter}, "hash": {hashOf(textAfter)}, "reason": {" calmer "}}
		for i := 0; i+1 < len(c.change); i += 2 {
			form.Set(c.change[i], c.change[i+1])
		}
		w := post(t, newWebFor(t, f, c.who), "/rollouts/admin-workbench-1/revise", form)
		body := w.Body.String()
		if w.Code != c.code || !strings.Contains(body, c.want) || strings.Contains(body, "disk is gone") {
			t.Errorf("%s: got %d, want %d with %q", c.name, w.Code, c.code, c.want)
		}
		var want []string
		if c.done {
			want = []string{"admin-workbench-1 " + textAfter}
			cmd := f.commands[0]
			if d := gocmp.Diff(rollout.Command{Verb: rollout.Revise, By: "ann", Role: "lead", Via: "web", Reason: "calmer", Version: 1480}, cmd); d != "" {
				t.Errorf("%s (-want +got)\n%s", c.name, d)
			}
		}
		if !slices.Equal(f.on.revised, want) {
			t.Errorf("%s: revised %q", c.name, f.on.revised)
		}
		if c.code == 303 && w.Header().Get("Location") != "/rollouts/admin-workbench-1/plan?done=revise" {
			t.Errorf("%s: to %q", c.name, w.Header().Get("Location"))
		}
		if c.done && c.err != nil && c.code != 500 && !strings.Contains(body, "Change the text and compare again") {
			t.Errorf("%s: the draft is lost", c.name)
		}
	}
}

func TestCreatePosts(t *testing.T) {
	reader := &fakeSessions{Person{Name: "eve", Scopes: []string{"read"}}}
	for _, c := range []struct {
		name, csrf, version string
		who                 *fakeSessions
		err                 error
		code                int
		want                string
	}{
		{"done", goodCSRF, "2", approver(), nil, 303, ""},
		{"refused", goodCSRF, "2", approver(), &rollout.Refusal{Kind: rollout.Barred, Why: "rollout checkout-1 is still running"}, 409, "Rollout checkout-1 is still running"},
		{"forged", "x", "2", approver(), nil, 403, "too old"},
		{"may only read", goodCSRF, "2", reader, nil, 403, "only read"},
		{"no such version", goodCSRF, "7", approver(), nil, 404, "no such plan"},
		{"no version", goodCSRF, "x", approver(), nil, 404, "no such page"},
		{"failed", goodCSRF, "2", approver(), errors.New("disk is gone"), 500, "Something failed"},
	} {
		f := planned()
		f.on.notDone = c.err
		w := post(t, newWebFor(t, f, c.who), "/plans/admin-workbench/rollouts", url.Values{"csrf": {c.csrf}, "version": {c.version}})
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: got %d, want %d with %q", c.name, w.Code, c.code, c.want)
		}
		if c.code == 303 && (w.Header().Get("Location") != "/rollouts/checkout-2" || !slices.Equal(f.on.created, []string{"ann web " + textBefore})) {
			t.Errorf("%s: created %q, to %q", c.name, f.on.created, w.Header().Get("Location"))
		}
		if c.code == 403 && len(f.on.created) > 0 {
			t.Errorf("%s: created %q", c.name, f.on.created)
		}
	}
}

func TestHighlight(t *testing.T) {
	for line, want := range map[string][]part{
		"":                      nil,
		"serin: 1 # format":     {{"k", "serin"}, {"", ": "}, {"n", "1"}, {"c", " # format"}},
		`  at: "09:00"`:         {{"", "  "}, {"k", "at"}, {"", ": "}, {"s", `"09:00"`}},
		"- p1 > 5 over 1h":      {{"", "- p1 > "}, {"n", "5"}, {"", " over "}, {"n", "1h"}},
		"{ key: a#b, x: +10% }": {{"", "{ "}, {"k", "key"}, {"", ": "}, {"", "a#b, "}, {"k", "x"}, {"", ": "}, {"n", "+10%"}, {"", " }"}},
	} {
		if d := gocmp.Diff(want, highlight(line)); d != "" {
			t.Errorf("%q (-want +got)\n%s", line, d)
		}
	}
}

func TestDiffering(t *testing.T) {
	for _, c := range []struct {
		before, after string
		a, b          []part
	}{
		{"  at: 200ms", "  at: 220ms", []part{{"", "  at: "}, {"m", "200ms"}}, []part{{"", "  at: "}, {"m", "220ms"}}},
		{"a b c", "a x y c", []part{{"", "a "}, {"m", "b"}, {"", " c"}}, []part{{"", "a "}, {"m", "x y"}, {"", " c"}}},
		{"", "x", nil, []part{{"m", "x"}}},
		{"ä ö", "ä ü", []part{{"", "ä "}, {"m", "ö"}}, []part{{"", "ä "}, {"m", "ü"}}},
	} {
		a, b := differing(c.before, c.after)
		if d := gocmp.Diff([][]part{c.a, c.b}, [][]part{a, b}); d != "" {
			t.Errorf("%q and %q (-want +got)\n%s", c.before, c.after, d)
		}
	}
}
