package api_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/rollout"
)

// TestExplain asks why the rollout is where it is, now and at its start.
func TestExplain(t *testing.T) {
	r := started(t)
	explain := func(at string) controller.Explanation {
		t.Helper()
		return decode[controller.Explanation](t, r.as(auth.Read, 200, http.MethodGet, "/rollouts/checkout/explain?at="+at, nil))
	}
	now := explain("")
	if !now.Now || !now.Stored || !strings.HasPrefix(now.Sentence, "Why still at 10 %: no data") || now.Decided != "no data" || len(now.Steps) < 10 {
		t.Errorf("now: %+v", now)
	}
	var startedAt int64
	for _, e := range decode[[]rollout.Event](t, r.as(auth.Read, 200, http.MethodGet, "/rollouts/checkout/journal", nil)) {
		if e.Type == rollout.Started {
			startedAt = e.Pos
		}
	}
	x := explain(strconv.FormatInt(startedAt, 10))
	if !x.Same || x.Decided != "command" || x.Command.Verb != rollout.Start || x.First > startedAt || x.Last < startedAt || x.After.Traffic != 10 {
		t.Errorf("the start: %+v", x)
	}
	if y := explain(x.At.Format(time.RFC3339Nano)); y.First != x.First {
		t.Errorf("at the time of the start the last decision is %d to %d", y.First, y.Last)
	}
	r.refused(auth.Read, 404, "position 999 of checkout-1", http.MethodGet, "/rollouts/checkout/explain?at=999", nil)
	r.refused(auth.Read, 422, "write a position", http.MethodGet, "/rollouts/checkout/explain?at=noon", nil)
	r.refused(auth.Read, 404, "not found", http.MethodGet, "/rollouts/nobody/explain", nil)
}

// TestOneFlagOneRollout: the second plan on a flag cannot start while the
// first has it (lint E15).
func TestOneFlagOneRollout(t *testing.T) {
	r := started(t)
	second := strings.Replace(planFile, "plan: checkout", "plan: rival", 1)
	if second == planFile {
		t.Fatal("the plan has no name")
	}
	r.as(auth.Operate, 200, http.MethodPost, "/rollouts", second)
	r.as(auth.Admin, 200, http.MethodPost, "/rollouts/rival/complete", map[string]any{"item": "staging"})
	r.refused(auth.Admin, 409, "E15: flag newCheckout is owned by rollout checkout-1", http.MethodPost, "/rollouts/rival/start", map[string]any{"version": 1})
}
