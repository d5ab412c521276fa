package evidence

import (
	"context"
	"errors"
	"testing"
	"time"

	"serin/internal/store"
	"serin/internal/telemetry"
)

// boom is an error of one issue.
func boom(id, release string) telemetry.Event {
	return telemetry.Event{Kind: telemetry.KindError, Project: "1", ID: id, User: "u-" + id, Level: "error", Title: "TypeError: boom", Release: release,
		Environment: "production", Page: "/admin/users", Tags: map[string]string{"feature": "checkout"},
		Exception: &telemetry.Exception{Type: "TypeError", Value: "boom", Frames: []telemetry.Frame{{Function: "pay", File: "pay.ts", InApp: true}}}}
}

func (g *rig) onlyIssue() store.Issue {
	g.t.Helper()
	it, err := g.store.Issue(context.Background(), "SERIN-1")
	if err != nil {
		g.t.Fatal(err)
	}
	return it
}

func (g *rig) triage(c IssueChange) {
	g.t.Helper()
	c.By = "anna"
	if err := g.e.TriageIssue(context.Background(), "SERIN-1", c); err != nil {
		g.t.Fatal(err)
	}
}

// TestTriage follows one issue: for review, resolved in the next release, back
// with it, ignored for a time, and back after it; also over restarts.
func TestTriage(t *testing.T) {
	g := newRig(t, nil)
	matches := func(search string) bool {
		t.Helper()
		f, err := telemetry.ParseFilter(search)
		if err != nil {
			t.Fatal(err)
		}
		it := g.onlyIssue()
		return f.MatchRecord(IssueRecord{Issue: &it, Now: g.clock.Now()}, g.clock.Now())
	}
	expect := func(step, search string, want bool) {
		t.Helper()
		if got := matches(search); got != want {
			t.Errorf("%s: %s is %v, want %v: %+v", step, search, got, want, g.onlyIssue())
		}
	}
	g.send(boom("1", "web@1"))
	expect("first event", "is:unresolved is:for_review tags[feature]:checkout level:error firstSeen:-1d environment:production url:/admin/users events:1", true)
	g.triage(IssueChange{Reviewed: true})
	expect("acknowledged", "is:unresolved !is:for_review", true)
	owner := "ben"
	g.triage(IssueChange{Owner: &owner})
	expect("assigned", "assigned:ben", true)

	g.triage(IssueChange{Status: Resolved, NextRelease: true})
	g.restart()
	g.send(boom("2", "web@1"))
	expect("the old release again", "is:resolved events:2", true)
	g.send(boom("3", "web@2"))
	expect("the next release has it too", "is:unresolved is:for_review assigned:ben", true)
	if it := g.onlyIssue(); !it.Regressed.Equal(g.clock.Now()) {
		t.Errorf("came back at %s, want %s", it.Regressed, g.clock.Now())
	}
	g.triage(IssueChange{Status: Resolved})
	g.send(boom("4", "web@2"))
	expect("resolved at once, again", "is:unresolved", true)

	g.triage(IssueChange{Status: Ignored, Until: g.clock.Now().Add(time.Hour)})
	g.send(boom("5", "web@2"))
	expect("ignored", "is:ignored", true)
	g.clock.Advance(2 * time.Hour)
	expect("the time is over", "is:unresolved", true)
	g.send(boom("6", "web@2"))
	if it := g.onlyIssue(); it.Status != Unresolved || it.Events != 6 {
		t.Errorf("after the time: %+v", it)
	}
	for _, c := range []IssueChange{{Status: "gone"}, {Status: Resolved, Until: t0}, {Status: Ignored, NextRelease: true}, {Until: t0}} {
		if err := g.e.TriageIssue(context.Background(), "SERIN-1", c); !errors.Is(err, ErrStatus) {
			t.Errorf("%+v: got %v, want ErrStatus", c, err)
		}
	}
}

// TestIssueHours: the last 24 hours move on and survive a restart.
func TestIssueHours(t *testing.T) {
	g := newRig(t, nil)
	sum := func() (n int64) {
		for _, h := range g.onlyIssue().Hours {
			n += h
		}
		return n
	}
	for i, step := range []struct {
		wait time.Duration
		sum  int64
		last int64
	}{{0, 1, 1}, {time.Minute, 2, 2}, {2 * time.Hour, 3, 1}, {21 * time.Hour, 4, 1}, {time.Hour, 3, 1}, {48 * time.Hour, 1, 1}} {
		g.clock.Advance(step.wait)
		if i == 3 {
			g.restart()
		}
		g.send(boom(string(rune('a'+i)), "web@1"))
		if h := g.onlyIssue().Hours; sum() != step.sum || h[len(h)-1] != step.last || len(h) != 24 {
			t.Errorf("step %d: %v, want %d in all, %d in the last", i, h, step.sum, step.last)
		}
	}
}

// TestIssueArms: whose users had it.
func TestIssueArms(t *testing.T) {
	for want, arms := range map[string]map[string]store.ArmCount{
		"":        {"demo-1/new": {}},
		"canary":  {"demo-1/new": {Events: 1}},
		"control": {"demo-1/old": {Events: 1}},
		"both":    {"demo-1/old": {Events: 1}, "demo-2/new": {Events: 3}},
	} {
		if got := (IssueRecord{Issue: &store.Issue{Arms: arms}}).arm(); got != want {
			t.Errorf("%v: got %q, want %q", arms, got, want)
		}
	}
}
