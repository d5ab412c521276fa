package flag

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestTargetingText(t *testing.T) {
	base := Split{Flag: "bench", New: "new", Old: "old", Exposure: 10_000}
	admins := Condition{Terms: []Term{{Attribute: "role", Values: []string{"admin"}}}}
	tests := []struct {
		name string
		edit func(*Split)
		want string
	}{
		{"plain", func(*Split) {}, `{"fractional":[["new",10000],["old",90000]]}`},
		{"off", func(s *Split) { s.Exposure, s.Include.Users = 0, []string{"u"} }, `{"if":[false,"new","old"]}`},
		{"by", func(s *Split) { s.By = "account" },
			`{"if":[{"!":[{"var":"account"}]},"old",{"fractional":[{"cat":[{"var":"$flagd.flagKey"},{"var":"account"}]},["new",10000],["old",90000]]}]}`},
		{"salt", func(s *Split) { s.Salt = "first" },
			`{"if":[{"!":[{"var":"targetingKey"}]},"old",{"fractional":[{"cat":["first",{"var":"targetingKey"}]},["new",10000],["old",90000]]}]}`},
		{"all", func(s *Split) {
			s.Audience, s.Include.Users, s.Exclude.Groups, s.Exclude.Tenants = admins, []string{"u"}, []string{"g"}, []string{"t"}
		}, `{"if":[{"or":[{"in":[{"var":"tenant"},["t"]]},{"some":[{"merge":[{"var":"groups"}]},{"in":[{"var":""},["g"]]}]}]},"old",` +
			`{"!":[{"===":[{"var":"role"},"admin"]}]},"old",{"in":[{"var":"targetingKey"},["u"]]},"new",{"fractional":[["new",10000],["old",90000]]}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := base
			tt.edit(&s)
			if diff := cmp.Diff(tt.want, string(s.Targeting())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

var (
	names  = rapid.SampledFrom([]string{"a", "b", "c", "5", "true", "x y"})
	scalar = rapid.OneOf(
		rapid.Map(names, func(s string) any { return s }),
		rapid.Map(rapid.SampledFrom([]float64{0, 5, 1.5}), func(f float64) any { return f }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Just[any](nil), rapid.Just[any](""))
	attribute = rapid.SampledFrom([]string{"role", "plan", "groups", "targetingKey", "user.name"})
)

func genSubjects(t *rapid.T, name string) Subjects {
	list := func(kind string) []string { return rapid.SliceOfN(names, 0, 2).Draw(t, name+kind) }
	if rapid.Bool().Draw(t, name+"none") {
		return Subjects{}
	}
	return Subjects{Users: list("users"), Tenants: list("tenants"), Groups: list("groups")}
}

func genSplit(t *rapid.T) Split {
	s := Split{
		Flag: rapid.StringN(1, 12, -1).Draw(t, "flag"), New: "new", Old: "old",
		By:       rapid.SampledFrom([]string{"", "targetingKey", "account", "user.id"}).Draw(t, "by"),
		Salt:     rapid.SampledFrom([]string{"", "", "salt", "a-longer salt"}).Draw(t, "salt"),
		Exposure: Percent(rapid.OneOf(rapid.IntRange(0, int(Everyone)), rapid.Just(0), rapid.Just(int(Everyone))).Draw(t, "exposure")),
		Include:  genSubjects(t, "include"), Exclude: genSubjects(t, "exclude"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "terms") {
		s.Audience.Terms = append(s.Audience.Terms, Term{
			Attribute: attribute.Draw(t, "attribute"), Not: rapid.Bool().Draw(t, "not"),
			Values: rapid.SliceOfN(names, 1, 3).Draw(t, "values"),
		})
	}
	return s
}

func genContext(t *rapid.T) Context {
	ctx := Context{}
	set := func(key string, v any) {
		if rapid.IntRange(0, 3).Draw(t, "has "+key) > 0 {
			ctx[key] = v
		}
	}
	set("targetingKey", rapid.OneOf(scalar, rapid.Map(rapid.String(), func(s string) any { return s })).Draw(t, "id"))
	set("account", scalar.Draw(t, "account"))
	set("tenant", scalar.Draw(t, "tenant"))
	set("role", scalar.Draw(t, "role"))
	set("plan", scalar.Draw(t, "plan"))
	set("user", map[string]any{"id": scalar.Draw(t, "user.id"), "name": scalar.Draw(t, "user.name")})
	if rapid.Bool().Draw(t, "list") {
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "groups") {
			list = append(list, scalar.Draw(t, "group"))
		}
		set("groups", list)
	} else {
		set("groups", scalar.Draw(t, "group"))
	}
	return ctx
}

func rulesetOf(t *rapid.T, s Split) *Ruleset {
	d := Definition{
		Key: s.Flag, State: Enabled, DefaultVariant: s.Old, Targeting: s.Targeting(),
		Variants: map[string]json.RawMessage{"new": json.RawMessage("true"), "old": json.RawMessage("false")},
	}
	rs, err := Compile(1, Document{Flags: []Definition{d}})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func TestDecideAgreesWithTargeting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genSplit(t)
		rs := rulesetOf(t, s)
		for range 5 {
			ctx := genContext(t)
			got := rs.Evaluate(s.Flag, ctx)
			want := s.Decide(ctx)
			if got.Code != "" || (got.Variant == "new") != want.New {
				t.Fatalf("%s with %v: evaluates to %+v, Decide says %+v", s.Targeting(), ctx, got, want)
			}
			if want.Why == WhyBucket && s.Assign(want.ID) != want.New {
				t.Fatal("Assign disagrees with Decide")
			}
		}
	})
}

func TestExposureIsNested(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := genSplit(t)
		large := small
		large.Exposure = Percent(rapid.IntRange(int(small.Exposure), int(Everyone)).Draw(t, "larger"))
		ctx := genContext(t)
		if small.Decide(ctx).New && !large.Decide(ctx).New {
			t.Fatalf("%v is on new at %s and not at %s", ctx, small.Exposure, large.Exposure)
		}
		off := small
		off.Exposure = 0
		if off.Decide(ctx).New {
			t.Fatal("somebody is on new at exposure 0")
		}
	})
}

func TestIncludeAndExclude(t *testing.T) {
	s := Split{Flag: "f", New: "new", Old: "old", Exposure: 1, Include: Subjects{Users: []string{"u", "v"}}, Exclude: Subjects{Groups: []string{"g"}}}
	tests := []struct {
		ctx  Context
		want Decision
	}{
		{Context{"targetingKey": "u"}, Decision{New: true, Why: WhyIncluded}},
		{Context{"targetingKey": "u", "groups": "g"}, Decision{Why: WhyExcluded}},
		{Context{"targetingKey": "u", "groups": []any{"x", "g"}}, Decision{Why: WhyExcluded}},
		{Context{"targetingKey": "v", "groups": "gg"}, Decision{New: true, Why: WhyIncluded}},
		{Context{}, Decision{Why: WhyNoID}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, s.Decide(tt.ctx)); diff != "" {
			t.Errorf("%v: %s", tt.ctx, diff)
		}
	}
}

func TestParseCondition(t *testing.T) {
	good := map[string][]Term{
		"":                               nil,
		"role = admin":                   {{Attribute: "role", Values: []string{"admin"}}},
		"role=admin and plan != free":    {{Attribute: "role", Values: []string{"admin"}}, {Attribute: "plan", Not: true, Values: []string{"free"}}},
		`country in [NL, "South Sudan"]`: {{Attribute: "country", Values: []string{"NL", "South Sudan"}}},
		"plan not in [a,b] and x = and":  {{Attribute: "plan", Not: true, Values: []string{"a", "b"}}, {Attribute: "x", Values: []string{"and"}}},
	}
	for text, want := range good {
		c, err := ParseCondition(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, c.Terms); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	bad := map[string]string{
		"role":              "expected =, !=, in or not in",
		"role =":            "a value is missing",
		"= admin":           "attribute name is missing",
		"role in admin":     "a list in brackets is missing",
		"role in [a":        `expected "," or "]"`,
		"role not admin":    `"not" must be followed by "in"`,
		"role = a or x = b": `only "and" may follow`,
		`role = "a`:         "a quote is not closed",
		"role = a and":      "attribute name is missing",
		"role in []":        "expected a value",
	}
	for text, want := range bad {
		_, err := ParseCondition(text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "role = admin") {
			t.Errorf("%q: got %v, want %q and an example", text, err, want)
		}
	}
}

func TestPercent(t *testing.T) {
	good := map[string]Percent{"0%": 0, "10%": 10_000, "12.5%": 12_500, "0.125%": 125, "100%": Everyone}
	for text, want := range good {
		got, err := ParsePercent(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%q: got %d %s, %v", text, got, got, err)
		}
	}
	for _, text := range []string{"", "10", "%", "-1%", "100.001%", "101%", "1.2345%", "1e1%", ".5%", "1.%", "99999999999999%"} {
		if got, err := ParsePercent(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}
