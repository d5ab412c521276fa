package intake

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"serin/internal/intake/loosejson"
)

// credentials are what a request says about who sends it. Secrets and hosts
// are never looked at: a secret is long obsolete, and a proxy changes hosts.
type credentials struct {
	key string
}

// errDisagree: two places of one request name different keys or projects.
var errDisagree = errors.New("the places that carry the key disagree: send one and the same key and project in X-Sentry-Auth, query and envelope header")

func (c *credentials) add(key string) error {
	if key == "" {
		return nil
	}
	if c.key != "" && c.key != key {
		return errDisagree
	}
	c.key = key
	return nil
}

// requestCredentials reads the headers X-Sentry-Auth and Authorization
// ("Sentry sentry_version=7, sentry_key=...", fields in any order) and the
// query's sentry_key; of OTLP also "Authorization: Bearer KEY". Source: sentry-docs develop-docs/sdk/foundations
// transport/authentication.
func requestCredentials(r *http.Request, endpoint string) (credentials, error) {
	var c credentials
	for _, name := range []string{"X-Sentry-Auth", "Authorization"} {
		for _, value := range r.Header.Values(name) {
			if err := c.add(headerKey(value)); err != nil {
				return c, err
			}
		}
	}
	if isOTLP(endpoint) {
		for _, value := range r.Header.Values("Authorization") {
			if err := c.add(bearerKey(value)); err != nil {
				return c, err
			}
		}
	}
	for _, value := range r.URL.Query()["sentry_key"] {
		if err := c.add(value); err != nil {
			return c, err
		}
	}
	return c, nil
}

// headerKey is the sentry_key of an auth header, "" if it is of another scheme.
func headerKey(value string) string {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(value), " ")
	if !ok || !strings.EqualFold(scheme, "Sentry") {
		return ""
	}
	for field := range strings.SplitSeq(rest, ",") {
		name, v, _ := strings.Cut(strings.TrimSpace(field), "=")
		if strings.EqualFold(strings.TrimSpace(name), "sentry_key") {
			return strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	return ""
}

// addDSN takes the key of the envelope header's dsn, if it has one, and
// compares its project with the path's. A first line which is no JSON is left
// for the decoder to refuse.
func (c *credentials) addDSN(body []byte, project string) error {
	line, _, _ := bytes.Cut(body, []byte("\n"))
	if !bytes.Contains(line, []byte("dsn")) { // an escaped spelling of "dsn" is not worth parsing each header
		return nil
	}
	doc, err := loosejson.Parse(line)
	if err != nil {
		return nil
	}
	defer doc.Free()
	dsn, ok := doc.Root().Get("dsn").Str()
	if !ok || dsn == "" {
		return nil
	}
	u, err := url.Parse(dsn)
	if err != nil || u.User == nil {
		return errors.New("the envelope header's dsn cannot be read: write scheme://KEY@host/PROJECT")
	}
	_, id, _ := cutLast(strings.TrimSuffix(u.Path, "/"), "/")
	if id != project {
		return fmt.Errorf("%w: the envelope header's dsn names another project", errDisagree)
	}
	return c.add(u.User.Username())
}

func (d *door) forbidden(err error) answer {
	return refuse(http.StatusForbidden, "auth", err.Error())
}

// keyRefused is the answer for an error of the KeyChecker.
func (d *door) keyRefused(err error) answer {
	switch {
	case errors.Is(err, errNoKey):
		return refuse(http.StatusForbidden, "no_key", "no key: send sentry_key in X-Sentry-Auth, the query or the envelope header's dsn; OTLP may send Authorization: Bearer KEY")
	case errors.Is(err, ErrUnknownKey):
		return refuse(http.StatusForbidden, "unknown_key", "this project has no such key: copy the DSN from the project's settings")
	case errors.Is(err, ErrForbiddenOrigin):
		a := refuse(http.StatusForbidden, "origin", "this key is not for pages of this origin: add the origin to the key's list")
		a.cors = corsNone
		return a
	case errors.Is(err, ErrOverload):
		return overloaded("key_rate", limitable)
	default:
		return unavailable(err)
	}
}
