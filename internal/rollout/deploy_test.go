package rollout

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/flag"
)

// buildState puts State.Build into a few words.
func buildState(s State) string {
	b := s.Build
	if b == nil {
		return "none"
	}
	out := []string{"since", string(rune('0' + b.Pos))}
	if b.Run != nil {
		out = append(out, "run", b.Run.How)
		if b.Run.Ended.IsZero() {
			out = append(out, "under way")
		}
		if b.Run.Last {
			out = append(out, "given up")
		}
	}
	if !b.Live.IsZero() {
		out = append(out, "live", b.Release)
	}
	return strings.Join(strings.Fields(strings.Join(out, " ")), " ")
}

// TestBuild folds events and looks at what builds have to hold after each.
func TestBuild(t *testing.T) {
	type step struct {
		e    Event
		want string
	}
	ten, five, all := flag.Percent(10_000), flag.Percent(5_000), flag.Percent(100_000)
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"hook and report", []step{
			{Event{Type: Created}, "none"},
			{Event{Type: Deployed, Item: "1.0"}, "none"},
			{Event{Type: Started, Attempt: 1, Exposure: ten}, "since 3"},
			{Event{Type: DeployBegun, Item: "V", N: 1, Attempt: 1, Exposure: ten}, "since 3 run under way"},
			{Event{Type: DeployEnded, Item: "V", Kind: HookFailed, Attempt: 1, Exposure: ten}, "since 3 run failed"},
			{Event{Type: DeployBegun, Item: "V", N: 2, Attempt: 1, Exposure: ten}, "since 3 run under way"},
			{Event{Type: DeployEnded, Item: "V", Kind: HookDone, Attempt: 1, Exposure: ten}, "since 3 run done"},
			{Event{Type: Deployed, Item: "1.1", Attempt: 1, Exposure: ten}, "since 3 run done live 1.1"},
		}},
		{"only what a build can tell", []step{
			{Event{Type: Started, Attempt: 1, Exposure: five}, "since 1"},
			{Event{Type: Deployed, Item: "1.1", Attempt: 1, Exposure: five}, "since 1 live 1.1"},
			{Event{Type: Advanced, Attempt: 1, Exposure: ten}, "since 1 live 1.1"},
			{Event{Type: Advanced, Attempt: 1, Exposure: all}, "since 4"},
			{Event{Type: ReducedEvent, Attempt: 1, Exposure: five}, "since 5"},
			{Event{Type: RolledBackEvent, Attempt: 1}, "since 6"},
		}},
		{"given up, then by hand", []step{
			{Event{Type: Started, Attempt: 1, Exposure: ten}, "since 1"},
			{Event{Type: DeployBegun, Item: "V", Attempt: 1, Exposure: ten}, "since 1 run under way"},
			{Event{Type: DeployEnded, Item: "V", Kind: HookTimedOut, Paged: true, Attempt: 1, Exposure: ten}, "since 1 run timed out given up"},
			{Event{Type: Deployed, Item: "1.1", Attempt: 1, Exposure: ten}, "since 1 run timed out given up live 1.1"},
		}},
		{"another rollout's change deploys again", []step{
			{Event{Type: Started, Attempt: 1, Exposure: ten}, "since 1"},
			{Event{Type: Deployed, Item: "1.1", Attempt: 1, Exposure: ten}, "since 1 live 1.1"},
			{Event{Type: DeployBegun, Item: "V", Attempt: 1, Exposure: ten}, "since 1 run under way"},
			{Event{Type: Deployed, Item: "1.2", Attempt: 1, Exposure: ten}, "since 1 run under way live 1.2"},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s State
			for i, x := range tc.steps {
				x.e.Pos, x.e.At = int64(i+1), walkStart.Add(time.Duration(i)*time.Minute)
				before := s
				s = Apply(s, x.e)
				if got := buildState(s); got != x.want {
					t.Errorf("%d %s: %q, want %q", i+1, x.e.Type, got, x.want)
				}
				if d := cmp.Diff(Apply(before, x.e), s); d != "" {
					t.Errorf("%d %s: applied again it is another state: %s", i+1, x.e.Type, d)
				}
			}
		})
	}
}

func TestTitleDeploy(t *testing.T) {
	for _, tc := range []struct {
		e           Event
		title, text string
		announced   bool
	}{
		{Event{Type: DeployBegun, Item: "APP_FLAGS", N: 1, Reason: "rolled back by ben", To: `{"a":false}`}, "deploy hook of APP_FLAGS began", "rolled back by ben\n{\"a\":false}", false},
		{Event{Type: DeployBegun, Item: "APP_FLAGS", N: 2}, "deploy hook of APP_FLAGS began, try 2", "", false},
		{Event{Type: DeployEnded, Item: "APP_FLAGS", Kind: HookDone, Duration: 90 * time.Second, Show: []string{"ready"}}, "deploy hook of APP_FLAGS ended well after 1m 30s",
			"It is live once a deployment is reported: serin deployed.\nready", false},
		{Event{Type: DeployEnded, Item: "APP_FLAGS", Kind: HookFailed, Reason: "exit status 1", Duration: time.Second, Show: []string{"no quota"}},
			"deploy hook of APP_FLAGS failed after 1 s, serin tries again", "exit status 1\nno quota", false},
		{Event{Type: DeployEnded, Item: "APP_FLAGS", Kind: HookTimedOut, Duration: 10 * time.Minute, Paged: true},
			"deploy hook of APP_FLAGS timed out after 10m and is not tried again: deploy by hand", "", true},
	} {
		title, text := Title(nil, tc.e)
		if title != tc.title || text != tc.text {
			t.Errorf("Title = %q, %q; want %q, %q", title, text, tc.title, tc.text)
		}
		if got := Announce(tc.e, State{}); got != tc.announced {
			t.Errorf("%s: announced %v, want %v", title, got, tc.announced)
		}
	}
}
