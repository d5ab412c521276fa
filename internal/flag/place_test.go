package flag

import (
	"encoding/json"
	"testing"
)

func TestAdmits(t *testing.T) {
	def := func(key string) Definition {
		return Definition{Key: key, State: Enabled, DefaultVariant: "x", Variants: map[string]json.RawMessage{"x": json.RawMessage("1")}}
	}
	rs, err := Compile(1, Document{Flags: []Definition{def("first"), def("old"), def("live"), def("second")}, Places: map[string]Place{
		"first": {Project: "1"}, "live": {Project: "1", Environment: "Production"}, "second": {Project: "2"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		caller Place
		want   string // keys
	}{
		{Place{}, "first old live "},
		{Place{Project: "1"}, "first old live "},
		{Place{Project: "1", Environment: "production"}, "first old live "},
		{Place{Project: "1", Environment: "staging"}, "first old "},
		{Place{Project: "2"}, "second "},
		{Place{Project: "2", Environment: "staging"}, "second "},
		{Place{Project: "3"}, ""},
	}
	for _, tt := range tests {
		got := ""
		for _, key := range []string{"first", "old", "live", "second", "none"} {
			if rs.Admits(key, tt.caller) {
				got += key + " "
			}
		}
		if got != tt.want {
			t.Errorf("%+v sees %q, want %q", tt.caller, got, tt.want)
		}
	}
	for key, want := range map[string]string{"old": "1", "second": "2", "none": ""} {
		if p, ok := rs.Place(key); p.Project != want || ok != (want != "") {
			t.Errorf("place of %s: %+v, %v", key, p, ok)
		}
	}
	var nothing *Ruleset
	if _, ok := nothing.Place("x"); ok || nothing.Admits("x", Place{}) {
		t.Error("an empty ruleset has a flag")
	}
}
