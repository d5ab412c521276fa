package telemetry

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// Group returns the grouping hash of an error event (32 hex digits), and the
// title and culprit to show for the group. Events of one hash are one issue.
// In order: the client's fingerprint; the in-app frames of the main exception
// (module or file, and function, no lines) with its type; its type and
// parameterised value; the parameterised message.
func Group(e *Event) (hash, title, culprit string) {
	title, culprit = titleOf(e), culpritOf(e)
	parts := defaultGrouping(e)
	if len(e.Fingerprint) > 0 {
		var own []string
		for _, f := range e.Fingerprint {
			if strings.ReplaceAll(f, " ", "") == "{{default}}" {
				own = append(own, parts...)
				continue
			}
			own = append(own, f)
		}
		parts = own
	}
	sum := sha256.New()
	for _, p := range parts {
		sum.Write([]byte(p))
		sum.Write([]byte{0})
	}
	return hex.EncodeToString(sum.Sum(nil)[:16]), title, culprit
}

func defaultGrouping(e *Event) []string {
	if x := e.Exception; x != nil && (x.Type != "" || x.Value != "" || len(x.Frames) > 0) {
		if frames := appFrames(x.Frames); len(frames) > 0 {
			return append([]string{"frames", x.Type}, frames...)
		}
		return []string{"exception", x.Type, Parameterize(x.Value)}
	}
	if e.Message != "" {
		return []string{"message", Parameterize(e.Message)}
	}
	return []string{"title", Parameterize(e.Title), e.Culprit}
}

// appFrames returns one text for each in-app frame whose function has a real
// name; nil when any is minified, because such names change with every build.
func appFrames(frames []Frame) []string {
	var out []string
	for _, f := range frames {
		if !f.InApp {
			continue
		}
		if minified(f.Function) {
			return nil
		}
		where := f.Module
		if where == "" {
			where = stableFile(f.File)
		}
		out = append(out, where+"\x1f"+f.Function)
	}
	return out
}

// minified recognises the short names of a minifier ("t", "ab", "?").
func minified(function string) bool {
	name := function[strings.LastIndexByte(function, '.')+1:]
	return len(name) <= 2
}

var (
	assetHash = regexp.MustCompile(`[.\-_][0-9a-fA-F]{8,}(\.|$)`)
	origin    = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[^/]*`)
)

// stableFile drops origin, query, fragment and build hash of a file name.
func stableFile(file string) string {
	file, _, _ = strings.Cut(file, "?")
	file, _, _ = strings.Cut(file, "#")
	return assetHash.ReplaceAllString(origin.ReplaceAllString(file, ""), "$1")
}

// parameters are replaced in order: longer shapes first.
var parameters = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`[\w.+-]+@[\w-]+\.[\w.-]+`), "<email>"},
	{regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "<uuid>"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?`), "<date>"},
	{regexp.MustCompile(`\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b`), "<ip>"},
	{regexp.MustCompile(`(?i)\b0x[0-9a-f]+\b|\b[0-9a-f]*[0-9][0-9a-f]*[a-f][0-9a-f]{6,}\b|\b[0-9a-f]{16,}\b`), "<hex>"},
	{regexp.MustCompile(`"[^"]*"|'[^']*'`), "<str>"},
	{regexp.MustCompile(`-?\b\d+(?:\.\d+)?`), "<n>"},
}

// maxParameterized bounds how much of a text takes part in grouping, in bytes.
const maxParameterized = 1024

// Parameterize replaces what differs between two reports of one fault:
// e-mails, UUIDs, dates, IP addresses, hex, quoted text and numbers.
func Parameterize(s string) string {
	if len(s) > maxParameterized {
		s = s[:maxParameterized]
	}
	for _, p := range parameters {
		s = p.re.ReplaceAllString(s, p.by)
	}
	return strings.Join(strings.Fields(s), " ")
}

func titleOf(e *Event) string {
	switch x := e.Exception; {
	case e.Title != "":
		return e.Title
	case x != nil && x.Type != "" && x.Value != "":
		return x.Type + ": " + x.Value
	case x != nil && x.Type+x.Value != "":
		return x.Type + x.Value
	case e.Message != "":
		return e.Message
	}
	return "(no message)"
}

func culpritOf(e *Event) string {
	if e.Culprit != "" || e.Exception == nil {
		return e.Culprit
	}
	frames := e.Exception.Frames
	for i := len(frames) - 1; i >= 0; i-- {
		if frames[i].InApp && frames[i].Function != "" {
			return frames[i].Function
		}
	}
	return e.Attributes["transaction"]
}
