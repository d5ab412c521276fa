package rollout

import (
	"unicode"
	"unicode/utf8"

	"serin/internal/plan"
)

// Explained is a decision together with all that it looked at.
type Explained struct {
	State    State    // after the decision
	Events   []Event  // as Decide returns them
	Refusal  *Refusal // of the command, or nil
	Looks    []Look   // in the order of looking
	Decided  string   // name of the look that decided; "" = there is no rollout yet
	Sentence string   // the decision in one sentence
	Next     []string // what would have come next, main reason first
}

// Explain decides and tells what was looked at. It is Decide itself that
// notes its looks, so the two cannot disagree. Looks behind the one that
// decided say how they stood at that moment.
func Explain(p *plan.Plan, s State, in Input) Explained {
	d := begin(p, s, in)
	d.trace = &trace{}
	refusal := d.decide()
	x := Explained{State: d.s, Events: d.events, Refusal: refusal, Looks: d.trace.looks(), Decided: d.trace.decided}
	behind := false
	for i := range x.Looks {
		l := &x.Looks[i]
		switch {
		case l.Name == x.Decided:
			l.Outcome, behind = Decided, true
		case behind && l.Outcome == Holds:
			x.Next = append(x.Next, l.Text)
		}
	}
	if n := len(x.Looks); n > 0 && x.Next == nil && s.Status == Running && d.s.Status == Running && x.Decided != lookAdvance && x.Decided != lookCommand {
		x.Next = []string{"advance to " + d.nextPlace()}
	}
	x.Sentence = capital(d.sentence(in.Command, refusal))
	return x
}

// sentence is the decision in one sentence.
func (d *decision) sentence(c *Command, refusal *Refusal) string {
	if refusal != nil && d.trace.decided == lookCommand {
		return "refused: " + refusal.Why
	}
	for _, e := range d.events {
		if d.trace.tells(e, c) {
			title, _ := Title(d.p, e)
			return title
		}
	}
	switch d.trace.decided {
	case "":
		return "there is no such rollout yet"
	case lookCommand:
		return "answered before: the same command came again"
	case lookStatus:
		return "why at " + percent(d.s.Exposure) + ": " + d.standsAs()
	}
	for _, l := range d.trace.up {
		if l.Name == d.trace.decided {
			return "why still at " + percent(d.s.Exposure) + ": " + l.Text
		}
	}
	return d.trace.decided
}

// trace notes what a decision looks at. A nil trace notes nothing.
type trace struct {
	down    []Look
	asked   *Look
	up      []Look
	decided string
}

func (t *trace) looks() []Look {
	out := append([]Look{}, t.down...)
	if t.asked != nil {
		out = append(out, *t.asked)
	}
	return append(out, t.up...)
}

// lowering notes the looks at what takes traffic back, and how everything
// behind them stands before it.
func (t *trace) lowering(d *decision) {
	if t != nil {
		t.down, t.up = d.looksDown(), d.looksUp()
	}
}

// rising notes the looks at status and gates, as the end of the decision sees them.
func (t *trace) rising(d *decision) {
	if t != nil {
		t.up = d.looksUp()
	}
}

// decides notes which look decided; the first one holds.
func (t *trace) decides(look string) {
	if t != nil && t.decided == "" {
		t.decided = look
	}
}

// command notes what came of a command.
func (t *trace) command(c *Command, r *Refusal, moved bool) {
	if t == nil || c == nil {
		return
	}
	t.asked = &Look{Name: lookCommand, Outcome: Took, Text: asker(c) + ": done"}
	if r != nil {
		t.asked.Outcome, t.asked.Text = Holds, asker(c)+": refused, "+r.Why
	}
	if r != nil || moved {
		t.decides(lookCommand)
	}
}

// answered notes a command that has nothing left to do.
func (t *trace) answered(c *Command) {
	if t != nil {
		t.asked = &Look{Name: lookCommand, Outcome: Holds, Text: asker(c) + ": it is done already"}
		t.decides(lookCommand)
	}
}

func asker(c *Command) string {
	text := string(c.Verb)
	if c.By != "" {
		text += " by " + c.By
	}
	if c.Role != "" {
		text += " (" + c.Role + ")"
	}
	return text
}

// tells reports whether e is the event that says what was decided.
func (t *trace) tells(e Event, c *Command) bool {
	switch t.decided {
	case lookRollback, lookSilence:
		return e.Type == RolledBackEvent || e.Type == RevertNeeded
	case lookReduce:
		return e.Type == ReducedEvent
	case lookCommand:
		return e.By != "" && e.By == c.By && e.Type != Baked || e.Type == Created
	case lookAdvance:
		return e.Type == Advanced && e.By == ""
	case lookStatus:
		return e.Type == Finished
	}
	return false
}

func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}
