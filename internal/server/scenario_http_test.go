package server_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"serin/internal/notify"
	"serin/internal/rollout"
)

// scenarioDir holds the acceptance scenarios in the language that its
// README.md describes. internal/controller runs them in a bubble of virtual
// time; here those that concern clients run against the built program.
const scenarioDir = "../controller/testdata/scenarios"

// scenarioPlan is the plan that they start from. Its channel is a webhook:
// unlike a Slack message that carries the notice's id to the receiver.
const scenarioPlan = `serin: 1
plan: rig
timezone: UTC
flag: { key: rig }
calendar: { raise: ["daily 00:00-24:00"] }
roles: { lead: { who: "@lead", may: [start, approve, promote, override, accept, resume, restart] } }
channels: { team: "webhook:team" }
judge: { enough: { users: 10, for: 10m }, no_data: { grace: 10m, then: hold, after: 1h, page: lead }, overrun: 2h }
criteria: { ok: [p1 = 0, errors < 5, lcp < 2.5s] }
stages:
  - { stage: c10,  traffic: 10%,  bake: 2h, owner: lead, proceed: ok, checks: [{ every: 15m, expect: ok }] }
  - { stage: r25,  like: c10, traffic: 25%,  bake: 1h }
  - { stage: r50,  like: c10, traffic: 50%,  bake: 1h }
  - { stage: r75,  like: c10, traffic: 75%,  bake: 1h }
  - { stage: full, like: c10, traffic: 100%, bake: 3h }
rollback: [p1 > 5 over 1h, lcp > +30% vs reference over 1h]
`

// representative are the scenarios of every test run; SERIN_SCENARIOS=all runs
// all of S1–S7 and S9–S12, and S14 but for the revision of its plan, which only
// the bubble plays. S8 needs nothing of clients that S1 does not need, S13 a week
// of evenings.
var representative = []string{"s03a", "s04a", "s05", "s06", "s07-", "s09b", "s09d", "s09e", "s10d", "s12b", "s14a"}

var overHTTP = regexp.MustCompile(`^s(0[1-79]|1[0-2]|14[ab])`)

// warmUp is how long before T users come: without them the rollout would start
// in a silence. A baseline of seven days is not sent: whatever compares in
// these scenarios compares with users on old.
const warmUp = 12 * time.Minute

// Within each minute the server ticks at :05, telemetry is sent at :30 and
// commands are given at :00.
const (
	tickSecond = 5 * time.Second
	sendSecond = 30 * time.Second
)

// scenarioBegin is T = 0.
var scenarioBegin = time.Date(2025, time.March, 3, 9, 0, 0, 0, time.UTC)

// scenariosOverHTTP drives the built program through the scenarios:
// telemetry as Sentry envelopes, commands over the API with tokens of the
// roles, flags over OFREP, notices to a webhook.
func scenariosOverHTTP(t *testing.T, path string) {
	files, err := filepath.Glob(scenarioDir + "/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		wanted := os.Getenv("SERIN_SCENARIOS") == "all" || slices.ContainsFunc(representative, func(p string) bool { return strings.HasPrefix(name, p) })
		if !overHTTP.MatchString(name) || !wanted {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			runScenario(t, path, a)
		})
	}
}

// play is one scenario as it runs.
type play struct {
	*driven
	at     string // the line that is played
	minute int    // the next minute since T whose telemetry is to be sent
	ids    map[string]int64
	sets   []exposed
	told   int
	// prometheus is asked by the program; nil = none is configured.
	prometheus *promDouble
}

func runScenario(t *testing.T, path string, a *txtar.Archive) {
	files := map[string]string{}
	for _, f := range a.Files {
		files[f.Name] = string(f.Data)
	}
	p := &play{driven: newDriven(t, path, "rig", scenarioBegin.Add(tickSecond-warmUp)), minute: -int(warmUp / time.Minute), ids: map[string]int64{}}
	if strings.Contains(files["setup"], "prometheus") {
		p.prometheus = newPromDouble(t)
		p.must(p.addSource(p.prometheus.url))
	}
	p.must(p.start(""))
	p.hook.onAccept = p.rolledBackIsServed
	p.must(p.ask("lead", http.MethodPost, "/rollouts", []byte(p.planOf(files["plan"])), nil))
	for line := range strings.Lines(files["setup"]) {
		p.happen(words(line))
	}
	p.driveTo(scenarioBegin)
	for line := range strings.Lines(files["script"]) {
		p.step(line)
	}
	p.must(p.drive(p.now))
	p.compareJournal(files["journal"])
	if want, ok := files["notices"]; ok {
		p.compareNotices(want)
	}
	p.invariants()
	t.Logf("start of the program: %v", p.starts)
}

func (p *play) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatalf("%s: %v", p.at, err)
	}
}

// fail notes that the service did not do as it should.
func (p *play) fail(format string, args ...any) {
	p.Helper()
	p.Errorf("%s: %s", p.at, fmt.Sprintf(format, args...))
}

// planOf is the plan of a scenario: the changes to the rig's.
func (p *play) planOf(part string) string {
	source, from, to := scenarioPlan, []string(nil), []string(nil)
	apply := func() {
		if len(from) > 0 {
			old := strings.Join(from, "\n")
			if !strings.Contains(source, old) {
				p.Fatalf("the plan has no %q", old)
			}
			source, from, to = strings.Replace(source, old, strings.Join(to, "\n"), 1), nil, nil
		}
	}
	for line := range strings.Lines(part) {
		line = strings.TrimRight(line, "\n")
		if old, ok := strings.CutPrefix(line, "- "); ok {
			if len(to) > 0 {
				apply()
			}
			from = append(from, old)
		} else if next, ok := strings.CutPrefix(line, "+ "); ok {
			to = append(to, next)
		} else if line != "rig" && line != "" {
			p.Fatalf("a plan of a scenario is rig and changes to it, not %q", line)
		}
	}
	apply()
	return source
}

// driveTo goes to a time, minute by minute, with each minute's telemetry. A
// server that is down takes none.
func (p *play) driveTo(end time.Time) {
	p.Helper()
	for ; ; p.minute++ {
		at := scenarioBegin.Add(time.Duration(p.minute)*time.Minute + sendSecond)
		if !at.Before(end) {
			break
		}
		if p.process != nil {
			p.must(p.drive(at))
			p.must(p.crowd.minute(p.minute))
		}
	}
	if p.process == nil {
		p.now = end
	} else if end.After(p.now) { // a server that came up again has gone on a little
		p.must(p.drive(end))
	}
}

var timeForm = regexp.MustCompile(`^T(?:\+(\d+):([0-5]\d))?$`)

// sinceT reads "T" and "T+1:30".
func sinceT(word string) (time.Duration, bool) {
	m := timeForm.FindStringSubmatch(word)
	if m == nil {
		return 0, false
	}
	h, _ := strconv.Atoi(m[1])
	minutes, _ := strconv.Atoi(m[2])
	return time.Duration(h)*time.Hour + time.Duration(minutes)*time.Minute, true
}

// step plays one line.
func (p *play) step(line string) {
	p.at = strings.TrimSpace(line)
	w := words(line)
	if len(w) == 0 {
		return
	}
	if at, ok := sinceT(w[0]); ok {
		p.driveTo(scenarioBegin.Add(at))
		w = w[1:]
	}
	switch {
	case len(w) == 0:
	case w[0] == "expect":
		p.eventually(w[1:])
	case strings.HasSuffix(w[0], ":"):
		p.give(strings.TrimSuffix(w[0], ":"), w[1:])
	default:
		p.happen(w)
	}
}

// happen lets something happen in the world.
func (p *play) happen(w []string) {
	if len(w) == 0 {
		return
	}
	switch w[0] {
	case "healthy":
		p.crowd.silent, p.crowd.slower = false, 1
	case "silence":
		p.crowd.silent = true
	case "users":
		p.crowd.every = 1
		if w[1] != "all" {
			p.crowd.every = crowdSize / p.number(w[1])
		}
	case "canary":
		p.crowd.slower = p.float(strings.TrimPrefix(w[2], "x"))
	case "prometheus":
		p.prometheus.fails.Store(w[1] == "fails")
	case "team":
		p.hook.fails = p.number(w[2])
	case "remember":
		p.told = len(p.hook.titles())
	case "p1":
		p.p1(w[1:])
	case "tick": // of the bubble: this server has one pace
	case "down":
		p.must(p.drive(p.now))
		p.kill()
	case "up", "restart":
		if w[0] == "restart" {
			p.must(p.drive(p.now))
			p.kill()
		}
		p.now = p.now.Add(tickSecond)
		p.must(p.start(""))
	default:
		p.Fatalf("nothing is called %q", w[0])
	}
}

// p1 reads "6", "6 same" and "6 late=15m".
func (p *play) p1(w []string) {
	var late time.Duration
	if text, ok := strings.CutPrefix(w[len(w)-1], "late="); ok {
		var err error
		late, err = time.ParseDuration(text)
		p.must(err)
	}
	events, err := p.crowd.p1(p.number(w[0]), late)
	p.must(err)
	if w[len(w)-1] == "same" {
		for i := range events {
			events[i] = events[0]
		}
	}
	p.must(p.crowd.report(events))
}

// give reads "promote reason=x => 409 "text"" and gives the command as a role.
func (p *play) give(role string, w []string) {
	status, why := 200, ""
	if i := slices.Index(w, "=>"); i >= 0 {
		status, why = p.number(w[i+1]), strings.Join(w[i+2:], " ")
		w = w[:i]
	}
	verb, fields, key := rollout.Verb(w[0]), map[string]any{}, ""
	for _, word := range w[1:] {
		name, value, ok := strings.Cut(word, "=")
		switch {
		case name == "id" && ok:
			key = value
		case ok:
			fields[name] = value
		case verb == rollout.Reduce:
			fields["percent"] = p.number(strings.TrimSuffix(word, "%"))
		case verb == rollout.Deploy:
			fields["release"] = word
		default:
			fields["item"] = word
		}
	}
	var res struct{ Events []rollout.Event }
	var err error
	switch verb {
	case "hotfix":
		_, err = p.command(role, "rig", rollout.Reduce, "", map[string]any{"hotfix": true})
	case rollout.Deploy:
		if err = p.ask(role, http.MethodPost, "/releases", fields, nil); err != nil && status == 422 {
			why = "" // the schema refuses it before the rollout can
		}
	default:
		r, e := p.command(role, "rig", verb, key, fields)
		res.Events, err = r.Events, e
	}
	p.answered(err, status, why)
	if key != "" && len(res.Events) > 0 {
		last := res.Events[len(res.Events)-1].Pos
		if first, again := p.ids[key]; again && first != last {
			p.fail("the same command again is answered with event %d, the first time it was %d", last, first)
		}
		p.ids[key] = last
	}
}

func (p *play) answered(err error, status int, why string) {
	p.Helper()
	refused, ok := err.(*refusal)
	switch {
	case err != nil && !ok:
		p.must(err)
	case err == nil && status != 200:
		p.fail("it is done, want %d", status)
	case err != nil && refused.status != status:
		p.fail("it answers %v, want %d", err, status)
	case err != nil && !strings.Contains(refused.why, why):
		p.fail("refused because %q, want it to say %q", refused.why, why)
	}
}

// rolledBackIsServed: when the team accepts the message of a rollback, it is
// served already. It runs in the receiver.
func (p *play) rolledBackIsServed(n notify.Notice) {
	if n.Type != string(rollout.RolledBackEvent) {
		return
	}
	for i := range 40 {
		if v, err := p.evaluate("rig", userName(i)); err != nil || v == "new" {
			p.hook.problems = append(p.hook.problems, fmt.Sprintf("%s was sent before it was served: %s is on %s (%v)", n.ID, userName(i), v, err))
			return
		}
	}
}

// words cuts a line into words; a word may hold a quoted part, and what
// follows # is a comment.
func words(line string) (out []string) {
	var word strings.Builder
	quoted, begun := false, false
	for _, c := range strings.TrimSpace(line) + " " {
		switch {
		case c == '"':
			quoted, begun = !quoted, true
		case c == '#' && !begun:
			return out
		case c == ' ' && !quoted:
			if begun {
				out = append(out, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	return out
}

func (p *play) number(text string) int {
	n, err := strconv.Atoi(text)
	p.must(err)
	return n
}

func (p *play) float(text string) float64 {
	f, err := strconv.ParseFloat(text, 64)
	p.must(err)
	return f
}

// compareNotices compares what the rollout told. Its final report is not the state
// machine's, which the transcripts are about.
func (p *play) compareNotices(want string) {
	p.at = "notices"
	lines := strings.Split(strings.TrimSpace(want), "\n")
	titles := slices.DeleteFunc(p.hook.titles(), func(t string) bool { return strings.HasPrefix(t, "Final report of ") })
	same := len(lines) == len(titles)
	for i := 0; same && i < len(lines); i++ {
		same = fits(lines[i], titles[i])
	}
	if !same {
		p.fail("(-want +got):\n%s", cmp.Diff(lines, titles))
	}
}
