package stats

import "math"

// Starts is the evidence of one attempt, in allocation intervals that belong
// to stages. Process s begins at stage s and counts every user anew, so that
// harm which begins late is not drowned in the clean time before it, and a
// better canary is not condemned when its control is used up. The zero value
// is an attempt without data.
type Starts struct {
	Odds    []float64 // of each allocation interval
	Stage   []int     // of each allocation interval, ascending from 0
	Cells   []UserCell
	Planned int // stages in the plan
}

// Count returns how many starts have begun: one more than the last stage.
func (s Starts) Count() int {
	last := -1
	for i := range s.Odds {
		last = max(last, s.stage(i))
	}
	return last + 1
}

func (s Starts) stage(interval int) int {
	if interval < 0 || interval >= len(s.Stage) || interval >= len(s.Odds) {
		return -1
	}
	return s.Stage[interval]
}

// Strata returns the counts of process start: of cells in stages from start
// on, users that had not counted since.
func (s Starts) Strata(start int) []Stratum {
	return s.gather(func(k, last int) bool { return k >= start && last < start })
}

// Only returns the counts of one stage alone, each user once: the data of the
// safe side.
func (s Starts) Only(stage int) []Stratum {
	return s.gather(func(k, last int) bool { return k == stage && last < stage })
}

func (s Starts) gather(take func(k, last int) bool) []Stratum {
	n := min(len(s.Odds), len(s.Stage))
	out := make([]Stratum, n)
	for i := range out {
		out[i].Odds = s.Odds[i]
	}
	for _, c := range s.Cells {
		if k := s.stage(c.Interval); k >= 0 && take(k, c.Last) {
			out[c.Interval].New += c.New
			out[c.Interval].Old += c.Old
		}
	}
	return out
}

// LogStartWeight returns ln v_s, the share of the budget of start s: one half
// for the first, the other half equally for the later ones. With one planned
// stage the first has all.
func LogStartWeight(start, planned int) float64 {
	switch {
	case planned <= 1:
		return 0
	case start == 0:
		return math.Log(0.5)
	}
	return math.Log(0.5 / float64(planned-1))
}

// Best is the outcome of a test over all starts.
type Best struct {
	LogE     float64   // max over starts of ln v_s + ln E_s; 0 before any start
	Start    int       // the start that attains it
	PerStart []float64 // ln E_s, without weights
}

// BestStart combines the ln E of every start. It is a split of the budget and
// not a sum: labels repeat between starts, so their e-values may not be added
// up to one process, but each is valid at its own share.
func BestStart(perStart []float64, planned int) Best {
	if len(perStart) == 0 {
		return Best{}
	}
	planned = max(planned, len(perStart))
	best := Best{LogE: math.Inf(-1), PerStart: perStart}
	for start, e := range perStart {
		if v := LogStartWeight(start, planned) + e; v > best.LogE {
			best.LogE, best.Start = v, start
		}
	}
	return best
}

// Ratio returns RatioE over all starts against a rate ratio of theta0.
func (s Starts) Ratio(theta0 float64) Best {
	per := make([]float64, s.Count())
	for start := range per {
		per[start] = RatioE(s.Strata(start), theta0)
	}
	return BestStart(per, s.Planned)
}

// BlocksFrom returns the blocks of stages from start on: for loads, which are
// not counted once per user, process s is all blocks from stage s on. The
// result may share memory with blocks.
func BlocksFrom(blocks []Block, start int) []Block {
	return blocksIn(blocks, start, math.MaxInt)
}

// BlocksOf returns the blocks of one stage. The result may share memory with
// blocks.
func BlocksOf(blocks []Block, stage int) []Block { return blocksIn(blocks, stage, stage) }

// blocksIn returns the blocks of stages low to high, of which there is one
// run where stages follow each other in time.
func blocksIn(blocks []Block, low, high int) []Block {
	var out []Block
	first, end := -1, 0
	for i := range blocks {
		if s := blocks[i].Stage; s < low || s > high {
			continue
		}
		if first < 0 {
			first, end = i, i
		}
		if end != i { // a gap: the run before it is copied
			if out == nil {
				out = append(out, blocks[first:end]...)
			}
			out = append(out, blocks[i])
			end = -1
			continue
		}
		end = i + 1
	}
	if out != nil || first < 0 {
		return out
	}
	return blocks[first:end:end]
}

// halfLevel is the level at which harm beyond half the limit must be proved.
const halfLevel = 0.05

// Guard is a rollback test's outcome: harm beyond the rule's limit x, with a
// chance of at most 5 % of acting on a true effect of x/2 (Ville's inequality
// on the second process).
type Guard struct {
	Null, Half Best    // against 1+min(x, margin), and against 1+x/2
	Level      float64 // budget times weight
	// InWindow and SinceStart are the estimated ratio over the rule's window
	// and since the start that is best in Half.
	InWindow, SinceStart float64
	X                    float64
}

// HarmShown reports whether harm beyond the margin is proved within the
// budget: the first of the four conditions.
func (g Guard) HarmShown() bool { return g.Level > 0 && g.Null.LogE >= LogLimit(g.Level, 1) }

// HalfShown reports whether harm beyond half the limit is proved: the second.
func (g Guard) HalfShown() bool { return g.Half.LogE >= LogLimit(halfLevel, 1) }

// Met reports whether all four conditions hold: harm is proved, harm beyond
// x/2 is proved at 5 %, it is happening now, and since it began it is at
// least x.
func (g Guard) Met() bool {
	return g.HarmShown() && g.HalfShown() &&
		g.InWindow >= 1+g.X && g.SinceStart >= 1+g.X
}
