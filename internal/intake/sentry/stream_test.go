package sentry_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"serin/internal/intake"
	"serin/internal/intake/intaketest"
	"serin/internal/intake/sentry"
)

// streamed decodes a body as it comes from in, and in memory; both must find
// the same.
func streamed(t *testing.T, body []byte, in io.Reader) intake.Result {
	t.Helper()
	r := intaketest.Request("envelope", body)
	want, wantErr := sentry.Decoder{}.Decode(r)
	r.Body = nil
	got, gotErr := sentry.Decoder{}.DecodeStream(r, in)
	if (wantErr == nil) != (gotErr == nil) {
		t.Fatalf("%.300q: in memory %v, as a stream %v", body, wantErr, gotErr)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%.300q: %s", body, d)
	}
	return got
}

// TestStream: what is read in pieces is what is read at once, and large items
// are passed over.
func TestStream(t *testing.T) {
	const ev = "{\"type\":\"event\"}\n{\"level\":\"info\"}\n"
	big := strings.Repeat("x", 3<<20)
	for _, body := range []string{
		"{}", "{}\n", "\n", "{}\n\n\n" + ev + "\n\n" + ev, "{}\r\n" + ev, "{}\n{\"type\":\"event\",\"length\":99}\n{}",
		"{}\n{\"type\":\"event\",\"length\":2}\n{}x\n", "{}\n{\"type\":\"event\",\"length\":-1}\n{}", "{}\n{\"type\":\"event\",\"length\":1.5}\n{}",
		"{}\nno header\n{}", "{}\n[]\n{}", "{}\n{\"type\":\"attachment\"}\n\n" + ev,
		fmt.Sprintf("{}\n{\"type\":\"attachment\",\"length\":%d}\n%s\n%s", len(big), big, ev),
		fmt.Sprintf("{}\n{\"type\":\"replay_video\"}\n%s\n%s", big, ev),
		fmt.Sprintf("{}\n{\"type\":\"event\",\"length\":%d}\n%s\n%s", len(big), big, ev),
		fmt.Sprintf("{}\n{\"type\":\"event\"}\n%s\n%s", big, ev),
	} {
		streamed(t, []byte(body), iotest.HalfReader(strings.NewReader(body)))
	}
	for _, body := range plainBodies(t) {
		streamed(t, body, iotest.OneByteReader(bytes.NewReader(body)))
		streamed(t, body, iotest.DataErrReader(bytes.NewReader(body)))
	}
}

// TestStreamBroken: an error of the body is not the client's mistake.
func TestStreamBroken(t *testing.T) {
	in := io.MultiReader(strings.NewReader("{}\n{\"type\":\"event\",\"length\":99}\n{"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := (sentry.Decoder{}).DecodeStream(intaketest.Request("envelope", nil), in); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v", err)
	}
}

// FuzzStream is TestStream for any body. A stream takes no blank line that is
// longer than a header may be, so the bodies are shorter.
func FuzzStream(f *testing.F) {
	for _, body := range plainBodies(f) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) < 16<<10 {
			streamed(t, body, iotest.HalfReader(bytes.NewReader(body)))
		}
	})
}
