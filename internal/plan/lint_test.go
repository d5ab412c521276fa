package plan

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files and generated documentation")

// base is a small plan that each case changes by one replacement.
const base = `serin: 1
plan: small
timezone: UTC
flag: { key: small, audience: role = admin }
scope: { tags: { feature: x } }
metrics: { pool: { gauge: pool_used, source: prometheus, unit: "%" } }
severity: { p1: "level:fatal" }
judge: { false_rollback: 1% }
roles:
  lead: { who: "@lead", may: [start, approve, accept, resume, restart] }
channels: { page: "pagerduty:on-call" }
calendar: { raise: ["daily 00:00-24:00"] }
criteria:
  ok: [p1 = 0, errors < 5]
stages:
  - { stage: canary, traffic: 10%, bake: 2h, owner: lead, proceed: ok, checks: [] }
  - { stage: half, like: canary, traffic: 50% }
rollback: [p1 > 5 over 1h]
cleanup:
  tasks:
    - { id: legacy, do: Delete it, verify: path gone src/old, irreversible: true }
`

// errorCases change base into a plan with one error.
var errorCases = []struct {
	name, old, new, want string // want: without "plan.yaml:"
	schema               bool   // the schema finds it too
}{
	{"E01 twice", "bake: 2h,", "bake: 2h, bake: 3h,", `16: error E01: key "bake" twice in "canary": delete one`, false},
	{"E01 anchor", "ok: [p1 = 0,", "ok: &a [p1 = 0,", `14: error E01: anchors and aliases are not allowed: write the value out, or use a set of criteria or like`, false},
	{"E01 tag", "key: small", "key: !!str small", `4: error E01: tag !!str is not allowed: leave it out`, false},
	{"E02 hint", "{ false_rollback: 1% }", "{ confidence: 95% }", `8: error E02: unknown key "confidence" in judge: use false_rollback: 1%`, true},
	{"E02 near", "rollback: [p1", "rollbak: [p1", `18: error E02: unknown key "rollbak": use rollback`, true},
	{"E02 missing", "timezone: UTC\n", "", `1: error E02: key "timezone" is missing: add timezone: ...`, true},
	{"E03 traffic", "traffic: 10%", "traffic: 10", `16: error E03: traffic "10": write 10%`, true},
	{"E03 over 100", "traffic: 10%", "traffic: 110%", `16: error E03: traffic "110%": at most 100%`, true},
	{"E03 duration", "bake: 2h", "bake: 2", `16: error E03: bake "2": write 2h (s m h d w)`, true},
	{"E03 zone", "timezone: UTC", "timezone: Mars/Base", `3: error E03: timezone "Mars/Base": use an IANA name such as Europe/Berlin or UTC`, false},
	{"E03 nothing", "bake: 2h", "bake: ", `16: error E03: bake has no value: write one, or delete the key`, true},
	{"E03 format", "serin: 1", "serin: 2", `1: error E03: serin "2": this serin reads format 1: serin: 1`, true},
	{"E04", "p1 > 5 over 1h", "p1 >5 over 1h", `18: error E04: "p1 >5 over 1h": one space around the operator: p1 > 5 over 1h`, true},
	{"E05", "p1 > 5 over 1h", "lpc > 5s over 1h", `18: error E05: "lpc" is no metric: did you mean lcp?`, false},
	{"E05 traffic", "p1 > 5 over 1h", "traffic > 5% over 1h", `18: error E05: "traffic" is known to incident.decide only: use a metric`, false},
	{"E06 duration", "errors < 5", "lcp < 2.5", `14: error E06: "lcp < 2.5": lcp is a duration: 2.5s`, false},
	{"E06 share", "errors < 5", "error_rate < 2", `14: error E06: "error_rate < 2": error_rate is a share: 2%`, false},
	{"E06 count", "errors < 5", "errors < 5%", `14: error E06: "errors < 5%": errors is a number: 5`, false},
	{"E06 size", "errors < 5", "bundle_size < 5ms", `14: error E06: "bundle_size < 5ms": bundle_size is a size: 5kB`, false},
	{"E07", "errors < 5", "lcp > +30%", `14: error E07: "lcp > +30%": signed values need vs reference: add it, or leave out the sign`, true},
	{"E07 unsigned", "errors < 5", "errors < 5% vs control", `14: error E07: "errors < 5% vs control": vs needs a signed share: write +5%`, true},
	{"E08", "errors < 5", "pool < +5% vs control", `14: error E08: "pool < +5% vs control": pool is system-wide: vs baseline`, false},
	{"E08 word", "errors < 5", "errors < +5% vs canary", `14: error E08: "errors < +5% vs canary": no reference "canary": vs control, baseline, reference or expected`, true},
	{"E08 expected", "errors < 5", "concurrent < +5% vs expected", `14: error E08: "concurrent < +5% vs expected": nothing is expected: capacity: { concurrent_at_100: 200 }`, false},
	{"E09", "50% }", "100%, proceed: errors <= +5% vs control }", `17: error E09: "errors <= +5% vs control" at 100 %: no control: flag.holdback or vs reference`, false},
	{"E10", "p1 > 5 over 1h", "p1 > 5", `18: error E10: rollback "p1 > 5": say over or for, e.g. over 1h`, false},
	{"E11", "traffic: 50%", "traffic: 10%", `17: error E11: "half" 10 % does not exceed "canary" 10 %: traffic rises from stage to stage`, false},
	{"E12 role", "owner: lead", "owner: leader", `16: error E12: owner "leader": no such role: did you mean lead?`, false},
	{"E12 set", "proceed: ok", "proceed: okay", `16: error E12: set "okay": no such set in criteria: one of default, ok`, false},
	{"E12 stage", "like: canary", "like: cannary", `17: error E12: like "cannary": no such earlier stage: did you mean canary?`, false},
	{"E12 circle", "ok: [p1 = 0, errors < 5]", "ok: [p1 = 0, ok]", `14: error E12: set "ok" names itself: take the name out`, false},
	{"E12 channel", "rollback: [p1", "alerts: [{ alert: x, if: p1 > 5 over 1h, notify: pagr }]\nrollback: [p1", `18: error E12: notify "pagr": no such channel: did you mean page?`, false},
	{"E12 task", "irreversible: true", "irreversible: true, when: gone = a", `21: error E12: when "gone = a": no such earlier task`, false},
	{"E13 stage", "errors < 5", "adoption > 60%", `14: error E13: "adoption > 60%" in "canary" at 10 %: at most 10 %: lower one`, false},
	{"E16", `"level:fatal"`, `"level:[error"`, `7: error E16: severity p1 "level:[error": `, false},
	{"E16 panel", "cleanup:", "dashboard: { panels: [{ title: Slow, query: \"level:error Compare: yesterday\" }] }\ncleanup:", `19: error E16: query "level:error Compare: yesterday", column 22: Compare: "yesterday" is not understood: write "Last 7 days vs Now"`, false},
	{"E03 panel by", "cleanup:", "dashboard: { panels: [{ title: Slow, query: \"level:error GROUP BY release\", by: component }] }\ncleanup:", `19: error E03: panel "Slow" has by and GROUP BY in its query: keep one of them`, false},
	{"E03 panel compare", "cleanup:", "dashboard: { panels: [{ title: Slow, query: \"level:error Compare: 1d\", compare: 7d }] }\ncleanup:", `19: error E03: panel "Slow" has compare and Compare: in its query: keep one of them`, false},
	{"E03 panel issues", "cleanup:", "dashboard: { panels: [{ title: Open, query: \"is:unresolved\", by: release }] }\ncleanup:", `19: error E03: panel "Open" groups issues: leave out by`, false},
	{"E18", ", irreversible: true", "", `21: error E18: "path gone src/old": rollback would lead to deleted code: irreversible: true`, false},
	{"E19 list", `["daily 00:00-24:00"]`, "[daily 00:00-24:00]", `12: error E19: [daily 00:00-24:00]: quote what has a colon: ["daily 00:00-24:00"]`, false},
	{"E19 date", "timezone: UTC", "timezone: UTC\nstart: 2025-02-19", `4: error E19: 2025-02-19: quote dates and clock times: "2025-02-19"`, false},
	{"E19 word", "timezone: UTC", "timezone: UTC\ntitle: on", `4: error E19: on: quote a word that YAML readers disagree about: "on"`, false},
}

func changed(t *testing.T, old, new string) string {
	t.Helper()
	if !strings.Contains(base, old) {
		t.Fatalf("base has no %q", old)
	}
	return strings.Replace(base, old, new, 1)
}

func TestErrors(t *testing.T) {
	for _, c := range errorCases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(changed(t, c.old, c.new)))
			var got Problems
			if !errors.As(err, &got) {
				t.Fatalf("no Problems: %v", err)
			}
			for _, p := range got {
				if strings.HasPrefix(p.String(), "plan.yaml:"+c.want) {
					placed(t, changed(t, c.old, c.new), p)
					return
				}
			}
			t.Errorf("want %s\ngot  %v", c.want, err)
		})
	}
}

// placed checks that a finding shows its line, and says how to mend it.
func placed(t *testing.T, source string, p Problem) {
	t.Helper()
	lines := strings.Split(source, "\n")
	switch {
	case p.Line < 1 || p.Line > len(lines) || p.Excerpt != lines[p.Line-1]:
		t.Errorf("%s: excerpt %q", p, p.Excerpt)
	case p.Column < 1 || p.Column > len(p.Excerpt)+1:
		t.Errorf("%s: column %d of %d", p, p.Column, len(p.Excerpt))
	case p.Fix == "" || p.What == "" || p.File == "":
		t.Errorf("%+v does not say all", p)
	}
}

// TestEveryCodeHasACase: each code of the format is shown by an example.
func TestEveryCodeHasACase(t *testing.T) {
	var examples strings.Builder
	for _, c := range errorCases {
		examples.WriteString(c.want + "\n")
	}
	for _, c := range warningCases {
		examples.WriteString(c.want + "\n")
	}
	for _, group := range []struct {
		form string
		last int
	}{{"error E%02d:", 21}, {"warning W%02d:", 21}} {
		for n := 1; n <= group.last; n++ {
			if code := fmt.Sprintf(group.form, n); !strings.Contains(examples.String(), code) && n != 17 { // E17: TestRevise
				t.Errorf("no example of %q", code)
			}
		}
	}
}

func TestBaseHasNoErrors(t *testing.T) {
	if _, err := Parse([]byte(base)); err != nil {
		t.Fatal(err)
	}
}

func TestAllErrorsAtOnce(t *testing.T) {
	source := strings.NewReplacer("traffic: 10%", "traffic: 10", "p1 > 5 over 1h", "lpc > 5", "errors < 5", "lcp < 2").Replace(base)
	_, err := Parse([]byte(source))
	var got Problems
	if !errors.As(err, &got) || got.Errors() != 3 {
		t.Errorf("want 3 errors, got\n%v", err)
	}
}

// warningCases change base into a plan with one more warning.
var warningCases = []struct {
	name, old, new, want string
	server               *ServerFacts
}{
	{"W01", "errors < 5", "satisfaction > 4", `warning W01: "satisfaction": no survey ever arrived: its rules stay unknown`, &ServerFacts{}},
	{"W02", "flag:", "start: \"2025-02-19 09:00\"\ntarget: { length: 3h }\nflag:", `warning W02: earliest end Wed 19 Feb 13:00, target.length 3h: move target`, nil},
	{"W03", "flag:", "start: \"2025-02-19\"\ntarget: { start: \"2025-02-20\" }\nflag:", `warning W03: start Wed 19 Feb is before target.start Thu 20 Feb: change one`, nil},
	{"W06", "errors < 5", "errors <= +5% vs control", `14: warning W06: canary`, nil},
	{"W06 server", "errors < 5", "errors <= +5% vs control", `canary: proving "errors <= +5% vs control" takes about 41,000 users with an error in both groups, 3 are expected: it will ask`, &ServerFacts{Users: map[string]float64{"errors": 36}}},
	{"W08", "errors < 5", "errors <= +0% vs control", `warning W08: "errors <= +0% vs control": equality cannot be proved; read as margin 5 %: write +5%`, nil},
	{"W12", "p1 > 5", "p1 > 5", `warning W12: "p1 > 5 over 1h": how often`, nil},
	{"W12 server", "p1 > 5", "p1 > 5", `warning W12: "p1 > 5 over 1h": a healthy site of this size meets it with `, &ServerFacts{PerHour: map[string]float64{"p1": 4}}},
	{"W13", "traffic: 50% }", "traffic: 100% }\nreduce: [errors > +50% vs reference over 1h]", `warning W13: no control at 100 %: "vs reference" is the baseline there, and never rolls back by itself: keep some with holdback: 10%`, nil},
	{"W13 like", "errors < 5]\nstages:\n  - { stage: canary, traffic: 10%, bake: 2h, owner: lead, proceed: ok, checks: [] }\n  - { stage: half, like: canary, traffic: 50% }", "errors <= +5% vs control]\nstages:\n  - { stage: canary, traffic: 10%, bake: 2h, owner: lead, proceed: ok, checks: [] }\n  - { stage: full, like: canary, traffic: 100% }", `warning W13: no control in "full": "errors <= +5% vs control" cannot be known there: holdback: 10%, or rules of its own`, nil},
	{"W14", "cleanup:", "dashboard: { panels: [{ title: Slow, query: \"measurements.largest_contentful_paint:[2500 TO *]\" }] }\ncleanup:", `warning W14: "measurements.largest_contentful_paint:[2500 TO *]" read as measurements.lcp:>=2500: write it so`, nil},
	{"W14 panel", "cleanup:", "dashboard: { panels: [{ title: Open, query: \"issues_that_need_review WHERE level:error\" }] }\ncleanup:", `warning W14: "issues_that_need_review WHERE level:error" read as is:unresolved is:for_review level:error: write it so`, nil},
	{"W15", "small", "small", `warning W15: feature:x matched 0 of 812 baseline events: control would look clean`, &ServerFacts{Events: 812, Tagged: map[string]int{"feature:x": 0}}},
	{"W18", "severity: { p1: \"level:fatal\" }\n", "", `1: warning W18: p1 without severity: the default grading applies`, nil},
	{"W19", "resume, restart]", "resume]", `warning W19: no role may restart: a rollback ends this rollout`, nil},
	{"W20", "p1 = 0", "p1 = 0 over rollout", `warning W20: "p1 = 0 over rollout": after one event no attempt can ever pass: over attempt`, nil},
	{"W22", "channels: { page: \"pagerduty:on-call\" }", "channels: { ticket: \"jira:OPS/P1\" }", `warning W22: nobody is told of a rollback, a page or a question: channels: { team: "slack:#team" }`, nil},
	{"W23", "p1 > 5 over 1h", "errors > +50% vs baseline over 2h", `warning W23: baseline of errors: 1.5 of 7 d: import the rest with serin baseline import, or wait`, &ServerFacts{Baseline: map[string]BaselineHours{"errors": {Want: 168, Measured: 36, Text: "1.5 of 7 d", Short: true}}}},
	{"W21", "checks: []", "checks: [{ every: 1h, expect: adoption > 5% }]", `warning W21: "adoption > 5%" checked from minute 0 is red at first: move it to proceed`, nil},
	{"W04", "traffic: 50% }", "traffic: 50%, at: \"15:00\" }\nstart: \"2025-02-19 09:00\"", `17: warning W04: half: bake ends Wed 11:00, at 15:00 adds 4 h (Wed 15:00): at 11:00`, nil},
	{"W05", "roles:\n  lead: { who: \"@lead\",", "start: \"2025-02-19 09:00\"\nroles:\n  lead: { who: \"@lead\", covers: 3h,", `11: warning W05: lead covers until Wed 19 Feb 12:00, owns "half" until Wed 19 Feb 13:00: covers: 1d`, nil},
	{"W05 rota", "roles:\n  lead: { who: \"@lead\",", "start: \"2025-02-19 09:00\"\nroles:\n  lead: { who: \"oncall:web\",", `11: warning W05: nobody is on call by oncall:web from Wed 19 Feb 10:00 until Wed 19 Feb 10:30, in "canary" of lead, and 1 more times: fill it: serin oncall override web`, &ServerFacts{OnCall: halfHours{}}},
	{"W07", "cleanup:", "incident: { decide: [{ if: p1 > 10 over stage, do: rollback }, { do: reduce 5% }] }\ncleanup:", `19: warning W07: incident.decide[0] p1 > 10 over stage: rollback p1 > 5 over 1h fires first`, nil},
	{"W09", "cleanup:", "incident: { decide: [{ do: reduce 5% }] }\ncleanup:", `19: warning W09: reduce 5%, actions.reduce 1%: use one`, nil},
	{"W10", "cleanup:", "actions: { revert: { show: [git revert $commit], within: 2m } }\ncleanup:", `19: warning W10: revert within 2m, rollback 5m: served flags switch in seconds: rollback within 1m`, nil},
	{"W11", "checks: [] }\n  - { stage: half, like: canary, traffic: 50% }", "checks: [{ every: 1h, expect: [error_rate < 1%, pool < 80%] }] }\n  - { stage: half, like: canary, traffic: 50% }\ndashboard: { targets: { 4h: [error_rate < 2%] } }", `18: warning W11: error_rate < 2% here, < 1% in a stage: use one`, nil},
	{"W16", "stages:\n  - { stage: canary, traffic: 10%, bake: 2h,", "start: \"2025-02-19 09:00\"\nstages:\n  - { stage: canary, traffic: 10%, bake: 2h, early: { after: 30m },", `17: warning W16: half starts Wed 09:30 (early) or Wed 11:00: cover both`, nil},
	{"W17", "cleanup:", "incident: { decide: [{ if: p1 > 2 over 1h, do: hotfix }, { do: reduce 1% }] }\ncleanup:", `19: warning W17: hotfix switches everybody off until a new release is seen: reduce keeps some`, nil},
	{"E14", "small", "small", `error E14: channel "page": the server has no pagerduty "on-call"`, &ServerFacts{Channels: []string{"slack:"}}},
	{"E15", "small", "small", `error E15: flag small is owned by rollout old-bench-2: finish or cancel it`, &ServerFacts{FlagOwner: "old-bench-2"}},
	{"E20", "audience: role = admin", "by: account", `error E20: flag.by "account": no telemetry carries it: leave it out or send it`, &ServerFacts{}},
	{"E21", "p1 > 5 over 1h", "pool >= 100% for 1m", `error E21: rollback "pool >= 100% for 1m": prometheus is not configured`, &ServerFacts{}},
}

// halfHours are rotas with nobody on call in the first half of each of two
// hours, from 10:00 UTC on.
type halfHours struct{}

func (halfHours) Uncovered(_ string, from, to time.Time) (gaps []Gap, known bool) {
	at := time.Date(2025, time.February, 19, 10, 0, 0, 0, time.UTC)
	for range 2 {
		if g := (Gap{at, at.Add(30 * time.Minute)}); !g.From.Before(from) && !g.To.After(to) {
			gaps = append(gaps, g)
		}
		at = at.Add(30 * time.Minute)
	}
	return gaps, true
}

func TestWarnings(t *testing.T) {
	for _, c := range warningCases {
		t.Run(c.name, func(t *testing.T) {
			var got strings.Builder
			source := changed(t, c.old, c.new)
			for _, p := range Lint(parsed(t, []byte(source)), c.server) {
				got.WriteString(p.String() + "\n")
				placed(t, source, p)
			}
			if !strings.Contains(got.String(), c.want) {
				t.Errorf("want %s\ngot\n%s", c.want, got.String())
			}
		})
	}
}

// TestLintOfTheExamples holds the findings on the example plans, among them
// the contradictions of the source plan that admin-workbench writes out.
func TestLintOfTheExamples(t *testing.T) {
	for _, name := range exampleNames {
		p, err := ParseFile(name+".yaml", readExample(t, name))
		if err != nil {
			t.Fatal(err)
		}
		var lines strings.Builder
		for _, problem := range Lint(p, nil) {
			lines.WriteString(problem.String() + "\n")
		}
		golden(t, "testdata/lint/"+name+".golden", lines.String())
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// TestFixedLimitsBySize: the chance is of the whole plan, by the rate measured,
// and the same limit over a stage is met sooner.
func TestFixedLimitsBySize(t *testing.T) {
	for _, tt := range []struct {
		rule    string
		perHour float64
		want    string // "" = nothing to say
	}{
		{"p1 > 5 over 1h", 0.5, ""},
		{"p1 > 5 over 1h", 4, "with 7 % chance"},
		{"p1 >= 6 over 1h", 4, "with 7 % chance"},
		{"p1 > 5 over 1h", 1000, "with more than 99 % chance"},
		{"p1 > 5 over stage", 4, "with 22 % chance"},
		{"p1 > 5 over attempt", 4, "with 35 % chance"},
	} {
		source := changed(t, "p1 > 5 over 1h", tt.rule)
		got := ""
		for _, p := range Lint(parsed(t, []byte(source)), &ServerFacts{PerHour: map[string]float64{"p1": tt.perHour}}) {
			if p.Code == "W12" {
				got = p.What
			}
		}
		if (got == "") != (tt.want == "") || !strings.HasSuffix(got, tt.want) {
			t.Errorf("%s at %v an hour: got %q, want %q", tt.rule, tt.perHour, got, tt.want)
		}
	}
}

// TestDefaultsAreNotBlamed: a plan of eight lines is told what it can change,
// and with measured traffic also which proofs its users are too few for.
func TestDefaultsAreNotBlamed(t *testing.T) {
	p := parsed(t, readExample(t, "minimal"))
	list := func(facts *ServerFacts) (got []string) {
		for _, problem := range Lint(p, facts) {
			got = append(got, problem.Code)
		}
		return got
	}
	arrived := map[string]bool{"telemetry": true}
	if got := list(nil); !slices.Equal(got, []string{"W22", "W13"}) {
		t.Errorf("without a server: %v", got)
	}
	if got := list(&ServerFacts{Arrived: arrived}); !slices.Equal(got, []string{"W22", "W13"}) {
		t.Errorf("on a new server: %v", got)
	}
	few := map[string]float64{"errors": 100, "http_5xx": 50_000}
	if got := list(&ServerFacts{Arrived: arrived, Users: few, PerHour: few}); !slices.Equal(got, []string{"W22", "W13", "W06", "W06"}) {
		t.Errorf("with few errors and many 5xx: %v", got)
	}
}

// TestContradictions names the nine that the plan as written shows, and the
// tenth, which shows when early is set.
func TestContradictions(t *testing.T) {
	source := string(readExample(t, "admin-workbench"))
	if got, want := codes(t, source), []string{"W02", "W03", "W04", "W05", "W07", "W08", "W09", "W10", "W11", "W17"}; !containsAll(got, want) {
		t.Errorf("want %v, got %v", want, got)
	} else if slices.Contains(got, "W16") {
		t.Error("W16 without early")
	}
	early := strings.Replace(source, "    bake: 24h ", "    early: { after: 4h, at: \"18:00\" }\n    bake: 24h ", 1)
	p := parsed(t, []byte(early))
	want := "ramp-50 starts Fri 18:00 (early) or Sat 09:00"
	if !slices.ContainsFunc(Lint(p, nil), func(p Problem) bool { return p.Code == "W16" && p.What == want }) {
		t.Errorf("no W16: %v", codes(t, early))
	}
	holdback := strings.Replace(source, "holdback: 0%", "holdback: 5%", 1)
	_, err := Parse([]byte(holdback))
	if err == nil || !strings.Contains(err.Error(), `E13: "adoption > 98%" with holdback 5 %: at most 95 %: lower one`) {
		t.Errorf("E13: %v", err)
	}
}

// TestGapsOnAServer names the sources that the source plan leaves open.
func TestGapsOnAServer(t *testing.T) {
	p := parsed(t, readExample(t, "admin-workbench"))
	server := &ServerFacts{Channels: []string{"slack:", "pagerduty:", "jira:"}, Arrived: map[string]bool{"telemetry": true}}
	var got []string
	for _, problem := range Lint(p, server) {
		if code := problem.Code; code == "W01" || code[0] == 'E' {
			got = append(got, code+" "+problem.What)
		}
	}
	for _, want := range []string{
		`W01 "satisfaction": no survey ever arrived`, `W01 "escalations": no feedback ever arrived`, `W01 "backup_age": no value backup ever arrived`,
		`E21 rollback "pool >= 100% for 1m": prometheus is not configured`, `E21 rollback "memory_trend > 2% for 30m": prometheus is not configured`,
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, strings.Join(got, "\n"))
		}
	}
}

func codes(t *testing.T, source string) []string {
	var all []string
	for _, p := range Lint(parsed(t, []byte(source)), nil) {
		all = append(all, p.Code)
	}
	return all
}

func containsAll(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}
