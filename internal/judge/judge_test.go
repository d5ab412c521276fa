package judge

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/plan"
	"serin/internal/stats"
)

// arms builds the windows of a metric: exposed, new and old alike.
func arms(metric string, w ...Window) map[string][3]Window {
	all := [3]Window{}
	for i := range all {
		all[i] = w[min(i, len(w)-1)]
	}
	return map[string][3]Window{metric: all}
}

func sketch(value float64, n int64) *stats.Sketch {
	var s stats.Sketch
	s.AddN(value, n)
	return &s
}

// slow are blocks in which the canary is slower (bad of 100 loads each) than
// a control with 25 of 100.
func slow(bad int64, n int) []stats.Block {
	var out []stats.Block
	for range n {
		out = append(out, stats.Block{BadNew: bad, New: 100, BadOld: 225, Old: 900})
	}
	return out
}

func shifted(bad int64, n int, margins ...float64) Tests {
	t := Tests{Odds: []float64{1. / 9}, Stage: []int{0}, Shifted: map[int][]stats.Block{}}
	for _, m := range margins {
		t.Shifted[stats.Shift(m)] = slow(bad, n)
	}
	return t
}

// since is test data that begins with a revision.
func since(t Tests, at time.Time) Tests {
	t.From = at
	return t
}

func TestJudge(t *testing.T) {
	few := Window{Active: 7, Covered: 30 * time.Minute, Known: true, Last: start.Add(6 * time.Hour)}
	silent := Data{NoData: true, Since: start.Add(5 * time.Hour), Last: start.Add(5 * time.Hour)}
	alive := Data{Last: start.Add(5 * time.Hour)}
	for _, c := range []struct {
		name  string
		rule  *plan.Rule
		use   Use
		ev    fake
		place func(*Place)
		want  Status
		cause Cause
		harm  bool
		why   string // must be part of the sentence
	}{
		// Fixed limits on counts.
		{name: "broken at once", rule: limit("p1", plan.EQ, 0), ev: fake{windows: arms("p1", Window{Count: 1, Active: 2})},
			want: NotMet, why: "p1 is 1 in this stage, limit 0"},
		{name: "kept without users", rule: limit("p1", plan.EQ, 0), ev: fake{windows: arms("p1", few)},
			want: Unknown, cause: CauseEvidence, why: "7 of 20 users, about 56m more at the present rate"},
		{name: "kept without time", rule: limit("p1", plan.LE, 3), ev: fake{windows: arms("p1", Window{Count: 2, Active: 40, Covered: 20 * time.Minute})},
			want: Unknown, cause: CauseEvidence, why: "20m of 1h of covered time"},
		{name: "short spans need only themselves", rule: over(limit("p1", plan.LE, 3), 15*time.Minute),
			ev: fake{windows: arms("p1", Window{Count: 2, Active: 40, Covered: 15 * time.Minute})}, want: Met},
		{name: "kept", rule: limit("errors", plan.LT, 10), ev: fake{windows: arms("errors", plenty(Window{Count: 4}))},
			want: Met, why: "errors are 4 in this stage, limit 10"},
		{name: "reaches an open limit", rule: limit("errors", plan.LT, 4), ev: fake{windows: arms("errors", Window{Count: 4})}, want: NotMet},
		{name: "below a wanted number", rule: limit("errors", plan.EQ, 4), ev: fake{windows: arms("errors", plenty(Window{Count: 3}))}, want: NotMet},
		{name: "lower bound reached", rule: limit("requests", plan.GE, 100), ev: fake{windows: arms("requests", Window{Count: 100})}, want: Met},
		{name: "lower bound not yet", rule: limit("requests", plan.GE, 100), ev: fake{windows: arms("requests", Window{Count: 9})}, want: Unknown, cause: CauseEvidence},
		{name: "users", rule: limit("affected_users", plan.LE, 3), ev: fake{windows: arms("affected_users", Window{Users: 4, Count: 9})}, want: NotMet},
		{name: "kept in silence", rule: limit("p1", plan.EQ, 0), ev: fake{windows: arms("p1", plenty(Window{})), data: silent},
			want: Unknown, cause: CauseNoData, why: "no data for 1h"},
		{name: "broken in silence", rule: limit("p1", plan.EQ, 0), ev: fake{windows: arms("p1", plenty(Window{Count: 2})), data: silent}, want: NotMet},
		// Guards on counts.
		{name: "guard acts at once", use: Guard, rule: over(limit("p1", plan.GT, 5), 6*time.Hour), ev: fake{windows: arms("p1", Window{Count: 6})},
			want: Met, why: "p1 is 6 over 6h, limit 5"},
		{name: "guard acts in silence", use: Guard, rule: over(limit("p1", plan.GT, 5), time.Hour), ev: fake{windows: arms("p1", Window{Count: 6}), data: silent}, want: Met},
		{name: "guard quiet", use: Guard, rule: over(limit("p1", plan.GT, 5), time.Hour), ev: fake{windows: arms("p1", few)}, want: NotMet},
		{name: "guard knows nothing in silence", use: Guard, rule: over(limit("p1", plan.GT, 5), time.Hour), ev: fake{windows: arms("p1", few), data: silent},
			want: Unknown, cause: CauseNoData},
		{name: "guard downwards needs data", use: Guard, rule: limit("requests", plan.LT, 10), ev: fake{windows: arms("requests", few)}, want: Unknown, cause: CauseEvidence},
		{name: "guard downwards", use: Guard, rule: limit("requests", plan.LT, 10), ev: fake{windows: arms("requests", plenty(Window{Count: 3}))}, want: Met},
		// Other values.
		{name: "quantile", rule: limit("lcp", plan.LE, 2500), ev: fake{windows: arms("lcp", plenty(Window{Sketch: sketch(2190, 90)}))}, want: Met, why: "lcp is 2.21 s in this stage, limit 2.5 s"},
		{name: "quantile without loads", rule: limit("lcp", plan.LE, 2500), ev: fake{windows: arms("lcp", plenty(Window{}))}, want: Unknown, cause: CauseEvidence},
		{name: "quantile of few", rule: limit("lcp", plan.LE, 2500), ev: fake{windows: arms("lcp", Window{Sketch: sketch(9000, 3), Active: 3, Covered: time.Hour})},
			want: Unknown, cause: CauseEvidence, why: "3 of 20 users"},
		{name: "quantile in silence", rule: limit("lcp", plan.LE, 2500), ev: fake{windows: arms("lcp", plenty(Window{Sketch: sketch(1, 90)})), data: silent}, want: Unknown, cause: CauseNoData},
		{name: "ratio", rule: limit("error_rate", plan.LE, 0.01), ev: fake{windows: map[string][3]Window{
			"error_rate": {plenty(Window{})}, "errors": {plenty(Window{Count: 3})}, "requests": {plenty(Window{Count: 1000})}}},
			want: Met, why: "error_rate is 0.3%"},
		{name: "ratio of nothing", rule: limit("error_rate", plan.LE, 0.01), ev: fake{windows: arms("error_rate", plenty(Window{}))}, want: Unknown, cause: CauseEvidence},
		{name: "average", rule: limit("satisfaction", plan.GE, 4), ev: fake{windows: arms("satisfaction", plenty(Window{Count: 30, Sum: 99}))},
			want: NotMet, why: "satisfaction is 3.3 in this stage, needed >= 4"},
		{name: "gauge", rule: limit("memory", plan.LE, 2e9), ev: fake{windows: arms("memory", Window{Known: true, Value: 1.2e9, Last: start.Add(6 * time.Hour)})}, want: Met, why: "1.2 GB"},
		{name: "stale gauge", rule: limit("memory", plan.LE, 2e9), ev: fake{windows: arms("memory", Window{Known: true, Value: 1, Last: start.Add(5 * time.Hour)})}, want: Unknown, cause: CauseBlind},
		{name: "no gauge yet", rule: limit("memory", plan.LE, 2e9), ev: fake{windows: arms("memory", Window{})}, want: Unknown, cause: CauseEvidence},
		{name: "pushed values last a day", rule: limit("bundle_size", plan.LE, 5e5), ev: fake{windows: arms("bundle_size", Window{Known: true, Value: 4e5, Last: start.Add(-12 * time.Hour)})}, want: Met},
		{name: "an age may be old", rule: limit("backup_age", plan.LE, 864e5), ev: fake{windows: arms("backup_age", Window{Known: true, Value: 9e7, Last: start.Add(-19 * time.Hour)})}, want: NotMet},
		{name: "silence is what an age measures", use: Guard, rule: limit("telemetry_age", plan.GT, 18e5), ev: fake{windows: arms("telemetry_age", Window{Known: true, Value: 36e5}), data: silent}, want: Met},
		{name: "traffic", rule: limit("traffic", plan.GE, 0.1), want: Met},
		{name: "unknown metric", rule: limit("nonsense", plan.GE, 0.1), want: Unknown, cause: CauseNoSource},
		{name: "before the start", rule: limit("p1", plan.EQ, 0), place: func(p *Place) { p.StageBegan = time.Time{} }, want: Unknown, cause: CauseEvidence, why: notBegun},
		// Sources.
		{name: "source never delivered", rule: limit("satisfaction", plan.GE, 4), ev: fake{sources: map[string]Source{"satisfaction": {State: NeverDelivered, Name: "survey"}}},
			want: Unknown, cause: CauseNoSource, why: "survey"},
		{name: "source fails", use: Guard, rule: limit("memory", plan.GE, 4), ev: fake{sources: map[string]Source{"memory": {State: Failing, Name: "prometheus", Error: "connection refused", Since: start}}},
			want: Unknown, cause: CauseBlind, why: "prometheus has been silent for 6h: connection refused"},
		{name: "default without data", rule: byDefault(versus("lcp", plan.LE, 0.05)), ev: fake{data: alive, sources: map[string]Source{"lcp": {State: NeverDelivered}}},
			want: Met, why: "does not apply: no data for lcp ever"},
		{name: "default guard without data", use: Guard, rule: byDefault(versus("lcp", plan.GT, 0.3)), ev: fake{data: alive, sources: map[string]Source{"lcp": {State: NeverDelivered}}}, want: NotMet},
		{name: "default before any event", rule: byDefault(versus("lcp", plan.LE, 0.05)), ev: fake{sources: map[string]Source{"lcp": {State: NeverDelivered}}}, want: Unknown, cause: CauseEvidence},
		{name: "a written rule always applies", rule: versus("lcp", plan.LE, 0.05), ev: fake{data: alive, sources: map[string]Source{"lcp": {State: NeverDelivered}}}, want: Unknown, cause: CauseEvidence},
		// Expected.
		{name: "adoption as expected", rule: ref(limit("adoption", plan.GE, -0.2), plan.Expected), ev: fake{windows: arms("adoption", plenty(Window{Value: 0.09}))},
			want: Met, why: "adoption is 9% in this stage, expected 10% (-10%)"},
		{name: "concurrent too high", use: Guard, rule: ref(limit("concurrent", plan.GT, 0.5), plan.Expected), ev: fake{windows: arms("concurrent", plenty(Window{Value: 190}))}, want: Met},
		{name: "nothing expected", rule: ref(limit("adoption", plan.GE, -0.2), plan.Expected), place: func(p *Place) { p.Exposure = 0 }, want: Unknown, cause: CauseEvidence},
		// References.
		{name: "no control", rule: versus("errors", plan.LE, 0.1), place: func(p *Place) { p.ControlShare = 0 }, want: Unknown, cause: CauseNoControl},
		{name: "reference falls back", rule: ref(limit("errors", plan.LE, 0.1), plan.Reference), place: func(p *Place) { p.ControlShare = 0.04 }, want: Unknown, cause: CauseNoControl, why: "no hours are kept to compare with a baseline"},
		{name: "guard never acts on the baseline", use: Guard, rule: ref(limit("errors", plan.GT, 0.1), plan.Reference), place: func(p *Place) { p.ControlShare = 0 },
			ev: fake{tests: map[string]Tests{"errors": counted(500, 10)}}, want: Unknown, cause: CauseNoControl},
		{name: "baseline", rule: ref(limit("memory", plan.LE, 0.1), plan.Baseline), want: Unknown, cause: CauseEvidence},
		{name: "system metric", rule: versus("memory", plan.LE, 0.1), want: Unknown, cause: CauseNoControl},
		{name: "mismatch", rule: versus("errors", plan.LE, 0.1), ev: fake{data: Data{Mismatch: true}}, want: Unknown, cause: CauseQuality},
		{name: "guard fires after a mismatch was accepted", use: Guard, rule: over(versus("errors", plan.GT, 0.5), 24*time.Hour), place: func(p *Place) { p.MismatchAccepted = true },
			ev: fake{data: Data{Mismatch: true}, windows: arms("errors", Window{}, Window{Users: 41, Count: 60}, Window{Users: 118}), tests: map[string]Tests{"errors": counted(60, 170)}}, want: Met},
		{name: "means", rule: versus("satisfaction", plan.GE, -0.1), want: Unknown, cause: CauseEvidence},
		// Counts against control.
		{name: "nothing to compare", rule: versus("errors", plan.LE, 0.1), want: Unknown, cause: CauseEvidence, why: "nothing to compare yet"},
		{name: "not proved", rule: versus("errors", plan.LE, 0.1), ev: fake{windows: arms("errors", plenty(Window{})), tests: map[string]Tests{"errors": counted(4, 36)}},
			want: Unknown, cause: CauseEvidence, why: "users affected are needed if nothing is wrong, 40 so far, about 58d more"},
		{name: "users are saturated, events are worse", rule: versus("errors", plan.LE, 0.5), ev: fake{windows: arms("errors", Window{Active: 500}), tests: map[string]Tests{"errors": events(counted(30, 470), 300, 1000)}},
			want: Unknown, cause: CauseEvidence, why: "not yet proved to be within +50%"},
		{name: "users are saturated since a revision", rule: versus("errors", plan.LE, 0.5), ev: fake{in: func(_ string, _ Group, from, _ time.Time) Window {
			if from.Before(start.Add(time.Hour)) {
				return Window{Active: 90000}
			}
			return Window{Active: 500}
		}, tests: map[string]Tests{"errors": since(events(counted(30, 470), 300, 1000), start.Add(time.Hour))}},
			want: Unknown, cause: CauseEvidence, why: "not yet proved to be within +50%"},
		{name: "users are saturated, events are not counted", rule: versus("errors", plan.LE, 0.5), ev: fake{windows: arms("errors", Window{Active: 500}), tests: map[string]Tests{"errors": events(counted(30, 470), 0, 0)}},
			want: Unknown, cause: CauseEvidence, why: "470 of 500 control users are affected: their events have not been counted"},
		{name: "users are saturated, events are fine", rule: versus("errors", plan.LE, 0.5), ev: fake{windows: arms("errors", Window{Active: 500}), tests: map[string]Tests{"errors": events(counted(30, 470), 100, 3000)}}, want: Met},
		{name: "proved safe at low rates", rule: versus("errors", plan.LE, 0.5),
			ev:   fake{windows: arms("errors", Window{Active: 90000}), tests: map[string]Tests{"errors": counted(30, 470)}},
			want: Met, why: "proved not worse than +50%"},
		{name: "proved worse", rule: versus("errors", plan.LE, 0.1), ev: fake{windows: arms("errors", Window{Active: 90000}), tests: map[string]Tests{"errors": counted(60, 200)}},
			want: NotMet, why: "proved worse"},
		{name: "more is good, and there is less", rule: versus("sessions", plan.GE, -0.1), ev: fake{windows: arms("sessions", Window{Active: 90000}), tests: map[string]Tests{"sessions": counted(40, 900)}}, want: NotMet},
		{name: "more is good, and there is more", rule: versus("sessions", plan.GE, -0.5), ev: fake{windows: arms("sessions", Window{Active: 90000}), tests: map[string]Tests{"sessions": counted(140, 900)}}, want: Met},
		{name: "an improvement is proved", rule: versus("errors", plan.LE, -0.2), ev: fake{windows: arms("errors", Window{Active: 90000}), tests: map[string]Tests{"errors": counted(40, 900)}}, want: Met},
		{name: "an improvement among saturated users", rule: versus("errors", plan.LE, -0.2), ev: fake{windows: arms("errors", Window{Active: 1000}), tests: map[string]Tests{"errors": counted(40, 900)}},
			want: Unknown, cause: CauseEvidence, why: "900 of 1,000 control users are affected"},
		{name: "an improvement of a share", rule: versus("error_rate", plan.LE, -0.2), ev: fake{tests: map[string]Tests{"error_rate": {Stage: []int{0}, Blocks: []stats.Block{{BadNew: 100, New: 20000, BadOld: 240, Old: 20000}}}}}, want: Met},
		{name: "an improvement of a share in bursts", rule: versus("error_rate", plan.LE, -0.2), ev: fake{tests: map[string]Tests{"error_rate": {Stage: []int{0}, Phi: 20, Blocks: []stats.Block{{BadNew: 100, New: 20000, BadOld: 240, Old: 20000}}}}}, want: Unknown, cause: CauseEvidence, why: "not proved either way"},
		{name: "an improvement is not proved", rule: versus("errors", plan.LE, -0.2), ev: fake{windows: arms("errors", Window{Active: 90000}), tests: map[string]Tests{"errors": counted(80, 900)}}, want: Unknown, cause: CauseEvidence},
		// Guards against control.
		{name: "guard fires", use: Guard, rule: over(versus("errors", plan.GT, 0.5), 24*time.Hour),
			ev:   fake{windows: arms("errors", Window{}, Window{Users: 41, Count: 60}, Window{Users: 118}), tests: map[string]Tests{"errors": counted(60, 170)}},
			want: Met, why: "errors are +213% against control over 24h, +218% since it began (95% interval +79% … +438%), limit +50%; 60 users affected on new, 170 on control, evidence over 1,000,000 to 1, needed 112 to 1"},
		{name: "guard waits when the window is quiet", use: Guard, rule: over(versus("errors", plan.GT, 0.5), time.Hour),
			ev:   fake{windows: arms("errors", Window{}, Window{Users: 2}, Window{Users: 24}), tests: map[string]Tests{"errors": counted(60, 170)}},
			want: NotMet, harm: true, why: "in the window it is below the limit"},
		{name: "guard sees nothing", use: Guard, rule: over(versus("errors", plan.GT, 0.5), time.Hour),
			ev: fake{windows: arms("errors", Window{}, Window{Users: 2}, Window{Users: 24}), tests: map[string]Tests{"errors": counted(6, 50)}}, want: NotMet},
		{name: "guard counts events where no user is known", use: Guard, rule: over(versus("errors", plan.GT, 0.5), time.Hour),
			ev: fake{windows: arms("errors", Window{}, Window{Count: 41}, Window{Count: 118}), tests: map[string]Tests{"errors": counted(60, 170)}}, want: Met},
		{name: "an alert on a metric that no acting rule compares", use: Guard, rule: versus("requests", plan.GT, 0.5), place: func(p *Place) { p.Levels = nil },
			ev: fake{windows: arms("requests", Window{}, Window{Users: 41}, Window{Users: 118}), tests: map[string]Tests{"requests": counted(60, 170)}}, want: Met, why: "needed 100 to 1"},
		{name: "no budget", use: Guard, rule: versus("errors", plan.GT, 0.5), place: func(p *Place) { p.Levels = nil },
			ev: fake{windows: arms("errors", Window{Users: 5}), tests: map[string]Tests{"errors": counted(60, 10)}}, want: Unknown, cause: CauseEvidence},
		// Quantiles against control.
		{name: "slower", use: Guard, rule: over(versus("lcp", plan.GT, 0.3), time.Hour),
			ev: fake{windows: arms("lcp", Window{}, Window{Sketch: sketch(3000, 100)}, Window{Sketch: sketch(2000, 900)}),
				tests: map[string]Tests{"lcp": shifted(60, 20, 0.05, 0.15)}}, want: Met, why: "lcp is +50% against control over 1h (3.01 s, control 2 s)"},
		{name: "slower, but less than the rule", use: Guard, rule: over(versus("lcp", plan.GT, 0.3), time.Hour),
			ev: fake{windows: arms("lcp", Window{}, Window{Sketch: sketch(2300, 100)}, Window{Sketch: sketch(2000, 900)}),
				tests: map[string]Tests{"lcp": shifted(60, 20, 0.05, 0.15)}}, want: NotMet, harm: true},
		{name: "margins not counted", use: Guard, rule: over(versus("lcp", plan.GT, 0.3), time.Hour),
			ev: fake{tests: map[string]Tests{"lcp": shifted(60, 20, 0.4)}}, want: Unknown, cause: CauseEvidence, why: "no blocks were counted at the margin +5%"},
		{name: "proved not slower", rule: versus("lcp", plan.LE, 0.05), ev: fake{windows: arms("lcp", Window{Sketch: sketch(2000, 100)}),
			tests: map[string]Tests{"lcp": shifted(17, 40, 0.05)}}, want: Met},
		{name: "proved slower", rule: versus("lcp", plan.LE, 0.05), ev: fake{tests: map[string]Tests{"lcp": shifted(45, 20, 0.05)}}, want: NotMet},
		// Proportions against control.
		{name: "rare proportion doubles", rule: versus("error_rate", plan.LE, 0.1), ev: fake{tests: map[string]Tests{"error_rate": {Blocks: []stats.Block{{BadNew: 80, New: 1000, BadOld: 270, Old: 9000}}}}}, want: NotMet},
		{name: "common proportion grows", rule: versus("error_rate", plan.LE, 0.1), ev: fake{tests: map[string]Tests{"error_rate": {Blocks: slow(45, 20)}}}, want: NotMet},
		{name: "good proportion falls", rule: versus("crash_free", plan.GE, -0.02), ev: fake{tests: map[string]Tests{"crash_free": {Blocks: slow(45, 20)}}}, want: NotMet},
		{name: "good proportion holds", rule: versus("crash_free", plan.GE, -0.1), ev: fake{tests: map[string]Tests{"crash_free": {Blocks: slow(25, 60)}}}, want: Met},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := place()
			if c.place != nil {
				c.place(&p)
			}
			got, _ := Judge(testPlan(), []*plan.Rule{c.rule}, c.use, p, &c.ev, nil, start.Add(6*time.Hour))
			v := got[0]
			if v.Status != c.want || v.Cause != c.cause || v.Harm != c.harm {
				t.Errorf("got %v (%q) harm %v, want %v (%q) harm %v: %s", v.Status, v.Cause, v.Harm, c.want, c.cause, c.harm, v.Why)
			}
			if v.Why == "" || !strings.Contains(v.Why, c.why) {
				t.Errorf("why %q does not say %q", v.Why, c.why)
			}
			if _, err := json.Marshal(v); err != nil {
				t.Errorf("not storable: %v", err)
			}
		})
	}
}

func TestOrderAndPurity(t *testing.T) {
	p := testPlan()
	rules := []*plan.Rule{limit("p1", plan.EQ, 0), limit("errors", plan.LE, 9), limit("p1", plan.EQ, 0)}
	ev := &fake{windows: arms("p1", plenty(Window{}))}
	held := Held{"other rule": start}
	first, next := Judge(p, rules, Gate, place(), ev, held, start.Add(time.Hour))
	second, _ := Judge(p, rules, Gate, place(), ev, held, start.Add(time.Hour))
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("the same input gives another answer: %s", diff)
	}
	for i, v := range first {
		if v.Metric != rules[i].Metric {
			t.Errorf("verdict %d is about %s", i, v.Metric)
		}
	}
	if diff := cmp.Diff(Held{"other rule": start}, held); diff != "" {
		t.Errorf("held was changed: %s", diff)
	}
	if !next["other rule"].Equal(start) {
		t.Errorf("the entry of another list was lost: %v", next)
	}
}

func TestHold(t *testing.T) {
	const bad, good, blind = 'b', 'g', '?'
	for _, c := range []struct {
		name, looks string // one look a minute
		use         Use
		want        string // M met, N not met, U unknown
	}{
		{"guard waits", "bbbbbb", Guard, "NNNNNM"},
		{"one good look starts again", "bbbgbbbbbb", Guard, "NNNNNNNNNM"},
		{"unknown stops the count", "bb???bbbb", Guard, "NNUUUNNNM"},
		{"after grace it starts again", "bbbb????????????bbbbbb", Guard, "NNNNUUUUUUUUUUUUNNNNNM"},
		{"gates are unknown until then", "gggggg", Gate, "UUUUUM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := testPlan()
			r := limit("memory", plan.GT, 5)
			if c.use == Gate {
				r.Op = plan.LE
			}
			r.For = 5 * time.Minute
			var held Held
			var got strings.Builder
			for i, look := range c.looks {
				now := start.Add(time.Duration(i) * time.Minute)
				w := Window{Known: true, Value: map[rune]float64{bad: 9, good: 1}[look], Last: now}
				ev := &fake{windows: arms("memory", w)}
				if look == blind {
					ev.sources = map[string]Source{"memory": {State: Failing}}
				}
				var v []Verdict
				v, held = Judge(p, []*plan.Rule{r}, c.use, place(), ev, held, now)
				got.WriteString(map[Status]string{Met: "M", NotMet: "N", Unknown: "U"}[v[0].Status])
			}
			if got.String() != c.want {
				t.Errorf("got  %s\nwant %s", got.String(), c.want)
			}
		})
	}
}

func TestWorst(t *testing.T) {
	met, no, dunno := Verdict{Status: Met}, Verdict{Status: NotMet}, Verdict{}
	dry := Verdict{Status: NotMet, Dry: true}
	for _, c := range []struct {
		in   []Verdict
		want Status
	}{
		{nil, Met}, {[]Verdict{met, dry}, Met}, {[]Verdict{met, dunno, met}, Unknown},
		{[]Verdict{dunno, no}, NotMet}, {[]Verdict{no, dunno, met}, NotMet},
	} {
		if got := Worst(c.in); got != c.want {
			t.Errorf("Worst(%v) = %v want %v", c.in, got, c.want)
		}
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		value float64
		unit  string
		want  string
	}{
		{412, "ms", "412 ms"}, {2214, "ms", "2.21 s"}, {0.4, "ms", "0.4 ms"}, {999.7, "ms", "1 s"},
		{210e3, "ms", "3.5 min"}, {9e6, "ms", "2.5 h"}, {3 * 864e5, "ms", "3 d"},
		{0.00056, "%", "0.056%"}, {1, "%", "100%"}, {0.125, "%", "12.5%"},
		{1.2e6, "B", "1.2 MB"}, {412e3, "B", "412 kB"}, {12, "B", "12 B"},
		{20000, "", "20,000"}, {4.123, "", "4.12"}, {0, "ms", "0 ms"}, {-1234567, "", "-1,234,567"},
		{0.02, "%/h", "2%/h"}, {3, "conn", "3 conn"}, {math.Inf(1), "ms", "∞"}, {math.NaN(), "", "none"}, {1e300, "", "1e+300"},
	} {
		if got := Format(c.value, c.unit); got != c.want {
			t.Errorf("Format(%v, %q) = %q want %q", c.value, c.unit, got, c.want)
		}
	}
}

func TestLevels(t *testing.T) {
	begun := testPlan()
	begun.Metrics["lcp"].Weight = 2
	begun.Rollback = []*plan.Rule{versus("errors", plan.GT, 0.5), versus("errors", plan.GT, 0.9), versus("lcp", plan.GT, 0.3),
		limit("p1", plan.GT, 5), ref(limit("memory", plan.GT, 0.1), plan.Baseline)}
	begun.Reduce = []*plan.Rule{versus("errors", plan.GT, 0.2)}
	revised := func(change func(*plan.Plan)) *plan.Plan {
		p := *begun
		change(&p)
		return &p
	}
	without := revised(func(p *plan.Plan) { p.Rollback = p.Rollback[:2] })
	looser := revised(func(p *plan.Plan) {
		p.Rollback = []*plan.Rule{begun.Rollback[0], begun.Rollback[1], versus("lcp", plan.GT, 0.4)}
	})
	more := revised(func(p *plan.Plan) {
		p.Rollback = append([]*plan.Rule{versus("sessions", plan.GT, 0.5)}, p.Rollback...)
	})
	for _, tt := range []struct {
		name      string
		now       *plan.Plan
		revisions int
		want      map[string]float64
	}{
		{"as it began", begun, 0, map[string]float64{"errors": 0.9 / 3, "lcp": 0.9 * 2 / 3}},
		{"a rule taken away gives the others no more", without, 1, map[string]float64{"errors": 0.9 / 3}},
		{"a changed rule begins again with what revisions have", looser, 1, map[string]float64{"errors": 0.9 / 3, "lcp": 0.1 / 2 * 2 / 3}},
		{"the third revision has less", looser, 3, map[string]float64{"errors": 0.9 / 3, "lcp": 0.1 / 8 * 2 / 3}},
		{"a new metric", more, 1, map[string]float64{"errors": 0.9 / 3, "lcp": 0.9 * 2 / 3, "sessions": 0.1 / 2 / 4}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Levels(begun, tt.now, tt.revisions, 0.01)
			var sum float64
			for metric, want := range tt.want {
				if math.Abs(got[metric]-0.01*want) > 1e-12 {
					t.Errorf("%s has %v, want %v", metric, got[metric], 0.01*want)
				}
			}
			for metric, level := range got {
				sum += level
				if _, ok := tt.want[metric]; !ok {
					t.Errorf("%s has %v, and is not compared by a rule that acts", metric, level)
				}
			}
			if sum > 0.01+1e-12 {
				t.Errorf("the levels sum to %v, more than the budget", sum)
			}
		})
	}
}

// TestLevelsThereAndBack: a revision that gives a metric its first rules back does
// not give its first budget back: that was spent on what began before.
func TestLevelsThereAndBack(t *testing.T) {
	p := testPlan()
	if got, want := Levels(p, p, 2, 0.01, "errors")["errors"], 0.01*0.1/4; math.Abs(got-want) > 1e-12 {
		t.Errorf("level %g, want %g", got, want)
	}
}

func TestShifts(t *testing.T) {
	p := testPlan()
	p.Rollback = append(p.Rollback, versus("lcp", plan.GT, 0.3))
	p.Stages = []plan.Stage{{Proceed: []*plan.Rule{versus("lcp", plan.LE, 0.02), limit("lcp", plan.LE, 2500)}}}
	want := []int{1, 2, 5, 15, 27}
	if diff := cmp.Diff(want, Shifts(p, "lcp")); diff != "" {
		t.Error(diff)
	}
	if got := Shifts(p, "p1"); got != nil {
		t.Errorf("shifts of a metric that is not compared: %v", got)
	}
}

func BenchmarkJudge(b *testing.B) {
	p := testPlan()
	ev := &fake{
		windows: arms("errors", plenty(Window{Count: 3, Users: 3})),
		tests:   map[string]Tests{"errors": counted(60, 400), "lcp": shifted(30, 500, 0.05, 0.15)},
	}
	for _, m := range []string{"p1", "requests"} {
		ev.windows[m] = ev.windows["errors"]
	}
	ev.windows["lcp"] = [3]Window{plenty(Window{Sketch: sketch(2000, 90)}), plenty(Window{Sketch: sketch(2000, 90)}), plenty(Window{Sketch: sketch(2000, 90)})}
	var rules []*plan.Rule
	for range 10 {
		rules = append(rules, limit("p1", plan.LE, 5), versus("errors", plan.GT, 0.5), limit("error_rate", plan.LE, 0.1), versus("lcp", plan.GT, 0.3))
	}
	b.ReportAllocs()
	for b.Loop() {
		Judge(p, rules, Guard, place(), ev, nil, start.Add(6*time.Hour))
	}
}
