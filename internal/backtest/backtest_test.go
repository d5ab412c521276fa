package backtest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

const triedPlan = `serin: 1
plan: shop
timezone: UTC
flag: { key: shop, audience: role = admin }
calendar: { raise: ["daily 00:00-24:00"] }
preflight: [{ id: qa, do: QA }]
stages:
  - { stage: a, traffic: 10%, bake: 1h, proceed: [p1 = 0], checks: [] }
  - { stage: b, traffic: 50%, bake: 1h, proceed: [p1 = 0], approve: lead, checks: [] }
  - { stage: c, traffic: 100%, bake: 1h, proceed: [p1 = 0], checks: [] }
rollback: [p1 > 5 over 1h]
roles: { lead: { who: "@lead", may: [start, approve, accept] } }
`

var began = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// tape is a recording of P1 errors by minute since it began.
type tape struct {
	p1    map[int]int64
	now   time.Time
	asked []time.Time
}

func (x *tape) To(now time.Time, _ Stand) judge.Evidence {
	x.asked = append(x.asked, now)
	return &tape{p1: x.p1, now: now}
}

func (x *tape) Shares(time.Time) (exposure, control float64) { return 0.5, 0.5 }

func (x *tape) Window(metric string, _ judge.Group, from, to time.Time) judge.Window {
	w := judge.Window{Known: true, Active: 100, Covered: to.Sub(from), Last: x.now}
	if metric == "p1" {
		for minute, n := range x.p1 {
			if at := began.Add(time.Duration(minute) * time.Minute); at.After(from) && !at.After(to) && !at.After(x.now) {
				w.Count += n
			}
		}
	}
	w.Value = float64(w.Count)
	return w
}

func (x *tape) Tests(string) judge.Tests                { return judge.Tests{} }
func (x *tape) Source(string) judge.Source              { return judge.Source{State: judge.Delivering} }
func (x *tape) Pushed(string) (string, time.Time, bool) { return "", time.Time{}, false }
func (x *tape) Data() judge.Data {
	return judge.Data{Last: x.now, Exposed: int64(x.now.Sub(began) / time.Minute)}
}

func try(t *testing.T, text string, people time.Duration, x *tape, missing ...string) Result {
	t.Helper()
	p, err := plan.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(p, Options{From: began, To: began.Add(10 * time.Hour), People: people, Missing: func(metric string) string {
		for _, m := range missing {
			if m == metric {
				return "nobody counted it"
			}
		}
		return ""
	}}, x)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// kinds are the events in short: the journal's type and the minute.
func kinds(r Result) (out []string) {
	for _, e := range r.Events {
		out = append(out, e.Type+"@"+plan.FormatDuration(e.At.Sub(began)))
	}
	return out
}

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name    string
		old     string
		with    string
		people  time.Duration
		p1      map[int]int64
		missing []string
		want    string
		status  rollout.Status
		exposed int64
	}{
		{name: "through", want: "started@0s approved@1h advanced@1h advanced@2h advanced@3h finished@3h", status: rollout.Done},
		{name: "rolled back", p1: map[int]int64{90: 6}, want: "started@0s approved@1h advanced@1h rolled_back@90m", status: rollout.RolledBack, exposed: 90},
		{name: "five are not six", p1: map[int]int64{90: 5}, want: "started@0s approved@1h advanced@1h", status: rollout.Running, exposed: 600},
		{name: "nobody approves", people: Never, want: "started@0s", status: rollout.Running, exposed: 600},
		{name: "a gate on what was not counted", people: Never, missing: []string{"p1"}, want: "started@0s asked@1h", status: rollout.Running, exposed: 600},
		{name: "what was not counted is accepted", missing: []string{"p1"}, want: "started@0s asked@1h accepted@1h approved@1h advanced@1h asked@2h accepted@2h advanced@2h asked@3h accepted@3h advanced@3h finished@3h", status: rollout.Done},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := &tape{p1: tt.p1}
			r := try(t, triedPlan, tt.people, x, tt.missing...)
			t.Log(kinds(r), r.Status, r.Why, r.Waiting, r.Unanswered)
			if got := strings.Join(kinds(r), " "); got != tt.want {
				t.Errorf("events %s\nwant   %s", got, tt.want)
			}
			if r.Status != tt.status || tt.exposed > 0 && r.Exposed != tt.exposed {
				t.Errorf("%s with %d exposed, want %s with %d", r.Status, r.Exposed, tt.status, tt.exposed)
			}
			if tt.status == rollout.RolledBack && (r.Events[len(r.Events)-1].Rule != "p1 > 5 over 1h" || r.Events[len(r.Events)-1].Why == "" || len(x.asked) != 90) {
				t.Errorf("the rollback after %d looks: %+v", len(x.asked), r.Events[len(r.Events)-1])
			}
			if tt.status == rollout.Running && len(r.Waiting) == 0 {
				t.Error("it does not say what it waits for")
			}
			if (len(tt.missing) > 0) != (len(r.Unanswered) > 0) {
				t.Errorf("unanswered: %+v", r.Unanswered)
			}
		})
	}
}

// TestPatience: approvals come as long after they are asked for as people are
// assumed to take.
func TestPatience(t *testing.T) {
	at := func(people time.Duration) time.Time {
		for _, e := range try(t, triedPlan, people, &tape{}).Events {
			if e.Type == string(rollout.Advanced) {
				return e.At
			}
		}
		return time.Time{}
	}
	now, later := at(0), at(2*time.Hour)
	if now.IsZero() || later.Sub(now) < 2*time.Hour-time.Minute || later.Sub(now) > 2*time.Hour+time.Minute {
		t.Errorf("the first raise at %v, with patience of two hours at %v", now, later)
	}
}

// TestStops: who asked may go away.
func TestStops(t *testing.T) {
	p, _ := plan.Parse([]byte(triedPlan))
	gone := errors.New("gone")
	n := 0
	_, err := Run(p, Options{From: began, To: began.Add(time.Hour), Missing: func(string) string { return "" }, Stop: func() error {
		if n++; n > 3 {
			return gone
		}
		return nil
	}}, &tape{})
	if !errors.Is(err, gone) || n != 4 {
		t.Errorf("%v after %d looks", err, n)
	}
}

func TestRecordedElsewhere(t *testing.T) {
	parse := func(old, with string) *plan.Plan {
		p, err := plan.Parse([]byte(strings.Replace(triedPlan, old, with, 1)))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	was := parse("", "")
	for _, tt := range []struct{ old, with, want string }{
		{"p1 > 5", "p1 > 9", ""}, {"key: shop", "key: other", "its flag is other"}, {"role = admin", "role = user", "audience"},
		{"timezone: UTC", "timezone: UTC\nscope: { pages: [/x] }", "scope"}, {"timezone: UTC", "timezone: UTC\nenvironment: staging", "environment"},
	} {
		if got := Elsewhere(parse(tt.old, tt.with), was); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.with, got, tt.want)
		}
	}
	own := parse("roles:", "metrics: { odd: { count: events, where: \"level:warning\" } }\nroles:")
	for metric, want := range map[string]string{"p1": "", "errors": "", "odd": "does not count it", "memory": "from outside", "satisfaction": "means by user", "complaints": "", "failure_reports": "", "logins": "", "uptime": "from outside", "new_issues": "which issues were open", "nothing": "no metric"} {
		if got := Unrecorded(own, was, metric); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", metric, got, want)
		}
	}
	if got := Unrecorded(parse("roles:", "severity: { p1: \"level:fatal\" }\nroles:"), was, "p1"); !strings.Contains(got, "in another way") {
		t.Errorf("p1 graded in another way: %q", got)
	}
}
