package judge

import (
	"math"
	"strings"
	"testing"

	"serin/internal/plan"
	"serin/internal/stats"
)

// scored are users with one score each around a mean, one apart.
func scored(users int64, mean float64) stats.Moments {
	var m stats.Moments
	for i := range users {
		m.AddUser(1, mean+float64(i%3-1), 1)
	}
	return m
}

func TestMeans(t *testing.T) {
	at := func(canary, control float64, users int64) fake {
		w := plenty(Window{})
		a, b := w, w
		a.Count, a.Sum = users, canary*float64(users)
		b.Count, b.Sum = 9*users, control*float64(9*users)
		return fake{windows: map[string][3]Window{"satisfaction": {a, a, b}}, tests: map[string]Tests{"satisfaction": {
			Odds: []float64{1. / 9}, Stage: []int{0}, Means: []stats.MeanStratum{{New: scored(users, canary), Old: scored(9*users, control)}},
		}}}
	}
	gate := versus("satisfaction", plan.GE, -0.05)
	guard := versus("satisfaction", plan.LT, -0.10)
	for _, c := range []struct {
		name string
		rule *plan.Rule
		use  Use
		ev   fake
		want Status
		why  string
	}{
		{"as good", gate, Gate, at(4, 4, 2000), Met, "proved not worse than -5%"},
		{"better", gate, Gate, at(4.5, 4, 2000), Met, "+12%"},
		{"worse", gate, Gate, at(3.2, 4, 2000), NotMet, "proved worse"},
		{"few", gate, Gate, at(3, 4, 80), Unknown, "needs 100 users"},
		{"not proved", gate, Gate, at(3.9, 4, 120), Unknown, "not yet proved"},
		{"no scale", gate, Gate, at(-1, -1, 500), Unknown, "not positive"},
		{"guard", guard, Guard, at(3, 4, 2000), Met, "2,000 users on new, 18,000 on control, evidence"},
		{"guard, as good", guard, Guard, at(4, 4, 2000), NotMet, ""},
		{"guard, half of it", guard, Guard, at(3.8, 4, 3000), NotMet, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := verdictOf(t, c.rule, c.use, &c.ev, place(), 6e12)
			if v.Status != c.want || !strings.Contains(v.Why, c.why) {
				t.Errorf("got %s %q, want %s %q", v.Status, v.Why, c.want, c.why)
			}
			if v.Status != Unknown && (!v.Approx || v.Low == nil || v.High == nil || math.IsNaN(*v.Low)) {
				t.Errorf("approximate %v, interval %v", v.Approx, v.Low)
			}
		})
	}
}
