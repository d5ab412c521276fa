package evidence

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"serin/internal/panel"
	"serin/internal/plan"
	"serin/internal/telemetry"
)

// panels watches queries and returns their keys.
func (g *rig) panels(list ...plan.Panel) (keys []string) {
	g.t.Helper()
	var all []panel.Panel
	for _, p := range list {
		c, err := panel.Of("", "f", p)
		if err != nil {
			g.t.Fatal(err)
		}
		all, keys = append(all, c), append(keys, c.Key)
	}
	if err := g.e.WatchPanels(g.t.Context(), all); err != nil {
		g.t.Fatal(err)
	}
	return keys
}

func (g *rig) panel(key string, from, to time.Time, points int) panel.Span {
	g.t.Helper()
	s, err := g.e.ReadPanel(key, from, to, points)
	if err != nil {
		g.t.Fatal(err)
	}
	return s
}

func (g *rig) tagged(user, component string) telemetry.Event {
	e := g.failure(user, "error")
	e.Tags = map[string]string{"feature": "x"}
	if component != "" {
		e.Tags["component"] = component
	}
	return e
}

// TestPanelCounts counts by groups before and after a restart, tells which
// events were of the canary, and compares with a week before.
func TestPanelCounts(t *testing.T) {
	g := newRig(t, nil)
	list := []plan.Panel{{Query: "feature:x level:[error, fatal]"}, {Query: "feature:x", By: "component"}}
	keys := g.panels(list...)
	fresh, old := g.userOf(telemetry.New, 0), g.userOf(telemetry.Old, 0)
	g.send(g.tagged(old, "table"), g.tagged(old, "table"), g.tagged(old, "menu"))
	week := 7 * 24 * time.Hour
	g.clock.Advance(week)
	g.send(g.tagged(fresh, "grid"), g.tagged(old, "table"), g.tagged(fresh, ""), g.failure(old, "error"))
	twice := g.tagged(fresh, "grid")
	g.send(twice, twice) // one event, sent twice
	check := func(when string) {
		t.Helper()
		now := g.clock.Now()
		got := g.panel(keys[0], now.Add(-24*time.Hour), now, 24)
		if got.Total.N != 4 || got.Total.Fresh != 3 || got.Total.Users != 2 || len(got.Points) != 25 {
			t.Errorf("%s: all %+v in %d points", when, got.Total, len(got.Points))
		}
		if last := got.Points[len(got.Points)-1]; last.Value == nil || *last.Value != 4 {
			t.Errorf("%s: the newest point is %v", when, last)
		}
		if before := g.panel(keys[0], now.Add(-week-24*time.Hour), now.Add(-week), 24); before.Total.N != 0 {
			t.Errorf("%s: the day that ended a week ago has %d: the step under way then is in the day after", when, before.Total.N)
		}
		if before := g.panel(keys[0], now.Add(-week-24*time.Hour), now.Add(-week).Add(panel.Step), 24); before.Total.N != 3 || before.Total.Users != 1 {
			t.Errorf("%s: a week before %+v", when, before.Total)
		}
		var groups []string
		for _, x := range g.panel(keys[1], now.Add(-24*time.Hour), now, 24).Groups {
			groups = append(groups, fmt.Sprint(x.Name, " ", x.N, " ", x.Fresh, " ", x.Users))
		}
		if diff := cmp.Diff([]string{"grid 2 2 1", "(none) 1 1 1", "table 1 0 1"}, groups); diff != "" {
			t.Errorf("%s: groups: %s", when, diff)
		}
	}
	check("at once")
	g.restart()
	if diff := cmp.Diff(keys, g.panels(list...)); diff != "" {
		t.Fatal(diff)
	}
	check("after a restart")
	if s := g.panel(keys[0], t0, t0.Add(time.Hour), 1).Since; !s.Equal(t0) {
		t.Errorf("counted since %v, want %v: a restart does not begin anew", s, t0)
	}
}

// TestPanelPageLoads counts a load when it is sealed, with the vitals that
// came after it, also across a restart.
func TestPanelPageLoads(t *testing.T) {
	g := newRig(t, nil)
	list := []plan.Panel{{Query: "measurements.lcp:<5000 url:/p/7"}, {Query: "measurements.lcp:>=2500"}}
	keys := g.panels(list...)
	load := func(id, path string, lcp float64) telemetry.Event {
		return telemetry.Event{Kind: telemetry.KindPage, ID: id, Environment: "production", User: "u" + id, SpanID: id, Page: path,
			Measurements: map[string]float64{"lcp": lcp}}
	}
	late := load("1", "/p/7", 1000)
	late.Measurements = nil
	g.send(late, load("2", "/p/7", 3000), load("3", "/p/8", 9000), load("4", "/q", 100))
	g.send(telemetry.Event{Kind: telemetry.KindVital, Segment: "1", Environment: "production", Measurements: map[string]float64{"lcp": 1500}},
		telemetry.Event{Kind: telemetry.KindVital, Segment: "1", Environment: "production", Measurements: map[string]float64{"lcp": 2000}},
		telemetry.Event{Kind: telemetry.KindVital, Segment: "5", User: "u5", Page: "/p/7", Environment: "production", Measurements: map[string]float64{"lcp": 4000}})
	now := g.clock.Now()
	if s := g.panel(keys[0], now.Add(-time.Hour), now, 3); s.Total.N != 0 {
		t.Errorf("%d loads are counted while vitals may come", s.Total.N)
	}
	g.restart()
	g.panels(list...)
	g.clock.Advance(sealAfter + 2*time.Minute)
	g.settled(func() bool { return g.panel(keys[0], now.Add(-time.Hour), g.clock.Now(), 3).Total.N == 3 })
	s := g.panel(keys[0], now.Add(-time.Hour), g.clock.Now(), 3)
	if s.Total.Value == nil || *s.Total.Value < 2970 || *s.Total.Value > 4040 {
		t.Errorf("p75 of 2000, 3000 and 4000 is %v", s.Total.Value)
	}
	var groups []string
	for _, x := range g.panel(keys[1], now.Add(-time.Hour), g.clock.Now(), 3).Groups {
		groups = append(groups, fmt.Sprint(x.Name, " ", x.N, " of ", x.All))
	}
	if diff := cmp.Diff([]string{"/p/:id 3 of 4", "/q 0 of 1"}, groups); diff != "" {
		t.Errorf("slow loads by path: %s", diff)
	}
}

// settled advances by housekeeping ticks until done holds.
func (g *rig) settled(done func() bool) {
	g.t.Helper()
	for range 200 {
		if done() {
			return
		}
		g.send(telemetry.Event{Kind: telemetry.KindCheckIn, Received: g.clock.Now()})
		g.clock.Advance(housekeeping)
	}
	g.t.Fatal("it never came")
}

func TestPanelBounds(t *testing.T) {
	g := newRig(t, nil)
	key := g.panels(plan.Panel{Query: "feature:x", By: "component"})[0]
	for i := range 40 {
		g.send(g.tagged("u1", fmt.Sprint("part", i)))
	}
	now := g.clock.Now()
	s := g.panel(key, now.Add(-time.Hour), now, 3)
	if len(s.Groups) != panel.MaxGroups || s.Total.N != 40 || s.Groups[0].Name != panel.Others || s.Groups[0].N != 20 {
		t.Errorf("%d groups, %d in all, first %+v", len(s.Groups), s.Total.N, s.Groups[0])
	}
	late := g.tagged("u1", "part1")
	late.Late, late.Time = true, now.Add(-26*time.Hour)
	old := late
	old.Time = now.Add(-panel.Kept - time.Hour)
	g.send(late, old)
	if s := g.panel(key, now.Add(-27*time.Hour), now.Add(-25*time.Hour), 3); s.Total.N != 1 {
		t.Errorf("a late event is found %d times at its own time", s.Total.N)
	}
	g.clock.Advance(panel.Kept + time.Hour)
	g.settled(func() bool {
		s := g.panel(key, t0.Add(-30*24*time.Hour), g.clock.Now(), 3)
		return s.Total.N == 0 && s.Last.IsZero()
	})
	if err := g.e.WatchPanels(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := g.e.ReadPanel(key, now, now, 1); err == nil {
		t.Error("a panel that nobody asks for is answered")
	}
	again := g.clock.Now()
	g.panels(plan.Panel{Query: "feature:x", By: "component"})
	if s := g.panel(key, now, now.Add(time.Hour), 1); !s.Since.Equal(again.Truncate(time.Second)) {
		t.Errorf("counted again since %v, want %v", s.Since, again)
	}
}

// TestPanelSessions counts a session once, when it first fits the search.
func TestPanelSessions(t *testing.T) {
	g := newRig(t, nil)
	keys := g.panels(plan.Panel{Query: "sessions WHERE environment:production"}, plan.Panel{Query: "session.status:crashed"})
	update := func(id, status string) telemetry.Event {
		return telemetry.Event{Kind: telemetry.KindSession, Environment: "production", SessionUser: "d", Session: &telemetry.Session{ID: id, Status: status, Count: 1}}
	}
	g.send(update("a", "ok"), update("b", "ok"), update("a", "exited"), update("b", "crashed"), update("b", "crashed"),
		telemetry.Event{Kind: telemetry.KindSession, Environment: "production", Session: &telemetry.Session{Status: "crashed", Count: 5}})
	now := g.clock.Now()
	if all, crashed := g.panel(keys[0], now.Add(-time.Hour), now, 1).Total.N, g.panel(keys[1], now.Add(-time.Hour), now, 1).Total.N; all != 7 || crashed != 6 {
		t.Errorf("%d sessions, %d crashed; want 7 and 6", all, crashed)
	}
}

func TestPanelCellSurvivesEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := panelCell{n: rapid.Int64Range(0, 1<<40).Draw(t, "n"), fresh: rapid.Int64Range(0, 1<<40).Draw(t, "fresh"),
			all: rapid.Int64Range(0, 1<<40).Draw(t, "all"), measured: rapid.Int64Range(0, 1<<40).Draw(t, "measured"), sum: rapid.Float64().Draw(t, "sum")}
		for _, h := range rapid.SliceOf(rapid.Uint64()).Draw(t, "users") {
			c.users = c.users.add(h)
		}
		for _, v := range rapid.SliceOf(rapid.Float64Range(0, 1e6)).Draw(t, "values") {
			c.sketch = addTo(c.sketch, v)
		}
		data := c.encode()
		got, err := decodePanelCell(data)
		if err != nil {
			t.Fatal(err)
		}
		if string(got.encode()) != string(data) || string(got.users) != string(c.users) || got.n != c.n || got.sum != c.sum {
			t.Fatalf("%+v came back as %+v", c, got)
		}
	})
}

func FuzzPanelCell(f *testing.F) {
	f.Add((&panelCell{n: 3, sum: 1.5, users: distinct(nil).add(77), sketch: addTo(nil, 4)}).encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := decodePanelCell(data); err == nil {
			if _, err := decodePanelCell(c.encode()); err != nil {
				t.Fatalf("%x: what was read cannot be read again: %v", data, err)
			}
		}
	})
}
