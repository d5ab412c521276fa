package web

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"serin/internal/controller"
	"serin/internal/judge"
	"serin/internal/rollout"
)

// get reads a page as somebody who is signed in.
func get(t testing.TB, s *server, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.AddCookie(&http.Cookie{Name: CookieName, Value: goodCookie})
	w := httptest.NewRecorder()
	s.routes().ServeHTTP(w, r)
	return w
}

// hostile is a rollout whose every text is an attack or too long.
func hostile() controller.View {
	bad := `"><script>alert(1)</script>{{.}}` + "\u202e" + strings.Repeat("x", 10_000)
	v := full()
	v.Plan, v.Title, v.Flag, v.Note, v.CheckEvery = bad, bad, bad, bad, bad
	v.State.Reason, v.State.Status, v.State.Stage = bad, rollout.Reduced, 99
	v.Exposure = math.NaN()
	for i := range v.Stages {
		v.Stages[i].Name, v.Stages[i].State, v.Stages[i].Bake = bad, bad, -time.Hour
	}
	v.Waiting = []rollout.Waiting{{Kind: bad, Detail: bad, Text: bad}, {}}
	item := controller.ItemView{ID: bad, Do: bad, By: bad, Who: bad, Verify: bad}
	v.Before, v.Confirm, v.Checklist, v.Tasks = []controller.ItemView{item}, []controller.ItemView{item, {}}, []controller.ItemView{item}, []controller.ItemView{item}
	nan, inf := num(math.NaN()), num(math.Inf(1))
	worst := judge.Verdict{Rule: bad, Metric: bad, Why: bad, Unit: bad, Value: nan, Limit: math.Inf(-1), Canary: inf, Control: nan, Low: inf, High: nan, LogE: nan, LogLimit: inf}
	v.Proceed, v.Rollback, v.Checks = []judge.Verdict{worst, {}}, []judge.Verdict{worst, {}}, []judge.Verdict{worst, {}}
	v.Charts = append(v.Charts, controller.ChartView{Metric: bad, Title: bad, Unit: bad, Now: nan, Ref: inf, Limit: nan}, controller.ChartView{})
	v.Metrics = map[string]controller.MetricView{bad: {Title: bad, Unit: bad}}
	for i := range v.Actions {
		v.Actions[i].CLI, v.Actions[i].Missing = bad, []string{bad}
	}
	return v
}

var rolloutPaths = []string{"", "/plan", "/runbook", "/journal", "/checklist", "/cleanup", "/explain", "/explain?at=3", "/report", "/rollback", "/reduce", "/promote", "/approve", "/accept", "/complete?item=backup", "/reopen", "/confirm",
	"/pause", "/resume", "/start", "/restart", "/cancel", "/finish", "?range=stage", "?range=1h", "?done=rollback"}

// TestTemplates executes every page with full, empty and hostile fixtures.
func TestTemplates(t *testing.T) {
	bad := hostile()
	empty := controller.View{ID: "empty-1", Plan: "empty", State: rollout.State{Status: rollout.Running, Attempt: 1}, Actions: every("empty-1", "1", nil)}
	attack := []controller.Entry{{Event: rollout.Event{Type: "<b>", By: "<script>", Pos: 9}, Title: `<script>alert(1)</script>`, Text: strings.Repeat("y", 10_000)}}
	sets := []struct {
		name string
		f    *fakeRollouts
	}{
		{"full", records()},
		{"none", &fakeRollouts{empty: true}},
		{"empty", &fakeRollouts{empty: true, views: []controller.View{empty}}},
		{"hostile", withRecordAttack(withAttack(&fakeRollouts{views: []controller.View{bad}, entries: attack, source: "<script>alert(1)</script>\xff\n" + strings.Repeat("z", 10_000)}))},
	}
	for _, set := range sets {
		s := newWeb(t, set.f)
		paths := []string{"/audit", "/audit?who=ann&target=rollout+demo-1&limit=2", "/", "/?show=needs", "/login", "/nowhere"}
		for _, v := range set.f.views {
			for _, p := range rolloutPaths {
				paths = append(paths, "/rollouts/"+v.ID+p)
			}
		}
		for _, p := range paths {
			t.Run(set.name+p, func(t *testing.T) {
				w := get(t, s, p)
				if w.Code >= 500 {
					t.Fatalf("status %d", w.Code)
				}
				for _, wrong := range []string{"ZgotmplZ", "<no value>", "<script>alert", "%!", "NaN", "+Inf"} {
					if i := strings.Index(w.Body.String(), wrong); i >= 0 {
						t.Errorf("page has %q near %q", wrong, around(w.Body.String(), i))
					}
				}
				checkMarkup(t, w.Body.String())
			})
		}
	}
}

func around(s string, i int) string { return s[max(0, i-80):min(len(s), i+80)] }

var (
	ids   = regexp.MustCompile(` id="([^"]*)"`)
	refs  = regexp.MustCompile(` (?:aria-labelledby|aria-describedby|for)="([^"]*)"`)
	style = regexp.MustCompile(`<[^>]*\s(style|on[a-z]+)=`)
	tags  = regexp.MustCompile(`<script[^>]*>`)
)

// checkMarkup holds the static rules over a rendered page.
func checkMarkup(t *testing.T, html string) {
	t.Helper()
	have := map[string]int{}
	for _, m := range ids.FindAllStringSubmatch(html, -1) {
		have[m[1]]++
		if have[m[1]] == 2 {
			t.Errorf("id %q is there twice", clip(m[1], 60))
		}
		if m[1] == "" || strings.ContainsAny(m[1], " \t\n") {
			t.Errorf("id %q is empty or has a space", clip(m[1], 60))
		}
	}
	for _, m := range refs.FindAllStringSubmatch(html, -1) {
		if have[m[1]] == 0 {
			t.Errorf("nothing has the id %q that is referred to", clip(m[1], 60))
		}
	}
	if m := style.FindString(html); m != "" {
		t.Errorf("style or handler attribute in %q", clip(m, 100))
	}
	for _, m := range tags.FindAllString(html, -1) {
		if !strings.Contains(m, " src=") {
			t.Errorf("inline script %q", m)
		}
	}
}

// TestFragment: a fragment's bytes stand in the full page.
func TestFragment(t *testing.T) {
	s := newWeb(t, &fakeRollouts{views: fleet()})
	for path, fragments := range map[string][]string{"/": {"page"}, "/rollouts/admin-workbench-1": {"page", "rail", "side", "charts", "gates", "decide", "timeline"}, "/rollouts/admin-workbench-1/journal": {"page"}} {
		whole := get(t, s, path).Body.Bytes()
		for _, f := range fragments {
			w := get(t, s, path+"?fragment="+f)
			if w.Code != http.StatusOK || w.Body.Len() < 100 || !bytes.Contains(whole, w.Body.Bytes()) {
				t.Errorf("%s fragment %s: status %d, %d bytes are not part of the full page", path, f, w.Code, w.Body.Len())
			}
			if !strings.Contains(w.Body.String()[:200], `id="`+f+`"`) {
				t.Errorf("%s fragment %s has no such id at its root", path, f)
			}
		}
	}
	if w := get(t, s, "/?fragment=layout"); w.Code != http.StatusNotFound {
		t.Errorf("unknown fragment: status %d, want 404", w.Code)
	}
}

func TestStateIsShown(t *testing.T) {
	s := newWeb(t, &fakeRollouts{views: fleet()})
	for id, want := range map[string][]string{
		"admin-workbench-1": {"Holding", "A gate is not met: new_issues = 0", "bake 3h 12m/24h", "2.21 s", "&#43;1.8%", "143,902 events", "Unattributed 7%", `data-open="d-rollback"`, `stroke-dasharray="25.0 75.0"`},
		"checkout-v3-2":     {"On track", "The stage has baked 3h/24h"},
		"inbox-threads-3":   {"Needs approval", "the approval of team-lead"},
		"search-ranker-1":   {"Rolled back to 0%", "7 errors", "Restart"},
		"profile-card-1":    {"Paused by a person", "Resume"},
		"mobile-nav-1":      {"The checklist has 1 item open", "On-call is named", "Start"},
		"billing-pdf-1":     {"Everybody has the new version", "0 of 2 tasks", "Finish"},
	} {
		body := get(t, s, "/rollouts/"+id).Body.String()
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s does not show %q", id, w)
			}
		}
	}
	if body := get(t, s, "/").Body.String(); strings.Index(body, `id="row-search-ranker-1"`) > strings.Index(body, `id="row-checkout-v3-2"`) {
		t.Error("the rolled back rollout is not before the healthy one")
	}
}

func TestSeries(t *testing.T) {
	s := newWeb(t, &fakeRollouts{views: fleet()})
	w := get(t, s, "/rollouts/admin-workbench-1/series/lcp?range=6h")
	var got controller.Series
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.T) == 0 || len(got.Canary) != len(got.T) || got.T[0] != fixed.Add(-6*time.Hour).Unix() {
		t.Errorf("got %d times, %d values from %d", len(got.T), len(got.Canary), got.T[0])
	}
}

// TestBudget: scripts, styles, fonts and vendored files stay below 200 KB
// before compression, own modules below 1,000 lines, the rollout page with
// all that it loads below 250 KB.
func TestBudget(t *testing.T) {
	files, err := newStaticFiles()
	if err != nil {
		t.Fatal(err)
	}
	total, lines := 0, 0
	for name, f := range files.files {
		if !strings.HasSuffix(name, ".txt") {
			total += len(f.body)
		}
		if strings.HasPrefix(name, "js/") {
			lines += bytes.Count(f.body, []byte("\n"))
		}
	}
	if total > 200<<10 {
		t.Errorf("static files are %d bytes, more than 200 KB", total)
	}
	if lines > 1000 {
		t.Errorf("own modules have %d lines, more than 1,000", lines)
	}
	page := get(t, newWeb(t, &fakeRollouts{views: fleet()}), "/rollouts/admin-workbench-1").Body.String()
	loads := len(page) + total
	for name, f := range files.files {
		if strings.HasPrefix(name, "css/") && !strings.Contains(page, name) {
			loads -= len(f.body)
		}
	}
	if loads > 250<<10 {
		t.Errorf("rollout page loads %d bytes, more than 250 KB", loads)
	}
	t.Logf("static %d bytes, modules %d lines, rollout page %d bytes, %d with all that it loads", total, lines, len(page), loads)
}

func BenchmarkRolloutPage(b *testing.B) {
	s := newWeb(b, &fakeRollouts{views: fleet()})
	b.ReportAllocs()
	for b.Loop() {
		if w := get(b, s, "/rollouts/admin-workbench-1"); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}

func BenchmarkOverview200(b *testing.B) {
	f := &fakeRollouts{}
	for range 20 {
		f.views = append(f.views, fleet()...)
	}
	s := newWeb(b, f)
	b.ReportAllocs()
	for b.Loop() {
		if w := get(b, s, "/"); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
