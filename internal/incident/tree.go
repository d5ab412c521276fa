package incident

import (
	"fmt"
	"math"
	"strconv"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
)

// Answer is what one branch of the decision tree says now.
type Answer struct {
	Branch   int          `json:"branch"`       // from 0
	If       string       `json:"if,omitempty"` // as written; "" = always
	Do       string       `json:"do"`
	Percent  flag.Percent `json:"percent,omitempty"` // of reduce
	Then     []plan.Then  `json:"then,omitempty"`
	Status   judge.Status `json:"status"`          // met, not met or unknown
	Value    string       `json:"value,omitempty"` // with unit; "" = none was measured
	Limit    string       `json:"limit,omitempty"`
	Why      string       `json:"why"`
	Proposed bool         `json:"proposed"` // the first that holds
	// Users is how many of Impact.Users the outcome leaves on the new variant.
	Users int64 `json:"users"`
}

// TrafficMetric is the metric that only a decision tree knows: the exposure.
const TrafficMetric = "traffic"

// Tree answers every branch. verdicts are those of the branches' rules; a
// missing one is unknown. The first branch that holds is proposed. Unknown
// ones are passed over, and Unsure tells of them.
func Tree(p *plan.Plan, verdicts map[*plan.Rule]judge.Verdict, i Impact) []Answer {
	if p == nil {
		return nil
	}
	out := make([]Answer, 0, len(p.Incident.Tree))
	proposed := false
	for n, b := range p.Incident.Tree {
		a := Answer{Branch: n, Do: b.Do, Percent: b.Traffic, Then: b.Then, Users: After(b.Do, b.Traffic, i)}
		a.answer(b.If, verdicts, i.Exposure)
		if a.Status == judge.Met && !proposed {
			a.Proposed, proposed = true, true
		}
		out = append(out, a)
	}
	return out
}

func (a *Answer) answer(r *plan.Rule, verdicts map[*plan.Rule]judge.Verdict, exposure flag.Percent) {
	if r == nil {
		a.Status, a.Why = judge.Met, "otherwise"
		return
	}
	a.If = r.Text
	if r.Metric == TrafficMetric {
		a.Status, a.Value, a.Limit = judge.NotMet, percent(exposure), strconv.FormatFloat(100*r.Value, 'f', -1, 64)+"%"
		if r.Op.Compare(round(float64(exposure)/float64(flag.Everyone)), round(r.Value)) {
			a.Status = judge.Met
		}
		a.Why = "traffic is " + a.Value
		return
	}
	v, ok := verdicts[r]
	if !ok {
		a.Status, a.Why = judge.Unknown, "the evidence could not be read"
		return
	}
	a.Status, a.Why, a.Limit = v.Status, v.Why, judge.Format(v.Limit, v.Unit)
	if v.Value == nil {
		return
	}
	a.Value = judge.Format(*v.Value, v.Unit)
	if v.Status == judge.Unknown && v.Cause == judge.CauseEvidence && r.Ref == plan.None {
		// The judge wants more users before it calls a count low. The tree asks
		// what was counted so far.
		a.Status, a.Why = judge.NotMet, fmt.Sprintf("%s is %s so far, limit %s", r.Metric, a.Value, a.Limit)
		if r.Op.Compare(*v.Value, v.Limit) {
			a.Status = judge.Met
		}
	}
}

// round takes away what a share of floating point has too much.
func round(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// Unsure reports whether a branch before the proposed one is unknown: the tree
// might propose that one if it could see.
func Unsure(tree []Answer) bool {
	for _, a := range tree {
		if a.Proposed {
			return false
		}
		if a.Status == judge.Unknown {
			return true
		}
	}
	return false
}

// Proposal is the branch that is proposed, nil = none.
func Proposal(tree []Answer) *Answer {
	for i := range tree {
		if tree[i].Proposed {
			return &tree[i]
		}
	}
	return nil
}

// After is how many of the users on the new variant an outcome leaves there,
// in proportion to traffic.
func After(do string, to flag.Percent, i Impact) int64 {
	switch do {
	case Rollback, Hotfix:
		return 0
	case Reduce:
		if i.Exposure > 0 && to < i.Exposure {
			return int64(math.Round(float64(i.Users) * float64(to) / float64(i.Exposure)))
		}
	}
	return i.Users
}

func percent(p flag.Percent) string {
	return strconv.FormatFloat(float64(p)*100/float64(flag.Everyone), 'f', -1, 64) + "%"
}

func words(do string, to flag.Percent) string {
	if do == Reduce {
		return "reduce " + percent(to)
	}
	return do
}
