package rollout

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

	share "serin/internal/flag"
	"serin/internal/judge"
)

var update = flag.Bool("update", false, "rewrite the expected journals in testdata")

// TestScripts runs testdata/*.txtar: a plan, a list of timed inputs, and the
// journal that comes of them (without created, baked and green checks).
//
// Commands of the input, one a line, after "T+H:MM":
//
//	VERB [key=value ...]        by the role lead (role=NAME for another)
//	proceed METRIC STATUS       met, not-met, unknown
//	guard METRIC STATUS         met, not-met, unknown, blind, harm, baseline
//	silence | data              telemetry stops, comes back
//	quality KIND | quality      srm, incomplete, unattributed, loss; nothing
//	incident opened|resolved|closed ID
//	down DURATION               the process and the intake are away
//	wait                        writes down what the rollout waits for
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source, input := rigPlan, ""
			var want *txtar.File
			for i := range a.Files {
				switch f := &a.Files[i]; f.Name {
				case "plan.yaml":
					source = string(f.Data)
				case "input":
					input = string(f.Data)
				case "journal":
					want = f
				}
			}
			got := runScript(t, source, input)
			if *update {
				want.Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want.Data), got); diff != "" {
				t.Errorf("journal differs (-want +got):\n%s", diff)
			}
		})
	}
}

func runScript(t *testing.T, source, input string) string {
	r := newRig(t, source)
	var out strings.Builder
	n := len(r.journal)
	flush := func() {
		for _, e := range r.journal[n:] {
			if e.Type == Baked || e.Type == Checked && len(e.Red) == 0 {
				continue
			}
			title, _ := Title(r.p, e)
			fmt.Fprintf(&out, "%s %s %s: %s\n", clock(e.At), e.Type, percent(e.Exposure), title)
		}
		n = len(r.journal)
	}
	for line := range strings.Lines(input) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		h, m, _ := strings.Cut(strings.TrimPrefix(fields[0], "T+"), ":")
		hours, _ := strconv.Atoi(h)
		minutes, _ := strconv.Atoi(m)
		at := walkStart.Add(time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute)
		r.drive(at.Sub(r.wall))
		flush()
		scriptLine(t, r, &out, fields[1:])
		flush()
	}
	fmt.Fprintf(&out, "= %s stage %d attempt %d exposure %s\n", r.s.Status, r.s.Stage, r.s.Attempt, percent(r.s.Exposure))
	return out.String()
}

func clock(at time.Time) string {
	d := at.Sub(walkStart)
	return fmt.Sprintf("T+%d:%02d", int(d.Hours()), int(d.Minutes())%60)
}

func scriptLine(t *testing.T, r *rig, out *strings.Builder, f []string) {
	switch f[0] {
	case "proceed":
		r.proceed[f[1]] = statusOf(f[2])
	case "guard":
		v := judge.Verdict{Status: statusOf(f[2]), Harm: f[2] == "harm"}
		switch f[2] {
		case "blind":
			v.Cause, v.Since = judge.CauseBlind, r.wall
		case "baseline":
			v.Status, v.Ref = judge.Met, "baseline"
		}
		if v.Status == judge.Met {
			value := 0.37
			v.Value, v.Limit = &value, 0.3
			if v.Ref == "" {
				v.Ref = "control"
			}
		}
		r.guards[f[1]] = v
	case "silence":
		r.data = judge.Data{NoData: true, Since: r.wall.Add(-10 * time.Minute)}
	case "data":
		r.data = judge.Data{}
	case "quality":
		kind := strings.Join(f[1:], " ")
		r.data = judge.Data{Mismatch: kind == "srm", Incomplete: kind == "incomplete", LossByArm: kind == "loss"}
		if kind == "unattributed" {
			r.data.Unattributed = .07
		}
	case "incident":
		r.record = []Event{{Type: Type("incident_" + f[1]), Kind: f[2]}}
	case "down":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			t.Fatal(err)
		}
		r.wall, r.mono = r.wall.Add(d), 0
		in := r.input()
		in.Fresh = true
		if err := r.step(in); err != nil {
			t.Fatal(err)
		}
	case "wait":
		var texts []string
		for _, w := range Waits(r.p, r.s, r.input()) {
			texts = append(texts, w.Text)
		}
		fmt.Fprintf(out, "%s waits: %s\n", clock(r.wall), strings.Join(texts, "; "))
	default:
		if err := r.do(scriptCommand(f)); err != nil {
			refusal, _ := AsRefusal(err)
			fmt.Fprintf(out, "%s %s refused (%s): %s\n", clock(r.wall), f[0], [...]string{"", "barred", "stale", "forbidden", "missing"}[refusal.Kind], refusal.Why)
		}
	}
}

func statusOf(word string) judge.Status {
	return map[string]judge.Status{"met": judge.Met, "not-met": judge.NotMet, "harm": judge.NotMet}[word]
}

func scriptCommand(f []string) Command {
	c := Command{Verb: Verb(f[0])}
	for _, pair := range f[1:] {
		key, value, _ := strings.Cut(pair, "=")
		value = strings.ReplaceAll(value, "_", " ")
		switch key {
		case "role":
			c.Role = value
		case "reason":
			c.Reason = value
		case "to":
			c.To = value
		case "item":
			c.Item = value
		case "cause":
			c.Cause = value
		case "id":
			c.ID = value
		case "release":
			c.Release = value
		case "hotfix":
			c.Hotfix = true
		case "percent":
			n, _ := strconv.Atoi(value)
			c.Percent = everyone * share.Percent(n) / 100
		case "version":
			c.Version, _ = strconv.ParseInt(value, 10, 64)
		case "via":
			c.Via = value
		}
	}
	return c
}
