package rollout

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"serin/internal/plan"
)

// TestReviseThePast: what is past or fixed is refused with its line in the
// new plan and the line to put back.
func TestReviseThePast(t *testing.T) {
	r := newRig(t, rigPlan)
	r.must(Command{Verb: Start})
	past := parse(t, strings.Replace(rigPlan, "traffic: 10%", "traffic: 20%", 1))
	err := r.do(Command{Verb: Revise, PlanHash: past.Hash, Plan: past})
	line := 1 + strings.Count(rigPlan[:strings.Index(rigPlan, "traffic: 10%")], "\n")
	want := fmt.Sprintf(`plan.yaml:%d: error E17: stage "c10" is under way: put line %d back`, line, line)
	if kindOf(err) != Barred || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if last := r.journal[len(r.journal)-1]; last.Type == Revised {
		t.Error("a refused revision is in the journal")
	}
}

// TestRevisedSaysWhatChanged: the event keeps the differences, and its title
// lists them.
func TestRevisedSaysWhatChanged(t *testing.T) {
	r := newRig(t, rigPlan)
	r.must(Command{Verb: Start})
	next := parse(t, strings.Replace(rigPlan, "p1 > 5 over 1h", "p1 > 6 over 1h", 1))
	r.must(Command{Verb: Revise, PlanHash: next.Hash, Plan: next, Reason: "one is a probe"})
	last := r.journal[len(r.journal)-1]
	want := Revision{Changes: []plan.Change{{What: "rollback", Rule: "p1 > 6 over 1h", Before: "p1 > 5 over 1h", After: "p1 > 6 over 1h", Looser: true}}}
	if d := cmp.Diff(want, RevisionOf(last)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if len(last.Fresh) > 0 || len(r.s.Intervals) != 1 {
		t.Errorf("a fixed limit begins %q empty, intervals %v", last.Fresh, r.s.Intervals)
	}
	title, text := Title(next, last)
	if title != "plan revised, looser by lead" || text != "one is a probe\nrollback: p1 > 5 over 1h -> p1 > 6 over 1h (looser)" {
		t.Errorf("got %q and %q", title, text)
	}
	many := plan.Diff{Changes: slices.Repeat([]plan.Change{{What: "x", After: "y"}}, maxChanges+5)}
	kept := RevisionOf(Event{Type: Revised, Extra: revision(many)})
	if len(kept.Changes) != maxChanges || kept.More != 5 || !strings.HasSuffix(kept.told(""), "\nand 93 more changes") {
		t.Errorf("kept %d and %d more: %q", len(kept.Changes), kept.More, kept.told(""))
	}
	if got := RevisionOf(Event{Type: Revised}); got.Changes != nil {
		t.Errorf("an event of an older version: %v", got)
	}
}

// TestRevisedBeginsEmpty: comparisons that a revision changes count from it on: an
// interval begins with it, though nobody's variant changes.
func TestRevisedBeginsEmpty(t *testing.T) {
	r := newRig(t, rigPlan)
	r.must(Command{Verb: Start})
	next := parse(t, strings.Replace(rigPlan, "lcp > +30%", "lcp > +20%", 1))
	r.must(Command{Verb: Revise, PlanHash: next.Hash, Plan: next})
	last := r.journal[len(r.journal)-1]
	if !slices.Equal(last.Fresh, []string{"lcp"}) {
		t.Errorf("begin empty: %q", last.Fresh)
	}
	back := parse(t, rigPlan)
	if len(r.s.Again) != 1 || r.s.Again[0] != "lcp" {
		t.Errorf("their budget is spent of %q", r.s.Again)
	}
	n := len(r.s.Intervals)
	if n != 2 || !slices.Equal(r.s.Intervals[1].Fresh, []string{"lcp"}) || r.s.Intervals[1].Exposure != r.s.Intervals[0].Exposure || len(r.s.Intervals[0].Fresh) != 0 {
		t.Errorf("intervals %+v", r.s.Intervals)
	}
	r.p = next
	r.must(Command{Verb: Revise, PlanHash: back.Hash, Plan: back, May: []string{"approve", "revise"}})
	if len(r.s.Again) != 1 || len(r.s.Intervals) != 3 {
		t.Errorf("and back again: %q, intervals %+v", r.s.Again, r.s.Intervals)
	}
}
