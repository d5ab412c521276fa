package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// BenchmarkDaily is what the daily summary adds to the intake of an event.
func BenchmarkDaily(b *testing.B) {
	tags := map[string]string{"feature": "x", "browser": "Firefox", "os": "Linux"}
	for _, ev := range []telemetry.Event{
		{Kind: telemetry.KindPage, Page: "/x", Tags: tags, Attributes: map[string]string{"user.role": "admin"}},
		{Kind: telemetry.KindError, Level: "error", Platform: "javascript", Tags: tags, Attributes: map[string]string{"user.role": "admin", "error.type": "TypeError"}},
	} {
		b.Run(ev.Kind.String(), func(b *testing.B) {
			d := newDaily()
			ev.Project, ev.Environment, ev.Received = "1", "production", t0
			users := make([]string, 1000)
			for i := range users {
				users[i] = fmt.Sprint("u", i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				ev.User = users[i%1000]
				d.add(&ev)
			}
		})
	}
}

// BenchmarkEvaluated is what counting the usage adds to an answer for a flag.
func BenchmarkEvaluated(b *testing.B) {
	g := newRig(b, nil)
	c := map[string]any{"targetingKey": "u1", "role": "admin"}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g.e.usage.evaluated("checkout", c)
		}
	})
}

// factsPlan is a plan for facts; more is added to it.
func factsPlan(t testing.TB, more string) *plan.Plan {
	t.Helper()
	p, err := plan.Parse([]byte("serin: 1\nplan: x\ntimezone: UTC\nflag: { key: f }\nscope: { tags: { feature: x, page: \"1\" } }\nstages: [{ stage: full, traffic: 100%, bake: 1h }]\n" + more))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestFacts: what lint is told of two days of telemetry, before any rollout,
// the same after a restart.
func TestFacts(t *testing.T) {
	g := newRig(t, nil)
	g.e.Forget("demo-1")
	p := factsPlan(t, "")
	if f := g.e.Facts("1", p, g.clock.Now()); f.Events != 0 || len(f.PerHour) != 0 || f.Arrived["telemetry"] || f.Tagged["feature:x"] != 0 {
		t.Errorf("facts of nothing: %+v", f)
	}
	for hour := range 48 {
		for n := range 10 {
			ev := g.failure(fmt.Sprintf("u%d", (hour*10+n)%50), "error")
			ev.Environment = []string{"Production", "", "staging"}[min(n/4, 2)] // 4, 4 and 2
			ev.Tags = map[string]string{"page": fmt.Sprint(n % 2), "trace": fmt.Sprint("t", hour, "-", n)}
			ev.Attributes = map[string]string{"user.role": []string{"admin", "guest"}[n%2], "user.email": "u@example.com"}
			g.send(ev)
		}
		g.clock.Advance(time.Hour)
	}
	g.send(telemetry.Event{Kind: telemetry.KindFeedback, Project: "1", ID: "fb", Tags: map[string]string{"kind": "complaint"}})
	for _, restarted := range []bool{false, true} {
		if restarted {
			g.restart()
			g.e.Forget("demo-1")
		}
		f := g.e.Facts("1", p, g.clock.Now())
		if f.Events != 48*8+1 {
			t.Errorf("restarted %v: %d events of production and of no environment, want %d", restarted, f.Events, 48*8+1)
		}
		if d := cmp.Diff(map[string]int{"feature:x": 0, "page:1": 48 * 4}, f.Tagged); d != "" {
			t.Errorf("restarted %v: tags (-want +got)\n%s", restarted, d)
		}
		if got := f.PerHour["errors"]; math.Abs(got-8) > 0.1 {
			t.Errorf("restarted %v: %.2f errors an hour, want 8", restarted, got)
		}
		if got := f.Users["errors"]; math.Abs(got-40) > 4 {
			t.Errorf("restarted %v: %.1f users with an error a day, want about 40", restarted, got)
		}
		if got, want := f.PerHour["p1"], 0.0; got != want {
			t.Errorf("restarted %v: %v p1, want %v", restarted, got, want)
		}
		if !f.Arrived["telemetry"] || !f.Arrived["feedback"] || f.Arrived["survey"] {
			t.Errorf("restarted %v: arrived %v", restarted, f.Arrived)
		}
		if want := []string{"email", "kind", "page", "role", "trace"}; !cmp.Equal(want, f.Carried) {
			t.Errorf("restarted %v: carried %v, want %v", restarted, f.Carried, want)
		}
	}
	all := g.e.Facts("1", p, g.clock.Now())
	admins := factsPlan(t, "")
	admins.Flag.Audience, _ = flag.ParseCondition("role = admin")
	if got := g.e.Facts("1", admins, g.clock.Now()); math.Abs(got.PerHour["errors"]-all.PerHour["errors"]/2) > 0.1 {
		t.Errorf("half of the events are admins': %.2f of %.2f an hour", got.PerHour["errors"], all.PerHour["errors"])
	}
	admins.Flag.Audience, _ = flag.ParseCondition("tenant = acme")
	if got := g.e.Facts("1", admins, g.clock.Now()); len(got.PerHour) != 0 {
		t.Errorf("no event tells of a tenant, yet rates are %v", got.PerHour)
	}
	traced := factsPlan(t, "")
	traced.Scope.Tags = map[string]string{"trace": "t1-1"}
	if got := g.e.Facts("1", traced, g.clock.Now()); len(got.Tagged) != 0 {
		t.Errorf("a tag with many values is not counted, got %v", got.Tagged)
	}
	if got := g.e.Facts("1", p, g.clock.Now().AddDate(0, 0, -2)); got.Events != 0 {
		t.Errorf("before the first event: %d events", got.Events)
	}
}

// TestDailyIsBounded: made-up tags, environments and users take bounded room.
func TestDailyIsBounded(t *testing.T) {
	d := newDaily()
	for i := range 20_000 {
		d.add(&telemetry.Event{Kind: telemetry.KindError, User: fmt.Sprint("u", i), Received: t0.Add(time.Duration(i) * time.Hour), Environment: fmt.Sprint("e", i%9),
			Level: "error", Tags: map[string]string{fmt.Sprint("k", i%500): fmt.Sprint("v", i), "long": strings.Repeat("x", 1000)}})
	}
	days, size := 0, 0
	for _, ring := range d.days {
		for _, at := range ring {
			if at == nil {
				continue
			}
			days++
			if len(at.Tags) > keptTags || at.Pairs > keptPairs {
				t.Fatalf("a day keeps %d keys and %d values", len(at.Tags), at.Pairs)
			}
			text, err := json.Marshal(at)
			if err != nil {
				t.Fatal(err)
			}
			size = max(size, len(text))
		}
	}
	if days > keptEnvs*keptDays || size > 100_000 {
		t.Errorf("%d days, the largest of %d bytes", days, size)
	}
}

// TestDailyUnreadable: what cannot be read is left out, and nothing else.
func TestDailyUnreadable(t *testing.T) {
	d, values := newDaily(), map[string]store.Value{"ci": {Text: "pass"}}
	for key, text := range map[string]string{
		"~day 0 production": "{", "~day 1 production": `{"env":"production","day":1,"users":"AAAA"}`, "~day 2 production": `{"env":"staging","day":2}`,
		"~day 3 production": `{"env":"production","day":3,"tags":{"a":null}}`, "~day 4 production": `{"env":"production","day":4,"counts":{"errors":null}}`,
		"~day 5 production": `{"env":"production","day":5,"tags":{"a":{"n":1,"values":{"b":null}}}}`, "~day 6 production": `{"env":"production","day":-23}`,
	} {
		values[key] = store.Value{Text: text}
	}
	d.take(values, slog.New(slog.DiscardHandler))
	if len(d.days) != 0 || len(values) != 1 {
		t.Errorf("got days %v, values %v", d.days, values)
	}
}

func TestDistinct(t *testing.T) {
	for _, n := range []int{0, 1, 3, 40, 500, 5_000, 100_000} {
		var d distinct
		for i := range n {
			d = d.add(dailyHash(fmt.Sprint("user-", i)))
			d = d.add(dailyHash(fmt.Sprint("user-", i)))
		}
		if got := d.estimate(); math.Abs(got-float64(n)) > 0.1*float64(n)+0.1 || !d.valid() {
			t.Errorf("%d users are estimated as %.1f", n, got)
		}
	}
}

// TestUsage: how flags are asked for, the same after a restart.
func TestUsage(t *testing.T) {
	g := newRig(t, nil)
	began := g.clock.Now()
	ask := func(key string, code flag.ErrorCode) {
		g.e.Evaluated(context.Background(), key, flag.Context{"targetingKey": "u", "plan": "pro"}, flag.Evaluation{Code: code}, true)
	}
	ask("a", "")
	ask("a", flag.ParseError)
	ask("gone", flag.FlagNotFound)
	g.e.Unchanged("b")
	g.clock.Advance(3 * time.Minute)
	ev := g.failure("u1", "error")
	ev.Flags = map[string]string{"a": "true", "never-served": "x"}
	g.send(ev)
	g.clock.Advance(2 * time.Minute)
	g.restart()
	got, since := g.e.Usage()
	want := map[string]flag.Usage{
		"a":    {Evaluations: 2, First: began, Last: began, Reported: began.Add(3 * time.Minute)},
		"b":    {Evaluations: 1, First: began, Last: began},
		"gone": {Missed: 1, MissedLast: began},
	}
	if d := cmp.Diff(want, got); d != "" || !since.Equal(began) {
		t.Errorf("since %v (-want +got)\n%s", since, d)
	}
	if carried := g.e.Facts("1", factsPlan(t, ""), g.clock.Now()).Carried; !slices.Contains(carried, "plan") {
		t.Errorf("the context carried plan, got %v", carried)
	}
}

// TestMissesAreBounded: made-up keys take bounded room, and make way for what
// is asked for on another day.
func TestMissesAreBounded(t *testing.T) {
	g := newRig(t, nil)
	for i := range 3 * keptMissed {
		g.e.Evaluated(context.Background(), fmt.Sprint("made-up-", i), nil, flag.Evaluation{Code: flag.FlagNotFound}, false)
	}
	if got, _ := g.e.Usage(); len(got) != keptMissed {
		t.Fatalf("%d keys are kept, want %d", len(got), keptMissed)
	}
	g.clock.Advance(25 * time.Hour)
	g.send(g.failure("u", "error"))
	g.e.usage.tick(g.clock.Now())
	g.e.Evaluated(context.Background(), "typo", nil, flag.Evaluation{Code: flag.FlagNotFound}, false)
	if got, _ := g.e.Usage(); len(got) != keptMissed || got["typo"].Missed != 1 {
		t.Errorf("%d keys, typo %+v", len(got), got["typo"])
	}
}

// TestReservedNames: nobody writes the server's own values.
func TestReservedNames(t *testing.T) {
	g := newRig(t, nil)
	if err := g.e.Push(context.Background(), "1", usageKey, "x"); !errors.Is(err, ErrName) {
		t.Errorf("got %v", err)
	}
	g.send(telemetry.Event{Kind: telemetry.KindValue, Project: "1", ID: "v", Op: usageKey, Value: 1})
	if _, _, ok := g.e.Value("1", usageKey); ok {
		t.Error("telemetry wrote it")
	}
}
