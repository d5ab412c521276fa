package reporting_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/clock"
	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/reporting"
	"serin/internal/rollout"
	"serin/internal/standup"
	"serin/internal/store"
	"serin/internal/store/memory"
)

const reportedPlan = `serin: 1
plan: shop
timezone: Europe/Berlin
flag: { key: shop }
channels: { team: "webhook:team", page: "pagerduty:main" }
calendar: { raise: ["daily 00:00-24:00"] }
stages:
  - { stage: half, traffic: 50%,  bake: 24h, proceed: [p1 = 0] }
  - { stage: full, traffic: 100%, bake: 24h, proceed: [p1 = 0] }
rollback: [p1 > 5 over 1h]
reports:
  stand-up: { daily: "09:00", to: team }
  review:   { every: 6h, to: team }
`

// desk is an engine over the store in memory and one rollout, in a bubble:
// its time begins at midnight UTC of 1 January 2000, a Saturday.
type desk struct {
	*testing.T
	store   *memory.Store
	plan    *plan.Plan
	state   rollout.State
	waiting []rollout.Waiting
	journal []rollout.Event
	given   []rollout.Command
	refuse  error
	blind   bool // the evidence cannot be read
	engine  *reporting.Engine
	stop    func()
}

// atDesk runs f with an engine that runs.
func atDesk(t *testing.T, f func(d *desk)) {
	synctest.Test(t, func(t *testing.T) {
		p, err := plan.Parse([]byte(reportedPlan))
		if err != nil {
			t.Fatal(err)
		}
		d := &desk{T: t, store: memory.New(), plan: p}
		d.state = rollout.State{ID: "shop-1", Status: rollout.Running, Exposure: flag.Everyone / 2, StartedAt: time.Now().UTC(), AttemptAt: time.Now().UTC(), StageAt: time.Now().UTC(), Version: 3}
		d.open()
		defer func() { d.stop() }()
		f(d)
	})
}

// open starts an engine on what is stored, as after a restart.
func (d *desk) open() {
	d.engine = reporting.New(reporting.Options{Store: d.store, Rollouts: d, Measure: d.measure, Clock: clock.Real(), BaseURL: "https://serin.example"})
	ctx, cancel := context.WithCancel(d.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = d.engine.Run(ctx) }()
	d.stop = func() { cancel(); <-done }
	synctest.Wait()
}

// change stops the engine while f changes what it sees.
func (d *desk) change(f func()) {
	d.stop()
	f()
	d.open()
}

func (d *desk) measure(_, metric string, _, _ time.Time) (standup.Measured, error) {
	switch {
	case d.blind:
		return standup.Measured{}, errors.New("the evidence cannot be read")
	case metric == "p1":
		n := 2.0
		return standup.Measured{New: &n, N: 2}, nil
	}
	return standup.Measured{}, fmt.Errorf("%s: %w", metric, store.ErrNotFound)
}

func (d *desk) Standing(id string) (reporting.Rollout, error) {
	if id != "shop-1" && id != "shop" {
		return reporting.Rollout{}, fmt.Errorf("rollout %s: %w", id, store.ErrNotFound)
	}
	return reporting.Rollout{Plan: d.plan, Standing: standup.Standing{ID: "shop-1", Project: "1", State: d.state, Waiting: d.waiting, Next: "100%"}}, nil
}

func (d *desk) Standings() []reporting.Rollout {
	r, _ := d.Standing("shop-1")
	return []reporting.Rollout{r}
}

func (d *desk) Journal(context.Context, string) ([]rollout.Event, error) { return d.journal, nil }

func (d *desk) Do(_ context.Context, _ string, cmd rollout.Command) ([]rollout.Event, error) {
	d.given = append(d.given, cmd)
	return nil, d.refuse
}

func (d *desk) Finished(context.Context, string) (reporting.Finished, error) {
	return reporting.Finished{Outcome: "succeeded", Lines: []string{"It came through.", "2 attempts."}}, nil
}

// made are the ids of the reports, the one due last first.
func (d *desk) made() (ids []string) {
	d.Helper()
	rows, err := d.store.Reports(d.Context(), store.ReportQuery{})
	if err != nil {
		d.Fatal(err)
	}
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return ids
}

// told are the ids of the notices in the outbox.
func (d *desk) told() (ids []string) {
	d.Helper()
	all, err := d.store.Notices(d.Context(), "", 0)
	if err != nil {
		d.Fatal(err)
	}
	for _, n := range all {
		ids = append(ids, n.ID)
	}
	slices.Sort(ids)
	return ids
}

func (d *desk) want(ids ...string) {
	d.Helper()
	synctest.Wait()
	if diff := cmp.Diff(ids, d.made()); diff != "" {
		d.Errorf("reports (-want +got):\n%s", diff)
	}
}

// TestMadeOncePerSlot: each slot has one report with one notice, in the plan's
// zone, whether or not the server was started anew in between.
func TestMadeOncePerSlot(t *testing.T) {
	atDesk(t, func(d *desk) {
		time.Sleep(8*time.Hour + time.Second) // 09:00 in Berlin
		d.want("shop-1/stand-up/2000-01-01", "shop-1/review/2000-01-01T05:00Z")
		d.stop()
		d.open()
		time.Sleep(time.Hour)
		d.want("shop-1/stand-up/2000-01-01", "shop-1/review/2000-01-01T05:00Z")
		if diff := cmp.Diff([]string{"report/shop-1/review/2000-01-01T05:00Z/team", "report/shop-1/stand-up/2000-01-01/team"}, d.told()); diff != "" {
			t.Errorf("notices (-want +got):\n%s", diff)
		}
		day, err := d.engine.Standup(t.Context(), reporting.Query{Sees: func(string) bool { return true }})
		if err != nil || len(day.Reports) != 1 || day.Reports[0].Late != "" || len(day.Reports[0].Severe) == 0 || *day.Reports[0].Severe[0].Now != 2 {
			t.Errorf("the stand-up: %+v, %v", day, err)
		}
		if day, err = d.engine.Standup(t.Context(), reporting.Query{Sees: func(p string) bool { return p == "2" }}); err != nil || len(day.Reports)+len(day.Open)+len(day.Days) > 0 {
			t.Errorf("people of another project see %+v, %v", day, err)
		}
	})
}

// TestLate: a server that was off makes up for the newest slot alone, and says
// how late it is and what is missing.
func TestLate(t *testing.T) {
	atDesk(t, func(d *desk) {
		time.Sleep(9 * time.Hour)
		d.stop()
		time.Sleep(26*time.Hour + 30*time.Minute) // until the second day, 12:30 in Berlin
		d.open()
		d.want("shop-1/review/2000-01-02T11:00Z", "shop-1/stand-up/2000-01-02", "shop-1/stand-up/2000-01-01", "shop-1/review/2000-01-01T05:00Z")
		reviews, err := d.engine.Reviews(t.Context(), reporting.Query{Rollout: "shop", Sees: func(string) bool { return true }}, 0)
		if err != nil || len(reviews) != 2 || !strings.Contains(reviews[0].Late, "4 reviews before it were not made") {
			t.Errorf("reviews: %+v, %v", reviews, err)
		}
		day, err := d.engine.Standup(t.Context(), reporting.Query{Day: "2000-01-02", Sees: func(string) bool { return true }})
		if err != nil || len(day.Reports) != 1 || !strings.HasPrefix(day.Reports[0].Late, "3h30m late: ") || !strings.Contains(day.Reports[0].Text, "its gates are not judged yet") {
			t.Errorf("the late stand-up: %+v, %v", day.Reports, err)
		}
	})
}

// TestNotMadeBlind: while the evidence cannot be read nothing is frozen into a
// report; as soon as it can, the report is made.
func TestNotMadeBlind(t *testing.T) {
	atDesk(t, func(d *desk) {
		d.change(func() { d.blind = true })
		time.Sleep(8*time.Hour + 3*time.Minute)
		d.want()
		d.change(func() { d.blind = false })
		time.Sleep(reporting.Tick)
		d.want("shop-1/stand-up/2000-01-01", "shop-1/review/2000-01-01T05:00Z")
	})
}

// TestFinal: the end of a rollout is told once, to the channels of its reports.
func TestFinal(t *testing.T) {
	atDesk(t, func(d *desk) {
		time.Sleep(time.Hour)
		synctest.Wait()
		d.change(func() {
			d.state.Status = rollout.Done
			d.journal = []rollout.Event{{Type: rollout.Finished, At: time.Now().UTC()}}
		})
		time.Sleep(10 * time.Minute)
		d.want("shop-1/final")
		d.stop()
		d.open()
		time.Sleep(48 * time.Hour)
		d.want("shop-1/final")
		n, err := d.store.Notice(t.Context(), "report/shop-1/final/team")
		if err != nil || n.Title != "Final report of shop-1: succeeded" || n.Text != "It came through.\n2 attempts." || n.Link != "https://serin.example/rollouts/shop-1/report" {
			t.Errorf("the notice: %+v, %v", n, err)
		}
	})
}

// TestOldReviewsGo: reviews are kept for their time, stand-ups for good.
func TestOldReviewsGo(t *testing.T) {
	atDesk(t, func(d *desk) {
		time.Sleep(reporting.KeptReviews + 3*24*time.Hour)
		synctest.Wait()
		oldest, days := time.Now(), 0
		rows, err := d.store.Reports(t.Context(), store.ReportQuery{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.Kind == string(standup.Review) && r.Due.Before(oldest) {
				oldest = r.Due
			}
			days += map[bool]int{true: 1}[r.Kind == string(standup.Daily)]
		}
		if age := time.Since(oldest); age > reporting.KeptReviews+25*time.Hour || age < reporting.KeptReviews-6*time.Hour {
			t.Errorf("the oldest review is %v old", age)
		}
		if days != 93 {
			t.Errorf("%d stand-ups, want 93", days)
		}
	})
}

// TestDecide: the word of a stand-up is recorded with the command that carries
// it out; what the rollout refuses is not recorded.
func TestDecide(t *testing.T) {
	no := &rollout.Refusal{Kind: rollout.Stale, Why: "it changed"}
	approval := []rollout.Waiting{{Kind: "approval", Text: "approval lead"}}
	for _, tt := range []struct {
		name    string
		do      string
		day     string
		rollout string
		status  rollout.Status
		waiting []rollout.Waiting
		refuse  error
		verb    rollout.Verb // of the command; "" = none
		err     error        // nil = it is recorded
		kind    rollout.RefusalKind
	}{
		{name: "proceed", do: "proceed", waiting: approval, verb: rollout.Approve},
		{name: "proceed, and nothing waits for approval", do: "proceed"},
		{name: "hold", do: "hold", waiting: approval},
		{name: "roll back", do: "rollback", verb: rollout.Rollback},
		{name: "roll back while paused", do: "rollback", status: rollout.Paused, verb: rollout.Rollback},
		{name: "refused", do: "proceed", waiting: approval, refuse: no, verb: rollout.Approve, err: no, kind: rollout.Stale},
		{name: "nothing to proceed with", do: "proceed", status: rollout.Paused, err: no, kind: rollout.Barred},
		{name: "of another day", do: "hold", day: "1999-12-31", err: no, kind: rollout.Stale},
		{name: "no word", do: "dance", err: no, kind: rollout.Missing},
		{name: "no rollout", do: "hold", rollout: "nobody", err: store.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			atDesk(t, func(d *desk) {
				time.Sleep(8*time.Hour + time.Second)
				synctest.Wait()
				d.change(func() {
					if d.waiting, d.refuse = tt.waiting, tt.refuse; tt.status != "" {
						d.state.Status = tt.status
					}
				})
				if tt.rollout == "" {
					tt.rollout = "shop"
				}
				by := reporting.Person{Name: "anna", Via: "web", Authorize: func(_ context.Context, _ string, cmd *rollout.Command) error { cmd.Role = "lead"; return nil }}
				v, err := d.engine.Decide(t.Context(), by, reporting.Decision{Rollout: tt.rollout, Day: tt.day, Do: tt.do, Reason: "because", Present: []string{"ben"}, Version: 3})
				var verbs []rollout.Verb
				for _, c := range d.given {
					verbs = append(verbs, c.Verb)
					if c.By != "anna" || c.Version != 3 || c.Role != "lead" || c.Reason != "because" {
						t.Errorf("the command: %+v", c)
					}
				}
				if want := map[bool][]rollout.Verb{true: {tt.verb}}[tt.verb != ""]; !slices.Equal(verbs, want) {
					t.Errorf("commands %v, want %v", verbs, want)
				}
				row, _ := d.store.Report(t.Context(), "shop-1/stand-up/2000-01-01")
				audit, _ := d.store.AuditEntries(t.Context(), "rollout shop-1", 0)
				if tt.err != nil {
					var refused *rollout.Refusal
					if tt.err == error(no) && (!errors.As(err, &refused) || refused.Kind != tt.kind) || tt.err != error(no) && !errors.Is(err, tt.err) {
						t.Errorf("error %v", err)
					}
					if len(row.Notes)+len(audit) > 0 {
						t.Errorf("a refused word was recorded: %s, %+v", row.Notes, audit)
					}
					return
				}
				if err != nil || len(v.Notes) != 1 || v.Notes[0].By != "anna" || v.Notes[0].Do != tt.do || v.Notes[0].Approved != (tt.verb == rollout.Approve) {
					t.Errorf("recorded %+v, %v", v.Notes, err)
				}
				if len(audit) != 1 || audit[0].Verb != "stand-up "+tt.do || audit[0].Who != "anna" {
					t.Errorf("audit log %+v", audit)
				}
			})
		})
	}
}
