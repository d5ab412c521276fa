package server_test

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"serin/internal/controller"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// slack is how far an event may be from the time given for it.
const slack = 5 * time.Minute

// soon is how long, in real time, what telemetry sets off when it arrives may
// take: it needs no tick of the clock. An idle machine needs milliseconds.
const soon = 5 * time.Second

// exposed is who was on new at an exposure.
type exposed struct {
	percent float64
	users   map[string]bool
}

// eventually plays what follows "expect" until it holds.
func (p *play) eventually(w []string) {
	p.Helper()
	for deadline := time.Now().Add(soon); ; {
		err := p.expect(w)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.fail("%v", err)
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-p.Context().Done():
			p.Fatal(p.Context().Err())
		}
	}
}

func (p *play) expect(w []string) error {
	rest := strings.Join(w[1:], " ")
	v := p.view("rig")
	switch w[0] {
	case "exposure":
		return p.exposure(p.float(w[1]))
	case "waiting":
		if len(v.Waiting) == 0 || !strings.HasPrefix(v.Waiting[0].Text, rest) {
			return fmt.Errorf("it waits for %+v, want %q first", v.Waiting, rest)
		}
		return nil
	case "status":
		return same(string(v.State.Status), rest)
	case "stage":
		return same(v.Stages[v.State.Stage].Name, rest)
	case "attempt":
		return same(strconv.Itoa(v.State.Attempt), rest)
	case "bake":
		return p.bake(v.State.Bake, w[1:])
	case "served":
		got, err := p.evaluate("rig", w[1])
		return errors.Join(err, same(got, w[2]))
	case "overridden":
		if i := slices.IndexFunc(v.Stages, func(s controller.StageView) bool { return s.Name == w[1] }); i < 0 || !v.Stages[i].Overridden {
			return errors.New("it is not marked")
		}
		return nil
	case "rule":
		for _, list := range [][]judge.Verdict{v.Rollback, v.Reduce, v.Proceed, v.Checks} {
			if i := slices.IndexFunc(list, func(d judge.Verdict) bool { return d.Rule == w[1] }); i >= 0 {
				return p.verdict(list[i], w[2:])
			}
		}
		return errors.New("there is no such verdict")
	case "account":
		return p.account(v.State, w[1:])
	case "item":
		for _, i := range slices.Concat(v.Checklist, v.Before, v.Confirm, v.Tasks) {
			if i.ID == w[1] {
				return same(fmt.Sprint(i.Done), fmt.Sprint(w[2] == "done"))
			}
		}
		return errors.New("no list has it")
	}
	return p.expectTold(w, rest)
}

// expectTold expects what journal, notices, charts and lint say.
func (p *play) expectTold(w []string, rest string) error {
	switch w[0] {
	case "verdict":
		journal := p.journal("rig")
		for i := len(journal) - 1; i >= 0; i-- {
			if d := journal[i].Verdict; d != nil {
				return p.verdict(*d, w[1:])
			}
		}
		return errors.New("no event carries a verdict")
	case "checks":
		all, red := 0, 0
		for _, e := range p.journal("rig") {
			if e.Type == rollout.Checked {
				all++
				red += min(1, len(e.Red))
			}
		}
		if all != p.number(w[1]) || len(w) == 4 && red != p.number(w[3]) {
			return fmt.Errorf("%d checks, %d of them red", all, red)
		}
		return nil
	case "last":
		var entries []controller.Entry
		p.look("/rollouts/rig/timeline?limit=1", &entries)
		if text := entries[0].Title + "\n" + entries[0].Text; !strings.Contains(text, rest) {
			return fmt.Errorf("the last event is %q", text)
		}
		return nil
	case "notice":
		titles := p.hook.titles()
		if len(titles) == 0 || !fits(rest, titles[len(titles)-1]) {
			return fmt.Errorf("the notices are %q", titles)
		}
		return nil
	case "notices":
		titles := slices.DeleteFunc(p.hook.titles(), func(t string) bool { return !strings.HasPrefix(t, strings.Join(w[2:], " ")) })
		if len(titles) != p.number(w[1]) {
			return fmt.Errorf("they are %q", titles)
		}
		return nil
	case "tries":
		for id, n := range p.hook.tries {
			if n != p.number(w[1]) {
				return fmt.Errorf("%s was sent %d times", id, n)
			}
		}
		return nil
	case "unchanged":
		if n := len(p.hook.titles()); rest != "notices" || n != p.told {
			return fmt.Errorf("%d new notices", n-p.told)
		}
		return nil
	case "chart":
		return p.chart(w[1], w[2], p.float(w[3]))
	case "lint":
		return p.lint(w[1], strings.Join(w[2:], " "))
	}
	p.Fatalf("nothing called %q can be expected", w[0])
	return nil
}

func same(got, want string) error {
	if got != want {
		return fmt.Errorf("it is %q, want %q", got, want)
	}
	return nil
}

// exposure asks for a thousand visitors: the share on new is the exposure ±2.5
// points, exactly where nobody or everybody is meant; and who is on new at
// one exposure is so at each higher one.
func (p *play) exposure(percent float64) error {
	now := exposed{percent, map[string]bool{}}
	for n := range crowdSize {
		user := fmt.Sprintf("visitor-%d", n)
		v, err := p.evaluate("rig", user)
		if err != nil {
			return err
		}
		if v == "new" {
			now.users[user] = true
		}
	}
	tolerance := 2.5
	if percent == 0 || percent == 100 {
		tolerance = 0
	}
	if got := 100 * float64(len(now.users)) / crowdSize; math.Abs(got-percent) > tolerance {
		return fmt.Errorf("it is %.1f %%", got)
	}
	for _, before := range p.sets {
		less, more := before, now
		if before.percent > now.percent {
			less, more = now, before
		}
		for user := range less.users {
			if !more.users[user] {
				return fmt.Errorf("%s is on new at %v %% and not at %v %%", user, less.percent, more.percent)
			}
		}
	}
	p.sets = append(p.sets, now)
	return nil
}

// bake reads "1h30m", which is within 5 minutes, "0s", which is within one,
// and "at most 30m".
func (p *play) bake(got time.Duration, w []string) error {
	want, err := time.ParseDuration(w[len(w)-1])
	p.must(err)
	within := slack
	if want == 0 {
		within = time.Minute
	}
	if w[0] == "at" && got > want || w[0] != "at" && (got-want).Abs() > within {
		return fmt.Errorf("it is %v", got)
	}
	return nil
}

// verdict reads facets such as: met, not-met, unknown, dry, harm, no-harm,
// proved, control, value A..B, limit X.
func (p *play) verdict(v judge.Verdict, facets []string) error {
	within := func(got *float64, text string) bool {
		a, b, ranged := strings.Cut(text, "..")
		if !ranged {
			b = a
		}
		return got != nil && *got >= p.float(a) && *got <= p.float(b)
	}
	for i := 0; i < len(facets); i++ {
		ok := false
		switch w := facets[i]; w {
		case "met", "not-met", "unknown":
			ok = v.Status == map[string]judge.Status{"met": judge.Met, "not-met": judge.NotMet, "unknown": judge.Unknown}[w]
		case "dry":
			ok = v.Dry
		case "harm", "no-harm":
			ok = v.Harm == (w == "harm")
		case "proved":
			ok = v.LogE != nil && v.LogLimit != nil && *v.LogE >= *v.LogLimit
		case "control":
			ok = string(v.Ref) == w
		case "value":
			i++
			ok = within(v.Value, facets[i])
		case "limit":
			i++
			ok = within(&v.Limit, facets[i])
		default:
			p.Fatalf("a verdict is not %q", w)
		}
		if !ok {
			return fmt.Errorf("%s is not %s: %+v", v.Rule, facets[i], v)
		}
	}
	return nil
}

// account compares where the time went; each part may be 5 minutes off, and
// all together 1 minute.
func (p *play) account(s rollout.State, w []string) error {
	var source []byte
	p.must(p.ask("lead", http.MethodGet, "/rollouts/rig/plan", nil, &source))
	parsed, err := plan.Parse(source)
	p.must(err)
	now := p.now
	got := rollout.AccountAt(parsed, s, rollout.Input{Wall: now, Mono: s.Mono + now.Sub(s.At), Covered: now.Sub(s.At)})
	if s.Status == rollout.Done {
		now = s.At
	}
	var sum time.Duration
	for _, d := range got {
		sum += d
	}
	for _, part := range w {
		key, text, _ := strings.Cut(part, "=")
		want, err := time.ParseDuration(text)
		p.must(err)
		if (got[key] - want).Abs() > slack {
			return fmt.Errorf("%v of %s in %v", got[key], key, got)
		}
		delete(got, key)
	}
	if wall := now.Sub(s.StartedAt); len(got) > 0 || (wall-sum).Abs() > time.Minute {
		return fmt.Errorf("besides %v; the parts sum to %v, the wall time is %v", got, sum, wall)
	}
	return nil
}

// chart expects the highest point of the canary in a span of time: each point
// looks back over a share of the chart, so that neighbours overlap.
func (p *play) chart(metric, span string, want float64) error {
	a, b, _ := strings.Cut(span, "..")
	from, _ := sinceT(a)
	to, _ := sinceT(b)
	var s controller.Series
	p.look(fmt.Sprintf("/rollouts/rig/series/%s?range=%dm", metric, int(p.now.Sub(scenarioBegin.Add(from))/time.Minute)), &s)
	var highest float64
	for i, t := range s.T {
		if v := s.Canary[i]; v != nil && time.Unix(t, 0).Before(scenarioBegin.Add(to)) {
			highest = max(highest, *v)
		}
	}
	if highest != want {
		return fmt.Errorf("it shows %v", highest)
	}
	return nil
}

// lint expects a finding, or "clean" no error.
func (p *play) lint(code, text string) error {
	var source []byte
	p.must(p.ask("lead", http.MethodGet, "/rollouts/rig/plan", nil, &source))
	var check controller.PlanCheck
	p.must(p.ask("lead", http.MethodPost, "/plans/lint", source, &check))
	for _, found := range check.Problems {
		if found.Code == code && strings.Contains(found.What+": "+found.Fix, text) {
			return nil
		}
	}
	if code != "clean" || plan.Problems(check.Problems).Errors() > 0 {
		return fmt.Errorf("lint says %v", check.Problems)
	}
	return nil
}

var journalLine = regexp.MustCompile(`^(\S+) (.+)$`)

// compareJournal compares the journal, without what only counts time and what
// the plan itself does, with the scenario's; times are ±5 minutes.
func (p *play) compareJournal(want string) {
	p.at = "journal"
	var got []rollout.Event
	for _, e := range p.journal("rig") {
		if countsTime(e) || e.Type == rollout.Created || e.Type == rollout.Completed && e.Via == "plan" {
			continue
		}
		got = append(got, e)
	}
	lines := strings.Split(strings.TrimSpace(want), "\n")
	for i := range max(len(lines), len(got)) {
		switch {
		case i >= len(got):
			p.fail("missing: %s", lines[i])
		case i >= len(lines):
			p.fail("unexpected: %s", lineOf(got[i]))
		default:
			if !asWritten(got[i], lines[i]) {
				p.fail("got %s, want %s", lineOf(got[i]), lines[i])
			}
		}
	}
}

// asWritten compares an event with a line such as "T+2:00 advanced r25", which
// is ±5 minutes, or "T+2:10..T+2:30 rolled_back p1 > 5 over 1h".
func asWritten(e rollout.Event, line string) bool {
	m := journalLine.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	first, last, span := strings.Cut(m[1], "..")
	from, ok := sinceT(first)
	to, alsoOK := from+slack, true
	if span {
		to, alsoOK = sinceT(last)
	} else {
		from -= slack
	}
	at := e.At.Sub(scenarioBegin)
	return ok && alsoOK && at >= from && at <= to+time.Minute && inWords(e) == m[2]
}

// countsTime are the events that tell of time and look, not of decisions.
func countsTime(e rollout.Event) bool {
	return e.Type == rollout.Baked || e.Type == rollout.Checked || e.Type == rollout.ServedEvent
}

func lineOf(e rollout.Event) string {
	d := e.At.Sub(scenarioBegin).Truncate(time.Minute)
	return fmt.Sprintf("T+%d:%02d %s", d/time.Hour, d%time.Hour/time.Minute, inWords(e))
}

// inWords is an event as the scenarios write it.
func inWords(e rollout.Event) string {
	out := []string{string(e.Type)}
	switch e.Type {
	case rollout.Started, rollout.Advanced:
		out = append(out, e.To)
	case rollout.Restarted:
		out = append(out, e.To, fmt.Sprintf("attempt %d", e.Attempt))
	case rollout.RolledBackEvent:
		out = append(out, e.Rule)
	case rollout.ReducedEvent:
		out = append(out, e.Exposure.String(), e.Kind)
	case rollout.BlindEvent:
		out = append(out, e.Item, map[bool]string{true: "paged"}[e.Paged])
	case rollout.NoData:
		out = append(out, map[bool]string{true: "paged"}[e.Paged])
	case rollout.Completed, rollout.Approved, rollout.Confirmed, rollout.Accepted, rollout.Deployed:
		out = append(out, e.Item)
	}
	if e.Overridden {
		out = append(out, "overridden")
	}
	if e.By != "" && e.Type != rollout.Started {
		out = append(out, "by "+e.By)
	}
	return strings.Join(strings.Fields(strings.Join(out, " ")), " ")
}

// invariants hold after every scenario: the state is the journal applied,
// positions have no gaps, every raise of the machine carries its verdicts and
// none follows another within a tick, and each notice was accepted once.
func (p *play) invariants() {
	p.at = "at the end"
	var s rollout.State
	var last rollout.Event
	for i, e := range p.journal("rig") {
		s = rollout.Apply(s, e)
		if e.Pos != int64(i)+1 {
			p.fail("event %d has position %d", i+1, e.Pos)
		}
		if e.Type != rollout.Advanced {
			continue
		}
		if len(e.Verdicts) == 0 {
			p.fail("%s carries no verdicts", lineOf(e))
		}
		if e.By == "" && last.Attempt == e.Attempt && e.At.Sub(last.At) < time.Minute {
			p.fail("%s within a tick of %s", lineOf(e), lineOf(last))
		}
		last = e
	}
	if stored := p.view("rig").State; s.Pos != stored.Pos || s.Status != stored.Status || s.Exposure != stored.Exposure || s.Stage != stored.Stage || s.Bake != stored.Bake {
		p.fail("state is not the journal applied:\n%+v\n%+v", s, stored)
	}
	if len(p.hook.repeated)+len(p.hook.problems) > 0 {
		p.fail("notices accepted twice: %q; %q", p.hook.repeated, p.hook.problems)
	}
}

// fits reports whether text is as the pattern says, in which * stands for any
// characters.
func fits(pattern, text string) bool {
	ok, err := regexp.MatchString("^"+strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*")+"$", text)
	return err == nil && ok
}
