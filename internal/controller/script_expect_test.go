package controller_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// remembered is what "expect unchanged" compares with.
type remembered struct {
	logE    map[string]float64
	notices int
}

// onNewSet is who was on new at an exposure.
type onNewSet struct {
	percent float64
	users   map[int]bool
}

// expect looks at the service; words are what follows "expect".
func (x *run) expect(words []string) {
	if len(words) < 2 {
		x.bad("expect what?")
	}
	v := x.view()
	rest := strings.Join(words[1:], " ")
	switch words[0] {
	case "exposure":
		x.exposed(words[1])
	case "waiting":
		x.waits(v, rest)
	case "status":
		x.same("status", string(v.State.Status), rest)
	case "stage":
		x.same("stage", v.Stages[v.State.Stage].Name, rest)
	case "attempt":
		x.same("attempt", strconv.Itoa(v.State.Attempt), rest)
	case "bake":
		x.bakes(v.State.Bake, words[1:])
	case "note":
		x.same("note", cmp.Or(v.Note, "none"), rest)
	case "served":
		x.same("the variant of "+words[1], x.evaluate(words[1]), strings.Join(words[2:], " "))
	case "overridden":
		i := slices.IndexFunc(v.Stages, func(s controller.StageView) bool { return s.Name == words[1] })
		if i < 0 || !v.Stages[i].Overridden {
			x.Errorf("stage %s is not marked as overridden", words[1])
		}
	case "rule":
		x.ruled(v, words[1], words[2:])
	case "verdict":
		x.lastVerdict(words[1:])
	default:
		x.expectMore(v, words, rest)
	}
}

func (x *run) expectMore(v controller.View, words []string, rest string) {
	switch words[0] {
	case "checks":
		x.checked(words[1:])
	case "item":
		x.listed(v, words[1], strings.Join(words[2:], " "))
	case "open", "closed":
		x.open(v, words[0] == "open", rollout.Verb(words[1]), strings.Join(words[2:], " "))
	case "account":
		x.accounts(v.State, words[1:])
	case "notice":
		x.lastNotice(rest)
	case "notices":
		x.counted(words[1:])
	case "tries":
		for id, n := range x.team.tries {
			if n != x.number(words, 1) {
				x.Errorf("%s was sent %d times, want %s", id, n, words[1])
			}
		}
	case "chart":
		x.charted(words[1:])
	case "lint":
		x.linted(words[1], strings.Join(words[2:], " "))
	case "last":
		journal := x.told()
		p, err := plan.Parse(x.inForce())
		x.must(err)
		if title, text := rollout.Title(p, journal[len(journal)-1]); !strings.Contains(title+"\n"+text, rest) {
			x.Errorf("the last event is %q, want it to say %q", title, rest)
		}
	case "unchanged":
		x.unchanged(rest)
	default:
		x.bad("nothing called %q can be expected", words[0])
	}
}

func (x *run) same(what, got, want string) {
	if got != want {
		x.Errorf("%s is %q, want %q", what, got, want)
	}
}

func (x *run) inForce() []byte {
	source, err := x.c.PlanSource(x.Context(), x.name)
	x.must(err)
	return source
}

// exposed checks the share on new, and that raising and lowering neither loses
// nor adds a user out of turn: users(p) ⊆ users(q) for p ≤ q.
func (x *run) exposed(text string) {
	want, err := strconv.ParseFloat(text, 64)
	x.must(err)
	x.exposure(want)
	now := onNewSet{want, x.onNew()}
	for _, before := range x.sets {
		less, more := before, now
		if before.percent > now.percent {
			less, more = now, before
		}
		for n := range less.users {
			if !more.users[n] {
				x.Errorf("%s is on new at %v %% and not at %v %%", user(n), less.percent, more.percent)
				return
			}
		}
	}
	x.sets = append(x.sets, now)
}

func (x *run) waits(v controller.View, want string) {
	switch {
	case want == "nothing" && len(v.Waiting) > 0:
		x.Errorf("it waits for %q, want nothing", v.Waiting[0].Text)
	case want != "nothing":
		x.waiting(want)
	}
}

// bakes reads "1h30m", which is within 5 minutes, "0", which is exact to the
// minute, and "at most 30m".
func (x *run) bakes(got time.Duration, words []string) {
	if len(words) == 3 && words[0] == "at" && words[1] == "most" {
		if most := x.duration(words[2:]); got > most {
			x.Errorf("bake is %v, want at most %v", got, most)
		}
		return
	}
	want, within := x.duration(words), slack
	if want == 0 {
		within = time.Minute
	}
	if (got - want).Abs() > within {
		x.Errorf("bake is %v, want %v", got, want)
	}
}

// checked reads "32", or "32 red 1".
func (x *run) checked(words []string) {
	checks, red := x.of(rollout.Checked), 0
	for _, e := range checks {
		if len(e.Red) > 0 {
			red++
		}
	}
	if want := x.number(words, 0); len(checks) != want {
		x.Errorf("%d checks, want %d", len(checks), want)
	}
	if len(words) == 3 && red != x.number(words, 2) {
		x.Errorf("%d checks are red, want %s", red, words[2])
	}
}

// listed checks an item of any list that is shown.
func (x *run) listed(v controller.View, id, want string) {
	for _, i := range slices.Concat(v.Checklist, v.Before, v.Confirm, v.Tasks) {
		if i.ID == id {
			x.same("item "+id, map[bool]string{true: "done", false: "open"}[i.Done], want)
			return
		}
	}
	x.Errorf("no list has the item %q", id)
}

// open checks whether a verb's button is open, and what is missing.
func (x *run) open(v controller.View, want bool, verb rollout.Verb, missing string) {
	for _, a := range v.Actions {
		if a.Verb != verb {
			continue
		}
		all := strings.Join(a.Missing, "; ")
		if a.Open != want || !strings.Contains(all, missing) {
			x.Errorf("%s: open %v, missing %q; want open %v, missing %q", verb, a.Open, all, want, missing)
		}
		return
	}
	x.bad("there is no verb %q", verb)
}

// accounts compares where the time went, as of now; each part may be 5
// minutes off, and all together 1 minute.
func (x *run) accounts(s rollout.State, words []string) {
	p, err := plan.Parse(x.inForce())
	x.must(err)
	now := x.clk.Now()
	got := rollout.AccountAt(p, s, rollout.Input{Wall: now, Mono: x.clk.Mono(), Covered: now.Sub(s.At)})
	if s.Status == rollout.Done || s.Status == rollout.Cancelled {
		now = s.At
	}
	want := map[string]time.Duration{}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		want[key] = x.duration([]string{value})
	}
	var sum time.Duration
	for key, d := range got {
		sum += d
		if (d - want[key]).Abs() > slack {
			x.Errorf("account: %v of %s, want %v", d, key, want[key])
		}
		delete(want, key)
	}
	for key, d := range want {
		x.Errorf("account: nothing of %s, want %v", key, d)
	}
	if wall := now.Sub(s.StartedAt); (wall - sum).Abs() > time.Minute {
		x.Errorf("account: the parts sum to %v, the wall time is %v", sum, wall)
	}
}

func (x *run) lastNotice(want string) {
	messages := x.team.messages()
	if len(messages) == 0 {
		x.Errorf("no notice was accepted, want %q", want)
		return
	}
	if n := messages[len(messages)-1]; !matches(want, n.Title) || n.Link == "" {
		x.Errorf("the last notice is %q (%s), want %q with a link", n.Title, n.Link, want)
	}
}

// counted reads "3", or "1 no data": the notices that begin so.
func (x *run) counted(words []string) {
	n, prefix := 0, strings.Join(words[1:], " ")
	for _, m := range x.team.messages() {
		if strings.HasPrefix(m.Title, prefix) {
			n++
		}
	}
	if n != x.number(words, 0) {
		x.Errorf("%d notices %q, want %s", n, prefix, words[0])
	}
}

// charted reads "p1 T+0:06..T+0:26 6": the sum of a chart of the canary.
func (x *run) charted(words []string) {
	from, to := x.span(words[1:])
	s, err := x.c.Series(x.Context(), x.id, words[0], x.begin.Add(from), x.begin.Add(to), 600)
	x.must(err)
	var sum float64
	for _, v := range s.Canary {
		if v != nil {
			sum += *v
		}
	}
	if want := x.number(words, 2); sum != float64(want) {
		x.Errorf("the chart of %s shows %v, want %d", words[0], sum, want)
	}
}

// linted reads "W16 text", and "clean" for no error.
func (x *run) linted(code, text string) {
	p, err := plan.Parse(x.inForce())
	x.must(err)
	var found []string
	for _, problem := range plan.Lint(p, nil) {
		if problem.Code == code && strings.Contains(problem.What+": "+problem.Fix, text) {
			return
		}
		if problem.Severity == plan.Error || code != "clean" {
			found = append(found, fmt.Sprintf("%s %s: %s", problem.Code, problem.What, problem.Fix))
		}
	}
	if code != "clean" || len(found) > 0 {
		x.Errorf("lint says %q, want %s %s", found, code, text)
	}
}

// logE are the logarithms of the evidence of all rollback rules.
func (x *run) logE() map[string]float64 {
	out := map[string]float64{}
	for _, v := range x.view().Rollback {
		if v.LogE != nil {
			out[v.Rule] = *v.LogE
		}
	}
	return out
}

func (x *run) unchanged(what string) {
	switch what {
	case "evidence":
		now := x.logE()
		for rule, e := range x.past.logE {
			if got, ok := now[rule]; !ok || math.Abs(got-e) > 1e-12 {
				x.Errorf("ln E of %q was %v and is %v", rule, e, got)
			}
		}
		if len(x.past.logE) == 0 {
			x.bad("no evidence was remembered")
		}
	case "notices":
		if n := len(x.team.messages()); n != x.past.notices {
			x.Errorf("%d new notices, want none", n-x.past.notices)
		}
	default:
		x.bad("evidence or notices are unchanged")
	}
}
