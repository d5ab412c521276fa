package server_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"serin/internal/store"
)

// killsVariable says how many times TestKilledUnderLoad kills the program.
const killsVariable = "SERIN_KILLS"

// TestKilledUnderLoad kills the real program at random moments while four
// unmodified Sentry SDKs send, and starts it again on the same directory: what
// was acknowledged is there, and each event counts once, however often it is
// sent again.
func TestKilledUnderLoad(t *testing.T) {
	kills := 3
	if s := os.Getenv(killsVariable); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	p := build(t)
	p.serve()
	id := "checkout-1"
	file := filepath.Join(t.TempDir(), "checkout.yaml")
	if err := os.WriteFile(file, []byte(checkoutPlan), 0o600); err != nil {
		t.Fatal(err)
	}
	p.serin("rollout", "create", file)
	p.serin("rollout", "complete", id, "sign-off")
	p.serin("rollout", "start", id)
	s := p.site()
	acks := &ledger{sent: map[string][]byte{}, acked: map[string]bool{}}
	rnd := rand.New(rand.NewPCG(7, 11))
	for kill := range kills {
		acks.reopen()
		enough := acks.count() + 1 + rnd.IntN(80)
		wait := underLoad(t, acks, s.boot.DSN, kill)
		eventually(t, "events are acknowledged", func() error {
			if n := acks.count(); n < enough {
				return fmt.Errorf("%d so far, kill at %d", n, enough)
			}
			return nil
		})
		p.kill()
		wait()
		p.serve()
		s = p.site()
		if c := s.counters(); c["counted"] < int64(acks.count()) {
			t.Fatalf("kill %d: counted %d of %d acknowledged", kill+1, c["counted"], acks.count())
		}
	}
	for _, body := range acks.sent {
		if a := s.envelope(body); a.status != http.StatusOK {
			t.Fatalf("sent again: %d %s", a.status, a.body)
		}
	}
	distinct := int64(len(acks.sent))
	if c := s.counters(); c["counted"] != distinct {
		t.Errorf("counted %d of %d distinct events after each was sent again", c["counted"], distinct)
	}
	var issues []store.Issue
	s.ask(http.MethodGet, "/issues?rollout="+id, nil, &issues)
	var found int64
	for _, i := range issues {
		found += i.Events
	}
	if found != distinct {
		t.Errorf("issues hold %d events, want %d", found, distinct)
	}
	t.Logf("%d kills: %d events sent, %d acknowledged, none lost, none counted twice", kills, distinct, acks.count())
}

// underLoad sends with four SDKs until the server is gone; wait waits for that.
func underLoad(t *testing.T, acks *ledger, dsn string, round int) (wait func()) {
	t.Helper()
	var senders sync.WaitGroup
	for i := range 4 {
		client := acks.client(t, dsn)
		senders.Go(func() {
			for n := 0; !acks.down(); n++ {
				crash(client, fmt.Sprintf("user-%d", (round+n*4+i)%200), (i+n)%2 == 0)
			}
		})
	}
	return senders.Wait
}

// testAnsweredEarly shows that the check above can fail: a server that answers
// before it commits loses what it acknowledged.
func testAnsweredEarly(t *testing.T, path string) {
	d := newDriven(t, path, "newCheckout", time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
	if err := d.start("answer before commit"); err != nil {
		t.Fatal(err)
	}
	acks := &ledger{sent: map[string][]byte{}, acked: map[string]bool{}}
	wait := underLoad(t, acks, d.boot.DSN, 0)
	eventually(t, "events are acknowledged", func() error {
		if n := acks.count(); n < 50 {
			return fmt.Errorf("%d so far", n)
		}
		return nil
	})
	d.kill()
	wait()
	if err := d.start(""); err != nil {
		t.Fatal(err)
	}
	var counters map[string]int64
	d.look("/telemetry", &counters)
	if counters["counted"] >= int64(acks.count()) {
		t.Errorf("counted %d of %d acknowledged: nothing was lost", counters["counted"], acks.count())
	}
}
