package telemetry

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Filtered stands in for the value of a sensitive key.
const Filtered = "[Filtered]"

// ScrubOptions says what may stay. The zero value removes everything that is
// sensitive by default.
type ScrubOptions struct {
	// Keys are further sensitive keys, any case: matched as parts of a key, or
	// with * in them as patterns of a whole key.
	Keys []string
	// Keep holds KeepEmail, KeepUsername and KeepIP; the first and the last
	// leave addresses in texts too.
	Keep []string
}

// What ScrubOptions.Keep may hold.
const (
	KeepEmail    = "email"
	KeepUsername = "username"
	KeepIP       = "ip_address"
)

// joined writes api-key and api_key as apiKey is in lower case.
var joined = strings.NewReplacer("-", "", "_", "")

// sensitiveParts are looked for in keys as joined writes them.
var sensitiveParts = []string{
	"password", "passwd", "secret", "token", "apikey", "authorization",
	"credential", "cookie", "session", "csrf", "privatekey",
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
	for part := range strings.SplitSeq(key, ".") { // "extra.card": of an object's fields each is a key
		if slices.Contains(sensitiveWords, part) {
			return true
		}
	}
	key = joined.Replace(key)
	for _, part := range sensitiveParts {
		if strings.Contains(key, part) {
			return true
		}
	}
	for _, part := range o.Keys {
		part = joined.Replace(strings.ToLower(part))
		if part != "" && (strings.Contains(key, part) || strings.Contains(part, "*") && wholeKey(part, key)) {
			return true
		}
	}
	return false
}

// wholeKey reports whether pattern matches a key or, of an object's field such
// as "extra.card", the field's own name.
func wholeKey(pattern, key string) bool {
	return wildcard(pattern, key) || wildcard(pattern, key[strings.LastIndexByte(key, '.')+1:])
}

var (
	emailShape = regexp.MustCompile(`[A-Za-z0-9._+-]+(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`)
	ip4Shape   = regexp.MustCompile(`\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b`)
	ip6Shape   = regexp.MustCompile(`(?i)\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b|\b(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}\b|::1\b`)
	// pairShape is a parameter of an address within a text.
	pairShape = regexp.MustCompile(`([?&;#])([^\s=&?;#"'<>]+)=([^\s&;#"'<>]*)`)
	// signInShape is the user information of an address (RFC 3986, section 3.2.1).
	signInShape = regexp.MustCompile(`://[^\s/?#@"'<>]+@`)
)

// Text replaces e-mail and IP addresses in a message, title or URL, and in
// addresses within it the values of sensitive parameters and who signs in.
func (o ScrubOptions) Text(s string) string {
	if s == "" {
		return s
	}
	if strings.Contains(s, "://") && strings.IndexByte(s, '@') >= 0 {
		s = signInShape.ReplaceAllString(s, "://"+Filtered+"@")
	}
	if strings.IndexByte(s, '=') >= 0 && strings.ContainsAny(s, "?&;#") {
		s = pairShape.ReplaceAllStringFunc(s, o.pair)
	}
	if !slices.Contains(o.Keep, KeepEmail) && (strings.IndexByte(s, '@') >= 0 || strings.Contains(s, "%40")) {
		s = emailShape.ReplaceAllString(s, "<email>")
	}
	if slices.Contains(o.Keep, KeepIP) {
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

// pair scrubs one parameter, with the sign before it.
func (o ScrubOptions) pair(s string) string {
	key, _, _ := strings.Cut(s[1:], "=")
	if !o.sensitiveParameter(key) {
		return s
	}
	return s[:1] + key + "=" + Filtered
}

// sensitiveParameter is Sensitive for a key as addresses have it.
func (o ScrubOptions) sensitiveParameter(key string) bool {
	if plain, err := url.QueryUnescape(key); err == nil {
		key = plain
	}
	return o.Sensitive(key)
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
		if key, _, ok := strings.Cut(part, "="); ok && o.sensitiveParameter(key) {
			parts[i] = key + "=" + Filtered
		}
	}
	s = base + "?" + strings.Join(parts, "&")
	if hasFragment {
		s += "#" + fragment
	}
	return o.Text(s)
}

// words is URL of each word of a text: "GET /login?token=x 200".
func (o ScrubOptions) words(s string) string {
	parts := strings.Split(s, " ")
	for i, part := range parts {
		parts[i] = o.URL(part)
	}
	return o.Text(strings.Join(parts, " "))
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
	for i := range e.Breadcrumbs {
		e.Breadcrumbs[i].Message = o.words(e.Breadcrumbs[i].Message)
	}
}

// dropped are the attributes that are personal data as a whole, in lower case,
// with what keeps them.
var dropped = map[string]string{
	"user.email": KeepEmail, "contact_email": KeepEmail, "user.contact_email": KeepEmail,
	"user.username": KeepUsername, "username": KeepUsername, "user.name": KeepUsername,
	"user.ip_address": KeepIP, "ip_address": KeepIP, "client.address": KeepIP, "client.socket.address": KeepIP,
	"http.client_ip": KeepIP, "net.peer.ip": KeepIP,
}

func (o ScrubOptions) scrubMap(m map[string]string) {
	for k, v := range m {
		switch kind, personal := dropped[strings.ToLower(k)]; {
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
