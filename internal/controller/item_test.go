package controller_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/controller"
	"serin/internal/rollout"
)

// itemEdits give the rig's plan one stage and items of every kind. The list
// before the start and the clean-up both have an item "flag".
var itemEdits = []string{
	"criteria:", `preflight:
  - { id: flag, do: Flag is served, verify: flag exists }
  - { id: quick, do: Telemetry arrives, verify: telemetry_age < 1h }
  - { id: ci, do: Tests passed, verify: pushed ci = pass }
  - { id: told, do: Team is told, by: lead, done: true }
cleanup:
  tasks:
    - { id: flag, do: Retire the flag, choose: { a: remove it, b: keep it } }
    - { id: wrapper, do: Remove the wrapper, when: flag = a, verify: refs gone useRig }
    - { id: legacy, do: Delete the old page, not_before: 1d, irreversible: true }
criteria:`,
	"  - { stage: r25,  like: c10, traffic: 25%,  bake: 1h }\n  - { stage: r50,  like: c10, traffic: 50%,  bake: 1h }\n  - { stage: r75,  like: c10, traffic: 75%,  bake: 1h }\n  - { stage: full, like: c10, traffic: 100%, bake: 3h }\n",
	"  - { stage: full, like: c10, traffic: 100%, bake: 1h, before: [look together] }\n",
	"owner: lead, proceed", "owner: lead, before: [read the list], proceed",
}

func (r *rig) item(list []controller.ItemView, id string) controller.ItemView {
	r.Helper()
	i := slices.IndexFunc(list, func(it controller.ItemView) bool { return it.ID == id })
	if i < 0 {
		r.Fatalf("no item %q in %+v", id, list)
	}
	return list[i]
}

func (r *rig) tick(item, evidence, choice string) {
	r.Helper()
	cmd := rollout.Command{Verb: rollout.Complete, Item: item, Evidence: evidence, To: choice, By: "ann", Role: "lead", Via: "api"}
	if _, err := r.c.Do(r.Context(), r.id, cmd); err != nil {
		r.Errorf("complete %s: %v", item, err)
	}
}

// TestItemsSayWhoAndWhatWasSeen follows the lists from preflight to clean-up.
func TestItemsSayWhoAndWhatWasSeen(t *testing.T) {
	bubble(t, func(r *rig) {
		v := r.view()
		if it := r.item(v.Checklist, "flag"); !it.Done || it.Holds == nil || !*it.Holds || it.SeenAt.IsZero() || it.Who != "" {
			t.Errorf("a fact that holds: %+v", it)
		}
		if it := r.item(v.Checklist, "quick"); it.Seen == "" || it.Holds == nil || it.SeenAt.IsZero() {
			t.Errorf("a rule: %+v, want the value that was seen", it)
		}
		if it := r.item(v.Checklist, "ci"); it.Done || it.Holds != nil || !it.SeenAt.IsZero() {
			t.Errorf("a value that nobody has sent: %+v", it)
		}
		if it := r.item(v.Checklist, "told"); !it.Done {
			t.Errorf("done as written: %+v", it)
		}
		if _, err := r.c.Do(r.Context(), r.id, rollout.Command{Verb: rollout.Reopen, Item: "told", By: "ann", Role: "lead", Via: "api"}); err != nil {
			t.Fatal(err)
		}
		if it := r.item(r.view().Checklist, "told"); it.Done {
			t.Errorf("done as written and then reopened: %+v", it)
		}
		r.tick("told", "https://chat.example/1", "")
		want := controller.ItemView{ID: "told", Do: "Team is told", By: "lead", Done: true, Who: "ann", Role: "lead", Evidence: "https://chat.example/1"}
		got := r.item(r.view().Checklist, "told")
		want.When = got.When
		if diff := cmp.Diff(want, got); diff != "" || got.When.IsZero() {
			t.Errorf("completed by a person, -want +got:\n%s", diff)
		}
		if it := r.item(v.Before, "read the list"); it.Done {
			t.Errorf("before the first stage: %+v", it)
		}
		r.tick("read the list", "", "")
		if err := r.engine.Push(r.Context(), "1", "ci", "pass"); err != nil {
			t.Fatal(err)
		}
		r.drive("0:03")
		if it := r.item(r.view().Checklist, "ci"); !it.Done || it.Seen != "pass" || it.Stale {
			t.Errorf("a value that was sent: %+v", it)
		}
		r.drive("24:10")
		if it := r.item(r.view().Checklist, "ci"); it.Done || it.Holds == nil || *it.Holds || !it.Stale || it.Seen != "pass" {
			t.Errorf("a value of yesterday: %+v, want stale and open again", it)
		}
		if err := r.engine.Push(r.Context(), "1", "ci", "pass"); err != nil {
			t.Fatal(err)
		}
		r.drive("24:13")
		r.lead(rollout.Start)
		if it := r.item(r.view().Checklist, "flag"); !it.Done || it.Holds != nil {
			t.Errorf("the list after the start: %+v, want it done and not looked at any more", it)
		}
		r.drive("26:20")
		r.tick("look together", "", "")
		r.drive("27:40")
		r.cleanUp(t)
	}, itemEdits...)
}

func (r *rig) cleanUp(t *testing.T) {
	v := r.view()
	if v.State.Status != rollout.Cleanup {
		t.Fatalf("status %s, want cleanup; waiting %+v", v.State.Status, v.Waiting)
	}
	if it := r.item(v.Tasks, "flag"); it.Done || len(it.Choose) != 2 {
		t.Errorf("a task with the id of a preflight item: %+v, want it open", it)
	}
	if it := r.item(v.Tasks, "wrapper"); !it.Idle || it.If != "flag = a" {
		t.Errorf("a task of a choice that nobody made: %+v", it)
	}
	if it := r.item(v.Tasks, "legacy"); !it.Irreversible || it.After != 24*time.Hour || !it.Due.Equal(v.State.CleanupAt.Add(24*time.Hour)) {
		t.Errorf("a task for later: %+v", it)
	}
	r.tick("flag", "", "a")
	v = r.view()
	if it := r.item(v.Tasks, "flag"); !it.Done || it.Choice != "a" || it.Who != "ann" {
		t.Errorf("chosen: %+v", it)
	}
	if it := r.item(v.Tasks, "wrapper"); it.Idle || it.Done {
		t.Errorf("after the choice: %+v", it)
	}
	if err := r.engine.Push(r.Context(), "1", "refs gone useRig", "false"); err != nil {
		t.Fatal(err)
	}
	r.drive("27:43")
	if it := r.item(r.view().Tasks, "wrapper"); it.Holds == nil || *it.Holds || it.Seen != "false" || it.Stale || it.SeenAt.IsZero() {
		t.Errorf("references that are left: %+v", it)
	}
}
