package flag

import (
	"fmt"
	"os"
	"testing"

	"github.com/twmb/murmur3"
)

// benchContexts are 1,024 users, one in eight in the Netherlands.
func benchContexts() []Context {
	countries := []string{"NL", "DE", "BE", "FR", "US", "GB", "ES", "PL"}
	out := make([]Context, 1024)
	for i := range out {
		id := fmt.Sprintf("user-%06d", i)
		out[i] = Context{"targetingKey": id, "country": countries[i%8], "plan": "pro", "email": id + "@example.com"}
	}
	return out
}

func benchRuleset(t testing.TB) *Ruleset {
	data, err := os.ReadFile("testdata/flags-100.json")
	if err != nil {
		t.Fatal(err)
	}
	return compileText(t, string(data))
}

// idealRule is the same rule written by hand: closures and a hash over a
// buffer on the stack.
func idealRule(flagKey string) func(Context) string {
	isNL := func(ctx Context) bool { s, _ := ctx["country"].(string); return s == "NL" }
	split := func(ctx Context) string {
		key, _ := ctx["targetingKey"].(string)
		var buf [64]byte
		b := append(append(buf[:0], flagKey...), key...)
		if uint64(murmur3.Sum32(b))*100>>32 < 25 {
			return "on"
		}
		return "off"
	}
	return func(ctx Context) string {
		if isNL(ctx) {
			return "on"
		}
		return split(ctx)
	}
}

func TestAgreesWithIdeal(t *testing.T) {
	rs, users := benchRuleset(t), benchContexts()
	on := 0
	for _, key := range rs.Keys() {
		ideal := idealRule(key)
		for _, ctx := range users {
			got := rs.Evaluate(key, ctx).Variant
			if want := ideal(ctx); got != want {
				t.Fatalf("%s %v: got %s, want %s", key, ctx, got, want)
			}
			if got == "on" {
				on++
			}
		}
	}
	if share := float64(on) / float64(len(rs.Keys())*len(users)); share < 0.33 || share > 0.36 {
		t.Errorf("%.3f of the answers are on, want about 0.344", share)
	}
}

func TestEvaluateAllocatesNothing(t *testing.T) {
	rs, users := benchRuleset(t), benchContexts()
	split := Split{Flag: "s", Salt: "x", New: "on", Old: "off", Exposure: 5000,
		Audience: Condition{Terms: []Term{{Attribute: "plan", Values: []string{"pro", "team"}}}}, Exclude: Subjects{Users: []string{"a"}}}
	d, _ := rs.Definition("flag-001")
	d.Key, d.Targeting = "s", split.Targeting()
	owned, err := Compile(1, Document{Flags: []Definition{d}})
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	if n := testing.AllocsPerRun(2048, func() {
		rs.Evaluate("new-checkout", users[i&1023])
		owned.Evaluate("s", users[i&1023])
		i++
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func BenchmarkEvaluate(b *testing.B) {
	users := benchContexts()
	b.Run("ideal", func(b *testing.B) {
		b.ReportAllocs()
		rule := idealRule("new-checkout")
		i, on := 0, 0
		for b.Loop() {
			if rule(users[i&1023]) == "on" {
				on++
			}
			i++
		}
	})
	b.Run("serin", func(b *testing.B) {
		b.ReportAllocs()
		rs := benchRuleset(b)
		i, on := 0, 0
		for b.Loop() {
			if e := rs.EvaluateAt("new-checkout", users[i&1023], 1_760_000_000); e.Variant == "on" {
				on++
			}
			i++
		}
	})
}

func BenchmarkCompile100(b *testing.B) {
	data, err := os.ReadFile("testdata/flags-100.json")
	if err != nil {
		b.Fatal(err)
	}
	doc, err := ParseDocument(data)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(1, doc); err != nil {
			b.Fatal(err)
		}
	}
}
