package api_test

import (
	"net/http"
	"strings"
	"testing"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/store"
)

func TestRunbook(t *testing.T) {
	r := started(t)
	got := decode[controller.Runbook](t, r.as(auth.Read, 200, http.MethodGet, "/rollouts/checkout/runbook", nil))
	if got.Rollout != "checkout-1" || got.Revision != 1 || len(got.Phases) != 3 || got.Phases[1].Name != "half" || got.Phases[1].Traffic != 50 ||
		len(got.Phases[1].Approve) != 1 || len(got.Roles) != 2 || len(got.Rollback) == 0 || got.Preflight[0].By != "qa" {
		t.Errorf("runbook: %+v", got)
	}
	if !strings.HasPrefix(got.Text, "Runbook: ") || !strings.Contains(got.Text, "2. half: 50% for 24h") {
		t.Errorf("text: %s", got.Text)
	}
	r.refused(auth.Read, 404, "not found", http.MethodGet, "/rollouts/nothing/runbook", nil)
	r.refused(auth.Read, 404, "not found", http.MethodGet, "/rollouts/nothing/calendar", nil)
}

func TestEmergency(t *testing.T) {
	r := started(t)
	got := decode[controller.Emergency](t, r.as(auth.Read, 200, http.MethodGet, "/rollouts/checkout/emergency", nil))
	if got.Rollout != "checkout-1" || got.Flag != "newCheckout" || got.Standing != "running at 10%, stage canary" || len(got.Call) == 0 || len(got.Clients) != 3 || len(got.Steps) != 8 || got.At.IsZero() {
		t.Errorf("emergency runbook: %+v", got)
	}
	if !strings.HasPrefix(got.Text, "# serin is down: checkout\n") {
		t.Errorf("text: %s", got.Text)
	}
	r.refused(auth.Read, 404, "not found", http.MethodGet, "/rollouts/nothing/emergency", nil)
}

func TestCalendar(t *testing.T) {
	r := started(t)
	got := decode[controller.Calendar](t, r.as(auth.Read, 200, http.MethodGet, "/rollouts/checkout/calendar", nil))
	first := got.Events[0]
	if got.Assumes != "" || first.Kind != plan.StageStart || !first.Past || first.Stage != "canary" || first.Traffic != 10 {
		t.Errorf("calendar begins with %+v, assumes %q", first, got.Assumes)
	}
	var half controller.CalendarEvent
	for _, e := range got.Events {
		if e.Kind == plan.StageStart && e.Stage == "half" {
			half = e
		}
	}
	if half.Past || len(half.Approve) != 1 || half.At.Sub(first.At).Hours() < 47.9 {
		t.Errorf("half begins %+v", half)
	}
	if got.End.Sub(first.At).Hours() < 143 {
		t.Errorf("ends %s, began %s", got.End, first.At)
	}
	if len(got.Problems) == 0 || got.Problems[0].Line < 1 || len(got.Skipped) == 0 {
		t.Errorf("problems %+v, skipped %v", got.Problems, got.Skipped)
	}
}

// TestAuditOfSomebody: a person's entries alone, with the limit on them.
func TestAuditOfSomebody(t *testing.T) {
	r := started(t)
	for who, least := range map[string]int{"operate": 1, "admin": 2, "nobody": 0} {
		got := decode[[]store.AuditEntry](t, r.as(auth.Read, 200, http.MethodGet, "/audit?who="+who, nil))
		if len(got) < least || least == 0 && len(got) > 0 {
			t.Errorf("%s has %d entries", who, len(got))
		}
		for _, e := range got {
			if e.Who != who {
				t.Errorf("asked for %s, got an entry of %s", who, e.Who)
			}
		}
	}
	if got := decode[[]store.AuditEntry](t, r.as(auth.Read, 200, http.MethodGet, "/audit?who=admin&target=rollout+checkout-1&limit=1", nil)); len(got) != 1 || got[0].Verb != "started" {
		t.Errorf("the newest of admin: %+v", got)
	}
}
