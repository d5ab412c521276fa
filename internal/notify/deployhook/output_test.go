package deployhook

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestNoSecretShown: however the output is cut into writes and whatever stands
// around a secret, nothing longer than shortSecret of it is left at the begin.
func TestNoSecretShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[A-Z]{8,40}`).Draw(t, "secret")
		var out tail
		for range rapid.IntRange(1, 40).Draw(t, "writes") {
			text := strings.Repeat(rapid.SampledFrom([]string{"a", "some text\n", secret, secret + "\n"}).Draw(t, "text"), rapid.IntRange(0, 900).Draw(t, "times"))
			for text != "" {
				n := min(len(text), rapid.IntRange(1, 9000).Draw(t, "bytes"))
				if _, err := out.Write([]byte(text[:n])); err != nil {
					t.Fatal(err)
				}
				text = text[n:]
			}
		}
		got := out.text([]string{secret})
		if len(got) > shownBytes+len("…\n") {
			t.Fatalf("%d bytes are shown, at most %d may be", len(got), shownBytes)
		}
		if strings.ContainsAny(got, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
			t.Fatalf("a part of the secret %q is shown: %.200q", secret, got)
		}
		if len(out.b) > 3*keptBytes {
			t.Fatalf("%d bytes are kept", len(out.b))
		}
	})
}

func TestMask(t *testing.T) {
	for _, tc := range []struct {
		text    string
		secrets []string
		want    string
	}{
		{"a token-1 b", []string{"token-1"}, "a [hidden] b"},
		{"token-123 token", []string{"token", "token-123"}, "[hidden] [hidden]"},
		{"1 true", []string{"1", ""}, "1 true"},
		{"-----KEY\nabcdef\n  abcdef", []string{"-----KEY\nabcdef\n"}, "[hidden]\n  [hidden]"},
	} {
		if got := mask(tc.text, tc.secrets); got != tc.want {
			t.Errorf("mask(%q, %q) = %q, want %q", tc.text, tc.secrets, got, tc.want)
		}
	}
}
