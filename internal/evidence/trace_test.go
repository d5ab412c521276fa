package evidence

import (
	"slices"
	"testing"
	"time"

	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/telemetry"
)

func TestTrace(t *testing.T) {
	g := newRig(t, nil)
	user := g.userOf(telemetry.New, 0)
	got := g.e.Trace("1", "f", user)
	if !got.Fetch.At.IsZero() || got.Event != nil || len(got.Rollouts) != 1 || got.Rollouts[0].Attribution.Assigned != telemetry.New || got.Rollouts[0].Counted != nil {
		t.Errorf("before anything happened: %+v", got)
	}
	g.e.Evaluated(t.Context(), "f", flag.Context{"targetingKey": user}, flag.Evaluation{Variant: "new"}, true)
	ev := g.failure(user, "error")
	ev.Flags = map[string]string{"f": "old"}
	ev.Exception = &telemetry.Exception{Type: "TypeError", Frames: make([]telemetry.Frame, 3)}
	g.send(ev)

	got = g.e.Trace("1", "f", user)
	if got.Fetch.Variant != "new" || !got.Fetch.Server || got.Fetch.At.IsZero() {
		t.Errorf("fetch %+v", got.Fetch)
	}
	if got.Event == nil || got.Event.ID != ev.ID || got.Event.Exception.Frames != nil {
		t.Fatalf("event %+v", got.Event)
	}
	r := got.Rollouts[0]
	if !r.Attribution.Conflict || !slices.Contains(r.Counted, "errors") || slices.Contains(r.Counted, "lcp") {
		t.Errorf("rollout %+v", r)
	}
	if other := g.e.Trace("1", "f", "somebody"); other.Event != nil || !other.Fetch.At.IsZero() {
		t.Errorf("of somebody else: %+v", other)
	}
	if other := g.e.Trace("1", "g", user); len(other.Rollouts) != 0 || !other.Fetch.At.IsZero() {
		t.Errorf("of another flag: %+v", other)
	}
}

func TestTraceSaysWhyNothingCounts(t *testing.T) {
	g := newRig(t, func(p *plan.Plan) {
		p.Scope.Tags = map[string]string{"feature": "x"}
		p.Flag.Audience = flag.Condition{Terms: []flag.Term{{Attribute: "role", Values: []string{"admin"}}}}
	})
	g.target.Split = g.target.Plan.Split(50_000)
	g.watch()
	g.send(g.failure("u", "error"))
	if r := g.e.Trace("1", "f", "u").Rollouts[0]; r.Attribution.Why != telemetry.WhyNotMember || r.Tagged || r.Counted != nil {
		t.Errorf("without audience and tags: %+v", r)
	}
	late := g.failure("u", "error")
	late.Tags, late.Late, late.Time = map[string]string{"feature": "x"}, true, t0.Add(-time.Hour)
	g.send(late)
	if r := g.e.Trace("1", "f", "u").Rollouts[0]; !r.Tagged || r.Counted != nil {
		t.Errorf("late: %+v", r)
	}
	late.ID, late.Late = "now", false
	g.send(late)
	if r := g.e.Trace("1", "f", "u").Rollouts[0]; !slices.Contains(r.Counted, "errors") {
		t.Errorf("tagged: %+v", r)
	}
}

func BenchmarkTraceFetched(b *testing.B) {
	tr := newTraces(t0)
	c := flag.Context{"targetingKey": "user-7"}
	b.ReportAllocs()
	for b.Loop() {
		tr.fetched("f", c, "new", true, toMS(t0))
	}
}
