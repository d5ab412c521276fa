package config

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Check reports everything that is wrong, not only the first.
func (c Config) Check() error {
	errs := []error{
		checkURL("public_url", c.PublicURL), checkURL("operator_url", c.OperatorURL),
		checkListen("listen", c.Listen), checkListen("operator_listen", c.OperatorListen),
		c.TLS.check(), c.OIDC.check(), c.Log.check(), c.Privacy.check(), c.OTLP.check(),
	}
	if c.OperatorListen != "" && c.OperatorListen == c.Listen {
		errs = append(errs, errors.New("operator_listen is the same as listen: leave it out, or give another port"))
	}
	if _, err := c.Proxies(); err != nil {
		errs = append(errs, err)
	}
	_, ages := c.Retention.Ages()
	_, room := c.Disk.Room()
	errs = append(errs, ages, room)
	for _, name := range slices.Sorted(maps.Keys(c.Webhooks)) {
		w, at := c.Webhooks[name], "webhooks."+name
		if w.URL == "" {
			errs = append(errs, fmt.Errorf("%s: url is missing", at))
		}
		if w.Secret == "" {
			errs = append(errs, fmt.Errorf("%s: secret is missing: give it here or in %s", at, Variable(at+".secret")))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.DeployHooks)) {
		errs = append(errs, c.DeployHooks[name].check("deploy_hooks."+name))
	}
	errs = append(errs, c.checkSources(), c.checkForward(), c.checkChannels())
	return errors.Join(errs...)
}

func checkURL(key, text string) error {
	u, err := url.Parse(text)
	if text != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("%s %q: write it as https://HOST", key, text)
	}
	return nil
}

func checkListen(key, text string) error {
	if _, _, err := net.SplitHostPort(text); text != "" && err != nil {
		return fmt.Errorf("%s %q: write HOST:PORT, or :PORT for every address of this machine", key, text)
	}
	return nil
}

func (t TLS) check() error {
	switch {
	case (t.Cert == "") != (t.Key == ""):
		return errors.New("tls: cert and key go together: give both files")
	case t.Cert != "" && len(t.ACME.Hosts) > 0:
		return errors.New("tls: cert and acme.hosts are two ways to the same: keep one")
	}
	for _, host := range t.ACME.Hosts {
		if strings.ContainsAny(host, "/:*") || host == "" {
			return fmt.Errorf("tls.acme.hosts: %q: write a plain host name such as serin.example.com", host)
		}
	}
	return checkURL("tls.acme.directory", t.ACME.Directory)
}

// On reports whether connections are encrypted.
func (t TLS) On() bool { return t.Cert != "" || len(t.ACME.Hosts) > 0 }

func (o OIDC) check() error {
	if o.Issuer == "" {
		if o.ClientID != "" || o.Create != "" {
			return errors.New("oidc: issuer is missing")
		}
		return nil
	}
	if err := checkURL("oidc.issuer", o.Issuer); err != nil {
		return err
	}
	if o.ClientID == "" {
		return errors.New("oidc: client_id is missing")
	}
	if !slices.Contains([]string{"", "viewer", "operator", "approver"}, o.Create) {
		return fmt.Errorf("oidc.create %q: write viewer, operator or approver, or leave it out", o.Create)
	}
	return nil
}

func (l Log) check() error {
	if _, err := l.Least(); err != nil {
		return err
	}
	if l.Format != "" && l.Format != "text" && l.Format != "json" {
		return fmt.Errorf("log.format %q: write text or json", l.Format)
	}
	return nil
}

// Least is the least level to log.
func (l Log) Least() (slog.Level, error) {
	var level slog.Level
	if l.Level == "" {
		return slog.LevelInfo, nil
	}
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return 0, fmt.Errorf("log.level %q: write debug, info, warn or error", l.Level)
	}
	return level, nil
}

// Proxies are the trusted proxies as networks.
func (c Config) Proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range c.TrustedProxies {
		if a, err := netip.ParseAddr(text); err == nil {
			out = append(out, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("trusted_proxies: %q: write an address or a network such as 10.0.0.0/8", text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}
