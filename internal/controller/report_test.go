package controller_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/controller"
	"serin/internal/rollout"
)

func (r *rig) report() controller.Report {
	r.Helper()
	rep, err := r.c.Report(r.Context(), r.id)
	if err != nil {
		r.Fatal(err)
	}
	return rep
}

// TestReportWhereTheTimeWent is S11: the report's parts, to five minutes, and
// their sum, to one.
func TestReportWhereTheTimeWent(t *testing.T) {
	bubble(t, func(r *rig) {
		r.whereTheTimeWent()
		rep := r.report()
		want := map[string]time.Duration{"bake": 8 * time.Hour, "waiting:no data": 30 * time.Minute, "paused": 30 * time.Minute,
			"waiting:approval": time.Hour, "waiting:window": 30 * time.Minute, "down": 10 * time.Minute}
		var sum time.Duration
		for _, p := range rep.Time.Parts {
			sum += p.Time
			if d := (p.Time - want[p.Key]).Abs(); d > 5*time.Minute {
				t.Errorf("%s: %s, want %s", p.Key, p.Time, want[p.Key])
			}
			delete(want, p.Key)
		}
		for key, d := range want {
			if d > 5*time.Minute {
				t.Errorf("%s is missing, want %s", key, d)
			}
		}
		if (sum-rep.Time.Wall).Abs() > time.Minute || rep.Time.Wall != rep.Ended.Sub(rep.Started) {
			t.Errorf("the parts sum to %s, the wall time is %s", sum, rep.Time.Wall)
		}
		var stages, bake time.Duration
		for _, st := range rep.Attempts[0].Stages {
			stages, bake = stages+st.Wall, bake+st.Bake
		}
		if (stages-rep.Time.Wall).Abs() > time.Minute || (bake-8*time.Hour).Abs() > 5*time.Minute {
			t.Errorf("the stages sum to %s with bake %s", stages, bake)
		}
		if !rep.Final || rep.Outcome != controller.OutcomeSucceeded || !rep.Success.Judged || rep.Success.Met != 3 {
			t.Errorf("final %t, %s, %+v", rep.Final, rep.Outcome, rep.Success)
		}
		t.Log(rep.Headline, "\n", rep.Time.Sum)
	}, windowed...)
}

// TestReportIsFrozen: what is read of a rollout that is over stays, also after
// a restart of the process and long after.
func TestReportIsFrozen(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("8:20")
		first := r.report()
		if !first.Final || first.Attribution == nil || first.Attribution.Attributed == 0 {
			t.Fatalf("final %t, attribution %+v", first.Final, first.Attribution)
		}
		r.drive("9:00")
		r.restart()
		r.drive("20:00")
		if diff := cmp.Diff(decoded(t, first), decoded(t, r.report())); diff != "" {
			t.Errorf("the report has changed (-then +now):\n%s", diff)
		}
	})
}

func decoded(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// hostile is what a person may write where a person may write.
const hostile = "a|b\n# c <script>alert(1)</script> [x](javascript:y) `z` ![i](//e) \u202e $1$"

// reported are rollouts whose whole report is kept beside the test.
var reported = []struct {
	name string
	plan []string
	do   func(r *rig)
}{
	{"healthy", windowed, (*rig).whereTheTimeWent},
	{"trouble", []string{
		"timezone: UTC", "timezone: UTC\ntitle: \"New | search\\n# <b>bold</b>\"",
		"rollback:", "actions: { rollback: { within: 1m }, revert: { show: [git revert $commit, git push origin main], within: 2m, by: lead }, " +
			"restart: { from: r25, after: 0m, needs: [cause] } }\n" +
			"cleanup: { owner: lead, tasks: [{ id: keep, do: \"Keep the flag?\", choose: { a: Remove, b: Keep } }, { id: docs, do: Docs, when: keep = b }] }\nrollback:",
	}, (*rig).trouble},
}

// trouble drives a rollout through an override, a late rollback, a revert by
// hand, a restart and a clean-up.
func (r *rig) trouble() {
	r.Helper()
	r.lead(rollout.Start)
	r.lead(rollout.Deploy, release("1.4.2", "abc123"))
	r.drive("0:30")
	r.lead(rollout.Promote, reason(hostile))
	r.drive("1:00")
	p1 := r.p1(6)
	r.silent, r.cutOff = true, true
	r.send(p1...)
	r.drive("1:01")
	r.lead(rollout.Revert)
	r.drive("1:05")
	r.silent, r.cutOff = false, false
	r.lead(rollout.Deploy, release("1.4.3", "def456"))
	r.drive("2:05")
	r.lead(rollout.Restart, cause(hostile), to("r25"))
	r.drive("8:30")
	r.lead(rollout.Complete, item("keep"), to("a"))
	r.lead(rollout.Finish)
}

// TestReportForms holds each form of a report against the file that was read
// by people.
func TestReportForms(t *testing.T) {
	for _, tt := range reported {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				tt.do(r)
				rep := r.report()
				page, err := rep.HTML()
				if err != nil {
					t.Fatal(err)
				}
				for i := range rep.Timeline {
					rep.Timeline[i].Event = rollout.Event{Pos: rep.Timeline[i].Pos, Type: rep.Timeline[i].Type, At: rep.Timeline[i].At}
				}
				text, err := json.MarshalIndent(rep, "", " ")
				if err != nil {
					t.Fatal(err)
				}
				golden(t, tt.name+".md", rep.Markdown())
				golden(t, tt.name+".html", page)
				golden(t, tt.name+".json", append(text, '\n'))
			}, tt.plan...)
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "report", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: write it with -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
