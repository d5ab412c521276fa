package statbench

import (
	"fmt"
	"testing"

	"serin/internal/simulate"
)

// contenders are the judges that are compared, on the same events.
func contenders() ([]bench, []*tally) {
	j := newTested(oncePerStart)
	return []bench{j, &fixedLimits{}, &mannWhitney{}, &failedChecks{}, &repeatedZ{}}, []*tally{j.tally}
}

var contenderNames = []string{"serin (harm shown)", "fixed limits", "Mann-Whitney", "failed checks", "repeated z"}

// scenario is a row of the comparison.
type scenario struct {
	name    string
	traffic traffic
	quick   int     // runs in every test run; 0 = none
	most    float64 // of plans that may be rolled back, before standard errors; 1 = a regression
}

// sizeName writes page views a day.
func sizeName(views float64) string {
	if views >= 1e6 {
		return fmt.Sprintf("%g M", views/1e6)
	}
	return fmt.Sprintf("%g k", views/1e3)
}

// healthy are all rate models, sizes and crowds without an effect, and the edge
// of the null: a canary that is worse by just the margin.
func healthy() []scenario {
	var out []scenario
	for _, views := range []float64{small, large} {
		for _, c := range crowds(views) {
			for _, s := range shapes {
				row := scenario{name: fmt.Sprintf("%s views, %s, %s", sizeName(views), s.name, c.name), traffic: site(s, views, c, 1), most: 0.01}
				if s == weekend && (views == small || c.users == 0) {
					row.quick = 40
				}
				out = append(out, row)
			}
		}
		edge := scenario{name: sizeName(views) + " views, weekend doubled, worse by the margin of 5 %", traffic: site(weekend, views, once(views), 1.05), most: 0.01}
		if views == large {
			edge.quick = 20
		}
		out = append(out, edge)
	}
	return out
}

// regressions show what the judges are worth.
func regressions() []scenario {
	late := site(weekend, large, once(large), 2)
	late.onset = lateOnset
	return []scenario{
		{"2 M views, weekend doubled, errors ×2", site(weekend, large, once(large), 2), 20, 1},
		{"2 M views, weekend doubled, bursts of 5, errors ×2", site(weekend, large, crowds(large)[1], 2), 0, 1},
		{"2 M views, weekend doubled, errors ×2 from the stage of 50 % on", late, 0, 1},
		{"20 k views, weekend doubled, errors ×5", site(weekend, small, once(small), 5), 0, 1},
		{"20 k views, weekend doubled, errors ×20", site(weekend, small, once(small), 20), 0, 1},
	}
}

// TestGate carries healthy plans through, with the shipped judge and its rivals
// on the same events: the shipped one may roll back, and show harm in, at most
// 1 % of plans plus three standard errors, in every row.
func TestGate(t *testing.T) {
	out := &table{section: "gate", head: append([]string{"plan of five stages", "plans"}, contenderNames...)}
	for i, row := range append(healthy(), regressions()...) {
		n := runs(t, row.quick)
		if n == 0 {
			out.add(row.name, "0", "", "", "", "", "")
			continue
		}
		results := cell(uint64(100+i), n, onErrors(t), row.traffic, contenders)
		out.add(append([]string{row.name, fmt.Sprint(n)}, row.cells(results)...)...)
		row.check(t, results)
	}
	out.publish(t)
}

// cells are the row's figures: false rollbacks, or how many were caught and when.
func (s scenario) cells(results [][]outcome) []string {
	var out []string
	for k := range contenderNames {
		p := share(len(results), func(i int) bool { return results[i][k].acted > 0 })
		text := percent(p)
		switch {
		case s.most == 1:
			var when []float64
			for i := range results {
				if at := results[i][k].acted; at > s.traffic.onset {
					when = append(when, hours(at-s.traffic.onset))
				}
			}
			early := share(len(results), func(i int) bool { at := results[i][k].acted; return at > 0 && at <= s.traffic.onset })
			text = percent(p - early)
			if len(when) > 0 {
				text += fmt.Sprintf(" in %.3g h", median(when))
			}
			if early > 0 {
				text += fmt.Sprintf(", %s before it began", percent(early))
			}
		case k == 0:
			text += fmt.Sprintf(" (%s)", percent(share(len(results), func(i int) bool { return results[i][k].harm > 0 })))
		}
		out = append(out, text)
	}
	return out
}

// check holds the shipped judge to the row's limit.
func (s scenario) check(t *testing.T, results [][]outcome) {
	n := len(results)
	acted := share(n, func(i int) bool { return results[i][0].acted > 0 })
	harm := share(n, func(i int) bool { return results[i][0].harm > 0 })
	if s.most == 1 {
		if acted < 0.9 {
			t.Errorf("%s: caught in %s of %d plans", s.name, percent(acted), n)
		}
		return
	}
	if limit := upTo(s.most, n); acted > limit || harm > limit {
		t.Errorf("%s: rolled back %s, harm shown %s of %d plans, at most %s may be", s.name, percent(acted), percent(harm), n, percent(limit))
	}
}

// TestShippedPlan plays the plan of eight lines, in which every default stands,
// with the state machine and five compared metrics at once: at most 1 % of
// healthy plans may be rolled back.
func TestShippedPlan(t *testing.T) {
	out := &table{section: "shipped plan", head: []string{"shipped default plan, five metrics", "plans", "rolled back", "by rule"}}
	p := shippedPlan(t)
	for i, views := range []float64{small, large} {
		for k, s := range shapes {
			quick := 0
			if views == small && s == weekend {
				quick = 20
			}
			n := runs(t, quick)
			name := fmt.Sprintf("%s views, %s", sizeName(views), s.name)
			if n == 0 {
				out.add(name, "0", "", "")
				continue
			}
			r, err := simulate.Run(p, simulate.Options{
				Traffic: s.simulated(views), Runs: n, Seed: uint64(200 + 10*i + k),
				Each: func(n int, f func(i int)) error { all(n, f); return nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			out.add(name, fmt.Sprint(n), percent(r.FalseRollback.P), byRule(r))
			if r.FalseRollback.P > gate(n) {
				t.Errorf("%s: rolled back %s of %d plans: %s", name, percent(r.FalseRollback.P), n, byRule(r))
			}
		}
	}
	out.publish(t)
}

// byRule says which rules rolled back.
func byRule(r simulate.Result) string {
	text := ""
	for _, g := range r.Guards {
		if g.Acts.Count > 0 {
			text += fmt.Sprintf("%d %s ", g.Acts.Count, g.Rule)
		}
	}
	if text == "" {
		return "–"
	}
	return text
}
