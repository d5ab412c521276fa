package standup

import (
	"flag"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	flags "serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

var update = flag.Bool("update", false, "write the golden files")

const builtPlan = `serin: 1
plan: shop
title: New shop
timezone: Europe/Berlin
flag: { key: shop }
channels: { team: "webhook:team" }
calendar: { raise: ["daily 00:00-24:00"] }
stages:
  - { stage: half, traffic: 50%,  bake: 24h, proceed: [p1 = 0, lcp < 2.5s, error_rate < 1%] }
  - { stage: full, traffic: 100%, bake: 24h, proceed: [p1 = 0] }
rollback: [p1 > 5 over 1h]
reports:
  stand-up: { daily: "09:00", to: team }
  all: { every: 1h, to: team, of: [P1 and P2, new issues, spikes, slow-downs, sentiment, horoscope] }
`

var builtAt = time.Date(2025, time.February, 21, 8, 0, 0, 0, time.UTC)

// builtFacts are those of a rollout in its second day at 50 %.
func builtFacts(t testing.TB, report string) Facts {
	p, err := plan.Parse([]byte(builtPlan))
	if err != nil {
		t.Fatal(err)
	}
	f := Facts{Plan: p, At: builtAt, Measure: func(string, time.Time, time.Time) Measured { return Measured{} }}
	length := 24 * time.Hour
	for _, r := range p.Reports {
		if r.Name == report {
			if f.Report = r; r.Daily == nil {
				length = time.Hour
			}
		}
	}
	f.Slot = Slot{ID: "shop-1/" + report + "/x", Day: "2025-02-21", Due: builtAt, From: builtAt.Add(-length)}
	f.Standing = Standing{ID: "shop-1", Project: "1", Next: "100%", State: rollout.State{ID: "shop-1", Status: rollout.Running, Exposure: flags.Everyone / 2, Version: 9,
		StartedAt: builtAt.Add(-50 * time.Hour), AttemptAt: builtAt.Add(-50 * time.Hour), StageAt: builtAt.Add(-49 * time.Hour)}}
	return f
}

func num(v float64) *float64 { return &v }

// busy measures what has something to tell in every section.
func busy(at time.Time) Measure {
	return func(metric string, from, to time.Time) Measured {
		now := to.Equal(at)
		pick := func(a, b float64) float64 {
			if now {
				return a
			}
			return b
		}
		switch metric {
		case "p1":
			return Measured{New: num(pick(1, 0)), Control: num(0), N: 1}
		case "p2":
			return Measured{New: num(pick(4, 3)), Control: num(2), N: 4}
		case "errors":
			return Measured{New: num(pick(40, 6)), Control: num(5), N: 40}
		case "error_rate":
			return Measured{Silent: "nothing has ever arrived from prometheus"}
		case "lcp":
			return Measured{New: num(pick(2400, 2000)), Control: num(pick(2010, 2000)), N: 900}
		case "complaints":
			return Measured{New: num(pick(2, 0)), Control: num(0), N: 2}
		case "survey_negative":
			return Measured{New: num(0), N: 0}
		}
		return Measured{}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestGolden writes reports in which every section has something, with text of
// others that tries to be markup.
func TestGolden(t *testing.T) {
	for _, name := range []string{"stand-up", "all"} {
		f := builtFacts(t, name)
		f.Measure = busy(builtAt)
		f.Slot.Missed = 2
		f.Standing.Waiting = []rollout.Waiting{{Kind: "criteria", Text: "criteria p1 = 0"}, {Kind: "approval", Text: "approval lead"}}
		f.Standing.Proceed = []judge.Verdict{{Rule: "p1 = 0", Metric: "p1", Status: judge.NotMet, Why: "p1 is 1 in this stage, limit 0"}, {Rule: "lcp < 2.5s", Metric: "lcp", Status: judge.Met, Why: "lcp is 2.4 s"}, {Rule: "error_rate < 1%", Metric: "error_rate", Status: judge.Unknown}}
		f.Issues = []IssueFacts{
			{Issue: Issue{ID: "SERIN-7", Title: "Boom [x](javascript:alert(1)) | <b>", Level: "error", First: builtAt.Add(-20 * time.Minute), Events: 40, Users: 12}, Seen: builtAt.Add(-20 * time.Minute), Last: builtAt},
			{Issue: Issue{ID: "SERIN-3", Title: "Old", First: builtAt.Add(-40 * time.Hour), Events: 90, Users: 3}, Seen: builtAt.Add(-40 * time.Hour), Last: builtAt.Add(-10 * time.Minute), Hours: append(make([]int64, 20), 1, 1, 1, 30)},
		}
		f.Open = []Incident{{ID: "INC-2", Title: "Search `fails`", Severity: "p1", Opened: builtAt.Add(-time.Hour), Needs: "decide"}}
		f.Journal = []rollout.Event{{Type: rollout.PausedEvent, At: builtAt.Add(-30 * time.Minute), By: "anna", Reason: "let us look", Exposure: flags.Everyone / 2}}
		r := Build(f)
		notes := []Note{{Do: "hold", By: "anna <script>", At: builtAt.Add(5 * time.Minute), Reason: "wait for *the* fix", Present: []string{"ben", "cara"}}}
		golden(t, name+".md", string(r.Markdown(notes, []Move{{At: builtAt.Add(time.Hour), By: "ben", Text: "resumed by ben"}})))
		golden(t, name+".txt", r.Heading()+"\n"+r.Text()+"\n")
	}
}

// TestNothingMeasured: what nobody measured is missing and never zero, and a
// report of it does not say that all is clear without saying so.
func TestNothingMeasured(t *testing.T) {
	r := Build(builtFacts(t, "stand-up"))
	for _, row := range append(r.Metrics, append(r.Severe, r.Feedback...)...) {
		if row.Now != nil {
			t.Errorf("%s is %g", row.Metric, *row.Now)
		}
	}
	if !strings.Contains(r.Headline, "as far as was measured: ") || r.Decision == nil || r.Decision.Advice != AdviseHold {
		t.Errorf("headline %q, decision %+v", r.Headline, r.Decision)
	}
	if text := r.Text(); !strings.Contains(text, "P1 errors: not measured") || strings.Contains(text, ": 0") {
		t.Errorf("text:\n%s", text)
	}
}

// TestAsk is what serin advises.
func TestAsk(t *testing.T) {
	met, notMet := judge.Verdict{Status: judge.Met, Rule: "a"}, judge.Verdict{Status: judge.NotMet, Rule: "b"}
	for _, tt := range []struct {
		name string
		edit func(f *Facts)
		want Advice
		why  string
		text string
	}{
		{"only the approval is missing", func(f *Facts) {
			f.Standing.Proceed, f.Standing.Waiting = []judge.Verdict{met}, []rollout.Waiting{{Kind: "approval", Text: "approval lead"}}
		}, AdviseProceed, "1 of 1 gate met", "shop: 50% to 100%"},
		{"a gate is not met", func(f *Facts) {
			f.Standing.Proceed, f.Standing.Waiting = []judge.Verdict{met, notMet}, []rollout.Waiting{{Kind: "criteria", Text: "criteria b"}}
		}, AdviseHold, "1 of 2 gates met; waits for criteria b", ""},
		{"nothing is judged", func(*Facts) {}, AdviseHold, "not judged yet", ""},
		{"an incident is open", func(f *Facts) { f.Standing.Proceed, f.Open = []judge.Verdict{met}, []Incident{{ID: "INC-1"}} }, AdviseHold, "incident INC-1 is open", ""},
		{"a rollback rule is met", func(f *Facts) { f.Standing.Rollback = []judge.Verdict{{Status: judge.Met, Rule: "p1 > 5", Why: "7"}} }, AdviseRollback, "p1 > 5 is met: 7", ""},
		{"a dry rollback rule", func(f *Facts) {
			f.Standing.Proceed, f.Standing.Rollback = []judge.Verdict{met}, []judge.Verdict{{Status: judge.Met, Rule: "p1 > 5", Dry: true}}
		}, AdviseProceed, "1 of 1 gate met", ""},
		{"paused", func(f *Facts) { f.Standing.State.Status, f.Standing.State.Reason = rollout.Paused, "lunch" }, AdviseHold, "it is paused: lunch", "shop: resume at 50%?"},
		{"rolled back", func(f *Facts) { f.Standing.State.Status = rollout.RolledBack }, AdviseHold, "a restart needs its cause", "shop: restart?"},
		{"before the start", func(f *Facts) { f.Standing.State.Status, f.Standing.Checklist = rollout.Preflight, []string{"QA"} }, AdviseHold, "1 item of the checklist open", "shop: start?"},
		{"ready to start", func(f *Facts) { f.Standing.State.Status = rollout.Preflight }, AdviseProceed, "complete", "shop: start?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := builtFacts(t, "stand-up")
			tt.edit(&f)
			q := Ask(f.Plan, f.Standing, f.Open)
			if q == nil || q.Advice != tt.want || !strings.Contains(q.Why, tt.why) || tt.text != "" && q.Text != tt.text {
				t.Errorf("got %+v", q)
			}
		})
	}
	f := builtFacts(t, "stand-up")
	f.Standing.State.Status = rollout.Done
	if q := Ask(f.Plan, f.Standing, nil); q != nil {
		t.Errorf("of a rollout that is over: %+v", q)
	}
}

// TestNumbers: whatever is measured, no text has a NaN or an infinity, and no
// spike is found without its three conditions.
func TestNumbers(t *testing.T) {
	f := builtFacts(t, "all")
	rapid.Check(t, func(r *rapid.T) {
		value := func(name string) Measured {
			m := Measured{N: rapid.Int64Range(0, 1e9).Draw(r, name+" n")}
			if rapid.Bool().Draw(r, name) {
				m.New = num(rapid.Float64Range(0, 1e12).Draw(r, name+" new"))
			}
			if rapid.Bool().Draw(r, name+" has control") {
				m.Control = num(rapid.Float64Range(0, 1e12).Draw(r, name+" control"))
			}
			return m
		}
		seen := map[string]Measured{}
		f.Measure = func(metric string, from, to time.Time) Measured {
			key := metric + from.String() + to.String()
			if _, ok := seen[key]; !ok {
				seen[key] = value(key)
			}
			return seen[key]
		}
		out := Build(f)
		for _, s := range out.Spikes {
			if s.Events < minSpike || s.Before > 0 && s.Factor < spikeFactor || math.IsNaN(s.Factor) || math.IsInf(s.Factor, 0) {
				r.Fatalf("spike %+v", s)
			}
		}
		for _, text := range []string{out.Text(), string(out.Markdown(nil, nil))} {
			if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || strings.Contains(text, "∞") {
				r.Fatalf("%s", text)
			}
		}
	})
}

// FuzzEscape: no text of others becomes markup, a link or a second line.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"a", "*b*", "[x](y)", "<b>", "a\nb", "| c |", "http://x", "![i](j)", "`c`", "\\*", "www.x.y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := escape(s)
		plain := strings.NewReplacer(`\\`, "x", `\*`, "x", `\_`, "x", `\[`, "x", `\]`, "x", `\|`, "x", "\\`", "x", `\~`, "x", `\#`, "x", `\!`, "x", `\$`, "x", `:\/\/`, "x", `www\.`, "x").Replace(out)
		if strings.ContainsAny(plain, "*_[]|`~#!$<>\n") || strings.Contains(plain, "://") {
			t.Errorf("%q is written as %q", s, out)
		}
	})
}
