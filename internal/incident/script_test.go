package incident_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"serin/internal/alert"
	flags "serin/internal/flag"
	"serin/internal/incident"
	"serin/internal/judge"
	"serin/internal/plan"
)

var update = flag.Bool("update", false, "write the transcripts anew")

// TestScripts plays testdata/*.txtar: what happens at times, and the timeline
// that it must give. The plan is that of the other tests. A line of "in" is
// "MM:SS what":
//
//	alert RULE SEVERITY [N]   an alert fires; the first one opens the incident
//	over RULE [N]             it is over
//	open SEVERITY TITLE       a person opens it
//	WHO: VERB [ARGUMENT] [reason=TEXT]   a person's command, such as "anna: decide reduce 5%"
//	done N, refused N WHY     what became of decision N
//	world NAME=VALUE …        what is measured from now on: exposure, affected, p1,
//	                          many and few (answers of the tree), severe, served, flag, release
//	tick                      the timer looks
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil || len(a.Files) != 2 {
				t.Fatalf("a transcript has the parts in and out: %v", err)
			}
			got := newPlayer(t).play(string(a.Files[0].Data))
			if *update {
				a.Files[1].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(a), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(a.Files[1].Data), got); diff != "" {
				t.Errorf("transcript (-want +got):\n%s", diff)
			}
		})
	}
}

// player is an incident in a world that is set by hand.
type player struct {
	*walk
	read   incident.Reading
	p1     judge.Status // answers of the tree's two questions that are measured
	few    judge.Status
	wrote  int // events that are in out
	out    strings.Builder
	clocks string // as written last
}

func newPlayer(t *testing.T) *player {
	p := &player{walk: &walk{TB: t, p: parse(t)}, p1: judge.NotMet, few: judge.NotMet}
	p.read.Exposure, p.read.Why = 50_000, "running"
	p.read.Impact = incident.Impact{Exposure: 50_000, Users: 1000, Known: true}
	return p
}

// play plays the lines and returns the transcript.
func (p *player) play(text string) string {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		stamp, what, ok := strings.Cut(strings.TrimSpace(line), " ")
		if stamp == "" {
			continue
		}
		minute, second, timed := strings.Cut(stamp, ":")
		m, err := strconv.Atoi(minute)
		s, err2 := strconv.Atoi(second)
		if !ok || !timed || err != nil || err2 != nil {
			p.Fatalf("line %q: begin with MM:SS", line)
		}
		p.happen(stamp, time.Duration(m)*time.Minute+time.Duration(s)*time.Second, what)
	}
	fmt.Fprintf(&p.out, "= %s %s", p.s.Status, p.s.Severity)
	if p.s.Lead != "" {
		fmt.Fprintf(&p.out, ", lead %s", p.s.Lead)
	}
	if missing := p.s.Missing(); len(missing) > 0 {
		fmt.Fprintf(&p.out, ", needs %s", strings.Join(missing, ", "))
	}
	fmt.Fprintln(&p.out)
	return p.out.String()
}

// happen does one step, and writes the events and the clocks that it changed.
func (p *player) happen(stamp string, at time.Duration, what string) {
	p.Helper()
	in := p.input(what)
	p.read.Tree = incident.Tree(p.p, map[*plan.Rule]judge.Verdict{p.p.Incident.Tree[0].If: {Status: p.p1, Why: "p1"}, p.p.Incident.Tree[2].If: {Status: p.few, Why: "users"}}, p.read.Impact)
	read := p.read
	in.Reading = &read
	if err := p.at(at, in); err != nil {
		fmt.Fprintf(&p.out, "%s refused: %v\n", stamp, err)
	}
	for _, e := range p.events[p.wrote:] {
		fmt.Fprintf(&p.out, "%s %s\n", stamp, incident.Title(e))
	}
	p.wrote = len(p.events)
	var clocks []string
	for _, c := range incident.AllClocks {
		state := "runs"
		switch {
		case !p.s.Breached[c].IsZero():
			state = "missed"
		case !p.s.Done[c].IsZero():
			state = "kept"
		}
		clocks = append(clocks, string(c)+" "+state)
	}
	if now := strings.Join(clocks, ", "); now != p.clocks && p.s.Pos > 0 {
		p.clocks = now
		fmt.Fprintf(&p.out, "      %s\n", now)
	}
}

// input reads what happens.
func (p *player) input(what string) (in incident.Input) {
	p.Helper()
	words := strings.Fields(what)
	rest := strings.TrimSpace(strings.TrimPrefix(what, words[0]))
	opening := &incident.Opening{ID: "INC-1", Project: "1", Rollout: "shop-1", Lead: "on-call", Exposure: p.read.Exposure}
	switch {
	case strings.HasSuffix(words[0], ":"):
		c := p.command(words[1:])
		c.By = strings.TrimSuffix(words[0], ":")
		in.Command = &c
	case words[0] == "alert" || words[0] == "over":
		n, severity := int64(1), "p1"
		for _, w := range words[2:] {
			if k, err := strconv.ParseInt(w, 10, 64); err == nil {
				n = k
			} else {
				severity = w
			}
		}
		c := firing(words[1], n, severity)
		if words[0] == "over" {
			c.Kind = alert.Ended
		}
		in.Alert = &c
		if p.s.Pos == 0 {
			opening.Title, opening.Severity, opening.Origin = c.Name, severity, "alert "+c.Name
			in.Open = opening
		}
	case words[0] == "open":
		opening.Severity, opening.Title = words[1], strings.Join(words[2:], " ")
		in.Open, in.Command = opening, &incident.Command{By: "anna"}
	case words[0] == "done" || words[0] == "refused":
		n, err := strconv.Atoi(words[1])
		if err != nil {
			p.Fatal(err)
		}
		in.Result = &incident.Result{Number: n, Journal: 9}
		if words[0] == "refused" {
			in.Result = &incident.Result{Number: n, Refused: strings.Join(words[2:], " ")}
		}
	case words[0] == "world":
		p.world(rest)
	case words[0] != "tick":
		p.Fatalf("nothing is called %q", what)
	}
	return in
}

// command reads a person's command without who gives it.
func (p *player) command(words []string) incident.Command {
	c := incident.Command{Verb: incident.Verb(words[0]), Percent: -1}
	text := strings.Join(words[1:], " ")
	text, c.Text, _ = strings.Cut(text, "reason=")
	text, c.Text = strings.TrimSpace(text), strings.TrimSpace(c.Text)
	switch c.Verb {
	case incident.DoDecide:
		to := ""
		c.Do, to, _ = strings.Cut(text, " ")
		if v, err := strconv.ParseFloat(strings.TrimSuffix(to, "%"), 64); err == nil {
			c.Percent = flags.Percent(v * 1000)
		}
	case incident.DoHandover:
		c.To = text
	case incident.DoItem:
		c.Item = text
	case incident.DoSeverity:
		if c.Severe = text == "severe"; !c.Severe {
			c.Severity = text
		}
	case incident.DoNote, incident.DoResolve, incident.DoWrite:
		c.Text = text
	}
	return c
}

// world changes what is measured.
func (p *player) world(text string) {
	p.Helper()
	status := map[string]judge.Status{"met": judge.Met, "not": judge.NotMet, "unknown": judge.Unknown}
	for _, w := range strings.Fields(text) {
		name, value, _ := strings.Cut(w, "=")
		number, _ := strconv.ParseFloat(strings.TrimSuffix(value, "%"), 64)
		switch name {
		case "exposure":
			p.read.Exposure = flags.Percent(number * 1000)
			p.read.Impact.Exposure = p.read.Exposure
		case "state":
			p.read.Why = value
		case "affected":
			p.read.Impact.Affected = int64(number)
		case "p1":
			p.read.Impact.P1 = int64(number)
		case "many":
			p.p1 = status[value]
		case "few":
			p.few = status[value]
		case "severe":
			p.read.Severe = status[value]
		case "served":
			p.read.Served = value == "yes"
		case "release":
			p.read.Release = value
		case "flag":
			p.read.Companions = nil
			if key, to, on := strings.Cut(value, ":"); on {
				p.read.Companions = []incident.Companion{{Flag: key, To: to}}
			}
		default:
			p.Fatalf("nothing of the world is called %q", name)
		}
	}
}
