package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"serin/internal/backtest"
	"serin/internal/clock"
	"serin/internal/rollout"
	"serin/internal/server"
)

// triedPlan rolls back at the eleventh P1 of an hour.
var triedPlan = strings.NewReplacer("rollback: [p1 > 50 over 6h]", "rollback: [p1 > 10 over 1h]",
	"alerts:\n  - { alert: Checkout errors, if: errors > 5 over 10m, severity: p1, notify: team }\n", "").Replace(watchedPlan)

// TestBacktest lets a rollout be rolled back by real telemetry, and runs plans
// over what was recorded: its own decides the same within a look, a stricter
// one earlier, a looser one not at all, and what was not counted is unknown.
func TestBacktest(t *testing.T) {
	t.Parallel()
	s := startWith(t, server.Options{Clock: clock.Fast(monday, 120)})
	id := s.create(triedPlan)
	none := s.api(http.MethodPost, "/rollouts/"+id+"/backtest", map[string]any{"plan": triedPlan})
	if none.status != http.StatusConflict || !strings.Contains(none.detail(), "never had traffic") {
		t.Errorf("before the start: %d %s", none.status, none.detail())
	}
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	in, _ := s.users("newCheckout")
	fatal := func(n int) {
		crash := strings.NewReplacer(`"u1"`, fmt.Sprintf("%q", in), `"level":"error"`, `"level":"fatal"`).Replace(string(minifiedCrash(eventID(n), "web@1")))
		if a := s.envelope([]byte(crash)); a.status != http.StatusOK {
			t.Fatalf("envelope: %d %s", a.status, a.body)
		}
	}
	for n := range 6 {
		fatal(n)
	}
	began := s.view(id).At
	eventually(t, "five minutes pass", func() error {
		if at := s.view(id).At; at.Sub(began) < 5*time.Minute {
			return fmt.Errorf("it is %s", at.Format(time.TimeOnly))
		}
		return nil
	})
	for n := range 6 {
		fatal(n + 6)
	}
	eventually(t, "it is rolled back", func() error {
		if status := s.view(id).State.Status; status != rollout.RolledBack {
			return fmt.Errorf("it is %s", status)
		}
		return nil
	})
	try := func(old, with string) (r backtest.Result) {
		t.Helper()
		s.ask(http.MethodPost, "/rollouts/"+id+"/backtest", map[string]any{"plan": strings.Replace(triedPlan, old, with, 1)}, &r)
		return r
	}
	lowered := func(list []backtest.Event) backtest.Event {
		for _, e := range list {
			if e.Type == string(rollout.RolledBackEvent) {
				return e
			}
		}
		return backtest.Event{}
	}
	same := try("", "")
	really, tried := lowered(same.Real), lowered(same.Events)
	if really.At.IsZero() || tried.Rule != really.Rule || tried.At.Sub(really.At).Abs() > 2*time.Minute || same.Status != rollout.RolledBack || same.Exposed != 1 {
		t.Errorf("its own plan: %+v\nreally: %+v", same, really)
	}
	if got := strings.Join(same.Against, "\n"); !strings.Contains(got, "at the same time") {
		t.Errorf("its own plan differs: %s", got)
	}
	strict := try("p1 > 10 over 1h", "p1 > 3 over 1h")
	if e := lowered(strict.Events); e.At.IsZero() || really.At.Sub(e.At) < 3*time.Minute || !strings.Contains(strings.Join(strict.Against, "\n"), "earlier") {
		t.Errorf("a stricter plan: %+v", strict)
	}
	loose := try("p1 > 10 over 1h", "p1 > 100 over 1h")
	if e := lowered(loose.Events); !e.At.IsZero() || loose.Status != rollout.Running || !strings.Contains(strings.Join(loose.Against, "\n"), "the plan does not") || len(loose.Waiting) == 0 {
		t.Errorf("a looser plan: %+v", loose)
	}
	blind := try("rollback: [p1 > 10 over 1h]", "metrics: { odd: { count: events, where: \"level:warning\" } }\nrollback: [odd > 0 over 1h, memory > 900MB for 5m]")
	if len(blind.Unanswered) != 2 || blind.Status != rollout.Running {
		t.Errorf("what was not recorded: %+v", blind.Unanswered)
	}
	if a := s.api(http.MethodPost, "/rollouts/"+id+"/backtest", map[string]any{"plan": strings.Replace(triedPlan, "scope: { tags: { feature: admin-workbench } }", "scope: { tags: { feature: other } }", 1)}); a.status != http.StatusConflict || !strings.Contains(a.detail(), "scope is another") {
		t.Errorf("another scope: %d %s", a.status, a.detail())
	}
	if a := s.api(http.MethodPost, "/rollouts/"+id+"/backtest", map[string]any{"plan": triedPlan, "people": "soon"}); a.status != http.StatusUnprocessableEntity {
		t.Errorf("people who come soon: %d %s", a.status, a.detail())
	}
	var part backtest.Result
	s.ask(http.MethodPost, "/rollouts/checkout/backtest", map[string]any{"plan": triedPlan, "from": really.At.Add(-3 * time.Minute)}, &part)
	if e := lowered(part.Events); part.Rollout != id || !e.At.IsZero() || part.From.Before(really.At.Add(-4*time.Minute)) {
		t.Errorf("from three minutes before the end, when six were to come: %+v", part)
	}
	if a := s.api(http.MethodPost, "/rollouts/checkout/backtest", map[string]any{"plan": triedPlan, "from": really.At.Add(24 * time.Hour)}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.detail(), "nothing was recorded between these times") {
		t.Errorf("a day later: %d %s", a.status, a.detail())
	}
	if a := s.api(http.MethodPost, "/rollouts/"+id+"/backtest", map[string]any{"plan": triedPlan, "attempt": 7}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.detail(), "there is no attempt 7") {
		t.Errorf("attempt 7: %d %s", a.status, a.detail())
	}
}

// rampPlan raises by itself, and reduces at the fourth P1 in five minutes.
var rampPlan = strings.NewReplacer(
	"bake: 72h, proceed: healthy }\n  - { stage: full,", "bake: 6m, checks: [{ every: 2m, expect: [p1 < 3 over 2m] }], proceed: [p1 < 3 over 2m] }\n  - { stage: full,",
	"bake: 72h", "bake: 60m", "proceed: healthy", "proceed: [p1 < 3 over 5m]", "criteria:\n  healthy: [error_rate < 90%, lcp < 10s]\n", "",
	"rollback: [p1 > 50 over 6h]", "judge: { enough: { users: 1, for: 2m } }\nrollback: [p1 > 50 over 6h]\nreduce: [p1 > 3 over 5m]",
	"alerts:\n  - { alert: Checkout errors, if: errors > 5 over 10m, severity: p1, notify: team }\n", "").Replace(watchedPlan)

// TestBacktestRepeats: over a check that fails, a raise and a reduction, a plan's
// backtest makes the decisions that its rollout made, when it made them, and
// what comes in afterwards changes none of them.
func TestBacktestRepeats(t *testing.T) {
	t.Parallel()
	s := startWith(t, server.Options{Clock: clock.Fast(monday, 120)})
	id := s.create(rampPlan)
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	in, out := s.users("newCheckout")
	sent := 0
	send := func(user, level string) {
		t.Helper()
		crash := strings.NewReplacer(`"u1"`, fmt.Sprintf("%q", user), `"level":"error"`, fmt.Sprintf(`"level":%q`, level)).Replace(string(minifiedCrash(eventID(sent), "web@1")))
		if a := s.envelope([]byte(crash)); a.status != http.StatusOK {
			t.Fatalf("envelope: %d %s", a.status, a.body)
		}
		sent++
	}
	fatal := func(n int) {
		for range n {
			send(in, "fatal")
		}
	}
	var beat time.Time
	alive := func() { // the site goes on: somebody of each arm errs each minute
		if now := s.view(id).At; now.Sub(beat) > time.Minute {
			beat = now
			send(in, "error")
			send(out, "error")
		}
	}
	alive()
	fatal(3)
	stage := func(want int) func() error {
		return func() error {
			alive()
			if v := s.view(id); v.State.Stage != want {
				return fmt.Errorf("it is at stage %d and waits for %+v", v.State.Stage, v.Waiting)
			}
			return nil
		}
	}
	eventually(t, "it is raised", stage(1))
	fatal(4)
	eventually(t, "it is reduced", func() error {
		alive()
		if v := s.view(id); v.State.Status != rollout.Reduced {
			return fmt.Errorf("it is %s at %g %%", v.State.Status, v.Exposure)
		}
		return nil
	})
	try := func() (r backtest.Result) {
		t.Helper()
		s.ask(http.MethodPost, "/plans/backtest", map[string]any{"plan": strings.Replace(rampPlan, "plan: checkout", "plan: another-name", 1)}, &r)
		return r
	}
	compare := func(r backtest.Result) {
		t.Helper()
		if r.Rollout != id || len(r.Events) != len(r.Real) || len(r.Events) < 3 {
			t.Fatalf("of %s:\n%+v\nreally:\n%+v", r.Rollout, r.Events, r.Real)
		}
		for i, e := range r.Events {
			if was := r.Real[i]; e.Type != was.Type || e.Exposure != was.Exposure || e.Rule != was.Rule || e.At.Sub(was.At).Abs() > 2*time.Minute {
				t.Errorf("%d: %+v, really %+v", i, e, was)
			}
		}
	}
	before := try()
	compare(before)
	pass := func(d time.Duration) {
		t.Helper()
		eventually(t, d.String()+" pass", func() error {
			alive()
			if now := s.view(id).At; now.Sub(before.Ended) < d {
				return fmt.Errorf("it is %s", now.Format(time.TimeOnly))
			}
			return nil
		})
	}
	pass(3 * time.Minute)
	fatal(60)
	pass(10 * time.Minute)
	after := try()
	after.Real = before.Real // what really happened may have gone on
	compare(after)
	if a := s.api(http.MethodPost, "/plans/backtest", map[string]any{"plan": strings.Replace(rampPlan, "key: newCheckout", "key: otherFlag", 1)}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.detail(), "no rollout of the flag otherFlag") {
		t.Errorf("another flag: %d %s", a.status, a.detail())
	}
}
