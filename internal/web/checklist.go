package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// checklistView is what must be done before traffic rises, and who did it.
type checklistView struct {
	Items              []listRow
	Sum                string
	Open               []option // what this person can complete here
	Done, All          int
	DoneW, OpenW       string // of the bar, 0..100
	Head, Text         string // may it start?
	Class, Icon        string
	Missing            []string
	Start              *startView
	Stages             []stageItems
	StageOpen          []option // before-items that this person can complete here
	PlanError          string
	Started, Cancelled bool
}

// startView is what a start does.
type startView struct {
	When, Share, Users, Checks, Watch, Undo string
	First                                   string // check, after the start
	Owners                                  []ruled
}

// stageItems are the lists around one stage in the newest attempt.
type stageItems struct {
	Name, Traffic    string
	Pill             pill
	Approve          string
	Before, Confirms []listRow
}

func (s *server) checklist(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	who, now := visitOf(r.Context()), s.Now()
	b := s.frame(v, who, "checklist", r)
	c, err := s.checklistOf(r.Context(), v, who.Person, now)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	b.List = c
	b.CLI = []string{"serin rollout get " + v.ID}
	for _, it := range v.Checklist {
		if !it.Done && inForce(v, false) {
			b.CLI = append(b.CLI, "serin rollout complete "+v.ID+" "+it.ID+" --evidence URL")
			break
		}
	}
	s.render(w, r, http.StatusOK, "checklist", page{Title: v.Plan + ", checklist", Crumb: v.ID, Record: true, Dock: len(b.Dock) > 0, Live: true, Body: b})
}

func (s *server) checklistOf(ctx context.Context, v controller.View, who Person, now time.Time) (*checklistView, error) {
	l := itemList{view: v, who: who, now: now, back: "checklist", open: inForce(v, false), begun: true}
	taken := map[string]bool{}
	c := &checklistView{Items: l.rows(v.Checklist, taken), Open: l.completable(v.Checklist), Started: v.State.Attempt > 0, Cancelled: v.State.Status == rollout.Cancelled}
	c.Done, c.All = tally(v.Checklist)
	if c.All > 0 {
		done := 100 * float64(c.Done) / float64(c.All)
		c.DoneW, c.OpenW = coord(done), coord(100-done)
	}
	c.Sum = fmt.Sprintf("%d of %d completed", c.Done, c.All)
	if met, looked := verified(v.Checklist); looked > 0 {
		c.Sum += fmt.Sprintf(", %d of %s verified", met, plural(int64(looked), "machine check"))
	}
	rb, err := s.Rollouts.Runbook(ctx, v.ID)
	var refused *rollout.Refusal
	if errors.As(err, &refused) {
		c.PlanError = upper(refused.Why) + "."
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	cal, err := s.Rollouts.Calendar(ctx, v.ID)
	if err != nil {
		return nil, err
	}
	marks, err := s.marks(ctx, v)
	if err != nil {
		return nil, err
	}
	c.ready(v, cal, now)
	c.Start = startOf(v, rb, cal, now)
	l.open = v.State.Status != rollout.Cleanup && v.State.Status != rollout.RolledBack && !ended(v)
	c.StageOpen = l.completable(v.Before)
	for i, p := range rb.Phases {
		if len(p.Before)+len(p.Confirm) > 0 || len(p.Approve) > 0 {
			c.Stages = append(c.Stages, l.stage(p, i, marks, taken))
		}
	}
	return c, nil
}

// verified counts the items that a machine has looked at and those it found so.
func verified(items []controller.ItemView) (met, looked int) {
	for _, it := range items {
		if it.Holds != nil {
			looked++
			met += b2i(*it.Holds)
		}
	}
	return met, looked
}

// ready says whether the rollout may start, and what is missing.
func (c *checklistView) ready(v controller.View, cal controller.Calendar, now time.Time) {
	c.Class, c.Icon = "plain", "wait"
	switch {
	case v.State.Status == rollout.Cancelled:
		c.Icon, c.Head, c.Text = "cross", "Cancelled.", "It will not start any more."
		return
	case c.Started:
		c.Class, c.Icon, c.Head = "ok", "pass", "Started "+onDay(v.State.StartedAt, now).Text+"."
		c.Text = "The list was complete then. A restart does not ask for it again; what is asked before each stage is below."
		return
	}
	if a := find(v.Actions, rollout.Start); a != nil {
		c.Missing = append(c.Missing, a.Missing...)
	}
	for _, p := range cal.Problems {
		if p.Severity == plan.Error {
			c.Missing = append(c.Missing, fmt.Sprintf("lint, line %d: %s: %s", p.Line, p.What, p.Fix))
		}
	}
	if len(c.Missing) > 0 {
		c.Class, c.Icon, c.Head = "hold", "lock", "Start is locked."
		c.Text = plural(int64(len(c.Missing)), "thing") + " missing. Nothing reaches a user before."
		return
	}
	c.Class, c.Icon, c.Head, c.Text = "ok", "pass", "Ready.", "A start puts "+firstStage(v)+" of the audience on new."
}

// startOf says what a start does, from plan and calendar.
func startOf(v controller.View, rb controller.Runbook, cal controller.Calendar, now time.Time) *startView {
	if len(rb.Phases) == 0 {
		return nil
	}
	p := rb.Phases[0]
	out := &startView{When: dash, Share: "0% to " + percent(p.Traffic), Checks: orElse(strings.Join(p.Checks, ", then "), dash)}
	for _, e := range cal.Events {
		if e.Kind != plan.StageStart {
			continue
		}
		switch {
		case e.Past:
			out.When = onDay(e.At, now).Text
		case e.At.After(now.Add(time.Minute)):
			out.When = onDay(e.At, now).Text + " or later"
		default:
			out.When = "when a person starts it"
		}
		break
	}
	out.Users = "not known yet: nobody was seen"
	if all := v.Users.NewSeen + v.Users.OldSeen; all > 0 && v.State.Attempt == 0 {
		out.Users = fmt.Sprintf("about %s of %s", count(int64(float64(all)*p.Traffic/100+.5)), plural(all, "user"))
	} else if v.State.Attempt > 0 {
		out.Users = ""
	}
	if len(p.Checks) > 0 {
		every, _, _ := strings.Cut(strings.TrimPrefix(p.Checks[0], "every "), " ")
		out.First = every + " after the start"
	}
	if n := len(rb.Rollback); n > 0 {
		out.Watch = plural(int64(n), "rollback rule") + ", from the first user on"
	}
	for _, role := range rb.Roles {
		for _, owner := range p.Owner {
			if role.Name == owner {
				text := orElse(role.Who, "nobody yet")
				if role.Covers > 0 {
					text += ", " + duration(role.Covers)
				}
				out.Owners = append(out.Owners, ruled{owner, text})
			}
		}
	}
	if d := rb.Actions.RollbackWithin; d > 0 {
		out.Undo = "roll back, within " + duration(d)
	}
	return out
}

// markKey is a mark's place: what was said, in which stage.
type markKey struct {
	confirm bool
	stage   int
	item    string
}

// marks are the newest words on each item of the newest attempt, from the
// journal: the state forgets a stage's confirmations when the next begins.
func (s *server) marks(ctx context.Context, v controller.View) (map[markKey]rollout.Event, error) {
	list, err := s.Rollouts.Timeline(ctx, v.ID, journalLimit)
	if err != nil {
		return nil, err
	}
	out := map[markKey]rollout.Event{}
	for _, e := range list { // newest first
		if e.Attempt != v.State.Attempt && !(e.Attempt == 0 && e.Stage == 0) {
			continue
		}
		switch e.Type {
		case rollout.Completed, rollout.Reopened, rollout.Confirmed:
			k := markKey{e.Type == rollout.Confirmed, e.Stage, e.Item}
			if e.Attempt == 0 {
				k.stage = -1 // before the first stage
			}
			if old, ok := out[k]; !ok || old.Pos < e.Pos {
				out[k] = e.Event
			}
		}
	}
	return out, nil
}

// stage shows what people do and say around a stage. The lists of the stage
// that is open now come from the view; others from the journal.
func (l itemList) stage(p controller.RunbookPhase, i int, marks map[markKey]rollout.Event, taken map[string]bool) stageItems {
	v := l.view
	out := stageItems{Name: p.Name, Traffic: percent(p.Traffic), Approve: strings.Join(p.Approve, " or ")}
	out.Pill, _ = phasePill(v, i)
	next, now := v.State.Stage+1, v.State.Stage
	if v.State.Attempt == 0 {
		next, now = 0, -1
	}
	past := v.State.Attempt > 0 && i <= v.State.Stage
	before := l.told(p.Before, i-1, false, past, marks)
	if i == next && len(v.Before) > 0 {
		before = v.Before
	}
	confirm := l.told(p.Confirm, i, true, past && i < v.State.Stage || v.State.Status == rollout.Cleanup || v.State.Status == rollout.Done, marks)
	if i == now && len(v.Confirm) > 0 {
		confirm = v.Confirm
	}
	out.Before, out.Confirms = l.rows(before, taken), l.rows(confirm, taken)
	for j := range out.Before {
		if i != next {
			out.Before[j].shut(past)
		}
	}
	running := find(v.Actions, rollout.Confirm)
	for j := range out.Confirms {
		row := &out.Confirms[j]
		if i != now || running == nil || !running.Open || row.State == "completed" {
			row.shut(past)
			continue
		}
		row.Verb, row.Complete, row.Dialog, row.Locked = "Confirm", "/rollouts/"+v.ID+"/confirm?item="+escapeQuery(row.ID)+"&back="+l.back, "d-confirm", false
		row.Pill = pill{"hold", "person", "Needs a person"}
	}
	return out
}

// shut takes the buttons off an item whose time is past or to come.
func (r *listRow) shut(past bool) {
	r.Complete, r.Reopen, r.Need, r.Waits = "", false, false, ""
	if r.State != "completed" {
		r.Pill = pill{"wait", "wait", "To come"}
		if past {
			r.Pill = pill{"wait", "wait", "Not asked"}
		}
	}
}

// told turns texts and their marks into items.
func (l itemList) told(texts []string, stage int, confirm, past bool, marks map[markKey]rollout.Event) []controller.ItemView {
	var out []controller.ItemView
	for _, text := range texts {
		it := controller.ItemView{ID: text, Do: text}
		if e, ok := marks[markKey{confirm, stage, text}]; ok && past && e.Type != rollout.Reopened {
			it.Done, it.Who, it.Role, it.When, it.Evidence = true, e.By, e.Role, e.At, e.Evidence
		}
		out = append(out, it)
	}
	return out
}
