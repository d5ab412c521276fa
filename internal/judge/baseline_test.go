package judge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"serin/internal/plan"
	"serin/internal/stats"
)

// past is evidence with hours.
type past struct {
	fake
	history map[string]History
}

func (p *past) History(metric string) History { return p.history[metric] }

// hourly makes hours from a time on: each from its hour of the day and
// whatever else f makes of it.
func hourly(from time.Time, n int, f func(at time.Time) Window) []Hour {
	out := make([]Hour, n)
	for i := range out {
		at := from.Add(time.Duration(i) * time.Hour)
		out[i] = Hour{Begin: at, Window: f(at)}
	}
	return out
}

// day is a share of the traffic by the hour: quiet at night.
func day(at time.Time) float64 { return 1 + 0.8*math.Sin(2*math.Pi*float64(at.Hour())/24) }

// erring is an hour in which users err at a rate, drawn around its mean.
func erring(rng *rand.Rand, users, rate float64) func(time.Time) Window {
	return func(at time.Time) Window {
		active := users * day(at)
		n := active*rate + math.Sqrt(active*rate)*rng.NormFloat64()
		return Window{Users: int64(math.Max(0, math.Round(n))), Active: int64(active), Count: int64(2 * n), Known: true}
	}
}

// atFull is a rollout whose last stage, at 100 % without holdback, began.
func atFull() Place {
	p := place()
	p.Stage, p.Exposure, p.ControlShare = 4, 1, 0
	return p
}

func verdictOf(t *testing.T, r *plan.Rule, use Use, ev Evidence, at Place, after time.Duration) Verdict {
	t.Helper()
	p := testPlan()
	p.Judge.Baseline = 7 * 24 * time.Hour
	p.Stages = []plan.Stage{{Name: "canary", Bake: 48 * time.Hour}}
	v, _ := Judge(p, []*plan.Rule{r}, use, at, ev, nil, start.Add(after))
	return v[0]
}

func TestBaseline(t *testing.T) {
	const week = 7 * 24
	rng := rand.New(rand.NewPCG(1, 2))
	before := start.Add(-week * time.Hour)
	times := func(rate float64, n int) History {
		return History{Before: hourly(before, week, erring(rng, 2000, 0.02)), After: hourly(start, n, erring(rng, 2000, 0.02*rate))}
	}
	lcp := func(factor float64, n int) History {
		f := func(factor float64) func(time.Time) Window {
			return func(at time.Time) Window {
				return Window{Sketch: sketch(2000*factor*math.Exp(0.03*rng.NormFloat64())*(1+0.1*day(at)), int64(500*day(at))), Active: 400, Known: true}
			}
		}
		return History{Before: hourly(before, week, f(1)), After: hourly(start, n, f(factor))}
	}
	good := func(share float64, n int) History {
		f := func(share float64) func(time.Time) Window {
			return func(time.Time) Window {
				return Window{Sum: 2000, Count: int64(2000 * (share + 0.002*rng.NormFloat64())), Active: 800, Known: true}
			}
		}
		return History{Before: hourly(before, week, f(0.95)), After: hourly(start, n, f(share))}
	}
	short := times(1, 12)
	short.Before = short.Before[week-36:]
	tiny := times(1, 12)
	tiny.Before = tiny.Before[week-20:]
	rare := History{Before: hourly(before, week, func(time.Time) Window { return Window{Active: 50} }), After: hourly(start, 12, func(time.Time) Window { return Window{Active: 50} })}
	guard := func(metric string, x float64, to plan.Ref) *plan.Rule {
		return over(ref(limit(metric, plan.GT, x), to), 2*time.Hour)
	}
	gate := func(metric string, x float64) *plan.Rule { return ref(limit(metric, plan.LE, x), plan.Reference) }
	for _, c := range []struct {
		name  string
		rule  *plan.Rule
		use   Use
		h     History
		want  Status
		cause Cause
		why   string
	}{
		{name: "reference falls back and is met", use: Guard, rule: guard("errors", 0.5, plan.Reference), h: times(2, 6), want: Met, why: "against the baseline of 7d (approximate) over 2h"},
		{name: "in so many words", use: Guard, rule: guard("errors", 0.5, plan.Baseline), h: times(2, 6), want: Met, why: "6 hours"},
		{name: "nothing wrong", use: Guard, rule: guard("errors", 0.5, plan.Baseline), h: times(1, 48), want: NotMet},
		{name: "a quarter is no half", use: Guard, rule: guard("errors", 0.5, plan.Baseline), h: times(1.2, 48), want: NotMet},
		{name: "gate proved", rule: gate("errors", 0.1), h: times(1, 72), want: Met, why: "proved not worse than +10%"},
		{name: "gate proved worse", rule: gate("errors", 0.1), h: times(1.5, 72), want: NotMet, why: "proved worse"},
		{name: "too early", rule: gate("errors", 0.1), h: times(1, 1), want: Unknown, cause: CauseEvidence, why: "not yet proved"},
		{name: "no hour yet", rule: gate("errors", 0.1), h: times(1, 0), want: Unknown, cause: CauseEvidence, why: "no whole hour"},
		{name: "short baseline", rule: gate("errors", 0.1), h: short, want: Met, why: "baseline, 1.5 of 7 d"},
		{name: "too short", rule: gate("errors", 0.1), h: tiny, want: Unknown, cause: CauseNoControl, why: "baseline, 0.8 of 7 d: at least 1d"},
		{name: "none", rule: gate("errors", 0.1), want: Unknown, cause: CauseNoControl, why: "baseline, 0 of 7 d"},
		{name: "rare", rule: gate("errors", 0.1), h: rare, want: Unknown, cause: CauseNoControl, why: "too few events"},
		{name: "quantile", use: Guard, rule: guard("lcp", 0.3, plan.Reference), h: lcp(1.6, 6), want: Met},
		{name: "quantile as before", rule: gate("lcp", 0.1), h: lcp(1, 48), want: Met},
		{name: "share of which more is better", use: Guard, rule: over(ref(limit("crash_free", plan.LT, -0.05), plan.Baseline), 2*time.Hour), h: good(0.8, 12), want: Met},
		{name: "share as before", use: Guard, rule: over(ref(limit("crash_free", plan.LT, -0.05), plan.Baseline), 2*time.Hour), h: good(0.95, 48), want: NotMet},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev := &past{fake: fake{windows: map[string][3]Window{}}, history: map[string]History{c.rule.Metric: c.h}}
			v := verdictOf(t, c.rule, c.use, ev, atFull(), 72*time.Hour)
			if v.Status != c.want || v.Cause != c.cause || !strings.Contains(v.Why, c.why) {
				t.Errorf("got %s (%s) %q, want %s (%s) %q", v.Status, v.Cause, v.Why, c.want, c.cause, c.why)
			}
			if !v.Approx || v.Ref != plan.Baseline {
				t.Errorf("approx %v, ref %s", v.Approx, v.Ref)
			}
			if v.Status != Unknown && (v.Low == nil || v.High == nil || *v.Low > *v.Value && c.use != Guard) {
				t.Errorf("no interval around %v", v.Value)
			}
		})
	}
}

// TestBaselineOfSystems compares what is no test: means of the same hours.
func TestBaselineOfSystems(t *testing.T) {
	value := func(x float64) func(time.Time) Window {
		return func(time.Time) Window { return Window{Count: 2, Sum: 2 * x, Known: true} }
	}
	before := hourly(start.Add(-7*24*time.Hour), 7*24, value(400))
	stands := fake{windows: arms("bundle_size", Window{Known: true, Value: 480, Last: start})}
	for _, c := range []struct {
		name string
		h    History
		want Status
		why  string
	}{
		{"means of hours", History{Before: before, After: hourly(start, 5, value(430))}, Met, "bundle_size is 430 B in this stage, 400 B in the same hours of the baseline of 7d (+7.5%), limit +10%"},
		{"worse", History{Before: before, After: hourly(start, 5, value(450))}, NotMet, "+12%"},
		{"what stands", History{Before: before}, NotMet, "480 B now"},
		{"short", History{Before: before[:12]}, Unknown, "baseline, 0.5 of 7 d"},
	} {
		ev := &past{fake: stands, history: map[string]History{"bundle_size": c.h}}
		v := verdictOf(t, ref(limit("bundle_size", plan.LE, 0.1), plan.Baseline), Gate, ev, place(), 6*time.Hour)
		if v.Status != c.want || !strings.Contains(v.Why, c.why) {
			t.Errorf("%s: got %s %q", c.name, v.Status, v.Why)
		}
	}
}

// TestBaselineFalseAlarms: hours that are alike do not become certainty. The
// method is approximate; this bounds how often it is wrong over a fortnight.
func TestBaselineFalseAlarms(t *testing.T) {
	const runs, n = 150, 14 * 24
	alarms := 0
	for run := range runs {
		rng := rand.New(rand.NewPCG(uint64(run), 9))
		ar := 0.0
		f := func(at time.Time) Window {
			ar = 0.6*ar + 0.1*rng.NormFloat64()
			active := 2000 * day(at)
			return Window{Users: int64(active * 0.05 * math.Exp(ar)), Active: int64(active), Known: true}
		}
		h := History{Before: hourly(start.Add(-7*24*time.Hour), 7*24, f), After: hourly(start, n, f)}
		u, why := baselineOf(testPlan().Metrics["errors"], h.Before, h.After)
		if why != "" {
			t.Fatal(why)
		}
		rho := stats.NormalRho(u.stats.Info(48), 0.05)
		after := u.since(slots(h.After, u.length), start, time.Time{})
		for k := 1; k <= len(after); k++ {
			if u.stats.Against(after[:k]).Above(math.Log(1.05), rho) >= math.Log(100) {
				alarms++
				break
			}
		}
	}
	t.Logf("%d of %d alarm at 1%% against +5%%", alarms, runs)
	if alarms > runs*4/100 {
		t.Errorf("%d of %d", alarms, runs)
	}
}

func FuzzBaseline(f *testing.F) {
	for _, n := range []int64{0, 1, 1e9, math.MaxInt64 / 1000} {
		f.Add(n, int64(0), n, int64(5), 0.3)
	}
	f.Fuzz(func(t *testing.T, users, count, active, after int64, x float64) {
		clip := func(n int64) int64 { return max(min(n, 1e12), 0) }
		if math.IsNaN(x) || x < 0 || x > 1e6 {
			return
		}
		w := Window{Users: clip(users), Count: clip(count), Active: clip(active), Sum: float64(clip(active)), Known: true, Sketch: sketch(float64(clip(users)), clip(active))}
		b := w
		b.Users, b.Count = clip(after), clip(after)
		of := func(w Window) func(time.Time) Window { return func(time.Time) Window { return w } }
		h := History{Before: hourly(start.Add(-48*time.Hour), 48, of(w)), After: hourly(start, 9, of(b))}
		for _, metric := range []string{"errors", "lcp", "error_rate", "satisfaction", "bundle_size"} {
			for _, use := range []Use{Gate, Guard} {
				ev := &past{fake: fake{windows: map[string][3]Window{}}, history: map[string]History{metric: h}}
				r := ref(limit(metric, map[Use]plan.Op{Gate: plan.LE, Guard: plan.GT}[use], x), plan.Baseline)
				v := verdictOf(t, r, use, ev, atFull(), 9*time.Hour)
				if v.LogE != nil && (math.IsNaN(*v.LogE) || math.IsInf(*v.LogE, 0)) || strings.Contains(fmt.Sprint(v.Why), "NaN") {
					t.Fatalf("%s: %+v", metric, v)
				}
			}
		}
	})
}

// TestBaselineOfRareShares: hours without a bad request are as good as any other.
// Where they were left out, those that remained looked worse the less was expected
// in them: a canary of a tenth of the traffic was rolled back for being small.
func TestBaselineOfRareShares(t *testing.T) {
	const runs, week = 100, 7 * 24
	rule := func() *plan.Rule { return over(ref(limit("error_rate", plan.GT, 0.5), plan.Baseline), 6*time.Hour) }
	for _, c := range []struct {
		name     string
		views    float64 // an hour
		factor   float64
		least    int // of runs that may and must be rolled back
		most     int
		mustKnow bool
	}{
		{"too few to tell", 833, 1, 0, 0, false},
		{"as before", 2500, 1, 0, 3, true},
		{"three times as many", 2500, 3, 98, runs, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			acted, known := 0, 0
			for run := range runs {
				rng := rand.New(rand.NewPCG(uint64(run), 31))
				f := func(part, rate float64) func(time.Time) Window {
					return func(at time.Time) Window {
						n := c.views * part * day(at)
						return Window{Sum: math.Round(n), Count: poissonOf(rng, n*rate), Active: int64(n / 5), Known: true}
					}
				}
				h := History{Before: hourly(start.Add(-week*time.Hour), week, f(1, 0.005)), After: hourly(start, week, f(0.1, 0.005*c.factor))}
				met := false
				for hours := 6; hours <= week && !met; hours += 6 {
					seen := h
					seen.After = h.After[:hours]
					ev := &past{fake: fake{windows: map[string][3]Window{}}, history: map[string]History{"error_rate": seen}}
					v := verdictOf(t, rule(), Guard, ev, atFull(), time.Duration(hours)*time.Hour)
					met = v.Status == Met
					if v.Status != Unknown && hours == week-6 {
						known++
					}
				}
				if met {
					acted++
				}
			}
			if acted < c.least || acted > c.most {
				t.Errorf("%d of %d rolled back, want %d to %d", acted, runs, c.least, c.most)
			}
			if c.mustKnow && known+acted < runs/2 {
				t.Errorf("known in %d runs only", known)
			}
		})
	}
}

// poissonOf draws a Poisson number (Knuth, "The Art of Computer Programming" 2, 3.4.1).
func poissonOf(rng *rand.Rand, mean float64) int64 {
	limit, p, n := math.Exp(-mean), rng.Float64(), int64(0)
	for p > limit {
		p *= rng.Float64()
		n++
	}
	return n
}
