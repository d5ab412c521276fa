package web

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"serin/internal/controller"
	"serin/internal/judge"
	"serin/internal/rollout"
	"serin/internal/store"
)

// explainView is one decision: what was looked at, in which order, and what came of it.
type explainView struct {
	Class, Icon, Sentence string
	Now                   bool
	At                    stamp
	Revision              int
	Positions             string // "position 12" or "positions 12 to 14"
	Before, After         string // where the rollout stood; After is empty where nothing moved
	Proof                 pill   // computed again: same events, or not
	Differences           []string
	Missing               string
	Earlier, Later        string // addresses of the decisions around it
	Steps                 []explainStep
	Tail                  []explainStep // at the end, not looked at
	Next                  []string
	Command               *explainCommand
	Events                []entry
	Known                 [][2]string // numbers beside the verdicts
}

type explainStep struct {
	N           int
	Name, Text  string
	Pill        pill
	On          bool // it decided
	Sum         string
	Rules       []explainRule
	Open, Muted bool
	Skipped     bool
}

type explainRule struct {
	Name, Rule, Value, Limit, Why, Note string
	Pill                                pill
	Decides                             bool
}

type explainCommand struct{ Verb, By, Role, Via, Reason string }

// stepNames are the things that a decision looks at, in words.
var stepNames = map[string]string{
	"rollback": "Rollback rules", "silence": "Silence", "reduce": "Reduce rules", "command": "What a person asked for", "status": "Where it stands",
	"no data": "Data arrives", "blind": "Guards can see", "data incomplete": "Data is complete", "unattributed": "Telemetry is attributed",
	"telemetry loss by arm": "Both arms report alike", "srm": "The split is even", "judge version": "The judge is the same", "bake": "Bake", "criteria": "Criteria", "evidence": "Evidence",
	"decision": "Evidence, asks a person", "incident": "Incidents", "confirm": "Confirmations", "checklist": "Checklist of the next stage", "window": "Window and calendar",
	"approval": "Approval", "advance": "Advance",
}

func (s *server) explain(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	moment := r.URL.Query().Get("at")
	x, err := s.Rollouts.ExplainAt(r.Context(), v.ID, moment)
	var refused *rollout.Refusal
	switch {
	case errors.Is(err, store.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "There is no such decision", "The journal of "+v.ID+" has no such position, or the time lies before its beginning. Its rows link to what there is.")
		return
	case errors.As(err, &refused):
		status := http.StatusConflict
		if refused.Kind == rollout.Missing {
			status = http.StatusUnprocessableEntity
		}
		s.problem(w, r, status, "This cannot be explained", upper(refused.Why)+".")
		return
	case err != nil:
		s.fail(w, r, err)
		return
	}
	b := s.frame(v, visitOf(r.Context()), "journal", r)
	b.Explain = explainOf(x, v, s.Now())
	b.CLI = []string{"serin rollout explain " + v.ID}
	if moment != "" {
		b.CLI[0] += " --at " + shellWord(moment)
	}
	s.render(w, r, http.StatusOK, "explain", page{Title: v.Plan + ", why", Crumb: v.ID, Record: true, Dock: len(b.Dock) > 0, Live: x.Now, Body: b})
}

// shellWord writes s as one word of a POSIX shell, bare where that is safe.
func shellWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:+") == "" {
		return s
	}
	return quoted(s)
}

// explainURL is the page of the decision that wrote a position; 0 is now.
func explainURL(id string, pos int64) string {
	u := "/rollouts/" + id + "/explain"
	if pos > 0 {
		u += "?" + url.Values{"at": {strconv.FormatInt(pos, 10)}}.Encode()
	}
	return u
}

func explainOf(x controller.Explanation, v controller.View, now time.Time) *explainView {
	out := &explainView{Sentence: upper(x.Sentence), Now: x.Now, At: onDay(x.At, now), Revision: x.Revision, Before: standing(x.Before), Missing: x.Missing,
		Differences: x.Differences, Next: x.Next, Events: entries(x.Events, now), Class: "plain", Icon: "wait"}
	out.Positions = "position " + strconv.FormatInt(x.First, 10)
	if x.Last > x.First {
		out.Positions = "positions " + strconv.FormatInt(x.First, 10) + " to " + strconv.FormatInt(x.Last, 10)
	}
	if after := standing(x.After); after != out.Before {
		out.After = after
	}
	switch {
	case x.Now:
		out.Proof = pill{"info", "wait", "As of now"}
	case !x.Stored:
		out.Proof = pill{"wait", "wait", "Inputs not stored"}
	case x.Same:
		out.Proof = pill{"pass", "pass", "Computed again: same events"}
	default:
		out.Proof = pill{"fail", "fail", "Computed again: other events"}
	}
	if x.Earlier > 0 {
		out.Earlier = explainURL(v.ID, x.Earlier)
	}
	if x.Later > 0 {
		out.Later = explainURL(v.ID, x.Later)
	}
	behind := false
	for i, l := range x.Steps {
		st := stepOf(l, v, i+1)
		st.Muted = behind && l.Outcome != rollout.Holds
		behind = behind || l.Outcome == rollout.Decided
		if st.On {
			out.Class, out.Icon = st.Pill.Class, st.Pill.Icon
		}
		out.Steps = append(out.Steps, st)
	}
	out.fold()
	if x.Decided == "command" {
		out.Next = nil // it speaks of what stood before the command
	}
	if c := x.Command; c != nil {
		out.Command = &explainCommand{Verb: string(c.Verb), By: orElse(c.By, "serin"), Role: c.Role, Via: c.Via, Reason: c.Reason}
	}
	out.Known = knownOf(x.Input)
	return out
}

// foldFrom is how many steps that were not looked at are folded at the end.
const foldFrom = 3

// fold takes the steps at the end that were not looked at out of the list.
func (x *explainView) fold() {
	n := len(x.Steps)
	for n > 0 && x.Steps[n-1].Muted && x.Steps[n-1].Skipped {
		n--
	}
	if len(x.Steps)-n >= foldFrom {
		x.Steps, x.Tail = x.Steps[:n], x.Steps[n:]
	}
}

// standing is where a rollout stands in a few words.
func standing(s controller.Standing) string {
	text := strings.ReplaceAll(string(s.Status), "_", " ")
	if text == "" {
		return "not created"
	}
	if s.Stage != "" {
		text += " at " + s.Stage
	}
	return text + ", " + percent(s.Traffic)
}

// stepOf words one look. What it decided with has the colour of what came of it.
func stepOf(l rollout.Look, v controller.View, n int) explainStep {
	name, ok := stepNames[l.Name]
	if !ok {
		name = upper(l.Name)
	}
	st := explainStep{N: n, Name: name, Text: l.Text, On: l.Outcome == rollout.Decided, Skipped: l.Outcome == rollout.Skipped}
	switch rest, same := strings.CutPrefix(l.Text, l.Name); { // the name stands above it
	case same && rest == "":
		st.Text = "open"
	case same && rest[0] == ' ':
		st.Text = rest[1:]
	}
	switch l.Outcome {
	case rollout.Decided:
		st.Pill = pill{"hold", "hold", "Decided"}
		switch l.Name {
		case "rollback", "silence", "reduce":
			st.Pill = pill{"fail", "back", "Decided"}
		case "advance", "command":
			st.Pill = pill{"pass", "up", "Decided"}
		case "bake":
			st.Pill = pill{"pass", "wait", "Decided"}
		}
	case rollout.Took:
		st.Pill = pill{"pass", "check", "Done"}
	case rollout.Holds:
		st.Pill = pill{"warn", "warn", "Would hold too"}
	case rollout.Clear:
		st.Pill = pill{"pass", "pass", "Clear"}
	case rollout.Skipped:
		st.Pill = pill{"wait", "dot", "Not looked at"}
	default:
		st.Pill = pill{"wait", "dot", upper(string(l.Outcome))}
	}
	met, bad, open := 0, 0, 0
	for _, r := range l.Rules {
		row := explainRuleOf(r, v)
		switch r.Status {
		case judge.Met:
			met++
		case judge.NotMet:
			bad++
		default:
			open++
		}
		st.Open = st.Open || r.Decides
		st.Rules = append(st.Rules, row)
	}
	st.Sum = plural(int64(len(l.Rules)), "rule") + ": " + strconv.Itoa(met) + " met, " + strconv.Itoa(bad) + " not met, " + strconv.Itoa(open) + " unknown"
	st.Open = st.Open || st.On && len(l.Rules) > 0
	return st
}

func explainRuleOf(r rollout.Ruling, v controller.View) explainRule {
	unit := unitOf(v, r.Verdict)
	out := explainRule{Name: metricName(v, r.Verdict), Rule: r.Rule, Value: dash, Limit: dash, Why: r.Why, Note: r.Note, Decides: r.Decides, Pill: verdictPill(r.Verdict)}
	if r.Value != nil {
		out.Value = ruleValue(*r.Value, r.Verdict, unit)
	}
	if r.Rule != "" {
		out.Limit = ruleValue(r.Verdict.Limit, r.Verdict, unit)
	}
	return out
}

// knownOf are the numbers beside the verdicts.
func knownOf(in *controller.ExplainedInput) [][2]string {
	if in == nil {
		return nil
	}
	pulse := "arriving"
	switch {
	case in.NoData:
		pulse = "no data"
	case in.Quiet:
		pulse = "quiet: alive, nobody in scope"
	}
	out := [][2]string{{"Data", pulse}, {"Users on canary", count(in.NewUsers)}, {"Users on control", count(in.OldUsers)}, {"Unattributed", value(in.Unattributed, "%")}, {"Time with data", duration(in.Covered)}}
	if in.Fresh {
		out = append(out, [2]string{"Process", "just started"})
	}
	holds := 0
	for _, ok := range in.Facts {
		holds += b2i(ok)
	}
	if n := len(in.Facts); n > 0 {
		out = append(out, [2]string{"Facts", strconv.Itoa(holds) + " of " + strconv.Itoa(n) + " hold"})
	}
	return out
}
