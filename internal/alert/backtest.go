package alert

import "time"

// Episode is one time in which a rule would have fired.
type Episode struct {
	Labels   Labels    `json:"labels,omitempty"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to,omitzero"` // zero = it still would
	Severity string    `json:"severity"`
	Value    *float64  `json:"value,omitempty"` // when it fired
}

// Backtest is what a rule would have done with what was counted.
type Backtest struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Looks    int       `json:"looks"` // instants looked at
	Episodes []Episode `json:"episodes"`
	Rises    int       `json:"rises"`   // times that the severity rose
	Highest  *float64  `json:"highest"` // value furthest beyond the limit, or nearest to it; nil = none was measured
	// HighestAt is when; zero = never.
	HighestAt time.Time `json:"highest_at,omitzero"`

	rule  Rule
	state State
	open  map[string]int // episode by group
}

// NewBacktest begins a back-test of r.
func NewBacktest(r Rule) *Backtest {
	return &Backtest{rule: r, open: map[string]int{}, Episodes: []Episode{}}
}

// Look takes the test one instant further; instants must ascend. It is Step
// itself that judges, so that a test says what the rule would have done.
func (b *Backtest) Look(e Evidence, at time.Time) {
	if b.Looks == 0 {
		b.From = at
	}
	b.Looks, b.To = b.Looks+1, at
	for _, read := range e.Readings {
		if read.Known && (b.Highest == nil || b.rule.worse(read.Value, *b.Highest)) {
			v := read.Value
			b.Highest, b.HighestAt = &v, at
		}
	}
	next, changes := Step(b.rule, b.state, e, at)
	b.state = next
	for _, c := range changes {
		key := c.Labels.Key()
		switch c.Kind {
		case Fired:
			b.open[key] = len(b.Episodes)
			b.Episodes = append(b.Episodes, Episode{Labels: c.Labels, From: at, Severity: c.Severity, Value: c.Value})
		case Rose:
			b.Rises++
			b.Episodes[b.open[key]].Severity = c.Severity
		case Ended:
			b.Episodes[b.open[key]].To = at
		}
	}
}
