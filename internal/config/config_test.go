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
			env:  map[string]string{"SERIN_WEBHOOKS_ON_DEPLOY_SECRET": "whsec_x", "SERIN_SLACK_TOKEN_FILE": token},
			want: Config{PublicURL: "https://serin.example", Slack: Slack{Token: "xoxb-from-file", Channels: map[string]string{"#ops": "C1"}},
				Webhooks: map[string]Webhook{"on-deploy": {URL: "https://a.example/h", Secret: "whsec_x"}}}},
		{name: "unknown key", yaml: "slak: {}\n", err: "slak"},
		{name: "no secret", yaml: "webhooks: { a: { url: https://a.example } }\n", err: "SERIN_WEBHOOKS_A_SECRET"},
		{name: "bad public url", yaml: "public_url: serin.example\n", err: "public_url \"serin.example\""},
		{name: "no url", yaml: "webhooks: { a: { secret: whsec_x } }\n", err: "webhooks.a: url is missing"},
		{name: "everything by variables",
			yaml: "listen: 127.0.0.1:1\nwebhooks: { a: { url: https://a.example, secret: x } }\n",
			env: map[string]string{"SERIN_LISTEN": ":8750", "SERIN_TLS_ACME_HOSTS": "a.example, b.example", "SERIN_LOG_FORMAT": "json",
				"SERIN_TRUSTED_PROXIES": "10.0.0.0/8,::1", "SERIN_WEBHOOKS_A_ALLOW_PRIVATE": "true"},
			want: Config{Listen: ":8750", TLS: TLS{ACME: ACME{Hosts: []string{"a.example", "b.example"}}}, Log: Log{Format: "json"},
				TrustedProxies: []string{"10.0.0.0/8", "::1"},
				Webhooks:       map[string]Webhook{"a": {URL: "https://a.example", Secret: "x", AllowPrivate: true}}}},
		{name: "variable and file", env: map[string]string{"SERIN_SLACK_TOKEN": "a", "SERIN_SLACK_TOKEN_FILE": token}, err: "both set"},
		{name: "no bool", yaml: "webhooks: { a: { url: https://a.example, secret: x } }\n",
			env: map[string]string{"SERIN_WEBHOOKS_A_ALLOW_PRIVATE": "perhaps"}, err: "SERIN_WEBHOOKS_A_ALLOW_PRIVATE: \"perhaps\": write true or false"},
		{name: "cert without key", yaml: "tls: { cert: c.pem }\n", err: "cert and key go together"},
		{name: "two ways to TLS", yaml: "tls: { cert: c.pem, key: k.pem, acme: { hosts: [a.example] } }\n", err: "keep one"},
		{name: "ACME for a URL", yaml: "tls: { acme: { hosts: [\"https://a.example\"] } }\n", err: "plain host name"},
		{name: "bad listen", yaml: "listen: localhost\n", err: "listen \"localhost\": write HOST:PORT"},
		{name: "same address twice", yaml: "listen: \":1\"\noperator_listen: \":1\"\n", err: "operator_listen is the same"},
		{name: "bad proxy", yaml: "trusted_proxies: [proxy]\n", err: "trusted_proxies: \"proxy\""},
		{name: "bad level", yaml: "log: { level: loud, format: xml }\n", err: "log.level \"loud\""},
		{name: "a provider without a client", yaml: "oidc: { issuer: https://id.example }\n", err: "oidc: client_id is missing"},
		{name: "a client without a provider", yaml: "oidc: { client_id: x }\n", err: "oidc: issuer is missing"},
		{name: "everybody an admin", yaml: "oidc: { issuer: https://id.example, client_id: x, create: admin }\n", err: "oidc.create \"admin\""},
		{name: "all faults at once", yaml: "public_url: x\noperator_url: y\n", err: "operator_url \"y\""},
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

func TestSettings(t *testing.T) {
	c := Config{PublicURL: "https://a.example", Slack: Slack{Token: "xoxb-secret"}, Webhooks: map[string]Webhook{"b": {URL: "https://b.example", Secret: "whsec_x"}}}
	want := []Setting{
		{Key: "public_url", Value: "https://a.example"}, {Key: "slack.token", Value: "(set)", Secret: true},
		{Key: "webhooks.b.url", Value: "https://b.example"}, {Key: "webhooks.b.secret", Value: "(set)", Secret: true},
	}
	if d := cmp.Diff(want, c.Settings()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestUnknownVariables(t *testing.T) {
	c := Config{Webhooks: map[string]Webhook{"a": {}}}
	got := c.Unknown([]string{"PATH=/bin", "SERIN_LISTEN=:1", "SERIN_SLACK_TOKEN_FILE=/x", "SERIN_WEBHOOKS_A_SECRET=s", "SERIN_WEBHOOKS_B_SECRET=s", "SERIN_LISTN=:2", "SERIN_TOKEN=x"})
	if d := cmp.Diff([]string{"SERIN_LISTN", "SERIN_WEBHOOKS_B_SECRET"}, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
