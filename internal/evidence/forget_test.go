package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/store"
	"serin/internal/store/memory"
	"serin/internal/telemetry"
)

// stored is all that the store holds beside cells, as text.
func (g *rig) stored() string {
	g.t.Helper()
	ctx := g.t.Context()
	var all []any
	add := func(v any, err error) {
		if err != nil {
			g.t.Fatal(err)
		}
		all = append(all, v)
	}
	for _, id := range []string{"demo-1", issueRows} {
		add(nil, g.store.LoadUsers(ctx, id, func(u store.UserRow) error { all = append(all, u); return nil }))
	}
	events, err := g.store.Events(ctx, "", 0)
	add(events, err)
	list, err := g.store.Issues(ctx, store.IssueQuery{})
	add(list, err)
	values, err := g.store.Values(ctx)
	add(values, err)
	pending, err := g.store.Pending(ctx)
	for _, p := range pending {
		all = append(all, p.ID, string(p.Data))
	}
	add(nil, err)
	text, err := json.Marshal(all)
	add(nil, err)
	return string(text)
}

// talk sends of a user what leaves traces everywhere.
func (g *rig) talk(user string) {
	failed := g.failure(user, "error")
	failed.Message = "text of " + user
	failed.Tags = map[string]string{"user.id": user}
	page := g.page(user, 2000)
	page.URL = "https://x.example/u/" + user
	g.send(failed, page, telemetry.Event{Kind: telemetry.KindSession, Project: "1", SessionUser: user, Session: &telemetry.Session{ID: fmt.Sprint("s-", g.seq), Status: "ok", Count: 1}})
	g.e.Evaluated(g.t.Context(), "f", flag.Context{"targetingKey": user, "role": "admin"}, flag.Evaluation{Variant: "new"}, true)
}

func admins(p *plan.Plan) {
	p.Flag.Audience.Terms = []flag.Term{{Attribute: "role", Values: []string{"admin"}}}
}

func TestForgetUser(t *testing.T) {
	for _, hashed := range []bool{false, true} {
		t.Run(fmt.Sprintf("hashed=%v", hashed), func(t *testing.T) {
			g := newRig(t, admins)
			g.stop()
			g.names = telemetry.Subjects{Secret: []byte("secret"), Hash: hashed}
			g.start()
			anna, ben := g.userOf(telemetry.New, 0)+"-anna-"+fmt.Sprint(hashed), "ben-the-other"
			for _, u := range []string{anna, ben} {
				g.talk(u)
				g.talk(u) // the membership was learnt meanwhile
			}
			name, other := g.names.Name("1", anna), g.names.Name("1", ben)
			if text := g.stored(); !strings.Contains(text, name) || hashed && strings.Contains(text, anna) {
				t.Fatalf("stored before: name %v, id %v", strings.Contains(text, name), strings.Contains(text, anna))
			}
			count := g.window("errors", judge.Exposed, time.Hour).Count

			out, err := g.e.ForgetUser(t.Context(), "1", anna, store.AuditEntry{Who: "Vera"})
			if err != nil {
				t.Fatal(err)
			}
			if out.Samples != 2 || out.UserRows == 0 || out.PageLoads == 0 || out.Issues != 2 && out.Issues != 1 || out.Exposures != 1 {
				t.Errorf("forgot %+v", out)
			}
			check := func(when string) {
				t.Helper()
				text := g.stored()
				if strings.Contains(text, name) || strings.Contains(text, anna) {
					t.Errorf("%s the user is still in the store", when)
				}
				if !strings.Contains(text, other) {
					t.Errorf("%s the other user is gone too", when)
				}
				if got := g.window("errors", judge.Exposed, time.Hour).Count; got != count {
					t.Errorf("%s %d errors are counted, before the deletion %d", when, got, count)
				}
			}
			check("afterwards")
			if tr := g.e.Trace("1", "f", anna); tr.Event != nil || !tr.Fetch.At.IsZero() || tr.Rollouts[0].Member {
				t.Errorf("still traced: %+v", tr)
			}
			if tr := g.e.Trace("1", "f", ben); tr.Event == nil || !tr.Rollouts[0].Member {
				t.Errorf("the other user is not traced: %+v", tr)
			}
			g.restart()
			check("after a restart")

			entries, err := g.store.(*memory.Store).AuditEntries(t.Context(), "", 0)
			if err != nil || len(entries) != 1 || strings.Contains(fmt.Sprint(entries), anna) || entries[0].Target != "subject "+g.names.Digest("1", anna) {
				t.Errorf("audit: %+v, %v", entries, err)
			}
			g.talk(anna)
			if !strings.Contains(g.stored(), name) {
				t.Error("an event after the deletion is not new")
			}
		})
	}
}

// TestForgetUsersOfAnIssue: the count of an issue's users goes down, and the
// user counts again with the next event.
func TestForgetUsersOfAnIssue(t *testing.T) {
	g := newRig(t, nil)
	g.send(g.failure("anna", "error"), g.failure("ben", "error"))
	users := func() int64 {
		list, err := g.store.Issues(t.Context(), store.IssueQuery{})
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		return list[0].Users
	}
	var got []int64
	got = append(got, users())
	if _, err := g.e.ForgetUser(t.Context(), "", "anna", store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	got = append(got, users())
	if _, err := g.e.ForgetUser(t.Context(), "2", "ben", store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	got = append(got, users())
	g.send(g.failure("anna", "error"))
	got = append(got, users())
	if d := cmp.Diff([]int64{2, 1, 1, 2}, got); d != "" {
		t.Error(d)
	}
}

// TestForgetFails: where the store fails nothing is lost.
func TestForgetFails(t *testing.T) {
	g := newRig(t, nil)
	g.talk("anna")
	broken := g.store.(*memory.Store)
	broken.FailWrites(store.ErrFull)
	if _, err := g.e.ForgetUser(t.Context(), "1", "anna", store.AuditEntry{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	broken.FailWrites(nil)
	if out, err := g.e.ForgetUser(t.Context(), "1", "anna", store.AuditEntry{}); err != nil || out.Samples != 1 {
		t.Errorf("the second time: %+v, %v", out, err)
	}
}

// TestForgetWhileEventsArrive: deletions and intake at once leave store and
// memory agreed, and every event that was accepted is counted.
func TestForgetWhileEventsArrive(t *testing.T) {
	g := newRig(t, nil)
	const n = 200
	events := make([]telemetry.Event, n)
	for i := range events {
		events[i] = g.failure("anna", "error")
		events[i].Received = t0
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range events {
			if err := g.e.Accept(t.Context(), events[i:i+1]); err != nil {
				t.Error(err)
			}
		}
	})
	for range 20 {
		if _, err := g.e.ForgetUser(t.Context(), "1", "anna", store.AuditEntry{}); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if _, err := g.e.ForgetUser(t.Context(), "1", "anna", store.AuditEntry{}); err != nil {
		t.Error(err)
	}
	if got := g.e.Counters()[countCounted]; got != n {
		t.Errorf("counted %d of %d", got, n)
	}
	list, err := g.store.Issues(t.Context(), store.IssueQuery{})
	if err != nil || len(list) != 1 || list[0].Events != n || list[0].Users != 0 {
		t.Errorf("issues %+v, %v", list, err)
	}
	if text := g.stored(); strings.Contains(text, "anna") {
		t.Error("the user is still in the store")
	}
}

// TestHashedIDsKeepTheirArms: an arm is found by the id and stored by digest.
func TestHashedIDsKeepTheirArms(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		counts := map[bool][2]int64{}
		for _, hashed := range []bool{false, true} {
			g := newRig(t, nil)
			g.stop()
			g.names = telemetry.Subjects{Secret: []byte("secret"), Hash: hashed}
			g.start()
			for n := range 10 {
				g.send(g.failure(g.userOf(telemetry.New, n), "error"), g.failure(g.userOf(telemetry.Old, n), "error"))
				if n == 5 && restarted {
					g.restart()
				}
			}
			counts[hashed] = [2]int64{g.window("errors", judge.AssignedNew, time.Hour).Count, g.window("errors", judge.AssignedOld, time.Hour).Count}
		}
		if counts[true] != counts[false] || counts[true][0] != 10 {
			t.Errorf("restarted=%v: by arm %v with ids hashed, %v without", restarted, counts[true], counts[false])
		}
	}
}
