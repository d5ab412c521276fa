package controller_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"serin/internal/plan"
	"serin/internal/rollout"
)

// served are the times of the ways back that the journal has.
func (r *rig) served() (out []rollout.Event) { return r.of(rollout.ServedEvent) }

// told are the titles of notices that hold a word.
func (r *rig) told(word string) (out []string) {
	for _, n := range r.team.messages() {
		if strings.Contains(n.Title, word) {
			out = append(out, n.Title)
		}
	}
	return out
}

// inPlan is the rig's plan in force.
func (r *rig) inPlan() *plan.Plan {
	r.Helper()
	source, err := r.c.PlanSource(r.Context(), r.id)
	if err != nil {
		r.Fatal(err)
	}
	p, err := plan.Parse(source)
	if err != nil {
		r.Fatal(err)
	}
	return p
}

// TestServedInTime: the first client after a rollback ends its clock, and
// nobody is told of it.
func TestServedInTime(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:30")
		version := r.lead(rollout.Rollback).State.Version
		if len(r.served()) != 0 {
			t.Fatal("served before any client asked")
		}
		r.drive("0:31") // users come 30 s into the minute
		r.drive("1:00")
		got := r.served()
		if len(got) != 1 || got[0].Served == nil {
			t.Fatalf("served: %+v", got)
		}
		s, down := got[0].Served, r.of(rollout.RolledBackEvent)[0]
		if s.Action != "rollback" || s.Pos != down.Pos || s.Evaluated < 20*time.Second || s.Evaluated > 31*time.Second ||
			s.Published <= 0 || s.Published > time.Second || s.Limit != 5*time.Minute || s.AtMost || s.Late() || got[0].Paged {
			t.Errorf("served: %+v", s)
		}
		if v := r.view().State; v.Lowering != nil || v.Version != version {
			t.Errorf("the clock runs on: %+v, version %d, was %d", v.Lowering, v.Version, version)
		}
		if n := r.told("served"); len(n) != 0 {
			t.Errorf("told of a rollback in time: %q", n)
		}
	})
}

// TestServedLate: an owner is told once, whether a client comes too late or
// none at all.
func TestServedLate(t *testing.T) {
	for name, tt := range map[string]struct {
		back   string // when clients reach the service again
		events []string
		notice string
	}{
		"nobody asks": {"", []string{"rollback published after less than 1 ms; no client has fetched the flag for 5m"},
			"rollback published after less than 1 ms; no client has fetched the flag for 5m"},
		"somebody asks much later": {"0:50", []string{
			"rollback published after less than 1 ms; no client has fetched the flag for 5m", "rollback served after 20m 30s, limit 5m"},
			"rollback published after less than 1 ms; no client has fetched the flag for 5m"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.lead(rollout.Start)
				r.drive("0:30")
				r.silent, r.cutOff = true, true
				r.lead(rollout.Rollback)
				if tt.back != "" {
					r.drive(tt.back)
					r.silent, r.cutOff = false, false
				}
				r.drive("3:00")
				var got []string
				for _, e := range r.served() {
					title, _ := rollout.Title(r.inPlan(), e)
					got = append(got, title)
				}
				if !slices.Equal(got, tt.events) {
					t.Errorf("journal: %q, want %q", got, tt.events)
				}
				if n := append(r.told("served"), r.told("fetched")...); len(n) != 1 || n[0] != tt.notice {
					t.Errorf("notices %q, want only %q", n, tt.notice)
				}
			})
		})
	}
}

// TestServedReduce: a reduction has a limit of its own, and one that is
// replaced before a client came is measured no further.
func TestServedReduce(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:30")
		r.silent, r.cutOff = true, true
		r.lead(rollout.Reduce, percent(1000))
		r.drive("0:42")
		r.lead(rollout.Rollback)
		r.silent, r.cutOff = false, false
		r.drive("1:00")
		got := r.served()
		if len(got) != 1 || got[0].Served.Action != "rollback" {
			t.Fatalf("served: %+v", got)
		}
		r.lead(rollout.Cancel)
		if s := r.view().State; s.Lowering != nil {
			t.Errorf("a clock runs on after the end: %+v", s.Lowering)
		}
	}, "rollback:", "actions: { reduce: { traffic: 1%, within: 15m } }\nrollback:")
}

// TestServedAfterRestart: a process that took over says what it knows, once.
func TestServedAfterRestart(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:30")
		r.silent, r.cutOff = true, true
		r.lead(rollout.Rollback)
		r.down()
		r.drive("0:32")
		r.up()
		r.silent, r.cutOff = false, false
		r.drive("0:40")
		r.restart()
		r.drive("1:00")
		got := r.served()
		if len(got) != 1 {
			t.Fatalf("served: %+v", got)
		}
		s := got[0].Served
		if !s.AtMost || s.Evaluated < 2*time.Minute || s.Evaluated > 3*time.Minute || s.Published < 2*time.Minute {
			t.Errorf("served: %+v", s)
		}
		if title, _ := rollout.Title(r.inPlan(), got[0]); title != "rollback served after at most 2m 30s, limit 5m" {
			t.Errorf("title: %q", title)
		}
	})
}

// TestServedOldAnswers: an answer from the ruleset before the rollback, which
// leaves late, is not the first of the new one.
func TestServedOldAnswers(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:30")
		old := r.hub.Current()
		r.lead(rollout.Rollback)
		r.hub.Served(old, r.flag)
		synctest.Wait()
		if got := r.served(); len(got) != 0 {
			t.Errorf("served: %+v", got)
		}
	})
}
