package plan

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// TestWallTime: a skipped time is the next valid minute, a doubled one the first.
func TestWallTime(t *testing.T) {
	cases := []struct{ zone, date, want string }{
		{"Europe/Berlin", "2025-03-30 02:30", "2025-03-30T01:00:00Z"}, // skipped: 03:00 CEST
		{"Europe/Berlin", "2025-03-30 02:00", "2025-03-30T01:00:00Z"},
		{"Europe/Berlin", "2025-03-30 03:00", "2025-03-30T01:00:00Z"},
		{"Europe/Berlin", "2025-03-30 01:59", "2025-03-30T00:59:00Z"},
		{"Europe/Berlin", "2025-10-26 02:30", "2025-10-26T00:30:00Z"}, // doubled: the first, CEST
		{"Europe/Berlin", "2025-10-26 03:00", "2025-10-26T02:00:00Z"},
		{"America/New_York", "2025-03-09 02:30", "2025-03-09T07:00:00Z"},
		{"America/New_York", "2025-11-02 01:30", "2025-11-02T05:30:00Z"},
		{"Australia/Lord_Howe", "2025-10-05 02:15", "2025-10-04T15:30:00Z"}, // half an hour is skipped
		{"Pacific/Apia", "2011-12-30 12:00", "2011-12-30T10:00:00Z"},        // the whole day is skipped
		{"UTC", "2025-02-19 09:00", "2025-02-19T09:00:00Z"},
	}
	for _, c := range cases {
		got, _, err := parseDate(c.date, zone(t, c.zone))
		if err != nil {
			t.Fatal(err)
		}
		if text := got.UTC().Format(time.RFC3339); text != c.want {
			t.Errorf("%s %s = %s, want %s", c.zone, c.date, text, c.want)
		}
	}
}

func TestDatesThatDoNotExist(t *testing.T) {
	for _, text := range []string{"2025-02-30", "2025-13-01", "2025-02-19 24:00", "25-02-19", "2025-02-19T09:00"} {
		if _, _, err := parseDate(text, time.UTC); err == nil {
			t.Errorf("%s was read", text)
		}
	}
}

func calendarPlan(t testing.TB, timezone, calendar string) *Plan {
	t.Helper()
	return parsed(t, []byte(strings.NewReplacer("timezone: UTC", "timezone: "+timezone,
		`calendar: { raise: ["daily 00:00-24:00"] }`, calendar).Replace(base)))
}

func TestRaiseOpen(t *testing.T) {
	const office = `calendar: { raise: ["mon-fri 08:00-18:00"], freeze: [{ from: "2025-12-22", to: "2026-01-02", why: year end }] }`
	p := calendarPlan(t, "Europe/Berlin", office)
	cases := []struct {
		at, next, why string
	}{
		{"2025-12-19 12:00", "2025-12-19 12:00", ""},
		{"2025-12-19 07:59", "2025-12-19 08:00", "calendar"},
		{"2025-12-19 18:00", "2026-01-05 08:00", "calendar"}, // weekend, then freeze to the end of 2 Jan, a weekend
		{"2025-12-23 10:00", "2026-01-05 08:00", "freeze: year end"},
		{"2026-01-05 08:00", "2026-01-05 08:00", ""},
	}
	for _, c := range cases {
		at, _, _ := parseDate(c.at, p.Location)
		ok, next, why := p.RaiseOpen(at)
		if got := next.In(p.Location).Format("2006-01-02 15:04"); got != c.next || why != c.why || ok != (c.why == "") {
			t.Errorf("%s: %t %s %q, want %s %q", c.at, ok, got, why, c.next, c.why)
		}
	}
}

func TestClockPastMidnight(t *testing.T) {
	c, err := parseClock("22:00")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"2025-06-01 21:59": false, "2025-06-01 22:00": true, "2025-06-02 01:59": true, "2025-06-02 02:00": false} {
		at, _, _ := parseDate(text, time.UTC)
		if c.Open(at, time.UTC) != want {
			t.Errorf("%s: open is not %t", text, want)
		}
	}
}

// TestClockInSkippedHour: a window that daylight saving skips opens at the
// next valid minute all the same.
func TestClockInSkippedHour(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	c, _ := parseClock("02:00-03:00")
	at, _, _ := parseDate("2025-03-30 00:00", berlin)
	if got := c.Next(at, berlin).Format("15:04 MST"); got != "03:00 CEST" {
		t.Errorf("opens at %s", got)
	}
}

func TestCheckAt(t *testing.T) {
	p := parsed(t, readExample(t, "minimal"))
	cases := []struct {
		age   time.Duration
		entry int
		every time.Duration
	}{{0, 0, 15 * time.Minute}, {8*time.Hour - 1, 0, 15 * time.Minute}, {8 * time.Hour, 1, 30 * time.Minute}, {24 * time.Hour, 2, time.Hour}, {900 * time.Hour, 2, time.Hour}}
	for _, c := range cases {
		if entry, every, ok := p.CheckAt(0, c.age); !ok || entry != c.entry || every != c.every {
			t.Errorf("at %v: %d %v %t", c.age, entry, every, ok)
		}
	}
	if _, _, ok := p.CheckAt(9, 0); ok {
		t.Error("a stage that is not there has checks")
	}
}

// TestTimelineOfTheSourcePlan holds the dates of its contradictions C1 and C3.
func TestTimelineOfTheSourcePlan(t *testing.T) {
	p := parsed(t, readExample(t, "admin-workbench"))
	enter, _ := p.entries(p.Start)
	want := []string{"Wed 19 Feb 09:00", "Fri 21 Feb 09:00", "Sat 22 Feb 09:00", "Sun 23 Feb 09:00", "Tue 25 Feb 00:00"}
	for i, at := range enter {
		if atBoth(at) != want[i] {
			t.Errorf("%s begins %s, want %s", p.Stages[i].Name, atBoth(at), want[i])
		}
	}
	if end := atBoth(p.EarliestEnd(p.Start)); end != "Fri 28 Feb 00:00" {
		t.Errorf("ends %s", end)
	}
}

// TestNextEntryIsOpen: whatever the zone, window and moment, the next entry is
// not before the moment, is open, and no minute between is.
func TestNextEntryIsOpen(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"}
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		raise := rapid.SampledFrom([]string{"daily 00:00-24:00", "mon-fri 08:00-18:00", "sat-mon 02:00-02:30", "sun 01:00-04:00"}).Draw(t, "raise")
		w, err := parseWindow(raise)
		if err != nil {
			t.Fatal(err)
		}
		p := &Plan{Location: loc, Calendar: Calendar{Raise: []Window{w}}}
		at := time.Unix(1735689600+60*rapid.Int64Range(0, 525600).Draw(t, "minute"), 0)
		from := at.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "freeze")) * time.Minute)
		p.Calendar.Freeze = []Freeze{{From: from, To: from.Add(time.Hour), Why: "x"}}
		next := p.NextRaise(at)
		if ok, again, _ := p.RaiseOpen(next); next.Before(at) || !ok || !again.Equal(next) {
			t.Fatalf("%s -> %s is not open", at.In(loc), next.In(loc))
		}
		for m := at.Truncate(time.Minute); m.Before(next) && m.Before(at.Add(2*24*time.Hour)); m = m.Add(7 * time.Minute) {
			if ok, _, _ := p.RaiseOpen(m); ok && !m.Before(at) {
				t.Fatalf("%s is open before %s", m.In(loc), next.In(loc))
			}
		}
	})
}
