package telemetry

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"serin/internal/flag"
)

// attributeAlone is Attribute as the intake specification says it, source by
// source, with nothing found beforehand.
func attributeAlone(t *Target, e *Event, member func(string) bool) (a Attribution) {
	if !t.InEnvironment(e) {
		return Attribution{Why: WhyEnvironment}
	}
	text, how, sent := "", "", false
	if v, ok := e.tag("feature_flag." + t.Split.Flag); ok {
		text, how, sent = v, "tag", true
	} else if v, ok := e.tag("flag." + t.Split.Flag); ok {
		text, how, sent = v, "tag", true
	} else if f, tagged := e.tag("feature"); tagged && t.Feature != "" && f == t.Feature {
		if v, ok := e.tag("variant"); ok {
			text, how, sent = v, "tag", true
		}
	}
	if v, ok := e.Flags[t.Split.Flag]; ok && !sent {
		text, how, sent = v, "flags", true
	}
	if v, ok := e.tag("flag.evaluation." + t.Split.Flag); ok && !sent {
		text, how, sent = v, "flags", true
	}
	if sent {
		if a.Reported = t.ArmOf(text); a.Reported != Unknown {
			a.How = how
		}
	}
	user := e.user()
	met, known := Meets(t.Split.Audience.Terms, func(k string) (string, bool) { return contextField(e, k) })
	a.Member = user != "" && (len(t.Split.Audience.Terms) == 0 || met && known || member != nil && member(e.name()))
	switch a.Included = t.Named(e, user); {
	case a.Included:
	case user == "":
		a.Why = WhyNoUser
	case a.Member:
		a.Assigned = t.Assign(user)
	case known && !met:
		a.Why = WhyOutside
	default:
		a.Why = WhyNotMember
	}
	if a.How == "" && a.Assigned != Unknown {
		a.How = "hash"
	}
	if sent && a.Reported == Unknown && a.Assigned == Unknown {
		a.Why = WhyBadVariant
	}
	if a.Arm() != Unknown {
		a.Why = ""
	}
	a.Conflict = a.Assigned != Unknown && a.Reported != Unknown && a.Assigned != a.Reported
	return a
}

// TestReadingAttributes compares one reading for many targets with each
// attribution made alone.
func TestReadingAttributes(t *testing.T) {
	names := []string{"feature_flag.f", "flag.f", "flag.evaluation.f", "flag.g", "tags.flag.f", "tags.feature_flag.g", "feature", "variant", "role", "user.role", "tenant", "x"}
	values := []string{"new", "old", "true", "admin", "guest", "shop", ""}
	texts := rapid.MapOfN(rapid.SampledFrom(names), rapid.SampledFrom(values), 0, 4)
	rapid.Check(t, func(rt *rapid.T) {
		e := &Event{
			User: rapid.SampledFrom([]string{"", "u1", "u2"}).Draw(rt, "user"), SessionUser: rapid.SampledFrom([]string{"", "u3"}).Draw(rt, "session"),
			Key: rapid.SampledFrom([]string{"", "k1"}).Draw(rt, "key"), Environment: rapid.SampledFrom([]string{"", "live", "test"}).Draw(rt, "environment"),
			Page: rapid.SampledFrom([]string{"", "/a/", "/a/b"}).Draw(rt, "page"), URL: rapid.SampledFrom([]string{"", "https://shop.example/a/c?x", "%"}).Draw(rt, "url"),
			Tags: texts.Draw(rt, "tags"), Attributes: texts.Draw(rt, "attributes"),
			Flags: rapid.MapOfN(rapid.SampledFrom([]string{"f", "g"}), rapid.SampledFrom(values), 0, 2).Draw(rt, "flags"),
		}
		known := rapid.SliceOf(rapid.SampledFrom([]string{"u1", "u2", "u3"})).Draw(rt, "known")
		member := func(user string) bool { return slices.Contains(known, user) }
		r := Read(e)
		for i := range rapid.IntRange(1, 5).Draw(rt, "targets") {
			target := Target{
				Split: flag.Split{Flag: rapid.SampledFrom([]string{"f", "g"}).Draw(rt, "flag"), New: "new", Old: "old", Exposure: 50_000},
				Pages: rapid.SampledFrom([][]string{nil, {"/a"}, {"/a/*"}, {"/b", "/a/b/"}}).Draw(rt, "pages"), Environment: rapid.SampledFrom([]string{"", "live"}).Draw(rt, "of"),
				Feature: rapid.SampledFrom([]string{"", "shop"}).Draw(rt, "feature"),
			}
			switch rapid.IntRange(0, 3).Draw(rt, "audience") {
			case 1:
				target.Split.Audience.Terms = []flag.Term{{Attribute: "role", Values: []string{"admin"}}}
			case 2:
				target.Split.Audience.Terms = []flag.Term{{Attribute: "role", Not: true, Values: []string{"guest"}}, {Attribute: "tenant", Values: []string{"shop"}}}
			case 3:
				target.Split.Exclude.Users = []string{"u1", "k1"}
			}
			met, known := r.Audience(&target)
			want := attributeAlone(&target, e, member)
			if d := cmp.Diff(want, r.Attribute(&target, met, known, member)); d != "" {
				rt.Fatalf("target %d: %s", i, d)
			}
			if d := cmp.Diff(want, Attribute(&target, e, member)); d != "" {
				rt.Fatalf("target %d alone: %s", i, d)
			}
			if got, want := r.OnPage(&target), target.OnPage(e); got != want {
				rt.Fatalf("target %d: on page %t, want %t", i, got, want)
			}
		}
	})
}
