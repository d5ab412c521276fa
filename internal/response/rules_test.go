package response_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/incident"
	"serin/internal/notify"
	"serin/internal/store"
)

// ruled is the source plan without its alert: a rule opens the incident.
func ruled(t *testing.T) string {
	t.Helper()
	from, to := strings.Index(source, "alerts:"), strings.Index(source, "incident:")
	if from < 0 || to < from {
		t.Fatal("the source plan has no alerts before its incident block")
	}
	return strings.NewReplacer("opens: [alert p1]", "opens: [p1 > 2 over 10m]", "affected_users >= 50", "affected_users >= 5").Replace(source[:from] + source[to:])
}

// TestRuleOpens: a rule under opens needs no alert. It pages, as nobody has
// paged for it. What still holds when the incident is resolved opens no other
// one; what comes after a calm does.
func TestRuleOpens(t *testing.T) {
	story(t, ruled(t), func(d *desk) {
		d.visit(2 * time.Minute)
		d.crash(2, 2)
		if v := d.opened(); v != nil {
			d.Fatalf("two errors opened %+v", v)
		}
		d.crash(1, 2)
		v := d.opened()
		if v == nil || v.Origin != "rule p1 > 2 over 10m" || v.Severity != "p1" || len(v.Alerts) != 0 || !v.Severe.IsZero() || !strings.Contains(v.Title, "p1 is 3 over 10m") {
			d.Fatalf("the third error opened %+v", v)
		}
		if got := d.told("page"); !slices.Equal(got, []string{"opened"}) {
			d.Errorf("the pager was told %v", got)
		}
		d.visit(5 * time.Minute)
		d.do(incident.Command{Verb: incident.DoResolve, Text: "a bad client"})
		d.visit(3 * time.Minute)
		d.restart() // what was calm is forgotten; what was resolved is not
		d.visit(time.Minute)
		if v := d.opened(); v.Status != incident.Resolved {
			d.Errorf("the rule still holds: %+v", v)
		}
		d.visit(10 * time.Minute)
		d.crash(3, 3)
		all := d.e.List(func(string) bool { return true }, true)
		if len(all) != 2 || all[0].ID != "INC-2" || all[0].Status != incident.Open || all[0].Live.P1 != 3 {
			d.Errorf("after a calm: %+v", all)
		}
	})
}

// TestSevere: the fifth user makes it a severe one, which asks for a channel
// of its own with the people of the plan; once is enough.
func TestSevere(t *testing.T) {
	story(t, ruled(t), func(d *desk) {
		d.visit(2 * time.Minute)
		d.crash(4, 4)
		if v := d.opened(); v == nil || !v.Severe.IsZero() {
			d.Fatalf("four users: %+v", v)
		}
		d.bad = 4
		d.crash(5, 5)
		if v := d.opened(); v.Severe.IsZero() || v.Impact.Affected != 5 {
			d.Fatalf("five users: %+v", v)
		}
		d.visit(3 * time.Minute)
		d.do(incident.Command{Verb: incident.DoSeverity, Severe: true}) // it is
		if got := d.told("team"); !slices.Equal(got, []string{"opened", "severe"}) {
			d.Errorf("the team was told %v", got)
		}
		all, err := d.store.Notices(d.ctx, "shop-1", 0)
		i := slices.IndexFunc(all, func(n store.Outgoing) bool { return n.Type == "incident.severe" })
		if err != nil || i < 0 {
			d.Fatalf("no notice of it: %v", err)
		}
		n := all[i]
		got := notify.Notice{Severe: n.Severe, Room: n.Room, Topic: n.Topic, Invite: n.Invite}
		want := notify.Notice{Severe: true, Room: "inc-1-shop", Topic: "P1 shop-1, decide until 00:17:00 UTC", Invite: []string{"@anna", "@ben", "@cleo"}}
		if diff := cmp.Diff(want, got); diff != "" {
			d.Error(diff)
		}
	})
}

// TestPersonMakesSevere: a person does not have to wait for the rule.
func TestPersonMakesSevere(t *testing.T) {
	story(t, ruled(t), func(d *desk) {
		d.visit(2 * time.Minute)
		d.crash(3, 3)
		v := d.do(incident.Command{ID: "s", Verb: incident.DoSeverity, Severity: "p2", Severe: true, Text: "the shop of a big customer"})
		if v.Severity != "p2" || v.Severe.IsZero() {
			d.Errorf("%s, severe since %s", v.Severity, v.Severe)
		}
		d.do(incident.Command{ID: "s", Verb: incident.DoSeverity, Severity: "p2", Severe: true, Text: "the shop of a big customer"})
		if got := d.told("team"); !slices.Equal(got, []string{"opened", "severity", "severe"}) {
			d.Errorf("the team was told %v", got)
		}
	})
}

// TestNoteCountsOnce: a second try of a note writes nothing, also after a
// restart; the same words under another key are another note.
func TestNoteCountsOnce(t *testing.T) {
	bubble(t, shop, func(d *desk) {
		d.fires(1, "fired", "p1")
		note := func(key string) {
			d.Helper()
			d.do(incident.Command{ID: key, Verb: incident.DoNote, Text: "only one release"})
		}
		note("n1")
		note("n1")
		d.restart()
		note("n1")
		note("n2")
		v, err := d.e.Get(d.ctx, "INC-1")
		n := 0
		for _, e := range v.Timeline {
			if e.Type == incident.Noted {
				n++
			}
		}
		if err != nil || n != 2 {
			d.Errorf("%d notes, want 2: %v", n, err)
		}
		entries, err := d.store.AuditEntries(d.ctx, "incident INC-1", 100)
		audited := 0
		for _, a := range entries {
			if a.Verb == "incident note" && a.Who == "anna" && a.Via == "web" && a.Reason == "only one release" {
				audited++
			}
		}
		if err != nil || audited != 2 {
			d.Errorf("%d of 2 notes are audited: %v", audited, err)
		}
	})
}
