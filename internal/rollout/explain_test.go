package rollout

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"serin/internal/judge"
)

// explained checks that Explain gives the events of Decide, and that the look
// which it says decided is the one that the events and Waits show.
func (w *walk) explained(in Input, events []Event, refusal *Refusal) error {
	x := Explain(w.p, w.s, in)
	if !reflect.DeepEqual(x.Events, events) {
		return fmt.Errorf("explain: other events than Decide's")
	}
	if (x.Refusal == nil) != (refusal == nil) || refusal != nil && *x.Refusal != *refusal {
		return fmt.Errorf("explain: refusal %v, Decide's is %v", x.Refusal, refusal)
	}
	if want := w.decided(in, x.State, events, refusal); x.Decided != want {
		return fmt.Errorf("explain: %q decided (%s), the events say %q: %v", x.Decided, x.Sentence, want, types(events))
	}
	n := 0
	for _, l := range x.Looks {
		if l.Outcome == Decided {
			n++
		}
		if l.Text == "" {
			return fmt.Errorf("explain: look %s says nothing", l.Name)
		}
	}
	if n > 1 || n == 0 && w.s.Status != "" || x.Sentence == "" {
		return fmt.Errorf("explain: %d looks decided, %q", n, x.Sentence)
	}
	return nil
}

// decided reads off events and waiting list which look decided.
func (w *walk) decided(in Input, after State, events []Event, refusal *Refusal) string {
	has := func(of func(Event) bool) bool { return slices.ContainsFunc(events, of) }
	machine := func(types ...Type) bool {
		return has(func(e Event) bool { return e.By == "" && slices.Contains(types, e.Type) })
	}
	switch {
	case has(func(e Event) bool { return e.Type == RolledBackEvent && e.Rule == ruleNoData }):
		return "silence"
	case machine(RolledBackEvent, RevertNeeded):
		return "rollback"
	case machine(ReducedEvent):
		return "reduce"
	case refusal != nil, repeated(w.s, in), has(func(e Event) bool {
		return e.By != "" && slices.Contains([]Type{Created, Started, Advanced, PausedEvent, Resumed, ReducedEvent, RolledBackEvent,
			Restarted, Revised, CancelledEvent, Finished}, e.Type)
	}):
		return "command"
	case machine(Advanced):
		return "advance"
	case after.Status != Running:
		return "status"
	}
	in.Fresh = false // what was before the start of the process is journalled
	return Waits(w.p, after, in)[0].Kind
}

func types(events []Event) (out []Type) {
	for _, e := range events {
		out = append(out, e.Type)
	}
	return out
}

// TestExplain shows the looks of one rollout at moments that matter.
func TestExplain(t *testing.T) {
	for _, tt := range []struct {
		name     string
		prepare  func(r *rig) Input
		decided  string
		sentence string
		next     []string
		looks    map[string]string // name -> outcome and text
	}{
		{"in bake", func(r *rig) Input { r.drive(30 * time.Minute); r.proceed["lcp"] = judge.NotMet; return r.input() },
			"bake", "Why still at 10 %: bake 30m/2h", []string{"criteria lcp"}, map[string]string{
				"rollback": "clear: none of 2 is met", "reduce": "skipped: the plan has no reduce rules", "status": "clear: running at c10 10 %",
				"bake": "decided: bake 30m/2h", "criteria": "holds: criteria lcp", "window": "clear: open", "advance": "skipped: next is r25 25 %", "command": "",
			}},
		{"nothing behind the bake", func(r *rig) Input { r.drive(30 * time.Minute); return r.input() },
			"bake", "Why still at 10 %: bake 30m/2h", []string{"advance to r25 25 %"}, nil},
		{"advance", func(r *rig) Input {
			r.drive(119 * time.Minute)
			r.wall, r.mono, r.covered = r.wall.Add(time.Minute), r.mono+time.Minute, r.covered+time.Minute
			return r.input()
		}, "advance", "Advanced: r25 25 %", nil, map[string]string{"bake": "clear: 2h/2h", "criteria": "clear: none of 3 is not met"}},
		{"a rollback rule", func(r *rig) Input {
			r.drive(30 * time.Minute)
			r.guards["p1"] = judge.Verdict{Status: judge.Met, Metric: "p1", Why: "p1: 7 over 1h, limit 5"}
			return r.input()
		}, "rollback", "Rolled back: p1 over 1h, limit 0", []string{"bake 30m/2h"},
			map[string]string{"rollback": "decided: p1: 7 over 1h, limit 5", "bake": "holds: bake 30m/2h"}},
		{"paused", func(r *rig) Input {
			r.drive(time.Minute)
			r.must(Command{Verb: Pause, Reason: "lunch"})
			return r.input()
		},
			"status", "Why at 10 %: paused (lunch): until somebody resumes", nil, map[string]string{"bake": "skipped: only a running rollout rises"}},
		{"a refused command", func(r *rig) Input {
			r.drive(time.Minute)
			in := r.input()
			in.Command = &Command{Verb: Start, By: "ann"}
			return in
		}, "command", "Refused: only a rollout in preflight can be started; it is running", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, rigPlan)
			r.must(Command{Verb: Start})
			in := tt.prepare(r)
			x := Explain(r.p, r.s, in)
			if x.Decided != tt.decided || x.Sentence != tt.sentence {
				t.Errorf("%q: %q, want %q: %q", x.Decided, x.Sentence, tt.decided, tt.sentence)
			}
			if tt.next != nil && !slices.Equal(x.Next, tt.next) {
				t.Errorf("next %q, want %q", x.Next, tt.next)
			}
			for name, want := range tt.looks {
				got := ""
				for _, l := range x.Looks {
					if l.Name == name {
						got = string(l.Outcome) + ": " + l.Text
					}
				}
				if !strings.HasPrefix(got, want) || want == "" && got != "" {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}
