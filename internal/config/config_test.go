package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("xoxb-from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, yaml string
		env        map[string]string
		want       Config
		err        string
	}{
		{name: "empty"},
		{name: "file and environment",
			yaml: "public_url: https://serin.example\nslack: { token: xoxb-1, channels: { \"#ops\": C1 } }\nwebhooks: { on-deploy: { url: https://a.example/h } }\n",
			env:  map[string]string{"SERIN_WEBHOOK_ON_DEPLOY_SECRET": "whsec_x", "SERIN_SLACK_TOKEN_FILE": token},
			want: Config{PublicURL: "https://serin.example", Slack: Slack{Token: "xoxb-from-file", Channels: map[string]string{"#ops": "C1"}},
				Webhooks: map[string]Webhook{"on-deploy": {URL: "https://a.example/h", Secret: "whsec_x"}}}},
		{name: "unknown key", yaml: "slak: {}\n", err: "slak"},
		{name: "no secret", yaml: "webhooks: { a: { url: https://a.example } }\n", err: "SERIN_WEBHOOK_A_SECRET"},
		{name: "bad public url", yaml: "public_url: serin.example\n", err: "public_url \"serin.example\""},
		{name: "no url", yaml: "webhooks: { a: { secret: whsec_x } }\n", err: "webhooks.a: url is missing"},
		{name: "missing secret file", env: map[string]string{"SERIN_SLACK_TOKEN_FILE": filepath.Join(dir, "none")}, err: "SERIN_SLACK_TOKEN_FILE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, "c.yaml")
			if err := os.WriteFile(path, []byte(tt.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Load(path, func(k string) string { return tt.env[k] })
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got error %v, want one that names %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}
