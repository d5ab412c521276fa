package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"serin/internal/alert"
	"serin/internal/alerting"
	"serin/internal/rollout"
	"serin/internal/store"
	"serin/internal/web"
)

// watchedPlan has an alert that tells by the dashboard.
const watchedPlan = `serin: 1
plan: checkout
title: New checkout
timezone: UTC
flag: { key: newCheckout, audience: role = admin }
scope: { tags: { feature: admin-workbench } }
channels: { team: dashboard }
calendar: { raise: ["daily 00:00-24:00"] }
preflight:
  - { id: sign-off, do: Tried out by hand in staging }
criteria:
  healthy: [error_rate < 90%, lcp < 10s]
stages:
  - { stage: canary, traffic: 50%,  bake: 72h, proceed: healthy }
  - { stage: full,   traffic: 100%, bake: 72h, proceed: healthy }
rollback: [p1 > 50 over 6h]
alerts:
  - { alert: Checkout errors, if: errors > 5 over 10m, severity: p1, notify: team }
`

// TestPlanAlertFires: the sixth error of the feature within ten minutes fires
// the plan's alert within seconds; it is told, acknowledged and shown.
func TestPlanAlertFires(t *testing.T) {
	s := start(t, 1)
	id := s.create(watchedPlan)
	crash := func(n int) {
		t.Helper()
		if a := s.envelope(minifiedCrash(eventID(n), "web@1")); a.status != http.StatusOK {
			t.Fatalf("envelope: %d %s", a.status, a.body)
		}
	}
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	name := id + ".checkout-errors"
	for n := range 5 {
		crash(n)
	}
	var v alerting.View
	phase := func(want alert.Phase) {
		t.Helper()
		eventually(t, "the alert is "+string(want), func() error {
			var all []alerting.View
			s.ask(http.MethodGet, "/alerts", nil, &all)
			for _, one := range all {
				if v = one; one.ID == name && one.Phase == want && len(one.Groups) > 0 == (want == alert.Firing) {
					return nil
				}
			}
			return fmt.Errorf("%+v", all)
		})
	}
	var why alerting.Why
	eventually(t, "the alert is looked at", func() error {
		if a := s.api(http.MethodGet, "/alerts/"+name, nil); a.status != http.StatusOK {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		s.ask(http.MethodGet, "/alerts/"+name+"/why", nil, &why)
		if len(why.Readings) != 1 || why.Readings[0].Value == nil || *why.Readings[0].Value != 5 || why.Readings[0].Holds {
			return fmt.Errorf("%+v", why)
		}
		return nil
	})
	crash(5)
	phase(alert.Firing)
	if len(v.Groups) != 1 || v.Groups[0].Severity != "p1" || *v.Groups[0].Value != 6 {
		t.Errorf("firing as %+v", v.Groups)
	}
	var sent []store.Outgoing
	s.ask(http.MethodGet, "/rollouts/"+id+"/notices", nil, &sent)
	told := 0
	for _, n := range sent {
		if n.Type == "alert.firing" && n.Channel == "team" && strings.HasPrefix(n.Title, "P1 firing: Checkout errors") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("%d notices in %+v, want one", told, sent)
	}
	s.hire("otto", "operator")
	cookie := s.signIn("otto")
	for path, want := range map[string]string{"/alerts": "1 rule, 1 firing", "/alerts/" + name: "errors are 6 over 10m, limit 5"} {
		if a := s.direct(http.MethodGet, path, "", "Cookie", web.CookieName+"="+cookie); a.status != http.StatusOK || !strings.Contains(string(a.body), want) {
			t.Errorf("page %s: %d, without %q", path, a.status, want)
		}
	}
	if a := s.submit("/alerts/"+name+"/ack", cookie, url.Values{"reason": {"looking"}}); a.status != http.StatusSeeOther {
		t.Errorf("acknowledge on the page: %d %s", a.status, a.body)
	}
	s.ask(http.MethodGet, "/alerts/"+name, nil, &v)
	if v.Groups[0].Acked.IsZero() {
		t.Errorf("acknowledged: %+v", v.Groups)
	}
	var test alert.Backtest
	s.ask(http.MethodGet, "/alerts/"+name+"/backtest?days=1&limit=100", nil, &test)
	if len(test.Episodes) != 0 || test.Looks != 24*60+1 {
		t.Errorf("back-test: %d episodes, %d looks", len(test.Episodes), test.Looks)
	}
	if a := s.api(http.MethodDelete, "/alerts/"+name, nil); a.status != http.StatusUnprocessableEntity {
		t.Errorf("delete a plan's rule: %d %s", a.status, a.body)
	}
}
