package controller_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"serin/internal/rollout"
)

var update = flag.Bool("update", false, "rewrite the journals of testdata/scenarios; read the difference")

// longScripts are those that go through weeks of a busy site. The others run
// the same code under the race detector.
var longScripts = []string{"workbench-a", "minimal", "s02c-harm-below-the-limit", "calendar"}

// TestScripts runs testdata/scenarios/*.txtar: each is one rollout from its
// plan to its end, through the real controller, store and evidence engine, in
// a bubble of virtual time. testdata/scenarios/README.md describes the language.
// When all have run, TestScripts checks that together they cover the journal's
// events, the verbs and the guards (coverage_test.go).
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	seen := newCoverage()
	t.Run("scripts", func(t *testing.T) {
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".txtar")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				if raced && slices.Contains(longScripts, name) {
					t.Skip("the race detector takes most of a minute for this one: make scenarios runs it without")
				}
				archive, err := txtar.ParseFile(file)
				if err != nil {
					t.Fatal(err)
				}
				var x *run
				synctest.Test(t, func(t *testing.T) { x = runScript(t, archive) })
				for _, p := range x.problems {
					t.Errorf("%s:%s", filepath.Base(file), p)
				}
				seen.add(x)
				if *update && !t.Failed() {
					if err := x.rewrite(file, archive); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	})
	if seen.scripts == len(files) && !*update { // with -run some are left out
		seen.check(t)
	}
}

// run is one script as it runs.
type run struct {
	*rig
	files    map[string]string
	zone     *time.Location
	zoned    bool // T was set: journals are written with clock times too
	line     int
	problems []string

	ids       map[string]int64 // of commands, with the position of their last event
	sets      []onNewSet
	past      remembered
	events    []string // the journal in words, as the script has it
	titles    []string // of the notices
	verbs     map[string]bool
	refusals  []string
	shown     []rollout.Event // all that was journalled, for coverage
	wantOwn   string          // journal of the script; "" = not compared
	wantTold  string
	wantsTold bool
}

// fault ends a script that cannot be read.
type fault struct{ text string }

func (x *run) bad(format string, args ...any) { panic(fault{fmt.Sprintf(format, args...)}) }

// runScript runs an archive in the bubble of t.
func runScript(t *testing.T, a *txtar.Archive) (x *run) {
	x = &run{rig: emptyRig(t), files: map[string]string{}, zone: time.UTC, ids: map[string]int64{}, verbs: map[string]bool{}}
	x.failed = func(problem string) { x.problems = append(x.problems, fmt.Sprintf("%d: %s", x.line, problem)) }
	defer func() {
		switch f := recover().(type) {
		case nil:
		case fault:
			x.Errorf("%s", f.text)
		default:
			panic(f)
		}
	}()
	first := bytes.Count(a.Comment, []byte("\n")) + 1
	begins := map[string]int{}
	for _, f := range a.Files {
		if _, twice := x.files[f.Name]; twice {
			x.bad("there are two parts %q", f.Name)
		}
		x.files[f.Name], begins[f.Name] = string(f.Data), first
		first += bytes.Count(f.Data, []byte("\n")) + 1
	}
	x.wantOwn = x.files["journal"]
	x.wantTold, x.wantsTold = x.files["notices"]
	x.setUp(begins["setup"])
	x.steps(begins["script"])
	x.line = begins["journal"]
	x.compareJournal()
	x.compareNotices()
	x.line = 0
	x.invariants()
	x.shown = x.journal()
	return x
}

// setUp reads the plan and the setup, and drives to T.
func (x *run) setUp(line int) {
	source := x.planOf("plan")
	before := warmUp
	for text := range strings.Lines(x.files["setup"]) {
		line++
		x.line = line
		words := split(text)
		if len(words) == 0 {
			continue
		}
		switch words[0] {
		case "T":
			x.setT(strings.Join(words[1:], " "))
		case "warm-up":
			before = int(x.duration(words[1:]) / time.Minute)
		case "tick":
			x.coarse = int(x.duration(words[1:]) / time.Minute)
		case "sources":
			x.sources = map[string]bool{}
			for _, s := range words[1:] {
				x.sources[s] = s != "none"
			}
		case "hook":
			x.hook = &hookDouble{variable: words[1]}
		case "doubles":
			x.doubles = words[1:]
		case "skip":
			from, to := x.span(words[1:])
			x.skip = [2]int{int(from / time.Minute), int(to / time.Minute)}
		default:
			x.happen(words)
		}
	}
	x.name = planName(source)
	x.id, x.flag = x.name+"-1", flagKey(source)
	x.waitFor(before)
	x.up()
	x.watchRollback()
	if _, err := x.c.Create(x.Context(), "", []byte(source), "lead", "api"); err != nil {
		x.bad("create: %v", err)
	}
	x.source = source
	x.driveTo(x.begin)
}

// setT reads "= 2025-03-29 20:00 Europe/Berlin".
func (x *run) setT(text string) {
	fields := strings.Fields(strings.TrimPrefix(text, "="))
	if len(fields) != 3 {
		x.bad("write T = 2025-03-29 20:00 Europe/Berlin")
	}
	loc, err := time.LoadLocation(fields[2])
	if err != nil {
		x.bad("%v", err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04", fields[0]+" "+fields[1], loc)
	if err != nil {
		x.bad("%v", err)
	}
	x.begin, x.zone, x.zoned = at.UTC(), loc, true
}

// planOf is the plan that a part of the archive names or holds, with the
// changes of the part of the same name: "changes" to "plan", and for a
// revision "revise x" the changes to the plan in force.
func (x *run) planOf(part string) string {
	text, ok := x.files[part]
	base, changes, _ := strings.Cut(strings.TrimLeft(text, "\n"), "\n")
	source := rigPlan
	switch name, isExample := strings.CutPrefix(base, "example "); {
	case part == "plan" && !ok:
	case !ok:
		x.bad("the script has no part %q", part)
	case base == "rig":
	case base == "in force":
		source = x.source
	case isExample:
		data, err := os.ReadFile(filepath.Join("../../examples", name))
		if err != nil {
			x.bad("%v", err)
		}
		source = string(data)
	default:
		source, changes = text, ""
	}
	return x.changed(source, changes)
}

// changed applies changes such as
//
//   - bake: 2h
//   - bake: 16h
//
// in order: the text of the lines with - is replaced, where it stands first,
// by that of the lines with +.
func (x *run) changed(source, changes string) string {
	var from, to []string
	apply := func() {
		if len(from) == 0 {
			return
		}
		old := strings.Join(from, "\n")
		if !strings.Contains(source, old) {
			x.bad("the plan has no %q", old)
		}
		source, from, to = strings.Replace(source, old, strings.Join(to, "\n"), 1), nil, nil
	}
	for line := range strings.Lines(changes) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "- "):
			if len(to) > 0 {
				apply()
			}
			from = append(from, line[2:])
		case strings.HasPrefix(line, "+ "):
			to = append(to, line[2:])
		case line == "", strings.HasPrefix(line, "#"):
			apply()
		default:
			x.bad("a change begins with - or +: %q", line)
		}
	}
	apply()
	return source
}

var (
	planLine = regexp.MustCompile(`(?m)^plan: (\S+)`)
	keyLine  = regexp.MustCompile(`(?m)^flag: ?\{? ?\n? *key: ([A-Za-z]+)`)
)

func planName(source string) string { return submatch(planLine, source) }
func flagKey(source string) string  { return submatch(keyLine, source) }

func submatch(re *regexp.Regexp, text string) string {
	if m := re.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// steps does what the script says, in order.
func (x *run) steps(line int) {
	var at time.Duration
	for text := range strings.Lines(x.files["script"]) {
		line++
		x.line = line
		words := split(text)
		if len(words) == 0 {
			continue
		}
		if next, ok := tTime(words[0]); ok {
			if next < at {
				x.bad("%s is before the step above", words[0])
			}
			at, words = next, words[1:]
			x.driveTo(x.begin.Add(at))
			words = x.annotated(at, words)
		}
		if len(words) == 0 {
			continue
		}
		switch {
		case words[0] == "expect":
			x.expect(words[1:])
		case strings.HasSuffix(words[0], ":"):
			x.command(strings.TrimSuffix(words[0], ":"), words[1:])
		default:
			x.happen(words)
		}
	}
}

// annotated checks and drops "(Sun 03:00)", the time of at on the script's clock.
func (x *run) annotated(at time.Duration, words []string) []string {
	if len(words) < 2 || !strings.HasPrefix(words[0], "(") {
		return words
	}
	got := words[0] + " " + words[1]
	if want := x.clockAt(at); got != want {
		x.Errorf("%s is said to be %s, it is %s", tText(at), got, want)
	}
	return words[2:]
}

func (x *run) clockAt(at time.Duration) string {
	return x.begin.Add(at).In(x.zone).Format("(Mon 15:04)")
}

// rewrite puts the journal, and the notices where the script has them, into
// the file. A line that fits stays as a person wrote it.
func (x *run) rewrite(file string, a *txtar.Archive) error {
	put := func(name string, lines []string) {
		data := []byte(strings.Join(append(slices.Clone(lines), ""), "\n"))
		for i := range a.Files {
			if a.Files[i].Name == name {
				a.Files[i].Data = data
				return
			}
		}
		a.Files = append(a.Files, txtar.File{Name: name, Data: data})
	}
	put("journal", x.events)
	if x.wantsTold {
		put("notices", x.titles)
	}
	return os.WriteFile(file, txtar.Format(a), 0o644)
}
