// Package config reads the server's configuration: a YAML file, then
// environment variables. Flags of the command line, which go before both, are
// the caller's. A zero Config is usable and safe: it listens on this machine
// only and tells people on serin's own pages only.
//
// Every key that holds one value can be given by a variable instead, see
// Variable; with _FILE appended the variable names a file that holds the
// value, so that a secret need not be in the environment.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Config is the server's configuration file. Plans name channels; addresses
// and secrets are here.
type Config struct {
	// Data is the directory with everything that serin keeps; "" = serin-data below the current one.
	Data string `yaml:"data"`
	// Listen is the address of flags and telemetry, and of pages and operator API unless operator_listen is given; "" = 127.0.0.1:8750.
	Listen string `yaml:"listen"`
	// OperatorListen is an address of its own for pages, operator API and /metrics, which then do not answer on listen; "" = none.
	OperatorListen string `yaml:"operator_listen"`
	// PublicURL is how clients reach the server, and people unless operator_url is given; "" = the listen address.
	PublicURL string `yaml:"public_url"`
	// OperatorURL is how people reach the pages, for links in notices; "" = public_url, or the operator_listen address.
	OperatorURL string `yaml:"operator_url"`
	// TLS is how connections are encrypted; empty = not by serin.
	TLS TLS `yaml:"tls"`
	// TrustedProxies are addresses or networks (10.0.0.0/8) whose X-Forwarded-For is believed; empty = nobody's.
	TrustedProxies []string `yaml:"trusted_proxies"`
	// OIDC is the identity provider that people sign in by, beside local accounts and links; empty = none.
	OIDC OIDC `yaml:"oidc"`
	// Limits bound how often one address may come with a key that pages carry; other keys are not limited.
	Limits Limits `yaml:"limits"`
	// OTLP is what to do with telemetry that comes from OpenTelemetry.
	OTLP OTLP `yaml:"otlp"`
	// Retention is how long what is no longer needed is kept: 12h, 400d, 8w or forever. Journals, flags, plans and issues stay.
	Retention Retention `yaml:"retention"`
	// Disk is how much room serin may take, and when to warn.
	Disk Disk `yaml:"disk"`
	// Privacy is what is removed from telemetry before anything is stored.
	Privacy Privacy `yaml:"privacy"`
	// Log is what is written to standard error.
	Log Log `yaml:"log"`
	// Slack is the bot that posts to a plan's channels such as "slack:#ops".
	Slack Slack `yaml:"slack"`
	// SlackHooks are Slack's incoming webhooks by the name that a plan's channel uses: "slackhook:team". They know no threads, updates and buttons.
	SlackHooks map[string]SlackHook `yaml:"slackhook"`
	// PagerDuty are services by the name that a plan's channel uses: "pagerduty:on-call".
	PagerDuty map[string]PagerDuty `yaml:"pagerduty"`
	// Jira writes tickets for channels such as "jira:OPS/P1".
	Jira Jira `yaml:"jira"`
	// Email sends mail to channels such as "email:ann@example.com".
	Email Email `yaml:"email"`
	// Alertmanagers are handed alerts, by the name that a plan's channel uses: "alertmanager:main".
	Alertmanagers map[string]Alertmanager `yaml:"alertmanager"`
	// Webhooks are receivers by the name that a plan's channel uses: "webhook:deploys".
	Webhooks map[string]Webhook `yaml:"webhooks"`
	// DeployHooks are commands that deploy a build variable when its flags change, by the variable's name as in a plan's flag.env.
	DeployHooks map[string]DeployHook `yaml:"deploy_hooks"`
	// Sources are what serin asks for measurements, by a name of yours: Prometheus, probes, JSON reports.
	Sources map[string]Source `yaml:"sources"`
	// Forward passes the telemetry of Sentry's SDKs on to another service that speaks their protocol, by the id of the project as in its DSN.
	Forward map[string]Forward `yaml:"forward"`
}

// TLS encrypts every listener. Give cert and key, or acme.
type TLS struct {
	// Cert is a file with the certificate and its chain in PEM; it is read again when it changes.
	Cert string `yaml:"cert"`
	// Key is a file with the private key in PEM.
	Key string `yaml:"key"`
	// ACME gets certificates from a certificate authority.
	ACME ACME `yaml:"acme"`
}

// ACME is RFC 8555 with the challenge TLS-ALPN-01: the authority must reach
// the listen address at port 443 of each host.
type ACME struct {
	// Hosts are the names to get certificates for; empty = no ACME.
	Hosts []string `yaml:"hosts"`
	// Email is told by the authority of certificates that are about to expire; optional.
	Email string `yaml:"email"`
	// Directory is the authority's address; "" = Let's Encrypt.
	Directory string `yaml:"directory"`
}

// OIDC is an identity provider that speaks OpenID Connect. Register serin there
// with the callback operator_url/login/callback.
type OIDC struct {
	// Issuer is the provider's address, below which it has /.well-known/openid-configuration; "" = no provider.
	Issuer string `yaml:"issuer"`
	// ClientID is serin's name at the provider; required with issuer.
	ClientID string `yaml:"client_id"`
	// ClientSecret is serin's secret at the provider; "" = a public client, which PKCE makes safe.
	ClientSecret string `yaml:"client_secret" secret:"true"`
	// Name is what the sign-in page calls the provider; "" = the issuer's host.
	Name string `yaml:"name"`
	// Domains are the domains of e-mail addresses that may sign in; empty = any that the provider has.
	Domains []string `yaml:"domains"`
	// Create is the role that somebody gets who signs in for the first time: viewer, operator or approver; "" = only people who have an account.
	Create string `yaml:"create"`
}

// Limits are requests a second of one publishable key from one address, or
// from one network of IPv6; ten times as many may come at once. Requests from
// the machine itself are not limited: an untrusted proxy there stands for everybody.
type Limits struct {
	// Flags is how many evaluations of flags; 0 = 500, -1 = no limit.
	Flags int `yaml:"flags"`
	// Telemetry is how many envelopes, events and beacons; 0 = 500, -1 = no limit.
	Telemetry int `yaml:"telemetry"`
}

// OTLP is telemetry that comes from OpenTelemetry.
type OTLP struct {
	// Errors is whether log records of severity ERROR and above, and those with an exception, are error events: on or off; "" = on. Turn it off where Sentry's SDK sends the same errors.
	Errors string `yaml:"errors"`
}

// Retention says how long each class of data is kept. What the judge of a
// running rollout reads is kept in any case.
type Retention struct {
	// Evidence is how long what was measured in a rollout is kept after its end, at least 1d; "" = 400d.
	Evidence string `yaml:"evidence"`
	// Inputs is how long what each decision rested on is kept after the end of its rollout, for serin explain, at least 1d; "" = 400d.
	Inputs string `yaml:"inputs"`
	// Samples is how long error samples are kept after their arrival, at least 1h; "" = 90d.
	Samples string `yaml:"samples"`
	// Audit is how long entries of the audit log are kept, at least 30d; "" = forever.
	Audit string `yaml:"audit"`
	// Outbox is how long notices are kept that were delivered or given up, at least 1d; "" = 90d.
	Outbox string `yaml:"outbox"`
}

// Disk bounds the room that the store takes.
type Disk struct {
	// Budget is how much the store may hold, such as 10GB; over it the oldest samples go, then evidence of ended rollouts; at least 256MiB, "" = no bound.
	Budget string `yaml:"budget"`
	// Warn is the percentage of the budget at which to warn; 0 = 80.
	Warn int `yaml:"warn"`
	// Free is how much should be free on the data directory's file system: below it serin warns; "" = 256MiB, 0B = never.
	Free string `yaml:"free"`
}

// Privacy says what telemetry may hold. Values of keys such as password or
// token, e-mail and IP addresses are removed in any case but for keep.
type Privacy struct {
	// Scrub are further keys whose values are removed: parts of a key, in any case, or patterns of a whole key with *.
	Scrub []string `yaml:"scrub"`
	// Keep are kinds of personal data that may stay: email, username, ip_address.
	Keep []string `yaml:"keep"`
	// UserIDs is how ids of users are stored: plain, or hash for HMAC-SHA256 digests in their place; "" = plain.
	UserIDs string `yaml:"user_ids"`
}

// Log says what is logged and how.
type Log struct {
	// Level is the least level to log: debug, info, warn or error; "" = info.
	Level string `yaml:"level"`
	// Format is text or json; "" = text.
	Format string `yaml:"format"`
}

// Slack is the bot that posts to channels.
type Slack struct {
	// Token is the bot's: xoxb-...
	Token string `yaml:"token" secret:"true"`
	// Channels maps a plan's "#name" to Slack's channel id, which does not change when a channel is renamed.
	Channels map[string]string `yaml:"channels"`
	// APIURL is Slack's API; "" = https://slack.com/api. For a proxy.
	APIURL string `yaml:"api_url"`
	// AppToken, xapp-..., takes buttons and /serin by Socket Mode, which needs no way in from the internet; "" = not by it.
	AppToken string `yaml:"app_token" secret:"true"`
	// SigningSecret checks buttons and /serin that Slack posts to public_url/hooks/slack; "" = none are taken there.
	SigningSecret string `yaml:"signing_secret" secret:"true"`
	// CallLink is where people talk during a severe incident, such as https://meet.example.com/{room}, with {room} for its channel's name; "" = nowhere.
	CallLink string `yaml:"call_link"`
	// PrivateRooms makes the channels of severe incidents private.
	PrivateRooms bool `yaml:"private_rooms"`
}

// SlackHook is one incoming webhook of Slack, which is bound to one channel.
type SlackHook struct {
	// URL is the webhook's address, which is its secret: https://hooks.slack.com/services/...; required.
	URL string `yaml:"url" secret:"true"`
	// AllowPrivate lets the address be private or loopback; off, it is refused.
	AllowPrivate bool `yaml:"allow_private"`
}

// PagerDuty is one service of PagerDuty, for "pagerduty:name" in a plan.
type PagerDuty struct {
	// Key is the integration key of the service's Events API v2; required.
	Key string `yaml:"key" secret:"true"`
	// EU says that the account is of PagerDuty's EU region.
	EU bool `yaml:"eu"`
	// URL is the API's address in place of PagerDuty's own, for a proxy; "" = by eu.
	URL string `yaml:"url"`
}

// Alertmanager is one Prometheus Alertmanager, for "alertmanager:name" in a
// plan: alerts are handed to it by its API v2, and it routes them.
type Alertmanager struct {
	// URL is where it is, without /api/v2; required.
	URL string `yaml:"url"`
	// Token is a bearer token; "" = none.
	Token string `yaml:"token" secret:"true"`
	// Username is of basic authentication; "" = none.
	Username string `yaml:"username"`
	// Password is of basic authentication.
	Password string `yaml:"password" secret:"true"`
	// AllowPrivate says that it lies in the own network, as most do.
	AllowPrivate bool `yaml:"allow_private"`
}

// Jira is a site of Jira Cloud, for "jira:PROJECT/P1" in a plan.
type Jira struct {
	// URL is the site, such as https://example.atlassian.net; "" = no tickets.
	URL string `yaml:"url"`
	// Email is the account that writes tickets; required with url.
	Email string `yaml:"email"`
	// Token is that account's API token; required with url.
	Token string `yaml:"token" secret:"true"`
	// IssueType is the type of new tickets; "" = Bug.
	IssueType string `yaml:"issue_type"`
	// Priorities maps P1 to P4 to the site's names; left out: Highest, High, Medium, Low.
	Priorities map[string]string `yaml:"priorities"`
	// Resolve is the name of the transition that closes a ticket when its alert ends; "" = a comment only.
	Resolve string `yaml:"resolve"`
	// Reopen is the name of the transition of a ticket whose alert fires again; "" = a comment only.
	Reopen string `yaml:"reopen"`
}

// Email is the server that mail goes out by, for "email:ann@example.com" in a
// plan. It must speak TLS: from the start, or by STARTTLS.
type Email struct {
	// Host is the mail server's name; "" = no mail.
	Host string `yaml:"host"`
	// Port is its port; 0 = 465 with tls, else 587.
	Port int `yaml:"port"`
	// TLS encrypts from the start; false = by STARTTLS.
	TLS bool `yaml:"tls"`
	// Username signs in; "" = without.
	Username string `yaml:"username"`
	// Password goes with username.
	Password string `yaml:"password" secret:"true"`
	// From is the sender, such as serin <serin@example.com>; required with host.
	From string `yaml:"from"`
	// Domains are those that may get mail; empty = any.
	Domains []string `yaml:"domains"`
}

// Webhook is one receiver that follows Standard Webhooks.
type Webhook struct {
	// URL is where notices are posted to; required.
	URL string `yaml:"url"`
	// Secret signs them: whsec_...; required.
	Secret string `yaml:"secret" secret:"true"`
	// AllowPrivate lets the address be private or loopback; off, it is refused.
	AllowPrivate bool `yaml:"allow_private"`
}

// DeployHook is the command that builds and deploys with a build variable. Only
// the server's configuration names commands, never a plan.
type DeployHook struct {
	// Command is the program and its arguments, without a shell, such as [vercel, deploy, --prod]; required.
	Command []string `yaml:"command"`
	// Dir is the directory to run it in, absolute; "" = the server's.
	Dir string `yaml:"dir"`
	// Env are names of variables of the server's environment that the command is given; their values are masked in its output.
	Env []string `yaml:"env"`
	// Timeout is when the command and its children are ended, at most 60m; "" = 10m.
	Timeout string `yaml:"timeout"`
	// Retries is how often a command that failed is run again, at most 10; 0 = 3, -1 = never.
	Retries int `yaml:"retries"`
}

// Source is something that serin asks for measurements.
type Source struct {
	// Kind is prometheus (PromQL of plans), probe (is an address up?) or report (values in a JSON document); required.
	Kind string `yaml:"kind"`
	// URL is what to ask: a Prometheus API without /api/v1, the probed address, or the document; required.
	URL string `yaml:"url"`
	// Project is the id of the one project that it is for; "" = every project's.
	Project string `yaml:"project"`
	// Every is the time between two rounds, 5s to 1h; "" = 30s.
	Every string `yaml:"every"`
	// Timeout is how long one request may take, 100ms to 1m; "" = 10s.
	Timeout string `yaml:"timeout"`
	// Token is a bearer token; "" = none.
	Token string `yaml:"token" secret:"true"`
	// Username is for basic authentication; "" = none.
	Username string `yaml:"username"`
	// Password goes with username.
	Password string `yaml:"password" secret:"true"`
	// Headers are sent with every request, such as X-Scope-OrgID; credentials go into token or password.
	Headers map[string]string `yaml:"headers"`
	// CA is a file with certificates in PEM to trust in place of the system's; "" = the system's.
	CA string `yaml:"ca"`
	// AllowPrivate lets the address be private or loopback; off, it is refused.
	AllowPrivate bool `yaml:"allow_private"`
	// Method is a probe's: GET or HEAD; "" = GET.
	Method string `yaml:"method"`
	// Status is what a probe expects; 0 = any from 200 to 299.
	Status int `yaml:"status"`
	// Body is a text that the answer to a probe must hold; "" = any answer.
	Body string `yaml:"body"`
	// Values are a report's: the name that plans use, and where the value stands, as a JSON pointer such as /total/0/bytes.
	Values map[string]string `yaml:"values"`
}

// Forward is the upstream of one project: everything that clients send to
// serin's Sentry endpoints reaches it too, unscrubbed.
type Forward struct {
	// DSN is the upstream's, as its settings show it: https://KEY@HOST/PROJECT; required.
	DSN string `yaml:"dsn" secret:"true"`
	// Queue is how much may wait on disk, such as 512MiB, at least 1MiB; when it is full the oldest goes; "" = 1GiB.
	Queue string `yaml:"queue"`
	// Keep is how long a request may wait, such as 6h, at least 1h; "" = 24h.
	Keep string `yaml:"keep"`
	// AllowPrivate lets the address be private or loopback; off, it is refused.
	AllowPrivate bool `yaml:"allow_private"`
}

// Load reads a file and the environment; path "" means no file. Unknown keys
// are errors, and so is everything that Check finds.
func Load(path string, getenv func(string) string) (Config, error) {
	var c Config
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return c, fmt.Errorf("read configuration: %w", err)
		}
		dec := yaml.NewDecoder(bytes.NewReader(data))
		dec.KnownFields(true)
		if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
			return c, fmt.Errorf("configuration %s: %s", path, plain(err))
		}
	}
	if err := c.overlay(getenv); err != nil {
		return c, err
	}
	return c, c.Check()
}

// unknownKey is how the YAML reader says that a key has no field.
var unknownKey = regexp.MustCompile(`field (\S+) not found in type \S+`)

// plain says a fault of the YAML in words of the file, not of the program, in one line.
func plain(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: unmarshal errors:\n")
	text = unknownKey.ReplaceAllString(text, `unknown key "$1": see docs/reference/configuration.md`)
	return strings.Join(strings.Fields(text), " ")
}
