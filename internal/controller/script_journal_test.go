package controller_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/notify"
	"serin/internal/rollout"
)

// told are the events that a journal of a script lists: all but created,
// baked, checked, served, and what the plan says is done.
func (x *run) told() (out []rollout.Event) {
	for _, e := range x.journal() {
		switch {
		case e.Type == rollout.Created, e.Type == rollout.Baked, e.Type == rollout.Checked, e.Type == rollout.ServedEvent:
		case e.Type == rollout.Completed && e.Via == "plan":
		default:
			out = append(out, e)
		}
	}
	return out
}

// journalLine is "T+2:00 advanced r25", "T+2:10..T+2:30 rolled_back p1 > 5
// over 1h", each with or without a clock time after the T.
var journalLine = regexp.MustCompile(`^(T[^ .]*)(?:\.\.(T[^ ]*))?(?: (\([A-Z][a-z]+ [0-9:]+\)))? (.+)$`)

// compareJournal compares the journal with the script's: a time is ±5
// minutes, a span is exact.
func (x *run) compareJournal() {
	got := x.told()
	for _, e := range got {
		x.events = append(x.events, x.lineOf(e))
	}
	if x.wantOwn == "" {
		if !*update {
			x.bad("the script has no journal")
		}
		return
	}
	lines := nonEmpty(x.wantOwn)
	if *update {
		for i := range min(len(lines), len(got)) {
			if x.fits(got[i], lines[i]) {
				x.events[i] = lines[i]
			}
		}
		return
	}
	first := x.line
	for i := range max(len(got), len(lines)) {
		x.line = first + min(i+1, len(lines))
		switch {
		case i >= len(got):
			x.Errorf("missing: %s", lines[i])
		case i >= len(lines):
			x.Errorf("unexpected: %s", x.lineOf(got[i]))
		case !x.fits(got[i], lines[i]):
			x.Errorf("got %s, want %s", x.lineOf(got[i]), lines[i])
		}
	}
}

func (x *run) lineOf(e rollout.Event) string {
	at := e.At.Sub(x.begin).Truncate(time.Minute)
	out := tText(at)
	if x.zoned {
		out += " " + x.clockAt(at)
	}
	return out + " " + words(e)
}

func (x *run) fits(e rollout.Event, line string) bool {
	m := journalLine.FindStringSubmatch(line)
	if m == nil {
		x.bad("a line of the journal is T+2:00 advanced r25, not %q", line)
	}
	from, ok := tTime(m[1])
	to, ranged := from, m[2] != ""
	if ranged {
		to, ok = tTime(m[2])
	}
	if !ok {
		x.bad("no time: %q", line)
	}
	if m[3] != "" && m[3] != x.clockAt(from) {
		x.Errorf("%s is said to be %s, it is %s", m[1], m[3], x.clockAt(from))
	}
	if !ranged {
		from, to = from-slack, to+slack
	}
	at := e.At.Sub(x.begin)
	return words(e) == m[4] && at >= from && at <= to+time.Minute
}

// compareNotices compares what the team accepted, where the script lists it.
func (x *run) compareNotices() {
	for _, n := range x.team.messages() {
		x.titles = append(x.titles, n.Title)
	}
	if !x.wantsTold || *update {
		return
	}
	want := nonEmpty(x.wantTold)
	same := len(want) == len(x.titles)
	for i := 0; same && i < len(want); i++ {
		same = matches(want[i], x.titles[i])
	}
	if !same {
		x.Errorf("notices (-want +got):\n%s", cmp.Diff(want, x.titles))
	}
}

// watchRollback: a message of a rollback is accepted after the rollback is served.
func (x *run) watchRollback() {
	x.team.onAccept = func(n notify.Notice) {
		if n.Type == string(rollout.RolledBackEvent) && n.Rollout == x.id && x.c != nil &&
			x.view().State.Status == rollout.RolledBack && len(x.onNew()) > 0 {
			x.Errorf("%s was accepted before the rollback was served", n.ID)
		}
	}
}

// invariants are what holds after every script: state = journal applied,
// positions without gaps, each advance with the verdicts it rested on and
// never two by the machine within a tick, exposure as the state says, and
// notice ids that are told once.
func (x *run) invariants() {
	var s rollout.State
	var last rollout.Event
	for i, e := range x.journal() {
		s = rollout.Apply(s, e)
		if e.Pos != int64(i)+1 {
			x.Errorf("event %d has position %d", i+1, e.Pos)
		}
		if e.Type != rollout.Advanced {
			continue
		}
		if len(e.Verdicts) == 0 {
			x.Errorf("%s carries no verdicts", x.lineOf(e))
		}
		if e.By == "" && last.Type != "" && e.Attempt == last.Attempt && e.At.Sub(last.At) < 60*time.Second {
			x.Errorf("%s within a tick of %s", x.lineOf(e), x.lineOf(last))
		}
		last = e
	}
	stored, err := x.store.State(x.Context(), x.id)
	if err != nil {
		x.Errorf("%v", err)
		return
	}
	if d := cmp.Diff(asJSON(s), asJSON(stored)); d != "" {
		x.Errorf("state is not the journal applied (-journal +state):\n%s", d)
	}
	seen := map[string]bool{}
	for _, n := range x.team.messages() {
		if seen[n.ID] {
			x.Errorf("notice %s was accepted twice", n.ID)
		}
		seen[n.ID] = true
	}
}

func asJSON(v any) string {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// matches reports whether text is as the pattern says, in which * stands for
// any characters.
func matches(pattern, text string) bool {
	parts := strings.Split(regexp.QuoteMeta(pattern), `\*`)
	ok, err := regexp.MatchString("^"+strings.Join(parts, ".*")+"$", text)
	return err == nil && ok
}

// inWords completes words for what the scripts tell besides.
func inWords(e rollout.Event) []string {
	switch e.Type {
	case rollout.Completed, rollout.Reopened:
		out := []string{e.Item}
		if e.Choice != "" {
			out = append(out, "= "+e.Choice)
		}
		if e.By == "" {
			out = append(out, "verified")
		}
		return out
	case rollout.Approved, rollout.Confirmed, rollout.Accepted, rollout.IrreversibleDone, rollout.Deployed:
		return []string{e.Item}
	case rollout.DeployBegun:
		return []string{e.Item, e.To}
	case rollout.DeployEnded:
		return []string{e.Item, e.Kind}
	case rollout.RevertNeeded:
		return []string{e.Rule}
	case rollout.Revised:
		return []string{map[bool]string{true: "looser"}[e.Looser]}
	case rollout.DataBack, rollout.Sighted:
		return nil
	}
	if e.Type == rollout.ReducedEvent && e.By == "" {
		return []string{e.Rule}
	}
	return nil
}
