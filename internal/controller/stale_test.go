package controller_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"serin/internal/flag"
	"serin/internal/rollout"
)

// boolFlag is a flag with a targeting.
func boolFlag(key, targeting string, metadata map[string]any) flag.Definition {
	d := flag.Definition{Key: key, State: "ENABLED", DefaultVariant: "off", Metadata: metadata,
		Variants: map[string]json.RawMessage{"on": json.RawMessage("true"), "off": json.RawMessage("false")}}
	if targeting != "" {
		d.Targeting = json.RawMessage(targeting)
	}
	return d
}

// states are the reported states by flag; a stale one has a star.
func (r *rig) states() map[string]string {
	r.Helper()
	reports, err := r.c.Stale(r.Context(), 0)
	if err != nil {
		r.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range reports {
		text := string(f.State)
		if f.Stale {
			text += "*"
		}
		if out[f.Key] = text; f.Why == "" || f.Stale && f.Do == "" {
			r.Errorf("%s is %s: why %q, to do %q", f.Key, text, f.Why, f.Do)
		}
	}
	return out
}

// ask evaluates flags as a client does.
func (r *rig) ask(keys ...string) {
	for _, key := range keys {
		e := r.hub.Current().Evaluate(key, flag.Context{"targetingKey": "u1"})
		r.engine.Evaluated(context.Background(), key, nil, e, true)
	}
}

func (r *rig) want(when string, want map[string]string) {
	r.Helper()
	got := r.states()
	for key, state := range want {
		if got[key] != state {
			r.Errorf("%s: %s is %q, want %q", when, key, got[key], state)
		}
	}
}

// TestStale follows flags that no rollout owns through forty days.
func TestStale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bareRig(t, warmUp)
		r.up()
		for _, d := range []flag.Definition{
			boolFlag("constant", "", nil), boolFlag("full", `{"fractional":[["on",100000],["off",0]]}`, nil), boolFlag("none", `{"if":[false,"on","off"]}`, nil),
			boolFlag("half", `{"fractional":[["on",50],["off",50]]}`, nil), boolFlag("admins", `{"if":[{"==":[{"var":"role"},"admin"]},"on","off"]}`, nil),
			boolFlag("quiet", `{"if":[{"==":[{"var":"role"},"admin"]},"on","off"]}`, nil), boolFlag("never", "", nil), boolFlag("kept", "", map[string]any{"permanent": true}),
		} {
			if _, err := r.c.Flags().Put(t.Context(), "", d, -1, "ann", "api", ""); err != nil {
				t.Fatal(err)
			}
		}
		asked := []string{"constant", "full", "none", "half", "admins", "kept"}
		r.ask(append(asked, "quiet", "gone")...)
		r.want("at first", map[string]string{"constant": "in use", "never": "in use", "quiet": "in use", "kept": "permanent", "gone": "unknown key*"})
		for range 8 {
			time.Sleep(5 * 24 * time.Hour)
			r.ask(asked...)
			time.Sleep(2 * time.Minute) // counted and stored
		}
		after := map[string]string{"constant": "constant*", "full": "constant*", "none": "constant*", "half": "in use", "admins": "in use",
			"quiet": "nobody asks*", "never": "never asked*", "kept": "permanent", "gone": ""}
		r.want("after forty days", after)
		r.restart()
		r.want("after a restart", after)
		if _, err := r.c.Flags().Put(t.Context(), "", boolFlag("constant", `{"if":[false,"on","off"]}`, nil), -1, "ann", "api", ""); err != nil {
			t.Fatal(err)
		}
		r.want("after a change", map[string]string{"constant": "in use"})
	})
}

// TestStaleAfterARollout: a flag is its rollout's until that is done; then the
// code has to go, then the flag. Facts are what serin facts pushes.
func TestStaleAfterARollout(t *testing.T) {
	bubble(t, func(r *rig) {
		r.every = 1
		push := func(fact, word string) {
			r.Helper()
			if err := r.engine.Push(r.Context(), "1", fact, word); err != nil {
				r.Fatal(err)
			}
		}
		r.want("before the start", map[string]string{"rig": "in a rollout"})
		r.lead(rollout.Start)
		push("refs gone useRig", "true")
		push("refs gone rig", "false")
		r.drive("9:00")
		if s := r.view().State.Status; s != rollout.Cleanup && s != rollout.Done {
			r.Fatalf("the rollout is %s", s)
		}
		if r.view().State.Status == rollout.Cleanup {
			r.want("in clean-up", map[string]string{"rig": "in a rollout"})
			r.lead(rollout.Finish)
		}
		r.want("done", map[string]string{"rig": "delete the code*"})
		reports, err := r.c.Stale(r.Context(), time.Hour)
		if err != nil {
			r.Fatal(err)
		}
		f := reports[0]
		if f.Key != "rig" || f.Rollout != "rig-1" || !strings.Contains(f.Why, "refs gone rig") || strings.Contains(f.Why, "useRig") {
			r.Errorf("report %+v", f)
		}
		push("refs gone rig", "true")
		r.want("when the code has let go", map[string]string{"rig": "delete the flag*"})
		time.Sleep(25 * time.Hour)
		if reports, _ = r.c.Stale(r.Context(), 0); !reports[0].Code[0].Stale {
			r.Errorf("a fact of yesterday is not called stale: %+v", reports[0].Code)
		}
	}, "rollback: [p1", "cleanup: { tasks: [{ id: hook, do: Unwrap, verify: refs gone useRig }] }\nrollback: [p1")
}
