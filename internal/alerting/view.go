package alerting

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"serin/internal/alert"
)

// View is a rule as pages, API and CLI show it.
type View struct {
	alert.Rule
	Phase    alert.Phase     `json:"phase"`
	Since    time.Time       `json:"since,omitzero"` // of the phase
	Groups   []GroupView     `json:"groups"`         // those that are not ok, firing first; of a rule without labels always its only one
	Silences []alert.Silence `json:"silences"`
	NoData   string          `json:"no_data,omitempty"`     // why it cannot see; "" = it can
	Why      string          `json:"why,omitempty"`         // of the last look
	Looked   time.Time       `json:"looked,omitzero"`       // last look; zero = not yet
	Failed   string          `json:"failed,omitempty"`      // why the last look was not possible
	Refused  int64           `json:"refused,omitempty"`     // sets of labels that were too many to follow
	Skipped  int64           `json:"not_counted,omitempty"` // events of exposed users that a plan's rule did not count
	// Unreachable are channels that this server cannot deliver to.
	Unreachable []string `json:"unreachable,omitempty"`
}

// GroupView is one set of labels of a View.
type GroupView struct {
	Key      string       `json:"key"`
	Labels   alert.Labels `json:"labels,omitempty"`
	Phase    alert.Phase  `json:"phase"`
	Since    time.Time    `json:"since"`
	Severity string       `json:"severity,omitempty"`
	Incident int64        `json:"incident,omitempty"`
	Value    *float64     `json:"value,omitempty"`
	Why      string       `json:"why,omitempty"`
	Acked    time.Time    `json:"acked,omitzero"`
	AckedBy  string       `json:"acked_by,omitempty"`
	Flapping bool         `json:"flapping,omitempty"`
	Silenced time.Time    `json:"silenced_until,omitzero"`
}

// List returns the rules of the projects that sees lets through: firing first,
// then pending, then those that cannot see, then by id.
func (e *Engine) List(sees func(project string) bool) []View {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := []View{}
	for _, w := range e.rules {
		if sees(w.rule.Project) {
			out = append(out, e.view(w))
		}
	}
	rank := map[alert.Phase]int{alert.Firing: 0, alert.Pending: 1, alert.NoData: 2}
	order := func(v View) int {
		if n, ok := rank[v.Phase]; ok {
			return n
		}
		return len(rank)
	}
	slices.SortFunc(out, func(a, b View) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Get returns one rule or store.ErrNotFound.
func (e *Engine) Get(id string) (View, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w, err := e.find(id)
	if err != nil {
		return View{}, err
	}
	return e.view(w), nil
}

// view shows a rule; the caller holds mu.
func (e *Engine) view(w *watched) View {
	s, now := w.state, e.o.Clock.Now()
	v := View{Rule: w.rule, Phase: s.Phase(), Groups: []GroupView{}, Silences: append([]alert.Silence{}, s.Silences...), NoData: s.BlindWhy,
		Why: w.why, Looked: s.At, Failed: w.failed, Refused: s.Refused, Skipped: w.skipped, Since: s.Blind}
	if firing := s.Firing(); v.Outside != "" && len(firing) > 0 {
		v.Severity = firing[0].Severity // its own is only where nobody says one
	}
	for _, g := range s.List() {
		out := GroupView{Key: g.Labels.Key(), Labels: g.Labels, Phase: g.Phase, Since: g.Since, Severity: g.Severity, Incident: g.Incident,
			Why: g.Why, Acked: g.Acked, AckedBy: g.AckedBy, Flapping: g.Flapping}
		if g.Known {
			value := g.Value
			out.Value = &value
		}
		if silence, ok := s.Silenced(g.Labels, now); ok {
			out.Silenced = silence.Until
		}
		if g.Phase == v.Phase && (v.Since.IsZero() || v.Phase != alert.NoData && len(v.Groups) == 0) {
			v.Since = g.Since
		}
		v.Groups = append(v.Groups, out)
	}
	for _, ch := range w.rule.Notify {
		if e.o.Knows != nil && !e.o.Knows(ch.Address) {
			v.Unreachable = append(v.Unreachable, ch.Address)
		}
	}
	return v
}

// Why says why a rule does or does not fire.
type Why struct {
	Alert    View           `json:"alert"`
	At       time.Time      `json:"at"`
	Past     bool           `json:"past,omitempty"` // looked up in stored counts, not now
	From     time.Time      `json:"from,omitzero"`  // the window is (From, At]; zero = the rule's own, such as a stage
	Lines    []string       `json:"lines"`          // sentences, main reason first
	Readings []ReadingView  `json:"readings"`
	Channels []ChannelWhy   `json:"channels,omitempty"` // of now
	History  []alert.Change `json:"history"`            // newest first
}

// ReadingView is the value of one set of labels.
type ReadingView struct {
	Labels alert.Labels `json:"labels,omitempty"`
	Value  *float64     `json:"value,omitempty"` // nil = none was measured
	Holds  bool         `json:"holds"`
	Why    string       `json:"why,omitempty"`
}

// ChannelWhy is why a channel was or was not told at the last look.
type ChannelWhy struct {
	alert.Channel
	Send   bool         `json:"send"`
	Reason alert.Reason `json:"reason"`
	Next   time.Time    `json:"next,omitzero"` // when time alone may change that
	Told   time.Time    `json:"told,omitzero"` // when it was last told of what fires
}

// historyShown is how many entries a Why has.
const historyShown = 100

// Why explains a rule as of now, or for a time in the past from stored counts.
// Errors wrap store.ErrNotFound; alert.ErrInvalid for a past that the rule
// cannot be asked about.
func (e *Engine) Why(ctx context.Context, id string, at time.Time) (Why, error) {
	e.mu.Lock()
	w, err := e.find(id)
	if err != nil {
		e.mu.Unlock()
		return Why{}, err
	}
	asked := *w
	out := Why{Alert: e.view(w), At: e.o.Clock.Now(), Readings: []ReadingView{}, History: []alert.Change{}}
	for _, ch := range w.rule.Notify {
		d := w.said[ch.Name]
		out.Channels = append(out.Channels, ChannelWhy{Channel: ch, Send: d.Send, Reason: d.Reason, Next: d.Next, Told: w.state.Sent[ch.Name].At})
	}
	e.mu.Unlock()

	var ev alert.Evidence
	if at.IsZero() {
		ev, err = e.evidence(&asked, out.At)
	} else {
		out.At, out.Past, out.Channels = at, true, nil
		ev, err = e.past(&asked, at)
	}
	if err != nil {
		return Why{}, err
	}
	if asked.rule.Over > 0 {
		out.From = out.At.Add(-asked.rule.Over)
	}
	for _, r := range ev.Readings {
		v := ReadingView{Labels: r.Labels, Why: r.Why, Holds: asked.rule.Holds(r)}
		if r.Known {
			value := r.Value
			v.Value = &value
		}
		out.Readings = append(out.Readings, v)
	}
	out.Lines = lines(out, ev)
	return out, e.history(ctx, id, &out)
}

// history adds what became of the rule.
func (e *Engine) history(ctx context.Context, id string, out *Why) error {
	found, err := e.o.Store.AlertHistory(ctx, id, historyShown)
	if err != nil {
		return err
	}
	for _, x := range found {
		var c alert.Change
		if err := json.Unmarshal(x.Data, &c); err != nil {
			return fmt.Errorf("history of alert %s: %w", id, err)
		}
		out.History = append(out.History, c)
	}
	return nil
}

// lines writes the reasons in sentences.
func lines(w Why, ev alert.Evidence) (out []string) {
	v := w.Alert
	holding := slices.ContainsFunc(w.Readings, func(r ReadingView) bool { return r.Holds })
	verb := "holds"
	if w.Past {
		verb = "held"
	}
	switch {
	case holding && v.Outside != "":
		out = append(out, fmt.Sprintf("%s says that it fires.", strings.ToUpper(v.Outside[:1])+v.Outside[1:]))
	case v.Outside != "":
		out = append(out, fmt.Sprintf("%s does not say that it fires.", strings.ToUpper(v.Outside[:1])+v.Outside[1:]))
	case holding:
		out = append(out, fmt.Sprintf("The condition %s %s.", v.Text, verb))
	case len(w.Readings) == 0:
		out = append(out, "Nothing that this rule counts arrived in the window.")
	default:
		out = append(out, fmt.Sprintf("The condition %s does not hold.", v.Text))
		if w.Past {
			out[0] = fmt.Sprintf("The condition %s did not hold.", v.Text)
		}
	}
	for _, r := range w.Readings[:min(len(w.Readings), linesShown)] {
		switch {
		case r.Why != "" && v.Outside != "":
			out = append(out, strings.TrimPrefix(r.Labels.String()+": ", ": ")+r.Why+".")
		case r.Why != "":
			out = append(out, r.Why+".")
		}
	}
	if ev.NoData != "" {
		out = append(out, "No data: "+ev.NoData+". Until that is over nothing resolves.")
	}
	if w.Past {
		return out
	}
	if v.Failed != "" {
		out = append(out, "The last look was not possible: "+v.Failed+".")
	}
	if v.Skipped > 0 {
		out = append(out, fmt.Sprintf("%d events of exposed users are not counted: they carry no tag of the scope and their arm is unknown.", v.Skipped))
	}
	for _, g := range v.Groups {
		if g.Phase == alert.Pending && v.For > 0 {
			out = append(out, fmt.Sprintf("Pending: it must hold for %s, until %s.", v.For, g.Since.Add(v.For).UTC().Format("15:04:05 UTC")))
		}
	}
	for _, ch := range w.Channels {
		text := fmt.Sprintf("Notice to %s: %s", ch.Name, ch.Reason)
		if !ch.Next.IsZero() {
			text += ", until " + ch.Next.UTC().Format("2 Jan 15:04:05 UTC")
		}
		out = append(out, text+".")
	}
	return out
}
