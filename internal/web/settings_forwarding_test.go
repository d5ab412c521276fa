package web

import (
	"strings"
	"testing"
	"time"

	"serin/internal/forward"
)

type fakeForwarding []forward.Status

func (f fakeForwarding) Status() []forward.Status { return f }

func TestForwardingCard(t *testing.T) {
	s, _ := settingsWeb(t, root)
	if body := get(t, s, "/settings").Body.String(); strings.Contains(body, `id="forwarding"`) {
		t.Error("the card is there without an upstream")
	}
	s.Options.Forwarding = fakeForwarding{{Project: "1", Upstream: "https://sentry.example/77", State: forward.Failing, Queued: 12, Bytes: 3 << 20, MaxBytes: 1 << 30,
		Oldest: s.Now().Add(-time.Minute), Sent: 40, Lost: map[string]int64{"full": 3}, Held: map[string]int64{"error": 2}, LastError: "the upstream answered <502>"}}
	body := get(t, s, "/settings").Body.String()
	for _, want := range []string{`id="forwarding"`, "Project 1", "https://sentry.example/77: 40 delivered, 12 waiting, 3.0 MiB of 1024.0 MiB", "3 full, 2 items of error limited by the upstream", "the upstream answered &lt;502&gt;", "Failing"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q on the page", want)
		}
	}
}
