package telemetry

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var testNow = time.Date(2025, 3, 3, 9, 0, 0, 0, time.UTC)

func sampleError() *Event {
	return &Event{
		Kind: KindError, ID: "e1", User: "u1", Level: "error", Title: "TypeError: x is undefined",
		Message: "cannot read (x)", Exception: &Exception{Type: "ReadTimeoutError", Value: "timed out"},
		Tags:       map[string]string{"feature": "admin-workbench", "Severity": "no", "severity": "P1", "a b": "c"},
		Attributes: map[string]string{"db.system": "postgres", "transaction": "/admin/users", "retries": "3"},
		URL:        "https://shop.example/admin/users?page=2", Platform: "javascript", Environment: "production",
		Unhandled: true, Status: 503, Release: "web@1.4.2",
		Time: testNow.Add(-2 * time.Hour), Received: testNow,
	}
}

func TestFilterMatch(t *testing.T) {
	e := sampleError()
	load := &Event{Kind: KindPage, Page: "/admin/users", DurationMS: 900, Measurements: map[string]float64{"lcp": 2600, "cls": 0.12}}
	feedback := &Event{Kind: KindFeedback, Tags: map[string]string{"kind": "escalation"}}
	plain := &Event{Kind: KindFeedback}
	tests := []struct {
		text string
		e    *Event
		want bool
	}{
		{"", e, true},
		{"level:[error, fatal]", e, true},
		{"level:fatal", e, false},
		{"!level:fatal", e, true},
		{"not level:fatal and platform:javascript", e, true},
		{"level:fatal or tags[severity]:p1", e, true},
		{"severity:P1", e, true},
		{"tags.feature:admin-workbench level:[error, fatal]", e, true},
		{`tags["a b"]:c`, e, true},
		{"feature:ADMIN*", e, true},
		{"feature:*bench", e, true},
		{`feature:admin\*`, e, false},
		{"feature:admin-workbenc", e, false},
		{"error.unhandled:true", e, true},
		{"error.unhandled:true", load, false},
		{"error.type:*Timeout*", e, true},
		{"error.type:*Connection* has:db.system", e, false},
		{"has:db.system !has:nothing", e, true},
		{"http.status_code:[500 TO 599]", e, true},
		{"http.status_code:[500 to *]", e, true},
		{"http.status_code:{503 TO 599}", e, false},
		{"http.status_code:5*", e, true},
		{"http.status_code:503", e, true},
		{"http.status_code:[500, 503]", e, true},
		{"http.status_code:!=503", e, false},
		{"retries:>=3", e, true},
		{"retries:>3", e, false},
		{"url:/admin/users", e, true},
		{"url:/admin", e, false},
		{"url:/admin/*", e, true},
		{"url:https://shop.example/*", e, true},
		{"url.path:/admin/users", load, true},
		{"measurements.largest_contentful_paint:[2500 TO *]", load, true},
		{"measurements.lcp:>2.5s", load, true},
		{"measurements.lcp:>3s", load, false},
		{"measurements.cls:<0.1", load, false},
		{"measurements.lcp:[0 to 5000] AND url:/admin/users", load, true},
		{"duration:<1m", load, true},
		{"kind:escalation", feedback, true},
		{"kind:complaint or sentiment:negative", feedback, true},
		{"kind:complaint", plain, true},
		{"sentiment:positive", plain, false},
		{"undefined", e, true},
		{`"is undefined"`, e, true},
		{"is undefined", e, true},
		{"is defined", e, false},
		{"timestamp:-3h", e, true},
		{"timestamp:-1h", e, false},
		{"timestamp:+1h", e, true},
		{`timestamp:"1 day"`, e, true},
		{"timestamp:>=2025-03-03", e, true},
		{"timestamp:2025-03-02", e, false},
		{"(level:fatal or level:error) environment:production", e, true},
		{"level:fatal level:error or environment:production", e, true},
		{"# a comment\nlevel:error\n  # another\nplatform:javascript", e, true},
		{"!(level:error or level:fatal)", e, false},
		{"release:WEB@1.4.2", e, false},
		{"user.id:u1", e, true},
		{"is:resolved", e, false},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			f, err := ParseFilter(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Match(tt.e, testNow); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			again, err := ParseFilter(f.String())
			if err != nil {
				t.Fatalf("canonical form %q: %v", f.String(), err)
			}
			if again.String() != f.String() || again.Match(tt.e, testNow) != tt.want {
				t.Errorf("canonical form %q reads back as %q", f.String(), again.String())
			}
		})
	}
}

func TestFilterErrors(t *testing.T) {
	tests := []struct {
		text   string
		column int
	}{
		{"level:[error", 7},
		{"level:error )", 13},
		{"(level:error", 1},
		{"level:", 7},
		{"level:>error", 7},
		{"http.status_code:abc", 18},
		{"count():>5", 1},
		{`message:"open`, 9},
		{"level:error or", 15},
		{"measurements.lcp:[1 TO 2 TO 3]", 18},
		{"level:[a TO b]", 7},
		{"is:broken", 4},
		{"level=error", 1},
		{"timestamp:soon", 11},
		{"tags[x:1", 5},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			_, err := ParseFilter(tt.text)
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("got %v, want a SyntaxError", err)
			}
			if syntax.Column != tt.column || syntax.Do == "" {
				t.Errorf("got column %d (%v), want %d", syntax.Column, err, tt.column)
			}
		})
	}
}

func TestFilterString(t *testing.T) {
	tests := map[string]string{
		"tags.feature:admin-workbench  AND level:[error,fatal]": "tags[feature]:admin-workbench level:[error, fatal]",
		"measurements.largest_contentful_paint:[2500 TO *]":     "measurements.lcp:>=2500",
		"url:/admin/users":          "url.path:/admin/users",
		"level:fatal or tags.s:p1":  "level:fatal OR tags[s]:p1",
		`firstSeen:"1 day"`:         "firstSeen:-1d",
		"is:unresolved a:b c:d e f": `is:unresolved a:b c:d "e f"`,
	}
	for in, want := range tests {
		f, err := ParseFilter(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.String(); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestFilterTerms(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil, "a:1 OR b:2": nil, "level:error": {"level:error"},
		"is:unresolved level:[error, fatal] (a:1 OR b:2) crash": {"is:unresolved", "level:[error, fatal]", "(a:1 OR b:2)", `"crash"`},
	} {
		f, err := ParseFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, f.Terms()); d != "" {
			t.Errorf("%s (-want +got):\n%s", text, d)
		}
	}
}

func TestGrade(t *testing.T) {
	p1, err := ParseFilter("level:fatal or tags[severity]:p1")
	if err != nil {
		t.Fatal(err)
	}
	p2, err := ParseFilter("tags[severity]:p2 or (level:error and error.unhandled:true)")
	if err != nil {
		t.Fatal(err)
	}
	scale := []Graded{{"p1", p1}, {"p2", p2}}
	e := sampleError()
	if got := Grade(scale, e); got != "p1" {
		t.Errorf("got %q, want p1", got)
	}
	e.Tags = nil
	if got := Grade(scale, e); got != "p2" {
		t.Errorf("got %q, want p2", got)
	}
	e.Kind = KindPage
	if got := Grade(scale, e); got != "" {
		t.Errorf("a page load was graded %q", got)
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{
		"level:[error, fatal]", "tags.x:y or !(a:b c)", "measurements.lcp:[0 TO *]", `"a b":"c\"d"`, "timestamp:-24h",
		"# c\nfoo bar", "url:/x*", `tags["a]"]:1`, "http.status_code:>=5k", `a:\*b`, "not not a:b", "a:!=b",
	} {
		f.Add(s)
	}
	e := sampleError()
	f.Fuzz(func(t *testing.T, text string) {
		one, err := ParseFilter(text)
		if err != nil {
			return
		}
		two, err := ParseFilter(one.String())
		if err != nil {
			t.Fatalf("%q: canonical form %q: %v", text, one.String(), err)
		}
		if one.Match(e, testNow) != two.Match(e, testNow) {
			t.Fatalf("%q: canonical form %q matches otherwise", text, one.String())
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	f, err := ParseFilter("tags[feature]:admin-workbench level:[error, fatal] !environment:staging")
	if err != nil {
		b.Fatal(err)
	}
	e := sampleError()
	b.ReportAllocs()
	for b.Loop() {
		f.Match(e, testNow)
	}
}
