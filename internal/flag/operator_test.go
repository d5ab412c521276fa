package flag

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// evalRule evaluates a bare rule, as JSON text.
func evalRule(t testing.TB, rule string, ctx Context) string {
	t.Helper()
	var tree any
	if err := json.Unmarshal([]byte(rule), &tree); err != nil {
		t.Fatal(err)
	}
	c := &compiler{flagKey: "f"}
	n := c.compile(tree)
	e := env{data: ctx, now: 1000}
	v := n.eval(e)
	if n.test != nil && n.test(e) != truthy(v) {
		t.Errorf("%s: test is %v, value %v", rule, n.test(e), v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "not JSON"
	}
	return string(b)
}

func TestOperators(t *testing.T) {
	const ctx = `{"targetingKey":"u","a":1,"b":{"c":"x","list":[1,2]},"s":"text","empty":"","groups":["x","b"],"one":"b","n":null,"objects":[{"q":1},{"q":0}]}`
	tests := []struct{ rule, want string }{
		{`{"var":"a"}`, `1`},
		{`{"var":["b.c"]}`, `"x"`},
		{`{"var":"b.list.1"}`, `2`},
		{`{"var":["zz",5]}`, `5`},
		{`{"var":["n",5]}`, `5`},
		{`{"var":["empty",5]}`, `""`},
		{`{"var":{"cat":["b",".c"]}}`, `"x"`},
		{`{"var":"$flagd.flagKey"}`, `"f"`},
		{`{"var":"$flagd.timestamp"}`, `1000`},
		{`{"var":"$flagd"}`, `{"flagKey":"f","timestamp":1000}`},
		{`{"if":[]}`, `null`},
		{`{"if":["x"]}`, `"x"`},
		{`{"if":[false,"x",true,"y","z"]}`, `"y"`},
		{`{"if":[false,"x",0,"y","z"]}`, `"z"`},
		{`{"==":[1,"1"]}`, `true`},
		{`{"==":[null,0]}`, `false`},
		{`{"==":[{"var":"zz"},null]}`, `true`},
		{`{"==":["text",{"var":"s"}]}`, `true`},
		{`{"==":[[1],[1]]}`, `false`},
		{`{"!=":["a","b"]}`, `true`},
		{`{"===":[1,"1"]}`, `false`},
		{`{"===":[1,1.0]}`, `true`},
		{`{"!==":[1,"1"]}`, `true`},
		{`{"!":[[]]}`, `true`},
		{`{"!":"0"}`, `false`},
		{`{"!!":["0"]}`, `true`},
		{`{"!!":[{}]}`, `false`},
		{`{"and":[true,"a",0,"b"]}`, `0`},
		{`{"and":[true,"x"]}`, `"x"`},
		{`{"or":[0,"","x"]}`, `"x"`},
		{`{"or":[0,false]}`, `false`},
		{`{"<":[1,2]}`, `true`},
		{`{"<":[1,2,3]}`, `true`},
		{`{"<":[1,3,2]}`, `false`},
		{`{"<=":[1,1,2]}`, `true`},
		{`{"<":["a","b"]}`, `true`},
		{`{"<":["10",9]}`, `false`},
		{`{"<":["x",9]}`, `false`},
		{`{">=":["x",9]}`, `false`},
		{`{">":[3,2]}`, `true`},
		{`{"+":["3",4]}`, `7`},
		{`{"-":[3]}`, `-3`},
		{`{"-":[3,1]}`, `2`},
		{`{"*":[2,3,4]}`, `24`},
		{`{"/":[7,2]}`, `3.5`},
		{`{"%":[7,3]}`, `1`},
		{`{"max":[1,"5",3]}`, `5`},
		{`{"min":[3,1,2]}`, `1`},
		{`{"max":[]}`, `null`},
		{`{"cat":["a",null,1,1.5,true]}`, `"a11.5true"`},
		{`{"cat":"x"}`, `"x"`},
		{`{"substr":["jsonlogic",4]}`, `"logic"`},
		{`{"substr":["jsonlogic",-5]}`, `"logic"`},
		{`{"substr":["jsonlogic",1,3]}`, `"son"`},
		{`{"substr":["jsonlogic",4,-2]}`, `"log"`},
		{`{"substr":["ünïcødé",1,3]}`, `"nïc"`},
		{`{"substr":["abc",10]}`, `""`},
		{`{"in":["ex","text"]}`, `true`},
		{`{"in":[1,[1,2]]}`, `true`},
		{`{"in":["1",[1,2]]}`, `false`},
		{`{"in":["a",null]}`, `false`},
		{`{"in":["i",["a","b","c","d","e","f","g","h","i"]]}`, `true`},
		{`{"in":[1,["a","b","c","d","e","f","g","h","i"]]}`, `false`},
		{`{"merge":[[1,2],3,[4,[5]]]}`, `[1,2,3,4,[5]]`},
		{`{"map":[[1,2],{"*":[{"var":""},2]}]}`, `[2,4]`},
		{`{"filter":[{"var":"objects"},{"var":"q"}]}`, `[{"q":1}]`},
		{`{"reduce":[[1,2,3],{"+":[{"var":"current"},{"var":"accumulator"}]},0]}`, `6`},
		{`{"reduce":[{"var":"zz"},{"var":"current"},5]}`, `5`},
		{`{"all":[[],true]}`, `false`},
		{`{"all":[[1,2],{">":[{"var":""},0]}]}`, `true`},
		{`{"some":[[1,2],{">":[{"var":""},1]}]}`, `true`},
		{`{"none":[[1,2],{">":[{"var":""},1]}]}`, `false`},
		{`{"none":[[],true]}`, `true`},
		{`{"some":[{"merge":[{"var":"one"}]},{"in":[{"var":""},["a","b"]]}]}`, `true`},
		{`{"some":[{"merge":[{"var":"groups"}]},{"in":[{"var":""},["a","b"]]}]}`, `true`},
		{`{"missing":["a","zz","empty"]}`, `["zz","empty"]`},
		{`{"missing":[["a","zz"]]}`, `["zz"]`},
		{`{"missing_some":[1,["a","y","z"]]}`, `[]`},
		{`{"missing_some":[2,["a","y","z"]]}`, `["y","z"]`},
		{`{"starts_with":["text","te"]}`, `true`},
		{`{"ends_with":["text","xt"]}`, `true`},
		{`{"ends_with":[1,"xt"]}`, `null`},
		{`{"ends_with":["xt"]}`, `null`},
		{`{"sem_ver":["1.2.3","=","v1.2.3+build"]}`, `true`},
		{`{"sem_ver":[1.2,">","1.1"]}`, `true`},
		{`{"sem_ver":["1.0.0-alpha.9","<","1.0.0-alpha.10"]}`, `true`},
		{`{"sem_ver":["1.0.0-rc","<","1.0.0"]}`, `true`},
		{`{"sem_ver":["1.9.0","^","1"]}`, `true`},
		{`{"sem_ver":["1.0.0","~","1.1.0"]}`, `false`},
		{`{"sem_ver":["1.2.3.4","=","1.2.3"]}`, `null`},
		{`{"sem_ver":["1.2.3","===","1.2.3"]}`, `null`},
		{`{"sem_ver":["1.2.3","="]}`, `null`},
		{`{"fractional":["on",100]}`, `null`},
		{`{"fractional":[]}`, `null`},
		{`{"fractional":[["on",100]]}`, `"on"`},
		{`{"fractional":[["on"]]}`, `"on"`},
		{`{"fractional":[null,["on"]]}`, `"on"`},
		{`{"fractional":[["on",1.5]]}`, `null`},
		{`{"fractional":[["on","1"]]}`, `null`},
		{`{"fractional":[["on",null]]}`, `"on"`},
		{`{"fractional":[["on",-5],["off",1]]}`, `"off"`},
		{`{"fractional":[["on",0]]}`, `null`},
		{`{"fractional":[["on",2147483647],["off",1]]}`, `null`},
		{`{"fractional":[["on",2147483648]]}`, `null`},
		{`{"fractional":[{"var":"a"},["on",1]]}`, `null`},
		{`{"fractional":[{"var":"zz"},["on",1]]}`, `"on"`},
		{`{"fractional":[[{"fractional":[["in",1]]},1]]}`, `"in"`},
		{`{"fractional":["seed",[{"var":"s"},{"var":"a"}]]}`, `"text"`},
		{`{"fractional":[[["x"],1]]}`, `null`},
		{`{"a":1,"b":2}`, `{"a":1,"b":2}`},
		{`[1,{"var":"a"}]`, `[1,1]`},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, evalRule(t, tt.rule, contextOf(t, ctx))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzTargeting looks for rules that crash, and checks that the same rule and
// context give the same answer.
func FuzzTargeting(f *testing.F) {
	for _, seed := range []string{
		`{"if":[{"==":[{"var":"country"},"NL"]},"on",{"fractional":[["on",25],["off",75]]}]}`,
		`{"fractional":[{"cat":["s",{"var":"a.b"}]},["on",{"var":"w"}],["off",1]]}`,
		`{"reduce":[{"var":"l"},{"+":[{"var":"current"},{"var":"accumulator"}]},0]}`,
		`{"sem_ver":[{"var":"v"},"^","1.2"]}`, `{"substr":["é",-1,{"/":[0,0]}]}`, `{"missing_some":[1,["a"]]}`,
		`{"max":[{"var":"l"}]}`, `{"in":[{"var":""},{"merge":[1,[2]]}]}`, `[]`, `"on"`,
	} {
		f.Add(seed, `{"targetingKey":"u","country":"NL","l":[1,"x",null],"a":{"b":1}}`)
	}
	f.Fuzz(func(t *testing.T, targeting, context string) {
		var ctx Context
		if json.Unmarshal([]byte(context), &ctx) != nil {
			return
		}
		d := Definition{
			Key: "f", State: Enabled, DefaultVariant: "off", Targeting: json.RawMessage(targeting),
			Variants: map[string]json.RawMessage{"on": json.RawMessage("true"), "off": json.RawMessage("false")},
		}
		rs, err := Compile(1, Document{Flags: []Definition{d}})
		if err != nil {
			return
		}
		first, second := rs.EvaluateAt("f", ctx, 5), rs.EvaluateAt("f", ctx, 5)
		if diff := cmp.Diff(first, second); diff != "" {
			t.Error(diff)
		}
		if (first.Code == "") != (first.Reason != Failed) {
			t.Errorf("code and reason disagree: %+v", first)
		}
	})
}
