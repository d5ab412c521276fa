package telemetry

import (
	"regexp"
	"slices"
	"strings"
)

// Filtered stands in for the value of a sensitive key.
const Filtered = "[Filtered]"

// ScrubOptions says what may stay. The zero value removes everything that is
// sensitive by default.
type ScrubOptions struct {
	Keys []string // further sensitive keys, any case, matched as parts of a key
	Keep []string // pii.keep: "email", "ip" leave addresses in texts
}

var sensitiveParts = []string{
	"password", "passwd", "secret", "token", "api_key", "apikey", "authorization",
	"credential", "cookie", "session", "csrf", "private_key",
}

var sensitiveWords = []string{"pwd", "auth", "card", "iban", "ssn"}

var exemptKeys = []string{"user.id", "sid", "did", "trace_id", "span_id", "session.status"}

// Sensitive reports whether values of key must not be stored: it contains
// password, token and the like in any case, or is one of a few whole words.
func (o ScrubOptions) Sensitive(key string) bool {
	key = strings.ToLower(key)
	if slices.Contains(exemptKeys, key) || strings.HasPrefix(key, "flag.") || strings.HasPrefix(key, "feature_flag.") {
		return false
	}
	key = strings.ReplaceAll(key, "-", "_")
	if slices.Contains(sensitiveWords, key) {
		return true
	}
	for _, part := range sensitiveParts {
		if strings.Contains(key, part) {
			return true
		}
	}
	for _, part := range o.Keys {
		if part != "" && strings.Contains(key, strings.ReplaceAll(strings.ToLower(part), "-", "_")) {
			return true
		}
	}
	return false
}

var (
	emailShape = regexp.MustCompile(`[A-Za-z0-9._+-]+(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`)
	ip4Shape   = regexp.MustCompile(`\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b`)
	ip6Shape   = regexp.MustCompile(`(?i)\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b|\b(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}\b|::1\b`)
)

// Text replaces e-mail and IP addresses in a message, title or URL.
func (o ScrubOptions) Text(s string) string {
	if s == "" {
		return s
	}
	if !slices.Contains(o.Keep, "email") && (strings.IndexByte(s, '@') >= 0 || strings.Contains(s, "%40")) {
		s = emailShape.ReplaceAllString(s, "<email>")
	}
	if slices.Contains(o.Keep, "ip") {
		return s
	}
	if strings.Count(s, ".") >= 3 { // most texts have no address: spare them the search
		s = ip4Shape.ReplaceAllString(s, "<ip>")
	}
	if strings.Count(s, ":") >= 2 {
		s = ip6Shape.ReplaceAllString(s, "<ip>")
	}
	return s
}

// URL scrubs the values of sensitive query parameters, and addresses.
func (o ScrubOptions) URL(s string) string {
	base, query, ok := strings.Cut(s, "?")
	if !ok {
		return o.Text(s)
	}
	query, fragment, hasFragment := strings.Cut(query, "#")
	parts := strings.Split(query, "&")
	for i, part := range parts {
		if key, _, ok := strings.Cut(part, "="); ok && o.Sensitive(key) {
			parts[i] = key + "=" + Filtered
		}
	}
	s = base + "?" + strings.Join(parts, "&")
	if hasFragment {
		s += "#" + fragment
	}
	return o.Text(s)
}

// Scrub removes secrets and personal data from e in place, before anything is
// stored or logged. Decoders call it last: identifiers (user, session, trace)
// stay, because attribution needs them. Maps are changed, not replaced.
func Scrub(e *Event, o ScrubOptions) {
	o.scrubMap(e.Tags)
	o.scrubMap(e.Attributes)
	e.Message, e.Title, e.Culprit = o.Text(e.Message), o.Text(e.Title), o.Text(e.Culprit)
	e.URL, e.Page = o.URL(e.URL), o.URL(e.Page)
	if e.Exception != nil {
		e.Exception.Value = o.Text(e.Exception.Value)
	}
	for i, f := range e.Fingerprint {
		e.Fingerprint[i] = o.Text(f)
	}
}

// dropped are the attributes that are personal data as a whole.
var dropped = map[string]string{
	"user.email": "email", "contact_email": "email", "user.username": "username", "username": "username",
	"user.ip_address": "ip", "ip_address": "ip", "client.address": "ip", "user.name": "username",
}

func (o ScrubOptions) scrubMap(m map[string]string) {
	for k, v := range m {
		switch kind, personal := dropped[k]; {
		case personal && !slices.Contains(o.Keep, kind):
			delete(m, k)
		case o.Sensitive(k):
			m[k] = Filtered
		default:
			if t := o.URL(v); t != v {
				m[k] = t
			}
		}
	}
}
