package rollout

import "fmt"

// checkClock: a lowering is served once, each clock is told late once, and a
// revert by hand begins and ends in turn and moves no traffic.
func (t *truth) checkClock(before State, e Event) error {
	lowered := e.Exposure < before.Exposure
	switch e.Type {
	case RolledBackEvent, ReducedEvent:
		if lowered {
			t.lowering = e.Pos
		}
	case Started, Restarted, Resumed, Advanced:
		t.lowering = 0
	case Finished, CancelledEvent:
		t.lowering, t.reverting = 0, 0
	case RevertBegun:
		if e.Exposure != before.Exposure || t.reverting != 0 {
			return fmt.Errorf("revert of %d begins at exposure %d, was %d", t.reverting, e.Exposure, before.Exposure)
		}
		if e.Role != "mate" {
			return fmt.Errorf("begun in the role %q", e.Role)
		}
		t.reverting = e.Pos
	case Reverted:
		s := e.Served
		if e.Exposure != before.Exposure || s == nil || s.Pos != t.reverting || s.Evaluated == 0 {
			return fmt.Errorf("revert of %d ends as %+v at exposure %d", t.reverting, s, e.Exposure)
		}
		t.reverting = 0
		return t.once(s, e)
	case ServedEvent:
		s := e.Served
		switch {
		case s == nil || s.Pos == 0:
			return fmt.Errorf("of nothing: %+v", s)
		case s.Action == ActionRevert && (s.Pos != t.reverting || s.Evaluated != 0):
			return fmt.Errorf("revert of %d: %+v", t.reverting, s)
		case s.Action != ActionRevert && s.Pos != t.lowering:
			return fmt.Errorf("lowering of %d: %+v", t.lowering, s)
		}
		return t.once(s, e)
	}
	return nil
}

// once holds that each clock ends once, and that its owner is told once.
func (t *truth) once(s *Service, e Event) error {
	if s.Evaluated > 0 {
		if t.served[s.Pos] {
			return fmt.Errorf("%d was served twice", s.Pos)
		}
		t.served[s.Pos] = true
	}
	if e.Paged != (s.Late() && !t.late[s.Pos]) {
		return fmt.Errorf("%+v: told %t, told before %t", s, e.Paged, t.late[s.Pos])
	}
	t.late[s.Pos] = t.late[s.Pos] || e.Paged
	return nil
}
