package rollout

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const revertActions = "actions: { revert: { show: [git revert $commit, git push], within: 2m, by: dev } }\nrollback:"

func revertRig(t *testing.T) *rig {
	return newRig(t, strings.Replace(rigPlan, "rollback:", revertActions, 1))
}

func (r *rig) last(t Type) (e Event) {
	for _, x := range r.journal {
		if x.Type == t {
			e = x
		}
	}
	return e
}

// TestRevert: a person begins and ends it; traffic stays; the commands that
// were shown are kept.
func TestRevert(t *testing.T) {
	r := revertRig(t)
	if err := r.do(Command{Verb: Revert, Role: "dev"}); kindOf(err) != Barred {
		t.Errorf("before the start: %v", err)
	}
	r.must(Command{Verb: Start})
	r.must(Command{Verb: Deploy, Release: "1.4.2", Commit: "abc123"})
	r.drive(time.Minute)
	exposure := r.s.Exposure
	for name, c := range map[string]Command{"another role": {Verb: Revert}, "nobody began": {Verb: Revert, Role: "dev", Done: true}} {
		if err := r.do(c); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
	r.must(Command{Verb: Revert, Role: "dev"})
	if diff := cmp.Diff([]string{"git revert abc123", "git push"}, r.last(RevertBegun).Show); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
	if err := r.do(Command{Verb: Revert, Role: "dev"}); kindOf(err) != Barred {
		t.Errorf("begun twice: %v", err)
	}
	r.must(Command{Verb: Deploy, Release: "1.4.2", Commit: "abc123"})
	if r.s.Revert == nil {
		t.Error("the same commit again ended the revert")
	}
	r.must(Command{Verb: Revert, Role: "dev", Done: true})
	if r.s.Revert != nil || r.s.Exposure != exposure {
		t.Errorf("revert %+v, exposure %s, was %s", r.s.Revert, r.s.Exposure, exposure)
	}
	if s := r.last(Reverted).Served; s == nil || s.Action != ActionRevert || s.Evaluated == 0 || s.Limit != 2*time.Minute {
		t.Errorf("reverted: %+v", s)
	}
}

// TestRevertReportedLive: another commit ends it.
func TestRevertReportedLive(t *testing.T) {
	r := revertRig(t)
	r.must(Command{Verb: Start})
	r.must(Command{Verb: Deploy, Release: "1.4.2", Commit: "abc123"})
	r.must(Command{Verb: Rollback})
	r.must(Command{Verb: Revert, Role: "dev"})
	r.must(Command{Verb: Deploy, Release: "1.4.3", Commit: "def456"})
	e := r.last(Reverted)
	if title, _ := Title(r.p, e); r.s.Revert != nil || e.Kind != reportedLive || !strings.HasPrefix(title, "revert reported live: def456") {
		t.Errorf("revert %+v, %q", r.s.Revert, title)
	}
}

// TestRevertShown: only what a shell takes for one word is filled in, and
// what is not known is said.
func TestRevertShown(t *testing.T) {
	p := revertRig(t).p
	for name, tt := range map[string]struct {
		s       State
		first   string
		missing string
	}{
		"known":        {State{Release: "1", Commit: "feature/x-1.2_3"}, "git revert feature/x-1.2_3", ""},
		"nothing":      {State{}, "git revert $commit", "no deployment was reported; $commit is not known"},
		"release only": {State{Release: "1.4"}, "git revert $commit", "release 1.4 came without a commit"},
		"an order":     {State{Release: "1.4", Commit: "x; rm -rf /"}, "git revert $commit", "no plain commit id"},
		"an option":    {State{Release: "1.4", Commit: "--help"}, "git revert $commit", "no plain commit id"},
		"under way":    {State{Commit: "new", Revert: &Clock{Commit: "old"}}, "git revert old", ""},
	} {
		got := ShowRevert(p, tt.s)
		if got.Commands[0] != tt.first || (got.Missing == "") != (tt.missing == "") || !strings.Contains(got.Missing, tt.missing) {
			t.Errorf("%s: %q, missing %q", name, got.Commands, got.Missing)
		}
	}
	if p.Actions.Revert.Show[0] != "git revert $commit" {
		t.Errorf("the plan was changed: %q", p.Actions.Revert.Show)
	}
}

// TestRevertNeedsAPlan: without commands there is nothing to acknowledge.
func TestRevertNeedsAPlan(t *testing.T) {
	r := newRig(t, rigPlan)
	r.must(Command{Verb: Start})
	if err := r.do(Command{Verb: Revert}); kindOf(err) != Barred || !strings.Contains(err.Error(), "actions.revert") {
		t.Errorf("got %v", err)
	}
}
