package statbench

import (
	"fmt"
	"math"
	"os"
	"sync"
	"testing"
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
)

// start is when every plan begins: a Wednesday morning, so that the raises to
// 50 and 75 % fall on a weekend.
var start = time.Date(2025, time.February, 19, 9, 0, 0, 0, time.UTC)

// slotLength is how finely time is cut: the length of a block of OddsE.
const slotLength = 5 * time.Minute

const (
	slotsAnHour = int(time.Hour / slotLength)
	slotsADay   = 24 * slotsAnHour
)

// staged is the plan of five stages in eight days: 10 % for 48 h, 25, 50 and
// 75 % for a day each, 95 % for 72 h with a holdback of 5 %, and its checks.
const staged = `serin: 1
plan: staged
timezone: UTC
flag: { key: staged, holdback: 5%% }
calendar: { raise: ["daily 00:00-24:00"] }
stages:
  - { stage: canary, traffic: 10%%, bake: 48h, checks: [{ for: 8h, every: 15m, expect: [%[1]s] }, { for: 16h, every: 30m, expect: [%[1]s] }, { every: 1h, expect: [%[1]s] }] }
  - { stage: quarter, traffic: 25%%, bake: 24h, checks: [{ for: 4h, every: 15m, expect: [%[1]s] }, { every: 1h, expect: [%[1]s] }] }
  - { stage: half, traffic: 50%%, bake: 24h, checks: [{ for: 4h, every: 15m, expect: [%[1]s] }, { for: 4h, every: 30m, expect: [%[1]s] }, { every: 1h, expect: [%[1]s] }] }
  - { stage: most, traffic: 75%%, bake: 24h, checks: [{ for: 4h, every: 15m, expect: [%[1]s] }, { every: 1h, expect: [%[1]s] }] }
  - { stage: all, traffic: 100%%, bake: 72h, checks: [{ for: 8h, every: 15m, expect: [%[1]s] }, { for: 16h, every: 30m, expect: [%[1]s] }, { for: 24h, every: 1h, expect: [%[1]s] }, { every: 2h, expect: [%[1]s] }] }
`

// parsed reads a plan.
func parsed(t testing.TB, text string) *plan.Plan {
	t.Helper()
	p, err := plan.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// stagedPlan is the plan of five stages with the given rollback rules.
func stagedPlan(t testing.TB, rollback string) *plan.Plan {
	return parsed(t, fmt.Sprintf(staged, "errors < 1000000")+"rollback: ["+rollback+"]\n")
}

// shippedPlan is the example of eight lines, in which every default stands.
func shippedPlan(t testing.TB) *plan.Plan {
	t.Helper()
	source, err := os.ReadFile("../../examples/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, string(source))
}

// course is a plan laid out in slots. It is shared by all runs.
type course struct {
	plan   *plan.Plan
	levels map[string]float64
	stages []leg
	checks []bool // [slot]: a check is due at its end
}

// leg is one stage of a course.
type leg struct {
	from, to int // slots
	share    float64
	began    time.Time
}

func newCourse(p *plan.Plan) *course {
	c := &course{plan: p, levels: judge.Levels(p, p, 0, p.Judge.FalseRollback)}
	at := 0
	for i := range p.Stages {
		share := float64(p.Exposure(i)) / float64(flag.Everyone)
		l := leg{from: at, to: at + int(p.Stages[i].Bake/slotLength), share: share, began: start.Add(time.Duration(at) * slotLength)}
		c.stages = append(c.stages, l)
		at = l.to
		due := make([]bool, l.to-l.from)
		for age := time.Duration(0); age <= p.Stages[i].Bake; {
			if k := int(age/slotLength) - 1; k >= 0 && k < len(due) {
				due[k] = true
			}
			_, every, ok := p.CheckAt(i, age)
			if !ok {
				break
			}
			age += every
		}
		due[len(due)-1] = true // the end of bake
		c.checks = append(c.checks, due...)
	}
	return c
}

// only leaves one check in n, for scenarios with many metrics.
func (c *course) only(n int) *course {
	out := *c
	out.checks = make([]bool, len(c.checks))
	for i := range out.checks {
		out.checks[i] = (i+1)%n == 0
	}
	return &out
}

// odds are those of each stage so far: share over the rest.
func (c *course) odds(stage int) []float64 {
	out := make([]float64, stage+1)
	for i := range out {
		out[i] = c.stages[i].share / (1 - c.stages[i].share)
	}
	return out
}

// stageNumbers and began are what Tests needs of the intervals so far.
func (c *course) stageNumbers(stage int) []int {
	out := make([]int, stage+1)
	for i := range out {
		out[i] = i
	}
	return out
}

func (c *course) began(stage int) []time.Time {
	out := make([]time.Time, stage+1)
	for i := range out {
		out[i] = c.stages[i].began
	}
	return out
}

// place is where the plan stands in a stage.
func (c *course) place(stage int) judge.Place {
	l := c.stages[stage]
	return judge.Place{
		Stage: stage, Planned: len(c.stages), Exposure: l.share, ControlShare: 1 - l.share, Levels: c.levels,
		StageBegan: l.began, AttemptBegan: start, RolloutBegan: start,
	}
}

// TestCourse: the plan is laid out as its text says.
func TestCourse(t *testing.T) {
	c := newCourse(stagedPlan(t, "errors > +50% vs control over 1h"))
	if got := c.levels["errors"]; math.Abs(got-0.009) > 1e-12 {
		t.Errorf("level %g, want 0.9 of 1 %%", got)
	}
	want := []leg{{0, 576, 0.10, start}, {576, 864, 0.25, start}, {864, 1152, 0.50, start}, {1152, 1440, 0.75, start}, {1440, 2304, 0.95, start}}
	for i, l := range c.stages {
		if l.from != want[i].from || l.to != want[i].to || l.share != want[i].share {
			t.Errorf("stage %d: got %+v, want %+v", i, l, want[i])
		}
	}
	n := 0
	for _, due := range c.checks {
		if due {
			n++
		}
	}
	if n != 88+36+40+36+100 {
		t.Errorf("%d checks, want 300", n)
	}
}

var shared struct {
	sync.Once
	course *course
}

// onErrors is the course of the plan of five stages with one comparison of errors.
func onErrors(t testing.TB) *course {
	shared.Do(func() { shared.course = newCourse(stagedPlan(t, "errors > +50% vs control over 1h")) })
	return shared.course
}
