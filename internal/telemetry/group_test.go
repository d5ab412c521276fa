package telemetry

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGroupTogether(t *testing.T) {
	frames := func(line int, file string) []Frame {
		return []Frame{{Function: "lib", File: "react.js", Line: line}, {Function: "UserList.render", File: file, Line: line, InApp: true}}
	}
	tests := []struct {
		name string
		a, b Event
		same bool
	}{
		{"line and build hash", Event{Exception: &Exception{Type: "TypeError", Value: "x 1", Frames: frames(3, "https://a.example/app.4f3a9b21.js?v=1")}},
			Event{Exception: &Exception{Type: "TypeError", Value: "y 2", Frames: frames(9, "https://b.example/app.0011aabb.js")}}, true},
		{"other function", Event{Exception: &Exception{Type: "T", Frames: []Frame{{Function: "alpha", InApp: true}}}},
			Event{Exception: &Exception{Type: "T", Frames: []Frame{{Function: "beta", InApp: true}}}}, false},
		{"minified names", Event{Exception: &Exception{Type: "T", Value: "order 17", Frames: []Frame{{Function: "t", InApp: true}}}},
			Event{Exception: &Exception{Type: "T", Value: "order 4", Frames: []Frame{{Function: "qe", InApp: true}}}}, true},
		{"messages", Event{Message: "user 17 at 10.0.0.1 on 2025-02-19"}, Event{Message: "user 4 at 10.0.0.77 on 2025-03-01"}, true},
		{"other message", Event{Message: "a"}, Event{Message: "b"}, false},
		{"fingerprint", Event{Message: "a", Fingerprint: []string{"mine"}}, Event{Message: "b", Fingerprint: []string{"mine"}}, true},
		{"default inside", Event{Message: "a", Fingerprint: []string{"{{ default }}", "x"}}, Event{Message: "b", Fingerprint: []string{"{{default}}", "x"}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, title, _ := Group(&tt.a)
			b, _, _ := Group(&tt.b)
			if (a == b) != tt.same || title == "" || len(a) != 32 {
				t.Errorf("got %s and %s (title %q), want same = %v", a, b, title, tt.same)
			}
		})
	}
}

func TestScrub(t *testing.T) {
	e := Event{
		User: "u1", Message: "mail to a.b@shop.example from 10.1.2.3 at 12:30:15", Title: "fe80::1 failed",
		URL: "https://x.example/p?token=abc&q=1#t", Exception: &Exception{Value: "for bob@shop.example"},
		Tags:       map[string]string{"API-Key": "k", "feature": "x", "author": "jo", "auth": "b"},
		Attributes: map[string]string{"user.email": "a@b.example", "flag.evaluation.sessionList": "on", "transaction": "/u/c@d.example", "extra.note": "n"},
	}
	Scrub(&e, ScrubOptions{Keys: []string{"NOTE"}})
	want := Event{
		User: "u1", Message: "mail to <email> from <ip> at 12:30:15", Title: "<ip> failed",
		URL: "https://x.example/p?token=[Filtered]&q=1#t", Exception: &Exception{Value: "for <email>"},
		Tags:       map[string]string{"API-Key": Filtered, "feature": "x", "author": "jo", "auth": Filtered},
		Attributes: map[string]string{"flag.evaluation.sessionList": "on", "transaction": "/u/<email>", "extra.note": Filtered},
	}
	if d := cmp.Diff(want, e); d != "" {
		t.Error(d)
	}
}
