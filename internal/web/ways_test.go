package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/controller"
	"serin/internal/rollout"
)

// revertible is the first rollout of the fleet with all three ways back.
func revertible(change func(*controller.View)) *fakeRollouts {
	f := &fakeRollouts{views: fleet()}
	v := &f.views[0]
	v.Actions = append(v.Actions, controller.Action{Verb: rollout.Revert, Open: true, CLI: "serin rollout revert " + v.ID})
	v.Ways = []controller.WayBack{
		{Action: "rollback", Verb: rollout.Rollback, Title: "Flag off for everybody", Within: 5 * time.Minute, Open: true},
		{Action: "reduce", Verb: rollout.Reduce, Title: "Down to 1%", Within: 15 * time.Minute, Open: true},
		{Action: "revert", Verb: rollout.Revert, Title: "Revert by hand", Within: 2 * time.Minute, Open: true,
			Commands: []string{"git revert abc123", "echo '<b>'"}, Note: "no deployment was reported", Role: "on-call"},
	}
	if change != nil {
		change(v)
	}
	return f
}

// TestWaysBackSideBySide: each form of a lowering shows the three ways, their
// limits, and the commands to copy.
func TestWaysBackSideBySide(t *testing.T) {
	s := newWeb(t, revertible(nil))
	id := s.Rollouts.(ownLists).Rollouts.(*fakeRollouts).views[0].ID
	for _, verb := range []string{"rollback", "reduce", "revert"} {
		body := get(t, s, "/rollouts/"+id+"/"+verb).Body.String()
		for _, want := range []string{"Option 1, within 5m", "Option 2, within 15m", "Option 3, within 2m", "git revert abc123",
			"echo &#39;&lt;b&gt;&#39;", "no deployment was reported", `action="/rollouts/` + id + "/" + verb + `"`} {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %q", verb, want)
			}
		}
	}
	if page := get(t, s, "/rollouts/"+id).Body.String(); strings.Count(page, `id="d-revert"`) != 1 {
		t.Error("the page has no form to revert, or two")
	}
}

// TestRevertForm: it begins without a version, and ends by saying so.
func TestRevertForm(t *testing.T) {
	f := revertible(nil)
	s, path := newWeb(t, f), "/rollouts/"+f.views[0].ID+"/revert"
	if w := post(t, s, path, url.Values{"csrf": {goodCSRF}, "reason": {"flag is not enough"}}); w.Code != http.StatusSeeOther {
		t.Fatalf("begin: %d %s", w.Code, w.Body)
	}
	f = revertible(func(v *controller.View) {
		c := &rollout.Clock{Action: "revert", By: "ann", At: fixed}
		v.State.Revert, v.Ways[2].Begun = c, c
	})
	s = newWeb(t, f)
	if body := get(t, s, path).Body.String(); !strings.Contains(body, "Is the revert live?") || !strings.Contains(body, "ann began at") {
		t.Error("the form does not say that a revert is under way")
	}
	if w := post(t, s, path, url.Values{"csrf": {goodCSRF}, "done": {"yes"}}); w.Code != http.StatusSeeOther {
		t.Fatalf("end: %d %s", w.Code, w.Body)
	}
	if got := f.commands[len(f.commands)-1]; got.Verb != rollout.Revert || !got.Done || got.Version != 0 {
		t.Errorf("command %+v", got)
	}
}

// TestApproveRestart: after a rollback the form names what is approved.
func TestApproveRestart(t *testing.T) {
	f := &fakeRollouts{views: fleet()}
	f.views[0].State.Status = rollout.RolledBack
	s, path := newWeb(t, f), "/rollouts/"+f.views[0].ID+"/approve"
	body := get(t, s, path).Body.String()
	if !strings.Contains(body, `name="item"`) || !strings.Contains(body, `<option value="restart" selected>`) {
		t.Error("the form does not name the restart")
	}
	form := url.Values{"csrf": {goodCSRF}, "version": {"1480"}, "item": {"restart"}}
	if w := post(t, s, path, form); w.Code != http.StatusSeeOther {
		t.Fatalf("approve: %d %s", w.Code, w.Body)
	}
	if diff := cmp.Diff("restart", f.commands[len(f.commands)-1].Item); diff != "" {
		t.Error(diff)
	}
}
