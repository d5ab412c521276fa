package evidence

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"serin/internal/clock"
	"serin/internal/plan"
	"serin/internal/store/memory"
	"serin/internal/telemetry"
)

// severalPlans differ in scope, audience and what they count.
var severalPlans = []string{
	"flag: { key: f0 }",
	"flag: { key: f1, audience: role = admin }\nscope: { pages: [/a] }",
	"flag: { key: f2, audience: role = admin }\nscope: { pages: [\"/b/*\"], tags: { feature: shop } }",
	"flag: { key: f3, audience: role != admin }\nmetrics: { oops: { count: events, where: \"level:fatal browser:Firefox\" } }",
	"flag: { key: f4 }\nmetrics: { oops: { count: events, where: \"level:error\" } }\nenvironment: live",
	"flag: { key: f5, audience: role = admin }\nmetrics: { oops: { users: events, where: \"level:fatal browser:Firefox\" } }",
}

// watching makes an engine that watches some of severalPlans and does not run.
func watching(tb rapid.TB, ids ...int) *Engine {
	tb.Helper()
	e := New(Options{Store: memory.New(), Clock: clock.NewManual(t0)})
	for _, i := range ids {
		p, problems := plan.Parse(fmt.Appendf(nil, "serin: 1\nplan: p%d\ntimezone: UTC\n%s\nstages:\n  - { stage: half, traffic: 50%%, bake: 1h, proceed: [errors <= +10%% vs control, lcp <= +5%% vs control] }\n  - { stage: full, traffic: 100%%, bake: 1h }\n", i, severalPlans[i]))
		if p == nil {
			tb.Fatal(problems)
		}
		t := Target{Rollout: fmt.Sprintf("p%d-1", i), Plan: p, Split: p.Split(50_000), Attempt: 1, Active: true,
			Intervals: []Interval{{Attempt: 1, Odds: 1, From: t0}}, StageAt: t0, AttemptAt: t0, RolloutAt: t0}
		if err := e.Watch(t); err != nil {
			tb.Fatal(err)
		}
	}
	return e
}

// rowsOf are the cells and user rows that a batch of events makes, and what
// the issues count, by rollout.
func rowsOf(tb rapid.TB, e *Engine, events []telemetry.Event) map[string]map[string]string {
	tb.Helper()
	b := &batch{now: t0.Add(3 * time.Minute), touched: map[string]bool{}}
	for i := range events {
		ev := events[i]
		e.accept(b, &ev)
	}
	if err := e.collect(b); err != nil {
		tb.Fatal(err)
	}
	out := map[string]map[string]string{}
	put := func(rollout, key, value string) {
		if out[rollout] == nil {
			out[rollout] = map[string]string{}
		}
		out[rollout][key] = value
	}
	for _, c := range b.Cells {
		put(c.Rollout, fmt.Sprint("cell ", c.Attempt, c.Metric, c.Group, c.Interval, c.Minute), fmt.Sprintf("%x", c.Data))
	}
	for _, u := range b.Users {
		put(u.Rollout, "user "+u.Metric+" "+u.User, fmt.Sprintf("%x", u.Data))
	}
	for _, it := range b.Issues {
		for key, n := range it.Arms {
			rollout, arm, _ := strings.Cut(key, "/")
			put(rollout, "issue "+it.Hash+" "+arm, fmt.Sprint(n))
		}
	}
	for id := range b.touched {
		put(id, "touched", "")
	}
	delete(out, issueRows)
	return out
}

// TestSharedIsAlone: rollouts that share what they ask of an event store
// exactly what each of them stores by itself.
func TestSharedIsAlone(t *testing.T) {
	text := func(values ...string) *rapid.Generator[string] { return rapid.SampledFrom(values) }
	rapid.Check(t, func(rt *rapid.T) {
		events := make([]telemetry.Event, rapid.IntRange(1, 40).Draw(rt, "events"))
		for i := range events {
			events[i] = telemetry.Event{
				ID: fmt.Sprint("e", i), Kind: rapid.SampledFrom([]telemetry.Kind{telemetry.KindError, telemetry.KindPage, telemetry.KindRequest, telemetry.KindFeedback, telemetry.KindAction}).Draw(rt, "kind"),
				User: text("", "u1", "u2", "u3", "u4").Draw(rt, "user"), Level: text("error", "fatal").Draw(rt, "level"), Page: text("", "/a", "/b/c").Draw(rt, "page"),
				Environment: text("", "live", "test").Draw(rt, "environment"), Received: t0.Add(time.Duration(rapid.IntRange(0, 180_000).Draw(rt, "ms")) * time.Millisecond), Time: t0,
				Tags: map[string]string{"browser": text("Firefox", "Safari").Draw(rt, "browser")}, Attributes: map[string]string{"user.role": text("admin", "guest").Draw(rt, "role")},
				Measurements: map[string]float64{"lcp": float64(rapid.IntRange(100, 5000).Draw(rt, "lcp"))}, Late: rapid.IntRange(0, 9).Draw(rt, "late") == 0,
				Exception: &telemetry.Exception{Type: text("A", "B").Draw(rt, "type"), Value: "x"},
			}
			if rapid.Bool().Draw(rt, "reports") {
				events[i].Flags = map[string]string{text("f0", "f1", "f4").Draw(rt, "flag"): text("on", "off", "odd").Draw(rt, "variant")}
			}
			if rapid.Bool().Draw(rt, "tagged") {
				events[i].Tags["feature"] = "shop"
			}
		}
		ids := make([]int, len(severalPlans))
		want := map[string]map[string]string{}
		for i := range ids {
			ids[i] = i
			for rollout, rows := range rowsOf(rt, watching(rt, i), events) {
				want[rollout] = rows
			}
		}
		if d := cmp.Diff(want, rowsOf(rt, watching(rt, ids...), events)); d != "" {
			rt.Fatal(d)
		}
	})
}

// TestPackedLoads: page loads stay readable when a dictionary comes to be, and
// are packed in little memory.
func TestPackedLoads(t *testing.T) {
	var l loads
	var vaults []vault
	size, plain := 0, 0
	for i := range 100 {
		v := newVault(contents{Keys: []string{fmt.Sprintf("1/s/%016x", i*7919), fmt.Sprintf("1/t/%032x", i*104729)},
			Load:   &telemetry.Event{Kind: telemetry.KindPage, Project: "1", User: fmt.Sprint("user-", i), Page: "/part/cart", Attributes: map[string]string{"user.role": "admin"}},
			Places: []place{{Rollout: "~hours ", Metric: "lcp", Minute: int64(29_000_000 + i), Field: "measurements.lcp", Value: float64(1200 + i)}}})
		data, err := v.seal(&l.packer)
		if err != nil {
			t.Fatal(err)
		}
		if cap(v.packed) > len(v.packed)+len(v.packed)/4+16 {
			t.Errorf("load %d: %d bytes are kept in %d", i, len(v.packed), cap(v.packed))
		}
		if vaults = append(vaults, v); v.dict != nil {
			size, plain = size+len(v.packed), plain+len(data)
		}
	}
	if size == 0 || size > plain/2 {
		t.Errorf("%d bytes of JSON take %d", plain, size)
	}
	for i, v := range vaults {
		if in := v.open(); in.Load == nil || in.Load.User != fmt.Sprint("user-", i) || len(in.Keys) != 2 || len(in.Places) != 1 || in.Places[0].Value != float64(1200+i) {
			t.Errorf("load %d reads as %+v", i, in)
		}
	}
}
