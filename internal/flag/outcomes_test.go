package flag

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestOutcomesOfDefinitions(t *testing.T) {
	for _, tt := range []struct {
		name, state, targeting string
		want                   []string // nil = not known
	}{
		{"no targeting", "ENABLED", ``, []string{"off"}},
		{"empty targeting", "ENABLED", ` {} `, []string{"off"}},
		{"disabled", "DISABLED", `{"fractional":[["on",50],["off",50]]}`, []string{"off"}},
		{"half", "ENABLED", `{"fractional":[["on",50],["off",50]]}`, []string{"off", "on"}},
		{"all", "ENABLED", `{"fractional":[["on",100],["off",0]]}`, []string{"on"}},
		{"all with a seed", "ENABLED", `{"fractional":[{"cat":["s",{"var":"account"}]},["on",100000],["off",0]]}`, []string{"on"}},
		{"shorthand", "ENABLED", `{"fractional":[["on"],["off"]]}`, []string{"off", "on"}},
		{"nobody", "ENABLED", `{"if":[false,"on","off"]}`, []string{"off"}},
		{"always", "ENABLED", `{"if":[true,"on","off"]}`, []string{"on"}},
		{"audience", "ENABLED", `{"if":[{"in":["x",{"var":"a"}]},"off",{"fractional":[["on",100],["off",0]]}]}`, []string{"off", "on"}},
		{"no else", "ENABLED", `{"if":[{"var":"a"},"on"]}`, []string{"off", "on"}},
		{"null", "ENABLED", `null`, []string{"off"}},
		{"truth", "ENABLED", `true`, []string{"true"}},
		{"variant by an attribute", "ENABLED", `{"var":"a"}`, nil},
		{"bucket by an attribute", "ENABLED", `{"fractional":[[{"var":"a"},100]]}`, nil},
		{"no JSON", "ENABLED", `{`, nil},
		{"two operators", "ENABLED", `{"if":["a"],"var":"b"}`, nil},
	} {
		d := Definition{State: tt.state, DefaultVariant: "off", Targeting: json.RawMessage(tt.targeting)}
		got, known := d.Outcomes()
		if known != (tt.want != nil) || !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v %v, want %v", tt.name, got, known, tt.want)
		}
	}
}

// TestOutcomesHoldForSplits: whatever split, nobody gets a variant that is not
// among the outcomes.
func TestOutcomesHoldForSplits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Split{Flag: "f", New: "on", Old: "off", Exposure: Percent(rapid.SampledFrom([]int{0, 1, 50_000, 99_999, 100_000}).Draw(t, "exposure"))}
		if rapid.Bool().Draw(t, "audience") {
			s.Audience.Terms = []Term{{Attribute: "role", Values: []string{"admin"}}}
		}
		if rapid.Bool().Draw(t, "include") {
			s.Include.Users = []string{"u1"}
		}
		if rapid.Bool().Draw(t, "salt") {
			s.Salt = "x"
		}
		d := Definition{Key: "f", State: "ENABLED", DefaultVariant: "off", Targeting: s.Targeting(),
			Variants: map[string]json.RawMessage{"on": json.RawMessage("true"), "off": json.RawMessage("false")}}
		all, known := d.Outcomes()
		if !known {
			t.Fatalf("%s is not understood", d.Targeting)
		}
		rs, err := Compile(1, Document{Flags: []Definition{d}})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 50 {
			e := rs.Evaluate("f", Context{"targetingKey": fmt.Sprint("u", n), "role": []any{"admin", "guest"}[n%2]})
			if !slices.Contains(all, e.Variant) {
				t.Fatalf("%s gives %q, outcomes are %v", d.Targeting, e.Variant, all)
			}
		}
	})
}
