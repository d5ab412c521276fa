package telemetry

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"serin/internal/flag"
)

func target() *Target {
	return &Target{
		Split: flag.Split{
			Flag: "adminWorkBench", New: "AdminWorkBench", Old: "ExecutiveDashboard", Exposure: 50_000,
			Audience: flag.Condition{Terms: []flag.Term{{Attribute: "role", Values: []string{"admin"}}}},
			Include:  flag.Subjects{Users: []string{"vip"}, Groups: []string{"staff"}},
		},
		Environment: "production", Feature: "admin-workbench",
		Tags: map[string]string{"feature": "admin-workbench"}, Pages: []string{"/admin/users", "/shop/*"},
	}
}

// someUser returns a user whom the split assigns to arm.
func someUser(t *Target, arm Arm) string {
	for u := 'a'; ; u++ {
		if t.Assign(string(u)) == arm {
			return string(u)
		}
	}
}

func TestAttribute(t *testing.T) {
	tg := target()
	n, o := someUser(tg, New), someUser(tg, Old)
	admin := map[string]string{"user.role": "admin"}
	known := func(u string) bool { return u == o }
	tests := []struct {
		name string
		e    Event
		want Attribution
	}{
		{"attributes", Event{User: n, Attributes: admin}, Attribution{Assigned: New, Member: true, How: "hash"}},
		{"tag role", Event{User: n, Tags: map[string]string{"role": "admin"}}, Attribution{Assigned: New, Member: true, How: "hash"}},
		{"evaluation", Event{User: o}, Attribution{Assigned: Old, Member: true, How: "hash"}},
		{"session", Event{SessionUser: o}, Attribution{Assigned: Old, Member: true, How: "hash"}},
		{"unknown user", Event{User: n}, Attribution{Why: WhyNotMember}},
		{"outside", Event{User: n, Tags: map[string]string{"role": "guest"}}, Attribution{Why: WhyOutside}},
		{"nobody", Event{}, Attribution{Why: WhyNoUser}},
		{"environment", Event{User: o, Environment: "staging"}, Attribution{Why: WhyEnvironment}},
		{"flags only", Event{Flags: map[string]string{"adminWorkBench": "true"}}, Attribution{Reported: New, How: "flags"}},
		{"variant name", Event{Flags: map[string]string{"adminWorkBench": "ExecutiveDashboard"}}, Attribution{Reported: Old, How: "flags"}},
		{"attribute", Event{Attributes: map[string]string{"flag.evaluation.adminWorkBench": "on"}}, Attribution{Reported: New, How: "flags"}},
		{"tag beats flags", Event{Tags: map[string]string{"flag.adminWorkBench": "off"}, Flags: map[string]string{"adminWorkBench": "on"}}, Attribution{Reported: Old, How: "tag"}},
		{"feature and variant", Event{Tags: map[string]string{"feature": "admin-workbench", "variant": "on"}}, Attribution{Reported: New, How: "tag"}},
		{"other feature", Event{Tags: map[string]string{"feature": "x", "variant": "on"}}, Attribution{Why: WhyNoUser}},
		{"conflict", Event{User: o, Flags: map[string]string{"adminWorkBench": "on"}}, Attribution{Assigned: Old, Reported: New, Member: true, How: "flags", Conflict: true}},
		{"bad variant", Event{Flags: map[string]string{"adminWorkBench": "purple"}}, Attribution{Why: WhyBadVariant}},
		{"included user", Event{User: "vip", Attributes: admin}, Attribution{Member: true, Included: true}},
		{"included group", Event{User: n, Attributes: map[string]string{"user.role": "admin", "groups": "a, staff"}}, Attribution{Member: true, Included: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, Attribute(tg, &tt.e, known)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAssign(t *testing.T) {
	// Monotone and near its share: who is in at 10 % is in at 25 %.
	small, large := target(), target()
	small.Split.Exposure, large.Split.Exposure = 10_000, 25_000
	var a, b int
	for i := range 20_000 {
		u := "user-" + string(rune('a'+i%26)) + string(rune(0x4e00+i))
		inA, inB := small.Assign(u) == New, large.Assign(u) == New
		if inA && !inB {
			t.Fatalf("%s left when the share rose", u)
		}
		if inA {
			a++
		}
		if inB {
			b++
		}
	}
	if a < 1800 || a > 2200 || b < 4700 || b > 5300 {
		t.Errorf("of 20,000: %d at 10 %%, %d at 25 %%", a, b)
	}
	small.Split.Exposure = 0
	if small.Assign("x") != Old {
		t.Error("exposure 0 assigned the new variant")
	}
	small.Split.Exposure = flag.Everyone
	if small.Assign("x") != New {
		t.Error("exposure 100 % assigned the old variant")
	}
}

func TestScope(t *testing.T) {
	tg := target()
	tests := []struct {
		e            Event
		tagged, page bool
	}{
		{Event{Page: "/admin/users/"}, false, true},
		{Event{URL: "https://x.example/shop/a/b?c=d"}, false, true},
		{Event{Page: "/admin"}, false, false},
		{Event{Tags: map[string]string{"feature": "admin-workbench"}}, true, false},
		{Event{Attributes: map[string]string{"feature": "admin-workbench"}}, true, false},
	}
	for _, tt := range tests {
		if got := tg.Tagged(&tt.e); got != tt.tagged {
			t.Errorf("%+v: tagged %v", tt.e, got)
		}
		if got := tg.OnPage(&tt.e); got != tt.page {
			t.Errorf("%+v: on page %v", tt.e, got)
		}
	}
	if (&Target{}).Tagged(&Event{}) {
		t.Error("without scope.tags nothing is tagged")
	}
}
