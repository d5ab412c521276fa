package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"serin/internal/auth"
	"serin/internal/clock"
	"serin/internal/controller"
	"serin/internal/flag"
	"serin/internal/rollout"
	"serin/internal/telemetry"
)

var someDay = time.Date(2025, 3, 3, 9, 0, 0, 0, time.UTC)

// TestFactsGoStale: a fact about code completes its item for 24 hours. What is
// older starts nothing, also where the item was complete once.
func TestFactsGoStale(t *testing.T) {
	for _, fact := range []string{"refs gone useOldThing", "path exists src/old/"} {
		t.Run(fact, func(t *testing.T) {
			now := clock.NewManual(someDay)
			r := newRigAt(t, now)
			item := "  - { id: code, do: Look at the code, verify: " + fact + " }\n"
			source := strings.Replace(planFile, "  - { id: staging, do: \"Try it in staging\", by: qa }\n", item, 1)
			r.as(auth.Operate, 200, http.MethodPost, "/rollouts", source)
			start := func(status int) answer {
				t.Helper()
				return r.as(auth.Admin, status, http.MethodPost, "/rollouts/checkout/start", map[string]any{"version": r.view().Version})
			}
			told := func(word string) {
				t.Helper()
				r.as(auth.Operate, 204, http.MethodPost, "/values", map[string]string{fact: word})
			}
			if got := start(409).problem(t); !strings.Contains(got, "code") {
				t.Errorf("nobody told, and the refusal says %q", got)
			}
			told("false")
			start(409)
			told("true")
			now.Advance(24*time.Hour + time.Second)
			start(409)
			if v := r.view(); v.State.Status != rollout.Preflight {
				t.Fatalf("it is %s", v.State.Status)
			}
			told("true")
			now.Advance(24*time.Hour - time.Minute)
			start(200)
		})
	}
}

// TestStaleFlags: the report through the API, and what it refuses.
func TestStaleFlags(t *testing.T) {
	now := clock.NewManual(someDay)
	r := newRigAt(t, now)
	if a := r.as(auth.Read, 200, http.MethodGet, "/flags/stale", nil); strings.TrimSpace(string(a.body)) != "[]" {
		t.Errorf("no flags are %s, want []", a.body)
	}
	r.as(auth.Operate, 200, http.MethodPut, "/flags/old", `{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on"}`)
	r.engine.Evaluated(t.Context(), "typo", nil, flag.Evaluation{Code: flag.FlagNotFound}, true)
	now.Advance(8 * 24 * time.Hour)
	states := func(query string) map[string]controller.FlagState {
		t.Helper()
		out := map[string]controller.FlagState{}
		for _, f := range decode[[]controller.FlagReport](t, r.as(auth.Read, 200, http.MethodGet, "/flags/stale"+query, nil)) {
			out[f.Key] = f.State
		}
		return out
	}
	if got := states(""); got["old"] != controller.FlagInUse || got["typo"] != controller.FlagUnknown {
		t.Errorf("after eight days: %v", got)
	}
	if got := states("?after=7d"); got["old"] != controller.FlagNever || len(got) != 1 {
		t.Errorf("asked for seven days: %v", got)
	}
	for _, after := range []string{"x", "0d", "-1d", "7"} {
		r.refused(auth.Read, 422, "30d", http.MethodGet, "/flags/stale?after="+after, nil)
	}
}

// TestLintKnowsTheServer: what telemetry brought before any rollout tells lint
// of the server whether flag.by is carried, tags are set before the start, and
// fixed limits fit its size.
func TestLintKnowsTheServer(t *testing.T) {
	now := clock.NewManual(someDay)
	r := newRigAt(t, now)
	file := strings.NewReplacer("{ key: newCheckout }", "{ key: newCheckout, by: account }", "preflight:", "scope: { tags: { feature: x } }\nrollback: [p1 > 5 over 1h]\ncriteria: { default: [errors <= +5% vs control, satisfaction > 4] }\npreflight:",
		"traffic: 100%, bake: 72h", "traffic: 100%, bake: 72h, proceed: [errors < 100]").Replace(planFile)
	lint := func() (got []string) {
		t.Helper()
		for _, p := range decode[controller.PlanCheck](t, r.as(auth.Read, 200, http.MethodPost, "/plans/lint", file)).Problems {
			got = append(got, p.Code+" "+p.What)
		}
		return got
	}
	find := func(when string, present bool, texts ...string) {
		t.Helper()
		all := strings.Join(lint(), "\n")
		for _, text := range texts {
			if strings.Contains(all, text) != present {
				t.Errorf("%s: %q is there: %v, want %v, in\n%s", when, text, !present, present, all)
			}
		}
	}
	find("on a new server", true, `E20 flag.by "account": no telemetry carries it`, `W01 "p1": no telemetry ever arrived`, `W01 "satisfaction": no survey ever arrived`,
		"W12 \"p1 > 5 over 1h\": how often")
	find("on a new server", false, "W15", "are expected")
	for hour := range 30 {
		events := make([]telemetry.Event, 6)
		for i := range events {
			events[i] = telemetry.Event{Kind: telemetry.KindError, Project: "1", Level: "fatal", User: string(rune('a' + i)), Received: now.Now(), Time: now.Now(),
				Environment: "production", ID: string(rune('a'+i)) + now.Now().String(), Tags: map[string]string{"account": "acme"}}
		}
		if err := r.engine.Accept(context.Background(), events); err != nil {
			t.Fatal(err)
		}
		if hour < 29 {
			now.Advance(time.Hour)
		}
	}
	find("with telemetry", false, "E20", `W01 "p1"`)
	find("with telemetry", true, `W01 "satisfaction": no survey ever arrived`, "W15 feature:x matched 0 of 180 baseline events",
		`W12 "p1 > 5 over 1h": a healthy site of this size meets it with`, "12 are expected")
}
