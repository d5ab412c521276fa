package alerting_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/alert"
	"serin/internal/alerting"
	"serin/internal/store"
)

// from is who tells in these tests.
var from = alerting.From{System: alert.Alertmanager, Project: "1", Notify: []alert.Channel{{Name: "slack:#team", Address: "slack:#team"}}}

func told(at time.Time, severity string, pairs ...string) alert.Told {
	t := alert.Told{Labels: alert.Labels{}, Severity: severity, Starts: at, Until: at.Add(time.Hour)}
	for i := 0; i < len(pairs); i += 2 {
		t.Labels = append(t.Labels, alert.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return t
}

func (r *rig) hear(said ...alerting.Outside) {
	r.t.Helper()
	if err := r.alerts.Hear(r.t.Context(), from, said); err != nil {
		r.t.Fatal(err)
	}
}

func TestOutside(t *testing.T) {
	r := newRig(t)
	a, b := told(monday, "p1", "instance", "web-1"), told(monday, "p3", "instance", "web-2")
	r.hear(alerting.Outside{Name: "High Errors", Told: a}, alerting.Outside{Name: "High Errors", Told: b})
	const id = "alertmanager.1.high-errors"
	phases := func() (out []string) {
		t.Helper()
		v, err := r.alerts.Get(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range v.Groups {
			out = append(out, fmt.Sprint(g.Labels, " ", g.Phase, " ", g.Severity))
		}
		return out
	}
	want := func(list ...string) {
		t.Helper()
		if diff := cmp.Diff(list, phases()); diff != "" {
			t.Errorf("groups differ (-want +got):\n%s", diff)
		}
	}
	want("instance=web-1 firing p1", "instance=web-2 firing p3")
	if why, err := r.alerts.Why(t.Context(), id, time.Time{}); err != nil || why.Alert.Severity != "p1" || why.Lines[0] != "Alertmanager says that it fires." {
		t.Errorf("why: %+v (%v)", why, err)
	}
	notices := r.waiting()
	if len(notices) != 1 || notices[0].Title != "P1 firing: High Errors" || notices[0].Severity != "p1" {
		t.Errorf("notices: %+v", notices)
	}
	r.hear(alerting.Outside{Name: "High Errors", Told: a}) // again: nothing new
	r.restart()
	r.hear(alerting.Outside{Name: "High Errors", Told: a})
	if n := len(r.waiting()); n != 1 {
		t.Errorf("%d notices after the same words again, want 1", n)
	}
	if _, err := r.alerts.Ack(t.Context(), id, alert.Labels{{Name: "instance", Value: "web-1"}}, store.AuditEntry{Who: "Anna"}); err != nil {
		t.Error(err)
	}
	a.Until, a.Ended = time.Time{}, monday.Add(time.Minute)
	r.clock.Advance(time.Minute)
	r.hear(alerting.Outside{Name: "High Errors", Told: a})
	want("instance=web-2 firing p3", "instance=web-1 resolved p1")
	a.Until, a.Ended = monday.Add(time.Hour), time.Time{}
	r.hear(alerting.Outside{Name: "High Errors", Told: a}) // a late word of the same firing
	want("instance=web-2 firing p3", "instance=web-1 resolved p1")
	a.Starts = monday.Add(2 * time.Minute)
	r.hear(alerting.Outside{Name: "High Errors", Told: a}) // it fires anew
	want("instance=web-1 firing p1", "instance=web-2 firing p3")
	r.clock.Advance(time.Hour + time.Minute) // nobody says it again
	r.alerts.Round(t.Context(), nil)
	want("instance=web-1 resolved p1", "instance=web-2 resolved p3")
	if _, err := r.alerts.Backtest(t.Context(), id, time.Hour, alerting.Trial{}); !errors.Is(err, alert.ErrInvalid) {
		t.Errorf("a back-test of what another system tells: %v", err)
	}
	if err := r.alerts.Delete(t.Context(), id, store.AuditEntry{Who: "Anna"}); err != nil {
		t.Error(err)
	}
}

// Alerts of another project's rollout are no business of this one's.
func TestOutsideRollout(t *testing.T) {
	r := newRig(t)
	r.under = func(name string) []alerting.Named {
		return []alerting.Named{{ID: name + "-2", Project: "2"}, {ID: name + "-1", Project: "1"}}
	}
	r.hear(alerting.Outside{Name: "A", Told: told(monday, "p1", alert.RolloutLabel, "checkout")})
	if n := len(r.opened.changes); n != 1 || r.opened.changes[0].Rollout != "checkout-1" || r.opened.changes[0].Severity != "p1" {
		t.Errorf("changes: %+v", r.opened.changes)
	}
}

// Names that come to the same address are two rules.
func TestOutsideNames(t *testing.T) {
	r := newRig(t)
	r.hear(alerting.Outside{Name: "High Errors", Told: told(monday, "p2")}, alerting.Outside{Name: "High-Errors", Told: told(monday, "p2")})
	if n := len(r.alerts.List(func(string) bool { return true })); n != 2 {
		t.Errorf("%d rules, want 2", n)
	}
}

// TestOutsideStorm: 10,000 alerts in a minute on 200 names. All are known
// afterwards, and each channel has been told of a name at most twice: the
// first, and the rest after the group interval.
func TestOutsideStorm(t *testing.T) {
	const names, alerts = 200, 10_000
	r := newRig(t)
	for i := range alerts / 100 {
		var said []alerting.Outside
		for j := range 100 {
			n := i*100 + j
			said = append(said, alerting.Outside{Name: fmt.Sprintf("Alert%03d", n/10%names), Told: told(r.clock.Now(), "p2", "instance", fmt.Sprint("web-", n%10, "-", n/(10*names)))})
		}
		r.hear(said...)
		r.clock.Advance(time.Minute / (alerts / 100))
	}
	r.clock.Advance(alert.DefaultGroupInterval)
	r.alerts.Round(t.Context(), nil)
	firing := 0
	for _, v := range r.alerts.List(func(string) bool { return true }) {
		firing += len(v.Groups)
	}
	if firing != alerts {
		t.Errorf("%d alerts fire, want %d", firing, alerts)
	}
	if n := len(r.waiting()); n != 2*names {
		t.Errorf("%d notices, want %d", n, 2*names)
	}
}

// Too many alerts of one name are refused as a whole, so that they come again.
func TestOutsideTooMany(t *testing.T) {
	r := newRig(t)
	var said []alerting.Outside
	for i := range alert.MaxOutside + 1 {
		said = append(said, alerting.Outside{Name: "A", Told: told(monday, "p2", "i", fmt.Sprint(i))})
	}
	if err := r.alerts.Hear(t.Context(), from, said); !errors.Is(err, alert.ErrTooMany) {
		t.Errorf("Hear = %v", err)
	}
	r.hear(said[1:]...)
}

// TestOutsideCounts: what a plan's metric reads.
func TestOutsideCounts(t *testing.T) {
	r := newRig(t)
	var got []alert.Count
	r.heard = func(_ context.Context, counts []alert.Count, _ ...string) error {
		got = counts
		return nil
	}
	r.hear(alerting.Outside{Name: "A", Told: told(monday, "p2", alert.RolloutLabel, "checkout-1")}, alerting.Outside{Name: "A", Told: told(monday, "p2", "instance", "x")})
	if diff := cmp.Diff([]alert.Count{{Project: "1", Name: "A", All: 2, ByRollout: map[string]int{"checkout-1": 1}}}, got); diff != "" {
		t.Errorf("counts differ (-want +got):\n%s", diff)
	}
	r.clock.Advance(2 * time.Hour)
	r.alerts.Round(t.Context(), nil)
	if len(got) != 1 || got[0].All != 0 {
		t.Errorf("counts after their time: %+v", got)
	}
}

// TestTwoConditions: a rule that asks for both, and one that asks for either.
func TestTwoConditions(t *testing.T) {
	for _, tt := range []struct {
		join  string
		fires []bool // after 3 errors in staging, after 3 in production, a while later
	}{{"and", []bool{false, true, false}}, {"or", []bool{true, true, false}}} {
		t.Run(tt.join, func(t *testing.T) {
			r := newRig(t)
			r.put(alert.Rule{ID: "errors", Query: "environment:staging", Limit: 2, Also: &alert.Also{Join: tt.join, Query: "environment:production", Limit: 2}})
			fires := func(i int) {
				t.Helper()
				r.alerts.Round(t.Context(), nil)
				v, err := r.alerts.Get("errors")
				if err != nil || (v.Phase == alert.Firing) != tt.fires[i] {
					t.Errorf("step %d: %s (%v), firing want %v: %s", i, v.Phase, err, tt.fires[i], v.Why)
				}
			}
			r.send(3, "staging")
			fires(0)
			r.send(3, "production")
			fires(1)
			r.restart()
			fires(1)
			for range 25 {
				r.clock.Advance(time.Minute)
				r.send(1, "other") // data flow
				r.alerts.Round(t.Context(), nil)
			}
			fires(2)
		})
	}
	r := newRig(t)
	limit := 1.0
	for _, bad := range []alert.Rule{
		{ID: "x", Also: &alert.Also{Join: "xor"}}, {ID: "x", Also: &alert.Also{Join: "and", Value: "sum()"}}, {ID: "x", Also: &alert.Also{Join: "or", Query: "((("}},
		{ID: "x", Limit: 5, Resolve: &limit, Also: &alert.Also{Join: "or"}},
	} {
		if _, err := r.alerts.Put(t.Context(), bad, store.AuditEntry{}); !errors.Is(err, alert.ErrInvalid) {
			t.Errorf("%+v: %v", bad.Also, err)
		}
	}
}
