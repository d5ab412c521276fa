package controller

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"serin/internal/flag"
	"serin/internal/rollout"
	"serin/internal/store"
)

const everyone = flag.Everyone

// finish adds everything that needs the whole journal; in is the time of now.
func (b *reporter) finish(in rollout.Input) {
	s, r := b.s, &b.r
	r.Rollout, r.Plan, r.PlanHash, r.Revision, r.Title, r.Flag = s.ID, s.Plan, s.PlanHash, s.Revision, b.p.Title, b.p.Flag.Key
	r.Timezone, r.Status, r.Final, r.At = b.p.Timezone, s.Status, store.Over(s.Status), in.Wall
	r.Started, r.Ended, r.Owners, r.Roles = s.StartedAt, s.FinishedAt, b.p.Owners, runbook(b.p).Roles
	if r.Final {
		r.At = s.FinishedAt
	} else {
		b.untilNow(in)
	}
	b.endings()
	b.times()
	b.success()
	b.openConfirmations()
	b.limits()
	b.attribution()
	b.cleanup()
	b.numbers()
	r.Outcome = outcomeOf(s.Status)
	r.Headline = b.headline()
	b.empty()
}

// untilNow adds the time since the last event, which is not journalled yet.
func (b *reporter) untilNow(in rollout.Input) {
	in.Data, in.Covered = b.view.Data, max(0, in.Wall.Sub(b.s.At))
	tail := rollout.Event{Account: map[string]time.Duration{}}
	for key, d := range rollout.AccountAt(b.p, b.s, in) {
		if more := d - b.s.Account[key]; more > 0 {
			tail.Account[key] = more
		}
	}
	b.spent(tail)
	account := map[string]time.Duration{}
	for key, d := range b.s.Account {
		account[key] = d
	}
	for key, d := range tail.Account {
		account[key] += d
	}
	b.s.Account = account
}

// endings words what is still under way, and orders the parts of each stage.
func (b *reporter) endings() {
	if a, st := b.current(); a != nil {
		a.End = "under way"
		if st != nil {
			st.End, st.Words = "current", strings.ReplaceAll(string(b.s.Status), "_", " ")
		}
		if b.s.Status == rollout.Cleanup {
			a.End = "clean-up"
		}
	}
	for i := range b.r.Attempts {
		for j := range b.r.Attempts[i].Stages {
			st := &b.r.Attempts[i].Stages[j]
			st.Rest = finishParts(st.Rest, st.Wall)
		}
	}
}

// times takes the wall time apart.
func (b *reporter) times() {
	t := &b.r.Time
	if !b.r.Started.IsZero() {
		end := b.r.At
		t.Wall = max(0, end.Sub(b.r.Started))
	}
	for key, d := range b.s.Account {
		t.Parts = addPart(t.Parts, key, d)
	}
	t.Parts = finishParts(t.Parts, t.Wall)
	words := make([]string, len(t.Parts))
	for i, p := range t.Parts {
		words[i] = p.Words + " " + span(p.Time)
	}
	if len(words) > 0 {
		t.Sum = span(t.Wall) + " = " + strings.Join(words, " + ")
	}
}

func addPart(parts []ReportPart, key string, d time.Duration) []ReportPart {
	if d <= 0 {
		return parts
	}
	for i := range parts {
		if parts[i].Key == key {
			parts[i].Time += d
			return parts
		}
	}
	return append(parts, ReportPart{Key: key, Words: partWords(key), Time: d})
}

// partRank orders the parts of a sum: bake, what it waited for, what people
// did, the rest; within one rank the longest first.
var partRank = map[string]int{"bake": 0, "paused": 2, "reduced": 3, "rolled_back": 4, "cleanup": 5, "down": 6}

func finishParts(parts []ReportPart, wall time.Duration) []ReportPart {
	rank := func(p ReportPart) int {
		if r, ok := partRank[p.Key]; ok {
			return r
		}
		return 1
	}
	slices.SortFunc(parts, func(a, b ReportPart) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		if a.Time != b.Time {
			return int(min(1, max(-1, b.Time-a.Time)))
		}
		return strings.Compare(a.Key, b.Key)
	})
	for i := range parts {
		if wall > 0 {
			parts[i].Share = math.Round(1e4*float64(parts[i].Time)/float64(wall)) / 1e4
		}
	}
	return parts
}

// partWords names a part of the time for people.
func partWords(key string) string {
	switch key {
	case "waiting:no data":
		return "no data"
	case "waiting:blind":
		return "a guard was blind"
	case "rolled_back":
		return rolledBack
	case "cleanup":
		return "clean-up"
	case "down":
		return "serin was down"
	}
	if reason, ok := strings.CutPrefix(key, "waiting:"); ok {
		return "waiting for " + reason
	}
	return key
}

// span writes a time of minutes, hours and days: "30m", "10h 40m", "8d 15h".
func span(d time.Duration) string {
	d = d.Round(time.Minute)
	h, m := d/time.Hour, d%time.Hour/time.Minute
	switch {
	case d >= 48*time.Hour && h%24 == 0:
		return fmt.Sprintf("%dd", h/24)
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd %dh", h/24, h%24)
	case h == 0:
		return fmt.Sprintf("%dm", m)
	case m == 0:
		return fmt.Sprintf("%dh", h)
	}
	return fmt.Sprintf("%dh %dm", h, m)
}

func (b *reporter) cleanup() {
	c := &b.r.Cleanup
	c.Began, c.Within, c.Owners = b.s.CleanupAt, b.p.Cleanup.Within, b.p.Cleanup.Owners
	if b.judge == nil {
		c.Began = time.Time{}
	}
	for i := range b.p.Cleanup.Tasks {
		t := &b.p.Cleanup.Tasks[i]
		row := ReportTask{ID: t.ID, Do: t.Do, Role: t.By, Irreversible: t.Irreversible}
		m := markOf(b.s.Completed, t.ID, b.s.Attempt, b.s.Stage)
		if b.judge == nil {
			m = nil
		}
		if m != nil {
			row.Done, row.By, row.At, row.Evidence, row.Choice = true, m.By, m.At, m.Evidence, m.Choice
		}
		if t.When != nil {
			choice := markOf(b.s.Completed, t.When.Task, b.s.Attempt, b.s.Stage)
			row.Idle = choice != nil && choice.Choice != t.When.Choice
		}
		for _, option := range t.Choose {
			if row.Choice != "" && option.Key == row.Choice {
				c.Choice = option.Text
			}
		}
		switch {
		case row.Idle:
		case row.Done:
			c.Done++
		default:
			c.Open++
		}
		c.Tasks = append(c.Tasks, row)
	}
}

func (b *reporter) numbers() {
	r, n := &b.r, &b.r.Numbers
	n.Wall, n.Checks, n.RedChecks, n.Attempts = r.Time.Wall, r.Checks.Done, r.Checks.Red, len(r.Attempts)
	for _, p := range r.Time.Parts {
		if strings.HasPrefix(p.Key, "waiting:") || p.Key == "paused" {
			n.Stood += p.Time
		}
	}
	for _, st := range b.p.Stages {
		n.Planned += st.Bake
	}
	if b.full.Pos != 0 && b.s.Exposure == everyone {
		r.Full, n.ToFull = b.full.At, b.full.At.Sub(r.Started)
	}
}

func outcomeOf(s rollout.Status) ReportOutcome {
	switch s {
	case rollout.Preflight:
		return OutcomePreflight
	case rollout.Cleanup:
		return OutcomeCleaning
	case rollout.Done:
		return OutcomeSucceeded
	case rollout.RolledBack:
		return OutcomeRolledBack
	case rollout.Cancelled:
		return OutcomeCancelled
	}
	return OutcomeUnderWay
}

// headline is the verdict in one sentence.
func (b *reporter) headline() string {
	r := &b.r
	var parts []string
	switch r.Outcome {
	case OutcomePreflight:
		return "Not started."
	case OutcomeSucceeded, OutcomeCleaning:
		parts = append(parts, "Reached 100 % after "+span(r.Numbers.ToFull), b.judged())
		if r.Outcome == OutcomeCleaning {
			parts = append(parts, fmt.Sprintf("clean-up: %d of %d tasks done", r.Cleanup.Done, r.Cleanup.Done+r.Cleanup.Open))
		}
	case OutcomeCancelled:
		parts = append(parts, "Cancelled before the start")
		if len(r.Attempts) > 0 {
			parts[0] = "Cancelled after " + span(r.Time.Wall) + "; " + r.Attempts[len(r.Attempts)-1].End
		}
	case OutcomeRolledBack:
		parts = append(parts, upperFirst(r.Attempts[len(r.Attempts)-1].End))
	default:
		text := fmt.Sprintf("Under way: %s at %s, %s after the start", b.stage(b.s.Stage), b.s.Exposure, span(r.Time.Wall))
		parts = append(parts, text)
	}
	return strings.Join(append(parts, timesOf(r.Numbers.Rollbacks, rolledBack), counted(r.Numbers.Overrides, "override")), "; ") + "."
}

func (b *reporter) judged() string {
	s := b.r.Success
	n := s.Met + s.NotMet + s.Unknown
	return fmt.Sprintf("%d of %d final rules met", s.Met, n)
}

func timesOf(n int, what string) string {
	switch n {
	case 0:
		return what + " never"
	case 1:
		return what + " once"
	}
	return fmt.Sprintf("%s %d times", what, n)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if n == 0 {
		return "no " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// empty makes the lists of JSON lists.
func (b *reporter) empty() {
	r := &b.r
	r.People, r.Attempts, r.Confirmed, r.Clock = some(r.People), some(r.Attempts), some(r.Confirmed), some(r.Clock)
	r.Limits, r.Overrides, r.Accepted, r.Approved = some(r.Limits), some(r.Overrides), some(r.Accepted), some(r.Approved)
	r.Incidents, r.Revisions, r.Timeline, r.Roles = some(r.Incidents), some(r.Revisions), some(r.Timeline), some(r.Roles)
	r.Success.Rules, r.Time.Parts, r.Cleanup.Tasks = some(r.Success.Rules), some(r.Time.Parts), some(r.Cleanup.Tasks)
}

func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
