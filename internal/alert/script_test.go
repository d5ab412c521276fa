package alert_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"serin/internal/alert"
)

var update = flag.Bool("update", false, "write the transcripts anew")

// start is 09:00 on a Monday.
var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// TestScripts plays testdata/*.txtar: a rule, events and commands at times,
// and the transcript that they must give. A line of "in" is "MM:SS what":
//
//	event [n] [label]    n events arrive; the rule is looked at
//	tick                 the timer looks
//	blind WHY, sight     telemetry stops and flows again
//	ack BY, silence DURATION BY, unsilence
//	dead, delivered      what becomes of notices
//	inhibit, release     another rule fires, and does not any more
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := newPlayer(t, string(a.Files[0].Data))
			got := p.play(string(a.Files[1].Data))
			if *update {
				a.Files[2].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(a), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(a.Files[2].Data), got); diff != "" {
				t.Errorf("transcript (-want +got):\n%s", diff)
			}
		})
	}
}

// player is a rule with the arrivals it counts, as package evidence would.
type player struct {
	t        *testing.T
	rule     alert.Rule
	state    alert.State
	sent     alert.Sent
	delivery alert.Delivery
	inhibit  bool
	blind    string
	arrivals map[string][]time.Time // by label
	notices  int
	quiet    alert.Reason // last reason not to send, to write each once
	out      strings.Builder
}

// newPlayer reads "key value" lines into a rule.
func newPlayer(t *testing.T, text string) *player {
	t.Helper()
	p := &player{t: t, rule: alert.Rule{ID: "r", Name: "r"}, delivery: alert.Delivered, arrivals: map[string][]time.Time{}}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		number, _ := strconv.ParseFloat(value, 64)
		span, _ := time.ParseDuration(value)
		switch key {
		case "limit":
			p.rule.Limit = number
		case "critical":
			p.rule.Critical = &number
		case "resolve":
			p.rule.Resolve = &number
		case "for":
			p.rule.For = span
		case "resolve_after":
			p.rule.ResolveAfter = span
		case "severity":
			p.rule.Severity = value
		case "by":
			p.rule.By = []string{value}
		case "quiet":
			p.rule.Quiet = true
		case "":
		default:
			t.Fatalf("rule: %q", line)
		}
	}
	rule, err := p.rule.Complete()
	if err != nil {
		t.Fatal(err)
	}
	p.rule = rule
	return p
}

func (p *player) play(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		words := strings.Fields(line)
		minute, second, ok := strings.Cut(words[0], ":")
		m, err := strconv.Atoi(minute)
		s, err2 := strconv.Atoi(second)
		if !ok || err != nil || err2 != nil {
			p.t.Fatalf("line %q: begin with MM:SS", line)
		}
		now := start.Add(time.Duration(m)*time.Minute + time.Duration(s)*time.Second)
		p.command(words[1], words[2:], now)
		p.look(words[0], now)
	}
	return p.out.String()
}

func (p *player) command(verb string, args []string, now time.Time) {
	var changes []alert.Change
	var err error
	switch verb {
	case "event":
		n, label := 1, ""
		for _, a := range args {
			if k, err := strconv.Atoi(a); err == nil {
				n = k
			} else {
				label = a
			}
		}
		for range n {
			p.arrivals[label] = append(p.arrivals[label], now)
		}
	case "tick":
	case "blind":
		p.blind = strings.Join(args, " ")
	case "sight":
		p.blind = ""
	case "ack":
		p.state, changes, err = alert.Ack(p.rule, p.state, nil, args[0], "", now)
	case "silence":
		d, _ := time.ParseDuration(args[0])
		p.state, changes, err = alert.Mute(p.rule, p.state, nil, now.Add(d), args[1], "", now)
	case "unsilence":
		p.state, changes = alert.Unmute(p.rule, p.state, nil, "", now)
	case "late":
		p.delivery = alert.Late
	case "dead":
		p.delivery = alert.Dead
	case "delivered":
		p.delivery = alert.Delivered
	case "waiting":
		p.delivery = alert.Waiting
	case "inhibit", "release":
		p.inhibit = verb == "inhibit"
	default:
		p.t.Fatalf("no such command: %s", verb)
	}
	if err != nil {
		fmt.Fprintf(&p.out, "      refused: %v\n", err)
	}
	p.write("", changes)
}

// evidence counts each label over (now-over, now].
func (p *player) evidence(now time.Time) alert.Evidence {
	e := alert.Evidence{NoData: p.blind}
	for label, list := range p.arrivals {
		n := 0
		for _, at := range list {
			if at.After(now.Add(-p.rule.Over)) && !at.After(now) {
				n++
			}
		}
		if n > 0 {
			l := alert.LabelsOf(p.rule.By, func(string) (string, bool) { return label, true })
			e.Readings = append(e.Readings, alert.Reading{Labels: l, Value: float64(n), Known: true})
		}
	}
	return e
}

// look steps and decides as the engine does, and writes what came of it.
func (p *player) look(at string, now time.Time) {
	var changes []alert.Change
	p.state, changes = alert.Step(p.rule, p.state, p.evidence(now), now)
	p.write(at, changes)
	d := alert.Decide(p.rule, p.state, p.sent, p.delivery, func(alert.Labels) bool { return p.inhibit }, now)
	if d.Send {
		p.notices++
		p.sent = p.sent.Told(d, p.state, strconv.Itoa(p.notices), now)
		fmt.Fprintf(&p.out, "%s notice %d: %s, %d firing, %d resolved\n", at, p.notices, d.Reason, len(d.Firing), len(d.Resolved))
	} else if d.Reason != p.quiet {
		fmt.Fprintf(&p.out, "%s no notice: %s\n", at, d.Reason)
	}
	if d.Drop {
		p.sent = alert.Sent{}
	}
	p.quiet = d.Reason
}

func (p *player) write(at string, changes []alert.Change) {
	for _, c := range changes {
		value := ""
		if c.Value != nil {
			value = fmt.Sprintf(" at %g", *c.Value)
		}
		parts := []string{at, string(c.Kind) + value, c.Severity, c.Labels.String()}
		if c.By != "" {
			parts = append(parts, "by "+c.By)
		}
		fmt.Fprintln(&p.out, strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " "))
	}
}
