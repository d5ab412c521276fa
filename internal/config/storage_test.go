package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRetentionAndDisk(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   Config
		ages Ages
		room Room
		err  string
	}{
		{name: "defaults", ages: DefaultAges, room: Room{Floor: DefaultFloor}},
		{name: "all given", in: Config{
			Retention: Retention{Evidence: "30d", Inputs: "8w", Samples: "12h", Audit: "400d", Outbox: "forever"},
			Disk:      Disk{Budget: "10GB", Warn: 90, Free: "1GiB"}},
			ages: Ages{Evidence: 30 * day, Inputs: 56 * day, Samples: 12 * time.Hour, Audit: 400 * day},
			room: Room{Budget: 10e9, Warn: 9e9, Floor: 1 << 30}},
		{name: "no floor", in: Config{Disk: Disk{Budget: "1 GB", Free: "0B"}}, ages: DefaultAges, room: Room{Budget: 1e9, Warn: 8e8}},
		{name: "audit too short", in: Config{Retention: Retention{Audit: "7d"}}, err: `retention.audit "7d": keep it for at least 30d`},
		{name: "no unit", in: Config{Retention: Retention{Samples: "90"}}, err: `retention.samples "90": write hours`},
		{name: "nothing kept", in: Config{Retention: Retention{Evidence: "0d"}}, err: "retention.evidence"},
		{name: "beyond time", in: Config{Retention: Retention{Evidence: "99999999w"}}, err: "at most 100 years"},
		{name: "a budget below the log", in: Config{Disk: Disk{Budget: "10MB"}}, err: `disk.budget "10MB": it is at least 256 MiB`},
		{name: "no size", in: Config{Disk: Disk{Budget: "lots"}}, err: `disk.budget "lots"`},
		{name: "over all", in: Config{Disk: Disk{Warn: 120}}, err: "disk.warn 120"},
		{name: "a floor below nothing", in: Config{Disk: Disk{Free: "-1GB"}}, err: "disk.free"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.in.Check(); tt.err != "" || err != nil {
				if tt.err == "" || err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got error %v, want one that names %q", err, tt.err)
				}
				return
			}
			ages, _ := tt.in.Retention.Ages()
			room, _ := tt.in.Disk.Room()
			if d := cmp.Diff(tt.ages, ages) + cmp.Diff(tt.room, room); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// TestAgesRoundTrip: what FormatAge writes ParseAge reads.
func TestAgesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		age := time.Duration(rapid.Int64Range(0, int64(maxAge/time.Hour)).Draw(t, "hours")) * time.Hour
		if got, err := ParseAge(FormatAge(age)); err != nil || got != age {
			t.Fatalf("%v -> %q -> %v, %v", age, FormatAge(age), got, err)
		}
	})
}

// TestChanged tells every kind of key, secrets too.
func TestChanged(t *testing.T) {
	a := Config{Listen: ":1", TrustedProxies: []string{}, Slack: Slack{Token: "one", Channels: map[string]string{"#a": "C1"}}, OIDC: OIDC{ClientSecret: "x"},
		Webhooks: map[string]Webhook{"old": {URL: "https://a.example"}, "same": {URL: "https://b.example", Secret: "s"}}}
	b := Config{Listen: ":1", Slack: Slack{Token: "two", Channels: map[string]string{"#a": "C2"}}, OIDC: OIDC{ClientSecret: "y"}, Disk: Disk{Budget: "1GB"}, Limits: Limits{Flags: 7},
		Webhooks: map[string]Webhook{"same": {URL: "https://b.example", Secret: "t"}}}
	want := []string{"disk.budget", "limits.flags", "oidc.client_secret", "slack.channels", "slack.token", "webhooks.old.url", "webhooks.same.secret"}
	if d := cmp.Diff(want, Changed(a, b)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if got := Changed(a, a); len(got) > 0 {
		t.Errorf("nothing changed, and %v did", got)
	}
}
