package web

import (
	"net/http"
	"strings"
	"testing"

	"serin/internal/controller"
	"serin/internal/rollout"
)

// direEmergency is an emergency runbook whose names are attacks.
func direEmergency() controller.Emergency {
	return controller.Emergency{
		Rollout: "admin-workbench-1", Plan: "admin-workbench", Flag: "bench", New: "on", Old: "off", Standing: "running at 10%, stage canary", Revision: 2,
		Call:    []controller.EmergencyPerson{{Role: "lead", Who: `<script>alert("who")</script>`, Duty: "owns canary", Escalates: "director"}, {Role: "director", Duty: "if lead does not answer"}},
		Clients: []controller.EmergencyClient{{Kind: "Open pages", Keeps: "what they show", Then: "the default", Back: "at the next load"}},
		Steps:   []controller.EmergencyStep{{Head: "Switch it off", Text: "Set the variable.", Commands: []string{`SERIN_OFF="bench"`}}},
		Text:    "# serin is down: bench\n",
	}
}

func TestEmergencyPage(t *testing.T) {
	f := &fakeRollouts{views: fleet(), emergency: direEmergency()}
	s := newWeb(t, f)
	w := get(t, s, "/rollouts/admin-workbench-1/emergency")
	if w.Code != http.StatusOK {
		t.Fatal(w.Code)
	}
	body := w.Body.String()
	for _, want := range []string{"was running at 10%, stage canary", "&lt;script&gt;", "owns canary; then director", "Nobody is named", "Open pages", `SERIN_OFF=&#34;bench&#34;`, "serin rollout emergency admin-workbench-1", `data-act="print"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	checkMarkup(t, body)
	file := get(t, s, "/rollouts/admin-workbench-1/emergency.md")
	if file.Code != http.StatusOK || file.Body.String() != f.emergency.Text || !strings.Contains(file.Header().Get("Content-Disposition"), `"admin-workbench-1-emergency.md"`) {
		t.Errorf("the file: %d %q %v", file.Code, file.Body.String(), file.Header())
	}
	if body := get(t, s, "/rollouts/admin-workbench-1/runbook").Body.String(); !strings.Contains(body, "/emergency") {
		t.Error("the runbook does not lead to it")
	}
	f.unread = &rollout.Refusal{Kind: rollout.Barred, Why: "the plan cannot be read: it is of a newer serin"}
	if w := get(t, s, "/rollouts/admin-workbench-1/emergency"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "The plan cannot be read") {
		t.Errorf("of a plan that cannot be read: %d", w.Code)
	}
	if w := get(t, s, "/rollouts/admin-workbench-1/emergency.md"); w.Code != http.StatusConflict {
		t.Errorf("its file: %d, want 409", w.Code)
	}
}
