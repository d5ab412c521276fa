package judge

import (
	"time"

	"serin/internal/plan"
)

// A version of the judge is a way of judging: what the same rules and the same
// evidence come to. It rises with every change that could turn a verdict, such
// as another test, another bound, another division of the budget. Texts, speed
// and new metrics raise nothing.
//
// An attempt is judged to its end by the version it began with: the levels of
// its tests were set for it, and numbers of two versions do not add up to one
// proof. So a version stays in the program as long as attempts may be under it.

// Func judges rules, as Judge does.
type Func func(p *plan.Plan, rules []*plan.Rule, use Use, place Place, ev Evidence, held Held, now time.Time) ([]Verdict, Held)

// LevelsFunc divides the budget for false rollbacks, as Levels does.
type LevelsFunc func(begun, now *plan.Plan, revisions int, alpha float64, again ...string) map[string]float64

// Release is one version of the judge.
type Release struct {
	Version int    // from FirstVersion
	What    string // what changed against the one before, a sentence
	Judge   Func
	Levels  LevelsFunc
}

// FirstVersion is that of attempts which began before versions were written
// down.
const FirstVersion = 1

// Releases are the versions that a program has, ascending. There is at least
// one.
type Releases []Release

// Shipped are the versions in this program. The newest is what Judge and Levels
// do, which simulations use; an older one is kept as functions of its own.
// docs/statistics.md has the same table.
func Shipped() Releases {
	return Releases{
		{Version: FirstVersion, What: "The tests of docs/statistics.md.", Judge: Judge, Levels: Levels},
	}
}

// Newest is the version that attempts begin with.
func (r Releases) Newest() Release { return r[len(r)-1] }

// Of returns a version, 0 meaning the first. Where the program does not have
// it, ok is false and the newest is returned: rules that take traffic back go
// on being judged by it, while nothing may raise traffic.
func (r Releases) Of(version int) (release Release, ok bool) {
	if version == 0 {
		version = FirstVersion
	}
	for _, one := range r {
		if one.Version == version {
			return one, true
		}
	}
	return r.Newest(), false
}
