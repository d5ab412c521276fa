package incident_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"serin/internal/alert"
	"serin/internal/flag"
	"serin/internal/incident"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

const planText = `serin: 1
plan: shop
timezone: UTC
flag: { key: shop }
channels: { team: "slack:#team" }
roles:
  on-call: { who: "@anna", escalates_to: lead }
  lead: { who: "@ben", escalates_to: director }
  director: { who: "@cleo" }
stages:
  - { stage: canary, traffic: 10%, bake: 1h, owner: on-call }
  - { stage: full, traffic: 100%, bake: 1h }
rollback: [p1 > 50 over 6h]
incident:
  opens: [alert p1]
  severe: affected_users >= 5
  decide:
    - { if: p1 > 10 over stage, do: rollback }
    - { if: traffic = 100%, do: hotfix }
    - { if: affected_users < 5, do: hotfix }
    - { do: reduce 5%, then: [{ set: { flag: debug, to: "on" } }, find the cause] }
  close: [timeline, root cause, post-mortem]
`

var begin = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func parse(t testing.TB) *plan.Plan {
	t.Helper()
	p, err := plan.Parse([]byte(planText))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// walk is an incident that is driven by hand.
type walk struct {
	testing.TB
	p      *plan.Plan
	s      incident.State
	events []incident.Event
}

func opened(t testing.TB) *walk {
	w := &walk{TB: t, p: parse(t)}
	a := firing("errors", 1, "p2")
	if err := w.at(0, incident.Input{Open: &incident.Opening{ID: "INC-1", Project: "1", Rollout: "shop-1", Title: "Errors", Severity: "p2", Exposure: 50_000}, Alert: &a}); err != nil {
		t.Fatal(err)
	}
	return w
}

func firing(rule string, n int64, severity string) alert.Change {
	return alert.Change{Rule: rule, Name: rule, Rollout: "shop-1", Kind: alert.Fired, Incident: n, Severity: severity, Why: "6 errors", At: begin}
}

func (w *walk) at(d time.Duration, in incident.Input) error {
	w.Helper()
	in.At, in.Chain = begin.Add(d), incident.Chain(w.p, "on-call")
	next, events, err := incident.Step(w.p, w.s, in)
	w.s, w.events = next, append(w.events, events...)
	return err
}

func (w *walk) do(d time.Duration, c incident.Command, r *incident.Reading) error {
	c.By = "anna"
	return w.at(d, incident.Input{Command: &c, Reading: r})
}

func (w *walk) types() (out []incident.Type) {
	for _, e := range w.events {
		out = append(out, e.Type)
	}
	return out
}

// answers is the tree with a verdict for each rule in turn.
func answers(p *plan.Plan, exposure flag.Percent, p1, few judge.Status) []incident.Answer {
	tree := p.Incident.Tree
	return incident.Tree(p, map[*plan.Rule]judge.Verdict{tree[0].If: {Status: p1, Why: "p1"}, tree[2].If: {Status: few, Why: "users"}},
		incident.Impact{Exposure: exposure, Users: 1000, Known: true})
}

func TestTree(t *testing.T) {
	p := parse(t)
	for _, tt := range []struct {
		name     string
		exposure flag.Percent
		p1, few  judge.Status
		want     int // branch that is proposed
		users    int64
		unsure   bool
	}{
		{"many p1", 50_000, judge.Met, judge.NotMet, 0, 0, false},
		{"all traffic", flag.Everyone, judge.NotMet, judge.NotMet, 1, 0, false},
		{"few users", 50_000, judge.NotMet, judge.Met, 2, 0, false},
		{"otherwise", 50_000, judge.NotMet, judge.NotMet, 3, 100, false},
		{"p1 unknown", 50_000, judge.Unknown, judge.NotMet, 3, 100, true},
		{"unknown after", 100_000, judge.NotMet, judge.Unknown, 1, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := answers(p, tt.exposure, tt.p1, tt.few)
			got := incident.Proposal(tree)
			if got == nil || got.Branch != tt.want || got.Users != tt.users || incident.Unsure(tree) != tt.unsure {
				t.Errorf("proposed %+v, unsure %v", got, incident.Unsure(tree))
			}
		})
	}
	one := 1.0
	few := map[*plan.Rule]judge.Verdict{p.Incident.Tree[2].If: {Status: judge.Unknown, Cause: judge.CauseEvidence, Value: &one, Limit: 5}}
	if got := incident.Tree(p, few, incident.Impact{Exposure: 50_000}); got[2].Status != judge.Met || !got[2].Proposed {
		t.Errorf("what was counted so far: %+v", got[2])
	}
	few[p.Incident.Tree[2].If] = judge.Verdict{Status: judge.Unknown, Cause: judge.CauseNoData, Value: &one, Limit: 5}
	if got := incident.Tree(p, few, incident.Impact{Exposure: 50_000}); got[2].Status != judge.Unknown {
		t.Errorf("without data: %+v", got[2])
	}
	if got := incident.Tree(p, nil, incident.Impact{Exposure: 50_000}); got[0].Status != judge.Unknown || !got[3].Proposed {
		t.Errorf("without evidence: %+v", got)
	}
}

func TestClocksRunOutAndEscalate(t *testing.T) {
	w := opened(t)
	for _, d := range []time.Duration{5*time.Minute - 1, 5 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 31 * time.Minute, 90 * time.Minute} {
		if err := w.at(d, incident.Input{}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, e := range w.events[1:] {
		got = append(got, strings.TrimSpace(string(e.Type)+" "+string(e.Clock)+" "+e.To)+" "+e.At.Sub(begin).String())
	}
	want := []string{"breached respond 5m0s", "escalated respond lead 5m0s", "escalated respond director 10m0s",
		"breached decide 15m0s", "escalated decide director 15m0s", "breached act 31m0s", "escalated act director 31m0s"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNext(t *testing.T) {
	w := opened(t)
	for _, tt := range []struct{ now, want time.Duration }{{0, 5 * time.Minute}, {4 * time.Minute, 5 * time.Minute}, {5 * time.Minute, 10 * time.Minute}} {
		if got := w.s.Next(begin.Add(tt.now)); !got.Equal(begin.Add(tt.want)) {
			t.Errorf("after %s: %s", tt.now, got.Sub(begin))
		}
	}
	if err := w.do(time.Minute, incident.Command{Verb: incident.DoAcknowledge}, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.s.Next(begin.Add(5 * time.Minute)); !got.Equal(begin.Add(15 * time.Minute)) {
		t.Errorf("acknowledged: %s", got.Sub(begin))
	}
}

func TestAlertsJoinAndRaise(t *testing.T) {
	w := opened(t)
	same, other, graver := firing("errors", 1, "p2"), firing("slow", 1, "p3"), firing("crash", 4, "p1")
	over := other
	over.Kind = alert.Ended
	for _, c := range []alert.Change{same, other, other, graver, over, over} {
		if err := w.at(time.Minute, incident.Input{Alert: &c}); err != nil {
			t.Fatal(err)
		}
	}
	want := []incident.Type{incident.Opened, incident.AlertJoined, incident.AlertJoined, incident.SeverityEvent, incident.AlertOver}
	if diff := cmp.Diff(want, w.types()); diff != "" {
		t.Error(diff)
	}
	if w.s.Severity != "p1" || len(w.s.Alerts) != 3 || w.s.Status != incident.Open {
		t.Errorf("%+v", w.s)
	}
}

// TestEveryBranchIsDecided decides what each branch proposes, and something else.
func TestEveryBranchIsDecided(t *testing.T) {
	for _, tt := range []struct {
		name     string
		exposure flag.Percent
		p1, few  judge.Status
		c        incident.Command
		want     string
		branch   int
		refused  string
	}{
		{name: "rollback", exposure: 50_000, p1: judge.Met, few: judge.NotMet, want: "rollback"},
		{name: "hotfix at 100 %", exposure: flag.Everyone, p1: judge.NotMet, few: judge.NotMet, want: "hotfix", branch: 1},
		{name: "hotfix for few", exposure: 50_000, p1: judge.NotMet, few: judge.Met, want: "hotfix", branch: 2},
		{name: "reduce", exposure: 50_000, p1: judge.NotMet, few: judge.NotMet, c: incident.Command{Percent: -1}, want: "reduce 5%", branch: 3},
		{name: "reduce named", exposure: 50_000, p1: judge.NotMet, few: judge.NotMet, c: incident.Command{Do: "reduce", Percent: -1}, want: "reduce 5%", branch: 3},
		{name: "other percentage", exposure: 50_000, p1: judge.NotMet, few: judge.NotMet, c: incident.Command{Do: "reduce", Percent: 1_000, Text: "smaller"}, want: "reduce 1%", branch: -1},
		{name: "other", exposure: 50_000, p1: judge.NotMet, few: judge.NotMet, c: incident.Command{Do: "hold", Text: "known"}, want: "hold", branch: -1},
		{name: "other without reason", exposure: 50_000, p1: judge.NotMet, few: judge.NotMet, c: incident.Command{Do: "pause"}, refused: "give a reason"},
		{name: "nonsense", exposure: 50_000, p1: judge.NotMet, few: judge.NotMet, c: incident.Command{Do: "dance"}, refused: "cannot be decided"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := opened(t)
			tt.c.Verb = incident.DoDecide
			err := w.do(3*time.Minute, tt.c, &incident.Reading{Tree: answers(w.p, tt.exposure, tt.p1, tt.few), Exposure: 50_000})
			if tt.refused != "" {
				var refusal *rollout.Refusal
				if !errors.As(err, &refusal) || !strings.Contains(refusal.Why, tt.refused) || w.s.Decided() != nil {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			d := w.s.Decided()
			if d.Words() != tt.want || d.Branch != tt.branch || w.s.Done[incident.Decide].IsZero() || w.s.Done[incident.Respond].IsZero() || !w.s.Done[incident.Act].IsZero() {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestDecisionIsCarriedOut(t *testing.T) {
	w := opened(t)
	read := &incident.Reading{Tree: answers(w.p, 50_000, judge.NotMet, judge.NotMet), Exposure: 50_000}
	if err := w.do(time.Minute, incident.Command{ID: "k", Verb: incident.DoDecide, Percent: -1}, read); err != nil {
		t.Fatal(err)
	}
	if err := w.do(time.Minute, incident.Command{ID: "k", Verb: incident.DoDecide, Percent: -1}, read); err != nil {
		t.Errorf("the same key again: %v", err)
	}
	if err := w.do(time.Minute, incident.Command{Verb: incident.DoDecide, Do: "rollback", Text: "no"}, read); err == nil {
		t.Error("a second decision while one is under way")
	}
	if err := w.at(2*time.Minute, incident.Input{Result: &incident.Result{Number: 1, Journal: 9}}); err != nil {
		t.Fatal(err)
	}
	if !w.s.Done[incident.Act].IsZero() {
		t.Error("act is done before anybody was served")
	}
	after := &incident.Reading{Exposure: 5_000, Why: "reduced", Served: true, Companions: []incident.Companion{{Flag: "debug", To: "on"}}}
	for range 2 {
		if err := w.at(3*time.Minute, incident.Input{Reading: after}); err != nil {
			t.Fatal(err)
		}
	}
	want := []incident.Type{incident.Opened, incident.DecidedEvent, incident.Carried, incident.Moved, incident.ServedEvent, incident.FlagOn}
	if diff := cmp.Diff(want, w.types()); diff != "" {
		t.Error(diff)
	}
	if got := w.s.Done[incident.Act]; !got.Equal(begin.Add(3 * time.Minute)) {
		t.Errorf("act at %s", got)
	}
}

// TestRefusedDecision: what the rollout refuses was not decided.
func TestRefusedDecision(t *testing.T) {
	w := opened(t)
	if err := w.do(time.Minute, incident.Command{Verb: incident.DoDecide, Do: "pause", Text: "look"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.at(time.Minute, incident.Input{Result: &incident.Result{Number: 1, Refused: "it is paused"}}); err != nil {
		t.Fatal(err)
	}
	if w.s.Decided() != nil || !w.s.Done[incident.Decide].IsZero() || w.s.Done[incident.Respond].IsZero() {
		t.Errorf("%+v", w.s)
	}
	if err := w.at(16*time.Minute, incident.Input{}); err != nil || w.s.Breached[incident.Decide].IsZero() {
		t.Errorf("decide goes on: %v", err)
	}
}

func TestEnd(t *testing.T) {
	w := opened(t)
	steps := []struct {
		c       incident.Command
		refused string
	}{
		{incident.Command{Verb: incident.DoClose}, "not resolved"},
		{incident.Command{Verb: incident.DoReopen}, "is open"},
		{incident.Command{Verb: incident.DoItem, Item: "root cause"}, "when the incident is resolved"},
		{incident.Command{Verb: incident.DoResolve}, "say what the cause was"},
		{incident.Command{Verb: incident.DoResolve, Text: "a hit without title"}, ""},
		{incident.Command{Verb: incident.DoAcknowledge}, "reopen it first"},
		{incident.Command{Verb: incident.DoReopen, Text: "again"}, ""},
		{incident.Command{Verb: incident.DoResolve, Text: "a hit without title"}, ""},
		{incident.Command{Verb: incident.DoClose}, "timeline, post-mortem"},
		{incident.Command{Verb: incident.DoItem, Item: "nothing"}, "needs no"},
		{incident.Command{Verb: incident.DoItem, Item: "post-mortem"}, "write the post-mortem"},
		{incident.Command{Verb: incident.DoItem, Item: "timeline"}, ""},
		{incident.Command{Verb: incident.DoItem, Item: "timeline"}, "is done"},
		{incident.Command{Verb: incident.DoWrite, Text: "- contract test (Ben)"}, ""},
		{incident.Command{Verb: incident.DoClose}, ""},
		{incident.Command{Verb: incident.DoResolve, Text: "x"}, "is closed"},
		{incident.Command{Verb: incident.DoNote, Text: strings.Repeat("x", incident.MaxText+1)}, "at most"},
		{incident.Command{Verb: incident.DoNote, Text: "afterthought"}, ""},
	}
	for i, tt := range steps {
		err := w.do(time.Duration(i+1)*time.Second, tt.c, nil)
		if tt.refused == "" && err != nil || tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)) {
			t.Errorf("%d %s: %v, want %q", i, tt.c.Verb, err, tt.refused)
		}
	}
	if w.s.Status != incident.Closed {
		t.Errorf("%+v", w.s)
	}
	text := incident.PostMortem(w.s, w.events, begin.Add(time.Hour))
	for _, want := range []string{"# INC-1: Errors", "a hit without title", "- contract test (Ben)", "Alert errors", "| respond | 5m | not needed | - |", "Written by anna"} {
		if !strings.Contains(text, want) {
			t.Errorf("the post-mortem has no %q:\n%s", want, text)
		}
	}
}

func TestChain(t *testing.T) {
	p := parse(t)
	for role, want := range map[string][]string{"on-call": {"lead", "director"}, "lead": {"director"}, "director": nil, "nobody": {"lead", "director"}} {
		var got []string
		for _, r := range incident.Chain(p, role) {
			got = append(got, r.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", role, got, want)
		}
	}
}

// TestInvariants walks at random: what is folded is what Step returns, a clock
// runs out once, twice at one instant is once, severity only rises by alerts.
func TestInvariants(t *testing.T) {
	p := parse(t)
	rapid.Check(t, func(t *rapid.T) {
		w := &walk{TB: quiet{}, p: p}
		open := firing("errors", 1, "p3")
		_ = w.at(0, incident.Input{Open: &incident.Opening{ID: "INC-1", Rollout: "shop-1", Title: "x", Severity: "p3"}, Alert: &open})
		var at time.Duration
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			at += time.Duration(rapid.IntRange(0, 600).Draw(t, "seconds")) * time.Second
			before := w.s
			in := drawn(t, p)
			_ = w.at(at, in)
			if in.Alert != nil && w.s.Severity > before.Severity {
				t.Fatalf("an alert lowered the severity from %s to %s", before.Severity, w.s.Severity)
			}
			if before.Status == incident.Open && w.s.Status != incident.Open && in.Command == nil {
				t.Fatal("it was resolved by nobody")
			}
			_ = w.at(at, incident.Input{Reading: in.Reading}) // what the command or the result led to is measured
			n := len(w.events)
			if _ = w.at(at, incident.Input{Reading: in.Reading}); len(w.events) != n {
				t.Fatalf("the same look again: %+v", w.events[n:])
			}
			if w.s.Status == incident.Closed && len(w.s.Missing()) > 0 {
				t.Fatal("closed with items missing")
			}
		}
		var folded incident.State
		breaches := map[incident.Clock]int{}
		for i, e := range w.events {
			if e.Pos != int64(i+1) {
				t.Fatalf("event %d has position %d", i, e.Pos)
			}
			if e.Type == incident.Breached {
				breaches[e.Clock]++
			}
			folded = incident.Apply(folded, e)
		}
		for c, n := range breaches {
			if n != 1 {
				t.Fatalf("%s ran out %d times", c, n)
			}
		}
		if diff := cmp.Diff(folded, w.s); diff != "" {
			t.Fatal(diff)
		}
	})
}

// quiet is a testing.TB for a walk that checks nothing itself.
type quiet struct{ testing.TB }

func (quiet) Helper() {}

func drawn(t *rapid.T, p *plan.Plan) incident.Input {
	var in incident.Input
	if rapid.Bool().Draw(t, "measured") {
		in.Reading = &incident.Reading{Exposure: flag.Percent(rapid.SampledFrom([]int{0, 5_000, 50_000}).Draw(t, "exposure")), Served: rapid.Bool().Draw(t, "served"),
			Severe: rapid.SampledFrom([]judge.Status{judge.Met, judge.NotMet, judge.Unknown}).Draw(t, "severe"), Tree: answers(p, 50_000, judge.NotMet, judge.Met)}
		if rapid.Bool().Draw(t, "flags") {
			in.Reading.Companions = []incident.Companion{{Flag: "debug", To: "on"}}
		}
	}
	switch rapid.IntRange(0, 3).Draw(t, "what") {
	case 0:
		a := firing(rapid.SampledFrom([]string{"errors", "slow"}).Draw(t, "rule"), int64(rapid.IntRange(1, 2).Draw(t, "n")), rapid.SampledFrom([]string{"p1", "p2", "p3", "p4"}).Draw(t, "grade"))
		if rapid.Bool().Draw(t, "over") {
			a.Kind = alert.Ended
		}
		in.Alert = &a
	case 1:
		in.Result = &incident.Result{Number: rapid.IntRange(1, 3).Draw(t, "decision"), Journal: 3, Refused: rapid.SampledFrom([]string{"", "no"}).Draw(t, "refused")}
	case 2:
		in.Command = &incident.Command{By: "anna", Verb: rapid.SampledFrom([]incident.Verb{incident.DoAcknowledge, incident.DoNote, incident.DoDecide, incident.DoHandover,
			incident.DoResolve, incident.DoReopen, incident.DoItem, incident.DoWrite, incident.DoClose}).Draw(t, "verb"),
			Text: "text", To: "ben", Item: rapid.SampledFrom([]string{"timeline", "root cause"}).Draw(t, "item"),
			Do: rapid.SampledFrom([]string{"", "rollback", "hold"}).Draw(t, "do"), Percent: -1}
	}
	return in
}
