package alert_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"serin/internal/alert"
)

// windowed is what arrived in (now-over, now].
func windowed(r alert.Rule, arrivals []time.Time, now time.Time) alert.Evidence {
	n := 0
	for _, at := range arrivals {
		if at.After(now.Add(-r.Over)) && !at.After(now) {
			n++
		}
	}
	return alert.Evidence{Readings: []alert.Reading{{Value: float64(n), Known: true}}}
}

// drawn is a rule and arrivals within an hour, in order.
func drawn(t *rapid.T) (alert.Rule, []time.Time) {
	r, err := alert.Rule{ID: "r", Limit: float64(rapid.IntRange(0, 6).Draw(t, "limit")),
		Over:         time.Duration(rapid.IntRange(1, 15).Draw(t, "over")) * time.Minute,
		For:          time.Duration(rapid.IntRange(0, 3).Draw(t, "for")) * time.Minute,
		ResolveAfter: time.Duration(rapid.IntRange(1, 12).Draw(t, "resolve after")) * time.Minute}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	var arrivals []time.Time
	for _, ms := range rapid.SliceOfN(rapid.IntRange(0, 3_600_000), 0, 60).Draw(t, "arrivals") {
		arrivals = append(arrivals, start.Add(time.Duration(ms)*time.Millisecond))
	}
	slices.SortFunc(arrivals, time.Time.Compare)
	return r, arrivals
}

// TestArrivalAndTickAgree looks at one instant as an arrival and as the timer
// would, again and again: the second look changes nothing, whoever asks, and
// neither does a state that went through the store in between.
func TestArrivalAndTickAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, arrivals := drawn(t)
		var s alert.State
		instants := slices.Clone(arrivals)
		for m := range 90 {
			instants = append(instants, start.Add(time.Duration(m)*time.Minute))
		}
		slices.SortFunc(instants, time.Time.Compare)
		for _, now := range instants {
			e := windowed(r, arrivals, now)
			once, _ := alert.Step(r, s, e, now)
			twice, again := alert.Step(r, once, e, now)
			if len(again) > 0 || cmp.Diff(once, twice) != "" {
				t.Fatalf("the second look at %s says %v (-once +twice):\n%s", now, again, cmp.Diff(once, twice))
			}
			data, err := json.Marshal(once)
			if err != nil {
				t.Fatal(err)
			}
			s = alert.State{}
			if err := json.Unmarshal(data, &s); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(data), marshal(t, s)); diff != "" {
				t.Fatalf("a state changed on its way through the store:\n%s", diff)
			}
		}
	})
}

func marshal(t *rapid.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestFiresWithTheEvent: without for, a rule that is looked at on arrival fires
// at exactly the first arrival whose window is beyond the limit, and the timer
// alone never fires earlier.
func TestFiresWithTheEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, arrivals := drawn(t)
		r.For = 0
		first := func(instants []time.Time) (at time.Time) {
			var s alert.State
			for _, now := range instants {
				var changes []alert.Change
				if s, changes = alert.Step(r, s, windowed(r, arrivals, now), now); len(changes) > 0 && at.IsZero() {
					at = changes[0].At
				}
			}
			return at
		}
		var want time.Time
		for _, now := range arrivals {
			if want.IsZero() && windowed(r, arrivals, now).Readings[0].Value > r.Limit {
				want = now
			}
		}
		got := first(arrivals)
		if !got.Equal(want) {
			t.Fatalf("fired at %s, want %s", got, want)
		}
		var ticks []time.Time
		for m := range 90 {
			ticks = append(ticks, start.Add(time.Duration(m)*time.Minute))
		}
		if late := first(ticks); !late.IsZero() && (got.IsZero() || late.Before(got)) {
			t.Fatalf("the timer fired at %s, arrivals at %s", late, got)
		}
	})
}

// TestNoticesPair: whatever happens, a channel is told of an end only after it
// was told of a begin that arrived, and never of two ends in a row.
func TestNoticesPair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, arrivals := drawn(t)
		var s alert.State
		var sent alert.Sent
		delivered := rapid.SliceOfN(rapid.IntRange(0, 2), 120, 120).Draw(t, "delivery")
		open, arrived := false, false
		for m := range 120 {
			now := start.Add(time.Duration(m) * time.Minute)
			s, _ = alert.Step(r, s, windowed(r, arrivals, now), now)
			if rapid.IntRange(0, 20).Draw(t, "silence") == 0 {
				s, _, _ = alert.Mute(r, s, nil, now.Add(7*time.Minute), "anna", "", now)
			}
			d := alert.Decide(r, s, sent, alert.Delivery(delivered[m]), nil, now)
			arrived = alert.Delivery(delivered[m]) == alert.Delivered
			switch {
			case d.Send && len(d.Firing) > 0:
				open = true
			case d.Send && d.Reason == alert.AllResolved:
				if !open || !arrived {
					t.Fatalf("an end is told at %s without a begin that arrived", now)
				}
				open = false
			}
			if d.Send {
				sent = sent.Told(d, s, "n", now)
			}
			if d.Drop {
				sent, open = alert.Sent{}, false
			}
		}
	})
}

func TestGroupsAreBounded(t *testing.T) {
	r, err := alert.Rule{ID: "r", By: []string{"environment"}}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	var e alert.Evidence
	for i := range alert.MaxGroups + 20 {
		e.Readings = append(e.Readings, alert.Reading{Labels: alert.Labels{{Name: "environment", Value: string(rune('a'+i%26)) + string(rune('a'+i/26))}}, Value: float64(i + 1), Known: true})
	}
	s, changes := alert.Step(r, alert.State{}, e, start)
	if len(s.Groups) != alert.MaxGroups || len(changes) != alert.MaxGroups || s.Refused != 20 {
		t.Errorf("%d groups, %d changes, %d refused", len(s.Groups), len(changes), s.Refused)
	}
	if got := *changes[0].Value; got != alert.MaxGroups+20 {
		t.Errorf("the group with most events was not kept first: %v", got)
	}
}

func TestComplete(t *testing.T) {
	five := 5.0
	for name, tt := range map[string]struct {
		rule alert.Rule
		want string // in the error; "" = none
	}{
		"defaults":        {alert.Rule{ID: "a"}, ""},
		"id":              {alert.Rule{ID: "A.b"}, "id"},
		"query":           {alert.Rule{ID: "a", Query: "level:[error"}, "query"},
		"value":           {alert.Rule{ID: "a", Value: "sum(x)"}, "value"},
		"vitals":          {alert.Rule{ID: "a", Of: "pages", Value: "p75(measurements.lcp)"}, "sealed"},
		"quantile":        {alert.Rule{ID: "a", Of: "requests", Value: "p95(duration)", Limit: 500}, ""},
		"critical below":  {alert.Rule{ID: "a", Limit: 6, Critical: &five}, "critical"},
		"resolve beyond":  {alert.Rule{ID: "a", Limit: 3, Resolve: &five}, "resolve"},
		"long window":     {alert.Rule{ID: "a", Over: 25 * time.Hour}, "over"},
		"label":           {alert.Rule{ID: "a", By: []string{"a b"}}, "by"},
		"address":         {alert.Rule{ID: "a", Notify: []alert.Channel{{Address: "#team"}}}, "notify"},
		"severity":        {alert.Rule{ID: "a", Severity: "high"}, "severity"},
		"many labels":     {alert.Rule{ID: "a", By: []string{"a", "b", "c", "d", "e"}}, "labels"},
		"equality":        {alert.Rule{ID: "a", Op: "="}, "op"},
		"of what":         {alert.Rule{ID: "a", Of: "sessions"}, "of"},
		"negative repeat": {alert.Rule{ID: "a", Repeat: -time.Minute}, "duration"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.rule.Complete()
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want one about %s", err, tt.want)
			case tt.want == "":
				again, err := got.Complete()
				if diff := cmp.Diff(got, again); diff != "" || err != nil {
					t.Errorf("completing twice changes it: %v\n%s", err, diff)
				}
			}
		})
	}
}
