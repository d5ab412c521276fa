package oncall_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"serin/internal/oncall"
)

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// weekly hands over on Mondays at 09:00 in Berlin; 29 March and 25 October
// 2026 change the clocks there.
func weekly() oncall.Rota {
	return oncall.Rota{Name: "web", Timezone: "Europe/Berlin", Layers: []oncall.Layer{
		{People: []string{"anna", "ben", "cara"}, Starts: "2026-03-02", Weekday: "mon", Clock: "09:00"},
	}}
}

func TestOn(t *testing.T) {
	night := weekly()
	night.Layers = append(night.Layers, oncall.Layer{People: []string{"dan"}, Starts: "2026-03-02", Days: 1, Hours: []string{"mon-fri 00:00-07:00", "mon-fri 20:00-24:00"}})
	covered := weekly()
	covered.Overrides = []oncall.Override{{Person: "eve", From: at(t, "2026-03-04T10:00:00Z"), To: at(t, "2026-03-04T12:00:00Z")}}
	skipped := weekly()
	skipped.Layers[0] = oncall.Layer{People: []string{"anna", "ben"}, Starts: "2026-03-28", Clock: "02:30", Days: 1}
	doubled := skipped
	doubled.Layers = []oncall.Layer{{People: []string{"anna", "ben"}, Starts: "2026-10-24", Clock: "02:30", Days: 1}}
	for _, tt := range []struct {
		name string
		rota oncall.Rota
		at   string
		want []string
	}{
		{"before the first turn", weekly(), "2026-03-02T07:59:59Z", nil},
		{"first hand-over, winter time", weekly(), "2026-03-02T08:00:00Z", []string{"anna"}},
		{"last moment", weekly(), "2026-03-09T07:59:59Z", []string{"anna"}},
		{"second turn", weekly(), "2026-03-09T08:00:00Z", []string{"ben"}},
		{"before the hand-over in summer time", weekly(), "2026-03-30T06:59:59Z", []string{"anna"}},
		{"hand-over keeps the wall clock in summer time", weekly(), "2026-03-30T07:00:00Z", []string{"ben"}},
		{"a later layer within its hours", night, "2026-03-03T19:30:00Z", []string{"dan"}},
		{"and not outside", night, "2026-03-03T12:00:00Z", []string{"anna"}},
		{"override begins", covered, "2026-03-04T10:00:00Z", []string{"eve"}},
		{"override is over", covered, "2026-03-04T12:00:00Z", []string{"anna"}},
		{"a skipped hand-over is the next valid minute: before", skipped, "2026-03-29T00:59:59Z", []string{"anna"}},
		{"a skipped hand-over is the next valid minute", skipped, "2026-03-29T01:00:00Z", []string{"ben"}},
		{"a doubled hand-over is the first: before", doubled, "2026-10-25T00:29:59Z", []string{"anna"}},
		{"a doubled hand-over is the first", doubled, "2026-10-25T00:30:00Z", []string{"ben"}},
		{"years later", weekly(), "2031-03-03T08:00:00Z", []string{"anna"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.rota.Check(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, tt.rota.On(at(t, tt.at))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestShiftsAndGaps(t *testing.T) {
	r := weekly()
	r.Layers[0].Hours = []string{"mon-fri 08:00-18:00"}
	from := at(t, "2026-03-06T12:00:00Z") // Friday
	want := []oncall.Shift{
		{From: from, To: at(t, "2026-03-06T17:00:00Z"), People: []string{"anna"}},
		{From: at(t, "2026-03-06T17:00:00Z"), To: at(t, "2026-03-09T07:00:00Z")},
		{From: at(t, "2026-03-09T07:00:00Z"), To: at(t, "2026-03-09T08:00:00Z"), People: []string{"anna"}},
		{From: at(t, "2026-03-09T08:00:00Z"), To: at(t, "2026-03-09T12:00:00Z"), People: []string{"ben"}},
	}
	equal := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
	if diff := cmp.Diff(want, r.Shifts(from, at(t, "2026-03-09T12:00:00Z")), equal); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want[1:2], r.Gaps(from, at(t, "2026-03-09T12:00:00Z")), equal); diff != "" {
		t.Error(diff)
	}
	if next, ok := r.Next(from); !ok || !next.From.Equal(want[0].To) || len(next.People) != 0 {
		t.Errorf("next hand-over %+v", next)
	}
	if s, ok := (oncall.Rota{Timezone: "UTC"}).Next(from); ok {
		t.Errorf("a rota of nobody hands over: %+v", s)
	}
}

// TestShiftsAgree: shifts have no holes, and On says the same everywhere.
func TestShiftsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := weekly()
		r.Layers[0].Days, r.Layers[0].Weekday = rapid.IntRange(1, 20).Draw(t, "days"), ""
		r.Layers[0].Clock = rapid.SampledFrom([]string{"", "02:30", "09:00", "23:59"}).Draw(t, "clock")
		r.Layers = append(r.Layers, oncall.Layer{Events: []oncall.Event{{Person: "zoe", Start: "2026-03-20T22:00:00", Length: 9 * time.Hour,
			Freq: rapid.SampledFrom([]string{"", "daily", "weekly"}).Draw(t, "freq"), Every: rapid.IntRange(0, 3).Draw(t, "every"), Count: rapid.IntRange(0, 9).Draw(t, "count")}}})
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		from := time.Date(2026, 3, 15, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "minutes")) * time.Minute)
		to := from.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "span")) * 24 * time.Hour)
		before := from
		for _, s := range r.Shifts(from, to) {
			if !s.From.Equal(before) || !s.To.After(s.From) {
				t.Fatalf("a hole before %s", s.From)
			}
			for _, x := range []time.Time{s.From, s.From.Add(s.To.Sub(s.From) / 2), s.To.Add(-time.Nanosecond)} {
				if diff := cmp.Diff(s.People, r.On(x)); diff != "" {
					t.Fatalf("at %s: %s", x, diff)
				}
			}
			before = s.To
		}
		if !before.Equal(to) {
			t.Fatalf("ends at %s, not %s", before, to)
		}
	})
}

func TestCheckRefuses(t *testing.T) {
	for name, change := range map[string]func(*oncall.Rota){
		"name":     func(r *oncall.Rota) { r.Name = "Web" },
		"timezone": func(r *oncall.Rota) { r.Timezone = "Mars/Base" },
		"nobody":   func(r *oncall.Rota) { r.Layers[0].People = nil },
		"person":   func(r *oncall.Rota) { r.Layers[0].People[0] = "@anna" },
		"starts":   func(r *oncall.Rota) { r.Layers[0].Starts = "soon" },
		"clock":    func(r *oncall.Rota) { r.Layers[0].Clock = "9:00" },
		"weekday":  func(r *oncall.Rota) { r.Layers[0].Days = 3 },
		"hours":    func(r *oncall.Rota) { r.Layers[0].Hours = []string{"always"} },
		"override": func(r *oncall.Rota) { r.Overrides = []oncall.Override{{Person: "ben"}} },
		"chain":    func(r *oncall.Rota) { r.Chain.Links = []oncall.Link{{Tell: []string{"everybody"}}} },
		"wait":     func(r *oncall.Rota) { r.Chain.Links = []oncall.Link{{Tell: []string{"rota"}, Wait: time.Second}} },
	} {
		r := weekly()
		change(&r)
		if err := r.Check(); !errors.Is(err, oncall.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChainTranscript(t *testing.T) {
	begin := at(t, "2026-03-02T09:00:00Z")
	c := oncall.Default("@cara")
	c.Rounds = 2
	for _, tt := range []struct {
		name string
		ack  time.Duration // 0 = nobody does
		want []string
	}{
		{"nobody answers", 0, []string{"0s 1.1 rota", "5m0s 1.2 rota,@cara", "10m0s 2.1 rota", "15m0s 2.2 rota,@cara"}},
		{"acknowledged after six minutes", 6 * time.Minute, []string{"0s 1.1 rota", "5m0s 1.2 rota,@cara"}},
		{"acknowledged at once", time.Second, []string{"0s 1.1 rota"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s oncall.State
			var got []string
			for d := time.Duration(0); d <= time.Hour; d += time.Second {
				in := oncall.Input{Now: begin.Add(d)}
				if tt.ack > 0 && d == tt.ack {
					in.Ack = "ben"
				}
				var told *oncall.Told
				if s, told = oncall.Step(c, s, in); told != nil {
					got = append(got, d.String()+" "+string(rune('0'+told.Round))+"."+string(rune('0'+told.Link))+" "+strings.Join(told.Targets, ","))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if s.Spent.IsZero() != (tt.ack > 0) || (s.By == "ben") != (tt.ack > 0) {
				t.Errorf("ends as %+v", s)
			}
		})
	}
}

// TestChainProperties: nobody is told after an acknowledgement or the end, no
// link before its time, none beyond the rounds, and a restart changes nothing.
func TestChainProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := oncall.Chain{Rounds: rapid.IntRange(0, oncall.MaxRounds).Draw(t, "rounds")}
		for range rapid.IntRange(1, 4).Draw(t, "links") {
			c.Links = append(c.Links, oncall.Link{Tell: []string{"rota"}, Wait: time.Duration(rapid.IntRange(0, 10).Draw(t, "wait")) * time.Minute})
		}
		var s, kept oncall.State
		now, told := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), 0
		var last time.Time
		for range 80 {
			now = now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second)
			in := oncall.Input{Now: now}
			switch rapid.IntRange(0, 40).Draw(t, "what") {
			case 0:
				in.Ack = "ben"
			case 1:
				in.Resolve = true
			}
			before := s
			next, out := oncall.Step(c, s, in)
			data, _ := json.Marshal(s)
			kept = oncall.State{}
			if err := json.Unmarshal(data, &kept); err != nil {
				t.Fatal(err)
			}
			again, same := oncall.Step(c, kept, in)
			if diff := cmp.Diff(next, again) + cmp.Diff(out, same); diff != "" {
				t.Fatal(diff)
			}
			if s = next; out == nil {
				continue
			}
			if told++; told > len(c.Links)*max(c.Rounds, 1) || !before.Acked.IsZero() || !before.Ended.IsZero() {
				t.Fatalf("told %d times, from %+v", told, before)
			}
			if told > 1 {
				wait := c.Links[(told-2)%len(c.Links)].Wait
				if wait == 0 {
					wait = oncall.DefaultWait
				}
				if now.Sub(last) < wait {
					t.Fatalf("told after %s of %s", now.Sub(last), wait)
				}
			}
			last = now
		}
	})
}

const calendar = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\nEND:VTIMEZONE\r\n" +
	"BEGIN:VEVENT\r\nDTSTART;TZID=Europe/Berlin:20260302T090000\r\nDTEND;TZID=Europe/Berlin:20260309T090000\r\n" +
	"RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=3\r\nEXDATE;TZID=Europe/Berlin:20260316T090000\r\nSUMMARY:An\r\n na\\, web\r\nEND:VEVENT\r\n" +
	"BEGIN:VEVENT\r\nDTSTART:20260309T080000Z\r\nDURATION:P7D\r\nATTENDEE;CN=\"Ben: B\":mailto:ben@example.org\r\nEND:VEVENT\r\n" +
	"BEGIN:VEVENT\r\nDTSTART:20260309T080000Z\r\nSTATUS:CANCELLED\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

func known(attendee, summary string) string {
	switch {
	case attendee == "ben@example.org":
		return "ben"
	case summary == "Anna, web":
		return "anna"
	}
	return ""
}

func TestCalendar(t *testing.T) {
	events, err := oncall.ParseCalendar(calendar, known)
	if err != nil {
		t.Fatal(err)
	}
	r := oncall.Rota{Name: "web", Timezone: "UTC", Layers: []oncall.Layer{{Events: events}}}
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	for when, want := range map[string]string{
		"2026-03-02T07:59:59Z": "", "2026-03-02T08:00:00Z": "anna", "2026-03-09T08:00:00Z": "ben", "2026-03-16T08:00:00Z": "",
		"2026-03-30T06:59:59Z": "", "2026-03-30T07:00:00Z": "anna", "2026-04-06T06:59:59Z": "anna", "2026-04-13T08:00:00Z": "",
	} {
		if got := strings.Join(r.On(at(t, when)), ","); got != want {
			t.Errorf("at %s: %q, want %q", when, got, want)
		}
	}
	from, to := at(t, "2026-03-02T00:00:00Z"), at(t, "2026-04-20T00:00:00Z")
	again, err := oncall.ParseCalendar(r.Calendar(from, to, from), func(_, summary string) string { return summary })
	if err != nil {
		t.Fatal(err)
	}
	back := oncall.Rota{Name: "web", Timezone: "UTC", Layers: []oncall.Layer{{Events: again}}}
	equal := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
	if diff := cmp.Diff(r.Shifts(from, to), back.Shifts(from, to), equal); diff != "" {
		t.Error("written and read back: ", diff)
	}
}

func TestCalendarRefuses(t *testing.T) {
	event := func(lines string) string {
		return "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Anna\\, web\nDTSTART:20260302T090000\nDTEND:20260303T090000\n" + lines + "\nEND:VEVENT\nEND:VCALENDAR\n"
	}
	for name, text := range map[string]string{
		"empty": "", "no event": "BEGIN:VCALENDAR\nEND:VCALENDAR\n", "not closed": "BEGIN:VCALENDAR\nBEGIN:VEVENT\n", "no colon": event("NONSENSE"),
		"nobody": event("ATTENDEE:mailto:x@example.org\nSUMMARY:x"), "monthly": event("RRULE:FREQ=MONTHLY"), "by hour": event("RRULE:FREQ=DAILY;BYHOUR=3"),
		"moved": event("RECURRENCE-ID:20260302T090000"), "zone": event("DTSTART;TZID=Mars/Base:20260302T090000"), "backwards": event("DTEND:20260301T090000"),
	} {
		if _, err := oncall.ParseCalendar(text, known); !errors.Is(err, oncall.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzCalendar(f *testing.F) {
	f.Add(calendar)
	f.Add("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20260302\nRRULE:FREQ=WEEKLY;BYDAY=MO,FR;UNTIL=20270101\nEND:VEVENT\nEND:VCALENDAR")
	f.Fuzz(func(t *testing.T, text string) {
		events, err := oncall.ParseCalendar(text, func(string, string) string { return "anna" })
		if err != nil {
			if !errors.Is(err, oncall.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		r := oncall.Rota{Name: "web", Timezone: "Europe/Berlin", Layers: []oncall.Layer{{Events: events}}}
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		for _, s := range r.Shifts(from, from.AddDate(0, 0, 14)) {
			if diff := cmp.Diff(s.People, r.On(s.From)); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

// TestCalendarEnds: UNTIL and EXDATE are instants in UTC with a Z, else wall
// times of the event's zone.
func TestCalendarEnds(t *testing.T) {
	for rule, want := range map[string]int{
		"RRULE:FREQ=DAILY;UNTIL=20260704T090000":                                                           3, // 07:00 UTC
		"RRULE:FREQ=DAILY;UNTIL=20260704T065959Z":                                                          2,
		"RRULE:FREQ=DAILY;UNTIL=20260704":                                                                  3,
		"RRULE:FREQ=DAILY;COUNT=3\nEXDATE;TZID=Europe/Berlin:20260703T090000":                              2,
		"RRULE:FREQ=DAILY;COUNT=3\nEXDATE:20260703T070000Z":                                                2,
		"RRULE:FREQ=WEEKLY;COUNT=3;BYDAY=TH,SA\nEXDATE;TZID=Europe/Berlin:20260704T090000,20260702T090000": 1,
	} {
		events, err := oncall.ParseCalendar("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:anna\nDTSTART;TZID=Europe/Berlin:20260702T090000\nDURATION:PT1H\n"+rule+"\nEND:VEVENT\nEND:VCALENDAR",
			func(_, summary string) string { return summary })
		if err != nil {
			t.Fatal(rule, err)
		}
		n := 0
		for _, s := range (oncall.Rota{Timezone: "UTC", Layers: []oncall.Layer{{Events: events}}}).Shifts(at(t, "2026-07-01T00:00:00Z"), at(t, "2026-08-01T00:00:00Z")) {
			n += len(s.People)
		}
		if n != want {
			t.Errorf("%q: %d times, want %d", rule, n, want)
		}
	}
}
