package controller

import (
	"fmt"
	"strconv"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// checklist is the preflight list. Its marks belong to no attempt: whoever
// starts again does not tick it again.
func (w *worker) checklist(in rollout.Input) []ItemView {
	return w.items(w.plan.Preflight, 0, 0, in)
}

// cleanup is the list of tasks, whose marks belong to the attempt that came
// through and its last stage. An id may also be one of the preflight list.
func (w *worker) cleanup(in rollout.Input) []ItemView {
	return w.items(w.plan.Cleanup.Tasks, w.state.Attempt, w.state.Stage, in)
}

// items is a list with who did what, what a machine saw, and what each item
// still waits for.
func (w *worker) items(tasks []plan.Task, attempt, stage int, in rollout.Input) []ItemView {
	var out []ItemView
	for i := range tasks {
		t := &tasks[i]
		it := ItemView{ID: t.ID, Do: t.Do, By: t.By, After: t.NotBefore, Irreversible: t.Irreversible}
		if m := markOf(w.state.Completed, t.ID, attempt, stage); m != nil {
			it.sign(m)
		}
		if t.NotBefore > 0 && !w.state.CleanupAt.IsZero() {
			it.Due = w.state.CleanupAt.Add(t.NotBefore)
		}
		for _, c := range t.Choose {
			it.Choose = append(it.Choose, ChoiceView(c))
		}
		if t.When != nil {
			m := markOf(w.state.Completed, t.When.Task, attempt, stage)
			it.If = t.When.Task + " = " + t.When.Choice
			it.Idle = m == nil || m.Choice != t.When.Choice
		}
		if t.Verify != nil {
			w.prove(&it, t, in)
		}
		out = append(out, it)
	}
	return out
}

// markOf is the mark of an item in an attempt and stage, nil if it is open.
func markOf(marks []rollout.Mark, item string, attempt, stage int) *rollout.Mark {
	for i := range marks {
		if m := &marks[i]; m.Item == item && m.Attempt == attempt && m.Stage == stage {
			return m
		}
	}
	return nil
}

func (it *ItemView) sign(m *rollout.Mark) {
	it.Done, it.Who, it.Role, it.When, it.Evidence, it.Choice = true, m.By, m.Role, m.At, m.Evidence, m.Choice
}

// prove fills in what a machine last saw of what proves the item. Only the
// list in force is looked at; what was sent from outside is told at any time.
// A fault in it, as in judging, must not take the process down.
func (w *worker) prove(it *ItemView, t *plan.Task, in rollout.Input) {
	defer func() {
		if fault := recover(); fault != nil {
			w.c.log.Error("looking at an item panicked", "rollout", w.id, "item", t.ID, "panic", fault)
		}
	}()
	f := t.Verify
	it.Verify = f.Text
	holds, known := in.Facts[t.ID]
	if known {
		it.Holds, it.SeenAt = &holds, in.Wall
	}
	switch {
	case f.Rule != nil && known:
		it.Seen = w.measured(f.Rule, in.Wall)
	case f.Rule != nil || f.Name == "flag exists":
	case f.Name == "role filled":
		_, it.Seen = w.c.filled(w.plan, f.Arg)
	case f.Name == "incidents closed":
		it.Seen = openIncidents(w.state)
	default:
		w.told(it, f, in.Wall)
	}
}

// told fills in the value that was last sent for a fact.
func (w *worker) told(it *ItemView, f *plan.Fact, now time.Time) {
	ev, err := w.c.o.Evidence.View(w.id)
	if err != nil {
		return // nobody watches any more, or the evidence is being read back: not looked at
	}
	key, want := pushedFact(f)
	if value, at, ok := ev.Pushed(key); ok {
		it.Seen, it.SeenAt, it.Stale = value, at, value == want && now.Sub(at) > pushedFresh
	}
}

// pushedFact is under which key a fact from outside is sent, and which value
// makes it hold. Facts about code come from `serin facts`, as pushed values.
func pushedFact(f *plan.Fact) (key, want string) {
	if f.Name == "pushed" {
		return f.Arg, f.Want
	}
	return f.Name + " " + f.Arg, "true"
}

// measured is the value that a rule rested on, or why there is none.
func (w *worker) measured(r *plan.Rule, now time.Time) string {
	ev, err := w.c.o.Evidence.View(w.id)
	if err != nil {
		return ""
	}
	release, _ := w.release()
	verdicts, _ := release.Judge(w.plan, []*plan.Rule{r}, judge.Gate, w.place(), ev, w.held, now)
	v := verdicts[0]
	switch {
	case v.Value == nil:
		return v.Why
	case v.Ref != plan.None:
		return strconv.FormatFloat(*v.Value*100, 'f', 1, 64) + "%"
	}
	return judge.Format(*v.Value, v.Unit)
}

func openIncidents(s rollout.State) string {
	n := 0
	for _, i := range s.Incidents {
		if !i.Closed {
			n++
		}
	}
	return fmt.Sprintf("%d of %d open", n, len(s.Incidents))
}

// texts is a list of confirmations or before-items of the current stage and attempt.
func texts(list []string, marks []rollout.Mark, s rollout.State) []ItemView {
	var out []ItemView
	for _, text := range list {
		it := ItemView{ID: text, Do: text}
		if m := markOf(marks, text, s.Attempt, s.Stage); m != nil {
			it.sign(m)
		}
		out = append(out, it)
	}
	return out
}
