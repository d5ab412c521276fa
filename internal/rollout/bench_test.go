package rollout

import (
	"testing"
	"time"
)

// BenchmarkStepIdle is a tick of a running rollout that changes nothing.
func BenchmarkStepIdle(b *testing.B) {
	r := newRig(b, rigPlan)
	r.must(Command{Verb: Start})
	r.drive(time.Minute)
	in := r.input()
	in.Wall, in.Mono, in.Covered = in.Wall.Add(time.Minute), in.Mono+time.Minute, time.Minute
	b.ReportAllocs()
	for b.Loop() {
		if _, events, err := Step(r.p, r.s, in); err != nil || len(events) > 0 {
			b.Fatal(events, err)
		}
	}
}

// BenchmarkStepAdvance is a tick that journals an advance.
func BenchmarkStepAdvance(b *testing.B) {
	r := newRig(b, rigPlan)
	r.must(Command{Verb: Start})
	r.drive(119 * time.Minute)
	in := r.input()
	in.Wall, in.Mono, in.Covered = in.Wall.Add(5*time.Minute), in.Mono+5*time.Minute, 5*time.Minute
	b.ReportAllocs()
	for b.Loop() {
		if s, _, err := Step(r.p, r.s, in); err != nil || s.Stage != 1 {
			b.Fatal(s.Stage, err)
		}
	}
}
