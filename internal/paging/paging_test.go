package paging_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/clock"
	"serin/internal/notify"
	"serin/internal/oncall"
	"serin/internal/paging"
	"serin/internal/store"
	"serin/internal/store/memory"
)

// rig is an engine with its store; Ben is on call, Cara is whom the plan escalates to.
type rig struct {
	*testing.T
	store *memory.Store
	*paging.Engine
	began time.Time
	stop  func()
}

func options(s *memory.Store) paging.Options {
	return paging.Options{Store: s, Clock: clock.Real(), Knows: func(a string) bool { return !strings.HasPrefix(a, "slack:") },
		Escalates: func(string, string) []string { return []string{"@cara"} }}
}

func start(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, store: memory.New(), began: time.Now()}
	r.open()
	by := store.AuditEntry{Who: "anna"}
	for person, addresses := range map[string][]string{"ben": {"email:ben@example.org", "slack:@ben"}, "cara": {"email:cara@example.org"}} {
		unreached, err := r.PutContact(t.Context(), paging.Contact{Person: person, Addresses: addresses}, by)
		if err != nil || (person == "ben") != slices.Equal(unreached, []string{"slack:@ben"}) {
			t.Fatalf("%s: %v %v", person, unreached, err)
		}
	}
	_, err := r.Put(t.Context(), oncall.Rota{Name: "web", Timezone: "UTC", Layers: []oncall.Layer{{People: []string{"ben"}, Starts: "1999-12-27"}}}, by)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// open starts an engine on the store, as a restart does.
func (r *rig) open() {
	r.Helper()
	e, err := paging.New(r.Context(), options(r.store))
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = e.Run(ctx) }()
	r.Engine, r.stop = e, func() { cancel(); <-done }
}

func firing(version int) notify.Notice {
	id := fmt.Sprintf("alert/shop-1.errors/%d/page", version)
	return notify.Notice{ID: id, Thread: "alert/shop-1.errors/1/page", Channel: "page", Address: "oncall:web", Rollout: "shop-1", Type: "alert.firing", Title: "P1 firing: errors", At: time.Now()}
}

func (r *rig) deliver(n notify.Notice) {
	r.Helper()
	if err := r.Deliver(r.Context(), n); err != nil {
		r.Fatal(err)
	}
}

// told are the notices so far, with the minutes after the start.
func (r *rig) told() (out []string) {
	r.Helper()
	all, err := r.store.Notices(r.Context(), "", 0)
	if err != nil {
		r.Fatal(err)
	}
	for _, n := range slices.Backward(all) {
		out = append(out, fmt.Sprintf("%v %s %s", n.At.Sub(r.began).Round(time.Second), n.Address, n.Type))
	}
	return out
}

func (r *rig) want(lines ...string) {
	r.Helper()
	if diff := cmp.Diff(lines, r.told()); diff != "" {
		r.Error(diff)
	}
}

// TestEscalates: Ben at once, Cara too after five minutes, nobody after her acknowledgement.
func TestEscalates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.deliver(firing(1))
		r.deliver(firing(1)) // once more, after a crash of the courier
		synctest.Wait()
		r.want("0s email:ben@example.org alert.firing")
		time.Sleep(5*time.Minute - time.Second)
		r.want("0s email:ben@example.org alert.firing")
		r.stop()
		r.open() // a restart neither repeats nor skips
		time.Sleep(2 * time.Second)
		both := []string{"0s email:ben@example.org alert.firing", "5m0s email:ben@example.org alert.firing", "5m0s email:cara@example.org alert.firing"}
		r.want(both...)
		if n, err := r.Acked(t.Context(), "alert/shop-1.errors", "cara"); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if n, _ := r.Acked(t.Context(), "alert/shop-1.errors", "ben"); n != 0 {
			t.Error("acknowledged twice")
		}
		time.Sleep(2 * time.Hour)
		r.want(both...)
		if n, err := r.Resolve(t.Context(), "alert/shop-1.errors"); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		r.deliver(firing(1)) // late again: it is over
		r.want(append(both, "2h5m1s email:ben@example.org alert.resolved", "2h5m1s email:cara@example.org alert.resolved")...)
		log, err := r.Log(t.Context(), "alert/shop-1.errors")
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, l := range log {
			lines = append(lines, l.Text+" "+strings.Join(l.Told, ", "))
		}
		if diff := cmp.Diff([]string{"Paged: P1 firing: errors ", "Round 1, step 1 of 2 ben at email:ben@example.org",
			"Round 1, step 2 of 2 ben at email:ben@example.org, cara at email:cara@example.org", "Acknowledged by cara. ", "Over. "}, lines); diff != "" {
			t.Error(diff)
		}
		r.stop()
	})
}

// TestAgain: what fires worse after an acknowledgement, or after every round,
// pages anew; what fires again meanwhile only joins.
func TestAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		defer r.stop()
		r.deliver(firing(1))
		r.deliver(firing(2))
		synctest.Wait()
		r.want("0s email:ben@example.org alert.firing")
		if _, err := r.Acked(t.Context(), "alert/shop-1.errors", "ben"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		r.deliver(firing(3))
		if got := r.told(); len(got) != 2 || got[1] != "1h0m0s email:ben@example.org alert.firing" {
			t.Error(got)
		}
		time.Sleep(2 * time.Hour) // five rounds of two steps: 1 + 2 + 1 + 2 ...
		if got := r.told(); len(got) != 1+5*3 {
			t.Errorf("%d notices: %v", len(got), got)
		}
		pages, err := r.Pages(t.Context(), 0, func(string) bool { return true })
		if err != nil || len(pages) != 1 || pages[0].State.Spent.IsZero() {
			t.Fatal(pages, err)
		}
		r.deliver(firing(4))
		if got := r.told(); len(got) != 1+5*3+1 {
			t.Errorf("%d notices after every round", len(got))
		}
	})
}

// TestNobody: a page that reaches nobody says so in its log, and an unknown
// rota refuses for good.
func TestNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		defer r.stop()
		if _, err := r.PutContact(t.Context(), paging.Contact{Person: "ben"}, store.AuditEntry{}); err != nil {
			t.Fatal(err)
		}
		r.deliver(firing(1))
		log, err := r.Log(t.Context(), "alert/shop-1.errors")
		if err != nil || len(log) != 2 || log[1].Text != "Round 1, step 1 of 2: nobody could be told; no address of ben can be reached" {
			t.Error(log, err)
		}
		n := firing(1)
		n.Address = "oncall:nowhere"
		if _, again := notify.Temporary(r.Deliver(t.Context(), n)); again {
			t.Error("an unknown rota is tried again")
		}
		v, err := r.Rota(t.Context(), "web")
		if err != nil || !slices.Equal(v.Unreached, []string{"ben"}) || !slices.Equal(v.On, []string{"ben"}) {
			t.Error(v, err)
		}
	})
}
