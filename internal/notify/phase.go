package notify

import "strings"

// Phase is what a notice says about its thread.
type Phase int

// The phases of a thread.
const (
	News   Phase = iota // something happened; nothing stays open by it
	Opened              // something fires, or fires again or worse
	Acked               // a person looks after it
	Closed              // it is over
)

// phases are by the Types of notices of alert rules and of incidents; all
// others are News.
var phases = map[string]Phase{
	"incident.opened": Opened, "incident.reopened": Opened, "incident.escalated": Opened, "incident.severe": Opened, "incident.resolved": Closed,
	"alert.firing": Opened, "alert.no_data": Opened, "alert.acked": Acked, "alert.resolved": Closed, "alert.data_back": Closed,
}

// Phase is what n says about its thread, by its Type.
func (n Notice) Phase() Phase { return phases[n.Type] }

// Key is what a service may tell by that two notices are about the same: the
// thread, else the notice's own id. It has at most limit bytes, above 70: what
// is longer ends in a digest of the whole.
func (n Notice) Key(limit int) string {
	key := n.Thread
	if key == "" {
		key = n.ID
	}
	key = strings.ToValidUTF8(key, "?")
	if len(key) <= limit {
		return key
	}
	sum := Digest(key)
	return strings.ToValidUTF8(key[:limit-len(sum)-1], "") + "-" + sum
}

// OneLine is s without line breaks and runs of blanks, cut to limit characters, above 0.
func OneLine(s string, limit int) string { return Cut(strings.Join(strings.Fields(s), " "), limit) }

// Cut is s as valid UTF-8, cut to limit characters, above 0, with "…" at its end where something is missing.
func Cut(s string, limit int) string {
	r := []rune(strings.ToValidUTF8(s, "?"))
	if len(r) <= limit {
		return string(r)
	}
	return string(r[:limit-1]) + "…"
}
