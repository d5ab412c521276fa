package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"serin/internal/controller"
	"serin/internal/rollout"
)

// cleanupView is what is left to do once everybody has the new version.
type cleanupView struct {
	Class, Icon, Head, Text string // where the clean-up stands
	Begins                  stamp
	Point                   *pointView
	Choices                 []choiceView
	Items                   []listRow
	Sum                     string
	Open                    []option
	Facts                   []factRow
	FactsSum                string
	NoFacts                 string // why there are none
	CanFinish               bool   // the finish button is there
	Missing                 []string
	Owner, Within           string
	PlanError               string
}

// pointView is the point of no return.
type pointView struct {
	Class, Icon, Head, Text string
	Revert                  []string
}

// choiceView is a task that chooses, as a form.
type choiceView struct {
	Anchor, ID, Do string
	Options        []choiceOption
	Chosen         string // key
	Who            string
	At             stamp
	Locked         []string
	Open, Reopen   bool
}

type choiceOption struct {
	Key, Text string
	Tasks     []string // that come with it
	Checked   bool
}

// factRow is a fact about code as it was last received.
type factRow struct {
	Fact, Task string
	Pill       pill
	At         stamp
	Age        string
}

func (s *server) cleanup(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	who, now := visitOf(r.Context()), s.Now()
	b := s.frame(v, who, "cleanup", r)
	c, err := s.cleanupOf(r.Context(), v, who.Person, now)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	b.Clean = c
	b.CLI = []string{"serin facts DIR --plan " + v.Plan + ".yaml", "serin scan DIR --plan " + v.Plan + ".yaml"}
	if len(c.Choices) > 0 && len(c.Choices[0].Options) > 0 {
		b.CLI = append(b.CLI, "serin rollout complete "+v.ID+" "+c.Choices[0].ID+" --choose "+c.Choices[0].Options[0].Key)
	}
	s.render(w, r, http.StatusOK, "cleanup", page{Title: v.Plan + ", clean-up", Crumb: v.ID, Record: true, Dock: len(b.Dock) > 0, Live: true, Body: b})
}

func (s *server) cleanupOf(ctx context.Context, v controller.View, who Person, now time.Time) (*cleanupView, error) {
	c := &cleanupView{}
	rb, err := s.Rollouts.Runbook(ctx, v.ID)
	var cal controller.Calendar
	if err == nil {
		cal, err = s.Rollouts.Calendar(ctx, v.ID)
	}
	var refused *rollout.Refusal
	switch {
	case errors.As(err, &refused):
		c.PlanError = upper(refused.Why) + "."
	case err != nil:
		return nil, err
	}
	begun := !v.State.CleanupAt.IsZero() && (v.State.Status == rollout.Cleanup || v.State.Status == rollout.Done)
	l := itemList{view: v, who: who, now: now, back: "cleanup", owner: strings.Join(rb.Cleanup.Owners, ", "), open: inForce(v, true), begun: begun}
	c.Items, c.Open = l.rows(v.Tasks, map[string]bool{}), l.completable(v.Tasks)
	done, all := tally(v.Tasks)
	c.Sum = fmt.Sprintf("%d of %d done", done, all)
	if idle := len(v.Tasks) - all; idle > 0 {
		c.Sum += fmt.Sprintf(", %d not chosen", idle)
	}
	c.Owner, c.Within = strings.Join(rb.Cleanup.Owners, ", "), within(rb.Cleanup.Within)
	c.stands(v, cal, done, all, now)
	c.Point = pointOf(v, rb, now)
	for _, it := range v.Tasks {
		if len(it.Choose) > 0 {
			c.Choices = append(c.Choices, l.choice(it))
		}
	}
	c.facts(v, now)
	if a := find(v.Actions, rollout.Finish); a != nil && v.State.Status == rollout.Cleanup {
		c.CanFinish, c.Missing = true, a.Missing
	}
	return c, nil
}

// stands words where the clean-up is, or when it begins.
func (c *cleanupView) stands(v controller.View, cal controller.Calendar, done, all int, now time.Time) {
	c.Class, c.Icon = "plain", "wait"
	switch v.State.Status {
	case rollout.Cleanup:
		c.Class, c.Icon, c.Head = "info", "broom", "Everybody has the new version."
		c.Text = fmt.Sprintf("%d of %s done. Rollback rules are judged until the old code is gone.", done, plural(int64(all), "task"))
		if v.State.Irreversible {
			c.Text = fmt.Sprintf("%d of %s done. The old code is gone, so nothing is rolled back any more.", done, plural(int64(all), "task"))
		}
	case rollout.Done:
		c.Class, c.Icon, c.Head, c.Text = "ok", "pass", "Finished "+onDay(v.State.FinishedAt, now).Text+".", "Nothing is left to do."
	case rollout.Cancelled:
		c.Icon, c.Head, c.Text = "cross", "Cancelled.", "There is nothing to clean up: nobody has the new version through this rollout."
	case rollout.RolledBack:
		c.Icon, c.Head, c.Text = "back", "Rolled back.", "The clean-up begins after the last stage of an attempt that comes through."
	default:
		c.Head, c.Text = "The clean-up has not begun.", "It begins after the last stage, when everybody has the new version."
		if c.Begins = onDay(cal.End, now); c.Begins.ISO != "" {
			c.Text = "It begins after the last stage, at the earliest on"
		}
	}
}

// pointOf words the point of no return; nil where the plan has none.
func pointOf(v controller.View, rb controller.Runbook, now time.Time) *pointView {
	var task *controller.ItemView
	for i := range v.Tasks {
		if it := &v.Tasks[i]; it.Irreversible && (task == nil || !task.Done && it.Done) {
			task = it
		}
	}
	if task == nil {
		return nil
	}
	name := "“" + clip(orElse(task.Do, task.ID), 160) + "”"
	if v.State.Irreversible {
		p := &pointView{Class: "plain", Icon: "lock", Head: "The point of no return is passed", Revert: rb.Actions.Revert}
		p.Text = name + " is done"
		if !task.When.IsZero() {
			p.Text += " since " + onDay(task.When, now).Text + " UTC"
		}
		p.Text += ". Where a rollback rule is met now, serin pages and shows what reverts the code; it cannot roll back."
		return p
	}
	p := &pointView{Class: "warn", Icon: "warn", Head: name + " is the point of no return"}
	p.Text = "Until then a rollback takes seconds. Afterwards there is no old version to go back to: serin can only page and show what reverts the code."
	switch {
	case !task.Due.IsZero() && task.Due.After(now):
		p.Text += " The plan allows it from " + onDay(task.Due, now).Text + " UTC."
	case task.After > 0 && task.Due.IsZero():
		p.Text += " The plan allows it " + duration(task.After) + " after the last stage."
	case task.After > 0:
		p.Text += " The plan allows it now; the " + duration(task.After) + " of waiting are over."
	default:
		p.Text += " The plan allows it at once: “not_before: 14d” would keep two weeks in which to go back."
	}
	if codeFact(task.Verify) {
		p.Text += " It counts as done as soon as serin is told that “" + clip(task.Verify, 160) + "” holds."
	}
	return p
}

// choice shows a task that chooses.
func (l itemList) choice(it controller.ItemView) choiceView {
	c := choiceView{Anchor: "choose-" + slug(it.ID), ID: it.ID, Do: orElse(it.Do, it.ID), Who: it.Who, At: at(it.When, l.now)}
	if it.Done {
		c.Chosen = it.Choice
	}
	for _, o := range it.Choose {
		opt := choiceOption{Key: o.Key, Text: o.Text, Checked: it.Done && o.Key == it.Choice}
		for _, t := range l.view.Tasks {
			if t.If == it.ID+" = "+o.Key {
				opt.Tasks = append(opt.Tasks, orElse(t.Do, t.ID))
			}
		}
		c.Options = append(c.Options, opt)
	}
	a := find(l.view.Actions, rollout.Complete)
	switch {
	case !l.open:
		c.Locked = []string{"it is chosen in the clean-up"}
		if l.begun {
			c.Locked = []string{"the rollout has ended"}
		}
	case it.Done:
		c.Reopen = a != nil && a.Open && l.mayTouch(it)
	case a == nil || !a.Open || !l.who.can("operate", "approve"):
		c.Locked = []string{"your token may only read"}
	default:
		c.Locked = itemBars(it, l.who, l.now)
	}
	c.Open = len(c.Locked) == 0 && !it.Done
	return c
}

// mayTouch reports whether a person's role and token let them take an item back.
func (l itemList) mayTouch(it controller.ItemView) bool {
	return (it.By == "" || it.By == l.who.Role) && l.who.can("operate", "approve")
}

// facts lists what serin was told about the code, of this plan's lists.
func (c *cleanupView) facts(v controller.View, now time.Time) {
	received, stale := 0, 0
	var newest time.Time
	lists := [][]controller.ItemView{v.Tasks}
	if !c.begun(v) {
		lists = append(lists, v.Checklist)
	}
	for _, list := range lists {
		for _, it := range list {
			if !codeFact(it.Verify) {
				continue
			}
			row := factRow{Fact: it.Verify, Task: orElse(it.Do, it.ID), At: at(it.SeenAt, now), Age: "never received", Pill: pill{"wait", "wait", "Not received"}}
			if it.Seen != "" {
				received++
				row.Age = ago(it.SeenAt, now)
				row.Pill = factPill(it, now)
				if now.Sub(it.SeenAt) > 24*time.Hour {
					stale++
				}
				if it.SeenAt.After(newest) {
					newest = it.SeenAt
				}
			}
			c.Facts = append(c.Facts, row)
		}
	}
	switch {
	case len(c.Facts) == 0:
		c.NoFacts = "This plan verifies nothing about the code: “verify: path gone …” and “verify: refs gone …” would."
	case received == 0 && ended(v):
		c.NoFacts = "The rollout has ended; facts about its code are not kept any more."
	case received == 0:
		c.NoFacts = "No facts about the code were received yet. The first command below sends them, from CI with every build."
	}
	c.FactsSum = fmt.Sprintf("%d of %s received", received, plural(int64(len(c.Facts)), "fact"))
	if received > 0 {
		c.FactsSum += ", last " + ago(newest, now)
	}
	if stale > 0 {
		c.FactsSum += fmt.Sprintf(", %d stale", stale)
	}
}

func (c *cleanupView) begun(v controller.View) bool {
	return v.State.Status == rollout.Cleanup || v.State.Status == rollout.Done
}

func factPill(it controller.ItemView, now time.Time) pill {
	word := upper(seen(it))
	switch {
	case it.Seen == "true" && now.Sub(it.SeenAt) > 24*time.Hour:
		return pill{"warn", "warn", word + ", stale"}
	case it.Seen == "true":
		return pill{"pass", "pass", word}
	}
	return pill{"wait", "wait", word}
}
