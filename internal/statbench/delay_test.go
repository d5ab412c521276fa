package statbench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/stats"
)

// delayShares are the shares of the new arm at which delays are measured.
var delayShares = []float64{0.10, 0.25, 0.50, 0.75}

// delay is a row: how many events, loads or users a test takes on average, over
// a bound that no test can beat.
type delay struct {
	name   string
	limits []float64 // by share; nil = none is stated
	// one carries out one run and returns its number, bound is what it is
	// divided by.
	one   func(rng *rand.Rand, share float64) float64
	bound func(share float64) float64
	dear  bool // left to long runs
	again bool // the same runs as the row before, over another bound
}

// The plain test: alpha 1 %, one metric, one start, null 1.
const (
	plainLevel = 0.01
	plainLimit = 1.6
)

// above adds the tenth to the stated figures at 10, 50 and 75 % that a run may
// exceed them by; at 25 % nothing is stated and the larger neighbour counts.
func above(at10, at50, at75 float64) []float64 {
	return []float64{1.1 * at10, 1.1 * max(at10, at50), 1.1 * at50, 1.1 * at75}
}

func four(v float64) []float64 { return []float64{v, v, v, v} }

// stated are the figures of docs/statistics.md for the shipped default plan, by
// factor: over its own bound, and over the ideal.
var stated = []struct {
	theta      float64
	own, ideal []float64
}{
	{1.2, above(1.34, 1.31, 1.31), above(3.4, 3.4, 3.4)},
	{1.5, above(1.38, 1.36, 1.32), above(2.4, 2.4, 2.4)},
	{2, above(1.41, 1.40, 1.35), above(2.2, 2.2, 2.2)},
	{5, above(1.37, 1.30, 1.35), above(2.0, 1.9, 2.0)},
	{20, above(1.45, 1.39, 1.38), above(2.1, 2.0, 2.0)},
}

// delays lists the rows.
func delays(t *testing.T) []delay {
	var out []delay
	shipped := newShipped(t)
	for _, s := range stated {
		theta := s.theta
		ideal := func(share float64) float64 {
			return math.Log(1/plainLevel) / stats.KL(stats.NewShare(share, theta), share)
		}
		own := func(share float64) float64 {
			return math.Log(1/shipped.level) / stats.KL(stats.NewShare(share, theta), stats.NewShare(share, shipped.null))
		}
		events := func(rng *rand.Rand, share float64) float64 { return shipped.events(rng, share, theta) }
		dear := theta < 2
		out = append(out,
			delay{fmt.Sprintf("errors ×%g, plain test, events over Wald's bound", theta), four(plainLimit), func(rng *rand.Rand, share float64) float64 {
				return eventsUntil(rng, share, theta, fresh, func(s stats.Stratum) bool {
					return stats.RatioE([]stats.Stratum{s}, 1) >= stats.LogLimit(plainLevel, 1)
				})
			}, ideal, dear, false},
			delay{fmt.Sprintf("errors ×%g, shipped plan, over its own bound", theta), s.own, events, own, dear, false},
			delay{fmt.Sprintf("errors ×%g, shipped plan, over the plain test's bound", theta), s.ideal, events, ideal, dear, true})
	}
	for _, factor := range []float64{1.05, 1.1, 1.3} {
		out = append(out, delay{
			fmt.Sprintf("p75 %+.0f %%, plain test, 20 k views, loads over the bound of exceedances", 100*(factor-1)), four(plainLimit),
			func(rng *rand.Rand, share float64) float64 { return loadsUntil(rng, share, factor) },
			func(share float64) float64 { return exceedances(share, factor) }, factor < 1.3, false,
		})
	}
	for _, m := range []float64{0.05, 0.1, 0.25, 0.5} {
		out = append(out, delay{
			fmt.Sprintf("proof that errors are within %+.0f %% when nothing changed, users over the bound", 100*m), four(1.3),
			func(rng *rand.Rand, share float64) float64 {
				return eventsUntil(rng, share, 1, old, func(s stats.Stratum) bool {
					return stats.RatioSafe([]stats.Stratum{s}, m) >= stats.LogLimit(0.05, 1)
				})
			},
			func(share float64) float64 { return stats.SafeBound(share, m, 0.05) }, m < 0.5, false,
		})
	}
	return out
}

// eventsUntil draws affected users one by one, of the new arm with the chance
// that a rate ratio of theta gives, until a test alarms. Only an event of the arm
// that speaks for it can raise its e-value, so it is asked after those.
func eventsUntil(rng *rand.Rand, share, theta float64, speaks int, alarm func(s stats.Stratum) bool) float64 {
	p := stats.NewShare(share, theta)
	s := stats.Stratum{Odds: share / (1 - share)}
	for {
		arm := old
		if rng.Float64() < p {
			arm = fresh
			s.New++
		} else {
			s.Old++
		}
		if arm == speaks && alarm(s) {
			return float64(s.New + s.Old)
		}
	}
}

// shipped is the test of errors that the plan of eight lines makes.
type shipped struct {
	course      *course
	level, null float64
	planned     int
	rule        []*plan.Rule
}

func newShipped(t testing.TB) *shipped {
	p := shippedPlan(t)
	s := &shipped{course: newCourse(p), null: 1 + p.Judge.Margin, planned: len(p.Stages)}
	s.level = s.course.levels["errors"]
	at := slices.IndexFunc(p.Rollback, func(r *plan.Rule) bool { return r.Metric == "errors" })
	s.rule = p.Rollback[at : at+1]
	return s
}

// starts are counts at a share in the first stage.
func (s *shipped) starts(n stats.Stratum) stats.Starts {
	return stats.Starts{Odds: []float64{n.Odds}, Stage: []int{0}, Cells: []stats.UserCell{{Last: -1, New: n.New, Old: n.Old}}, Planned: s.planned}
}

func (s *shipped) events(rng *rand.Rand, share, theta float64) float64 {
	return eventsUntil(rng, share, theta, fresh, func(n stats.Stratum) bool {
		return s.starts(n).Ratio(s.null).LogE >= stats.LogLimit(s.level, 1)
	})
}

// harm asks the shipped judge about the same counts.
func (s *shipped) harm(n stats.Stratum) bool {
	share := n.Odds / (1 + n.Odds)
	place := s.course.place(0)
	place.Exposure, place.ControlShare = share, 1-share
	in := s.starts(n)
	ev := given{tests: judge.Tests{Odds: in.Odds, Stage: in.Stage, Began: []time.Time{start}, Cells: in.Cells}}
	v, _ := judge.Judge(s.course.plan, s.rule, judge.Guard, place, ev, nil, start.Add(time.Hour))
	return v[0].Harm || v[0].Status == judge.Met
}

// Latencies of the model: lognormal, with this sigma.
const sigma = 0.5

// tail is the chance of a standard normal number beyond z.
func tail(z float64) float64 { return 0.5 * math.Erfc(z/math.Sqrt2) }

// slower are the chances that a load lies above the threshold: the edge of the
// bucket of the control's p75, which a baseline of a week fixes to the bucket.
func slower(factor float64) (control, canary float64) {
	const p75 = 2000.0
	z := math.Sqrt2*math.Erfinv(2*0.75-1) + math.Log(stats.Edge(stats.Bucket(p75))/p75)/sigma
	return tail(z), tail(z - math.Log(factor)/sigma)
}

// exceedances is the bound of loads for any test that sees only which of them are
// above the threshold: ln(1/alpha) over the information a load gives against the
// best of the nulls, at which both arms exceed it alike.
func exceedances(share, factor float64) float64 {
	c, t := slower(factor)
	mixed := share*t + (1-share)*c
	return math.Log(1/plainLevel) / (share*stats.KL(t, mixed) + (1-share)*stats.KL(c, mixed))
}

// loadsUntil draws closed blocks, of a minute in the first hour and of five then,
// until OddsE alarms.
func loadsUntil(rng *rand.Rand, share, factor float64) float64 {
	const aMinute = float64(small) / (24 * 60)
	c, t := slower(factor)
	var blocks []stats.Block
	var ledger stats.Ledger
	loads := 0
	for minute, length := 0, 1; ; minute += length {
		if minute >= 60 {
			length = 5
		}
		mean := aMinute * float64(length)
		n, k := poisson(rng, mean*share), poisson(rng, mean*(1-share))
		loads += n + k
		blocks = append(blocks, stats.Block{BadNew: int64(binomial(rng, n, t)), New: int64(n), BadOld: int64(binomial(rng, k, c)), Old: int64(k)})
		if ledger.OddsPerStart(0, blocks, 1, func(int) float64 { return 1 })[0] >= stats.LogLimit(plainLevel, 1) {
			return float64(loads)
		}
	}
}

// TestDelay measures how many events, loads or users the tests take until they
// know, against bounds that no test can beat.
func TestDelay(t *testing.T) {
	out := &table{section: "delay", head: []string{"mean delay over its bound", "10 %", "25 %", "50 %", "75 %", "at most"}}
	counts := make([][]float64, len(delayShares))
	for i, row := range delays(t) {
		quick := 40
		if row.dear {
			quick = 0
		}
		n := runs(t, quick)
		if n == 0 {
			out.add(row.name, "", "", "", "", "")
			continue
		}
		cells := []string{row.name}
		for k, share := range delayShares {
			if !row.again {
				counts[k] = make([]float64, n)
				all(n, func(j int) { counts[k][j] = row.one(newRand(uint64(400+10*i+k), j), share) })
			}
			mean, se := meanOf(counts[k])
			ratio := mean / row.bound(share)
			cells = append(cells, fmt.Sprintf("%.2f", ratio))
			room := 0.0 // for chance, where there are few runs
			if asked(t) == 0 {
				room = 3 * se / row.bound(share)
			}
			if limit := row.limits[k]; ratio-room > limit {
				t.Errorf("%s at %s: %.2f ±%.2f times the bound, at most %.2f", row.name, percent(share), ratio, se/row.bound(share), limit)
			}
		}
		out.add(append(cells, limits(row.limits))...)
	}
	out.publish(t)
}

// limits writes the limits by share, one if they are all the same.
func limits(of []float64) string {
	if slices.Min(of) == slices.Max(of) {
		return fmt.Sprintf("%.2f", of[0])
	}
	texts := make([]string, len(of))
	for i, l := range of {
		texts[i] = fmt.Sprintf("%.2f", l)
	}
	return strings.Join(texts, ", ")
}

func meanOf(of []float64) (mean, se float64) {
	var sum, squares float64
	for _, v := range of {
		sum += v
	}
	mean = sum / float64(len(of))
	for _, v := range of {
		squares += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(squares / float64(len(of)-1) / float64(len(of)))
}

// TestFewestUsers: so many affected users of the new arm in a row alarm, and the
// shipped judge itself shows harm at just this number.
func TestFewestUsers(t *testing.T) {
	s := newShipped(t)
	for _, tt := range []struct {
		share         float64
		plain, judged int64
	}{{0.01, 3, 3}, {0.05, 3, 4}, {0.10, 4, 5}, {0.25, 6, 8}, {0.50, 10, 14}, {0.75, 23, 34}, {0.95, 126, 187}} {
		odds := tt.share / (1 - tt.share)
		first := func(alarm func(n stats.Stratum) bool) int64 {
			for n := int64(1); n < 1000; n++ {
				if alarm(stats.Stratum{New: n, Odds: odds}) {
					return n
				}
			}
			return 0
		}
		plain := first(func(n stats.Stratum) bool {
			return stats.RatioE([]stats.Stratum{n}, 1) >= stats.LogLimit(plainLevel, 1)
		})
		if judged := first(s.harm); plain != tt.plain || judged != tt.judged {
			t.Errorf("at %s: %d users, the shipped judge %d, want %d and %d", percent(tt.share), plain, judged, tt.plain, tt.judged)
		}
	}
}

// TestShippedIsJudged: what is measured as the shipped plan's test is what the
// judge does, event by event.
func TestShippedIsJudged(t *testing.T) {
	s := newShipped(t)
	for i, share := range delayShares {
		judged := eventsUntil(newRand(500, i), share, 3, fresh, s.harm)
		if got := s.events(newRand(500, i), share, 3); got != judged {
			t.Errorf("at %s: measured %g events, the judge takes %g", percent(share), got, judged)
		}
	}
}
