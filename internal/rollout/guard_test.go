package rollout

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/judge"
)

func TestHealthyRunChecksAndNotices(t *testing.T) {
	r := newRig(t, rigPlan)
	r.must(Command{Verb: Start})
	r.drive(9 * time.Hour)
	var checked int
	var told []Type
	for _, e := range r.journal {
		if e.Type == Checked {
			checked++
			if len(e.Red) > 0 {
				t.Errorf("check %d is red", e.Pos)
			}
		}
		if e.Type == Advanced && len(e.Verdicts) != 3 {
			t.Errorf("advance %d rests on %d verdicts, want 3", e.Pos, len(e.Verdicts))
		}
	}
	for _, e := range r.notices {
		told = append(told, e.Type)
	}
	if checked != 32 {
		t.Errorf("checked %d times, want 32", checked)
	}
	want := []Type{Started, Advanced, Advanced, Advanced, Advanced, Advanced, Finished}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

func TestRedCheckIsToldOnce(t *testing.T) {
	r := newRig(t, rigPlan)
	r.must(Command{Verb: Start})
	r.proceed["p1"] = judge.NotMet
	r.drive(time.Hour)
	r.proceed["errors"] = judge.NotMet
	r.drive(20 * time.Minute)
	r.proceed = map[string]judge.Status{}
	r.drive(20 * time.Minute)
	var told []string
	for _, e := range r.notices {
		if e.Type == Checked {
			told = append(told, strings.Join(e.Red, ","))
		}
	}
	if diff := cmp.Diff([]string{"p1 = 0", ""}, told); diff != "" {
		t.Errorf("notices about checks (-want +got):\n%s", diff)
	}
}

func TestAccounting(t *testing.T) {
	source := strings.Replace(rigPlan, "like: c10, traffic: 25%, ", "like: c10, traffic: 25%, approve: lead, ", 1)
	source = strings.Replace(source, "like: c10, traffic: 50%, ", `like: c10, traffic: 50%, at: "14:30-18:00", `, 1)
	r := newRig(t, source)
	r.must(Command{Verb: Start})
	r.drive(39 * time.Minute)
	r.data = judge.Data{NoData: true, Since: walkStart.Add(30 * time.Minute)}
	r.drive(31 * time.Minute)
	r.data = judge.Data{}
	r.drive(20 * time.Minute)
	r.must(Command{Verb: Pause})
	r.drive(30 * time.Minute)
	r.must(Command{Verb: Resume})
	r.drive(2 * time.Hour)
	r.must(Command{Verb: Approve})
	r.drive(100 * time.Minute)
	r.wall, r.mono = r.wall.Add(10*time.Minute), 0
	in := r.input()
	in.Fresh = true
	if err := r.step(in); err != nil {
		t.Fatal(err)
	}
	r.drive(6 * time.Hour)
	want := map[string]time.Duration{"bake": 8 * time.Hour, "waiting:no data": 30 * time.Minute, "paused": 30 * time.Minute,
		"waiting:approval": time.Hour, "waiting:window": 30 * time.Minute, "down": 10 * time.Minute}
	for k, d := range want {
		if got := r.s.Account[k]; (got - d).Abs() > 2*time.Minute {
			t.Errorf("%s: %s, want %s", k, got, d)
		}
	}
	var sum time.Duration
	for _, d := range r.s.Account {
		sum += d
	}
	if wall := r.s.FinishedAt.Sub(r.s.StartedAt); sum != wall || r.s.Status != Done {
		t.Errorf("parts sum to %s, wall time is %s, status %s: %v", sum, wall, r.s.Status, r.s.Account)
	}
}

// TestRefusals: what is asked, in which situation, and the kind of refusal (0 = done).
func TestRefusals(t *testing.T) {
	running := func(r *rig) { r.must(Command{Verb: Start}); r.drive(10 * time.Minute) }
	rolled := func(r *rig) { running(r); r.must(Command{Verb: Rollback}) }
	gated := func(r *rig) { r.p.Stages[1].Approve = []string{"lead"}; running(r) }
	tests := []struct {
		name  string
		setup func(*rig)
		c     Command
		want  RefusalKind
		why   string
	}{
		{"start twice", running, Command{Verb: Start}, Barred, "running"},
		{"start without the role", nil, Command{Verb: Start, Role: "dev"}, Forbidden, "lead"},
		{"start with the version seen", nil, Command{Verb: Start, Version: 1}, 0, ""},
		{"a stale version", running, Command{Verb: Promote, Version: 1, Reason: "x"}, Stale, "look again"},
		{"no version from a page", running, Command{Verb: Promote, Via: "web", Reason: "x"}, Missing, "version"},
		{"lowering with a stale version", running, Command{Verb: Rollback, Version: 1}, 0, ""},
		{"pause with a stale version", running, Command{Verb: Pause, Version: 1}, 0, ""},
		{"pause without any role", running, Command{Verb: Pause, Role: "nobody"}, 0, ""},
		{"reduce to more", running, Command{Verb: Reduce, Percent: 20000}, Barred, "only lowers"},
		{"reduce below zero", running, Command{Verb: Reduce, Percent: -1}, Missing, "0 %"},
		{"reduce", running, Command{Verb: Reduce, Percent: 1000}, 0, ""},
		{"resume a running one", running, Command{Verb: Resume}, Barred, "paused or reduced"},
		{"approve where none is asked for", running, Command{Verb: Approve}, Barred, "no approval"},
		{"approve a restart while running", gated, Command{Verb: Approve, Item: "restart"}, Barred, "only a rolled-back rollout can be approved for a restart"},
		{"approve what is not asked for", gated, Command{Verb: Approve, Item: "r75"}, Missing, "leave the item out"},
		{"approve the next raise", gated, Command{Verb: Approve}, 0, ""},
		{"approve what was rolled back", rolled, Command{Verb: Approve}, Barred, "approve the item restart"},
		{"approve the restart", rolled, Command{Verb: Approve, Item: "restart"}, 0, ""},
		{"accept before the end", running, Command{Verb: Accept, Reason: "x"}, Barred, "end of a stage"},
		{"confirm nothing", running, Command{Verb: Confirm}, Barred, "no confirmation"},
		{"complete an unknown item", running, Command{Verb: Complete, Item: "x"}, Missing, "no item"},
		{"promote to no stage", running, Command{Verb: Promote, To: "x", Reason: "y"}, Missing, "no stage"},
		{"promote back", running, Command{Verb: Promote, To: "c10", Reason: "y"}, Barred, "only raises"},
		{"promote far", running, Command{Verb: Promote, To: "r75", Reason: "y"}, 0, ""},
		{"cancel a running one", running, Command{Verb: Cancel}, Barred, "roll it back first"},
		{"cancel", rolled, Command{Verb: Cancel}, 0, ""},
		{"finish a running one", running, Command{Verb: Finish}, Barred, "clean-up"},
		{"roll back twice", rolled, Command{Verb: Rollback}, Barred, "nothing to roll back"},
		{"restart too early", rolled, Command{Verb: Restart, Cause: "x"}, Barred, "restart.after"},
		{"deployed without a release", running, Command{Verb: Deploy}, Missing, "which release"},
		{"revise without a plan", running, Command{Verb: Revise}, Missing, "name the plan"},
		{"revise", running, Command{Verb: Revise, PlanHash: "h"}, 0, ""},
		{"no such verb", running, Command{Verb: "jump"}, Missing, "jump"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, rigPlan)
			if tt.setup != nil {
				tt.setup(r)
			}
			before := len(r.journal)
			err := r.do(tt.c)
			if got := kindOf(err); got != tt.want {
				t.Fatalf("refusal %d (%v), want %d", got, err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), tt.why) {
				t.Errorf("why %q does not say %q", err, tt.why)
			}
			if err != nil && len(r.journal) != before {
				t.Errorf("a refused command journalled %v", r.journal[before:])
			}
		})
	}
}

func TestPromoteFarIsWholeOrNotAtAll(t *testing.T) {
	source := strings.Replace(rigPlan, "like: c10, traffic: 75%, ", "like: c10, traffic: 75%, before: [look], ", 1)
	r := newRig(t, source)
	r.must(Command{Verb: Start})
	if err := r.do(Command{Verb: Promote, To: "r75", Reason: "x"}); kindOf(err) != Barred || !strings.Contains(err.Error(), "look") {
		t.Fatalf("refusal %v, want one that names the checklist", err)
	}
	if r.s.Stage != 0 {
		t.Errorf("stage %d after a refused promotion, want 0", r.s.Stage)
	}
	r.must(Command{Verb: Promote, To: "r50", Reason: "x"})
	if r.s.Stage != 2 || len(r.s.Overridden) != 2 {
		t.Errorf("stage %d, overridden %v, want 2 and two", r.s.Stage, r.s.Overridden)
	}
}

func TestFactsCompleteAndReopen(t *testing.T) {
	source := rigPlan + "preflight:\n  - { id: flag, do: Flag is served, verify: flag exists }\n  - { id: qa, do: Tried out, by: dev }\n"
	r := newRig(t, source)
	r.facts = map[string]bool{"flag": true}
	r.drive(time.Minute)
	if diff := cmp.Diff([]string{"qa: Tried out (dev)"}, PreflightOpen(r.p, r.s, r.input())); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	if err := r.do(Command{Verb: Complete, Item: "qa"}); kindOf(err) != Forbidden {
		t.Errorf("completed by another role: %v", err)
	}
	r.must(Command{Verb: Complete, Item: "qa", Role: "dev"})
	r.facts["flag"] = false
	if err := r.do(Command{Verb: Start}); kindOf(err) != Barred {
		t.Errorf("started though a fact does not hold: %v", err)
	}
	r.drive(time.Minute)
	if last := r.journal[len(r.journal)-1]; last.Type != Reopened || last.Item != "flag" {
		t.Errorf("last event %s %s, want reopened flag", last.Type, last.Item)
	}
	r.facts["flag"] = true
	r.drive(time.Minute)
	r.must(Command{Verb: Start})
}

func TestOpenAgreesWithCommands(t *testing.T) {
	r := newRig(t, rigPlan)
	check := func() {
		t.Helper()
		for _, c := range Open(r.p, r.s, r.input()) {
			if !c.Open && len(c.Missing) == 0 {
				t.Errorf("%s is closed in %s and nothing is missing", c.Verb, r.s.Status)
			}
			err := func() error {
				copied := *r
				cmd := Command{Verb: c.Verb, Reason: "x", Cause: "x", Percent: 1, PlanHash: "h", Release: "1"}
				if r.s.Status == RolledBack && c.Verb == Approve {
					cmd.Item = itemRestart // an approval there names it, so that a late click is none
				}
				return copied.do(cmd)
			}()
			if kind := kindOf(err); (kind == Barred) == c.Open && c.Verb != Complete && c.Verb != Reopen {
				t.Errorf("%s in %s: open %t, but the command says %v", c.Verb, r.s.Status, c.Open, err)
			}
		}
	}
	check()
	r.must(Command{Verb: Start})
	check()
	r.must(Command{Verb: Reduce, Hotfix: true})
	check()
	r.must(Command{Verb: Rollback})
	check()
}

// TestLooserRevision: who may revise and not approve cannot widen the
// calendar, nor give himself the right to approve; a stricter plan he may.
func TestLooserRevision(t *testing.T) {
	base := strings.Replace(rigPlan, "may: [promote]", "may: [revise]", 1)
	base = strings.Replace(base, "daily 00:00-24:00", "mon-fri 08:00-18:00", 1)
	for _, c := range []struct {
		old, new string
		want     RefusalKind
	}{
		{"mon-fri 08:00-18:00", "daily 00:00-24:00", Forbidden},
		{"may: [revise]", "may: [revise, approve]", Forbidden},
		{"users: 10,", "users: 1,", Forbidden},
		{"p1 > 5 over 1h", "p1 > 6 over 1h", Forbidden},
		{"p1 > 5 over 1h", "p1 > 4 over 1h", 0},
		{"errors < 5", "errors < 4", 0},
	} {
		r := newRig(t, base)
		next := parse(t, strings.Replace(base, c.old, c.new, 1))
		err := r.do(Command{Verb: Revise, Role: "dev", PlanHash: next.Hash, Plan: next})
		if got := kindOf(err); got != c.want {
			t.Errorf("%s -> %s: got %v, want kind %d", c.old, c.new, err, c.want)
		}
	}
}

func TestReviseDropsABlindRule(t *testing.T) {
	r := newRig(t, rigPlan)
	r.must(Command{Verb: Start})
	r.guards["p1"] = judge.Verdict{Cause: judge.CauseBlind}
	r.drive(5 * time.Minute)
	next := parse(t, strings.Replace(rigPlan, "rollback: [p1 > 5 over 1h, ", "rollback: [", 1))
	r.must(Command{Verb: Revise, PlanHash: next.Hash, Plan: next})
	if len(r.s.Blind) != 0 || r.s.Bake != 0 || r.s.Revision != 2 {
		t.Errorf("blind %v, bake %s, revision %d; want none, 0s, 2", r.s.Blind, r.s.Bake, r.s.Revision)
	}
	if last := r.journal[len(r.journal)-1]; !last.Looser {
		t.Errorf("a plan without a guard is looser")
	}
}
