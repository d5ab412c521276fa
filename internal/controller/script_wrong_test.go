package controller_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rogpeppe/go-internal/txtar"
)

// rightScript is a script that holds; each wrong one differs from it in one
// thing.
const rightScript = `
-- plan --
rig
- traffic: 25%,
+ traffic: 25%, before: [look],
-- setup --
users 250
-- script --
T       lead: start id=c-1
        lead: start id=c-1
T+0:10  p1 1
        expect exposure 10
        expect status running
        expect stage c10
        expect attempt 1
        expect bake 10m
        expect note none
        expect waiting "bake"
        expect served u0000 old
        expect rule "p1 > 5 over 1h" not-met value 1 limit 5
        expect item look open
        expect open pause
        expect closed resume "only a paused"
        expect account bake=10m
        expect notice "started*"
        expect notices 1 started
        expect chart p1 T+0:01..T+0:21 1
        expect lint clean
        expect last "started: c10"
        lead: resume                                    => 409 "only a paused or reduced rollout"
T+0:16  expect checks 1 red 1
        remember
        expect unchanged notices
        p1 5
        expect verdict met value 6 limit 5
-- notices --
started: c10 10 % by lead
check of c10 is red: p1 = 0
rolled back: p1 6 over 1h*
-- journal --
T+0:00 started c10
T+0:15..T+0:17 rolled_back p1 > 5 over 1h
`

// TestWrongScripts: every assertion of the language can fail, and what cannot
// be read is a failure too.
func TestWrongScripts(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"as it is", "", "", ""},
		{"exposure", "exposure 10", "exposure 25", "exposure is"},
		{"exposure, exactly", "exposure 10\n", "exposure 10\n        expect exposure 0\n", "exposure is"},
		{"status", "status running", "status paused", `status is "running"`},
		{"stage", "stage c10", "stage r25", `stage is "c10"`},
		{"attempt", "attempt 1", "attempt 2", `attempt is "1"`},
		{"bake", "bake 10m\n", "bake 20m\n", "bake is 5m"},
		{"bake at most", "bake 10m\n", "bake at most 1m\n", "want at most 1m"},
		{"note", "note none", "note quiet", `note is "none"`},
		{"waiting", `waiting "bake"`, `waiting "approval"`, "waiting[0]"},
		{"waiting for nothing", `waiting "bake"`, "waiting nothing", "want nothing"},
		{"served", "u0000 old", "u0000 new", "variant of u0000"},
		{"status of a rule", "not-met value", "met value", "is not met: not met"},
		{"value of a rule", "value 1 limit", "value 2..3 limit", "is not value"},
		{"limit of a rule", "limit 5\n        expect item", "limit 6\n        expect item", "is not limit"},
		{"mark of a rule", "not-met value", "dry value", "is not dry"},
		{"harm", "not-met value", "harm value", "is not harm"},
		{"proof", "not-met value", "proved value", "is not proved"},
		{"reference", "not-met value", "control value", "is not control"},
		{"a rule that is not there", "p1 > 5 over 1h\" not", "p1 > 9 over 1h\" not", "no verdict"},
		{"item", "look open", "look done", "item look"},
		{"an item that is not there", "look open", "listen open", "no list has"},
		{"open", "open pause", "open resume", "resume: open false"},
		{"closed", "closed resume", "closed pause", "pause: open true"},
		{"why closed", `"only a paused"`, `"the moon"`, "want open false"},
		{"account", "account bake=10m", "account bake=5h", "account"},
		{"part of the account", "account bake=10m", "account bake=10m paused=10m", "nothing of paused"},
		{"notice", `notice "started*"`, `notice "advanced*"`, "last notice"},
		{"number of notices", "notices 1 started", "notices 2 started", "1 notices"},
		{"chart", "T+0:21 1", "T+0:21 2", "chart of p1"},
		{"lint", "lint clean", "lint W99", "lint says"},
		{"last event", `last "started: c10"`, `last "started: r25"`, "the last event"},
		{"a refusal that does not come", "lead: start id=c-1\nT", "lead: start id=c-1 => 409 \"x\"\nT", "want 409"},
		{"another status", "=> 409 \"only", "=> 403 \"only", "want 403"},
		{"another reason", "paused or reduced rollout", "sleeping rollout", "want it to say"},
		{"a refusal that is not expected", "lead: start id=c-1\nT", "lead: resume\nT", "got 409"},
		{"checks", "checks 1 red 1", "checks 2 red 1", "1 checks"},
		{"red checks", "checks 1 red 1", "checks 1 red 0", "1 checks are red"},
		{"unchanged", "remember\n", "remember\n        lead: pause\n        lead: resume\n", "new notices"},
		{"verdict", "met value 6", "met value 7", "is not value"},
		{"notices", "check of c10 is red: p1 = 0", "check of c10 is red: lcp", "notices (-want"},
		{"a notice too many", "check of c10 is red: p1 = 0\n", "", "notices (-want"},
		{"type of an event", "rolled_back p1", "reduced p1", "got T+0:16 rolled_back"},
		{"time of an event", "T+0:15..T+0:17 rolled_back", "T+0:17..T+0:19 rolled_back", "got T+0:16"},
		{"slack of an event", "T+0:15..T+0:17 rolled_back", "T+0:30 rolled_back", "got T+0:16"},
		{"an event that is missing", "T+0:00 started c10\n", "T+0:00 started c10\nT+0:05 paused by lead\n", "missing: T+0:15..T+0:17"},
		{"an event that is not listed", "T+0:00 started c10\n", "", "unexpected: T+0:16"},
		{"no journal", "-- journal --", "-- diary --", "no journal"},
		{"time of day", "T+0:10  p1", "T+0:10 (Mon 10:10) p1", "said to be"},
		{"backwards", "T+0:16", "T+0:06", "before the step above"},
		{"an unknown step", "p1 1", "p9 1", `nothing is called "p9"`},
		{"an unknown expectation", "note none", "mood good", "can be expected"},
		{"an unknown facet", "not-met value 1", "green value 1", "a verdict is not"},
		{"an unknown option", "id=c-1\nT", "colour=red\nT", "a command has no"},
		{"a change that does not fit", "- traffic: 25%,", "- traffic: 26%,", "the plan has no"},
		{"a plan that does not parse", "before: [look]", "before: [look", "create:"},
		{"a refusal without words", `=> 409 "only a paused or reduced rollout"`, "=> 409", "say what the refusal says"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := rightScript
			if tt.old != "" {
				if !strings.Contains(text, tt.old) {
					t.Fatalf("the right script has no %q", tt.old)
				}
				text = strings.Replace(text, tt.old, tt.new, 1)
			}
			var x *run
			synctest.Test(t, func(t *testing.T) { x = runScript(t, txtar.Parse([]byte(text))) })
			found := strings.Join(x.problems, "\n")
			switch {
			case tt.want == "" && found != "":
				t.Errorf("the right script fails:\n%s", found)
			case tt.want != "" && !strings.Contains(found, tt.want):
				t.Errorf("found %q, want %q", found, tt.want)
			}
		})
	}
}

// TestWrongService: what holds after every script is looked at.
func TestWrongService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := runScript(t, txtar.Parse([]byte(rightScript)))
		if len(x.problems) > 0 {
			t.Fatal(x.problems)
		}
		x.team.accepted = append(x.team.accepted, x.team.accepted[0])
		x.invariants()
		if len(x.problems) != 1 || !strings.Contains(x.problems[0], "accepted twice") {
			t.Errorf("a message that came twice: %q", x.problems)
		}
	})
}
