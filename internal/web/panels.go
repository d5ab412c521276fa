package web

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"serin/internal/controller"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// rail is the stages from checklist to clean-up, with one line for phones.
func rail(v controller.View, now time.Time) (stops []stop, line, next string) {
	started := v.State.Attempt > 0
	if len(v.Checklist) > 0 {
		stops = append(stops, checklistStop(v, started))
	}
	for i, st := range v.Stages {
		stops = append(stops, stageStop(v, i, st, now))
	}
	if len(v.Tasks) > 0 {
		c := stop{Class: "wait", Icon: "broom", Name: "Clean-up", Short: "Clean", State: "to come", Lines: []string{plural(int64(len(v.Tasks)), "task")}}
		switch v.State.Status {
		case rollout.Cleanup:
			c.Class, c.State = "now", "current"
			done, all := tally(v.Tasks)
			c.Lines = []string{fmt.Sprintf("%d of %d", done, all)}
		case rollout.Done:
			c.Class, c.State = "done", "finished"
		}
		stops = append(stops, c)
	}
	line = stageName(v)
	if b := bakeText(v); b != "" {
		line += ", " + b
	}
	if !ended(v) && v.State.Status == rollout.Running {
		next = "then " + nextStage(v)
	}
	return stops, line, next
}

func checklistStop(v controller.View, started bool) stop {
	open := openItems(v.Checklist)
	c := stop{Class: "done", Icon: "check", Name: "Checklist", Short: "Ready", State: "finished",
		Lines: []string{fmt.Sprintf("%d of %d", len(v.Checklist)-open, len(v.Checklist))}}
	if !started {
		c.Class, c.Icon, c.State = "now", "person", "current"
	} else {
		c.Fill = "100"
	}
	return c
}

// stageStop is one stage's dot, its segment filled by the bake.
func stageStop(v controller.View, i int, st controller.StageView, now time.Time) stop {
	s := stop{Class: "wait", Name: percent(st.Traffic), Short: percent(st.Traffic), State: "to come"}
	if st.Bake > 0 {
		s.Lines = append(s.Lines, duration(st.Bake)+" bake")
	}
	live := v.State.Status == rollout.Running || v.State.Status == rollout.Paused || v.State.Status == rollout.Reduced
	switch {
	case st.State == "done":
		s.Class, s.Icon, s.State, s.Fill = "done", "check", "finished", "100"
		if st.Overridden {
			s.Lines, s.State = append(s.Lines, "overridden"), "finished by override"
		}
	case st.State == "current" && live:
		s.Class, s.State, s.Icon = "now", "current", "play"
		if p := pillOf(v); p.Icon == "hold" || v.State.Status != rollout.Running {
			s.Icon, s.State = "pause", "current, "+p.Word
		}
		if st.Bake > 0 {
			s.Lines = []string{"bake " + duration(min(st.Baked, st.Bake)) + "/" + duration(st.Bake)}
			s.Fill = coord(100 * min(float64(st.Baked)/float64(st.Bake), 1))
		}
		if !st.Began.IsZero() {
			s.Lines = append(s.Lines, "since "+at(st.Began, now).Text)
		}
	case st.State == "current":
		s.Class, s.Icon, s.State = "back", "back", "rolled back from here"
		s.Lines = []string{"rolled back"}
	case len(st.Approve) > 0:
		s.Lines = append(s.Lines, "approval")
	}
	return s
}

// quality lists what is wrong with the telemetry; empty = clean.
func quality(v controller.View) []string {
	d := v.Data
	var out []string
	add := func(on bool, text string) {
		if on {
			out = append(out, text)
		}
	}
	add(d.Incomplete, "Data incomplete: clients reported loss, or serin refused events. Blocks raises until accepted.")
	add(d.Unattributed > .05, "Unattributed "+value(d.Unattributed, "%")+" of the events. Blocks raises above 5%.")
	add(d.LossByArm, "One arm loses more telemetry than the other. Blocks raises until accepted.")
	add(d.Mismatch, "The split of users is not what was assigned. Blocks raises until accepted.")
	add(d.Conflicts > .01, "For "+value(d.Conflicts, "%")+" of the events the reported arm is not the assigned one. Warning only.")
	add(d.NotCounted > 0, plural(d.NotCounted, "event")+" of exposed users not counted by fixed limits. Warning only.")
	return out
}

func ringOf(v controller.View) ring {
	p := 0.0
	if finite(v.Exposure) {
		p = min(max(v.Exposure, 0), 100)
	}
	r := ring{Percent: percent(v.Exposure), Dash: coord(p) + " " + coord(100-p), New: count(v.Users.NewSeen), Old: count(v.Users.OldSeen),
		Measured: dash, Split: "needs data"}
	if v.Users.NewSeen+v.Users.OldSeen > 0 {
		r.Measured, r.Split, r.SplitClass = percent(v.Users.Measured), "even", "c-pass"
		if v.Data.Mismatch {
			r.Split, r.SplitClass = "uneven", "c-warn"
		}
	}
	return r
}

func nextOf(v controller.View, now time.Time) nextCheck {
	n := nextCheck{N: v.State.Checks}
	if v.NextCheck.IsZero() {
		return n
	}
	n.At, n.Until = at(v.NextCheck, now), v.NextCheck.UnixMilli()
	if d, err := time.ParseDuration(v.CheckEvery); err == nil && d > 0 {
		n.Every = "every " + duration(d)
	}
	return n
}

// checklist groups what is checked by serin and what is done by people.
func checklist(v controller.View, now time.Time) (groups []checkGroup, done, all int) {
	ids := map[string]bool{}
	add := func(title, verb string, items []controller.ItemView) {
		if len(items) == 0 {
			return
		}
		g := checkGroup{Title: title}
		for _, it := range items {
			if it.Idle && !it.Done {
				continue
			}
			all++
			done += b2i(it.Done)
			line := itemRow(v, it, verb, now)
			if ids[line.ID] {
				line.ID = ""
			}
			ids[line.ID] = true
			g.Items = append(g.Items, line)
		}
		groups = append(groups, g)
	}
	if g := checks(v); len(g.Items) > 0 {
		groups = append(groups, g)
		for _, c := range v.Checks {
			all++
			done += b2i(c.Status == judge.Met)
		}
	}
	if v.State.Status == rollout.Preflight {
		add("Before the start", "complete", v.Checklist)
	}
	add("Before "+nextStage(v)+", by a person", "complete", v.Before)
	add("What no metric says", "confirm", v.Confirm)
	if v.State.Status == rollout.Cleanup || v.State.Status == rollout.Done {
		add("Clean-up", "complete", v.Tasks)
	}
	return groups, done, all
}

// checks are the rules of the current check entry.
func checks(v controller.View) checkGroup {
	g := checkGroup{Title: "Checked by serin"}
	if n := v.CheckEvery; n != "" {
		if d, err := time.ParseDuration(n); err == nil {
			g.Title += " every " + duration(d)
		}
	}
	for _, d := range v.Checks {
		p := verdictPill(d)
		it := checkItem{Class: "c-" + p.Class, Icon: p.Icon, Text: metricName(v, d), Note: p.Word, Right: dash}
		if d.Value != nil {
			it.Right = ruleValue(*d.Value, d, unitOf(v, d))
		}
		g.Items = append(g.Items, it)
	}
	return g
}

func itemRow(v controller.View, it controller.ItemView, verb string, now time.Time) checkItem {
	row := checkItem{ID: "item-" + slug(it.ID), Class: "mut", Icon: "box", Text: orElse(it.Do, it.ID), Note: "open", Right: it.By, Item: it.ID}
	if it.Holds != nil && !*it.Holds && !it.Done {
		row.Note, row.Right = "not verified", "not verified yet"
	}
	if it.Done {
		row.Class, row.Icon, row.Note, row.Right = "c-pass", "pass", "done", it.Who
		if !it.When.IsZero() {
			row.Right = it.Who + " " + at(it.When, now).Text
		}
		return row
	}
	if a := find(v.Actions, rollout.Verb(verb)); a != nil && a.Open {
		row.Button = looks[rollout.Verb(verb)].label
		row.URL, row.Dialog = "/rollouts/"+v.ID+"/"+verb+"?item="+escapeQuery(it.ID), "d-"+verb
		if len(it.Choose) > 0 {
			row.Button, row.URL, row.Dialog = "Choose", "/rollouts/"+v.ID+"/cleanup#choose-"+slug(it.ID), ""
		}
	}
	return row
}

// slug turns s into an element's id: letters, digits and "-" and "_" stay.
func slug(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, clip(s, 60))
}

// gates lists the rules that hold the stage, worst first, each once.
func gates(v controller.View, now time.Time) ([]gate, string) {
	var list []judge.Verdict
	seen := map[string]bool{}
	for _, d := range append(append([]judge.Verdict{}, v.Proceed...), v.Checks...) {
		if !seen[d.Rule] {
			seen[d.Rule] = true
			list = append(list, d)
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return rank(list[i]) < rank(list[j]) })
	out := make([]gate, 0, len(list))
	n, ids := map[string]int{}, map[string]bool{}
	for _, d := range list {
		g := gateOf(v, d, now)
		if ids[g.ID] { // a notification links to the first of a metric
			g.ID = ""
		}
		ids[g.ID] = true
		n[g.Pill.Class]++
		out = append(out, g)
	}
	sum := ""
	for _, part := range []struct{ class, word string }{{"pass", "met"}, {"warn", "near"}, {"hold", "with harm"}, {"fail", "not met"}, {"wait", "unknown"}} {
		if n[part.class] > 0 {
			if sum != "" {
				sum += ", "
			}
			sum += strconv.Itoa(n[part.class]) + " " + part.word
		}
	}
	return out, sum
}

// rank orders verdicts: not met, harm, unknown, near, met.
func rank(d judge.Verdict) int {
	switch {
	case d.Status == judge.NotMet:
		return 0
	case d.Harm:
		return 1
	case d.Status == judge.Unknown:
		return 2
	case near(d):
		return 3
	}
	return 4
}

func gateOf(v controller.View, d judge.Verdict, now time.Time) gate {
	unit := unitOf(v, d)
	g := gate{ID: "gate-" + slug(d.Metric), Name: metricName(v, d), Pill: verdictPill(d), Canary: optional(d.Canary, unit), Control: optional(d.Control, unit),
		Rule: d.Rule, Why: d.Why, Age: ago(d.At, now), CI: intervalOf(d, unit), Sample: sample(d)}
	g.OK = g.Pill.Class == "pass"
	if g.Canary == dash && d.Value != nil && d.Ref == "" {
		g.Canary = value(*d.Value, unit)
	}
	switch {
	case d.Ref != plan.None && d.Value != nil:
		g.Change = relative(*d.Value)
	case d.Canary != nil && d.Control != nil && *d.Control != 0:
		g.Change = relative(*d.Canary / *d.Control - 1)
	}
	if !g.CI.Draw || d.Status == judge.Unknown && !g.CI.HasRange {
		g.CI.Draw, g.Text = false, d.Why
	}
	return g
}

// sample is what a verdict rests on, in short.
func sample(d judge.Verdict) string {
	switch {
	case d.Sample != nil: // of what is in Why
		return whole(d.Sample.New) + " new, " + whole(d.Sample.Old) + " control"
	case d.Events > 0:
		return plural(d.Events, "event")
	case d.Users > 0:
		return plural(d.Users, "user")
	}
	return dash
}

// criteria is the list of what must hold for the next stage: the rules, then
// bake, people and approval.
func criteria(v controller.View) (out []criterion, holding int) {
	for _, d := range v.Proceed {
		p := verdictPill(d)
		c := criterion{Class: "c-" + p.Class, Icon: p.Icon, Text: metricName(v, d), Note: d.Rule, Word: p.Word, Value: dash}
		if d.Value != nil {
			c.Value = ruleValue(*d.Value, d, unitOf(v, d))
		}
		holding += b2i(d.Status == judge.Met)
		out = append(out, c)
	}
	if st := current(v); st != nil && st.Bake > 0 && v.State.Status == rollout.Running {
		c := criterion{Class: "mut", Icon: "wait", Text: "Bake " + duration(st.Bake) + " at this stage", Word: "unknown"}
		if left := st.Bake - st.Baked; left > 0 {
			c.Value = duration(left) + " left"
		} else {
			c.Class, c.Icon, c.Value, c.Word = "c-pass", "pass", "done", "met"
			holding++
		}
		out = append(out, c)
	}
	for _, w := range v.Waiting {
		if k := w.Kind; k != "bake" && k != "criteria" && k != "evidence" && k != "decision" {
			p := waitWords[k]
			out = append(out, criterion{Class: "c-" + orElse(p.Class, "wait"), Icon: orElse(p.Icon, "wait"), Text: upper(w.Text), Word: "not met", Value: "open"})
		}
	}
	return out, holding
}

// nearTrip is the share of a limit from which a trip meter warns.
const nearTrip = .75

// trips shows how near each rollback rule is, nearest first.
func trips(v controller.View) (out []meter, sum, class string) {
	list := append([]judge.Verdict{}, v.Rollback...)
	sort.SliceStable(list, func(i, j int) bool { return trip(list[i]) > trip(list[j]) })
	sum, class = "none near", "c-pass"
	for i, d := range list {
		share := trip(d)
		m := meter{Text: d.Rule, Class: "f-mute", Width: coord(max(share*100, .5)), Value: dash, Why: d.Why, Dry: d.Dry}
		switch {
		case d.Status == judge.Met:
			m.Class = "f-fail"
		case share >= nearTrip:
			m.Class = "f-warn"
		}
		unit := unitOf(v, d)
		if d.Value != nil {
			m.Value = ruleValue(*d.Value, d, unit) + " of " + ruleValue(d.Limit, d, unit)
			if proof := d.Proof(); proof != "" { // what counts is not the value but what is proved
				m.Value = ruleValue(*d.Value, d, unit) + ", evidence " + proof
			}
		} else if d.Status == judge.Unknown {
			m.Value = "unknown"
		}
		if i == 0 && m.Class == "f-fail" {
			sum, class = "tripped", "c-fail"
		} else if i == 0 && m.Class == "f-warn" {
			sum, class = "near", "c-warn"
		}
		out = append(out, m)
	}
	return out, sum, class
}
