package controller_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"serin/internal/controller"
	"serin/internal/rollout"
	"serin/internal/store"
)

// explainAll explains every position of the journal and checks that each is
// computed again to what was journalled.
func (r *rig) explainAll() {
	r.Helper()
	for _, e := range r.journal() {
		x, err := r.c.Explain(r.Context(), "rig", e.Pos)
		if err != nil {
			r.Fatalf("explain %d: %v", e.Pos, err)
		}
		if !x.Stored || !x.Same || len(x.Differences) > 0 {
			r.Errorf("explain %d (%s): stored %t, same %t: %q", e.Pos, e.Type, x.Stored, x.Same, x.Differences)
		}
		if x.First > e.Pos || x.Last < e.Pos || int64(len(x.Events)) != x.Last-x.First+1 || x.Sentence == "" {
			r.Errorf("explain %d: decision %d to %d with %d events: %q", e.Pos, x.First, x.Last, len(x.Events), x.Sentence)
		}
	}
}

func (r *rig) explain(at string) controller.Explanation {
	r.Helper()
	x, err := r.c.ExplainAt(r.Context(), "rig", at)
	if err != nil {
		r.Fatalf("explain at %q: %v", at, err)
	}
	return x
}

// look is one step of an explanation: "holds: bake 1h/2h".
func look(x controller.Explanation, name string) string {
	for _, l := range x.Steps {
		if l.Name == name {
			return string(l.Outcome) + ": " + l.Text
		}
	}
	return "not there"
}

// TestExplain goes through a rollout with an advance, a pause, a restart of
// the process, a revision and a rollback, and explains all of it afterwards.
func TestExplain(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("1:00")
		if x := r.explain(""); !x.Now || x.Sentence != "Why still at 10 %: bake 59m/2h" && x.Sentence != "Why still at 10 %: bake 1h/2h" || x.Decided != "bake" {
			t.Errorf("now: %q by %q", x.Sentence, x.Decided)
		}
		r.drive("2:30")
		r.lead(rollout.Pause)
		r.drive("2:40")
		r.restart()
		r.lead(rollout.Resume)
		r.revise("errors < 5", "errors < 4")
		r.drive("3:00")
		r.send(r.p1(6)...)
		r.drive("3:10")
		r.explainAll()

		for _, e := range r.journal() {
			x := r.explain(strconv.FormatInt(e.Pos, 10))
			switch e.Type {
			case rollout.Advanced:
				if x.Decided != "advance" || x.Before.Traffic != 10 || x.After.Traffic != 25 || look(x, "criteria") != "clear: none of 3 is not met" {
					t.Errorf("advance: %q, %v to %v, criteria %s", x.Decided, x.Before, x.After, look(x, "criteria"))
				}
			case rollout.PausedEvent:
				if x.Decided != "command" || x.Command == nil || x.Command.Verb != rollout.Pause || x.After.Status != rollout.Paused {
					t.Errorf("pause: %q, %+v, %v", x.Decided, x.Command, x.After)
				}
			case rollout.RolledBackEvent:
				if x.Decided != "rollback" || !strings.HasPrefix(x.Sentence, "Rolled back: p1 6") || x.After.Traffic != 0 {
					t.Errorf("rollback: %q by %q, %v", x.Sentence, x.Decided, x.After)
				}
				if rules := x.Steps[0].Rules; len(rules) != 2 || !rules[0].Decides || rules[0].Value == nil || *rules[0].Value != 6 || rules[0].Limit != 5 {
					t.Errorf("rollback rules: %+v", rules)
				}
				if y := r.explain(e.At.Format(time.RFC3339Nano)); y.First != x.First {
					t.Errorf("at its time the last decision is %d, want %d", y.First, x.First)
				}
			}
		}
	}, "restart] }", "restart, revise] }")
}

// TestExplainRefused: what cannot be explained says why.
func TestExplainRefused(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:20")
		for _, tt := range []struct {
			id, at string
			want   error // nil = a refusal
		}{
			{"nobody", "", store.ErrNotFound}, {"rig-1", "9999", store.ErrNotFound}, {"rig-1", "2001-01-01T00:00:00Z", store.ErrNotFound},
			{"rig-1", "yesterday", nil}, {"rig-1", "-3", nil},
		} {
			_, err := r.c.ExplainAt(r.Context(), tt.id, tt.at)
			if tt.want != nil && !errors.Is(err, tt.want) || tt.want == nil && statusOf(err) != 422 {
				t.Errorf("%s at %q: %v", tt.id, tt.at, err)
			}
		}
		r.store.forgetful.Store(true)
		x := r.explain("2")
		if x.Stored || x.Missing == "" || len(x.Events) == 0 || len(x.Steps) > 0 || x.Same {
			t.Errorf("without its input: %+v", x)
		}
	})
}

// Decision answers as if an older serin had taken every decision.
func (s *flakyStore) Decision(ctx context.Context, id string, pos int64) (store.Decision, error) {
	if s.forgetful.Load() {
		return store.Decision{}, store.ErrNotFound
	}
	return s.Store.Decision(ctx, id, pos)
}
