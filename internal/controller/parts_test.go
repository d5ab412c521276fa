package controller_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/controller"
	"serin/internal/flag"
	"serin/internal/notify"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

func TestHandEditsOfAnOwnedFlag(t *testing.T) {
	bubble(t, func(r *rig) {
		flags := r.c.Flags()
		get := func() store.FlagRecord {
			t.Helper()
			f, err := flags.Get(r.Context(), "rig")
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		put := func(d flag.Definition) error {
			_, err := flags.Put(r.Context(), "", d, -1, "ann", "cli", "by hand")
			return err
		}
		if f := get(); f.Owner != "" || f.Definition.DefaultVariant != "old" {
			t.Errorf("in preflight the flag is %+v", f)
		}
		r.lead(rollout.Start)
		owned := get()
		if owned.Owner != "rig-1" {
			t.Errorf("owner %q, want rig-1", owned.Owner)
		}

		off := owned.Definition
		off.State = "DISABLED"
		everybody := owned.Definition
		everybody.Targeting = json.RawMessage(`"new"`)
		for name, d := range map[string]flag.Definition{"disabled": off, "served to everybody": everybody} {
			if err := put(d); statusOf(err) != 409 {
				t.Errorf("%s by hand: %v, want 409", name, err)
			}
		}
		if err := flags.Delete(r.Context(), "rig", "ann", "cli", ""); statusOf(err) != 409 {
			t.Errorf("deleted by hand: %v, want 409", err)
		}
		r.exposure(10)

		described := owned.Definition
		described.Metadata = map[string]any{"description": "the rig"}
		if err := put(described); err != nil {
			t.Errorf("metadata by hand: %v", err)
		}
		r.drive("0:10")
		r.lead(rollout.Rollback)
		if f := get(); f.Owner != "rig-1" || f.Definition.Metadata["description"] != "the rig" {
			t.Errorf("after metadata and a roll back the flag is %+v", f)
		}
		r.exposure(0)
		if _, err := r.as("lead", rollout.Cancel); err != nil {
			t.Fatal(err)
		}
		if f := get(); f.Owner != "" {
			t.Errorf("a cancelled rollout still owns the flag: %q", f.Owner)
		}
		if err := put(everybody); err != nil {
			t.Errorf("a free flag by hand: %v", err)
		}
		r.exposure(100)
		if err := flags.Delete(r.Context(), "rig", "ann", "cli", ""); err != nil {
			t.Errorf("delete a free flag: %v", err)
		}
		if _, err := flags.Get(r.Context(), "rig"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a deleted flag: %v", err)
		}
	})
}

func TestHandEditThatIsNoFlag(t *testing.T) {
	bubble(t, func(r *rig) {
		d := flag.Definition{Key: "x", State: "ENABLED", DefaultVariant: "a", Variants: map[string]json.RawMessage{"b": json.RawMessage("1")}}
		if _, err := r.c.Flags().Put(r.Context(), "", d, 0, "ann", "cli", ""); statusOf(err) != 422 {
			t.Errorf("a default that is no variant: %v, want 422", err)
		}
		d.DefaultVariant = "b"
		if _, err := r.c.Flags().Put(r.Context(), "", d, 0, "ann", "cli", ""); err != nil {
			t.Errorf("a new flag: %v", err)
		}
		if _, err := r.c.Flags().Put(r.Context(), "", d, 0, "ann", "cli", ""); !errors.Is(err, store.ErrConflict) {
			t.Errorf("new once more: %v, want a conflict", err)
		}
	})
}

func TestCreate(t *testing.T) {
	bubble(t, func(r *rig) {
		create := func(edits ...string) (controller.Result, error) {
			return r.c.Create(r.Context(), "", []byte(edited(t, rigPlan, edits...)), "lead", "api")
		}
		if _, err := create(); statusOf(err) != 409 {
			t.Errorf("a second rollout of the plan: %v, want 409", err)
		}
		other, err := create("plan: rig", "plan: other")
		if err != nil || other.State.ID != "other-1" {
			t.Fatalf("a plan of the same flag: %v, %s", err, other.State.ID)
		}
		r.lead(rollout.Start)
		_, err = r.c.Do(r.Context(), "other", rollout.Command{Verb: rollout.Start, By: "lead", Role: "lead", May: []string{"start"}})
		if statusOf(err) != 409 || !strings.Contains(err.Error(), "rig-1") {
			t.Errorf("a start on an owned flag: %v, want 409 that names rig-1", err)
		}
		r.lead(rollout.Rollback)
		r.lead(rollout.Cancel)
		second, err := create()
		if err != nil || second.State.ID != "rig-2" {
			t.Errorf("after the end of rig-1: %v, id %q", err, second.State.ID)
		}
		if v := r.view(); v.ID != "rig-2" || v.State.Status != rollout.Preflight {
			t.Errorf("the plan's name finds %s, %s", v.ID, v.State.Status)
		}
		if _, err := create("flag: { key: rig }", "flag: { key: rig, variants: { new: blue, old: green } }"); statusOf(err) != 422 {
			t.Errorf("variants that the flag has not: %v, want 422", err)
		}
		var problems plan.Problems
		if _, err := create("traffic: 25%", "traffic: 5%"); !errors.As(err, &problems) {
			t.Errorf("traffic that falls: %v, want the plan's problems", err)
		}
		if _, err := r.c.View(r.Context(), "nothing"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an unknown rollout: %v", err)
		}
		r.restart()
		views, err := r.c.Views(r.Context())
		var ids []string
		for _, v := range views {
			ids = append(ids, v.ID)
		}
		slices.Sort(ids)
		if d := cmp.Diff([]string{"other-1", "rig-1", "rig-2"}, ids); err != nil || d != "" {
			t.Errorf("after a restart (%v):\n%s", err, d)
		}
	})
}

func TestAuthorize(t *testing.T) {
	approves := []string{
		"roles: {", "roles: { dev: { who: \"@dev\", may: [promote, restart] },",
		"traffic: 25%,", "traffic: 25%, approve: dev,",
		"rollback:", "preflight: [{ id: docs, do: Docs, by: dev }]\nrollback:",
	}
	tests := []struct {
		name   string
		actor  controller.Actor
		cmd    rollout.Command
		role   string
		may    []string // of these, what the role may
		status int
	}{
		{"a role of the plan", controller.Actor{Role: "lead"}, rollout.Command{Verb: rollout.Start}, "lead", []string{"start"}, 200},
		{"no role", controller.Actor{}, rollout.Command{Verb: rollout.Start}, "", nil, 200},
		{"a role that is not in the plan", controller.Actor{Role: "ops"}, rollout.Command{Verb: rollout.Start}, "ops", nil, 200},
		{"a role asked for", controller.Actor{Role: "dev", As: "lead"}, rollout.Command{Verb: rollout.Start}, "dev", nil, 403},
		{"a role asked for by an admin", controller.Actor{Admin: true, As: "lead"}, rollout.Command{Verb: rollout.Start}, "lead", []string{"start"}, 200},
		{"a role asked for that is not there", controller.Actor{Admin: true, As: "ops"}, rollout.Command{Verb: rollout.Start}, "ops", nil, 422},
		{"an admin without a role", controller.Actor{Admin: true}, rollout.Command{Verb: rollout.Start}, "lead", []string{"start"}, 200},
		{"an admin who restarts", controller.Actor{Admin: true}, rollout.Command{Verb: rollout.Restart}, "lead", []string{"restart", "approve"}, 200},
		{"an admin with a role", controller.Actor{Admin: true, Role: "dev"}, rollout.Command{Verb: rollout.Start}, "dev", nil, 200},
		{"a handle of the plan", controller.Actor{Handles: []string{"ann", "lead"}}, rollout.Command{Verb: rollout.Start}, "lead", []string{"start"}, 200},
		{"a handle, asked for", controller.Actor{Handles: []string{"dev", "lead"}, As: "dev"}, rollout.Command{Verb: rollout.Start}, "dev", nil, 200},
		{"a handle's item", controller.Actor{Handles: []string{"dev", "lead"}}, rollout.Command{Verb: rollout.Complete, Item: "docs"}, "dev", nil, 200},
		{"a handle of nobody's", controller.Actor{Handles: []string{"qa"}, As: "lead"}, rollout.Command{Verb: rollout.Start}, "", nil, 403},
		{"an admin's item", controller.Actor{Admin: true}, rollout.Command{Verb: rollout.Complete, Item: "docs"}, "dev", nil, 200},
	}
	bubble(t, func(r *rig) {
		for _, tt := range tests {
			cmd := tt.cmd
			tt.actor.Name = "ann"
			err := r.c.Authorize(r.Context(), "rig", tt.actor, &cmd)
			if statusOf(err) != tt.status {
				t.Errorf("%s: %v, want %d", tt.name, err, tt.status)
				continue
			}
			if err == nil && (cmd.By != "ann" || cmd.Role != tt.role) {
				t.Errorf("%s: acts as %s in role %q, want ann in %q", tt.name, cmd.By, cmd.Role, tt.role)
			}
			for _, m := range tt.may {
				if !slices.Contains(cmd.May, m) {
					t.Errorf("%s: may %v, want %s", tt.name, cmd.May, m)
				}
			}
		}
		approve := rollout.Command{Verb: rollout.Approve}
		if _, err := r.as("dev", rollout.Complete, item("docs")); err != nil {
			t.Fatal(err)
		}
		r.lead(rollout.Start)
		if err := r.c.Authorize(r.Context(), "rig", controller.Actor{Admin: true, Name: "ann"}, &approve); err != nil || approve.Role != "dev" {
			t.Errorf("an admin approves as %q (%v), want the role asked for", approve.Role, err)
		}
	}, approves...)
}

func TestCourierKeepsTheOrderOfAChannel(t *testing.T) {
	bubble(t, func(r *rig) {
		r.team.answer = func(_ context.Context, n notify.Notice, try int) error {
			if n.Type == "started" && try <= 4 {
				return &notify.RetryError{Err: errors.New("503")}
			}
			return nil
		}
		r.lead(rollout.Start)
		r.lead(rollout.Pause)
		r.lead(rollout.Resume)
		r.sleepTo(clockTime("0:05"))
		r.notices(`
			started
			paused
			resumed`)
		for id, n := range r.team.tries {
			if want := map[bool]int{true: 5, false: 1}[strings.HasPrefix(id, "rig-1/2/")]; n != want {
				t.Errorf("%s was sent %d times, want %d", id, n, want)
			}
		}
	})
}

func TestCourierKeepsTheOrderOverARestart(t *testing.T) {
	bubble(t, func(r *rig) {
		r.team.answer = func(_ context.Context, _ notify.Notice, try int) error {
			if try == 1 {
				return &notify.RetryError{Err: errors.New("503"), After: 2 * time.Minute}
			}
			return nil
		}
		r.lead(rollout.Start)
		r.lead(rollout.Pause)
		r.drive("0:01")
		r.restart()
		r.lead(rollout.Resume)
		r.drive("0:08")
		r.notices(`
			started
			paused
			resumed`)
	})
}

func TestCourierGivesUp(t *testing.T) {
	bubble(t, func(r *rig) {
		r.team.answer = func(_ context.Context, n notify.Notice, _ int) error {
			if n.Type == "started" {
				return errors.New("404 no such channel")
			}
			return nil
		}
		r.lead(rollout.Start)
		r.lead(rollout.Pause)
		r.drive("0:05")
		r.notices(`paused`)
		list, err := r.c.Notices(r.Context(), "rig", 10)
		if err != nil || len(list) != 2 {
			t.Fatalf("%d notices (%v), want 2", len(list), err)
		}
		if dead := list[1]; !dead.Dead || dead.Tries != 1 || !strings.Contains(dead.Error, "404") {
			t.Errorf("the refused notice is %+v, want it dead after one try", dead)
		}
		if list[0].Delivered.IsZero() {
			t.Errorf("the next notice was not delivered: %+v", list[0])
		}
	})
}

func TestCourierGivesUpAfterADay(t *testing.T) {
	bubble(t, func(r *rig) {
		r.team.answer = func(context.Context, notify.Notice, int) error {
			return &notify.RetryError{Err: errors.New("503")}
		}
		r.lead(rollout.Start)
		r.lead(rollout.Rollback)
		r.sleepTo(clockTime("25:00"))
		list, err := r.c.Notices(r.Context(), "rig", 1)
		if err != nil || len(list) != 1 || list[0].Tries > 0 && !list[0].Dead {
			t.Errorf("%+v (%v)", list, err)
		}
		for id, n := range r.team.tries {
			if n > 24*60/5+20 {
				t.Errorf("%s was sent %d times in a day", id, n)
			}
		}
	})
}

func TestCourierSlowChannelDelaysNoOther(t *testing.T) {
	bubble(t, func(r *rig) {
		r.team.answer = func(ctx context.Context, n notify.Notice, try int) error {
			if n.Channel != "ops" || try > 1 {
				return nil
			}
			<-ctx.Done() // until the courier's patience ends
			return fmt.Errorf("post: %w", ctx.Err())
		}
		r.lead(rollout.Start)
		r.lead(rollout.Pause)
		r.lead(rollout.Resume)
		time.Sleep(3 * time.Second) // one message a second
		r.notices(`
			started
			paused
			resumed`)
		r.drive("0:05")
		var ops []string
		for _, n := range r.team.messages() {
			if n.Channel == "ops" {
				ops = append(ops, n.Type)
			}
		}
		if d := cmp.Diff([]string{"started", "paused", "resumed"}, ops); d != "" {
			t.Errorf("the slow channel got (-want +got):\n%s", d)
		}
	}, `team: "slack:#team"`, `team: "slack:#team", ops: "slack:#ops"`)
}

func TestTimelineAndSeries(t *testing.T) {
	bubble(t, func(r *rig) {
		r.singles("0:10", "0:20", "0:25", "0:26", "0:27")
		r.drive("2:10")
		entries, err := r.c.Timeline(r.Context(), "rig", 0)
		if err != nil {
			t.Fatal(err)
		}
		var titles []string
		for _, e := range entries {
			titles = append(titles, e.Title)
		}
		want := []string{ // newest first; a check only where other rules are red than before
			"check of c10 is red: p1 = 0, errors < 5",
			"check of c10 is red: p1 = 0",
			"started: c10 10 % by lead",
			"created rig-1 by lead",
		}
		if d := cmp.Diff(want, titles); d != "" {
			t.Errorf("timeline (-want +got):\n%s", d)
		}
		if first, err := r.c.Timeline(r.Context(), "rig", 1); err != nil || len(first) != 1 || first[0].Title != want[0] {
			t.Errorf("the newest entry is %+v (%v)", first, err)
		}

		s, err := r.c.Series(r.Context(), "rig", "lcp", rigBegin.Add(-time.Minute), time.Now(), 5000)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(s.T); n == 0 || n > 600 || len(s.Canary) != n || len(s.Control) != n || len(s.Low) != n || len(s.High) != n {
			t.Errorf("columns of %d, %d, %d, %d and %d points", len(s.T), len(s.Canary), len(s.Control), len(s.Low), len(s.High))
		}
		if d := cmp.Diff([]controller.Mark{{T: rigBegin.Unix(), Text: "10%"}}, s.Marks); d != "" {
			t.Errorf("marks (-want +got):\n%s", d)
		}
		if s.Unit != "ms" || s.Limit == nil || *s.Limit != 2500 {
			t.Errorf("unit %q and limit %v, want ms and 2500", s.Unit, s.Limit)
		}
		if _, err := r.c.Series(r.Context(), "rig", "nonsense", rigBegin, time.Now(), 10); statusOf(err) != 422 {
			t.Errorf("a metric that is not in the plan: %v, want 422", err)
		}
	})
}

func TestParseRange(t *testing.T) {
	for text, want := range map[string]time.Duration{"30m": 30 * time.Minute, "6h": 6 * time.Hour, "7d": 168 * time.Hour, "2w": 336 * time.Hour, "90d": 90 * 24 * time.Hour} {
		if got, err := controller.ParseRange(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "h", "0h", "-1h", "91d", "1y", "1.5h", "99999999999999999999h"} {
		if _, err := controller.ParseRange(text); err == nil {
			t.Errorf("%q is read as a range", text)
		}
	}
}
