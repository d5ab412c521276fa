package telemetry

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDigest(t *testing.T) {
	s := Subjects{Secret: []byte("a"), Hash: true}
	seen := map[string]string{}
	for what, digest := range map[string]string{
		"anna": s.Digest("1", "anna"), "ben": s.Digest("1", "ben"), "other project": s.Digest("2", "anna"),
		"other secret": Subjects{Secret: []byte("b")}.Digest("1", "anna"),
	} {
		if other, twice := seen[digest]; twice || len(digest) != 64 {
			t.Errorf("%s and %s: %q", what, other, digest)
		}
		seen[digest] = what
	}
	if s.Digest("", "anna") != s.Digest("1", "anna") || s.Digest("1", "") != "" || (Subjects{}).Name("1", "anna") != "anna" {
		t.Error("no project is the first one, no id has no digest, and without Hash an id is its name")
	}
}

// TestPseudonymizeHidesIDs: an id of four bytes or more stays nowhere but in
// Key, whatever stands around it that is no part of a longer word.
func TestPseudonymizeHidesIDs(t *testing.T) {
	s := Subjects{Secret: []byte("a"), Hash: true}
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[A-Z][A-Z0-9@./-]{3,20}`).Draw(t, "id")
		text := rapid.StringMatching(`([ /"(]{1,3})`).Draw(t, "before") + id + rapid.StringMatching(`[ /")?&]{0,3}`).Draw(t, "after")
		e := Event{User: id, SessionUser: id, Message: text, Title: text, URL: text, Tags: map[string]string{"t": id, "u": text},
			Attributes: map[string]string{"user.id": id}, Breadcrumbs: []Breadcrumb{{Message: text}}, Exception: &Exception{Value: text}}
		s.Pseudonymize(&e)
		if e.Key != id || e.User != s.Digest("", id) || e.user() != id {
			t.Fatalf("key %q, user %q", e.Key, e.User)
		}
		for _, got := range []string{e.User, e.SessionUser, e.Message, e.Title, e.URL, e.Tags["t"], e.Tags["u"], e.Attributes["user.id"], e.Breadcrumbs[0].Message, e.Exception.Value} {
			if strings.Contains(got, id) {
				t.Fatalf("%q holds %q", got, id)
			}
		}
	})
}

// TestScrubParameters: an address within a text loses what it must not show.
func TestScrubParameters(t *testing.T) {
	for in, want := range map[string]string{
		"GET /a?to%6ben=x&q=1 failed":     "GET /a?to%6ben=" + Filtered + "&q=1 failed",
		"https://u:p@x.example/a":         "https://" + Filtered + "@x.example/a",
		"/cb#access_token=abc&state=1":    "/cb#access_token=" + Filtered + "&state=1",
		"a = b; privateKey=1":             "a = b; privateKey=1",
		"see /a?author=jo":                "see /a?author=jo",
		"https://x.example/?user=a#token": "https://x.example/?user=a#token",
	} {
		if got := (ScrubOptions{}).Text(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
