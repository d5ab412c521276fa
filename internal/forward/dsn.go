package forward

import (
	"errors"
	"net/url"
	"strings"
)

// errDSN never quotes what was given: it holds a key.
var errDSN = errors.New("dsn: write it as https://KEY@HOST/PROJECT, as the upstream's settings show it")

// DSN is where a project's telemetry goes on to: scheme://KEY[:SECRET]@host/prefix/PROJECT.
type DSN struct {
	Base    string // scheme://host/prefix, without a slash at the end
	Key     string
	Secret  string // of old DSNs; "" = none
	Project string
}

// ParseDSN reads a DSN (sentry-docs, transport/authentication). Its error does
// not hold the text.
func ParseDSN(text string) (DSN, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User == nil || u.User.Username() == "" {
		return DSN{}, errDSN
	}
	path := strings.TrimSuffix(u.Path, "/")
	cut := strings.LastIndexByte(path, '/')
	if cut < 0 || path[cut+1:] == "" || u.RawQuery != "" || u.Fragment != "" {
		return DSN{}, errDSN
	}
	secret, _ := u.User.Password()
	d := DSN{Base: u.Scheme + "://" + u.Host + path[:cut], Key: u.User.Username(), Secret: secret, Project: path[cut+1:]}
	if strings.ContainsAny(d.Key+d.Secret, ", \r\n\"") {
		return DSN{}, errDSN
	}
	return d, nil
}

// Address is the DSN without its key, for people.
func (d DSN) Address() string { return d.Base + "/" + d.Project }

// public is the DSN as an envelope's header carries it: the secret is left out.
func (d DSN) public() string {
	scheme, rest, _ := strings.Cut(d.Base, "://")
	return scheme + "://" + d.Key + "@" + rest + "/" + d.Project
}

// endpoint is the address of an endpoint with what is left of the client's query.
func (d DSN) endpoint(name, query string) string {
	address := d.Base + "/api/" + d.Project + "/" + name + "/"
	if query != "" {
		address += "?" + query
	}
	return address
}

// auth is the X-Sentry-Auth of a request; client is the client's own name.
func (d DSN) auth(client string) string {
	value := "Sentry sentry_version=7, sentry_key=" + d.Key
	if client != "" {
		value += ", sentry_client=" + client
	}
	if d.Secret != "" {
		value += ", sentry_secret=" + d.Secret
	}
	return value
}
