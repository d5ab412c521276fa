package plan

import (
	"strings"
	"testing"
)

func TestRevise(t *testing.T) {
	before := parsed(t, []byte(base))
	cases := []struct {
		old, new string
		reached  int
		want     string
	}{
		{"small", "small", 1, ""},
		{"plan: small", "plan: tiny", -1, `plan.yaml:2: error E17: plan "tiny" was "small": it is fixed for the plan's life: put it back`},
		{"{ key: small,", "{ key: big,", -1, `plan.yaml:4: error E17: flag.key "big" was "small": it is fixed for the plan's life: put it back`},
		{"{ key: small,", "{ key: small, salt: x,", 1, `plan.yaml:4: error E17: flag.salt "x" was "small": it is fixed for the plan's life: put it back`},
		{"{ key: small,", "{ key: small, by: tenant,", 1, `plan.yaml:4: error E17: flag.by "tenant" was "targetingKey": it is fixed for the plan's life: put it back`},
		{"traffic: 10%", "traffic: 11%", -1, ""},
		{"traffic: 10%", "traffic: 11%", 0, `plan.yaml:16: error E17: stage "canary" is under way: put line 16 back`},
		{"traffic: 10%", "traffic: 11%", 1, `plan.yaml:16: error E17: stage "canary" is past: put line 16 back`},
		{"timezone: UTC", "timezone: UTC\ntitle: moves every line down", 1, ""},
		{"bake: 2h", "bake: 3h", 0, ""}, // of the stage that is under way
		{"bake: 2h", "bake: 3h", 1, `plan.yaml:16: error E17: stage "canary" is past: put line 16 back`},
		{"ok: [p1 = 0, errors < 5]", "ok: [p1 = 0, errors < 4]", 1, ""}, // a set that the stage to come shares
		{"traffic: 50%", "traffic: 60%", 0, ""},
		{"traffic: 50%", "traffic: 60%", 1, `plan.yaml:17: error E17: stage "half" is under way: put line 17 back`},
		{"  - { stage: half, like: canary, traffic: 50% }\n", "", 0, ""},
		{"  - { stage: half, like: canary, traffic: 50% }\n", "", 1, `plan.yaml:15: error E17: stage "half" is under way and missing: put line 17 back`},
		{"  - { stage: half", "  - { stage: more, like: canary, traffic: 20% }\n  - { stage: half", 0, ""},
		{"  - { stage: half", "  - { stage: more, like: canary, traffic: 20% }\n  - { stage: half", 1, `plan.yaml:17: error E17: stage "half" is under way and not at its place: put line 17 back`},
	}
	for _, c := range cases {
		after := before
		if c.old != c.new {
			after = parsed(t, []byte(changed(t, c.old, c.new)))
		}
		got, _, _ := strings.Cut(Revise(before, after, c.reached).Error(), "\n")
		if got != c.want {
			t.Errorf("%s at %d: got %q, want %q", c.new, c.reached, got, c.want)
		}
	}
}
