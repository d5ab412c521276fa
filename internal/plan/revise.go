package plan

import "fmt"

// Revise returns why new cannot replace old in a rollout whose furthest stage
// of this attempt has the index reached, -1 before the start: errors E17 with
// the lines of new and, in their fix, the line of old to put back. None = it may.
//
// For the rollout's life the plan's name, the flag's key, the attribute that is
// hashed and the salt are fixed, so that the same users stay in. Stages before
// the one reached are past and stay as they were written; their rules may
// change, since a set that they share with a later stage may, and count again
// only in another attempt. The stage reached keeps name, place and exposure,
// since only a gate may raise traffic.
func Revise(old, new *Plan, reached int) Problems {
	l := newLinter(new, nil)
	fixed := func(what, before, after string, paths ...string) {
		if before != after {
			l.key(Error, "E17", fmt.Sprintf("%s %q was %q", what, after, before), "it is fixed for the plan's life: put it back", paths...)
		}
	}
	fixed("plan", old.Name, new.Name, "plan")
	fixed("flag.key", old.Flag.Key, new.Flag.Key, "flag.key", "flag")
	if old.Flag.Key == new.Flag.Key { // the salt's default is the key
		fixed("flag.salt", old.Flag.Salt, new.Flag.Salt, "flag.salt", "flag")
	}
	fixed("flag.by", old.Flag.By, new.Flag.By, "flag.by", "flag")
	for i := 0; i <= min(reached, len(old.Stages)-1); i++ {
		l.past(old, i, i == reached)
	}
	return l.r.problems.sorted()
}

// past holds a stage of a revision against the old one at its place: the one
// that is under way, or one that is over.
func (l *linter) past(old *Plan, i int, underWay bool) {
	was, where := old.Stages[i], "past"
	if underWay {
		where = "under way"
	}
	fix := fmt.Sprintf("put line %d back", was.Line)
	at := fmt.Sprintf("stages.%d.", i)
	switch {
	case i >= len(l.p.Stages):
		l.key(Error, "E17", fmt.Sprintf("stage %q is %s and missing", was.Name, where), fix, "stages")
	case l.p.Stages[i].Name != was.Name:
		l.key(Error, "E17", fmt.Sprintf("stage %q is %s and not at its place", was.Name, where), fix, at+"stage", "stages")
	case old.Exposure(i) != l.p.Exposure(i):
		l.key(Error, "E17", fmt.Sprintf("stage %q is %s", was.Name, where), fix, at+"traffic", at+"stage")
	case !underWay && !sameStage(was, l.p.Stages[i]):
		l.key(Error, "E17", fmt.Sprintf("stage %q is past", was.Name), fix, at+"stage")
	}
}

// sameStage reports whether two stages say the same but for their rules.
func sameStage(a, b Stage) bool { return stageText(a) == stageText(b) }

func stageText(s Stage) string {
	s.Proceed, s.Checks = nil, nil
	var w writer
	w.stage(s)
	return w.b.String()
}
