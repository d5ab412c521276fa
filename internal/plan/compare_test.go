package plan

import (
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	cases := []struct {
		old, new string
		changes  int
		looser   bool
	}{
		{"small", "small", 0, false},
		{"# ", "# ", 0, false},
		{"p1 > 5 over 1h", "p1 > 6 over 1h", 1, true},
		{"p1 > 5 over 1h", "p1 > 4 over 1h", 1, false},
		{"p1 > 5 over 1h", "p1 >= 5 over 1h", 1, false},
		{"p1 > 5 over 1h", "p1 > 5 over 2h", 1, true},
		{"p1 > 5 over 1h]", "p1 > 5 over 1h, p2 > 9 over 1h]", 1, false},
		{"[p1 > 5 over 1h]", "[]", 1, true},
		{"errors < 5", "errors < 6", 2, true}, // in both stages
		{"errors < 5", "errors < 4", 2, false},
		{"errors < 5", "errors <= 5", 2, true},
		{", errors < 5", "", 2, true},
		{"bake: 2h", "bake: 3h", 2, false},
		{"bake: 2h", "bake: 1h", 2, true},
		{"traffic: 50%", "traffic: 60%", 1, true},
		{"checks: []", "checks: [{ every: 1h, expect: ok }]", 6, false}, // a check holds nothing
		{"owner: lead", "owner: [lead, lead]", 2, false},
		{"false_rollback: 1%", "margin: 6%", 1, true},
		{"false_rollback: 1%", "inconclusive: pass", 2, true},
		{"false_rollback: 1%", "inconclusive: hold", 2, false},
		{"level:fatal", "level:error", 2, true},
		{"timezone: UTC", "# moves every line\ntimezone: UTC", 0, false},
		{"daily 00:00-24:00", "mon-fri 08:00-18:00", 1, true},
		{"may: [start, approve,", "may: [start,", 1, true},
		{"audience: role = admin }", "holdback: 10%, audience: role = admin }", 1, false},
		{"    - { id: legacy", "    - { id: docs, do: Write }\n    - { id: legacy", 0, false}, // no traffic hangs on it
		{"cleanup:", "preflight: [{ id: qa, do: Try it }]\ncleanup:", 1, false},
		{"rollback: [", "  - { stage: most, like: canary, traffic: 80% }\nrollback: [", 1, true},
		{"  - { stage: half", "  - { stage: some, like: canary, traffic: 20% }\n  - { stage: half", 1, false},
	}
	before := parsed(t, []byte(base))
	for _, c := range cases {
		after := before
		if strings.Contains(base, c.old) {
			after = parsed(t, []byte(changed(t, c.old, c.new)))
		}
		d := Compare(before, after)
		if c.old == "level:fatal" { // the grading, and each rule that counts by it
			if !d.Looser || len(d.Changes) < c.changes {
				t.Errorf("%s: %v", c.new, d.Changes)
			}
			continue
		}
		if len(d.Changes) != c.changes || d.Looser != c.looser {
			t.Errorf("%s -> %s: looser %t, %v", c.old, c.new, d.Looser, d.Changes)
		}
	}
}

// TestCompareChecklist: an item left out, changed or written as done is looser.
func TestCompareChecklist(t *testing.T) {
	const list = "preflight: [{ id: qa, do: Try it, by: lead }, { id: ci, do: See CI }]\ncleanup:"
	before := parsed(t, []byte(changed(t, "cleanup:", list)))
	for _, change := range [][2]string{{", { id: ci, do: See CI }", ""}, {"do: See CI", "do: See CI, done: true"}, {", by: lead", ""}} {
		after := parsed(t, []byte(changed(t, "cleanup:", strings.Replace(list, change[0], change[1], 1))))
		if d := Compare(before, after); !d.Looser {
			t.Errorf("%q -> %q: not looser, %v", change[0], change[1], d.Changes)
		}
	}
}
