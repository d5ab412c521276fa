package server_test

import (
	"errors"
	"fmt"
	"net/http"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"serin/internal/rollout"
)

// TestFullDisk lets no file grow any more, as a full disk does: nothing is
// acknowledged that is not stored, every door says so, flags are served on,
// and all goes on by itself once there is room.
func TestFullDisk(t *testing.T) {
	s := start(t, 1)
	id := s.create(checkoutPlan)
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	in, _ := s.users("newCheckout")
	s.traffic("newCheckout", 20)

	free := fillDisk(t)
	acked := s.counters()["acknowledged"]
	var full answer
	eventually(t, "the disk is full", func() error {
		s.sent++
		full = s.envelope(errorEnvelope(eventID(s.sent), in, "newCheckout", true))
		if full.status == http.StatusOK {
			acked++
			return errors.New("still room")
		}
		return nil
	})
	if full.status != http.StatusServiceUnavailable || !strings.Contains(full.detail(), "again later") || full.header.Get("Retry-After") == "" {
		t.Errorf("telemetry on a full disk: %d %s", full.status, full.body)
	}
	if n := s.metric(`serin_intake_rejected_total{reason="unavailable"}`); n == 0 {
		t.Error("the refusal was not counted")
	}
	if a := s.must(http.MethodGet, "/readyz", nil); a.status != http.StatusServiceUnavailable {
		t.Errorf("readyz on a full disk: %d %s", a.status, a.body)
	}
	if a := s.api(http.MethodPut, "/flags/other", `{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on"}`); a.status != http.StatusInsufficientStorage || !strings.Contains(a.detail(), "make room") {
		t.Errorf("write of a flag on a full disk: %d %s", a.status, a.body)
	}
	if on, _ := s.flagOf("newCheckout", in); !on {
		t.Error("the flag is not served on a full disk as it was")
	}
	// What cannot be stored is not done, and it is said: nothing is published
	// before its decision is committed.
	if a := s.api(http.MethodPost, "/rollouts/"+id+"/pause", map[string]any{"reason": "no room"}); a.status != http.StatusInsufficientStorage || s.view(id).State.Status != rollout.Running {
		t.Errorf("pause on a full disk: %d %s, status %s", a.status, a.body, s.view(id).State.Status)
	}

	free()
	eventually(t, "ready again", func() error {
		if a := s.must(http.MethodGet, "/readyz", nil); a.status != http.StatusOK {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		return nil
	})
	if a := s.envelope(errorEnvelope(eventID(s.sent), in, "newCheckout", true)); a.status != http.StatusOK {
		t.Errorf("sent again with room: %d %s", a.status, a.body)
	}
	if c := s.counters(); c["acknowledged"] != acked+1 || c["counted"] != acked+1 {
		t.Errorf("%d events were acknowledged, counters %v", acked+1, c)
	}
	s.do(id, rollout.Rollback, "reason", "enough seen")
	if on, _ := s.flagOf("newCheckout", in); on {
		t.Error("the flag is still on after the rollback")
	}
}

// fullBytes is how large a file may be on the full disk. The log of the
// database has to be larger to hold what the test sends.
const fullBytes = 256 << 10

// fillDisk keeps this process from growing files until free is called. A
// write beyond the limit fails as on a full disk (setrlimit(2), RLIMIT_FSIZE).
func fillDisk(t *testing.T) (free func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: fullBytes, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	freed := false
	free = func() {
		if freed {
			return
		}
		freed = true
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Errorf("free the disk: %v", err)
		}
		signal.Reset(syscall.SIGXFSZ)
	}
	t.Cleanup(free)
	return free
}
